#!/usr/bin/python
# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: rebalance_plan
short_description: Plan which VMs to move where, in stages and waves, or check such a plan
version_added: 0.1.0
description:
  - Finds moves of VMs that reach a goal, and orders them so that every intermediate state is feasible. The result is a
    document that people read, edit and approve, and that M(ocpv.scale.rebalance_run) executes. Nothing in the cluster
    is changed.
  - At each step requests fit what nodes have, less headroom, while a VM that migrates counts on both nodes. Taints,
    node selectors, affinity and anti-affinity (also of other pods), topology spread, CPU models, devices, topology of
    volumes and pods per node are respected, and only VMs that can be migrated live move live. Where the other nodes
    could absorb the loss of a node, they still can afterwards.
  - The plan says how good it is. It has the highest level of all nodes before and after, a level that no plan with as
    many moves can get below, and what the run is expected to take.
  - A goal that cannot be reached is no failure. What stays is listed with its reasons.
  - With O(plan) or O(plan_file) a plan that was made before, and perhaps edited since, is checked instead. Its digest,
    predictions, forecast and warnings are worked out anew.
author:
  - the ocpv.scale contributors (@ocpv)
options:
  goal:
    description:
      - V(balance) lowers nodes that are fuller than the mean of all nodes plus O(tolerance), with few moves.
      - V(drain) empties O(nodes).
      - V(evacuate) lowers nodes that are above O(thresholds).
      - V(moves) makes the moves of O(moves) only. With another goal they are made first.
      - The default is V(moves) if O(moves) are given, else V(balance).
    type: str
    choices: [balance, drain, evacuate, moves]
  nodes:
    description:
      - Nodes to empty, for O(goal=drain). They receive nothing.
    type: list
    elements: str
    default: []
  resources:
    description:
      - The resources whose levels count. With both, the higher level of a node counts.
    type: list
    elements: str
    choices: [cpu, memory]
    default: [cpu, memory]
  basis:
    description:
      - What a level is made of, as a share of what the node has allocatable.
      - V(requested) are the requests of all pods, which the scheduler counts. V(allocated) are vCPUs and guest memory
        of VMs. V(used) is what metrics say.
      - Requests must fit in any case.
    type: str
    choices: [requested, allocated, used]
    default: requested
  thresholds:
    description:
      - Levels, in percent of allocatable, above which nodes are lowered with O(goal=evacuate). At least one is needed
        then.
    type: dict
    suboptions:
      cpu:
        description: Threshold for CPU.
        type: float
      memory:
        description: Threshold for memory.
        type: float
  headroom:
    description:
      - Percentages of allocatable that stay free of requests on every node that a VM moves to.
    type: dict
    suboptions:
      cpu:
        description: Headroom of CPU.
        type: float
        default: 0
      memory:
        description: Headroom of memory.
        type: float
        default: 0
  allow_over_percent:
    description:
      - Up to which percentage of allocatable a move may lift the guest memory on a node, and with O(basis=allocated)
        also its vCPUs. Requests never exceed what is allocatable.
    type: int
    default: 100
  keep_node_loss:
    description:
      - Whether the VMs of each node must keep room on the other nodes, should the node fail. It holds for all nodes for
        which it is true at the start.
    type: bool
    default: true
  tolerance:
    description:
      - How many percentage points above the mean a node may stay with O(goal=balance).
    type: float
    default: 5
  max_moves:
    description: The most moves.
    type: int
  max_bytes:
    description: The most memory to send, such as V(500Gi). By default there is no limit.
    type: str
  modes:
    description:
      - How VMs may move. V(cold) stops a VM and starts it elsewhere; it is used only where moving live is not possible.
    type: list
    elements: str
    choices: [live, cold]
    default: [live]
  exclude:
    description:
      - VMs not to move, as C(namespace/name) or C(name); shell wildcards are possible.
      - Together with O(namespaces), O(names), O(label_selector) and O(select) it says which VMs may be moved; all by
        default. Moves of O(moves) are made nevertheless.
    type: list
    elements: str
    default: []
  pins:
    description:
      - VMs that stay where they are whatever else is said, written as for O(exclude). The plan keeps them, so an edited
        plan that moves one of them has a problem.
    type: list
    elements: str
    default: []
  moves:
    description:
      - Moves that are wanted. Where they block each other in a circle, a VM is parked on a third node meanwhile.
    type: list
    elements: dict
    default: []
    suboptions:
      namespace:
        description: Namespace of the VM.
        type: str
        required: true
      name:
        description: Name of the VM.
        type: str
        required: true
      target:
        description: Name of the node to move it to.
        type: str
        required: true
      mode:
        description: How to move it. By default as O(modes) allow, live if possible.
        type: str
        choices: [live, cold]
  stages:
    description:
      - Whether moves run in stages, a canary first, then VMs by their label C(ocpv.scale/tier) (V(dev-test),
        V(non-critical), V(critical)) on the VM or its namespace. Otherwise there is the one stage V(all).
      - A move that needs room which only a later stage makes runs in that later stage.
    type: bool
    default: true
  canary:
    description:
      - How many moves the first stage has. They are the cheapest ones of the least critical VMs, at most half of all.
    type: int
    default: 2
  default_tier:
    description: Tier of VMs without the label.
    type: str
    choices: [dev-test, non-critical, critical]
    default: non-critical
  wave_size:
    description: The most moves in a wave.
    type: int
    default: 20
  limits:
    description:
      - Limits of the run, where they are to be less than what the cluster's settings allow.
    type: dict
    suboptions:
      parallel_migrations_per_cluster:
        description: Live migrations at once.
        type: int
      parallel_outbound_migrations_per_node:
        description: Live migrations at once that leave one node.
        type: int
      parallel_inbound_migrations_per_node:
        description: Live migrations at once that arrive at one node; 2 by default. KubeVirt has no such limit.
        type: int
      parallel_cold_moves:
        description: Cold moves at once; 1 by default.
        type: int
  link_bandwidth:
    description:
      - Bytes per second that a node's link carries for migrations, such as V(3G), shared by the migrations that leave
        it. It is for predictions only. The default is that of a 10 GbE port, V(1.25G).
    type: str
  plan:
    description:
      - A plan's document to check instead of making one. Options about what to plan are not used then.
    type: dict
  plan_file:
    description:
      - Path of a file with such a document, YAML or JSON.
    type: path
  dest:
    description:
      - Path of a file to write the plan to, on the host the module runs on; JSON if it ends in C(.json), else YAML.
      - A file with the same plan, made of the same state of the cluster, is left as it is.
    type: path
