#!/usr/bin/python
# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: cluster_snapshot
short_description: Take a snapshot of a cluster's nodes, VMs and storage
version_added: 0.1.0
description:
  - Reads what assessing and planning need of an OpenShift Virtualization (KubeVirt) cluster into one value and writes
    it to a file, which the other modules take as their option C(snapshot). They then work without access to the
    cluster.
  - Reads the live cluster with paged list calls, so the number of requests grows with pages, not with VMs; or reads a
    dump made with C(oc get -o yaml), C(oc get -o json) or must-gather.
  - The snapshot holds no secrets. Contents of cloud-init, sysprep, secret and config map volumes are left out, and so
    are annotations that hold serialised objects.
author:
  - the ocpv.scale contributors (@ocpv)
options:
  path:
    description:
      - Path of the file to write, on the host the module runs on. It is gzipped if the name ends in C(.gz).
      - Without it nothing is written, and the module only tells what it has read.
    type: path
  parts:
    description:
      - What to read of the live cluster; everything by default. Not used with O(snapshot).
      - V(nodes), V(namespaces), V(virtual_machines) (VMs and their instances), V(pods), V(claims) (with their
        persistent volumes) and V(migrations) must be readable when they are asked for. Of the others RV(missing) tells
        those that were not.
      - V(storage) are storage classes with their profiles, V(policies) migration policies, V(virtualization) the
        HyperConverged, KubeVirt and virt-handler, V(usage) the metrics of nodes and VMs.
    type: list
    elements: str
    choices:
      - nodes
      - namespaces
      - virtual_machines
      - pods
      - claims
      - storage
      - data_volumes
      - migrations
      - policies
      - virtualization
      - descheduler
      - usage
  namespaces:
    description:
      - Namespaces to read VMs, claims, data volumes and migrations of, instead of all. The other parts are always read
        for the whole cluster. Not used with O(snapshot).
    type: list
    elements: str
    default: []
extends_documentation_fragment:
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
    support: partial
    details:
      - The same dump gives the same file. A live cluster is never quite the same, as the time is part of the snapshot.
  platform:
    support: full
seealso:
  - module: ocpv.scale.vm_rwx_check
  - module: ocpv.scale.rebalance_plan
"""

EXAMPLES = r"""
- name: Keep the state of the cluster for planning elsewhere
  ocpv.scale.cluster_snapshot:
    path: /srv/plans/prod-1.json.gz

- name: Read only what a check of migratability needs, of two namespaces
  ocpv.scale.cluster_snapshot:
    path: /srv/plans/shop.json
    parts: [virtual_machines, claims, storage, data_volumes]
    namespaces: [shop, shop-db]

- name: Make a snapshot of a must-gather
  ocpv.scale.cluster_snapshot:
    snapshot: /srv/support/must-gather.local.4711
    path: /srv/plans/support-case.json.gz

- name: Look whether the cluster can be read, and what it holds
  ocpv.scale.cluster_snapshot:
  register: cluster
"""

RETURN = r"""
path:
  description: The file that was written, or would be in check mode; empty if O(path) is not set.
  returned: success
  type: str
  sample: /srv/plans/prod-1.json.gz
captured_at:
  description: When it was read, by the API server's clock; for a dump, when its newest file was written.
  returned: success
  type: str
  sample: "2026-03-01T12:30:05Z"
cluster_uid:
  description: UID of the namespace C(kube-system), which identifies the cluster. Empty if it could not be read.
  returned: success
  type: str
  sample: 6f0c3c4e-5f0e-4a39-8f3f-0e1f5b1f0a11
server_version:
  description: Version of Kubernetes. Empty for a dump.
  returned: success
  type: str
  sample: v1.31.4
kubevirt_version:
  description: Version of KubeVirt. Empty if it was not read.
  returned: success
  type: str
  sample: v1.6.2
hyperconverged_api:
  description: API version the HyperConverged was read in. Empty if there is none or it was not read.
  returned: success
  type: str
  sample: hco.kubevirt.io/v1
parts:
  description: What the snapshot holds.
  returned: success
  type: list
  elements: str
  sample: [nodes, namespaces, virtual_machines, pods]
missing:
  description: What could not be read, with the reason.
  returned: success
  type: dict
  sample:
    usage: "Could not list nodes.metrics.k8s.io: 404 page not found"
counts:
  description: How many objects of each kind the snapshot holds.
  returned: success
  type: dict
  sample:
    nodes: 12
    namespaces: 40
    virtual_machines: 150
    running_virtual_machines: 141
    pods: 1630
    claims: 180
    data_volumes: 150
    storage_classes: 3
    migrations: 4
    migration_policies: 1
"""

from ansible_collections.ocpv.scale.plugins.module_utils.ansible_support import run_module, store_file
from ansible_collections.ocpv.scale.plugins.module_utils.cluster.capture import ALL_PARTS
from ansible_collections.ocpv.scale.plugins.module_utils.cluster.snapshot_file import to_bytes
from ansible_collections.ocpv.scale.plugins.module_utils.cluster.source import obtain, summary


def take(module, connect):
    params = module.params
    parts = ALL_PARTS if params["parts"] is None else params["parts"]
    snapshot = obtain(params["snapshot"], connect, parts, namespaces=params["namespaces"])
    if snapshot.missing:
        module.warn(f"Not in the snapshot: {', '.join(snapshot.missing)}. The result's key missing says why.")
    path = params["path"] or ""
    changed = bool(path) and store_file(module, "path", path, to_bytes(snapshot, path))
    return {"changed": changed, "path": path, **summary(snapshot)}


def main():
    run_module(
        {
            "snapshot": {"type": "path"},
            "path": {"type": "path"},
            "parts": {"type": "list", "elements": "str", "choices": list(ALL_PARTS)},
            "namespaces": {"type": "list", "elements": "str", "default": []},
        },
        take,
    )


if __name__ == "__main__":
    main()
