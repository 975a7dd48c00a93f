"""The kubelets: start and stop the containers of pods bound to nodes that live."""

from __future__ import annotations

import hashlib
from typing import Any

from .caches import Instance
from .controller import Controller
from .informer import Key
from .pod import Pod

Obj = dict[str, Any]
_DIGEST = "sha256:" + "5f" * 32


class Kubelet(Controller):
    """One controller for all nodes."""

    name = "kubelet"
    component = "kubelet"
    workers = 16

    def register(self) -> None:
        self._due: dict[str, float] = {}
        self.caches.pods.on_change(self._pod_changed)
        self.caches.instances.on_change(self._instance_changed)
        self.settings.on_change(lambda: self.enqueue_all(self.caches.pods))

    def _pod_changed(self, key: Key, before: Pod | None, after: Pod | None) -> None:
        if after is None:
            if before is not None:
                self._due.pop(before.uid, None)
        elif after.deleting or (after.node and after.phase == "Pending") or after.launcher:
            self.queue.add(key)

    def _instance_changed(self, key: Key, before: Instance | None, after: Instance | None) -> None:
        item = after or before
        if item is not None and (before is None or after is None or before != after):
            for pod in self.caches.pods_of(item.uid):
                self.queue.add(pod)

    async def reconcile(self, key: Key) -> float | None:
        pod = self.caches.pods.get(key)
        if pod is None or (pod.node and self.settings.dead(pod.node)):
            return None
        if pod.deleting:
            return await self._stop(key, pod)
        if not pod.node or pod.final:
            return None
        if pod.phase == "Pending":
            return await self._start(key, pod)
        if pod.launcher and self._guest_left(pod):
            return await self._end(key, pod)
        if pod.launcher and pod.ready != (pod.launcher.marks["kubevirt.io/virtual-machine-unpaused"] != "False"):
            await self._set_ready(key, pod)
        return None

    def _wait(self, pod: Pod, seconds: float) -> float | None:
        """What is left of a wait that begins with the first call; None when it is over."""
        now = self.context.timestamp()
        left = self._due.setdefault(pod.uid, now + seconds) - now
        return left if left > 0 else None

    async def _start(self, key: Key, pod: Pod) -> float | None:
        if ("", pod.node) not in self.caches.nodes.items:
            return None
        seconds = self.settings.model.pod_start_seconds
        if pod.launcher:
            seconds += self.settings.model.container_disk_seconds * (len(pod.containers) > 1)
            if pod.launcher.job_uid:
                fault = self.settings.fault_of((pod.namespace, pod.launcher.instance), pod.launcher.job_uid)
                if fault and fault.effect == "never-ready":
                    return None
        left = self._wait(pod, seconds)
        if left is not None:
            return left
        if not all(self._bound(pod.namespace, claim) for claim in pod.claims):
            return 2.0
        self._due.pop(pod.uid, None)
        await self.patch(self.caches.pods, key, {"status": self._running_status(pod)}, "status")
        return None

    def _bound(self, namespace: str, claim: str) -> bool:
        status: Obj = (self.caches.claims.obj((namespace, claim)) or {}).get("status") or {}
        return status.get("phase") == "Bound"

    def _running_status(self, pod: Pod) -> Obj:
        now = self.context.now()
        kinds = ["Initialized", "Ready", "ContainersReady", "PodScheduled"]
        if pod.launcher:
            kinds.insert(0, "kubevirt.io/virtual-machine-unpaused")
        number = int(hashlib.md5(pod.uid.encode(), usedforsecurity=False).hexdigest()[:6], 16)
        address = f"10.{128 + (number >> 16) % 64}.{number >> 8 & 255}.{number & 255}"
        node: Obj = self.caches.nodes.obj(("", pod.node)) or {}
        addresses = (node.get("status") or {}).get("addresses") or []
        return {
            "phase": "Running",
            "conditions": [
                {"type": kind, "status": "True", "lastProbeTime": None, "lastTransitionTime": now} for kind in kinds
            ],
            "containerStatuses": [
                {
                    "name": name,
                    "ready": True,
                    "started": True,
                    "restartCount": 0,
                    "image": image,
                    "imageID": f"{image.rpartition(':')[0] or image}@{_DIGEST}",
                    "state": {"running": {"startedAt": now}},
                }
                for name, image in pod.containers
            ],
            "hostIP": next((each["address"] for each in addresses if each["type"] == "InternalIP"), ""),
            "podIP": address,
            "podIPs": [{"ip": address}],
            "startTime": now,
        }

    def _guest_left(self, pod: Pod) -> bool:
        """Whether the guest of a launcher pod has ended or moved on, or will never come."""
        assert pod.launcher is not None
        instance = self.caches.instances.get((pod.namespace, pod.launcher.instance))
        if instance is None or instance.uid != pod.launcher.instance_uid:
            return True
        if instance.final:
            return True
        if instance.node == pod.node or instance.job_open or not instance.node:
            return False
        job = pod.launcher.job_uid
        if not job or job == instance.job_uid:
            return True
        migrations = self.caches.migration_with(job)
        return all(self.caches.migrations.items[key].final for key in migrations)

    async def _end(self, key: Key, pod: Pod) -> float | None:
        left = self._wait(pod, self.settings.model.pod_stop_seconds)
        if left is not None:
            return left
        self._due.pop(pod.uid, None)
        now = self.context.now()
        ended = {"terminated": {"exitCode": 0, "reason": "Completed", "finishedAt": now}}
        status = {
            "phase": "Succeeded",
            "conditions": [
                {
                    "type": kind,
                    "status": value,
                    "reason": "PodCompleted",
                    "lastProbeTime": None,
                    "lastTransitionTime": now,
                }
                for kind, value in (("Initialized", "True"), ("Ready", "False"), ("ContainersReady", "False"))
            ]
            + [{"type": "PodScheduled", "status": "True", "lastProbeTime": None, "lastTransitionTime": pod.created}],
            "containerStatuses": [
                {
                    "name": name,
                    "ready": False,
                    "started": False,
                    "restartCount": 0,
                    "image": image,
                    "imageID": f"{image.rpartition(':')[0] or image}@{_DIGEST}",
                    "state": ended,
                }
                for name, image in pod.containers
            ],
        }
        await self.patch(self.caches.pods, key, {"status": status}, "status")
        return None

    async def _stop(self, key: Key, pod: Pod) -> float | None:
        """A pod that is being deleted goes when its containers have ended; a launcher waits for its guest."""
        if pod.node and not pod.final:
            if pod.launcher and pod.phase == "Running" and not self._guest_left(pod) and self._has_guest(pod):
                return None
            left = self._wait(pod, self.settings.model.pod_stop_seconds)
            if left is not None:
                return left
        self._due.pop(pod.uid, None)
        await self.delete(self.caches.pods, key, pod.uid, grace_seconds=0)
        return None

    def _has_guest(self, pod: Pod) -> bool:
        assert pod.launcher is not None
        instance = self.caches.instances.get((pod.namespace, pod.launcher.instance))
        return instance is not None and instance.node == pod.node and instance.phase == "Running"

    async def _set_ready(self, key: Key, pod: Pod) -> None:
        """Readiness follows the readiness gate."""
        whole = await self.client.get(self.caches.pods.kind, *key)
        status = "False" if pod.ready else "True"
        conditions = [
            {**each, "status": status, "lastTransitionTime": self.context.now()} if each["type"] == "Ready" else each
            for each in whole["status"]["conditions"]
        ]
        await self.patch(self.caches.pods, key, {"status": {"conditions": conditions}}, "status")
