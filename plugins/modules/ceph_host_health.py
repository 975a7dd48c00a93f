#!/usr/bin/python
# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: ceph_host_health
short_description: Check that the Ceph daemons of a host are up and in
version_added: 0.1.0
description:
  - Asks Ceph which monitors, managers and OSDs a host runs, and fails unless the OSDs are up and in, the monitors are
    in quorum and the managers are active or standby. It only reads.
  - After a change to a host, use O(stable_seconds), since it takes Ceph some twenty seconds to notice that an OSD has
    lost its network.
author:
  - the ocpv.scale contributors (@ocpv)
options:
  host:
    description:
      - Name of the host as Ceph knows it, which is what C(hostname) prints there. Of a name with dots the first part
        does as well.
    type: str
    required: true
  timeout_seconds:
    description:
      - How long to wait for the daemons to be well. With V(0) they are looked at until O(stable_seconds) are over, and
        the first trouble fails.
    type: float
    default: 0
  stable_seconds:
    description:
      - For how long they must be well without a break.
    type: float
    default: 0
  poll_seconds:
    description:
      - Time between two looks.
    type: float
    default: 5
attributes:
  diff_mode:
    support: N/A
    details:
      - This module changes nothing.
extends_documentation_fragment:
  - ocpv.scale.ceph_command
seealso:
  - module: ocpv.scale.node_sysctl_tune
  - module: ocpv.scale.host_network_tune
"""

EXAMPLES = r"""
- name: Wait until the daemons of a host have been well for half a minute
  ocpv.scale.ceph_host_health:
    host: ceph-07
    timeout_seconds: 300
    stable_seconds: 30
  delegate_to: ceph-admin

- name: Look once, through a container
  ocpv.scale.ceph_host_health:
    host: ceph-07
    ceph_command: [cephadm, shell, --, ceph]
  delegate_to: ceph-admin
"""

RETURN = r"""
host:
  description: The host that was asked about.
  returned: success
  type: str
  sample: ceph-07
health:
  description: The health of the whole cluster.
  returned: success
  type: str
  sample: HEALTH_OK
daemons:
  description: The host's monitors, managers and OSDs, each with C(name) and C(problem), which is empty if it is well.
  returned: success
  type: list
  elements: dict
  sample: [{name: osd.3, problem: ""}]
troubled:
  description: Names of those that are not well. A failure has this, too, in C(details).
  returned: success
  type: list
  elements: str
  sample: []
"""

from ansible_collections.ocpv.scale.plugins.module_utils.ceph.run.support import ceph_argument_spec
from ansible_collections.ocpv.scale.plugins.module_utils.host.run.ceph import check
from ansible_collections.ocpv.scale.plugins.module_utils.host.run.module import run_host_module

SPEC = {
    "host": {"type": "str", "required": True},
    "timeout_seconds": {"type": "float", "default": 0},
    "stable_seconds": {"type": "float", "default": 0},
    "poll_seconds": {"type": "float", "default": 5},
}


def main() -> None:
    run_host_module({**ceph_argument_spec(), **SPEC}, check)


if __name__ == "__main__":
    main()
