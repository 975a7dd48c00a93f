"""The state of a run in ConfigMaps: round trips, large runs, two writers, damage, history."""

from __future__ import annotations

import base64
import contextlib
import os

import pytest
from ansible_collections.ocpv.scale.plugins.module_utils import names
from ansible_collections.ocpv.scale.plugins.module_utils.errors import (
    Conflict,
    Forbidden,
    InvalidInput,
    NotFound,
    OcpvError,
    Unreachable,
)
from ansible_collections.ocpv.scale.plugins.module_utils.rebalance.record import Item, RunRecord
from ansible_collections.ocpv.scale.plugins.module_utils.rebalance.run import state
from ansible_collections.ocpv.scale.plugins.module_utils.rebalance.run.state import StateStore, prune
from unit.plugins.module_utils.rebalance.run.played import PlayedCluster

SPACE = "ocpv-scale"
PLAN = {"format": "ocpv.scale/plan", "id": "p", "stages": []}


@pytest.fixture
def cluster() -> PlayedCluster:
    return PlayedCluster()


def record(count: int = 3, status: str = "running", noise: int = 0) -> RunRecord:
    items = [
        Item(f"m{n}", "shop", f"web-{n}", "live", "one", "two", "canary", 1, message=os.urandom(noise).hex())
        for n in range(count)
    ]
    return RunRecord("r1", "p", "sha256:x", "c", status=status, items=items)


def store(cluster: PlayedCluster, writer: str = "me", run: str = "r1") -> StateStore:
    return StateStore(cluster, SPACE, run, writer)


def maps(cluster: PlayedCluster) -> list[str]:
    return sorted(key[2] for key, _item in cluster.of("configmaps"))


def first(cluster: PlayedCluster):
    return cluster.objects[("configmaps", SPACE, names.state_name("r1"))]


def test_what_is_written_is_read(cluster) -> None:
    assert store(cluster).load() is None
    written = record()
    own = store(cluster)
    own.create(PLAN, written)
    written.items[0].status = "succeeded"
    own.save(written)
    found = store(cluster, "other").load()
    assert found.record == written
    assert found.plan == PLAN
    assert first(cluster)["data"]["summary"] == "waiting 2, succeeded 1"
    assert len(maps(cluster)) == 2


def test_a_run_too_large_for_one_object_is_split(cluster, monkeypatch) -> None:
    monkeypatch.setattr(state, "CHUNK_BYTES", 2000)
    big = record(40, noise=200)
    own = store(cluster)
    own.create({**PLAN, "noise": os.urandom(5000).hex()}, big)
    for item in cluster.of("configmaps"):
        for content in item[1].get("binaryData", {}).values():
            assert len(base64.b64decode(content)) <= 2000
    assert store(cluster).load().record == big
    big.items[3].status = "failed"
    own.save(big)
    assert store(cluster).load().record == big
    small = record(1)
    own.save(small)
    assert store(cluster).load().record == small


def test_cut_off_between_two_parts_the_former_state_is_read(cluster, monkeypatch) -> None:
    monkeypatch.setattr(state, "CHUNK_BYTES", 2000)
    before = record(40, noise=200)
    own = store(cluster)
    own.create(PLAN, before)
    for cut in range(1, 4):
        left = [cut]

        def stop(verb: str, plural: str, left: list[int] = left) -> None:
            left[0] -= 1
            if not left[0]:
                raise KeyboardInterrupt

        cluster.answered = stop
        with pytest.raises(KeyboardInterrupt):
            own.save(record(40, noise=200))
        cluster.answered = lambda verb, plural: None
        assert store(cluster).load().record == before
        own = store(cluster)
        own.load()


def test_of_two_writers_one_is_refused(cluster) -> None:
    one = store(cluster, "one")
    one.create(PLAN, record())
    two = store(cluster, "two")
    two.load()
    two.save(record(2))
    with pytest.raises(Conflict, match="another process"):
        one.save(record(1))
    assert store(cluster).load().record == record(2)


def test_a_request_of_people_does_not_disturb_and_stays_until_it_is_answered(cluster) -> None:
    own = store(cluster)
    own.create(PLAN, record())
    item = first(cluster)
    item["metadata"]["annotations"] = {names.REQUEST: "pause", "theirs": "kept"}
    cluster.put("configmaps", item)
    own.save(record(2))
    assert store(cluster).load().request == "pause"
    own.save(record(2), answered=True)
    assert store(cluster).load().request == ""
    assert first(cluster)["metadata"]["annotations"] == {"theirs": "kept"}
    cluster.put("configmaps", {**first(cluster), "data": {**first(cluster)["data"], "request": " Stop "}})
    assert store(cluster).load().request == "stop"
    cluster.put("configmaps", {**first(cluster), "data": {**first(cluster)["data"], "request": "dance"}})
    assert store(cluster).load().request == ""