extends_documentation_fragment:
  - ocpv.scale.vm_selection
  - ocpv.scale.snapshot_source
  - ocpv.scale.auth
  - ocpv.scale.attributes
  - ocpv.scale.attributes.action_group
attributes:
  check_mode:
    support: full
    details:
      - The file is not written.
  diff_mode:
    support: none
  idempotent:
    support: full
    details:
      - The same snapshot and options give the same plan.
  platform:
    support: full
notes:
  - Needs only to read the cluster, with list calls, or no access to it at all with O(snapshot).
seealso:
  - module: ocpv.scale.rebalance_run
  - module: ocpv.scale.cluster_snapshot
  - module: ocpv.scale.vm_rwx_check
  - module: ocpv.scale.migration_preflight
"""

EXAMPLES = r"""
- name: Plan to balance CPU and memory
  ocpv.scale.rebalance_plan:
    dest: /srv/plans/monday.yml
  register: planned

- name: Show what would be done
  ansible.builtin.debug:
    msg: "{{ planned.summary.moves }} moves, {{ planned.summary.duration_seconds }} s, {{ planned.plan.warnings }}"

- name: Plan to empty two nodes, cold moves allowed, without access to the cluster
  ocpv.scale.rebalance_plan:
    snapshot: /srv/plans/prod-1.json.gz
    goal: drain
    nodes: [worker-03, worker-04]
    modes: [live, cold]

