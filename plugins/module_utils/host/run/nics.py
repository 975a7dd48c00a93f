# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What host_network_tune does: read the interfaces, check what is wanted, write it, read it back."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Any, Mapping, Optional, Sequence

from ...errors import InvalidInput, OcpvError
from .. import links
from ..nic import MTU, Change, Nic, NicWanted, current, live_changes, resolve, snapshot, to_dict
from ..nic_record import NicRecord, from_text, remembered
from ..sysctl_plan import FileChange, FileFacts
from . import files, network
from .devices import Devices
from .persistence import NONE, ConnectionChange, Persistence, Place

# one offload may need another one, and an MTU that of the interface below
_MOST_PASSES = 4


@dataclass
class _Plan:
    live: list[Change] = field(default_factory=list)
    connections: list[ConnectionChange] = field(default_factory=list)
    files: list[FileChange] = field(default_factory=list)
    record: NicRecord = field(default_factory=NicRecord)
    gone: list[str] = field(default_factory=list)
    places: list[Place] = field(default_factory=list)

    @property
    def changes(self) -> bool:
        return bool(self.live or self.connections or self.files)


def tune(module: Any) -> Mapping[str, Any]:
    """Return the module's result; C(module) has the options of host_network_tune.

    Raises InvalidInput, before anything is changed, for whatever cannot be set.
    """
    options = module.params
    devices = Devices(module)
    persistence = Persistence(module, options["persistence"], options["ifcfg_directory"])
    differences = _differences(options["bond"])
    with files.only_one(options["state_file"], make=not module.check_mode and _writes(options)):
        record = _record(options["state_file"])
        if options["state"] == "absent":
            nics = devices.read([name for name in record.before if os.path.isdir(os.path.join(network.NET, name))])
            planned = _plan_return(nics, persistence, record)
        else:
            wanted = [NicWanted(**item) for item in options["interfaces"]]
            nics, planned = _plan(wanted, devices, persistence, record)
        drift = _drift(nics, record)
        if not module.check_mode and (planned.changes or planned.record != record):
            _Run(devices, persistence, options["state_file"]).carry_out(planned, record, options["state"])
            nics = devices.read([name for name in nics if nics[name].features or nics[name].rings])
    return _result(module, nics, planned, drift, differences)


def _writes(options: Mapping[str, Any]) -> bool:
    return options["state"] == "absent" or any(len(_given(item)) > 1 for item in options["interfaces"])


def _given(item: Mapping[str, Any]) -> Mapping[str, Any]:
    return {name: value for name, value in item.items() if value not in (None, {})}


def _plan(
    wanted: Sequence[NicWanted], devices: Devices, persistence: Persistence, record: NicRecord
) -> tuple[dict[str, Nic], _Plan]:
    names = [item.name for item in wanted]
    for name in names:
        if names.count(name) > 1:
            raise InvalidInput("interfaces", name, "an interface can be given once")
    need = any(item.rx_ring or item.tx_ring or item.offloads for item in wanted)
    known = [name for name in record.wanted if os.path.isdir(os.path.join(network.NET, name))]
    nics = devices.read(list(dict.fromkeys(names + known)), need_ethtool=need)
    aims = {item.name: resolve(item, nics[item.name]) for item in wanted}
    _check_mtus(aims, nics, devices)
    planned = _Plan(live=live_changes(aims, nics))
    before = {name: snapshot(nics[name], list(settings)) for name, settings in aims.items() if settings}
    for name in devices.around([name for name, settings in aims.items() if MTU in settings]):
        if name in nics:
            before[name] = {**before.get(name, {}), MTU: current(nics[name], MTU)}
    connections, kept_files = dict(record.connections), dict(record.files)
    for name, settings in aims.items():
        place = persistence.place(name)
        planned.places.append(place)
        if settings:
            connection, file, kept = persistence.plan(place, settings, record)
            planned.connections += [connection] if connection else []
            planned.files += [file] if file else []
            connections.update(kept.connections)
            kept_files.update(kept.files)
    planned.record = NicRecord(
        before=remembered(record.before, before),
        wanted=remembered({name: dict(item) for name, item in aims.items() if item}, record.wanted),
        connections=connections,
        files=kept_files,
    )
    return nics, planned


