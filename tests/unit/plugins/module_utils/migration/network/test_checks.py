from __future__ import annotations

import ipaddress
import json
from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.ocpv.scale.plugins.module_utils import names
from ansible_collections.ocpv.scale.plugins.module_utils.migration.network.checks import check
from ansible_collections.ocpv.scale.plugins.module_utils.migration.network.checks_addresses import needed_addresses
from ansible_collections.ocpv.scale.plugins.module_utils.migration.network.facts import (
    Facts,
    parse_node,
    reserved_networks,
)
from ansible_collections.ocpv.scale.plugins.module_utils.migration.network.node_state import Interface
from ansible_collections.ocpv.scale.plugins.module_utils.migration.network.problems import WARNING, Problem
from unit.plugins.module_utils.migration.network.networks import (
    CARD,
    LABELS,
    NODES,
    SECOND,
    facts,
    network,
    node,
    wanted,
)

Obj = dict[str, Any]
EXISTING: Obj = {"topology": "existing", "vlan_id": None}
ETHERNET: Obj = {"topology": "ethernet", "vlan_id": None}
STORAGE = Interface("enp6s0", "ethernet", mtu=9000, max_mtu=9216, addresses=("10.9.0.11/24",))
PODS = (ipaddress.ip_network("10.60.1.0/24"),)
PORT = Interface("enp7s0", "ethernet", mtu=1500, controller="br1")
VLAN_20 = Interface("enp4s0.20", "vlan", mtu=9000, base="enp4s0", vlan_id=20)
BRIDGE = Interface("br1", "linux-bridge", mtu=1500, ports=("enp7s0",))


def found(cluster: Facts, **options: Any) -> dict[str, Problem]:
    return {problem.code: problem for problem in check(wanted(**options), cluster)}


def attachment(name: str, config: Obj, namespace: str = "shop") -> Obj:
    return {"metadata": {"name": name, "namespace": namespace}, "spec": {"config": json.dumps(config)}}


def policy(name: str, *interfaces: Obj, labels: Obj = {}, selector: Obj = {}) -> Obj:  # noqa: B006
    spec = {"nodeSelector": selector, "desiredState": {"interfaces": list(interfaces)}}
    return {"metadata": {"name": name, "labels": dict(labels)}, "spec": spec}


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"interfaces": ["enp4s0", "enp5s0"]},
        {"topology": "bond", "vlan_id": None, "interfaces": ["enp4s0", "enp5s0"]},
        {"topology": "linux-bridge"},
        {"topology": "ovs-bridge"},
        {**ETHERNET, "mtu": 9216},
        {**EXISTING, "mtu": 1500},
        {"exclude": ["10.200.5.0/30"], "range_start": "10.200.5.100"},
        {"range": "fd00:200:5::/64"},
    ],
)
def test_a_good_network_has_no_findings(options: Obj) -> None:
    assert found(facts(), **options) == {}


@pytest.mark.parametrize(
    ("interfaces", "options", "code", "told"),
    [
        ((), {"interfaces": ["enp9s0"]}, "interface_missing", "Interfaces there: br-ex, eno1, enp4s0"),
        ((), {"interfaces": ["eno1"]}, "interface_default", "OVN-Kubernetes allows no bridge or bond"),
        ((), {"interfaces": ["br-ex"]}, "interface_default", "default route"),
        ((PORT,), {"interfaces": ["enp7s0"]}, "interface_enslaved", "br1"),
        ((STORAGE,), {**ETHERNET, "interfaces": ["enp6s0"]}, "interface_addressed", "lose"),
        ((BRIDGE, PORT), {"interfaces": ["br1"]}, "interface_kind", "existing"),
        ((CARD,), {"mtu": 9217}, "mtu_above_card", "9216"),
        ((CARD,), EXISTING, "mtu_above_master", "smaller"),
        ((PORT,), {**EXISTING, "interfaces": ["enp7s0"], "mtu": 1500}, "interface_enslaved",
         "macvlan"),
        ((CARD,), {**EXISTING, "attachment": "bridge", "mtu": 1500}, "interface_kind",
         "linux-bridge"),
        ((replace(CARD, state="down"),), {**EXISTING, "mtu": 1500}, "interface_down", "up"),
        ((CARD, replace(VLAN_20, name="enp4s0.3030")), {}, "device_taken", "something else"),
        ((CARD, Interface("enp4s0.3030", "bridge")), {}, "device_taken", "something else"),
        ((CARD, replace(VLAN_20, name="storage", vlan_id=3030)), {}, "vlan_taken", "storage"),
        ((CARD, VLAN_20), {"mtu": 1500}, "mtu_below_others", "9000"),
        ((CARD, BRIDGE), {"topology": "linux-bridge", "device": "br1"}, "device_taken", "something else"),
    ],
)  # fmt: skip
def test_interfaces_that_will_not_do_are_found(
    interfaces: tuple[Interface, ...], options: Obj, code: str, told: str
) -> None:
    problem = found(facts(*interfaces), **options)[code]
    assert told in problem.text
    assert problem.severity != WARNING


