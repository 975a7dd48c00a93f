# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From a snapshot and a request to a plan. Pure: the same snapshot and request give the same plan."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from typing import Any, Iterable, Mapping, Sequence

from ..cluster.model import MigrationSettings, Snapshot
from ..migration.settings import settings_from
from .board import Board, Proposal
from .bound import BoundNode, BoundVm, lower_bound
from .candidates import Candidate, find_candidates
from .cautions import cautions
from .demand import vm_demand
from .objective import Balance, Levels
from .occupancy import Occupancy
from .placing import drain, fulfil
from .plan import COLD, LIVE, Move, NodeForecast, NodeLoad, NotMoved, Plan, Stage, Wave
from .request import (
    BALANCE,
    CLUSTER_LIMIT,
    COLD_LIMIT,
    DRAIN,
    EVACUATE,
    INBOUND_LIMIT,
    OUTBOUND_LIMIT,
    PlanRequest,
    check_request,
)
from .rules import RESOURCES
from .schedule import Arrangement, arrange
from .search import relieve
from .twin import Slots, Task, Timeline, makespan_bound, play

DEFAULT_INBOUND = 2
DEFAULT_COLD = 1
_LISTED_OBSTACLES = 3


def make_plan(snapshot: Snapshot, request: PlanRequest) -> Plan:
    """Return the plan for a request.

    Raises InvalidInput for a request that cannot be meant for this snapshot. A goal that cannot be reached is no error:
    what stays is in C(not_moved) with its reasons.
    """
    check_request(request, snapshot)
    settings = snapshot.virtualization.settings or settings_from(None, "", None)
    limits = limits_in_force(settings, request)
    candidates = find_candidates(snapshot, request, settings)
    books = Occupancy.from_snapshot(snapshot, request.rules)
    resources = request.resources
    if request.goal == EVACUATE:
        resources = tuple(resource for resource in RESOURCES if resource in request.thresholds_percent)
    levels = Levels(books, resources, request.basis)
    before = Picture(books, levels)
    board = Board(books, levels, candidates, request)
    stay = _search(board)
    arrangement = arrange(
        board.proposals, candidates, request, lambda: Occupancy.from_snapshot(snapshot, request.rules)
    )
    _give_up(board, arrangement, stay)
    after = Picture(books, levels)
    stages, timeline = _stages(snapshot, arrangement, candidates, limits)
    plan = Plan(
        id=_plan_id(snapshot, request),
        created_at=request.created_at or snapshot.captured_at,
        cluster_uid=snapshot.cluster_uid,
        snapshot_at=snapshot.captured_at,
        request=request.to_dict(),
        limits=limits,
        stages=stages,
        nodes=tuple(
            NodeForecast(
                name=name,
                capacity_cpu_millicores=state.node.allocatable.cpu_millicores,
                capacity_memory_bytes=state.node.allocatable.memory_bytes,
                capacity_pods=state.node.allocatable.pods,
                before=before.loads[name],
                after=after.loads[name],
            )
            for name, state in sorted(books.nodes.items())
        ),
        not_moved=tuple(NotMoved(name, tuple(reasons)) for name, reasons in sorted(stay.items())),
    )
    bound = _bound(board, levels, before, len(plan.moves))
    summary = _summary(plan, before, after, bound, timeline, candidates)
    return replace(plan, summary=summary, warnings=cautions(snapshot, request, plan, before.unsafe, after.unsafe))


class Picture:
    """Loads and levels at one moment."""

    def __init__(self, books: Occupancy, levels: Levels) -> None:
        self.loads: dict[str, NodeLoad] = books.loads()
        self.balance: dict[str, Balance] = levels.balance()
        self.top = levels.top()
        self.placement = {key: vm.node for key, vm in books.machines.items()}
        self.unsafe: dict[str, str] = {}
        if books.node_loss is not None:
            books.node_loss.refresh()
            self.unsafe = dict(books.node_loss.unsafe)


def limits_in_force(settings: MigrationSettings, request: PlanRequest) -> dict[str, Any]:
    """Return the limits that the plan is made for: the cluster's, and what the request overrides, which may only be
    less than what the cluster allows."""
    own = request.limits
    cluster = min(own.get(CLUSTER_LIMIT, 10**6), settings.parallel_migrations_per_cluster)
    return {
        CLUSTER_LIMIT: cluster,
        OUTBOUND_LIMIT: min(own.get(OUTBOUND_LIMIT, 10**6), settings.parallel_outbound_migrations_per_node),
        INBOUND_LIMIT: own.get(INBOUND_LIMIT, DEFAULT_INBOUND),
        COLD_LIMIT: own.get(COLD_LIMIT, DEFAULT_COLD),
        "completion_timeout_per_gib": settings.completion_timeout_per_gib,
        "progress_timeout_seconds": settings.progress_timeout_seconds,
        "bandwidth_bytes_per_second": settings.bandwidth_bytes_per_second,
        "source": settings.source,
    }


