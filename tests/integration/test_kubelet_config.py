"""kubelet_config on a cluster whose machine config operator drains and reboots nodes while their VMs migrate."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ocpv.scale.plugins.modules import kubelet_config
from simcluster.testing import Client, RunningCluster
from support.modules import run_module_main
from support.playbook import AS_JSON, run_playbook
from support.rights import configuring_account
from support.start import start_cluster
from support.waiting import eventually, set_model

Obj = dict[str, Any]
MCO = "/apis/machineconfiguration.openshift.io/v1"
POOLS, CONFIGS = f"{MCO}/machineconfigpools", f"{MCO}/kubeletconfigs"
INSTANCES = "/apis/kubevirt.io/v1/virtualmachineinstances"
ROLE = "machineconfiguration.openshift.io/role"
RECORD = "ocpv.scale/kubelet-rollout"
TESTS = Path(__file__).resolve().parents[1]
# runs the module with arguments from standard input, in a process that can be killed
CALL = (
    "import json, sys; from support.modules import run_module_main; "
    "from ansible_collections.ocpv.scale.plugins.modules import kubelet_config; "
    "print(json.dumps(run_module_main(kubelet_config.main, json.load(sys.stdin))))"
)


@pytest.fixture(scope="module")
def cluster() -> Iterator[RunningCluster]:
    with start_cluster("small", time_scale=100, tls=False) as running:
        set_model(running, reboot_seconds="10", render_seconds="2")
        yield running


@pytest.fixture(scope="module")
def api(cluster: RunningCluster) -> Client:
    return cluster.client()


@pytest.fixture(scope="module")
def nodes(api: Client) -> tuple[list[str], list[str]]:
    """Workers that can be drained, and those that cannot."""
    names = {f"worker-{number:02d}" for number in range(1, 13)}
    blocked = {item["status"]["nodeName"] for item in api.items(INSTANCES) if stays(item)}
    return sorted(names - blocked), sorted(names & blocked)


@pytest.fixture(scope="module")
def zones(api: Client, nodes: tuple[list[str], list[str]]) -> list[str]:
    """Two pools of two nodes each."""
    free, _blocked = nodes
    assert len(free) >= 4
    make_pool(api, "zone-a", free[0:2])
    make_pool(api, "zone-b", free[2:4])
    return ["zone-a", "zone-b"]


def stays(instance: Obj) -> bool:
    conditions = {each["type"]: each["status"] for each in instance["status"].get("conditions") or ()}
    return instance["spec"].get("evictionStrategy") == "LiveMigrate" and conditions.get("LiveMigratable") != "True"


def key_of(item: Obj) -> str:
    return f"{item['metadata']['namespace']}/{item['metadata']['name']}"


def make_pool(api: Client, name: str, members: list[str], **spec: Any) -> None:
    role = {"key": ROLE, "operator": "In", "values": ["worker", name]}
    body = {
        "apiVersion": "machineconfiguration.openshift.io/v1",
        "kind": "MachineConfigPool",
        # without the label that selects it, which the module has to set
        "metadata": {"name": name},
        "spec": {
            "machineConfigSelector": {"matchExpressions": [role]},
            "nodeSelector": {"matchLabels": {f"node-role.kubernetes.io/{name}": ""}},
            **spec,
        },
    }
    assert api.post(POOLS, body).status == 201
    for member in members:
        patch = {"metadata": {"labels": {f"node-role.kubernetes.io/{name}": ""}}}
        assert api.patch(f"/api/v1/nodes/{member}", patch).status == 200
    eventually(lambda: pool(api, name), lambda item: updated(item) and item["status"]["machineCount"] == len(members))


def pool(api: Client, name: str) -> Obj:
    return dict(api.get(f"{POOLS}/{name}").json())


def condition(item: Obj, kind: str) -> Obj:
    found = (item.get("status") or {}).get("conditions") or ()
    return next((dict(each) for each in found if each["type"] == kind), {})


def updated(item: Obj) -> bool:
    target = (item["spec"].get("configuration") or {}).get("name", "-")
    reached = ((item.get("status") or {}).get("configuration") or {}).get("name")
    return condition(item, "Updated").get("status") == "True" and target == reached


def pods_of(api: Client, node: str) -> int:
    return int(api.get(f"/api/v1/nodes/{node}").json()["status"]["allocatable"]["pods"])


def arguments(cluster: RunningCluster, *pools: str, **options: Any) -> Obj:
    return {"kubeconfig": str(cluster.kubeconfig), "pools": list(pools), **options}


def call(cluster: RunningCluster, *pools: str, check_mode: bool = False, **options: Any) -> Obj:
    return run_module_main(kubelet_config.main, arguments(cluster, *pools, **options), check_mode=check_mode, diff=True)


def statuses(result: Obj) -> dict[str, str]:
    assert not result.get("failed"), result
    return {item["name"]: item["status"] for item in result["pools"]}


def members(api: Client, name: str) -> list[str]:
    return [
        item["metadata"]["name"] for item in api.items("/api/v1/nodes", labelSelector=f"node-role.kubernetes.io/{name}")
    ]


def test_what_is_in_the_way_is_told_before_anything_is_written(
    cluster: RunningCluster, api: Client, zones: list[str]
) -> None:
    result = call(cluster, "worker", profile="reference")
    assert result["failed"] and result["msg"].startswith("Nothing was changed.")
    assert {item["code"] for item in result["problems"]} == {"pools_together", "vms_not_evictable"}
    stuck = {
        f"{item['metadata']['namespace']}/{item['metadata']['name']}" for item in api.items(INSTANCES) if stays(item)
    }
    (told,) = [item["message"] for item in result["problems"] if item["code"] == "vms_not_evictable"]
    assert stuck and any(key in told for key in stuck)
    assert api.items(CONFIGS) == []
    assert RECORD not in (pool(api, "worker")["metadata"].get("annotations") or {})


def test_zones_get_the_values_one_after_the_other_and_go_back(
    cluster: RunningCluster, api: Client, zones: list[str]
) -> None:
    before = {name: pods_of(api, name) for zone in zones for name in members(api, zone)}
    running = {item["metadata"]["name"] for item in api.items(INSTANCES) if item["status"]["phase"] == "Running"}
    preview = call(cluster, *zones, profile="reference", check_mode=True)
    assert preview["changed"] and statuses(preview) == dict.fromkeys(zones, "planned")
    assert any("2 nodes are drained and rebooted, 1 at a time" in text for text in preview["cautions"])
    assert api.items(CONFIGS) == []

    result = call(cluster, *zones, profile="reference")
    assert result["changed"] and statuses(result) == dict.fromkeys(zones, "updated")
    assert {name: pods_of(api, name) for name in before} == dict.fromkeys(before, 500)
    second = api.get(f"{CONFIGS}/ocpv-scale-zone-b").json()
    assert second["spec"]["kubeletConfig"] == {
        "maxPods": 500,
        "kubeAPIBurst": 200,
        "kubeAPIQPS": 100,
        "nodeStatusMaxImages": -1,
    }
    # the second zone was begun when the first was through
    assert condition(pool(api, "zone-a"), "Updated")["lastTransitionTime"] <= second["metadata"]["creationTimestamp"]
    now = {item["metadata"]["name"] for item in api.items(INSTANCES) if item["status"]["phase"] == "Running"}
    assert running <= now
    assert not [name for name in zones if RECORD in (pool(api, name)["metadata"].get("annotations") or {})]

    again = call(cluster, *zones, profile="reference")
    assert not again["changed"] and statuses(again) == dict.fromkeys(zones, "unchanged") and again["cautions"] == []

    gone = call(cluster, *zones, state="absent")
    assert gone["changed"] and statuses(gone) == dict.fromkeys(zones, "updated")
    assert {name: pods_of(api, name) for name in before} == before
    assert api.items(CONFIGS) == []
    assert not call(cluster, *zones, state="absent")["changed"]


def test_more_pods_than_addresses_and_a_refused_value(cluster: RunningCluster, api: Client, zones: list[str]) -> None:
    few = call(cluster, "zone-a", max_pods=5000)
    assert few["failed"] and [item["code"] for item in few["problems"]] == ["few_addresses"]
    crowded = call(cluster, "zone-a", max_pods=5)
    assert crowded["failed"] and [item["code"] for item in crowded["problems"]] == ["too_many_pods"]
    assert "zone-a, maxPods 5" in crowded["problems"][0]["message"]
    refused = call(cluster, "zone-a", kubelet_config={"clusterDomain": "x"})
    assert refused["failed"] and "kubelet_config.clusterDomain" in refused["msg"]
    unknown = call(cluster, "zone-x", profile="reference")
    assert unknown["failed"] and "zone-a, zone-b" in unknown["msg"]
    assert api.items(CONFIGS) == []


def test_killed_in_the_middle_the_next_call_goes_on_and_puts_the_pauses_back(
    cluster: RunningCluster, api: Client, zones: list[str]
) -> None:
    options = {"max_pods": 300, "pause": zones}
    process = subprocess.Popen(
        [sys.executable, "-c", CALL], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=TESTS, text=True
    )
    assert process.stdin is not None
    process.stdin.write(json.dumps(arguments(cluster, *zones, **options)))
    process.stdin.close()
    try:
        eventually(lambda: pool(api, "zone-a"), lambda item: condition(item, "Updating").get("status") == "True", 60.0)
    finally:
        process.kill()
        process.wait()
    waiting = pool(api, "zone-b")
    assert waiting["spec"]["paused"] is True
    assert json.loads(waiting["metadata"]["annotations"][RECORD])["paused"] is False
    # as whoever comes next may call it
    result = call(cluster, "zone-a", max_pods=300)
    assert result["changed"]
    assert statuses(result) == {"zone-a": "updated", "zone-b": "updated"}
    assert {pods_of(api, name) for name in members(api, "zone-a")} == {300}
    for zone in zones:
        item = pool(api, zone)
        assert not item["spec"].get("paused") and RECORD not in item["metadata"].get("annotations", {})
    assert not call(cluster, "zone-a", max_pods=300)["changed"]


def test_a_drain_that_is_stuck_names_the_node_and_the_vm(
    cluster: RunningCluster, api: Client, nodes: tuple[list[str], list[str]], zones: list[str]
) -> None:
    node = nodes[1][0]
    make_pool(api, "stuck", [node])
    (blocking, *_more) = [item for item in api.items(INSTANCES) if stays(item) and item["status"]["nodeName"] == node]
    key = key_of(blocking)
    options: Obj = {"max_pods": 301, "accept_problems": ["vms_not_evictable"], "node_timeout_seconds": 6}
    result = call(cluster, "stuck", **options)
    assert result["failed"], result
    assert [item["status"] for item in result["pools"]] == ["failed"]
    assert f"{node} is draining" in result["msg"] and f"{key} on {node}" in result["msg"]
    # somebody stops them, and the drain goes on
    for item in api.items(INSTANCES):
        if stays(item) and item["status"]["nodeName"] == node:
            metadata = item["metadata"]
            path = f"/apis/kubevirt.io/v1/namespaces/{metadata['namespace']}/virtualmachines/{metadata['name']}"
            assert api.patch(path, {"spec": {"runStrategy": "Halted", "running": None}}).status == 200
    assert statuses(call(cluster, "stuck", **{**options, "node_timeout_seconds": 60})) == {"stuck": "updated"}
    assert pods_of(api, node) == 301


def test_the_playbook_changes_one_pool_and_shows_how_far_it_is(
    cluster: RunningCluster, api: Client, zones: list[str]
) -> None:
    given = {
        "cluster_density_settings": False,
        "cluster_density_kubelet_pools": ["zone-b"],
        "cluster_density_kubelet_max_pods": 250,
        "cluster_density_kubelet_node_status_max_images": -1,
    }
    run = run_playbook("ocpv.scale.tune_density", cluster.kubeconfig, given, **AS_JSON)
    assert run.returncode == 0, run.output[-3000:]
    shown = run.result("Show the pools")["msg"]
    expected = "Pool zone-b: updated, KubeletConfig ocpv-scale-zone-b: create; 2 of 2 nodes have its configuration"
    assert shown[0] == expected
    again = run_playbook("ocpv.scale.tune_density", cluster.kubeconfig, given, **AS_JSON)
    assert (again.returncode, again.recap()["changed"]) == (0, 0)
    few = {**given, "cluster_density_kubelet_max_pods": 5000}
    refused = run_playbook("ocpv.scale.tune_density", cluster.kubeconfig, few, **AS_JSON)
    assert refused.returncode == 2 and "510 addresses" in refused.failure()["msg"]
    assert "Problem (few_addresses)" in "".join(refused.result("Show the pools")["msg"])


def test_the_documented_rights_are_enough(
    cluster: RunningCluster, api: Client, zones: list[str], tmp_path: Path
) -> None:
    kubeconfig = configuring_account(cluster, tmp_path / "kubeconfig")
    pod_counts = {"present": 260, "absent": 250}
    for state, count in pod_counts.items():
        options: Obj = {"state": state, "pause": zones, **({"max_pods": count} if state == "present" else {})}
        result = run_module_main(
            kubelet_config.main, {**arguments(cluster, "zone-b", **options), "kubeconfig": str(kubeconfig)}
        )
        # the other one is paused meanwhile, and let go
        assert statuses(result) == {"zone-b": "updated", "zone-a": "updated"} and result["changed"]
        assert {pods_of(api, name) for name in members(api, "zone-b")} == {count}
