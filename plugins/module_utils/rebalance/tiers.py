# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which stage a VM belongs to, and what it does: by labels that teams put on VMs and namespaces."""

from __future__ import annotations

from typing import Optional

from ..cluster.model import Snapshot, VirtualMachine
from ..errors import InvalidInput
from ..names import TIER, WORKLOAD
from .plan import STAGES

DEV_TEST = "dev-test"
NON_CRITICAL = "non-critical"
CRITICAL = "critical"
# in the order in which their stages run
TIERS = tuple(stage for stage in STAGES if stage in (DEV_TEST, NON_CRITICAL, CRITICAL))


def tier_of(snapshot: Snapshot, vm: VirtualMachine, default: str = NON_CRITICAL) -> str:
    """Return the VM's tier: by the label ocpv.scale/tier of the VM's template, the VM, its instance or its namespace,
    the first of these that has it; else C(default). Raises InvalidInput for a value that is no tier."""
    value = _label(snapshot, vm, TIER)
    if value is None:
        return default
    if value not in TIERS:
        raise InvalidInput(f"label {TIER} of VM {vm.key} or its namespace", value, f"the tiers are {', '.join(TIERS)}")
    return value


def workload_of(snapshot: Snapshot, vm: VirtualMachine) -> str:
    """Return the VM's workload class by the label ocpv.scale/workload, found like the tier; empty if it has none."""
    return _label(snapshot, vm, WORKLOAD) or ""


def _label(snapshot: Snapshot, vm: VirtualMachine, label: str) -> Optional[str]:
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
