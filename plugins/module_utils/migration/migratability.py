# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How a VM can move, and why not better.

What the VirtualMachineInstance itself reports decides (conditions LiveMigratable and StorageLiveMigratable, written by
virt-handler); without it the volumes, devices and networks predict. Both are told, and so is a contradiction.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Iterable, Optional

from ..cluster.model import Condition, Instance, Snapshot, VirtualMachine
from ..cluster.quick_init import quick_init
from .findings import BLOCKED, COLD, LIVE, STORAGE_LIVE, Finding, finding, possible_ways
from .machine import ENDED, device_findings, difference_findings, owner_findings, pinned_findings, state_findings
from .surroundings import Surroundings
from .volumes import copies_volumes, restart_findings, volume_findings

LIVE_MIGRATABLE = "LiveMigratable"
STORAGE_LIVE_MIGRATABLE = "StorageLiveMigratable"
BLOCK_MIGRATION = "BlockMigration"
_DISKS = "DisksNotLiveMigratable"
_LIVE_MIGRATE = "LiveMigrate"
# what KubeVirt looks at for LiveMigratable, so what its answer confirms or contradicts
_CHECKED_BY_KUBEVIRT = frozenset(
    ("claim_not_shared", "claim_modes_unknown", "host_disk")
    + ("interface_not_migratable", "host_device", "gpu", "host_model_unknown")
)
# reasons of LiveMigratable=False that follow from what a snapshot holds
_PREDICTABLE_REASONS = frozenset((_DISKS, "InterfaceNotLiveMigratable", "HostDeviceNotLiveMigratable"))
_REASON_HINTS = {
    _DISKS: "Its volumes are told one by one.",
    "CPUModeLiveMigratable": "virt-handler's node labeller found no CPU model for the node; look at its log.",
    "NoTSCFrequencyNotLiveMigratable": "Its nodes tell no TSC frequency; or remove hyperv.reenlightenment from the VM.",
    "SEVNotLiveMigratable": "Memory encryption keeps it on its host: move it cold.",
    "TDXNotLiveMigratable": "Memory encryption keeps it on its host: move it cold.",
    "SecureExecutionNotLiveMigratable": "Secure Execution keeps it on its host: move it cold.",
    "HypervPassthroughNotLiveMigratable": "Name the Hyper-V features it needs instead of passing all through.",
}


@quick_init
@dataclass(frozen=True)
class Verdict:
    """How a VM can move.

    C(way) is the best of C(ways), which are all that are possible, or C(blocked) if none is. C(reported_live) is what
    the instance's condition LiveMigratable says, None without one; C(predicted_live) what its volumes, devices and
    networks let expect. C(live_now): it could start moving live this moment. C(migration_method) is LiveMigration,
    BlockMigration (volumes are copied as well), or empty where it cannot move live.
    """

    key: str
    way: str
    ways: tuple[str, ...]
    findings: tuple[Finding, ...]
    live_now: bool
    reported_live: Optional[bool]
    predicted_live: bool
    migration_method: str = ""

    @property
    def reasons(self) -> tuple[Finding, ...]:
        """The findings that rule out a better way than the one there is."""
        better = {LIVE: (), STORAGE_LIVE: (LIVE,), COLD: (LIVE, STORAGE_LIVE), BLOCKED: (LIVE, STORAGE_LIVE, COLD)}
        return tuple(item for item in self.findings if set(item.rules_out) & set(better[self.way]))


def assess(snapshot: Snapshot, vm: VirtualMachine) -> Verdict:
    """Return the verdict on one VM; assess_all is quicker for many."""
    return _assess(Surroundings(snapshot), vm)


def assess_all(snapshot: Snapshot, vms: Iterable[VirtualMachine]) -> dict[str, Verdict]:
    """Return the verdicts by the keys of the VMs, in their order."""
    around = Surroundings(snapshot)
    return {vm.key: _assess(around, vm) for vm in vms}


