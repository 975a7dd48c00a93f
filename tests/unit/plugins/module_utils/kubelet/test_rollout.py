"""Kubelets changed pool by pool in played time: the order, the pauses, what stands in the way, and being killed."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.ocpv.scale.plugins.module_utils.kubelet.pools import Record
from ansible_collections.ocpv.scale.plugins.module_utils.kubelet.values import PROFILES
from ansible_collections.ocpv.scale.plugins.module_utils.names import POOL_RECORD
from unit.plugins.module_utils.kubelet.played import (
    CONFIGS,
    POOLS,
    Killed,
    PlayedCluster,
    call,
    node_object,
    pool_object,
)

REFERENCE = PROFILES["reference"]
ZONES = ("zone-0", "zone-1")
Obj = dict[str, Any]


def zoned(*, worker_nodes: int = 0, **options: Any) -> PlayedCluster:
    """Two zones of two nodes, which take over what worker gets, and a control plane."""
    pools = [pool_object("master"), pool_object("worker", **options), *(pool_object(name) for name in ZONES)]
    nodes = [node_object("m1", "master")]
    nodes += [node_object(f"{zone}-{number}", "worker", zone) for zone in ZONES for number in (1, 2)]
    nodes += [node_object(f"w{number}", "worker") for number in range(worker_nodes)]
    return PlayedCluster(pools, nodes)


def flat(count: int = 3, **options: Any) -> PlayedCluster:
    pools = [pool_object("master"), pool_object("worker", **options)]
    return PlayedCluster(pools, [node_object("m1", "master"), *(node_object(f"w{n}", "worker") for n in range(count))])


def statuses(result: Obj) -> dict[str, str]:
    return {pool["name"]: pool["status"] for pool in result["pools"]}


def paused(cluster: PlayedCluster) -> dict[str, bool]:
    return {name: pool["spec"]["paused"] for name, pool in cluster.objects[POOLS].items()}


def records(cluster: PlayedCluster) -> list[str]:
    return [
        name
        for name, pool in cluster.objects[POOLS].items()
        if POOL_RECORD in (pool["metadata"].get("annotations") or {})
    ]


def test_a_pool_gets_the_reference_values_and_a_second_run_writes_nothing() -> None:
    cluster = flat(max_unavailable=2)
    before = cluster.configuration_of("w0")
    result = call(cluster, "worker", values=REFERENCE)
    assert result["changed"] and not result["msg"]
    assert statuses(result) == {"worker": "updated"}
    assert result["pools"][0]["updated_nodes"] == 3
    config = cluster.objects[CONFIGS]["ocpv-scale-worker"]
    assert config["spec"]["kubeletConfig"] == REFERENCE
    assert {cluster.configuration_of(f"w{n}") for n in range(3)} == {cluster.target("worker")} != {before}
    assert cluster.most_at_once["worker"] == 2
    assert records(cluster) == [] and not any(paused(cluster).values())
    written = len(cluster.writes)
    again = call(cluster, "worker", values=REFERENCE)
    assert not again["changed"] and statuses(again) == {"worker": "unchanged"} and again["cautions"] == []
    assert len(cluster.writes) == written


def test_check_mode_says_what_it_costs_and_writes_nothing() -> None:
    cluster = flat()
    result = call(cluster, "worker", values=REFERENCE, check_mode=True)
    assert result["changed"] and statuses(result) == {"worker": "planned"}
    assert cluster.writes == []
    assert "Pool worker: 3 nodes are drained and rebooted, 1 at a time." in result["cautions"]
    assert list(result["diff"]["after"]) == ["ocpv-scale-worker"] and result["diff"]["before"] == {}


def test_zones_that_take_over_reboot_one_after_the_other() -> None:
    cluster = zoned()
    result = call(cluster, "worker", values=REFERENCE, pause=ZONES)
    assert not result["msg"] and statuses(result) == {"worker": "updated", "zone-0": "updated", "zone-1": "updated"}
    assert [node for node, _ in cluster.history] == ["zone-0-1", "zone-0-2", "zone-1-1", "zone-1-2"]
    assert records(cluster) == [] and not any(paused(cluster).values())
    assert not call(cluster, "worker", values=REFERENCE, pause=ZONES)["changed"]


def test_zones_that_would_reboot_together_are_a_problem_unless_accepted() -> None:
    cluster = zoned()
    refused = call(cluster, "worker", values=REFERENCE)
    assert "zone-0, zone-1" in refused["msg"] and [each["code"] for each in refused["problems"]] == ["pools_together"]
    assert cluster.writes == [] and not refused["changed"]
    assert not call(cluster, "worker", values=REFERENCE, accept=["pools_together"])["msg"]


def test_the_next_pool_is_begun_when_the_former_is_updated() -> None:
    cluster = zoned()
    result = call(cluster, *ZONES, values={"maxPods": 300})
    assert statuses(result) == dict.fromkeys(ZONES, "updated")
    created = [name for verb, name, _ in cluster.writes if verb == "create"]
    assert created == ["ocpv-scale-zone-0", "ocpv-scale-zone-1"]
    assert [node for node, _ in cluster.history] == ["zone-0-1", "zone-0-2", "zone-1-1", "zone-1-2"]


def test_removal_restores_what_was_there() -> None:
    cluster = zoned()
    before = {name: cluster.target(name) for name in cluster.objects[POOLS]}
    call(cluster, "worker", values=REFERENCE, pause=ZONES)
    cluster.history.clear()
    result = call(cluster, "worker", values=None, pause=ZONES)
    assert result["changed"] and not result["msg"] and cluster.objects[CONFIGS] == {}
    assert {name: cluster.target(name) for name in before} == before
    assert len(cluster.history) == 4 and records(cluster) == []
    assert not call(cluster, "worker", values=None, pause=ZONES)["changed"]


def test_a_pool_that_was_paused_is_unpaused_for_its_turn_only() -> None:
    cluster = flat(paused=True)
    refused = call(cluster, "worker", values=REFERENCE)
    assert [each["code"] for each in refused["problems"]] == ["pool_paused"] and cluster.writes == []
    result = call(cluster, "worker", values=REFERENCE, pause=["worker"])
    assert statuses(result) == {"worker": "updated"} and paused(cluster)["worker"] is True
    assert len(cluster.history) == 3


def test_a_pool_that_waits_and_was_paused_before_stays_so() -> None:
    cluster = zoned()
    cluster.objects[POOLS]["zone-1"]["spec"]["paused"] = True
    result = call(cluster, "worker", values=REFERENCE, pause=ZONES)
    assert statuses(result) == {"worker": "updated", "zone-0": "updated", "zone-1": "left_paused"}
    assert paused(cluster) == {"master": False, "worker": False, "zone-0": False, "zone-1": True}
    assert records(cluster) == []


def test_pools_of_the_job_wait_for_their_turn_and_are_as_before_afterwards() -> None:
    cluster = zoned()
    result = call(cluster, *ZONES, values=REFERENCE, pause=ZONES)
    assert statuses(result) == dict.fromkeys(ZONES, "updated")
    assert not any(paused(cluster).values()) and records(cluster) == []


def test_how_a_pool_was_before_the_first_run_counts_after_the_second() -> None:
    """The first run was killed while zone-1, which its owners had paused, had its turn."""
    cluster = zoned()
    record = Record(True, cluster.target("zone-1"), held=True)
    cluster.objects[POOLS]["zone-1"]["metadata"]["annotations"] = {POOL_RECORD: record.to_text()}
    assert statuses(call(cluster, *ZONES, values=REFERENCE, pause=ZONES)) == dict.fromkeys(ZONES, "updated")
    assert paused(cluster) == {"master": False, "worker": False, "zone-0": False, "zone-1": True}


def test_a_pause_of_its_owners_in_the_very_moment_is_kept() -> None:
    cluster = zoned()

    def owners_pause() -> None:
        pool = cluster.objects[POOLS]["zone-1"]
        pool["spec"]["paused"] = True
        pool["metadata"]["resourceVersion"] += "0"
        cluster.before_write = lambda: None

    cluster.before_write = owners_pause
    result = call(cluster, "worker", values=REFERENCE, pause=["zone-1", "zone-0"])
    assert not result["msg"] and paused(cluster)["zone-1"] is True and records(cluster) == []


def test_what_is_accepted_is_waited_for_until_it_is_rendered() -> None:
    """For a while the pool still says that it is updated."""
    cluster = flat()
    cluster.render_delay = 5
    assert statuses(call(cluster, "worker", values=REFERENCE)) == {"worker": "updated"}
    assert len(cluster.history) == 3


def test_updated_is_not_enough_for_a_pool_that_is_degraded() -> None:
    cluster = flat()
    cluster.render_degraded = {"worker"}
    result = call(cluster, "worker", values=REFERENCE)
    assert statuses(result) == {"worker": "failed"} and "Pool worker is degraded" in result["msg"]
    accepted = call(cluster, "worker", values={"maxPods": 300}, accept=["pool_degraded"])
    assert statuses(accepted) == {"worker": "updated"}


def test_a_large_pool_takes_longer_than_a_node_may() -> None:
    cluster = flat(80)
    assert statuses(call(cluster, "worker", values=REFERENCE)) == {"worker": "updated"}
    assert cluster.now > 300


def test_a_drain_that_is_stuck_is_named_and_the_pools_behind_it_stay_paused() -> None:
    cluster = zoned()
    cluster.stuck = {"zone-0-2"}
    result = call(cluster, "worker", values=REFERENCE, pause=ZONES)
    assert statuses(result) == {"worker": "updated", "zone-0": "failed", "zone-1": "left_paused"}
    assert "zone-0-2 is draining" in result["msg"] and "5m00s" in result["msg"]
    assert paused(cluster)["zone-1"] is True and "zone-1" in records(cluster)
    assert cluster.now < 1000
    phases = {node["name"]: node["phase"] for node in result["pools"][1]["nodes"]}
    assert phases == {"zone-0-1": "updated", "zone-0-2": "draining"}
    # somebody helps the drain: the next call goes on, even if it does not name the zones
    cluster.stuck = set()
    again = call(cluster, "worker", values=REFERENCE)
    assert not again["msg"] and statuses(again) == {"worker": "unchanged", "zone-0": "updated", "zone-1": "updated"}
    assert records(cluster) == [] and not any(paused(cluster).values())


def test_a_failed_pool_does_not_leave_others_paused_that_have_nothing_to_do() -> None:
    cluster = zoned()
    cluster.broken = {"zone-0-1"}
    result = call(cluster, *ZONES, values=REFERENCE, pause=ZONES)
    assert statuses(result) == {"zone-0": "failed", "zone-1": "not_reached"}
    assert "Node zone-0-1 is degraded" in result["msg"] and "the disk is full" in result["msg"]
    assert paused(cluster)["zone-1"] is False and "zone-1" not in records(cluster)
    assert "ocpv-scale-zone-1" not in cluster.objects[CONFIGS]
    degraded = call(cluster, *ZONES, values=REFERENCE, pause=ZONES)
    assert [each["code"] for each in degraded["problems"]] == ["pool_degraded"] and "zone-0-1" in degraded["msg"]


def test_a_value_that_the_operator_refuses_is_taken_back() -> None:
    cluster = flat()
    call(cluster, "worker", values={"maxPods": 300})
    cluster.refused_fields = {"podsPerCore"}
    before = cluster.target("worker")
    result = call(cluster, "worker", values={"maxPods": 300, "podsPerCore": 1})
    assert "podsPerCore is not allowed" in result["msg"]
    assert cluster.objects[CONFIGS]["ocpv-scale-worker"]["spec"]["kubeletConfig"] == {"maxPods": 300}
    cluster.operate()
    assert cluster.target("worker") == before and records(cluster) == []


def test_an_operator_that_sleeps_is_told() -> None:
    cluster = flat()
    cluster.sleeping_operator = True
    result = call(cluster, "worker", values=REFERENCE)
    assert "does not react" in result["msg"] and statuses(result) == {"worker": "failed"}
    cluster.sleeping_operator = False
    assert statuses(call(cluster, "worker", values=REFERENCE)) == {"worker": "updated"}


def test_another_object_of_the_pool_is_a_problem_and_can_be_changed_instead() -> None:
    theirs: Obj = {
        "metadata": {"name": "set-max-pods", "uid": "u", "resourceVersion": "1", "generation": 1},
        "spec": {
            "machineConfigPoolSelector": {"matchLabels": {"custom-kubelet": "enabled"}},
            "kubeletConfig": {"maxPods": 500},
        },
    }
    pool = pool_object("worker")
    pool["metadata"]["labels"]["custom-kubelet"] = "enabled"
    cluster = PlayedCluster([pool], [node_object("w0", "worker")], [theirs])
    refused = call(cluster, "worker", values=REFERENCE)
    assert [each["code"] for each in refused["problems"]] == ["other_kubelet_config"]
    assert "set-max-pods" in refused["msg"] and cluster.writes == []
    result = call(cluster, "worker", values={"nodeStatusMaxImages": -1}, name="set-max-pods")
    assert not result["msg"], result
    spec = cluster.objects[CONFIGS]["set-max-pods"]["spec"]
    assert spec["kubeletConfig"] == {"maxPods": 500, "nodeStatusMaxImages": -1}
    assert spec["machineConfigPoolSelector"] == {"matchLabels": {"custom-kubelet": "enabled"}}


def test_a_pool_without_the_label_gets_it() -> None:
    cluster = PlayedCluster([pool_object("worker", label=False)], [node_object("w0", "worker")])
    assert not call(cluster, "worker", values=REFERENCE)["msg"]
    assert (
        "pools.operator.machineconfiguration.openshift.io/worker"
        in cluster.objects[POOLS]["worker"]["metadata"]["labels"]
    )


def test_a_pool_that_is_updating_is_refused() -> None:
    cluster = flat()
    cluster.objects[CONFIGS]["x"] = {
        "metadata": {"name": "x"},
        "spec": {"machineConfigPoolSelector": {"matchLabels": {"no": "pool"}}, "kubeletConfig": {"maxPods": 1}},
    }
    cluster.objects[CONFIGS]["x"]["spec"]["machineConfigPoolSelector"] = {
        "matchLabels": {"pools.operator.machineconfiguration.openshift.io/worker": ""}
    }
    cluster.operate()
    result = call(cluster, "worker", values=REFERENCE, accept=["other_kubelet_config"])
    assert [each["code"] for each in result["problems"] if not each["accepted"]] == ["pool_updating"]
    assert cluster.writes == []


def test_somebody_else_s_write_in_between_is_not_overwritten() -> None:
    cluster = flat()
    times = iter(range(3))

    def meddle() -> None:
        if next(times, None) is not None:
            pool = cluster.objects[POOLS]["worker"]
            pool["metadata"]["resourceVersion"] += "0"
            pool["metadata"].setdefault("annotations", {})["theirs"] = "kept"

    cluster.before_write = meddle
    assert not call(cluster, "worker", values=REFERENCE)["msg"]
    assert cluster.objects[POOLS]["worker"]["metadata"]["annotations"] == {"theirs": "kept"}


def _complete(cluster: PlayedCluster) -> None:
    assert cluster.objects[CONFIGS]["ocpv-scale-worker"]["spec"]["kubeletConfig"] == REFERENCE
    assert records(cluster) == []
    assert paused(cluster) == {"master": False, "worker": False, "zone-0": False, "zone-1": True}
    for zone in ("worker", "zone-0"):
        nodes = [node["metadata"]["name"] for node in cluster.nodes_of(zone)]
        assert {cluster.configuration_of(node) for node in nodes} == {cluster.target(zone)}


@pytest.mark.parametrize("moment", range(8))
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("named", [True, False])
def test_killed_at_any_write_the_next_call_goes_on_and_restores(moment: int, when: str, named: bool) -> None:
    """zone-1 was paused by its owners; the second call names the zones or not."""

    def begun() -> PlayedCluster:
        cluster = zoned(worker_nodes=1)
        cluster.objects[POOLS]["zone-1"]["spec"]["paused"] = True
        return cluster

    whole = begun()
    call(whole, "worker", values=REFERENCE, pause=ZONES)
    _complete(whole)
    cluster = begun()
    setattr(cluster, f"die_{when}", moment)
    assert len(whole.writes) == 8
    with pytest.raises(Killed):
        call(cluster, "worker", values=REFERENCE, pause=ZONES)
    cluster.die_before = cluster.die_after = None
    # time passes until somebody calls again
    for _ in range(3):
        cluster.operate()
    accept = ["pools_together"]
    result = call(cluster, "worker", values=REFERENCE, pause=ZONES if named else (), accept=accept)
    assert not result["msg"], result
    for _ in range(20):
        cluster.operate()
    _complete(cluster)
    settled = call(cluster, "worker", values=REFERENCE, pause=ZONES)
    assert not settled["changed"]