- name: Relieve nodes above 85 % of memory used, with 10 % headroom and at most 50 moves
  ocpv.scale.rebalance_plan:
    goal: evacuate
    basis: used
    thresholds:
      memory: 85
    headroom:
      memory: 10
    max_moves: 50
    pins: [shop-db/*]

- name: Move one VM to a certain node
  ocpv.scale.rebalance_plan:
    moves:
      - namespace: shop-db
        name: database-01
        target: worker-03

- name: Check a plan that was edited, and write it with its new digest
  ocpv.scale.rebalance_plan:
    plan_file: /srv/plans/monday.yml
    dest: /srv/plans/monday.yml
  register: checked
  failed_when: checked.problems | length > 0
"""

RETURN = r"""
plan:
  description:
    - The plan's document, to be handed to M(ocpv.scale.rebalance_run).
  returned: success
  type: dict
  contains:
    id:
      description: Name of the plan; the same snapshot and options have the same one.
      type: str
      sample: plan-1f6b0c2a9d
    digest:
      description: Changes with everything that will be done, and with nothing else. Approvals are bound to it.
      type: str
      sample: sha256:0f343b0931126a20f133d67c2b018a3b5f3c9d0d4fc2fcd8dd5b3f4a4f1c2d3e
    request:
      description: What was asked for.
      type: dict
    limits:
      description: Limits that the run keeps to, and where they are stated (C(source)).
      type: dict
    stages:
      description: The stages in order, each with its waves, and these with their moves.
      type: list
      elements: dict
    nodes:
      description: Each node's capacity, and its load before and after.
      type: list
      elements: dict
    not_moved:
      description: VMs and nodes that stay against the wish, each with C(name) and C(reasons).
      type: list
      elements: dict
    warnings:
      description: What to know before the plan is approved.
      type: list
      elements: str
summary:
  description: The plan's summary.
  returned: success
  type: dict
  contains:
    moves:
      description: Number of moves.
      type: int
      sample: 41
    moves_by_mode:
      description: Number of moves, live and cold.
      type: dict
      sample: {live: 41, cold: 0}
    moves_by_stage:
      description: Number of moves of each stage.
      type: dict
      sample: {canary: 2, dev-test: 12, non-critical: 20, critical: 7}
    bytes:
      description: Memory that will be sent, in bytes.
      type: int
      sample: 178241142784
    max_level_before:
      description: The highest level of all nodes and resources, as a share of allocatable.
      type: float
      sample: 0.9134
    max_level_after:
      description: The same after the plan.
      type: float
      sample: 0.6207
    lower_bound_level:
      description: No plan with so many moves gets below this level.
      type: float
      sample: 0.5871
    gap_points:
      description: By how many percentage points the plan may miss the best one with so many moves.
      type: float
      sample: 3.36
    balance_before:
      description: For each resource the highest level and its node, the mean and the standard deviation.
      type: dict
      sample: {memory: {max_level: 0.9134, node: worker-03, mean_level: 0.5711, standard_deviation: 0.2218}}
    balance_after:
      description: The same after the plan.
      type: dict
      sample: {memory: {max_level: 0.6207, node: worker-09, mean_level: 0.5711, standard_deviation: 0.0324}}
    duration_seconds:
      description: Predicted duration of the run.
      type: float
      sample: 214.5
    duration_lower_bound_seconds:
      description: No order of these moves is quicker under the limits, if each takes as long as predicted.
      type: float
      sample: 203.0
    downtime_seconds:
      description: Predicted downtime of all VMs together.
      type: float
      sample: 8.2
    node_loss:
      description: Nodes whose VMs would not all find room on the others if the node failed, before and after.
      type: dict
      sample: {unsafe_before: [], unsafe_after: [], shown_by: placing the VMs of each node on the others}
digest:
  description: The plan's digest.
  returned: success
  type: str
  sample: sha256:0f343b0931126a20f133d67c2b018a3b5f3c9d0d4fc2fcd8dd5b3f4a4f1c2d3e
lines:
  description: The plan in words, for the person who is to approve it.
  returned: success
  type: list
  elements: str
  sample:
    - "41 moves, 166.0 GiB of memory, about 3m34s"
    - "Stage canary: 2 moves, about 24s"
edited:
  description: Whether the plan given was changed since its digest was written into it. False for a new plan.
  returned: success
  type: bool
  sample: false
made_already:
  description: Ids of the moves whose VM is on the target already, of a plan that was looked at again.
  returned: success
  type: list
  elements: str
  sample: [m001, m002]
problems:
  description: Why the plan could not be carried out as it is. Empty for a new plan.
  returned: success
  type: list
  elements: dict
  contains:
    move:
      description: Id of the move; empty if the problem is about the whole plan.
      type: str
      sample: m007
    code:
      description: Kind of the problem, for programs.
      type: str
      sample: no_memory
    message:
      description: The problem, for people.
      type: str
      sample: "worker-03: memory requests would be 68719476736, 66571993088 are allowed"
dest:
  description: The file that the plan was written to, or would be in check mode; empty if O(dest) is not set.
  returned: success
  type: str
  sample: /srv/plans/monday.yml
"""

import os

from ansible_collections.ocpv.scale.plugins.module_utils.ansible_support import run_module
from ansible_collections.ocpv.scale.plugins.module_utils.cluster.source import obtain
from ansible_collections.ocpv.scale.plugins.module_utils.errors import InvalidInput
from ansible_collections.ocpv.scale.plugins.module_utils.rebalance.operation import REQUIRED, plan_or_review
from ansible_collections.ocpv.scale.plugins.module_utils.rebalance.plan_file import holds, to_text
from ansible_collections.ocpv.scale.plugins.module_utils.rebalance.plan_options import ARGUMENT_SPEC


def make(module, connect):
    dest = module.params["dest"] or ""
    directory = os.path.dirname(os.path.abspath(dest))
    if dest and not os.path.isdir(directory):
        raise InvalidInput("dest", dest, f"the directory {directory} has to exist")
    snapshot = obtain(module.params["snapshot"], connect, required=REQUIRED)
    plan, result = plan_or_review(snapshot, module.params)
    return {"changed": bool(dest) and store(module, plan, dest), "dest": dest, **result}


def store(module, plan, dest):
    """Write the file unless it holds the same plan or this is check mode; return whether it differs."""
    if holds(dest, plan):
        return False
    if not module.check_mode:
        fresh = os.path.join(module.tmpdir, os.path.basename(dest))
        with open(fresh, "w", encoding="utf-8") as file:
            file.write(to_text(plan, dest))
        module.atomic_move(fresh, dest)
    return True


def main():
    run_module(ARGUMENT_SPEC, make, mutually_exclusive=[("plan", "plan_file")])


if __name__ == "__main__":
    main()
