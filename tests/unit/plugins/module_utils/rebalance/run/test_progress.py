"""The progress line, the time left, and the file it is written to."""

from __future__ import annotations

import json

from ansible_collections.ocpv.scale.plugins.module_utils.rebalance.record import Item, RunRecord, StageRecord
from ansible_collections.ocpv.scale.plugins.module_utils.rebalance.run.progress import (
    Effort,
    ProgressFile,
    describe,
    time_left,
)
from hypothesis import given, settings
from hypothesis import strategies as st


def record(*statuses: str, predicted: float = 10.0) -> RunRecord:
    place = ("live", "one", "two", "dev-test")
    items = [
        Item(f"m{n}", "shop", f"web-{n}", *place, 1 + n // 2, status, predicted_seconds=predicted)
        for n, status in enumerate(statuses)
    ]
    return RunRecord("r1", "p", "d", "c", stages=[StageRecord("canary"), StageRecord("dev-test")], items=items)


def test_the_line_tells_stage_wave_counts_and_time() -> None:
    told = describe(record("succeeded", "failed", "in_flight", "waiting"), "dev-test", Effort(60, 120))
    assert told["text"] == ("stage dev-test (2/2), wave 2/2: 1 done, 1 failed, 1 in flight, 1 waiting, about 45s left")
    assert told["left_seconds"] == 45.0
    json.dumps(told)


def test_until_enough_was_seen_the_prediction_tells_the_time() -> None:
    assert time_left(record("waiting", "waiting"), Effort(5, 40)) == 40
    assert time_left(record("waiting", "waiting"), Effort(5, 0)) is None


def test_then_the_pace_so_far_tells_the_time() -> None:
    statuses = ["succeeded"] * 5 + ["waiting"] * 5
    assert time_left(record(*statuses), Effort(100, 1)) == 100
    assert time_left(record(*statuses), Effort(100, 1, frozenset({"m0", "m1"}))) == 500 / 3
    assert time_left(record(*statuses, predicted=0.0), Effort(100, 1)) == 100
    assert time_left(record("succeeded", "failed"), Effort(100, 1)) == 0


@settings(max_examples=50)
@given(
    st.lists(st.sampled_from(["succeeded", "failed", "skipped", "in_flight", "waiting", "not_attempted"]), max_size=12),
    st.floats(0, 1e5),
    st.floats(0, 1e5),
)
def test_the_time_is_never_negative(statuses, elapsed, planned) -> None:
    left = time_left(record(*statuses), Effort(elapsed, planned))
    assert left is None or left >= 0


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_lines_are_written_when_something_changed_and_not_too_often(tmp_path) -> None:
    now = [0.0]
    path = tmp_path / "progress.jsonl"
    file = ProgressFile(str(path), lambda: now[0])
    file.begin()
    told = describe(record("in_flight", "waiting"), "dev-test", Effort(0, 10))
    later = describe(record("succeeded", "waiting"), "dev-test", Effort(0, 10))
    for at, state in ((0, told), (0.2, later), (2, told), (3, later), (9, later), (34, later)):
        now[0] = at
        file.show(state)
    file.show(later, last=True)
    file.tell("shop/web-1: failed")
    written = lines(path)
    assert [entry.get("counts", {}).get("succeeded") for entry in written] == [0, 1, 1, 1, None]
    assert written[-1]["text"] == "shop/web-1: failed"


def test_a_reader_that_has_gone_is_noticed(tmp_path) -> None:
    path = tmp_path / "progress.jsonl"
    file = ProgressFile(str(path), lambda: 0.0)
    file.begin()
    file.check()
    assert not file.reader_gone
    path.unlink()
    file.check()
    assert file.reader_gone
    assert not path.exists()


def test_trouble_with_the_file_disturbs_nothing(tmp_path) -> None:
    for path in (None, str(tmp_path / "missing" / "file"), str(tmp_path)):
        file = ProgressFile(path, lambda: 0.0)
        file.begin()
        file.tell("anything")
        file.check()
        assert not file.reader_gone