def _check_mtus(aims: Mapping[str, Mapping[str, str]], nics: Mapping[str, Nic], devices: Devices) -> None:
    """Refuse an MTU that is larger than that of an interface below, as it will be."""
    for name, settings in aims.items():
        for lower in devices.below(name) if MTU in settings else ():
            least = int(aims.get(lower, {}).get(MTU, nics[lower].mtu if lower in nics else 0))
            if least and int(settings[MTU]) > least:
                allowed = f"{lower}, which lies below, has {least}; give it at least the same"
                raise InvalidInput(f"interfaces: {name}: mtu", int(settings[MTU]), allowed)


def _plan_return(nics: Mapping[str, Nic], persistence: Persistence, record: NicRecord) -> _Plan:
    connections, changes, gone = persistence.plan_return(record)
    gone += [name for name in record.before if name not in nics]
    return _Plan(live=live_changes(record.before, nics), connections=connections, files=changes, gone=gone)


class _Run:
    """Carrying out a plan."""

    def __init__(self, devices: Devices, persistence: Persistence, state_file: str) -> None:
        self._devices, self._persistence, self._state_file = devices, persistence, state_file
        self._connections: list[ConnectionChange] = []
        self._files: list[FileChange] = []

    def carry_out(self, planned: _Plan, old: NicRecord, state: str) -> None:
        """Write down what was there before, then change; undo all if a part fails."""
        during = old if planned.record.empty else planned.record
        self._keep(old, during)
        aims = {change.interface: during.before[change.interface] for change in planned.live}
        try:
            if state == "absent":
                self._settle(aims)
            else:
                self._change(planned.live)
            for connection in planned.connections:
                self._connections.append(connection)
                self._persistence.change_connection(connection)
            for file in planned.files:
                self._files.append(file)
                self._write(file.path, file.after)
        except OcpvError as error:
            if state == "absent":
                raise
            self._undo(planned.live)
            self._keep(during, old)
            hint = f"{error.hint} All changes of this run were taken back.".strip()
            raise OcpvError(error.message, hint=hint, details=error.details) from error
        self._keep(during, planned.record)

    def _change(self, changes: Sequence[Change]) -> None:
        for change in changes:
            problem = self._devices.change(change)
            if problem:
                raise OcpvError(
                    f"{change.setting} of {change.interface} could not be set to {change.after}: {problem}.",
                    details={"interface": change.interface, "setting": change.setting, "value": change.after},
                )

    def _settle(self, aims: Mapping[str, Mapping[str, str]]) -> None:
        """Set what differs until nothing does. Raises OcpvError if something cannot be put back."""
        problems: dict[str, str] = {}
        for _number in range(_MOST_PASSES):
            left = live_changes(aims, self._devices.read(list(aims)))
            if not left:
                return
            problems = {f"{item.setting} of {item.interface}": self._devices.change(item) for item in left}
        told = "; ".join(f"{what}: {why}" for what, why in problems.items() if why)
        if told:
            raise OcpvError(
                f"Not all settings could be put back: {told}.", hint="What was before is still written down."
            )

    def _undo(self, changes: Sequence[Change]) -> None:
        aims: dict[str, dict[str, str]] = {}
        for change in changes:
            aims.setdefault(change.interface, {})[change.setting] = change.before
        self._settle(aims)
        for connection in self._connections:
            self._persistence.change_connection(
                ConnectionChange(connection.uuid, connection.interface, connection.after, connection.before)
            )
        for file in self._files:
            self._write(file.path, file.before)

    def _write(self, path: str, facts: Optional[FileFacts]) -> None:
        if facts is not None and files.facts(path) != facts:
            files.write(path, facts)

    def _keep(self, now: NicRecord, wanted: NicRecord) -> None:
        if wanted == now:
            return
        if wanted.empty:
            files.remove(self._state_file)
        else:
            facts = FileFacts(wanted.to_text(), 0o600, os.geteuid(), os.getegid())
            files.write(self._state_file, facts)


