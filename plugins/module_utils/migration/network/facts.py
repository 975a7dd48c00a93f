# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a cluster tells about its networks, read once, as plain values."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, Iterator, Mapping, Optional, Sequence

from ...cluster.parse import is_ready
from .addresses import OVN_INTERNAL, Address, Network, parse_address, parse_network
from .node_state import NodeNetwork

Object = Mapping[str, Any]

OVN_KUBERNETES = "OVNKubernetes"
# KubeVirt puts it on every node that runs virt-handler
_VIRT_HANDLER_LABEL = "kubevirt.io/schedulable"


@dataclass(frozen=True)
class NodeFacts:
    """A node: C(addresses) of its status, C(pod_networks) that it gives to pods."""

    name: str
    labels: Mapping[str, str] = field(default_factory=dict)
    ready: bool = True
    addresses: tuple[Address, ...] = ()
    pod_networks: tuple[Network, ...] = ()

    @property
    def runs_virt_handler(self) -> bool:
        """Whether it takes VMs, now or when it is in order again."""
        return _VIRT_HANDLER_LABEL in self.labels


@dataclass(frozen=True)
class Facts:
    """The cluster. C(namespace) is the HyperConverged's, empty without one; C(network) is what it names.
    C(states) are by node, C(policies) and C(attachments) the objects as read. C(reserved) are networks in use with what
    uses them. C(network_type) is empty where it is not told."""

    nodes: tuple[NodeFacts, ...] = ()
    states: Mapping[str, NodeNetwork] = field(default_factory=dict)
    policies: tuple[Object, ...] = ()
    attachments: tuple[Object, ...] = ()
    namespace: str = ""
    network: str = ""
    reserved: tuple[tuple[str, Network], ...] = ()
    network_type: str = ""
    nmstate_served: bool = True
    attachments_served: bool = True

    def selected(self, selector: Mapping[str, str]) -> tuple[NodeFacts, ...]:
        """Return the nodes that a policy's node selector picks."""
        return tuple(
            node for node in self.nodes if all(node.labels.get(key) == value for key, value in selector.items())
        )

    @property
    def virt_nodes(self) -> tuple[NodeFacts, ...]:
        """The nodes that run virt-handler."""
        return tuple(node for node in self.nodes if node.runs_virt_handler)

    def policy(self, name: str) -> Optional[Object]:
        """Return a node network policy by name."""
        return next((item for item in self.policies if item["metadata"]["name"] == name), None)

    def attachment(self, namespace: str, name: str) -> Optional[Object]:
        """Return a network attachment."""
        wanted = (namespace, name)
        return next((item for item in self.attachments if _key(item) == wanted), None)


def _key(item: Object) -> tuple[str, str]:
    return item["metadata"].get("namespace", ""), item["metadata"]["name"]


def parse_node(item: Object) -> NodeFacts:
    """Return what a Node says."""
    status, spec = item.get("status") or {}, item.get("spec") or {}
    addresses = [parse_address(entry.get("address")) for entry in status.get("addresses") or ()]
    pods = spec.get("podCIDRs") or ([spec["podCIDR"]] if spec.get("podCIDR") else [])
    return NodeFacts(
        name=item["metadata"]["name"],
        labels=item["metadata"].get("labels") or {},
        ready=is_ready(item),
        addresses=tuple(address for address in addresses if address is not None),
        pod_networks=tuple(network for network in map(parse_network, pods) if network is not None),
    )


def reserved_networks(network: Optional[Object], nodes: Sequence[NodeFacts]) -> tuple[tuple[str, Network], ...]:
    """Return what the cluster itself uses: pod and service networks of Network.config.openshift.io C(cluster), the pod
    networks that nodes tell, and OVN-Kubernetes' inner ones."""
    return tuple(_reserved(network or {}, nodes))


def _reserved(network: Object, nodes: Sequence[NodeFacts]) -> Iterator[tuple[str, Network]]:
    # the spec is what was asked for at installation, the status what is in force
    told = {**(network.get("spec") or {}), **(network.get("status") or {})}
    named = [("the cluster network", entry.get("cidr")) for entry in told.get("clusterNetwork") or ()]
    named += [("the service network", entry) for entry in told.get("serviceNetwork") or ()]
    if told.get("networkType") == OVN_KUBERNETES:
        named += [("OVN-Kubernetes' inner network", text) for text in OVN_INTERNAL]
    for what, text in named:
        parsed = parse_network(text)
        if parsed is not None:
            yield what, parsed
    for node in nodes:
        for pods in node.pod_networks:
            yield f"the pod network of node {node.name}", pods


def config_of(item: Optional[Object]) -> Mapping[str, Any]:
    """Return the CNI configuration in a network attachment; empty if it holds none that can be read."""
    try:
        config = json.loads(((item or {}).get("spec") or {}).get("config") or "{}")
    except ValueError:
        return {}
    return config if isinstance(config, dict) else {}