def test_what_was_made_already_is_no_problem() -> None:
    made = (replace(CARD, mtu=9000), Interface("enp4s0.3030", "vlan", mtu=9000, base="enp4s0", vlan_id=3030))
    assert found(facts(*made)) == {}
    bond = [replace(item, mtu=9000, controller="bond-lm") for item in (CARD, SECOND)]
    made_bond = Interface("bond-lm", "bond", mtu=9000, ports=("enp4s0", "enp5s0"))
    assert found(facts(*bond, made_bond), topology="bond", vlan_id=None, interfaces=["enp4s0", "enp5s0"]) == {}


def test_an_interface_that_one_node_lacks_is_told_with_the_node() -> None:
    states = {**facts().states, "worker-02": network("worker-02", SECOND)}
    problem = found(facts(states=states))["interface_missing"]
    assert problem.nodes == ("worker-02",)
    assert "1 of 3 nodes" in problem.allowed


def test_a_vlan_on_a_card_in_use_warns_of_its_mtu() -> None:
    problem = found(facts(replace(STORAGE, mtu=1500)), interfaces=["enp6s0"])["mtu_shared"]
    assert problem.severity == WARNING


def test_a_bond_below_the_default_route_is_found_with_its_cards() -> None:
    bond = Interface("bond0", "bond", mtu=1500, ports=("enp4s0", "enp5s0"), controller="br-ex")
    states = {}
    for name in NODES:
        state = network(name, bond, CARD, SECOND)
        bridge = Interface("br-ex", "ovs-bridge", ports=("bond0", "br-ex"))
        rest = tuple(item for item in state.interfaces if item.kind != "ovs-bridge")
        states[name] = replace(state, interfaces=(bridge, *rest))
    assert "interface_default" in found(facts(states=states))


def test_a_plain_default_route_over_a_vlan_is_found_as_well() -> None:
    vlan = Interface("enp4s0.7", "vlan", mtu=1500, base="enp4s0", addresses=("10.7.0.1/24",))
    states = {name: replace(network(name, CARD, vlan), default=frozenset(["enp4s0.7"])) for name in NODES}
    assert "interface_default" in found(facts(states=states))


@pytest.mark.parametrize(
    ("changes", "options", "code"),
    [
        ({"namespace": ""}, {}, "hyperconverged_missing"),
        ({}, {"namespace": "default"}, "namespace_differs"),
        ({"nodes": tuple(node(name, labels={"node-role.kubernetes.io/worker": ""}) for name in NODES)}, {},
         "no_virt_nodes"),
        ({}, {"node_selector": {"zone": "moon"}}, "no_nodes"),
        ({"nodes": (*facts().nodes, node("worker-04", labels={"kubevirt.io/schedulable": "false"}))}, {},
         "nodes_left_out"),
        ({"states": {}}, {}, "node_state_missing"),
        ({"nmstate_served": False}, {}, "nmstate_missing"),
        ({"attachments_served": False}, {}, "multus_missing"),
        ({"network_type": "OpenShiftSDN"}, {"topology": "ovs-bridge"}, "not_ovn"),
        ({"policies": (policy("storage", {"name": "enp4s0"}),)}, {}, "interface_in_policy"),
        ({"policies": (policy("br1", {"name": "br1", "bridge": {"port": [{"name": "enp4s0"}]}}),)}, {},
         "interface_in_policy"),
        ({"policies": (policy("migration-network", {"name": "eth7"}, selector={"zone": "a"}),)}, {},
         "policy_of_others"),
        ({"states": {name: network(name, CARD, mappings={"migration-network": "br-ex"}) for name in NODES}},
         {"topology": "ovs-bridge"}, "localnet_taken"),
    ],
)  # fmt: skip
def test_what_the_cluster_does_not_have_or_has_already_is_found(changes: Obj, options: Obj, code: str) -> None:
    assert found(facts(**changes), **options)[code].severity != WARNING


def test_policies_of_other_nodes_and_our_own_are_no_problem() -> None:
    ours = policy("migration-network", {"name": "enp4s0"}, labels={names.MIGRATION_NETWORK: "migration-network"})
    elsewhere = policy("storage", {"name": "enp4s0"}, selector={"zone": "moon"})
    assert found(facts(policies=(ours, elsewhere))) == {}


