# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Pause machine config pools and put them back; write KubeletConfigs.

What a pool was like is kept in an annotation of it before anything is written, so that any later call can go on or
restore it.
"""

from __future__ import annotations

from typing import Any, Callable, Mapping, Optional

from ...cluster.gateway import Gateway
from ...cluster.resources import KUBELET_CONFIGS, MACHINE_CONFIG_POOLS
from ...errors import Conflict, NotFound
from ...names import POOL_RECORD
from ..checks import Scene
from ..objects import CHANGE, CREATE, REMOVE, Step, merge_difference, step_for, stored_otherwise
from ..pools import Pool, Record, pool_label
from .read import read_scene

_ATTEMPTS = 5


class Stopped(Exception):
    """A pool does not get further; what is there is left for people to look at."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class Keeper:
    """The pools and KubeletConfigs of a cluster. C(scene) is what was read last; C(names) the KubeletConfig of each
    pool of the job; C(values) its settings, None if it is to be absent."""

    def __init__(self, gateway: Gateway, names: Mapping[str, str], values: Optional[Mapping[str, Any]]) -> None:
        self._gateway = gateway
        self._names = names
        self._values = values
        self.scene = Scene({}, {})

    def look(self, *, machines: bool = False) -> Scene:
        """Read the cluster and return what is there."""
        self.scene = read_scene(self._gateway, machines=machines)
        return self.scene

    def step(self, pool: str) -> Step:
        """Return what is to be done about the KubeletConfig of a pool of the job, by what was read last."""
        return step_for(self.config(self._names[pool]), self.scene.pools[pool], self._names[pool], self._values)

    def config(self, name: str) -> Optional[Mapping[str, Any]]:
        """Return a KubeletConfig as read last."""
        return next((item for item in self.scene.configs if item["metadata"]["name"] == name), None)

    def write(self, pool: str, step: Step) -> Step:
        """Make a step, worked out anew where somebody else was quicker; return the one that was made."""
        for attempt in range(_ATTEMPTS):
            try:
                stored = write_step(self._gateway, step)
            except Conflict:
                if attempt == _ATTEMPTS - 1:
                    raise
                self.look()
                step = self.step(pool)
                continue
            differing = stored_otherwise(step, stored) if step.action in (CREATE, CHANGE) else []
            if differing:
                raise Stopped(f"The API server stored KubeletConfig {step.name} otherwise: {', '.join(differing)}.")
            return step
        raise AssertionError("unreachable")

    def take_back(self, pool: str, step: Step) -> None:
        """Undo a step that the operator refuses, and restore the pool."""
        if step.action == CREATE:
            write_step(self._gateway, Step(step.name, REMOVE))
        elif step.action == CHANGE:
            self._gateway.merge_patch(KUBELET_CONFIGS, step.name, {"spec": merge_difference(step.after, step.before)})
        self.restore(pool)

    def hold(self, name: str) -> None:
        """Pause a pool, and note in the same write how it was."""

        def body(pool: Pool) -> Optional[dict[str, Any]]:
            if pool.record is not None and pool.paused:
                return None
            before = pool.record or Record(pool.paused)
            record = Record(before.paused, before.rendered, held=True)
            return {"metadata": {"annotations": {POOL_RECORD: record.to_text()}}, "spec": {"paused": True}}

        self._change(name, body)

    def note(self, name: str, *, held: bool) -> None:
        """Note how the pool is before its KubeletConfig is written, and give it the label that selects it."""

        def body(pool: Pool) -> Optional[dict[str, Any]]:
            before = pool.record or Record(pool.paused)
            record = Record(before.paused, pool.target, held=held or before.held)
            metadata: dict[str, Any] = {"annotations": {POOL_RECORD: record.to_text()}}
            if self._values is not None and pool_label(name) not in pool.labels:
                metadata["labels"] = {pool_label(name): ""}
            return {"metadata": metadata}

        self._change(name, body)

    def release(self, name: str) -> None:
        """Unpause a pool for its turn."""
        self._change(name, lambda pool: {"spec": {"paused": False}} if pool.paused else None)

    def restore(self, name: str) -> None:
        """Put back whether the pool is paused, if that was for this job to change, and take the note away."""

        def body(pool: Pool) -> Optional[dict[str, Any]]:
            if pool.record is None:
                return None
            restored: dict[str, Any] = {"metadata": {"annotations": {POOL_RECORD: None}}}
            if pool.record.held and pool.paused != pool.record.paused:
                restored["spec"] = {"paused": pool.record.paused}
            return restored

        self._change(name, body)

    def _change(self, name: str, make: Callable[[Pool], Optional[dict[str, Any]]]) -> None:
        for attempt in range(_ATTEMPTS):
            pool = self.look().pools[name]
            body = make(pool)
            if body is None:
                return
            body = {**body, "metadata": {**body.get("metadata", {}), "resourceVersion": pool.resource_version}}
            try:
                self._gateway.merge_patch(MACHINE_CONFIG_POOLS, name, body)
            except Conflict:
                if attempt == _ATTEMPTS - 1:
                    raise
                continue
            self.look()
            return


def write_step(gateway: Gateway, step: Step, *, dry_run: bool = False) -> dict[str, Any]:
    """Make one step, or let the API server judge it; return the object as stored, empty where there is none."""
    if step.action == CREATE:
        return gateway.create(KUBELET_CONFIGS, step.body, dry_run=dry_run)
    if step.action == CHANGE:
        return gateway.merge_patch(KUBELET_CONFIGS, step.name, step.body, dry_run=dry_run)
    if step.action == REMOVE:
        try:
            return gateway.delete(KUBELET_CONFIGS, step.name, uid=step.uid, dry_run=dry_run)
        except NotFound:
            return {}
    return {}
