"""Each rule is seen broken when it is broken on purpose, and not otherwise."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest


def test_a_scenario_at_rest_breaks_nothing(cluster: Callable[..., Any]) -> None:
    assert cluster().findings() == []


def test_a_whole_live_migration_breaks_nothing(cluster: Callable[..., Any]) -> None:
    world = cluster()
    migration = world.migration("web-01", "Pending")
    target = world.target_pod("web-01", "worker-12", phase="Pending")
    for phase in ("Scheduling", "Scheduled", "PreparingTarget", "TargetReady", "Running"):
        migration["status"]["phase"] = phase
        world.event("virtualmachineinstancemigrations", migration)
        target["status"]["phase"] = "Running"
        world.event("pods", target)
    instance = world.find("virtualmachineinstances", "web-01")
    instance["status"]["nodeName"] = "worker-12"
    world.event("virtualmachineinstances", instance)
    migration["status"]["phase"] = "Succeeded"
    world.event("virtualmachineinstancemigrations", migration)
    world.later(5)
    source = world.launcher("web-01")
    source["status"]["phase"] = "Succeeded"
    world.event("pods", source)
    assert world.findings() == []
    assert world.auditor.live_moves == {("shop", "web-01"): 1}


def test_requests_above_allocatable_are_reported_with_node_and_amounts(cluster: Callable[..., Any]) -> None:
    world = cluster()
    big = world.target_pod("web-01", "worker-12", phase="Pending")
    big["spec"]["containers"][0]["resources"]["requests"]["memory"] = "60Gi"
    world.event("pods", big)
    found = world.findings()
    assert [(f.rule, f.subject) for f in found] == [("node_requests", "worker-12")]
    assert found[0].message.startswith("memory 7")
    assert "with pod shop/virt-launcher-web-01-target" in found[0].message


def test_an_ended_pod_no_longer_counts(cluster: Callable[..., Any]) -> None:
    world = cluster()
    pod = world.target_pod("web-01", "worker-12", phase="Pending")
    pod["status"]["phase"] = "Succeeded"
    world.event("pods", pod)
    pod["spec"]["containers"][0]["resources"]["requests"]["memory"] = "60Gi"
    world.event("pods", pod)
    world.event("pods", pod, "DELETED")
    assert world.findings() == []


def test_more_pods_than_the_node_takes_are_reported(cluster: Callable[..., Any]) -> None:
    world = cluster()
    template = next(pod for pod in world.objects["pods"] if pod["metadata"]["name"] == "idle-00001")
    for number in range(232):
        pod = copy.deepcopy(template)
        pod["metadata"].update(name=f"more-{number}", uid=f"more-{number}")
        pod["spec"]["containers"][0]["resources"] = {}
        pod["spec"]["nodeName"] = "worker-12"
        world.event("pods", pod, "ADDED")
    rules = world.rules()
    assert rules[0] == "max_pods"
    assert set(rules) == {"max_pods"}


def test_what_was_wrong_before_the_run_is_only_noted(cluster: Callable[..., Any]) -> None:
    world = cluster()
    node = world.find("nodes", "worker-01")
    node["status"]["allocatable"]["memory"] = "10Gi"
    again = type(world)(world.objects)
    found = again.findings()
    assert [(f.severity, f.rule, f.subject) for f in found] == [("note", "node_requests", "worker-01")]


@pytest.mark.parametrize(
    ("machine", "node", "change", "rule"),
    [
        ("zone-b-01", "worker-12", {}, "node_selector"),
        ("web-01", "worker-12", {"taints": [{"key": "dedicated", "value": "x", "effect": "NoSchedule"}]}, "taint"),
        ("web-01", "worker-12", {"unschedulable": True}, "cordoned"),
    ],
)
def test_a_launcher_on_a_forbidden_node_is_reported(
    cluster: Callable[..., Any], machine: str, node: str, change: dict[str, Any], rule: str
) -> None:
    world = cluster()
    forbidden = world.find("nodes", node)
    forbidden["spec"].update(change)
    world.event("nodes", forbidden)
    world.later(10)
    world.target_pod(machine, node, phase="Pending")
    assert world.rules() == [rule]


def test_a_node_cordoned_just_after_the_pod_was_placed_is_no_mistake(cluster: Callable[..., Any]) -> None:
    world = cluster()
    node = world.find("nodes", "worker-12")
    node["spec"]["unschedulable"] = True
    world.event("nodes", node)
    world.target_pod("web-01", "worker-12", phase="Pending")
    assert world.rules() == []


def test_two_members_of_an_anti_affinity_pair_on_one_node_are_reported(cluster: Callable[..., Any]) -> None:
    world = cluster()
    partner = world.launcher("database-02")["spec"]["nodeName"]
    world.target_pod("database-01", partner, phase="Pending")
    assert set(world.rules()) == {"anti_affinity"}


def test_affinity_and_spread_are_judged_by_zone(cluster: Callable[..., Any]) -> None:
    world = cluster()
    zone_of = {
        n["metadata"]["name"]: n["metadata"]["labels"]["topology.kubernetes.io/zone"] for n in world.objects["nodes"]
    }
    zones = {zone_of[world.launcher(f"database-0{number}")["spec"]["nodeName"]] for number in (1, 2)}
    elsewhere = next(f"worker-{n:02d}" for n in range(12, 0, -1) if zone_of[f"worker-{n:02d}"] not in zones)
    world.target_pod("report-01", elsewhere, phase="Pending")
    here = zone_of[world.launcher("portal-01")["spec"]["nodeName"]]
    other = next(f"worker-{n:02d}" for n in range(12, 0, -1) if zone_of[f"worker-{n:02d}"] != here)
    world.target_pod("portal-01", other, phase="Pending")
    world.target_pod("portal-01", other, phase="Pending", name="second")
    assert world.rules() == ["pod_affinity", "topology_spread"]


def test_two_instances_of_one_machine_running_are_reported_at_once(cluster: Callable[..., Any]) -> None:
    world = cluster()
    pod = world.target_pod("web-01", "worker-12", phase="Pending")
    pod["metadata"]["labels"]["kubevirt.io/created-by"] = "another-instance"
    pod["status"]["phase"] = "Running"
    world.event("pods", pod)
    assert [f.rule for f in world.auditor.take()] == ["runs_twice"]


def test_a_source_that_outlives_its_migration_is_reported(cluster: Callable[..., Any]) -> None:
    world = cluster()
    migration = world.migration("web-01", "Running")
    world.target_pod("web-01", "worker-12")
    world.later(60)
    assert world.auditor.take() == []
    migration["status"]["phase"] = "Succeeded"
    world.event("virtualmachineinstancemigrations", migration)
    assert world.rules() == ["runs_twice"]


def test_limits_are_judged_per_cluster_and_per_source(cluster: Callable[..., Any]) -> None:
    world = cluster()  # 5 in the cluster, 1 from a node
    first, second = [
        pod["metadata"]["labels"]["vm.kubevirt.io/name"]
        for pod in world.objects["pods"]
        if pod["spec"]["nodeName"] == "worker-01" and pod["metadata"]["labels"].get("kubevirt.io") == "virt-launcher"
    ][:2]
    world.migration(first, "Scheduling")
    world.migration(second, "Pending")
    assert world.rules() == []
    world.migration(second, "Scheduling")
    found = world.findings()
    assert [f.rule for f in found] == ["source_limit"]
    assert found[0].message == "2 active migrations from worker-01, 1 allowed"


def test_the_sixth_migration_is_too_much_unless_the_limit_was_raised_meanwhile(cluster: Callable[..., Any]) -> None:
    world = cluster()
    per_node = {}
    for pod in world.objects["pods"]:
        if pod["metadata"]["labels"].get("kubevirt.io") == "virt-launcher":
            per_node[pod["spec"]["nodeName"]] = pod["metadata"]["labels"]["vm.kubevirt.io/name"]
    machines = list(per_node.values())
    for machine in machines[:6]:
        world.migration(machine, "Scheduling")
    assert world.rules() == ["cluster_limit"]
    world.migration(machines[6], "Scheduling")
    kubevirt = world.objects["kubevirts"][0]
    kubevirt["spec"]["configuration"]["migrations"]["parallelMigrationsPerCluster"] = 10
    world.event("kubevirts", kubevirt)
    assert world.rules() == []


@pytest.mark.parametrize("how", ["deleted", "failed", "replaced"])
def test_a_machine_that_stops_without_announcement_is_lost(cluster: Callable[..., Any], how: str) -> None:
    world = cluster()
    instance = copy.deepcopy(world.find("virtualmachineinstances", "web-01"))
    if how == "failed":
        instance["status"]["phase"] = "Failed"
    elif how == "replaced":
        instance["metadata"]["uid"] = "another"
    world.event("virtualmachineinstances", instance, "DELETED" if how == "deleted" else "MODIFIED")
    found = world.findings()
    assert [f.rule for f in found] == ["vm_lost"]
    assert "no cold move is announced (ocpv.scale/cold-move)" in found[0].message


def test_a_cold_move_is_no_loss_even_if_its_announcement_comes_late(cluster: Callable[..., Any]) -> None:
    world = cluster()
    world.event("virtualmachineinstances", world.find("virtualmachineinstances", "legacy-01"), "DELETED")
    machine = world.find("virtualmachines", "legacy-01")
    machine["metadata"]["annotations"]["ocpv.scale/cold-move"] = "{}"
    world.event("virtualmachines", machine)
    assert world.findings() == []
    assert world.auditor.cold_moves == {("legacy", "legacy-01")}


def test_a_machine_deleted_by_others_is_reported_unless_expected(cluster: Callable[..., Any]) -> None:
    for options, expected in (({}, ["vm_deleted", "vm_lost"]), ({"ignored": ["shop/web-01"]}, [])):
        world = cluster(**options)
        world.event("virtualmachines", world.find("virtualmachines", "web-01"), "DELETED")
        world.event("virtualmachineinstances", world.find("virtualmachineinstances", "web-01"), "DELETED")
        assert world.rules() == expected


def test_a_machine_migrated_twice_by_one_run_is_reported(cluster: Callable[..., Any]) -> None:
    world = cluster()
    world.migration("web-01", "Failed", name="a")
    world.migration("web-01", "Succeeded", name="b")
    world.migration("web-01", "Succeeded", name="c", run="another run")
    assert world.rules() == []
    world.migration("web-01", "Succeeded", name="d")
    found = world.findings()
    assert [f.rule for f in found] == ["moved_twice"]
    assert found[0].message == "run r1 migrated it 2 times: web-01-b, web-01-d"


def test_a_planned_stop_on_the_way_is_two_moves_not_one_twice(cluster: Callable[..., Any]) -> None:
    world = cluster()
    world.migration("web-01", "Succeeded", name="a", move="m-1")
    world.migration("web-01", "Succeeded", name="b", move="m-2")
    assert world.rules() == []
    world.migration("web-01", "Succeeded", name="c", move="m-2")
    assert world.rules() == ["moved_twice"]
