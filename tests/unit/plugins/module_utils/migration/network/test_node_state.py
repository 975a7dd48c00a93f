from __future__ import annotations

from typing import Any

from ansible_collections.ocpv.scale.plugins.module_utils.migration.network.node_state import (
    parse_node_network,
    ports_of,
)

Obj = dict[str, Any]
# as kubernetes-nmstate reports it, trimmed
STATE: Obj = {
    "metadata": {"name": "worker-01"},
    "status": {
        "currentState": {
            "interfaces": [
                {"name": "br-ex", "type": "ovs-bridge", "state": "up",
                 "bridge": {"port": [{"name": "bond0"}, {"name": "br-ex"}]}},
                {"name": "br-ex", "type": "ovs-interface", "state": "up", "mtu": 1500, "controller": "br-ex",
                 "ipv4": {"enabled": True, "address": [{"ip": "192.168.216.11", "prefix-length": 21}]},
                 "ipv6": {"enabled": True, "address": [{"ip": "fe80::1", "prefix-length": 64}]}},
                {"name": "bond0", "type": "bond", "state": "up", "mtu": 1500, "controller": "br-ex",
                 "link-aggregation": {"mode": "802.3ad", "port": ["eno1", "eno2"]}},
                {"name": "eno1", "type": "ethernet", "state": "up", "mtu": 1500, "max-mtu": 9978,
                 "controller": "bond0"},
                {"name": "eno2", "type": "ethernet", "state": "up", "mtu": 1500, "controller": "bond0"},
                {"name": "enp4s0", "type": "ethernet", "state": "down", "mtu": 1500, "max-mtu": 9216},
                {"name": "enp4s0.20", "type": "vlan", "state": "up", "vlan": {"base-iface": "enp4s0", "id": 20}},
            ],
            "routes": {"running": [
                {"destination": "0.0.0.0/0", "next-hop-interface": "br-ex"},
                {"destination": "10.0.0.0/8", "next-hop-interface": "enp4s0"},
            ]},
            "ovn": {"bridge-mappings": [{"localnet": "physnet", "bridge": "br-ex"}]},
        }
    },
}  # fmt: skip


def test_interfaces_are_read() -> None:
    network = parse_node_network(STATE)
    card = network.find("eno1")
    assert card is not None and (card.kind, card.mtu, card.max_mtu, card.controller) == (
        "ethernet",
        1500,
        9978,
        "bond0",
    )
    vlan = network.find("enp4s0.20")
    assert vlan is not None and (vlan.base, vlan.vlan_id) == ("enp4s0", 20)
    assert network.mappings == {"physnet": "br-ex"}


def test_an_ovs_bridge_and_its_inner_port_share_a_name() -> None:
    network = parse_node_network(STATE)
    inner, bridge = network.find("br-ex"), network.find("br-ex", "ovs-bridge")
    assert inner is not None and inner.addresses == ("192.168.216.11/21",)
    assert bridge is not None and bridge.ports == ("bond0", "br-ex")


def test_all_that_carries_the_default_route_is_known() -> None:
    assert parse_node_network(STATE).carrying_default == {"br-ex", "bond0", "eno1", "eno2"}


def test_an_inner_port_of_another_name_leads_to_the_bridge_s_other_ports() -> None:
    interfaces = [
        {"name": "ovs-br", "type": "ovs-bridge", "bridge": {"port": [{"name": "eno1"}, {"name": "host0"}]}},
        {"name": "host0", "type": "ovs-interface", "controller": "ovs-br"},
        {"name": "eno1", "type": "ethernet", "controller": "ovs-br"},
    ]
    routes = {"running": [{"destination": "::/0", "next-hop-interface": "host0"}]}
    state = {"interfaces": interfaces, "routes": routes}
    network = parse_node_network({"metadata": {"name": "a"}, "status": {"currentState": state}})
    assert network.carrying_default == {"host0", "ovs-br", "eno1"}


def test_a_state_that_is_not_written_yet_is_empty() -> None:
    network = parse_node_network({"metadata": {"name": "worker-01"}})
    assert network.interfaces == () and network.carrying_default == frozenset()


def test_ports_are_found_in_every_spelling() -> None:
    assert ports_of({"link-aggregation": {"ports": ["a", "b"]}}) == ("a", "b")
    assert ports_of({"bridge": {"ports": [{"name": "a"}]}}) == ("a",)
    bond = {"name": "b0", "link-aggregation": {"mode": "balance-slb", "port": [{"name": "a"}, {"name": "b"}]}}
    assert ports_of({"bridge": {"port": [bond]}}) == ("b0", "a", "b")
