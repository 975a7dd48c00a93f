#!/usr/bin/python
# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: rebalance_run
short_description: Execute a rebalance plan, or go on with one
version_added: 0.1.0
description:
  - Moves VMs as a plan of M(ocpv.scale.rebalance_plan), edited or not, says. Stage by stage, never with more migrations
    in flight than the limits in force allow, and with each move checked again just before it starts.
  - The state of the run is kept in ConfigMaps of the cluster. The same plan always continues the same run, from any
    machine. A run that was killed anywhere goes on where it was; when everything is done, running it again changes
    nothing.
  - A Lease lets only one run work on a cluster at a time.
  - Live moves are VirtualMachineInstanceMigrations aimed at the planned node. KubeVirt before 1.6 cannot aim them;
    there the VM's node selector is changed for the time of the migration and put back afterwards.
  - Cold moves stop the VM, place it, start it, verify that it runs, and put its placement back. They come one after
    another, after the live moves of their stage. A VM that is stopped stays stopped and is not moved.
  - While it works, a line about its progress is shown as soon as something changes, if the task runs on the control
    node (C(connection=local)).
  - To pause a run, annotate its ConfigMap with C(ocpv.scale/request=pause) (or C(stop)), or send the module SIGTERM.
    Nothing new is started then, and what is in flight is waited for.
author:
  - the ocpv.scale contributors (@ocpv)
options:
  plan:
    description:
      - The plan's document, as RV(ocpv.scale.rebalance_plan#module:plan) returns it.
      - One of O(plan) and O(plan_file) is needed.
    type: dict
  plan_file:
    description:
      - Path of a file with the plan's document, YAML or JSON.
    type: path
  approved_digest:
    description:
      - The digest of the plan that was approved. A plan with another one is refused before anything is done.
    type: str
  max_plan_age_seconds:
    description:
      - A plan that was made longer ago, by the API server's clock, is refused. V(0) for no limit.
      - A run that has begun can be continued at any age.
    type: int
    default: 86400
  max_parallel:
    description:
      - At most so many migrations at once in the cluster, those of others counted, if the cluster's own
        C(parallelMigrationsPerCluster) and the plan allow as many.
      - Needed when neither a HyperConverged nor a KubeVirt object can be read.
    type: int
  max_per_source:
    description:
      - At most so many migrations at once that leave one node, if the cluster's own
        C(parallelOutboundMigrationsPerNode) and the plan allow as many.
      - Needed when neither a HyperConverged nor a KubeVirt object can be read.
    type: int
  max_per_target:
    description:
      - At most so many migrations at once that arrive at one node. KubeVirt has no such limit.
      - The default is the plan's limit, which is 2 if nothing else was asked for.
    type: int
  attempts:
    description:
      - How often a live move is tried when another try may help, such as after a timeout, an unschedulable target pod
        or a lost target node. Cold moves are tried once.
    type: int
    default: 2
  retry_delay_seconds:
    description: How long to wait before a move is tried again.
    type: int
    default: 30
  retry_failed:
    description:
      - Whether a call that continues a run tries moves again that have failed or were skipped.
    type: bool
    default: false
  migration_timeout_seconds:
    description:
      - A migration that copies for longer is cancelled and counts as failed.
      - By default the limit is worked out from C(completionTimeoutPerGiB) and the VM's memory, with five minutes on top
        for what KubeVirt needs beside copying.
    type: int
  pending_timeout_seconds:
    description: A migration that KubeVirt does not begin within this time is cancelled and counts as failed.
    type: int
    default: 600
  unschedulable_timeout_seconds:
    description:
      - How long the scheduler may take to find a place for the VM's new pod on the target. Until then the pod holds a
        slot.
    type: int
    default: 120
  start_timeout_seconds:
    description:
      - How long a VM that is moved cold may take to run on its target. After that it goes back to where it was.
    type: int
    default: 600
  room_timeout_seconds:
    description:
      - How long to wait for moves that do not fit at the moment (no room, a cordoned node) when nothing else is under
        way that could change it. They are skipped after that.
    type: int
    default: 60
  warn_percent:
    description:
      - Warn when this share of a stage's decided moves has failed. V(0) switches the warning off.
    type: float
    default: 10
  stop_percent:
    description:
      - Stop when this share of a stage's decided moves has failed. V(0) switches this off.
      - A failed move of the stage C(canary) always stops the run.
    type: float
    default: 25
  judge_minimum:
    description: The shares count once so many moves of the stage are decided, or all of them if there are fewer.
    type: int
    default: 4
  max_failures:
    description: Stop when so many moves have failed in this call. V(0) for no limit.
    type: int
    default: 0
  cancel_in_flight:
    description: Whether stopping and pausing cancel the live migrations in flight instead of waiting for them.
    type: bool
    default: false
  fail_on:
    description:
      - What makes the module fail at the end.
      - V(failed_moves) is any move that failed, or a run that was stopped; V(stopped) only the latter; V(never)
        neither, so that the caller looks at RV(run).
    type: str
    choices: [failed_moves, stopped, never]
    default: failed_moves
  state_namespace:
    description:
      - Namespace for the state of runs and for the Lease. It must exist; C(docs/rbac/rebalance.yaml) makes it.
      - All runs of a cluster must use the same one, or they do not know of each other.
    type: str
    default: ocpv-scale
  keep_runs:
    description:
      - Of how many earlier runs that were completed the state is kept; older ones are deleted when this run is
        completed.
      - By default all are kept.
    type: int
  lease_seconds:
    description:
      - For how long the Lease is taken. It is renewed three times as often; after a crash another run has to wait for
        so long.
    type: int
    default: 30
  wait_for_lease_seconds:
    description:
      - How long to wait while another run is under way, before failing with its name.
      - What a killed process of the same run left is always waited for.
    type: int
    default: 0
  api_patience_seconds:
    description:
      - How long to go on while the API server does not answer, throttles or restarts, before ending with the state as
        last saved.
    type: int
    default: 300
  progress_path:
    description:
      - A file to which progress is appended, one JSON document a line, with the line for people as C(text).
      - Removing the file while the module runs makes it end at once, to be continued later.
      - For tasks that run on the control node a file of its own is used and shown by default.
    type: path
