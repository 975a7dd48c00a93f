"""Pointed at a cluster, the tests for teams pass and write to the namespace that they announce, and nowhere else."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from support.start import real_cluster

from .cluster import RealCluster

COMMAND = [sys.executable, "-m", "conformance", "--own-cluster"]


@pytest.fixture(scope="module")
def cluster() -> Iterator[RealCluster]:
    with real_cluster("single-node", controllers=False) as running:
        yield running


def run(cluster: RealCluster, *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    wanted = {**os.environ, "KUBECONFIG": str(cluster.kubeconfig), **environment}
    return subprocess.run(
        [*COMMAND, *options], env=wanted, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=120
    )


def writes(events: list[dict[str, Any]]) -> set[tuple[str, str]]:
    """Namespace and kind of all that was written."""
    return {
        (event["objectRef"].get("namespace", ""), event["objectRef"]["resource"])
        for event in events
        if event["verb"] not in ("get", "list", "watch")
    }


def test_only_the_announced_namespace_is_written_to(cluster: RealCluster) -> None:
    cluster.forget_requests()
    done = run(cluster, "--yes")
    assert done.returncode == 0, done.stdout[-3000:]
    announced = re.search(r"namespace (ocpv-scale-conformance-\w+)", done.stdout)
    assert announced is not None
    name = announced[1]
    expected = {(name, "namespaces"), (name, "configmaps"), (name, "leases"), ("", "selfsubjectaccessreviews")}
    found = writes(cluster.audited())
    assert found <= expected | {("", "namespaces")}, found
    assert (name, "configmaps") in found


def test_nothing_is_done_without_consent(cluster: RealCluster) -> None:
    cluster.forget_requests()
    refused = run(cluster)
    assert refused.returncode == 2
    assert "Written: namespace" in refused.stdout
    assert "--yes" in refused.stderr
    assert cluster.requests() == {}


def test_a_kubeconfig_that_is_not_there_is_named(cluster: RealCluster) -> None:
    refused = run(cluster, "--yes", KUBECONFIG="/nowhere/config")
    assert refused.returncode == 2
    assert "KUBECONFIG: '/nowhere/config' is no file" in refused.stderr
