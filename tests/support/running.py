"""Runs of rebalance_run against a simulated cluster: plans made by hand, calls in this process or in another."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from ansible_collections.ocpv.scale.plugins.module_utils.rebalance.plan import Move, Plan, Prediction, Stage, Wave
from ansible_collections.ocpv.scale.plugins.modules import rebalance_run
from simcluster.testing import Client, RunningCluster

from .modules import run_module_main

Obj = dict[str, Any]
STATE_NAMESPACE = "ocpv-scale"
MACHINES = "virtualmachines"
INSTANCES = "virtualmachineinstances"
MIGRATIONS = "virtualmachineinstancemigrations"
OWN_ANNOTATIONS = ("ocpv.scale/cold-move", "ocpv.scale/steered-move")


def kubevirt_path(plural: str, key: str = "") -> str:
    """Return the path of a kind of KubeVirt in all namespaces, or of one object ("namespace/name")."""
    namespace, _slash, name = key.partition("/")
    return f"/apis/kubevirt.io/v1/namespaces/{namespace}/{plural}/{name}" if key else f"/apis/kubevirt.io/v1/{plural}"


class Scene:
    """A simulated cluster with the namespace for the state of runs, and what tests look at in it."""

    def __init__(self, cluster: RunningCluster) -> None:
        self.cluster = cluster
        self.client: Client = cluster.client()
        body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": STATE_NAMESPACE}}
        assert self.client.post("/api/v1/namespaces", body).status in (201, 409)

    def vm(self, key: str) -> Obj:
        return self._one(MACHINES, key)

    def vmi(self, key: str) -> Obj:
        return self._one(INSTANCES, key)

    def _one(self, plural: str, key: str) -> Obj:
        answer = self.client.get(kubevirt_path(plural, key))
        assert answer.status == 200, (key, answer.body)
        return dict(answer.json())

    def node_of(self, key: str) -> str:
        return str(self.vmi(key)["status"].get("nodeName", ""))

    def migrations(self, prefix: str = "") -> list[Obj]:
        found = self.client.items(kubevirt_path(MIGRATIONS))
        return [item for item in found if item["metadata"]["name"].startswith(prefix)]

    def plan(self, stages: Mapping[str, Iterable[tuple[str, ...]]], **limits: int) -> Obj:
        """Return a plan's document: stage -> (VM, target[, mode[, id of a move it needs]]); ids are m1, m2, ..."""
        made, number = [], 0
        for name, wanted in stages.items():
            moves = []
            for key, target, *more in wanted:
                number += 1
                namespace, vm = key.split("/")
                source = self.vmi(key)["status"].get("nodeName", "")
                uid = self.vm(key)["metadata"]["uid"]
                mode, after = (more + ["live", ""][len(more) :])[:2]
                needs = (after,) if after else ()
                predicted = Prediction(duration_seconds=15.0, end_seconds=30.0)
                moves.append(
                    Move(
                        f"m{number}", namespace, vm, uid, source, target, mode, "test", after=needs, predicted=predicted
                    )
                )
            made.append(Stage(name, (Wave(1, tuple(moves)),)))
        system = self.client.get("/api/v1/namespaces/kube-system")
        now = self.client.get("/version").header("date")
        created = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.strptime(now, "%a, %d %b %Y %H:%M:%S GMT"))
        document: dict[str, Any] = Plan(
            id="plan-test",
            created_at=created,
            cluster_uid=system.json()["metadata"]["uid"],
            snapshot_at=created,
            request={"rules": {"keep_node_loss": False}},
            limits=limits,
            stages=tuple(made),
        ).to_dict()
        return document

    def run(self, plan: Obj, *, check_mode: bool = False, **options: Any) -> Obj:
        """Run the module in this process."""
        arguments = {"kubeconfig": str(self.cluster.kubeconfig), "plan": plan, **options}
        return run_module_main(rebalance_run.main, arguments, check_mode=check_mode)

    def start(self, plan: Obj, **options: Any) -> ModuleProcess:
        """Run the module in a process of its own."""
        return ModuleProcess({"kubeconfig": str(self.cluster.kubeconfig), "plan": plan, **options})

    def faults(self, *migrations: Obj, nodes: Mapping[str, str] | None = None) -> None:
        """Let migrations fail by these rules, and nodes be in these states; nothing ends all."""
        quick = self.cluster.quickened_by
        rules = [{**rule, "after_seconds": rule.get("after_seconds", 1.0) / quick} for rule in migrations]
        data = {"migrations": json.dumps(rules), "nodes": json.dumps(dict(nodes or {}))}
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "faults"}, "data": data}
        path = "/api/v1/namespaces/simcluster/configmaps"
        if self.client.patch(f"{path}/faults", {"data": data}).status == 404:
            self.client.post("/api/v1/namespaces", {
                "apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "simcluster"}})  # fmt: skip
            assert self.client.post(path, body).status == 201

    def endless(self) -> None:
        """Let KubeVirt never give a migration up by itself."""
        for item in self.client.items("/apis/hco.kubevirt.io/v1/hyperconvergeds"):
            metadata = item["metadata"]
            path = f"/apis/hco.kubevirt.io/v1/namespaces/{metadata['namespace']}/hyperconvergeds/{metadata['name']}"
            never = {"completionTimeoutPerGiB": 0, "progressTimeout": 0}
            answer = self.client.patch(path, {"spec": {"virtualization": {"liveMigrationConfig": never}}})
            assert answer.status == 200, answer.body
        time.sleep(0.5)

    def wait(self, condition: Callable[[], Any], what: str, seconds: float = 60.0) -> Any:
        """Wait until a condition holds, and return what it returned."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            found = condition()
            if found:
                return found
            time.sleep(0.05)
        raise AssertionError(f"{what}: not within {seconds:g} s")

    def wait_for_phase(self, prefix: str, *phases: str) -> Obj:
        """Wait until a migration whose name begins so is in one of the phases."""

        def found() -> Obj | None:
            return next(
                (item for item in self.migrations(prefix) if (item.get("status") or {}).get("phase") in phases), None
            )

        return dict(self.wait(found, f"a migration {prefix}* in {phases}"))

    def state(self, run_id: str) -> Obj:
        answer = self.client.get(f"/api/v1/namespaces/{STATE_NAMESPACE}/configmaps/ocpv-rebalance-{run_id}")
        assert answer.status == 200, answer.body
        return dict(answer.json())

    def holder(self) -> str:
        answer = self.client.get(
            f"/apis/coordination.k8s.io/v1/namespaces/{STATE_NAMESPACE}/leases/ocpv-scale-rebalance"
        )
        return str(answer.json()["spec"].get("holderIdentity") or "") if answer.status == 200 else ""


class ModuleProcess:
    """rebalance_run in a process of its own."""

    def __init__(self, arguments: Obj) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "support.module_process"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=Path(__file__).resolve().parents[1],
            text=True,
        )
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(arguments))
        self._process.stdin.close()
        self._process.stdin = None

    def signal(self, number: int) -> None:
        self._process.send_signal(number)

    def kill(self) -> None:
        """End it without notice."""
        self._process.kill()
        self._process.communicate()

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def result(self, seconds: float = 120.0) -> Obj:
        """Wait for its end and return its result."""
        try:
            output, errors = self._process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise
        assert output, errors
        return dict(json.loads(output))


def statuses(result: Obj) -> dict[str, str]:
    """Return the status of each move by its id."""
    return {move["id"]: move["status"] for move in result["run"]["moves"]}


def move_of(result: Obj, identity: str) -> Obj:
    return next(move for move in result["run"]["moves"] if move["id"] == identity)