extends_documentation_fragment:
  - ocpv.scale.auth
  - ocpv.scale.attributes
  - ocpv.scale.attributes.action_group
attributes:
  check_mode:
    support: full
    details:
      - Checks the plan step by step against the live cluster and tells what would be done.
  diff_mode:
    support: none
  idempotent:
    support: full
    details:
      - A plan whose run is completed is not executed again.
  platform:
    support: full
notes:
  - The account needs the rights in C(docs/rbac/rebalance.yaml); those for cold moves can be left out if there are none.
seealso:
  - module: ocpv.scale.rebalance_plan
  - module: ocpv.scale.rebalance_report
"""

EXAMPLES = r"""
- name: Plan
  ocpv.scale.rebalance_plan:
    goal: balance
  register: planned

- name: Look what the plan would meet right now
  ocpv.scale.rebalance_run:
    plan: "{{ planned.plan }}"
  check_mode: true

- name: Execute the plan
  ocpv.scale.rebalance_run:
    plan: "{{ planned.plan }}"
  register: result

- name: Execute a plan that was edited and approved, more gently than the cluster allows
  ocpv.scale.rebalance_run:
    plan_file: /srv/plans/tuesday.yml
    approved_digest: "{{ approved_digest }}"
    max_parallel: 3
    stop_percent: 10
    wait_for_lease_seconds: 600

- name: Go on with what failed yesterday
  ocpv.scale.rebalance_run:
    plan_file: /srv/plans/tuesday.yml
    retry_failed: true
