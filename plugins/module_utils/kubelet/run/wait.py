# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Wait for the machine config operator and for the nodes of a pool, and say which of them hold it up."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, Callable, Optional

from ...errors import ApiError, Unreachable
from ...quantity import format_duration
from ..checks import blocks_drain, machines_on, verdicts_on
from ..objects import Step, verdict
from ..pools import DRAINING, UPDATED, WAITING, moving
from .keeper import Keeper, Stopped

POLL_SECONDS = 2.0


@dataclass(frozen=True)
class Patience:
    """How long to wait, in seconds: for a pool at all, while no node of it makes progress, for the operator to react to
    what was written, and before a pool counts as degraded. C(accept_degraded): it may be so all the time."""

    pool_seconds: float
    node_seconds: float
    operator_seconds: float = 120.0
    degraded_seconds: float = 60.0
    accept_degraded: bool = False


class Waiter:
    """Waits for one cluster. C(clock) and C(sleep) are for tests that play."""

    def __init__(
        self,
        keeper: Keeper,
        patience: Patience,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._keeper = keeper
        self._patience = patience
        self._clock = clock
        self._sleep = sleep

    def for_operator(self, name: str, step: Step, *, present: bool) -> None:
        """Return when the operator has taken the KubeletConfig over and rendered the pool's configuration with it.

        Where what is rendered stays the same there is nothing for the nodes to take, which shows only by time. Raises
        Stopped when the operator refuses it, after it was taken back.
        """
        end = self._clock() + self._patience.operator_seconds
        while True:
            pool = self._keeper.look().pools[name]
            good, told = self._verdict(step, present)
            if good is False:
                self._keeper.take_back(name, step)
                raise Stopped(
                    f"The machine config operator refuses KubeletConfig {step.name}: {told}",
                    "It was taken back; no node was touched. Correct the value that is named.",
                )
            rendered = pool.record.rendered if pool.record else ""
            if good and (not rendered or pool.target != rendered):
                return
            if self._clock() >= end:
                if good:
                    return
                raise Stopped(
                    f"The machine config operator does not react to KubeletConfig {step.name}.",
                    "See whether its pods in openshift-machine-config-operator run, then run this again.",
                )
            self._sleep(POLL_SECONDS)

    def _verdict(self, step: Step, present: bool) -> tuple[Optional[bool], str]:
        config = self._keeper.config(step.name)
        if not present:
            return (True if config is None else None), ""
        if config is None:
            raise Stopped(f"KubeletConfig {step.name} was deleted while it was waited for.", "Run this again.")
        return verdict(config)

    def for_nodes(self, name: str) -> None:
        """Return when all nodes have the pool's configuration. Raises Stopped naming the nodes that do not get it."""
        patience = self._patience
        begun = since = self._clock()
        degraded_since: Optional[float] = None
        mark: Any = None
        while True:
            now = self._clock()
            try:
                scene = self._keeper.look()
            except Unreachable:
                # the API server's own node may be the one that reboots
                if now - since >= patience.node_seconds:
                    raise
                self._sleep(POLL_SECONDS)
                continue
            pool, nodes = scene.pools[name], scene.nodes[name]
            if pool.updated and (patience.accept_degraded or not pool.degraded):
                return
            if pool.paused:
                raise Stopped(f"Pool {name} was paused by somebody: no further node is updated.", "Unpause it.")
            if not pool.degraded or patience.accept_degraded:
                degraded_since = None
            else:
                degraded_since = now if degraded_since is None else degraded_since
                if now - degraded_since >= patience.degraded_seconds:
                    raise self._stopped(name, f"Pool {name} is degraded: {pool.degraded}")
            fresh = (pool.target, moving(nodes, pool.target))
            if fresh != mark:
                mark, since = fresh, now
            if now - since >= patience.node_seconds:
                raise self._stopped(name, f"No node of pool {name} got further for {format_duration(now - since)}.")
            if now - begun >= patience.pool_seconds:
                raise self._stopped(name, f"Pool {name} is not updated after {format_duration(now - begun)}.")
            self._sleep(POLL_SECONDS)

    def _stopped(self, name: str, message: str) -> Stopped:
        """Return the error with the nodes that are in the middle of it, and the VMs that hold them up."""
        scene = self._keeper.scene
        target = scene.pools[name].target
        busy = [node for node in scene.nodes[name] if node.phase(target) not in (UPDATED, WAITING)]
        told = [f"{node.name} is {node.phase(target)}" + (f" ({node.reason})" if node.reason else "") for node in busy]
        hint = "Repair it and run this again, which goes on from there."
        draining = [node.name for node in busy if node.phase(target) == DRAINING]
        stuck = self._stuck_machines(name, draining) if draining else []
        if stuck:
            told.append(f"VMs that cannot be evicted: {', '.join(stuck)}")
            hint = "Stop or migrate these VMs (vm_rwx_check says what keeps them); the drain then goes on by itself."
        return Stopped(" ".join([message, *(f"{text}." for text in told)]), hint)

    def _stuck_machines(self, pool: str, nodes: list[str]) -> list[str]:
        try:
            scene = self._keeper.look(machines=True)
        except ApiError:
            return []
        verdicts = verdicts_on(scene, [pool])
        here = [vm for vm in machines_on(scene, pool) if vm.node in nodes]
        return [f"{vm.key} on {vm.node}" for vm in here if blocks_drain(scene, vm, verdicts[vm.key])]
