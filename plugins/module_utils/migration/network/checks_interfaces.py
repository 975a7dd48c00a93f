# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Checks of the interfaces that a migration network is made of, on every node that gets it."""

from __future__ import annotations

from typing import Callable, Iterator, Optional

from .facts import Facts
from .node_state import Interface, NodeNetwork
from .problems import WARNING, Problem, named
from .render import cards_of
from .wanted import BOND, BRIDGE, ETHERNET, EXISTING, LINUX_BRIDGE, LOCALNET, OVS_BRIDGE, VLAN, Wanted

_LIMITATION = (
    "OVN-Kubernetes allows no bridge or bond on the host's default interface, and migrations would share it with all "
    "other traffic."
)
_KINDS = {VLAN: "vlan", BOND: "bond", LINUX_BRIDGE: "linux-bridge", OVS_BRIDGE: "ovs-bridge"}


def check_interfaces(wanted: Wanted, facts: Facts) -> Iterator[Problem]:
    """Yield what is wrong with the named interfaces, or with what is to be made above them."""
    nodes = facts.selected(wanted.node_selector) if wanted.configures_nodes else facts.virt_nodes
    silent = sorted(node.name for node in nodes if node.name not in facts.states)
    if silent:
        text = f"nmstate reports no network state of {named(silent)}, so that its interfaces are not known"
        remedy = "See that nmstate-handler runs there (`oc get pods -n openshift-nmstate -o wide`)."
        selector = dict(wanted.node_selector)
        yield Problem("node_state_missing", "node_selector", selector, text, remedy, nodes=tuple(silent))
    states = [facts.states[node.name] for node in nodes if node.name in facts.states]
    if not states:
        return
    for name in wanted.interfaces:
        yield from _interface(wanted, states, name)
    yield from _made(wanted, states)


def _interface(wanted: Wanted, states: list[NodeNetwork], name: str) -> Iterator[Problem]:
    def where(holds: Callable[[NodeNetwork, Interface], bool]) -> tuple[str, ...]:
        pairs = [(state, _find(wanted, state, name)) for state in states]
        return tuple(state.node for state, found in pairs if found is not None and holds(state, found))

    missing = tuple(state.node for state in states if _find(wanted, state, name) is None)
    if missing:
        there = sorted({item.name for state in states if state.node in missing for item in state.interfaces})
        text = f"there is no such interface on {len(missing)} of {len(states)} nodes: {named(missing)}"
        remedy = f"Interfaces there: {', '.join(there)}."
        yield Problem("interface_missing", "interfaces", name, text, remedy, nodes=missing)
    default = where(lambda state, found: name in state.carrying_default)
    if default:
        text = f"it carries the default route on {named(default)}"
        remedy = f"{_LIMITATION} Use another network card."
        yield Problem("interface_default", "interfaces", name, text, remedy, nodes=default)
        return
    if wanted.topology == EXISTING:
        yield from _existing(wanted, name, where)
        return
    kinds = where(lambda state, found: found.kind != "ethernet" and found.kind != "bond")
    if kinds or (wanted.bond and where(lambda state, found: found.kind == "bond")):
        text = f"a network card is needed, which it is not on {named(kinds or where(lambda state, found: True))}"
        yield Problem("interface_kind", "interfaces", name, text, "Name it with topology existing to use it as it is.")
    held = where(lambda state, found: bool(found.controller) and found.controller not in wanted.made)
    if held:
        controllers = sorted({item.controller for state in states for item in state.interfaces if item.name == name})
        text = f"it is a port of {', '.join(filter(None, controllers))} on {named(held)}"
        yield Problem("interface_enslaved", "interfaces", name, text, "Use a network card that is free.", nodes=held)
    limit = where(lambda state, found: 0 < found.max_mtu < wanted.mtu)
    if limit:
        lowest = min(found.max_mtu for state in states if (found := state.find(name)) and found.max_mtu)
        text = f"{name} takes at most {lowest} bytes on {named(limit)}"
        yield Problem("mtu_above_card", "mtu", wanted.mtu, text, f"Use mtu {lowest} or less.", nodes=limit)
    addressed = where(lambda state, found: bool(found.addresses))
    alone = wanted.topology == VLAN and not wanted.bond
    if addressed and not alone:
        text = f"it has addresses on {named(addressed)}, which it would lose"
        remedy = "Use a network card without addresses, or topology vlan, which leaves them alone."
        yield Problem("interface_addressed", "interfaces", name, text, remedy, nodes=addressed)
    elif where(lambda state, found: bool(found.addresses) and found.mtu != wanted.mtu):
        text = f"it is used on {named(addressed)}, and its MTU becomes {wanted.mtu} for all that use it"
        yield Problem(
            "mtu_shared", "interfaces", name, text, "See that its other traffic bears it.", WARNING, addressed
        )


