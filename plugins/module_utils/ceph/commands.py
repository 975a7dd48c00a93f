# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which commands bring a pool from its settings to others."""

from __future__ import annotations

from dataclasses import dataclass

from .changes import steps
from .model import Pool
from .record import PoolSettings, pool_key, pool_record, settings_of


@dataclass(frozen=True)
class Goal:
    """One pool and what shall become of it; C(record): keep what it has now, C(forget): drop the record at the end."""

    pool: Pool
    wanted: PoolSettings
    record: bool = False
    forget: bool = False

    @property
    def differs(self) -> bool:
        return settings_of(self.pool) != self.wanted

    @property
    def grows(self) -> bool:
        return self.wanted.pg_num > self.pool.pg_num


def in_order(goals: list[Goal]) -> list[Goal]:
    """Return pools that shrink first, so that the monitor's limit has room for those that grow."""
    return sorted(goals, key=lambda goal: (goal.grows, goal.pool.name))


def pause_autoscaler(goal: Goal) -> bool:
    """Tell whether the autoscaler has to be off while PGs change, since it would change them as well."""
    changes = goal.pool.pg_num != goal.wanted.pg_num or goal.pool.pg_num_target != goal.wanted.pg_num
    return goal.pool.autoscale_mode == "on" and (changes or goal.wanted.autoscale_mode == "off")


def set_command(pool: str, variable: str, value: object) -> list[str]:
    return ["osd", "pool", "set", pool, variable, str(value)]


def record_command(pool: Pool) -> list[str]:
    return ["config-key", "set", pool_key(pool), pool_record(pool)]


def forget_command(pool: Pool) -> list[str]:
    return ["config-key", "rm", pool_key(pool)]


def commands(goal: Goal, factor: int) -> list[list[str]]:
    """Return the commands that reach a goal in the order in which they are sent, if nothing else changes the pool.

    PGs that were asked for already and are still coming about need no command.
    """
    pool, wanted, found = goal.pool, goal.wanted, []
    mode, asked, placed = pool.autoscale_mode, pool.pg_num_target, pool.pgp_num_target
    if goal.record and goal.differs:
        found.append(record_command(pool))
    if pause_autoscaler(goal):
        mode = "off"
        found.append(set_command(pool.name, "pg_autoscale_mode", mode))
    for number in steps(pool.pg_num, wanted.pg_num, factor) or [wanted.pg_num]:
        if on_the_way(pool.pg_num, asked, number, wanted.pg_num):
            continue
        found.append(set_command(pool.name, "pg_num", number))
        # the monitor lets pgp_num follow only if it was the same
        placed = number if placed == asked else placed
        asked = number
    if placed != wanted.pgp_num:
        found.append(set_command(pool.name, "pgp_num", wanted.pgp_num))
    if mode != wanted.autoscale_mode:
        found.append(set_command(pool.name, "pg_autoscale_mode", wanted.autoscale_mode))
    if goal.forget:
        found.append(forget_command(pool))
    return found


def on_the_way(current: int, asked: int, number: int, final: int) -> bool:
    """Tell whether PGs that were asked for before pass C(number) or end there, and do not go beyond C(final)."""

    def between(value: int, end: int) -> bool:
        return min(current, end) <= value <= max(current, end)

    return between(asked, final) and between(number, asked)
