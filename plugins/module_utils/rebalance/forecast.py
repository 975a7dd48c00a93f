# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a plan is told to do and to take: times of its moves, loads of nodes before and after, how good it is."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Iterable, Mapping, Sequence

from .bound import BoundNode, BoundVm, lower_bound
from .candidates import Candidate
from .objective import Balance, Levels
from .occupancy import Occupancy
from .plan import COLD, LIVE, Move, NodeForecast, NodeLoad, Plan, Prediction, Stage, Wave
from .request import CLUSTER_LIMIT, COLD_LIMIT, DEFAULT_COLD, DEFAULT_INBOUND, INBOUND_LIMIT, OUTBOUND_LIMIT
from .twin import Slots, Task, makespan_bound, play


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


def slots_of(limits: Mapping[str, Any]) -> Slots:
    """Return the slots of a plan's limits."""
    return Slots(
        cluster=int(limits.get(CLUSTER_LIMIT, 1)),
        outbound=int(limits.get(OUTBOUND_LIMIT, 1)),
        inbound=int(limits.get(INBOUND_LIMIT, DEFAULT_INBOUND)),
        cold=int(limits.get(COLD_LIMIT, DEFAULT_COLD)),
    )


def timed(
    stages: Sequence[Stage], predictions: Mapping[str, Prediction], limits: Mapping[str, Any]
) -> tuple[tuple[Stage, ...], float]:
    """Return the stages with the predicted times of their moves, and when the last one ends, in seconds from the start.

    C(predictions) are by the id of the move; a move without one keeps the prediction it has.
    """
    known = {move.id: predictions.get(move.id, move.predicted) for stage in stages for move in stage.moves}
    timeline = play(
        [[_task(move, known[move.id].duration_seconds) for move in stage.moves] for stage in stages], slots_of(limits)
    )
    made = []
    for stage in stages:
        waves = []
        for wave in stage.waves:
            moves = tuple(_with_times(move, known[move.id], timeline.spans[move.id]) for move in wave.moves)
            waves.append(replace(wave, moves=moves, duration_seconds=_lasting(moves)))
        made.append(replace(stage, waves=tuple(waves), duration_seconds=_lasting(_moves_of(waves))))
    return tuple(made), timeline.seconds


def _task(move: Move, seconds: float) -> Task:
    return Task(move.id, move.source, move.target, move.mode, seconds, move.after)


def _with_times(move: Move, predicted: Prediction, span: tuple[float, float]) -> Move:
    return replace(move, predicted=replace(predicted, start_seconds=round(span[0], 1), end_seconds=round(span[1], 1)))


def _moves_of(waves: Iterable[Wave]) -> Iterable[Move]:
    return (move for wave in waves for move in wave.moves)


def _lasting(moves: Iterable[Move]) -> float:
    spans = [(move.predicted.start_seconds, move.predicted.end_seconds) for move in moves]
    return round(max(end for _start, end in spans) - min(start for start, _end in spans), 1) if spans else 0.0


def node_forecasts(books: Occupancy, before: Picture, after: Picture) -> tuple[NodeForecast, ...]:
    """Return the loads of all nodes before and after."""
    return tuple(
        NodeForecast(
            name=name,
            capacity_cpu_millicores=state.node.allocatable.cpu_millicores,
            capacity_memory_bytes=state.node.allocatable.memory_bytes,
            capacity_pods=state.node.allocatable.pods,
            before=before.loads[name],
            after=after.loads[name],
        )
        for name, state in sorted(books.nodes.items())
    )


def level_bound(
    books: Occupancy, levels: Levels, candidates: Mapping[str, Candidate], before: Picture, moves: int
) -> float:
    """Return the level that no plan with so many moves gets below. The books are those after the plan."""
    fixed = {name: list(levels.loads(name)) for name in levels.members}
    machines = []
    for key, candidate in candidates.items():
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


def summarize(
    plan: Plan,
    before: Picture,
    after: Picture,
    bound: float,
    seconds: float,
    candidates: Mapping[str, Candidate],
) -> dict[str, Any]:
    """Return the plan's summary. C(bound) is the proven lower bound on the highest level, C(seconds) the predicted
    duration of the run."""
    moves = plan.moves
    modes = {mode: sum(1 for move in moves if move.mode == mode) for mode in (LIVE, COLD)}
    tasks = [_task(move, move.predicted.duration_seconds) for move in moves]
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
        "duration_seconds": round(seconds, 1),
        "duration_lower_bound_seconds": round(makespan_bound(tasks, slots_of(plan.limits)), 1),
        "downtime_seconds": round(sum(move.predicted.downtime_seconds for move in moves), 1),
        "node_loss": {
            "unsafe_before": sorted(before.unsafe),
            "unsafe_after": sorted(after.unsafe),
            "shown_by": "placing the VMs of each node on the others, the largest first",
        },
    }
