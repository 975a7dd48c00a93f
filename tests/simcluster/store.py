"""Objects and their history, in memory.

Each object is kept as its serialised bytes (in the storage version, ``apiVersion`` and ``kind`` first), with the few
values that selectors ask for beside them. Every change gets the next resourceVersion of the whole store and becomes an
event; a ring of events per resource serves watches and lists of older states.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from bisect import bisect_left, insort
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from .schema.resource import Resource

Obj = dict[str, Any]
Id = tuple[str, str]

_FIELDS: dict[Id, tuple[str, ...]] = {
    ("", "pods"): (
        "spec.nodeName",
        "status.phase",
        "spec.restartPolicy",
        "spec.schedulerName",
        "spec.serviceAccountName",
        "status.podIP",
        "status.nominatedNodeName",
    ),
    ("", "nodes"): ("spec.unschedulable",),
    ("", "namespaces"): ("status.phase",),
    ("", "secrets"): ("type",),
    ("", "events"): (
        "involvedObject.kind",
        "involvedObject.namespace",
        "involvedObject.name",
        "involvedObject.uid",
        "involvedObject.apiVersion",
        "involvedObject.resourceVersion",
        "involvedObject.fieldPath",
        "reason",
        "reportingComponent",
        "source",
        "type",
    ),
}
"""Field labels beside ``metadata.name`` and ``metadata.namespace`` (kubernetes pkg/apis/core/v1/conversion.go)."""


class Compacted(Exception):
    """The history no longer reaches back to the version asked for."""


@dataclass(slots=True, frozen=True)
class Entry:
    """One state of one object."""

    key: str
    namespace: str
    name: str
    version: int
    data: bytes
    labels: Mapping[str, str]
    fields: Mapping[str, str]

    def obj(self) -> Obj:
        """A fresh copy of the object."""
        return orjson.loads(self.data)  # type: ignore[no-any-return]


@dataclass(slots=True, frozen=True)
class Event:
    """One change. ``after`` of a deletion is the last state under the deletion's version."""

    version: int
    before: Entry | None
    after: Entry
    deleted: bool


@dataclass(eq=False)
class Subscription:
    """A reader of one resource's events."""

    pending: deque[Event] = field(default_factory=deque)
    wakeup: asyncio.Event = field(default_factory=asyncio.Event)
    closed: bool = False

    def close(self) -> None:
        """Ends the reader's stream."""
        self.closed = True
        self.wakeup.set()


class Table:
    """All objects of one resource."""

    def __init__(self, resource: Resource, history: int) -> None:
        self.resource = resource
        self.keys: list[str] = []
        self.entries: dict[str, Entry] = {}
        self.events: deque[Event] = deque(maxlen=history)
        self.floor = 0
        self.subscriptions: set[Subscription] = set()
        self.labels = _FIELDS.get((resource.group, resource.plural), ())

    def record(self, event: Event) -> None:
        """Adds to the history, dropping the oldest change when it is full, and tells the readers."""
        if len(self.events) == self.events.maxlen:
            self.floor = self.events[0].version
        self.events.append(event)
        for subscription in self.subscriptions:
            subscription.pending.append(event)
            subscription.wakeup.set()

    def since(self, version: int) -> list[Event]:
        """Events after ``version``, oldest first; raises Compacted."""
        if version < self.floor:
            raise Compacted
        newer = []
        for event in reversed(self.events):
            if event.version <= version:
                break
            newer.append(event)
        newer.reverse()
        return newer


