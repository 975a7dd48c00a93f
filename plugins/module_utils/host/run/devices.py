# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Interfaces of a host, by ip and ethtool."""

from __future__ import annotations

import json
import os
from typing import Any, Mapping, Sequence

from ...errors import InvalidInput, OcpvError
from ..nic import MTU, OFFLOAD, RX_RING, Change, Nic, current, parse_features, parse_rings, short_name
from .network import NET

_DEEPEST = 8
_NO_TOOL = "Install it, or leave rings and offloads as they are."


class Devices:
    """The interfaces of the host on which the module runs."""

    def __init__(self, module: Any) -> None:
        self._module = module
        self._ip = module.get_bin_path("ip")
        self._ethtool = module.get_bin_path("ethtool")
        if self._ip is None:
            raise OcpvError("There is no ip on this host.", hint="Install iproute (on Debian: iproute2).")

    def read(self, names: Sequence[str], *, need_ethtool: bool = False) -> dict[str, Nic]:
        """Return all interfaces by name, those in C(names) with rings and offloads as well.

        Raises InvalidInput if one of them is not there, OcpvError without ethtool where it is needed.
        """
        if need_ethtool and self._ethtool is None:
            raise OcpvError("There is no ethtool on this host.", hint=_NO_TOOL)
        links = {link["ifname"]: link for link in json.loads(self._run([self._ip, "-d", "-j", "link", "show"]) or "[]")}
        for name in names:
            if name not in links:
                allowed = f"there is no such interface; there are: {', '.join(sorted(links))}"
                raise InvalidInput("interfaces", name, allowed)
        return {name: self._nic(name, link, name in names) for name, link in links.items()}

    def around(self, names: Sequence[str]) -> set[str]:
        """Return interfaces with all that lie below and above them, whose MTU may change with theirs."""
        found, waiting = set(), list(names)
        while waiting:
            name = waiting.pop()
            if name not in found:
                found.add(name)
                waiting += _neighbours(name, "lower_") + _neighbours(name, "upper_")
        return found

    def below(self, name: str) -> list[str]:
        """Return the interfaces on which one rests that carry its packets whole, such as that of a VLAN.

        A bond gives its ports its own MTU, so they are left out.
        """
        if os.path.isdir(os.path.join(NET, name, "bonding")):
            return []
        return _neighbours(name, "lower_")

    def change(self, wanted: Change) -> str:
        """Change one setting and read it back; return why it did not work, empty if it did."""
        name, setting, value = wanted.interface, wanted.setting, wanted.after
        if setting == MTU:
            command = [self._ip, "link", "set", "dev", name, "mtu", value]
        elif setting.startswith(OFFLOAD):
            command = [self._ethtool, "-K", name, short_name(setting[len(OFFLOAD) :]), value]
        else:
            command = [self._ethtool, "-G", name, "rx" if setting == RX_RING else "tx", value]
        code, output, errors = self._module.run_command(command, environ_update={"LC_ALL": "C"})
        kept = current(self.read([name])[name], setting)
        if kept == value:
            return ""
        said = (errors.strip() or output.strip()).splitlines()
        return said[-1] if code and said else f"the driver keeps {kept}"

    def _nic(self, name: str, link: Mapping[str, Any], whole: bool) -> Nic:
        rings, features = None, {}
        if whole and self._ethtool is not None:
            # a device without rings makes ethtool fail, which is an answer as well
            rings = parse_rings(self._run([self._ethtool, "-g", name], check=False))
            features = parse_features(self._run([self._ethtool, "-k", name], check=False))
        return Nic(
            name=name,
            mtu=int(link["mtu"]),
            mtu_min=max(int(link.get("min_mtu") or 0), 68),
            mtu_max=int(link.get("max_mtu") or 0),
            rings=rings,
            features=features,
            depth=_depth(name),
        )

    def _run(self, command: Sequence[str], *, check: bool = True) -> str:
        code, output, errors = self._module.run_command(list(command), environ_update={"LC_ALL": "C"})
        if code and check:
            raise OcpvError(f"{' '.join(command)} failed: {errors.strip() or output.strip()}.")
        return str(output) if not code else ""


def _neighbours(name: str, prefix: str) -> list[str]:
    folder = os.path.join(NET, name)
    return [entry[len(prefix) :] for entry in os.listdir(folder) if entry.startswith(prefix)]


def _depth(name: str) -> int:
    level, below = 0, [name]
    while level < _DEEPEST:
        there = [item for item in below if os.path.isdir(os.path.join(NET, item))]
        below = [lower for item in there for lower in _neighbours(item, "lower_")]
        if not below:
            break
        level += 1
    return level
