"""virt-handler's DaemonSet: one pod per node that takes machines, new ones when its template changes.

A virt-handler that stops says that its node takes no machines; the new one takes that back.
Source: Kubernetes pkg/controller/daemon/update.go; KubeVirt pkg/virt-handler/heartbeat/heartbeat.go.
"""

from __future__ import annotations

import math
from typing import Any

from .caches import Machine
from .controller import Controller
from .informer import Key
from .node import SCHEDULABLE
from .pod import REVISION_LABEL, Pod
from .revision import template_revision

Obj = dict[str, Any]
DAEMON = "virt-handler"
_NODE = "node"


class DaemonSetController(Controller):
    """Keys are the DaemonSet, and C((_NODE, name)) for the label of a node."""

    name = "daemonset"
    component = "daemonset-controller"
    workers = 4

    def register(self) -> None:
        self.handler = self.context.client.acting_as("virt-handler")
        self.caches.daemon_sets.on_change(self._daemon_set_changed)
        self.caches.nodes.on_change(self._node_changed)
        self.caches.pods.on_change(self._pod_changed)
        self.settings.on_change(self._look)

    def _daemon_set_changed(self, key: Key, before: object, after: object) -> None:
        if key[1] == DAEMON:
            self.queue.add(key)

    def _node_changed(self, key: Key, before: Machine | None, after: Machine | None) -> None:
        if before is None or after is None or before.handled != after.handled:
            self._look()

    def _pod_changed(self, key: Key, before: Pod | None, after: Pod | None) -> None:
        pod = after or before
        if pod is None or pod.plugged is None or not pod.plugged.handler:
            return
        self.queue.add((key[0], DAEMON))
        if _works(before) != _works(after):
            self.queue.add((_NODE, pod.node))

    def _look(self) -> None:
        for key in self.caches.daemon_sets.items:
            if key[1] == DAEMON:
                self.queue.add(key)

    async def reconcile(self, key: Key) -> float | None:
        if key[0] == _NODE:
            await self._label(key[1])
            return None
        daemon_set = self.caches.daemon_sets.obj(key)
        if daemon_set is None:
            return None
        revision = template_revision(daemon_set["spec"]["template"])
        nodes = self._nodes()
        pods: dict[str, list[Pod]] = {node: self._pods(node) for node in nodes}
        for node, of_node in pods.items():
            if not of_node:
                await self._create(daemon_set, revision, node)
        for pod in self._outdated(daemon_set, revision, pods):
            await self._retire(pod)
        await self._tell(key, daemon_set, revision)
        return None

    def _nodes(self) -> list[str]:
        return sorted(name for (_, name), node in self.caches.nodes.items.items() if node.handled)

    def _pods(self, node: str) -> list[Pod]:
        found = (self.caches.pods.items[key] for key in self.caches.handlers_on(node))
        return [pod for pod in found if not pod.final]

    def _available(self, node: str) -> bool:
        return self.settings.handler_ready(node)

    def _outdated(self, daemon_set: Obj, revision: str, pods: dict[str, list[Pod]]) -> list[Pod]:
        """Pods to be replaced now: those that do not work anyhow, then as many as may be missing."""
        strategy: Obj = (daemon_set["spec"].get("updateStrategy") or {}).get("rollingUpdate") or {}
        spare = allowed(strategy.get("maxUnavailable", 1), len(pods))
        spare -= sum(not self._available(node) for node in pods)
        old = [
            pod
            for of_node in pods.values()
            for pod in of_node
            if not pod.deleting and pod.plugged and pod.plugged.revision != revision
        ]
        broken = [pod for pod in old if not self._available(pod.node) and not self.settings.dead(pod.node)]
        working = [pod for pod in old if self._available(pod.node)]
        return broken + working[: max(spare, 0)]

    async def _retire(self, pod: Pod) -> None:
        await self.delete(self.caches.pods, pod.key, pod.uid)

    async def _create(self, daemon_set: Obj, revision: str, node: str) -> None:
        template: Obj = daemon_set["spec"]["template"]
        metadata: Obj = template.get("metadata") or {}
        owner = daemon_set["metadata"]
        pod: Obj = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "generateName": f"{owner['name']}-",
                "namespace": owner["namespace"],
                "labels": {**(metadata.get("labels") or {}), REVISION_LABEL: revision},
                "annotations": dict(metadata.get("annotations") or {}),
                "ownerReferences": [
                    {
                        "apiVersion": "apps/v1",
                        "kind": "DaemonSet",
                        "name": owner["name"],
                        "uid": owner["uid"],
                        "controller": True,
                        "blockOwnerDeletion": True,
                    }
                ],
            },
            "spec": {**template["spec"], "nodeName": node},
        }
        await self.create(self.caches.pods, pod)

    async def _label(self, node: str) -> None:
        """Whether the node takes machines follows its virt-handler."""
        label = self.caches.node_labels(node).get(SCHEDULABLE)
        if label is None or self.settings.node_state(node):
            return
        wanted = "true" if self.caches.handler_up(node) else "false"
        if label != wanted:
            patch = {"metadata": {"labels": {SCHEDULABLE: wanted}}}
            self.caches.nodes.observe(await self.handler.patch(self.caches.nodes.kind, "", node, patch))

    async def _tell(self, key: Key, daemon_set: Obj, revision: str) -> None:
        nodes = self._nodes()
        current = {node: [pod for pod in self._pods(node) if not pod.deleting] for node in nodes}
        updated = [
            node
            for node, pods in current.items()
            if any(pod.plugged is not None and pod.plugged.revision == revision for pod in pods)
        ]
        ready = sum(self._available(node) for node in nodes)
        wanted: Obj = {
            "observedGeneration": daemon_set["metadata"].get("generation", 1),
            "currentNumberScheduled": sum(bool(pods) for pods in current.values()),
            "desiredNumberScheduled": len(nodes),
            "numberAvailable": ready,
            "numberMisscheduled": 0,
            "numberReady": ready,
            "updatedNumberScheduled": len(updated),
        }
        status: Obj = daemon_set.get("status") or {}
        unavailable = len(nodes) - ready
        if unavailable or "numberUnavailable" in status:
            wanted["numberUnavailable"] = unavailable or None
        patch = {name: value for name, value in wanted.items() if status.get(name) != value}
        if patch:
            await self.patch(self.caches.daemon_sets, key, {"status": patch}, "status")


def _works(pod: Pod | None) -> bool:
    return pod is not None and pod.ready and not pod.deleting and not pod.final


def allowed(value: int | str, nodes: int) -> int:
    """C(maxUnavailable) of that many nodes; percentages round up, and it is at least one."""
    text = str(value)
    return max(1, math.ceil(int(text[:-1]) * nodes / 100) if text.endswith("%") else int(text))
