"""vm_rwx_check and migration_preflight on the simulated cluster: what they find, and what they ask the API for."""

from __future__ import annotations

import json
import math
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.ocpv.scale.plugins.module_utils.cluster import resources
from ansible_collections.ocpv.scale.plugins.modules import migration_preflight, vm_rwx_check
from simcluster.testing import RunningCluster
from support.modules import run_module_main
from support.start import start_cluster

ROOT = Path(__file__).resolve().parents[2]
PAGE = 500
RBAC = "/apis/rbac.authorization.k8s.io/v1"


@pytest.fixture(scope="module")
def cluster() -> Iterator[RunningCluster]:
    with start_cluster(scenario="small", controllers=False, faults=True) as running:
        yield running


@pytest.fixture(autouse=True)
def no_faults(cluster: RunningCluster) -> Iterator[None]:
    yield
    cluster.faults()


def rwx(cluster: RunningCluster, **options: Any) -> dict[str, Any]:
    return run_module_main(vm_rwx_check.main, {"kubeconfig": str(cluster.kubeconfig), **options})


def preflight(cluster: RunningCluster, **options: Any) -> dict[str, Any]:
    return run_module_main(migration_preflight.main, {"kubeconfig": str(cluster.kubeconfig), **options})


def statuses(result: dict[str, Any]) -> dict[str, str]:
    return {item["name"]: item["status"] for item in result["checks"]}


def check(result: dict[str, Any], name: str) -> dict[str, Any]:
    return next(item for item in result["checks"] if item["name"] == name)


def user(cluster: RunningCluster, tmp_path: Path, name: str, roles: list[str]) -> Path:
    """The kubeconfig of a user with the documented roles of these names."""
    client = cluster.client()
    documented = yaml.safe_load((ROOT / "docs" / "rbac" / "rebalance.yaml").read_text())["items"]
    for item in documented:
        if item["kind"] != "ClusterRole" or item["metadata"]["name"] not in roles:
            continue
        assert client.post(f"{RBAC}/clusterroles", item).status in (201, 409)
        binding = {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": f"{name}-{item['metadata']['name']}"},
            "roleRef": {
                "apiGroup": "rbac.authorization.k8s.io",
                "kind": "ClusterRole",
                "name": item["metadata"]["name"],
            },
            "subjects": [{"kind": "User", "name": name, "apiGroup": "rbac.authorization.k8s.io"}],
        }
        assert client.post(f"{RBAC}/clusterrolebindings", binding).status == 201
    return cluster.write_kubeconfig(tmp_path / f"{name}.kubeconfig", cluster.add_token(name))


