"""The dedicated migration network, from nothing to migrations that go over it, and back; and what is refused."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from simcluster.testing import RunningCluster
from support.clusters import migrations, writes
from support.networks import (
    MADE,
    NAME,
    NAMESPACE,
    VLAN,
    all_interfaces,
    attachments,
    codes,
    interfaces,
    make,
    migration_settings,
    nothing_made,
    play,
    policies,
    probe_pods,
    set_network_faults,
    verify,
)
from support.start import start_cluster

Obj = dict[str, Any]
TIME_SCALE = 50
TEST_VM = "shop/web-01"


# -- the whole way ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=["v1,v1beta1", "v1beta1"])
def way(request: pytest.FixtureRequest) -> Iterator[dict[str, Any]]:
    """The playbook tried in check mode, run, run again, and the removal, run twice, on one cluster."""
    versions = request.param.split(",")
    with start_cluster(time_scale=TIME_SCALE, versions=versions) as cluster:
        seen: dict[str, Any] = {"cluster": cluster, "version": versions[0], "before": all_interfaces(cluster)}
        seen["settings_before"] = migration_settings(cluster, versions[0])
        cluster.forget_requests()
        seen["tried"] = play(cluster, "--check", "--diff", **VLAN)
        seen["writes_tried"] = writes(cluster)
        seen["made"] = play(cluster, **VLAN, test_vm=TEST_VM)
        seen["settings"] = migration_settings(cluster, versions[0])
        seen["interfaces"] = interfaces(cluster, "worker-07")
        seen["policies"] = policies(cluster)
        seen["attachments"] = attachments(cluster)
        seen["migrations"] = migrations(cluster)
        cluster.forget_requests()
        seen["again"] = play(cluster, **VLAN, test_vm=TEST_VM)
        seen["writes_again"] = writes(cluster)
        seen["removed"] = play(cluster, state="absent")
        seen["after"] = all_interfaces(cluster)
        seen["settings_after"] = migration_settings(cluster, versions[0])
        cluster.forget_requests()
        seen["removed_again"] = play(cluster, state="absent")
        seen["writes_removed_again"] = writes(cluster)
        yield seen


def test_check_mode_shows_all_and_writes_nothing(way: dict[str, Any]) -> None:
    assert way["tried"].returncode == 0, way["tried"].output[-3000:]
    shown = way["tried"].result(MADE)["diff"]
    assert [item["after_header"] for item in shown] == [
        f"Node network policy {NAME}",
        f"Network attachment {NAMESPACE}/{NAME}",
    ]
    assert shown[0]["after"]["desiredState"]["interfaces"][1]["name"] == "ens2f0.3030"
    assert way["writes_tried"] == {}


def test_migrations_run_over_the_network(way: dict[str, Any]) -> None:
    assert way["made"].returncode == 0, way["made"].output[-3000:]
    (migration,) = [item for item in way["migrations"] if "ocpv.scale/probe" in (item["metadata"].get("labels") or {})]
    assert migration["status"]["phase"] == "Succeeded"
    assert migration["status"]["migrationState"]["targetNodeAddress"].startswith("10.200.5.")
    assert way["settings"]["network"] == NAME
    lines = way["made"].result("Show what was done")["msg"]
    assert [line.split(":")[0] for line in lines[2:]] == [
        "OK      rollout",
        "OK      interface",
        "OK      mtu",
        "OK      migrations",
    ]


def test_every_layer_has_the_mtu(way: dict[str, Any]) -> None:
    assert way["interfaces"]["ens2f0"]["mtu"] == 9000
    assert way["interfaces"]["ens2f0.3030"]["mtu"] == 9000
    assert way["attachments"][NAME]["mtu"] == 9000
    assert way["attachments"][NAME]["master"] == "ens2f0.3030"
    assert way["policies"][NAME]["spec"]["maxUnavailable"] == 1


def test_the_second_run_changes_nothing(way: dict[str, Any]) -> None:
    assert (way["again"].returncode, way["again"].recap()["changed"]) == (0, 0), way["again"].output[-3000:]
    # the probe pods come and go
    assert {name.split()[1] for name in way["writes_again"]} <= {"pods"}
    assert probe_pods(way["cluster"]) == []


def test_removal_restores_what_was_there(way: dict[str, Any]) -> None:
    assert way["removed"].returncode == 0, way["removed"].output[-3000:]
    assert way["after"] == way["before"]
    assert way["settings_after"] == way["settings_before"]
    nothing_made(way["cluster"])
    assert (way["removed_again"].returncode, way["removed_again"].recap()["changed"]) == (0, 0)
    assert way["writes_removed_again"] == {}


# -- what is refused before anything is written -----------------------------------------------------------------------


@pytest.fixture(scope="module")
def cluster() -> Iterator[RunningCluster]:
    """A cluster on which nothing may be made."""
    with start_cluster(time_scale=TIME_SCALE) as running:
        yield running
        nothing_made(running)


REFUSED: list[tuple[Obj, str, str]] = [
    ({"interfaces": ["ens9f9"]}, "interface_missing", "ens9f9"),
    ({"interfaces": ["eno1"]}, "interface_default", "OVN-Kubernetes"),
    ({"interfaces": ["ens3f0"]}, "interface_enslaved", "br1"),
    ({"mtu": 9990}, "mtu_above_card", "9978"),
    (
        {"topology": "existing", "interfaces": ["ens2f1"], "vlan_id": "-"},
        "mtu_above_master",
        "smaller",
    ),
    ({"range": "192.168.216.0/24", "exclude": []}, "range_overlaps", "br-ex"),
    ({"range": "10.200.5.0/28", "exclude": []}, "range_small", "12 nodes"),
    ({"namespace": "default"}, "namespace_differs", NAMESPACE),
    ({"vlan_id": 5000}, "vlan_invalid", "4094"),
    ({"range": "10.200.5.7/24", "exclude": []}, "range_host_bits", "10.200.5.0/24"),
    ({"node_selector": {"zone": "moon"}}, "no_nodes", "labels"),
    ({"node_selector": {"kubernetes.io/hostname": "worker-01"}}, "nodes_left_out", "worker-02"),
]


@pytest.mark.parametrize(("options", "code", "told"), REFUSED, ids=[code for _options, code, _told in REFUSED])
def test_what_cannot_work_is_refused_before_anything_is_written(
    cluster: RunningCluster, options: Obj, code: str, told: str
) -> None:
    cluster.forget_requests()
    result = make(cluster, **options)
    assert code in codes(result)
    assert told in result["msg"]
    assert result["msg"].endswith("Nothing has been changed.")
    assert writes(cluster) == {}


def test_an_interface_that_one_node_lacks_is_named_with_the_node(cluster: RunningCluster) -> None:
    set_network_faults(cluster, nics={"worker-05": ["ens2f0"]})
    try:
        result = make(cluster)
    finally:
        set_network_faults(cluster)
    (problem,) = [item for item in result["details"]["problems"] if item["code"] == "interface_missing"]
    assert problem["nodes"] == ["worker-05"]
    assert "ens2f1" in problem["remedy"]


def test_a_network_that_does_not_exist_is_told(cluster: RunningCluster) -> None:
    result = verify(cluster, name="nowhere")
    assert "'nowhere' cannot be used" in result["msg"]
    assert "migration_network" in result["hint"]
