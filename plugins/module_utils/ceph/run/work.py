# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Brings pools to their goals step by step, and stops when the cluster gets worse than allowed."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any, Callable, Optional, Sequence

from ...errors import OcpvError, TimedOut
from ..changes import next_step
from ..commands import (
    Goal,
    forget_command,
    in_order,
    on_the_way,
    pause_autoscaler,
    record_command,
    set_command,
)
from ..health import Patience, judge, told
from ..model import Pool, Status
from .ceph import Ceph


class HealthTooBad(OcpvError):
    """The cluster's health forbids to go on; what was done stays, and a later run goes on from there."""


class PoolGone(OcpvError):
    """A pool was deleted, or made anew, while it was worked on."""


@dataclass(frozen=True)
class Limits:
    """C(tolerated) health checks do not stop; C(transient_seconds) is how long those may last that splits bring along.

    OSDs tell the manager about their PGs every few seconds, so that all looks clean for a while after a change: only
    after C(settle_seconds) of that it is believed.
    """

    tolerated: frozenset[str] = frozenset()
    transient_seconds: float = 60.0
    timeout_seconds: float = 3600.0
    poll_seconds: float = 5.0
    settle_seconds: float = 5.0
    step_factor: int = 2
    wait: bool = True


@dataclass
class Worker:
    """Works on goals one pool after the other. Its only memory is the cluster, so that it can be killed at any time."""

    ceph: Ceph
    limits: Limits
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    _deadline: float = field(default=0.0, init=False)
    _patience: Optional[Patience] = field(default=None, init=False)

    def reach(self, goals: Sequence[Goal]) -> None:
        """Bring all pools to their goals. Raises HealthTooBad, TimedOut, PoolGone, or what ceph answers."""
        self._deadline = self.clock() + self.limits.timeout_seconds
        self._patience = Patience(self.limits.transient_seconds)
        for goal in in_order(list(goals)):
            self._reach(goal)

    def _reach(self, goal: Goal) -> None:
        pool = self._pool(goal)
        if not goal.differs and pool.settled:
            self._forget(goal)
            return
        if goal.differs:
            self._check_health(self.ceph.status(), goal, pool)
            if goal.record:
                self.ceph.order(record_command(goal.pool))
            if pause_autoscaler(goal):
                self.ceph.order(set_command(pool.name, "pg_autoscale_mode", "off"))
        pool = self._reach_pg_num(goal, pool)
        if pool.pgp_num_target != goal.wanted.pgp_num:
            self.ceph.order(set_command(pool.name, "pgp_num", goal.wanted.pgp_num))
            pool = self._settle(goal, goal.wanted.pg_num)
        pool = self._pool(goal)
        if pool.autoscale_mode != goal.wanted.autoscale_mode:
            self.ceph.order(set_command(pool.name, "pg_autoscale_mode", goal.wanted.autoscale_mode))
        self._forget(goal)

    def _forget(self, goal: Goal) -> None:
        if goal.forget:
            self.ceph.order(forget_command(goal.pool))

    def _reach_pg_num(self, goal: Goal, pool: Pool) -> Pool:
        final = goal.wanted.pg_num
        if not self.limits.wait:
            if pool.pg_num_target != final:
                self.ceph.order(set_command(pool.name, "pg_num", final))
            return self._pool(goal)
        while True:
            number = next_step(pool.pg_num, final, self.limits.step_factor)
            if not on_the_way(pool.pg_num, pool.pg_num_target, number, final):
                self._check_health(self.ceph.status(), goal, pool)
                self.ceph.order(set_command(pool.name, "pg_num", number))
            else:
                number = pool.pg_num_target
            pool = self._settle(goal, number)
            if pool.pg_num == final:
                return pool

    def _settle(self, goal: Goal, number: int) -> Pool:
        """Wait until the pool has C(number) PGs, placed, and all PGs of the cluster are active and clean."""
        if not self.limits.wait:
            return self._pool(goal)
        since: Optional[float] = None
        while True:
            pools = self.ceph.pools()
            pool, status = self._same(goal, pools.get(goal.pool.name)), self.ceph.status()
            self._check_health(status, goal, pool)
            # the manager learns of new PGs a moment later than the monitors
            counted = status.pgs == sum(other.pg_num for other in pools.values())
            if pool.pg_num == number and pool.settled and counted and not status.unclean:
                since = self.clock() if since is None else since
                if self.clock() - since >= self.limits.settle_seconds:
                    return pool
            else:
                since = None
            if self.clock() + self.limits.poll_seconds > self._deadline:
                raise self._late(pool, status, number)
            self.sleep(self.limits.poll_seconds)

    def _pool(self, goal: Goal) -> Pool:
        return self._same(goal, self.ceph.pools().get(goal.pool.name))

    def _same(self, goal: Goal, pool: Optional[Pool]) -> Pool:
        if pool is None or pool.id != goal.pool.id:
            raise PoolGone(
                f"Pool {goal.pool.name} was deleted or made anew while its PGs were changed.",
                details={"pool": goal.pool.name, "commands": list(self.ceph.sent)},
            )
        return pool

    def _check_health(self, status: Status, goal: Goal, pool: Pool) -> None:
        verdict = judge(status, self.limits.tolerated)
        patience = self._patience or Patience(self.limits.transient_seconds)
        worn_out = patience.worn_out(verdict, self.clock())
        bad = verdict.stop + (verdict.passing if worn_out else ())
        if not bad:
            return
        lasting = f", for more than {self.limits.transient_seconds:g} s" if worn_out and not verdict.stop else ""
        raise HealthTooBad(
            f"The cluster is {status.health}: {told(bad)}{lasting}. Pool {pool.name} is left at pg_num {pool.pg_num} "
            f"(asked for: {pool.pg_num_target}; wanted: {goal.wanted.pg_num}).",
            hint="Put it right and run this again, which goes on from here; or name checks that do not matter in "
            "tolerated_checks.",
            details=self._progress(pool, status),
        )

    def _late(self, pool: Pool, status: Status, number: int) -> TimedOut:
        unclean = ", ".join(f"{count} {state}" for state, count in sorted(status.unclean.items())) or "none"
        return TimedOut(
            f"Pool {pool.name} is at pg_num {pool.pg_num} and pgp_num {pool.pgp_num} on the way to {number} after "
            f"{self.limits.timeout_seconds:g} s; PGs that are not clean: {unclean}.",
            hint="Ceph goes on by itself; run this again to wait further. PGs that stay unknown or inactive point to a "
            "CRUSH rule that finds too few OSDs that are up.",
            details=self._progress(pool, status),
        )

    def _progress(self, pool: Pool, status: Status) -> dict[str, Any]:
        return {
            "pool": pool.name,
            "pg_num": pool.pg_num,
            "pgp_num": pool.pgp_num,
            "pg_num_target": pool.pg_num_target,
            "health": status.health,
            "checks": [check.code for check in status.checks],
            "pgs_by_state": dict(status.pgs_by_state),
            "commands": list(self.ceph.sent),
        }
