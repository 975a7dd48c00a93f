# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What changing a pool's PGs brings: the steps to get there, and how much data moves."""

from __future__ import annotations

import math
from dataclasses import dataclass

from .rounding import power_above, power_below


@dataclass(frozen=True)
class Movement:
    """Bytes on disk that move to other OSDs: at least if all happens at once, at most if it happens doubling by
    doubling."""

    least_bytes: int
    most_bytes: int


def next_step(current: int, final: int, factor: int) -> int:
    """Return the next number of PGs on the way: at most C(factor) times as many or as few, through powers of two."""
    if current == final:
        return final
    if final > current:
        return min(final, max(power_below(current * factor), power_above(current + 1)))
    return max(final, min(power_above(math.ceil(current / factor)), power_below(current - 1)))


def steps(current: int, final: int, factor: int) -> list[int]:
    """Return the numbers of PGs on the way from one number to another, without the first."""
    way = []
    while current != final:
        current = next_step(current, final, factor)
        way.append(current)
    return way


def movement(current: int, final: int, raw_bytes: int, size: int, osds: int) -> Movement:
    """Return how much of a pool's C(raw_bytes) moves when its PGs are split or merged.

    A split leaves the objects where they are and gives the new PGs places of their own: of p PGs that become q, the
    share 1 - p/q moves, and each replica finds itself on an OSD it was on already with the chance size / osds. The
    manager raises pgp_num little by little, so that PGs which split more than once move more than once: up to one half
    for each doubling. Merging is the same the other way round.
    """
    low, high = sorted((max(current, 1), max(final, 1)))
    elsewhere = max(0.0, 1 - size / osds) if osds else 0.0
    doublings = math.log2(high / low)
    least = 1 - low / high
    return Movement(int(raw_bytes * elsewhere * least), int(raw_bytes * elsewhere * max(least, doublings / 2)))
