# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which VMs may move, how, and what that costs: the choice before any node is looked at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Mapping, Optional

from ..cluster.model import MigrationSettings, Snapshot, VirtualMachine
from .duration import DIRTY_RATES, Conditions, Forecast, predict, settings_for
from .plan import COLD, LIVE
from .request import PlanRequest
from .tiers import CRITICAL, DEV_TEST, tier_of, workload_of

PREFER_NO_EVICTION = "descheduler.alpha.kubernetes.io/prefer-no-eviction"
# how much a move disturbs, by tier; a cold move stops the VM
_TIER_WEIGHTS = {DEV_TEST: 1.0, CRITICAL: 2.0}
_OTHER_TIER_WEIGHT = 1.5
_COLD_WEIGHT = 5.0
_COLD_STRATEGIES = ("Always", "RerunOnFailure", "Manual", "Once")


@dataclass(frozen=True)
class Candidate:
    """A VM on a node. C(mode) is how it would move, empty if it may not: C(obstacles) then say why, one sentence each.
    C(cost) is what a move costs: 1 for the move itself, more for bytes, critical VMs and downtime."""

    key: str
    node: str
    mode: str
    tier: str
    forecast: Forecast
    cost: float
    obstacles: tuple[str, ...] = ()


def find_candidates(snapshot: Snapshot, request: PlanRequest, settings: MigrationSettings) -> dict[str, Candidate]:
    """Return every running VM by its key. VMs that do not run are on no node and are left out."""
    migrating = {
        f"{migration.namespace}/{migration.vmi}": migration.name
        for migration in snapshot.migrations
        if not migration.final
    }
    wanted = {move.key: move.mode for move in request.moves}
    return {
        key: judge(snapshot, request, settings, vm, migrating.get(key, ""), wanted.get(key))
        for key, vm in snapshot.virtual_machines.items()
        if vm.node
    }


def judge(
    snapshot: Snapshot,
    request: PlanRequest,
    settings: MigrationSettings,
    vm: VirtualMachine,
    migration: str,
    wanted_mode: Optional[str],
) -> Candidate:
    """Return one VM as a candidate. C(migration) is the name of its migration in flight, C(wanted_mode) the mode of an
    explicit move of it (empty: any), None if there is none."""
    tier = tier_of(snapshot, vm, request.default_tier)
    conditions = move_conditions(snapshot, request, settings, vm)
    modes = (wanted_mode,) if wanted_mode else request.modes
    obstacles = _general_obstacles(request, vm, migration, explicit=wanted_mode is not None)
    ways: list[str] = []
    if not obstacles:
        for mode in (LIVE, COLD):
            if mode not in modes:
                continue
            forecast = predict(vm, mode, conditions)
            found = live_obstacles(vm) if mode == LIVE else cold_obstacles(vm)
            found += [forecast.obstacle] if forecast.obstacle else []
            if not found:
                return Candidate(vm.key, vm.node, mode, tier, forecast, _cost(mode, tier, forecast))
            ways.extend(found)
        if COLD not in modes and not cold_obstacles(vm):
            ways.append("it could move cold (stopped and started again), which is not allowed here")
    forecast = predict(vm, LIVE, conditions)
    return Candidate(vm.key, vm.node, "", tier, forecast, 0.0, tuple(obstacles + ways))


def move_conditions(
    snapshot: Snapshot, request: PlanRequest, settings: MigrationSettings, vm: VirtualMachine
) -> Conditions:
    """Return what a move of this VM meets: its policy, its workload's dirty rate, its share of the link."""
    space: Mapping[str, str] = snapshot.namespaces.get(vm.namespace, {})
    workload = workload_of(snapshot, vm)
    return Conditions(
        settings=settings_for(vm, settings, snapshot.migration_policies, space),
        link_bytes_per_second=request.link_bytes_per_second,
        sharing=settings.parallel_outbound_migrations_per_node,
        dirty_rate=DIRTY_RATES.get(workload, DIRTY_RATES[""]),
    )


def _general_obstacles(request: PlanRequest, vm: VirtualMachine, migration: str, *, explicit: bool) -> list[str]:
    found = []
    if vm.key in request.pins:
        found.append("it is pinned")
    if request.selected is not None and vm.key not in request.selected and not explicit:
        found.append("it is not among the selected VMs")
    if vm.instance and PREFER_NO_EVICTION in vm.instance.annotations and not explicit:
        found.append(f"its annotation {PREFER_NO_EVICTION} asks to leave it where it is")
    return found + standing_obstacles(vm, migration)


def standing_obstacles(vm: VirtualMachine, migration: str) -> list[str]:
    """Return why the VM cannot be moved in any way now. C(migration) is the name of its migration in flight."""
    instance = vm.instance
    found = []
    if instance is None or instance.phase != "Running":
        found.append(f"its instance is {instance.phase if instance else 'not there'}, not Running")
        return found
    if vm.deleting or instance.deleting:
        found.append("it is being deleted")
    if migration:
        found.append(f"migration {migration} of it is in flight")
    for what, name in (("snapshot", vm.snapshot_in_progress), ("restore", vm.restore_in_progress)):
        if name:
            found.append(f"{what} {name} of it is in progress")
    if instance.paused:
        found.append("it is paused")
    if instance.evacuation_node:
        found.append(f"it is being evacuated from {instance.evacuation_node} already")
    return found


def live_obstacles(vm: VirtualMachine) -> list[str]:
    """Return why KubeVirt would refuse to migrate the VM live now."""
    condition = vm.instance.conditions.get("LiveMigratable") if vm.instance else None
    if condition is None:
        return ["it has no condition LiveMigratable yet; it may have been started just now"]
    if condition.status != "True":
        return [f"it cannot migrate live: {condition.message or condition.reason or 'LiveMigratable is not True'}"]
    return []


def cold_obstacles(vm: VirtualMachine) -> list[str]:
    """Return why the VM cannot be stopped, placed elsewhere and started again."""
    if not vm.has_vm:
        return [f"it cannot move cold: it has no VirtualMachine object ({vm.owner or 'standalone instance'})"]
    if vm.owner:
        return [f"it cannot move cold: {vm.owner} manages it and would undo the placement"]
    if vm.run_strategy not in _COLD_STRATEGIES:
        return [f"it cannot move cold: its run strategy is {vm.run_strategy}"]
    recovery = vm.conditions.get("ManualRecoveryRequired")
    if recovery is not None and recovery.status == "True":
        return ["it cannot move cold: it needs manual recovery (condition ManualRecoveryRequired)"]
    return []


def _cost(mode: str, tier: str, forecast: Forecast) -> float:
    weight = _TIER_WEIGHTS.get(tier, _OTHER_TIER_WEIGHT)
    minutes = forecast.prediction.duration_seconds / 60
    return 1.0 + weight * (minutes + (_COLD_WEIGHT if mode == COLD else 0.0))
