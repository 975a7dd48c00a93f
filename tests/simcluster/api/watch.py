"""Watches: events as lines of JSON, bookmarks, and the 410 line.

Source: k8s.io/apiserver ``pkg/endpoints/handlers/watch.go``, ``pkg/storage/cacher`` (bookmarks, initial events,
changes that make an object match or no longer match).
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator

import orjson

from ..schema.resource import Resource
from ..store import Compacted, Entry, Event, Subscription
from .context import Call
from .errors import StatusError, expired_watch
from .lists import check_options, check_read_version, number
from .render import Renderer
from .request import is_true
from .selection import Selection, parse_selection

_DEFAULT_TIMEOUT_SECONDS = 1800
_BOOKMARK_BEFORE_TIMEOUT_SECONDS = 2
_INITIAL_EVENTS_END = "k8s.io/initial-events-end"


class Watch:
    """One watch; raises StatusError from the constructor for parameters that are not possible."""

    def __init__(self, call: Call, resource: Resource, version: str) -> None:
        query = call.query
        self._call = call
        self._resource = resource
        self._version = version
        self._selection: Selection = parse_selection(query, call.cluster.store.table(resource))
        self._namespace = call.target.namespace if resource.namespaced else ""
        self._renderer = Renderer(call, resource, version)
        self._bookmarks = is_true(query.get("allowWatchBookmarks"))
        initial = query.get("sendInitialEvents")
        self._initial_events = is_true(initial)
        wanted_seconds = number(query.get("timeoutSeconds", ""))
        self.timeout_seconds = (
            wanted_seconds if wanted_seconds > 0 else _DEFAULT_TIMEOUT_SECONDS * (1 + random.random())
        )
        check_options(query, watch=True)
        self._from = check_read_version(call)
        # for clients from before the parameter
        implied = initial is None and not query.get("resourceVersion")
        self._initial_bookmark = self._bookmarks and (self._initial_events or implied)

    async def lines(self, stop: asyncio.Event) -> AsyncIterator[bytes]:
        """What is sent, each chunk one or more whole lines, until the timeout, ``stop`` or an error line."""
        store = self._call.cluster.store
        start = self._from
        if (start == 0 and self._call.query.get("sendInitialEvents") is None) or self._initial_events:
            start = store.version
            initial = [self._line("ADDED", entry) for entry in self._present()]
            if initial:
                yield b"".join(initial)
            if self._initial_bookmark:
                yield self._bookmark(start, initial_end=True)
        try:
            with store.subscribe(self._resource, start) as subscription:
                async for chunk in self._follow(subscription, stop, start):
                    yield chunk
        except Compacted:
            yield _error_line(expired_watch(start, store.table(self._resource).floor))

    async def _follow(self, subscription: Subscription, stop: asyncio.Event, start: int) -> AsyncIterator[bytes]:
        loop = asyncio.get_running_loop()
        began = loop.time()
        deadline = began + self.timeout_seconds
        interval = self._call.cluster.bookmark_seconds
        last = deadline - _BOOKMARK_BEFORE_TIMEOUT_SECONDS
        next_bookmark = min(began + interval, last) if self._bookmarks and self.timeout_seconds >= interval else None
        while not stop.is_set() and not subscription.closed:
            until = deadline if next_bookmark is None else min(next_bookmark, deadline)
            try:
                async with asyncio.timeout_at(until):
                    await subscription.wakeup.wait()
            except TimeoutError:
                if loop.time() >= deadline:
                    return
                yield self._bookmark(max(start, self._call.cluster.store.version))
                next_bookmark = min(loop.time() + interval, last)
                if next_bookmark <= loop.time() + 0.001:
                    next_bookmark = None
                continue
            subscription.wakeup.clear()
            lines = [line for line in (self._event(event) for event in _drain(subscription)) if line]
            if lines:
                yield b"".join(lines)

    def _present(self) -> list[Entry]:
        entries = self._call.cluster.store.entries(self._resource, self._namespace)
        return [entry for entry in entries if self._selection.matches(entry)]

    def _selected(self, entry: Entry | None) -> bool:
        if entry is None or (self._namespace and entry.namespace != self._namespace):
            return False
        return self._selection.matches(entry)

    def _event(self, event: Event) -> bytes | None:
        if event.version <= self._from:
            return None
        was = self._selected(event.before)
        if event.deleted:
            return self._line("DELETED", event.after) if was else None
        if self._selected(event.after):
            return self._line("MODIFIED" if was else "ADDED", event.after)
        if not was or event.before is None:
            return None
        # it no longer matches: its old state under the new version
        gone = event.before.obj()
        gone["metadata"]["resourceVersion"] = str(event.version)
        obj = self._renderer.obj(self._call.cluster.convert(self._resource, gone, self._version))
        return b'{"type":"DELETED","object":' + orjson.dumps(obj) + b"}\n"

    def _line(self, kind: str, entry: Entry) -> bytes:
        return b'{"type":"' + kind.encode() + b'","object":' + self._renderer.entry(entry) + b"}\n"

    def _bookmark(self, version: int, *, initial_end: bool = False) -> bytes:
        meta: dict[str, object] = {"resourceVersion": str(version)}
        if initial_end:
            meta["annotations"] = {_INITIAL_EVENTS_END: "true"}
        obj = {"kind": self._resource.kind, "apiVersion": self._resource.api_version(self._version), "metadata": meta}
        return orjson.dumps({"type": "BOOKMARK", "object": obj}) + b"\n"


def _drain(subscription: Subscription) -> list[Event]:
    events = list(subscription.pending)
    subscription.pending.clear()
    return events


def _error_line(error: StatusError) -> bytes:
    return orjson.dumps({"type": "ERROR", "object": error.body}) + b"\n"
