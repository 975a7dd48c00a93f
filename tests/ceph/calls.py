"""Run the modules for Ceph in this process, or in one of their own that can be killed: python -m ceph.calls MODULE."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from typing import Any

from support.modules import run_module_main

from .cluster import CephCluster

_MODULES = "ansible_collections.ocpv.scale.plugins.modules."


def call(
    module: str, cluster: CephCluster | None, *, check_mode: bool = False, diff: bool = False, **arguments: Any
) -> dict[str, Any]:
    """Return the result of a module, run against a cluster unless that is None."""
    return _run(module, _arguments(module, cluster, arguments), check_mode=check_mode, diff=diff)


def call_apart(module: str, cluster: CephCluster, *, check_mode: bool = False, **arguments: Any) -> dict[str, Any]:
    """Return the result of a module in a process of its own: only there are warnings part of it."""
    with start(module, cluster, check_mode=check_mode, **arguments) as process:
        result: dict[str, Any] = json.loads(process.communicate(timeout=300)[0])
    return result


def start(module: str, cluster: CephCluster, *, check_mode: bool = False, **arguments: Any) -> subprocess.Popen[str]:
    """Start a module in a process of its own, which prints the result as JSON."""
    process = subprocess.Popen(
        [sys.executable, "-m", "ceph.calls", module], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin is not None
    json.dump({"arguments": _arguments(module, cluster, arguments), "check_mode": check_mode}, process.stdin)
    process.stdin.close()
    process.stdin = None
    return process


def warnings(result: dict[str, Any]) -> list[str]:
    """Return the texts of a result's warnings, which newer versions of ansible-core wrap."""
    return [item if isinstance(item, str) else item["event"]["msg"] for item in result.get("warnings", [])]


def _arguments(module: str, cluster: CephCluster | None, given: dict[str, Any]) -> dict[str, Any]:
    where = {"conf": str(cluster.conf)} if cluster else {}
    quick = {"poll_seconds": 0.3, "settle_seconds": 2, "timeout_seconds": 300} if module == "ceph_pg_calc" else {}
    return {**where, **quick, **given}


def _run(module: str, arguments: dict[str, Any], **options: bool) -> dict[str, Any]:
    return run_module_main(importlib.import_module(_MODULES + module).main, arguments, **options)


if __name__ == "__main__":
    request = json.load(sys.stdin)
    print(json.dumps(_run(sys.argv[1], request["arguments"], check_mode=request["check_mode"])))
