#!/usr/bin/python
# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: migration_policy
short_description: Set live-migration limits by workload with MigrationPolicy objects
version_added: 0.1.0
description:
  - Creates, changes and removes MigrationPolicy objects, so that databases or caches migrate with other time-outs,
    bandwidth, auto-converge and post-copy than the rest of the cluster.
  - A policy holds for VMs by labels of their instances and of their namespaces. Of all policies whose labels a VM has,
    it gets the one with most labels; then the one with more labels of the VM; then the one whose name comes first.
  - Tells for every VM which policy it gets before and after, in check mode as well. Migrations under way keep the
    policy that they began with.
  - Labels of a VM's template reach its instance when that is made, so a VM that runs is only matched by labels that its
    instance has.
  - An entry says all there is to say about a policy. What O(policies) does not state is taken away from the object,
    but for its field C(experimental), which stays as it is.
  - The API server judges every change before the first one is made (a dry run), and what it stored is compared with
    what was sent.
  - The progress time-out, the network and the numbers of parallel migrations exist only for the whole cluster; no
    policy has them.
author:
  - the ocpv.scale contributors (@ocpv)
options:
  policies:
    description:
      - The policies that are to be there, or with O(state=absent) not to be there.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description:
          - Name of the object. The default is C(workload-) and the O(policies[].profile).
        type: str
      profile:
        description:
          - A named policy, whose values the entry's other options override. It selects the VMs with the
            O(workload_label) of this value unless labels are given.
          - V(general) gives a migration 800 s/GiB, V(web) 800, V(database) 1600 with auto-converge, V(caching) 2000
            with auto-converge, V(media) 1200 with auto-converge, V(ai) and V(hpc) 1200. V(analytics) forbids
            auto-converge, post-copy and workload disruption.
          - The numbers are absolute. They were written when clusters had a default of 800; newer releases have 150
            or 20.
        type: str
      vmi_labels:
        description:
          - Labels that the VM's instance must have, all of them, with these values.
        type: dict
      namespace_labels:
        description:
          - Labels that the VM's namespace must have, all of them, with these values.
        type: dict
      match_all:
        description:
          - Must be V(true) for a policy without labels, which holds for every VM that no other policy matches.
        type: bool
        default: false
      completion_timeout_seconds_per_gib:
        description:
          - Seconds for each started 10^9 bytes of memory after which KubeVirt gives a migration up. V(0) means never.
        type: int
      bandwidth_per_migration:
        description:
          - Bytes per second of one migration, such as V(64Mi). It counts in whole MiB/s. V(0) means no limit.
        type: str
      allow_auto_converge:
        description:
          - Whether the guest gets less CPU time when it writes faster than its memory is copied.
        type: bool
      allow_post_copy:
        description:
          - Whether a migration that is out of time goes on by post-copy. If the network or a node is lost meanwhile, so
            is the guest.
          - Without O(policies[].allow_workload_disruption) it allows that, too.
        type: bool
      allow_workload_disruption:
        description:
          - Whether a migration that is out of time may use post-copy if that is allowed, or pause the guest if it
            is not, instead of being cancelled. Older releases of KubeVirt do not have it.
        type: bool
      max_downtime_ms:
        description:
          - The longest pause of the guest, in milliseconds, from 1 to 2000000. Needs one of KubeVirt's feature gates
            C(MigrationStallDetection) and C(MigrationDowntimeTuning) (KubeVirt 1.9).
        type: int
  state:
    description:
      - Whether the policies are to be there. With V(absent) only their names matter.
    type: str
    choices: [present, absent]
    default: present
  purge:
    description:
      - Whether to remove policies that this module made (label C(app.kubernetes.io/managed-by=ocpv-scale)) and that
        O(policies) does not name. Policies of others are never purged.
    type: bool
    default: false
  workload_label:
    description:
      - The label by which a O(policies[].profile) selects VMs.
    type: str
    default: ocpv.scale/workload
extends_documentation_fragment:
  - ocpv.scale.auth
  - ocpv.scale.attributes
  - ocpv.scale.attributes.action_group
attributes:
  check_mode:
    support: full
    details:
      - The API server judges the changes as a dry run.
  diff_mode:
    support: full
  idempotent:
    support: full
  platform:
    platforms: posix
    support: full
seealso:
  - module: ocpv.scale.migration_policy_info
  - module: ocpv.scale.migration_preflight
"""

EXAMPLES = r"""
- name: Give databases and caches more time, and show which VMs that changes
  ocpv.scale.migration_policy:
    policies:
      - profile: database
      - profile: caching
  check_mode: true
  register: preview

- name: Limit what the development namespaces take of the network
  ocpv.scale.migration_policy:
    policies:
      - name: development
        namespace_labels:
          stage: development
        bandwidth_per_migration: 64Mi

- name: Have these policies and no others of this collection
  ocpv.scale.migration_policy:
    policies:
      - profile: general
      - profile: database
        completion_timeout_seconds_per_gib: 1200
      - name: ledger
        vmi_labels:
          ocpv.scale/workload: database
          app: ledger
        completion_timeout_seconds_per_gib: 2400
        allow_post_copy: false
    purge: true

