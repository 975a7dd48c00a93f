"""The reference architecture's values, pools as they are read, objects that the CRD takes, and what is in the way."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.ocpv.scale.plugins.module_utils.cluster.model import Snapshot
from ansible_collections.ocpv.scale.plugins.module_utils.errors import InvalidInput
from ansible_collections.ocpv.scale.plugins.module_utils.kubelet.checks import (
    ACCEPTABLE,
    Job,
    Scene,
    cautions,
    check_pools,
    problems,
)
from ansible_collections.ocpv.scale.plugins.module_utils.kubelet.objects import (
    CHANGE,
    CREATE,
    KEEP,
    merge_difference,
    step_for,
    verdict,
)
from ansible_collections.ocpv.scale.plugins.module_utils.kubelet.pools import (
    PodCount,
    PoolNode,
    Record,
    count_pods,
    nodes_by_pool,
    parse_pod_place,
    parse_pool,
    parse_pool_node,
    parse_record,
)
from ansible_collections.ocpv.scale.plugins.module_utils.kubelet.values import (
    PROFILES,
    addresses_of,
    kubelet_values,
)
from hypothesis import given
from hypothesis import strategies as st
from unit.plugins.module_utils.kubelet.played import merged, node_object, pool_object
from unit.plugins.module_utils.rebalance.builders import node, snapshot, vm

# the simulated cluster's own code needs it, the collection's does not
CRDS_TO_BE_HAD = sys.version_info >= (3, 12)
REFERENCE = PROFILES["reference"]
PREFIX = "machineconfiguration.openshift.io/"
Obj = dict[str, Any]


def accepted_by_the_crd(kind: str, obj: Obj) -> None:
    if CRDS_TO_BE_HAD:
        from simcluster.schema import Registry

        registry = Registry()
        resource = registry.by_kind("machineconfiguration.openshift.io", kind)
        assert resource is not None
        assert registry.process(resource, "v1", obj, field_validation="Strict") == []


class TestValues:
    def test_the_reference_architecture_s_values_are_one_object(self) -> None:
        assert kubelet_values("reference", {}, None) == {
            "maxPods": 500,
            "kubeAPIBurst": 200,
            "kubeAPIQPS": 100,
            "nodeStatusMaxImages": -1,
        }

    def test_own_values_override_the_profile(self) -> None:
        options = {"max_pods": 300, "kube_api_qps": None}
        values = kubelet_values("reference", options, {"podsPerCore": 10, "kubeAPIBurst": 150})
        assert values == {**REFERENCE, "maxPods": 300, "podsPerCore": 10, "kubeAPIBurst": 150}

    @pytest.mark.parametrize(
        ("options", "others", "option"),
        [
            ({}, None, "profile"),
            ({"max_pods": 0}, None, "max_pods"),
            ({"max_pods": 250.5}, None, "max_pods"),
            ({"max_pods": True}, None, "max_pods"),
            ({"max_pods": 2**31}, None, "max_pods"),
            ({"node_status_max_images": -2}, None, "node_status_max_images"),
            ({"kube_api_burst": -1}, None, "kube_api_burst"),
            ({}, {"maxPods": "500"}, "kubelet_config.maxPods"),
            ({}, {"max_pods": 500}, "kubelet_config.max_pods"),
            ({}, {"featureGates": {"A": True}}, "kubelet_config.featureGates"),
            ({}, {"cgroupDriver": "systemd"}, "kubelet_config.cgroupDriver"),
            ({}, {"memorySwap": {"swapBehavior": "LimitedSwap"}}, "kubelet_config.memorySwap.swapBehavior"),
        ],
    )
    def test_what_cannot_be_is_refused(self, options: Obj, others: Obj | None, option: str) -> None:
        with pytest.raises(InvalidInput) as caught:
            kubelet_values(None, options, others)
        assert caught.value.option == option

    @pytest.mark.parametrize(("prefix", "addresses"), [(23, 510), (24, 254), (22, 1022)])
    def test_addresses_of_a_node(self, prefix: int, addresses: int) -> None:
        assert addresses_of(prefix) == addresses


class TestPools:
    def test_a_pool_is_read_as_the_crd_has_it(self) -> None:
        item: Obj = {
            "apiVersion": "machineconfiguration.openshift.io/v1",
            "kind": "MachineConfigPool",
            "metadata": {
                "name": "zone-0",
                "generation": 4,
                "annotations": {"ocpv.scale/kubelet-rollout": Record(True, "rendered-a", held=True).to_text()},
            },
            "spec": {
                "paused": True,
                "maxUnavailable": "10%",
                "configuration": {"name": "rendered-b", "source": [{"name": "99-zone-0-generated-kubelet"}]},
                "machineConfigSelector": {
                    "matchExpressions": [{"key": f"{PREFIX}role", "operator": "In", "values": ["worker", "zone-0"]}]
                },
            },
            "status": {
                "observedGeneration": 3,
                "configuration": {"name": "rendered-a"},
                "conditions": [
                    {"type": "Updated", "status": "False"},
                    {"type": "NodeDegraded", "status": "True", "message": "Node x is reporting: disk full"},
                ],
            },
        }
        accepted_by_the_crd("MachineConfigPool", item)
        pool = parse_pool(item)
        assert (pool.target, pool.reached, pool.paused, pool.observed) == ("rendered-b", "rendered-a", True, False)
        assert pool.record == Record(True, "rendered-a", held=True)
        assert pool.degraded == "Node x is reporting: disk full" and not pool.updated
        assert pool.inherits("worker") and not pool.inherits("zone-0") and not pool.inherits("zone-1")

    @pytest.mark.parametrize("text", ["", "[]", "{}", "null", '{"paused": 1', "7"])
    def test_an_annotation_that_is_no_record_is_none(self, text: str) -> None:
        assert parse_record(text) is None

    @pytest.mark.parametrize(
        ("limit", "nodes", "together"),
        [(None, 30, 1), (10, 30, 10), ("10", 30, 10), ("10%", 33, 3), ("10%", 5, 1), ("50%", 5, 2), (0, 5, 1)],
    )
    def test_how_many_nodes_go_down_together(self, limit: Any, nodes: int, together: int) -> None:
        """A percentage is rounded down, and one at least goes."""
        assert parse_pool(pool_object("worker", max_unavailable=limit)).at_a_time(nodes) == together

    def test_a_node_belongs_to_one_pool(self) -> None:
        pools = [parse_pool(pool_object(name)) for name in ("master", "worker", "zone-0", "zone-1")]
        nodes = [
            node_object("m", "master", "worker"),
            node_object("w", "worker"),
            node_object("z", "worker", "zone-0"),
            node_object("both", "worker", "zone-0", "zone-1"),
            node_object("other", "infra"),
        ]
        found = nodes_by_pool(pools, [parse_pool_node(item) for item in nodes])
        names = {pool: [each.name for each in there] for pool, there in found.items()}
        assert names == {"master": ["m"], "worker": ["w"], "zone-0": ["z"], "zone-1": []}

    @pytest.mark.parametrize(
        ("annotations", "ready", "phase"),
        [
            ({"currentConfig": "new", "desiredConfig": "new", "state": "Done"}, True, "updated"),
            ({"currentConfig": "new", "desiredConfig": "new", "state": "Done"}, False, "rebooting"),
            ({"currentConfig": "old", "desiredConfig": "old", "state": "Done"}, True, "waiting"),
            ({"currentConfig": "old", "desiredConfig": "new", "state": "Done"}, True, "updating"),
            ({"currentConfig": "old", "desiredConfig": "new", "state": "Working"}, True, "updating"),
            (
                {"currentConfig": "old", "desiredConfig": "new", "state": "Working", "desiredDrain": "drain-new"},
                True,
                "draining",
            ),
            (
                {
                    "currentConfig": "old",
                    "desiredConfig": "new",
                    "state": "Working",
                    "desiredDrain": "drain-new",
                    "lastAppliedDrain": "drain-new",
                },
                True,
                "updating",
            ),
            ({"currentConfig": "old", "desiredConfig": "new", "state": "Rebooting"}, True, "rebooting"),
            ({"currentConfig": "old", "desiredConfig": "new", "state": "Working"}, False, "rebooting"),
            ({"currentConfig": "old", "desiredConfig": "new", "state": "Degraded"}, True, "degraded"),
            ({}, True, "waiting"),
        ],
    )
    def test_what_a_node_does(self, annotations: Mapping[str, str], ready: bool, phase: str) -> None:
        item = node_object("w", "worker")
        item["metadata"]["annotations"] = {f"{PREFIX}{key}": value for key, value in annotations.items()}
        item["status"]["conditions"][0]["status"] = str(ready)
        assert parse_pool_node(item).phase("new") == phase


VALUES = st.dictionaries(
    st.sampled_from(["maxPods", "kubeAPIQPS", "memorySwap", "x"]),
    st.integers(0, 2) | st.dictionaries(st.sampled_from("ab"), st.integers(0, 2), max_size=2),
    max_size=3,
)


class TestObjects:
    pool = parse_pool(pool_object("worker"))

    def test_the_object_is_accepted_by_the_crd_and_selects_the_pool_alone(self) -> None:
        step = step_for(None, self.pool, "ocpv-scale-worker", REFERENCE)
        assert step.action == CREATE
        accepted_by_the_crd("KubeletConfig", dict(step.body))
        assert step.body["spec"]["machineConfigPoolSelector"] == {
            "matchLabels": {"pools.operator.machineconfiguration.openshift.io/worker": ""}
        }

    @given(before=VALUES, after=VALUES)
    def test_a_merge_patch_leads_from_one_to_the_other(self, before: Obj, after: Obj) -> None:
        patch = merge_difference(before, after)
        assert merged(before, patch) == after
        assert bool(patch) == (before != after)

    @given(before=VALUES, after=VALUES, own=st.booleans())
    def test_a_second_step_is_none(self, before: Obj, after: Obj, own: bool) -> None:
        labels = {"app.kubernetes.io/managed-by": "ocpv-scale"} if own else {}
        live: Obj = {"metadata": {"name": "k", "labels": labels}, "spec": {"kubeletConfig": before, "logLevel": 3}}
        step = step_for(live, self.pool, "k", after)
        assert step.action == CHANGE  # it has no selector yet
        stored = merged(live, {"spec": step.body["spec"]})
        assert stored["spec"] == step.after and stored["spec"]["logLevel"] == 3
        assert step_for(stored, self.pool, "k", after).action == KEEP
        assert stored["spec"]["kubeletConfig"] == (after if own else {**before, **after})

    @pytest.mark.parametrize(
        ("status", "expected"),
        [
            ({}, None),
            ({"observedGeneration": 1, "conditions": [{"type": "Success", "status": "True"}]}, None),
            ({"observedGeneration": 2, "conditions": [{"type": "Success", "status": "True"}]}, True),
            ({"conditions": [{"type": "Success", "status": "True"}, {"type": "Failure", "status": "True"}]}, False),
            ({"conditions": [{"type": "Failure", "status": "True"}, {"type": "Accepted", "status": "True"}]}, True),
            ({"conditions": [{"type": "Accepted", "status": "False"}]}, False),
        ],
    )
    def test_the_last_condition_counts(self, status: Obj, expected: bool | None) -> None:
        assert verdict({"metadata": {"generation": 2}, "status": status})[0] is expected


def scene(machines: Snapshot | None = None, **changes: Any) -> Scene:
    item = pool_object("worker", max_unavailable=2)
    item["spec"]["configuration"]["name"] = "a"
    item["status"] = {"configuration": {"name": "a"}, "conditions": [{"type": "Updated", "status": "True"}]}
    nodes = [PoolNode(name, {}, True) for name in ("one", "two")]
    there = {"pools": {"worker": parse_pool(item)}, "nodes": {"worker": nodes}, "snapshot": machines}
    return Scene(**{**there, **changes})


def job(seen: Scene, values: Mapping[str, Any] = REFERENCE) -> Job:
    return Job({"worker": step_for(None, seen.pools["worker"], "k", values)}, (), values)


class TestChecks:
    @pytest.mark.parametrize(
        ("strategy", "live", "blocked", "shut_down"),
        [
            ("LiveMigrate", True, False, False),
            ("LiveMigrate", False, True, False),
            ("LiveMigrateIfPossible", True, False, False),
            ("LiveMigrateIfPossible", False, False, True),
            ("None", True, False, True),
            ("", False, False, True),
            ("External", True, True, False),
        ],
    )
    def test_vms_that_keep_a_node_from_being_drained(
        self, strategy: str, live: bool, blocked: bool, shut_down: bool
    ) -> None:
        machine = vm("a", "one", live=live, spec={"eviction_strategy": strategy})
        elsewhere = vm("b", "three", live=False, spec={"eviction_strategy": "LiveMigrate"})
        seen = scene(snapshot([node("one"), node("two"), node("three")], [machine, elsewhere]))
        found = problems(seen, job(seen))
        assert [each.code for each in found] == (["vms_not_evictable"] if blocked else [])
        if blocked:
            assert "1 VMs" in found[0].message and "apps/a" in found[0].message
        told = cautions(seen, job(seen))
        assert "Pool worker: 2 nodes are drained and rebooted, 2 at a time; 1 VMs have to leave them." in told
        assert bool([text for text in told if "shut down" in text]) is shut_down

    def test_the_cluster_s_default_strategy_counts_where_a_vm_has_none(self) -> None:
        machine = vm("a", "one", live=False, spec={"eviction_strategy": ""})
        nodes = [node("one"), node("two")]
        seen = scene(snapshot(nodes, [machine], virtualization={"default_eviction_strategy": "LiveMigrate"}))
        assert [each.code for each in problems(seen, job(seen))] == ["vms_not_evictable"]
        assert [each.accepted for each in problems(seen, job(seen), ["vms_not_evictable"])] == [True]

    @pytest.mark.parametrize(
        ("prefix", "pods", "few"), [(23, 500, False), (23, 510, False), (23, 511, True), (24, 500, True)]
    )
    def test_more_pods_than_addresses(self, prefix: int, pods: int, few: bool) -> None:
        seen = scene(host_prefix=prefix)
        assert [each.code for each in problems(seen, job(seen, {"maxPods": pods}))] == (
            ["few_addresses"] if few else []
        )
        assert not problems(scene(), job(scene(), {"maxPods": pods}))

    @pytest.mark.parametrize(
        ("max_pods", "counts", "told"),
        [
            (100, [(100, 20), (100, 20)], ""),
            (99, [(100, 20), (100, 20)], "200 pods run on its 2 nodes, which would hold 198: 2 would wait"),
            (40, [(41, 41), (20, 20)], "one has 41 pods of DaemonSets"),
            (60, [(110, 20), (0, 0)], ""),
        ],
    )
    def test_fewer_pods_than_there_are(self, max_pods: int, counts: list[tuple[int, int]], told: str) -> None:
        pods = {name: PodCount(*each) for name, each in zip(("one", "two"), counts, strict=True)}
        seen = scene(pods={**pods, "elsewhere": PodCount(4000)})
        found = problems(seen, job(seen, {"maxPods": max_pods}))
        assert [each.code for each in found] == (["too_many_pods"] if told else [])
        assert not found or told in found[0].message
        assert not problems(seen, job(seen, {"kubeAPIQPS": 10}))

    @pytest.mark.parametrize(("max_pods", "told"), [(120, False), (119, True)])
    def test_no_room_while_a_node_is_away(self, max_pods: int, told: bool) -> None:
        """Three nodes, one at a time: 200 pods that go elsewhere, and room for max_pods less 20 on each of two."""
        pool = scene().pools["worker"]
        nodes = [PoolNode(name, {}, True) for name in ("one", "two", "three")]
        pods = {"one": PodCount(120, 20), "two": PodCount(120, 20), "three": PodCount(20, 20)}
        seen = scene(pools={"worker": replace(pool, max_unavailable=1)}, nodes={"worker": nodes}, pods=pods)
        assert not problems(seen, job(seen, {"maxPods": max_pods}))
        cautioned = [text for text in cautions(seen, job(seen, {"maxPods": max_pods})) if "while 1 of its 3" in text]
        assert bool(cautioned) is told
        assert not told or "200 pods can go to another node" in cautioned[0] and "room for 198" in cautioned[0]

    def test_pods_are_counted_by_node_with_those_that_go_nowhere_else(self) -> None:
        def pod(node: str, owner: str = "", **more: Any) -> Obj:
            owners = {"ownerReferences": [{"kind": owner, "controller": True, **more}]} if owner else {}
            return {"metadata": {"name": "p", **owners}, "spec": {"nodeName": node} if node else {}}

        items = [pod("one", "DaemonSet"), pod("one", "Node"), pod("one", "ReplicaSet"), pod("one"), pod("")]
        items += [pod("two", "DaemonSet", controller=False)]
        assert count_pods(map(parse_pod_place, items)) == {"one": PodCount(4, 2), "two": PodCount(1, 0)}

    @pytest.mark.parametrize(("pods", "told"), [(250, False), (251, True), (500, True)])
    def test_more_than_is_tested_for_long_is_told(self, pods: int, told: bool) -> None:
        seen = scene()
        assert bool([text for text in cautions(seen, job(seen, {"maxPods": pods})) if "250" in text]) is told

    @pytest.mark.parametrize(
        ("pools", "managed", "option"),
        [([], [], "pools"), (["x"], [], "pools"), (["worker", "worker"], [], "pools"), (["worker"], ["x"], "pause")],
    )
    def test_pools_that_are_not_there(self, pools: list[str], managed: list[str], option: str) -> None:
        with pytest.raises(InvalidInput) as caught:
            check_pools(scene(), pools, managed)
        assert caught.value.option == option

    def test_pools_that_take_over_are_looked_at_as_well(self) -> None:
        """worker has no nodes of its own; the VM is in the zone."""
        zone = pool_object("zone-0")
        zone["spec"]["configuration"]["name"] = "z"
        zone["status"] = {"configuration": {"name": "y"}, "conditions": [{"type": "Updated", "status": "False"}]}
        seen = scene()
        pools = {**seen.pools, "zone-0": parse_pool(zone)}
        machine = vm("a", "one", live=False, spec={"eviction_strategy": "LiveMigrate"})
        seen = scene(
            snapshot([node("one")], [machine]), pools=pools, nodes={"worker": [], "zone-0": [PoolNode("one", {}, True)]}
        )
        waiting = replace(job(seen), managed=("zone-0",))
        assert {each.code: each.message for each in problems(seen, waiting)} == {
            "pool_updating": "Pool zone-0 is updating its nodes already.",
            "vms_not_evictable": "Pool zone-0: 1 VMs keep their nodes from being drained: apps/a.",
        }
        assert [text for text in cautions(seen, waiting) if "drained and rebooted" in text] == [
            "Pool zone-0: 1 nodes are drained and rebooted, 1 at a time; 1 VMs have to leave them."
        ]
        crowded = replace(seen, pods={"one": PodCount(9, 2)}, snapshot=None)
        few = replace(waiting, values={"maxPods": 8})
        assert "Pool zone-0, maxPods 8" in next(e.message for e in problems(crowded, few) if e.code == "too_many_pods")
        own = {
            "metadata": {"name": "k"},
            "spec": {"machineConfigPoolSelector": {"matchLabels": zone["metadata"]["labels"]}},
        }
        assert zone["metadata"]["labels"]
        assert "too_many_pods" not in [each.code for each in problems(replace(crowded, configs=[own]), few)]
        # what its owners have paused is left alone
        pools["zone-0"] = replace(pools["zone-0"], paused=True)
        assert problems(replace(seen, pools=pools), waiting) == []

    def test_a_paused_pool_cannot_be_accepted(self) -> None:
        assert "pool_paused" not in ACCEPTABLE
