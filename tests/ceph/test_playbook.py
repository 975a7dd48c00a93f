"""The playbook and its role, as AAP runs them (ansible-runner), on a real cluster: twice, checked, and back."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ansible_runner
import pytest
from support.playbook import environment

from .cluster import CephCluster

PLAYBOOK = "ocpv.scale.tune_ceph_cluster"
MakePool = Callable[..., str]
_runs = itertools.count(1)


def run(folder: Path, cluster: CephCluster, *arguments: str, **variables: Any) -> Any:
    """Return ansible-runner's result."""
    private = folder / f"run-{next(_runs)}"
    private.mkdir()
    quick = {"ceph_cluster_poll_seconds": 0.5, "ceph_cluster_settle_seconds": 2}
    return ansible_runner.run(
        private_data_dir=str(private),
        playbook=PLAYBOOK,
        cmdline=" ".join(arguments) or None,
        envvars=environment(None),
        extravars={"ceph_cluster_conf": str(cluster.conf), **quick, **variables},
        quiet=True,
    )


def output(result: Any) -> str:
    text: str = result.stdout.read()
    return text


def changed(result: Any) -> int:
    assert (result.status, result.rc) == ("successful", 0), output(result)[-4000:]
    return sum((result.stats or {})["changed"].values())


def snapshot(cluster: CephCluster) -> dict[str, Any]:
    """Everything that the playbook may change."""
    names = ("pg_autoscale_mode", "pg_num", "pg_num_target", "pg_placement_num", "pg_placement_num_target")
    return {
        "pools": {
            pool["pool_name"]: {name: pool[name] for name in names}
            for pool in cluster.json("osd", "pool", "ls", "detail")
        },
        "config": [(entry["section"], entry["name"], entry["value"]) for entry in cluster.json("config", "dump")],
        "keys": cluster.json("config-key", "dump", "ocpv.scale/"),
    }


def test_tuned_twice_and_put_back(three: CephCluster, make_pool: MakePool, tmp_path: Path) -> None:
    vms, images = make_pool(three, 4), make_pool(three, 8)
    before = snapshot(three)
    wanted = {
        # 100 x 3 / 3 times 8 and 15 percent
        "ceph_cluster_pools": [{"name": vms, "data_share_percent": 8}, {"name": images, "data_share_percent": 15}],
        "ceph_cluster_rbd_stats_pools": [vms],
    }
    checked = run(tmp_path, three, "--check", "--diff", **wanted)
    assert changed(checked) == 2
    assert f"ceph osd pool set {vms} pg_num 8" in output(checked)
    assert snapshot(three) == before

    assert changed(run(tmp_path, three, **wanted)) == 2
    pools = snapshot(three)["pools"]
    assert [(pools[name]["pg_num"], pools[name]["pg_placement_num"]) for name in (vms, images)] == [(8, 8), (16, 16)]
    assert {pools[name]["pg_autoscale_mode"] for name in (vms, images)} == {"off"}
    config = {name: value for _section, name, value in snapshot(three)["config"]}
    assert config["mgr/prometheus/rbd_stats_pools"] == vms
    assert float(config["mgr/prometheus/scrape_interval"]) == 60
    assert float(config["mgr/prometheus/rbd_stats_pools_refresh_interval"]) == 600

    assert changed(run(tmp_path, three, **wanted)) == 0
    assert changed(run(tmp_path, three, ceph_cluster_state="restored")) == 2
    assert snapshot(three) == before
    assert changed(run(tmp_path, three, ceph_cluster_state="restored")) == 0


def test_only_calculated(three: CephCluster, make_pool: MakePool, tmp_path: Path) -> None:
    pool = make_pool(three, 4)
    before = snapshot(three)
    result = run(tmp_path, three, ceph_cluster_state="calculated", ceph_cluster_pools=[{"name": pool}])
    assert changed(result) == 0
    assert f"{pool}" in output(result)
    assert snapshot(three) == before


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"ceph_cluster_pools": [{"name": "nowhere"}]}, "the cluster has no such pool"),
        ({"ceph_cluster_pools": [{"data_share_percent": 5}]}, "missing required arguments: name"),
        ({"ceph_cluster_state": "gone"}, "value of ceph_cluster_state must be one of"),
        ({"ceph_cluster_pools": [{"name": "device_health_metrics", "pg_num": 1024}]}, "pg_num_max 32"),
        ({"ceph_cluster_command": ["/nowhere/ceph"]}, "could not be started"),
    ],
)
def test_one_clear_message(three: CephCluster, tmp_path: Path, variables: dict[str, Any], message: str) -> None:
    before = snapshot(three)
    result = run(tmp_path, three, **variables)
    assert result.status == "failed"
    assert message in " ".join(output(result).split())
    assert snapshot(three) == before
