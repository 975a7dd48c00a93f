"""Nodes: signs of life of kubelet and virt-handler, taints of cordoned and lost nodes, eviction of lost pods.

Source: KubeVirt pkg/virt-handler/heartbeat/heartbeat.go, pkg/virt-controller/watch/node/node.go; Kubernetes
pkg/controller/nodelifecycle, pkg/controller/tainteviction.
"""

from __future__ import annotations

import asyncio
from typing import Any

from .client import ApiError
from .controller import Controller, condition_of
from .informer import Key

Obj = dict[str, Any]
HEARTBEAT = "kubevirt.io/heartbeat"
SCHEDULABLE = "kubevirt.io/schedulable"
_HEARTBEAT_SECONDS = 60.0
_KUBELET_SECONDS = 300.0
_FEWEST_REAL_SECONDS = 5.0
_LONGEST_HEARTBEAT_SECONDS = 240.0
_MONITOR_GRACE_SECONDS = 40.0
_UNRESPONSIVE_SECONDS = 300.0
_EVICTION_SECONDS = 300.0
_CORDON_SECONDS = 1.0
_CORDON_TAINT = "node.kubernetes.io/unschedulable"
_UNREACHABLE = "node.kubernetes.io/unreachable"
_LOST_MESSAGE = "Kubelet stopped posting node status."


def heartbeat_seconds(scale: float) -> float:
    """Simulated seconds between heartbeats: once a minute, but seldom enough in real time not to swamp the API, and
    often enough not to look dead."""
    return min(max(_HEARTBEAT_SECONDS, _FEWEST_REAL_SECONDS * scale), _LONGEST_HEARTBEAT_SECONDS)


