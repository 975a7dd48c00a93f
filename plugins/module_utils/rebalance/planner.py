# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From a snapshot and a request to a plan. Pure: the same snapshot and request give the same plan."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from typing import Mapping, Sequence

from ..cluster.model import Snapshot
from ..migration.settings import settings_from
from .board import Board, Proposal
from .candidates import find_candidates
from .cautions import cautions
from .demand import vm_demand
from .forecast import Picture, level_bound, node_forecasts, summarize, timed
from .objective import Levels
from .occupancy import Occupancy
from .placing import drain, fulfil
from .plan import Move, NotMoved, Plan, Stage, Wave
from .request import (
    BALANCE,
    DRAIN,
    EVACUATE,
    PlanRequest,
    check_request,
    limits_in_force,
)
from .schedule import Arrangement, arrange
from .search import balance, relieve

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
    levels = Levels(books, request.measured, request.basis)
    before = Picture(books, levels)
    board = Board(books, levels, candidates, request)
    stay = _search(board)
    arrangement = arrange(
        board.proposals, candidates, request, lambda: Occupancy.from_snapshot(snapshot, request.rules)
    )
    _give_up(board, arrangement, stay)
    after = Picture(books, levels)
    stages = _stages(snapshot, arrangement)
    predictions = {move.id: candidates[move.key].forecast.prediction for stage in stages for move in stage.moves}
    stages, seconds = timed(stages, predictions, limits)
    plan = Plan(
        id=_plan_id(snapshot, request),
        created_at=request.created_at or snapshot.captured_at,
        cluster_uid=snapshot.cluster_uid,
        snapshot_at=snapshot.captured_at,
        request=request.to_dict(),
        limits=limits,
        stages=stages,
        nodes=node_forecasts(books, before, after),
        not_moved=tuple(NotMoved(name, tuple(reasons)) for name, reasons in sorted(stay.items())),
    )
    bound = level_bound(books, levels, candidates, before, len(plan.moves))
    summary = summarize(plan, before, after, bound, seconds, candidates)
    return replace(plan, summary=summary, warnings=cautions(snapshot, request, plan, before.unsafe, after.unsafe))


def _search(board: Board) -> dict[str, list[str]]:
    """Fill the board with moves; return what stays against the request's wish, with reasons."""
    request = board.request
    levels = board.levels
    stay = fulfil(board, request.moves)
    if request.goal == DRAIN:
        stay.update(drain(board, request.nodes))
    elif request.goal == BALANCE:
        excesses, limits = balance(board, request.tolerance_percent / 100)
        stay.update(_above(board, excesses, limits))
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


def _stages(snapshot: Snapshot, arrangement: Arrangement) -> tuple[Stage, ...]:
    """Number the moves in the order of the plan."""
    order = [proposal for _stage, waves in arrangement.stages for wave in waves for proposal in wave]
    width = max(3, len(str(len(order))))
    ids = {proposal.number: f"m{index:0{width}d}" for index, proposal in enumerate(order, start=1)}
    return tuple(
        Stage(
            name,
            tuple(
                Wave(number, tuple(_move(snapshot, proposal, ids, arrangement.after) for proposal in wave))
                for number, wave in enumerate(waves, start=1)
            ),
        )
        for name, waves in arrangement.stages
    )


def _move(snapshot: Snapshot, proposal: Proposal, ids: Mapping[int, str], after: Mapping[int, Sequence[int]]) -> Move:
    vm = snapshot.virtual_machines[proposal.key]
    demand = vm_demand(vm, snapshot.virtualization)
    return Move(
        id=ids[proposal.number],
        namespace=vm.namespace,
        name=vm.name,
        uid=vm.uid,
        source=proposal.source,
        target=proposal.target,
        mode=proposal.mode,
        reason=proposal.reason,
        cpu_millicores=demand.cpu,
        memory_bytes=demand.memory,
        after=tuple(ids[number] for number in after.get(proposal.number, ())),
    )


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
