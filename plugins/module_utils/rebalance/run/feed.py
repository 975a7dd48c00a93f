# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What happens in the cluster, as one stream of events: a watching thread per kind, one queue, one reader.

Each watch goes on from the last version it saw; when that is too old (410) its kind is listed again and the list is
handed on as one event.
"""

from __future__ import annotations

import queue
import threading
import time
from dataclasses import dataclass
from typing import Any, Callable, Optional, Protocol, Sequence

from ...cluster.gateway import Gateway, Object
from ...cluster.resources import ResourceType
from ...errors import ApiError, Expired, Forbidden, NotFound, OcpvError, Unauthorized

SYNC = "SYNC"  # the whole kind was listed again; the object is a list of objects
DELETED = "DELETED"
WAKE = "WAKE"  # nothing happened, but the reader is to look up
_WATCH_SECONDS = 60
_FIRST_PAUSE_SECONDS = 0.2
_LONGEST_PAUSE_SECONDS = 5.0
_QUEUE_SIZE = 50_000
_BATCH = 5_000


@dataclass(frozen=True)
class Event:
    """C(kind) is the topic's name; C(object) the object as the API returned it, a list of them for SYNC."""

    kind: str
    type: str
    object: Any


@dataclass(frozen=True)
class Topic:
    """A kind to watch. One that is C(optional) is left out if it may not be read or is not served."""

    kind: str
    resource: ResourceType
    namespace: Optional[str] = None
    label_selector: str = ""
    field_selector: str = ""
    optional: bool = False


class Feed(Protocol):
    """A source of events with one reader."""

    def poll(self, timeout_seconds: float) -> list[Event]:
        """Return what has happened, waiting so long for the first event. Raises what makes watching pointless."""

    def troubled_seconds(self) -> float:
        """How long some watch has been broken, 0 if all are well."""

    def wake(self) -> None:
        """Make poll() return soon; may be called from a signal handler."""


class WatchFeed:
    """A Feed by watches of the API, one thread each. mark(), read the cluster, start(), then poll()."""

    def __init__(
        self, gateway: Gateway, topics: Sequence[Topic], *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._gateway = gateway
        self._topics = list(topics)
        self._clock = clock
        self._queue: "queue.Queue[Event]" = queue.Queue(_QUEUE_SIZE)
        self._woken = False
        self._broken: dict[str, float] = {}
        self._fatal: Optional[OcpvError] = None
        self._stop = threading.Event()
        self._versions: dict[str, str] = {}

    def mark(self) -> None:
        """Remember where to watch from. What is read of the cluster after this call is not missed."""
        for topic in list(self._topics):
            try:
                page = self._gateway.read_raw(topic.resource.path(topic.namespace) + "?limit=1")
            except (Forbidden, NotFound):
                if not topic.optional:
                    raise
                self._topics.remove(topic)
            else:
                self._versions[topic.kind] = str(page["metadata"]["resourceVersion"])

    def start(self) -> None:
        """Begin to watch, from where mark() was called."""
        # broken watches are told soon, and begun again by the threads themselves
        self._gateway = self._gateway.with_retry_seconds(2.0)
        for topic in self._topics:
            thread = threading.Thread(target=self._follow, args=(topic,), name=f"watch {topic.kind}", daemon=True)
            thread.start()

    def stop(self) -> None:
        """Hand on nothing any more. The threads end with their watches."""
        self._stop.set()

    def poll(self, timeout_seconds: float) -> list[Event]:
        deadline = self._clock() + timeout_seconds
        found: list[Event] = []
        while not found:
            if self._fatal is not None:
                raise self._fatal
            if self._woken:
                self._woken = False
                return [Event("", WAKE, {})]
            # short waits, since a waiting get() does not notice signals
            pause = min(deadline - self._clock(), 0.1)
            try:
                found.append(self._queue.get(timeout=pause) if pause > 0 else self._queue.get_nowait())
            except queue.Empty:
                if pause <= 0:
                    return found
        while len(found) < _BATCH:
            try:
                found.append(self._queue.get_nowait())
            except queue.Empty:
                break
        return found

    def troubled_seconds(self) -> float:
        since = min(self._broken.copy().values(), default=None)
        return 0.0 if since is None else self._clock() - since

    def wake(self) -> None:
        self._woken = True

    def _follow(self, topic: Topic) -> None:
        version = self._versions[topic.kind]
        pause = _FIRST_PAUSE_SECONDS
        while not self._stop.is_set():
            try:
                for kind, item in self._gateway.watch(
                    topic.resource,
                    namespace=topic.namespace,
                    label_selector=topic.label_selector,
                    field_selector=topic.field_selector,
                    resource_version=version,
                    timeout_seconds=_WATCH_SECONDS,
                ):
                    version = item["metadata"]["resourceVersion"]
                    self._broken.pop(topic.kind, None)
                    pause = _FIRST_PAUSE_SECONDS
                    if kind != "BOOKMARK":
                        self._hand_on(Event(topic.kind, kind, item))
                self._broken.pop(topic.kind, None)
            except Expired:
                version = self._list_again(topic)
                if not version:
                    return
            except (Unauthorized, Forbidden) as error:
                self._give_up(topic, error)
                return
            except ApiError:
                self._broken.setdefault(topic.kind, self._clock())
                self._stop.wait(pause)
                pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)

    def _list_again(self, topic: Topic) -> str:
        """Hand on the kind as a whole and return where to go on from; empty if there is no going on."""
        self._broken.setdefault(topic.kind, self._clock())
        while not self._stop.is_set():
            try:
                listing = self._gateway.list(
                    topic.resource,
                    namespace=topic.namespace,
                    label_selector=topic.label_selector,
                    field_selector=topic.field_selector,
                )
            except (Unauthorized, Forbidden) as error:
                self._give_up(topic, error)
                return ""
            except ApiError:
                self._stop.wait(_LONGEST_PAUSE_SECONDS)
                continue
            self._hand_on(Event(topic.kind, SYNC, listing.items))
            self._broken.pop(topic.kind, None)
            return listing.resource_version
        return ""

    def _give_up(self, topic: Topic, error: OcpvError) -> None:
        if not topic.optional:
            self._fatal = error

    def _hand_on(self, event: Event) -> None:
        while not self._stop.is_set():
            try:
                self._queue.put(event, timeout=1.0)
                return
            except queue.Full:
                continue


def object_key(item: Object) -> str:
    """Return "namespace/name" of an object."""
    return f"{item['metadata']['namespace']}/{item['metadata']['name']}"
