# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rounding to powers of two, each in the way of the rule that asks for it."""

from __future__ import annotations

import math

# what a calculator takes as too far below its value (PG Calc of docs.ceph.com: 25 %)
PGCALC_BELOW = 0.25


def is_power_of_two(number: int) -> bool:
    return number > 0 and number & (number - 1) == 0


def power_below(number: float) -> int:
    """Return the largest power of two that is not above a number; 1 for numbers below 2."""
    return 1 << max(0, int(number).bit_length() - 1)


def power_above(number: int) -> int:
    """Return the smallest power of two that is not below a number; 1 for numbers below 2."""
    return 1 << max(0, number - 1).bit_length()


def in_log_space(number: float) -> int:
    """Return the nearest power of two by the logarithm, with halves upwards, at least 1.

    The reference architecture ("Placement groups (PGs) tuning") writes 2^round(log2(x)) and computes it as the integer
    part of log2(x) + 0.5. What is nearer by the logarithm changes at 1.41 times a power, not at 1.5 times.
    """
    if number < 1:
        return 1
    return int(2 ** math.floor(math.log2(number) + 0.5))


def by_pgcalc(number: float) -> int:
    """Return the power of two of Ceph's own calculator: the nearest, or the next if that is more than 25 % below."""
    nearest = in_log_space(number)
    return nearest * 2 if nearest < number * (1 - PGCALC_BELOW) else nearest


def by_autoscaler(number: float) -> int:
    """Return the power of two that the manager's module pg_autoscaler takes (its nearest_power_of_two).

    The integer part decides what is above and below, the whole number which of both is nearer; 0 for numbers below 1.
    """
    whole = int(number)
    if whole < 1:
        return 0
    above = power_above(whole)
    below = above >> 1
    return below if above - number > number - below else above
