"""Planning on the reference cluster's snapshot, read from its file: how long it takes and how good the plan is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from functools import partial

from ansible_collections.ocpv.scale.plugins.module_utils.cluster.model import Snapshot
from ansible_collections.ocpv.scale.plugins.module_utils.cluster.snapshot_file import read_snapshot
from ansible_collections.ocpv.scale.plugins.module_utils.rebalance.demand import vm_demand
from ansible_collections.ocpv.scale.plugins.module_utils.rebalance.plan import NodeForecast, NodeLoad, Plan
from ansible_collections.ocpv.scale.plugins.module_utils.rebalance.planner import make_plan
from ansible_collections.ocpv.scale.plugins.module_utils.rebalance.request import (
    BALANCE,
    DRAIN,
    EVACUATE,
    PlanRequest,
)
from ansible_collections.ocpv.scale.plugins.module_utils.rebalance.rules import CPU, MEMORY, RESOURCES

from .measurement import PERCENT, SECONDS, Measurement, in_turn
from .workbench import Workbench

DRAINED_NODES = 5
THRESHOLDS_PERCENT = {CPU: 70.0, MEMORY: 80.0}


def measure(bench: Workbench) -> list[Measurement]:
    """Per goal: seconds beside reading the file; moves, highest level and duration beside what no plan can beat."""
    path = bench.snapshot_path()
    bench.end_cluster()
    snapshot = read_snapshot(path)
    found = []
    for request in _requests(snapshot):
        plan = make_plan(snapshot, request)
        seconds, reading = in_turn(bench.few_rounds, partial(make_plan, snapshot, request), lambda: read_snapshot(path))
        found.append(Measurement(f"{request.goal}: planning", SECONDS, seconds, "reading the snapshot's file", reading))
        found += _quality(snapshot, request, plan)
    return found


def _requests(snapshot: Snapshot) -> tuple[PlanRequest, ...]:
    machines = Counter(vm.node for vm in snapshot.virtual_machines.values() if vm.node)
    fullest = sorted(machines, key=lambda node: (-machines[node], node))[:DRAINED_NODES]
    return (
        PlanRequest(goal=BALANCE),
        PlanRequest(goal=DRAIN, nodes=tuple(fullest)),
        PlanRequest(goal=EVACUATE, thresholds_percent=THRESHOLDS_PERCENT),
    )


def _quality(snapshot: Snapshot, request: PlanRequest, plan: Plan) -> list[Measurement]:
    goal, summary = request.goal, plan.summary
    levels = (summary["max_level_after"] * 100,), (summary["lower_bound_level"] * 100,)
    durations = (summary["duration_seconds"],), (summary["duration_lower_bound_seconds"],)
    fewest = float(_fewest_moves(snapshot, request, plan))
    return [
        Measurement(f"{goal}: moves", "moves", (float(summary["moves"]),), "no fewer moves can do it", (fewest,)),
        Measurement(f"{goal}: highest level", PERCENT, levels[0], "proven bound for so many moves", levels[1]),
        Measurement(f"{goal}: predicted duration", SECONDS, durations[0], "proven bound of any order", durations[1]),
    ]


def _fewest_moves(snapshot: Snapshot, request: PlanRequest, plan: Plan) -> int:
    """Moves that any plan needs for what this one reaches."""
    if request.goal == DRAIN:
        stays = {item.name for item in plan.not_moved}
        machines = snapshot.virtual_machines.values()
        return sum(1 for vm in machines if vm.node in request.nodes and vm.key not in stays)
    if request.goal == EVACUATE:
        limits = {resource: percent / 100 for resource, percent in request.thresholds_percent.items()}
        # what could not be relieved needs no moves
        given_up = {item.name for item in plan.not_moved}
    else:
        top = max(_level(node, node.after, resource) for node in plan.nodes for resource in RESOURCES)
        limits, given_up = dict.fromkeys(RESOURCES, top), set()
    return fewest_departures(snapshot, [node for node in plan.nodes if node.name not in given_up], limits)


def fewest_departures(snapshot: Snapshot, nodes: list[NodeForecast], limits: Mapping[str, float]) -> int:
    """VMs that must leave the nodes for none to be above the limits (shares of allocatable, by resource): on each node
    the largest ones, until what is above the limit is gone. Nobody who arrives makes it fewer."""
    sizes: dict[str, list[dict[str, int]]] = {}
    for vm in snapshot.virtual_machines.values():
        if vm.node:
            demand = vm_demand(vm, snapshot.virtualization)
            sizes.setdefault(vm.node, []).append({CPU: demand.cpu, MEMORY: demand.memory})
    total = 0
    for node in nodes:
        most = 0
        for resource, limit in limits.items():
            excess = _load(node.before, resource) - limit * _capacity(node, resource)
            count = 0
            for size in sorted((size[resource] for size in sizes.get(node.name, ())), reverse=True):
                if excess < 1:  # millicore or byte: limits are fractions
                    break
                excess -= size
                count += 1
            most = max(most, count)
        total += most
    return total


def _load(load: NodeLoad, resource: str) -> int:
    return int(load.requested_cpu_millicores if resource == CPU else load.requested_memory_bytes)


def _capacity(node: NodeForecast, resource: str) -> int:
    return int(node.capacity_cpu_millicores if resource == CPU else node.capacity_memory_bytes)


def _level(node: NodeForecast, load: NodeLoad, resource: str) -> float:
    return _load(load, resource) / _capacity(node, resource)
