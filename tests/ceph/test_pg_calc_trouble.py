"""What stops a change of placement groups on a real cluster: each has one clear message, and nothing is half done."""

from __future__ import annotations

import json
import stat
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from .calls import call, call_apart, start, warnings
from .cluster import CephCluster

MODULE = "ceph_pg_calc"
MakePool = Callable[..., str]


@pytest.fixture(autouse=True)
def records_removed(three: CephCluster) -> Iterator[None]:
    """Tests stop in the middle, which leaves records."""
    yield
    for key in three.json("config-key", "dump", "ocpv.scale/"):
        three.ceph("config-key", "rm", key)


def failure(result: dict[str, Any], kind: str) -> str:
    assert result.get("failed") is True, result
    assert result["error"] == kind, result
    message: str = result["msg"]
    return message


def applied(pool: str, pg_num: int, **more: Any) -> dict[str, Any]:
    return {"state": "applied", "pools": [{"name": pool, "pg_num": pg_num}], **more}


def test_more_pgs_than_the_monitor_allows(three: CephCluster, make_pool: MakePool) -> None:
    pool = make_pool(three, 8)
    message = failure(call(MODULE, three, **applied(pool, 256)), "InvalidInput")
    assert "would carry 771 PG replicas, 257 each, and mon_max_pg_per_osd (250) allows 750" in message
    # the monitor counts alike
    with pytest.raises(RuntimeError, match="would mean 771 total pgs, which exceeds max 750"):
        three.ceph("osd", "pool", "set", pool, "pg_num", "256")
    assert three.pool(pool)["pg_autoscale_mode"] == "on"
    # what is computed stays below
    lowered = call(MODULE, three, target_pgs_per_osd=1000, pools=[{"name": pool, "data_share_percent": 100}])
    (entry,) = lowered["pools"]
    assert (entry["document"]["pg_num"], entry["pg_num"]) == (1024, 128)
    assert [finding["code"] for finding in lowered["findings"]].count("limited") == 1


def test_a_rule_that_wants_more_hosts_than_there_are(three: CephCluster) -> None:
    three.ceph("osd", "crush", "rule", "create-replicated", "by-host", "default", "host")
    three.ceph("osd", "pool", "create", "apart", "4", "4", "replicated", "by-host")
    try:
        message = failure(call(MODULE, three, **applied("apart", 8)), "InvalidInput")
        assert "puts each PG on 3 buckets of type host, and its rule by-host finds 1 with OSDs below default" in message
        assert three.pool("apart")["pg_num"] == 4
        # Ceph agrees: no PG of the pool has its three replicas
        states = three.json("pg", "ls-by-pool", "apart")["pg_stats"]
        assert {len(pg["acting"]) for pg in states} == {1}
    finally:
        three.remove_pool("apart")
        three.ceph("osd", "crush", "rule", "rm", "by-host")


def test_a_pool_that_is_not_there(three: CephCluster) -> None:
    message = failure(call(MODULE, three, **applied("nowhere", 8)), "InvalidInput")
    assert "'nowhere' cannot be used: the cluster has no such pool; there are: device_health_metrics" in message
    message = failure(call(MODULE, three, state="restored", pools=[{"name": "nowhere"}]), "InvalidInput")
    assert "no such pool" in message


def test_no_ceph_command(three: CephCluster) -> None:
    result = call(MODULE, three, ceph_command=["/nowhere/ceph"], pools=[{"name": "vms"}])
    message = failure(result, "CommandMissing")
    assert "`/nowhere/ceph` could not be started" in message
    assert "ceph-common" in result["hint"]


def test_a_command_that_is_not_ceph(three: CephCluster) -> None:
    message = failure(call(MODULE, three, ceph_command=["echo"], pools=[{"name": "vms"}]), "UnknownAnswer")
    assert "did not print JSON" in message


