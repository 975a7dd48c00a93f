"""A run of 100 moves on the reference cluster: how much longer it takes than its slots ask for.

Durations are those of the moves as they were, so that what counts is only how soon a free slot was filled. Time runs
faster than real time: what the run, the API and the controllers take in real time counts as many times more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ansible_collections.ocpv.scale.plugins.module_utils import names
from ansible_collections.ocpv.scale.plugins.module_utils.cluster.capture import capture
from ansible_collections.ocpv.scale.plugins.module_utils.rebalance.plan import Plan
from ansible_collections.ocpv.scale.plugins.module_utils.rebalance.planner import make_plan
from ansible_collections.ocpv.scale.plugins.module_utils.rebalance.record import SUCCEEDED, RunRecord, parse_record
from ansible_collections.ocpv.scale.plugins.module_utils.rebalance.request import PlanRequest
from ansible_collections.ocpv.scale.plugins.module_utils.rebalance.run.operation import Run
from ansible_collections.ocpv.scale.plugins.module_utils.rebalance.run.options import RunOptions
from ansible_collections.ocpv.scale.plugins.module_utils.rebalance.twin import Slots, Task, makespan_bound, play
from ansible_collections.ocpv.scale.plugins.module_utils.times import seconds_between
from simcluster.testing import SimCluster

from .measurement import SECONDS, SLOTS, Measurement, NotMeasured, seconds_of
from .workbench import SCENARIO, Workbench, gateway_to

MOVES = 100


@dataclass(frozen=True)
class Pace:
    """How a run went; all but ``wall`` in seconds of the cluster's clock."""

    wall: float
    makespan: float
    bound: float
    staged_bound: float
    list_scheduled: float
    work: float
    slots: int


def measure(bench: Workbench) -> list[Measurement]:
    """Wall time and makespan beside what slots and durations allow; how many slots were in use."""
    bench.end_cluster()
    paces = [_run(bench.time_scale) for _round in range(bench.few_rounds)]
    moves = f"{MOVES} moves"
    scale = f"time {bench.time_scale:g} times as fast"
    makespans = tuple(pace.makespan for pace in paces)
    return [
        Measurement(
            f"{moves}: wall time, {scale}",
            SECONDS,
            tuple(pace.wall for pace in paces),
            "bound by slots, nodes, longest move",
            tuple(pace.bound / bench.time_scale for pace in paces),
        ),
        Measurement(
            f"{moves}: first start to last end, cluster's clock",
            SECONDS,
            makespans,
            "the same bound, stage after stage",
            tuple(pace.staged_bound for pace in paces),
        ),
        Measurement(
            f"{moves}: first start to last end, cluster's clock",
            SECONDS,
            makespans,
            "list scheduling, nobody waiting",
            tuple(pace.list_scheduled for pace in paces),
        ),
        Measurement(
            f"{moves}: slots in use on average",
            SLOTS,
            tuple(pace.work / pace.makespan for pace in paces),
            "slots of the cluster",
            tuple(float(pace.slots) for pace in paces),
        ),
    ]


def _run(time_scale: float) -> Pace:
    with SimCluster(SCENARIO, time_scale=time_scale) as cluster:
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": names.STATE_NAMESPACE}}
        cluster.client().post("/api/v1/namespaces", namespace)
        gateway = gateway_to(cluster)
        plan = make_plan(capture(gateway), PlanRequest(max_moves=MOVES))
        run = Run(gateway, RunOptions(), plan, plan.to_dict())
        results = []
        wall = seconds_of(lambda: results.append(run.execute(lambda warning: None)))
    return pace_of(plan, parse_record(results[0]["run"]), wall)


def pace_of(plan: Plan, record: RunRecord, wall_seconds: float) -> Pace:
    """How the run went; raises NotMeasured unless all moves were made."""
    undone = [item for item in record.items if item.status != SUCCEEDED]
    if undone:
        first = undone[0]
        raise NotMeasured(
            f"{len(undone)} of {len(record.items)} moves were not made; {first.namespace}/{first.name}: {first.message}"
        )
    slots = Slots(
        cluster=record.limits["parallel"],
        outbound=record.limits["per_source"],
        inbound=record.limits["per_target"],
    )
    after = {move.id: move.after for move in plan.moves}
    stages: dict[str, list[Task]] = {stage.name: [] for stage in record.stages}
    starts, ends = [], []
    for item in record.items:
        seconds = 0.0
        for attempt in item.attempts:
            seconds += seconds_between(attempt.started_at, attempt.ended_at) or 0.0
            starts.append(attempt.started_at)
            ends.append(attempt.ended_at)
        stages[item.stage].append(Task(item.id, item.source, item.target, item.mode, seconds, after[item.id]))
    tasks = [task for stage in stages.values() for task in stage]
    return Pace(
        wall=wall_seconds,
        makespan=_between(starts, ends),
        bound=makespan_bound(tasks, slots),
        staged_bound=sum(makespan_bound(stage, slots) for stage in stages.values()),
        list_scheduled=play(list(stages.values()), slots).seconds,
        work=sum(task.seconds for task in tasks),
        slots=slots.cluster,
    )


def _between(starts: Sequence[str], ends: Sequence[str]) -> float:
    seconds = seconds_between(min(starts), max(ends)) if starts else None
    if not seconds:
        raise NotMeasured("the record of the run holds no times")
    return float(seconds)