def _search(board: Board) -> dict[str, list[str]]:
    """Fill the board with moves; return what stays against the request's wish, with reasons."""
    request = board.request
    levels = board.levels
    stay = fulfil(board, request.moves)
    if request.goal == DRAIN:
        stay.update(drain(board, request.nodes))
    elif request.goal == BALANCE:
        peaks = tuple(levels.balance()[resource].maximum for resource in levels.resources)
        tolerance = request.tolerance_percent / 100
        limits = tuple(min(mean + tolerance, peak) for mean, peak in zip(levels.mean(), peaks))
        board.peaks = peaks
        stay.update(_above(board, relieve(board, limits, beyond_limits=True), limits))
    elif request.goal == EVACUATE:
        percents = request.thresholds_percent
        limits = tuple(percents[resource] / 100 for resource in levels.resources)
        stay.update(_above(board, relieve(board, limits, beyond_limits=False), limits))
    return stay


def _above(board: Board, excesses: Mapping[str, float], limits: Sequence[float]) -> dict[str, list[str]]:
    """Why nodes stay above their limit: what is on them and cannot go anywhere."""
    found = {}
    for node in excesses:
        levels = board.levels.levels(node)
        index = max(range(len(limits)), key=lambda i: levels[i] - limits[i])
        words = board.levels.words(board.levels.resources[index])
        reasons = [f"it stays at {levels[index]:.1%} of {words}, the limit is {limits[index]:.1%}".replace("%", " %")]
        if board.full:
            reasons.append(f"max_moves {board.request.max_moves} is reached")
        blocked: dict[str, list[str]] = {}
        for vm in board.books.machines_on(node):
            candidate = board.candidates.get(vm.key)
            if candidate is None or vm.node != node:
                continue
            if candidate.obstacles:
                blocked.setdefault(" ".join(candidate.obstacles), []).append(vm.key)
            elif board.free(candidate) and not board.full:
                limit = board.affordable(vm.key)
                blocked.setdefault(limit or "no node has room below the limits for it", []).append(vm.key)
        for reason, keys in sorted(blocked.items(), key=lambda item: -len(item[1])):
            shown = ", ".join(keys[:_LISTED_OBSTACLES]) + (", ..." if len(keys) > _LISTED_OBSTACLES else "")
            count = "1 VM stays" if len(keys) == 1 else f"{len(keys)} VMs stay"
            reasons.append(f"{count} ({shown}): {reason}")
        found[node] = reasons
    return found


def _give_up(board: Board, arrangement: Arrangement, stay: dict[str, list[str]]) -> None:
    """Take the moves that could be fitted in nowhere out of the books again."""
    kept = {proposal.number for _stage, waves in arrangement.stages for wave in waves for proposal in wave}
    lost = [proposal for proposal in board.proposals if proposal.number not in kept]
    firsts: dict[str, Proposal] = {}
    for proposal in lost:
        firsts.setdefault(proposal.key, proposal)
        reasons = arrangement.refused.get(proposal.number, ["a move that it needs cannot be made"])
        stay.setdefault(proposal.key, []).extend(reasons)
    for key, proposal in firsts.items():
        board.books.moved(key, proposal.source)


def _stages(
    snapshot: Snapshot, arrangement: Arrangement, candidates: Mapping[str, Candidate], limits: Mapping[str, Any]
) -> tuple[tuple[Stage, ...], Timeline]:
    """Number the moves in the order of the plan, predict their times, and make the document's stages."""
    order = [proposal for _stage, waves in arrangement.stages for wave in waves for proposal in wave]
    width = max(3, len(str(len(order))))
    ids = {proposal.number: f"m{index:0{width}d}" for index, proposal in enumerate(order, start=1)}
    tasks = {
        proposal.number: Task(
            id=ids[proposal.number],
            source=proposal.source,
            target=proposal.target,
            mode=proposal.mode,
            seconds=candidates[proposal.key].forecast.prediction.duration_seconds,
            after=tuple(ids[number] for number in arrangement.after.get(proposal.number, ())),
        )
        for proposal in order
    }
    slots = slots_of(limits)
    timeline = play(
        [[tasks[proposal.number] for wave in waves for proposal in wave] for _stage, waves in arrangement.stages], slots
    )
    stages = []
    for name, waves in arrangement.stages:
        made = []
        for number, wave in enumerate(waves, start=1):
            moves = tuple(_move(snapshot, proposal, tasks[proposal.number], candidates, timeline) for proposal in wave)
            made.append(Wave(number, moves, _lasting(moves)))
        stages.append(Stage(name, tuple(made), _lasting(move for wave in made for move in wave.moves)))
    return tuple(stages), timeline


