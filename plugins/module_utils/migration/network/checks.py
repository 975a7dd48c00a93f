# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Everything that is checked against the cluster before a migration network is made."""

from __future__ import annotations

from typing import Iterator

from ... import names
from .checks_addresses import check_addresses
from .checks_interfaces import check_interfaces
from .facts import OVN_KUBERNETES, Facts
from .node_state import ports_of
from .problems import WARNING, Problem, named
from .render import cards_of, desired_state
from .wanted import LOCALNET, Wanted

_INSTALL_NMSTATE = "Install the Kubernetes NMState operator and create its NMState object."


def check(wanted: Wanted, facts: Facts) -> list[Problem]:
    """Return all that keeps the network from being made, or that people should know, in the order of the work."""
    served = list(_served(wanted, facts))
    if served:
        return served
    return [
        *_place(wanted, facts),
        *_nodes(wanted, facts),
        *check_interfaces(wanted, facts),
        *_policies(wanted, facts),
        *_localnet(wanted, facts),
        *check_addresses(wanted, facts),
    ]


def _served(wanted: Wanted, facts: Facts) -> Iterator[Problem]:
    if not facts.nmstate_served:
        text = "the cluster serves no nmstate.io, so that node networks can neither be read nor configured"
        yield Problem("nmstate_missing", "topology", wanted.topology, text, _INSTALL_NMSTATE)
    if not facts.attachments_served:
        text = "the cluster serves no NetworkAttachmentDefinitions"
        yield Problem("multus_missing", "attachment", wanted.attachment, text, "Enable Multus in the cluster network.")


def _place(wanted: Wanted, facts: Facts) -> Iterator[Problem]:
    if not facts.namespace:
        text = "there is no HyperConverged in this cluster, which would use the network"
        yield Problem(
            "hyperconverged_missing", "namespace", wanted.namespace, text, "Install OpenShift Virtualization."
        )
    elif wanted.namespace != facts.namespace:
        text = f"virt-handler finds the network only in the HyperConverged's namespace, {facts.namespace}"
        yield Problem("namespace_differs", "namespace", wanted.namespace, text, "Leave the option out.")


def _nodes(wanted: Wanted, facts: Facts) -> Iterator[Problem]:
    """Every virt-handler gets the interface, or cannot start."""
    if not facts.virt_nodes:
        text = "no node runs virt-handler"
        yield Problem("no_virt_nodes", "node_selector", dict(wanted.node_selector), text, "Look at KubeVirt first.")
    if not wanted.configures_nodes:
        return
    selected = facts.selected(wanted.node_selector)
    if not selected:
        text = "no node has these labels"
        yield Problem(
            "no_nodes", "node_selector", dict(wanted.node_selector), text, "See `oc get nodes --show-labels`."
        )
        return
    chosen = {node.name for node in selected}
    left_out = [
        node.name for node in facts.virt_nodes if node.name not in chosen and not _has_device(wanted, facts, node.name)
    ]
    if left_out:
        text = f"virt-handler runs on nodes that are not selected and could not start there: {named(left_out)}"
        remedy = "Select all nodes that run VMs, or keep virt-handler off the others (HyperConverged's node placement)."
        yield Problem(
            "nodes_left_out", "node_selector", dict(wanted.node_selector), text, remedy, nodes=tuple(sorted(left_out))
        )
    unready = [node.name for node in selected if not node.ready]
    if unready:
        text = f"nmstate configures nodes when they are ready again, which these are not: {named(unready)}"
        remedy = "virt-handler cannot start there before that."
        yield Problem(
            "nodes_not_ready",
            "node_selector",
            dict(wanted.node_selector),
            text,
            remedy,
            WARNING,
            tuple(sorted(unready)),
        )


def _has_device(wanted: Wanted, facts: Facts, node: str) -> bool:
    state = facts.states.get(node)
    return state is not None and state.find(wanted.device) is not None


def _policies(wanted: Wanted, facts: Facts) -> Iterator[Problem]:
    """No other policy may configure the same interface: each would undo what the other does."""
    if not wanted.configures_nodes:
        return
    ours = {*cards_of(wanted), *wanted.made}
    for item in facts.policies:
        name = item["metadata"]["name"]
        spec = item.get("spec") or {}
        selector = spec.get("nodeSelector") or {}
        if name == wanted.policy_name:
            labels = item["metadata"].get("labels") or {}
            if names.MIGRATION_NETWORK not in labels and selector != dict(wanted.node_selector):
                text = f"there is a policy of that name, not made by this collection, for other nodes ({selector})"
                yield Problem("policy_of_others", "policy_name", name, text, "Choose another policy_name.")
            continue
        if not {node.name for node in facts.selected(selector)} & {
            node.name for node in facts.selected(wanted.node_selector)
        }:
            continue
        interfaces = (spec.get("desiredState") or {}).get("interfaces") or ()
        held = {entry.get("name", "") for entry in interfaces} | {
            port for entry in interfaces for port in ports_of(entry)
        }
        for shared in sorted(ours & held):
            option = "interfaces" if shared in wanted.interfaces else "device"
            text = f"the policy {name} configures it on the same nodes"
            remedy = "Use another interface; or name what that policy makes, with topology existing."
            yield Problem("interface_in_policy", option, shared, text, remedy)


def _localnet(wanted: Wanted, facts: Facts) -> Iterator[Problem]:
    if wanted.attachment != LOCALNET:
        return
    if facts.network_type and facts.network_type != OVN_KUBERNETES:
        text = f"the cluster's network is {facts.network_type}, and only {OVN_KUBERNETES} has localnets"
        yield Problem("not_ovn", "attachment", wanted.attachment, text, "Use a Linux bridge or macvlan.")
    mapping = (desired_state(wanted).get("ovn") or {})["bridge-mappings"][0]
    taken = sorted(
        node
        for node, state in facts.states.items()
        if state.mappings.get(wanted.name, mapping["bridge"]) != mapping["bridge"]
    )
    if taken:
        text = f"OVN maps a localnet of that name to another bridge on {named(taken)}"
        yield Problem("localnet_taken", "name", wanted.name, text, "Choose another name.", nodes=tuple(taken))
