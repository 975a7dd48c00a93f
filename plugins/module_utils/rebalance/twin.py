# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The predicted timeline of a plan: list scheduling under the limits that a run keeps to.

Whatever may start is started, in the plan's order; a stage starts when the one before has ended; cold moves follow the
live ones of their stage. With P migrations at once, k leaving each source and any durations, list scheduling ends
within three times the lower bound, and close to it in practice.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from typing import Iterable, Mapping, Sequence

from .plan import COLD


@dataclass(frozen=True)
class Slots:
    """How many moves may be in flight: live in the cluster, leaving a node, arriving at a node; cold ones."""

    cluster: int
    outbound: int
    inbound: int
    cold: int = 1


@dataclass(frozen=True)
class Task:
    """A move as the clock sees it."""

    id: str
    source: str
    target: str
    mode: str
    seconds: float
    after: tuple[str, ...] = ()


@dataclass(frozen=True)
class Timeline:
    """Start and end of each task, in seconds from the start of the run, by id; the end of the last one."""

    spans: Mapping[str, tuple[float, float]]
    seconds: float


def play(stages: Sequence[Sequence[Task]], slots: Slots) -> Timeline:
    """Return when each task of the stages would run.

    Tasks that wait for one that is in no earlier place wait for nothing: the plan was checked before.
    """
    spans: dict[str, tuple[float, float]] = {}
    clock = 0.0
    for stage in stages:
        for tasks in ([task for task in stage if task.mode != COLD], [task for task in stage if task.mode == COLD]):
            clock = _play(tasks, slots, spans, clock)
    return Timeline(spans, clock)


def _play(tasks: Sequence[Task], slots: Slots, spans: dict[str, tuple[float, float]], clock: float) -> float:
    waiting = list(tasks)
    own = {task.id for task in tasks}
    running: list[tuple[float, int, Task]] = []
    leaving: dict[str, int] = {}
    arriving: dict[str, int] = {}
    ended: set[str] = set()
    number = 0
    while waiting or running:
        left = []
        for task in waiting:
            cold = task.mode == COLD
            ready = (
                len(running) < (slots.cold if cold else slots.cluster)
                and (cold or leaving.get(task.source, 0) < slots.outbound)
                and (cold or arriving.get(task.target, 0) < slots.inbound)
                and all(other in ended or other not in own for other in task.after)
            )
            if not ready:
                left.append(task)
                continue
            leaving[task.source] = leaving.get(task.source, 0) + 1
            arriving[task.target] = arriving.get(task.target, 0) + 1
            spans[task.id] = (clock, clock + task.seconds)
            heapq.heappush(running, (clock + task.seconds, number, task))
            number += 1
        waiting = left
        if not running:
            raise ValueError(f"moves {', '.join(task.id for task in waiting)} wait for each other")
        clock, _number, task = heapq.heappop(running)
        _end(task, leaving, arriving, ended)
        while running and running[0][0] <= clock:
            _end(heapq.heappop(running)[2], leaving, arriving, ended)
    return clock


def _end(task: Task, leaving: dict[str, int], arriving: dict[str, int], ended: set[str]) -> None:
    leaving[task.source] -= 1
    arriving[task.target] -= 1
    ended.add(task.id)


def makespan_bound(tasks: Iterable[Task], slots: Slots) -> float:
    """Return seconds that no order of these tasks can beat under the limits: all work by P, each source's by k, each
    target's by its arrivals, the longest task."""
    live: list[Task] = []
    cold: list[Task] = []
    for task in tasks:
        (cold if task.mode == COLD else live).append(task)
    bound = 0.0
    if live:
        bound = max(
            sum(task.seconds for task in live) / slots.cluster,
            max(task.seconds for task in live),
            max(_by_node((task.source, task.seconds) for task in live).values()) / slots.outbound,
            max(_by_node((task.target, task.seconds) for task in live).values()) / slots.inbound,
        )
    if cold:
        seconds = [task.seconds for task in cold]
        bound = max(bound, sum(seconds) / slots.cold, *seconds)
    return bound


def _by_node(pairs: Iterable[tuple[str, float]]) -> dict[str, float]:
    total: dict[str, float] = {}
    for node, seconds in pairs:
        total[node] = total.get(node, 0.0) + seconds
    return total
