# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A proven lower bound on the bottleneck level that any plan of so many moves can reach.

For a level T each node must lose at least so many VMs that the rest fits T of its capacity, the largest first. No plan
of K moves reaches T if these counts add up to more than K, if what cannot move is too much for its node alone, or if a
set of nodes must hold more than T of its capacity. Bisection finds the least T that none of these rules out.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from itertools import accumulate
from typing import Optional, Sequence

_STEPS = 40


@dataclass(frozen=True)
class BoundNode:
    """One node whose level counts: capacity, and what stays on it whatever happens, per resource."""

    name: str
    capacity: tuple[float, ...]
    fixed: tuple[float, ...]


@dataclass(frozen=True)
class BoundVm:
    """One movable VM: the node it is on (which may be none that counts), its weight per resource, and the nodes it may
    end on. C(must_leave) says that it may not stay."""

    node: str
    weight: tuple[float, ...]
    allowed: frozenset[str]
    must_leave: bool = False


def lower_bound(nodes: Sequence[BoundNode], machines: Sequence[BoundVm], moves: Optional[int] = None) -> float:
    """Return a level that no plan gets below, with at most C(moves) moves (None: any number). 0.0 without nodes."""
    if not nodes:
        return 0.0
    count = len(nodes[0].capacity)
    total = _totals(nodes, machines)
    needed = sum(vm.must_leave for vm in machines)
    budget = None if moves is None else max(0, moves - needed)
    sums = _prefix_sums(nodes, machines, count)
    regions = _regions(nodes, machines, count)
    highest = max(total[node.name][r] / node.capacity[r] for node in nodes for r in range(count))
    highest = max([highest] + [load / room for load, room in regions])
    low, high = 0.0, highest
    for _step in range(_STEPS):
        middle = (low + high) / 2
        if _ruled_out(middle, nodes, total, sums, regions, budget, count):
            low = middle
        else:
            high = middle
    return low


def _totals(nodes: Sequence[BoundNode], machines: Sequence[BoundVm]) -> dict[str, list[float]]:
    total = {node.name: list(node.fixed) for node in nodes}
    for vm in machines:
        if vm.node in total:
            total[vm.node] = [had + more for had, more in zip(total[vm.node], vm.weight)]
    return total


def _prefix_sums(nodes: Sequence[BoundNode], machines: Sequence[BoundVm], count: int) -> dict[str, list[list[float]]]:
    """Per node and resource: what leaves with the 1, 2, 3, ... largest movable VMs."""
    weights: dict[str, list[list[float]]] = {node.name: [[] for _r in range(count)] for node in nodes}
    for vm in machines:
        if vm.node in weights:
            for r in range(count):
                weights[vm.node][r].append(vm.weight[r])
    return {
        name: [list(accumulate(sorted(values, reverse=True))) for values in vectors]
        for name, vectors in weights.items()
    }


def _regions(nodes: Sequence[BoundNode], machines: Sequence[BoundVm], count: int) -> list[tuple[float, float]]:
    """(load confined to, capacity of) each set of nodes that is all some VM may run on, and of all nodes together."""
    by_name = {node.name: node for node in nodes}
    confined: dict[frozenset[str], list[float]] = {}
    for vm in machines:
        region = frozenset(name for name in vm.allowed if name in by_name)
        held = confined.setdefault(region, [0.0] * count)
        for r in range(count):
            held[r] += vm.weight[r]
    regions = set(confined) | {frozenset(by_name)}
    found = []
    for region in regions:
        if not region:
            continue
        for r in range(count):
            load = sum(by_name[name].fixed[r] for name in region)
            load += sum(held[r] for other, held in confined.items() if other and other <= region)
            found.append((load, sum(by_name[name].capacity[r] for name in region)))
    return found


def _ruled_out(
    level: float,
    nodes: Sequence[BoundNode],
    total: dict[str, list[float]],
    sums: dict[str, list[list[float]]],
    regions: Sequence[tuple[float, float]],
    budget: Optional[int],
    count: int,
) -> bool:
    if any(load > level * room for load, room in regions):
        return True
    leaving = 0
    for node in nodes:
        most = 0
        for r in range(count):
            excess = total[node.name][r] - level * node.capacity[r]
            if excess <= 0:
                continue
            prefix = sums[node.name][r]
            if not prefix or prefix[-1] < excess:
                return True
            most = max(most, bisect_left(prefix, excess) + 1)
        leaving += most
        if budget is not None and leaving > budget:
            return True
    return False
