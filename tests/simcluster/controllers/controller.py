"""What every controller has: the shared context, a work queue, conditions and events."""

from __future__ import annotations

import asyncio
import itertools
import logging
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

from ..clock import Clock, rfc3339
from .caches import Caches
from .client import ApiError, Client
from .informer import Informer, Key
from .kinds import EVENTS, Kind
from .queue import WorkQueue
from .settings import Settings

log = logging.getLogger(__name__)
Obj = dict[str, Any]


@dataclass
class Context:
    """What controllers share."""

    client: Client
    clock: Clock
    caches: Caches
    settings: Settings

    def now(self) -> str:
        """The simulated time as objects carry it."""
        return rfc3339(self.clock.now())

    def timestamp(self) -> float:
        """The simulated time in seconds since 1970."""
        return self.clock.now().timestamp()

    def seconds_since(self, timestamp: str | None) -> float:
        """Simulated seconds since an RFC 3339 time; 0 without one."""
        if not timestamp:
            return 0.0
        return self.timestamp() - datetime.fromisoformat(timestamp).timestamp()


class Controller:
    """Reconciles keys of one kind; subclasses say which changes lead to which keys."""

    name: ClassVar[str]
    component: ClassVar[str]
    workers: ClassVar[int] = 4
    _event_numbers = itertools.count(1)

    def __init__(self, context: Context) -> None:
        self.context = context
        self.caches = context.caches
        self.clock = context.clock
        self.settings = context.settings
        self.client = context.client.acting_as(self.component)
        self.queue = WorkQueue(self.name, self.reconcile, context.clock, self.workers)
        self._events: set[asyncio.Task[None]] = set()
        self.register()

    def register(self) -> None:
        """Subscribe to changes."""
        raise NotImplementedError

    async def reconcile(self, key: Key) -> float | None:
        """Bring one object closer to what it should be; may return when to look again (simulated seconds)."""
        raise NotImplementedError

    async def run(self) -> None:
        """Work until cancelled."""
        await self.queue.run()

    def enqueue_all(self, informer: Informer[Any]) -> None:
        """Look at every object of a kind."""
        for key in informer.items:
            self.queue.add(key)

    async def patch(self, informer: Informer[Any], key: Key, body: Any, subresource: str = "") -> Obj:
        """Patch an object and take the answer into the cache."""
        answer = await self.client.patch(informer.kind, *key, body, subresource)
        informer.observe(answer)
        return answer

    async def create(self, informer: Informer[Any], obj: Obj) -> Obj:
        """Create an object and take it into the cache."""
        answer = await self.client.create(informer.kind, obj)
        informer.observe(answer)
        return answer

    async def delete(self, informer: Informer[Any], key: Key, uid: str = "", grace_seconds: int | None = None) -> None:
        """Delete an object; one that is gone already is fine."""
        try:
            answer = await self.client.delete(informer.kind, *key, uid=uid, grace_seconds=grace_seconds)
        except ApiError as error:
            if error.code not in (404, 409):
                raise
            return
        if "metadata" in answer and answer.get("kind") != "Status":
            informer.observe(answer)

    def event(self, kind: Kind, obj: Obj, reason: str, message: str, *, warning: bool = False) -> None:
        """Record an event on an object, without waiting for it."""
        task = asyncio.get_running_loop().create_task(self._record(kind, obj, reason, message, warning))
        self._events.add(task)
        task.add_done_callback(self._events.discard)

    async def _record(self, kind: Kind, obj: Obj, reason: str, message: str, warning: bool) -> None:
        metadata: Obj = obj["metadata"]
        now = self.context.now()
        number = next(self._event_numbers)
        stamp = int(self.context.timestamp() * 1000)
        event = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {
                "name": f"{metadata['name']}.{stamp:x}{number:04x}",
                "namespace": metadata.get("namespace") or "default",
            },
            "involvedObject": {
                "apiVersion": kind.api_version,
                "kind": kind.name,
                "name": metadata["name"],
                "namespace": metadata.get("namespace", ""),
                "uid": metadata.get("uid", ""),
            },
            "reason": reason,
            "message": message,
            "type": "Warning" if warning else "Normal",
            "source": {"component": self.component},
            "firstTimestamp": now,
            "lastTimestamp": now,
            "count": 1,
        }
        try:
            await self.client.create(EVENTS, event)
        except (ApiError, OSError) as error:
            log.debug("event %s: %s", reason, error)


def condition_of(obj: Obj, kind: str) -> Obj | None:
    """The condition of that type in the object's status."""
    for condition in (obj.get("status") or {}).get("conditions") or []:
        if condition["type"] == kind:
            found: Obj = condition
            return found
    return None


def with_condition(
    conditions: list[Obj], kind: str, status: str, now: str, reason: str = "", message: str = ""
) -> list[Obj]:
    """The list with one condition set, its transition time moved with its status; the very same list if it was so."""
    new: Obj = {"type": kind, "status": status, "lastProbeTime": None, "lastTransitionTime": now}
    if reason:
        new["reason"] = reason
    if message:
        new["message"] = message
    for index, old in enumerate(conditions):
        if old["type"] != kind:
            continue
        if old["status"] == status:
            new["lastTransitionTime"] = old.get("lastTransitionTime")
            if old.get("reason", "") == reason and old.get("message", "") == message:
                return conditions
        return [*conditions[:index], new, *conditions[index + 1 :]]
    return [*conditions, new]


def without_condition(conditions: list[Obj], kind: str) -> list[Obj]:
    """The list without that condition; the very same list if it is not there."""
    if all(each["type"] != kind for each in conditions):
        return conditions
    return [each for each in conditions if each["type"] != kind]
