"""What keeps a VM from a node, and how the books follow moves and watches."""

from __future__ import annotations

from dataclasses import replace

import pytest
from ansible_collections.ocpv.scale.plugins.module_utils.cluster.model import Claim, PersistentVolume
from ansible_collections.ocpv.scale.plugins.module_utils.rebalance.occupancy import Occupancy
from ansible_collections.ocpv.scale.plugins.module_utils.rebalance.rules import Rules
from unit.plugins.module_utils.rebalance.builders import (
    GIB,
    affinity,
    anti_affinity,
    launcher,
    node,
    node_affinity,
    pod,
    snapshot,
    spread,
    term,
    vm,
)

NO_LOSS = Rules(keep_node_loss=False)


def codes(picture, key, target, mode="live", rules=NO_LOSS):
    books = Occupancy.from_snapshot(picture, rules)
    machine = books.machines[key]
    refusals = books.why_not(machine, target, mode)
    if not rules.keep_node_loss:
        assert books.fits(machine, target, mode) == (not refusals)
    return {refusal.code for refusal in refusals}


def two_nodes(machine, other=None, pods=(), **more):
    return snapshot([node("one"), other or node("two")], [machine], pods, **more)


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        (node("two"), set()),
        (node("two", unschedulable=True), {"node_cordoned"}),
        (node("two", ready=False), {"node_not_ready"}),
        (node("two", labels={"kubevirt.io/schedulable": "false"}), {"node_no_vms"}),
        (node("two", taints=[("dedicated", "gpu", "NoSchedule")]), {"taint"}),
        (node("two", taints=[("dedicated", "gpu", "PreferNoSchedule")]), set()),
        (node("two", memory_gib=3), {"no_memory", "over_allocated"}),
        (node("two", cpu=0.5), {"no_cpu"}),
        (node("two", pods=0), {"no_pods"}),
        (node("two", extended={"devices.kubevirt.io/kvm": 0}), {"no_device"}),
        (node("two", labels={"kubernetes.io/arch": "arm64"}), set()),
    ],
)
def test_a_node_refuses_for_its_own_reasons(other, expected):
    assert codes(two_nodes(vm("a", "one"), other), "apps/a", "two") == expected


def test_an_unknown_node_and_the_present_one_are_refused():
    picture = two_nodes(vm("a", "one"))
    assert codes(picture, "apps/a", "three") == {"node_unknown"}
    assert "same_node" in codes(picture, "apps/a", "one")


def test_control_plane_nodes_are_left_alone_unless_they_are_workers_too():
    control = node("two", labels={"node-role.kubernetes.io/control-plane": ""})
    assert codes(two_nodes(vm("a", "one"), control), "apps/a", "two") == set()
    labels = {name: value for name, value in control.labels.items() if name != "node-role.kubernetes.io/worker"}
    assert codes(two_nodes(vm("a", "one"), replace(control, labels=labels)), "apps/a", "two") == {"control_plane"}


@pytest.mark.parametrize(
    ("spec", "labels", "expected"),
    [
        ({"node_selector": {"disk": "fast"}}, {}, {"node_selector"}),
        ({"node_selector": {"disk": "fast"}}, {"disk": "fast"}, set()),
        ({"affinity": node_affinity("disk", "fast")}, {}, {"node_affinity"}),
        ({"affinity": node_affinity("disk", "fast")}, {"disk": "fast"}, set()),
        ({"affinity": node_affinity("disk", "slow", operator="NotIn")}, {"disk": "fast"}, set()),
        ({"cpu_model": "Skylake"}, {}, {"cpu_model"}),
        ({"cpu_model": "Skylake"}, {"cpu-model.node.kubevirt.io/Skylake": "true"}, set()),
        ({"cpu_features": ("vmx",)}, {}, {"cpu_feature"}),
        ({"dedicated_cpus": True, "requests": {}, "vcpus": 1}, {}, {"dedicated_cpus"}),
        ({"dedicated_cpus": True, "requests": {}, "vcpus": 1}, {"kubevirt.io/cpumanager": "true"}, set()),
        ({"architecture": "arm64"}, {}, {"architecture"}),
    ],
)
def test_what_a_vm_selects(spec, labels, expected):
    assert codes(two_nodes(vm("a", "one", spec=spec), node("two", labels=labels)), "apps/a", "two") == expected