- name: Go back to the cluster's settings for databases
  ocpv.scale.migration_policy:
    policies:
      - profile: database
    state: absent
"""

RETURN = r"""
policies:
  description: The named policies in their order, then those that were purged.
  returned: success, and when some could not be written
  type: list
  elements: dict
  contains:
    name:
      description: Name of the object.
      type: str
      sample: workload-database
    profile:
      description: The named policy it is made from; empty if none.
      type: str
      sample: database
    sources:
      description: Where the values of the named policy are from, by field.
      type: dict
      sample: {completionTimeoutPerGiB: "performance-tuning guide, Timeout Configuration, Tuning by Workload Type"}
    status:
      description: V(created), V(changed), V(removed), V(unchanged) or V(failed).
      type: str
      sample: created
    purged:
      description: Whether it goes because O(policies) does not name it.
      type: bool
      sample: false
    spec:
      description: Its spec afterwards; empty if it is not there.
      type: dict
      sample:
        selectors: {virtualMachineInstanceSelector: {ocpv.scale/workload: database}}
        completionTimeoutPerGiB: 1600
        allowAutoConverge: true
    matches:
      description: How many VMs and their namespaces have all its labels.
      type: int
      sample: 31
    wins:
      description: How many of them get it.
      type: int
      sample: 30
    loses_to:
      description: How many get another policy, by its name.
      type: dict
      sample: {ledger: 1}
    error:
      description: Why it could not be written; empty if it was.
      type: str
      sample: ""
    hint:
      description: The likely cause and its remedy.
      type: str
      sample: ""
effects:
  description: What changes for the VMs.
  returned: success, and when some could not be written
  type: dict
  contains:
    changed:
      description: How many VMs get another policy, or the same with other values.
      type: int
      sample: 30
    by_workload:
      description: >-
        VMs counted by their workload, the policy they got before, and the one they get after. Empty text is none.
      type: list
      elements: dict
      sample: [{workload: database, before: "", after: workload-database, virtual_machines: 30}]
    virtual_machines:
      description: The VMs for which something changes, with both policies, those that match as well, and the settings.
      type: list
      elements: dict
      sample:
        - namespace: databases
          name: database-01
          workload: database
          before: ""
          after: workload-database
          competing: []
          settings_before: {completion_timeout_seconds_per_gib: 150, allow_auto_converge: false}
          settings_after: {completion_timeout_seconds_per_gib: 1600, allow_auto_converge: true}
cautions:
  description: What the policies risk and what they cannot do.
  returned: success, and when some could not be written
  type: list
  elements: str
  sample:
    - "Policy workload-database allows auto-converge: a guest that writes too fast gets less and less CPU until its copy
      ends."
lines:
  description: The policies, what they change for VMs, and what to know, as lines for people.
  returned: success, and when some could not be written
  type: list
  elements: str
  sample:
    - "Migration policies:"
    - "  workload-database  created, matches 31 VMs and holds for 31"
captured_at:
  description: When the state of the cluster was read, by the API server's clock.
  returned: success
  type: str
  sample: "2026-03-01T12:30:05Z"
missing:
  description: Parts of the cluster's state that could not be read, with the reason.
  returned: success
  type: dict
  sample: {}
"""

from ansible_collections.ocpv.scale.plugins.module_utils import names
from ansible_collections.ocpv.scale.plugins.module_utils.ansible_support import run_module
from ansible_collections.ocpv.scale.plugins.module_utils.migration.policies.apply import manage
from ansible_collections.ocpv.scale.plugins.module_utils.migration.policies.wanted import wanted_policies


def write(module, connect):
    params = module.params
    present = params["state"] == "present"
    wanted = wanted_policies(params["policies"], workload_label=params["workload_label"], names_only=not present)
    result = manage(connect(), wanted, present=present, purge=params["purge"], check_mode=module.check_mode)
    for caution in result["cautions"]:
        module.warn(caution)
    failed = [policy["name"] for policy in result["policies"] if policy["error"]]
    if failed:
        module.fail_json(msg=f"Not written: {', '.join(failed)}. The result's key policies says why.", **result)
    return result


def main():
    entry = {
        "name": {"type": "str"},
        "profile": {"type": "str"},
        "vmi_labels": {"type": "dict"},
        "namespace_labels": {"type": "dict"},
        "match_all": {"type": "bool", "default": False},
        "completion_timeout_seconds_per_gib": {"type": "int"},
        "bandwidth_per_migration": {"type": "str"},
        "allow_auto_converge": {"type": "bool"},
        "allow_post_copy": {"type": "bool"},
        "allow_workload_disruption": {"type": "bool"},
        "max_downtime_ms": {"type": "int"},
    }
    run_module(
        {
            "policies": {"type": "list", "elements": "dict", "required": True, "options": entry},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "purge": {"type": "bool", "default": False},
            "workload_label": {"type": "str", "default": names.WORKLOAD},
        },
        write,
    )


if __name__ == "__main__":
    main()
