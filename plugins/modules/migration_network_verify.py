#!/usr/bin/python
# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: migration_network_verify
short_description: Verify that a dedicated migration network works and is used
version_added: 0.1.0
description:
  - V(rollout) - is virt-handler rolled out with the network on all nodes; waited for up to O(rollout_timeout_seconds).
  - V(interface) - has each virt-handler its interface C(migration0) with an address of the network. One without it
    migrates over the pod network and tells nobody.
  - V(mtu) - do packets of the whole MTU arrive from node to node without being fragmented. A pod on each node, with an
    interface of the network, sends them to virt-handler of other nodes. When they do not arrive, packets of a usual
    size tell a switch that lets no jumbo frames through from no connection at all.
  - V(migrations) - have migrations since then gone to addresses of the network (C(targetNodeAddress)).
  - Fails when one of the checks fails, with all results. What cannot be known, such as V(migrations) before any has
    been made, does not fail.
  - Writes nothing but its probe pods, which it removes in every case, and a migration of O(test_vm).
author:
  - the ocpv.scale contributors (@ocpv)
options:
  name:
    description:
      - Name of the NetworkAttachmentDefinition in the HyperConverged's namespace.
    type: str
    default: migration-network
  checks:
    description:
      - What to verify.
    type: list
    elements: str
    choices: [rollout, interface, mtu, migrations]
    default: [rollout, interface, mtu, migrations]
  mtu:
    description:
      - The MTU that has to hold, in bytes. By default that of the NetworkAttachmentDefinition.
    type: int
  rollout_timeout_seconds:
    description:
      - How long to wait for virt-handler's rollout.
    type: int
    default: 1200
  probe_neighbours:
    description:
      - How many other nodes each node sends packets to. The nodes stand in a ring in the order of their names, and each
        asks the next ones.
    type: int
    default: 2
  probe_nodes:
    description:
      - Send packets from these nodes only. By default from all that run virt-handler.
    type: list
    elements: str
    default: []
  probe_image:
    description:
      - Image of the probe pods. It needs C(sh) and C(ping) (iputils). The default is in the registry of the cluster.
    type: str
    default: image-registry.openshift-image-registry.svc:5000/openshift/network-tools:latest
  probe_raw_sockets:
    description:
      - Whether the probe pods run as root with the capability C(NET_RAW), which ping needs unless the sysctl
        C(net.ipv4.ping_group_range) allows it to all groups and the kernel is 5.7 or later.
      - With V(false) they fit the restricted pod security standard.
    type: bool
    default: true
  probe_count:
    description:
      - How many packets are sent on each path. One that arrives is enough.
    type: int
    default: 3
  probe_timeout_seconds:
    description:
      - How long the pods of up to ten nodes, which run at the same time, may take, with pulling the image.
    type: int
    default: 300
  migrations_since:
    description:
      - Look at migrations that started at this time or later (RFC 3339, UTC). By default since the newest virt-handler
        was started.
    type: str
  migration:
    description:
      - Look at this migration only, V(namespace/name).
    type: str
  test_vm:
    description:
      - Migrate this VM, V(namespace/name), to see which way it takes, if no migration has shown it yet. The VM stays on
        its new node.
    type: str
  test_timeout_seconds:
    description:
      - How long that migration may take before it is cancelled.
    type: int
    default: 900
extends_documentation_fragment:
  - ocpv.scale.auth
  - ocpv.scale.attributes
  - ocpv.scale.attributes.action_group
attributes:
  check_mode:
    support: full
    details:
      - Makes no pods and no migration in check mode; V(mtu) is then unknown.
  diff_mode:
    support: none
  idempotent:
    support: full
  platform:
    support: full
seealso:
  - module: ocpv.scale.migration_network
  - module: ocpv.scale.migration_preflight
"""

EXAMPLES = r"""
- name: Verify the network
  ocpv.scale.migration_network_verify:

- name: Verify it with one migration
  ocpv.scale.migration_network_verify:
    test_vm: shop/web-01

- name: Try out a path again after the switch was changed
  ocpv.scale.migration_network_verify:
    checks: [mtu]
    probe_nodes: [worker-07]
    probe_neighbours: 5
"""

RETURN = r"""
msg:
  description: The result in words.
  returned: always
  type: str
  sample: "Checks: 3 ok, 0 warning, 0 failed, 1 unknown."
passed:
  description: Whether no check has failed.
  returned: always
  type: bool
  sample: true
counts:
  description: How many checks have each status.
  returned: always
  type: dict
  sample: {ok: 3, warning: 0, failed: 0, unknown: 1}
fatal:
  description: Names of the checks that failed.
  returned: always
  type: list
  elements: str
  sample: []
lines:
  description: One line per check, for people.
  returned: always
  type: list
  elements: str
  sample:
    - "OK      mtu: Packets of 9000 bytes arrive unfragmented on 24 paths."
namespace:
  description: The HyperConverged's namespace.
  returned: always
  type: str
  sample: openshift-cnv
mtu:
  description: The MTU that was verified, in bytes.
  returned: always
  type: int
  sample: 9000
checks:
  description: The checks that were asked for.
  returned: always
  type: list
  elements: dict
  contains:
    name:
      description: Name of the check.
      type: str
      sample: mtu
    status:
      description: V(ok), V(failed), or V(unknown).
      type: str
      sample: failed
    message:
      description: What was found.
      type: str
      sample: "Packets of 9000 bytes do not arrive on 4 of 24 paths: worker-07 to worker-08."
    hint:
      description: What to do about it; may be empty.
      type: str
      sample: "Smaller ones do: a switch port in between, or the interface of a node, has a smaller MTU."
    fatal:
      description: Whether it made the module fail.
      type: bool
      sample: true
    evidence:
      description: The numbers and names it rests on. Lists hold 20 at most.
      type: dict
      sample: {paths: 24, too_long: [worker-07 to worker-08], lost: [], not_probed: {}}
"""

from ansible_collections.ocpv.scale.plugins.module_utils.ansible_support import run_module
from ansible_collections.ocpv.scale.plugins.module_utils.migration.network.probe import DEFAULT_IMAGE
from ansible_collections.ocpv.scale.plugins.module_utils.migration.network.run.verify import run
from ansible_collections.ocpv.scale.plugins.module_utils.migration.network.verdicts import CHECKS
from ansible_collections.ocpv.scale.plugins.module_utils.migration.network.wanted import DEFAULT_NAME


def main():
    run_module(
        {
            "name": {"type": "str", "default": DEFAULT_NAME},
            "checks": {"type": "list", "elements": "str", "choices": list(CHECKS), "default": list(CHECKS)},
            "mtu": {"type": "int"},
            "rollout_timeout_seconds": {"type": "int", "default": 1200},
            "probe_neighbours": {"type": "int", "default": 2},
            "probe_nodes": {"type": "list", "elements": "str", "default": []},
            "probe_image": {"type": "str", "default": DEFAULT_IMAGE},
            "probe_raw_sockets": {"type": "bool", "default": True},
            "probe_count": {"type": "int", "default": 3},
            "probe_timeout_seconds": {"type": "int", "default": 300},
            "migrations_since": {"type": "str"},
            "migration": {"type": "str"},
            "test_vm": {"type": "str"},
            "test_timeout_seconds": {"type": "int", "default": 900},
        },
        run,
        mutually_exclusive=[("migration", "test_vm", "migrations_since")],
    )


if __name__ == "__main__":
    main()
