"""The dedicated migration network, from nothing to migrations that go over it, and back; and what gets in the way."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ocpv.scale.plugins.modules import migration_network, migration_network_verify
from simcluster.testing import RunningCluster
from support.clusters import migrations, writes
from support.modules import run_module_main
from support.networks import (
    ATTACHMENTS,
    NAME,
    NAMESPACE,
    POLICIES,
    VLAN,
    all_interfaces,
    attachments,
    interfaces,
    migration_settings,
    policies,
    probe_pods,
    role_variables,
    set_network_faults,
)
from support.playbook import AS_JSON, PlaybookRun, run_playbook
from support.rights import configuring_account
from support.start import start_cluster
from support.waiting import set_faults

Obj = dict[str, Any]
PLAYBOOK = "ocpv.scale.configure_migration_network"
TIME_SCALE = 50
TEST_VM = "shop/web-01"
MADE = "Configure the nodes and make the network attachment"


def play(cluster: RunningCluster, *arguments: str, **options: Any) -> PlaybookRun:
    return run_playbook(PLAYBOOK, cluster.kubeconfig, role_variables(**options), *arguments, **AS_JSON)


def make(cluster: RunningCluster, **options: Any) -> Obj:
    given = {"kubeconfig": str(cluster.kubeconfig), **VLAN, **options}
    return run_module_main(migration_network.main, {name: value for name, value in given.items() if value != "-"})


def remove(cluster: RunningCluster, **options: Any) -> Obj:
    given = {"kubeconfig": str(cluster.kubeconfig), "state": "absent", **options}
    return run_module_main(migration_network.main, given)


def verify(cluster: RunningCluster, **options: Any) -> Obj:
    return run_module_main(migration_network_verify.main, {"kubeconfig": str(cluster.kubeconfig), **options})


def codes(result: Obj) -> set[str]:
    assert result.get("failed"), result
    return {item["code"] for item in result["details"]["problems"] if item["severity"] == "error"}


def nothing_made(cluster: RunningCluster) -> None:
    assert policies(cluster) == {}
    assert NAME not in attachments(cluster)


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


# -- nodes that fail --------------------------------------------------------------------------------------------------


def test_a_node_that_fails_half_way_takes_all_nodes_back() -> None:
    with start_cluster(time_scale=TIME_SCALE) as cluster:
        before = all_interfaces(cluster)
        reason = "NmstateError: VerificationError: Verification failure: ens2f0.interface.mtu desire '9000'"
        set_network_faults(cluster, nmstate=[{"node": "worker-06", "times": 6, "effect": "fail", "reason": reason}])
        run = play(cluster, **VLAN)
        assert run.returncode == 2
        told = run.result(MADE)
        assert "worker-06: VerificationError: Verification failure: ens2f0.interface.mtu" in told["msg"]
        assert told["details"]["gone_back"] is True
        statuses = {item["node"]: item["status"] for item in told["details"]["nodes"]}
        assert statuses["worker-06"] == "failed"
        # one node at a time: it was not the first, and not the last
        assert "configured" in statuses.values()
        assert set(statuses.values()) - {"configured", "failed"}
        nothing_made(cluster)
        assert all_interfaces(cluster) == before
        assert "network" not in migration_settings(cluster)
        assert not run.ran("Have migrations use the network")
        # the fault has passed
        assert play(cluster, **VLAN, test_vm=TEST_VM).returncode == 0


def test_a_changed_network_that_fails_goes_back_to_what_it_was() -> None:
    with start_cluster(time_scale=TIME_SCALE) as cluster:
        assert play(cluster, **VLAN, mtu=4000).returncode == 0
        made, configs, nodes = policies(cluster)[NAME]["spec"], attachments(cluster), all_interfaces(cluster)
        # the switch lets no jumbo frames through to one node
        set_network_faults(cluster, network={"switch_mtu": {"worker-03": 4000}})
        run = play(cluster, **VLAN)
        assert run.returncode == 2
        failure = run.result("Tell why, and that everything is as before")["msg"]
        assert "Packets of 9000 bytes do not arrive" in failure
        assert "worker-02 to worker-03" in failure
        assert policies(cluster)[NAME]["spec"] == made
        assert attachments(cluster) == configs
        assert all_interfaces(cluster) == nodes
        assert migration_settings(cluster)["network"] == NAME
        assert play(cluster, **VLAN, mtu=4000).recap()["changed"] == 0
        assert probe_pods(cluster) == []


def test_a_node_that_nothing_reaches_is_told_from_frames_that_are_too_long() -> None:
    with start_cluster(time_scale=TIME_SCALE) as cluster:
        assert play(cluster, **VLAN).returncode == 0
        set_network_faults(cluster, network={"lost": ["worker-04"]})
        result = verify(cluster, checks=["mtu"])
        (check,) = result["checks"]
        assert result["failed"]
        assert "No packets arrive" in check["message"]
        assert check["evidence"]["too_long"] == []
        assert any(path.endswith("to worker-04") for path in check["evidence"]["lost"])
        set_network_faults(cluster)
        assert verify(cluster, checks=["mtu"])["passed"]


def test_the_documented_rights_are_enough(tmp_path: Path) -> None:
    with start_cluster(time_scale=TIME_SCALE) as cluster:
        account = configuring_account(cluster, tmp_path / "kubeconfig")
        for options in ({**VLAN, "test_vm": TEST_VM}, {"state": "absent"}):
            run = run_playbook(PLAYBOOK, account, role_variables(**options), **AS_JSON)
            assert run.returncode == 0, run.output[-3000:]
        nothing_made(cluster)


def test_a_rollout_that_hangs_says_what_is_left_and_is_taken_back_later() -> None:
    with start_cluster(time_scale=TIME_SCALE) as cluster:
        before = all_interfaces(cluster)
        set_faults(cluster, nodes={"worker-05": "handler-not-ready"})
        run = play(cluster, **VLAN, rollout_timeout_seconds=4)
        assert run.returncode == 2
        told = run.result("Tell what is left")["msg"]
        assert "Going back failed, too" in told
        assert f"{NAMESPACE}/{NAME}" in told
        assert "migration_network_state=absent" in told
        set_faults(cluster)
        removed = play(cluster, state="absent")
        assert removed.returncode == 0, removed.output[-3000:]
        assert all_interfaces(cluster) == before
        assert "network" not in migration_settings(cluster)
        nothing_made(cluster)


# -- objects of others ------------------------------------------------------------------------------------------------


def test_a_policy_and_an_attachment_that_were_there_are_restored() -> None:
    theirs: Obj = {
        "nodeSelector": {"node-role.kubernetes.io/worker": ""},
        "desiredState": {"interfaces": [{"name": "dummy1", "type": "dummy", "state": "up"}]},
    }
    config = {"config": json.dumps({"cniVersion": "0.3.1", "name": "old", "type": "macvlan", "master": "ens2f1"})}
    with start_cluster(time_scale=TIME_SCALE) as cluster:
        client = cluster.client()
        body = {"apiVersion": "nmstate.io/v1", "kind": "NodeNetworkConfigurationPolicy", "metadata": {"name": NAME}}
        assert client.post(POLICIES, {**body, "spec": theirs}).status == 201
        attachment = {"apiVersion": "k8s.cni.cncf.io/v1", "kind": "NetworkAttachmentDefinition"}
        metadata = {"name": NAME, "namespace": NAMESPACE}
        assert client.post(ATTACHMENTS, {**attachment, "metadata": metadata, "spec": config}).status == 201

        made = make(cluster)
        assert made["changed"], made
        names = [item["name"] for item in policies(cluster)[NAME]["spec"]["desiredState"]["interfaces"]]
        assert names == ["dummy1", "ens2f0", "ens2f0.3030"]
        assert not make(cluster)["changed"]
        assert remove(cluster)["changed"]
        assert policies(cluster)[NAME]["spec"] == theirs
        assert "labels" not in policies(cluster)[NAME]["metadata"]
        assert attachments(cluster)[NAME]["master"] == "ens2f1"
        assert set(interfaces(cluster, "worker-02")) >= {"dummy1"}
        assert "ens2f0.3030" not in interfaces(cluster, "worker-02")
        # what is not of this collection is left
        again = remove(cluster)
        assert not again["changed"]
        assert len([line for line in again["lines"] if "is left" in line]) == 2


def test_a_network_in_use_is_not_removed_and_others_ranges_and_interfaces_are_respected() -> None:
    with start_cluster(time_scale=TIME_SCALE) as cluster:
        assert play(cluster, **VLAN).returncode == 0
        cluster.forget_requests()
        refused = remove(cluster)
        assert "names migration-network as its migration network" in refused["msg"]
        assert writes(cluster) == {}
        second = make(cluster, name="second", interfaces=["ens2f1"], vlan_id=3031)
        assert codes(second) == {"range_overlaps"}
        assert f"{NAMESPACE}/{NAME}" in second["msg"]
        third = make(cluster, name="third", range="10.200.6.0/24", exclude=[], vlan_id=3031)
        assert codes(third) == {"interface_in_policy"}
        assert f"the policy {NAME} configures it" in third["msg"]
