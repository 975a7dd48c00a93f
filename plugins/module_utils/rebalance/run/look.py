# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether a move of the plan still fits its VM, just before it starts. Pure.

Room and the rules of the target are asked of the Occupancy; here it is about the VM itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional, Union

from ... import names
from ...cluster.model import Migration, VirtualMachine
from ...migration.machine import owner_findings
from ...migration.migratability import LIVE_MIGRATABLE
from ..plan import COLD, Move
from ..rules import Refusal
from .outcome import Outcome, skipped

# run strategies of VMs that can be stopped and started again by themselves
_RESTARTABLE = ("Always", "RerunOnFailure", "Manual", "Once")
# refusals of a target that waiting does not change; the others may pass (room, cordon, readiness, neighbours)
_LASTING = frozenset(
    (
        "node_unknown", "control_plane", "node_selector", "node_affinity", "node_label", "architecture", "cpu_vendor",
        "cpu_model", "cpu_feature", "machine_type", "dedicated_cpus", "storage_topology", "node_closed",
    )
)  # fmt: skip


@dataclass(frozen=True)
class Hold:
    """The move cannot start now but may be able to later."""

    code: str
    message: str


Hindrance = Union[Outcome, Hold]


def hindrance(move: Move, vm: Optional[VirtualMachine], migration: Optional[Migration]) -> Optional[Hindrance]:
    """Return what keeps the VM from starting this move: an Outcome if it never can, a Hold if it may later, or None.

    C(migration) is the VM's unfinished migration, which is not one of this run's.
    """
    if vm is None or (vm.deleting and vm.has_vm):
        return skipped(
            "vm_gone", f"{move.key} does not exist any more" if vm is None else f"{move.key} is being deleted"
        )
    if move.uid and vm.uid != move.uid:
        return skipped("vm_replaced", f"{move.key} was deleted and made again since the plan")
    if names.COLD_MOVE in vm.annotations or names.STEERED_MOVE in vm.annotations:
        return Hold("in_recovery", f"an earlier move of {move.key} is being cleaned up")
    instance = vm.instance
    if instance is None:
        if vm.run_strategy == "Always":
            return Hold("not_running", f"{move.key} is not running, but should be")
        return skipped("not_running", f"{move.key} is not running, so there is nothing to move")
    if instance.deleting or not vm.running:
        return Hold("not_running", f"{move.key} is {instance.phase or 'not running'}{', ending' * instance.deleting}")
    if migration is not None:
        return Hold("migrating", f"{move.key} is being migrated by {migration.name}")
    if vm.node == move.target:
        return skipped("already_there", f"{move.key} already runs on {move.target}", reached=vm.node)
    if vm.node != move.source:
        text = f"{move.key} runs on {vm.node}, not on {move.source} as the plan says"
        return skipped("moved_elsewhere", text, hint="Somebody moved it meanwhile; make a new plan.", reached=vm.node)
    if vm.snapshot_in_progress or vm.restore_in_progress:
        return Hold("snapshot", f"a snapshot or restore of {move.key} is in progress")
    if instance.evacuation_node:
        return Hold("evacuating", f"{move.key} is about to be evacuated from {instance.evacuation_node}")
    return _cold_hindrance(move, vm) if move.mode == COLD else _live_hindrance(move, vm)


def _live_hindrance(move: Move, vm: VirtualMachine) -> Optional[Hindrance]:
    condition = vm.instance.conditions.get(LIVE_MIGRATABLE) if vm.instance else None
    if condition is None:
        return Hold("not_migratable", f"{move.key} does not report yet whether it can be migrated")
    if condition.status == "True":
        return None
    text = f"{move.key} cannot be migrated live: {condition.reason}: {condition.message}"
    hint = "vm_rwx_check tells every reason; plan it as a cold move if it may be stopped."
    return skipped("not_migratable", text, hint=hint, reached=vm.node)


def _cold_hindrance(move: Move, vm: VirtualMachine) -> Optional[Hindrance]:
    against = [f"{item.message} {item.hint}" for item in owner_findings(vm) if COLD in item.rules_out]
    if vm.has_vm and vm.run_strategy not in _RESTARTABLE:
        against.append(f"With the run strategy {vm.run_strategy} it would not be started again.")
    recovery = vm.conditions.get("ManualRecoveryRequired")
    if recovery is not None and recovery.status == "True":
        against.append(f"It needs manual recovery: {recovery.message}.")
    if not against:
        return None
    return skipped("not_restartable", f"{move.key} cannot be moved cold: {' '.join(against)}", reached=vm.node)


def target_hindrance(move: Move, refusals: tuple[Refusal, ...]) -> Optional[Hindrance]:
    """Return what the target has against the move: a skip if waiting cannot help, else a Hold; None for no refusals."""
    if not refusals:
        return None
    message = "; ".join(refusal.message for refusal in refusals)
    lasting = [refusal for refusal in refusals if refusal.code in _LASTING]
    if lasting:
        return skipped(lasting[0].code, message, hint="Make a new plan; the node or the VM changed since.")
    return Hold(refusals[0].code, message)