class TestRwxCheck:
    def test_every_special_case_has_its_way_and_its_reason(self, cluster: RunningCluster) -> None:
        result = rwx(cluster)
        found = {f"{item['namespace']}/{item['name']}": item for item in result["virtual_machines"]}
        assert result["checked"] == len(found) == 150
        for key, way, code in (
            ("shop/web-01", "live", "volume_copied"),
            ("development/build-01", "live", "volume_copied"),
            ("legacy/legacy-01", "storage_live", "claim_not_shared"),
            ("lab/scratch-01", "blocked", "host_disk"),
            ("lab/gpu-01", "cold", "host_device"),
            ("lab/hpc-01", "live", "single_channel"),
            ("lab/vault-01", "live", "state_follows"),
            ("lab/local-01", "storage_live", "volume_on_one_node"),
            ("lab/paused-01", "live", "paused"),
            ("lab/stopped-01", "cold", "stopped"),
            ("lab/running-false-01", "cold", "stopped"),
            ("lab/missing-claim-01", "blocked", "claim_missing"),
            ("lab/kiosk-0", "live", "managed_by_owner"),
        ):
            assert found[key]["way"] == way, found[key]
            assert code in {item["code"] for item in found[key]["findings"]}, found[key]
        assert not [item for item in found.values() if item["reported_live"] not in (None, item["predicted_live"])]

    def test_what_the_cluster_says_and_a_dump_of_it_are_assessed_alike(
        self, cluster: RunningCluster, tmp_path: Path
    ) -> None:
        client = cluster.client()
        objects = []
        for resource in (
            resources.NODES,
            resources.VIRTUAL_MACHINES,
            resources.VIRTUAL_MACHINE_INSTANCES,
            resources.PERSISTENT_VOLUME_CLAIMS,
            resources.PERSISTENT_VOLUMES,
            resources.STORAGE_CLASSES,
            resources.STORAGE_PROFILES,
            resources.DATA_VOLUMES,
            resources.KUBEVIRTS,
        ):
            for item in client.items(resource.path()):
                objects.append({"apiVersion": resource.api_version, "kind": resource.kind, **item})
        dump = tmp_path / "dump.json"
        dump.write_text(json.dumps({"kind": "List", "items": objects}))
        told = run_module_main(vm_rwx_check.main, {"snapshot": str(dump)})
        assert told["virtual_machines"] == rwx(cluster)["virtual_machines"]

    def test_changes_of_the_cluster_are_seen(self, cluster: RunningCluster) -> None:
        client = cluster.client()
        claim = {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {"name": "waiting", "namespace": "lab"},
            "spec": {
                "accessModes": ["ReadWriteMany"],
                "storageClassName": "ocs-external-storagecluster-ceph-rbd",
                "resources": {"requests": {"storage": "1Gi"}},
            },
        }
        assert client.post("/api/v1/namespaces/lab/persistentvolumeclaims", claim).status == 201
        machine = {
            "apiVersion": "kubevirt.io/v1",
            "kind": "VirtualMachine",
            "metadata": {"name": "waiting-01", "namespace": "lab"},
            "spec": {
                "runStrategy": "Always",
                "template": {
                    "spec": {
                        "domain": {"devices": {"disks": [{"name": "root", "disk": {"bus": "virtio"}}]}},
                        "volumes": [{"name": "root", "persistentVolumeClaim": {"claimName": "waiting"}}],
                    }
                },
            },
        }
        path = "/apis/kubevirt.io/v1/namespaces/lab/virtualmachines"
        answer = client.post(path, machine)
        assert answer.status == 201, answer.body
        try:
            (found,) = rwx(cluster, names=["lab/waiting-01"])["virtual_machines"]
            assert {item["code"] for item in found["findings"]} == {"claim_unbound", "no_instance"}
        finally:
            client.delete(f"{path}/waiting-01")
            client.delete("/api/v1/namespaces/lab/persistentvolumeclaims/waiting")

    def test_lists_only_and_nothing_written(self, cluster: RunningCluster) -> None:
        cluster.forget_requests()
        rwx(cluster)
        single = {name: count for name, count in cluster.requests().items() if not name.startswith("list ")}
        assert set(single) <= {
            "GET /version",
            "GET /apis",
            "GET /apis/hco.kubevirt.io",
            "get customresourcedefinitions.apiextensions.k8s.io",
        }
        assert sum(single.values()) <= 6

    def test_a_selection_by_what_pods_hold_reads_pods(self, cluster: RunningCluster) -> None:
        cluster.forget_requests()
        result = rwx(cluster, select="[?requests.memory_bytes > `6442450944`]")
        assert cluster.requests()["list pods"] >= 2  # those of virt-handler, and all
        assert result["checked"] == len([item for item in result["virtual_machines"] if "database" in item["name"]]) > 0

    def test_a_cluster_without_kubevirt_is_told(self, cluster: RunningCluster) -> None:
        cluster.faults({"match": {"path": "/virtualmachines"}, "action": {"status": 404, "message": "no"}})
        result = rwx(cluster)
        assert result["failed"] is True
        assert "not installed" in result["msg"]
        assert "exception" not in result

    def test_a_missing_right_is_told_with_where_to_get_it(self, cluster: RunningCluster, tmp_path: Path) -> None:
        nobody = user(cluster, tmp_path, "nobody", [])
        result = run_module_main(vm_rwx_check.main, {"kubeconfig": str(nobody)})
        assert (result["failed"], result["error"]) == (True, "Forbidden")
        assert "docs/rbac" in result["msg"]

    def test_an_expired_token_is_told(self, cluster: RunningCluster, tmp_path: Path) -> None:
        expired = cluster.write_kubeconfig(tmp_path / "old.kubeconfig", cluster.add_token("late", expires_seconds=0))
        result = run_module_main(vm_rwx_check.main, {"kubeconfig": str(expired)})
        assert result["failed"] is True
        assert (result["error"], "token" in result["msg"]) == ("Unauthorized", True)

    def test_a_server_that_throttles_is_waited_for(self, cluster: RunningCluster) -> None:
        rule = {"match": {"path": "/virtualmachines"}, "action": {"status": 429, "retry_after": 1}, "times": 1}
        cluster.faults(rule)
        assert rwx(cluster)["checked"] == 150


def test_requests_grow_with_pages_and_not_with_vms() -> None:
    sizes = {"workers": 30, "rhel": 350, "windows": 150, "fedora": 250, "pods": 1200}
    with start_cluster(scenario={"name": "many", "sizes": sizes}, controllers=False) as many:
        many.forget_requests()
        result = rwx(many)
        assert result["checked"] == 750
        requests = many.requests()
        client = many.client()
        for resource in (
            resources.NODES,
            resources.VIRTUAL_MACHINES,
            resources.VIRTUAL_MACHINE_INSTANCES,
            resources.PERSISTENT_VOLUME_CLAIMS,
            resources.PERSISTENT_VOLUMES,
            resources.DATA_VOLUMES,
        ):
            pages = max(1, math.ceil(len(client.items(resource.path())) / PAGE))
            assert requests[f"list {resource.full_name}"] == pages
        assert requests["list virtualmachines.kubevirt.io"] == 2
        assert requests["list pods"] == 1  # virt-handler's only
        assert sum(requests.values()) < 30


