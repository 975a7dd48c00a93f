#!/usr/bin/python
# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: ceph_pg_calc
short_description: Calculate, set and restore the placement groups of Ceph pools
version_added: 0.1.0
description:
  - Says how many placement groups (PGs) each pool should have, by three rules side by side, and what setting them would
    bring. By default it only tells.
  - The rule V(document) is target PGs per OSD x OSDs x share of data / replicas, rounded to a power of two by the
    logarithm. V(pgcalc) is what Ceph's own calculator says, V(autoscaler) what the manager's module C(pg_autoscaler)
    would make of the pools as they are.
  - OSDs are counted below the root, or the device class of the root, that the CRUSH rule of each pool takes. For
    erasure-coded pools, k+m stands for the replicas.
  - A computed number is lowered to what C(mon_max_pg_per_osd) allows; a given one that is too large is an error.
    Either is known before anything is changed.
  - With O(state=applied) it sets C(pg_autoscale_mode) and C(pg_num) one pool after the other, in steps, and waits
    after each step until C(pg_num) and C(pgp_num) are there and all PGs are active and clean. It stops when the
    cluster's health gets worse than allowed.
  - It keeps nothing but the former settings, in the cluster (config keys C(ocpv.scale/pg/POOL_ID)). It can be
    interrupted at any time; running it again goes on.
author:
  - the ocpv.scale contributors (@ocpv)
options:
  state:
    description:
      - V(calculated) changes nothing, V(applied) brings the pools to what was calculated, V(restored) brings them back
        to what they had before this module first changed them.
    type: str
    choices: [calculated, applied, restored]
    default: calculated
  source:
    description:
      - V(cluster) reads the facts by the C(ceph) command, V(given) takes them from the options and needs no cluster.
    type: str
    choices: [cluster, given]
    default: cluster
  pools:
    description:
      - The pools to calculate. Needed unless O(state=restored), which means all recorded pools without it.
    type: list
    elements: dict
    suboptions:
      name:
        description:
          - Name of the pool.
        type: str
        required: true
      data_share_percent:
        description:
          - Share of the data on the pool's OSDs that this pool will hold, in percent of their capacity.
          - Pools on the same OSDs have at most 100 together. Pools without it divide what is left of
            O(max_used_percent) evenly.
        type: float
      pg_num:
        description:
          - A number of PGs to use instead of calculating one.
        type: int
      pg_autoscale_mode:
        description:
          - Mode of the autoscaler for this pool, if it is not O(pg_autoscale_mode).
        type: str
        choices: ['on', 'off', warn]
        aliases: [pg_autoscaler_mode]
      osds:
        description:
          - Number of OSDs to calculate with, such as that after a planned extension, instead of those that the pool's
            rule finds.
        type: int
      size:
        description:
          - Only with O(source=given). Number of replicas; 3 if left out.
        type: int
      k:
        description:
          - Only with O(source=given). Data chunks of an erasure-coded pool.
        type: int
      m:
        description:
          - Only with O(source=given). Coding chunks of an erasure-coded pool.
        type: int
      root:
        description:
          - Only with O(source=given). Name of the OSDs the pool is on; pools with the same name share them. All share
            V(default) if left out.
        type: str
      current_pg_num:
        description:
          - Only with O(source=given). PGs that the pool has now, to see what a change brings.
        type: int
      stored_bytes:
        description:
          - Only with O(source=given). Bytes that clients stored in the pool. Without it, the autoscaler is shown for
            the pool filled to its share.
        type: int
      bulk:
        description:
          - Only with O(source=given). Whether the pool has the flag C(bulk).
        type: bool
  method:
    description:
      - The rule whose number is used.
    type: str
    choices: [document, pgcalc, autoscaler]
    default: document
  target_pgs_per_osd:
    description:
      - How many PG replicas an OSD should carry if all data shares make 100 percent. 100 is common for block storage;
        200 where the number of OSDs will double.
    type: float
    default: 100
  max_used_percent:
    description:
      - How full the OSDs may get; it is the share of data of pools that do not name one.
    type: float
    default: 85
  pg_autoscale_mode:
    description:
      - Mode of the autoscaler for the pools. With V(on) it may change what was applied.
      - Ceph refuses the spelling C(pg_autoscaler_mode), which some documents have; here it is taken, with a warning.
    type: str
    choices: ['on', 'off', warn]
    default: 'off'
    aliases: [pg_autoscaler_mode]
  reduce:
    description:
      - Whether pools that have more PGs than computed are reduced. Merging PGs is slow and moves data. A number given
        by O(pools[].pg_num) always counts.
    type: bool
    default: false
  step_factor:
    description:
      - By which factor C(pg_num) grows or shrinks at most before waiting for the cluster to become clean.
    type: int
    default: 2
  osds:
    description:
      - Only with O(source=given). Number of OSDs.
    type: int
  osd_size_bytes:
    description:
      - Only with O(source=given). Size of an OSD. Needed with O(pools[].stored_bytes).
    type: int
  max_pgs_per_osd:
    description:
      - Only with O(source=given). The cluster's C(mon_max_pg_per_osd); 250 if left out.
    type: int
  wait:
    description:
      - Whether to go in steps and wait for each. Without, C(pg_num) is set once and the manager does the rest by
        itself.
    type: bool
    default: true
  timeout_seconds:
    description:
      - How long to wait altogether. Afterwards the module fails and Ceph goes on by itself; run it again to wait
        further.
    type: float
    default: 3600
  poll_seconds:
    description:
      - How long to pause between two looks at the cluster.
    type: float
    default: 5
  settle_seconds:
    description:
      - How long all PGs have to stay clean before a step counts as done. OSDs tell of their PGs every
        C(mgr_stats_period) seconds (5), so that less may be too early.
    type: float
    default: 5
  tolerated_checks:
    description:
      - Codes of health checks that do not matter, such as V(RECENT_CRASH). Any other stops the change, but for those
        about the number of PGs itself. Muted checks do not matter.
    type: list
    elements: str
    default: []
  transient_seconds:
    description:
      - How long C(PG_AVAILABILITY), C(PG_DEGRADED) and C(SLOW_OPS), which PGs bring along while they split, merge and
        move, may last without a break.
    type: float
    default: 60
