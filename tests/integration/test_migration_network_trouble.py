"""A dedicated migration network where something is in the way: nodes that fail, switches, others' objects."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from support.clusters import writes
from support.networks import (
    ATTACHMENTS,
    MADE,
    NAME,
    NAMESPACE,
    PLAYBOOK,
    POLICIES,
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
    remove,
    role_variables,
    set_network_faults,
    verify,
)
from support.playbook import AS_JSON, run_playbook
from support.rights import configuring_account
from support.start import start_cluster
from support.waiting import set_faults

Obj = dict[str, Any]
TIME_SCALE = 50
TEST_VM = "shop/web-01"


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
