"""Which link counts: what is told, the slowest node's card by its NodeNetworkState, or an assumption that is told."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.ocpv.scale.plugins.module_utils.cluster.model import Snapshot, Virtualization
from ansible_collections.ocpv.scale.plugins.module_utils.errors import InvalidInput
from ansible_collections.ocpv.scale.plugins.module_utils.migration.advice.links import card_speed, link_from, master_of
from unit.plugins.module_utils.rebalance.builders import node, settings

Obj = dict[str, Any]
DEFAULTS: Obj = {
    "link_bandwidth": None,
    "link_interface": None,
    "link_share_percent": None,
    "dedicated_network": None,
}


def state(name: str, *interfaces: Obj, default: str = "br-ex") -> Obj:
    routes = [{"destination": "0.0.0.0/0", "next-hop-interface": default}]
    current = {"interfaces": list(interfaces), "routes": {"running": routes}}
    return {"metadata": {"name": name}, "status": {"currentState": current}}


def card(name: str, mbit: int | None = None, **more: Any) -> Obj:
    speed = {} if mbit is None else {"ethernet": {"speed": mbit}}
    return {"name": name, "type": "ethernet", "state": "up", **speed, **more}


OVN = (
    card("eno1", 25000, controller="br-ex"),
    {"name": "br-ex", "type": "ovs-bridge", "bridge": {"port": [{"name": "eno1"}, {"name": "br-ex"}]}},
    {"name": "br-ex", "type": "ovs-interface", "controller": "br-ex"},
)
BOND = (
    card("enp4s0", 10000, controller="bond0"),
    card("enp5s0", 10000, controller="bond0"),
    {"name": "bond0", "type": "bond", "link-aggregation": {"mode": "802.3ad", "port": ["enp4s0", "enp5s0"]}},
    {"name": "bond0.3030", "type": "vlan", "vlan": {"base-iface": "bond0", "id": 3030}},
)


@pytest.mark.parametrize(
    ("interfaces", "name", "gbit"),
    [
        (OVN, "", 25),
        (OVN, "br-ex", 25),
        (OVN, "eno1", 25),
        (OVN, "absent", 0),
        (BOND, "bond0.3030", 10),
        (BOND, "bond0", 10),
        ((card("eno1"),), "eno1", 0),
        ((card("eno1", -1),), "eno1", 0),
        ((card("eno1", 2**32 - 1),), "eno1", 0),
    ],
)
def test_the_speed_is_that_of_the_card_below(interfaces: tuple[Obj, ...], name: str, gbit: float) -> None:
    assert card_speed(state("worker-1", *interfaces), name) * 8 / 1e9 == gbit


def snapshot(network: str = "") -> Snapshot:
    nodes = {name: node(name) for name in ("worker-1", "worker-2", "worker-3")}
    nodes["master-1"] = node("master-1", labels={"kubevirt.io/schedulable": "false"})
    return Snapshot("", "", nodes=nodes, virtualization=Virtualization(settings=settings(network=network)))


def test_the_slowest_node_that_runs_vms_counts() -> None:
    states = [
        state("worker-1", card("eno1", 25000), default="eno1"),
        state("worker-2", card("eno1", 10000), default="eno1"),
        state("worker-3", default="eno1"),
        state("master-1", card("eno1", 1000), default="eno1"),
    ]
    link = link_from(snapshot(), DEFAULTS, states)
    assert (link.bytes_per_second, link.share, link.dedicated) == (1.25e9, 0.5, False)
    assert link.origin == "interface of the default route by NodeNetworkState, slowest on worker-2, not known of 1"


def test_the_card_of_a_dedicated_network_is_that_of_its_definition() -> None:
    states = [state("worker-1", *OVN, *BOND)]
    definition = {"spec": {"config": '{"type": "macvlan", "master": "bond0.3030"}'}}
    link = link_from(snapshot("migration"), DEFAULTS, states, definition)
    assert (link.bytes_per_second, link.share, link.dedicated) == (1.25e9, 0.8, True)
    assert "interface bond0.3030" in link.origin
    # nobody says which card it is: that of the default route would be a guess
    assert "assumed" in link_from(snapshot("migration"), DEFAULTS, states).origin


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"link_bandwidth": "25Gbit/s"}, (3.125e9, 0.5, False)),
        ({"link_bandwidth": "3G", "dedicated_network": True}, (3e9, 0.8, True)),
        ({"link_bandwidth": "100Gbps", "link_share_percent": 25}, (12.5e9, 0.25, False)),
        ({}, (1.25e9, 0.5, False)),
    ],
)
def test_options_win(options: Obj, expected: tuple[float, float, bool]) -> None:
    link = link_from(snapshot(), {**DEFAULTS, **options})
    assert (link.bytes_per_second, link.share, link.dedicated) == expected


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"link_bandwidth": "fast"}, "link_bandwidth: 'fast' cannot be used: bytes per second"),
        ({"link_bandwidth": "0"}, "more than 0"),
        ({"link_share_percent": 0}, "from 1 to 100"),
        ({"link_share_percent": 101}, "from 1 to 100"),
        ({"link_interface": "enp9s0"}, "link_interface: 'enp9s0'"),
    ],
)
def test_mistakes_are_told(options: Obj, told: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        link_from(snapshot(), {**DEFAULTS, **options}, [state("worker-1", *OVN)])
    assert told in str(caught.value)


@pytest.mark.parametrize(
    ("config", "master"),
    [
        ('{"type": "macvlan", "master": "eth1"}', "eth1"),
        ('{"plugins": [{"type": "bridge", "bridge": "br1"}, {"type": "tuning"}]}', "br1"),
        ("{}", ""),
        ("[]", ""),
        ("no json", ""),
    ],
)
def test_the_master_of_a_definition(config: str, master: str) -> None:
    assert master_of({"spec": {"config": config}}) == master
