"""rebalance_run on the simulated cluster: what is reached, what is kept to, who else is respected."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.running import INSTANCES, MACHINES, OWN_ANNOTATIONS, Scene, kubevirt_path, move_of, statuses
from support.start import start_cluster

Obj = dict[str, Any]
TIME_SCALE = 20.0
COLD = {
    "lab/once-01": "worker-09",
    "lab/manual-01": "worker-11",
    "lab/rerun-01": "worker-10",
    "lab/running-true-01": "worker-12",
    "lab/zone-b-01": "worker-08",
}


@pytest.fixture
def scene() -> Iterator[Scene]:
    with start_cluster(time_scale=TIME_SCALE) as cluster:
        yield Scene(cluster)


def nothing_left(scene: Scene, *keys: str) -> None:
    for key in keys:
        assert not set(OWN_ANNOTATIONS) & set(scene.vm(key)["metadata"].get("annotations") or {}), key


def user_spec(vm: Obj) -> Obj:
    """What a person decides about a VM."""
    spec = vm["spec"]
    template = spec["template"]["spec"]
    return {
        "running": spec.get("running"),
        "runStrategy": spec.get("runStrategy"),
        "nodeSelector": template.get("nodeSelector"),
        "affinity": template.get("affinity"),
    }


def test_live_moves_are_made_by_few_requests_and_only_once(scene: Scene) -> None:
    wanted = {"shop/web-01": "worker-10", "shop/web-02": "worker-11", "shop/web-03": "worker-12"}
    plan = scene.plan(
        {
            "canary": [("shop/web-01", "worker-10")],
            "non-critical": [("shop/web-02", "worker-11"), ("shop/web-03", "worker-12", "live", "m2")],
        }
    )
    scene.cluster.forget_requests()
    result = scene.run(plan)
    assert not result.get("failed"), result
    assert result["changed"]
    assert set(statuses(result).values()) == {"succeeded"}
    requests = scene.cluster.requests()
    assert {key: scene.node_of(key) for key in wanted} == wanted
    assert requests["get virtualmachineinstances.kubevirt.io"] <= 2 * len(wanted)
    assert "get virtualmachineinstancemigrations.kubevirt.io" not in requests
    assert "get pods" not in requests
    for item in scene.migrations():
        assert item["metadata"]["labels"]["ocpv.scale/run"] == result["run"]["run_id"]
    least_seconds = 5 if scene.cluster.quickened_by == 1 else 0
    assert all(item["actual_seconds"] >= least_seconds for item in result["run"]["moves"])
    first, second = (move_of(result, identity)["attempts"][0] for identity in ("m2", "m3"))
    assert first["ended_at"] <= second["started_at"]

    scene.cluster.forget_requests()
    again = scene.run(plan)
    assert not again["changed"]
    assert again["run"] == result["run"]
    assert not [request for request in scene.cluster.requests() if request.split()[0] in ("create", "patch", "update")]


def test_cold_moves_keep_run_strategy_and_placement(scene: Scene) -> None:
    before = {key: user_spec(scene.vm(key)) for key in COLD}
    uids = {key: scene.vmi(key)["metadata"]["uid"] for key in COLD}
    plan = scene.plan({"non-critical": [(key, target, "cold") for key, target in COLD.items()]})
    result = scene.run(plan)
    assert not result.get("failed"), result
    assert set(statuses(result).values()) == {"succeeded"}
    for key, target in COLD.items():
        assert scene.node_of(key) == target, key
        assert scene.vmi(key)["metadata"]["uid"] != uids[key], key
        assert user_spec(scene.vm(key)) == before[key], key
    nothing_left(scene, *COLD)
    spans = sorted((a["started_at"], a["ended_at"]) for item in result["run"]["moves"] for a in item["attempts"])
    assert all(end <= start for (_begin, end), (start, _end) in zip(spans, spans[1:], strict=False))


def test_a_cold_move_that_does_not_fit_goes_back(scene: Scene) -> None:
    """The target gets full between the check and the start."""
    key = "lab/manual-01"
    before, source = user_spec(scene.vm(key)), scene.node_of(key)
    plan = scene.plan({"non-critical": [(key, "worker-11", "cold")]})
    process = scene.start(plan, unschedulable_timeout_seconds=2)
    scene.wait(lambda: OWN_ANNOTATIONS[0] in scene.vm(key)["metadata"].get("annotations", {}), "the note on the VM")
    assert scene.client.patch("/api/v1/nodes/worker-11", {"spec": {"unschedulable": True}}).status == 200
    result = process.result()
    item = move_of(result, "m1")
    assert (item["status"], item["code"], item["reached"]) == ("failed", "target_unschedulable", source)
    assert scene.node_of(key) == source
    assert user_spec(scene.vm(key)) == before
    nothing_left(scene, key)


def test_a_release_that_cannot_aim_migrations_is_steered_by_the_vms_selector() -> None:
    wanted = {"shop/web-01": "worker-10", "shop/web-02": "worker-11", "lab/zone-b-01": "worker-08"}
    with start_cluster("v1beta1", time_scale=TIME_SCALE) as cluster:
        scene = Scene(cluster)
        before = {key: user_spec(scene.vm(key)) for key in wanted}
        result = scene.run(scene.plan({"non-critical": list(wanted.items())}))
        assert not result.get("failed"), result
        assert set(statuses(result).values()) == {"succeeded"}
        assert {key: scene.node_of(key) for key in wanted} == wanted
        assert {key: user_spec(scene.vm(key)) for key in wanted} == before
        nothing_left(scene, *wanted)
        scene.wait(lambda: not scene.vmi("shop/web-01")["spec"].get("nodeSelector"), "the selector leaves the instance")


def test_a_planned_run_beside_a_drain_breaks_no_rule(scene: Scene, tmp_path: Path) -> None:
    """An auditor that shares no code with the run watches limits and placement rules."""
    from ansible_collections.ocpv.scale.plugins.modules import rebalance_plan
    from support.modules import run_module_main

    planned = run_module_main(rebalance_plan.main, {"kubeconfig": str(scene.cluster.kubeconfig)})
    assert len([move for stage in planned["plan"]["stages"] for wave in stage["waves"] for move in wave["moves"]]) > 8
    report = tmp_path / "audit.jsonl"
    command = [sys.executable, "-m", "audit", "--kubeconfig", str(scene.cluster.kubeconfig), "--output", str(report)]
    command += ["--until-file", str(tmp_path / "finished"), "--ready-file", str(tmp_path / "auditing")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as auditor:
        scene.wait((tmp_path / "auditing").exists, "the auditor")
        drained = scene.client.patch("/api/v1/nodes/worker-06", {
            "spec": {"taints": [{"key": "kubevirt.io/drain", "effect": "NoSchedule"}]}}, kind="strategic")  # fmt: skip
        assert drained.status == 200
        result = scene.run(planned["plan"], fail_on="stopped", room_timeout_seconds=3)
        assert scene.client.patch("/api/v1/nodes/worker-06", {"spec": {"taints": None}}).status == 200
        (tmp_path / "finished").touch()
        said, _nothing = auditor.communicate(timeout=60)
    assert auditor.returncode == 0, said
    assert result["counts"]["succeeded"] > 0
    assert result["counts"]["failed"] == 0
    assert scene.migrations("kubevirt-evacuation-")


def active(scene: Scene) -> int:
    phases = ("Scheduling", "Scheduled", "PreparingTarget", "TargetReady", "Running")
    return sum((item.get("status") or {}).get("phase") in phases for item in scene.migrations())


def test_own_limits_are_kept_beside_somebody_elses_migration(scene: Scene) -> None:
    scene.faults({"vm": "shop/web-05", "effect": "hang"})
    body = {
        "apiVersion": "kubevirt.io/v1",
        "kind": "VirtualMachineInstanceMigration",
        "metadata": {"name": "theirs"},
        "spec": {"vmiName": "web-05"},
    }
    path = "/apis/kubevirt.io/v1/namespaces/shop/virtualmachineinstancemigrations"
    assert scene.client.post(path, body).status == 201
    scene.wait_for_phase("theirs", "Running")
    plan = scene.plan({"non-critical": [(f"shop/web-{n:02}", "worker-11") for n in (1, 2, 3)]})
    process = scene.start(plan, max_parallel=2)
    most = 0
    while process.running:
        most = max(most, active(scene))
        time.sleep(0.02)
    result = process.result()
    assert set(statuses(result).values()) == {"succeeded"}
    assert most == 2
    assert result["run"]["limits"]["parallel"] == 2


def delete_vm(scene: Scene, key: str) -> None:
    assert scene.client.delete(kubevirt_path(MACHINES, key)).status == 200
    scene.wait(lambda: scene.client.get(kubevirt_path(INSTANCES, key)).status == 404, f"{key} goes")


def migrate_away(scene: Scene, key: str) -> None:
    source, (namespace, name) = scene.node_of(key), key.split("/")
    path = f"/apis/subresources.kubevirt.io/v1/namespaces/{namespace}/virtualmachines/{name}/migrate"
    body = {"addedNodeSelector": {"kubernetes.io/hostname": "worker-09"}}
    assert scene.client.put(path, body).status == 202
    scene.wait(lambda: scene.node_of(key) != source, f"{key} moves")
    time.sleep(1)


@pytest.mark.parametrize(("change", "code"), [(delete_vm, "vm_gone"), (migrate_away, "moved_elsewhere")])
def test_what_others_did_to_a_vm_before_its_turn_is_respected(scene: Scene, change: Any, code: str) -> None:
    plan = scene.plan({"non-critical": [("shop/web-01", "worker-10"), ("shop/web-02", "worker-11")]})
    change(scene, "shop/web-01")
    result = scene.run(plan)
    assert not result.get("failed"), result
    assert statuses(result) == {"m1": "skipped", "m2": "succeeded"}
    assert move_of(result, "m1")["code"] == code


def test_a_vm_deleted_while_it_migrates_is_told(scene: Scene) -> None:
    scene.endless()
    scene.faults({"vm": "shop/web-01", "effect": "hang"})
    process = scene.start(scene.plan({"non-critical": [("shop/web-01", "worker-10")]}))
    scene.wait_for_phase("ocpv-", "Running")
    assert scene.client.delete(kubevirt_path(MACHINES, "shop/web-01")).status == 200
    item = move_of(process.result(), "m1")
    assert item["status"] == "failed"
    assert item["code"] in ("vm_gone", "vm_stopped")
    assert len(item["attempts"]) == 1


def test_an_unknown_target_is_refused_before_anything_is_done(scene: Scene) -> None:
    plan = scene.plan({"non-critical": [("shop/web-01", "worker-99"), ("shop/web-02", "worker-11")]})
    result = scene.run(plan)
    assert result["failed"]
    assert "worker-99" in result["msg"]
    assert not scene.migrations()
    assert scene.holder() == ""


def slow(scene: Scene) -> Obj:
    """A plan whose first move hangs."""
    scene.endless()
    scene.faults({"vm": "shop/web-01", "effect": "hang"})
    return scene.plan({"non-critical": [("shop/web-01", "worker-10"), ("shop/web-04", "worker-11", "live", "m1")]})


def test_another_run_is_kept_out_and_named(scene: Scene) -> None:
    first = scene.start(slow(scene), cancel_in_flight=True)
    scene.wait_for_phase("ocpv-", "Running")
    second = scene.plan({"non-critical": [("shop/web-02", "worker-11")]})
    refused = scene.run(second)
    assert refused["failed"]
    assert refused["error"] == "LeaseTaken"
    assert scene.holder() in refused["msg"]
    waiting = scene.start(second, wait_for_lease_seconds=60)
    time.sleep(1)
    assert waiting.running
    first.signal(signal.SIGTERM)
    first.result()
    assert set(statuses(waiting.result()).values()) == {"succeeded"}


@pytest.mark.parametrize("way", ["annotation", "data", "signal"])
def test_a_run_that_is_asked_to_pause_waits_for_what_is_in_flight_and_can_be_continued(scene: Scene, way: str) -> None:
    plan = slow(scene)
    process = scene.start(plan, attempts=1, migration_timeout_seconds=600)
    migration = scene.wait_for_phase("ocpv-", "Running")
    run_id = migration["metadata"]["labels"]["ocpv.scale/run"]
    path = f"/api/v1/namespaces/ocpv-scale/configmaps/ocpv-rebalance-{run_id}"
    if way == "signal":
        process.signal(signal.SIGTERM)
    elif way == "annotation":
        asked = scene.client.patch(path, {"metadata": {"annotations": {"ocpv.scale/request": "pause"}}})
        assert asked.status == 200
    else:
        assert scene.client.patch(path, {"data": {"request": "pause"}}).status == 200
    time.sleep(1.5)
    assert process.running
    scene.faults()
    scene.client.delete(kubevirt_path("virtualmachineinstancemigrations", "shop/" + migration["metadata"]["name"]))
    result = process.result()
    assert result["run"]["status"] == "paused", result
    assert statuses(result)["m2"] == "not_attempted"
    assert scene.holder() == ""
    result = scene.run(plan, retry_failed=True)
    assert result["resumed"] == 1
    assert set(statuses(result).values()) == {"succeeded"}


def test_a_second_signal_ends_at_once_and_the_next_call_takes_up_what_is_in_flight(scene: Scene) -> None:
    plan = slow(scene)
    process = scene.start(plan)
    name = scene.wait_for_phase("ocpv-", "Running")["metadata"]["name"]
    process.signal(signal.SIGTERM)
    time.sleep(0.3)
    process.signal(signal.SIGTERM)
    result = process.result(seconds=20)
    assert result["run"]["status"] == "paused"
    assert statuses(result) == {"m1": "in_flight", "m2": "not_attempted"}
    again = scene.start(plan, migration_timeout_seconds=3, retry_delay_seconds=3)
    scene.wait(lambda: name not in [item["metadata"]["name"] for item in scene.migrations()], "it is cancelled")
    scene.faults()
    result = again.result()
    assert set(statuses(result).values()) == {"succeeded"}
    assert [attempt["number"] for attempt in move_of(result, "m1")["attempts"]] == [1, 2]


def test_stopping_can_cancel_what_is_in_flight(scene: Scene) -> None:
    plan = slow(scene)
    source = scene.node_of("shop/web-01")
    process = scene.start(plan, cancel_in_flight=True, fail_on="never")
    scene.wait_for_phase("ocpv-", "Running")
    process.signal(signal.SIGTERM)
    result = process.result()
    assert statuses(result) == {"m1": "failed", "m2": "not_attempted"}
    assert scene.node_of("shop/web-01") == source
    assert not scene.migrations("ocpv-")
