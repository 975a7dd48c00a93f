"""Nodes and their networks as facts, and the options of a network, for the tests of this folder."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Any

from ansible_collections.ocpv.scale.plugins.module_utils.migration.network.facts import Facts, NodeFacts
from ansible_collections.ocpv.scale.plugins.module_utils.migration.network.node_state import Interface, NodeNetwork
from ansible_collections.ocpv.scale.plugins.module_utils.migration.network.wanted import Wanted, parse_wanted

Obj = dict[str, Any]
NODES = ("worker-01", "worker-02", "worker-03")
LABELS = {"node-role.kubernetes.io/worker": "", "kubevirt.io/schedulable": "true"}
VLAN: Obj = {"topology": "vlan", "interfaces": ["enp4s0"], "vlan_id": 3030, "range": "10.200.5.0/24"}
# br-ex as OVN-Kubernetes leaves it
EX = (
    Interface("eno1", "ethernet", mtu=1500, controller="br-ex"),
    Interface("br-ex", "ovs-bridge", ports=("eno1", "br-ex")),
    Interface("br-ex", "ovs-interface", mtu=1500, controller="br-ex", addresses=("192.168.216.11/21",)),
)
CARD = Interface("enp4s0", "ethernet", mtu=1500, max_mtu=9216)
SECOND = Interface("enp5s0", "ethernet", mtu=1500, max_mtu=9216)


def wanted(**options: Any) -> Wanted:
    """A network whose options are good."""
    found, problems = parse_wanted({"namespace": "openshift-cnv", **VLAN, **options})
    assert problems == []
    return found


def network(node: str, *more: Interface, mappings: Mapping[str, str] = {"physnet": "br-ex"}) -> NodeNetwork:
    """A node's network: br-ex and whatever is named."""
    return NodeNetwork(node, (*EX, *more), frozenset(["br-ex"]), dict(mappings))


def node(name: str, **changes: Any) -> NodeFacts:
    """A worker that takes VMs."""
    number = int(name.rpartition("-")[2])
    address = ipaddress.ip_address(f"192.168.216.{10 + number}")
    return NodeFacts(name, **{"labels": LABELS, "addresses": (address,), **changes})


def facts(*interfaces: Interface, **changes: Any) -> Facts:
    """A cluster of three workers, all with these interfaces."""
    given: Obj = {
        "nodes": tuple(node(name) for name in NODES),
        "states": {name: network(name, *(interfaces or (CARD, SECOND))) for name in NODES},
        "namespace": "openshift-cnv",
        "network_type": "OVNKubernetes",
        "reserved": (
            ("the cluster network", ipaddress.ip_network("10.128.0.0/14")),
            ("the service network", ipaddress.ip_network("172.30.0.0/16")),
        ),
    }
    return Facts(**{**given, **changes})
