"""The network of a pod's sandbox: Multus and the plugins of its second interfaces, and what probes find out.

Source: multus-cni pkg/multus/multus.go; what is above the smallest MTU on the way is told by ping with C(-M do).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import Any

from .attachments import (
    NotAttached,
    address_for,
    configuration,
    mtu_on,
    path_mtu,
    pod_network_entry,
    segment,
    status_entry,
    wanted_networks,
)
from .caches import Caches
from .network_state import POD_MTU
from .pod import Pod
from .settings import Settings

Obj = dict[str, Any]
_HEADER_BYTES = {4: 28, 6: 48}


class Sandboxes:
    """Gives addresses to pods, of one cluster; what has been given out is remembered until the pod shows it."""

    def __init__(self, caches: Caches, settings: Settings) -> None:
        self._caches = caches
        self._settings = settings
        self._leases: dict[str, dict[str, str]] = {}  # uid -> address -> node

    def forget(self, uid: str) -> None:
        """The pod is gone, or its addresses are on record."""
        self._leases.pop(uid, None)

    def attach(self, pod: Pod, address: str) -> list[Obj]:
        """The annotation network-status of a pod with C(address) in the pod network; raises NotAttached, whose text
        begins with the network's name and a line break."""
        entries = [pod_network_entry(address)]
        state = self._caches.network_state(pod.node)
        leases: dict[str, str] = {}
        self._leases[pod.uid] = leases
        for wanted in wanted_networks(pod.plugged.networks if pod.plugged else "", pod.namespace):
            try:
                config = configuration(self._caches.attachment(wanted.namespace, wanted.name), wanted)
                mtu = mtu_on(config, state)
                taken, on_node = self._taken(pod)
                found = address_for(config, taken, on_node)
            except NotAttached as error:
                self.forget(pod.uid)
                raise NotAttached(f"{wanted.name}\n{error}") from error
            if found:
                leases[found] = pod.node
            entries.append(status_entry(wanted, pod.uid, found, mtu))
        return entries

    def _taken(self, pod: Pod) -> tuple[set[str], set[str]]:
        """Addresses that are given out, and those of them on the pod's node."""
        pairs = [
            (each.address, other.node)
            for other in self._caches.plugged_pods()
            if other.plugged is not None and other.uid != pod.uid
            for each in other.plugged.interfaces
        ]
        pairs += [item for leases in self._leases.values() for item in leases.items()]
        return {address for address, _ in pairs}, {address for address, node in pairs if node == pod.node}

    def probe(self, pod: Pod, peers: Iterable[str], payload_bytes: int) -> list[tuple[str, str]]:
        """Each peer with C(ok), C(too-long) or C(lost)."""
        return [(peer, self._reach(pod, peer, payload_bytes)) for peer in peers]

    def _reach(self, pod: Pod, peer: str, payload_bytes: int) -> str:
        try:
            version = ipaddress.ip_address(peer).version
        except ValueError:
            return "lost"
        here = self._way(pod, self._second_interface(pod))
        for other in self._caches.plugged_pods():
            if other.plugged is None or other.phase != "Running" or other.deleting:
                continue
            networks = [each.network for each in other.plugged.interfaces if each.address == peer]
            if not networks and other.plugged.address != peer:
                continue
            there = self._way(other, next((each for each in networks if "/" in each), ""))
            if here is None or there is None or here[0] != there[0]:
                return "lost"
            if self._settings.unreachable(other.node, peer) or self._settings.unreachable(pod.node, ""):
                return "lost"
            if not self._works(other):
                return "lost"
            return "ok" if payload_bytes + _HEADER_BYTES[version] <= min(here[1], there[1]) else "too-long"
        return "lost"

    def _works(self, pod: Pod) -> bool:
        return pod.ready or not (pod.plugged and pod.plugged.handler)

    @staticmethod
    def _second_interface(pod: Pod) -> str:
        interfaces = pod.plugged.interfaces if pod.plugged else ()
        return next((each.network for each in interfaces if "/" in each.network), "")

    def _way(self, pod: Pod, network: str) -> tuple[Any, int] | None:
        """Segment and MTU of a pod's way into a network ("": the pod network); None: there is none."""
        if not network:
            return ("pods",), POD_MTU
        namespace, _, name = network.partition("/")
        definition = self._caches.attachment(namespace, name)
        state = self._caches.network_state(pod.node)
        own = next((e.mtu for e in pod.plugged.interfaces if e.network == network), 0) if pod.plugged else 0
        if definition is None:
            return None
        try:
            config = configuration(definition, wanted_networks(network, namespace)[0])
            below = path_mtu(config, state)
        except NotAttached:
            return None
        where = segment(config, state)
        if where is None:
            return None
        sizes = [size for size in (own, below, self._settings.switch_mtu(pod.node)) if size]
        return where, min(sizes)
