# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Network links of a host: their speed, and how a bond differs from the one that was asked for.

Sources: large-scale reference architecture, "RHCS cluster" and "Buffer size tuning" (a bond of 2 x 25 GbE counts
50000 Mb/s); Linux Documentation/networking/bonding.rst (the modes).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Mapping, Optional

from ..errors import InvalidInput

# traffic is spread over all ports that are up
SPREADING_MODES = ("balance-rr", "balance-xor", "802.3ad", "balance-tlb", "balance-alb")
ACTIVE_BACKUP = "active-backup"
BROADCAST = "broadcast"
BOND_MODES = (*SPREADING_MODES, ACTIVE_BACKUP, BROADCAST)


@dataclass(frozen=True)
class Port:
    """A port of a bond; no speed if the driver tells none."""

    name: str
    speed_mbps: Optional[int]
    up: bool


@dataclass(frozen=True)
class Bond:
    """A bond: its mode by name, the active port where the mode has one, and its ports."""

    mode: str
    active_port: str
    ports: tuple[Port, ...]


@dataclass(frozen=True)
class Link:
    """An interface: its own speed if the driver tells one, its MTU, and the bond it is, or rests on, if any."""

    name: str
    speed_mbps: Optional[int]
    mtu: int
    bond: Optional[Bond] = None


def speed_of(link: Link) -> int:
    """Return the speed in Mb/s that counts for buffers: for a bond the sum of its ports that are up in the modes that
    spread traffic, the active port's for active-backup, the slowest's for broadcast.

    Raises InvalidInput if it is not known.
    """
    if link.bond is None:
        if link.speed_mbps is None:
            raise _unknown(link.name, "its driver tells no speed, or it is down")
        return link.speed_mbps
    usable = [port for port in link.bond.ports if port.up]
    if link.bond.mode == ACTIVE_BACKUP and link.bond.active_port:
        usable = [port for port in usable if port.name == link.bond.active_port]
    speeds = [port.speed_mbps for port in usable if port.speed_mbps]
    silent = [port.name for port in usable if not port.speed_mbps]
    if not speeds or silent:
        why = f"no speed is known of {', '.join(silent)}" if silent else "none of its ports is up"
        raise _unknown(link.name, why)
    if link.bond.mode in SPREADING_MODES:
        return sum(speeds)
    return min(speeds) if link.bond.mode == BROADCAST else max(speeds)


def differences(link: Link, mode: str, ports: int, port_speed_mbps: int) -> list[str]:
    """Return in words how an interface differs from the bond that was asked for; empty if it does not."""
    if link.bond is None:
        return [f"{link.name} is no bond; a {mode} bond of {ports} ports was expected"]
    found = []
    if link.bond.mode != mode:
        found.append(f"{link.name} has the mode {link.bond.mode}; {mode} was expected")
    if len(link.bond.ports) != ports:
        names = ", ".join(port.name for port in link.bond.ports) or "none"
        found.append(f"{link.name} has {len(link.bond.ports)} ports ({names}); {ports} were expected")
    for port in link.bond.ports:
        if not port.up:
            found.append(f"{port.name} of {link.name} is down")
        elif port.speed_mbps is None:
            found.append(f"{port.name} of {link.name} tells no speed; {port_speed_mbps} Mb/s was expected")
        elif port.speed_mbps != port_speed_mbps:
            found.append(f"{port.name} of {link.name} has {port.speed_mbps} Mb/s; {port_speed_mbps} was expected")
    return found


def to_dict(link: Link) -> dict[str, Any]:
    """Return JSON types only."""
    bond: Optional[Mapping[str, Any]] = None
    if link.bond is not None:
        ports = [{"name": port.name, "speed_mbps": port.speed_mbps, "up": port.up} for port in link.bond.ports]
        bond = {"mode": link.bond.mode, "active_port": link.bond.active_port, "ports": ports}
    return {"name": link.name, "speed_mbps": link.speed_mbps, "mtu": link.mtu, "bond": bond}


def _unknown(name: str, why: str) -> InvalidInput:
    return InvalidInput(
        "interface", name, f"its speed is not known: {why}", hint="Give the speed in Mb/s with link_mbps."
    )
