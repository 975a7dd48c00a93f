"""rebalance_run in trouble: migrations that fail or hang, nodes that die, an API server that is away."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from simcluster.testing import Client
from support.running import Scene, kubevirt_path, move_of, statuses
from support.start import start_cluster

Obj = dict[str, Any]
TIME_SCALE = 20.0


@pytest.fixture
def scene() -> Iterator[Scene]:
    with start_cluster(time_scale=TIME_SCALE, faults=True) as cluster:
        yield Scene(cluster)


def test_a_migration_that_fails_once_is_tried_again(scene: Scene) -> None:
    scene.faults({"vm": "shop/web-01", "effect": "fail", "reason": "qemu is unhappy", "times": 1})
    result = scene.run(scene.plan({"non-critical": [("shop/web-01", "worker-10")]}), retry_delay_seconds=0)
    item = move_of(result, "m1")
    assert item["status"] == "succeeded"
    assert [attempt["result"] for attempt in item["attempts"]] == ["failed", "succeeded"]
    assert "qemu is unhappy" in item["attempts"][0]["reason"]


def test_a_stage_that_fails_stops_with_item_by_item_results(scene: Scene) -> None:
    scene.faults({"vm": "shop/web-01", "effect": "fail", "reason": "qemu is unhappy"})
    plan = scene.plan({"canary": [("shop/web-01", "worker-10")], "critical": [("shop/web-02", "worker-11")]})
    result = scene.run(plan, retry_delay_seconds=0)
    assert result["failed"]
    assert result["run"]["status"] == "stopped"
    assert statuses(result) == {"m1": "failed", "m2": "not_attempted"}
    assert "shop/web-01 (" in result["msg"]
    assert "qemu is unhappy" in result["msg"]
    assert scene.holder() == ""
    assert not scene.run(plan, fail_on="never").get("failed")
    assert scene.node_of("shop/web-02") == "worker-11"


def test_a_migration_that_never_ends_is_cancelled(scene: Scene) -> None:
    scene.endless()
    source = scene.node_of("shop/web-01")
    scene.faults({"vm": "shop/web-01", "effect": "hang"})
    plan = scene.plan({"non-critical": [("shop/web-01", "worker-10"), ("shop/web-02", "worker-11")]})
    result = scene.run(plan, migration_timeout_seconds=2, attempts=1, stop_percent=0)
    assert statuses(result) == {"m1": "failed", "m2": "succeeded"}
    item = move_of(result, "m1")
    assert item["code"] == "migration_timeout"
    assert "migration_timeout_seconds" in item["hint"]
    assert scene.node_of("shop/web-01") == source
    assert not [item for item in scene.migrations() if item["spec"]["vmiName"] == "web-01"]


def test_a_target_pod_without_a_place_is_explained(scene: Scene) -> None:
    plan = scene.plan({"non-critical": [("shop/web-01", "worker-10")]})
    scene.faults({"vm": "shop/web-01", "effect": "never-ready"})
    process = scene.start(plan, attempts=1, unschedulable_timeout_seconds=1)
    scene.wait_for_phase("ocpv-", "Scheduling")
    migration = scene.migrations("ocpv-")[0]
    assert migration["metadata"]["annotations"]["kubevirt.io/migrationUnschedulablePodTimeoutSeconds"] == "1"
    path = f"{kubevirt_path('virtualmachineinstancemigrations', 'shop/' + migration['metadata']['name'])}"
    assert scene.client.delete(path).status == 200
    result = process.result()
    item = move_of(result, "m1")
    assert (item["status"], item["code"]) == ("failed", "cancelled")
    assert len(item["attempts"]) == 1


@pytest.mark.simulated("a node is known to be lost only after minutes")
def test_a_target_node_that_is_lost_leaves_the_vm_where_it_was(scene: Scene) -> None:
    source = scene.node_of("shop/web-01")
    scene.faults({"vm": "shop/web-01", "effect": "kill-target", "after_seconds": 1})
    plan = scene.plan({"non-critical": [("shop/web-01", "worker-10"), ("shop/web-02", "worker-11")]})
    result = scene.run(plan, retry_delay_seconds=3, stop_percent=0, room_timeout_seconds=1)
    item = move_of(result, "m1")
    assert (item["status"], item["code"]) == ("failed", "node_not_ready")
    assert "unable to reach the target" in item["message"]
    assert "worker-10 is not ready" in item["message"]
    assert item["hint"]
    assert [attempt["result"] for attempt in item["attempts"]] == ["failed"]
    assert statuses(result)["m2"] == "succeeded"
    assert scene.node_of("shop/web-01") == source


COLD = {"lab/once-01": "worker-09", "lab/zone-b-01": "worker-08"}


def many(scene: Scene) -> Obj:
    keys = [f"shop/web-{number:02}" for number in range(1, 9)] + ["shop/app-01", "shop/app-03"]
    stages = {"non-critical": [(key, f"worker-{9 + n % 4:02}") for n, key in enumerate(keys)
                               if scene.node_of(key) != f"worker-{9 + n % 4:02}"]}  # fmt: skip
    stages["critical"] = [(key, target, "cold") for key, target in COLD.items()]
    return scene.plan(stages)


def reached(scene: Scene, plan: Obj, result: Obj) -> None:
    assert not result.get("failed"), result.get("msg")
    undone = [move for move in result["run"]["moves"] if move["status"] != "succeeded"]
    assert not undone, json.dumps(undone)
    for stage in plan["stages"]:
        for move in stage["waves"][0]["moves"]:
            assert scene.node_of(f"{move['namespace']}/{move['name']}") == move["target"]


def answers(client: Client) -> bool:
    try:
        return client.get("/version").status == 200
    except OSError:
        return False


def test_throttling_server_errors_lost_answers_and_broken_watches_are_survived(scene: Scene) -> None:
    plan = many(scene)
    own = {"user": "kubernetes-admin"}
    scene.cluster.faults(
        {"match": {**own, "verb": "watch"}, "action": {"expire_watch": True}, "probability": 0.3},
        {"match": {**own, "verb": "watch"}, "action": {"drop_watch": True}, "probability": 0.3},
        {"match": {**own, "verb": "create"}, "action": {"drop_after_write": True}, "probability": 0.2},
        {"match": {**own, "verb": "patch"}, "action": {"drop_after_write": True}, "probability": 0.15},
        {"match": {**own, "verb": "create"}, "action": {"status": 500}, "probability": 0.1},
        {"match": {**own, "method": "GET", "path": "^/api"}, "action": {"status": 503}, "probability": 0.1},
        {"match": {**own, "path": "^/api"}, "action": {"status": 429, "retry_after": 1}, "probability": 0.03},
    )
    process = scene.start(plan)
    result = process.result()
    assert sum(rule["met"] for rule in scene.cluster.fired()) > 10
    scene.cluster.faults()
    reached(scene, plan, result)


def test_an_api_server_that_restarts_in_the_middle_is_waited_for(scene: Scene) -> None:
    plan = many(scene)
    process = scene.start(plan)
    scene.wait_for_phase("ocpv-", "Running")
    scene.cluster.restart(down_seconds=3.0)
    time.sleep(4.0)
    scene.wait(lambda: answers(scene.client), "the API server is back")
    scene.cluster.restart(down_seconds=1.0)
    reached(scene, plan, process.result())


def test_a_token_that_expires_ends_the_call_and_a_new_one_goes_on(scene: Scene, tmp_path: Path) -> None:
    plan = many(scene)
    scene.endless()
    token = scene.cluster.add_token("mover", ["system:masters"], expires_seconds=6 * TIME_SCALE)
    kubeconfig = scene.cluster.write_kubeconfig(tmp_path / "kubeconfig", token)
    scene.faults({"vm": "shop/*", "effect": "hang"})
    result = scene.start(plan, kubeconfig=str(kubeconfig), lease_seconds=5).result()
    assert result["failed"]
    assert result["error"] == "Unauthorized"
    assert "token" in result["hint"]
    assert "Run the same plan again" in result["hint"]
    assert token not in json.dumps(result)
    scene.faults()
    for item in scene.migrations("ocpv-"):
        key = f"{item['metadata']['namespace']}/{item['metadata']['name']}"
        scene.client.delete(kubevirt_path("virtualmachineinstancemigrations", key))
    reached(scene, plan, scene.run(plan, retry_failed=True, stop_percent=0, lease_seconds=5))


def test_an_api_that_stays_away_ends_the_call_after_its_patience(scene: Scene) -> None:
    plan = many(scene)
    process = scene.start(plan, api_patience_seconds=5, lease_seconds=5)
    scene.wait_for_phase("ocpv-", "Running")
    scene.cluster.faults({"match": {"user": "kubernetes-admin", "path": "^/api"}, "action": {"drop_connection": True}})
    result = process.result()
    assert result["failed"]
    assert result["error"] == "Unreachable"
    assert "Run the same plan again" in result["hint"]
    scene.cluster.faults()
    reached(scene, plan, scene.run(plan, lease_seconds=5))
