# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Settings of network interfaces: MTU, ring buffers, offloads. What ethtool tells, and what is to be changed.

Sources: large-scale reference architecture, "Adapter tuning"; ethtool(8) 6.1, ip-link(8).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Mapping, Optional, Sequence, Union

from ..errors import InvalidInput

MTU = "mtu"
RX_RING = "rx_ring"
TX_RING = "tx_ring"
OFFLOAD = "offload "
MAXIMUM = "max"
# short names that ethtool -K and NetworkManager take, beside the names that ethtool -k prints
SHORT_NAMES: Mapping[str, str] = {
    "rx-checksumming": "rx",
    "tx-checksumming": "tx",
    "scatter-gather": "sg",
    "tcp-segmentation-offload": "tso",
    "generic-segmentation-offload": "gso",
    "generic-receive-offload": "gro",
    "large-receive-offload": "lro",
    "rx-vlan-offload": "rxvlan",
    "tx-vlan-offload": "txvlan",
    "ntuple-filters": "ntuple",
    "receive-hashing": "rxhash",
}
_LONG_NAMES = {short: long for long, short in SHORT_NAMES.items()}
_SWITCH = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}
_FEATURE = re.compile(r"^(\t?)([A-Za-z0-9_.-]+): (on|off)( \[(?:fixed|requested (?:on|off))\])?$")


@dataclass(frozen=True)
class Rings:
    """Ring buffers in descriptors, and the most the device has."""

    rx: int
    rx_max: int
    tx: int
    tx_max: int


@dataclass(frozen=True)
class Feature:
    """An offload: whether it is on, and whether that cannot be changed."""

    active: bool
    fixed: bool


@dataclass(frozen=True)
class Nic:
    """An interface as found. C(rings) is None where the driver has none; C(features) are by the names that ethtool -k
    prints; C(depth) is how many interfaces lie below it."""

    name: str
    mtu: int
    mtu_min: int
    mtu_max: int
    rings: Optional[Rings] = None
    features: Mapping[str, Feature] = field(default_factory=dict)
    depth: int = 0


@dataclass(frozen=True)
class NicWanted:
    """An interface as it should be; None for what stays as it is. Rings are a number or C(max)."""

    name: str
    mtu: Optional[int] = None
    rx_ring: Union[int, str, None] = None
    tx_ring: Union[int, str, None] = None
    offloads: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Change:
    """One setting of an interface; values are as texts, C(on) and C(off) for offloads."""

    interface: str
    setting: str
    before: str
    after: str


def parse_rings(text: str) -> Optional[Rings]:
    """Return what C(ethtool -g) prints, None if the device has no rings that can be set."""
    most, _heading, now = text.partition("Current hardware settings:")
    found = [_number(part, name) for part in (now, most) for name in ("RX", "TX")]
    rx, tx, rx_max, tx_max = found
    if rx is None or tx is None or rx_max is None or tx_max is None:
        return None
    return Rings(rx, rx_max, tx, tx_max)


def parse_features(text: str) -> dict[str, Feature]:
    """Return what C(ethtool -k) prints, by name."""
    found = {}
    for line in text.splitlines():
        match = _FEATURE.match(line)
        if match:
            found[match.group(2)] = Feature(match.group(3) == "on", match.group(4) == " [fixed]")
    return found


def feature_name(name: str) -> str:
    """Return the name that ethtool -k prints for an offload given by that or by its short name."""
    return _LONG_NAMES.get(name, name)


def short_name(feature: str) -> str:
    """Return the name that ethtool -K and NetworkManager take."""
    return SHORT_NAMES.get(feature, feature)