def _record(path: str) -> NicRecord:
    text = files.read(path)
    if text is None:
        return NicRecord()
    try:
        return from_text(text)
    except ValueError as error:
        raise InvalidInput(
            "state_file",
            path,
            f"it is not a file that this module wrote ({error})",
            hint="Restore it from a backup, or move it away to begin anew with what the host has now.",
        ) from error


def _drift(nics: Mapping[str, Nic], record: NicRecord) -> list[dict[str, str]]:
    found = []
    for name, settings in record.wanted.items():
        for setting, value in settings.items():
            now = current(nics[name], setting) if name in nics else ""
            if now != value:
                found.append({"interface": name, "setting": setting, "expected": value, "found": now})
    return found


def _differences(bond: Optional[Mapping[str, Any]]) -> list[str]:
    if not bond:
        return []
    link = network.link(bond["interface"], "bond.interface")
    return links.differences(link, bond["mode"], bond["ports"], bond["port_speed_mbps"])


def _result(
    module: Any, nics: Mapping[str, Nic], planned: _Plan, drift: list[dict[str, str]], differences: list[str]
) -> Mapping[str, Any]:
    places = {place.interface: place.kind for place in planned.places}
    changed = {change.interface for change in planned.live}
    for place in planned.places:
        if place.kind == NONE and place.interface in changed and module.params["persistence"] != NONE:
            module.warn(
                f"The settings of {place.interface} will not outlast a reboot: neither NetworkManager nor an ifcfg "
                "file looks after it."
            )
    for text in differences:
        module.warn(f"The bond is not as expected: {text}.")
    for what in planned.gone:
        module.warn(f"{what} cannot be put back: it is no longer there.")
    shown = [name for name in nics if name in places] or sorted(changed)
    result: dict[str, Any] = {
        "changed": planned.changes,
        "interfaces": [
            {
                **links.to_dict(network.link(name, "interfaces")),
                **to_dict(nics[name]),
                "persistence": places.get(name, NONE),
            }
            for name in shown
        ],
        "changes": [
            {
                "interface": item.interface,
                "setting": item.setting,
                "before": item.before,
                "after": item.after,
                "where": "runtime",
            }
            for item in planned.live
        ]
        + [
            {
                "interface": item.interface,
                "setting": name,
                "before": item.before[name] or "",
                "after": value or "",
                "where": f"connection {item.uuid}",
            }
            for item in planned.connections
            for name, value in item.after.items()
        ],
        "files": [item.path for item in planned.files],
        "drift": drift,
        "differences": differences,
    }
    if module._diff:
        result["diff"] = _diff(planned)
    return result


def _diff(planned: _Plan) -> list[dict[str, str]]:
    found = []
    if planned.live:
        before = "".join(f"{item.interface}: {item.setting} = {item.before}\n" for item in planned.live)
        after = "".join(f"{item.interface}: {item.setting} = {item.after}\n" for item in planned.live)
        found.append({"before_header": "interfaces", "after_header": "interfaces", "before": before, "after": after})
    for item in planned.connections:
        header = f"connection {item.uuid} of {item.interface}"
        texts = ["".join(f"{name} = {side[name] or ''}\n" for name in item.after) for side in (item.before, item.after)]
        found.append({"before_header": header, "after_header": header, "before": texts[0], "after": texts[1]})
    for file in planned.files:
        texts = [facts.text if facts else "" for facts in (file.before, file.after)]
        found.append({"before_header": file.path, "after_header": file.path, "before": texts[0], "after": texts[1]})
    return found
