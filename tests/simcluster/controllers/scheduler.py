"""The scheduler: binds pods to nodes, says why it cannot, tries again when something changes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from . import kinds
from .controller import Controller
from .informer import Key
from .ledger import Ledger
from .pod import Pod
from .scheduling import ClaimState, Refusal, choose

Obj = dict[str, Any]
_GATHER_REAL_SECONDS = 0.05
_LAST_RESORT_SECONDS = 60.0


class Scheduler(Controller):
    """Decides one pod after the other on a ledger that its own decisions enter at once; binds concurrently."""

    name = "scheduler"
    component = "kube-scheduler"
    workers = 8

    def register(self) -> None:
        self.ledger = Ledger()
        self._assumed: dict[Key, str] = {}
        self._refused: set[Key] = set()
        self.caches.pods.on_change(self._pod_changed)
        self.caches.nodes.on_change(self._node_changed)
        self.caches.namespaces.on_change(self._namespace_changed)
        self.caches.claims.on_change(lambda _key, _before, _after: self._room_changed())
        self.caches.volumes.on_change(lambda _key, _before, _after: self._room_changed())

    def _pod_changed(self, key: Key, before: Pod | None, after: Pod | None) -> None:
        if before is not None and (after is None or after.uid != before.uid):
            self._assumed.pop(key, None)
            self.ledger.remove(before.uid)
            self._room_changed()
        if after is None:
            self._refused.discard(key)
            return
        if after.occupies:
            self._assumed.pop(key, None)
            if (
                before is None
                or not before.occupies
                or (before.requests, before.labels) != (after.requests, after.labels)
            ):
                self.ledger.put(after)
        elif after.final:
            self.ledger.remove(after.uid)
            self._room_changed()
        elif not after.deleting and key not in self._assumed and key not in self._refused:
            self.queue.add(key)

    def _node_changed(self, key: Key, before: object, after: object) -> None:
        node = self.caches.nodes.obj(key)
        if node is None:
            self.ledger.remove_node(key[1])
            return
        if self.ledger.set_node(node):
            self._room_changed()

    def _namespace_changed(self, key: Key, before: object, after: object) -> None:
        namespace = self.caches.namespaces.obj(key)
        self.ledger.namespace_labels[key[1]] = ((namespace or {}).get("metadata") or {}).get("labels") or {}

    def _room_changed(self) -> None:
        """Pods that found no node may find one now; asked once for many changes."""
        if self._refused:
            self.queue.add_after(_FLUSH, _GATHER_REAL_SECONDS * self.clock.scale)

    async def reconcile(self, key: Key) -> float | None:
        if key == _FLUSH:
            refused, self._refused = self._refused, set()
            for each in refused:
                self.queue.add(each)
            return None
        pod = self.caches.pods.get(key)
        if pod is None or pod.node or pod.deleting or pod.final or key in self._assumed:
            return None
        try:
            node = choose(pod, self.ledger, self._claims(pod))
        except Refusal as refusal:
            return await self._refuse(key, pod, str(refusal))
        self._refused.discard(key)
        placed = replace(pod, node=node.name)
        self._assumed[key] = node.name
        self.ledger.put(placed)
        try:
            await self._bind(key, pod, node.name)
        except BaseException:
            if self._assumed.pop(key, None):
                self.ledger.remove(pod.uid)
            raise
        return None

    async def _bind(self, key: Key, pod: Pod, node: str) -> None:
        binding = {
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": {"name": pod.name, "namespace": pod.namespace, "uid": pod.uid},
            "target": {"apiVersion": "v1", "kind": "Node", "name": node},
        }
        await self.client.create(kinds.PODS, binding, "binding", pod.name)
        text = f"Successfully assigned {pod.namespace}/{pod.name} to {node}"
        self.event(kinds.PODS, _reference(pod), "Scheduled", text)

    async def _refuse(self, key: Key, pod: Pod, message: str) -> float | None:
        self._refused.add(key)
        if pod.unschedulable != message:
            status = {
                "type": "PodScheduled",
                "status": "False",
                "reason": "Unschedulable",
                "message": message,
                "lastProbeTime": None,
                "lastTransitionTime": self.context.now(),
            }
            await self.patch(self.caches.pods, key, {"status": {"conditions": [status]}}, "status")
            self.event(kinds.PODS, _reference(pod), "FailedScheduling", message, warning=True)
        self.queue.add_after(_FLUSH, _LAST_RESORT_SECONDS)
        return None

    def _claims(self, pod: Pod) -> list[ClaimState]:
        """The volumes the pod mounts. Raises Refusal when a claim is missing or has to be bound first."""
        states = []
        for name in pod.demand.claims:
            claim = self.caches.claims.obj((pod.namespace, name))
            total = sum(1 for _ in self.ledger.offered())
            if claim is None:
                raise Refusal(f'0/{total} nodes are available: persistentvolumeclaim "{name}" not found.')
            volume = self.caches.volumes.obj(("", (claim.get("spec") or {}).get("volumeName", "")))
            if volume is None:
                if self._waits_for_consumer(claim):
                    continue
                text = "pod has unbound immediate PersistentVolumeClaims"
                raise Refusal(f"0/{total} nodes are available: {text}.")
            required = ((volume.get("spec") or {}).get("nodeAffinity") or {}).get("required")
            states.append(ClaimState(tuple(required["nodeSelectorTerms"]) if required else None))
        return states

    def _waits_for_consumer(self, claim: Obj) -> bool:
        name = (claim.get("spec") or {}).get("storageClassName", "")
        storage_class = self.caches.storage_classes.obj(("", name)) or {}
        return storage_class.get("volumeBindingMode") == "WaitForFirstConsumer"


_FLUSH: Key = ("", "")


def _reference(pod: Pod) -> Obj:
    return {"metadata": {"name": pod.name, "namespace": pod.namespace, "uid": pod.uid}}
