"""The steps of a cold move, and the note that carries it through a crash."""

from __future__ import annotations

import copy
import json

import pytest
from ansible_collections.ocpv.scale.plugins.module_utils.rebalance.plan import Move
from ansible_collections.ocpv.scale.plugins.module_utils.rebalance.run.cold import Patience, Sight, next_step
from ansible_collections.ocpv.scale.plugins.module_utils.rebalance.run.steer import (
    ANYWHERE,
    HOSTNAME,
    SOURCE,
    Note,
    make_note,
    parse_note,
    place_patch,
    restore_patch,
    retreat,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from unit.plugins.module_utils.rebalance.run.played import merge

PATIENCE = Patience(stop_seconds=100, start_seconds=500, unschedulable_seconds=60)
NOTE = Note("run", "c1", "cold", "one", "two", "host-one", "host-two", "Always", replaces="old")
ONCE = Note("run", "c1", "cold", "one", "two", "host-one", "host-two", "Once", replaces="old")
BACK = retreat(NOTE, SOURCE, "new", "target_unschedulable", "no room")
OLD = Sight("Always", "old", "Running", "one", ready=True)
NEW = Sight("Always", "new", "Running", "two", ready=True)
STUCK = Sight("Always", "new", "Scheduling", unschedulable="0/5 nodes fit")

STEPS = {
    "placed": (NOTE, OLD, False, 0, "restart"),
    "asked": (NOTE, OLD, True, 50, "wait"),
    "ending": (NOTE, Sight("Always", "old", "Running", "one", deleting=True), False, 50, "wait"),
    "does not end": (NOTE, OLD, True, 101, "finish"),
    "ended": (NOTE, Sight("Always"), True, 50, "wait"),
    "a manual one that does not come back": (
        Note(**{**NOTE.__dict__, "run_strategy": "Manual"}), Sight("Manual"), True, 150, "start",
    ),
    "does not come back": (NOTE, Sight("Always"), True, 501, "retreat"),
    "starting": (NOTE, Sight("Always", "new", "Scheduled", "two"), True, 10, "wait"),
    "running, not ready": (NOTE, Sight("Always", "new", "Running", "two"), True, 10, "wait"),
    "running": (NOTE, NEW, True, 10, "finish"),
    "never ready": (NOTE, Sight("Always", "new", "Running", "two"), True, 501, "finish"),
    "no place yet": (NOTE, STUCK, True, 30, "wait"),
    "no place": (NOTE, STUCK, True, 61, "retreat"),
    "on its way back": (BACK, STUCK, False, 0, "restart"),
    "back": (BACK, Sight("Always", "newer", "Running", "one", ready=True), True, 5, "finish"),
    "not even back": (BACK, Sight("Always", "newer", "Scheduling", unschedulable="no"), True, 61, "retreat"),
    "once": (ONCE, Sight("Once", "old", "Running", "one"), False, 0, "stop"),
    "once, stopping": (ONCE, Sight("Halted", "old", "Running", "one"), False, 5, "wait"),
    "once, stopped": (ONCE, Sight("Halted"), False, 5, "put_strategy_back"),
    "once, starting": (ONCE, Sight("Once"), True, 5, "wait"),
    "stopped by a person": (NOTE, Sight("Halted"), True, 5, "finish"),
}  # fmt: skip


@pytest.mark.parametrize(("note", "sight", "asked", "waited", "action"), STEPS.values(), ids=STEPS)
def test_the_next_step_follows_from_what_is_seen(note, sight, asked, waited, action) -> None:
    assert next_step(note, sight, asked=asked, waited_seconds=waited, patience=PATIENCE).action == action


@pytest.mark.parametrize(
    ("name", "status", "code", "reached"),
    [
        ("running", "succeeded", "", "two"),
        ("never ready", "succeeded", "", "two"),
        ("does not end", "failed", "stop_timeout", "one"),
        ("back", "failed", "target_unschedulable", "one"),
        ("stopped by a person", "failed", "stopped_by_other", ""),
    ],
)
def test_how_it_ends(name, status, code, reached) -> None:
    note, sight, asked, waited, _action = STEPS[name]
    outcome = next_step(note, sight, asked=asked, waited_seconds=waited, patience=PATIENCE).outcome
    assert (outcome.status, outcome.code, outcome.reached) == (status, code, reached)


def test_a_vm_that_nothing_takes_gets_its_own_placement_back_and_is_told() -> None:
    note = retreat(BACK, ANYWHERE, "newer", "x", "y")
    step = next_step(note, STUCK, asked=True, waited_seconds=61, patience=PATIENCE)
    assert step.action == "finish"
    assert step.outcome.code == "target_unschedulable"
    assert "does not run yet" in step.outcome.message
    assert note.hostname == ""


SELECTORS = st.one_of(
    st.none(), st.dictionaries(st.sampled_from(["zone", "disk", HOSTNAME]), st.sampled_from(["a", "b"]), max_size=3)
)


def machine(selector, strategy="Always"):
    template = {"domain": {"cpu": {"cores": 2}}}
    if selector is not None:
        template["nodeSelector"] = dict(selector)
    return {
        "metadata": {"name": "web", "resourceVersion": "7", "annotations": {"other": "kept"}},
        "spec": {"runStrategy": strategy, "template": {"spec": template}},
    }


MOVE = Move("c1", "shop", "web", "", "one", "two", "cold", "test")


@settings(max_examples=60)
@given(SELECTORS, st.sampled_from(["Always", "Once"]), st.booleans())
def test_placing_and_putting_back_leaves_nothing(selector, strategy, stopped) -> None:
    before = machine(selector, strategy)
    note = make_note(before, "run", MOVE, "host-one", "host-two", "old")
    patch = place_patch(before, note)
    placed = merge(before, patch)
    assert patch["metadata"]["resourceVersion"] == "7"
    assert placed["spec"]["template"]["spec"]["nodeSelector"] == {**(selector or {}), HOSTNAME: "host-two"}
    assert parse_note(placed["metadata"]["annotations"]["ocpv.scale/cold-move"]) == note
    if stopped and strategy == "Once":
        placed["spec"]["runStrategy"] = "Halted"
    assert merge(placed, restore_patch(placed, note)) == before


@settings(max_examples=60)
@given(SELECTORS)
def test_all_stations_of_a_retreat_can_be_put_back(selector) -> None:
    vm = machine(selector)
    before = copy.deepcopy(vm)
    note = make_note(vm, "run", MOVE, "host-one", "host-two", "old")
    for goal in (None, SOURCE, ANYWHERE):
        note = retreat(note, goal, "new", "code", "reason") if goal else note
        vm = merge(vm, place_patch(vm, note))
        assert merge(vm, restore_patch(vm, note)) == before


def test_what_somebody_changed_meanwhile_stays() -> None:
    vm = machine({"zone": "a"})
    note = make_note(vm, "run", MOVE, "host-one", "host-two", "old")
    vm = merge(vm, place_patch(vm, note))
    vm["spec"]["template"]["spec"]["nodeSelector"]["zone"] = "b"
    vm = merge(vm, restore_patch(vm, note))
    assert vm["spec"]["template"]["spec"]["nodeSelector"] == {"zone": "b"}
    vm = machine({"zone": "a", HOSTNAME: "mine"})
    assert merge(vm, restore_patch(vm, note))["spec"] == vm["spec"]


@pytest.mark.parametrize("text", ["", "no", "[]", "{}", json.dumps({**NOTE.__dict__, "goal": "moon"})])
def test_a_note_that_cannot_be_read_is_refused(text) -> None:
    with pytest.raises(ValueError):
        parse_note(text)