def resolve(wanted: NicWanted, nic: Nic) -> dict[str, str]:
    """Return the settings that are wanted, by name, as texts.

    Raises InvalidInput for what the interface does not have or cannot be set to.
    """
    option = f"interfaces: {nic.name}"
    found: dict[str, str] = {}
    if wanted.mtu is not None:
        most = nic.mtu_max or 65535
        if not nic.mtu_min <= wanted.mtu <= most:
            raise InvalidInput(f"{option}: mtu", wanted.mtu, f"the interface takes {nic.mtu_min} to {most} bytes")
        found[MTU] = str(wanted.mtu)
    for setting, value in ((RX_RING, wanted.rx_ring), (TX_RING, wanted.tx_ring)):
        if value is None:
            continue
        if nic.rings is None:
            raise InvalidInput(f"{option}: {setting}", value, "its driver has no ring buffers that can be set")
        most = nic.rings.rx_max if setting == RX_RING else nic.rings.tx_max
        found[setting] = str(_ring(f"{option}: {setting}", value, most))
    for name, value in wanted.offloads.items():
        on = _SWITCH.get(str(value).lower())
        if on is None:
            raise InvalidInput(f"{option}: offloads: {name}", value, "true or false is needed")
        feature = feature_name(name)
        there = nic.features.get(feature)
        if there is None:
            known = ", ".join(sorted(name for name, item in nic.features.items() if not item.fixed)) or "none"
            raise InvalidInput(f"{option}: offloads", name, f"what can be switched is: {known}")
        if there.fixed and there.active != on:
            state = "on" if there.active else "off"
            raise InvalidInput(f"{option}: offloads", name, f"the driver keeps it {state}")
        found[OFFLOAD + feature] = "on" if on else "off"
    return found


def current(nic: Nic, setting: str) -> str:
    """Return the value of a setting, empty if the interface does not have it."""
    if setting == MTU:
        return str(nic.mtu)
    if setting in (RX_RING, TX_RING):
        if nic.rings is None:
            return ""
        return str(nic.rings.rx if setting == RX_RING else nic.rings.tx)
    feature = nic.features.get(setting[len(OFFLOAD) :])
    return "" if feature is None else "on" if feature.active else "off"


def live_changes(aims: Mapping[str, Mapping[str, str]], nics: Mapping[str, Nic]) -> list[Change]:
    """Return what has to be set, by interface and setting as in C(aims).

    An MTU grows from the lowest interface upwards and shrinks downwards, since none may be larger than what lies below.
    """
    found = [
        Change(name, setting, current(nics[name], setting), value)
        for name, settings in aims.items()
        for setting, value in settings.items()
        if name in nics and current(nics[name], setting) not in ("", value)
    ]

    def order(change: Change) -> tuple[int, int]:
        if change.setting != MTU:
            return (1, 0)
        depth = nics[change.interface].depth
        return (0, -depth) if int(change.after) < int(change.before) else (2, depth)

    return sorted(found, key=order)


def snapshot(nic: Nic, settings: Sequence[str]) -> dict[str, str]:
    """Return the values to go back to before some settings are changed.

    One offload may switch others, so all that can change are kept as soon as one is asked for.
    """
    kept = {setting: current(nic, setting) for setting in settings}
    if any(setting.startswith(OFFLOAD) for setting in settings):
        for name, feature in nic.features.items():
            if not feature.fixed:
                kept[OFFLOAD + name] = current(nic, OFFLOAD + name)
    return {setting: value for setting, value in kept.items() if value}


def to_dict(nic: Nic) -> dict[str, Any]:
    """Return JSON types only."""
    rings = nic.rings
    return {
        "rings": None
        if rings is None
        else {"rx": rings.rx, "rx_max": rings.rx_max, "tx": rings.tx, "tx_max": rings.tx_max},
        "offloads": {
            name: {"active": feature.active, "fixed": feature.fixed} for name, feature in nic.features.items()
        },
    }


def _ring(option: str, value: Union[int, str], most: int) -> int:
    if value == MAXIMUM:
        return most
    text = str(value)
    if not text.isdigit() or not 1 <= int(text) <= most:
        raise InvalidInput(option, value, f"a number from 1 to {most}, or {MAXIMUM}, is needed")
    return int(text)


def _number(text: str, name: str) -> Optional[int]:
    match = re.search(rf"^{name}:\s+([0-9]+)\s*$", text, re.MULTILINE)
    return int(match.group(1)) if match else None
