#!/usr/bin/python
# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: migration_preflight
short_description: Check whether a cluster is ready for migrating VMs
version_added: 0.1.0
description:
  - Checks what has to be in order before VMs are moved. Each check says V(ok), V(warning), V(failed) or V(unknown),
    with the evidence it rests on and a hint.
  - V(storage) - can the running VMs among the selected ones be migrated live, by their volumes and otherwise.
  - V(network) - do all nodes that run VMs answer (ready, with a recent heartbeat of virt-handler).
  - V(capacity) - is there another node with room for the requests of each running VM.
  - V(virt_handler) - is virt-handler ready on all nodes; one that is not is a warning, more are a failure.
  - V(workload) - are VMs paused, starting, migrating or being snapshotted, and are VMs or nodes so busy that migrations
    take long.
  - V(limits) - are migration slots free, counted as KubeVirt does against C(parallelMigrationsPerCluster); pending
    migrations hold none.
  - V(targets) - is there another node to go to.
  - V(kubevirt) and V(hyperconverged) - are KubeVirt and its operator available and done with changes.
  - V(workload_updates) - is KubeVirt about to migrate VMs itself, after an update.
  - V(descheduler) - does a descheduler move VMs at the same time.
  - V(evacuations) - are nodes being drained.
  - V(targeted_migration) - can a migration be sent to a chosen node.
  - V(permissions) - may this account do what a run does.
  - V(quota) - do resource quotas leave room for the second pod that a VM has while it migrates.
  - V(metrics) - is the usage of nodes and VMs known.
  - Says why migrations of the selected VMs wait, or have failed within a day, with the evidence for it and the setting
    that would change it (RV(diagnoses)). KubeVirt keeps the last five ended migrations of each VM.
  - Reads the cluster with list calls, and asks the API server once for each right.
author:
  - the ocpv.scale contributors (@ocpv)
options:
  fail_on:
    description:
      - The checks that make the module fail when they say V(failed). Warnings and what is not known never do.
      - With an empty list the module never fails because of what it finds.
    type: list
    elements: str
    choices:
      - storage
      - network
      - capacity
      - virt_handler
      - workload
      - limits
      - targets
      - kubevirt
      - hyperconverged
      - workload_updates
      - descheduler
      - evacuations
      - targeted_migration
      - permissions
      - quota
      - metrics
    default:
      - storage
      - network
      - capacity
      - virt_handler
      - workload
      - limits
      - targets
      - kubevirt
      - hyperconverged
      - workload_updates
      - descheduler
      - evacuations
      - targeted_migration
      - permissions
      - quota
      - metrics
  state_namespace:
    description:
      - Namespace in which runs keep their state, for V(permissions).
    type: str
    default: ocpv-scale
extends_documentation_fragment:
  - ocpv.scale.vm_selection
  - ocpv.scale.snapshot_source
  - ocpv.scale.auth
  - ocpv.scale.attributes.read_only
  - ocpv.scale.attributes.action_group
seealso:
  - module: ocpv.scale.vm_rwx_check
  - module: ocpv.scale.rebalance_plan
"""

EXAMPLES = r"""
- name: Stop unless the cluster is ready for migrations
  ocpv.scale.migration_preflight:

- name: Look at everything, and go on in any case
  ocpv.scale.migration_preflight:
    fail_on: []
  register: preflight

- name: Check what matters for moving the databases
  ocpv.scale.migration_preflight:
    namespaces: [shop-db]
    fail_on: [storage, capacity, virt_handler, limits, permissions]

- name: Check the state that a must-gather shows
  ocpv.scale.migration_preflight:
    snapshot: /srv/support/must-gather.local.4711
    fail_on: []
"""

RETURN = r"""
msg:
  description: The result in words.
  returned: always
  type: str
  sample: "Checks: 14 ok, 2 warning, 0 failed, 0 unknown."
passed:
  description: Whether none of the checks in O(fail_on) has failed.
  returned: always
  type: bool
  sample: true
counts:
  description: How many checks have each status.
  returned: always
  type: dict
  sample: {ok: 14, warning: 2, failed: 0, unknown: 0}
fatal:
  description: Names of the checks that made the module fail.
  returned: always
  type: list
  elements: str
  sample: []
lines:
  description: One line per check, for people.
  returned: always
  type: list
  elements: str
  sample:
    - "OK      limits: 0 of 5 migrations are in flight; at most 2 may leave a node."
captured_at:
  description: When the state of the cluster was read, by the API server's clock.
  returned: always
  type: str
  sample: "2026-03-01T12:30:05Z"
checks:
  description: The checks, always all of them and in the same order.
  returned: always
  type: list
  elements: dict
  contains:
    name:
      description: Name of the check.
      type: str
      sample: virt_handler
    status:
      description: V(ok), V(warning), V(failed), or V(unknown) if what it needs could not be read.
      type: str
      sample: warning
    message:
      description: What was found.
      type: str
      sample: "virt-handler is not ready on 1 node: worker-03."
    hint:
      description: What to do about it; may be empty.
      type: str
      sample: Wait if its DaemonSet is being rolled out (after a change of the migration network or an update).
    fatal:
      description: Whether it made the module fail.
      type: bool
      sample: false
    evidence:
      description: The numbers and names it rests on. Lists of names hold 20 at most.
      type: dict
      sample: {ready: 11, not_ready: [worker-03]}
