# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Address ranges: what a network attachment hands out, how many addresses that are, and which ranges overlap."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import Any, Iterable, Iterator, Mapping, Optional, Union

Network = Union[ipaddress.IPv4Network, ipaddress.IPv6Network]
Address = Union[ipaddress.IPv4Address, ipaddress.IPv6Address]

OVN_PLUGIN = "ovn-k8s-cni-overlay"
# what OVN-Kubernetes uses inside of every node and between them, unless told otherwise:
# go-controller/pkg/config/config.go (join switch, transit switch, masquerade)
OVN_INTERNAL = ("100.64.0.0/16", "100.88.0.0/16", "169.254.0.0/17", "fd98::/64", "fd97::/64", "fd69::/112")


@dataclass(frozen=True)
class Pool:
    """The addresses that are handed out of C(network): from C(first) to C(last), without C(excluded)."""

    network: Network
    first: int
    last: int
    excluded: tuple[Network, ...] = ()

    @property
    def size(self) -> int:
        """How many addresses can be handed out."""
        taken, end = 0, self.first - 1
        for low, high in sorted((_low(item), _high(item)) for item in self.excluded):
            low, high = max(low, end + 1, self.first), min(high, self.last)
            if low <= high:
                taken += high - low + 1
                end = high
        return max(0, self.last - self.first + 1 - taken)

    def __contains__(self, address: Address) -> bool:
        """Tell whether an address may be handed out."""
        if address.version != self.network.version or not self.first <= int(address) <= self.last:
            return False
        return not any(_low(item) <= int(address) <= _high(item) for item in self.excluded)


def pool_of(network: Network, start: Optional[Address], end: Optional[Address], excluded: Iterable[Network]) -> Pool:
    """Return the pool of a whereabouts range: without ends all but the network's first and last address.

    These two are never handed out, even if they are named as ends. Source: whereabouts pkg/iphelpers (GetIPRange).
    """
    low, high = _low(network), _high(network)
    first = max(int(start) if start is not None else low, low + 1)
    last = min(int(end) if end is not None else high, high - 1)
    return Pool(network, first, last, tuple(item for item in excluded if item.version == network.version))


def overlap(one: Network, other: Network) -> bool:
    """Tell whether two networks have an address in common; never of different versions."""
    return one.version == other.version and _low(one) <= _high(other) and _low(other) <= _high(one)


def parse_network(text: Any) -> Optional[Network]:
    """Return the network of a CIDR, even one with host bits; None for anything else."""
    try:
        return ipaddress.ip_network(str(text).strip(), strict=False) if isinstance(text, str) and "/" in text else None
    except ValueError:
        return None


def parse_address(text: Any) -> Optional[Address]:
    """Return an address, also of "address/length"; None for anything else."""
    try:
        return ipaddress.ip_address(str(text).partition("/")[0].strip())
    except ValueError:
        return None


def usable_by_virt_handler(address: Address) -> bool:
    """Tell whether virt-handler takes an address for migrations: it ends itself over any that is not global unicast in
    Go's sense, which private ones are. Source: KubeVirt pkg/virt-handler/migration.go (FindMigrationIP)."""
    return not (address.is_multicast or address.is_loopback or address.is_link_local or address.is_unspecified)


def ranges_of(config: Mapping[str, Any]) -> Iterator[Network]:
    """Yield the ranges that a CNI configuration, or one of its plugins, hands out in a real network.

    Overlays of OVN-Kubernetes are left out, since their addresses are never seen outside.
    """
    plugins = config.get("plugins")
    for plugin in plugins if isinstance(plugins, list) else [config]:
        if not isinstance(plugin, Mapping):
            continue
        if plugin.get("type") == OVN_PLUGIN:
            texts = str(plugin.get("subnets") or "").split(",") if plugin.get("topology") == "localnet" else []
        else:
            texts = list(_ipam_ranges(plugin.get("ipam")))
        for text in texts:
            network = parse_network(text)
            if network is not None:
                yield network


def _ipam_ranges(ipam: Any) -> Iterator[str]:
    """whereabouts: range ("first-last/length" too) and ipRanges; host-local: subnet and ranges."""
    if not isinstance(ipam, Mapping):
        return
    for key in ("range", "subnet"):
        if ipam.get(key):
            yield str(ipam[key]).rpartition("-")[2]
    for item in ipam.get("ipRanges") or ():
        if isinstance(item, Mapping) and item.get("range"):
            yield str(item["range"]).rpartition("-")[2]
    for group in ipam.get("ranges") or ():
        for item in group if isinstance(group, list) else ():
            if isinstance(item, Mapping) and item.get("subnet"):
                yield str(item["subnet"])


def _low(network: Network) -> int:
    return int(network.network_address)


def _high(network: Network) -> int:
    return int(network.broadcast_address)
