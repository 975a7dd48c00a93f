#!/usr/bin/python
# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: migration_advice
short_description: Compute live-migration settings that fit a cluster
version_added: 0.1.0
description:
  - Computes live-migration settings from the number of nodes, the link that they have for migrations, and the sizes and
    dirty rates of the VMs, with the reason and the numbers for each value, beside the values in force.
  - Names the VMs whose migration would not end under these settings, and what helps each of them.
  - Limits are chosen so that the migrations which leave a node, and those which are to be expected to reach one, never
    carry more than the share of the link that they may use.
  - Without a dedicated migration network at most 2 migrations leave a node and 5 are in flight in the cluster; with
    one, fast links and many nodes allow up to 4 and 20.
  - Post-copy and workload disruption are never advised for a whole cluster, only for single VMs by a MigrationPolicy.
  - Durations come from a model of pre-copy migration. What was measured of a VM counts before O(dirty_rates), and that
    before the assumptions for the workload classes.
  - Reads the cluster with list calls only.
author:
  - the ocpv.scale contributors (@ocpv)
options:
  link_bandwidth:
    description:
      - What a node's link for migrations carries per second, as bytes (V(3G), V(3GB/s), V(1250Mi)) or as bits
        (V(25Gbit/s), V(25Gbps)); a small C(b) is a bit.
      - Without it the speed of the card is read from the NodeNetworkStates of the live cluster, that of the slowest
        node; where that is not known either, V(10Gbit/s) is assumed, and the result says so.
    type: str
  link_interface:
    description:
      - Name of the interface (card, bond, bridge or VLAN) whose speed is read from the NodeNetworkStates.
      - By default that of the migration network's NetworkAttachmentDefinition, or of the default route if migrations
        have no network of their own.
    type: str
  link_share_percent:
    description:
      - How much of the link migrations may use. By default 80 of a dedicated link, and 50 of a shared one.
    type: int
  dedicated_network:
    description:
      - Whether the link carries migrations only. By default it does if a migration network is set.
      - State it to see the advice for a network that is still to be made.
    type: bool
  dirty_rates:
    description:
      - How fast guests change their memory, in bytes per second by workload class (the label C(ocpv.scale/workload)),
        such as V(200Mi) for V(database). It takes the place of what is assumed for the class.
    type: dict
    default: {}
extends_documentation_fragment:
  - ocpv.scale.vm_selection
  - ocpv.scale.snapshot_source
  - ocpv.scale.auth
  - ocpv.scale.attributes.read_only
  - ocpv.scale.attributes.action_group
seealso:
  - module: ocpv.scale.hco_migration_config
  - module: ocpv.scale.migration_policy
  - module: ocpv.scale.migration_preflight
"""

EXAMPLES = r"""
- name: Ask what fits the cluster as it is
  ocpv.scale.migration_advice:
  register: advice

- name: Show it
  ansible.builtin.debug:
    msg: "{{ advice.text.splitlines() }}"

- name: Apply it
  ocpv.scale.hco_migration_config:
    parallel_migrations_per_cluster: "{{ advice.recommended.parallel_migrations_per_cluster }}"
    parallel_outbound_migrations_per_node: "{{ advice.recommended.parallel_outbound_migrations_per_node }}"
    bandwidth_per_migration: "{{ advice.recommended.bandwidth_per_migration }}"
    completion_timeout_seconds_per_gib: "{{ advice.recommended.completion_timeout_seconds_per_gib }}"
    progress_timeout_seconds: "{{ advice.recommended.progress_timeout_seconds }}"

- name: See what a dedicated network of 25 Gbit/s would allow
  ocpv.scale.migration_advice:
    snapshot: /srv/snapshots/prod.json.gz
    link_bandwidth: 25Gbit/s
    dedicated_network: true
    dirty_rates:
      database: 200Mi
"""

RETURN = r"""
recommended:
  description: The advised values, by the names of the options of M(ocpv.scale.hco_migration_config).
  returned: always
  type: dict
  contains:
    parallel_migrations_per_cluster:
      description: Migrations at once in the cluster.
      type: int
      sample: 10
    parallel_outbound_migrations_per_node:
      description: Migrations at once that leave a node.
      type: int
      sample: 2
    bandwidth_per_migration:
      description: Bytes per second for each, in whole MiB.
      type: str
      sample: 1192Mi
    completion_timeout_seconds_per_gib:
      description: Seconds for each started gigabyte of a VM.
      type: int
      sample: 150
    progress_timeout_seconds:
      description: Seconds without progress.
      type: int
      sample: 150
    allow_auto_converge:
      description: Whether guests that change memory too fast are slowed down.
      type: bool
      sample: false
    allow_post_copy:
      description: Whether post-copy is allowed for every VM; always V(false).
      type: bool
      sample: false
    allow_workload_disruption:
      description: Whether a guest may be paused to let a migration end; always V(false).
      type: bool
      sample: false
current:
  description: >-
    The values in force by the same names, empty if they could not be read. A bandwidth of null is no limit.
  returned: always
  type: dict
  sample: {parallel_migrations_per_cluster: 5, bandwidth_per_migration: null}
reasons:
  description: One entry for each setting, in the order of RV(recommended).
  returned: always
  type: list
  elements: dict
  contains:
    setting:
      description: Name of the setting.
      type: str
      sample: parallel_outbound_migrations_per_node
    current:
      description: The value in force, null if it is not known.
      type: raw
      sample: 1
    recommended:
      description: The advised value.
      type: raw
      sample: 2
    reason:
      description: Why, with the numbers.
      type: str
      sample: 2 is the proven value; more need a dedicated network of 25 Gbit/s or more.
