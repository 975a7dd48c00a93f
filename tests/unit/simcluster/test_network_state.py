"""What nmstate makes of a desired state on one node."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from simcluster.controllers.network_state import NmstateError, applied, interface, ports_of, without
from simcluster.controllers.nmstate_conditions import conditions_after, max_unavailable, policy_conditions
from simcluster.scenarios.networks import node_network_state
from simcluster.scenarios.values import NodeShape

Obj = dict[str, Any]
NODE = NodeShape("worker-01", 1, "zone-a", 16, 64 << 30)
START: Obj = node_network_state(NODE, "192.168.216.5")["status"]["currentState"]
VLAN = {"name": "ens2f0.3030", "type": "vlan", "state": "up", "vlan": {"base-iface": "ens2f0", "id": 3030}}


def nic(name: str = "ens2f0", **more: Any) -> Obj:
    return {"name": name, "type": "ethernet", "state": "up", **more}


def bond(**more: Any) -> Obj:
    options = {"mode": "802.3ad", "port": ["ens2f0", "ens2f1"]}
    return {"name": "bond1", "type": "bond", "state": "up", "link-aggregation": options, **more}


def ovs(name: str = "br-lm", *ports: str) -> Obj:
    return {"name": name, "type": "ovs-bridge", "state": "up", "bridge": {"port": [{"name": each} for each in ports]}}


def linux(name: str = "br-lm", *ports: str, **more: Any) -> Obj:
    options = {"options": {"stp": {"enabled": False}}, "port": [{"name": each} for each in ports]}
    return {"name": name, "type": "linux-bridge", "state": "up", "bridge": options, **more}


def apply(*interfaces: Obj, start: Obj = START, **more: Any) -> Obj:
    return applied(start, {"interfaces": list(interfaces), **more})


def found(state: Obj, name: str) -> Obj:
    each = interface(state, name)
    assert each is not None, name
    return each


def test_a_vlan_with_the_mtu_of_its_card() -> None:
    state = apply(nic(mtu=9000), {**VLAN, "mtu": 9000})
    assert (found(state, "ens2f0")["mtu"], found(state, "ens2f0.3030")["mtu"]) == (9000, 9000)
    assert interface(START, "ens2f0.3030") is None
    assert apply(nic(mtu=9000), {**VLAN, "mtu": 9000}, start=state) == state


def test_a_bond_takes_its_cards_along() -> None:
    state = apply(bond(mtu=9000), {**VLAN, "name": "bond1.3030", "vlan": {"base-iface": "bond1", "id": 3030}})
    assert found(state, "bond1.3030")["mtu"] == 9000
    assert [found(state, name)["controller"] for name in ("ens2f0", "ens2f1")] == ["bond1", "bond1"]
    assert found(state, "ens2f1")["mtu"] == 9000
    gone = apply({"name": "bond1", "type": "bond", "state": "absent"}, start=state)
    assert interface(gone, "bond1") is None
    assert interface(gone, "bond1.3030") is None
    assert "controller" not in found(gone, "ens2f0")


def test_bridges_take_ports_and_give_them_back() -> None:
    state = apply(ovs("br-lm", "ens2f0"))
    assert found(state, "ens2f0")["controller"] == "br-lm"
    assert interface(state, "br-lm") is None  # an OVS bridge is no interface of the kernel
    state = apply(linux("br-lm2", "ens2f0"), start=state)
    assert found(state, "ens2f0")["controller"] == "br-lm2"
    bridges = {each["name"]: ports_of(each) for each in state["interfaces"] if "bridge" in each}
    assert (bridges["br-lm"], bridges["br-lm2"]) == ([], ["ens2f0"])
    state = apply(linux("br-lm2"), start=state)
    assert "controller" not in found(state, "ens2f0")


def test_what_is_absent_already_is_fine() -> None:
    assert apply({"name": "nothing", "type": "vlan", "state": "absent"}) == START


def test_a_card_without_its_settings_stays() -> None:
    state = apply(nic(mtu=9000))
    assert found(apply({"name": "ens2f0", "type": "ethernet", "state": "absent"}, start=state), "ens2f0")["mtu"] == 1500


def test_a_card_that_is_missing_takes_all_that_stood_on_it() -> None:
    state = without(apply(VLAN, linux("br-lm", "ens2f1")), ["ens2f0", "ens2f1"])
    assert interface(state, "ens2f0") is None
    assert interface(state, "ens2f0.3030") is None
    assert ports_of(found(state, "br-lm")) == []


def test_localnets_are_mapped_to_bridges() -> None:
    mappings = [{"localnet": "migration", "bridge": "br-lm", "state": "present"}]
    state = apply(ovs("br-lm", "ens2f0"), ovn={"bridge-mappings": mappings})
    assert {"localnet": "migration", "bridge": "br-lm"} in state["ovn"]["bridge-mappings"]
    absent = [{"localnet": "migration", "state": "absent"}]
    assert apply(start=state, ovn={"bridge-mappings": absent})["ovn"] == START["ovn"]


@pytest.mark.parametrize(
    ("interfaces", "text"),
    [
        ([ovs("br-a", "ens2f0"), bond()], "Port ens2f0 cannot be assigned to more than one controller"),
        ([nic("ens9")], "Ethernet interface ens9 does not exists"),
        ([ovs("br-lm", "ens9")], "Controller interface br-lm is holding unknown port ens9"),
        ([bond(**{"link-aggregation": {"mode": "802.3ad", "port": ["ens9"]}})], "bond1 is holding unknown port ens9"),
        ([bond(**{"link-aggregation": {"port": ["ens2f0"]}})], "Bond mode is mandatory"),
        ([nic(mtu=9979)], "Desired MTU 9979 for interface ens2f0 is out of range: 68 - 9978"),
        ([nic(mtu=60)], "out of range"),
        ([{**VLAN, "mtu": 9000}], "ens2f0.3030.interface.mtu desire '9000', current '1500'"),
        ([{**VLAN, "vlan": {"base-iface": "ens9", "id": 1}}], "base-iface ens9 which is not found"),
        ([{**VLAN, "vlan": {"id": 1}}], "missing field `base-iface`"),
        ([{**VLAN, "vlan": {"base-iface": "ens2f0", "id": 5000}}], "Invalid VLAN id 5000"),
        ([{**nic(), "mtus": 9000}], "unknown field `mtus`"),
        ([{**linux(), "bridge": {"options": {"stp": False}}}], "invalid type"),
        ([{"name": "new", "state": "up"}], "has no type"),
        # the way to the default gateway
        ([linux("br-lm", "eno1")], "failed runnig probes after network changes"),
        ([{"name": "br-ex", "type": "ovs-bridge", "state": "absent"}], "failed to retrieve default gw"),
    ],
)
def test_what_cannot_be_applied_leaves_all_as_it_was(interfaces: list[Obj], text: str) -> None:
    before = copy.deepcopy(START)
    with pytest.raises(NmstateError, match=text.replace("(", r"\(")):
        apply(*interfaces)
    assert before == START


def test_unknown_parts_are_refused() -> None:
    with pytest.raises(NmstateError, match="unknown field `interface`"):
        applied(START, {"interface": []})


_FITTING = [nic(mtu=9000), VLAN, ovs("br-a", "ens2f0"), linux("br-b", "ens2f1"), nic("ens2f1", mtu=4000)]


@given(st.lists(st.sampled_from(_FITTING), unique_by=lambda each: each["name"]))
def test_the_same_state_twice_changes_nothing_more(interfaces: list[Obj]) -> None:
    once = apply(*interfaces)
    assert apply(*interfaces, start=once) == once


@pytest.mark.parametrize(
    ("value", "nodes", "expected"),
    [(None, 12, 6), (None, 3, 2), ("50%", 1, 1), (1, 12, 1), ("10%", 12, 2), ("0%", 12, 1), (0, 12, 1), ("3", 9, 3)],
)
def test_how_many_nodes_are_busy(value: int | str | None, nodes: int, expected: int) -> None:
    assert max_unavailable(value, nodes) == expected


@pytest.mark.parametrize(
    ("outcomes", "ignored", "true", "message"),
    [
        (["Available"] * 3, 0, "Available", "3/3 nodes successfully configured"),
        (["Available"] * 2, 1, "Available", "2/2 nodes successfully configured, 1 nodes ignored due to NotReady state"),
        (
            ["Available", "Progressing", "Pending"],
            0,
            "Progressing",
            "Policy is progressing 1/3 nodes finished, 1 pending",
        ),
        (["Failing", "Available"], 0, "Degraded", "1/2 nodes failed to configure"),
        (
            ["Failing", "Aborted", "Available"],
            0,
            "Degraded",
            "1/3 nodes failed to configure, 1 nodes aborted configuration",
        ),
        ([], 0, "Ignored", "Policy does not match any node"),
    ],
)
def test_what_a_policy_says(outcomes: list[str], ignored: int, true: str, message: str) -> None:
    states = policy_conditions(outcomes, ignored)
    assert [(kind, text) for kind, status, _, text in states if status == "True"] == [(true, message)]
    assert len(states) == 4


def test_conditions_keep_their_times_while_they_stay() -> None:
    first = conditions_after([], [("Available", "Unknown", "", "")], "t1")
    assert conditions_after(first, [("Available", "Unknown", "", "")], "t2") is first
    again = conditions_after(first, [("Available", "Unknown", "Why", "")], "t2")
    assert (again[0]["lastTransitionTime"], again[0]["lastHeartbeatTime"]) == ("t1", "t2")
    assert conditions_after(again, [("Available", "True", "Why", "")], "t3")[0]["lastTransitionTime"] == "t3"