class TestPreflight:
    def test_the_small_cluster_is_ready(self, cluster: RunningCluster) -> None:
        cluster.forget_requests()
        result = preflight(cluster)
        assert result["passed"] is True, result["msg"]
        found = statuses(result)
        assert {name: status for name, status in found.items() if status != "ok"} == {
            "storage": "warning",
            "workload": "warning",
        }
        assert check(result, "limits")["evidence"]["parallel_migrations_per_cluster"] == 5
        assert "hco.kubevirt.io/v1" in check(result, "limits")["evidence"]["source"]
        requests = cluster.requests()
        assert {name for name in requests if name.split()[0] not in ("list", "get", "GET")} == {
            "create selfsubjectaccessreviews.authorization.k8s.io"
        }

    def test_an_older_release_and_a_single_node_are_told(self) -> None:
        with start_cluster(scenario="v1beta1", controllers=False) as older:
            result = preflight(older)
        assert check(result, "hyperconverged")["evidence"]["api_version"] == "hco.kubevirt.io/v1beta1"
        with start_cluster(scenario="single-node", controllers=False) as alone:
            result = preflight(alone)
        assert result["failed"] is True
        assert "targets" in result["fatal"]

    def test_migrations_in_flight_fill_the_slots(self, cluster: RunningCluster) -> None:
        client = cluster.client()
        path = "/apis/kubevirt.io/v1/namespaces/shop/virtualmachineinstancemigrations"
        try:
            for number in range(1, 6):
                body = {
                    "apiVersion": "kubevirt.io/v1",
                    "kind": "VirtualMachineInstanceMigration",
                    "metadata": {"name": f"m{number}"},
                    "spec": {"vmiName": f"web-{number:02d}"},
                }
                assert client.post(path, body).status == 201
                found = check(preflight(cluster), "limits")
                assert (found["evidence"]["active"], found["evidence"]["pending"]) == (number - 1, 1)
                patch = {"status": {"phase": "Running"}}
                assert client.patch(f"{path}/m{number}/status", patch).status == 200
            result = preflight(cluster)
            assert result["fatal"] == ["limits"]
            assert "5 of 5 migrations are in flight" in result["msg"]
            (moving,) = rwx(cluster, names=["shop/web-01"])["virtual_machines"]
            assert (moving["way"], moving["live_now"]) == ("live", False)
        finally:
            for number in range(1, 6):
                client.patch(f"{path}/m{number}/status", {"status": {"phase": "Failed"}})
                client.patch(f"{path}/m{number}", {"metadata": {"finalizers": None}})
                client.delete(f"{path}/m{number}")

    def test_the_documented_roles_are_enough_to_look_and_are_needed_to_move(
        self, cluster: RunningCluster, tmp_path: Path
    ) -> None:
        reader = user(cluster, tmp_path, "reader", ["ocpv-scale-reader"])
        result = run_module_main(migration_preflight.main, {"kubeconfig": str(reader)})
        assert result["fatal"] == ["permissions"]
        assert set(statuses(result).values()) <= {"ok", "warning", "failed"}
        denied = check(result, "permissions")["evidence"]["denied"]
        assert "create virtualmachineinstancemigrations.kubevirt.io" in denied
        assert "watch virtualmachineinstances.kubevirt.io" not in denied
        mover = user(cluster, tmp_path, "mover", ["ocpv-scale-reader", "ocpv-scale-mover"])
        result = run_module_main(migration_preflight.main, {"kubeconfig": str(mover), "fail_on": []})
        denied = check(result, "permissions")["evidence"]["denied"]
        assert denied
        assert all("in the state namespace" in right for right in denied)


@pytest.mark.slow
def test_playbooks_use_both_modules(cluster: RunningCluster, tmp_path: Path) -> None:
    """A real ansible-playbook run: the results can be used by name, and a failed check ends the play with its words."""
    play = [
        {
            "hosts": "localhost",
            "connection": "local",
            "gather_facts": False,
            "tasks": [
                {"ocpv.scale.vm_rwx_check": {"ways": ["blocked"], "severity": "error"}, "register": "ways"},
                {
                    "ansible.builtin.assert": {
                        "that": ["ways.counts.blocked == 2", "ways.virtual_machines | length == 2"]
                    }
                },
                {"ocpv.scale.migration_preflight": None, "register": "ready"},
                {"ansible.builtin.assert": {"that": ["ready is not changed", "ready.passed"]}},
                {"ocpv.scale.migration_preflight": {"names": ["lab/scratch-01"], "fail_on": ["storage"]}},
            ],
        }
    ]
    playbook = tmp_path / "play.yml"
    playbook.write_text(yaml.safe_dump(play))
    done = subprocess.run(
        ["ansible-playbook", "-i", "localhost,", str(playbook)],
        env={**os.environ, **cluster.environment, "ANSIBLE_HOME": str(tmp_path / "ansible")},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 2, done.stdout + done.stderr
    assert "ok=4" in done.stdout
    assert "storage: 0 of 1 running VM can be migrated live." in done.stdout + done.stderr
