"""The whole simulator as a process: command line, kubeconfig, children, and clients that other people wrote."""

from __future__ import annotations

import os
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kubernetes import client as kubernetes_client
from kubernetes import config, dynamic
from simcluster.cli import main
from simcluster.testing import NotStarted, SimCluster

VM_PATH = "/apis/kubevirt.io/v1/virtualmachines"


@pytest.fixture(name="cluster", scope="module")
def _cluster() -> Iterator[SimCluster]:
    with SimCluster("small", time_scale=20) as cluster:
        yield cluster


@pytest.fixture(name="dynamic_client")
def _dynamic(cluster: SimCluster, tmp_path: Path) -> dynamic.DynamicClient:
    api = config.new_client_from_config(str(cluster.kubeconfig))
    return dynamic.DynamicClient(api, cache_file=str(tmp_path / "discovery"))


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def gone(pid: int, seconds: float = 10.0) -> bool:
    deadline = time.monotonic() + seconds
    while alive(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not alive(pid)


def test_the_small_scenario_is_there(cluster: SimCluster) -> None:
    client = cluster.client()
    assert len(client.items(VM_PATH, limit=40)) == 150
    assert cluster.url.startswith("https://127.0.0.1:")
    assert stat.S_IMODE(cluster.kubeconfig.stat().st_mode) == 0o600
    assert cluster.token not in cluster.log


def test_the_dynamic_client_reads_and_writes(dynamic_client: dynamic.DynamicClient) -> None:
    machines = dynamic_client.resources.get(api_version="kubevirt.io/v1", kind="VirtualMachine")
    assert len(machines.get().items) == 150
    maps = dynamic_client.resources.get(api_version="v1", kind="ConfigMap")
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "dyn", "namespace": "default"}, "data": {}}
    made = maps.create(body=body, namespace="default")
    assert made.metadata.resourceVersion
    with pytest.raises(dynamic.exceptions.ConflictError):
        maps.create(body=body, namespace="default")
    changed = maps.patch(
        body={"data": {"a": "b"}}, name="dyn", namespace="default", content_type="application/merge-patch+json"
    )
    assert changed.data.a == "b"
    applied = maps.server_side_apply(
        body={**body, "data": {"c": "d"}}, name="dyn", namespace="default", field_manager="test"
    )
    assert applied.data.to_dict() == {"a": "b", "c": "d"}
    events = list(maps.watch(namespace="default", name="dyn", timeout=1))
    assert [event["type"] for event in events] == ["ADDED"]
    assert maps.delete(name="dyn", namespace="default").status == "Success"
    with pytest.raises(dynamic.exceptions.NotFoundError):
        maps.get(name="dyn", namespace="default")


def test_the_typed_client_reads_nodes(cluster: SimCluster) -> None:
    core = kubernetes_client.CoreV1Api(config.new_client_from_config(str(cluster.kubeconfig)))
    assert len(core.list_node().items) == 15
    assert len(core.list_pod_for_all_namespaces(limit=7).items) == 7


def kubectl(cluster: SimCluster, *arguments: str, text: str = "") -> subprocess.CompletedProcess[str]:
    command = ["kubectl", f"--kubeconfig={cluster.kubeconfig}", f"--cache-dir={cluster.folder}/kubectl", *arguments]
    return subprocess.run(command, input=text, capture_output=True, text=True, timeout=60)


@pytest.fixture(name="needs_kubectl")
def _needs_kubectl() -> None:
    try:
        subprocess.run(["kubectl", "version", "--client"], capture_output=True)
    except FileNotFoundError:
        pytest.skip("kubectl is not installed")


@pytest.mark.usefixtures("needs_kubectl")
def test_kubectl_shows_and_changes(cluster: SimCluster) -> None:
    listed = kubectl(cluster, "get", "vm", "-A", "--no-headers").stdout.splitlines()
    assert len(listed) == 150 and listed[0].split()[3:] == ["Running", "True"]
    assert kubectl(cluster, "get", "nodes").stdout.splitlines()[0].split() == [
        "NAME",
        "STATUS",
        "ROLES",
        "AGE",
        "VERSION",
    ]
    manifest = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: k, namespace: default}\ndata: {a: '1'}\n"
    applied = kubectl(cluster, "apply", "--server-side", "-f", "-", text=manifest)
    assert applied.stdout == "configmap/k serverside-applied\n"
    patched = kubectl(cluster, "patch", "cm", "k", "-n", "default", "--type=merge", "-p", '{"data":{"a":"2"}}')
    assert patched.stdout == "configmap/k patched\n"
    refused = kubectl(cluster, "apply", "--server-side", "-f", "-", text=manifest)
    assert 'conflict with "kubectl-patch"' in refused.stderr
    unknown = kubectl(cluster, "apply", "-f", "-", text=f"{manifest}bogus: 1\n")
    assert 'unknown field "bogus"' in unknown.stderr
    assert kubectl(cluster, "delete", "cm", "k", "-n", "default").returncode == 0
    assert "NotFound" in kubectl(cluster, "get", "cm", "k", "-n", "default").stderr
    assert kubectl(cluster, "auth", "can-i", "list", "pods").stdout == "yes\n"
    assert kubectl(cluster, "auth", "can-i", "list", "pods", "--as", "alice").stdout == "no\n"
    watched = kubectl(cluster, "get", "vm", "-A", "--watch", "--request-timeout=2s", "--no-headers")
    assert len(watched.stdout.splitlines()) >= 150


