"""The reference architecture: how long it takes to be there and to be read, and how much memory it takes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from simcluster.testing import SimCluster

pytestmark = pytest.mark.slow
_START_SECONDS = 20.0
_LIST_SECONDS = 3.0
_MEMORY_BYTES = 1.5e9


@pytest.fixture(name="cluster", scope="module")
def _cluster() -> Iterator[SimCluster]:
    with SimCluster("reference", start_seconds=_START_SECONDS) as cluster:
        yield cluster


def peak_bytes(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))


def test_all_objects_fit_in_memory(cluster: SimCluster) -> None:
    assert cluster.ready["objects"] > 30000
    used = sum(peak_bytes(cluster.ready[key]) for key in ("pid", "controllers_pid"))
    assert used < _MEMORY_BYTES


def test_three_thousand_machines_are_listed_in_pages(cluster: SimCluster) -> None:
    client = cluster.client()
    began = time.monotonic()
    assert len(client.items("/apis/kubevirt.io/v1/virtualmachines", limit=500)) == 3000
    assert time.monotonic() - began < _LIST_SECONDS
    assert cluster.requests()["list virtualmachines.kubevirt.io"] == 6
