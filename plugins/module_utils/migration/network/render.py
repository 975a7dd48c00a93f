# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The objects of a migration network: the node network policy's desired state and the attachment's CNI configuration.

Sources: nmstate rust/src/lib/ifaces (keys), containernetworking/plugins plugins/main/{macvlan,ipvlan,bridge},
whereabouts pkg/types (C(exclude), not C(excludeSubnets), which it ignores), OVN-Kubernetes go-controller/pkg/cni/types
(C(excludeSubnets) it is there).
"""

from __future__ import annotations

import json
from typing import Any

from ... import names
from ...cluster.resources import NETWORK_ATTACHMENTS, NODE_NETWORK_POLICIES
from .addresses import OVN_PLUGIN
from .wanted import BRIDGE, EXISTING, IPVLAN, LINUX_BRIDGE, LOCALNET, MACVLAN, OVS_BRIDGE, VLAN, Wanted

Object = dict[str, Any]

CNI_VERSION = "0.3.1"
_NO_ADDRESSES: Object = {"ipv4": {"enabled": False}, "ipv6": {"enabled": False}}


def policy_spec(wanted: Wanted) -> Object:
    """Return the spec of the NodeNetworkConfigurationPolicy."""
    percent = wanted.max_unavailable.endswith("%")
    return {
        "nodeSelector": dict(wanted.node_selector),
        "maxUnavailable": wanted.max_unavailable if percent else int(wanted.max_unavailable),
        "desiredState": desired_state(wanted),
    }


def policy(wanted: Wanted, spec: Object, former: str) -> Object:
    """Return the whole policy; C(former) is the record of what was there before (records.py)."""
    return {
        "apiVersion": NODE_NETWORK_POLICIES.api_version,
        "kind": NODE_NETWORK_POLICIES.kind,
        "metadata": _metadata(wanted.policy_name, wanted.name, former),
        "spec": spec,
    }


def attachment(wanted: Wanted, former: str) -> Object:
    """Return the whole NetworkAttachmentDefinition."""
    return {
        "apiVersion": NETWORK_ATTACHMENTS.api_version,
        "kind": NETWORK_ATTACHMENTS.kind,
        "metadata": {**_metadata(wanted.name, wanted.name, former), "namespace": wanted.namespace},
        "spec": attachment_spec(wanted),
    }


def _metadata(name: str, network: str, former: str) -> Object:
    return {"name": name, "labels": {names.MIGRATION_NETWORK: network}, "annotations": {names.FORMER: former}}


def desired_state(wanted: Wanted) -> Object:
    """Return what nmstate is to make of a node: the lowest interface first, the MTU on every layer."""
    if wanted.topology == EXISTING:
        return {"ovn": {"bridge-mappings": [_mapping(wanted, wanted.device)]}}
    on_cards = wanted.topology == VLAN and not wanted.bond
    # a card below a VLAN may carry other networks: its addresses are none of ours
    cards = [
        {"name": name, "type": "ethernet", "state": "up", "mtu": wanted.mtu, **({} if on_cards else _NO_ADDRESSES)}
        for name in wanted.interfaces
    ]
    state: Object = {"interfaces": [*cards, *_bond(wanted)]}
    if wanted.topology == VLAN:
        state["interfaces"].append(_vlan(wanted.device, wanted))
    elif wanted.topology == LINUX_BRIDGE:
        if wanted.bridge_vlan:
            state["interfaces"].append(_vlan(wanted.bridge_vlan, wanted))
        ports = [{"name": wanted.bridge_vlan or wanted.uplink}]
        bridge: Object = {"options": {"stp": {"enabled": False}}, "port": ports}
        state["interfaces"].append(_interface(wanted.device, "linux-bridge", wanted.mtu, bridge=bridge))
    elif wanted.topology == OVS_BRIDGE:
        # OVN tags the frames itself, so that the port is a trunk
        bridge = {
            "allow-extra-patch-ports": True,
            "options": {"stp": {"enabled": False}},
            "port": [{"name": wanted.uplink}],
        }
        state["interfaces"].append({"name": wanted.device, "type": "ovs-bridge", "state": "up", "bridge": bridge})
        state["ovn"] = {"bridge-mappings": [_mapping(wanted, wanted.device)]}
    return state


def _interface(name: str, kind: str, mtu: int, **parts: Any) -> Object:
    return {"name": name, "type": kind, "state": "up", "mtu": mtu, **_NO_ADDRESSES, **parts}


def _bond(wanted: Wanted) -> list[Object]:
    if not wanted.bond:
        return []
    options = {"options": dict(wanted.bond_options)} if wanted.bond_options else {}
    aggregation = {"mode": wanted.bond_mode, "port": list(wanted.interfaces), **options}
    return [_interface(wanted.bond, "bond", wanted.mtu, **{"link-aggregation": aggregation})]


def _vlan(name: str, wanted: Wanted) -> Object:
    return _interface(name, "vlan", wanted.mtu, vlan={"base-iface": wanted.uplink, "id": wanted.vlan_id})


def _mapping(wanted: Wanted, bridge: str) -> Object:
    return {"localnet": wanted.name, "bridge": bridge, "state": "present"}


def attachment_spec(wanted: Wanted) -> Object:
    """Return the spec of the NetworkAttachmentDefinition, whose C(config) is JSON in a string."""
    return {"config": json.dumps(attachment_config(wanted))}


def attachment_config(wanted: Wanted) -> Object:
    """Return the CNI configuration."""
    config: Object = {"cniVersion": CNI_VERSION, "name": wanted.name}
    if wanted.attachment == LOCALNET:
        return {**config, **_localnet(wanted)}
    kinds: dict[str, Object] = {
        MACVLAN: {"type": "macvlan", "master": wanted.device, "mode": "bridge"},
        IPVLAN: {"type": "ipvlan", "master": wanted.device, "mode": "l2"},
        BRIDGE: {"type": "bridge", "bridge": wanted.device},
    }
    return {**config, **kinds[wanted.attachment], "mtu": wanted.mtu, "ipam": _whereabouts(wanted)}


def _whereabouts(wanted: Wanted) -> Object:
    ipam: Object = {"type": "whereabouts", "range": str(wanted.pool.network) if wanted.pool else ""}
    if wanted.range_start:
        ipam["range_start"] = wanted.range_start
    if wanted.range_end:
        ipam["range_end"] = wanted.range_end
    if wanted.exclude:
        ipam["exclude"] = list(wanted.exclude)
    return ipam


def _localnet(wanted: Wanted) -> Object:
    found: Object = {
        "type": OVN_PLUGIN,
        "topology": "localnet",
        "netAttachDefName": f"{wanted.namespace}/{wanted.name}",
        "mtu": wanted.mtu,
        "subnets": str(wanted.pool.network) if wanted.pool else "",
    }
    if wanted.exclude:
        found["excludeSubnets"] = ",".join(wanted.exclude)
    if wanted.vlan_id:
        found["vlanID"] = wanted.vlan_id
    return found


def cards_of(wanted: Wanted) -> tuple[str, ...]:
    """Return the network cards whose MTU the policy sets."""
    return () if wanted.topology == EXISTING else wanted.interfaces
