# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which stage a VM belongs to, and what it does: by labels that teams put on VMs and namespaces."""

from __future__ import annotations

from ..cluster.model import Snapshot, VirtualMachine
from ..cluster.team_labels import label_of
from ..errors import InvalidInput
from ..names import TIER
from .plan import STAGES

DEV_TEST = "dev-test"
NON_CRITICAL = "non-critical"
CRITICAL = "critical"
# in the order in which their stages run
TIERS = tuple(stage for stage in STAGES if stage in (DEV_TEST, NON_CRITICAL, CRITICAL))


def tier_of(snapshot: Snapshot, vm: VirtualMachine, default: str = NON_CRITICAL) -> str:
    """Return the VM's tier: by the label ocpv.scale/tier of the VM's template, the VM, its instance or its namespace,
    the first of these that has it; else C(default). Raises InvalidInput for a value that is no tier."""
    value = label_of(snapshot, vm, TIER)
    if value is None:
        return default
    if value not in TIERS:
        raise InvalidInput(f"label {TIER} of VM {vm.key} or its namespace", value, f"the tiers are {', '.join(TIERS)}")
    return value