def test_no_quorum(three: CephCluster, make_pool: MakePool) -> None:
    pool = make_pool(three, 4)
    three.kill_monitor()
    try:
        result = call(MODULE, three, connect_timeout_seconds=2, **applied(pool, 8))
    finally:
        three.start_monitor()
        three.wait(three.clean, 60)
    message = failure(result, "NoQuorum")
    assert "No monitor answered `ceph osd dump -f json` within 2 s" in message
    assert three.pool(pool)["pg_num"] == 4


def test_a_cluster_that_does_not_answer_in_time(three: CephCluster) -> None:
    slow = ["sh", "-c", "sleep 30"]
    message = failure(
        call(MODULE, three, ceph_command=slow, command_timeout_seconds=1, pools=[{"name": "vms"}]), "NoQuorum"
    )
    assert "gave no answer within 1 s" in message


def keyring(three: CephCluster, folder: Path, name: str, mon: str, mgr: str) -> Path:
    """Return the keyring of a user with these capabilities."""
    path = folder / f"{name}.keyring"
    three.ceph("auth", "get-or-create", name, "mon", mon, "mgr", mgr, "-o", str(path))
    return path


def test_a_user_who_may_only_read(three: CephCluster, make_pool: MakePool, tmp_path: Path) -> None:
    pool = make_pool(three, 4)
    path = keyring(three, tmp_path, "client.reader", "allow r", "allow r")
    user: dict[str, Any] = {"keyring": str(path), "client_name": "client.reader"}
    key = path.read_text().split("key = ")[1].split()[0]
    told = call(MODULE, three, pools=[{"name": pool, "pg_num": 8}], **user)
    assert "failed" not in told, told
    result = call(MODULE, three, **applied(pool, 8), **user)
    message = failure(result, "Denied")
    assert "is not allowed" in message
    assert "client.admin" in result["hint"]
    assert key not in str(told) + str(result)
    assert three.pool(pool)["pg_autoscale_mode"] == "on"


def test_a_user_with_the_capabilities_that_the_documentation_names(
    three: CephCluster, make_pool: MakePool, tmp_path: Path
) -> None:
    pool = make_pool(three, 4)
    path = keyring(three, tmp_path, "client.tuner", "allow rw, allow service config-key rw", "allow rw")
    user: dict[str, Any] = {"keyring": str(path), "client_name": "client.tuner"}
    result = call(MODULE, three, **applied(pool, 8), **user)
    assert "failed" not in result, result
    assert three.pool(pool)["pg_num"] == 8


def test_no_key_at_all(three: CephCluster, tmp_path: Path) -> None:
    nothing = str(tmp_path / "nothing")
    message = failure(call(MODULE, three, keyring=nothing, pools=[{"name": "vms"}]), "Denied")
    assert message


class TestHealth:
    def test_it_does_not_begin_on_a_cluster_that_is_worse_than_allowed(
        self, three: CephCluster, make_pool: MakePool
    ) -> None:
        pool = make_pool(three, 4)
        three.ceph("osd", "set", "noout")
        try:
            three.wait(lambda: "OSDMAP_FLAGS" in three.health()["checks"], 30)
            foreseen = call_apart(MODULE, three, check_mode=True, **applied(pool, 8))
            assert [text for text in warnings(foreseen) if "nothing would be changed now: OSDMAP_FLAGS" in text]
            result = call(MODULE, three, **applied(pool, 8))
            message = failure(result, "HealthTooBad")
            assert "The cluster is HEALTH_WARN: OSDMAP_FLAGS (noout flag(s) set)" in message
            assert "tolerated_checks" in result["hint"]
            assert result["details"]["commands"] == []
            assert three.pool(pool)["pg_autoscale_mode"] == "on"
            tolerated = call(MODULE, three, tolerated_checks=["OSDMAP_FLAGS"], **applied(pool, 8))
            assert "failed" not in tolerated, tolerated
        finally:
            three.ceph("osd", "unset", "noout")
            three.wait(lambda: three.health()["status"] == "HEALTH_OK", 30)

    def test_it_stops_when_the_cluster_gets_worse_and_goes_on_later(
        self, three: CephCluster, make_pool: MakePool
    ) -> None:
        pool = make_pool(three, 4)
        wanted = applied(pool, 16)
        with start(MODULE, three, settle_seconds=60, **wanted) as process:
            three.wait(lambda: three.pool(pool)["pg_num_target"] == 8, 60)
            three.kill_osd(2)
            try:
                output = process.communicate(timeout=60)[0]
            finally:
                three.start_osd(2)
                three.wait(lambda: three.clean() and three.health()["status"] == "HEALTH_OK", 120)
        result = json.loads(output)
        message = failure(result, "HealthTooBad")
        assert "OSD_DOWN (1 osds down)" in message
        assert f"Pool {pool} is left at pg_num" in message
        assert result["details"]["pg_num_target"] == 8
        assert result["details"]["commands"][-1] == f"ceph osd pool set {pool} pg_num 8"
        later = call(MODULE, three, **wanted)
        assert "failed" not in later, later
        assert later["commands"] == [f"ceph osd pool set {pool} pg_num 16"]


