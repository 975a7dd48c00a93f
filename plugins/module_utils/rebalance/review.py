# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A plan looked at again, for example after somebody edited it: what it would do now, and what stands against it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Mapping

from ..cluster.model import Snapshot
from ..errors import InvalidInput
from ..migration.settings import settings_from
from .candidates import find_candidates, move_conditions
from .cautions import cautions
from .duration import predict
from .forecast import Picture, level_bound, node_forecasts, summarize, timed
from .objective import Levels
from .occupancy import Occupancy
from .plan import Plan
from .request import LIMIT_RANGES, MOVES, PlanRequest, check_request, limits_in_force
from .rules import parse_rules
from .verify import Problem, made_already, verify_plan


def review(snapshot: Snapshot, plan: Plan) -> tuple[Plan, list[Problem]]:
    """Return the plan with everything that is only told (times, loads, summary, warnings) worked out anew, and its
    problems on this snapshot.

    What it does stays as it is, and so does its digest: a run that was begun with it goes on with it. Moves with a
    problem are taken as not made in what is told; those that are made already are part of the loads before. Raises
    InvalidInput for a request in the plan that cannot be read, and for nodes or VMs in its request that are not there.
    """
    request = request_of(plan)
    if request.goal != MOVES:  # its moves are the plan's
        check_request(request, snapshot)
    problems = verify_plan(snapshot, plan)
    settings = snapshot.virtualization.settings or settings_from(None, "", None)
    candidates = find_candidates(snapshot, request, settings)
    limits = limits_in_force(settings, replace(request, limits=_own_limits(plan)))
    still = {problem.move for problem in problems} | made_already(snapshot, plan)
    predictions = {}
    books = Occupancy.from_snapshot(snapshot, request.rules)
    levels = Levels(books, request.measured, request.basis)
    before = Picture(books, levels)
    for move in plan.moves:
        vm = snapshot.virtual_machines.get(move.key)
        if vm is None:
            continue
        conditions = move_conditions(snapshot, request, settings, vm)
        predictions[move.id] = predict(vm, move.mode, conditions).prediction
        if move.id not in still:
            books.reserve(move.key, move.target, move.mode)
            books.moved(move.key, move.target)
    after = Picture(books, levels)
    stages, seconds = timed(plan.stages, predictions, limits)
    made = replace(plan, stages=stages, nodes=node_forecasts(books, before, after))
    bound = level_bound(books, levels, candidates, before, len(plan.moves))
    summary = summarize(made, before, after, bound, seconds, candidates)
    made = replace(made, snapshot_at=snapshot.captured_at, summary=summary)
    return replace(made, warnings=cautions(snapshot, request, made, before.unsafe, after.unsafe)), problems


def request_of(plan: Plan) -> PlanRequest:
    """Return the request that a plan was made for, as far as it stands in the plan. Raises InvalidInput."""
    document = plan.request
    rules = parse_rules(_mapping(document, "rules"))
    defaults = PlanRequest()
    try:
        return PlanRequest(
            goal=str(document.get("goal", defaults.goal)),
            resources=tuple(document.get("resources", defaults.resources)),
            basis=rules.basis,
            nodes=tuple(document.get("nodes") or ()),
            thresholds_percent={str(k): float(v) for k, v in _mapping(document, "thresholds_percent").items()},
            headroom_cpu_percent=rules.headroom_cpu * 100,
            headroom_memory_percent=rules.headroom_memory * 100,
            allow_over_percent=rules.allow_over_percent,
            keep_node_loss=rules.keep_node_loss,
            modes=tuple(document.get("modes", defaults.modes)),
            default_tier=str(document.get("default_tier", defaults.default_tier)),
            link_bytes_per_second=float(document.get("link_bytes_per_second", defaults.link_bytes_per_second)),
            created_at=plan.created_at,
        )
    except (TypeError, ValueError) as error:
        raise InvalidInput("plan.request", type(document).__name__, f"it cannot be read: {error}") from error


def _mapping(document: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = document.get(name) or {}
    if not isinstance(value, Mapping):
        raise InvalidInput(f"plan.request.{name}", value, "a mapping is needed here")
    return value


def _own_limits(plan: Plan) -> dict[str, int]:
    found = {}
    for name, (lowest, highest) in LIMIT_RANGES.items():
        value = plan.limits.get(name)
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int) or not lowest <= value <= highest:
            raise InvalidInput(f"plan.limits.{name}", value, f"a number from {lowest} to {highest} is needed")
        found[name] = value
    return found
