"""Second interfaces of pods: annotations, plugins and addresses. And which pool and MachineConfig a node has."""

from __future__ import annotations

import ipaddress
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from simcluster.controllers.attachments import (
    NotAttached,
    Wanted,
    address_for,
    addresses_of,
    configuration,
    mtu_on,
    parsed,
    path_mtu,
    pod_network_entry,
    segment,
    status_entry,
    wanted_networks,
)
from simcluster.controllers.rendering import (
    at_a_time,
    base_configs,
    kubelet_configuration,
    kubelet_problem,
    machine_config,
    max_pods,
    merged,
    pool_of,
    rendered_name,
)
from unit.simcluster.test_network_state import START, VLAN, apply, bond, linux, nic, ovs

Obj = dict[str, Any]
SEED_RANGE = {"type": "whereabouts", "range": "10.200.5.0/24", "exclude": ["10.200.5.0/30"]}
JUMBO = apply(nic(mtu=9000), {**VLAN, "mtu": 9000})


def macvlan(**more: Any) -> Obj:
    return {"type": "macvlan", "master": "ens2f0.3030", "ipam": SEED_RANGE, **more}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("fast@migration0", [("home", "fast", "migration0")]),
        ("other/fast, slow", [("other", "fast", "net1"), ("home", "slow", "net2")]),
        ('[{"name": "fast", "namespace": "other", "interface": "if0"}]', [("other", "fast", "if0")]),
        ('[{"name": "fast"}]', [("home", "fast", "net1")]),
    ],
)
def test_the_annotation_has_two_forms(text: str, expected: list[tuple[str, str, str]]) -> None:
    assert wanted_networks(text, "home") == [Wanted(*each) for each in expected]


def test_what_is_told_can_be_read_again() -> None:
    entries = [
        pod_network_entry("10.128.2.7"),
        status_entry(Wanted("cnv", "fast", "migration0"), "5f" * 16, "10.200.5.4", 9000),
        status_entry(Wanted("cnv", "bare", "net2"), "5f" * 16, "", 1500),
    ]
    assert [(e.network, e.interface, e.address, e.mtu) for e in parsed(json.dumps(entries))] == [
        ("ovn-kubernetes", "eth0", "10.128.2.7", 1400),
        ("cnv/fast", "migration0", "10.200.5.4", 9000),
        ("cnv/bare", "net2", "", 1500),
    ]
    assert parsed("nonsense") == []


@pytest.mark.parametrize(
    ("definition", "text"),
    [
        (None, r"cannot find a network-attachment-definition \(fast\) in namespace \(cnv\)"),
        ({"spec": {"config": "{"}}, "json"),
        ({"spec": {"config": "{}"}}, "missing network type"),
        ({"spec": {"config": "[]"}}, "cannot unmarshal"),
    ],
)
def test_definitions_that_are_none(definition: Obj | None, text: str) -> None:
    with pytest.raises(NotAttached, match=text):
        configuration(definition, Wanted("cnv", "fast", "net1"))


def test_of_a_list_of_plugins_the_first_counts() -> None:
    config = json.dumps({"name": "fast", "plugins": [{"type": "macvlan"}, {"type": "tuning"}]})
    assert configuration({"spec": {"config": config}}, Wanted("a", "b", "c"))["type"] == "macvlan"


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (macvlan(), 9000),
        (macvlan(mtu=9000), 9000),
        (macvlan(mtu=1500), 1500),
        (macvlan(master=""), 1500),
        ({"type": "ipvlan", "master": "ens2f0"}, 9000),
        ({"type": "bridge", "bridge": "br1"}, 1500),
        ({"type": "bridge", "bridge": "new", "mtu": 9000}, 9000),
        ({"type": "ovn-k8s-cni-overlay", "topology": "localnet", "mtu": 9000}, 9000),
    ],
)
def test_the_mtu_of_an_interface(config: Obj, expected: int) -> None:
    assert mtu_on(config, JUMBO) == expected


