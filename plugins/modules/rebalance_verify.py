#!/usr/bin/python
# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: rebalance_verify
short_description: Check that the cluster is as the record of a rebalance says
version_added: 0.1.0
author: the ocpv.scale contributors (@ocpv)
description:
  - Reads the cluster anew and compares it with the record of a run that has ended. Every VM that was moved has to run
    where it was moved to, and nothing of the run may be left behind, such as a stopped VM, a placement that was not put
    back, or a migration that has not ended.
  - Can be called long after the run, to see whether the VMs are still where it put them.
extends_documentation_fragment:
  - ocpv.scale.snapshot_source
  - ocpv.scale.auth
  - ocpv.scale.attributes.read_only
  - ocpv.scale.attributes.action_group
options:
  run:
    description: The record of the run, as RV(ocpv.scale.rebalance_run#module:run) returns it.
    type: dict
    required: true
  fail_on_findings:
    description: Whether the module fails when something is not as the record says.
    type: bool
    default: true
seealso:
  - module: ocpv.scale.rebalance_run
"""

EXAMPLES = r"""
- name: Check that the VMs are where the run put them
  ocpv.scale.rebalance_verify:
    run: "{{ result.run }}"
"""

RETURN = r"""
run_id:
  description: The run's id.
  returned: success
  type: str
  sample: f91dabfcbb
verified:
  description: Whether everything is as the record says.
  returned: success
  type: bool
  sample: true
checked:
  description: How many moved VMs were looked at.
  returned: success
  type: int
  sample: 34
findings:
  description: What is not as it should be.
  returned: success
  type: list
  elements: dict
  sample: []
  contains:
    virtual_machine:
      description: Namespace and name.
      type: str
      sample: shop/web-01
    code:
      description: One of V(gone), V(elsewhere), V(not_running), V(placement_not_restored), V(migration_unfinished).
      type: str
      sample: elsewhere
    message:
      description: What was found.
      type: str
      sample: it was moved to worker-03 and runs on worker-07
    hint:
      description: What to do.
      type: str
      sample: Something moved it since. Plan again if it matters.
"""

from ansible_collections.ocpv.scale.plugins.module_utils.ansible_support import run_module
from ansible_collections.ocpv.scale.plugins.module_utils.cluster.source import obtain
from ansible_collections.ocpv.scale.plugins.module_utils.rebalance.record import read_record
from ansible_collections.ocpv.scale.plugins.module_utils.rebalance.verification import complaint, verification


def verify(module, connect):
    record = read_record(module.params["run"])
    parts = ("virtual_machines", "migrations")
    snapshot = obtain(module.params["snapshot"], connect, parts, required=parts)
    result = verification(snapshot, record)
    if module.params["fail_on_findings"]:
        complaint(result)
    return result


def main():
    run_module(
        {
            "run": {"type": "dict", "required": True},
            "snapshot": {"type": "path"},
            "fail_on_findings": {"type": "bool", "default": True},
        },
        verify,
    )


if __name__ == "__main__":
    main()
