"""The kubelets: start and stop the containers of pods bound to nodes that live."""

from __future__ import annotations

import hashlib
from typing import Any

import orjson

from . import kinds
from .attachments import MIGRATION_INTERFACE, NETWORK_STATUS, NotAttached, sandbox_problem
from .caches import Instance
from .controller import Controller
from .informer import Key
from .pod import Pod
from .sandbox import Sandboxes

Obj = dict[str, Any]
_DIGEST = "sha256:" + "5f" * 32
_NO_IMAGE = "no-such-image"
_SANDBOX_RETRY_SECONDS = 5.0
_PULL_BACK_OFF_SECONDS = 10.0
_NOT_READY = "ContainersNotReady"
_BY_FAULT = "ProbeFailed"
_CRASHED = "panic: no global unicast address on interface migration0"


class Kubelet(Controller):
    """One controller for all nodes."""

    name = "kubelet"
    component = "kubelet"
    workers = 16

    def register(self) -> None:
        self._due: dict[str, float] = {}
        self._said: dict[str, str] = {}  # uid -> why a pod does not start
        self.sandboxes = Sandboxes(self.caches, self.settings)
        self.caches.pods.on_change(self._pod_changed)
        self.caches.instances.on_change(self._instance_changed)
        self.settings.on_change(lambda: self.enqueue_all(self.caches.pods))

    def _pod_changed(self, key: Key, before: Pod | None, after: Pod | None) -> None:
        if after is None:
            if before is not None:
                self._due.pop(before.uid, None)
                self._said.pop(before.uid, None)
                self.sandboxes.forget(before.uid)
            return
        if after.final:
            self.sandboxes.forget(after.uid)
        pending = bool(after.node) and after.phase == "Pending"
        if (
            after.deleting
            or pending
            or after.launcher
            or (after.plugged and (after.plugged.probe or after.plugged.handler))
        ):
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
        if pod.plugged and pod.plugged.probe:
            return await self._probe(key, pod)
        if pod.plugged and pod.plugged.handler:
            await self._handler_state(key, pod)
            return None
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
        if not pod.launcher and any(_NO_IMAGE in image for _, image in pod.containers):
            return await self._no_image(key, pod)
        status = self._running_status(pod)
        if pod.plugged:
            try:
                await self._attach(key, pod, status)
            except NotAttached as error:
                await self._no_sandbox(key, pod, str(error))
                return _SANDBOX_RETRY_SECONDS
        self._due.pop(pod.uid, None)
        await self.patch(self.caches.pods, key, {"status": status}, "status")
        return None

    async def _attach(self, key: Key, pod: Pod, status: Obj) -> None:
        """Interfaces first; a virt-handler that finds its own without an address does not come up."""
        entries = self.sandboxes.attach(pod, status["podIP"])
        text = orjson.dumps(entries).decode()
        await self.patch(self.caches.pods, key, {"metadata": {"annotations": {NETWORK_STATUS: text}}})
        if not (pod.plugged and pod.plugged.handler):
            return
        if any(each["interface"] == MIGRATION_INTERFACE and not each.get("ips") for each in entries):
            now = self.context.now()
            _set_not_ready(status, now)
            ended = {"terminated": {"exitCode": 2, "reason": "Error", "message": _CRASHED, "finishedAt": now}}
            for container in status["containerStatuses"]:
                waiting = {"reason": "CrashLoopBackOff", "message": "back-off 10s restarting failed container"}
                container.update(
                    ready=False, started=False, restartCount=1, lastState=ended, state={"waiting": waiting}
                )
            whole = await self.client.get(self.caches.pods.kind, *key)
            self.event(kinds.PODS, whole, "BackOff", "Back-off restarting failed container virt-handler", warning=True)

    async def _no_sandbox(self, key: Key, pod: Pod, problem: str) -> None:
        network, _, text = problem.partition("\n")
        await self._wait_for(key, pod, "ContainerCreating", "", text)
        if self._said.get(pod.uid) != text:
            self._said[pod.uid] = text
            whole = await self.client.get(self.caches.pods.kind, *key)
            message = sandbox_problem(pod.namespace, pod.name, pod.uid, network, text)
            self.event(kinds.PODS, whole, "FailedCreatePodSandBox", message, warning=True)

    async def _no_image(self, key: Key, pod: Pod) -> float | None:
        image = next(image for _, image in pod.containers if _NO_IMAGE in image)
        first = pod.uid not in self._said
        reason = "ErrImagePull" if first else "ImagePullBackOff"
        problem = f"reading manifest: {image}: manifest unknown"
        await self._wait_for(key, pod, reason, problem if first else f'Back-off pulling image "{image}"', reason)
        if first:
            whole = await self.client.get(self.caches.pods.kind, *key)
            self.event(kinds.PODS, whole, "Failed", f'Failed to pull image "{image}": {problem}', warning=True)
        again = self._said.get(pod.uid) != "ImagePullBackOff"
        self._said[pod.uid] = reason
        return _PULL_BACK_OFF_SECONDS if again and first else None

    async def _wait_for(self, key: Key, pod: Pod, reason: str, message: str, cause: str) -> None:
        """The containers of a pod that does not start; told once."""
        if self._said.get(pod.uid) == cause:
            return
        waiting = {"reason": reason, **({"message": message} if message else {})}
        status = self._running_status(pod)
        _set_not_ready(status, self.context.now())
        for name in ("podIP", "podIPs"):
            status.pop(name)
        status["phase"] = "Pending"
        for container in status["containerStatuses"]:
            container.update(ready=False, started=False, imageID="", state={"waiting": waiting})
        await self.patch(self.caches.pods, key, {"status": status}, "status")

    async def _handler_state(self, key: Key, pod: Pod) -> None:
        """A virt-handler is not ready while a fault says so."""
        broken = self.settings.node_state(pod.node) == "handler-not-ready"
        if pod.ready != broken:
            return
        whole = await self.client.get(self.caches.pods.kind, *key)
        status: Obj = whole.get("status") or {}
        conditions: list[Obj] = status.get("conditions") or []
        ready = next((each for each in conditions if each["type"] == "Ready"), None)
        if ready is None or (not broken and ready.get("reason") != _BY_FAULT):
            return
        now = self.context.now()
        for each in conditions:
            if each["type"] == "Ready":
                each.update(status="False" if broken else "True", lastTransitionTime=now)
                each.pop("reason", None)
                if broken:
                    each["reason"] = _BY_FAULT
        await self.patch(self.caches.pods, key, {"status": {"conditions": conditions}}, "status")

    async def _probe(self, key: Key, pod: Pod) -> float | None:
        """A probe runs for a moment, then ends with what it has found out."""
        left = self._wait(pod, self.settings.model.probe_seconds)
        if left is not None:
            return left
        self._due.pop(pod.uid, None)
        whole = await self.client.get(self.caches.pods.kind, *key)
        variables = {e["name"]: e.get("value", "") for e in whole["spec"]["containers"][0].get("env") or []}
        peers = [each.strip() for each in variables.get("PEERS", "").split(",") if each.strip()]
        found = self.sandboxes.probe(pod, peers, int(variables.get("PAYLOAD_BYTES") or 0))
        good = all(result == "ok" for _, result in found)
        message = "\n".join(f"{address} {result}" for address, result in found)
        status = self._ended_status(pod, 0 if good else 1, message)
        await self.patch(self.caches.pods, key, {"status": status}, "status")
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
        await self.patch(self.caches.pods, key, {"status": self._ended_status(pod)}, "status")
        return None

    def _ended_status(self, pod: Pod, exit_code: int = 0, message: str = "") -> Obj:
        now = self.context.now()
        terminated = {"exitCode": exit_code, "reason": "Error" if exit_code else "Completed", "finishedAt": now}
        if message:
            terminated["message"] = message
        return {
            "phase": "Failed" if exit_code else "Succeeded",
            "conditions": [
                {
                    "type": kind,
                    "status": value,
                    "reason": "PodFailed" if exit_code else "PodCompleted",
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
                    "state": {"terminated": terminated},
                }
                for name, image in pod.containers
            ],
        }

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


def _set_not_ready(status: Obj, now: str) -> None:
    for condition in status["conditions"]:
        if condition["type"] in ("Ready", "ContainersReady"):
            condition.update(status="False", reason=_NOT_READY, lastTransitionTime=now)
