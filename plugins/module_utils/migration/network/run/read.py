# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reads what is to be known of a cluster before its migration network is touched: one list per kind."""

from __future__ import annotations

from typing import Any, Mapping, Optional

from ....cluster.gateway import Gateway
from ....cluster.resources import (
    CLUSTER_NETWORKS,
    HYPERCONVERGED_GROUP,
    NETWORK_ATTACHMENTS,
    NMSTATE_GROUP,
    NODE_NETWORK_POLICIES,
    NODE_NETWORK_STATES,
    NODES,
    hyperconvergeds,
)
from ....errors import NotFound
from ... import hyperconverged as hco
from ..facts import Facts, parse_node, reserved_networks
from ..node_state import NodeNetwork, parse_node_network


def read_facts(gateway: Gateway) -> Facts:
    """Return the facts. Kinds that the cluster does not serve are empty."""
    nodes = tuple(gateway.list_as(NODES, parse_node).items)
    network = _cluster_network(gateway)
    namespace, name = read_hyperconverged(gateway)
    nmstate = bool(gateway.served_versions(NMSTATE_GROUP))
    attachments = bool(gateway.served_versions(NETWORK_ATTACHMENTS.group))
    return Facts(
        nodes=nodes,
        states=_states(gateway) if nmstate else {},
        policies=tuple(gateway.list(NODE_NETWORK_POLICIES).items) if nmstate else (),
        attachments=tuple(gateway.list(NETWORK_ATTACHMENTS).items) if attachments else (),
        namespace=namespace,
        network=name,
        reserved=reserved_networks(network, nodes),
        network_type=((network or {}).get("status") or {}).get("networkType") or "",
        nmstate_served=nmstate,
        attachments_served=attachments,
    )


def read_hyperconverged(gateway: Gateway) -> tuple[str, str]:
    """Return the HyperConverged's namespace and the migration network it names; both empty without one."""
    for version in gateway.served_versions(HYPERCONVERGED_GROUP):
        layout = hco.layout_of(version)
        if layout is None:
            continue
        for item in gateway.list(hyperconvergeds(version)).items:
            config = hco.read_path(item, layout.live_migration)
            return item["metadata"]["namespace"], config.get(hco.NETWORK) or ""
        break
    return "", ""


def _states(gateway: Gateway) -> dict[str, NodeNetwork]:
    found: dict[str, NodeNetwork] = {}
    for state in gateway.list_as(NODE_NETWORK_STATES, parse_node_network).items:
        # the handler has made the object and not looked yet
        if state.interfaces:
            found[state.node] = state
    return found


def _cluster_network(gateway: Gateway) -> Optional[Mapping[str, Any]]:
    try:
        return gateway.get(CLUSTER_NETWORKS, "cluster")
    except NotFound:
        return None
