# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The ceph command: the only place that talks to a Ceph cluster."""

from __future__ import annotations

from typing import Any, Callable, Mapping, Optional, Sequence

from ..command import Connection, Refused, as_text, failure
from ..model import MAX_PGS_PER_OSD, TARGET_PGS_PER_OSD, Facts, Pool, Status
from ..parse import osds, parse, pools, rules, status
from ..record import POOL_RECORDS

# return code, standard output, standard error of a command line
Runner = Callable[[Sequence[str]], tuple[int, str, str]]

_ENOENT = 2


class Ceph:
    """Calls ceph for questions and orders; C(sent) lists the orders as people type them."""

    def __init__(self, connection: Connection, runner: Runner) -> None:
        self._connection = connection
        self._runner = runner
        self.sent: list[str] = []

    def ask(self, *arguments: str) -> str:
        """Return what a command prints. Raises an OcpvError for any return code but 0."""
        code, output, errors = self._runner(self._connection.argv(arguments))
        error = failure(self._connection, arguments, code, errors)
        if error:
            raise error
        return output

    def ask_json(self, kind: type, *arguments: str) -> Any:
        """Return the JSON object or list that a command prints."""
        return parse(as_text(arguments), self.ask(*arguments, "-f", "json"), kind)

    def order(self, arguments: Sequence[str]) -> None:
        """Send a command that changes something."""
        self.ask(*arguments)
        self.sent.append(as_text(arguments))

    def facts(self) -> Facts:
        """Return what calculations need to know of the cluster."""
        dump = self.ask_json(dict, "osd", "dump")
        crush = self.ask_json(dict, "osd", "crush", "dump")
        return Facts(
            pools=pools(dump, self.ask_json(dict, "df")),
            rules=rules(crush),
            osds=osds(dump, self.ask_json(dict, "osd", "df")),
            max_pgs_per_osd=self._number("mon", "mon_max_pg_per_osd", MAX_PGS_PER_OSD),
            autoscaler_target=self._number("mgr", "mon_target_pg_per_osd", TARGET_PGS_PER_OSD),
        )

    def pools(self) -> dict[str, Pool]:
        """Return the pools as they are now, without what they store."""
        return pools(self.ask_json(dict, "osd", "dump"), {})

    def status(self) -> Status:
        return status(self.ask_json(dict, "status"))

    def pool_records(self) -> dict[str, str]:
        """Return the config keys of pools' records with their values."""
        stored: Mapping[str, Any] = self.ask_json(dict, "config-key", "dump", POOL_RECORDS)
        return {key: str(value) for key, value in stored.items()}

    def config_key(self, key: str) -> Optional[str]:
        """Return the value of a config key, None if there is none."""
        try:
            return self.ask("config-key", "get", key).strip()
        except Refused as error:
            if error.details.get("rc") == _ENOENT:
                return None
            raise

    def _number(self, who: str, option: str, default: int) -> int:
        text = self.ask("config", "get", who, option).strip()
        return int(float(text)) if text else default
