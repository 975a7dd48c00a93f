# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What /proc/net/softnet_stat tells, and which of the kernel's two limits it asks to raise.

Sources: large-scale reference architecture, "Adapter tuning" and "Backlog queue"; Linux net/core/net-procfs.c (the
columns: 2 dropped, 3 time squeeze, 13 the CPU where it is there).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional, Sequence

BUDGET = "net.core.netdev_budget"
BACKLOG = "net.core.netdev_max_backlog"
_DROPPED, _SQUEEZED, _CPU = 1, 2, 12
_FEWEST_COLUMNS = 9
_COUNTERS_END = 1 << 32


@dataclass(frozen=True)
class CpuCounts:
    """Counters of one CPU since boot, modulo 2^32. C(cpu) is its number, or that of the row where rows have none."""

    cpu: int
    processed: int
    dropped: int
    squeezed: int


@dataclass(frozen=True)
class Growth:
    """What was counted between two readings, over all CPUs."""

    dropped: int
    squeezed: int


@dataclass(frozen=True)
class Limit:
    """How a limit may be raised: by C(step) at a time, up to C(limit)."""

    step: int
    limit: int


@dataclass(frozen=True)
class Advice:
    """What to do about one key: C(wanted) is C(current) if nothing has to change; C(reason) says why."""

    key: str
    current: int
    wanted: int
    reason: str


def parse(text: str) -> list[CpuCounts]:
    """Return the counters of each row, whatever the kernel's age (9 to 15 columns seen).

    Raises ValueError for rows that are none of softnet_stat.
    """
    found = []
    for number, line in enumerate(line for line in text.splitlines() if line.strip()):
        columns = [int(column, 16) for column in line.split()]
        if len(columns) < _FEWEST_COLUMNS:
            raise ValueError(f"row {number + 1} has {len(columns)} columns, at least {_FEWEST_COLUMNS} are known")
        cpu = columns[_CPU] if len(columns) > _CPU else number
        found.append(CpuCounts(cpu, columns[0], columns[_DROPPED], columns[_SQUEEZED]))
    return found


def growth(first: Sequence[CpuCounts], second: Sequence[CpuCounts]) -> Growth:
    """Return what was counted between two readings. A CPU that came or went in between is left out."""
    earlier = {counts.cpu: counts for counts in first}
    pairs = [(earlier[counts.cpu], counts) for counts in second if counts.cpu in earlier]
    return Growth(
        dropped=sum((after.dropped - before.dropped) % _COUNTERS_END for before, after in pairs),
        squeezed=sum((after.squeezed - before.squeezed) % _COUNTERS_END for before, after in pairs),
    )


def advise(key: str, current: int, counted: int, limit: Limit) -> Advice:
    """Return by how much to raise one of the two keys.

    C(counted) is the growth of the column that the key is about: dropped for the backlog, squeezed for the budget.
    """
    what = "packets dropped because a backlog queue was full" if key == BACKLOG else "polls cut short by the budget"
    if not counted:
        return Advice(key, current, current, f"no {what}")
    if current >= limit.limit:
        return Advice(key, current, current, f"{counted} {what}, but the limit of {limit.limit} is reached")
    return Advice(key, current, min(current + limit.step, limit.limit), f"{counted} {what}")


def advise_both(
    counted: Growth, budget: tuple[Optional[int], Limit], backlog: tuple[Optional[int], Limit]
) -> list[Advice]:
    """Return the advice for budget and backlog, each given as (current value or None if not asked for, limit)."""
    asked = ((BUDGET, budget, counted.squeezed), (BACKLOG, backlog, counted.dropped))
    return [advise(key, current, count, limit) for key, (current, limit), count in asked if current is not None]