def test_nodes_that_are_not_ready_are_a_warning() -> None:
    nodes = (*facts().nodes[:2], node("worker-03", ready=False))
    problem = found(facts(nodes=nodes))["nodes_not_ready"]
    assert (problem.severity, problem.nodes) == (WARNING, ("worker-03",))


# -- addresses ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "options", "told"),
    [
        ({}, {"range": "10.128.4.0/24"}, "the cluster network, 10.128.0.0/14"),
        ({}, {"range": "172.30.0.0/16"}, "the service network"),
        ({}, {"range": "10.0.0.0/8"}, "the cluster network"),
        ({"reserved": reserved_networks(None, [node("worker-01", pod_networks=PODS)])}, {"range": "10.60.0.0/16"},
         "the pod network of node worker-01"),
        ({}, {"other_ranges": ["10.200.0.0/16"]}, "other_ranges"),
        ({"attachments": (attachment("old", {"ipam": {"type": "whereabouts", "range": "10.200.5.128/25"}}),)}, {},
         "shop/old hands out 10.200.5.128/25"),
        ({"states": {name: network(name, CARD, replace(STORAGE, addresses=("10.200.0.1/16",))) for name in NODES}}, {},
         "10.200.0.0/16 of enp6s0"),
        ({}, {"range": "192.168.216.0/24"}, "192.168.216.0/21 of br-ex"),
    ],
)  # fmt: skip
def test_ranges_that_overlap_are_found(changes: Obj, options: Obj, told: str) -> None:
    assert told in found(facts(**changes), **options)["range_overlaps"].text


def test_our_own_attachment_does_not_overlap_with_itself() -> None:
    own = attachment("migration-network", {"ipam": {"range": "10.200.5.0/24"}}, "openshift-cnv")
    assert found(facts(attachments=(own,))) == {}


def test_addresses_of_nodes_may_be_excluded_on_the_network_itself() -> None:
    device = Interface("enp4s0.3030", "vlan", mtu=9000, base="enp4s0", vlan_id=3030, addresses=("10.200.5.1/24",))
    cluster = facts(replace(CARD, mtu=9000), device)
    assert "worker-01 has 10.200.5.1" in found(cluster)["range_node_address"].text
    assert found(cluster, exclude=["10.200.5.0/30"]) == {}
    # on any other interface of the node the network would be there twice
    assert "range_overlaps" in found(facts(CARD, replace(device, name="x")), exclude=["10.200.5.0/30"])


@pytest.mark.parametrize(("nodes", "needed"), [(3, 7), (10, 21), (12, 23), (100, 111), (500, 511), (1000, 1011)])
def test_addresses_for_each_virt_handler_the_probes_and_one_spare(nodes: int, needed: int) -> None:
    assert needed_addresses(nodes) == needed


def test_too_few_addresses_are_refused_and_few_are_told() -> None:
    # three nodes: 3 + 3 + 1
    assert "it has 6 addresses, and 7 are needed" in found(facts(), range="10.200.5.0/29")["range_small"].text
    assert found(facts(), range_end="10.200.5.7")["range_tight"].severity == WARNING
    assert found(facts(), range_end="10.200.5.8") == {}


def test_the_cluster_s_own_networks_are_read_from_its_configuration() -> None:
    config = {
        "spec": {"clusterNetwork": [{"cidr": "10.1.0.0/16"}], "serviceNetwork": ["172.30.0.0/16"]},
        "status": {"clusterNetwork": [{"cidr": "10.128.0.0/14", "hostPrefix": 23}], "networkType": "OVNKubernetes"},
    }
    told = {str(network_): what for what, network_ in reserved_networks(config, ())}
    assert told["10.128.0.0/14"] == "the cluster network"
    assert told["172.30.0.0/16"] == "the service network"
    assert "10.1.0.0/16" not in told
    assert "OVN-Kubernetes" in told["100.64.0.0/16"]


def test_a_node_tells_addresses_and_pod_networks() -> None:
    item = {
        "metadata": {"name": "worker-01", "labels": LABELS},
        "spec": {"podCIDR": "10.128.2.0/23", "podCIDRs": ["10.128.2.0/23", "fd01:0:0:3::/64"]},
        "status": {
            "conditions": [{"type": "Ready", "status": "True"}],
            "addresses": [{"type": "InternalIP", "address": "192.168.216.11"}, {"type": "Hostname", "address": "w1"}],
        },
    }
    read = parse_node(item)
    assert (read.ready, read.runs_virt_handler) == (True, True)
    assert [str(address) for address in read.addresses] == ["192.168.216.11"]
    assert [str(network_) for network_ in read.pod_networks] == ["10.128.2.0/23", "fd01:0:0:3::/64"]