def _move(
    snapshot: Snapshot, proposal: Proposal, task: Task, candidates: Mapping[str, Candidate], timeline: Timeline
) -> Move:
    vm = snapshot.virtual_machines[proposal.key]
    predicted = candidates[proposal.key].forecast.prediction
    demand = vm_demand(vm, snapshot.virtualization)
    start, end = timeline.spans[task.id]
    return Move(
        id=task.id,
        namespace=vm.namespace,
        name=vm.name,
        uid=vm.uid,
        source=proposal.source,
        target=proposal.target,
        mode=proposal.mode,
        reason=proposal.reason,
        cpu_millicores=demand.cpu,
        memory_bytes=demand.memory,
        after=task.after,
        predicted=replace(predicted, start_seconds=round(start, 1), end_seconds=round(end, 1)),
    )


def _lasting(moves: Iterable[Move]) -> float:
    spans = [(move.predicted.start_seconds, move.predicted.end_seconds) for move in moves]
    return round(max(end for _start, end in spans) - min(start for start, _end in spans), 1) if spans else 0.0


def slots_of(limits: Mapping[str, Any]) -> Slots:
    """Return the slots of a plan's limits."""
    return Slots(
        cluster=int(limits.get(CLUSTER_LIMIT, 1)),
        outbound=int(limits.get(OUTBOUND_LIMIT, 1)),
        inbound=int(limits.get(INBOUND_LIMIT, DEFAULT_INBOUND)),
        cold=int(limits.get(COLD_LIMIT, DEFAULT_COLD)),
    )


def _bound(board: Board, levels: Levels, before: Picture, moves: int) -> float:
    """Return the level that no plan with so many moves gets below."""
    books = board.books
    fixed = {name: list(levels.loads(name)) for name in levels.members}
    machines = []
    for key, candidate in board.candidates.items():
        vm = books.machines[key]
        here = vm.node
        state = books.nodes.get(here)
        if here not in fixed or state is None or not candidate.mode or key not in state.machines:
            continue
        weight = levels.weight(state.machines[key])
        fixed[here] = [load - part for load, part in zip(fixed[here], weight)]
        start = before.placement[key]
        machines.append(
            BoundVm(
                node=start,
                weight=weight,
                allowed=books.placement.allowed(vm, candidate.mode) | {start},
                must_leave=start not in levels.member_set,
            )
        )
    nodes = [BoundNode(name, levels.capacities(name), tuple(fixed[name])) for name in levels.members]
    return lower_bound(nodes, machines, moves)


def _summary(
    plan: Plan,
    before: Picture,
    after: Picture,
    bound: float,
    timeline: Timeline,
    candidates: Mapping[str, Candidate],
) -> dict[str, Any]:
    moves = plan.moves
    modes = {mode: sum(1 for move in moves if move.mode == mode) for mode in (LIVE, COLD)}
    tasks = [Task(m.id, m.source, m.target, m.mode, m.predicted.duration_seconds) for m in moves]
    return {
        "moves": len(moves),
        "moves_by_mode": modes,
        "moves_by_stage": {stage.name: len(stage.moves) for stage in plan.stages},
        "bytes": sum(move.predicted.bytes for move in moves),
        "virtual_machines": len(candidates),
        "movable_virtual_machines": sum(1 for candidate in candidates.values() if candidate.mode),
        "not_moved": len(plan.not_moved),
        "max_level_before": round(before.top, 4),
        "max_level_after": round(after.top, 4),
        "balance_before": {name: balance.to_dict() for name, balance in before.balance.items()},
        "balance_after": {name: balance.to_dict() for name, balance in after.balance.items()},
        "lower_bound_level": round(bound, 4),
        "gap_points": round(max(0.0, after.top - bound) * 100, 2),
        "duration_seconds": round(timeline.seconds, 1),
        "duration_lower_bound_seconds": round(makespan_bound(tasks, slots_of(plan.limits)), 1),
        "downtime_seconds": round(sum(move.predicted.downtime_seconds for move in moves), 1),
        "node_loss": {
            "unsafe_before": sorted(before.unsafe),
            "unsafe_after": sorted(after.unsafe),
            "shown_by": "placing the VMs of each node on the others, the largest first",
        },
    }


def _plan_id(snapshot: Snapshot, request: PlanRequest) -> str:
    """The same snapshot and request have the same id."""
    wanted = {
        **request.to_dict(),
        "selected": sorted(request.selected) if request.selected is not None else None,
        "moves": [[move.key, move.target, move.mode] for move in request.moves],
        "limits": dict(request.limits),
    }
    text = json.dumps([snapshot.cluster_uid, snapshot.captured_at, wanted], sort_keys=True, default=str)
    return "plan-" + hashlib.sha256(text.encode()).hexdigest()[:10]
