"""Controllers as a process of their own: ended and started again, older releases, nodes that die at the source."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from simcluster.testing import Client, SimCluster
from unit.simcluster.flow import eventually

Obj = dict[str, Any]
KUBEVIRT = "/apis/kubevirt.io/v1"
MIGRATIONS = f"{KUBEVIRT}/namespaces/shop/virtualmachineinstancemigrations"
INSTANCES = f"{KUBEVIRT}/namespaces/shop/virtualmachineinstances"


class Controllers:
    """C(python -m simcluster.controllers) beside a server that runs without."""

    def __init__(self, cluster: SimCluster, folder: Path) -> None:
        self._cluster = cluster
        self._ready = folder / "ready"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, *options: str) -> None:
        self._ready.unlink(missing_ok=True)
        tests = str(Path(__file__).resolve().parents[2])
        path = os.pathsep.join(filter(None, (tests, os.environ.get("PYTHONPATH"))))
        command = [sys.executable, "-m", "simcluster.controllers", "--kubeconfig", str(self._cluster.kubeconfig)]
        self._process = subprocess.Popen(
            [*command, "--ready-file", str(self._ready), *options], env={**os.environ, "PYTHONPATH": path}
        )
        eventually(self._ready.exists, bool)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


@pytest.fixture
def server() -> Iterator[SimCluster]:
    with SimCluster("small", time_scale=40, controllers=False) as running:
        yield running


@pytest.fixture
def controllers(server: SimCluster, tmp_path: Path) -> Iterator[Controllers]:
    made = Controllers(server, tmp_path)
    yield made
    made.kill()


def migrate(api: Client, vmi: str) -> str:
    body = {
        "apiVersion": "kubevirt.io/v1",
        "kind": "VirtualMachineInstanceMigration",
        "metadata": {"name": f"move-{vmi}"},
        "spec": {"vmiName": vmi},
    }
    assert api.post(MIGRATIONS, body).status == 201
    return f"move-{vmi}"


def phase_of(api: Client, name: str) -> str:
    return str((api.get(f"{MIGRATIONS}/{name}").json().get("status") or {}).get("phase", ""))


def put_faults(api: Client, rules: list[Obj], nodes: Obj | None = None) -> None:
    data = {"migrations": json.dumps(rules), "nodes": json.dumps(nodes or {})}
    path = "/api/v1/namespaces/simcluster/configmaps"
    if api.patch(f"{path}/faults", {"data": data}).status == 404:
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "faults"}, "data": data}
        assert api.post(path, body).status == 201
    time.sleep(0.1)


@pytest.mark.parametrize("phase", ["Scheduling", "PreparingTarget", "Running"])
def test_migrations_go_on_after_the_controllers_were_killed(
    server: SimCluster, controllers: Controllers, phase: str
) -> None:
    api = server.client()
    model = {"prepare_target_seconds": "20", "pod_start_seconds": "20", "stream_bytes_per_second": "1e8"}
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "migration-model"}, "data": model}
    assert api.post("/api/v1/namespaces/simcluster/configmaps", body).status == 201
    controllers.start()
    names = [migrate(api, vmi) for vmi in ("app-01", "portal-01")]
    for name in names:
        eventually(lambda name=name: phase_of(api, name), lambda found: found == phase)  # type: ignore[misc]
    controllers.kill()
    time.sleep(0.2)
    controllers.start()
    for name in names:
        eventually(lambda name=name: phase_of(api, name), lambda found: found == "Succeeded", 30.0)  # type: ignore[misc]
    for vmi in ("app-01", "portal-01"):
        pods = api.items("/api/v1/namespaces/shop/pods", labelSelector=f"vm.kubevirt.io/name={vmi}")
        assert len(pods) == 2
        instance = api.get(f"{INSTANCES}/{vmi}").json()
        assert instance["status"]["migrationState"]["completed"] is True


def test_only_some_controllers_may_run(server: SimCluster, controllers: Controllers) -> None:
    api = server.client()
    controllers.start("--only", "migration,virtual-machine-instance")
    name = migrate(api, "app-01")
    eventually(lambda: phase_of(api, name), lambda found: found == "Scheduling")
    time.sleep(0.3)
    pods = api.items("/api/v1/namespaces/shop/pods", labelSelector="vm.kubevirt.io/name=app-01")
    assert sorted(bool(pod["spec"].get("nodeName")) for pod in pods) == [False, True]


def test_source_that_dies_fails_the_migration_and_its_machine_comes_back_with_the_node() -> None:
    with SimCluster("small", time_scale=100, tls=False) as cluster:
        api = cluster.client()
        put_faults(api, [{"vm": "shop/app-01", "effect": "kill-source"}])
        name = migrate(api, "app-01")
        eventually(lambda: phase_of(api, name), lambda found: found == "Failed", 30.0)
        instance = api.get(f"{INSTANCES}/app-01").json()
        state = instance["status"]["migrationState"]
        assert state["failureReason"] == "Target pod is down"
        assert instance["status"]["nodeName"] == state["sourceNode"]
        source = f"/api/v1/namespaces/shop/pods/{state['sourcePod']}"
        # the node controller wants the pods gone, but nobody on the dead node does it
        eventually(lambda: "deletionTimestamp" in api.get(source).json()["metadata"], bool, 30.0)
        put_faults(api, [])
        eventually(
            lambda: api.get(f"{INSTANCES}/app-01").json(),
            lambda obj: (
                obj["metadata"].get("uid") not in (None, instance["metadata"]["uid"])
                and obj["status"].get("phase") == "Running"
            ),
            30.0,
        )


def test_virt_handler_that_is_not_ready_takes_no_machines_and_says_so() -> None:
    with SimCluster("small", time_scale=40, tls=False) as cluster:
        api = cluster.client()
        put_faults(api, [], {"worker-12": "handler-not-ready"})
        label = lambda: api.get("/api/v1/nodes/worker-12").json()["metadata"]["labels"]["kubevirt.io/schedulable"]  # noqa: E731
        eventually(label, lambda found: found == "false")
        path = "/apis/apps/v1/namespaces/openshift-cnv/daemonsets/virt-handler"
        eventually(lambda: api.get(path).json()["status"].get("numberUnavailable"), lambda found: found == 1)
        put_faults(api, [])
        eventually(label, lambda found: found == "true")
        eventually(lambda: api.get(path).json()["status"]["numberReady"], lambda found: found == 12)


def test_older_release_with_v1beta1_only() -> None:
    with SimCluster("small", time_scale=40, versions=["v1beta1"], tls=False) as cluster:
        api = cluster.client()
        path = "/apis/hco.kubevirt.io/v1beta1/namespaces/openshift-cnv/hyperconvergeds/kubevirt-hyperconverged"
        kubevirt = f"{KUBEVIRT}/namespaces/openshift-cnv/kubevirts/kubevirt-kubevirt-hyperconverged"
        assert api.patch(path, {"spec": {"liveMigrationConfig": {"progressTimeout": 99}}}).status == 200
        eventually(
            lambda: api.get(kubevirt).json()["spec"]["configuration"]["migrations"]["progressTimeout"],
            lambda found: found == 99,
        )
