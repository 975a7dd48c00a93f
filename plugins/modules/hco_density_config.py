#!/usr/bin/python
# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: hco_density_config
short_description: Set how densely VMs are packed, and give virt-api the replicas it needs
version_added: 0.1.0
author: the ocpv.scale contributors (@ocpv)
description:
  - Sets the CPU allocation ratio and the memory overcommitment of all VMs in the HyperConverged, within limits that are
    known to go well.
  - Compares the replicas of virt-api that the VMs need with those that the operator makes by itself for the number of
    nodes, and asks for more where these are fewer and O(raise_virt_api) is set. That is done by a JSON patch in an
    annotation of the HyperConverged, the only way that lasts; what others have put there stays.
  - Uses the API version that the cluster serves. Writes only what differs, has the server try it out first, and waits
    until it is obeyed.
  - The ratios count for VMs without CPU or memory requests of their own, from their next start or migration on.
options:
  state:
    description:
      - V(present) sets what the other options say.
      - V(absent) gives both ratios back to the operator, and takes out of the annotation what this module has put
        there.
    type: str
    choices: [present, absent]
    default: present
  environment:
    description:
      - Which limits hold for the values unless O(accept_risk) is set.
      - "V(production): 1.2 vCPUs for a core and 110 percent of memory. V(test): 1.8 and 120."
      - The ratio of CPUs takes whole numbers only, so both come to 1. Any level between can be held where VMs are
        placed, with C(basis=allocated) and C(allow_over_percent) of M(ocpv.scale.rebalance_plan).
    type: str
    choices: [production, test]
    default: production
  accept_risk:
    description: Whether values beyond the limits are taken nevertheless.
    type: bool
    default: false
  vmi_cpu_allocation_ratio:
    description:
      - How many vCPUs share a core. A VM without CPU requests of its own reserves its vCPUs divided by this number.
      - A whole number of at least 1. The operator's default is 10.
    type: float
  memory_overcommit_percentage:
    description:
      - How much guest memory there may be, in percent of the memory that is reserved for it. 100 is no overcommitment,
        120 is 20 percent more than there is, 90 leaves headroom.
      - A whole number of at least 10. The operator's default is 100.
    type: float
  raise_virt_api:
    description:
      - Whether to ask for more replicas of virt-api where the operator makes fewer than one for each
        O(vms_per_virt_api) VMs, and to take that back where it no longer does.
      - The HyperConverged has the condition C(TaintedConfiguration) while such a patch is there.
    type: bool
    default: false
  vms_per_virt_api:
    description: How many VMs one replica of virt-api may serve. There are at least two replicas.
    type: int
    default: 750
  unset:
    description: What is given back to the operator, with everything else as it is.
    type: list
    elements: str
    choices: [vmi_cpu_allocation_ratio, memory_overcommit_percentage, virt_api_replicas]
  namespace:
    description: Namespace of the HyperConverged. It is looked for when this is not set.
    type: str
  wait:
    description: Whether to wait until KubeVirt has the values, and virt-api its replicas.
    type: bool
    default: true
  wait_timeout_seconds:
    description:
      - How long to wait before failing. The change stays and goes on; C(details) of the failure has C(before), C(after)
        and C(changed_fields).
    type: int
    default: 600
extends_documentation_fragment:
  - ocpv.scale.auth
  - ocpv.scale.attributes
  - ocpv.scale.attributes.action_group
attributes:
  check_mode:
    support: full
    details:
      - The server tries the change out, with its admission webhooks, and stores nothing.
  diff_mode:
    support: full
  idempotent:
    support: full
  platform:
    support: full
seealso:
  - module: ocpv.scale.hco_migration_config
  - module: ocpv.scale.rebalance_plan
"""

EXAMPLES = r"""
- name: Ten percent more guest memory than there is
  ocpv.scale.hco_density_config:
    memory_overcommit_percentage: 110

- name: As many replicas of virt-api as the VMs need
  ocpv.scale.hco_density_config:
    raise_virt_api: true

- name: Five vCPUs for each core, on nodes whose load is watched
  ocpv.scale.hco_density_config:
    vmi_cpu_allocation_ratio: 5
    accept_risk: true

- name: Give everything back to the operator
  ocpv.scale.hco_density_config:
    state: absent
"""

RETURN = r"""
api_version:
  description: The API version of the HyperConverged that was used.
  returned: success
  type: str
  sample: hco.kubevirt.io/v1
namespace:
  description: Namespace of the HyperConverged.
  returned: success
  type: str
  sample: openshift-cnv
