#!/usr/bin/python
# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: migration_policy_info
short_description: Tell which MigrationPolicy each VM gets, and why
version_added: 0.1.0
description:
  - Tells for each selected VM which MigrationPolicy holds for its next migration, by which labels, which other policies
    match it and why they do not hold, and the settings that follow from the cluster's and the policy's.
  - Works on the live cluster, on a snapshot and on a dump, which needs C(virtualmachines), C(virtualmachineinstances),
    C(namespaces), C(migrationpolicies) and C(kubevirts).
  - The labels of a VM's instance count. Those of its template count for a VM without instance, and for one that is
    started again.
author:
  - the ocpv.scale contributors (@ocpv)
extends_documentation_fragment:
  - ocpv.scale.vm_selection
  - ocpv.scale.snapshot_source
  - ocpv.scale.auth
  - ocpv.scale.attributes.read_only
  - ocpv.scale.attributes.action_group
seealso:
  - module: ocpv.scale.migration_policy
  - module: ocpv.scale.cluster_snapshot
"""

EXAMPLES = r"""
- name: Tell which policy the databases get
  ocpv.scale.migration_policy_info:
    namespaces: [databases]
  register: policies

- name: Look for VMs without a policy, without access to the cluster
  ocpv.scale.migration_policy_info:
    snapshot: /srv/plans/prod-1.json.gz
  register: policies
  failed_when: "'' in policies.counts"
"""

RETURN = r"""
virtual_machines:
  description: The selected VMs in the order of namespace and name.
  returned: success
  type: list
  elements: dict
  contains:
    namespace:
      description: Namespace of the VM.
      type: str
      sample: databases
    name:
      description: Name of the VM.
      type: str
      sample: database-01
    workload:
      description: Its label C(ocpv.scale/workload), or its namespace's; empty if there is none.
      type: str
      sample: database
    running:
      description: Whether it runs.
      type: bool
      sample: true
    policy:
      description: The policy it gets; empty if none matches.
      type: str
      sample: workload-database
    why:
      description: By which labels, and why before the others.
      type: str
      sample: It matches by ocpv.scale/workload=database of the VM.
    matched:
      description: The labels by which it matches, as C(vmi_labels) and C(namespace_labels).
      type: dict
      sample: {vmi_labels: {ocpv.scale/workload: database}, namespace_labels: {}}
    competing:
      description: >-
        The other policies that match, the next one first, with their labels and why each comes later (C(loses)).
      type: list
      elements: dict
      sample: [{name: all, vmi_labels: {}, namespace_labels: {}, loses: by more matching labels}]
    policy_after_restart:
      description: The policy it gets once it is started anew, with the labels of its template.
      type: str
      sample: workload-database
    settings:
      description: The settings for its next migration; empty if the cluster's are not known. Bandwidth 0 is no limit.
      type: dict
      sample:
        completion_timeout_seconds_per_gib: 1600
        bandwidth_bytes_per_second: 0
        allow_auto_converge: true
        allow_post_copy: false
        allow_workload_disruption: false
    from_policy:
      description: The settings in which the policy differs from the cluster's.
      type: list
      elements: str
      sample: [completion_timeout_seconds_per_gib, allow_auto_converge]
counts:
  description: How many of the VMs get each policy; those that get none are counted by the empty name.
  returned: success
  type: dict
  sample: {"": 119, workload-database: 31}
policies:
  description: The policies of the cluster in the order of their names.
  returned: success
  type: list
  elements: dict
  sample:
    - name: workload-database
      vmi_labels: {ocpv.scale/workload: database}
      namespace_labels: null
      spec: {completionTimeoutPerGiB: 1600, allowAutoConverge: true}
      virtual_machines: 31
captured_at:
  description: When the state of the cluster was read, by the API server's clock.
  returned: success
  type: str
  sample: "2026-03-01T12:30:05Z"
missing:
  description: Parts of the cluster's state that could not be read, with the reason. The answer is less certain then.
  returned: success
  type: dict
  sample: {}
"""

from ansible_collections.ocpv.scale.plugins.module_utils.ansible_support import run_module
from ansible_collections.ocpv.scale.plugins.module_utils.cluster.select import Selection, choose
from ansible_collections.ocpv.scale.plugins.module_utils.cluster.source import obtain
from ansible_collections.ocpv.scale.plugins.module_utils.migration.policies.result import check_known, info, parts_for


def tell(module, connect):
    params = module.params
    selection = Selection(
        namespaces=tuple(params["namespaces"]),
        names=tuple(params["names"]),
        label_selector=params["label_selector"],
        select=params["select"],
    )
    parts = parts_for(params["select"])
    snapshot = obtain(params["snapshot"], connect, parts, required=("virtual_machines",))
    check_known(snapshot, params["snapshot"])
    missing = {part: reason for part, reason in snapshot.missing.items() if part in parts}
    if missing:
        module.warn(f"Not known: {', '.join(missing)}. The result's key missing says why.")
    return {"captured_at": snapshot.captured_at, "missing": missing, **info(snapshot, choose(snapshot, selection))}


def main():
    run_module(
        {
            "snapshot": {"type": "path"},
            "namespaces": {"type": "list", "elements": "str", "default": []},
            "names": {"type": "list", "elements": "str", "default": []},
            "label_selector": {"type": "str", "default": ""},
            "select": {"type": "str", "default": ""},
        },
        tell,
    )


if __name__ == "__main__":
    main()
