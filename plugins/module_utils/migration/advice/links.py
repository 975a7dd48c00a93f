# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which link a node has for migrations: as told, or by the speed of its network card in the NodeNetworkState."""

from __future__ import annotations

import json
from typing import Any, Iterable, Mapping, Optional

from ...cluster.model import Snapshot
from ...errors import InvalidInput
from ...quantity import parse_rate
from ..network.node_state import OVS_BRIDGE, NodeNetwork, parse_node_network
from ..precopy import DEFAULT_LINK_BYTES_PER_SECOND
from .facts import Link

Object = Mapping[str, Any]

# above 80 % use of a network the seeds' production-considerations.md warns
DEDICATED_SHARE_PERCENT = 80
# assumption: applications keep the other half of a link that they share
SHARED_SHARE_PERCENT = 50
_MBIT = 1e6 / 8
# what drivers tell of a card without a carrier (SPEED_UNKNOWN, linux/ethtool.h)
_UNKNOWN_SPEED = 2**32 - 1


def link_from(
    snapshot: Snapshot, params: Mapping[str, Any], states: Iterable[Object] = (), attachment: Optional[Object] = None
) -> Link:
    """Return the link that the module's options name, or else that of the slowest node by its NodeNetworkState.

    C(states) are the NodeNetworkStates, C(attachment) the NetworkAttachmentDefinition of the migration network, both as
    the API writes them. Without any of these a link is assumed, which C(origin) tells. Raises InvalidInput.
    """
    settings = snapshot.virtualization.settings
    dedicated = params["dedicated_network"]
    if dedicated is None:
        dedicated = settings is not None and bool(settings.network)
    percent = params["link_share_percent"]
    if percent is None:
        percent = DEDICATED_SHARE_PERCENT if dedicated else SHARED_SHARE_PERCENT
    if not 1 <= percent <= 100:
        raise InvalidInput("link_share_percent", percent, "a number from 1 to 100 is needed")
    speed, origin = _speed(snapshot, params, states, attachment, dedicated)
    return Link(speed, percent / 100, dedicated, origin)


def _speed(
    snapshot: Snapshot,
    params: Mapping[str, Any],
    states: Iterable[Object],
    attachment: Optional[Object],
    dedicated: bool,
) -> tuple[float, str]:
    if params["link_bandwidth"]:
        speed = parse_rate(params["link_bandwidth"], "link_bandwidth")
        if speed <= 0:
            raise InvalidInput("link_bandwidth", params["link_bandwidth"], "more than 0 is needed")
        return float(speed), "as told"
    name = params["link_interface"] or (master_of(attachment) if dedicated and attachment else "")
    nodes = {node.name for node in snapshot.nodes.values() if node.ready and node.runs_vms}
    speeds = {item["metadata"]["name"]: card_speed(item, name) for item in states if item["metadata"]["name"] in nodes}
    known = {node: speed for node, speed in speeds.items() if speed}
    # a network of its own over an interface that nobody named is not that of the default route
    if known and (name or not dedicated):
        node = min(sorted(known), key=lambda each: known[each])
        told = f"interface {name}" if name else "interface of the default route"
        rest = len(nodes) - len(known)
        unknown = f", not known of {rest}" if rest else ""
        return known[node], f"{told} by NodeNetworkState, slowest on {node}{unknown}"
    if params["link_interface"]:
        told = "the name of an interface whose speed the NodeNetworkStates of the live cluster tell is needed"
        raise InvalidInput("link_interface", params["link_interface"], told, hint="Or state link_bandwidth.")
    return DEFAULT_LINK_BYTES_PER_SECOND, "assumed, since neither link_bandwidth was given nor a card's speed is known"


def card_speed(state: Object, name: str = "") -> float:
    """Return the bytes per second of the card that an interface sends by, 0.0 if that is not told.

    C(state) is a NodeNetworkState, C(name) an interface, VLAN, bond or bridge; empty for that of the default route. A
    bond or bridge counts as its fastest card, since one migration may use no more than that.
    """
    network = parse_node_network(state)
    interfaces = ((state.get("status") or {}).get("currentState") or {}).get("interfaces") or ()
    cards = {
        item["name"]: speed
        for item in interfaces
        for speed in [int((item.get("ethernet") or {}).get("speed") or 0)]
        if 0 < speed < _UNKNOWN_SPEED
    }
    names = [name] if name else sorted(network.default)
    return max((_fastest(network, cards, each) for each in names), default=0.0)


def _fastest(network: NodeNetwork, cards: Mapping[str, int], name: str) -> float:
    waiting, seen, found = [name], set(), 0
    while waiting:
        current = waiting.pop()
        if current in seen:
            continue
        seen.add(current)
        found = max(found, cards.get(current, 0))
        for item in network.interfaces:
            if item.name == current:
                waiting += [*item.ports, *([item.base] if item.base else [])]
                # the inner port of an OVS bridge goes out by the bridge's other ports
                if item.controller and network.find(item.controller, OVS_BRIDGE) and item.name not in cards:
                    waiting.append(item.controller)
    return found * _MBIT


def master_of(attachment: Object) -> str:
    """Return the host's interface that a NetworkAttachmentDefinition is made on; empty if its config names none."""
    try:
        config = json.loads((attachment.get("spec") or {}).get("config") or "{}")
    except ValueError:
        return ""
    plugins = config.get("plugins") or [config] if isinstance(config, dict) else []
    for plugin in plugins:
        found = plugin.get("master") or plugin.get("bridge")
        if found:
            return str(found)
    return ""
