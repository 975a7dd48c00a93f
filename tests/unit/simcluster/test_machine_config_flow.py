"""KubeletConfigs, pools and nodes that are drained and rebooted, as the controllers do it over HTTP."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from simcluster.testing import Client, RunningCluster
from support.start import start_cluster
from unit.simcluster.flow import eventually

Obj = dict[str, Any]
MCO = "/apis/machineconfiguration.openshift.io/v1"
POOLS = f"{MCO}/machineconfigpools"
CONFIGS = f"{MCO}/machineconfigs"
KUBELET_CONFIGS = f"{MCO}/kubeletconfigs"
FAULTS = "/api/v1/namespaces/simcluster/configmaps"
PREFIX = "machineconfiguration.openshift.io/"
POOL_LABEL = "pools.operator.machineconfiguration.openshift.io"


@pytest.fixture(name="cluster")
def _cluster() -> Iterator[RunningCluster]:
    with start_cluster("small", time_scale=100, tls=False) as cluster:
        yield cluster


@pytest.fixture(name="api")
def _api(cluster: RunningCluster) -> Client:
    return cluster.client()


def stays(instance: Obj) -> bool:
    """Whether a drain cannot get this machine off its node."""
    states = {each["type"]: each["status"] for each in instance["status"].get("conditions", [])}
    return instance["spec"].get("evictionStrategy") == "LiveMigrate" and states.get("LiveMigratable") != "True"


def workers(api: Client) -> tuple[list[str], list[str]]:
    """Nodes that can be drained, and those that cannot."""
    blocked = {
        each["status"]["nodeName"]
        for each in api.items("/apis/kubevirt.io/v1/virtualmachineinstances")
        if each["status"].get("nodeName") and stays(each)
    }
    names = [f"worker-{number:02d}" for number in range(1, 13)]
    return [name for name in names if name not in blocked], sorted(blocked)


def new_pool(api: Client, name: str, nodes: list[str], **spec: Any) -> None:
    body = {
        "apiVersion": "machineconfiguration.openshift.io/v1",
        "kind": "MachineConfigPool",
        "metadata": {"name": name, "labels": {f"{POOL_LABEL}/{name}": ""}},
        "spec": {
            "machineConfigSelector": {
                "matchExpressions": [{"key": f"{PREFIX}role", "operator": "In", "values": ["worker", name]}]
            },
            "nodeSelector": {"matchLabels": {f"node-role.kubernetes.io/{name}": ""}},
            **spec,
        },
    }
    answer = api.post(POOLS, body, fieldValidation="Strict")
    assert answer.status == 201, answer.body
    for node in nodes:
        patch = {"metadata": {"labels": {f"node-role.kubernetes.io/{name}": ""}}}
        assert api.patch(f"/api/v1/nodes/{node}", patch).status == 200
    eventually(lambda: pool(api, name), lambda found: settled(found) and found["status"]["machineCount"] == len(nodes))


def kubelet_config(api: Client, name: str, of_pool: str, **values: Any) -> None:
    body = {
        "apiVersion": "machineconfiguration.openshift.io/v1",
        "kind": "KubeletConfig",
        "metadata": {"name": name},
        "spec": {
            "machineConfigPoolSelector": {"matchLabels": {f"{POOL_LABEL}/{of_pool}": ""}},
            "kubeletConfig": values,
        },
    }
    answer = api.post(KUBELET_CONFIGS, body, fieldValidation="Strict")
    assert answer.status == 201, answer.body


def pool(api: Client, name: str) -> Obj:
    return dict(api.get(f"{POOLS}/{name}").json())


def state(obj: Obj, kind: str) -> tuple[str, str]:
    found = (obj.get("status") or {}).get("conditions") or []
    return next(((each["status"], each.get("message", "")) for each in found if each["type"] == kind), ("", ""))


def settled(obj: Obj) -> bool:
    target = (obj["spec"].get("configuration") or {}).get("name", "-")
    return (
        state(obj, "Updated")[0] == "True"
        and (obj["status"].get("configuration") or {}).get("name") == target
        and obj["status"]["observedGeneration"] == obj["metadata"]["generation"]
    )


def node(api: Client, name: str) -> Obj:
    return dict(api.get(f"/api/v1/nodes/{name}").json())


def marks(obj: Obj) -> dict[str, str]:
    return {k.removeprefix(PREFIX): v for k, v in obj["metadata"]["annotations"].items() if k.startswith(PREFIX)}


def accepted(api: Client, name: str) -> Obj:
    found = eventually(lambda: api.get(f"{KUBELET_CONFIGS}/{name}").json(), lambda obj: obj.get("status"))
    return dict(found["status"]["conditions"][-1])


def test_the_pools_of_a_new_cluster_are_up_to_date(api: Client) -> None:
    for name, count in (("worker", 12), ("master", 3)):
        found = pool(api, name)
        assert settled(found)
        status = found["status"]
        assert (status["machineCount"], status["updatedMachineCount"], status["readyMachineCount"]) == (count,) * 3
        target = found["spec"]["configuration"]["name"]
        assert api.get(f"{CONFIGS}/{target}").status == 200
        assert [each["name"] for each in found["spec"]["configuration"]["source"]] == [
            f"00-{name}",
            f"01-{name}-kubelet",
        ]
    assert marks(node(api, "worker-01"))["currentConfig"] == pool(api, "worker")["spec"]["configuration"]["name"]


def test_a_pool_takes_a_kubelet_config_node_by_node(api: Client) -> None:
    free, _ = workers(api)
    chosen = free[:2]
    boots = {name: node(api, name)["status"]["nodeInfo"]["bootID"] for name in chosen}
    new_pool(api, "fast", chosen)
    # the content is the workers', so nobody reboots
    assert {name: node(api, name)["status"]["nodeInfo"]["bootID"] for name in chosen} == boots
    assert pool(api, "worker")["status"]["machineCount"] == 10
    before = {each["metadata"]["name"] for each in api.items("/apis/kubevirt.io/v1/virtualmachineinstances")}

    kubelet_config(api, "many-pods", "fast", maxPods=500, cpuManagerPolicy="static")
    assert (accepted(api, "many-pods")["type"], accepted(api, "many-pods")["message"]) == ("Success", "Success")
    seen: dict[str, set[str]] = {name: set() for name in chosen}
    most = 0

    def look() -> Obj:
        nonlocal most
        nodes = [node(api, name) for name in chosen]
        for each in nodes:
            seen[each["metadata"]["name"]].add(marks(each)["state"])
        most = max(most, sum(bool(each["spec"].get("unschedulable")) for each in nodes))
        return pool(api, "fast")

    eventually(look, lambda found: state(found, "Updating")[0] == "True")
    eventually(look, settled, 60.0)
    assert most == 1
    assert all({"Working", "Rebooting"} <= states for states in seen.values())
    for name in chosen:
        found = node(api, name)
        assert found["status"]["allocatable"]["pods"] == found["status"]["capacity"]["pods"] == "500"
        assert found["status"]["nodeInfo"]["bootID"] != boots[name]
        assert found["metadata"]["labels"]["cpumanager"] == "true"
        assert not found["spec"].get("unschedulable")
        assert not [each for each in found["spec"].get("taints", []) if each["key"] == "UpdateInProgress"]
        values = marks(found)
        assert (values["state"], values["currentConfig"]) == ("Done", values["desiredConfig"])
        assert values["desiredDrain"] == values["lastAppliedDrain"] == f"uncordon-{values['currentConfig']}"
    assert node(api, next(name for name in free if name not in chosen))["status"]["allocatable"]["pods"] == "250"
    # nobody was lost: they were moved, or started again elsewhere
    eventually(
        lambda: {each["metadata"]["name"] for each in api.items("/apis/kubevirt.io/v1/virtualmachineinstances")},
        lambda found: found == before,
    )

    assert api.delete(f"{KUBELET_CONFIGS}/many-pods").status == 200
    eventually(lambda: state(pool(api, "fast"), "Updating")[0], lambda found: found == "True")
    eventually(lambda: pool(api, "fast"), settled, 60.0)
    assert node(api, chosen[0])["status"]["allocatable"]["pods"] == "250"


def test_a_paused_pool_renders_and_waits(api: Client) -> None:
    free, _ = workers(api)
    new_pool(api, "fast", free[:1])
    assert api.patch(f"{POOLS}/fast", {"spec": {"paused": True}}).status == 200
    former = pool(api, "fast")["spec"]["configuration"]["name"]
    kubelet_config(api, "many-pods", "fast", maxPods=500)
    found = eventually(lambda: pool(api, "fast"), lambda obj: state(obj, "Updated")[0] == "False")
    target = found["spec"]["configuration"]["name"]
    assert target != former
    assert state(found, "Updating") == ("False", f"Pool is paused; will not update to {target}")
    assert marks(node(api, free[0]))["desiredConfig"] == former
    assert api.patch(f"{POOLS}/fast", {"spec": {"paused": False}}).status == 200
    eventually(lambda: pool(api, "fast"), settled, 60.0)


def test_a_machine_that_cannot_leave_blocks_its_node(api: Client) -> None:
    _, blocked = workers(api)
    name = blocked[0]
    new_pool(api, "stuck", [name])
    kubelet_config(api, "many-pods", "stuck", maxPods=400)
    eventually(
        lambda: node(api, name),
        lambda obj: bool(obj["spec"].get("unschedulable")) and marks(obj)["state"] == "Working",
    )
    left = eventually(
        lambda: [
            each
            for each in api.items("/apis/kubevirt.io/v1/virtualmachineinstances")
            if each["status"].get("nodeName") == name
        ],
        lambda found: all(stays(each) for each in found),
        60.0,
    )
    assert left
    values = marks(node(api, name))
    assert values["desiredDrain"].startswith("drain-") and values["lastAppliedDrain"] != values["desiredDrain"]
    for each in left:
        metadata = each["metadata"]
        machine = f"/apis/kubevirt.io/v1/namespaces/{metadata['namespace']}/virtualmachines/{metadata['name']}"
        patch: Obj = {"spec": {"runStrategy": "Halted"}}
        assert api.patch(machine, patch).status == 200
    eventually(lambda: pool(api, "stuck"), settled, 60.0)


def test_a_node_that_cannot_take_it_degrades_its_pool(api: Client) -> None:
    free, _ = workers(api)
    reason = "unexpected on-disk state validating against rendered-fast"
    data = {"machine_config": json.dumps({free[0]: reason})}
    assert api.post(FAULTS, {"metadata": {"name": "faults"}, "data": data}).status == 201
    new_pool(api, "fast", free[:2])
    kubelet_config(api, "many-pods", "fast", maxPods=500)
    found = eventually(lambda: pool(api, "fast"), lambda obj: state(obj, "Degraded")[0] == "True", 60.0)
    assert found["status"]["degradedMachineCount"] == 1
    assert state(found, "NodeDegraded") == ("True", f'Node {free[0]} is reporting: "{reason}"')
    values = marks(node(api, free[0]))
    assert (values["state"], values["reason"]) == ("Degraded", reason)
    assert api.patch(f"{FAULTS}/faults", {"data": {"machine_config": "{}"}}).status == 200
    eventually(lambda: pool(api, "fast"), settled, 60.0)


@pytest.mark.parametrize(
    ("values", "pool_name", "message"),
    [
        (
            {"clusterDNS": ["10.0.0.10"]},
            "worker",
            "Error: KubeletConfiguration: clusterDNS is not allowed to be set, but contains: ['10.0.0.10']",
        ),
        ({"maxPods": 500}, "nowhere", "Error: KubeletConfig refused does not match any MachineConfigPools"),
    ],
)
def test_what_is_refused_changes_no_pool(api: Client, values: Obj, pool_name: str, message: str) -> None:
    former = pool(api, "worker")["spec"]["configuration"]["name"]
    kubelet_config(api, "refused", pool_name, **values)
    found = accepted(api, "refused")
    assert (found["type"], found["status"], found["message"]) == ("Failure", "True", message)
    assert pool(api, "worker")["spec"]["configuration"]["name"] == former


def test_of_two_kubelet_configs_the_newer_holds(api: Client) -> None:
    free, _ = workers(api)
    new_pool(api, "fast", free[:1])
    assert api.patch(f"{POOLS}/fast", {"spec": {"paused": True}}).status == 200
    kubelet_config(api, "first", "fast", maxPods=300)
    accepted(api, "first")
    kubelet_config(api, "second", "fast", maxPods=400)
    accepted(api, "second")
    names = [each["metadata"]["name"] for each in api.items(CONFIGS) if "generated-kubelet" in each["metadata"]["name"]]
    assert names == ["99-fast-generated-kubelet", "99-fast-generated-kubelet-1"]
    assert api.patch(f"{POOLS}/fast", {"spec": {"paused": False}}).status == 200
    eventually(lambda: node(api, free[0])["status"]["allocatable"]["pods"], lambda found: found == "400", 60.0)