not_converging:
  description: VMs whose live migration would not end under the advised settings, in the order of their names.
  returned: always
  type: list
  elements: dict
  contains:
    namespace:
      description: Namespace of the VM.
      type: str
      sample: shop
    name:
      description: Name of the VM.
      type: str
      sample: cache-01
    workload:
      description: Its workload class; may be empty.
      type: str
      sample: caching
    policy:
      description: Name of the MigrationPolicy that it gets; empty if none.
      type: str
      sample: ""
    memory_bytes:
      description: Its memory.
      type: int
      sample: 34359738368
    dirty_bytes_per_second:
      description: How fast it changes its memory.
      type: int
      sample: 314572800
    dirty_rate_origin:
      description: V(measured), V(given) (by O(dirty_rates)) or V(assumed) for its workload class.
      type: str
      sample: assumed
    bandwidth_bytes_per_second:
      description: How fast a migration of it would send.
      type: int
      sample: 124780544
    code:
      description: V(too_dirty) if it changes memory faster than that is sent, V(too_long) if it runs into the timeout.
      type: str
      sample: too_dirty
    reason:
      description: The same for people.
      type: str
      sample: "Its memory changes at 315 MB/s (assumed) and a migration sends 125 MB/s: the copy never catches up."
    helps:
      description: >-
        What helps, each with its C(way), a C(text), and values for a C(policy) of M(ocpv.scale.migration_policy) if
        there are any.
      type: list
      elements: dict
      sample:
        - way: auto_converge
          text: Auto-converge slows its CPUs down until the copy catches up; what it serves slows down meanwhile.
          policy: {allow_auto_converge: true}
facts:
  description: What the advice rests on.
  returned: always
  type: dict
  sample:
    nodes: 12
    virtual_machines: 61
    not_live_migratable: 3
    dedicated_network: false
    link_bytes_per_second: 1250000000
    link_share_percent: 50
    link_origin: interface of the default route by NodeNetworkState, slowest on worker-03
    settings_source: HyperConverged openshift-cnv/kubevirt-hyperconverged (hco.kubevirt.io/v1)
text:
  description: All of it in words, one line for each setting and each VM that would not get there.
  returned: always
  type: str
captured_at:
  description: When the state of the cluster was read, by the API server's clock.
  returned: always
  type: str
  sample: "2026-03-01T12:30:05Z"
missing:
  description: What could not be read of the cluster, with the reason.
  returned: always
  type: dict
  sample: {}
"""

from ansible_collections.ocpv.scale.plugins.module_utils.ansible_support import run_module
from ansible_collections.ocpv.scale.plugins.module_utils.cluster import resources
from ansible_collections.ocpv.scale.plugins.module_utils.cluster.select import Selection, choose
from ansible_collections.ocpv.scale.plugins.module_utils.cluster.source import obtain
from ansible_collections.ocpv.scale.plugins.module_utils.errors import Forbidden, NotFound
from ansible_collections.ocpv.scale.plugins.module_utils.migration.advice.advise import advice_result, advise
from ansible_collections.ocpv.scale.plugins.module_utils.migration.advice.facts import PARTS, facts_from, parse_rates
from ansible_collections.ocpv.scale.plugins.module_utils.migration.advice.links import link_from


def read_links(gateway, snapshot):
    """NodeNetworkStates and the migration network's definition, empty where they are not served or not allowed."""
    settings = snapshot.virtualization.settings
    states, attachment = [], None
    try:
        states = gateway.list(resources.NODE_NETWORK_STATES).items
        if settings and settings.network:
            namespace = snapshot.virtualization.namespace
            attachment = gateway.get(resources.NETWORK_ATTACHMENTS, settings.network, namespace)
    except (Forbidden, NotFound):
        pass
    return states, attachment


def advice(module, connect):
    params = module.params
    selection = Selection(
        namespaces=tuple(params["namespaces"]),
        names=tuple(params["names"]),
        label_selector=params["label_selector"],
        select=params["select"],
    )
    rates = parse_rates(params["dirty_rates"])
    gateway = None if params["snapshot"] else connect()
    snapshot = obtain(params["snapshot"], lambda: gateway, PARTS, required=("nodes", "virtual_machines"))
    links = read_links(gateway, snapshot) if gateway and not params["link_bandwidth"] else ()
    facts = facts_from(snapshot, choose(snapshot, selection), link_from(snapshot, params, *links), rates)
    missing = {part: reason for part, reason in snapshot.missing.items() if part in PARTS}
    return {"captured_at": snapshot.captured_at, "missing": missing, **advice_result(advise(facts))}


def main():
    run_module(
        {
            "snapshot": {"type": "path"},
            "namespaces": {"type": "list", "elements": "str", "default": []},
            "names": {"type": "list", "elements": "str", "default": []},
            "label_selector": {"type": "str", "default": ""},
            "select": {"type": "str", "default": ""},
            "link_bandwidth": {"type": "str"},
            "link_interface": {"type": "str"},
            "link_share_percent": {"type": "int"},
            "dedicated_network": {"type": "bool"},
            "dirty_rates": {"type": "dict", "default": {}},
        },
        advice,
    )


if __name__ == "__main__":
    main()
