"""Objects whose owners are gone are deleted, and pods of nodes that are gone (garbagecollector, podgc)."""

from __future__ import annotations

from typing import Any

from .client import ApiError
from .controller import Controller
from .informer import Informer, Key

Obj = dict[str, Any]
_FOREGROUND = "foregroundDeletion"
_ORPHAN = "orphan"


class GarbageCollector(Controller):
    """Keys are (kind's plural, uid of an owner that went) and, for foreground deletion, the owner itself."""

    name = "garbage-collector"
    component = "garbage-collector"
    workers = 8

    def register(self) -> None:
        caches = self.caches
        self._dependents: list[tuple[Informer[Any], Any]] = [
            (informer, informer.index(lambda _key, item: item.owners))
            for informer in (caches.instances, caches.data_volumes, caches.claims, caches.machines, caches.migrations)
        ]
        self._dependents.append(
            (caches.pods, caches.pods.index(lambda _key, pod: (pod.owner_uid,) if pod.launcher else ()))
        )
        self._owners: dict[str, tuple[Informer[Any], Key]] = {}
        for informer in (caches.machines, caches.instances, caches.data_volumes, caches.claims):
            informer.on_change(self._handler(informer))
        caches.nodes.on_change(self._node_changed)

    def _handler(self, informer: Informer[Any]) -> Any:
        def changed(key: Key, before: Any, after: Any) -> None:
            if before is not None and (after is None or after.uid != before.uid):
                self._owners.pop(before.uid, None)
                self.queue.add(("gone", before.uid))
            if after is not None and after.deleting:
                self._owners[after.uid] = (informer, key)
                self.queue.add(("deleting", after.uid))

        return changed

    def _node_changed(self, key: Key, before: object, after: object) -> None:
        if after is None:
            self.queue.add(("node", key[1]))

    async def reconcile(self, key: Key) -> float | None:
        kind, uid = key
        if kind == "node":
            await self._collect_pods(uid)
        elif kind == "gone":
            for informer, dependent in self._find(uid):
                await self.delete(informer, dependent)
        else:
            return await self._finalize(uid)
        return None

    def _find(self, uid: str) -> list[tuple[Informer[Any], Key]]:
        return [(informer, dependent) for informer, look_up in self._dependents for dependent in look_up(uid)]

    async def _collect_pods(self, node: str) -> None:
        if ("", node) in self.caches.nodes.items:
            return
        for pod in list(self.caches.pods.items.values()):
            if pod.node == node:
                await self.delete(self.caches.pods, pod.key, pod.uid, grace_seconds=0)

    async def _finalize(self, uid: str) -> float | None:
        """Foreground deletion waits for the dependents; orphaning cuts them loose."""
        informer, key = self._owners.get(uid, (None, ("", "")))
        owner = informer.obj(key) if informer is not None else None
        if informer is None or owner is None or owner["metadata"]["uid"] != uid:
            return None
        finalizers = owner["metadata"].get("finalizers") or []
        dependents = self._find(uid)
        if _FOREGROUND in finalizers and dependents:
            for of, dependent in dependents:
                if not of.items[dependent].deleting:
                    await self.delete(of, dependent)
            return 0.5
        if _ORPHAN in finalizers:
            for of, dependent in dependents:
                await self._cut_loose(of, dependent, uid)
        left = [each for each in finalizers if each not in (_FOREGROUND, _ORPHAN)]
        if left != finalizers:
            patch = {"metadata": {"finalizers": left, "resourceVersion": owner["metadata"]["resourceVersion"]}}
            await self.client.patch(informer.kind, *key, patch)
        return None

    async def _cut_loose(self, informer: Informer[Any], key: Key, uid: str) -> None:
        try:
            obj = await self.client.get(informer.kind, *key)
        except ApiError as error:
            if error.code != 404:
                raise
            return
        owners = [each for each in obj["metadata"].get("ownerReferences") or [] if each["uid"] != uid]
        await self.patch(informer, key, {"metadata": {"ownerReferences": owners or None}})
