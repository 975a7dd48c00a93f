"""Watching threads: where they go on, what they list again, what they give up for."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from ansible_collections.ocpv.scale.plugins.module_utils.cluster.gateway import Listing
from ansible_collections.ocpv.scale.plugins.module_utils.cluster.resources import KUBEVIRTS, NODES
from ansible_collections.ocpv.scale.plugins.module_utils.errors import (
    Expired,
    Forbidden,
    NotFound,
    Unauthorized,
    Unreachable,
)
from ansible_collections.ocpv.scale.plugins.module_utils.rebalance.run.feed import Topic, WatchFeed

WAIT_SECONDS = 10.0


def node(name: str, version: int) -> dict[str, Any]:
    return {"metadata": {"name": name, "resourceVersion": str(version)}}


class Source:
    """A gateway whose watches are played from a script: one entry per watch, events or an error."""

    def __init__(self, *script: Any) -> None:
        self._script = list(script)
        self._over = threading.Event()
        self.watched: list[str] = []
        self.listed: Callable[[], list[dict[str, Any]]] = list

    def with_retry_seconds(self, seconds: float) -> Source:
        return self

    def read_raw(self, path: str) -> dict[str, Any]:
        if "kubevirts" in path:
            raise NotFound("no such kind", status=404)
        return {"metadata": {"resourceVersion": "10"}}

    def list(self, resource: Any, **options: Any) -> Listing[dict[str, Any]]:
        return Listing(self.listed(), "50")

    def watch(self, resource: Any, *, resource_version: str, **options: Any) -> Iterator[tuple[str, dict[str, Any]]]:
        self.watched.append(resource_version)
        if not self._script:
            self._over.wait(WAIT_SECONDS)
            return
        for entry in self._script.pop(0):
            if isinstance(entry, Exception):
                raise entry
            yield entry

    def end(self) -> None:
        self._over.set()


def gather(feed: WatchFeed, count: int) -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    deadline = time.monotonic() + WAIT_SECONDS
    while len(found) < count and time.monotonic() < deadline:
        found += [(event.type, event.object) for event in feed.poll(0.5)]
    return found


def follow(source: Source, *topics: Topic) -> WatchFeed:
    feed = WatchFeed(source, topics or (Topic("nodes", NODES),))  # type: ignore[arg-type]
    feed.mark()
    feed.start()
    return feed


def names(found: list[tuple[str, Any]]) -> list[tuple[str, Any]]:
    return [
        (kind, [item["metadata"]["name"] for item in body] if isinstance(body, list) else body["metadata"]["name"])
        for kind, body in found
    ]


def test_a_watch_goes_on_where_it_ended_and_bookmarks_are_kept_to_itself() -> None:
    source = Source(
        [("ADDED", node("a", 11)), ("BOOKMARK", node("", 20))],
        [Unreachable("connection lost")],
        [("DELETED", node("a", 21))],
    )
    feed = follow(source)
    assert names(gather(feed, 2)) == [("ADDED", "a"), ("DELETED", "a")]
    assert source.watched[:3] == ["10", "20", "20"]
    feed.stop()
    source.end()


def test_a_version_that_is_too_old_leads_to_a_list() -> None:
    source = Source([("ADDED", node("a", 11)), Expired("too old", status=410)], [("ADDED", node("c", 51))])
    source.listed = lambda: [node("a", 11), node("b", 40)]
    feed = follow(source)
    assert names(gather(feed, 3)) == [("ADDED", "a"), ("SYNC", ["a", "b"]), ("ADDED", "c")]
    assert source.watched[:2] == ["10", "50"]
    feed.stop()
    source.end()


def test_broken_watches_are_told_until_they_are_well() -> None:
    broken = [[Unreachable("connection refused")] for _number in range(3)]
    source = Source(*broken, [("ADDED", node("a", 11))])
    feed = follow(source)
    worst = 0.0
    found: list[tuple[str, Any]] = []
    deadline = time.monotonic() + WAIT_SECONDS
    while not found and time.monotonic() < deadline:
        worst = max(worst, feed.troubled_seconds())
        found = [(event.type, event.object) for event in feed.poll(0.05)]
    assert found
    assert worst > 0
    assert feed.troubled_seconds() == 0
    feed.stop()
    source.end()


@pytest.mark.parametrize("error", [Unauthorized("expired", status=401), Forbidden("no", status=403)])
def test_without_rights_the_reader_is_told(error) -> None:
    source = Source([error])
    feed = follow(source)
    with pytest.raises(type(error)):
        gather(feed, 1)
    source.end()


def test_an_optional_kind_that_is_not_served_is_left_out() -> None:
    source = Source([("ADDED", node("a", 11))])
    feed = follow(source, Topic("settings", KUBEVIRTS, optional=True), Topic("nodes", NODES))
    assert names(gather(feed, 1)) == [("ADDED", "a")]
    with pytest.raises(NotFound):
        WatchFeed(source, [Topic("settings", KUBEVIRTS)]).mark()  # type: ignore[arg-type]
    feed.stop()
    source.end()


def test_a_reader_that_waits_can_be_woken() -> None:
    source = Source()
    feed = follow(source)
    started = time.monotonic()
    timer = threading.Timer(0.1, feed.wake)
    timer.start()
    assert [event.type for event in feed.poll(WAIT_SECONDS)] == ["WAKE"]
    assert time.monotonic() - started < WAIT_SECONDS / 2
    assert feed.poll(0.0) == []
    feed.stop()
    source.end()
