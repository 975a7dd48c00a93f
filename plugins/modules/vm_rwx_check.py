#!/usr/bin/python
# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: vm_rwx_check
short_description: Tell how each VM can move, and why not better
version_added: 0.1.0
description:
  - Tells for each selected VM whether it can be migrated live, live together with its volumes, only cold, or not at
    all, with every reason, by volume.
  - Looks at the access modes of claims, data volumes and templates, container disks, host disks, hotplugged and
    ephemeral volumes, the state of TPM and EFI, devices, the pod network, where persistent volumes can be used, who
    owns the VM and what it is doing at the moment.
  - What the running instance itself reports (its conditions C(LiveMigratable) and C(StorageLiveMigratable))
    decides. Where it reports nothing, such as for a stopped VM, the way is predicted. Contradictions are told.
  - Where a VM and its running instance differ, the instance decides about moving live and the VM about moving cold,
    since a cold move starts the VM as it is wished.
  - Reads the cluster with list calls only, so the number of requests grows with pages, not with VMs.
  - Fails only for options that cannot be used and when the cluster cannot be read, not because of what it finds.
author:
  - the ocpv.scale contributors (@ocpv)
options:
  ways:
    description:
      - List only VMs with one of these ways to move. RV(counts) and RV(reasons) are about all selected VMs
        nevertheless.
      - V(live) is a live migration; V(storage_live) is one together with the VM's volumes, which are copied to
        other claims; V(cold) is to stop it and start it elsewhere; V(blocked) is none of these.
    type: list
    elements: str
    choices: [live, storage_live, cold, blocked]
    default: []
  reasons:
    description:
      - List only VMs with at least one of these findings, by their codes, such as V(claim_not_shared),
        V(claim_missing), V(claim_unbound), V(host_disk), V(host_device), V(volume_on_one_node), V(no_instance),
        V(stopped), V(paused), V(migrating) or V(contradiction). An unknown code is an error that tells all there
        are.
    type: list
    elements: str
    default: []
  severity:
    description:
      - The lowest severity of findings that are listed.
      - An V(error) keeps the VM from moving live until somebody changes something. A V(warning) rules out another
        way, passes by itself, or is a risk. An V(info) is worth knowing.
    type: str
    choices: [error, warning, info]
    default: info
extends_documentation_fragment:
  - ocpv.scale.vm_selection
  - ocpv.scale.snapshot_source
  - ocpv.scale.auth
  - ocpv.scale.attributes.read_only
  - ocpv.scale.attributes.action_group
seealso:
  - module: ocpv.scale.migration_preflight
  - module: ocpv.scale.cluster_snapshot
  - module: ocpv.scale.rebalance_plan
"""

EXAMPLES = r"""
- name: Tell how the VMs of the cluster can move
  ocpv.scale.vm_rwx_check:
  register: check

- name: List the VMs that cannot be migrated live, with their reasons only
  ocpv.scale.vm_rwx_check:
    ways: [storage_live, cold, blocked]
    severity: error

- name: Look for single-attach volumes among the databases, without access to the cluster
  ocpv.scale.vm_rwx_check:
    snapshot: /srv/plans/prod-1.json.gz
    namespaces: [shop-db]
    label_selector: app=postgres
    reasons: [claim_not_shared]

- name: Stop if a large VM could not be migrated right now
  ocpv.scale.vm_rwx_check:
    select: "[?running && memory_bytes > `68719476736`]"
  register: large
  failed_when: large.live_now < large.checked
"""

RETURN = r"""
checked:
  description: How many VMs were selected and checked.
  returned: success
  type: int
  sample: 150
counts:
  description: How many of them have each way to move.
  returned: success
  type: dict
  sample: {live: 138, storage_live: 7, cold: 3, blocked: 2}
live_now:
  description: How many could start migrating live this moment.
  returned: success
  type: int
  sample: 137
captured_at:
  description: When the state of the cluster was read, by the API server's clock.
  returned: success
  type: str
  sample: "2026-03-01T12:30:05Z"
missing:
  description: Parts of the cluster's state that could not be read, with the reason. Verdicts are less certain then.
  returned: success
  type: dict
  sample: {}
