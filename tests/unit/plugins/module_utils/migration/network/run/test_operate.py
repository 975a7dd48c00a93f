"""Making and removing the network, with conflicts, failures, time-outs and processes killed at every write."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from ansible_collections.ocpv.scale.plugins.module_utils import names
from ansible_collections.ocpv.scale.plugins.module_utils.errors import Conflict, InvalidInput, OcpvError, TimedOut
from ansible_collections.ocpv.scale.plugins.module_utils.migration.network.run.operate import Call
from ansible_collections.ocpv.scale.plugins.module_utils.migration.network.run.policy import NotConfigured
from ansible_collections.ocpv.scale.plugins.module_utils.migration.network.wanted import parse_wanted
from unit.plugins.module_utils.migration.network.run.played import Killed, PlayedCluster

Obj = dict[str, Any]
NAME = "migration-network"
VLAN: Obj = {"topology": "vlan", "interfaces": ["ens2f0"], "vlan_id": 3030, "range": "10.200.5.0/24"}
REASON = "NmstateError: VerificationError: ens2f0 says no"


def call(cluster: PlayedCluster, **options: Any) -> Call:
    given: Obj = {"timeout_seconds": 60, "clock": cluster.clock, "sleep": cluster.sleep, **options}
    return Call(cluster, given.pop("timeout_seconds"), **given)  # type: ignore[arg-type]


def make(cluster: PlayedCluster, check_mode: bool = False, **options: Any) -> Obj:
    wanted, problems = parse_wanted({**VLAN, **options})
    assert problems == []
    found: Obj = call(cluster, check_mode=check_mode).present(wanted)
    return found


def remove(cluster: PlayedCluster, **options: Any) -> Obj:
    found: Obj = call(cluster).absent(NAME, "", **options)
    return found


def untouched(cluster: PlayedCluster) -> bool:
    return cluster.mtus() == PlayedCluster().mtus() and not cluster.policies and not cluster.attachments


def test_it_is_made_once_and_removed_without_a_trace() -> None:
    cluster = PlayedCluster()
    made = make(cluster)
    assert made["changed"]
    assert [item["status"] for item in made["nodes"]] == ["configured"] * 3
    assert cluster.mtus()["worker-02"] == {"ens2f0": 9000, "ens2f0.3030": 9000}
    cluster.writes.clear()
    again = make(cluster)
    assert (again["changed"], again["diff"], cluster.writes) == (False, [], [])
    assert remove(cluster)["changed"]
    assert untouched(cluster)
    assert not remove(cluster)["changed"]


def test_check_mode_shows_the_same_change_and_writes_nothing() -> None:
    cluster = PlayedCluster()
    tried = make(cluster, check_mode=True)
    assert untouched(cluster) and cluster.writes == []
    made = make(cluster)
    assert tried["diff"] == made["diff"]
    assert tried["lines"] == made["lines"]


def test_a_conflict_is_read_again_and_nothing_of_others_is_lost() -> None:
    cluster = PlayedCluster()
    make(cluster)
    done: list[int] = []

    def somebody() -> None:
        if not done:
            done.append(1)
            metadata = cluster.policies[NAME]["metadata"]
            metadata["resourceVersion"] = "other"
            metadata.setdefault("annotations", {})["note"] = "theirs"

    cluster.before_write = somebody
    cluster.writes.clear()
    make(cluster, mtu=8000)
    # the first one was refused, as it rested on what was no longer so
    assert cluster.writes.count("patch NodeNetworkConfigurationPolicy") == 2
    assert cluster.mtus()["worker-01"]["ens2f0.3030"] == 8000
    assert cluster.policies[NAME]["metadata"]["annotations"]["note"] == "theirs"


def test_endless_conflicts_end() -> None:
    cluster = PlayedCluster()
    make(cluster)

    def somebody() -> None:
        cluster.policies[NAME]["metadata"]["resourceVersion"] += "+"

    cluster.before_write = somebody
    with pytest.raises(Conflict):
        make(cluster, mtu=8000)


def test_a_node_that_fails_takes_the_others_back() -> None:
    cluster = PlayedCluster()
    cluster.fails = lambda node, state: (
        REASON if node == "worker-02" and any(item.get("mtu") == 9000 for item in state["interfaces"]) else ""
    )
    with pytest.raises(NotConfigured) as caught:
        make(cluster)
    assert "1 of 3 nodes. worker-02: VerificationError: ens2f0 says no" in str(caught.value)
    assert caught.value.details["gone_back"] is True
    assert [item["status"] for item in caught.value.details["nodes"]] == ["configured", "failed", "waiting"]
    assert untouched(cluster)


def test_a_changed_policy_that_fails_goes_back_to_what_it_stated() -> None:
    cluster = PlayedCluster()
    make(cluster, mtu=4000)
    before, mtus = copy.deepcopy(cluster.policies[NAME]["spec"]), cluster.mtus()
    cluster.fails = lambda node, state: (
        REASON if node == "worker-03" and any(item.get("mtu") == 9000 for item in state["interfaces"]) else ""
    )
    with pytest.raises(NotConfigured, match="The former policy is in force again"):
        make(cluster)
    assert cluster.policies[NAME]["spec"] == before
    assert cluster.mtus() == mtus
    cluster.fails = lambda node, state: ""
    assert remove(cluster)["changed"]
    assert untouched(cluster)


def test_a_way_back_that_fails_is_told() -> None:
    cluster = PlayedCluster()
    cluster.fails = lambda node, state: REASON if node == "worker-02" else ""
    with pytest.raises(NotConfigured, match="The way back failed, too") as caught:
        make(cluster)
    assert caught.value.details["gone_back"] is False
    assert NAME in cluster.policies
    # the next call finds its own policy and goes on with going back
    cluster.fails = lambda node, state: ""
    assert remove(cluster)["changed"]
    assert untouched(cluster)


def test_a_policy_that_was_left_failed_is_tried_again() -> None:
    cluster = PlayedCluster()
    cluster.fails = lambda node, state: REASON if node == "worker-02" else ""
    writes = [0]

    def killed_while_going_back() -> None:
        writes[0] += 1
        if writes[0] == 2:
            raise Killed

    cluster.before_write = killed_while_going_back
    with pytest.raises(Killed):
        make(cluster)
    cluster.fails = lambda node, state: ""
    made = make(cluster)
    assert made["changed"]
    assert made["lines"][-1].endswith("tried again, since it had failed.")
    assert cluster.policies[NAME]["spec"]["maxUnavailable"] == 1
    assert not make(cluster)["changed"]
    remove(cluster)
    assert untouched(cluster)


def test_cards_that_differ_from_node_to_node_are_not_remembered_as_they_became() -> None:
    cluster = PlayedCluster()
    cluster.interfaces["worker-02"]["ens2f0"]["mtu"] = 4000
    make(cluster)
    cluster.writes.clear()
    assert not make(cluster)["changed"]
    assert cluster.writes == []
    remove(cluster)
    # which of both it was is not known, so that it is left as it is
    assert cluster.mtus()["worker-01"] == {"ens2f0": 9000}


def test_a_time_out_takes_nothing_back_and_the_next_call_goes_on() -> None:
    cluster = PlayedCluster()
    cluster.works = False
    with pytest.raises(TimedOut, match="none has got on for 60 s: worker-01 .waiting.") as caught:
        make(cluster)
    assert "run this again" in caught.value.hint
    cluster.works = True
    assert make(cluster)["changed"]
    assert not make(cluster)["changed"]


def test_a_policy_that_nmstate_is_at_work_on_is_waited_for_before_it_is_changed() -> None:
    cluster = PlayedCluster()
    killed: list[float] = []

    def sleep(seconds: float) -> None:
        cluster.sleep(seconds)
        if not killed:
            killed.append(seconds)
            raise Killed

    wanted, _problems = parse_wanted(VLAN)
    with pytest.raises(Killed):
        call(cluster, sleep=sleep).present(wanted)
    assert cluster.policies[NAME]["status"]["conditions"][0]["reason"] == "ConfigurationProgressing"
    assert remove(cluster)["changed"]
    assert cluster.refused == 0
    assert untouched(cluster)


def test_nodes_that_get_on_are_waited_for_however_many_there_are() -> None:
    cluster = PlayedCluster()

    def slow(seconds: float) -> None:
        cluster.seconds += 50
        cluster.sleep(seconds)

    wanted, _problems = parse_wanted(VLAN)
    assert call(cluster, sleep=slow).present(wanted)["changed"]
    assert cluster.seconds > 120


def test_a_policy_that_nmstate_never_ends_with_cannot_be_changed() -> None:
    cluster = PlayedCluster()
    cluster.works = False
    with pytest.raises(TimedOut):
        make(cluster)
    with pytest.raises(TimedOut, match="lets nobody change it before it is done"):
        remove(cluster)


def test_a_node_that_becomes_unready_meanwhile_is_left_to_nmstate() -> None:
    cluster = PlayedCluster()
    cluster.before_write = lambda: cluster.not_ready.add("worker-03")
    made = make(cluster)
    assert [item["status"] for item in made["nodes"]] == ["configured", "configured", "not_ready"]


@pytest.mark.parametrize("after", range(1, 8))
def test_a_process_may_be_killed_before_any_write(after: int) -> None:
    """Made, changed and removed, killed once on the way, each call made again: the end is the same."""
    cluster = PlayedCluster()
    count = [0]

    def maybe() -> None:
        count[0] += 1
        if count[0] == after:
            raise Killed

    cluster.before_write = maybe
    for step in (lambda: make(cluster), lambda: make(cluster, vlan_id=3031), lambda: remove(cluster)):
        try:
            step()
        except Killed:
            step()
        if step is not None and cluster.attachments:
            assert len(cluster.mtus()["worker-01"]) == 2
    assert untouched(cluster)


def test_what_others_made_is_restored_with_the_marks_gone() -> None:
    theirs: Obj = {
        "nodeSelector": {"node-role.kubernetes.io/worker": ""},
        "desiredState": {"interfaces": [{"name": "dummy1", "type": "dummy", "state": "up"}]},
    }
    cluster = PlayedCluster()
    metadata: Obj = {"name": NAME, "uid": "u", "generation": 1, "resourceVersion": "1", "labels": {"team": "net"}}
    cluster.policies[NAME] = {"metadata": metadata, "spec": theirs}
    make(cluster)
    assert names.MIGRATION_NETWORK in cluster.policies[NAME]["metadata"]["labels"]
    remove(cluster)
    assert cluster.policies[NAME]["spec"] == theirs
    assert cluster.policies[NAME]["metadata"]["labels"] == {"team": "net"}
    assert not cluster.policies[NAME]["metadata"]["annotations"]
    left = remove(cluster)
    assert not left["changed"]
    assert "is not of this collection and is left" in left["lines"][0]


def test_a_network_in_use_is_not_removed() -> None:
    cluster = PlayedCluster()
    make(cluster)
    cluster.network = NAME
    with pytest.raises(OcpvError, match="names migration-network as its migration network"):
        remove(cluster)
    cluster.network = ""
    annotations = {"k8s.v1.cni.cncf.io/networks": f"{NAME}@migration0"}
    cluster.pods = [
        {"metadata": {"name": "virt-handler-x", "annotations": annotations}, "status": {"phase": "Running"}}
    ]
    with pytest.raises(OcpvError, match="virt-handler-x"):
        remove(cluster)
    cluster.pods[0]["status"]["phase"] = "Succeeded"
    config = '{"type": "macvlan", "master": "ens2f0.3030"}'
    cluster.attachments["other"] = {"metadata": {"name": "other", "namespace": "shop"}, "spec": {"config": config}}
    with pytest.raises(OcpvError, match="shop/other"):
        remove(cluster)
    del cluster.attachments["other"]
    remove(cluster)
    assert untouched(cluster)


def test_an_earlier_call_s_finding_can_be_restored() -> None:
    cluster = PlayedCluster()
    make(cluster, mtu=4000)
    spec, config = copy.deepcopy(cluster.policies[NAME]["spec"]), cluster.attachments[NAME]["spec"]
    changed = make(cluster, mtu=9000)
    cluster.network = NAME  # it stays in use
    remove(cluster, restore=changed["before"])
    assert (cluster.policies[NAME]["spec"], cluster.attachments[NAME]["spec"]) == (spec, config)
    assert cluster.mtus()["worker-01"] == {"ens2f0": 4000, "ens2f0.3030": 4000}
    assert not make(cluster, mtu=4000)["changed"]
    cluster.network = ""
    remove(cluster)
    assert untouched(cluster)


def test_the_former_network_is_remembered() -> None:
    cluster = PlayedCluster()
    cluster.network = "old"
    make(cluster)
    assert remove(cluster)["former_network"] == "old"


def test_nothing_is_written_when_something_is_wrong() -> None:
    cluster = PlayedCluster()
    with pytest.raises(InvalidInput, match="Nothing has been changed"):
        make(cluster, interfaces=["ens9f9"], device="m0")
    assert cluster.writes == []
