"""The auditor on a simulated cluster: quiet while all is done properly, loud when rules are broken on purpose."""

from __future__ import annotations

import contextlib
import copy
import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from audit.api import connection

ROOT = Path(__file__).parents[2]
SHOP = "/apis/kubevirt.io/v1/namespaces/shop"
Obj = dict[str, Any]


class Cluster:
    """A running simulated cluster and a way to talk to it."""

    def __init__(self, folder: Path) -> None:
        self.kubeconfig = folder / "kubeconfig"
        self._where = connection(self.kubeconfig)

    def call(self, method: str, path: str, body: Obj | None = None) -> Obj:
        kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
        request = urllib.request.Request(
            self._where.server + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {self._where.token}", "Content-Type": kind},
        )
        with urllib.request.urlopen(request, context=self._where.tls, timeout=10) as answer:
            return json.load(answer)  # type: ignore[no-any-return]

    def writes(self) -> set[str]:
        """What has been written since the start, heartbeats of nodes aside."""
        users = self.call("GET", "/simcluster/stats")["users"].values()
        requests = {request for user in users for request in user["requests"]}
        return {request for request in requests if not request.startswith(("GET", "list", "watch", "patch nodes"))}

    def launcher(self, machine: str) -> Obj:
        selector = f"vm.kubevirt.io%2Fname%3D{machine}"
        return self.call("GET", f"/api/v1/pods?labelSelector={selector}")["items"][0]  # type: ignore[no-any-return]

    def migrate(self, machine: str, node: str, run: str = "r1") -> str:
        migration = {
            "apiVersion": "kubevirt.io/v1",
            "kind": "VirtualMachineInstanceMigration",
            "metadata": {"generateName": f"{machine}-", "labels": {"ocpv.scale/run": run}},
            "spec": {"vmiName": machine, "addedNodeSelector": {"kubernetes.io/hostname": node}},
        }
        created = self.call("POST", f"{SHOP}/virtualmachineinstancemigrations", migration)
        return str(created["metadata"]["name"])


@contextlib.contextmanager
def ended(process: subprocess.Popen[str]) -> Iterator[subprocess.Popen[str]]:
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
        process.communicate(timeout=20)


def start(*arguments: str, wait_for: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-m", *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    deadline = time.monotonic() + 60
    while not wait_for.exists():
        if process.poll() is not None or time.monotonic() > deadline:
            process.kill()
            raise AssertionError(f"{arguments[0]} did not start: {process.communicate()[0]}")
        time.sleep(0.05)
    return process


def audited(folder: Path, during: Callable[[Cluster], None], *options: str) -> tuple[int, list[Obj], str]:
    """Exit status, findings and text of an audit of C(small) while C(during) happens."""
    ready, audit_ready, output = folder / "ready", folder / "audit-ready", folder / "audit.jsonl"
    kubeconfig = str(folder / "kubeconfig")
    up = ("simcluster", "up", "--scenario", "small", "--kubeconfig", kubeconfig, "--ready-file", str(ready))
    watch = ("audit", "--kubeconfig", kubeconfig, "--output", str(output), "--ready-file", str(audit_ready))
    quick = ("--lag-seconds", "1", "--overlap-seconds", "3", "--settle-seconds", "3")
    with (
        ended(start(*up, "--exit-with-parent", *options, wait_for=ready)),
        ended(start(*watch, *quick, wait_for=audit_ready)) as auditor,
    ):
        during(Cluster(folder))
        auditor.terminate()
        text, _ = auditor.communicate(timeout=60)
    return auditor.returncode, [json.loads(line) for line in output.read_text().splitlines()], text


def test_a_proper_migration_passes(tmp_path: Path) -> None:
    def migrate(cluster: Cluster) -> None:
        name = cluster.migrate("web-01", "worker-12")
        deadline = time.monotonic() + 40
        phase = ""
        while phase != "Succeeded" and time.monotonic() < deadline:
            time.sleep(0.2)
            found = cluster.call("GET", f"{SHOP}/virtualmachineinstancemigrations/{name}")
            phase = (found.get("status") or {}).get("phase", "")
        assert phase == "Succeeded"

    status, lines, text = audited(tmp_path, migrate, "--time-scale", "20")
    assert (status, lines[:-1]) == (0, []), text
    assert lines[-1]["vms_moved_live"] == 1


def test_a_scenario_at_rest_gives_the_controllers_nothing_to_do(tmp_path: Path) -> None:
    def look(cluster: Cluster) -> None:
        time.sleep(1)
        assert cluster.writes() == set()

    status, lines, text = audited(tmp_path, look)
    assert (status, lines[:-1]) == (0, []), text


def test_every_rule_that_is_broken_on_purpose_is_reported(tmp_path: Path) -> None:
    def vandalise(cluster: Cluster) -> None:
        overload = copy.deepcopy(cluster.launcher("app-01"))
        beside = copy.deepcopy(cluster.launcher("database-01"))
        overload["spec"]["nodeName"] = "worker-12"
        overload["spec"]["containers"][0]["resources"]["requests"]["cpu"] = "15"
        beside["spec"]["nodeName"] = cluster.launcher("database-02")["spec"]["nodeName"]
        for pod in (overload, beside):
            pod["metadata"] = {key: pod["metadata"][key] for key in ("generateName", "namespace", "labels")}
            del pod["status"]
            cluster.call("POST", f"/api/v1/namespaces/{pod['metadata']['namespace']}/pods", pod)
        node = cluster.launcher("web-01")["spec"]["nodeName"]
        neighbours = [
            pod["metadata"]["labels"]["vm.kubevirt.io/name"]
            for pod in cluster.call("GET", "/api/v1/namespaces/shop/pods")["items"]
            if pod["spec"]["nodeName"] == node
        ]
        for machine in neighbours[:2]:
            name = cluster.migrate(machine, "worker-12")
            path = f"{SHOP}/virtualmachineinstancemigrations/{name}/status"
            cluster.call("PATCH", path, {"status": {"phase": "Scheduling"}})
        cluster.call("PATCH", f"{SHOP}/virtualmachineinstances/cache-01", {"metadata": {"finalizers": None}})
        cluster.call("DELETE", f"{SHOP}/virtualmachineinstances/cache-01")
        left = {"metadata": {"annotations": {"ocpv.scale/original-placement": "{}"}}}
        cluster.call("PATCH", f"{SHOP}/virtualmachines/cache-02", left)
        pinned = {"spec": {"template": {"spec": {"nodeSelector": {"kubernetes.io/hostname": "worker-12"}}}}}
        cluster.call("PATCH", f"{SHOP}/virtualmachines/cache-03", pinned)
        time.sleep(0.5)

    status, lines, text = audited(tmp_path, vandalise, "--no-controllers")
    assert status == 1, text
    found = {(line["rule"], line["subject"]) for line in lines[:-1]}
    assert {
        ("node_requests", "worker-12"),
        ("vm_lost", "shop/cache-01"),
        ("not_running", "shop/cache-01"),
        ("leftover", "shop/cache-02"),
        ("vm_changed", "shop/cache-03"),
    } <= found
    rules = {rule for rule, _ in found}
    assert {"anti_affinity", "source_limit"} <= rules
    assert not rules & {"cluster_limit", "moved_twice", "max_pods", "config_changed", "node_changed"}
