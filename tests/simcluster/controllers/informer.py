"""A local copy of one kind, kept fresh by list and watch; keeps of each object only what is asked for.

Every write of this process goes through C(observe) too, so that a controller never acts on a state older than its own
last write (resource versions are compared as numbers).
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator
from typing import Any

import orjson

from .client import ApiError, Client, Obj
from .kinds import Kind

log = logging.getLogger(__name__)
Key = tuple[str, str]
type Handler[T] = Callable[[Key, T | None, T | None], None]
_WATCH_SECONDS = 900
_TOMBSTONES = 2000
_UNSERVED_SECONDS = 30.0


class Informer[T]:
    """C(summary) is kept of every object; with C(whole) its bytes as well, for C(obj)."""

    def __init__(
        self,
        client: Client,
        kind: Kind,
        summary: Callable[[Obj], T],
        *,
        whole: bool = True,
        namespace: str = "",
    ) -> None:
        self.kind = kind
        self.items: dict[Key, T] = {}
        self.synced = asyncio.Event()
        self._client = client
        self._summary = summary
        self._whole = whole
        self._namespace = namespace
        self._bytes: dict[Key, bytes] = {}
        self._versions: dict[Key, int] = {}
        self._tombstones: OrderedDict[Key, int] = OrderedDict()
        self._handlers: list[Handler[T]] = []
        self._indexes: list[tuple[Callable[[Key, T], Iterable[Hashable]], dict[Hashable, set[Key]]]] = []

    def on_change(self, handler: Handler[T]) -> None:
        """Call C(handler(key, before, after)) at every change; an absent side is None."""
        self._handlers.append(handler)

    def index(self, values: Callable[[Key, T], Iterable[Hashable]]) -> Callable[[Hashable], list[Key]]:
        """Keep keys by what C(values) gives for each; returns the function that looks a value up."""
        table: dict[Hashable, set[Key]] = defaultdict(set)
        self._indexes.append((values, table))
        for key, item in self.items.items():
            for value in values(key, item):
                table[value].add(key)
        return lambda value: list(table.get(value, ()))

    def get(self, key: Key) -> T | None:
        """The summary of an object, or None."""
        return self.items.get(key)

    def obj(self, key: Key) -> Obj | None:
        """A fresh copy of the whole object, or None."""
        text = self._bytes.get(key)
        return None if text is None else orjson.loads(text)

    def objects(self) -> Iterator[Obj]:
        """Fresh copies of all."""
        for text in list(self._bytes.values()):
            yield orjson.loads(text)

    def observe(self, obj: Obj) -> None:
        """Take in the answer to a write."""
        metadata = obj.get("metadata") or {}
        if "resourceVersion" in metadata and "name" in metadata:
            self._store(obj, int(metadata["resourceVersion"]))

    async def run(self) -> None:
        """List, then watch for ever; lists again when the server has forgotten the version."""
        wait = 0.05
        while True:
            try:
                version = await self._list()
                self.synced.set()
                wait = 0.05
                while True:
                    version = await self._watch(version)
            except ApiError as error:
                if error.code == 404:
                    # the cluster does not serve the kind
                    self.synced.set()
                    wait = _UNSERVED_SECONDS
                elif error.code != 410:
                    log.warning("%s: %s", self.kind.plural, error)
            except OSError as error:
                log.info("%s: %s", self.kind.plural, error)
            await asyncio.sleep(wait)
            wait = max(wait, min(wait * 2, 5.0))

    async def _list(self) -> str:
        seen: set[Key] = set()
        version = "0"
        async for page in self._client.pages(self.kind, self._namespace):
            version = page["metadata"]["resourceVersion"]
            for obj in page["items"]:
                seen.add(_key(obj))
                self._store(obj, int(obj["metadata"]["resourceVersion"]))
            await asyncio.sleep(0)
        listed = int(version)
        for key in [key for key, known in self._versions.items() if key not in seen and known <= listed]:
            self._remove(key, listed)
        return version

    async def _watch(self, version: str) -> str:
        """Returns the version to go on from; a stream that breaks is taken up again."""
        try:
            async for event in self._client.watch(self.kind, self._namespace, version, timeout_seconds=_WATCH_SECONDS):
                obj = event["object"]
                if event["type"] == "ERROR":
                    raise ApiError(obj.get("code", 500), obj)
                version = obj["metadata"]["resourceVersion"]
                if event["type"] == "DELETED":
                    self._remove(_key(obj), int(version))
                elif event["type"] != "BOOKMARK":
                    self._store(obj, int(version))
        except OSError:
            await asyncio.sleep(0.2)
        return version

    def _store(self, obj: Obj, version: int) -> None:
        key = _key(obj)
        if version <= self._versions.get(key, 0) or version <= self._tombstones.get(key, 0):
            return
        obj["metadata"].pop("managedFields", None)
        before, after = self.items.get(key), self._summary(obj)
        self._versions[key] = version
        self.items[key] = after
        if self._whole:
            self._bytes[key] = orjson.dumps(obj)
        self._dispatch(key, before, after)

    def _remove(self, key: Key, version: int) -> None:
        self._tombstones[key] = version
        while len(self._tombstones) > _TOMBSTONES:
            self._tombstones.popitem(last=False)
        self._versions.pop(key, None)
        self._bytes.pop(key, None)
        before = self.items.pop(key, None)
        if before is not None:
            self._dispatch(key, before, None)

    def _dispatch(self, key: Key, before: T | None, after: T | None) -> None:
        for values, table in self._indexes:
            old = set(values(key, before)) if before is not None else set()
            new = set(values(key, after)) if after is not None else set()
            for value in old - new:
                table[value].discard(key)
                if not table[value]:
                    del table[value]
            for value in new - old:
                table[value].add(key)
        for handler in self._handlers:
            try:
                handler(key, before, after)
            except Exception:
                # one controller's mistake must not stop the others
                log.exception("%s %s", self.kind.plural, "/".join(key))


def _key(obj: Obj) -> Key:
    metadata: dict[str, Any] = obj["metadata"]
    return metadata.get("namespace", ""), metadata["name"]