"""

RETURN = r"""
run:
  description:
    - The record of the run, as M(ocpv.scale.rebalance_report) takes it.
    - C(status) is V(completed), V(paused), V(stopped) or V(running) (check mode). C(moves) holds what became of each
      move, with C(status) (V(succeeded), V(failed), V(skipped), V(not_attempted), V(in_flight) or V(waiting)), C(code),
      a word for programs, C(message) and C(hint) for people, the node it C(reached), predicted and actual seconds, and
      its attempts.
    - C(diagnoses) of a live move say why its last attempt failed, or took more than twice the predicted time (and a
      minute at least), with the C(symptom), the C(likely_cause), the C(evidence) from the cluster, the C(settings) that
      would change it, the C(remedy) and its C(source). They are as RV(ocpv.scale.migration_preflight#module:diagnoses)
      has them, and empty for a move that went well.
  returned: always
  type: dict
  sample:
    format: ocpv.scale/run
    version: 1
    run_id: f91dabfcbb
    plan_id: plan-4be1a0c2d3
    status: completed
    message: ""
    started_at: "2026-03-01T12:30:05Z"
    ended_at: "2026-03-01T12:41:17Z"
    limits:
      parallel: 5
      per_source: 2
      per_target: 2
      source: HyperConverged openshift-cnv/kubevirt-hyperconverged (hco.kubevirt.io/v1)
    moves:
      - id: m1
        namespace: shop
        name: web-1
        mode: live
        source: worker-1
        target: worker-2
        stage: canary
        wave: 1
        status: succeeded
        reached: worker-2
        predicted_seconds: 14.0
        actual_seconds: 15.0
        diagnoses: []
        attempts:
          - number: 1
            migration: ocpv-f91dabfcbb-m1-1
            result: succeeded
plan:
  description:
    - The plan's document as it was when the run began, with what was predicted then, as M(ocpv.scale.rebalance_report)
      takes it.
  returned: always
  type: dict
counts:
  description: How many moves are in each status.
  returned: always
  type: dict
  sample:
    waiting: 0
    in_flight: 0
    succeeded: 31
    failed: 0
    skipped: 1
    not_attempted: 0
resumed:
  description: How often this run was continued.
  returned: always
  type: int
  sample: 0
state:
  description: Where the state of the run is kept.
  returned: when not in check mode
  type: str
  sample: ConfigMap ocpv-scale/ocpv-rebalance-f91dabfcbb
problems:
  description: Steps of the plan that are not feasible as the cluster is now.
  returned: in check mode
  type: list
  elements: dict
  sample:
    - move: m7
      code: no_memory
      message: worker-3 has 2.0 GiB of memory left to request, the VM needs 8.3 GiB
"""

from ..module_utils.ansible_support import run_module
from ..module_utils.rebalance.run.operation import run_plan


def main() -> None:
    spec = {
        "plan": {"type": "dict"},
        "plan_file": {"type": "path"},
        "approved_digest": {"type": "str"},
        "max_plan_age_seconds": {"type": "int", "default": 86400},
        "max_parallel": {"type": "int"},
        "max_per_source": {"type": "int"},
        "max_per_target": {"type": "int"},
        "attempts": {"type": "int", "default": 2},
        "retry_delay_seconds": {"type": "int", "default": 30},
        "retry_failed": {"type": "bool", "default": False},
        "migration_timeout_seconds": {"type": "int"},
        "pending_timeout_seconds": {"type": "int", "default": 600},
        "unschedulable_timeout_seconds": {"type": "int", "default": 120},
        "start_timeout_seconds": {"type": "int", "default": 600},
        "room_timeout_seconds": {"type": "int", "default": 60},
        "warn_percent": {"type": "float", "default": 10.0},
        "stop_percent": {"type": "float", "default": 25.0},
        "judge_minimum": {"type": "int", "default": 4},
        "max_failures": {"type": "int", "default": 0},
        "cancel_in_flight": {"type": "bool", "default": False},
        "fail_on": {"type": "str", "choices": ["failed_moves", "stopped", "never"], "default": "failed_moves"},
        "state_namespace": {"type": "str", "default": "ocpv-scale"},
        "keep_runs": {"type": "int"},
        "lease_seconds": {"type": "int", "default": 30},
        "wait_for_lease_seconds": {"type": "int", "default": 0},
        "api_patience_seconds": {"type": "int", "default": 300},
        "progress_path": {"type": "path"},
    }
    run_module(spec, run_plan, mutually_exclusive=[("plan", "plan_file")], required_one_of=[("plan", "plan_file")])


if __name__ == "__main__":
    main()