def test_tolerations_let_a_vm_pass_a_taint():
    tainted = node("two", taints=[("dedicated", "gpu", "NoSchedule")])
    for toleration, expected in (
        ({"key": "dedicated", "operator": "Exists"}, set()),
        ({"key": "dedicated", "value": "gpu", "effect": "NoSchedule"}, set()),
        ({"key": "dedicated", "value": "fpga"}, {"taint"}),
        ({"operator": "Exists"}, set()),
        ({"key": "dedicated", "operator": "Exists", "effect": "NoExecute"}, {"taint"}),
    ):
        machine = vm("a", "one", spec={"tolerations": (toleration,)})
        assert codes(two_nodes(machine, tainted), "apps/a", "two") == expected


def test_a_live_move_keeps_the_cpu_vendor_and_the_host_model_a_cold_one_does_not():
    intel = {
        "cpu-vendor.node.kubevirt.io/Intel": "true",
        "host-model-cpu.node.kubevirt.io/Icelake": "true",
        "host-model-required-features.node.kubevirt.io/avx512": "true",
    }
    machine = vm("a", "one", spec={"cpu_model": "host-model"})
    picture = snapshot(
        [node("one", labels=intel), node("amd"), node("old", labels=dict([*intel.items()][:1]))], [machine]
    )
    assert codes(picture, "apps/a", "amd") == {"cpu_vendor", "cpu_model", "cpu_feature"}
    assert codes(picture, "apps/a", "old") == {"cpu_model", "cpu_feature"}
    assert codes(picture, "apps/a", "old", "cold") == set()


def test_after_a_migration_the_first_sources_cpu_model_still_binds():
    carried = {"cpu-model-migration.node.kubevirt.io/Haswell": "true", "kubernetes.io/hostname": "one"}
    machine = vm("a", "one", spec={"cpu_model": "host-model"}, launcher_selector=carried)
    new = node("one", labels={"host-model-cpu.node.kubevirt.io/Icelake": "true"})
    old = node("two", labels={"cpu-model-migration.node.kubevirt.io/Haswell": "true"})
    assert codes(snapshot([new, old], [machine]), "apps/a", "two") == set()
    books = Occupancy.from_snapshot(snapshot([new, old, node("three")], [machine]), NO_LOSS)
    books.reserve("apps/a", "two")
    books.moved("apps/a", "two")
    moved = books.machines["apps/a"]
    assert moved.node == "two"
    assert {refusal.code for refusal in books.why_not(moved, "three", "live")} == {"cpu_model"}


def test_a_volume_that_a_node_cannot_reach_keeps_the_vm_away():
    from ansible_collections.ocpv.scale.plugins.module_utils.cluster.model import Volume

    machine = vm("a", "one", spec={"volumes": (Volume("disk", "persistentVolumeClaim", "data"),)})
    terms = [{"matchExpressions": [{"key": "kubernetes.io/hostname", "operator": "In", "values": ["one"]}]}]
    picture = two_nodes(
        machine,
        claims=[Claim("apps", "data", ("ReadWriteMany",), "Block", "local", "Bound", "pv-1")],
        volumes=[PersistentVolume("pv-1", ("ReadWriteMany",), {"nodeSelectorTerms": terms})],
    )
    assert codes(picture, "apps/a", "two") == {"storage_topology"}


def test_headroom_and_allowed_allocation():
    picture = two_nodes(vm("a", "one", cpu=2, memory_gib=8, vcpus=8), node("two", cpu=4, memory_gib=10))
    assert codes(picture, "apps/a", "two") == set()
    assert codes(picture, "apps/a", "two", rules=Rules(headroom_memory=0.3, keep_node_loss=False)) == {"no_memory"}
    assert codes(picture, "apps/a", "two", rules=Rules(headroom_cpu=0.6, keep_node_loss=False)) == {"no_cpu"}
    allocated = Rules(basis="allocated", keep_node_loss=False)
    assert codes(picture, "apps/a", "two", rules=allocated) == {"over_allocated"}
    assert codes(picture, "apps/a", "two", rules=replace(allocated, allow_over_percent=200)) == set()


