# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What teams say about a VM by labels on it or on its namespace."""

from __future__ import annotations

from typing import Optional

from ..names import WORKLOAD
from .model import Snapshot, VirtualMachine


def label_of(snapshot: Snapshot, vm: VirtualMachine, label: str) -> Optional[str]:
    """Return the value of a label of the VM's template, the VM, its instance or its namespace, the first of these that
    has it; None if none has."""
    places = (
        vm.template_labels,
        vm.labels,
        vm.instance.labels if vm.instance else {},
        snapshot.namespaces.get(vm.namespace, {}),
    )
    for labels in places:
        if label in labels:
            return labels[label]
    return None


def workload_of(snapshot: Snapshot, vm: VirtualMachine) -> str:
    """Return the VM's workload class by the label ocpv.scale/workload (label_of); empty if it has none."""
    return label_of(snapshot, vm, WORKLOAD) or ""
