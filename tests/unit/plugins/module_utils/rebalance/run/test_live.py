"""The live view follows events, and its books with it."""

from __future__ import annotations

import copy

import pytest
from ansible_collections.ocpv.scale.plugins.module_utils.cluster.capture import capture
from ansible_collections.ocpv.scale.plugins.module_utils.cluster.resources import MIGRATIONS
from ansible_collections.ocpv.scale.plugins.module_utils.rebalance.rules import Rules
from ansible_collections.ocpv.scale.plugins.module_utils.rebalance.run import live
from ansible_collections.ocpv.scale.plugins.module_utils.rebalance.run.feed import Event
from ansible_collections.ocpv.scale.plugins.module_utils.rebalance.run.live import LiveView
from unit.plugins.module_utils.rebalance.run.played import PlayedCluster

KEY = "shop/web-01"
PARTS = ("nodes", "namespaces", "virtual_machines", "pods", "claims", "migrations", "policies", "virtualization")


class Scene:
    """A played cluster and a view of it."""

    def __init__(self) -> None:
        self.cluster = PlayedCluster()
        self.view = self.fresh()
        self.position = len(self.cluster.changes)

    def fresh(self) -> LiveView:
        return LiveView(capture(self.cluster, PARTS), Rules(keep_node_loss=False), 0.0)

    def follow(self) -> None:
        for event in self.cluster.changes[self.position :]:
            self.view.apply(event, self.cluster.seconds)
        self.position = len(self.cluster.changes)

    def migrate(self, key: str = KEY, target: str = "worker-10", name: str = "theirs", **spec) -> None:
        namespace, vmi = key.split("/")
        wanted = {"vmiName": vmi, "addedNodeSelector": {"kubernetes.io/hostname": target}, **spec}
        body = {"metadata": {"name": name, "namespace": namespace}, "spec": wanted}
        self.cluster.create(MIGRATIONS, body, namespace=namespace)

    def steps(self, count: int, seconds: float = 1.0) -> None:
        for _number in range(count):
            self.cluster.step(seconds)
        self.follow()


@pytest.fixture
def scene() -> Scene:
    return Scene()


def same_books(one: LiveView, other: LiveView) -> None:
    """Both know the same of the cluster; use is not watched."""
    loads, expected = one.books.loads(), other.books.loads()
    assert loads.keys() == expected.keys()
    for name, load in loads.items():
        for field in ("requested_cpu_millicores", "requested_memory_bytes", "virtual_machines", "pods"):
            assert getattr(load, field) == getattr(expected[name], field), (name, field)


def test_a_migration_counts_on_both_nodes_and_then_on_the_target(scene) -> None:
    before = scene.view.books.loads()
    source = scene.view.machines[KEY].node
    scene.migrate()
    scene.steps(3)
    during = scene.view.books.loads()
    assert during[source].pods == before[source].pods
    assert during["worker-10"].pods == before["worker-10"].pods + 1
    assert during["worker-10"].requested_memory_bytes > before["worker-10"].requested_memory_bytes
    scene.steps(6)
    assert scene.view.machines[KEY].node == "worker-10"
    after = scene.view.books.loads()
    assert after[source].pods == before[source].pods - 1
    same_books(scene.view, scene.fresh())


def test_many_moves_leave_the_same_books_as_a_fresh_look(scene) -> None:
    for number in range(1, 15):
        scene.migrate(f"shop/web-{number:02}", f"worker-{9 + number % 4:02}", f"m{number}")
    for _round in range(20):
        scene.steps(2)
    same_books(scene.view, scene.fresh())
    assert not scene.view.migrating()


def test_events_told_twice_change_nothing(scene) -> None:
    scene.migrate()
    scene.steps(8)
    expected = scene.view.books.loads()
    for event in scene.cluster.changes:
        scene.view.apply(event, scene.cluster.seconds)
    assert scene.view.books.loads() == expected


def test_a_whole_list_replaces_what_was_missed(scene) -> None:
    scene.migrate()
    namespace, name = "shop", "web-02"
    for plural in ("virtualmachines", "virtualmachineinstances"):
        scene.cluster.drop((plural, namespace, name))
    launcher = next(
        key for key, pod in scene.cluster.of("pods")
        if pod["metadata"].get("labels", {}).get("vm.kubevirt.io/name") == name
    )  # fmt: skip
    scene.cluster.drop(launcher)
    scene.cluster.drop(("nodes", "", "worker-12"))
    for _number in range(9):
        scene.cluster.step(1)
    scene.position = len(scene.cluster.changes)  # the watches were broken all the time
    kinds = {
        "nodes": live.NODES,
        "virtualmachines": live.MACHINES,
        "virtualmachineinstances": live.INSTANCES,
        "virtualmachineinstancemigrations": live.MIGRATIONS,
        "pods": live.PODS,
    }
    for plural, kind in kinds.items():
        items = [copy.deepcopy(item) for _key, item in scene.cluster.of(plural)]
        scene.view.apply(Event(kind, "SYNC", items), 9.0)
    assert "shop/web-02" not in scene.view.machines
    assert "worker-12" not in scene.view.nodes
    assert scene.view.machines[KEY].node == "worker-10"
    same_books(scene.view, scene.fresh())