diagnoses:
  description:
    - Causes of trouble with migrations of the selected VMs, those under way first. A migration may have several causes,
      the likeliest first. Empty if all migrations go on as they should.
    - From a dump there are no events and no messages of the scheduler, so that some causes are told less exactly.
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
    migration:
      description: Name of the VirtualMachineInstanceMigration.
      type: str
      sample: kubevirt-migrate-vm-x7k2p
    phase:
      description: Its phase.
      type: str
      sample: Failed
    created_at:
      description: When it was made.
      type: str
      sample: "2026-03-01T12:10:00Z"
    ended_at:
      description: When it ended; empty if it is under way.
      type: str
      sample: "2026-03-01T12:22:12Z"
    source_node:
      description: The node it leaves.
      type: str
      sample: worker-03
    target_node:
      description: The node it goes to; empty if none was chosen.
      type: str
      sample: worker-07
    symptom:
      description:
        - What is wrong, for programs.
        - "Of migrations that wait: V(cluster_limit_reached), V(node_limit_reached), V(quota), V(backoff), V(blocked),
          V(vm_not_running), V(target_pod_refused), V(not_started), V(target_unschedulable), V(target_cordoned),
          V(invalid_selector), V(host_model), V(target_pod_starting), V(preparing_stuck)."
        - "Of others: V(completion_timeout), V(progress_timeout), V(network_saturation), V(virt_handler_not_ready),
          V(migration_network_unreachable), V(node_lost), V(target_pod_died), V(aborted), V(vm_stopped),
          V(other_migration), V(source_failed)."
      type: str
      sample: completion_timeout
    likely_cause:
      description: The cause in a sentence.
      type: str
      sample: The guest changes its memory faster than it is copied, so the copy never ends.
    evidence:
      description: Facts of the cluster that it rests on, one sentence each.
      type: list
      elements: str
      sample:
        - "The limit was 720 s: 20 s for each of 36 started GB; it copied for 721 s."
    settings:
      description:
        - Settings that would change it, the best first; may be empty. C(option) is one of C(module)
          (V(hco_migration_config) for the cluster, V(migration_policy) for some VMs), with its value in force and one
          that follows from the evidence.
      type: list
      elements: dict
      sample:
        - module: migration_policy
          option: allow_auto_converge
          current: false
          suggested: true
    remedy:
      description: What to do.
      type: str
      sample: Allow VMs like this auto-converge by a MigrationPolicy, or move the VM cold.
    source:
      description: The guide's section, or the part of KubeVirt, that tells of it.
      type: str
      sample: "live-migration guide, Issue 1: Migration Timeout"
diagnosis_lines:
  description: One line for each of RV(diagnoses), for people.
  returned: always
  type: list
  elements: str
  sample:
    - >-
      shop/web-4, Pending (cluster_limit_reached): The cluster's limit of migrations is reached. Migration shop/m4 is
      Pending for 40 s and has no target pod.
"""

from ansible_collections.ocpv.scale.plugins.module_utils import names
from ansible_collections.ocpv.scale.plugins.module_utils.ansible_support import run_module
from ansible_collections.ocpv.scale.plugins.module_utils.cluster import resources
from ansible_collections.ocpv.scale.plugins.module_utils.cluster.select import Selection, choose
from ansible_collections.ocpv.scale.plugins.module_utils.cluster.source import obtain
from ansible_collections.ocpv.scale.plugins.module_utils.errors import Forbidden
from ansible_collections.ocpv.scale.plugins.module_utils.migration.checks_machines import parse_quota
from ansible_collections.ocpv.scale.plugins.module_utils.migration.diagnosis.cases import (
    Observed,
    diagnoses,
    lines,
    troubled,
)
from ansible_collections.ocpv.scale.plugins.module_utils.migration.diagnosis.observe import observe
from ansible_collections.ocpv.scale.plugins.module_utils.migration.preflight import CHECKS, preflight, preflight_result
from ansible_collections.ocpv.scale.plugins.module_utils.migration.rights import RIGHTS


def ask_rights(gateway, state_namespace):
    return {
        right: gateway.can_i(
            right.verb,
            right.resource,
            state_namespace if right.in_state_namespace else None,
            subresource=right.subresource,
            group=right.group or None,
        )
        for right in RIGHTS
    }


def read_quotas(gateway):
    try:
        found = gateway.list_as(resources.RESOURCE_QUOTAS, parse_quota)
    except Forbidden:
        return None
    return [quota for quota in found.items if quota is not None]


def check(module, connect):
    params = module.params
    selection = Selection(
        namespaces=tuple(params["namespaces"]),
        names=tuple(params["names"]),
        label_selector=params["label_selector"],
        select=params["select"],
    )
    gateway = None if params["snapshot"] else connect()
    snapshot = obtain(params["snapshot"], lambda: gateway, required=("nodes", "virtual_machines"))
    machines = choose(snapshot, selection)
    rights = ask_rights(gateway, params["state_namespace"]) if gateway else None
    quotas = read_quotas(gateway) if gateway else None
    checks = preflight(snapshot, machines, rights=rights, quotas=quotas)
    keys = {vm.key for vm in machines}
    observed = observe(gateway, troubled(snapshot, keys)) if gateway else Observed()
    found = diagnoses(snapshot, keys, observed, quotas)
    result = {
        "captured_at": snapshot.captured_at,
        "diagnoses": found,
        "diagnosis_lines": lines(found),
        **preflight_result(checks, params["fail_on"]),
    }
    if not result["passed"]:
        module.fail_json(**result)
    return result


def main():
    run_module(
        {
            "snapshot": {"type": "path"},
            "namespaces": {"type": "list", "elements": "str", "default": []},
            "names": {"type": "list", "elements": "str", "default": []},
            "label_selector": {"type": "str", "default": ""},
            "select": {"type": "str", "default": ""},
            "fail_on": {"type": "list", "elements": "str", "choices": list(CHECKS), "default": list(CHECKS)},
            "state_namespace": {"type": "str", "default": names.STATE_NAMESPACE},
        },
        check,
    )


if __name__ == "__main__":
    main()
