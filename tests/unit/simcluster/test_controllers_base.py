"""What every controller stands on: local copies that are never older than one's own writes, and work queues."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from simcluster.clock import Clock
from simcluster.controllers import kinds
from simcluster.controllers.client import ApiError
from simcluster.controllers.controller import with_condition, without_condition
from simcluster.controllers.informer import Informer
from simcluster.controllers.queue import WorkQueue

Obj = dict[str, Any]
Key = tuple[str, str]


def obj(name: str, version: int, value: str = "", namespace: str = "ns") -> Obj:
    return {"metadata": {"name": name, "namespace": namespace, "resourceVersion": str(version)}, "value": value}


class Script:
    """A client whose lists and watches are given beforehand."""

    def __init__(self, lists: list[tuple[int, list[Obj]]], watches: list[list[Obj] | Exception]) -> None:
        self._lists = lists
        self._watches = watches
        self.watched_from: list[str] = []
        self.over = asyncio.Event()

    async def pages(self, kind: kinds.Kind, namespace: str = "", **params: str) -> AsyncIterator[Obj]:
        version, items = self._lists.pop(0)
        for item in items:
            yield {"metadata": {"resourceVersion": str(version)}, "items": [item]}
        if not items:
            yield {"metadata": {"resourceVersion": str(version)}, "items": []}

    async def watch(
        self, kind: kinds.Kind, namespace: str, version: str, *, timeout_seconds: int
    ) -> AsyncIterator[Obj]:
        self.watched_from.append(version)
        if not self._watches:
            self.over.set()
            await asyncio.Event().wait()
        events = self._watches.pop(0)
        if isinstance(events, Exception):
            raise events
        for event in events:
            yield event


def followed(script: Script) -> tuple[Informer[str], list[tuple[Key, str | None, str | None]]]:
    """An informer that has lived through the script, and the changes it told."""
    informer: Informer[str] = Informer(script, kinds.PODS, lambda each: str(each["value"]))  # type: ignore[arg-type]
    told: list[tuple[Key, str | None, str | None]] = []
    informer.on_change(lambda key, before, after: told.append((key, before, after)))
    return informer, told


async def play(informer: Informer[str], script: Script) -> None:
    task = asyncio.create_task(informer.run())
    await asyncio.wait_for(script.over.wait(), 10)
    task.cancel()


class TestInformer:
    def test_lists_then_watches(self) -> None:
        async def scenario() -> None:
            events = [
                {"type": "MODIFIED", "object": obj("a", 12, "new")},
                {"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": "20"}}},
                {"type": "DELETED", "object": obj("b", 21)},
            ]
            script = Script([(10, [obj("a", 3, "old"), obj("b", 4, "b")])], [events])
            informer, told = followed(script)
            await play(informer, script)
            assert informer.items == {("ns", "a"): "new"}
            assert script.watched_from == ["10", "21"]
            assert told == [
                (("ns", "a"), None, "old"),
                (("ns", "b"), None, "b"),
                (("ns", "a"), "old", "new"),
                (("ns", "b"), "b", None),
            ]

        asyncio.run(scenario())

    def test_lists_again_when_its_version_is_too_old(self) -> None:
        async def scenario() -> None:
            expired = {"type": "ERROR", "object": {"code": 410, "reason": "Expired"}}
            script = Script([(10, [obj("a", 3, "a"), obj("b", 4, "b")]), (30, [obj("b", 25, "B")])], [[expired]])
            informer, told = followed(script)
            await play(informer, script)
            assert informer.items == {("ns", "b"): "B"}
            assert told[2:] == [(("ns", "b"), "b", "B"), (("ns", "a"), "a", None)]

        asyncio.run(scenario())

    def test_goes_on_where_a_broken_stream_ended(self) -> None:
        async def scenario() -> None:
            script = Script([(10, [])], [[{"type": "ADDED", "object": obj("a", 11, "a")}], ConnectionError("gone"), []])
            informer, _ = followed(script)
            await play(informer, script)
            assert script.watched_from == ["10", "11", "11", "11"]

        asyncio.run(scenario())

    @pytest.mark.parametrize("error", [ApiError(500, {}), ConnectionError("refused")])
    def test_a_failed_list_is_repeated(self, error: Exception) -> None:
        async def scenario() -> None:
            script = Script([(10, [obj("a", 1, "a")]), (10, [obj("a", 1, "a")])], [error])
            informer, told = followed(script)
            await play(informer, script)
            assert told == [(("ns", "a"), None, "a")]

        asyncio.run(scenario())

    def test_own_writes_count_at_once_and_older_news_do_not(self) -> None:
        informer, told = followed(Script([], []))
        informer.observe(obj("a", 5, "mine"))
        informer.observe(obj("a", 4, "older"))
        informer.observe(obj("a", 5, "same"))
        assert informer.items == {("ns", "a"): "mine"}
        assert len(told) == 1

    def test_what_was_deleted_does_not_come_back_by_an_old_answer(self) -> None:
        async def scenario() -> None:
            script = Script([(10, [obj("a", 3, "a")])], [[{"type": "DELETED", "object": obj("a", 12)}]])
            informer, _ = followed(script)
            await play(informer, script)
            informer.observe(obj("a", 11, "late answer"))
            assert informer.items == {}
            informer.observe(obj("a", 13, "a new one"))
            assert informer.items == {("ns", "a"): "a new one"}

        asyncio.run(scenario())

    def test_indexes_follow(self) -> None:
        informer, _ = followed(Script([], []))
        informer.observe(obj("a", 1, "x"))
        by_value = informer.index(lambda _key, value: (value,))
        informer.observe(obj("b", 2, "x"))
        assert sorted(by_value("x")) == [("ns", "a"), ("ns", "b")]
        informer.observe(obj("a", 3, "y"))
        assert (by_value("x"), by_value("y"), by_value("z")) == ([("ns", "b")], [("ns", "a")], [])

    def test_whole_objects_are_fresh_copies_without_managed_fields(self) -> None:
        informer, _ = followed(Script([], []))
        given = obj("a", 1, "x")
        given["metadata"]["managedFields"] = [{}]
        informer.observe(given)
        first = informer.obj(("ns", "a"))
        assert first is not None and "managedFields" not in first["metadata"]
        first["value"] = "changed"
        second = informer.obj(("ns", "a"))
        assert second is not None and second["value"] == "x"


async def worked(
    reconcile: Callable[[Key], Awaitable[float | None]], use: Callable[[WorkQueue], Awaitable[None]], scale: float = 1.0
) -> None:
    queue = WorkQueue("test", reconcile, Clock(scale), workers=3)
    task = asyncio.create_task(queue.run())
    await use(queue)
    task.cancel()


class TestWorkQueue:
    def test_keys_run_once_and_never_twice_at_a_time(self) -> None:
        async def scenario() -> None:
            running: set[Key] = set()
            runs: list[Key] = []

            async def reconcile(key: Key) -> None:
                assert key not in running
                running.add(key)
                runs.append(key)
                await asyncio.sleep(0.01)
                running.discard(key)

            async def use(queue: WorkQueue) -> None:
                for _ in range(5):
                    queue.add(("", "a"))
                    queue.add(("", "b"))
                await asyncio.sleep(0.005)
                for _ in range(5):
                    queue.add(("", "a"))
                await asyncio.sleep(0.05)

            await worked(reconcile, use)
            assert sorted(runs) == [("", "a"), ("", "a"), ("", "b")]

        asyncio.run(scenario())

    def test_failures_are_repeated_later_and_later(self) -> None:
        async def scenario() -> None:
            times: list[float] = []
            loop = asyncio.get_running_loop()

            async def reconcile(key: Key) -> None:
                times.append(loop.time())
                if len(times) < 4:
                    raise ApiError(409, {"reason": "Conflict"})

            async def use(queue: WorkQueue) -> None:
                queue.add(("", "a"))
                await asyncio.sleep(0.4)

            await worked(reconcile, use)
            gaps = [after - before for before, after in zip(times, times[1:], strict=False)]
            assert len(times) == 4
            assert gaps[0] < gaps[1] < gaps[2]

        asyncio.run(scenario())

    def test_a_bug_in_one_key_does_not_stop_the_others(self) -> None:
        async def scenario() -> None:
            done: list[Key] = []

            async def reconcile(key: Key) -> None:
                if key[1] == "bad":
                    raise KeyError("bug")
                done.append(key)

            async def use(queue: WorkQueue) -> None:
                queue.add(("", "bad"))
                queue.add(("", "good"))
                await asyncio.sleep(0.02)

            await worked(reconcile, use)
            assert done == [("", "good")]

        asyncio.run(scenario())

    def test_waits_are_simulated_and_the_earliest_counts(self) -> None:
        async def scenario() -> None:
            times: list[float] = []
            loop = asyncio.get_running_loop()

            async def reconcile(key: Key) -> float | None:
                times.append(loop.time())
                return 10.0 if len(times) == 1 else None

            async def use(queue: WorkQueue) -> None:
                queue.add(("", "a"))
                await asyncio.sleep(0.01)
                queue.add_after(("", "a"), 5.0)
                queue.add_after(("", "a"), 50.0)
                await asyncio.sleep(0.2)

            await worked(reconcile, use, scale=100)
            assert len(times) == 2
            assert 0.03 <= times[1] - times[0] <= 0.09

        asyncio.run(scenario())


class TestConditions:
    old = [{"type": "A", "status": "True", "lastProbeTime": None, "lastTransitionTime": "t0", "reason": "r"}]

    def test_the_same_condition_changes_nothing(self) -> None:
        assert with_condition(self.old, "A", "True", "t1", "r") is self.old
        assert without_condition(self.old, "B") is self.old

    def test_transition_time_moves_with_the_status_only(self) -> None:
        (reworded,) = with_condition(self.old, "A", "True", "t1", "other")
        assert (reworded["reason"], reworded["lastTransitionTime"]) == ("other", "t0")
        (flipped,) = with_condition(self.old, "A", "False", "t1", "r")
        assert (flipped["status"], flipped["lastTransitionTime"]) == ("False", "t1")

    def test_others_stay(self) -> None:
        both = with_condition(self.old, "B", "True", "t1")
        assert [each["type"] for each in both] == ["A", "B"]
        assert [each["type"] for each in without_condition(both, "A")] == ["B"]
