# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which of Ceph's daemons a host runs, and whether they are up and in.

Sources: the answers of C(ceph node ls), C(osd tree), C(status) and C(mgr dump) of Ceph 16.2.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Mapping, Sequence

from ..errors import InvalidInput


@dataclass(frozen=True)
class Daemon:
    """A daemon by its name, such as C(osd.3). C(problem) is empty if it does its work."""

    name: str
    problem: str = ""


def daemons_of(
    host: str,
    nodes: Mapping[str, Mapping[str, Sequence[Any]]],
    tree: Mapping[str, Any],
    status: Mapping[str, Any],
    managers: Mapping[str, Any],
) -> list[Daemon]:
    """Return the monitors, managers and OSDs of a host, each with its problem.

    The arguments are the answers of C(node ls), C(osd tree), C(status) and C(mgr dump). Other daemons depend on these
    and are not looked at. Raises InvalidInput if Ceph does not know the host.
    """
    names = {name for of_kind in nodes.values() for name in of_kind}
    name = host if host in names else host.partition(".")[0]
    if name not in names:
        there = ", ".join(sorted(names)) or "none"
        hint = "Give the name that `hostname` prints on the host."
        raise InvalidInput("host", host, f"Ceph knows of no daemon there; its hosts are: {there}", hint=hint)
    osds = {entry["id"]: entry for entry in [*tree.get("nodes", ()), *tree.get("stray", ())] if entry["type"] == "osd"}
    quorum = set(status.get("quorum_names", ()))
    serving = {managers.get("active_name"), *(item.get("name") for item in managers.get("standbys", ()))}
    found = []
    for monitor in nodes.get("mon", {}).get(name, ()):
        found.append(Daemon(f"mon.{monitor}", "" if monitor in quorum else "not in quorum"))
    for manager in nodes.get("mgr", {}).get(name, ()):
        found.append(Daemon(f"mgr.{manager}", "" if manager in serving else "neither active nor standby"))
    for number in nodes.get("osd", {}).get(name, ()):
        found.append(Daemon(f"osd.{number}", _osd_problem(osds.get(number))))
    return found


def _osd_problem(entry: Any) -> str:
    if entry is None:
        return "not in the CRUSH tree"
    problems = [] if entry["status"] == "up" else [entry["status"]]
    if not entry["reweight"]:
        problems.append("out")
    return " and ".join(problems)
