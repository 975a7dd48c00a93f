"""One migration as the two virt-handlers and launchers carry it out, from the prepared target to the label's removal.

Source: KubeVirt pkg/virt-handler/migration-target.go, migration-source.go;
pkg/virt-launcher/virtwrap/live-migration-source.go (time limits).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from ..quantity import whole
from ..scenarios.values import DIRTY_RATE_ANNOTATION
from . import kinds
from .client import ApiError
from .informer import Key
from .requests import guest_bytes
from .transfer import Transfer, completion_limit_seconds, share_of_link

if TYPE_CHECKING:
    from .handler import Handler

log = logging.getLogger(__name__)
Obj = dict[str, Any]
TARGET_LABEL = "kubevirt.io/migrationTargetNodeName"
ABORTED = "Live migration has been aborted"
_LOST_CONTACT_SECONDS = 30.0
_LONGEST_STEP_SECONDS = 60.0
_LOCAL_DISK_BYTES = 1e9
_PORTS = {"35671": 0, "39219": 49152, "42563": 49153}


class Links:
    """Which copies share a node's network."""

    def __init__(self) -> None:
        self._on: dict[str, set[Migrating]] = defaultdict(set)

    def join(self, copy: Migrating) -> None:
        self._on[copy.source].add(copy)
        self._on[copy.target].add(copy)
        self._tell(copy)

    def leave(self, copy: Migrating) -> None:
        self._on[copy.source].discard(copy)
        self._on[copy.target].discard(copy)
        self._tell(copy)

    def count(self, node: str) -> int:
        """Copies that come from or go to the node."""
        return len(self._on[node])

    def _tell(self, changed: Migrating) -> None:
        for other in self._on[changed.source] | self._on[changed.target]:
            if other is not changed:
                other.wake.set()


class _Stopped(Exception):
    """Nobody is left who could go on; what has to be told has been told."""