@pytest.fixture
def hollow(three: CephCluster) -> Iterator[str]:
    """A rule whose OSDs, four of them, have no daemons: PGs on them never become active."""
    numbers = [str(number) for number in range(100, 104)]
    for number in numbers:
        three.ceph("osd", "new", str(uuid.uuid4()), number)
        three.ceph("osd", "crush", "add", f"osd.{number}", "1", "host=hollow-host", "root=hollow")
    three.ceph("osd", "crush", "rule", "create-replicated", "hollow", "hollow", "osd")
    yield "hollow"
    three.ceph("osd", "crush", "rule", "rm", "hollow")
    for number in numbers:
        three.ceph("osd", "purge", number, "--yes-i-really-mean-it")
    three.ceph("osd", "crush", "rm", "hollow-host")
    three.ceph("osd", "crush", "rm", "hollow")
    three.wait(lambda: three.health()["status"] == "HEALTH_OK", 60)


def test_pgs_that_never_come(three: CephCluster, hollow: str) -> None:
    three.ceph("osd", "pool", "create", "lost", "4", "4", "replicated", hollow)
    try:
        told = call(MODULE, three, pools=[{"name": "lost", "pg_num": 8}])
        (away,) = [finding for finding in told["findings"] if finding["code"] == "osds_away"]
        assert "4 of the 4 OSDs of pool lost are down or out: osd.100, osd.101, osd.102, osd.103" in away["message"]
        tolerated = ["OSD_DOWN", "OSD_HOST_DOWN", "OSD_ROOT_DOWN", "POOL_APP_NOT_ENABLED", "PG_AVAILABILITY"]
        late = call(MODULE, three, tolerated_checks=tolerated, **applied("lost", 8, timeout_seconds=5))
        message = failure(late, "TimedOut")
        assert "Pool lost is at pg_num" in message
        assert "unknown" in message
        assert late["details"]["pg_num_target"] == 8
        impatient = call(MODULE, three, tolerated_checks=tolerated[:-1], transient_seconds=1, **applied("lost", 8))
        assert "failed" in impatient
    finally:
        three.remove_pool("lost")


def test_in_a_container(three: CephCluster, make_pool: MakePool, tmp_path: Path) -> None:
    """cephadm itself needs containers; what is put in its place takes the options of its shell and prints as it
    does."""
    pool = make_pool(three, 4)
    cephadm = tmp_path / "cephadm"
    cephadm.write_text(
        '#!/bin/sh\n[ "$1" = shell ] || exit 22\nshift\n'
        'while [ "$1" != -- ]; do case "$1" in --config) export CEPH_CONF="$2"; shift;; esac; shift; done\nshift\n'
        'echo "Inferring fsid 6f3c1d8a" >&2\nexec "$@"\n'
    )
    cephadm.chmod(cephadm.stat().st_mode | stat.S_IXUSR)
    command = [str(cephadm), "shell", "--", "ceph"]
    result = call(MODULE, three, ceph_command=command, **applied(pool, 8))
    assert "failed" not in result, result
    assert result["changed"] is True
    assert three.pool(pool)["pg_num"] == 8
