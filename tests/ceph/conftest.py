"""Real Ceph clusters for the tests; where Ceph is not installed they fail in CI and skip elsewhere."""

from __future__ import annotations

import itertools
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from .cluster import CephCluster, missing_programs

_numbers = itertools.count(1)


def _needed() -> None:
    missing = missing_programs()
    if not missing:
        return
    reason = f"not installed: {', '.join(missing)}; `make setup-system` installs them"
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


def _cluster(osds: int) -> Iterator[CephCluster]:
    _needed()
    # pytest's own folders are too long for the path of a socket
    with (
        tempfile.TemporaryDirectory(prefix="ceph-") as folder,
        CephCluster(Path(folder) / "c", osds=osds) as cluster,
    ):
        # the manager's own pool, whose one PG comes with the first OSD
        cluster.wait(lambda: "device_health_metrics" in cluster.ceph("osd", "pool", "ls"), 60)
        cluster.wait(cluster.clean, 120)
        yield cluster


@pytest.fixture(scope="session")
def three() -> Iterator[CephCluster]:
    """A cluster of three OSDs. Tests leave it clean and healthy."""
    yield from _cluster(3)


@pytest.fixture(scope="session")
def twelve() -> Iterator[CephCluster]:
    """A cluster of twelve OSDs."""
    yield from _cluster(12)


@pytest.fixture
def make_pool(request: pytest.FixtureRequest) -> Iterator[Callable[..., str]]:
    """Makes pools with names of their own, which are removed after the test: make_pool(cluster, pg_num, ...)."""
    made: list[tuple[CephCluster, str]] = []

    def make(cluster: CephCluster, pg_num: int, *arguments: str) -> str:
        name = f"pool-{next(_numbers)}"
        made.append((cluster, name))
        cluster.create_pool(name, pg_num, *arguments)
        return name

    yield make
    for cluster, name in made:
        cluster.remove_pool(name)
    for cluster in {id(cluster): cluster for cluster, _name in made}.values():
        cluster.wait(cluster.clean, 60)
