"""What the manager exports, on a real cluster: set, read back, seen on the exporter's page, restored."""

from __future__ import annotations

import re
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from .calls import call, call_apart, warnings
from .cluster import CephCluster

MODULE = "ceph_prometheus_config"
MakePool = Callable[..., str]
REFERENCE = {"rbd_stats_pools_refresh_interval": 600, "scrape_interval": 60}


def state(cluster: CephCluster) -> dict[str, Any]:
    """Everything that the module may change."""
    config = {
        (entry["section"], entry["name"]): entry["value"]
        for entry in cluster.json("config", "dump")
        if entry["name"].startswith("mgr/prometheus/")
    }
    return {
        "config": config,
        "enabled": "prometheus" in cluster.json("mgr", "dump")["modules"],
        "keys": cluster.json("config-key", "dump", "ocpv.scale/"),
    }


@pytest.fixture(autouse=True)
def left_as_found(three: CephCluster) -> Iterator[None]:
    before = state(three)
    yield
    assert state(three) == before


@pytest.fixture
def pool(three: CephCluster, make_pool: MakePool) -> Iterator[str]:
    """A pool with an image that a client has open and writes to now and then."""
    name = make_pool(three, 4)
    three.rbd("pool", "init", name)
    three.rbd("create", f"{name}/image", "--size", "64M")
    bench = ["rbd", "--conf", str(three.conf), "bench", "--io-type", "write", "--io-size", "4096", "--io-threads", "1"]
    endless = [*bench, "--io-total", "256M", "--io-pattern", "rand", f"{name}/image"]
    with subprocess.Popen(endless, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as client:
        yield name
        client.kill()


def page(cluster: CephCluster) -> str:
    with urllib.request.urlopen(f"{cluster.exporter}/metrics", timeout=30) as answer:
        text: str = answer.read().decode()
        return text


def collections_done(cluster: CephCluster) -> float:
    """Return how often the manager has collected since its module started."""
    found = re.search(
        r'^ceph_prometheus_collect_duration_seconds_count\{method="get_health"\} (\S+)', page(cluster), re.M
    )
    assert found
    return float(found[1])


def test_set_seen_and_restored(three: CephCluster, pool: str) -> None:
    before = state(three)
    wanted: dict[str, Any] = {"rbd_stats_pools": [pool], **REFERENCE}
    told = call(MODULE, three, check_mode=True, diff=True, **wanted)
    assert state(three) == before

    done = call(MODULE, three, diff=True, **wanted)
    assert "failed" not in done, done
    assert done["changed"] is told["changed"] is True
    assert done["commands"] == told["commands"]
    assert done["diff"] == told["diff"]
    assert done["commands"][1:] == [
        f"ceph config set mgr mgr/prometheus/rbd_stats_pools {pool}",
        "ceph config set mgr mgr/prometheus/rbd_stats_pools_refresh_interval 600",
        "ceph config set mgr mgr/prometheus/scrape_interval 60",
    ]
    assert done["restart_pending"] is True
    after = state(three)["config"]
    assert after["mgr", "mgr/prometheus/rbd_stats_pools"] == pool
    assert float(after["mgr", "mgr/prometheus/scrape_interval"]) == 60
    assert float(after["mgr", "mgr/prometheus/rbd_stats_pools_refresh_interval"]) == 600

    again = call(MODULE, three, diff=True, **wanted)
    assert (again["changed"], again["commands"], again["restart_pending"]) == (False, [], True)
    assert "diff" not in again
    (warning,) = warnings(call_apart(MODULE, three, **wanted))
    assert "takes effect when the manager's module starts again" in warning

    # pools are exported without a restart; the manager collects every 15 seconds still
    seen = call(MODULE, three, check_exporter=True, **wanted)
    assert "failed" not in seen, seen
    assert seen["exporter"]["url"] == f"{three.exporter}/metrics"
    assert seen["exporter"]["rbd_metrics"][pool] > 0
    assert f'ceph_rbd_write_ops{{pool="{pool}"' in page(three)

    restored = call(MODULE, three, state="restored", diff=True)
    assert restored["changed"] is True
    assert state(three) == before
    assert call(MODULE, three, state="restored")["changed"] is False


def test_the_interval_counts_once_the_manager_has_started_again(three: CephCluster) -> None:
    slow = call(MODULE, three, scrape_interval=120, restart_mgr=True)
    assert "failed" not in slow, slow
    assert slow["commands"][-1] == "ceph mgr fail x"
    assert slow["restart_pending"] is False
    three.wait(lambda: "get_health" in page(three), 60)
    first = collections_done(three)
    time.sleep(20)
    assert collections_done(three) == first
    again = call(MODULE, three, scrape_interval=120, restart_mgr=True)
    assert (again["changed"], again["restart_pending"]) == (False, False)
    restored = call(MODULE, three, state="restored", restart_mgr=True)
    assert restored["commands"][-1] == "ceph mgr fail x"
    three.wait(lambda: "get_health" in page(three), 60)


def test_a_restart_that_was_left_is_made_later(three: CephCluster) -> None:
    assert call(MODULE, three, scrape_interval=20)["restart_pending"] is True
    later = call(MODULE, three, scrape_interval=20, restart_mgr=True)
    assert (later["changed"], later["commands"]) == (True, ["ceph mgr fail x"])
    assert call(MODULE, three, scrape_interval=20)["restart_pending"] is False
    assert call(MODULE, three, state="restored")["restart_pending"] is True


def test_a_module_that_was_off_is_on_and_off_again(three: CephCluster) -> None:
    three.ceph("mgr", "module", "disable", "prometheus")
    three.wait(lambda: bool(three.json("mgr", "dump")["available"]), 60)
    try:
        before = state(three)
        assert before["enabled"] is False
        done = call(MODULE, three, scrape_interval=60)
        assert "failed" not in done, done
        assert done["commands"][-1] == "ceph mgr module enable prometheus"
        # it starts with what was set before
        assert done["restart_pending"] is False
        assert call(MODULE, three, scrape_interval=60)["changed"] is False
        assert call(MODULE, three, state="restored")["commands"][-2] == "ceph mgr module disable prometheus"
        assert state(three) == before
    finally:
        three.ceph("mgr", "module", "enable", "prometheus")
        three.wait(lambda: "prometheus" in three.json("mgr", "services"), 60)


class TestTrouble:
    def failure(self, result: dict[str, Any], kind: str) -> str:
        assert result.get("failed") is True, result
        assert result["error"] == kind, result
        message: str = result["msg"]
        return message

    def test_a_pool_that_is_not_there(self, three: CephCluster) -> None:
        message = self.failure(call(MODULE, three, rbd_stats_pools=["nowhere"]), "InvalidInput")
        assert "no such pool; there are: device_health_metrics" in message

    def test_numbers_that_make_no_sense(self, three: CephCluster) -> None:
        assert "scrape_interval: 0.0" in self.failure(call(MODULE, three, scrape_interval=0), "InvalidInput")

    def test_nothing_asked_for(self, three: CephCluster) -> None:
        assert "is needed" in self.failure(call(MODULE, three), "InvalidInput")

    def test_no_ceph_command(self, three: CephCluster) -> None:
        self.failure(call(MODULE, three, ceph_command=["/nowhere/ceph"], scrape_interval=60), "CommandMissing")

    def test_an_exporter_that_cannot_be_reached(self, three: CephCluster) -> None:
        result = call(
            MODULE,
            three,
            rbd_stats_pools=["*"],
            check_exporter=True,
            exporter_url="http://127.0.0.1:1",
            timeout_seconds=2,
        )
        message = self.failure(result, "ExporterSilent")
        assert "http://127.0.0.1:1/metrics does not show what it should" in message
        assert "refused" in message
        call(MODULE, three, state="restored")

    def test_an_exporter_without_metrics_of_the_pool(self, three: CephCluster) -> None:
        given: dict[str, Any] = {"rbd_stats_pools": ["device_health_metrics"], "check_exporter": True}
        result = call(MODULE, three, timeout_seconds=3, **given)
        assert "no RBD metrics of device_health_metrics" in self.failure(result, "ExporterSilent")
        call(MODULE, three, state="restored")

    def test_an_entry_that_wins(self, three: CephCluster) -> None:
        three.ceph("config", "set", "mgr.x", "mgr/prometheus/scrape_interval", "5")
        try:
            result = call_apart(MODULE, three, check_mode=True, scrape_interval=60)
        finally:
            three.ceph("config", "rm", "mgr.x", "mgr/prometheus/scrape_interval")
        assert result["overriding"] == {"scrape_interval": ["mgr.x: 5.000000"]}
        assert [text for text in warnings(result) if "wins over what is set here: mgr.x: 5.000000" in text]
