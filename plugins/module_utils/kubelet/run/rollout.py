# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Bring KubeletConfigs to pools one after the other: write, wait for the nodes, go on; or stop and say where."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Sequence

from ...errors import ApiError
from ..checks import unfinished
from ..objects import KEEP
from ..pools import PoolNode
from .keeper import Keeper, Stopped
from .wait import Waiter

DONE, UNCHANGED, FAILED, NOT_REACHED, LEFT_PAUSED = "updated", "unchanged", "failed", "not_reached", "left_paused"


@dataclass
class Report:
    """What came of a pool. C(follows): it has no KubeletConfig of the job, but waited for its turn."""

    pool: str
    config: str = ""
    status: str = NOT_REACHED
    action: str = KEEP
    error: str = ""
    hint: str = ""
    changed: bool = False
    follows: bool = False
    nodes: Sequence[PoolNode] = ()
    target: str = ""


class Rollout:
    """One call. C(pools) are those of the job in their order; C(managed) may be paused meanwhile; C(present): whether
    the KubeletConfigs are to be there."""

    def __init__(
        self, keeper: Keeper, waiter: Waiter, pools: dict[str, str], managed: Sequence[str], *, present: bool
    ) -> None:
        self._keeper = keeper
        self._waiter = waiter
        self._pools = pools
        self._managed = managed
        self._present = present

    def run(self) -> list[Report]:
        """Do it all and return what came of each pool: those of the job in order, then those that waited."""
        scene = self._keeper.look()
        due = [name for name in self._pools if self._keeper.step(name).action != KEEP or unfinished(scene.pools[name])]
        waiting = [name for name in self._managed if name not in self._pools]
        # those that an earlier run paused, too
        waiting += [name for name, pool in scene.pools.items() if pool.record and name not in (*self._pools, *waiting)]
        reports = [Report(name, config) for name, config in self._pools.items()]
        followers = [Report(name, follows=True) for name in waiting]
        for name in self._managed if due else ():
            if name != due[0]:
                self._keeper.hold(name)
        going = True
        for report in (*reports, *followers):
            if going:
                going = self._try(report)
            else:
                self._leave(report)
        return [*reports, *(report for report in followers if report.status != UNCHANGED)]

    def _try(self, report: Report) -> bool:
        """Bring one pool to its end; False if it did not get there."""
        try:
            if report.follows:
                self._follow(report)
            else:
                self._stage(report)
        except (Stopped, ApiError) as error:
            report.status, report.error, report.hint = FAILED, error.message, error.hint
        scene = self._keeper.scene
        report.nodes = tuple(scene.nodes[report.pool])
        report.target = scene.pools[report.pool].target
        return report.status != FAILED

    def _stage(self, report: Report) -> None:
        name = report.pool
        pool = self._keeper.look().pools[name]
        step = self._keeper.step(name)
        report.action = step.action
        if step.action == KEEP and not unfinished(pool):
            report.status = UNCHANGED
            return
        report.changed = step.action != KEEP or pool.record is not None
        if step.action != KEEP:
            self._keeper.note(name, held=name in self._managed)
            step = self._keeper.write(name, step)
        self._waiter.for_operator(name, step, present=self._present)
        self._advance(name)
        report.status = DONE

    def _follow(self, report: Report) -> None:
        """Let a pool go on that waited, and wait for it; one that was paused before stays so."""
        pool = self._keeper.look().pools[report.pool]
        if pool.record is None:
            report.status = UNCHANGED
            return
        report.changed = True
        if pool.record.paused:
            self._keeper.restore(report.pool)
            report.status = UNCHANGED if pool.target == pool.reached else LEFT_PAUSED
            return
        self._advance(report.pool)
        report.status = DONE

    def _advance(self, name: str) -> None:
        """Let the nodes of a pool take what is rendered for it, wait for them, and restore how the pool was."""
        pool = self._keeper.scene.pools[name]
        if name in self._managed or (pool.record is not None and pool.record.held):
            self._keeper.release(name)
        self._waiter.for_nodes(name)
        self._keeper.restore(name)

    def _leave(self, report: Report) -> None:
        """Restore a pool that is not reached, unless its nodes would then begin to update."""
        try:
            pool = self._keeper.look().pools[report.pool]
            if pool.record is None or not pool.record.held:
                return
            if pool.target == pool.reached or pool.record.paused:
                self._keeper.restore(report.pool)
                return
        except ApiError as error:
            report.error, report.hint = error.message, error.hint
            return
        report.status = LEFT_PAUSED
        report.error = "It is still paused, since its nodes would begin to update now."
        report.hint = "Repair the pool that failed and run this again; or unpause this one yourself."