def _find(wanted: Wanted, state: NodeNetwork, name: str) -> Optional[Interface]:
    kind = OVS_BRIDGE if wanted.topology == EXISTING and wanted.attachment == LOCALNET else ""
    return state.find(name, kind) or state.find(name)


def _existing(
    wanted: Wanted, name: str, where: Callable[[Callable[[NodeNetwork, Interface], bool]], tuple[str, ...]]
) -> Iterator[Problem]:
    """What is there is left as it is, so that it has to be right."""
    kind = {BRIDGE: "linux-bridge", LOCALNET: "ovs-bridge"}.get(wanted.attachment)
    wrong = where(lambda state, found: found.kind != kind) if kind else ()
    if wrong:
        text = f"attachment {wanted.attachment} needs a {kind}, which it is not on {named(wrong)}"
        yield Problem("interface_kind", "interfaces", name, text, "Change attachment or interfaces.", nodes=wrong)
    held = where(lambda state, found: bool(found.controller)) if not kind else ()
    if held:
        text = f"it is a port of something else on {named(held)}, and cannot carry a {wanted.attachment}"
        yield Problem("interface_enslaved", "interfaces", name, text, "Use an interface that is free.", nodes=held)
    small = where(lambda state, found: 0 < found.mtu < wanted.mtu)
    if small:
        text = f"the MTU of {name} is smaller on {named(small)}, and pods there could not start"
        remedy = "Raise it where it is configured (switch ports, too), or use a smaller mtu."
        yield Problem("mtu_above_master", "mtu", wanted.mtu, text, remedy, nodes=small)
    down = where(lambda state, found: found.state != "up")
    if down:
        yield Problem("interface_down", "interfaces", name, f"it is not up on {named(down)}", nodes=down)


def _made(wanted: Wanted, states: list[NodeNetwork]) -> Iterator[Problem]:
    """What is to be made may be there already, if it is the same."""
    if wanted.topology in (EXISTING, ETHERNET):
        return
    option = "bond_name" if wanted.topology == BOND else "device"
    kind = _KINDS[wanted.topology]
    other = []
    for state in states:
        found = state.find(wanted.device, kind) or state.find(wanted.device)
        if found is None:
            continue
        base = wanted.topology == VLAN and (found.base, found.vlan_id) != (wanted.uplink, wanted.vlan_id)
        ports = {wanted.bridge_vlan or wanted.uplink, *wanted.interfaces, wanted.device}
        foreign = kind.endswith("bridge") and bool(set(found.ports) - ports)
        if found.kind != kind or base or foreign or wanted.device in state.carrying_default:
            other.append(state.node)
    if other:
        text = f"there is something else of that name on {named(other)}"
        yield Problem("device_taken", option, wanted.device, text, "Choose another name.", nodes=tuple(other))
    if wanted.topology == VLAN:
        used = {
            state.node: item.name
            for state in states
            for item in state.interfaces
            if item.base == wanted.uplink and item.vlan_id == wanted.vlan_id and item.name != wanted.device
        }
        if used:
            text = f"{wanted.uplink} has this VLAN already, as {', '.join(sorted(set(used.values())))}"
            remedy = "Name that with topology existing."
            yield Problem("vlan_taken", "vlan_id", wanted.vlan_id, text, remedy, nodes=tuple(sorted(used)))
        for state in states:
            larger = [
                item.name
                for item in state.interfaces
                if item.base == wanted.uplink and item.name != wanted.device and item.mtu > wanted.mtu
            ]
            if larger:
                text = f"{', '.join(larger)} on the same card has a larger MTU and would lose it (node {state.node})"
                remedy = f"Use mtu {max(item.mtu for item in state.interfaces if item.name in larger)}."
                yield Problem("mtu_below_others", "mtu", wanted.mtu, text, remedy, nodes=(state.node,))
                return


def former_cards(wanted: Wanted, states: list[NodeNetwork]) -> dict[str, dict[str, object]]:
    """Return state and MTU of the network cards before anything was changed, where all nodes agree; for the record."""
    found: dict[str, dict[str, object]] = {}
    for name in cards_of(wanted):
        values = {(item.state, item.mtu) for state in states if (item := state.find(name)) is not None}
        if len(values) == 1:
            state_word, mtu = values.pop()
            found[name] = {"state": state_word if state_word in ("up", "down") else "up", "mtu": mtu}
    return found
