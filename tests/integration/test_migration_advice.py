"""migration_advice on a cluster: from its own nodes, cards and VMs, offline from its snapshot, and with mistakes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ocpv.scale.plugins.modules import cluster_snapshot, migration_advice
from simcluster.testing import RunningCluster
from support.modules import run_module_main
from support.start import start_cluster
from support.waiting import eventually

Obj = dict[str, Any]
HYPERCONVERGED = "/apis/hco.kubevirt.io/v1/namespaces/openshift-cnv/hyperconvergeds/kubevirt-hyperconverged"
STATES = "/apis/nmstate.io/v1beta1/nodenetworkstates"


@pytest.fixture(scope="module")
def cluster() -> Iterator[RunningCluster]:
    with start_cluster("small", time_scale=20, faults=True) as running:
        yield running


def advice(cluster: RunningCluster, **options: Any) -> Obj:
    return run_module_main(migration_advice.main, {"kubeconfig": str(cluster.kubeconfig), **options})


def told(result: Obj, setting: str) -> str:
    return str(next(entry["reason"] for entry in result["reasons"] if entry["setting"] == setting))


def test_of_the_cluster_as_it_is(cluster: RunningCluster) -> None:
    result = advice(cluster)
    assert not result.get("failed"), result.get("msg")
    assert result["changed"] is False
    facts = result["facts"]
    assert facts["dedicated_network"] is False
    assert facts["nodes"] == 12
    assert facts["virtual_machines"] > 10
    assert "HyperConverged openshift-cnv/kubevirt-hyperconverged" in facts["settings_source"]
    recommended = result["recommended"]
    assert recommended["parallel_outbound_migrations_per_node"] == 2
    assert recommended["parallel_migrations_per_cluster"] == 5
    each = int(recommended["bandwidth_per_migration"].removesuffix("Mi")) * 1024**2
    assert each * 5 <= facts["link_bytes_per_second"] / 2
    assert result["current"]["parallel_migrations_per_cluster"] == 5
    # caches of the scenario dirty more than a share of a shared link carries
    stuck = {f"{entry['namespace']}/{entry['name']}" for entry in result["not_converging"]}
    assert all(name in result["text"] for name in stuck)


def test_the_speed_of_the_cards_is_read(cluster: RunningCluster) -> None:
    api = cluster.client()
    states = {item["metadata"]["name"]: item for item in api.items(STATES)}
    assert "worker-03" in states
    state = states["worker-03"]["status"]["currentState"]
    port = next(
        item for item in state["interfaces"] if item.get("controller") == "br-ex" and item["type"] == "ethernet"
    )
    cards = [item | {"ethernet": {"speed": 1000}} if item is port else item for item in state["interfaces"]]
    path = f"{STATES}/worker-03/status"
    assert api.patch(path, {"status": {"currentState": {**state, "interfaces": cards}}}).status == 200
    try:
        result = advice(cluster)
        assert result["facts"]["link_bytes_per_second"] == 125_000_000
        assert result["facts"]["link_origin"].endswith("slowest on worker-03")
        assert result["recommended"]["parallel_migrations_per_cluster"] == 1
        assert "1 Gbit/s per node" in told(result, "parallel_migrations_per_cluster")
    finally:
        assert api.patch(path, {"status": {"currentState": state}}).status == 200


def test_a_dedicated_network_allows_more(cluster: RunningCluster) -> None:
    result = advice(cluster, link_bandwidth="25Gbit/s", dedicated_network=True)
    shared = advice(cluster, link_bandwidth="25Gbit/s")
    assert result["recommended"]["parallel_migrations_per_cluster"] == 10
    assert shared["recommended"]["parallel_migrations_per_cluster"] == 5
    assert len(result["not_converging"]) <= len(shared["not_converging"])
    assert result["facts"]["link_origin"] == "as told"


def test_dirty_rates_that_are_told(cluster: RunningCluster) -> None:
    caches = {"link_bandwidth": "10Gbit/s", "namespaces": ["shop"], "names": ["cache-01", "cache-02"]}
    calm = advice(cluster, dirty_rates={"caching": "1Mi"}, **caches)
    busy = advice(cluster, dirty_rates={"caching": "2Gi"}, **caches)
    assert calm["facts"]["virtual_machines"] == busy["facts"]["virtual_machines"] == 2
    assert calm["not_converging"] == []
    assert busy["recommended"]["allow_auto_converge"] is True
    assert calm["recommended"]["allow_auto_converge"] is False


def test_applied_it_advises_the_same(cluster: RunningCluster) -> None:
    """What is advised is what the API takes, and then the advice is what is in force."""
    api = cluster.client()
    before = api.get(HYPERCONVERGED).json()["spec"]["virtualization"].get("liveMigrationConfig") or {}
    first = advice(cluster, link_bandwidth="10Gbit/s")["recommended"]
    names = {
        "parallelMigrationsPerCluster": "parallel_migrations_per_cluster",
        "parallelOutboundMigrationsPerNode": "parallel_outbound_migrations_per_node",
        "bandwidthPerMigration": "bandwidth_per_migration",
        "completionTimeoutPerGiB": "completion_timeout_seconds_per_gib",
        "progressTimeout": "progress_timeout_seconds",
        "allowAutoConverge": "allow_auto_converge",
        "allowPostCopy": "allow_post_copy",
        "allowWorkloadDisruption": "allow_workload_disruption",
    }
    config = {name: first[option] for name, option in names.items()}
    try:
        answer = api.patch(HYPERCONVERGED, {"spec": {"virtualization": {"liveMigrationConfig": config}}})
        assert answer.status == 200, answer.body
        second = eventually(
            lambda: advice(cluster, link_bandwidth="10Gbit/s"), lambda found: found["current"] == found["recommended"]
        )
        assert second["recommended"] == first
        assert "(now" not in second["text"]
    finally:
        restored = {name: before.get(name) for name in names}
        api.patch(HYPERCONVERGED, {"spec": {"virtualization": {"liveMigrationConfig": restored}}})


def test_offline_from_a_snapshot_it_says_the_same(cluster: RunningCluster, tmp_path: Path) -> None:
    path = str(tmp_path / "snapshot.json.gz")
    made = run_module_main(cluster_snapshot.main, {"kubeconfig": str(cluster.kubeconfig), "path": path})
    assert not made.get("failed"), made.get("msg")
    live = advice(cluster, link_bandwidth="10Gbit/s")
    offline = run_module_main(migration_advice.main, {"snapshot": path, "link_bandwidth": "10Gbit/s"})
    for name in ("recommended", "current", "not_converging", "reasons"):
        assert offline[name] == live[name]
    assumed = run_module_main(migration_advice.main, {"snapshot": path})
    assert "assumed" in assumed["facts"]["link_origin"]
    assert assumed["recommended"] == live["recommended"]


def test_without_the_right_to_read_cards_a_link_is_assumed(cluster: RunningCluster) -> None:
    rule = {"match": {"path": "^/apis/nmstate.io/"}, "action": {"status": 403, "message": "no"}}
    cluster.faults(rule)
    try:
        result = advice(cluster)
    finally:
        cluster.faults()
    assert not result.get("failed"), result.get("msg")
    assert "assumed" in result["facts"]["link_origin"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"link_bandwidth": "10 Gigabit"}, "link_bandwidth: '10 Gigabit' cannot be used"),
        ({"link_interface": "enp99s0"}, "link_interface: 'enp99s0' cannot be used"),
        ({"link_share_percent": 120}, "link_share_percent: 120 cannot be used"),
        ({"dirty_rates": {"caching": "fast"}}, "dirty_rates.caching: 'fast' cannot be used"),
        ({"names": ["absent"]}, "names: ['absent'] cannot be used"),
    ],
)
def test_mistakes_are_told(cluster: RunningCluster, options: Obj, message: str) -> None:
    result = advice(cluster, **options)
    assert result["failed"]
    assert message in result["msg"]
    assert "exception" not in result
