#!/usr/bin/python
# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: migration_network
short_description: Make or remove the node networks of a dedicated migration network
version_added: 0.1.0
description:
  - Makes a network that live migrations can have for themselves - a NodeNetworkConfigurationPolicy, by which nmstate
    configures the nodes, and a NetworkAttachmentDefinition, by which virt-handler's pods get an interface in it.
  - Checks everything against the cluster before anything is written - interfaces, MTU and other policies on every node,
    ranges and the number of addresses, names and namespace. What cannot work fails with the option, its value, what is
    allowed and what to do; C(problems) lists all findings.
  - Waits until nmstate has configured every node. When a node fails, the policy goes back to what it stated before, or
    is removed with the interfaces it made, and the error holds what nmstate said of each node.
  - A call that was interrupted is gone on with by the next one.
  - What was there before is recorded in an annotation, so that O(state=absent) restores it. Objects of others are never
    removed.
  - Does not tell KubeVirt to use the network; M(ocpv.scale.hco_migration_config) does, and the role
    P(ocpv.scale.migration_network#role) calls both in the right order.
author:
  - the ocpv.scale contributors (@ocpv)
options:
  state:
    description:
      - With V(present) the network is made, with V(absent) removed. It is not removed while the HyperConverged names it
        or pods have an interface in it.
    type: str
    choices: [present, absent]
    default: present
  name:
    description:
      - Name of the NetworkAttachmentDefinition, by which the HyperConverged names the network.
    type: str
    default: migration-network
  namespace:
    description:
      - Namespace of the NetworkAttachmentDefinition. Only the HyperConverged's works, which is the default.
    type: str
  policy_name:
    description:
      - Name of the NodeNetworkConfigurationPolicy, by default that of the network.
      - A policy of that name that exists keeps its other interfaces, if it is for the same nodes.
    type: str
  topology:
    description:
      - What is made of the network cards. Needed with O(state=present).
      - V(vlan) - a VLAN on the card, or on a bond of several cards. The card's other networks stay.
      - V(ethernet) - the card itself, of which only the MTU is set.
      - V(bond) - a bond of the cards.
      - V(linux-bridge) and V(ovs-bridge) - a bridge on the card or on a bond of several cards.
      - V(existing) - nothing; the interface or bridge is there.
    type: str
    choices: [existing, ethernet, vlan, bond, linux-bridge, ovs-bridge]
  interfaces:
    description:
      - The network cards, the same on all nodes; with O(topology=existing) the interface or bridge. Several are bonded.
      - None of them may carry the default route, which OVN-Kubernetes has in its bridge C(br-ex).
      - Needed with O(state=present).
    type: list
    elements: str
    default: []
  device:
    description:
      - Name of the VLAN or bridge to make, 15 characters at most. By default C(card.vlan) or V(br-lm).
    type: str
  bond_name:
    description:
      - Name of the bond.
    type: str
    default: bond-lm
  bond_mode:
    description:
      - Mode of the bond. V(802.3ad) (LACP) needs the switch to be configured for it.
    type: str
    choices: [balance-rr, active-backup, balance-xor, broadcast, 802.3ad, balance-tlb, balance-alb]
    default: active-backup
  bond_options:
    description:
      - Options of the bond as nmstate has them, such as C(miimon).
    type: dict
    default: {}
  vlan_id:
    description:
      - Number of the VLAN. Needed with O(topology=vlan); bridges may have one, too.
    type: int
  mtu:
    description:
      - MTU in bytes, on every layer. All switch ports between the nodes have to allow it.
    type: int
    default: 9000
  attachment:
    description:
      - How pods get their interface.
      - By default V(macvlan) with the topologies V(existing), V(ethernet), V(vlan) and V(bond), V(bridge) with
        V(linux-bridge), and V(localnet) (of OVN-Kubernetes) with V(ovs-bridge).
    type: str
    choices: [macvlan, ipvlan, bridge, localnet]
  range:
    description:
      - Network whose addresses virt-handler gets, one per node, such as V(10.200.5.0/24). Handed out by whereabouts, or
        with O(attachment=localnet) by OVN-Kubernetes.
      - Needed with O(state=present).
    type: str
  range_start:
    description:
      - First address to hand out, by default the first of the network.
    type: str
  range_end:
    description:
      - Last address to hand out, by default the last of the network.
    type: str
  exclude:
    description:
      - Parts of O(range) that are not handed out, such as V(10.200.5.0/30).
    type: list
    elements: str
    default: []
  other_ranges:
    description:
      - Further networks that O(range) must not overlap with, such as those of storage. Pod and service networks, the
        nodes' networks, and ranges of other network attachments are known by themselves.
    type: list
    elements: str
    default: []
  node_selector:
    description:
      - Labels of the nodes to configure. All nodes that run virt-handler have to be among them.
      - The default is the label of workers, C(node-role.kubernetes.io/worker) with an empty value.
    type: dict
  max_unavailable:
    description:
      - How many nodes are configured at a time, a number or a percentage.
    type: str
    default: "1"
  timeout_seconds:
    description:
      - How long to wait for the next node to be configured. As long as nodes get on there is no limit.
    type: int
    default: 900
  restore:
    description:
      - With O(state=absent) the return value C(before) of an earlier call, to restore what that call found instead of
        what there was before the network was first made.
    type: dict
extends_documentation_fragment:
  - ocpv.scale.auth
  - ocpv.scale.attributes
  - ocpv.scale.attributes.action_group
attributes:
  check_mode:
    support: full
    details:
      - Whether the network is still in use is not looked at, since unsetting it comes first.
  diff_mode:
    support: full
  idempotent:
    support: full
  platform:
    support: full
seealso:
  - module: ocpv.scale.migration_network_verify
  - module: ocpv.scale.hco_migration_config
"""

EXAMPLES = r"""
- name: A VLAN on a card that all nodes have
  ocpv.scale.migration_network:
    topology: vlan
    interfaces: [enp4s0]
    vlan_id: 3030
    range: 10.200.5.0/24
    exclude: [10.200.5.0/30]

- name: A bond of two cards, ten percent of the nodes at a time
  ocpv.scale.migration_network:
    topology: bond
    interfaces: [ens2f0, ens2f1]
    bond_mode: 802.3ad
    bond_options: {miimon: 100}
    range: 10.200.5.0/24
    max_unavailable: 10%

- name: Use a bridge that is there
  ocpv.scale.migration_network:
    topology: existing
    interfaces: [br-storage]
    attachment: bridge
    mtu: 1500
    range: 10.200.5.0/24

- name: Remove it
  ocpv.scale.migration_network:
    state: absent
"""

RETURN = r"""
msg:
  description: What was done, in words.
  returned: always
  type: str
  sample: "Migration network migration-network: Node network policy migration-network: created."
lines:
  description: What was done or would be done to each object, and what was left.
  returned: success
  type: list
  elements: str
  sample: ["Network attachment openshift-cnv/migration-network: created."]
namespace:
  description: The HyperConverged's namespace.
  returned: success
  type: str
  sample: openshift-cnv
policy_name:
  description: Name of the NodeNetworkConfigurationPolicy.
  returned: success
  type: str
  sample: migration-network
config:
  description: The CNI configuration in the NetworkAttachmentDefinition, empty when it was removed.
  returned: success
  type: dict
  sample: {cniVersion: 0.3.1, name: migration-network, type: macvlan, master: enp4s0.3030, mode: bridge, mtu: 9000}
nodes:
  description: How nmstate has ended on each node; empty in check mode and without a policy.
  returned: success
  type: list
  elements: dict
  contains:
    node:
      description: Name of the node.
      type: str
      sample: worker-01
    status:
      description: V(configured), or V(not_ready) for a node that is configured when it is ready again.
      type: str
      sample: configured
    message:
      description: What nmstate said; may be empty.
      type: str
      sample: ""
problems:
  description: Findings that people should know of; those that keep the network from being made are in C(details) of the
    failure, in the same form.
  returned: success
  type: list
  elements: dict
  contains:
    code:
      description: What kind of finding it is.
      type: str
      sample: range_tight
    severity:
      description: V(warning) or V(error).
      type: str
      sample: warning
    option:
      description: The option it is about.
      type: str
      sample: range
    value:
      description: The option's value.
      type: raw
      sample: 10.200.5.0/27
    allowed:
      description: What was found, or what is allowed.
      type: str
      sample: it has 30 addresses for 24 nodes, which leaves little room for more
    remedy:
      description: What to do; may be empty.
      type: str
      sample: ""
    nodes:
      description: Where it was found; may be empty.
      type: list
      elements: str
      sample: []
    text:
      description: All of it in words.
      type: str
      sample: "range: '10.200.5.0/27': it has 30 addresses for 24 nodes, which leaves little room for more."
before:
  description: What the call found, for O(restore).
  returned: success
  type: dict
  contains:
    policy:
      description: Spec of the policy, null if there was none.
      type: dict
      sample: null
    attachment:
      description: Spec of the network attachment, null if there was none.
      type: dict
      sample: null
    network:
      description: The migration network that the HyperConverged names, empty for none.
      type: str
      sample: ""
former_network:
  description: With O(state=absent) the migration network that the HyperConverged named before this one was made; may be
    empty.
  returned: success
  type: str
  sample: ""
details:
  description: With a failure, C(problems) that were found before anything was changed, or C(nodes) with what nmstate
    said of each, and C(gone_back), whether the former state is in force again.
  returned: failure
  type: dict
  sample: {gone_back: true, nodes: [{node: worker-03, status: failed, message: "Interface enp4s0 does not exist"}]}
"""

from ansible_collections.ocpv.scale.plugins.module_utils.ansible_support import run_module
from ansible_collections.ocpv.scale.plugins.module_utils.migration.network import wanted
from ansible_collections.ocpv.scale.plugins.module_utils.migration.network.run.operate import run


def main():
    run_module(
        {
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "name": {"type": "str", "default": wanted.DEFAULT_NAME},
            "namespace": {"type": "str"},
            "policy_name": {"type": "str"},
            "topology": {"type": "str", "choices": list(wanted.TOPOLOGIES)},
            "interfaces": {"type": "list", "elements": "str", "default": []},
            "device": {"type": "str"},
            "bond_name": {"type": "str", "default": wanted.DEFAULT_BOND},
            "bond_mode": {"type": "str", "choices": list(wanted.BOND_MODES), "default": "active-backup"},
            "bond_options": {"type": "dict", "default": {}},
            "vlan_id": {"type": "int"},
            "mtu": {"type": "int", "default": wanted.DEFAULT_MTU},
            "attachment": {"type": "str", "choices": list(wanted.ATTACHMENT_KINDS)},
            "range": {"type": "str"},
            "range_start": {"type": "str"},
            "range_end": {"type": "str"},
            "exclude": {"type": "list", "elements": "str", "default": []},
            "other_ranges": {"type": "list", "elements": "str", "default": []},
            "node_selector": {"type": "dict"},
            "max_unavailable": {"type": "str", "default": "1"},
            "timeout_seconds": {"type": "int", "default": 900},
            "restore": {"type": "dict"},
        },
        run,
        required_if=[("state", "present", ("topology", "interfaces", "range"))],
    )


if __name__ == "__main__":
    main()