def test_anti_affinity_works_in_both_directions():
    db = {"app": "db"}
    away = {"affinity": anti_affinity(term(db))}
    assert codes(two_nodes(vm("a", "one", spec=away), pods=[pod("p", "two", namespace="apps", labels=db)]),
                 "apps/a", "two") == {"anti_affinity"}  # fmt: skip
    # a term looks into its own namespace unless it says otherwise
    assert codes(two_nodes(vm("a", "one", spec=away), pods=[pod("p", "two", labels=db)]), "apps/a", "two") == set()
    everywhere = {"affinity": anti_affinity(term(db, namespaceSelector={}))}
    assert codes(two_nodes(vm("a", "one", spec=everywhere), pods=[pod("p", "two", labels=db)]),
                 "apps/a", "two") == {"anti_affinity"}  # fmt: skip
    selected = {"affinity": anti_affinity(term(db, namespaceSelector={"matchLabels": {"team": "x"}}))}
    for labels, expected in (({"team": "x"}, {"anti_affinity"}), ({}, set())):
        picture = two_nodes(
            vm("a", "one", spec=selected), pods=[pod("p", "two", labels=db)], namespaces={"other": labels}
        )
        assert codes(picture, "apps/a", "two") == expected
    keeps = pod("p", "two", namespace="apps", anti_affinity=[term(db)])
    assert codes(two_nodes(vm("a", "one", labels=db), pods=[keeps]), "apps/a", "two") == {"anti_affinity"}
    assert codes(two_nodes(vm("a", "one"), pods=[keeps]), "apps/a", "two") == set()


def test_the_source_pod_counts_for_a_live_move_within_a_zone_not_for_a_cold_one():
    db = {"app": "db"}
    zone = "topology.kubernetes.io/zone"
    machine = vm("a", "one", labels=db, spec={"affinity": anti_affinity(term(db, zone))})
    picture = snapshot([node("one", zone="z1"), node("two", zone="z1"), node("three", zone="z2")], [machine])
    assert codes(picture, "apps/a", "two") == {"anti_affinity"}
    assert codes(picture, "apps/a", "two", "cold") == set()
    assert codes(picture, "apps/a", "three") == set()


def test_affinity_needs_a_friend_and_nobody_is_left_alone():
    web, cache = {"app": "web"}, {"app": "cache"}
    follower = vm("a", "one", labels=web, spec={"affinity": affinity(term(cache))})
    leader = vm("b", "one", labels=cache)
    picture = snapshot([node("one"), node("two")], [follower, leader])
    assert codes(picture, "apps/a", "two") == {"affinity"}
    assert codes(picture, "apps/b", "two") == {"affinity"}
    spare = vm("c", "two", labels=cache)
    assert codes(snapshot([node("one"), node("two")], [follower, leader, spare]), "apps/a", "two") == set()


def test_topology_spread_holds_before_and_after_the_source_pod_is_gone():
    web = {"app": "web"}
    rule = {"topology_spread": (spread(web),)}
    nodes = [node("a1", zone="a"), node("a2", zone="a"), node("b1", zone="b"), node("c1", zone="c")]
    machines = [
        vm("1", "a1", labels=web, spec=rule),
        vm("2", "a2", labels=web, spec=rule),
        vm("3", "b1", labels=web, spec=rule),
    ]
    picture = snapshot(nodes, machines)
    assert codes(picture, "apps/1", "c1") == set()
    assert codes(picture, "apps/1", "b1") == {"topology_spread"}
    # c would stay empty and b become empty too
    assert codes(picture, "apps/3", "a2") == {"topology_spread"}
    assert codes(picture, "apps/3", "c1") == set()


def test_a_vm_counts_once_per_node_and_on_both_while_it_moves():
    machine = vm("a", "one", memory_gib=8)
    picture = snapshot([node("one"), node("two")], [machine])
    books = Occupancy.from_snapshot(picture, NO_LOSS)
    assert books.nodes["one"].memory == 8 * GIB and books.nodes["one"].pods == 1
    books.reserve("apps/a", "two")
    assert books.nodes["two"].memory == 8 * GIB
    target = launcher(machine, on="two", uid="target")
    books.upsert_pod(target)
    assert books.nodes["two"].memory == 8 * GIB and books.nodes["two"].pods == 1
    books.moved("apps/a", "two")
    assert books.nodes["one"].memory == 0 and books.nodes["two"].memory == 8 * GIB
    # what the cluster says afterwards changes nothing more
    books.upsert_vm(replace(machine, instance=replace(machine.instance, node="two")))
    books.remove_pod("pod-apps-a")
    assert books.nodes["one"].memory == 0 and books.nodes["one"].machines == {}
    assert books.nodes["two"].memory == 8 * GIB and books.nodes["two"].pods == 1
    assert books.held_on("apps/a") == ["two"]