extends_documentation_fragment:
  - ocpv.scale.ceph_command
seealso:
  - module: ocpv.scale.ceph_prometheus_config
notes:
  - Merging PGs takes Ceph some seconds for each, so that going back from many PGs to few may take hours.
"""

EXAMPLES = r"""
- name: Calculate the reference architecture's pool without a cluster (141 OSDs, 85 %, 3 replicas make 4096)
  ocpv.scale.ceph_pg_calc:
    source: given
    osds: 141
    pools:
      - name: vms

- name: Tell what two pools of this cluster should have, and what changing them would bring
  ocpv.scale.ceph_pg_calc:
    pools:
      - name: vms
        data_share_percent: 70
      - name: images
        data_share_percent: 15
  register: pgs

- name: Set them, in steps, and wait
  ocpv.scale.ceph_pg_calc:
    state: applied
    pools:
      - name: vms
        data_share_percent: 70
      - name: images
        data_share_percent: 15
    tolerated_checks: [RECENT_CRASH]

- name: The same where Ceph runs in containers
  ocpv.scale.ceph_pg_calc:
    ceph_command: [cephadm, shell, --, ceph]
    state: applied
    pools:
      - name: vms

- name: Go back to what all pools had before
  ocpv.scale.ceph_pg_calc:
    state: restored
"""

RETURN = r"""
pools:
  description: The pools that were asked for, in that order. Empty with O(state=restored).
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: Name of the pool.
      type: str
      sample: vms
    kind:
      description: V(replicated) or V(erasure).
      type: str
      sample: replicated
    size:
      description: Number of replicas, or k+m.
      type: int
      sample: 3
    root:
      description: The CRUSH subtree that the pool's rule takes.
      type: str
      sample: default~nvme
    device_class:
      description: Its device class, empty if it has none.
      type: str
      sample: nvme
    osds:
      description: Number of OSDs that were calculated with.
      type: int
      sample: 141
    data_share_percent:
      description: The pool's share of data; null if its pg_num was given.
      type: float
      sample: 85.0
    document:
      description: >-
        The reference architecture's formula, before rounding and as a number of PGs; null if pg_num was given.
      type: dict
      sample: {exact: 3995.0, pg_num: 4096}
    pgcalc:
      description: The same for Ceph's own calculator.
      type: dict
      sample: {exact: 3995.0, pg_num: 4096}
    autoscaler:
      description: >-
        The same for the autoscaler, with the share of capacity it counts and whether it would change the pool; null if
        it does not scale the pool.
      type: dict
      sample: {exact: 3995.0, pg_num: 4096, capacity_ratio: 0.85, would_adjust: true}
    current_pg_num:
      description: PGs that the pool has now; 0 if not known.
      type: int
      sample: 32
    pg_num:
      description: PGs that it shall have.
      type: int
      sample: 4096
    pg_autoscale_mode:
      description: Mode of the autoscaler that it shall have.
      type: str
      sample: "off"
    pgs_per_osd:
      description: PG replicas of this pool on an OSD, on average.
      type: float
      sample: 87.1
    steps:
      description: The numbers of PGs on the way.
      type: list
      elements: int
      sample: [64, 128, 256, 512, 1024, 2048, 4096]
    moved_bytes:
      description: >-
        How many bytes on disk move to other OSDs, at least and at most. PGs that split more than once may move more
        than once.
      type: dict
      sample: {least: 0, most: 0}