@pytest.mark.parametrize(
    ("config", "text"),
    [
        (macvlan(master="ens9"), 'failed to lookup master "ens9": Link not found'),
        (macvlan(mtu=9001), r"invalid MTU 9001, must be \[0, master MTU\(9000\)\]"),
        (macvlan(master="ens3f0"), "device or resource busy"),
        (macvlan(master="br-lm"), "Link not found"),
        ({"type": "cnv-bridge", "bridge": "new"}, "failed to lookup bridge"),
        ({"type": "ovs", "bridge": "new"}, "failed to find bridge new"),
        ({"type": "sriov"}, 'failed to find plugin "sriov"'),
    ],
)
def test_interfaces_that_cannot_be_made(config: Obj, text: str) -> None:
    state = apply(ovs("br-lm", "ens2f1"), start=JUMBO)
    with pytest.raises(NotAttached, match=text):
        mtu_on(config, state)


def test_the_narrowest_part_of_the_way_counts() -> None:
    state = apply(linux("br-lm", "ens2f1", mtu=9000))
    assert mtu_on({"type": "bridge", "bridge": "br-lm"}, state) == 9000
    assert path_mtu({"type": "bridge", "bridge": "br-lm"}, state) == 1500
    assert path_mtu(macvlan(master="bond1"), apply(bond(mtu=9000))) == 9000


def test_nodes_reach_each_other_in_the_same_vlan_only() -> None:
    assert segment(macvlan(), JUMBO) == segment(macvlan(master="ens2f0.3030"), JUMBO)
    assert segment(macvlan(), JUMBO) != segment(macvlan(master="ens2f0"), JUMBO)
    localnet = {"type": "ovn-k8s-cni-overlay", "topology": "localnet", "name": "migration"}
    assert segment(localnet, JUMBO) is None
    mapped = apply(ovn={"bridge-mappings": [{"localnet": "migration", "bridge": "br-lm"}]})
    assert segment(localnet, mapped) is not None


class TestAddresses:
    @pytest.mark.parametrize(
        ("ipam", "first", "last", "count"),
        [
            (SEED_RANGE, "10.200.5.4", "10.200.5.254", 251),
            # this key belongs to OVN, whereabouts does not know it
            ({"range": "10.200.5.0/24", "excludeSubnets": "10.200.5.0/30"}, "10.200.5.1", "10.200.5.254", 254),
            ({"range": "10.200.5.0/29"}, "10.200.5.1", "10.200.5.6", 6),
            (
                {"range": "10.200.5.0/24", "range_start": "10.200.5.9", "range_end": "10.200.5.11"},
                *("10.200.5.9", "10.200.5.11", 3),
            ),
            ({"range": "10.200.5.20-10.200.5.22/24"}, "10.200.5.20", "10.200.5.22", 3),
            ({"range": "fd00::/125"}, "fd00::1", "fd00::6", 6),
            # ends that are not to be given out count as none
            (
                {"range": "10.200.5.0/29", "range_start": "10.200.5.0", "range_end": "10.200.5.7"},
                *("10.200.5.1", "10.200.5.6", 6),
            ),
            (
                {"range": "10.200.5.0/29", "range_start": "10.200.5.4", "range_end": "10.200.5.3"},
                *("10.200.5.4", "10.200.5.6", 3),
            ),
            ({"ipRanges": [{"range": "10.1.0.0/30"}, {"range": "10.2.0.0/30"}]}, "10.1.0.1", "10.1.0.2", 2),
            ({"ipRanges": [{"range": "10.1.0.0/29"}], "exclude": ["10.1.0.0/30"]}, "10.1.0.1", "10.1.0.6", 6),
            ({"ipRanges": [{"range": "10.1.0.0/29", "exclude": ["10.1.0.0/30"]}]}, "10.1.0.4", "10.1.0.6", 3),
        ],
    )
    def test_what_whereabouts_gives_out(self, ipam: Obj, first: str, last: str, count: int) -> None:
        found = [str(each) for each in addresses_of(ipam)]
        assert (found[0], found[-1], len(found)) == (first, last, count)

    def test_the_lowest_free_one_is_taken(self) -> None:
        assert address_for(macvlan(), {"10.200.5.4", "10.200.5.6"}, ()) == "10.200.5.5"

    def test_none_is_left(self) -> None:
        config = macvlan(ipam={"type": "whereabouts", "range": "10.200.5.0/30"})
        with pytest.raises(NotAttached, match="Could not allocate IP in range: ip: 10.200.5.1 / - 10.200.5.2"):
            address_for(config, {"10.200.5.1", "10.200.5.2"}, ())
        with pytest.raises(NotAttached, match="net mask is too short"):
            address_for(macvlan(ipam={"type": "whereabouts", "range": "10.200.5.0/31"}), (), ())

    def test_other_ways_to_an_address(self) -> None:
        local = {"type": "host-local", "ranges": [[{"subnet": "10.3.0.0/24", "rangeStart": "10.3.0.5"}]]}
        assert address_for(macvlan(ipam=local), {"10.3.0.5"}, {"10.3.0.6"}) == "10.3.0.5"
        overlay = {"type": "ovn-k8s-cni-overlay", "subnets": "10.4.0.0/24", "excludeSubnets": "10.4.0.0/31"}
        assert address_for(overlay, (), ()) == "10.4.0.2"
        assert address_for(macvlan(ipam={}), (), ()) == ""
        with pytest.raises(NotAttached, match="DHCP"):
            address_for(macvlan(ipam={"type": "dhcp"}), (), ())

    @given(st.integers(24, 30), st.lists(st.integers(25, 32), max_size=3), st.randoms())
    def test_all_are_in_the_range_and_none_is_excluded(self, length: int, lengths: list[int], random: Any) -> None:
        network = ipaddress.ip_network(f"10.5.0.0/{length}")
        excluded = [
            ipaddress.ip_network(f"{network[random.randrange(network.num_addresses)]}/{each}", strict=False)
            for each in lengths
        ]
        found = list(addresses_of({"range": str(network), "exclude": [str(each) for each in excluded]}))
        assert found == sorted(set(found))
        wanted = [each for each in network.hosts() if not any(each in block for block in excluded)]
        assert found == wanted


