#!/usr/bin/python
# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: kubelet_config
short_description: Change the kubelets of machine config pools, one pool after the other
version_added: 0.1.0
description:
  - Sets how many pods a node takes and how fast its kubelet talks to the API server, with a KubeletConfig for each
    machine config pool. B(Every change drains and reboots all nodes of the pool), so that their VMs migrate.
  - Takes the pools in their order. The next one is begun when the former is updated and not degraded.
  - Each pool has an object of its own, C(ocpv-scale-<pool>), which selects it by the label
    C(pools.operator.machineconfiguration.openshift.io/<pool>) that pools have; one that lacks it gets it.
  - Before anything is written it looks whether a pool is degraded, updating or paused, whether it has another
    KubeletConfig (two do not merge, the newest holds), whether pools take over what another one gets (custom pools
    take over what C(worker) gets), whether VMs keep their nodes from being drained, and whether the pod network has
    enough addresses.
  - Notes in an annotation of a pool (C(ocpv.scale/kubelet-rollout)) how it was before it is touched. A call that was
    killed is gone on with by the next one, with the same options or not, which also restores C(paused).
  - Ends with an error that names nodes, reasons and VMs when the nodes of a pool do not get further. Pools that come
    later and would begin to update are left paused then, which the result says; the next call goes on.
author:
  - the ocpv.scale contributors (@ocpv)
options:
  pools:
    description:
      - The machine config pools, in the order in which they are changed.
    type: list
    elements: str
    required: true
  profile:
    description:
      - V(reference) are the values of the large-scale reference architecture, C(maxPods) 500, C(kubeAPIBurst) 200,
        C(kubeAPIQPS) 100 and C(nodeStatusMaxImages) -1, which lets VMs spread evenly over nodes. The other options
        override them.
    type: str
    choices: [reference]
  max_pods:
    description:
      - How many pods a node takes. OpenShift's own value is 250.
    type: int
  kube_api_burst:
    description:
      - How many requests a kubelet may send at once.
    type: int
  kube_api_qps:
    description:
      - How many requests per second a kubelet may send.
    type: int
  node_status_max_images:
    description:
      - How many images a node tells in its status. V(-1) means all.
    type: int
  kubelet_config:
    description:
      - Further fields of the kubelet's configuration, named as there. OpenShift does not let C(cgroupDriver),
        C(clusterDNS), C(clusterDomain), C(featureGates), C(failSwapOn), C(staticPodPath) and
        C(memorySwap.swapBehavior) be set.
    type: dict
  state:
    description:
      - With V(absent) the objects are removed, and the nodes go back to what they had, which reboots them, too.
    type: str
    choices: [present, absent]
    default: present
  name:
    description:
      - Name of the KubeletConfig, to change one that is there already. Its other values stay. For one pool only.
    type: str
  pause:
    description:
      - Pools that may be paused and unpaused. Those of O(pools) are paused until it is their turn. Others wait until
        all of O(pools) are done, and then take what they take over one after the other. Afterwards C(paused) is as it
        was.
      - Custom pools take over what C(worker) gets, so name them here to have one pool reboot at a time.
      - No other pool's C(paused) is touched.
    type: list
    elements: str
    default: []
  accept_problems:
    description:
      - What does not keep the change from being made.
      - V(pool_degraded) is a pool that is degraded; V(pool_updating) one whose nodes are updating already;
        V(pools_together) pools that reboot at the same time since they take over; V(other_kubelet_config) another
        object for the pool, which no longer holds then; V(vms_not_evictable) VMs that keep nodes from being
        drained; V(few_addresses) more pods than addresses; V(too_many_pods) more pods than the nodes would hold.
    type: list
    elements: str
    choices:
      - pool_degraded
      - pool_updating
      - pools_together
      - other_kubelet_config
      - vms_not_evictable
      - few_addresses
      - too_many_pods
    default: []
  node_timeout_seconds:
    description:
      - How long to wait while no node of a pool gets further. A drain is given up by nobody, so this ends only the
        wait.
    type: int
    default: 3600
  pool_timeout_seconds:
    description:
      - How long to wait for all nodes of a pool.
    type: int
    default: 86400
extends_documentation_fragment:
  - ocpv.scale.auth
  - ocpv.scale.attributes
  - ocpv.scale.attributes.action_group
attributes:
  check_mode:
    support: full
    details:
      - The API server judges the changes as a dry run, and everything that stands against them is told.
  diff_mode:
    support: full
  idempotent:
    support: full
  platform:
    platforms: posix
    support: full
seealso:
  - module: ocpv.scale.vm_rwx_check
  - module: ocpv.scale.migration_preflight
"""

EXAMPLES = r"""
- name: See what the values of the reference architecture would cost
  ocpv.scale.kubelet_config:
    pools: [worker]
    profile: reference
  check_mode: true
  register: preview

