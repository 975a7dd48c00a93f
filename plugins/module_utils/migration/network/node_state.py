# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The network of a node as its NodeNetworkState shows it."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Iterator, Mapping, Optional

_EVERYWHERE = ("0.0.0.0/0", "::/0")
OVS_BRIDGE = "ovs-bridge"


@dataclass(frozen=True)
class Interface:
    """One interface. C(mtu) and C(max_mtu) are bytes, 0 if not told; C(controller) is the bridge or bond that has it as
    a port, C(base) the interface below a VLAN; C(addresses) are "address/prefix length" without link-local ones."""

    name: str
    kind: str
    state: str = "up"
    mtu: int = 0
    max_mtu: int = 0
    controller: str = ""
    base: str = ""
    vlan_id: int = 0
    ports: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()


@dataclass(frozen=True)
class NodeNetwork:
    """All interfaces of a node, those that its default routes lead through, and OVN's bridge mappings (localnet to
    bridge)."""

    node: str
    interfaces: tuple[Interface, ...] = ()
    default: frozenset[str] = frozenset()
    mappings: Mapping[str, str] = field(default_factory=dict)

    def find(self, name: str, kind: str = "") -> Optional[Interface]:
        """Return an interface by name; an OVS bridge, which shares its name with its inner port, only if asked for or
        if there is nothing else."""
        found = [item for item in self.interfaces if item.name == name and (not kind or item.kind == kind)]
        return min(found, key=lambda item: item.kind == OVS_BRIDGE) if found else None

    @cached_property
    def carrying_default(self) -> frozenset[str]:
        """Names of all interfaces that traffic of the default route passes: bridge, bond, VLAN, and their cards."""
        seen: set[str] = set()
        waiting = list(self.default)
        while waiting:
            name = waiting.pop()
            if name in seen:
                continue
            seen.add(name)
            for item in self.interfaces:
                if item.name == name:
                    waiting += [*item.ports, *([item.base] if item.base else [])]
                    # an inner port of an OVS bridge: the bridge's other ports are the way out
                    waiting += [item.controller] if item.kind == "ovs-interface" and item.controller else []
        return frozenset(seen)


def parse_node_network(item: Mapping[str, Any]) -> NodeNetwork:
    """Return what a NodeNetworkState says; empty if nmstate has not written it yet."""
    state = (item.get("status") or {}).get("currentState") or {}
    routes = (state.get("routes") or {}).get("running") or ()
    mappings = (state.get("ovn") or {}).get("bridge-mappings") or ()
    return NodeNetwork(
        node=item["metadata"]["name"],
        interfaces=tuple(map(_interface, state.get("interfaces") or ())),
        default=frozenset(
            route["next-hop-interface"]
            for route in routes
            if route.get("destination") in _EVERYWHERE and route.get("next-hop-interface")
        ),
        mappings={entry["localnet"]: entry.get("bridge", "") for entry in mappings if entry.get("localnet")},
    )


def ports_of(item: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the ports of a bond or bridge in nmstate's words, those of a bond inside of an OVS bridge too."""
    return tuple(_ports(item))


def _ports(item: Mapping[str, Any]) -> Iterator[str]:
    bond = item.get("link-aggregation") or {}
    yield from bond.get("port") or bond.get("ports") or ()
    bridge = item.get("bridge") or {}
    for port in bridge.get("port") or bridge.get("ports") or ():
        yield port.get("name", "")
        inner = port.get("link-aggregation") or {}
        for name in inner.get("port") or inner.get("ports") or ():
            yield name.get("name", "") if isinstance(name, Mapping) else name


def _interface(item: Mapping[str, Any]) -> Interface:
    vlan = item.get("vlan") or {}
    addresses = [
        f"{address['ip']}/{address['prefix-length']}"
        for family in ("ipv4", "ipv6")
        for address in (item.get(family) or {}).get("address") or ()
        if not str(address.get("ip", "")).startswith("fe80:")
    ]
    return Interface(
        name=item["name"],
        kind=item.get("type", ""),
        state=item.get("state", ""),
        mtu=int(item.get("mtu") or 0),
        max_mtu=int(item.get("max-mtu") or 0),
        controller=item.get("controller") or "",
        base=vlan.get("base-iface") or "",
        vlan_id=int(vlan.get("id") or 0),
        ports=ports_of(item),
        addresses=tuple(addresses),
    )
