"""Keeps the watches of all kinds open and puts their events into one queue, over drops, restarts and expiry."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field

from .api import Api, Expired, Unreachable
from .facts import FINAL_PHASES, Obj

KINDS = {
    "nodes": "/api/v1/nodes",
    "pods": "/api/v1/pods",
    "virtualmachines": "/apis/kubevirt.io/v1/virtualmachines",
    "virtualmachineinstances": "/apis/kubevirt.io/v1/virtualmachineinstances",
    "virtualmachineinstancemigrations": "/apis/kubevirt.io/v1/virtualmachineinstancemigrations",
    "kubevirts": "/apis/kubevirt.io/v1/kubevirts",
}
# what runs hold while they last; looked at before and after only
_LEASES = "/apis/coordination.k8s.io/v1/namespaces/ocpv-scale/leases"
_HYPERCONVERGED = "hco.kubevirt.io"
_RETRY_SECONDS = 0.5


@dataclass(frozen=True)
class Event:
    """Of C(kind) (plural); C(type) is ADDED, MODIFIED, DELETED, or GAP (with a message) when events may be missing."""

    kind: str
    type: str
    obj: Obj
    time: float
    message: str = ""


@dataclass
class Watcher:
    """C(begin) lists everything, C(run) watches from there, C(lists) reads everything again."""

    api: Api
    queue: asyncio.Queue[Event] = field(default_factory=asyncio.Queue)
    blind: dict[str, str] = field(default_factory=dict)  # kind -> why it is not being watched now
    _paths: dict[str, str] = field(default_factory=lambda: dict(KINDS))
    _versions: dict[str, str] = field(default_factory=dict)
    _known: dict[str, dict[str, Obj]] = field(default_factory=dict)

    async def begin(self) -> dict[str, list[Obj]]:
        """All objects by plural name; raises Unreachable."""
        group = await self.api.get(f"/apis/{_HYPERCONVERGED}")
        if group is not None:
            preferred = group["preferredVersion"]["groupVersion"]
            self._paths["hyperconvergeds"] = f"/apis/{preferred}/hyperconvergeds"
        objects = {}
        for kind, path in self._paths.items():
            objects[kind], self._versions[kind] = await self.api.collection(path)
            self._known[kind] = {obj["metadata"]["uid"]: _stub(obj) for obj in objects[kind]}
        objects["leases"], _ = await self.api.collection(_LEASES)
        return objects

    async def lists(self) -> dict[str, list[Obj]]:
        """All objects as they are now."""
        paths = {**self._paths, "leases": _LEASES}
        return {kind: (await self.api.collection(path))[0] for kind, path in paths.items()}

    async def run(self) -> None:
        """Watch until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for kind in self._paths:
                if self._versions[kind]:
                    tasks.create_task(self._watch(kind))

    async def _watch(self, kind: str) -> None:
        path = self._paths[kind]
        while True:
            try:
                self.blind.pop(kind, None)
                async for event, obj in self.api.watch(path, self._versions[kind]):
                    self._versions[kind] = obj["metadata"]["resourceVersion"]
                    if event != "BOOKMARK":
                        await self._emit(kind, event, obj)
            except Expired:
                await self._list_again(kind)
            except Unreachable as error:
                self.blind[kind] = str(error)
                await asyncio.sleep(_RETRY_SECONDS)

    async def _emit(self, kind: str, event: str, obj: Obj) -> None:
        if event == "DELETED":
            self._known[kind].pop(obj["metadata"]["uid"], None)
        else:
            self._known[kind][obj["metadata"]["uid"]] = _stub(obj)
        await self.queue.put(Event(kind, event, obj, time.time()))

    async def _list_again(self, kind: str) -> None:
        """What changed unseen comes as events: the gone ones first, then ended ones, then the rest."""
        while True:
            try:
                objects, self._versions[kind] = await self.api.collection(self._paths[kind])
                break
            except Unreachable as error:
                self.blind[kind] = str(error)
                await asyncio.sleep(_RETRY_SECONDS)
        message = f"the watch of {kind} expired: what happened in between was not seen"
        await self.queue.put(Event(kind, "GAP", {}, time.time(), message))
        present = {obj["metadata"]["uid"] for obj in objects}
        for uid, stub in list(self._known[kind].items()):
            if uid not in present:
                await self._emit(kind, "DELETED", stub)
        for obj in sorted(objects, key=lambda obj: (obj.get("status") or {}).get("phase") not in FINAL_PHASES):
            await self._emit(kind, "MODIFIED", obj)


def _stub(obj: Obj) -> Obj:
    """Enough of an object to report its deletion."""
    metadata = obj["metadata"]
    kept = {key: metadata[key] for key in ("namespace", "name", "uid") if key in metadata}
    return {"metadata": kept, "spec": {"vmiName": (obj.get("spec") or {}).get("vmiName", "")}}
