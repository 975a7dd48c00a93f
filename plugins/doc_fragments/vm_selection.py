# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    # Which VMs a module is about.
    DOCUMENTATION = r"""
options:
  namespaces:
    description:
      - Only VMs of these namespaces. All of them must exist.
    type: list
    elements: str
    default: []
  names:
    description:
      - Only these VMs, as C(namespace/name) or as C(name), which is looked for in all selected namespaces.
      - Shell wildcards are possible, such as V(web-*) or V(shop/db-?). A name without wildcards must exist.
    type: list
    elements: str
    default: []
  label_selector:
    description:
      - Only VMs whose labels match this selector, written as for C(oc get -l), such as
        V(app=db,tier in (a, b\),!canary).
    type: str
    default: ''
  select:
    description:
      - Only VMs that this JMESPath expression returns. It gets the list of all VMs and returns some of them, such as
        V([?memory_bytes > `8589934592` && labels.app == 'db']) or V(sort_by([?running], &memory_bytes\)[-10:]).
      - A VM has the fields C(namespace), C(name), C(uid), C(labels), C(annotations), C(namespace_labels), C(owner),
        C(run_strategy), C(status), C(running), C(paused), C(node), C(node_labels), C(vcpus), C(memory_bytes),
        C(requests) and C(usage) (each with C(cpu_millicores) and C(memory_bytes), null if not known),
        C(node_selector), C(eviction_strategy), C(dedicated_cpus), C(host_devices), C(networks), C(volumes) (each with
        C(name), C(kind), C(claim), C(hotplugged), C(access_modes), C(volume_mode), C(storage_class),
        C(capacity_bytes)) and C(conditions) (status by type).
      - Labels and annotations with dots or slashes are written in double quotes, such as
        V(labels."app.kubernetes.io/name").
      - Needs the Python library C(jmespath).
    type: str
    default: ''
"""