limits:
  description: What the monitor allows and what there is, for the whole cluster (empty root) and below each root in use.
  returned: success
  type: dict
  sample:
    max_pgs_per_osd: 250
    loads:
      - {root: '', osds: 141, allowed: 35250, current_pg_replicas: 99, pg_replicas: 12291, pgs_per_osd: 87.2}
findings:
  description: What is worth knowing, the severe first.
  returned: success
  type: list
  elements: dict
  contains:
    code:
      description: >-
        One of V(too_few_osds), V(too_few_domains), V(over_limit), V(osds_away), V(uneven_osds), V(limited),
        V(not_reduced), V(not_power_of_two), V(merge), V(data_moves), V(autoscaler_disagrees), V(not_scaled),
        V(views_differ), V(other_pools).
      type: str
      sample: uneven_osds
    severity:
      description: V(error) if nothing can be applied, V(warning) or V(info).
      type: str
      sample: warning
    pool:
      description: Name of the pool it is about, empty if it is about the cluster.
      type: str
      sample: vms
    message:
      description: What was found.
      type: str
      sample: "The OSDs of pool vms differ in size: CRUSH weights from 1.75 to 2.91."
    hint:
      description: What to do; may be empty.
      type: str
      sample: Put OSDs of different sizes into device classes with rules of their own.
lines:
  description: The calculation as a table, and the findings, for people.
  returned: success
  type: list
  elements: str
  sample: ["pool  size  OSDs  share  document  pgcalc  autoscaler  now  then  per OSD  moves up to"]
commands:
  description: The commands that changed the cluster, or would with O(state=applied) or in check mode.
  returned: success
  type: list
  elements: str
  sample:
    - ceph osd pool set vms pg_autoscale_mode off
    - ceph osd pool set vms pg_num 64
"""

from ansible_collections.ocpv.scale.plugins.module_utils.ceph.model import AUTOSCALE_MODES
from ansible_collections.ocpv.scale.plugins.module_utils.ceph.request import METHODS
from ansible_collections.ocpv.scale.plugins.module_utils.ceph.run.pg_calc import MISSPELT_MODE, operate
from ansible_collections.ocpv.scale.plugins.module_utils.ceph.run.support import ceph_argument_spec
from ansible_collections.ocpv.scale.plugins.module_utils.host.run.module import run_host_module


def main():
    mode = {"type": "str", "choices": list(AUTOSCALE_MODES), "aliases": [MISSPELT_MODE]}
    pool = {
        "name": {"type": "str", "required": True},
        "data_share_percent": {"type": "float"},
        "pg_num": {"type": "int"},
        "pg_autoscale_mode": mode,
        "osds": {"type": "int"},
        "size": {"type": "int"},
        "k": {"type": "int"},
        "m": {"type": "int"},
        "root": {"type": "str"},
        "current_pg_num": {"type": "int"},
        "stored_bytes": {"type": "int"},
        "bulk": {"type": "bool"},
    }
    run_host_module(
        {
            **ceph_argument_spec(),
            "state": {"type": "str", "choices": ["calculated", "applied", "restored"], "default": "calculated"},
            "source": {"type": "str", "choices": ["cluster", "given"], "default": "cluster"},
            "pools": {"type": "list", "elements": "dict", "options": pool},
            "method": {"type": "str", "choices": list(METHODS), "default": METHODS[0]},
            "target_pgs_per_osd": {"type": "float", "default": 100},
            "max_used_percent": {"type": "float", "default": 85},
            "pg_autoscale_mode": {**mode, "default": "off"},
            "reduce": {"type": "bool", "default": False},
            "step_factor": {"type": "int", "default": 2},
            "osds": {"type": "int"},
            "osd_size_bytes": {"type": "int"},
            "max_pgs_per_osd": {"type": "int"},
            "wait": {"type": "bool", "default": True},
            "timeout_seconds": {"type": "float", "default": 3600},
            "poll_seconds": {"type": "float", "default": 5},
            "settle_seconds": {"type": "float", "default": 5},
            "tolerated_checks": {"type": "list", "elements": "str", "default": []},
            "transient_seconds": {"type": "float", "default": 60},
        },
        operate,
    )


if __name__ == "__main__":
    main()
