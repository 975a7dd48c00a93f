# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How good a state is: levels of nodes, their maximum and their spread.

A level is load divided by allocatable (1.0 is full), in the basis that was asked for: requested, allocated or used. The
objective is lexicographic: what must leave has left; then the highest level; then the spread; then the cost of moves.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import pstdev
from typing import Any, Sequence

from .demand import Demand
from .occupancy import Occupancy
from .room import NodeState
from .rules import ALLOCATED, CPU, REQUESTED, USED

Vector = tuple[float, ...]

_WORDS = {REQUESTED: "{resource} requested", ALLOCATED: "{resource} allocated", USED: "{resource} used"}


@dataclass(frozen=True)
class Balance:
    """Levels of one resource over the nodes."""

    maximum: float
    node: str
    mean: float
    standard_deviation: float

    def to_dict(self) -> dict[str, Any]:
        return {
            "max_level": round(self.maximum, 4),
            "node": self.node,
            "mean_level": round(self.mean, 4),
            "standard_deviation": round(self.standard_deviation, 4),
        }


class Levels:
    """Reads levels out of the books as they stand. C(members) are the nodes whose levels count: ready, able to run VMs,
    not closed, and measured if the basis is use."""

    def __init__(self, books: Occupancy, resources: Sequence[str], basis: str) -> None:
        self._books = books
        self.resources = tuple(resources)
        self.basis = basis
        self.members = tuple(name for name, state in books.nodes.items() if self._counts(state))
        self._first = {name: self.levels(name) for name in books.nodes if self._measured(name)}
        self.member_set = frozenset(self.members)

    def _counts(self, state: NodeState) -> bool:
        node = state.node
        if not node.ready or not node.runs_vms or state.name in self._books.rules.closed_nodes:
            return False
        return self._measured(state.name)

    def _measured(self, name: str) -> bool:
        room = self._books.nodes[name].node.allocatable
        if self.basis == USED and self._books.usage_base(name) is None:
            return False
        return room.cpu_millicores > 0 and room.memory_bytes > 0

    def loads(self, name: str) -> Vector:
        """Return the node's load per resource, in millicores and bytes."""
        state = self._books.nodes[name]
        if self.basis == REQUESTED:
            pair = (state.cpu, state.memory)
        elif self.basis == ALLOCATED:
            pair = (state.allocated_cpu, state.allocated_memory)
        else:
            base = self._books.usage_base(name) or (0, 0)
            pair = (base[0] + state.used_cpu, base[1] + state.used_memory)
        return tuple(pair[0] if resource == CPU else pair[1] for resource in self.resources)

    def capacities(self, name: str) -> Vector:
        """Return the node's allocatable per resource, in millicores and bytes."""
        room = self._books.nodes[name].node.allocatable
        return tuple(room.cpu_millicores if resource == CPU else room.memory_bytes for resource in self.resources)

    def weight(self, demand: Demand) -> Vector:
        """Return what a VM adds to a node's load per resource."""
        if self.basis == REQUESTED:
            pair = (demand.cpu, demand.memory)
        elif self.basis == ALLOCATED:
            pair = (demand.allocated_cpu, demand.allocated_memory)
        else:
            pair = (demand.used_cpu or 0, demand.used_memory or 0)
        return tuple(pair[0] if resource == CPU else pair[1] for resource in self.resources)

    def levels(self, name: str) -> Vector:
        """Return the node's level per resource."""
        return tuple(load / room for load, room in zip(self.loads(name), self.capacities(name)))

    def mean(self) -> Vector:
        """Return the mean level per resource: all load over all capacity."""
        loads = [self.loads(name) for name in self.members]
        rooms = [self.capacities(name) for name in self.members]
        return tuple(
            sum(load[index] for load in loads) / max(1.0, sum(room[index] for room in rooms))
            for index in range(len(self.resources))
        )

    def balance(self) -> dict[str, Balance]:
        """Return the balance of each resource; without members nothing is loaded."""
        found = {}
        mean = self.mean()
        levels = {name: self.levels(name) for name in self.members}
        for index, resource in enumerate(self.resources):
            values = {name: vector[index] for name, vector in levels.items()}
            top = max(sorted(values), key=lambda name: values[name], default="")
            found[resource] = Balance(
                maximum=values.get(top, 0.0),
                node=top,
                mean=mean[index],
                standard_deviation=pstdev(values.values()) if values else 0.0,
            )
        return found

    def top(self) -> float:
        """Return the bottleneck level: the highest of all nodes and resources."""
        return max((max(self.levels(name)) for name in self.members), default=0.0)

    def words(self, resource: str) -> str:
        """Return how the level of a resource is called: "memory requested"."""
        return _WORDS[self.basis].format(resource="CPU" if resource == CPU else resource)

    def describe(self, source: str, target: str, limits: Sequence[float] = ()) -> str:
        """Return in words why to move from source to target: "worker-03 is at 91 % of memory requested, worker-07 at
        34 %". It is about the resource in which the source is highest, measured against C(limits) if given. The levels
        are those before the first move, but for a target that others have left meanwhile."""
        here = self._first[source]
        there = tuple(map(min, self._first[target], self.levels(target)))
        index = max(range(len(here)), key=lambda i: here[i] - (limits[i] if limits else 0.0))
        what = self.words(self.resources[index])
        return f"{source} is at {here[index]:.0%} of {what}, {target} at {there[index]:.0%}".replace("%", " %")