reasons:
  description: How many of the checked VMs have each finding; the more severe and the more frequent first.
  returned: success
  type: list
  elements: dict
  contains:
    code:
      description: Code of the finding.
      type: str
      sample: claim_not_shared
    severity:
      description: Severity of the finding.
      type: str
      sample: error
    virtual_machines:
      description: Number of VMs.
      type: int
      sample: 7
virtual_machines:
  description: The VMs, in the order of namespace and name, as far as O(ways) and O(reasons) ask for them.
  returned: success
  type: list
  elements: dict
  contains:
    namespace:
      description: Namespace of the VM.
      type: str
      sample: legacy
    name:
      description: Name of the VM, or of the instance where there is no VM.
      type: str
      sample: legacy-01
    way:
      description: The best way to move it; V(blocked) if there is none.
      type: str
      sample: storage_live
    ways:
      description: All ways that are possible, the best first.
      type: list
      elements: str
      sample: [storage_live, cold]
    live_now:
      description: Whether it could start migrating live this moment.
      type: bool
      sample: false
    reported_live:
      description: What its instance reports in its condition C(LiveMigratable); null if it reports nothing.
      type: bool
      sample: false
    predicted_live:
      description: What its volumes, devices and networks let expect, whatever is reported.
      type: bool
      sample: false
    migration_method:
      description: >-
        V(BlockMigration) if volumes are copied as well, else V(LiveMigration). Empty if it cannot be migrated live.
      type: str
      sample: BlockMigration
    findings:
      description: The reasons, and what else is worth knowing; volumes first.
      type: list
      elements: dict
      contains:
        code:
          description: What was found, for programs.
          type: str
          sample: claim_not_shared
        severity:
          description: V(error), V(warning) or V(info); see O(severity).
          type: str
          sample: error
        volume:
          description: Name of the volume it is about; empty if it is about the VM.
          type: str
          sample: rootdisk
        message:
          description: What was found, for people.
          type: str
          sample: >-
            Claim legacy-01 of volume rootdisk is ReadWriteOnce (Filesystem, storage class san-single-attach); moving
            live needs ReadWriteMany.
        hint:
          description: What to do about it; may be empty.
          type: str
          sample: "Migrate it to a volume of a storage class with ReadWriteMany: ocs-storagecluster-ceph-rbd."
        rules_out:
          description: The ways that it makes impossible.
          type: list
          elements: str
          sample: [live]
        momentary:
          description: Whether it only stands against moving right now, such as a migration in flight.
          type: bool
          sample: false
"""

from ansible_collections.ocpv.scale.plugins.module_utils.ansible_support import run_module
from ansible_collections.ocpv.scale.plugins.module_utils.cluster.memory import collector_paused
from ansible_collections.ocpv.scale.plugins.module_utils.cluster.select import Selection, choose
from ansible_collections.ocpv.scale.plugins.module_utils.cluster.source import obtain
from ansible_collections.ocpv.scale.plugins.module_utils.migration.findings import SEVERITIES, WAYS
from ansible_collections.ocpv.scale.plugins.module_utils.migration.migratability import assess_all
from ansible_collections.ocpv.scale.plugins.module_utils.migration.rwx_check import check_result, parts_for, wanted


@collector_paused()
def check(module, connect):
    params = module.params
    only = wanted(params["ways"], params["reasons"], params["severity"])
    selection = Selection(
        namespaces=tuple(params["namespaces"]),
        names=tuple(params["names"]),
        label_selector=params["label_selector"],
        select=params["select"],
    )
    parts = parts_for(params["select"])
    snapshot = obtain(params["snapshot"], connect, parts, required=("virtual_machines",))
    verdicts = assess_all(snapshot, choose(snapshot, selection))
    missing = {part: reason for part, reason in snapshot.missing.items() if part in parts}
    return {"captured_at": snapshot.captured_at, "missing": missing, **check_result(verdicts, only)}


def main():
    run_module(
        {
            "snapshot": {"type": "path"},
            "namespaces": {"type": "list", "elements": "str", "default": []},
            "names": {"type": "list", "elements": "str", "default": []},
            "label_selector": {"type": "str", "default": ""},
            "select": {"type": "str", "default": ""},
            "ways": {"type": "list", "elements": "str", "choices": list(WAYS), "default": []},
            "reasons": {"type": "list", "elements": "str", "default": []},
            "severity": {"type": "str", "choices": list(SEVERITIES), "default": SEVERITIES[-1]},
        },
        check,
    )


if __name__ == "__main__":
    main()
