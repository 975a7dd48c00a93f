# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where a host keeps settings of its interfaces over a reboot: NetworkManager's connections, or ifcfg files."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any, Mapping, Optional

from ...errors import InvalidInput, OcpvError
from .. import nic_files
from ..nic_record import ConnectionRecord, NicRecord
from ..sysctl_plan import FileChange, FileFacts
from ..sysctl_record import FileRecord, digest
from . import files

AUTO = "auto"
NETWORK_MANAGER = "network_manager"
IFCFG = "ifcfg"
NONE = "none"


@dataclass(frozen=True)
class Place:
    """Where settings of an interface are kept: C(kind), and the UUID of the connection or the path of the file."""

    interface: str
    kind: str
    name: str


@dataclass(frozen=True)
class ConnectionChange:
    """Properties of a connection to set; None for one to unset. C(drop_ethtool) takes that whole setting out."""

    uuid: str
    interface: str
    before: Mapping[str, Optional[str]]
    after: Mapping[str, Optional[str]]
    drop_ethtool: bool = False


class Persistence:
    """The host's way to keep settings."""

    def __init__(self, module: Any, wanted: str, ifcfg_directory: str) -> None:
        self._module, self._wanted, self._directory = module, wanted, ifcfg_directory
        self._nmcli = module.get_bin_path("nmcli")
        self._runs: Optional[bool] = None

    def place(self, interface: str) -> Place:
        """Return where the settings of an interface belong. Raises InvalidInput if the asked for way is not there."""
        if self._wanted == NONE:
            return Place(interface, NONE, "")
        if self._wanted in (AUTO, NETWORK_MANAGER):
            uuid = self._uuid(interface)
            if uuid:
                return Place(interface, NETWORK_MANAGER, uuid)
        path = os.path.join(self._directory, f"ifcfg-{interface}")
        if self._wanted in (AUTO, IFCFG) and os.path.isfile(path):
            return Place(interface, IFCFG, path)
        if self._wanted == NETWORK_MANAGER:
            raise InvalidInput("persistence", self._wanted, f"{interface} has no active connection of NetworkManager")
        if self._wanted == IFCFG:
            raise InvalidInput("persistence", self._wanted, f"there is no {path}")
        return Place(interface, NONE, "")

    def properties(self, uuid: str) -> Optional[dict[str, str]]:
        """Return what is set of a connection, None if it is gone."""
        if self._nmcli is None:
            return None
        fields = "802-3-ethernet,ethtool"
        code, output, _errors = self._call("-t", "-f", fields, "connection", "show", "uuid", uuid)
        return nic_files.parse_properties(output) if not code else None

    def plan(
        self, place: Place, settings: Mapping[str, str], record: NicRecord
    ) -> tuple[Optional[ConnectionChange], Optional[FileChange], NicRecord]:
        """Return what to change where settings are kept, and what is to be written down of it."""
        if place.kind == NETWORK_MANAGER:
            return self._plan_connection(place, settings, record)
        if place.kind == IFCFG:
            facts = files.facts(place.name) or FileFacts("")
            text = nic_files.change_ifcfg(facts.text, place.interface, settings)
            known = record.files.get(place.name)
            if text == facts.text:
                return None, None, NicRecord(files={place.name: known} if known else {})
            base = known or FileRecord(facts.text, facts.mode, facts.uid, facts.gid)
            change = FileChange(place.name, facts, FileFacts(text, facts.mode, facts.uid, facts.gid))
            return None, change, NicRecord(files={place.name: base.with_text(text)})
        return None, None, NicRecord()

    def plan_return(self, record: NicRecord) -> tuple[list[ConnectionChange], list[FileChange], list[str]]:
        """Return how to put everything back, and which connections or files are gone."""
        connections, changes, gone = [], [], []
        for uuid, kept in record.connections.items():
            now = self.properties(uuid)
            if now is None:
                gone.append(f"the connection {uuid} of {kept.interface}")
                continue
            after = {name: value for name, value in kept.properties.items() if now.get(name) != value}
            others = {name for name in now if name.startswith("ethtool.")} - set(kept.properties)
            drop = not kept.had_ethtool and not others
            if after:
                before = {name: now.get(name) for name in after}
                connections.append(ConnectionChange(uuid, kept.interface, before, after, drop))
        for path, known in record.files.items():
            facts = files.facts(path)
            if facts is None:
                gone.append(path)
                continue
            text = known.text or ""
            if digest(facts.text) not in known.ours and facts.text != text:
                text = nic_files.put_back_ifcfg(facts.text, text)
            after_facts = FileFacts(text, known.mode, known.uid, known.gid)
            if after_facts != facts:
                changes.append(FileChange(path, facts, after_facts))
        return connections, changes, gone

    def change_connection(self, change: ConnectionChange) -> None:
        """Set properties and read them back. Raises OcpvError if NetworkManager refuses."""
        words = [
            word
            for name, value in change.after.items()
            for word in (name, value if value is not None else nic_files.UNSET.get(name, ""))
        ]
        code, output, errors = self._call("connection", "modify", "uuid", change.uuid, *words)
        if not code and change.drop_ethtool:
            code, output, errors = self._call("connection", "modify", "uuid", change.uuid, "remove", "ethtool")
        now = self.properties(change.uuid) or {}
        wrong = {name for name, value in change.after.items() if now.get(name) != value}
        if code or wrong:
            said = errors.strip() or output.strip() or f"it keeps {', '.join(sorted(wrong))} as before"
            raise OcpvError(
                f"The connection of {change.interface} ({change.uuid}) could not be changed: {said}.",
                hint="See `journalctl -u NetworkManager`.",
            )

    def _plan_connection(
        self, place: Place, settings: Mapping[str, str], record: NicRecord
    ) -> tuple[Optional[ConnectionChange], None, NicRecord]:
        now, aims = self.properties(place.name) or {}, nic_files.properties(settings)
        known = record.connections.get(place.name)
        after: dict[str, Optional[str]] = {name: value for name, value in aims.items() if now.get(name) != value}
        before = {**{name: now.get(name) for name in aims}, **(known.properties if known else {})}
        had = known.had_ethtool if known else any(name.startswith("ethtool.") for name in now)
        kept = NicRecord(connections={place.name: ConnectionRecord(place.interface, before, had)})
        if not after:
            return None, None, kept if known else NicRecord()
        change = ConnectionChange(place.name, place.interface, {name: now.get(name) for name in after}, after)
        return change, None, kept

    def _uuid(self, interface: str) -> str:
        if self._nmcli is None:
            return ""
        if self._runs is None:
            self._runs = self._call("-g", "RUNNING", "general")[1].strip() == "running"
        if not self._runs:
            return ""
        code, output, _errors = self._call("-g", "GENERAL.CON-UUID", "device", "show", interface)
        return output.strip() if not code else ""

    def _call(self, *arguments: str) -> tuple[int, str, str]:
        code, output, errors = self._module.run_command([self._nmcli, *arguments], environ_update={"LC_ALL": "C"})
        return code, output, errors
