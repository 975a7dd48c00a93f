"""What a run leaves behind is seen."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
from audit.final import compare, picture


def difference(world: Any, **options: Any) -> list[tuple[str, str]]:
    found = compare(picture(world.before), picture(world.objects), 0, **options)
    return [(finding.rule, finding.subject) for finding in found]


def test_nothing_changed_is_nothing_found(cluster: Callable[..., Any]) -> None:
    assert difference(cluster()) == []


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        (lambda vm: template(vm).update(nodeSelector={"kubernetes.io/hostname": "worker-03"}), "vm_changed"),
        (lambda vm: template(vm).update(affinity={"nodeAffinity": {}}), "vm_changed"),
        (lambda vm: vm["spec"].update(runStrategy="Halted"), "vm_changed"),
        (lambda vm: vm["metadata"]["annotations"].update({"ocpv.scale/cold-move": "{}"}), "leftover"),
        (lambda vm: vm["metadata"]["annotations"].update({"team": "x"}), "vm_changed"),
        (lambda vm: vm["metadata"]["labels"].pop("app"), "vm_changed"),
    ],
)
def test_a_machine_that_was_not_put_back_is_found(
    cluster: Callable[..., Any], change: Callable[[Any], Any], rule: str
) -> None:
    world = cluster()
    change(world.find("virtualmachines", "web-01"))
    assert difference(world) == [(rule, "shop/web-01")]
    assert difference(world, ignored=["shop/web-01"]) == []


def template(vm: Any) -> Any:
    return vm["spec"]["template"]["spec"]


def test_kubevirts_own_annotations_may_change(cluster: Callable[..., Any]) -> None:
    world = cluster()
    world.find("virtualmachines", "web-01")["metadata"]["annotations"]["kubevirt.io/latest-observed-api-version"] = "v2"
    assert difference(world) == []


def test_the_difference_is_named_by_path(cluster: Callable[..., Any]) -> None:
    world = cluster()
    template(world.find("virtualmachines", "web-01"))["domain"]["cpu"]["cores"] = 9
    found = compare(picture(world.before), picture(world.objects), 0)
    assert found[0].message == "differs from before the run: spec.template.spec.domain.cpu.cores"


def test_what_ran_must_run_again(cluster: Callable[..., Any]) -> None:
    world = cluster()
    instance = world.find("virtualmachineinstances", "web-01")
    instance["status"]["phase"] = "Scheduling"
    assert difference(world) == [("not_running", "shop/web-01")]
    world.event("virtualmachineinstances", instance, "DELETED")
    world.event("pods", world.launcher("web-01"), "DELETED")
    assert difference(world) == [("not_running", "shop/web-01")]


def test_a_machine_that_is_gone_is_found(cluster: Callable[..., Any]) -> None:
    world = cluster()
    world.event("virtualmachines", world.find("virtualmachines", "stopped-01"), "DELETED")
    assert difference(world) == [("vm_deleted", "lab/stopped-01")]


def test_unfinished_migrations_and_surplus_launchers_are_left_over(cluster: Callable[..., Any]) -> None:
    world = cluster()
    world.migration("web-01", "Pending")
    world.migration("web-02", "Succeeded")
    assert difference(world) == [("leftover", "shop/web-01-m1")]
    world.target_pod("web-03", "worker-12", phase="Pending")
    assert ("leftover", "shop/web-03") in difference(world)


def test_a_launcher_where_its_instance_is_not_is_found(cluster: Callable[..., Any]) -> None:
    world = cluster()
    world.find("virtualmachineinstances", "web-01")["status"]["nodeName"] = "worker-12"
    assert difference(world) == [("leftover", "shop/web-01")]


def test_nodes_and_settings_must_be_as_before(cluster: Callable[..., Any]) -> None:
    world = cluster()
    world.find("nodes", "worker-01")["spec"]["unschedulable"] = True
    world.find("nodes", "worker-02")["spec"]["taints"] = [{"key": "a", "effect": "NoSchedule"}]
    world.find("nodes", "worker-03")["metadata"]["labels"]["ocpv.scale/target"] = "x"
    world.find("nodes", "worker-04")["metadata"]["labels"]["kubevirt.io/schedulable"] = "false"
    hyperconverged = world.objects["hyperconvergeds"][0]
    hyperconverged["spec"]["virtualization"]["liveMigrationConfig"]["parallelMigrationsPerCluster"] = 9
    assert difference(world) == [
        ("node_changed", "worker-01"),
        ("node_changed", "worker-02"),
        ("leftover", "worker-03"),
        ("config_changed", "HyperConverged/kubevirt-hyperconverged"),
    ]


def test_a_lease_that_was_not_given_back_is_left_over(cluster: Callable[..., Any]) -> None:
    world = cluster()
    lease = {"metadata": {"namespace": "ocpv-scale", "name": "ocpv-scale-rebalance"}, "spec": {"holderIdentity": ""}}
    world.objects["leases"] = [lease]
    assert difference(world) == []
    lease["spec"] = {"holderIdentity": "r1/host/1"}
    assert difference(world) == [("leftover", "ocpv-scale/ocpv-scale-rebalance")]


def test_pictures_do_not_share_what_changes_later(cluster: Callable[..., Any]) -> None:
    world = cluster()
    kept = picture(copy.deepcopy(world.objects))
    template(world.find("virtualmachines", "web-01"))["nodeSelector"] = {"a": "b"}
    assert compare(kept, picture(world.objects), 0) != []
