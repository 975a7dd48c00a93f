from __future__ import annotations

import json
import sys
from typing import Any

import pytest
import yaml
from ansible_collections.ocpv.scale.plugins.module_utils.migration.network.render import (
    attachment,
    attachment_config,
    policy,
    policy_spec,
)
from ansible_collections.ocpv.scale.plugins.module_utils.migration.network.wanted import ATTACHMENTS, TOPOLOGIES
from unit.plugins.module_utils.migration.network.networks import wanted

Obj = dict[str, Any]
# the simulated cluster's own code needs it, the collection's does not
CRDS_TO_BE_HAD = sys.version_info >= (3, 12)
BOND: Obj = {"interfaces": ["enp4s0", "enp5s0"], "bond_mode": "802.3ad", "bond_options": {"miimon": 100}}

VLAN_SPEC = """
nodeSelector: {node-role.kubernetes.io/worker: ""}
maxUnavailable: 1
desiredState:
  interfaces:
    - {name: enp4s0, type: ethernet, state: up, mtu: 9000}
    - name: enp4s0.3030
      type: vlan
      state: up
      mtu: 9000
      ipv4: {enabled: false}
      ipv6: {enabled: false}
      vlan: {base-iface: enp4s0, id: 3030}
"""
BOND_SPEC = """
nodeSelector: {node-role.kubernetes.io/worker: ""}
maxUnavailable: 10%
desiredState:
  interfaces:
    - {name: enp4s0, type: ethernet, state: up, mtu: 9000, ipv4: {enabled: false}, ipv6: {enabled: false}}
    - {name: enp5s0, type: ethernet, state: up, mtu: 9000, ipv4: {enabled: false}, ipv6: {enabled: false}}
    - name: bond-lm
      type: bond
      state: up
      mtu: 9000
      ipv4: {enabled: false}
      ipv6: {enabled: false}
      link-aggregation: {mode: 802.3ad, port: [enp4s0, enp5s0], options: {miimon: 100}}
"""
LINUX_BRIDGE_SPEC = """
nodeSelector: {zone: a}
maxUnavailable: 1
desiredState:
  interfaces:
    - {name: enp4s0, type: ethernet, state: up, mtu: 1500, ipv4: {enabled: false}, ipv6: {enabled: false}}
    - name: enp4s0.3030
      type: vlan
      state: up
      mtu: 1500
      ipv4: {enabled: false}
      ipv6: {enabled: false}
      vlan: {base-iface: enp4s0, id: 3030}
    - name: br-lm
      type: linux-bridge
      state: up
      mtu: 1500
      ipv4: {enabled: false}
      ipv6: {enabled: false}
      bridge: {options: {stp: {enabled: false}}, port: [{name: enp4s0.3030}]}
"""
OVS_BRIDGE_SPEC = """
nodeSelector: {}
maxUnavailable: 1
desiredState:
  interfaces:
    - {name: enp4s0, type: ethernet, state: up, mtu: 9000, ipv4: {enabled: false}, ipv6: {enabled: false}}
    - name: br-lm
      type: ovs-bridge
      state: up
      bridge: {allow-extra-patch-ports: true, options: {stp: {enabled: false}}, port: [{name: enp4s0}]}
  ovn:
    bridge-mappings:
      - {localnet: migration-network, bridge: br-lm, state: present}
"""


@pytest.mark.parametrize(
    ("options", "spec"),
    [
        ({}, VLAN_SPEC),
        ({"topology": "bond", "vlan_id": None, "max_unavailable": "10%", **BOND}, BOND_SPEC),
        ({"topology": "linux-bridge", "mtu": 1500, "node_selector": {"zone": "a"}}, LINUX_BRIDGE_SPEC),
        ({"topology": "ovs-bridge", "node_selector": {}}, OVS_BRIDGE_SPEC),
    ],
)
def test_policies_are_as_written_down(options: Obj, spec: str) -> None:
    assert policy_spec(wanted(**options)) == yaml.safe_load(spec)


@pytest.mark.parametrize(
    ("options", "config"),
    [
        # the seeds' example with the right key and master
        (
            {"exclude": ["10.200.5.0/30"]},
            {
                "type": "macvlan", "master": "enp4s0.3030", "mode": "bridge", "mtu": 9000,
                "ipam": {"type": "whereabouts", "range": "10.200.5.0/24", "exclude": ["10.200.5.0/30"]},
            },
        ),
        (
            {"attachment": "ipvlan", "range_start": "10.200.5.10", "range_end": "10.200.5.99"},
            {
                "type": "ipvlan", "master": "enp4s0.3030", "mode": "l2", "mtu": 9000,
                "ipam": {"type": "whereabouts", "range": "10.200.5.0/24", "range_start": "10.200.5.10",
                         "range_end": "10.200.5.99"},
            },
        ),
        (
            {"topology": "linux-bridge", "vlan_id": None},
            {
                "type": "bridge", "bridge": "br-lm", "mtu": 9000,
                "ipam": {"type": "whereabouts", "range": "10.200.5.0/24"},
            },
        ),
        (
            {"topology": "ovs-bridge", "exclude": ["10.200.5.0/30", "10.200.5.9/32"]},
            {
                "type": "ovn-k8s-cni-overlay", "topology": "localnet", "mtu": 9000, "vlanID": 3030,
                "netAttachDefName": "openshift-cnv/migration-network", "subnets": "10.200.5.0/24",
                "excludeSubnets": "10.200.5.0/30,10.200.5.9/32",
            },
        ),
    ],
)  # fmt: skip
def test_attachments_are_as_written_down(options: Obj, config: Obj) -> None:
    assert attachment_config(wanted(**options)) == {"cniVersion": "0.3.1", "name": "migration-network", **config}


def cases() -> list[Obj]:
    return [
        {"topology": topology, "attachment": kind, "vlan_id": 3030 if topology == "vlan" else None}
        for topology in TOPOLOGIES
        for kind in ATTACHMENTS[topology]
    ]


@pytest.mark.parametrize("options", cases(), ids=lambda options: f"{options['topology']}-{options['attachment']}")
def test_the_crds_take_all_of_them(options: Obj) -> None:
    network = wanted(**options)
    made = attachment(network, "{}")
    assert json.loads(made["spec"]["config"])["name"] == "migration-network"
    documents = [("k8s.cni.cncf.io", made)]
    if network.configures_nodes:
        documents.append(("nmstate.io", policy(network, policy_spec(network), "{}")))
    if CRDS_TO_BE_HAD:
        from simcluster.schema import Registry

        registry = Registry()
        for group, document in documents:
            resource = registry.by_kind(group, document["kind"])
            assert resource is not None
            assert registry.process(resource, "v1", document, field_validation="Strict") == []


@pytest.mark.parametrize("options", cases(), ids=lambda options: f"{options['topology']}-{options['attachment']}")
def test_every_layer_but_an_ovs_bridge_states_the_mtu(options: Obj) -> None:
    network = wanted(**options, mtu=4321)
    assert attachment_config(network)["mtu"] == 4321
    if network.configures_nodes:
        for entry in policy_spec(network)["desiredState"].get("interfaces") or ():
            assert entry.get("mtu", 4321 if entry["type"] == "ovs-bridge" else None) == 4321
