"""Plans for clusters made by hand: what moves, in which order, why, and what is told about it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from ansible_collections.ocpv.scale.plugins.module_utils.cluster.model import Descheduler, Migration, Volume
from ansible_collections.ocpv.scale.plugins.module_utils.errors import InvalidInput
from ansible_collections.ocpv.scale.plugins.module_utils.rebalance.planner import make_plan
from ansible_collections.ocpv.scale.plugins.module_utils.rebalance.request import ExplicitMove, PlanRequest
from ansible_collections.ocpv.scale.plugins.module_utils.rebalance.verify import verify_plan
from unit.plugins.module_utils.rebalance.builders import (
    affinity,
    anti_affinity,
    node,
    settings,
    snapshot,
    term,
    vm,
)

TIER = "ocpv.scale/tier"


def crowded(machines=8, memory_gib=12, **more):
    """One full node, two empty ones."""
    nodes = [node("one"), node("two"), node("three")]
    return snapshot(nodes, [vm(f"m{index}", "one", memory_gib=memory_gib, **more) for index in range(machines)])


def planned(picture, **request):
    plan = make_plan(picture, PlanRequest(**request))
    assert verify_plan(picture, plan) == []
    return plan


def reasons(plan):
    return {item.name: " ".join(item.reasons) for item in plan.not_moved}


def where(picture, plan):
    places = {key: machine.node for key, machine in picture.virtual_machines.items()}
    places.update({move.key: move.target for move in plan.moves})
    return places


def test_balance_says_in_words_and_numbers_what_it_does():
    plan = planned(crowded(), resources=("memory",))
    # 96 of 128 GiB on one node: the mean is 25 %, so five of eight must go
    assert len(plan.moves) == 5
    assert plan.moves[0].reason == "one is at 75 % of memory requested, three is at 0 %" or plan.moves[
        0
    ].reason.startswith("one is at 75 % of memory requested, t")
    summary = plan.summary
    assert summary["max_level_before"] == 0.75
    assert summary["max_level_after"] == pytest.approx(0.2812, abs=1e-4)
    assert summary["lower_bound_level"] <= summary["max_level_after"]
    assert summary["moves_by_mode"] == {"live": 5, "cold": 0}
    assert summary["bytes"] > 5 * 12 * 10**9
    assert summary["duration_seconds"] >= summary["duration_lower_bound_seconds"] > 0
    loads = {item.name: item for item in plan.nodes}
    assert loads["one"].before.virtual_machines == 8 and loads["one"].after.virtual_machines == 3


def test_a_balanced_cluster_needs_no_move():
    nodes = [node("one"), node("two")]
    plan = planned(snapshot(nodes, [vm("a", "one"), vm("b", "two")]))
    assert plan.moves == () and plan.stages == () and plan.not_moved == ()
    assert plan.summary["gap_points"] == 0


def test_few_moves_are_preferred():
    nodes = [node("one", memory_gib=64), node("two", memory_gib=64)]
    machines = [vm("big", "one", memory_gib=16, cpu=1), *(vm(f"s{i}", "one", memory_gib=2, cpu=0.1) for i in range(8))]
    plan = planned(snapshot(nodes, machines), resources=("memory",))
    assert [move.name for move in plan.moves] == ["big"]


def test_an_exchange_helps_where_no_single_move_does():
    nodes = [node("one", memory_gib=32, cpu=64), node("two", memory_gib=32, cpu=64)]
    sizes = {"a": ("one", 12), "b": ("one", 8), "c": ("two", 8), "d": ("two", 4)}
    machines = [vm(name, on, memory_gib=memory) for name, (on, memory) in sizes.items()]
    plan = planned(snapshot(nodes, machines), resources=("memory",), tolerance_percent=0, keep_node_loss=False)
    assert {(move.name, move.target) for move in plan.moves} == {("b", "two"), ("d", "one")}
    assert plan.summary["max_level_after"] == plan.summary["lower_bound_level"] == 0.5


def test_max_moves_and_max_bytes_hold_and_are_told():
    plan = planned(crowded(), max_moves=2)
    assert len(plan.moves) == 2
    assert "max_moves 2 is reached" in reasons(plan)["one"]
    size = plan.moves[0].predicted.bytes
    plan = planned(crowded(), max_bytes=3 * size)
    assert len(plan.moves) == 3
    assert "max_bytes" in reasons(plan)["one"]


def test_evacuate_stops_at_the_threshold():
    plan = planned(crowded(), goal="evacuate", thresholds_percent={"memory": 60})
    # 96 GiB is 75 %, the threshold 76.8 GiB: two of 12 GiB each
    assert len(plan.moves) == 2 and plan.not_moved == ()
    assert not planned(crowded(), goal="evacuate", thresholds_percent={"cpu": 60}).moves


def test_drain_empties_the_node_and_sends_nothing_back():
    nodes = [node("one"), node("two"), node("three")]
    picture = snapshot(nodes, [vm("a", "one"), vm("b", "two"), vm("c", "two"), vm("d", "three")])
    plan = planned(picture, goal="drain", nodes=("two",))
    assert {move.key for move in plan.moves} == {"apps/b", "apps/c"}
    assert "two" not in where(picture, plan).values()
    assert plan.moves[0].reason.startswith("two is to be drained; ")


def test_drain_makes_room_where_there_is_none():
    """The large VM fits nowhere until the small one of node two has gone to node three."""
    nodes = [node("one", memory_gib=32), node("two", memory_gib=20), node("three", memory_gib=8)]
    machines = [vm("large", "one", memory_gib=16), vm("small", "two", memory_gib=6), vm("tiny", "three", memory_gib=1)]
    picture = snapshot(nodes, machines)
    plan = planned(picture, goal="drain", nodes=("one",), keep_node_loss=False, canary=0)
    assert [(move.name, move.target) for move in plan.moves] == [("small", "three"), ("large", "two")]
    assert plan.moves[1].after == (plan.moves[0].id,)
    assert "makes room on two for apps/large" in plan.moves[0].reason


def test_drain_tells_every_reason_of_what_stays():
    nodes = [node("one"), node("two", unschedulable=True), node("three", memory_gib=4)]
    machines = [
        vm("fits", "one", memory_gib=2),
        vm("large", "one", memory_gib=8),
        vm("rwo", "one", live=False),
        vm("paused", "one", conditions={"Paused": "True"}),
    ]
    plan = planned(snapshot(nodes, machines), goal="drain", nodes=("one",), keep_node_loss=False)
    told = reasons(plan)
    assert set(told) == {"apps/large", "apps/rwo", "apps/paused"}
    assert "two is cordoned" in told["apps/large"] and "three has 2.0 GiB of memory left" in told["apps/large"]
    assert "PVC disk is not shared" in told["apps/rwo"] and "could move cold" in told["apps/rwo"]
    assert "paused" in told["apps/paused"].lower()


def test_cold_moves_only_where_allowed_and_needed():
    picture = snapshot([node("one"), node("two")], [vm("live", "one"), vm("rwo", "one", live=False)])
    plan = planned(picture, goal="drain", nodes=("one",), modes=("live", "cold"))
    assert {move.name: move.mode for move in plan.moves} == {"live": "live", "rwo": "cold"}
    assert any("1 VM moves cold" in text for text in plan.warnings)
    assert [move.mode for move in plan.moves][-1] == "cold"


@pytest.mark.parametrize(
    "change",
    [
        {"has_vm": False, "owner": ""},
        {"owner": "VirtualMachinePool/p"},
        {"run_strategy": "Halted"},
    ],
)
def test_what_nobody_would_start_again_does_not_move_cold(change):
    picture = snapshot([node("one"), node("two")], [vm("a", "one", live=False, **change)])
    plan = planned(picture, goal="drain", nodes=("one",), modes=("live", "cold"))
    assert plan.moves == () and "apps/a" in reasons(plan)


def test_a_vm_that_is_migrating_is_left_alone():
    picture = snapshot([node("one"), node("two")], [vm("a", "one")])
    picture = replace(picture, migrations=(Migration("apps", "m-1", "u", "a", "Running", {}, {}),))
    plan = planned(picture, goal="drain", nodes=("one",))
    assert plan.moves == () and "m-1" in reasons(plan)["apps/a"]
    assert any("in flight" in text for text in plan.warnings)


def test_pins_selection_and_wishes():
    machines = [vm(f"m{index}", "one", memory_gib=12) for index in range(4)]
    picture = snapshot([node("one"), node("two")], machines)
    drain = {"goal": "drain", "nodes": ("one",)}
    plan = planned(picture, **drain, pins=frozenset({"apps/m0"}), selected=frozenset({"apps/m0", "apps/m1"}))
    assert [move.key for move in plan.moves] == ["apps/m1"]
    assert "pinned" in reasons(plan)["apps/m0"] and "selected" in reasons(plan)["apps/m2"]
    wish = {"descheduler.alpha.kubernetes.io/prefer-no-eviction": "true"}
    picture = snapshot([node("one"), node("two")], [vm("a", "one", annotations=wish)])
    assert planned(picture, **drain).moves == ()
    moved = planned(picture, goal="moves", moves=(ExplicitMove("apps", "a", "two"),))
    assert [move.reason for move in moved.moves] == ["asked for"]


def test_explicit_moves_come_first_and_stay():
    picture = crowded()
    plan = planned(picture, moves=(ExplicitMove("apps", "m3", "three"),))
    assert where(picture, plan)["apps/m3"] == "three"
    refused = planned(
        snapshot([node("one"), node("two", unschedulable=True)], [vm("a", "one"), vm("off")]),
        goal="moves",
        moves=(ExplicitMove("apps", "a", "two"), ExplicitMove("apps", "off", "two")),
    )
    assert "two is cordoned" in reasons(refused)["apps/a"]
    assert "does not run" in reasons(refused)["apps/off"]


def test_two_vms_swap_places_through_a_third_node():
    nodes = [node("one", memory_gib=10), node("two", memory_gib=10), node("spare", memory_gib=10)]
    picture = snapshot(nodes, [vm("a", "one", memory_gib=8), vm("b", "two", memory_gib=8)])
    moves = (ExplicitMove("apps", "a", "two"), ExplicitMove("apps", "b", "one"))
    plan = planned(picture, goal="moves", moves=moves, keep_node_loss=False)
    assert where(picture, plan) == {"apps/a": "two", "apps/b": "one"}
    assert len(plan.moves) == 3 and "parked" in plan.moves[0].reason
    assert plan.moves[2].after and plan.moves[0].key == plan.moves[2].key
    without_spare = snapshot(nodes[:2], picture.virtual_machines.values())
    plan = planned(without_spare, goal="moves", moves=moves, keep_node_loss=False)
    assert plan.moves == () and set(reasons(plan)) == {"apps/a", "apps/b"}


def test_anti_affinity_members_wait_for_each_other():
    """a may go where b is only after b has left."""
    db = {"app": "db"}
    rule = {"affinity": anti_affinity(term(db))}
    picture = snapshot(
        [node("one"), node("two"), node("three")],
        [vm("a", "one", labels=db, spec=rule), vm("b", "two", labels=db, spec=rule)],
    )
    moves = (ExplicitMove("apps", "a", "two"), ExplicitMove("apps", "b", "three"))
    plan = planned(picture, goal="moves", moves=moves, canary=0)
    assert [move.name for move in plan.moves] == ["b", "a"]
    assert plan.moves[1].after == (plan.moves[0].id,)
    assert len([wave for stage in plan.stages for wave in stage.waves]) == 2


def test_affinity_keeps_friends_together():
    web = {"app": "web"}
    follower = vm("f", "one", spec={"affinity": affinity(term(web))}, memory_gib=4)
    leader = vm("l", "one", labels=web, memory_gib=4)
    picture = snapshot([node("one", memory_gib=10), node("two", memory_gib=10)], [follower, leader])
    plan = planned(picture, goal="evacuate", thresholds_percent={"memory": 50}, keep_node_loss=False)
    assert plan.moves == ()


def test_stages_go_from_canary_to_critical():
    machines = [
        vm(f"{tier}{index}", "one", memory_gib=8, labels={TIER: tier} if tier else {})
        for tier in ("dev-test", "critical", "non-critical", "")
        for index in range(3)
    ]
    picture = snapshot([node("one"), node("two"), node("three")], machines)
    drain = {"goal": "drain", "nodes": ("one",)}
    plan = planned(picture, **drain, canary=1, wave_size=2)
    assert [(stage.name, len(stage.moves)) for stage in plan.stages] == [
        ("canary", 1), ("dev-test", 2), ("non-critical", 6), ("critical", 3),
    ]  # fmt: skip
    assert [len(wave.moves) for wave in plan.stages[2].waves] == [2, 2, 2]
    assert plan.stages[0].moves[0].name.startswith("dev-test")
    ends = [max(move.predicted.end_seconds for move in stage.moves) for stage in plan.stages]
    starts = [min(move.predicted.start_seconds for move in stage.moves) for stage in plan.stages]
    assert all(end <= start for end, start in zip(ends, starts[1:], strict=False))
    plan = planned(picture, **drain, default_tier="critical")
    assert len(plan.stages[-1].moves) == 6
    plan = planned(picture, **drain, stages=False)
    assert [(stage.name, len(stage.moves)) for stage in plan.stages] == [("all", 12)]


def test_the_namespace_says_the_tier_of_its_vms():
    picture = snapshot(
        [node("one"), node("two")],
        [vm(f"m{index}", "one", namespace="shop") for index in range(3)],
        namespaces={"shop": {TIER: "critical"}},
    )
    plan = planned(picture, goal="drain", nodes=("one",), canary=0)
    assert [stage.name for stage in plan.stages] == ["critical"]


def test_an_unknown_tier_is_named():
    picture = snapshot([node("one"), node("two")], [vm("a", "one", labels={TIER: "urgent"})])
    with pytest.raises(InvalidInput, match=r"VM apps/a.*'urgent'.*dev-test, non-critical, critical"):
        planned(picture)


def test_basis_used_and_allocated():
    machines = [
        vm("busy", "one", cpu=1, vcpus=1, used_cpu=12, used_memory_gib=4),
        vm("calm", "one", cpu=1, vcpus=16, used_cpu=1, used_memory_gib=4),
    ]
    picture = snapshot(
        [node("one", used_cpu=13, used_memory_gib=8), node("two", used_cpu=0, used_memory_gib=0)], machines
    )
    used = planned(picture, basis="used", resources=("cpu",), keep_node_loss=False)
    assert len(used.moves) == 1
    assert used.moves[0].reason.startswith("one is at 41 % of CPU used")
    allocated = planned(picture, basis="allocated", resources=("cpu",), keep_node_loss=False)
    assert allocated.moves[0].reason == "one is at 53 % of CPU allocated, two at 0 %"
    assert not planned(picture, basis="requested", resources=("cpu",)).moves
    unmeasured = snapshot([node("one"), node("two")], machines)
    with pytest.raises(InvalidInput, match="metrics"):
        planned(unmeasured, basis="used")


def test_limits_are_the_clusters_or_less():
    picture = crowded()
    plan = planned(picture)
    assert plan.limits["parallel_migrations_per_cluster"] == 5
    assert plan.limits["parallel_outbound_migrations_per_node"] == 2
    assert plan.limits["source"] == "KubeVirt's built-in defaults"
    wanted = {"parallel_migrations_per_cluster": 50, "parallel_outbound_migrations_per_node": 1}
    plan = planned(picture, limits=wanted)
    assert plan.limits["parallel_migrations_per_cluster"] == 5
    assert plan.limits["parallel_outbound_migrations_per_node"] == 1


def warnings_of(picture, **request):
    return " ".join(make_plan(picture, PlanRequest(**request)).warnings)


def test_warnings():
    picture = crowded(machines=4, vcpus=80)
    assert "vCPUs per CPU" in warnings_of(picture)
    assert "no metrics" in warnings_of(picture)
    assert "old" in warnings_of(picture, created_at="2026-03-01T13:00:00Z")
    assert "old" not in warnings_of(picture, created_at="2026-03-01T12:05:00Z")
    assert "keep_node_loss" in warnings_of(picture, keep_node_loss=False)
    relieving = Descheduler("Automatic", ("KubeVirtRelieveAndMigrate",))
    assert "descheduler is Automatic" in warnings_of(replace(picture, descheduler=relieving))
    assert "descheduler" not in warnings_of(replace(picture, descheduler=replace(relieving, mode="Predictive")))
    unread = replace(picture.virtualization, settings=None)
    assert "limits in force could not be read" in warnings_of(replace(picture, virtualization=unread))
    outdated = replace(picture.virtualization, outdated_instances=7)
    assert "7 VMs still run on an outdated launcher" in warnings_of(replace(picture, virtualization=outdated))
    assert "holds no policies" in warnings_of(replace(picture, missing={"policies": "forbidden"}))


def test_what_would_not_converge_or_time_out_is_not_started_in_hope():
    picture = snapshot([node("one"), node("two")], [vm("hot", "one", dirty_rate=5e9)])
    plan = planned(picture, goal="drain", nodes=("one",))
    assert plan.moves == () and "r >= 1" in reasons(plan)["apps/hot"]
    plan = planned(picture, goal="drain", nodes=("one",), modes=("live", "cold"))
    assert [move.mode for move in plan.moves] == ["cold"]
    slow = settings(bandwidth_bytes_per_second=10 * 1024**2, completion_timeout_per_gib=20)
    picture = snapshot(
        [node("one"), node("two")], [vm("large", "one", memory_gib=32)], virtualization={"settings": slow}
    )
    assert "gives up" in reasons(planned(picture, goal="drain", nodes=("one",)))["apps/large"]


def test_node_loss_stays_survivable():
    """Three nodes at half load: balance may not concentrate so much on one that its loss could not be absorbed."""
    nodes = [node(name, memory_gib=24, cpu=64) for name in ("one", "two", "three")]
    machines = [vm(f"a{i}", "one", memory_gib=4) for i in range(4)] + [vm("b", "two", memory_gib=8)]
    picture = snapshot(nodes, machines)
    plan = planned(picture, resources=("memory",))
    assert plan.summary["node_loss"]["unsafe_before"] == [] == plan.summary["node_loss"]["unsafe_after"]
    unsafe = snapshot(nodes[:2], [vm("a", "one", memory_gib=20), vm("b", "two", memory_gib=20)])
    plan = planned(unsafe)
    assert plan.summary["node_loss"]["unsafe_before"] == ["one", "two"]
    assert any("Already before the plan" in text for text in plan.warnings)


def test_a_host_disk_is_never_left_behind():
    volume = Volume("data", "hostDisk", device="disk")
    picture = snapshot([node("one"), node("two")], [vm("a", "one", live=False, spec={"volumes": (volume,)})])
    plan = planned(picture, goal="drain", nodes=("one",), modes=("live", "cold"))
    assert plan.moves == ()