def test_a_migration_is_unfinished_until_its_end_and_gone_when_removed(scene) -> None:
    scene.migrate()
    scene.follow()
    (pending,) = scene.view.unfinished()
    assert (pending.holding, pending.asking) == (False, True)
    assert pending.sources == {scene.view.machines[KEY].node}
    scene.steps(2)
    (running,) = scene.view.unfinished()
    assert running.holding
    assert running.target == "worker-10"
    scene.steps(7)
    assert not scene.view.unfinished()
    seen = scene.view.migrations["shop/theirs"]
    assert (seen.migration.phase, seen.settled, seen.gone) == ("Succeeded", True, False)
    scene.cluster.drop((MIGRATIONS.plural, "shop", "theirs"))
    scene.follow()
    assert "shop/theirs" not in scene.view.migrations


def test_a_migration_that_waits_for_ever_does_not_hold_up_the_others(scene) -> None:
    scene.cluster.limits(0, 0)
    scene.migrate()
    scene.steps(3)
    assert scene.view.unfinished()[0].asking
    scene.view.now += 120
    assert not scene.view.unfinished()[0].asking


def test_an_own_migration_that_is_gone_stays_known(scene) -> None:
    item = {
        "metadata": {"name": "ours", "namespace": "shop", "uid": "u", "labels": {"ocpv.scale/run": "r"}},
        "spec": {"vmiName": "web-01"},
        "status": {"phase": "Running"},
    }
    scene.view.apply(Event(live.MIGRATIONS, "ADDED", item), 1.0)
    scene.view.apply(Event(live.MIGRATIONS, "DELETED", item), 2.0)
    assert scene.view.migrations["shop/ours"].gone
    assert not scene.view.unfinished()
    again = {**item, "metadata": {**item["metadata"], "uid": "v"}}
    scene.view.apply(Event(live.MIGRATIONS, "ADDED", again), 3.0)
    assert not scene.view.migrations["shop/ours"].gone


def test_what_an_instance_type_decides_survives_a_change_of_the_vm(scene) -> None:
    vm = copy.deepcopy(scene.cluster.vm(KEY))
    hardware = scene.view.machines[KEY].instance.spec
    vm["spec"]["instancetype"] = {"name": "large"}
    vm["spec"]["template"]["spec"]["domain"] = {"devices": {}}
    scene.view.apply(Event(live.MACHINES, "MODIFIED", vm), 1.0)
    spec = scene.view.machines[KEY].spec
    assert (spec.vcpus, spec.guest_memory_bytes) == (hardware.vcpus, hardware.guest_memory_bytes)


def test_settings_are_read_again_when_their_generation_changes(scene) -> None:
    item = {"metadata": {"name": "kubevirt", "generation": 3}}
    scene.view.apply(Event(live.SETTINGS, "MODIFIED", item), 1.0)
    assert scene.view.settings_changed
    scene.view.settings_changed = False
    scene.view.apply(Event(live.SETTINGS, "MODIFIED", item), 2.0)
    assert not scene.view.settings_changed
    scene.view.apply(Event(live.SETTINGS, "MODIFIED", {"metadata": {"name": "kubevirt", "generation": 4}}), 3.0)
    assert scene.view.settings_changed


def test_a_virt_handler_that_gets_ready_opens_its_node(scene) -> None:
    vm = scene.view.machines[KEY]
    ready = dict.fromkeys(scene.view.nodes, True)
    scene.view.handlers({**ready, "worker-10": False})
    assert [refusal.code for refusal in scene.view.books.why_not(vm, "worker-10", "live")] == ["virt_handler"]
    scene.view.handlers(ready)
    assert not scene.view.books.why_not(vm, "worker-10", "live")


def test_the_schedulers_message_about_a_target_pod_is_kept(scene) -> None:
    pod = copy.deepcopy(next(pod for _key, pod in scene.cluster.of("pods")
                             if pod["metadata"].get("labels", {}).get("vm.kubevirt.io/name") == "web-01"))  # fmt: skip
    pod["metadata"]["uid"] = "target"
    pod["metadata"]["labels"]["kubevirt.io/migrationJobUID"] = "job"
    pod["spec"].pop("nodeName")
    pod["status"] = {"phase": "Pending", "conditions": [
        {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/15 nodes"}]}  # fmt: skip
    scene.view.apply(Event(live.PODS, "ADDED", pod), 1.0)
    assert scene.view.unschedulable["job"] == "0/15 nodes"
