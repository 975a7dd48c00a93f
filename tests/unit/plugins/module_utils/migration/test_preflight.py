"""The checks before any VM moves: tables of what is found and what that means."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.ocpv.scale.plugins.module_utils.cluster.model import Node, Snapshot, Usage
from ansible_collections.ocpv.scale.plugins.module_utils.migration.checks import (
    FAILED,
    OK,
    STATUSES,
    UNKNOWN,
    WARNING,
    Check,
)
from ansible_collections.ocpv.scale.plugins.module_utils.migration.checks_machines import Quota, parse_quota
from ansible_collections.ocpv.scale.plugins.module_utils.migration.preflight import CHECKS, preflight, preflight_result
from ansible_collections.ocpv.scale.plugins.module_utils.migration.rights import RIGHTS
from hypothesis import given
from hypothesis import strategies as st
from unit.plugins.module_utils.migration.objects import (
    LIVE,
    NAMESPACE,
    WORKERS,
    Obj,
    both,
    claim,
    condition,
    hyperconverged,
    kubevirt,
    merged,
    migration,
    node,
    not_live,
    of_claim,
    snapshot,
    spec,
    stopped,
)

ROOT = Path(__file__).resolve().parents[5]
MAY_ALL = dict.fromkeys(RIGHTS, True)


def launcher(requests: dict[str, str], on: str = "worker-1", name: str = "web", **labels: str) -> Obj:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "namespace": NAMESPACE,
            "name": f"virt-launcher-{name}-{on}",
            "uid": f"pod-{name}-{on}",
            "labels": {"kubevirt.io": "virt-launcher", "kubevirt.io/created-by": "vmi-web", **labels},
        },
        "spec": {"nodeName": on, "containers": [{"name": "compute", "resources": {"requests": requests}}]},
        "status": {"phase": "Running"},
    }


def handler(on: str, ready: bool = True) -> Obj:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "namespace": "openshift-cnv",
            "name": f"virt-handler-{on}",
            "uid": f"handler-{on}",
            "labels": {"kubevirt.io": "virt-handler"},
        },
        "spec": {"nodeName": on, "containers": [{"name": "virt-handler"}]},
        "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True" if ready else "False"}]},
    }


def changed(name: str, **changes: Any) -> Obj:
    return merged(node(name), changes)


RUNNING = [*both(spec(), [LIVE]), launcher({"cpu": "1", "memory": "4Gi"})]
HANDLERS = [handler(name) for name in WORKERS]


def checks(*objects: Obj, **options: Any) -> dict[str, Check]:
    found = snapshot(*(objects or RUNNING), **options)
    return checks_of(found)


def checks_of(found: Snapshot, **values: Any) -> dict[str, Check]:
    machines = [found.virtual_machines[key] for key in sorted(found.virtual_machines)]
    return {check.name: check for check in preflight(found, machines, **values)}


def test_every_check_is_there_always_and_in_order() -> None:
    found = snapshot(*RUNNING)
    empty = Snapshot(captured_at="", cluster_uid="")
    for case in (found, empty, replace(found, parts=())):
        told = preflight(case, list(case.virtual_machines.values()))
        assert tuple(check.name for check in told) == CHECKS
        assert all(check.status in STATUSES and check.message.endswith(".") for check in told)


def test_a_healthy_cluster_passes_all_of_them() -> None:
    found = snapshot(*RUNNING, *HANDLERS)
    usage = Usage(1000, 2**30)
    found = replace(found, nodes={name: replace(item, usage=usage) for name, item in found.nodes.items()})
    told = checks_of(found, rights=MAY_ALL, quotas=[])
    assert {name: check.status for name, check in told.items() if check.status != OK} == {}


# storage


@pytest.mark.parametrize(
    ("objects", "status"),
    [
        (both(spec(), [LIVE]), OK),
        ([*both(spec([of_claim()])), claim(modes=["ReadWriteOnce"])], WARNING),
        (both(spec(), [not_live("SEVNotLiveMigratable")]), WARNING),
        (both(spec([{"name": "disk", "hostDisk": {"path": "/disk.img", "type": "Disk"}}])), FAILED),
        (stopped(spec()), OK),
    ],
)
def test_storage_fails_only_where_nothing_can_move(objects: list[Obj], status: str) -> None:
    assert checks(*objects)["storage"].status == status


def test_storage_names_what_cannot_move_live_and_why() -> None:
    found = checks(*both(spec([of_claim()])), claim(modes=["ReadWriteOnce"]))["storage"]
    assert found.evidence["not_live"] == [f"{NAMESPACE}/web"]
    assert found.evidence["reasons"] == {"claim_not_shared": 1}
    assert found.evidence["counts"] == {"live": 0, "storage_live": 1, "cold": 0, "blocked": 0}


# nodes

NOT_READY = {"status": {"conditions": [{"type": "Ready", "status": "Unknown"}]}}
SILENT = {"metadata": {"annotations": {"kubevirt.io/heartbeat": "2026-03-01T11:54:00Z"}}}
LATE = {"metadata": {"annotations": {"kubevirt.io/heartbeat": "2026-03-01T11:56:00Z"}}}
CORDONED = {"spec": {"unschedulable": True}}
CLOSED = {"metadata": {"labels": {"kubevirt.io/schedulable": "false"}}}


@pytest.mark.parametrize(
    ("nodes", "status", "words"),
    [
        ([], OK, "answer (3)"),
        ([changed("worker-3", **NOT_READY)], WARNING, "worker-3 (not ready)"),
        ([changed("worker-3", **SILENT)], WARNING, "360 s before the others"),
        ([changed("worker-3", **LATE)], OK, "answer (3)"),
        ([changed("worker-3", **NOT_READY), changed("worker-2", **SILENT)], FAILED, "2 of 3 nodes"),
    ],
)
def test_nodes_have_to_answer(nodes: list[Obj], status: str, words: str) -> None:
    found = checks(*RUNNING, *nodes)["network"]
    assert found.status == status
    assert words in found.message


def test_a_cluster_without_kubevirt_is_told() -> None:
    plain = [merged(node(name), {"metadata": {"labels": {"kubevirt.io/schedulable": None}}}) for name in WORKERS]
    found = checks(*stopped(spec()), base=plain)
    assert found["network"].status == FAILED
    assert "virt-handler" in found["network"].hint
    assert found["kubevirt"].status == FAILED
    assert found["limits"].status == UNKNOWN


def test_the_migration_network_is_told() -> None:
    own = kubevirt(spec={"configuration": {"migrations": {"network": "migration-net"}}})
    assert "over the network migration-net" in checks(*RUNNING, own)["network"].message
    shared = checks(*RUNNING)["network"]
    assert "over the pod network" in shared.message
    assert "2 migrations may leave a node at once" in shared.hint


@pytest.mark.parametrize(
    ("pods", "status", "not_ready"),
    [
        (HANDLERS, OK, []),
        ([*HANDLERS[:2], handler("worker-3", ready=False)], WARNING, ["worker-3"]),
        (HANDLERS[:2], WARNING, ["worker-3"]),
        (HANDLERS[:1], FAILED, ["worker-2", "worker-3"]),
    ],
)
def test_virt_handler_has_to_be_ready_everywhere(pods: list[Obj], status: str, not_ready: list[str]) -> None:
    found = checks(*RUNNING, *pods)["virt_handler"]
    assert (found.status, found.evidence["not_ready"]) == (status, not_ready)


def test_unread_virt_handlers_are_not_taken_for_broken() -> None:
    found = replace(snapshot(*RUNNING), missing={"virt_handlers": "pods are forbidden"})
    told = checks_of(found)["virt_handler"]
    assert (told.status, "pods are forbidden" in told.message) == (UNKNOWN, True)


@pytest.mark.parametrize(
    ("nodes", "status"),
    [
        ([], OK),
        ([changed("worker-3", **CORDONED)], OK),
        ([changed("worker-2", **CORDONED), changed("worker-3", **CLOSED)], FAILED),
        ([changed("worker-1", **CORDONED), changed("worker-3", **NOT_READY)], WARNING),
        ([changed(name, **NOT_READY) for name in WORKERS], FAILED),
    ],
)
def test_there_has_to_be_another_node(nodes: list[Obj], status: str) -> None:
    assert checks(*RUNNING, *nodes)["targets"].status == status


def test_a_single_node_is_told_as_such() -> None:
    found = checks(*RUNNING, base=[node("worker-1"), kubevirt()])["targets"]
    assert found.status == FAILED
    assert "single node" in found.message


@pytest.mark.parametrize(
    ("requests", "taints", "status"),
    [
        ({"cpu": "1", "memory": "4Gi"}, [], OK),
        ({"cpu": "12", "memory": "4Gi"}, [], FAILED),
        ({"cpu": "1", "memory": "60Gi"}, [], FAILED),
        ({"cpu": "1", "memory": "4Gi"}, [{"key": "gpu", "value": "yes", "effect": "NoSchedule"}], FAILED),
        ({"cpu": "1", "memory": "4Gi"}, [{"key": "gpu", "value": "yes", "effect": "PreferNoSchedule"}], OK),
    ],
)
def test_a_vm_needs_room_elsewhere_while_it_keeps_its_own(
    requests: dict[str, str], taints: list[Obj], status: str
) -> None:
    others = [changed(name, spec={"taints": taints}) for name in WORKERS[1:]]
    full = [launcher({"cpu": "6", "memory": "8Gi"}, on=name, name="other") for name in WORKERS[1:]]
    pods = [merged(item, {"metadata": {"labels": {"kubevirt.io": "something-else"}}}) for item in full]
    found = checks(*both(spec(), [LIVE]), launcher(requests), *others, *pods)["capacity"]
    assert found.status == status
    assert found.evidence["without_room"] == ([] if status == OK else [f"{NAMESPACE}/web"])


def test_without_pods_capacity_is_not_known() -> None:
    assert checks(*RUNNING, without=["pods"])["capacity"].status == UNKNOWN


# workload and quota


@pytest.mark.parametrize(("cpu_millicores", "status"), [(1500, OK), (1600, WARNING), (2000, WARNING)])
def test_busy_vms_are_told(cpu_millicores: int, status: str) -> None:
    found = snapshot(*RUNNING)
    (machine,) = found.virtual_machines.values()
    assert machine.instance is not None
    busy = replace(machine, instance=replace(machine.instance, usage=Usage(cpu_millicores, 2**30)))
    told = checks_of(replace(found, virtual_machines={busy.key: busy}))["workload"]
    assert told.status == status
    assert told.evidence["busy_virtual_machines"] == ([] if status == OK else [busy.key])


@pytest.mark.parametrize(
    ("usage", "hot"),
    [
        (Usage(12_800, 2**30), False),
        (Usage(12_900, 2**30), True),
        (Usage(0, 54 * 2**30), False),
        (Usage(0, 55 * 2**30), True),
    ],
)
def test_nodes_at_their_limit_are_told(usage: Usage, hot: bool) -> None:
    found = snapshot(*RUNNING)
    nodes: dict[str, Node] = {**found.nodes, "worker-2": replace(found.nodes["worker-2"], usage=usage)}
    told = checks_of(replace(found, nodes=nodes))["workload"]
    assert told.evidence["busy_nodes"] == (["worker-2"] if hot else [])


def test_what_stands_against_moving_right_now_is_told() -> None:
    found = checks(*both(spec(), [LIVE, condition("Paused", "True")]))["workload"]
    assert found.status == WARNING
    assert found.evidence["occupied"] == {f"{NAMESPACE}/web": ["paused"]}


def test_without_metrics_how_busy_vms_are_is_not_known() -> None:
    found = checks(*RUNNING, without=["usage"])
    assert found["workload"].status == UNKNOWN
    assert found["metrics"].status == WARNING


@pytest.mark.parametrize(
    ("hard", "used", "status"),
    [
        ({"requests.memory": "16Gi"}, {"requests.memory": "12Gi"}, OK),
        ({"requests.memory": "16Gi"}, {"requests.memory": "13Gi"}, WARNING),
        ({"memory": "7Gi"}, {"memory": "4Gi"}, WARNING),
        ({"requests.cpu": "2"}, {"requests.cpu": "1500m"}, WARNING),
        ({"pods": "5"}, {"pods": "5"}, WARNING),
        ({"requests.storage": "1Gi"}, {"requests.storage": "1Gi"}, OK),
    ],
)
def test_quotas_count_both_pods_of_a_migration(hard: dict[str, str], used: dict[str, str], status: str) -> None:
    quota = parse_quota(
        {
            "metadata": {"namespace": NAMESPACE, "name": "team"},
            "spec": {"hard": hard},
            "status": {"hard": hard, "used": used},
        }
    )
    assert quota is not None
    assert checks_of(snapshot(*RUNNING), quotas=[quota])["quota"].status == status
    assert checks_of(snapshot(*RUNNING), quotas=[replace(quota, namespace="other")])["quota"].status == OK


def test_quotas_of_other_pods_are_left_out() -> None:
    item = {"metadata": {"namespace": NAMESPACE, "name": "jobs"}, "spec": {"scopes": ["Terminating"]}}
    assert parse_quota(item) is None
    assert parse_quota({"metadata": {"namespace": "n", "name": "q"}}) == Quota("n", "q", {}, {})


# limits and what else moves


def limits(*migrations: Obj, config: Obj | None = None, pods: list[Obj] | None = None) -> Check:
    settings = {"spec": {"configuration": {"migrations": config or {}}}}
    return checks(*RUNNING, *migrations, *(pods or []), kubevirt(**settings))["limits"]


def in_flight(number: int, phase: str = "Running") -> list[Obj]:
    return [migration(phase, f"m{index}", spec={"vmiName": f"vm{index}"}) for index in range(number)]


@pytest.mark.parametrize(
    ("migrations", "config", "status", "active", "pending"),
    [
        ([], {}, OK, 0, 0),
        (in_flight(3), {}, OK, 3, 0),
        (in_flight(4), {}, WARNING, 4, 0),
        (in_flight(5), {}, FAILED, 5, 0),
        ([*in_flight(5, "Succeeded"), migration("Failed")], {}, OK, 0, 0),
        (in_flight(7, "Pending"), {}, WARNING, 0, 7),
        (in_flight(2, "Scheduling") + [migration("TargetReady", "t")], {}, OK, 3, 0),
        (in_flight(5), {"parallelMigrationsPerCluster": 10}, OK, 5, 0),
        ([], {"parallelMigrationsPerCluster": 0}, FAILED, 0, 0),
        ([], {"parallelOutboundMigrationsPerNode": 0}, FAILED, 0, 0),
    ],
)
def test_slots_are_counted_as_kubevirt_does(
    migrations: list[Obj], config: Obj, status: str, active: int, pending: int
) -> None:
    found = limits(*migrations, config=config)
    assert (found.status, found.evidence["active"], found.evidence["pending"]) == (status, active, pending)


def test_a_pending_migration_with_a_target_pod_holds_a_slot() -> None:
    pod = launcher({"cpu": "1"}, on="worker-2", **{"kubevirt.io/migrationJobUID": "uid-m0"})
    found = limits(*in_flight(2, "Pending"), pods=[pod])
    assert (found.evidence["active"], found.evidence["pending"]) == (1, 1)


def test_nodes_that_let_no_more_go_are_named() -> None:
    found = limits(migration("Running"), config={"parallelOutboundMigrationsPerNode": 1})
    assert found.evidence["nodes_at_their_limit"] == ["worker-1"]
    assert limits(migration("Running")).evidence["nodes_at_their_limit"] == []


@pytest.mark.parametrize(
    ("conditions", "status"),
    [
        ({"Available": "True", "Progressing": "False", "Degraded": "False"}, OK),
        ({"Available": "True", "Progressing": "True", "Degraded": "True"}, WARNING),
        ({"Available": "False", "Progressing": "False", "Degraded": "True"}, FAILED),
        ({}, FAILED),
    ],
)
def test_kubevirt_has_to_be_available(conditions: dict[str, str], status: str) -> None:
    told = [condition(kind, value, "Reason", "words") for kind, value in conditions.items()]
    assert checks(*RUNNING, kubevirt(status={"conditions": told}))["kubevirt"].status == status


@pytest.mark.parametrize(
    ("conditions", "status"),
    [
        ([condition("Available", "True"), condition("ReconcileComplete", "True")], OK),
        ([condition("Available", "True"), condition("Progressing", "True", "Updating")], WARNING),
        ([condition("ReconcileComplete", "False", "ReconcileFailed", "no")], WARNING),
        ([condition("Upgradeable", "False")], OK),
    ],
)
@pytest.mark.parametrize("version", ["v1", "v1beta1"])
def test_the_hyperconverged_has_to_be_worked_off(conditions: list[Obj], status: str, version: str) -> None:
    found = checks(*RUNNING, hyperconverged(version, {}, status={"conditions": conditions}))["hyperconverged"]
    assert (found.status, found.evidence["api_version"]) == (status, f"hco.kubevirt.io/{version}")


def test_an_absent_hyperconverged_is_told_and_one_that_could_not_be_read_as_well() -> None:
    absent = checks(*RUNNING)["hyperconverged"]
    assert (absent.status, "There is no HyperConverged" in absent.message) == (OK, True)
    unread = checks_of(replace(snapshot(*RUNNING), missing={"hyperconverged": "it is forbidden"}))["hyperconverged"]
    assert (unread.status, "it is forbidden" in unread.message) == (UNKNOWN, True)


@pytest.mark.parametrize(
    ("outdated", "methods", "status"), [(0, ["LiveMigrate"], OK), (9, ["LiveMigrate"], WARNING), (9, ["Evict"], OK)]
)
def test_updates_of_launchers_compete(outdated: int, methods: list[str], status: str) -> None:
    changes = {
        "spec": {"workloadUpdateStrategy": {"workloadUpdateMethods": methods}},
        "status": {"outdatedVirtualMachineInstanceWorkloads": outdated},
    }
    assert checks(*RUNNING, kubevirt(**changes))["workload_updates"].status == status


def test_migrations_that_kubevirt_makes_itself_are_told() -> None:
    update = {"metadata": {"annotations": {"kubevirt.io/workloadUpdateMigration": ""}}}
    drain = {"metadata": {"annotations": {"kubevirt.io/evacuationMigration": "worker-1"}}}
    assert checks(*RUNNING, migration("Running", **update))["workload_updates"].status == WARNING
    found = checks(*RUNNING, migration("Pending", **drain))["evacuations"]
    assert (found.status, found.evidence["nodes"], found.evidence["migrations"]) == (WARNING, ["worker-1"], 1)
    marked = checks(*both(spec(), [LIVE], status={"evacuationNodeName": "worker-1"}))["evacuations"]
    assert (marked.status, marked.evidence["nodes"]) == (WARNING, ["worker-1"])


@pytest.mark.parametrize(
    ("of", "status"),
    [
        (None, OK),
        ({"profiles": ["KubeVirtRelieveAndMigrate"]}, OK),
        ({"mode": "Predictive", "profiles": ["KubeVirtRelieveAndMigrate"]}, OK),
        ({"mode": "Automatic", "profiles": ["KubeVirtRelieveAndMigrate"]}, FAILED),
        ({"mode": "Automatic", "profiles": ["DevKubeVirtRelieveAndMigrate"]}, FAILED),
        ({"mode": "Automatic", "profiles": ["LongLifecycle"]}, FAILED),
        ({"mode": "Automatic", "profiles": ["AffinityAndTaints"]}, WARNING),
    ],
)
def test_a_descheduler_that_evicts_fights_a_rebalance(of: Obj | None, status: str) -> None:
    objects = [*RUNNING]
    if of is not None:
        objects.append(
            {
                "apiVersion": "operator.openshift.io/v1",
                "kind": "KubeDescheduler",
                "metadata": {"namespace": "openshift-kube-descheduler-operator", "name": "cluster"},
                "spec": {"deschedulingIntervalSeconds": 60, **of},
            }
        )
    assert checks(*objects)["descheduler"].status == status


def test_an_unread_descheduler_is_not_taken_for_absent() -> None:
    found = replace(snapshot(*RUNNING), missing={"descheduler": "it is forbidden"})
    assert checks_of(found)["descheduler"].status == UNKNOWN


@pytest.mark.parametrize(("version", "status"), [("v1.6.2", OK), ("v1.5.3", WARNING), ("", UNKNOWN)])
def test_whether_migrations_can_be_aimed_at_a_node(version: str, status: str) -> None:
    cluster = kubevirt(status={"observedKubeVirtVersion": version})
    assert checks(*RUNNING, cluster)["targeted_migration"].status == status


# permissions


def test_rights_that_every_move_needs_are_a_failure_and_others_a_warning() -> None:
    found = snapshot(*RUNNING)
    assert checks_of(found)["permissions"].status == UNKNOWN
    assert checks_of(found, rights=MAY_ALL)["permissions"].status == OK
    for right in RIGHTS:
        told = checks_of(found, rights={**MAY_ALL, right: False})["permissions"]
        assert told.status == (WARNING if right.optional else FAILED)
        assert told.evidence["denied"] == [right.text]
        assert right.text in told.message


def test_the_rights_asked_for_are_those_that_the_documented_roles_give() -> None:
    roles = yaml.safe_load((ROOT / "docs" / "rbac" / "rebalance.yaml").read_text())
    given = {
        (item["kind"] == "Role", group, resource, verb)
        for item in roles["items"]
        if item["kind"] in ("ClusterRole", "Role")
        for rule in item["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }
    for right in RIGHTS:
        resource = right.resource.plural + (f"/{right.subresource}" if right.subresource else "")
        assert (right.in_state_namespace, right.group or right.resource.group, resource, right.verb) in given


def test_nodes_without_metrics_are_named() -> None:
    found = snapshot(*RUNNING)
    known = {name: replace(item, usage=Usage(1, 1)) for name, item in found.nodes.items() if name != "worker-3"}
    told = checks_of(replace(found, nodes={**found.nodes, **known}))["metrics"]
    assert (told.status, told.evidence["without"]) == (WARNING, ["worker-3"])


# what the module returns


@given(
    st.lists(st.sampled_from(STATUSES), min_size=len(CHECKS), max_size=len(CHECKS)), st.sets(st.sampled_from(CHECKS))
)
def test_only_failures_that_are_asked_for_are_fatal(statuses: list[str], fail_on: set[str]) -> None:
    told = [Check(name, status, f"{name} says so.", "Do this.") for name, status in zip(CHECKS, statuses, strict=True)]
    result = preflight_result(told, fail_on)
    fatal = [name for name, status in zip(CHECKS, statuses, strict=True) if status == FAILED and name in fail_on]
    assert (result["fatal"], result["passed"]) == (fatal, not fatal)
    assert sum(result["counts"].values()) == len(CHECKS) == len(result["lines"]) == len(result["checks"])
    assert [item["name"] for item in result["checks"] if item["fatal"]] == fatal
    assert all(f"{name}: {name} says so. Do this." in result["msg"] for name in fatal)


def test_long_lists_of_evidence_are_cut() -> None:
    machines = []
    for number in range(50):
        name = f"vm-{number:02d}"
        changes: Obj = {"metadata": {"name": name, "uid": name}}
        machines += both(spec(), [not_live("SEVNotLiveMigratable")], vm_=changes, **changes)
    found = checks(*machines)["storage"]
    assert found.evidence["running"] == 50
    assert len(found.evidence["not_live"]) == 20
