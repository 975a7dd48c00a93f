"""NodeNetworkStates: the network of each node as kubernetes-nmstate reports it, before anybody configures anything.

Every node has one NIC for the cluster's network (in OVS bridge C(br-ex), as OVN-Kubernetes leaves it), one in the Linux
bridge C(br1) that VMs use, and what else its shape names: these are free.
"""

from __future__ import annotations

from ..controllers.network_state import CLUSTER_MTU
from .values import INSTALLED_AT, Nic, NodeShape, Obj, owner_reference, stable_uid

GATEWAY = "192.168.216.1"
_PREFIX_LENGTH = 21
_ETHERNET_MIN_MTU = 68
_BRIDGE_MAX_MTU = 65535
_ALL_TAGS = {"min": 2, "max": 4094}
_NO_IP: Obj = {"ipv4": {"enabled": False}, "ipv6": {"enabled": False}}


def node_network_state(shape: NodeShape, address: str, *, heartbeat: str = INSTALLED_AT) -> Obj:
    """The NodeNetworkState of C(shape), whose address in the cluster's network is C(address)."""
    owner = owner_reference("v1", "Node", shape.name, stable_uid("Node", shape.name))
    return {
        "apiVersion": "nmstate.io/v1beta1",
        "kind": "NodeNetworkState",
        "metadata": {
            "name": shape.name,
            "uid": stable_uid("NodeNetworkState", shape.name),
            "creationTimestamp": INSTALLED_AT,
            "generation": 1,
            "labels": {"nmstate.io/node": shape.name},
            "ownerReferences": [{key: owner[key] for key in ("apiVersion", "kind", "name", "uid")}],
        },
        "status": {
            "currentState": {
                "dns-resolver": {
                    "config": {"search": [], "server": []},
                    "running": {"search": ["example.com"], "server": ["192.168.216.2"]},
                },
                "interfaces": [
                    *_cluster_network(shape, address),
                    *_guest_bridge(shape),
                    *(ethernet(shape, nic, mtu=1500) for nic in shape.nics),
                ],
                "ovn": {"bridge-mappings": [{"localnet": "physnet", "bridge": "br-ex"}]},
                "route-rules": {"config": []},
                "routes": {
                    "config": [],
                    "running": [
                        {
                            "destination": "0.0.0.0/0",
                            "metric": 48,
                            "next-hop-address": GATEWAY,
                            "next-hop-interface": "br-ex",
                            "table-id": 254,
                        },
                        {
                            "destination": "192.168.216.0/21",
                            "metric": 48,
                            "next-hop-address": "",
                            "next-hop-interface": "br-ex",
                            "table-id": 254,
                        },
                    ],
                },
            },
            "handlerNetworkManagerVersion": "1.52.0-1.el9",
            "handlerNmstateVersion": "2.2.46",
            "hostNetworkManagerVersion": "1.52.0",
            "lastSuccessfulUpdateTime": heartbeat,
        },
    }


def ethernet(shape: NodeShape, nic: Nic, *, mtu: int, controller: str = "") -> Obj:
    """A NIC without addresses."""
    found: Obj = {
        "name": nic.name,
        "type": "ethernet",
        "state": "up",
        "mac-address": _mac(shape, nic.name),
        "permanent-mac-address": _mac(shape, nic.name),
        "mtu": mtu,
        "min-mtu": _ETHERNET_MIN_MTU,
        "max-mtu": nic.max_mtu,
        "accept-all-mac-addresses": False,
        "driver": nic.driver,
        "ethernet": {"auto-negotiation": False, "duplex": "full", "speed": nic.speed_mbit},
        **_NO_IP,
    }
    if controller:
        found["controller"] = controller
    return found


def _cluster_network(shape: NodeShape, address: str) -> list[Obj]:
    ports = [{"name": "eno1"}, {"name": "br-ex"}]
    return [
        {
            "name": "lo",
            "type": "loopback",
            "state": "up",
            "mtu": 65536,
            "ipv4": {"enabled": True, "address": [{"ip": "127.0.0.1", "prefix-length": 8}]},
            "ipv6": {"enabled": True, "address": [{"ip": "::1", "prefix-length": 128}]},
        },
        ethernet(shape, Nic("eno1"), mtu=CLUSTER_MTU, controller="br-ex"),
        {
            "name": "br-ex",
            "type": "ovs-bridge",
            "state": "up",
            "bridge": {"options": {"fail-mode": "", "mcast-snooping-enable": False}, "port": ports},
        },
        {
            "name": "br-ex",
            "type": "ovs-interface",
            "state": "up",
            "controller": "br-ex",
            "mac-address": _mac(shape, "eno1"),
            "mtu": CLUSTER_MTU,
            "ipv4": {
                "enabled": True,
                "dhcp": True,
                "address": [{"ip": address, "prefix-length": _PREFIX_LENGTH}],
            },
            "ipv6": {"enabled": False},
        },
    ]


def _guest_bridge(shape: NodeShape) -> list[Obj]:
    return [
        ethernet(shape, Nic("ens3f0"), mtu=1500, controller="br1"),
        {
            "name": "br1",
            "type": "linux-bridge",
            "state": "up",
            "mac-address": _mac(shape, "ens3f0"),
            "mtu": 1500,
            "min-mtu": _ETHERNET_MIN_MTU,
            "max-mtu": _BRIDGE_MAX_MTU,
            "bridge": {
                "options": {"stp": {"enabled": False}, "vlan-protocol": "802.1q"},
                "port": [{"name": "ens3f0", "vlan": {"mode": "trunk", "trunk-tags": [{"id-range": _ALL_TAGS}]}}],
            },
            **_NO_IP,
        },
    ]


def _mac(shape: NodeShape, nic: str) -> str:
    digits = stable_uid("mac", shape.name, nic).replace("-", "")
    return "0C:42:A1:" + ":".join(digits[index : index + 2].upper() for index in (0, 2, 4))
