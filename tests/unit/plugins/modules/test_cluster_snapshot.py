"""cluster_snapshot reads a cluster or a dump and writes the snapshot's file."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ocpv.scale.plugins.module_utils.cluster import resources
from ansible_collections.ocpv.scale.plugins.module_utils.cluster.snapshot_file import read_snapshot
from ansible_collections.ocpv.scale.plugins.modules import cluster_snapshot
from support.http_api import CAPTURED_AT, HttpApi, Reply, http_api
from support.modules import run_module_main

SECRET = "correct-horse-battery-staple"
TOKEN = "sha256~token"


def vm(name: str) -> dict[str, Any]:
    volumes = [{"name": "init", "cloudInitNoCloud": {"userData": f"password: {SECRET}"}}]
    applied = json.dumps({"spec": {"template": {"spec": {"volumes": volumes}}}})
    return {
        "apiVersion": "kubevirt.io/v1",
        "kind": "VirtualMachine",
        "metadata": {
            "namespace": "shop",
            "name": name,
            "uid": f"uid-{name}",
            "annotations": {"kubectl.kubernetes.io/last-applied-configuration": applied},
        },
        "spec": {"runStrategy": "Halted", "template": {"spec": {"domain": {}, "volumes": volumes}}},
    }


@pytest.fixture
def api() -> Iterator[HttpApi]:
    with http_api() as server:
        for resource in (
            resources.NODES,
            resources.NAMESPACES,
            resources.VIRTUAL_MACHINE_INSTANCES,
            resources.PODS,
            resources.PERSISTENT_VOLUME_CLAIMS,
            resources.PERSISTENT_VOLUMES,
            resources.STORAGE_CLASSES,
            resources.MIGRATIONS,
            resources.KUBEVIRTS,
        ):
            server.collections[resource.path()] = []
        server.collections[resources.VIRTUAL_MACHINES.path()] = [vm("web"), vm("db")]
        server.collections[resources.VIRTUAL_MACHINES.path("shop")] = [vm("web")]
        server.routes[resources.NAMESPACES.path(None, "kube-system")] = Reply(body={"metadata": {"uid": "cluster-1"}})
        yield server


def run(check_mode: bool = False, **arguments: Any) -> dict[str, Any]:
    return run_module_main(cluster_snapshot.main, arguments, check_mode=check_mode)


def live(api: HttpApi) -> dict[str, Any]:
    return {"host": api.url, "api_key": TOKEN}


def test_a_live_cluster_is_written_without_its_secrets(
    api: HttpApi, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "cluster.json"
    result = run(path=str(path), **live(api))
    assert result["changed"] is True
    assert result["path"] == str(path)
    assert (result["captured_at"], result["server_version"]) == (CAPTURED_AT, "v1.31.4")
    assert result["counts"]["virtual_machines"] == 2
    assert "usage" in result["missing"]
    assert "Not in the snapshot: usage." in capfd.readouterr().err
    assert set(read_snapshot(path).virtual_machines) == {"shop/web", "shop/db"}
    assert SECRET not in path.read_text()
    assert SECRET not in json.dumps(result)


def test_parts_and_namespaces_limit_what_is_read(api: HttpApi) -> None:
    result = run(parts=["virtual_machines"], namespaces=["shop"], **live(api), path=None)
    assert result.get("failed") is True
    api.collections[resources.VIRTUAL_MACHINE_INSTANCES.path("shop")] = []
    result = run(parts=["virtual_machines"], namespaces=["shop"], **live(api))
    assert (result["parts"], result["counts"]["virtual_machines"]) == (["virtual_machines"], 1)
    assert (result["changed"], result["path"], result["cluster_uid"]) == (False, "", "cluster-1")


def test_a_dump_is_written_once(tmp_path: Path) -> None:
    dump, path = tmp_path / "dump.json", tmp_path / "cluster.json.gz"
    dump.write_text(json.dumps({"kind": "List", "items": [vm("web")]}))
    assert run(snapshot=str(dump), path=str(path), check_mode=True)["changed"] is True
    assert not path.exists()
    assert run(snapshot=str(dump), path=str(path))["changed"] is True
    assert run(snapshot=str(dump), path=str(path))["changed"] is False
    assert set(read_snapshot(path).virtual_machines) == {"shop/web"}


def test_what_it_wrote_it_reads(api: HttpApi, tmp_path: Path) -> None:
    path = tmp_path / "cluster.json"
    written = run(path=str(path), **live(api))
    read = run(snapshot=str(path))
    for key in ("captured_at", "cluster_uid", "counts", "parts", "missing"):
        assert read[key] == written[key]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"snapshot": "/absent/dump"}, "/absent/dump: 'No such file or directory' cannot be used"),
        ({"parts": ["volumes"]}, "value of parts must be one or more of: nodes, namespaces"),
        ({"username": "admin", "password": "hunter2", "host": "http://127.0.0.1:1"}, "username: 'admin'"),
    ],
)
def test_mistakes_are_told(arguments: dict[str, Any], message: str) -> None:
    result = run(**arguments)
    assert result["failed"] is True
    assert message in result["msg"]
    assert "exception" not in result
    assert "hunter2" not in json.dumps(result)


def test_a_directory_that_is_not_there_is_told(api: HttpApi, tmp_path: Path) -> None:
    result = run(path=str(tmp_path / "absent" / "cluster.json"), **live(api))
    assert result["failed"] is True
    assert "an existing directory is needed" in result["msg"]