before:
  description: Both ratios before, by the names of options.
  returned: success
  type: dict
  sample: {vmi_cpu_allocation_ratio: 10, memory_overcommit_percentage: 100}
after:
  description: Both ratios afterwards; in check mode as they would be.
  returned: success
  type: dict
  sample: {vmi_cpu_allocation_ratio: 10, memory_overcommit_percentage: 110}
lines:
  description: The settings, what has changed, and what to know, as lines for people.
  returned: success
  type: list
  elements: str
  sample:
    - "HyperConverged openshift-cnv/kubevirt-hyperconverged (hco.kubevirt.io/v1):"
    - "  memory_overcommit_percentage  110   (was 100)"
changed_fields:
  description: What has changed, or would; C(virt_api_replicas) stands for the annotation.
  returned: success
  type: list
  elements: str
  sample: [memory_overcommit_percentage]
virt_api:
  description: The replicas of virt-api, and what they follow from.
  returned: success
  type: dict
  contains:
    wanted:
      description: How many the VMs need.
      type: int
      sample: 4
    automatic:
      description: How many the operator makes for the number of nodes.
      type: int
      sample: 2
    asked:
      description: How many the annotation asks for afterwards; null for none.
      type: int
      sample: 4
    given:
      description: How many there come to be.
      type: int
      sample: 4
    virtual_machines:
      description: The number of VMs.
      type: int
      sample: 2600
    nodes:
      description: The number of nodes that the operator counts.
      type: int
      sample: 24
levels:
  description: >-
    How densely the nodes that take VMs are packed now, by VMs that run. Shares of what is allocatable.
  returned: success
  type: dict
  contains:
    running:
      description: The number of VMs that run.
      type: int
      sample: 138
    own_requests:
      description: How many of them have CPU or memory requests of their own, or CPUs, so that no ratio counts for them.
      type: int
      sample: 12
    vcpus_per_core:
      description: vCPUs for a core, the mean and the highest with its node.
      type: dict
      sample: {mean: 1.41, highest: 2.2, node: worker-03}
    guest_memory:
      description: Guest memory for memory, in the same way.
      type: dict
      sample: {mean: 0.52, highest: 0.86, node: worker-01}
cautions:
  description: What to know about the change. Each is given as a warning of the task as well.
  returned: success
  type: list
  elements: dict
  contains:
    code:
      description: >-
        What it is about, for programs: V(cpu_overcommit), V(memory_overcommit), V(memory_headroom), V(after_restart),
        V(cpu_level), V(memory_level), V(too_few_api_replicas), V(tainted), V(not_well_before) or V(kept_by_others).
      type: str
      sample: memory_overcommit
    message:
      description: The caution, for people.
      type: str
      sample: >-
        memory_overcommit_percentage 110 reserves 91 % of each guest's memory: when guests use all of theirs, nodes run
        out of memory and VMs are killed.
waited_for:
  description: What was waited for.
  returned: success
  type: dict
  contains:
    in_force:
      description: Whether the settings are known to be obeyed; false when that was not waited for.
      type: bool
      sample: true
    waited_seconds:
      description: How long that took.
      type: int
      sample: 1
"""

from ansible_collections.ocpv.scale.plugins.module_utils.ansible_support import run_module
from ansible_collections.ocpv.scale.plugins.module_utils.migration.config.apply.density import configure_density
from ansible_collections.ocpv.scale.plugins.module_utils.migration.config.density import (
    LIMITS,
    PRESENT,
    PRODUCTION,
    STATES,
    UNSET_CHOICES,
    VMS_PER_API_REPLICA,
)


def main():
    run_module(
        {
            "state": {"type": "str", "choices": list(STATES), "default": PRESENT},
            "environment": {"type": "str", "choices": list(LIMITS), "default": PRODUCTION},
            "accept_risk": {"type": "bool", "default": False},
            "vmi_cpu_allocation_ratio": {"type": "float"},
            "memory_overcommit_percentage": {"type": "float"},
            "raise_virt_api": {"type": "bool", "default": False},
            "vms_per_virt_api": {"type": "int", "default": VMS_PER_API_REPLICA},
            "unset": {"type": "list", "elements": "str", "choices": UNSET_CHOICES},
            "namespace": {"type": "str"},
            "wait": {"type": "bool", "default": True},
            "wait_timeout_seconds": {"type": "int", "default": 600},
        },
        configure_density,
    )


if __name__ == "__main__":
    main()