class Store:
    """All resources; ``history`` is how many changes of each are remembered."""

    def __init__(self, resources: Iterable[Resource], *, history: int = 10000) -> None:
        self.version = 1
        self._tables = {(r.group, r.plural): Table(r, history) for r in resources}

    def table(self, resource: Resource) -> Table:
        """The table of a resource."""
        return self._tables[resource.group, resource.plural]

    def tables(self) -> Iterable[Table]:
        """All tables."""
        return self._tables.values()

    def get(self, resource: Resource, namespace: str, name: str) -> Entry | None:
        """The present state of an object."""
        return self.table(resource).entries.get(_key(namespace, name))

    def put(self, resource: Resource, obj: Obj) -> Entry:
        """Stores a new object or a new state of one, under the next version, which is written into ``obj``."""
        table = self.table(resource)
        self.version += 1
        entry = self._entry(table, obj)
        before = table.entries.get(entry.key)
        if before is None:
            insort(table.keys, entry.key)
        table.entries[entry.key] = entry
        table.record(Event(self.version, before, entry, False))
        return entry

    def remove(self, resource: Resource, namespace: str, name: str) -> Entry:
        """Takes an object away; returns its last state under the deletion's version. Raises KeyError."""
        table = self.table(resource)
        before = table.entries.pop(_key(namespace, name))
        del table.keys[bisect_left(table.keys, before.key)]
        self.version += 1
        last = self._entry(table, before.obj())
        table.record(Event(self.version, before, last, True))
        return last

    def load(self, resource: Resource, objects: Iterable[Obj]) -> int:
        """Stores complete objects without history, as if they had been there before; returns how many."""
        table = self.table(resource)
        count = 0
        for obj in objects:
            self.version += 1
            entry = self._entry(table, obj)
            if entry.key in table.entries:
                raise ValueError(f"{resource.qualified} {entry.key!r} is there twice")
            table.entries[entry.key] = entry
            count += 1
        table.keys = sorted(table.entries)
        table.floor = self.version
        return count

    def seal(self) -> None:
        """Forgets all history: older versions are too old from now on."""
        self.version += 1
        for table in self._tables.values():
            table.events.clear()
            table.floor = self.version

    def entries(self, resource: Resource, namespace: str = "", *, at: int = 0, after: str = "") -> Iterator[Entry]:
        """Objects in order of their keys, of all namespaces without one; with ``at`` as they were at that version.

        ``after`` is the key to start behind. Raises Compacted before the first one.
        """
        table = self.table(resource)
        changed: dict[str, Entry | None] = {}
        if at and at < self.version:
            for event in reversed(table.since(at)):
                changed[event.after.key] = event.before
        return self._iterate(table, namespace, changed, after)

    @staticmethod
    def _iterate(table: Table, namespace: str, changed: dict[str, Entry | None], after: str) -> Iterator[Entry]:
        first = f"{namespace}/" if namespace else ""
        start = bisect_left(table.keys, max(first, f"{after}\0") if after else first)
        end = bisect_left(table.keys, f"{namespace}0") if namespace else len(table.keys)
        keys = table.keys[start:end]
        if changed:
            gone = [k for k, e in changed.items() if e and k not in table.entries and k > after and k.startswith(first)]
            keys = sorted([*keys, *gone])
        for key in keys:
            entry = changed[key] if key in changed else table.entries[key]
            if entry is not None:
                yield entry

    @contextlib.contextmanager
    def subscribe(self, resource: Resource, version: int) -> Iterator[Subscription]:
        """Events of a resource after ``version``, then those to come; raises Compacted."""
        table = self.table(resource)
        subscription = Subscription(deque(table.since(version)))
        if subscription.pending:
            subscription.wakeup.set()
        table.subscriptions.add(subscription)
        try:
            yield subscription
        finally:
            table.subscriptions.discard(subscription)

    def _entry(self, table: Table, obj: Obj) -> Entry:
        meta = obj["metadata"]
        meta["resourceVersion"] = str(self.version)
        namespace, name = meta.get("namespace", ""), meta["name"]
        ordered = {"apiVersion": obj["apiVersion"], "kind": obj["kind"], **obj}
        labels = {sys.intern(k): sys.intern(v) for k, v in (meta.get("labels") or {}).items()}
        fields = {label: sys.intern(_text(obj, label)) for label in table.labels} if table.labels else _NO_FIELDS
        return Entry(_key(namespace, name), namespace, name, self.version, orjson.dumps(ordered), labels, fields)


_NO_FIELDS: Mapping[str, str] = {}


def _key(namespace: str, name: str) -> str:
    return f"{namespace}/{name}" if namespace else name


def _text(obj: Obj, label: str) -> str:
    if label == "source":
        return str((obj.get("source") or {}).get("component", ""))
    value: Any = obj
    for part in label.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    if label == "spec.unschedulable":
        return "true" if value else "false"
    return "" if value is None else str(value)
