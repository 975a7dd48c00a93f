"""A whole run on a played cluster: what is reached, what is kept to, and what happens when it is cut off anywhere."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from ansible_collections.ocpv.scale.plugins.module_utils import names
from ansible_collections.ocpv.scale.plugins.module_utils.errors import ApiError, Unreachable
from ansible_collections.ocpv.scale.plugins.module_utils.rebalance.plan import Move, Plan, Prediction, Stage, Wave
from ansible_collections.ocpv.scale.plugins.module_utils.rebalance.run.feed import SYNC, Event
from ansible_collections.ocpv.scale.plugins.module_utils.rebalance.run.lease import LeaseUncertain
from ansible_collections.ocpv.scale.plugins.module_utils.rebalance.run.live import MIGRATIONS
from ansible_collections.ocpv.scale.plugins.module_utils.rebalance.run.operation import Run
from ansible_collections.ocpv.scale.plugins.module_utils.rebalance.run.options import RunOptions
from unit.plugins.module_utils.rebalance.run.played import Killed, PlayedCluster, PlayedFeed, PlayedLease

WRITES = ("create", "patch", "delete", "restart", "stop", "start")


def move(identity: str, key: str, target: str, mode: str = "live", after: tuple[str, ...] = ()) -> Move:
    namespace, name = key.split("/")
    predicted = Prediction(duration_seconds=10.0, end_seconds=20.0)
    return Move(identity, namespace, name, "", "", target, mode, "test", after=after, predicted=predicted)


def plan_of(cluster: PlayedCluster, stages: dict[str, list[Move]], **limits: int) -> Plan:
    """Return a plan with these moves; sources and UIDs are taken from the cluster."""
    made = []
    for name, moves in stages.items():
        whole = []
        for wanted in moves:
            vm = cluster.vm(wanted.key)
            values = {**wanted.__dict__, "source": cluster.node_of(wanted.key), "uid": vm["metadata"]["uid"]}
            whole.append(Move(**values))
        made.append(Stage(name, (Wave(1, tuple(whole)),)))
    return Plan(
        id="plan-test",
        created_at=cluster.server_time,
        cluster_uid=cluster.objects[("namespaces", "", "kube-system")]["metadata"]["uid"],
        snapshot_at=cluster.server_time,
        request={"rules": {"keep_node_loss": False}},
        limits=limits,
        stages=tuple(made),
    )


def call(
    cluster: PlayedCluster,
    plan: Plan,
    *,
    feed: type[PlayedFeed] = PlayedFeed,
    lease: type[PlayedLease] = PlayedLease,
    **options: Any,
) -> dict[str, Any]:
    """Execute the plan once, in a process of its own as it were."""
    run = Run(
        cluster,  # type: ignore[arg-type]
        RunOptions(**options),
        plan,
        plan.to_dict(),
        clock=cluster.clock,
        sleep=cluster.step,
        lease=lease(),  # type: ignore[arg-type]
        watch=lambda gateway, topics: feed(cluster),  # type: ignore[arg-type,return-value]
    )
    return run.execute(lambda text: None)


def statuses(result: dict[str, Any]) -> dict[str, str]:
    return {item["id"]: item["status"] for item in result["run"]["moves"]}


def by_id(result: dict[str, Any], identity: str) -> dict[str, Any]:
    return next(item for item in result["run"]["moves"] if item["id"] == identity)


@pytest.fixture
def cluster() -> PlayedCluster:
    return PlayedCluster()


def mixed(cluster: PlayedCluster) -> Plan:
    """Live moves in two stages, and cold ones of VMs with each run strategy."""
    return plan_of(
        cluster,
        {
            "canary": [move("m1", "shop/web-01", "worker-10")],
            "non-critical": [
                move("m2", "shop/web-02", "worker-11"),
                move("m3", "shop/web-04", "worker-12", after=("m2",)),
                move("m4", "shop/app-01", "worker-10"),
                move("c1", "lab/once-01", "worker-09", "cold"),
                move("c2", "lab/manual-01", "worker-11", "cold"),
                move("c3", "lab/zone-b-01", "worker-08", "cold"),
                move("c4", "lab/running-true-01", "worker-12", "cold"),
            ],
        },
    )


def test_every_move_is_made_and_a_second_call_changes_nothing(cluster: PlayedCluster) -> None:
    plan = mixed(cluster)
    result = call(cluster, plan)
    assert result["run"]["status"] == "completed"
    assert set(statuses(result).values()) == {"succeeded"}, result["run"]["moves"]
    assert result["changed"]
    assert {item.id: cluster.node_of(item.key) for item in plan.moves} == {item.id: item.target for item in plan.moves}
    before = dict(cluster.written)
    again = call(cluster, plan)
    assert not again["changed"]
    assert again["run"] == result["run"]
    assert dict(cluster.written) == before


class LateLease(PlayedLease):
    """One that is not renewed in time every third time, from the first write on."""

    def __init__(self) -> None:
        self._asked = 0

    def assert_held(self) -> None:
        self._asked += 1
        if self._asked % 3 == 1:
            raise LeaseUncertain("the Lease could not be renewed for 3 s")


@pytest.mark.parametrize("patience_seconds", [300, 0])
def test_a_lease_that_is_renewed_late_is_waited_for(cluster: PlayedCluster, patience_seconds: int) -> None:
    plan = mixed(cluster)
    if not patience_seconds:
        with pytest.raises(LeaseUncertain):
            call(cluster, plan, lease=LateLease, api_patience_seconds=0)
        assert not cluster.of("virtualmachineinstancemigrations")
        return
    result = call(cluster, plan, lease=LateLease, api_patience_seconds=patience_seconds)
    assert set(statuses(result).values()) == {"succeeded"}, result["run"]["moves"]


def test_a_cold_move_puts_placement_and_run_strategy_back(cluster: PlayedCluster) -> None:
    keys = ("lab/once-01", "lab/zone-b-01", "lab/running-true-01", "lab/manual-01")
    before = {key: cluster.vm(key)["spec"] for key in keys}
    call(cluster, mixed(cluster))
    for key in keys:
        assert cluster.vm(key)["spec"] == before[key]
        assert names.COLD_MOVE not in (cluster.vm(key)["metadata"].get("annotations") or {})


def test_a_stopped_vm_is_neither_started_nor_moved(cluster: PlayedCluster) -> None:
    plan = plan_of(cluster, {"non-critical": [move("c1", "lab/manual-01", "worker-11", "cold")]})
    vmi = cluster.vmi("lab/manual-01")
    cluster.drop(("virtualmachineinstances", "lab", "manual-01"))
    result = call(cluster, plan)
    assert by_id(result, "c1")["code"] == "not_running"
    assert ("virtualmachineinstances", "lab", vmi["metadata"]["name"]) not in cluster.objects


@pytest.mark.parametrize(("parallel", "per_source"), [(1, 1), (3, 2), (4, 1)])
def test_limits_are_kept_and_used(parallel: int, per_source: int) -> None:
    cluster = PlayedCluster(parallel=100, per_source=100)
    keys = [key for key in (f"shop/web-{number:02}" for number in range(1, 25)) if cluster.node_of(key) < "worker-05"]
    plan = plan_of(
        cluster,
        {"non-critical": [move(f"m{index}", key, f"worker-{9 + index % 4:02}") for index, key in enumerate(keys)]},
    )
    result = call(cluster, plan, max_parallel=parallel, max_per_source=per_source)
    assert set(statuses(result).values()) == {"succeeded"}
    assert cluster.most_parallel == parallel
    assert max(cluster.most_leaving.values()) == per_source
    assert result["run"]["limits"]["parallel"] == parallel


def test_limits_lowered_in_the_cluster_hold_from_then_on() -> None:
    cluster = PlayedCluster(parallel=6, per_source=6)
    keys = [f"shop/web-{number:02}" for number in range(1, 19)]
    plan = plan_of(
        cluster,
        {
            "dev-test": [move(f"a{index}", key, f"worker-{10 + index % 3}") for index, key in enumerate(keys[:6])],
            "critical": [move(f"b{index}", key, f"worker-{10 + index % 3}") for index, key in enumerate(keys[8:])],
        },
    )
    lowered: list[int] = []

    def lower(verb: str, plural: str) -> None:
        if verb == "create" and plural.endswith("migrations") and cluster.written["create " + plural] == 8:
            cluster.limits(2, 1)
            lowered.append(cluster.most_parallel)
            cluster.most_parallel = 0

    cluster.answered = lower
    result = call(cluster, plan, max_per_target=10)
    assert set(statuses(result).values()) <= {"succeeded", "skipped"}
    assert lowered and lowered[0] > 2
    seen = [item for item in cluster.changes if item.kind == "migrations" and item.object["status"].get("phase")]
    assert seen


def test_what_others_migrate_takes_their_slots(cluster: PlayedCluster) -> None:
    foreign = {
        "metadata": {"name": "kubevirt-evacuation-x", "namespace": "shop"},
        "spec": {"vmiName": "web-05", "addedNodeSelector": {"kubernetes.io/hostname": "worker-12"}},
    }
    from ansible_collections.ocpv.scale.plugins.module_utils.cluster.resources import MIGRATIONS

    cluster.create(MIGRATIONS, foreign, namespace="shop")
    cluster.hanging.add("shop/web-05")
    plan = plan_of(
        cluster,
        {"non-critical": [move(f"m{n}", f"shop/web-{n:02}", "worker-11") for n in (1, 2, 3)]},
    )
    result = call(cluster, plan, max_parallel=2)
    assert set(statuses(result).values()) == {"succeeded"}
    assert cluster.most_parallel == 2


class LateFeed(PlayedFeed):
    """After a watch has expired, hands on a list of migrations that was read before the first one was made."""

    late = True

    def poll(self, timeout_seconds: float) -> list[Event]:
        found = super().poll(timeout_seconds)
        if self.late and any(event.kind == MIGRATIONS for event in found):
            self.late = False
            found.append(Event(MIGRATIONS, SYNC, []))
        return found


def test_a_list_from_before_a_migration_was_made_does_not_end_it(cluster: PlayedCluster) -> None:
    plan = plan_of(cluster, {"non-critical": [move("m1", "shop/web-01", "worker-10")]})
    result = call(cluster, plan, feed=LateFeed)
    assert statuses(result) == {"m1": "succeeded"}
    assert len(by_id(result, "m1")["attempts"]) == 1


def test_a_failure_is_tried_again_and_told_with_all_attempts(cluster: PlayedCluster) -> None:
    cluster.failures["shop/web-01"] = 1
    plan = plan_of(cluster, {"non-critical": [move("m1", "shop/web-01", "worker-10")]})
    result = call(cluster, plan, retry_delay_seconds=5)
    item = by_id(result, "m1")
    assert item["status"] == "succeeded"
    assert [attempt["result"] for attempt in item["attempts"]] == ["failed", "succeeded"]
    assert "qemu unexpectedly closed" in item["attempts"][0]["reason"]
    assert [attempt["migration"][-2:] for attempt in item["attempts"]] == ["-1", "-2"]


def test_a_failed_canary_stops_before_the_next_stage(cluster: PlayedCluster) -> None:
    cluster.failures["shop/web-01"] = 9
    result = call(cluster, mixed(cluster), retry_delay_seconds=1)
    assert result["run"]["status"] == "stopped"
    assert statuses(result)["m1"] == "failed"
    assert {statuses(result)[key] for key in ("m2", "m3", "c1")} == {"not_attempted"}
    assert "canary" in result["run"]["message"]


def test_running_a_stopped_run_again_goes_on_and_retries_only_if_asked(cluster: PlayedCluster) -> None:
    plan = mixed(cluster)
    cluster.failures["shop/web-01"] = 2
    call(cluster, plan, retry_delay_seconds=1)
    result = call(cluster, plan)
    assert result["resumed"] == 1
    assert result["run"]["status"] == "completed"
    assert statuses(result) == {**dict.fromkeys(statuses(result), "succeeded"), "m1": "failed"}
    assert not call(cluster, plan)["changed"]
    result = call(cluster, plan, retry_failed=True)
    assert set(statuses(result).values()) == {"succeeded"}
    assert [attempt["number"] for attempt in by_id(result, "m1")["attempts"]] == [1, 2, 3]


def test_a_stage_in_which_too_many_fail_stops(cluster: PlayedCluster) -> None:
    keys = [f"shop/web-{number:02}" for number in (1, 2, 3, 4, 5, 6, 7, 8)]
    for key in keys[:2]:
        cluster.failures[key] = 1
    plan = plan_of(
        cluster,
        {
            "dev-test": [move(f"m{n}", key, "worker-12") for n, key in enumerate(keys)],
            "critical": [move("last", "shop/app-01", "worker-11")],
        },
    )
    result = call(cluster, plan, attempts=1, max_parallel=1, stop_percent=50, judge_minimum=3)
    assert result["run"]["status"] == "stopped"
    assert result["counts"]["failed"] == 2
    assert statuses(result)["last"] == "not_attempted"


def test_a_migration_that_never_ends_is_cancelled(cluster: PlayedCluster) -> None:
    cluster.hanging.add("shop/web-01")
    plan = plan_of(
        cluster,
        {"non-critical": [move("m1", "shop/web-01", "worker-10"), move("m2", "shop/web-02", "worker-11")]},
    )
    result = call(cluster, plan, migration_timeout_seconds=60, attempts=1, stop_percent=0)
    assert statuses(result) == {"m1": "failed", "m2": "succeeded"}
    assert by_id(result, "m1")["code"] == "migration_timeout"
    assert cluster.node_of("shop/web-01") == plan.moves[0].source
    left = [item for key, item in cluster.of("virtualmachineinstancemigrations") if key[2].endswith("m1-1")]
    assert not left


def test_a_target_that_has_no_place_is_told_with_the_remedy(cluster: PlayedCluster) -> None:
    cluster.unplaceable.add("shop/web-01")
    plan = plan_of(cluster, {"non-critical": [move("m1", "shop/web-01", "worker-10")]})
    result = call(cluster, plan, attempts=1)
    assert by_id(result, "m1")["status"] == "failed"
    assert by_id(result, "m1")["hint"]


def test_a_cold_move_that_cannot_start_goes_back_where_it_was(cluster: PlayedCluster) -> None:
    cluster.unplaceable.add("lab/manual-01")
    plan = plan_of(cluster, {"non-critical": [move("c1", "lab/manual-01", "worker-11", "cold")]})
    spec = cluster.vm("lab/manual-01")["spec"]
    result = call(cluster, plan)
    item = by_id(result, "c1")
    assert item["status"] == "failed"
    assert item["code"] == "target_unschedulable"
    assert item["reached"] == plan.moves[0].source
    assert cluster.node_of("lab/manual-01") == plan.moves[0].source
    assert cluster.vm("lab/manual-01")["spec"] == spec


def gone(cluster: PlayedCluster, key: str) -> None:
    namespace, name = key.split("/")
    cluster.drop(("virtualmachines", namespace, name))
    cluster.drop(("virtualmachineinstances", namespace, name))


def elsewhere(cluster: PlayedCluster, key: str) -> None:
    cluster.vmi(key)["status"]["nodeName"] = "worker-09"


def there_already(cluster: PlayedCluster, key: str) -> None:
    cluster.vmi(key)["status"]["nodeName"] = "worker-10"


def replaced(cluster: PlayedCluster, key: str) -> None:
    cluster.vm(key)["metadata"]["uid"] = "another"


def not_migratable(cluster: PlayedCluster, key: str) -> None:
    for condition in cluster.vmi(key)["status"]["conditions"]:
        if condition["type"] == "LiveMigratable":
            condition.update(status="False", reason="DisksNotLiveMigratable", message="PVC root is not shared")


def cordoned(cluster: PlayedCluster, key: str) -> None:
    cluster.objects[("nodes", "", "worker-10")]["spec"]["unschedulable"] = True


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (gone, "vm_gone"),
        (elsewhere, "moved_elsewhere"),
        (there_already, "already_there"),
        (replaced, "vm_replaced"),
        (not_migratable, "not_migratable"),
        (cordoned, "node_cordoned"),
    ],
    ids=lambda value: value.__name__ if callable(value) else value,
)
def test_a_move_that_no_longer_fits_is_skipped_and_named(
    cluster: PlayedCluster, change: Callable[[PlayedCluster, str], None], code: str
) -> None:
    plan = plan_of(
        cluster,
        {"non-critical": [move("m1", "shop/web-01", "worker-10"), move("m2", "shop/web-02", "worker-11")]},
    )
    change(cluster, "shop/web-01")
    result = call(cluster, plan)
    assert statuses(result) == {"m1": "skipped", "m2": "succeeded"}
    assert by_id(result, "m1")["code"] == code
    assert "m1" not in {item["metadata"]["labels"].get(names.MOVE) for _key, item in
                        cluster.of("virtualmachineinstancemigrations")}  # fmt: skip


def test_a_move_that_needs_one_that_failed_is_not_made(cluster: PlayedCluster) -> None:
    cluster.failures["shop/web-02"] = 9
    plan = plan_of(
        cluster,
        {
            "non-critical": [
                move("m1", "shop/web-02", "worker-10"),
                move("m2", "shop/web-03", "worker-11", after=("m1",)),
            ]
        },
    )
    result = call(cluster, plan, attempts=1, stop_percent=0)
    assert statuses(result) == {"m1": "failed", "m2": "skipped"}
    assert by_id(result, "m2")["code"] == "dependency_failed"


@pytest.mark.parametrize(("request_", "status"), [("pause", "paused"), ("stop", "stopped")])
def test_people_can_ask_a_run_to_end(cluster: PlayedCluster, request_: str, status: str) -> None:
    plan = mixed(cluster)

    def ask(verb: str, plural: str) -> None:
        if cluster.written["create virtualmachineinstancemigrations"] == 2:
            key = ("configmaps", "ocpv-scale", names.state_name(plan.run_id))
            item = cluster.objects[key]
            if names.REQUEST not in item["metadata"].get("annotations", {}) and verb == "create":
                item["metadata"].setdefault("annotations", {})[names.REQUEST] = request_
                cluster.put("configmaps", item)

    cluster.answered = ask
    result = call(cluster, plan)
    assert result["run"]["status"] == status
    assert result["counts"]["in_flight"] == 0
    assert result["counts"]["not_attempted"] > 0
    cluster.answered = lambda verb, plural: None
    result = call(cluster, plan)
    assert result["run"]["status"] == "completed"
    assert set(statuses(result).values()) == {"succeeded"}


def check_reached(cluster: PlayedCluster, plan: Plan, specs: dict[str, Any]) -> None:
    """The planned state, each VM moved once, nothing left behind."""
    for item in plan.moves:
        assert cluster.node_of(item.key) == item.target, item.key
        assert cluster.arrivals[item.key] == [item.target], item.key
        vm = cluster.vm(item.key)
        assert vm["spec"] == specs[item.key], item.key
        assert not {names.COLD_MOVE, names.STEERED_MOVE} & set(vm["metadata"].get("annotations") or {})


def unaimed(cluster: PlayedCluster) -> Plan:
    """Moves on a release whose migrations cannot be aimed at a node."""
    for _key, kubevirt in cluster.of("kubevirts"):
        kubevirt["status"]["observedKubeVirtVersion"] = "v1.5.3"
    moves = [move("m1", "shop/web-01", "worker-10"), move("m2", "lab/zone-b-01", "worker-08")]
    return plan_of(cluster, {"non-critical": moves})


@pytest.mark.parametrize(("make", "least"), [(mixed, 25), (unaimed, 8)])
@pytest.mark.parametrize("when", ["before", "after"])
def test_killed_at_any_write_and_run_again_reaches_the_plan(
    when: str, make: Callable[[PlayedCluster], Plan], least: int
) -> None:
    """A process that is gone before a write was sent, or after it took effect but before its answer came."""
    number = 0
    while True:
        number += 1
        cluster = PlayedCluster()
        plan = make(cluster)
        specs = {item.key: cluster.vm(item.key)["spec"] for item in plan.moves}
        writes = 0

        def cut(verb: str, plural: str) -> None:
            nonlocal writes
            if verb in WRITES:
                writes += 1
                if writes == number:  # noqa: B023
                    raise Killed

        if when == "before":
            cluster.requested = cut
        else:
            cluster.answered = cut
        try:
            call(cluster, plan)
        except Killed:
            pass
        else:
            break
        cluster.requested = cluster.answered = lambda verb, plural: None
        cluster.step(0.5 * (number % 7))
        result = call(cluster, plan)
        assert result["run"]["status"] == "completed", number
        assert set(statuses(result).values()) == {"succeeded"}, (number, result["run"]["moves"])
        check_reached(cluster, plan, specs)
    assert number > least


def test_lost_answers_and_server_errors_do_not_change_the_outcome() -> None:
    """Every fourth write is answered by nothing, every fifth is refused for the moment."""
    cluster = PlayedCluster()
    plan = mixed(cluster)
    specs = {item.key: cluster.vm(item.key)["spec"] for item in plan.moves}
    count = 0

    def lose(verb: str, plural: str) -> None:
        nonlocal count
        count += 1
        if count % 4 == 0:
            raise Unreachable("Could not reach it: connection lost", details={"outcome": "unknown"})

    def refuse(verb: str, plural: str) -> None:
        if verb in WRITES and count % 5 == 4:
            raise ApiError("Internal error occurred", status=500)

    cluster.answered, cluster.requested = lose, refuse
    refuse_once: set[int] = set()

    def refuse_new(verb: str, plural: str) -> None:
        if verb in WRITES and count % 5 == 4 and count not in refuse_once and plural != "configmaps":
            refuse_once.add(count)
            raise ApiError("Internal error occurred", status=500)

    cluster.requested = refuse_new
    result = call(cluster, plan)
    assert set(statuses(result).values()) == {"succeeded"}, result["run"]["moves"]
    check_reached(cluster, plan, specs)


def test_an_api_that_stays_away_ends_the_call_and_the_next_one_goes_on(cluster: PlayedCluster) -> None:
    plan = mixed(cluster)
    specs = {item.key: cluster.vm(item.key)["spec"] for item in plan.moves}

    def away(verb: str, plural: str) -> None:
        if cluster.written["create virtualmachineinstancemigrations"] >= 3:
            raise Unreachable("Could not reach the API server", details={})

    cluster.requested = away
    with pytest.raises(Unreachable) as caught:
        call(cluster, plan, api_patience_seconds=20)
    assert "Run the same plan again" in caught.value.hint
    cluster.requested = lambda verb, plural: None
    result = call(cluster, plan)
    assert set(statuses(result).values()) == {"succeeded"}
    check_reached(cluster, plan, specs)


def test_releases_that_cannot_aim_a_migration_are_steered_by_the_vms_selector(cluster: PlayedCluster) -> None:
    plan = unaimed(cluster)
    specs = {item.key: cluster.vm(item.key)["spec"] for item in plan.moves}
    result = call(cluster, plan)
    assert set(statuses(result).values()) == {"succeeded"}, result["run"]["moves"]
    made = [item["spec"] for _key, item in cluster.of("virtualmachineinstancemigrations")]
    assert made and all("addedNodeSelector" not in spec for spec in made)
    check_reached(cluster, plan, specs)


def test_what_a_forgotten_run_left_is_put_right_by_the_next_one(cluster: PlayedCluster) -> None:
    first = mixed(cluster)
    specs = {item.key: cluster.vm(item.key)["spec"] for item in first.moves}

    def cut(verb: str, plural: str) -> None:
        if cluster.written["patch virtualmachines"] == 1:
            raise Killed

    cluster.answered = cut
    with pytest.raises(Killed):
        call(cluster, first)
    cluster.answered = lambda verb, plural: None
    touched = [key[2] for key, item in cluster.of("virtualmachines")
               if names.COLD_MOVE in (item["metadata"].get("annotations") or {})]  # fmt: skip
    assert len(touched) == 1
    other = plan_of(cluster, {"non-critical": [move("x1", "shop/web-10", "worker-12")]})
    result = call(cluster, other)
    assert statuses(result) == {"x1": "succeeded"}
    assert any(touched[0] in warning for warning in result["run"]["warnings"])
    for item in first.moves:
        assert cluster.vm(item.key)["spec"] == specs[item.key]
        assert names.COLD_MOVE not in (cluster.vm(item.key)["metadata"].get("annotations") or {})