@pytest.mark.parametrize("effect", ["answered", "requested"])
def test_a_lost_answer_is_looked_up(cluster, effect) -> None:
    own = store(cluster)
    own.create(PLAN, record())
    lost = []

    def lose(verb: str, plural: str) -> None:
        if verb == "patch" and not lost:
            lost.append(verb)
            raise Unreachable("connection lost", details={"outcome": "unknown"})

    setattr(cluster, effect, lose)
    own.save(record(2))
    assert lost
    assert store(cluster).load().record == record(2)
    own.save(record(1))
    assert store(cluster).load().record == record(1)


def test_writes_that_are_never_answered_are_not_taken_for_a_conflict(cluster) -> None:
    own = store(cluster)
    own.create(PLAN, record())

    def lose(verb: str, plural: str) -> None:
        if verb == "patch":
            raise Unreachable("connection lost", details={"outcome": "unknown"})

    cluster.requested = lose
    for count in (1, 2):
        with pytest.raises(Unreachable):
            own.save(record(count))
    cluster.requested = lambda verb, plural: None
    assert store(cluster).load().record == record()
    own.save(record(2))
    assert store(cluster).load().record == record(2)


def test_one_whose_writes_failed_again_and_again_does_not_overwrite_another(cluster) -> None:
    one = store(cluster, "one")
    one.create(PLAN, record())

    def lose(verb: str, plural: str) -> None:
        raise Unreachable("connection lost", details={"outcome": "unknown"})

    cluster.requested = lose
    for _try in range(3):
        with pytest.raises(Unreachable):
            one.save(record(1))
    cluster.requested = lambda verb, plural: None
    two = store(cluster, "two")
    two.load()
    two.save(record(2))
    with pytest.raises(Conflict, match="another process"):
        one.save(record(1))
    assert store(cluster).load().record == record(2)


@pytest.mark.parametrize("outcome", ["unknown", "not sent"])
@pytest.mark.parametrize("effect", ["answered", "requested"])
def test_whatever_is_lost_a_reader_always_finds_one_whole_record(cluster, monkeypatch, effect, outcome) -> None:
    """The server is away from the n-th request of one write on; each later write fails at each of its own requests."""
    monkeypatch.setattr(state, "CHUNK_BYTES", 2000)
    records = [record(40, noise=200) for _number in range(3)]
    parts = len(state._pieces(records[0].to_dict()))
    for cut in range(1, 2 * parts + 4):
        cluster.objects.clear()
        setattr(cluster, effect, lambda verb, plural: None)
        own = store(cluster)
        own.create(PLAN, records[0])
        left = [cut]

        def lose(verb: str, plural: str, left: list[int] = left) -> None:
            left[0] -= 1
            if left[0] <= 0:
                raise Unreachable("connection lost", details={"outcome": outcome})

        setattr(cluster, effect, lose)
        with contextlib.suppress(Unreachable):
            own.save(records[1])
        setattr(cluster, effect, lambda verb, plural: None)
        assert store(cluster).load().record in records[:2]
        for later in range(1, parts + 2):
            left[0] = later
            setattr(cluster, effect, lose)
            with contextlib.suppress(Unreachable):
                own.save(records[2])
            setattr(cluster, effect, lambda verb, plural: None)
            assert store(cluster).load().record in records
        own.save(records[2])
        assert store(cluster).load().record == records[2]


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (NotFound('namespaces "ocpv-scale" not found', status=404), InvalidInput),
        (Forbidden("configmaps is forbidden", status=403), Forbidden),
    ],
)
def test_a_missing_namespace_or_right_names_the_option_and_the_roles(cluster, error, kind) -> None:
    def refuse(verb: str, plural: str) -> None:
        if verb == "create":
            raise error

    cluster.requested = refuse
    with pytest.raises(kind) as caught:
        store(cluster).create(PLAN, record())
    assert "state_namespace" in caught.value.message
    assert "docs/rbac" in caught.value.hint


def test_a_damaged_state_is_told_with_the_way_out(cluster) -> None:
    store(cluster).create(PLAN, record())
    item = first(cluster)
    whole = base64.b64decode(item["binaryData"]["record"])
    for damage in (b"nonsense", whole[:-9], whole[:20] + b"nonsense" + whole[28:]):
        item["binaryData"] = {"record": base64.b64encode(damage).decode()}
        with pytest.raises(OcpvError, match="damaged") as caught:
            store(cluster).load()
        assert names.RUN in caught.value.hint
    item["data"]["version"] = "9"
    with pytest.raises(InvalidInput, match="version 1"):
        store(cluster).load()


def test_only_finished_runs_are_pruned_the_oldest_first(cluster) -> None:
    for number in range(5):
        cluster.seconds = number * 100.0
        run = f"r{number}"
        status = "paused" if number == 0 else "completed"
        made = RunRecord(run, "p", "d", "c", status=status, items=[])
        store(cluster, run=run).create(PLAN, made)
    assert sorted(prune(cluster, SPACE, 2, "r4")) == ["r1", "r2"]
    assert {name.split("-")[2] for name in maps(cluster)} == {"r0", "r3", "r4"}
    assert prune(cluster, SPACE, 0, "r4") == ["r3"]
