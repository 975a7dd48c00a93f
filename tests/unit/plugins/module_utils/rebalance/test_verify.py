"""Edited plans: each mistake that an editor, or time, can make is found and named."""

from __future__ import annotations

from dataclasses import replace

import pytest
from ansible_collections.ocpv.scale.plugins.module_utils.errors import InvalidInput
from ansible_collections.ocpv.scale.plugins.module_utils.rebalance.plan import Move, Plan, Stage, Wave
from ansible_collections.ocpv.scale.plugins.module_utils.rebalance.planner import make_plan
from ansible_collections.ocpv.scale.plugins.module_utils.rebalance.request import PlanRequest
from ansible_collections.ocpv.scale.plugins.module_utils.rebalance.review import review
from ansible_collections.ocpv.scale.plugins.module_utils.rebalance.verify import made_already, verify_plan
from unit.plugins.module_utils.rebalance.builders import anti_affinity, launcher, node, pod, snapshot, term, vm

LOOSE = {"keep_node_loss": False}


def move(number, name, source, target, mode="live", after=(), uid=""):
    return Move(f"m{number}", "apps", name, uid, source, target, mode, "", after=after)


def plan_of(*waves, rules=LOOSE, **request):
    stage = Stage("critical", tuple(Wave(index, tuple(wave)) for index, wave in enumerate(waves, start=1)))
    return Plan("p", "", "cluster-1", "", {"rules": rules, **request}, {}, (stage,))


def codes(picture, plan):
    return {(problem.move, problem.code) for problem in verify_plan(picture, plan)}


def picture(**more):
    nodes = [node("one"), node("two", memory_gib=10), node("cordoned", unschedulable=True), node("three")]
    machines = [vm("a", "one", memory_gib=6), vm("b", "one", memory_gib=6), vm("rwo", "one", live=False), vm("off")]
    return snapshot(nodes, machines, **more)


@pytest.mark.parametrize(
    ("edited", "expected"),
    [
        (move(1, "a", "one", "two"), set()),
        (move(1, "ghost", "one", "two"), {"vm_gone"}),
        (move(1, "a", "one", "two", uid="another"), {"vm_replaced"}),
        (move(1, "a", "three", "two"), {"elsewhere"}),
        (move(1, "off", "one", "two"), {"elsewhere"}),
        (move(1, "a", "one", "nowhere"), {"node_unknown"}),
        (move(1, "a", "one", "cordoned"), {"node_cordoned"}),
        (move(1, "rwo", "one", "two"), {"not_movable"}),
        (move(1, "rwo", "one", "two", "cold"), set()),
        (move(1, "a", "one", "two", after=("m9",)), {"after"}),
    ],
)
def test_single_moves(edited, expected):
    assert {code for _id, code in codes(picture(), plan_of([edited]))} == expected


def test_arrivals_of_a_wave_are_charged_before_anything_leaves():
    both = [move(1, "a", "one", "two"), move(2, "b", "one", "two")]
    assert codes(picture(), plan_of(both)) == {("m2", "no_memory"), ("m2", "over_allocated")}
    nodes = [node("one", memory_gib=10), node("two", memory_gib=10), node("three", memory_gib=10)]
    machines = [vm("a", "one", memory_gib=6), vm("b", "two", memory_gib=6)]
    full = snapshot(nodes, machines)
    leaves, arrives = move(1, "b", "two", "three"), move(2, "a", "one", "two")
    assert codes(full, plan_of([leaves, arrives])) == {("m2", "no_memory"), ("m2", "over_allocated")}
    assert codes(full, plan_of([leaves], [arrives])) == set()
    assert codes(full, plan_of([leaves, replace(arrives, after=("m1",))])) == set()


def test_a_broken_move_breaks_what_waits_for_it_and_what_needs_its_room():
    nodes = [node("one", memory_gib=10), node("two", memory_gib=10), node("three", memory_gib=10)]
    machines = [vm("a", "one", memory_gib=6), vm("b", "two", memory_gib=6), vm("c", "one", memory_gib=1)]
    full = snapshot(nodes, machines)
    wrong = move(1, "b", "two", "nowhere")
    plan = plan_of([wrong], [move(2, "a", "one", "two"), move(3, "c", "one", "three", after=("m1",))])
    found = codes(full, plan)
    assert {("m1", "node_unknown"), ("m2", "no_memory"), ("m3", "after")} <= found


def test_moves_that_wait_for_each_other():
    circle = [move(1, "a", "one", "two", after=("m2",)), move(2, "b", "one", "three", after=("m1",))]
    assert codes(picture(), plan_of(circle)) == {("m1", "circle"), ("m2", "circle")}


def test_rules_between_pods_without_counters():
    db = {"app": "db"}
    away = {"affinity": anti_affinity(term(db))}
    nodes = [node("one"), node("two"), node("three")]
    full = snapshot(nodes, [vm("a", "one", labels=db, spec=away), vm("b", "two", labels=db, spec=away)])
    assert codes(full, plan_of([move(1, "a", "one", "two")])) == {("m1", "anti_affinity")}
    both = [move(1, "a", "one", "three"), move(2, "b", "two", "three")]
    assert codes(full, plan_of(both)) == {("m2", "anti_affinity")}
    keeps = pod("p", "two", namespace="apps", anti_affinity=[term(db)])
    guarded = snapshot(nodes, [vm("a", "one", labels=db)], [keeps])
    assert codes(guarded, plan_of([move(1, "a", "one", "two")])) == {("m1", "anti_affinity")}