def test_a_failed_move_gives_its_reservation_back():
    books = Occupancy.from_snapshot(snapshot([node("one"), node("two")], [vm("a", "one")]), NO_LOSS)
    before = books.loads()
    books.reserve("apps/a", "two")
    books.upsert_pod(launcher(books.machines["apps/a"], on="two", uid="target"))
    books.release("apps/a", "two")
    assert books.nodes["two"].pods == 1
    books.remove_pod("target")
    assert books.loads() == before


def test_pods_that_come_before_their_vm_are_counted_to_it_later():
    machine = vm("a", "one")
    books = Occupancy.from_snapshot(snapshot([node("one")]), NO_LOSS)
    books.upsert_pod(launcher(machine))
    assert books.nodes["one"].pods == 1
    books.upsert_vm(machine)
    assert books.nodes["one"].pods == 1 and list(books.nodes["one"].machines) == ["apps/a"]
    books.remove_vm("apps/a")
    assert books.nodes["one"].pods == 1
    books.remove_pod(launcher(machine).uid)
    assert books.nodes["one"].pods == 0 and books.nodes["one"].memory == 0


def test_nodes_come_and_go():
    machine = vm("a", "one")
    books = Occupancy.from_snapshot(snapshot([node("one")], [machine], [pod("p", "one")]), NO_LOSS)
    load = books.loads()["one"]
    books.remove_node("one")
    assert books.loads() == {}
    books.upsert_node(node("one"))
    assert books.loads()["one"] == load
    books.upsert_node(node("two"))
    assert books.fits(machine, "two", "live")
    books.upsert_node(node("two", unschedulable=True))
    assert not books.fits(machine, "two", "live")


def test_use_moves_along_with_the_vm():
    machine = vm("a", "one", used_cpu=1.5, used_memory_gib=3)
    nodes = [node("one", used_cpu=4, used_memory_gib=10), node("two", used_cpu=1, used_memory_gib=2), node("three")]
    books = Occupancy.from_snapshot(snapshot(nodes, [machine]), NO_LOSS)
    books.reserve("apps/a", "two")
    books.moved("apps/a", "two")
    loads = books.loads()
    assert (loads["one"].used_cpu_millicores, loads["one"].used_memory_bytes) == (2500, 7 * GIB)
    assert (loads["two"].used_cpu_millicores, loads["two"].used_memory_bytes) == (2500, 5 * GIB)
    assert loads["three"].used_cpu_millicores is None


def test_the_loss_of_a_node_stays_survivable_where_it_was():
    nodes = [node(name, memory_gib=20) for name in ("one", "two", "three")]
    machines = [vm("a", "one", memory_gib=8), vm("b", "two", memory_gib=8), vm("c", "three", memory_gib=8)]
    small = vm("s", "one", memory_gib=4)
    picture = snapshot(nodes, [*machines, small])
    # one: 12, two: 8, three: 8 of 20 GiB
    assert codes(picture, "apps/a", "two", rules=Rules()) == set()
    big = vm("s", "one", memory_gib=11)
    crowded = snapshot(nodes, [*machines, big])
    # a and s of node one find room today; if a went to two, s would have nowhere to go
    assert codes(crowded, "apps/a", "two", rules=Rules()) == {"node_loss"}
    assert codes(crowded, "apps/a", "two", rules=NO_LOSS) == set()


def test_asking_about_node_loss_leaves_the_books_as_they_were():
    nodes = [node(name, memory_gib=20) for name in ("one", "two", "three")]
    machines = [vm("a", "one", memory_gib=8), vm("b", "two", memory_gib=8), vm("c", "three", memory_gib=8)]
    books = Occupancy.from_snapshot(snapshot(nodes, machines), Rules())
    before = books.loads()
    first = books.why_not(books.machines["apps/a"], "two", "live")
    assert books.loads() == before and books.held_on("apps/a") == ["one"]
    assert books.why_not(books.machines["apps/a"], "two", "live") == first
