# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""After a run: is the cluster as its record says? Looks at the cluster alone, not at how the run came to its record."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Sequence

from .. import names
from ..cluster.model import Snapshot, VirtualMachine
from ..errors import OcpvError
from .record import IN_FLIGHT, SUCCEEDED, Item, RunRecord

NEVER_RUNNING = ("Halted", "Manual", "Once", "WaitAsReceiver", "RerunOnFailure")


@dataclass(frozen=True)
class Finding:
    """Something that is not as it should be. C(virtual_machine) is "namespace/name"."""

    virtual_machine: str
    code: str
    message: str
    hint: str


def verify_record(snapshot: Snapshot, record: RunRecord) -> list[Finding]:
    """Return everything that does not agree with the record of a run that has ended.

    The snapshot needs the VMs and the migrations. Checked are: each VM that was moved runs on its target; no VM of the
    run was left stopped, with a placement that the run gave it, or with one of the run's migrations unfinished.
    """
    findings = []
    for key, items in _by_machine(record).items():
        vm = snapshot.virtual_machines.get(key)
        moved = [item for item in items if item.status == SUCCEEDED]
        if vm is not None:
            findings += _machine(vm, items, moved[-1].target if moved else "")
        elif moved:
            findings.append(Finding(key, "gone", "it was moved and is no longer there", "Ask who deleted it."))
    for migration in snapshot.migrations:
        if migration.labels.get(names.RUN) == record.run_id and not migration.final:
            findings.append(
                Finding(
                    f"{migration.namespace}/{migration.vmi}",
                    "migration_unfinished",
                    f"migration {migration.name} of this run is still {migration.phase or 'new'}",
                    "Run the plan again: it waits for it.",
                )
            )
    return findings


def _by_machine(record: RunRecord) -> dict[str, list[Item]]:
    """Return the moves of each VM in the order in which they were made; a VM that was parked has two."""
    found: dict[str, list[Item]] = {}
    for item in record.items:
        found.setdefault(f"{item.namespace}/{item.name}", []).append(item)
    return found


def _machine(vm: VirtualMachine, items: Sequence[Item], node: str) -> list[Finding]:
    """Return what is wrong with a VM. C(node) is where its last move that succeeded put it, empty if there is none."""
    findings = []
    if node and vm.running and vm.node != node:
        findings.append(
            Finding(
                vm.key,
                "elsewhere",
                f"it was moved to {node} and runs on {vm.node}",
                "Something moved it since: a drain, a user or the descheduler. Plan again if it matters.",
            )
        )
    touched = any(item.attempts for item in items) and not any(item.status == IN_FLIGHT for item in items)
    if touched and not vm.running and vm.run_strategy not in NEVER_RUNNING:
        findings.append(
            Finding(
                vm.key,
                "not_running",
                f"its run strategy is {vm.run_strategy}, but it is {vm.printable_status or 'not running'}",
                "Look at its events (oc describe vm); start it with virtctl start if it does not come up.",
            )
        )
    for annotation in (names.COLD_MOVE, names.STEERED_MOVE):
        if annotation in vm.annotations:
            findings.append(
                Finding(
                    vm.key,
                    "placement_not_restored",
                    f"it still carries the annotation {annotation} with its original placement",
                    "Run the plan again: it puts the placement back.",
                )
            )
    return findings


def verification(snapshot: Snapshot, record: RunRecord) -> dict[str, Any]:
    """Return the result of rebalance_verify."""
    findings = verify_record(snapshot, record)
    moved = {(item.namespace, item.name) for item in record.items if item.status == SUCCEEDED}
    return {
        "run_id": record.run_id,
        "verified": not findings,
        "checked": len(moved),
        "findings": [
            {name: getattr(finding, name) for name in ("virtual_machine", "code", "message", "hint")}
            for finding in findings
        ],
    }


def complaint(result: dict[str, Any]) -> None:
    """Raise OcpvError, naming each VM, if the result of a verification has findings."""
    findings = result["findings"]
    if findings:
        told = "; ".join(f"{finding['virtual_machine']}: {finding['message']}" for finding in findings)
        hint = " ".join(dict.fromkeys(finding["hint"] for finding in findings))
        raise OcpvError(f"The cluster is not as run {result['run_id']} says: {told}.", hint=hint, details=result)
