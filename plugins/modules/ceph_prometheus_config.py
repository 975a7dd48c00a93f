#!/usr/bin/python
# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: ceph_prometheus_config
short_description: Configure what the Ceph manager exports to Prometheus, and how often
version_added: 0.1.0
description:
  - Sets options of the manager's module C(prometheus), enables the module, and reads back what was set.
  - Only options that are given are changed. What there was before the first change is kept in the cluster (config key
    C(ocpv.scale/prometheus)), so that O(state=restored) can bring it back.
  - Ceph reads C(scrape_interval) only when the module starts. Until then RV(restart_pending) is true; O(restart_mgr)
    lets another manager take over, or the only one start again.
author:
  - the ocpv.scale contributors (@ocpv)
options:
  state:
    description:
      - V(present) sets the options, V(restored) brings back what there was before this module first changed them.
    type: str
    choices: [present, restored]
    default: present
  rbd_stats_pools:
    description:
      - Pools whose images are exported one by one, as C(pool), C(pool/namespace) or C(*). An empty list exports none.
      - Each image brings some ten time series. Name only pools that are looked at.
    type: list
    elements: str
  rbd_stats_pools_refresh_interval:
    description:
      - After how many seconds the list of images is read again. Ceph's default is 300; the reference architecture uses
        600.
    type: int
  scrape_interval:
    description:
      - How often the manager collects, in seconds; it should be the interval at which Prometheus asks. Ceph's default
        is 15; the reference architecture uses 60, so that the manager is no bottleneck.
    type: float
  restart_mgr:
    description:
      - Whether the active manager is failed over (C(ceph mgr fail)) if it has to start again for a setting to take
        effect. Its modules are away for some seconds then; clients' I/O is not affected.
    type: bool
    default: false
  check_exporter:
    description:
      - Whether to ask the exporter, and to wait until it shows metrics of images of each pool in C(rbd_stats_pools).
      - Only images that are open somewhere show up, after the next collection.
    type: bool
    default: false
  exporter_url:
    description:
      - Address of the exporter, such as V(http://ceph-1:9283/). Without it, it is what the manager tells (C(ceph mgr
        services)).
    type: str
  timeout_seconds:
    description:
      - How long to wait for a manager that starts again, and for the exporter's metrics.
    type: float
    default: 180
extends_documentation_fragment:
  - ocpv.scale.ceph_command
seealso:
  - module: ocpv.scale.ceph_pg_calc
"""

EXAMPLES = r"""
- name: Export the images of one pool, and collect once a minute, as the reference architecture does
  ocpv.scale.ceph_prometheus_config:
    rbd_stats_pools: [vms]
    rbd_stats_pools_refresh_interval: 600
    scrape_interval: 60
    restart_mgr: true

- name: Make sure that metrics of the pool's images are really there
  ocpv.scale.ceph_prometheus_config:
    rbd_stats_pools: [vms]
    check_exporter: true

- name: Go back to what there was
  ocpv.scale.ceph_prometheus_config:
    state: restored
    restart_mgr: true
"""

RETURN = r"""
settings:
  description: The options as they are set, or would be, null if they are not set, and whether the module is enabled.
  returned: success
  type: dict
  sample: {rbd_stats_pools: vms, rbd_stats_pools_refresh_interval: '600', scrape_interval: '60', enabled: true}
overriding:
  description: Entries of single managers that win over what is set, by option.
  returned: success
  type: dict
  sample: {}
restart_pending:
  description: Whether the manager has to start again for a setting to take effect.
  returned: success
  type: bool
  sample: false
exporter:
  description: >-
    Address of the exporter, and how many metrics of images it shows by pool; empty without O(check_exporter).
  returned: success
  type: dict
  sample: {url: 'http://192.0.2.10:9283/metrics', rbd_metrics: {vms: 1200}}
commands:
  description: The commands that changed the cluster, or would in check mode.
  returned: success
  type: list
  elements: str
  sample: [ceph config set mgr mgr/prometheus/scrape_interval 60]
"""

from ansible_collections.ocpv.scale.plugins.module_utils.ceph.run.prometheus import operate
from ansible_collections.ocpv.scale.plugins.module_utils.ceph.run.support import ceph_argument_spec
from ansible_collections.ocpv.scale.plugins.module_utils.host.run.module import run_host_module


def main():
    run_host_module(
        {
            **ceph_argument_spec(),
            "state": {"type": "str", "choices": ["present", "restored"], "default": "present"},
            "rbd_stats_pools": {"type": "list", "elements": "str"},
            "rbd_stats_pools_refresh_interval": {"type": "int"},
            "scrape_interval": {"type": "float"},
            "restart_mgr": {"type": "bool", "default": False},
            "check_exporter": {"type": "bool", "default": False},
            "exporter_url": {"type": "str"},
            "timeout_seconds": {"type": "float", "default": 180},
        },
        operate,
    )


if __name__ == "__main__":
    main()
