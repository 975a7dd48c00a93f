"""Twelve OSDs of two classes: rules, erasure coding, a large pool, and how much data really moves."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from .calls import call
from .cluster import CephCluster

MODULE = "ceph_pg_calc"
MakePool = Callable[..., str]
FAST, SLOW = range(6), range(6, 12)


@pytest.fixture(scope="module")
def classes(twelve: CephCluster) -> Iterator[CephCluster]:
    """Half of the OSDs is of class nvme, with a rule for replicas; the others of class hdd, for erasure coding 4+2."""
    for number in range(12):
        twelve.ceph("osd", "crush", "rm-device-class", f"osd.{number}")
        twelve.ceph("osd", "crush", "set-device-class", "nvme" if number in FAST else "hdd", f"osd.{number}")
    twelve.ceph("osd", "crush", "rule", "create-replicated", "fast", "default", "osd", "nvme")
    profile = ("k=4", "m=2", "crush-failure-domain=osd", "crush-device-class=hdd")
    twelve.ceph("osd", "erasure-code-profile", "set", "ec42", *profile)
    twelve.wait(twelve.clean, 120)
    yield twelve


def places(cluster: CephCluster, pool: str) -> dict[int, set[int]]:
    """Return the OSDs that each PG of a pool is on, by its number."""
    identity = cluster.pool(pool)["pool_id"]
    stats = cluster.json("pg", "dump", "pgs_brief")["pg_stats"]
    return {
        int(entry["pgid"].partition(".")[2], 16): set(entry["up"])
        for entry in stats
        if entry["pgid"].startswith(f"{identity}.")
    }


def test_osds_are_those_of_the_rule_and_pgs_converge(classes: CephCluster, make_pool: MakePool) -> None:
    vms = make_pool(classes, 32, "32", "replicated", "fast")
    archive = make_pool(classes, 32, "32", "erasure", "ec42")
    asked = [{"name": vms}, {"name": archive}]
    result = call(MODULE, classes, state="applied", pools=asked)
    assert "failed" not in result, result
    fast, slow = result["pools"]
    # 100 x 6 x 0.85 / 3 = 170 and / 6 = 85
    assert (fast["root"], fast["osds"], fast["document"]["pg_num"], fast["pgcalc"]["pg_num"]) == (
        "default~nvme", 6, 128, 128,
    )  # fmt: skip
    assert (slow["kind"], slow["size"], slow["osds"], slow["device_class"], slow["pg_num"]) == (
        "erasure", 6, 6, "hdd", 64,
    )  # fmt: skip
    found = {name: classes.pool(name) for name in (vms, archive)}
    assert [(pool["pg_num"], pool["pg_placement_num"]) for pool in found.values()] == [(128, 128), (64, 64)]
    assert all(osds <= set(FAST) for osds in places(classes, vms).values())
    assert all(osds == set(SLOW) for osds in places(classes, archive).values())
    assert call(MODULE, classes, state="applied", pools=asked)["changed"] is False


def test_as_much_data_moves_as_was_told(twelve: CephCluster, make_pool: MakePool) -> None:
    pool = make_pool(twelve, 32)
    content = twelve.folder / "content"
    content.write_bytes(bytes(1 << 20))
    for number in range(8):
        twelve.run("rados", "--conf", twelve.conf, "--pool", pool, "put", f"object-{number}", content)
    twelve.wait(lambda: stored(twelve, pool) == 8 << 20, 60)
    before = places(twelve, pool)
    result = call(MODULE, twelve, state="applied", pools=[{"name": pool, "pg_num": 128}])
    assert "failed" not in result, result
    assert result["commands"][-2:] == [f"ceph osd pool set {pool} pg_num {number}" for number in (64, 128)]
    after = places(twelve, pool)
    assert len(after) == 128
    # replicas that a PG has on an OSD where the PG it was split off had none
    moved = sum(len(osds - before[number % 32]) for number, osds in after.items())
    told = result["pools"][0]["moved_bytes"]
    raw = 3 * (8 << 20)
    share = moved / (128 * 3)
    assert told["least"] / raw == pytest.approx(share, rel=0.15)
    assert told["most"] / raw >= share


def stored(cluster: CephCluster, pool: str) -> int:
    pools: dict[str, Any] = {entry["name"]: entry["stats"] for entry in cluster.json("df")["pools"]}
    found: int = pools[pool]["stored"]
    return found


def test_the_whole_cluster_for_one_pool(twelve: CephCluster, make_pool: MakePool) -> None:
    pool = make_pool(twelve, 64)
    asked = [{"name": pool}]
    result = call(MODULE, twelve, state="applied", step_factor=4, pools=asked)
    assert "failed" not in result, result
    # 100 x 12 x 0.85 / 3 = 340
    assert (result["pools"][0]["pg_num"], result["pools"][0]["steps"]) == (256, [256])
    assert twelve.pool(pool)["pg_placement_num"] == 256
    assert twelve.clean()
    assert call(MODULE, twelve, state="applied", pools=asked)["changed"] is False
