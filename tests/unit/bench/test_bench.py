"""What benchmarks make of their values; nothing here is measured."""

from __future__ import annotations

import json
from itertools import combinations

import pytest
from ansible_collections.ocpv.scale.plugins.module_utils.rebalance.plan import (
    Move,
    NodeForecast,
    NodeLoad,
    Plan,
    Stage,
    Wave,
)
from ansible_collections.ocpv.scale.plugins.module_utils.rebalance.record import Attempt, RunRecord, StageRecord
from ansible_collections.ocpv.scale.plugins.module_utils.rebalance.run.begin import new_record
from bench.__main__ import main
from bench.measurement import SECONDS, Measurement, NotMeasured, in_turn, table, within_limit, words
from bench.planning import fewest_departures
from bench.running import pace_of
from hypothesis import given, settings
from hypothesis import strategies as st
from unit.plugins.module_utils.rebalance.builders import snapshot, vm


def measurement(values, beside_values, at_most=None):
    return Measurement("reading", SECONDS, tuple(values), "a peer", tuple(beside_values), at_most)


def test_ratios_are_taken_round_by_round():
    # the third round was disturbed, and both with it
    assert measurement((2, 3, 40), (1, 1, 20)).ratio == 2


def test_a_limit_stands_beside_all_rounds():
    item = within_limit("ready", SECONDS, [9, 5, 10], 18)
    assert (item.value, item.ratio, item.at_most) == (9, 0.5, 1)


def test_nothing_beside_gives_no_ratio():
    assert measurement((1, 2), (0, 0)).ratio is None
    assert " 1.50 s " in table([("reads", measurement((1, 2), (0, 0)))])


def test_works_take_turns_after_one_call_of_each():
    calls = []
    assert [len(values) for values in in_turn(2, lambda: calls.append("a"), lambda: calls.append("b"))] == [2, 2]
    assert "".join(calls) == "ababab"


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.0123, "s", "0.012 s"),
        (1.234, "s", "1.23 s"),
        (467.3, "s", "467 s"),
        (1500, "MB", "1,500 MB"),
        (7, "moves", "7 moves"),
    ],
)
def test_values_are_told_with_their_units(value, unit, text):
    assert words(value, unit) == text


def test_the_table_names_each_benchmark_once_and_its_columns_are_aligned():
    item = measurement((3,), (1,), at_most=2)
    lines = table([("reads", item), ("reads", item), ("writes", item)]).splitlines()
    assert len({len(line) for line in lines}) == 1
    assert [line.split("|")[1].strip() for line in lines] == ["Benchmark", "-" * 9, "reads", "", "writes"]
    assert [cell.strip() for cell in lines[2].split("|")[-3:-1]] == ["3.00", "2"]


def unmeasurable(bench):
    raise NotMeasured("the clock stands still")


def broken(bench):
    raise ZeroDivisionError("division by zero")


def slow(bench):
    return [measurement((9,), (1,), at_most=2)]


def test_values_above_their_limit_are_no_failure(capsys):
    assert main([], {"slow": slow}) == 0
    assert "| slow " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("benchmark", "text"), [(unmeasurable, "the clock stands still"), (broken, "ZeroDivisionError: division by zero")]
)
def test_what_cannot_be_measured_is_told_and_the_others_still_are(benchmark, text, tmp_path, capsys):
    path = tmp_path / "found.json"
    assert main(["--json", str(path)], {"first": benchmark, "slow": slow}) == 1
    assert f"first could not be measured: {text}" in capsys.readouterr().err
    found = json.loads(path.read_text())
    assert found["not_measured"] == {"first": text}
    assert [(item["benchmark"], item["ratio"]) for item in found["measurements"]] == [("slow", 9)]


def test_only_the_benchmarks_asked_for_run():
    assert main(["--only", "slow"], {"first": broken, "slow": slow}) == 0


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--only", "nothing"], "nothing"),
        (["--rounds", "0"], "at least 1"),
        (["--time-scale", "0.5"], "from 1 to 1000"),
        (["--json", "/nowhere/at/all.json"], "existing directory"),
    ],
)
def test_bad_options_are_named_before_anything_runs(arguments, text, capsys):
    with pytest.raises(SystemExit) as ended:
        main(arguments, {"broken": broken})
    assert ended.value.code == 2
    assert text in capsys.readouterr().err


def load(cpu):
    return NodeLoad(cpu, 0, 0, 0, None, None, 0, 0)


def full(name, cpu):
    return NodeForecast(name, 1000, 1000, 10, load(cpu), load(cpu))


@given(sizes=st.lists(st.integers(1, 300), max_size=6), percent=st.integers(0, 100))
@settings(max_examples=60)
def test_no_smaller_set_of_departures_brings_a_node_below_the_limit(sizes, percent):
    machines = [vm(f"vm-{number}", on="full", cpu=size / 1000) for number, size in enumerate(sizes)]
    other_load = 50
    counts = [
        len(gone)
        for count in range(len(sizes) + 1)
        for gone in combinations(sizes, count)
        if other_load + sum(sizes) - sum(gone) <= percent * 10
    ]
    nodes = [full("full", other_load + sum(sizes)), full("empty", 0)]
    found = fewest_departures(snapshot([], machines), nodes, {"cpu": percent / 100})
    assert found == min(counts, default=len(sizes))


def at(second):
    return f"2026-03-01T12:00:{second:02d}Z"


def record_of(moves, times, limits):
    plan = Plan("plan-1", "", "uid", "", {}, {}, (Stage("all", (Wave(1, tuple(moves)),)),))
    record: RunRecord = new_record(plan)
    record.limits = limits
    record.stages = [StageRecord("all")]
    for item, (start, end) in zip(record.items, times, strict=True):
        item.status = "succeeded"
        item.attempts = [Attempt(1, started_at=at(start), ended_at=at(end))]
    return plan, record


def move(number):
    return Move(f"m{number}", "web", f"vm-{number}", "", f"source-{number}", f"target-{number}", "live", "")


def test_a_slot_left_empty_for_a_while_shows_in_the_pace():
    limits = {"parallel": 2, "per_source": 2, "per_target": 2}
    # two at once for 10 s; then nothing for 5 s; then the third
    plan, record = record_of([move(1), move(2), move(3)], [(0, 10), (0, 10), (15, 25)], limits)
    pace = pace_of(plan, record, wall_seconds=2.5)
    assert (pace.makespan, pace.bound, pace.staged_bound, pace.list_scheduled) == (25, 15, 15, 20)
    assert (pace.work, pace.slots, pace.wall) == (30, 2, 2.5)


def test_a_run_that_did_not_make_all_moves_has_no_pace():
    plan, record = record_of([move(1)], [(0, 10)], {"parallel": 2, "per_source": 2, "per_target": 2})
    record.items[0].status, record.items[0].message = "failed", "the target is gone"
    with pytest.raises(NotMeasured, match="1 of 1 moves.*web/vm-1: the target is gone"):
        pace_of(plan, record, wall_seconds=1)
