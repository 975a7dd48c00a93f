# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A plan in words, for the person who is to approve it."""

from __future__ import annotations

from typing import Iterator, Sequence

from ..quantity import format_bytes, format_duration
from .plan import Plan, Stage
from .verify import Problem

# of a long list so many entries are told; the document has them all
LISTED = 20


def plan_lines(plan: Plan, problems: Sequence[Problem] = (), made: Sequence[str] = ()) -> list[str]:
    """Return the plan as lines of text: what it does, how good that is, what it leaves, and what to know before.

    C(made) are the ids of moves that are made already.
    """
    return list(_lines(plan, problems, made))


def _lines(plan: Plan, problems: Sequence[Problem], made: Sequence[str]) -> Iterator[str]:
    summary = plan.summary
    yield f"Plan {plan.id} ({plan.digest[:19]}…), goal {plan.request.get('goal', '?')}"
    if not plan.moves:
        yield "Nothing is to be moved."
    else:
        yield (
            f"{len(plan.moves)} moves, {format_bytes(sum(move.memory_bytes for move in plan.moves))} of memory, about "
            f"{format_duration(float(summary.get('duration_seconds') or 0))}"
        )
    if summary.get("max_level_before") is not None:
        yield (
            f"Fullest node: {summary['max_level_before']:.0%} before, {summary['max_level_after']:.0%} after; "
            f"within {summary.get('gap_points', 0):.1f} points of the proven bound for so many moves"
        )
    for stage in plan.stages:
        yield from _stage(stage)
    if made:
        more = ", …" if len(made) > LISTED else ""
        yield f"Made already: {len(made)} of {len(plan.moves)} moves ({', '.join(made[:LISTED])}{more})"
    yield from _listed("Not moved", [f"{item.name}: {'; '.join(item.reasons)}" for item in plan.not_moved])
    yield from _listed("Problems", [f"{problem.move or 'plan'}: {problem.message}" for problem in problems])
    yield from _listed("Warnings", list(plan.warnings))


def _stage(stage: Stage) -> Iterator[str]:
    yield f"Stage {stage.name}: {len(stage.moves)} moves, about {format_duration(stage.duration_seconds)}"
    for move in stage.moves[:LISTED]:
        downtime = f", down for {format_duration(move.predicted.downtime_seconds)}" if move.mode == "cold" else ""
        yield (
            f"  {move.id} {move.key}: {move.source} to {move.target}, {move.mode}, "
            f"{format_duration(move.predicted.duration_seconds)}{downtime}; {move.reason}"
        )
    if len(stage.moves) > LISTED:
        yield f"  … and {len(stage.moves) - LISTED} more"


def _listed(title: str, entries: list[str]) -> Iterator[str]:
    if entries:
        yield f"{title} ({len(entries)}):"
    yield from (f"  {entry}" for entry in entries[:LISTED])
    if len(entries) > LISTED:
        yield f"  … and {len(entries) - LISTED} more"
