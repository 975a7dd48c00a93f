"""virt-handler on every node: starts and stops guests, says what can move, and carries migrations out.

Source: KubeVirt pkg/virt-handler (vm.go, migration-target.go, migration-source.go).
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from . import kinds
from .caches import Instance
from .controller import Controller, with_condition
from .copying import Links, Migrating
from .informer import Key
from .instance import FOREGROUND
from .migratable import migratability
from .pod import Pod

log = logging.getLogger(__name__)
Obj = dict[str, Any]
TARGET_LABEL = "kubevirt.io/migrationTargetNodeName"


class Handler(Controller):
    """One controller for all nodes; it does nothing on a node whose virt-handler is down."""

    name = "virt-handler"
    component = "virt-handler"
    workers = 12

    def register(self) -> None:
        self.links = Links()
        self._due: dict[str, float] = {}
        self._running: dict[str, asyncio.Task[None]] = {}
        self.migrating: dict[str, Migrating] = {}
        self.caches.instances.on_change(self._instance_changed)
        self.caches.pods.on_change(self._pod_changed)
        self.settings.on_change(self._faults_changed)

    def _instance_changed(self, key: Key, before: Instance | None, after: Instance | None) -> None:
        if after is None:
            if before is not None:
                self._due.pop(before.uid, None)
                self._end_run(before.job_uid)
            return
        self.queue.add(key)
        run = self.migrating.get(after.job_uid)
        if run is not None:
            run.wake.set()

    def _pod_changed(self, key: Key, before: Pod | None, after: Pod | None) -> None:
        pod = after or before
        if pod is not None and pod.plugged is not None and pod.plugged.handler:
            self._handler_changed(pod.node)
        if pod is not None and pod.launcher is not None:
            self.queue.add((key[0], pod.launcher.instance))
            run = self.migrating.get(pod.launcher.job_uid)
            if run is not None:
                run.wake.set()

    def _handler_changed(self, node: str) -> None:
        """virt-handler has gone or come: what waited for it goes on."""
        for key in self.caches.instances_on(node):
            self.queue.add(key)
        for run in self.migrating.values():
            if node in (run.source, run.target):
                run.wake.set()

    def _faults_changed(self) -> None:
        self.enqueue_all(self.caches.instances)
        for run in self.migrating.values():
            run.wake.set()

    async def reconcile(self, key: Key) -> float | None:
        summary = self.caches.instances.get(key)
        if summary is None or not summary.node:
            return None
        if summary.job_open and summary.job_uid not in self._running:
            self._start_run(key, summary.job_uid)
        if not self.settings.handler_ready(summary.node):
            return None
        if summary.phase == "Scheduled" and not summary.deleting:
            return await self._boot(key, summary)
        if summary.phase == "Running" and (summary.deleting or self._pod_is_stopping(summary)):
            return await self._shut_down(key, summary)
        if summary.final and summary.deleting:
            await self._release(key)
        return None

    def _wait(self, uid: str, seconds: float) -> float | None:
        now = self.context.timestamp()
        left = self._due.setdefault(uid, now + seconds) - now
        if left > 0:
            return left
        self._due.pop(uid, None)
        return None

    async def _boot(self, key: Key, summary: Instance) -> float | None:
        left = self._wait(summary.uid, self.settings.model.boot_seconds)
        if left is not None:
            return left
        instance = self.caches.instances.obj(key)
        if instance is None:
            return None
        now = self.context.now()
        status: Obj = instance["status"]
        found = migratability(instance, summary.node, self.caches.node_labels(summary.node))
        conditions = status.get("conditions") or []
        if found.live is None:
            conditions = with_condition(conditions, "LiveMigratable", "True", now)
        else:
            conditions = with_condition(
                conditions, "LiveMigratable", "False", now, found.live.reason, found.live.message
            )
        if not found.storage:
            conditions = with_condition(conditions, "StorageLiveMigratable", "True", now)
        else:
            text = ", ".join(f"{each.reason}: {each.message}" for each in found.storage)
            conditions = with_condition(conditions, "StorageLiveMigratable", "False", now, "NotMigratable", text)
        domain: Obj = instance["spec"].get("domain") or {}
        guest = (domain.get("memory") or {}).get("guest")
        patch: Obj = {
            "metadata": {"resourceVersion": instance["metadata"]["resourceVersion"]},
            "status": {
                "phase": "Running",
                "phaseTransitionTimestamps": [
                    *(status.get("phaseTransitionTimestamps") or []),
                    {"phase": "Running", "phaseTransitionTimestamp": now},
                ],
                "conditions": conditions,
                "migrationMethod": found.method,
                "machine": {"type": (domain.get("machine") or {}).get("type", "")},
            },
        }
        if guest:
            patch["status"]["memory"] = {"guestAtBoot": guest, "guestCurrent": guest, "guestRequested": guest}
        await self.patch(self.caches.instances, key, patch)
        self.event(kinds.INSTANCES, instance, "Started", "VirtualMachineInstance started.")
        strategy = instance["spec"].get("evictionStrategy")
        if found.live is not None and strategy in ("LiveMigrate",):
            text = f"EvictionStrategy is set but vmi is not migratable; {found.live.message}"
            self.event(kinds.INSTANCES, instance, "Migrated", text, warning=True)
        return None

    def _pod_is_stopping(self, summary: Instance) -> bool:
        pods = [pod for pod in self.caches.launchers(summary.uid) if pod.node == summary.node and not pod.final]
        return bool(pods) and all(pod.deleting for pod in pods)

    async def _shut_down(self, key: Key, summary: Instance) -> float | None:
        """The guest is told to end, and ends in time."""
        instance = self.caches.instances.obj(key)
        if instance is None:
            return None
        grace = instance["spec"].get("terminationGracePeriodSeconds")
        seconds = min(self.settings.model.shutdown_seconds, 30 if grace is None else grace)
        left = self._wait(summary.uid, seconds)
        if left is not None:
            return left
        now = self.context.now()
        status: Obj = instance["status"]
        patch: Obj = {
            "status": {
                "phase": "Succeeded",
                "phaseTransitionTimestamps": [
                    *(status.get("phaseTransitionTimestamps") or []),
                    {"phase": "Succeeded", "phaseTransitionTimestamp": now},
                ],
            }
        }
        await self.patch(self.caches.instances, key, patch)
        self.event(kinds.INSTANCES, instance, "Stopped", "The VirtualMachineInstance was shut down.")
        return None

    async def _release(self, key: Key) -> None:
        """The guest is gone for good: virt-handler has nothing more to clean up."""
        instance = self.caches.instances.obj(key)
        if instance is None:
            return
        metadata: Obj = instance["metadata"]
        finalizers = metadata.get("finalizers") or []
        if FOREGROUND in finalizers:
            left = [each for each in finalizers if each != FOREGROUND]
            patch = {"metadata": {"finalizers": left or None, "resourceVersion": metadata["resourceVersion"]}}
            await self.patch(self.caches.instances, key, patch)

    def _start_run(self, key: Key, job_uid: str) -> None:
        run = Migrating(self, key, job_uid)
        self.migrating[job_uid] = run
        task = asyncio.get_running_loop().create_task(run.run())
        self._running[job_uid] = task
        task.add_done_callback(lambda _task: self._forget(job_uid))

    def _forget(self, job_uid: str) -> None:
        task = self._running.pop(job_uid, None)
        self.migrating.pop(job_uid, None)
        if task is not None and not task.cancelled() and task.exception() is not None:
            log.error("migration %s", job_uid, exc_info=task.exception())

    def _end_run(self, job_uid: str) -> None:
        task = self._running.get(job_uid)
        if task is not None:
            task.cancel()