class NodeController(Controller):
    """Signs of life come in rounds over all nodes; everything else follows changes."""

    name = "node"
    component = "node-controller"
    workers = 8

    def register(self) -> None:
        self._dead_since: dict[str, float] = {}
        self._silent_since: dict[str, float] = {}
        self._kubelet_due = 0.0
        self.handler = self.context.client.acting_as("virt-handler")
        self.caches.nodes.on_change(self._node_changed)
        self.settings.on_change(lambda: self.enqueue_all(self.caches.nodes))

    def _node_changed(self, key: Key, before: object, after: object) -> None:
        if after is not None:
            self.queue.add(key)

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self.queue.run())
            group.create_task(self._heartbeats())

    async def _heartbeats(self) -> None:
        seconds = heartbeat_seconds(self.clock.scale)
        self._kubelet_due = self.context.timestamp() + _KUBELET_SECONDS
        while True:
            await self.clock.sleep(seconds)
            kubelets = self.context.timestamp() >= self._kubelet_due
            if kubelets:
                pause = max(_KUBELET_SECONDS, 30.0 * self.clock.scale)
                self._kubelet_due = self.context.timestamp() + pause
            for key in list(self.caches.nodes.items):
                try:
                    await self._beat(key, kubelets)
                except (ApiError, OSError):
                    continue

    async def _beat(self, key: Key, kubelet: bool) -> None:
        node = self.caches.nodes.obj(key)
        if node is None or self.settings.dead(key[1]):
            return
        metadata: Obj = node["metadata"]
        if self.settings.handler_ready(key[1]) and HEARTBEAT in (metadata.get("annotations") or {}):
            patch: Obj = {"metadata": {"annotations": {HEARTBEAT: self.context.now()}}}
            if (metadata.get("labels") or {}).get(SCHEDULABLE) != "true":
                patch["metadata"]["labels"] = {SCHEDULABLE: "true"}
            self.caches.nodes.observe(await self.handler.patch(self.caches.nodes.kind, *key, patch))
        if kubelet:
            now = self.context.now()
            conditions = [{**each, "lastHeartbeatTime": now} for each in node["status"].get("conditions") or []]
            await self.patch(self.caches.nodes, key, {"status": {"conditions": conditions}}, "status")

    async def reconcile(self, key: Key) -> float | None:
        node = self.caches.nodes.obj(key)
        if node is None:
            return None
        waits = [
            await self._cordon(key, node),
            await self._handler_state(key, node),
            await self._kubelet_state(key, node),
        ]
        return min((each for each in waits if each is not None), default=None)

    async def _cordon(self, key: Key, node: Obj) -> float | None:
        """The taint follows the cordon a second later."""
        spec: Obj = node.get("spec") or {}
        taints = spec.get("taints") or []
        tainted = any(each["key"] == _CORDON_TAINT for each in taints)
        if bool(spec.get("unschedulable")) == tainted:
            return None
        await self.clock.sleep(_CORDON_SECONDS)
        if tainted:
            wanted = [each for each in taints if each["key"] != _CORDON_TAINT]
        else:
            wanted = [*taints, {"key": _CORDON_TAINT, "effect": "NoSchedule", "timeAdded": self.context.now()}]
        await self._taint(key, node, wanted)
        return None

    async def _taint(self, key: Key, node: Obj, taints: list[Obj]) -> None:
        patch = {
            "metadata": {"resourceVersion": node["metadata"]["resourceVersion"]},
            "spec": {"taints": taints or None},
        }
        await self.patch(self.caches.nodes, key, patch)

    async def _handler_state(self, key: Key, node: Obj) -> float | None:
        """No machine is scheduled to a node whose virt-handler is silent for five minutes, or has said goodbye."""
        name = key[1]
        label = (node["metadata"].get("labels") or {}).get(SCHEDULABLE)
        if label is None:
            return None
        state = self.settings.node_state(name)
        if not state:
            if self._silent_since.pop(name, None) is not None and label != "true":
                await self._beat(key, False)
            return None
        since = self._silent_since.setdefault(name, self.context.timestamp())
        if label == "false":
            return None
        left = since + _UNRESPONSIVE_SECONDS - self.context.timestamp()
        if state == "dead" and left > 0:
            return left
        await self.patch(self.caches.nodes, key, {"metadata": {"labels": {SCHEDULABLE: "false"}}})
        return None

    async def _kubelet_state(self, key: Key, node: Obj) -> float | None:
        name = key[1]
        ready = condition_of(node, "Ready")
        if ready is None:
            return None
        if not self.settings.dead(name):
            if self._dead_since.pop(name, None) is not None or ready["reason"] == "NodeStatusUnknown":
                await self._set_ready(key, node, "True", "KubeletReady", "kubelet is posting ready status")
            return None
        since = self._dead_since.setdefault(name, self.context.timestamp())
        dead_for = self.context.timestamp() - since
        # a node that is shut down says so
        grace = 0.0 if name in self.settings.rebooting else _MONITOR_GRACE_SECONDS
        if dead_for < grace:
            return grace - dead_for
        if ready["status"] != "Unknown":
            await self._set_ready(key, node, "Unknown", "NodeStatusUnknown", _LOST_MESSAGE)
            return 0.0
        left = _MONITOR_GRACE_SECONDS + _EVICTION_SECONDS - dead_for
        if left > 0:
            return left
        for pod in self.caches.pods_on(name):
            known = self.caches.pods.get(pod)
            if known is not None and not known.deleting:
                await self.delete(self.caches.pods, pod, known.uid)
        return None

    async def _set_ready(self, key: Key, node: Obj, status: str, reason: str, message: str) -> None:
        now = self.context.now()
        conditions = [
            {**each, "status": status, "reason": reason, "message": message, "lastTransitionTime": now}
            if each["type"] == "Ready"
            else each
            for each in node["status"].get("conditions") or []
        ]
        await self.patch(self.caches.nodes, key, {"status": {"conditions": conditions}}, "status")
        node = self.caches.nodes.obj(key) or node
        taints = [each for each in (node.get("spec") or {}).get("taints") or [] if each["key"] != _UNREACHABLE]
        if status != "True":
            taints += [{"key": _UNREACHABLE, "effect": each, "timeAdded": now} for each in ("NoSchedule", "NoExecute")]
        await self._taint(key, node, taints)
