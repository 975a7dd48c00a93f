"""migration_preflight fails for the checks it is told to, with all of them in its result."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ocpv.scale.plugins.module_utils.cluster import resources
from ansible_collections.ocpv.scale.plugins.module_utils.migration.preflight import CHECKS
from ansible_collections.ocpv.scale.plugins.modules import migration_preflight
from support.http_api import HttpApi, Reply, Request, http_api, status
from support.modules import run_module_main
from unit.plugins.module_utils.migration.objects import (
    CLUSTER,
    LIVE,
    WORKERS,
    both,
    kubevirt,
    migration,
    node,
    spec,
)

FULL = {"spec": {"configuration": {"migrations": {"parallelMigrationsPerCluster": 0}}}}


def write(path: Path, *objects: dict[str, Any]) -> str:
    path.write_text(json.dumps({"kind": "List", "items": [*objects, *both(spec(), [LIVE])]}))
    return str(path)


def run(snapshot: str, **options: Any) -> dict[str, Any]:
    return run_module_main(migration_preflight.main, {"snapshot": snapshot, **options})


def test_a_dump_is_checked_as_far_as_it_goes(tmp_path: Path) -> None:
    result = run(write(tmp_path / "dump.json", *CLUSTER))
    assert "failed" not in result
    assert result["passed"] is True
    assert result["changed"] is False
    assert [item["name"] for item in result["checks"]] == list(CHECKS)
    told = {item["name"]: item["status"] for item in result["checks"]}
    assert (told["storage"], told["targets"], told["permissions"], told["quota"]) == ("ok", "ok", "unknown", "unknown")
    assert sum(result["counts"].values()) == len(result["lines"]) == len(CHECKS)


def test_a_failed_check_fails_the_module_and_all_is_told(tmp_path: Path) -> None:
    path = write(tmp_path / "dump.json", *(item for item in CLUSTER if item["kind"] != "KubeVirt"), kubevirt(**FULL))
    result = run(path)
    assert result["failed"] is True
    assert (result["fatal"], result["passed"]) == (["limits"], False)
    assert "parallelMigrationsPerCluster is 0" in result["msg"]
    assert "Raise it in the HyperConverged's liveMigrationConfig." in result["msg"]
    assert [item["name"] for item in result["checks"]] == list(CHECKS)


def test_why_a_migration_failed_is_told_from_a_dump(tmp_path: Path) -> None:
    state = {
        "migrationUid": "uid-move",
        "sourceNode": "worker-1",
        "targetNode": "worker-2",
        "startTimestamp": "2026-03-01T11:00:00Z",
        "endTimestamp": "2026-03-01T11:01:41Z",
        "completed": True,
        "failed": True,
        "failureReason": "Live migration has been aborted",
        "migrationConfiguration": {"completionTimeoutPerGiB": 20},
    }
    created = {"creationTimestamp": "2026-03-01T10:59:00Z"}
    broken = migration("Failed", metadata=created, status={"migrationState": state})
    path = write(tmp_path / "dump.json", *CLUSTER, broken)
    noon = datetime(2026, 3, 1, 12, tzinfo=UTC).timestamp()
    os.utime(path, (noon, noon))
    result = run(path)
    (entry,) = result["diagnoses"]
    assert (entry["name"], entry["symptom"], entry["ended_at"]) == ("web", "completion_timeout", state["endTimestamp"])
    assert "20 s for each of 5 started GB; it copied for 101 s." in "".join(entry["evidence"])
    (line,) = result["diagnosis_lines"]
    assert line.startswith("shop/web, Failed (completion_timeout): The copy was slower")
    assert "completion_timeout_seconds_per_gib 40 (migration_policy)" in line
    assert run(write(tmp_path / "dump.json", *CLUSTER))["diagnoses"] == []


@pytest.mark.parametrize(("fail_on", "failed"), [([], False), (["storage", "targets"], False), (["limits"], True)])
def test_which_checks_are_fatal_is_chosen(tmp_path: Path, fail_on: list[str], failed: bool) -> None:
    path = write(tmp_path / "dump.json", *(item for item in CLUSTER if item["kind"] != "KubeVirt"), kubevirt(**FULL))
    result = run(path, fail_on=fail_on)
    assert result.get("failed", False) is failed
    assert result["counts"]["failed"] == 1


def test_a_single_node_is_nowhere_to_go(tmp_path: Path) -> None:
    result = run(write(tmp_path / "dump.json", node("worker-1"), kubevirt()))
    assert "targets" in result["fatal"]
    assert "single node" in result["msg"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"fail_on": ["weather"]}, "value of fail_on must be one or more of: storage, network"),
        ({"names": ["absent"]}, "names: ['absent'] cannot be used: names of existing VMs are needed"),
        ({"snapshot": "/absent/dump.json"}, "/absent/dump.json"),
    ],
)
def test_mistakes_are_told(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    result = run(**{"snapshot": write(tmp_path / "dump.json", *CLUSTER), **options})
    assert result["failed"] is True
    assert message in result["msg"]
    assert "exception" not in result


def test_a_dump_without_nodes_is_not_enough(tmp_path: Path) -> None:
    result = run(write(tmp_path / "dump.json", kubevirt()))
    assert result["failed"] is True
    assert "its part nodes is needed" in result["msg"]


@pytest.fixture
def api() -> Iterator[HttpApi]:
    """A live cluster of three nodes and one VM in which everything is allowed."""
    found: dict[str, list[dict[str, Any]]] = {}
    kinds = {
        "VirtualMachine": resources.VIRTUAL_MACHINES,
        "VirtualMachineInstance": resources.VIRTUAL_MACHINE_INSTANCES,
    }
    kinds |= {"Node": resources.NODES, "KubeVirt": resources.KUBEVIRTS}
    for item in (*(node(name) for name in WORKERS), kubevirt(), *both(spec(), [LIVE])):
        found.setdefault(kinds[item["kind"]].path(), []).append(item)
    for resource in (
        resources.NAMESPACES,
        resources.PODS,
        resources.PERSISTENT_VOLUME_CLAIMS,
        resources.PERSISTENT_VOLUMES,
        resources.STORAGE_CLASSES,
        resources.MIGRATIONS,
        resources.RESOURCE_QUOTAS,
    ):
        found[resource.path()] = []
    with http_api() as server:
        server.collections = found
        server.collections[resources.PODS.path("openshift-cnv")] = []
        server.routes[resources.SELF_SUBJECT_ACCESS_REVIEWS.path()] = Reply(201, {"status": {"allowed": True}})
        yield server


def live(api: HttpApi, **options: Any) -> dict[str, Any]:
    return run_module_main(migration_preflight.main, {"host": api.url, "api_key": "sha256~token", **options})


def check(result: dict[str, Any], name: str) -> dict[str, Any]:
    return next(item for item in result["checks"] if item["name"] == name)


def test_a_live_cluster_is_asked_for_rights_and_quotas(api: HttpApi) -> None:
    hard = {"requests.memory": "1Gi"}
    quota = {"metadata": {"namespace": "other", "name": "q"}, "status": {"hard": hard, "used": hard}}
    api.collections[resources.RESOURCE_QUOTAS.path()] = [quota]
    result = live(api)
    assert (check(result, "permissions")["status"], check(result, "quota")["status"]) == ("ok", "ok")
    assert check(result, "quota")["evidence"]["namespaces"] == ["other"]


def test_a_right_that_is_missing_is_fatal_and_named(api: HttpApi) -> None:
    def only_reading(request: Request) -> Reply:
        asked = request.document["spec"]["resourceAttributes"]
        return Reply(201, {"status": {"allowed": asked["verb"] not in ("create", "patch")}})

    api.routes[resources.SELF_SUBJECT_ACCESS_REVIEWS.path()] = only_reading
    result = live(api)
    assert result["failed"] is True
    assert result["fatal"] == ["permissions"]
    assert "create virtualmachineinstancemigrations.kubevirt.io" in result["msg"]
    assert "docs/rbac/rebalance.yaml" in result["msg"]


def test_rights_on_the_state_are_asked_in_its_namespace(api: HttpApi) -> None:
    asked = []

    def note(request: Request) -> Reply:
        asked.append(request.document["spec"]["resourceAttributes"])
        return Reply(201, {"status": {"allowed": True}})

    api.routes[resources.SELF_SUBJECT_ACCESS_REVIEWS.path()] = note
    live(api, state_namespace="team-state")
    spaces = {(item["resource"], item.get("namespace")) for item in asked}
    assert ("configmaps", "team-state") in spaces
    assert ("virtualmachineinstancemigrations", None) in spaces
    verbs = {(item["group"], item["resource"], item.get("subresource"), item["verb"]) for item in asked}
    assert ("subresources.kubevirt.io", "virtualmachines", "restart", "update") in verbs


def test_quotas_that_may_not_be_read_are_not_known(api: HttpApi) -> None:
    denied = status(403, "Forbidden", 'resourcequotas is forbidden: User "x" cannot list resource "resourcequotas"')
    api.routes[resources.RESOURCE_QUOTAS.path()] = denied
    assert check(live(api), "quota")["status"] == "unknown"


def test_nothing_is_written(api: HttpApi) -> None:
    live(api)
    reviews = resources.SELF_SUBJECT_ACCESS_REVIEWS.path()
    assert {request.method for request in api.requests if request.path != reviews} == {"GET"}