def _assess(around: Surroundings, vm: VirtualMachine) -> Verdict:
    instance = vm.instance if vm.instance is not None and vm.instance.phase not in ENDED else None
    spec = instance.spec if instance else vm.spec
    found = [*volume_findings(around, vm, instance is not None), *device_findings(around, vm, spec)]
    predicted = not any(LIVE in item.rules_out for item in found)
    reported: Optional[bool] = None
    if instance is not None:
        condition = instance.conditions.get(LIVE_MIGRATABLE)
        reported = condition.status == "True" if condition else None
        if not (reported and predicted):
            found = list(_with_report(found, instance, condition, predicted))
        found += pinned_findings(around, instance)
        if vm.has_vm:
            found += difference_findings(vm, instance)
    found += state_findings(around, vm)
    found += owner_findings(vm)
    found += _volume_migration_findings(around, found)
    ways = possible_ways(found)
    way = ways[0] if ways else BLOCKED
    if instance is not None:
        if way == COLD:
            found += restart_findings(vm)
        found += _drain_findings(around, instance, ways)
    running = instance is not None and instance.phase == "Running"
    return Verdict(
        key=vm.key,
        way=way,
        ways=ways,
        findings=tuple(found),
        live_now=way == LIVE and running and not any(item.momentary for item in found),
        reported_live=reported,
        predicted_live=predicted,
        migration_method=_method(vm, instance, way),
    )


def _with_report(
    found: list[Finding], instance: Instance, condition: Optional[Condition], predicted: bool
) -> Iterable[Finding]:
    """Yield the findings in the light of what the instance reports; where both speak of the same, the report counts."""
    storage = instance.conditions.get(STORAGE_LIVE_MIGRATABLE)
    if condition is None:
        yield from found
        yield finding("not_reported", "Its instance does not report (yet) whether it can be migrated live.")
        return
    if condition.status == "True":
        contradicted = []
        for item in found:
            if item.code in _CHECKED_BY_KUBEVIRT and LIVE in item.rules_out:
                contradicted.append(item)
                item = finding(
                    item.code,
                    item.message,
                    volume=item.volume,
                    hint=item.hint,
                    rules_out=[way for way in item.rules_out if way == COLD],
                )
            yield item
        if contradicted:
            places = ", ".join(item.volume or item.code for item in contradicted)
            yield finding("contradiction", f"Its instance reports {LIVE_MIGRATABLE}, which {places} speaks against.")
        return
    yield from found
    rules_out = [LIVE]
    if condition.reason != _DISKS and not (storage is not None and storage.status == "True"):
        rules_out.append(STORAGE_LIVE)  # disks are the last check: another one failed before
    told = ": ".join(part for part in (condition.reason, condition.message) if part)
    hint = _REASON_HINTS.get(condition.reason, "")
    yield finding(
        "not_live_migratable",
        f"Its instance reports that it is not {LIVE_MIGRATABLE}: {told or 'no reason is given'}.",
        hint=hint,
        rules_out=rules_out,
    )
    if predicted and condition.reason in _PREDICTABLE_REASONS:
        message = f"Its instance reports that it is not {LIVE_MIGRATABLE}, but nothing that was read explains it."
        yield finding("contradiction", message)
    if storage is not None and storage.status == "False":
        message = f"Its instance reports that it is not {STORAGE_LIVE_MIGRATABLE}: {storage.message or storage.reason}."
        yield finding("not_storage_live_migratable", message)


def _volume_migration_findings(around: Surroundings, found: list[Finding]) -> list[Finding]:
    """Return why volumes cannot be migrated here, for a VM that it would help."""
    if not around.volume_migration_obstacle:
        return []
    ways = possible_ways(found)
    if LIVE in ways or STORAGE_LIVE not in ways:
        return []
    return [
        finding(
            "volume_migration_unavailable",
            f"Its volumes cannot be migrated while it runs: {around.volume_migration_obstacle}.",
        )
    ]


def _drain_findings(around: Surroundings, instance: Instance, ways: tuple[str, ...]) -> list[Finding]:
    strategy = instance.spec.eviction_strategy or around.snapshot.virtualization.default_eviction_strategy
    if strategy != _LIVE_MIGRATE or LIVE in ways:
        return []
    return [finding("blocks_drain", f"Its eviction strategy is {strategy}, but it cannot be migrated live.")]


def _method(vm: VirtualMachine, instance: Optional[Instance], way: str) -> str:
    if way == STORAGE_LIVE:
        return BLOCK_MIGRATION
    if way != LIVE:
        return ""
    if instance is not None and instance.migration_method:
        return instance.migration_method
    return BLOCK_MIGRATION if copies_volumes(vm) else "LiveMigration"
