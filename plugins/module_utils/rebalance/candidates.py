# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which VMs may move, how, and what that costs: the choice before any node is looked at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Mapping, Optional

from ..cluster.model import MigrationSettings, Snapshot, VirtualMachine
from ..cluster.team_labels import workload_of
from ..migration.migratability import Verdict, assess_all
from ..migration.policies.precedence import settings_for
from ..migration.precopy import DIRTY_RATES
from .duration import Conditions, Forecast, predict
from .plan import COLD, LIVE
from .request import OUTBOUND_LIMIT, PlanRequest, limits_in_force
from .tiers import CRITICAL, DEV_TEST, tier_of

# how much a move disturbs, by tier; a cold move stops the VM
_TIER_WEIGHTS = {DEV_TEST: 1.0, CRITICAL: 2.0}
_OTHER_TIER_WEIGHT = 1.5
_COLD_WEIGHT = 5.0
_PREFER_NO_EVICTION = "prefer_no_eviction"
_HALTED = "Halted"


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
    """Return every VM that is on a node, by its key. Raises InvalidInput for a label that names no tier."""
    machines = [vm for vm in snapshot.virtual_machines.values() if vm.node]
    verdicts = assess_all(snapshot, machines)
    wanted = {move.key: move.mode for move in request.moves}
    return {vm.key: _judge(snapshot, request, settings, vm, verdicts[vm.key], wanted.get(vm.key)) for vm in machines}


def obstacles(vm: VirtualMachine, verdict: Verdict, mode: str) -> list[str]:
    """Return why the VM cannot be moved in this mode now, one sentence each."""
    found = [item.message for item in verdict.findings if mode in item.rules_out or item.momentary]
    if mode == LIVE and verdict.reported_live is None:
        found.append("Its instance does not report (yet) whether it can be migrated live.")
    if mode == COLD and vm.run_strategy == _HALTED:
        found.append(f"Its run strategy is {_HALTED}: it would not be started again.")
    return found


def _judge(
    snapshot: Snapshot,
    request: PlanRequest,
    settings: MigrationSettings,
    vm: VirtualMachine,
    verdict: Verdict,
    wanted_mode: Optional[str],
) -> Candidate:
    """C(wanted_mode) is the mode of an explicit move of the VM (empty: any), None if there is none."""
    tier = tier_of(snapshot, vm, request.default_tier)
    conditions = move_conditions(snapshot, request, settings, vm)
    modes = (wanted_mode,) if wanted_mode else request.modes
    found = _wishes(request, vm, verdict, explicit=wanted_mode is not None)
    if not found:
        for mode in (LIVE, COLD):
            if mode not in modes:
                continue
            forecast = predict(vm, mode, conditions)
            against = obstacles(vm, verdict, mode)
            against += [forecast.obstacle] if forecast.obstacle else []
            if not against:
                return Candidate(vm.key, vm.node, mode, tier, forecast, _cost(mode, tier, forecast))
            found += [reason for reason in against if reason not in found]
        if COLD not in modes and not obstacles(vm, verdict, COLD):
            found.append("It could move cold (stopped and started elsewhere), which is not allowed here.")
    return Candidate(vm.key, vm.node, "", tier, predict(vm, LIVE, conditions), 0.0, tuple(found))


def move_conditions(
    snapshot: Snapshot, request: PlanRequest, settings: MigrationSettings, vm: VirtualMachine
) -> Conditions:
    """Return what a move of this VM meets: its policy, its workload's dirty rate, its share of the link."""
    space: Mapping[str, str] = snapshot.namespaces.get(vm.namespace, {})
    workload = workload_of(snapshot, vm)
    return Conditions(
        settings=settings_for(vm, settings, snapshot.migration_policies, space),
        link_bytes_per_second=request.link_bytes_per_second,
        sharing=limits_in_force(settings, request)[OUTBOUND_LIMIT],
        dirty_rate=DIRTY_RATES.get(workload, DIRTY_RATES[""]),
        workload=workload,
    )


def _wishes(request: PlanRequest, vm: VirtualMachine, verdict: Verdict, *, explicit: bool) -> list[str]:
    """Who wants the VM to stay; an explicit move overrides all but a pin."""
    found = []
    if vm.key in request.pins:
        found.append("It is pinned (option pins).")
    if explicit:
        return found
    if request.selected is not None and vm.key not in request.selected:
        found.append("It is not among the selected VMs.")
    found += [f"{item.message} {item.hint}" for item in verdict.findings if item.code == _PREFER_NO_EVICTION]
    return found


def _cost(mode: str, tier: str, forecast: Forecast) -> float:
    weight = _TIER_WEIGHTS.get(tier, _OTHER_TIER_WEIGHT)
    minutes = forecast.prediction.duration_seconds / 60
    return 1.0 + weight * (minutes + (_COLD_WEIGHT if mode == COLD else 0.0))