def test_a_migration_runs_through(cluster: SimCluster) -> None:
    client = cluster.client()
    path = "/apis/kubevirt.io/v1/namespaces/{}/virtualmachineinstancemigrations"
    instance = next(
        each
        for each in client.items("/apis/kubevirt.io/v1/virtualmachineinstances")
        if {"type": "LiveMigratable", "status": "True"}.items()
        <= next(c for c in each["status"]["conditions"] if c["type"] == "LiveMigratable").items()
    )
    namespace, name = instance["metadata"]["namespace"], instance["metadata"]["name"]
    body = {
        "apiVersion": "kubevirt.io/v1",
        "kind": "VirtualMachineInstanceMigration",
        "metadata": {"generateName": "test-"},
        "spec": {"vmiName": name},
    }
    made = client.post(path.format(namespace), body)
    assert made.status == 201, made.body
    phases: list[str] = []
    watch = client.watch(
        path.format(namespace),
        fieldSelector=f"metadata.name={made.json()['metadata']['name']}",
        resourceVersion=made.json()["metadata"]["resourceVersion"],
        timeoutSeconds="60",
    )
    for event in watch:
        phase = event["object"].get("status", {}).get("phase")
        if phase and phase not in phases:
            phases.append(phase)
        if event["object"].get("status", {}).get("migrationState", {}).get("endTimestamp"):
            break
    assert phases[0] == "Pending" and phases[-2:] == ["Running", "Succeeded"]
    after = client.get(f"/apis/kubevirt.io/v1/namespaces/{namespace}/virtualmachineinstances/{name}").json()
    assert after["status"]["nodeName"] != instance["status"]["nodeName"]


def test_the_process_and_its_children_end_with_it() -> None:
    cluster = SimCluster("small").start()
    try:
        pids = [cluster.ready["pid"], cluster.ready["controllers_pid"]]
        assert all(alive(pid) for pid in pids)
        os.kill(pids[0], signal.SIGKILL)
        assert gone(pids[1])
    finally:
        cluster.stop()


def test_a_killed_parent_leaves_no_orphans() -> None:
    code = (
        "import time; from simcluster.testing import SimCluster; c = SimCluster('small').start();"
        "print(c.ready['pid'], c.ready['controllers_pid'], c.folder, flush=True); time.sleep(60)"
    )
    tests = str(Path(__file__).resolve().parents[2])
    parent = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": tests}
    )
    assert parent.stdout is not None
    server, controllers, folder = parent.stdout.readline().split()
    pids = [int(server), int(controllers)]
    parent.kill()
    parent.wait()
    parent.stdout.close()
    assert all(gone(pid) for pid in pids)
    shutil.rmtree(folder)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"scenario": "absent"}, "scenario 'absent' is unknown"),
        ({"versions": ["v7"]}, "HyperConverged versions"),
        ({"time_scale": 0.0}, "time scale must be a number above 0"),
    ],
)
def test_what_cannot_be_started_is_said(options: dict[str, Any], told: str) -> None:
    with pytest.raises(NotStarted, match=told):
        SimCluster(**options).start()


def test_a_scenario_may_be_given_as_data() -> None:
    machine = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "only", "namespace": "here"},
        "data": {"a": "b"},
    }
    token = {"token": "fixed-token-of-carol", "user": "carol"}
    scenario = {"name": "own", "objects": [machine], "settings": {"tokens": [token]}}
    with SimCluster(scenario, controllers=False, tls=False) as cluster:
        assert cluster.url.startswith("http://")
        assert cluster.client().get("/api/v1/namespaces/here/configmaps/only").json()["data"] == {"a": "b"}
        assert 'User "carol"' in cluster.client("fixed-token-of-carol").get("/api/v1/nodes").json()["message"]


def test_the_scenarios_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["scenarios"]) == 0
    listed = dict(line.split("\t") for line in capsys.readouterr().out.splitlines())
    assert {"small", "reference"} <= set(listed) and all(listed.values())