- name: Set them, zone by zone
  ocpv.scale.kubelet_config:
    pools: [worker]
    profile: reference
    pause: [zone-0, zone-1, zone-2]

- name: Add a value to an object that is there, and wait half an hour for each node
  ocpv.scale.kubelet_config:
    pools: [worker]
    name: set-max-pods
    node_status_max_images: -1
    node_timeout_seconds: 1800

- name: Go back to OpenShift's own values
  ocpv.scale.kubelet_config:
    pools: [worker]
    state: absent
    pause: [zone-0, zone-1, zone-2]
"""

RETURN = r"""
pools:
  description: The pools in their order, then those that waited for their turn.
  returned: success, and when the change is refused or does not get through
  type: list
  elements: dict
  contains:
    name:
      description: Name of the pool.
      type: str
      sample: worker
    kubelet_config:
      description: Name of its KubeletConfig; empty for one that only waited.
      type: str
      sample: ocpv-scale-worker
    action:
      description: What happens to the KubeletConfig, V(create), V(change), V(remove) or V(keep).
      type: str
      sample: create
    status:
      description: >-
        V(planned) in check mode and when refused, V(updated), V(unchanged), V(failed), V(not_reached), or
        V(left_paused) for a pool whose nodes would begin to update, or one that was paused before and has not taken the
        change.
      type: str
      sample: updated
    error:
      description: Why it did not get through; empty if it did.
      type: str
      sample: ""
    hint:
      description: The likely cause and its remedy.
      type: str
      sample: ""
    paused:
      description: Whether it was paused before.
      type: bool
      sample: false
    max_unavailable:
      description: How many of its nodes are drained together.
      type: int
      sample: 1
    node_count:
      description: How many nodes it has.
      type: int
      sample: 33
    updated_nodes:
      description: How many of them have the pool's configuration.
      type: int
      sample: 33
    nodes:
      description: >-
        Its nodes, each with C(name), C(phase) (V(updated), V(waiting), V(draining), V(updating), V(rebooting) or
        V(degraded)), C(reason) and C(configuration).
      type: list
      elements: dict
      sample: [{name: worker-01, phase: updated, reason: "", configuration: rendered-worker-0123456789abcdef}]
lines:
  description: The pools, problems and cautions, as lines for people.
  returned: success, and when the change is refused or does not get through
  type: list
  elements: str
  sample:
    - "Pool worker: updated, KubeletConfig ocpv-scale-worker: create; 33 of 33 nodes have its configuration"
    - "Caution: Pool worker: 33 nodes are drained and rebooted, 1 at a time; 990 VMs have to leave them."
problems:
  description: What stands against the change. Those that are not accepted keep it from being made.
  returned: success, and when the change is refused or does not get through
  type: list
  elements: dict
  contains:
    code:
      description: What O(accept_problems) takes; V(pool_paused) cannot be accepted.
      type: str
      sample: vms_not_evictable
    message:
      description: What was found.
      type: str
      sample: "Pool worker: 1 VMs keep their nodes from being drained: legacy/legacy-01."
    hint:
      description: What to do about it.
      type: str
      sample: Stop them, make them migratable, or set their evictionStrategy to LiveMigrateIfPossible or None.
    accepted:
      description: Whether O(accept_problems) names it.
      type: bool
      sample: false
cautions:
  description: What the change costs, and what was accepted.
  returned: success, and when the change is refused or does not get through
  type: list
  elements: str
  sample: ["Pool worker: 33 nodes are drained and rebooted, 1 at a time; 990 VMs have to leave them."]
"""

from ansible_collections.ocpv.scale.plugins.module_utils.ansible_support import run_module
from ansible_collections.ocpv.scale.plugins.module_utils.kubelet.checks import ACCEPTABLE
from ansible_collections.ocpv.scale.plugins.module_utils.kubelet.run.operate import run
from ansible_collections.ocpv.scale.plugins.module_utils.kubelet.values import PROFILES


def main():
    run_module(
        {
            "pools": {"type": "list", "elements": "str", "required": True},
            "profile": {"type": "str", "choices": list(PROFILES)},
            "max_pods": {"type": "int"},
            "kube_api_burst": {"type": "int"},
            "kube_api_qps": {"type": "int"},
            "node_status_max_images": {"type": "int"},
            "kubelet_config": {"type": "dict"},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "name": {"type": "str"},
            "pause": {"type": "list", "elements": "str", "default": []},
            "accept_problems": {"type": "list", "elements": "str", "choices": list(ACCEPTABLE), "default": []},
            "node_timeout_seconds": {"type": "int", "default": 3600},
            "pool_timeout_seconds": {"type": "int", "default": 86400},
        },
        run,
    )


if __name__ == "__main__":
    main()