class TestMachineConfigs:
    def test_the_name_follows_the_content_alone(self) -> None:
        first = merged(base_configs("worker"))
        other = [machine_config("99-marker", "worker", {"/etc/marker": {"at": 1}})]
        assert rendered_name("worker", first) == rendered_name("worker", merged(base_configs("worker")))
        assert rendered_name("worker", merged([*base_configs("worker"), *other])) != rendered_name("worker", first)
        assert rendered_name("zone-0", first).removeprefix("rendered-zone-0-") in rendered_name("worker", first)

    def test_the_last_by_name_writes_the_kubelets_file(self) -> None:
        def kubelet(name: str, pods: int) -> Obj:
            return machine_config(
                name, "worker", {"/etc/kubernetes/kubelet.conf": kubelet_configuration({"maxPods": pods})}
            )

        base = base_configs("worker")
        assert max_pods(merged(base)) == 250
        newer = [kubelet("99-worker-generated-kubelet-1", 400), kubelet("99-worker-generated-kubelet", 300)]
        assert max_pods(merged([*base, *newer])) == 400

    @pytest.mark.parametrize(
        ("values", "text"),
        [
            ({"maxPods": 500}, ""),
            ({"failSwapOn": True}, "failSwapOn is not allowed to be set, but contains: True"),
            ({"memorySwap": {"swapBehavior": "LimitedSwap"}}, "swapBehavior is not allowed to be set"),
        ],
    )
    def test_fields_of_the_operator_are_refused(self, values: Obj, text: str) -> None:
        assert text in kubelet_problem({"kubeletConfig": values})
        assert bool(kubelet_problem({"kubeletConfig": values})) == bool(text)

    @pytest.mark.parametrize(
        ("labels", "expected"),
        [
            (["worker"], "worker"),
            (["worker", "zone-a"], "zone-a"),
            (["worker", "zone-a", "zone-b"], ""),
            (["worker", "master", "zone-a"], "master"),
            ([], ""),
        ],
    )
    def test_a_node_has_one_pool(self, labels: list[str], expected: str) -> None:
        pools = {
            name: {"spec": {"nodeSelector": {"matchLabels": {f"role/{name}": ""}}}}
            for name in ("worker", "master", "zone-a", "zone-b")
        }
        assert pool_of(pools, {f"role/{label}": "" for label in labels}) == expected

    @pytest.mark.parametrize(
        ("value", "nodes", "expected"), [(None, 12, 1), (3, 12, 3), ("10%", 12, 1), ("25%", 12, 3), ("5%", 12, 1)]
    )
    def test_how_many_nodes_at_a_time(self, value: int | str | None, nodes: int, expected: int) -> None:
        assert at_a_time(value, nodes) == expected


def test_the_start_has_free_cards() -> None:
    names = {each["name"] for each in START["interfaces"] if each["type"] == "ethernet" and "controller" not in each}
    assert names == {"ens2f0", "ens2f1"}