def test_rules_of_the_plan_hold():
    plan = plan_of([move(1, "a", "one", "two")], rules={**LOOSE, "headroom_memory_percent": 50})
    assert codes(picture(), plan) == {("m1", "no_memory")}
    assert codes(picture(), plan_of([move(1, "a", "one", "two")], rules={**LOOSE, "closed_nodes": ["two"]})) == {
        ("m1", "node_closed")
    }
    assert codes(picture(), plan_of([move(1, "a", "one", "two")], pins=["apps/a"])) == {("m1", "pinned")}


def test_another_cluster():
    plan = replace(plan_of([move(1, "a", "one", "two")]), cluster_uid="elsewhere")
    assert codes(picture(), plan) == {("", "other_cluster")}


def test_a_migration_in_flight_holds_room_on_its_target():
    machine = vm("a", "one", memory_gib=6)
    nodes = [node("one"), node("two", memory_gib=10)]
    full = snapshot(nodes, [machine, vm("b", "one", memory_gib=6)], [launcher(machine, on="two", uid="target")])
    assert ("m1", "no_memory") in codes(full, plan_of([move(1, "b", "one", "two")]))


@pytest.mark.parametrize(
    "rules",
    [
        {"basis": "guessed"},
        {"headroom_cpu_percent": 150},
        {"headroom_cpu_percent": "ten"},
        {"keep_node_loss": "yes"},
        {"closed_nodes": "one"},
        {"no_such_rule": 1},
        {"allow_over_percent": 50},
    ],
)
def test_rules_that_cannot_be_read_are_named(rules):
    with pytest.raises(InvalidInput, match=next(iter(rules))):
        verify_plan(picture(), plan_of([move(1, "a", "one", "two")], rules=rules))


def drained():
    nodes = [node("one"), node("two"), node("three")]
    full = snapshot(nodes, [vm(f"m{index}", "one", memory_gib=4) for index in range(4)])
    return full, make_plan(full, PlanRequest(goal="drain", nodes=("one",)))


def test_review_of_an_unchanged_plan_changes_nothing_but_what_is_told():
    full, plan = drained()
    again, problems = review(full, plan)
    assert problems == []
    assert again.to_dict() == {**plan.to_dict(), "not_moved": again.to_dict()["not_moved"]}
    assert again.digest == plan.digest


def test_review_of_an_edited_plan_tells_times_loads_and_problems_anew():
    full, plan = drained()
    stage = plan.stages[0]
    first = stage.waves[0].moves[0]
    other = "three" if first.target == "two" else "two"
    changed = replace(stage.waves[0], moves=(replace(first, target=other), *stage.waves[0].moves[1:]))
    edited = replace(plan, stages=(replace(stage, waves=(changed, *stage.waves[1:])), *plan.stages[1:]))
    again, problems = review(full, edited)
    assert problems == [] and again.digest == edited.digest != plan.digest
    loads = {item.name: item.after.virtual_machines for item in again.nodes}
    assert loads != {item.name: item.after.virtual_machines for item in plan.nodes}
    broken = replace(changed, moves=(replace(first, target="one-too-many"), *changed.moves[1:]))
    edited = replace(plan, stages=(replace(stage, waves=(broken, *stage.waves[1:])), *plan.stages[1:]))
    again, problems = review(full, edited)
    assert [(problem.move, problem.code) for problem in problems] == [(first.id, "node_unknown")]
    assert {item.name: item.after.virtual_machines for item in again.nodes}["one"] == 1


def test_moves_that_are_made_already_are_told_and_are_no_problem():
    two_steps = plan_of([move(1, "a", "three", "two")], [move(2, "a", "two", "one")], [move(3, "b", "one", "three")])
    assert made_already(picture(), two_steps) == {"m1", "m2"}
    assert codes(picture(), two_steps) == set()
    waits = plan_of([move(1, "a", "three", "one")], [move(2, "b", "one", "three", after=("m1",))])
    assert codes(picture(), waits) == set()
    again, problems = review(picture(), waits)
    assert problems == []
    assert {load.name: load.after.virtual_machines for load in again.nodes if load.after.virtual_machines} == {
        "one": 2,
        "three": 1,
    }
    assert made_already(picture(), plan_of([move(1, "a", "three", "one", uid="another")])) == set()
    # on its way home a VM is where it began
    around = plan_of([move(1, "a", "one", "two")], [move(2, "a", "two", "one")])
    assert made_already(picture(), around) == set()


def test_review_predicts_by_the_limits_in_force_and_leaves_those_of_the_plan():
    full, plan = drained()
    eager = replace(plan, limits={**plan.limits, "parallel_outbound_migrations_per_node": 90})
    again = review(full, eager)[0]
    assert again.digest == eager.digest
    assert again.summary["duration_seconds"] == plan.summary["duration_seconds"]
    with pytest.raises(InvalidInput, match="parallel_migrations_per_cluster"):
        review(full, replace(plan, limits={**plan.limits, "parallel_migrations_per_cluster": 0}))