class Migrating:
    """Runs once per migration; started again after a restart of the controllers it goes on where the object stands."""

    def __init__(self, handler: Handler, key: Key, job_uid: str) -> None:
        self.wake = asyncio.Event()
        self.source = ""
        self.target = ""
        self._handler = handler
        self._key = key
        self._job = job_uid
        self._clock = handler.clock
        self._context = handler.context
        self._settings = handler.settings

    async def run(self) -> None:
        """All of it; a failure of the API is tried again."""
        while True:
            try:
                await self._run()
            except _Stopped:
                pass
            except (ApiError, OSError) as error:
                log.info("migration of %s: %s", "/".join(self._key), error)
                await asyncio.sleep(0.1)
                continue
            return

    def _instance(self) -> Obj:
        """The instance while it is in this migration. Raises _Stopped when it no longer is."""
        instance = self._handler.caches.instances.obj(self._key)
        if instance is None or self._state(instance).get("migrationUid") != self._job:
            raise _Stopped
        return instance

    def _state(self, instance: Obj) -> Obj:
        state: Obj = (instance.get("status") or {}).get("migrationState") or {}
        return state

    async def _patch(self, status: Obj, metadata: Obj | None = None) -> None:
        self._instance()
        patch: Obj = {"status": status}
        if metadata:
            patch["metadata"] = metadata
        await self._handler.patch(self._handler.caches.instances, self._key, patch)

    async def _set(self, **fields: Any) -> None:
        await self._patch({"migrationState": fields})

    async def _run(self) -> None:
        instance = self._instance()
        state = self._state(instance)
        self.source, self.target = state["sourceNode"], state["targetNode"]
        model = self._settings.model
        if not state.get("targetNodeAddress"):
            await self._pause(model.prepare_target_seconds)
            address = self._address()
            await self._set(targetNodeAddress=address, targetDirectMigrationNodePorts=_PORTS)
        if not state.get("startTimestamp"):
            await self._pause(model.start_source_seconds)
            await self._set(startTimestamp=self._context.now(), mode="PreCopy")
        if not state.get("endTimestamp"):
            if not await self._copy():
                return
            await self._switch_over()
        await self._pause(model.finish_seconds, alive=(self.target,))
        if not self._state(self._instance()).get("completed"):
            await self._set(completed=True)
        await self._patch({}, {"labels": {TARGET_LABEL: None}})

    def _address(self) -> str:
        """Of the target's virt-handler: in the migration network, else its pod's."""
        known = self._handler.caches.migration_address(self.target)
        if known:
            return known
        node = self._handler.caches.nodes.obj(("", self.target)) or {}
        addresses = (node.get("status") or {}).get("addresses") or []
        return next((each["address"] for each in addresses if each["type"] == "InternalIP"), "127.0.0.1")

    async def _pause(self, seconds: float, alive: tuple[str, ...] = ()) -> None:
        """Let time pass while both virt-handlers (or those of C(alive)) work; stand still while one does not."""
        due = self._context.timestamp() + seconds
        while True:
            instance = self._instance()
            if self._ended(instance):
                raise _Stopped
            left = due - self._context.timestamp()
            down = [node for node in alive or (self.source, self.target) if not self._settings.handler_ready(node)]
            if left <= 0 and not down:
                return
            await self._wait(max(left, 0.05) if not down else _LONGEST_STEP_SECONDS)

    def _ended(self, instance: Obj) -> bool:
        state = self._state(instance)
        return bool(state.get("failed")) or (instance["status"].get("phase") in ("Succeeded", "Failed"))

    async def _wait(self, seconds: float) -> None:
        """Wait simulated seconds, or less if something happens."""
        self.wake.clear()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.wake.wait(), max(seconds, 0.0) / self._clock.scale)

    async def _copy(self) -> bool:
        """Copy memory and local disks. False when it failed, which has then been told."""
        instance = self._instance()
        configuration: Obj = self._state(instance).get("migrationConfiguration") or {}
        transfer = self._transfer(instance, configuration)
        size = transfer.memory_bytes + transfer.disk_bytes
        limit = completion_limit_seconds(size, int(configuration.get("completionTimeoutPerGiB") or 0))
        progress_limit = float(configuration.get("progressTimeout") or 0) or math.inf
        fault = self._settings.fault_of(self._key, self._job)
        self._handler.links.join(self)
        detected = bool(self._state(instance).get("targetNodeDomainDetected"))
        started = last = self._context.timestamp()
        stuck_since = lost_since = math.inf
        try:
            while True:
                if not detected:
                    detected = True
                    await self._set(targetNodeDomainDetected=True)
                now = self._context.timestamp()
                elapsed = now - started
                hit = fault is not None and elapsed >= fault.after_seconds
                if hit and fault is not None and fault.effect.startswith("kill-"):
                    self._settings.kill(self.source if fault.effect == "kill-source" else self.target)
                    hit = False
                    fault = None
                hanging = hit and fault is not None and fault.effect == "hang"
                bandwidth = 0.0 if hanging or not self._both_alive() else self._bandwidth(configuration)
                transfer.advance(now - last, bandwidth)
                last = now
                stuck_since = now if bandwidth == 0.0 and math.isinf(stuck_since) else stuck_since
                stuck_since = math.inf if bandwidth else stuck_since
                lost_since = min(lost_since, now) if not self._both_alive() else math.inf
                instance = self._instance()
                if self._ended(instance):
                    return False
                if self._state(instance).get("abortRequested") and transfer.mode != "PostCopy":
                    await self._fail(ABORTED, abortStatus="Succeeded")
                    return False
                if hit and fault is not None and fault.effect == "fail":
                    await self._fail(fault.reason)
                    return False
                if now - lost_since >= _LOST_CONTACT_SECONDS and not await self._contact_lost():
                    return False
                if transfer.done:
                    return True
                if transfer.mode != "PostCopy" and now - stuck_since >= progress_limit:
                    await self._fail(ABORTED)
                    return False
                if elapsed > limit and transfer.mode != "PostCopy":
                    if not configuration.get("allowWorkloadDisruption") or transfer.mode == "Paused":
                        await self._fail(ABORTED)
                        return False
                    limit = await self._assist(transfer, configuration, limit)
                await self._wait(
                    min(
                        max(transfer.seconds_to_next_event(bandwidth), 0.02),
                        _LONGEST_STEP_SECONDS,
                        limit - elapsed + 0.01 if limit > elapsed else math.inf,
                        stuck_since + progress_limit - now + 0.01,
                        lost_since + _LOST_CONTACT_SECONDS - now + 0.01,
                        fault.after_seconds - elapsed + 0.01 if fault and elapsed < fault.after_seconds else math.inf,
                    )
                )
        finally:
            self._handler.links.leave(self)

    def _transfer(self, instance: Obj, configuration: Obj) -> Transfer:
        annotations: dict[str, str] = instance["metadata"].get("annotations") or {}
        text = annotations.get(DIRTY_RATE_ANNOTATION)
        local = sum(
            1 for each in instance["spec"].get("volumes") or [] if "containerDisk" in each or "hostDisk" in each
        )
        return Transfer(
            memory_bytes=float(guest_bytes(instance["spec"].get("domain") or {})),
            disk_bytes=_LOCAL_DISK_BYTES * local,
            dirty_rate=float(text) if text else self._settings.model.default_dirty_rate,
            max_downtime_seconds=float(configuration.get("maxDowntimeMs") or 300) / 1000,
            auto_converge=bool(configuration.get("allowAutoConverge")),
        )

    def _bandwidth(self, configuration: Obj) -> float:
        model = self._settings.model
        return share_of_link(
            float(whole(configuration.get("bandwidthPerMigration") or "0")),
            model.stream_bytes_per_second,
            model.link_bytes_per_second,
            self._handler.links.count(self.source),
            self._handler.links.count(self.target),
        )

    def _both_alive(self) -> bool:
        return not self._settings.dead(self.source) and not self._settings.dead(self.target)

    async def _assist(self, transfer: Transfer, configuration: Obj, limit: float) -> float:
        """Too slow, and the guest may be disturbed: post-copy where allowed, else the guest is paused."""
        if configuration.get("allowPostCopy"):
            transfer.post_copy()
            limit = math.inf
        else:
            transfer.pause()
            limit *= 2
        await self._set(mode=transfer.mode)
        return limit

    async def _contact_lost(self) -> bool:
        """One of the nodes is dead: the other side gives up (False), if there is one."""
        if not self._settings.dead(self.source):
            await self._fail("Live migration failed: internal error: unable to reach the target: connection timed out")
        elif not self._settings.dead(self.target):
            await self._end_target_pod()
        return False

    async def _end_target_pod(self) -> None:
        """The source is gone: the incoming guest ends, and with it its pod."""
        caches = self._handler.caches
        name = self._state(self._instance()).get("targetPod", "")
        if (self._key[0], name) in caches.pods.items:
            await self._handler.patch(caches.pods, (self._key[0], name), {"status": {"phase": "Failed"}}, "status")

    async def _fail(self, reason: str, **more: Any) -> None:
        instance = self._instance()
        fields = {
            "failed": True,
            "completed": True,
            "endTimestamp": self._context.now(),
            "failureReason": reason,
            **more,
        }
        await self._patch({"migrationState": fields}, {"labels": {TARGET_LABEL: None}})
        text = f"VirtualMachineInstance migration uid {self._job} failed. reason:{reason}"
        self._handler.event(kinds.INSTANCES, instance, "Migrated", text, warning=True)

    async def _switch_over(self) -> None:
        """The guest runs on the target now: first it is ready there, then the instance belongs to that node."""
        await self._set(targetNodeDomainReadyTimestamp=self._context.now())
        status = {
            "nodeName": self.target,
            "evacuationNodeName": None,
            "launcherContainerImageVersion": None,
            "migrationState": {"endTimestamp": self._context.now()},
        }
        metadata = {
            "labels": {"kubevirt.io/nodeName": self.target, "kubevirt.io/outdatedLauncherImage": None},
            "annotations": {"kubevirt.io/eviction-source": None},
        }
        await self._patch(status, metadata)
        text = f"The VirtualMachineInstance migrated to node {self.target}."
        self._handler.event(kinds.INSTANCES, self._instance(), "Migrated", text)
