"""Scenarios are complete, consistent clusters that the API server would accept and the scheduler could have made."""

from __future__ import annotations

import copy
import json
from collections import Counter, defaultdict
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache
from typing import Any

import pytest
from simcluster import admission
from simcluster.scenarios import load
from simcluster.schema import Registry

Obj = dict[str, Any]
QUICK = ["small", "tight", "mixed-cpu", "v1beta1", "single-node"]
UNITS = {"Ki": 1024, "Mi": 1024**2, "Gi": 1024**3, "k": 1000, "M": 10**6, "G": 10**9}


@cache
def objects_of(name: str) -> tuple[Obj, ...]:
    return tuple(load(name).objects)


def kind(name: str, wanted: str) -> list[Obj]:
    return [obj for obj in objects_of(name) if obj["kind"] == wanted]


def named(name: str, wanted: str, object_name: str) -> Obj:
    return next(obj for obj in kind(name, wanted) if obj["metadata"]["name"] == object_name)


def amount(quantity: str) -> float:
    for unit, size in UNITS.items():
        if quantity.endswith(unit):
            return float(quantity.removesuffix(unit)) * size
    return float(quantity[:-1]) / 1000 if quantity.endswith("m") else float(quantity)


def requested(pod: Obj) -> Counter[str]:
    total: Counter[str] = Counter()
    for container in pod["spec"]["containers"]:
        for resource, quantity in container["resources"]["requests"].items():
            total[resource] += amount(quantity)  # type: ignore[assignment]
    return total


def loads(name: str) -> dict[str, tuple[float, float]]:
    """Worker -> share of CPU and memory that is requested."""
    totals: dict[str, Counter[str]] = defaultdict(Counter)
    for pod in kind(name, "Pod"):
        totals[pod["spec"]["nodeName"]].update(requested(pod))
    return {
        node["metadata"]["name"]: tuple(  # type: ignore[misc]
            totals[node["metadata"]["name"]][resource] / amount(node["status"]["allocatable"][resource])
            for resource in ("cpu", "memory")
        )
        for node in kind(name, "Node")
        if "node-role.kubernetes.io/worker" in node["metadata"]["labels"]
    }


@pytest.mark.parametrize("name", QUICK)
def test_every_object_is_valid_and_loses_nothing_to_its_schema(name: str) -> None:
    scenario = load(name)
    registry = Registry(hyperconverged_versions=scenario.settings["hyperconverged_versions"])
    for obj in scenario.objects:
        assert_valid(registry, obj)


def assert_valid(registry: Registry, obj: Obj) -> None:
    group, _, version = obj["apiVersion"].rpartition("/")
    resource = registry.by_kind(group, obj["kind"])
    assert resource, f"no kind {obj['apiVersion']} {obj['kind']}"
    processed = copy.deepcopy(obj)
    assert registry.process(resource, version, processed) == [], obj["metadata"]["name"]
    if obj["apiVersion"] == "hco.kubevirt.io/v1beta1":
        return  # what an older operator never wrote is defaulted by the newer schema
    assert processed == obj, f"{obj['kind']} {obj['metadata']['name']}"


@pytest.mark.parametrize("name", QUICK)
def test_names_and_uids_are_unique_and_owners_exist(name: str) -> None:
    objects = objects_of(name)
    identities = Counter((o["kind"], o["metadata"].get("namespace"), o["metadata"]["name"]) for o in objects)
    assert max(identities.values()) == 1
    uids = Counter(o["metadata"]["uid"] for o in objects)
    assert max(uids.values()) == 1
    namespaces = {o["metadata"]["name"] for o in kind(name, "Namespace")}
    for obj in objects:
        assert obj["metadata"].get("namespace", "default") in namespaces
        for owner in obj["metadata"].get("ownerReferences", []):
            assert owner["uid"] in uids, (
                f"{obj['kind']} {obj['metadata']['name']} is owned by a missing {owner['kind']}"
            )


def test_the_same_seed_gives_the_same_cluster_and_another_one_another_placement() -> None:
    def text(seed: int) -> list[str]:
        return [json.dumps(obj, sort_keys=True) for obj in load("small", seed=seed).objects]

    first = text(1)
    assert first == text(1)
    assert first != text(2)


@pytest.mark.parametrize("name", QUICK)
def test_instances_pods_and_claims_fit_together(name: str) -> None:
    pods = {pod["metadata"]["uid"]: pod for pod in kind(name, "Pod")}
    claims = {(c["metadata"]["namespace"], c["metadata"]["name"]): c for c in kind(name, "PersistentVolumeClaim")}
    volumes = {v["metadata"]["name"]: v for v in kind(name, "PersistentVolume")}
    for claim in claims.values():
        volume = volumes[claim["spec"]["volumeName"]]
        assert volume["spec"]["claimRef"]["uid"] == claim["metadata"]["uid"]
        assert volume["spec"]["accessModes"] == claim["spec"]["accessModes"]
    instances = {(i["metadata"]["namespace"], i["metadata"]["name"]): i for i in kind(name, "VirtualMachineInstance")}
    for vm in kind(name, "VirtualMachine"):
        running = vm["status"]["printableStatus"] in ("Running", "Paused")
        assert running == ((vm["metadata"]["namespace"], vm["metadata"]["name"]) in instances)
    for (namespace, _), instance in instances.items():
        (uid, node) = next(iter(instance["status"]["activePods"].items()))
        pod = pods[uid]
        assert pod["spec"]["nodeName"] == node == instance["status"]["nodeName"]
        assert pod["metadata"]["labels"]["kubevirt.io/created-by"] == instance["metadata"]["uid"]
        for status in instance["status"]["volumeStatus"]:
            if info := status.get("persistentVolumeClaimInfo"):
                assert info["accessModes"] == claims[namespace, info["claimName"]]["spec"]["accessModes"]
        usage = json.loads(instance["metadata"]["annotations"]["simcluster.ocpv.scale/usage"])
        assert 0 < usage["memory_bytes"] <= amount(instance["spec"]["domain"]["memory"]["guest"])
        assert pod["metadata"]["annotations"]["simcluster.ocpv.scale/usage"] == json.dumps(usage)
        assert int(instance["metadata"]["annotations"]["simcluster.ocpv.scale/dirty-rate-bytes-per-second"]) > 0


@pytest.mark.parametrize("name", [*QUICK, "reference"])
def test_every_node_is_feasible_at_the_start(name: str) -> None:
    nodes = {node["metadata"]["name"]: node for node in kind(name, "Node")}
    totals: dict[str, Counter[str]] = defaultdict(Counter)
    for pod in kind(name, "Pod"):
        node = nodes[pod["spec"]["nodeName"]]
        totals[pod["spec"]["nodeName"]].update(requested(pod))
        totals[pod["spec"]["nodeName"]]["pods"] += 1
        selector = pod["spec"].get("nodeSelector", {})
        assert selector.items() <= node["metadata"]["labels"].items(), pod["metadata"]["name"]
        tolerated = {(t["key"], t.get("value")) for t in pod["spec"].get("tolerations", [])}
        if "kubevirt.io/created-by" in pod["metadata"]["labels"]:
            for taint in node["spec"].get("taints", []):
                assert (taint["key"], taint.get("value")) in tolerated, pod["metadata"]["name"]
    for name_, total in totals.items():
        for resource, value in total.items():
            assert value <= amount(nodes[name_]["status"]["allocatable"][resource]), f"{name_} {resource}"


@pytest.mark.parametrize("name", ["small", "reference"])
def test_required_affinity_rules_hold_at_the_start(name: str) -> None:
    zone = {n["metadata"]["name"]: n["metadata"]["labels"]["topology.kubernetes.io/zone"] for n in kind(name, "Node")}
    launchers = [pod for pod in kind(name, "Pod") if "kubevirt.io/created-by" in pod["metadata"]["labels"]]
    on_node: dict[str, list[Obj]] = defaultdict(list)
    in_zone: dict[str, list[Obj]] = defaultdict(list)
    for pod in launchers:
        on_node[pod["spec"]["nodeName"]].append(pod)
        in_zone[zone[pod["spec"]["nodeName"]]].append(pod)
    bound = 0
    for pod in launchers:
        affinity = pod["spec"].get("affinity", {})
        for term in affinity.get("podAntiAffinity", {}).get("requiredDuringSchedulingIgnoredDuringExecution", []):
            assert sum(matches(term, other) for other in on_node[pod["spec"]["nodeName"]]) == 1
            bound += 1
        for term in affinity.get("podAffinity", {}).get("requiredDuringSchedulingIgnoredDuringExecution", []):
            assert any(matches(term, other) for other in in_zone[zone[pod["spec"]["nodeName"]]])
        for spread in pod["spec"].get("topologySpreadConstraints", []):
            counts = [sum(matches(spread, other) for other in pods) for pods in in_zone.values()]
            assert max(counts) - min(counts) <= 1
    assert bound >= 12


def matches(term: Obj, pod: Obj) -> bool:
    return bool(term["labelSelector"]["matchLabels"].items() <= pod["metadata"]["labels"].items())


def test_small_is_clearly_out_of_balance() -> None:
    load_of = loads("small")
    assert len(load_of) == 12
    fullest = sorted(max(shares) for shares in load_of.values())
    assert all(0.75 <= share <= 0.92 for share in fullest[-4:])
    assert all(0.15 <= share <= 0.30 for share in fullest[:4])
    assert len(kind("small", "VirtualMachine")) == 150


@pytest.mark.parametrize(
    ("vm", "holds"),
    [
        (
            "stopped-01",
            lambda vm: vm["spec"]["runStrategy"] == "Halted" and vm["status"]["printableStatus"] == "Stopped",
        ),
        ("paused-01", lambda vm: vm["status"]["printableStatus"] == "Paused"),
        ("rerun-01", lambda vm: vm["spec"]["runStrategy"] == "RerunOnFailure"),
        ("manual-01", lambda vm: vm["spec"]["runStrategy"] == "Manual"),
        ("once-01", lambda vm: vm["spec"]["runStrategy"] == "Once"),
        ("running-true-01", lambda vm: vm["spec"]["running"] is True and "runStrategy" not in vm["spec"]),
        ("running-false-01", lambda vm: vm["spec"]["running"] is False),
        ("kiosk-0", lambda vm: vm["metadata"]["ownerReferences"][0]["kind"] == "VirtualMachinePool"),
        ("hpc-01", lambda vm: domain(vm)["cpu"]["dedicatedCpuPlacement"] is True),
        ("vault-01", lambda vm: domain(vm)["devices"]["tpm"] == {"persistent": True}),
    ],
)
def test_small_has_every_special_vm(vm: str, holds: Callable[[Obj], bool]) -> None:
    assert holds(named("small", "VirtualMachine", vm))


def domain(vm: Obj) -> Obj:
    return vm["spec"]["template"]["spec"]["domain"]  # type: ignore[no-any-return]


class Store:
    """The reads that admission makes."""

    def __init__(self, name: str) -> None:
        self.objects = objects_of(name)

    def get(self, group: str, plural: str, namespace: str, name: str) -> Obj | None:
        return next((o for o in self.list(group, plural, namespace) if o["metadata"]["name"] == name), None)

    def list(
        self, group: str, plural: str, namespace: str | None = None, labels: dict[str, str] | None = None
    ) -> list[Obj]:
        return [
            obj
            for obj in self.objects
            if f"{obj['kind'].lower()}s" == plural and namespace in (None, obj["metadata"].get("namespace"))
        ]


@pytest.mark.parametrize("name", ["small", "mixed-cpu"])
def test_a_vm_that_is_started_again_runs_with_the_same_spec(name: str) -> None:
    lookup = Store(name)
    instances = {(i["metadata"]["namespace"], i["metadata"]["name"]): i for i in kind(name, "VirtualMachineInstance")}
    for vm in kind(name, "VirtualMachine"):
        key = vm["metadata"]["namespace"], vm["metadata"]["name"]
        created = copy.deepcopy(vm)
        request = admission.Request("CREATE", "kubevirt.io", "v1", "virtualmachines", *key, created)
        admission.mutate(request, lookup)
        admission.validate(request, lookup)
        assert created == vm
        if key in instances:
            again = {"metadata": {"name": key[1], "namespace": key[0]}, "spec": vm["spec"]["template"]["spec"]}
            again = copy.deepcopy(again)
            request = admission.Request("CREATE", "kubevirt.io", "v1", "virtualmachineinstances", *key, again)
            admission.mutate(request, lookup)
            assert again["spec"] == instances[key]["spec"], key


@pytest.mark.parametrize(
    ("vm", "reason", "message"),
    [
        (
            "legacy-01",
            "DisksNotLiveMigratable",
            "cannot migrate VMI: PVC legacy-01 is not shared, live migration requires "
            "that all PVCs must be shared (using ReadWriteMany access mode)",
        ),
        ("scratch-01", "DisksNotLiveMigratable", "cannot migrate VMI with non-shared HostDisk"),
        ("gpu-01", "HostDeviceNotLiveMigratable", "VMI specifies non-migratable generic PCI host device"),
    ],
)
def test_what_cannot_migrate_says_so_as_virt_handler_does(vm: str, reason: str, message: str) -> None:
    instance = named("small", "VirtualMachineInstance", vm)
    condition = next(c for c in instance["status"]["conditions"] if c["type"] == "LiveMigratable")
    assert (condition["status"], condition["reason"], condition["message"]) == ("False", reason, message)
    assert condition in named("small", "VirtualMachine", vm)["status"]["conditions"]


def test_the_missing_claim_is_missing() -> None:
    vm = named("small", "VirtualMachine", "missing-claim-01")
    claim = vm["spec"]["template"]["spec"]["volumes"][0]["persistentVolumeClaim"]["claimName"]
    assert claim not in {c["metadata"]["name"] for c in kind("small", "PersistentVolumeClaim")}


@pytest.mark.parametrize(
    ("vm", "cpu", "memory_mib"),
    [
        # guest 1536 + 1536/512 for page tables + 240 fixed + 8 per vCPU + 8 I/O thread + 32 graphics
        ("web-01", 0.5, 1536 + 3 + 240 + 8 + 8 + 32),
        # no explicit request: 1000m / 10, no page tables; 1m and 1 MB for the container disk
        ("build-01", 0.101, 1024 + 240 + 8 + 8 + 32 + 1_000_000 / 1024**2),
        # two dedicated CPUs and their 100 MiB
        ("hpc-01", 2, 4096 + 240 + 16 + 8 + 32 + 100),
        # 1 GiB for the device
        ("gpu-01", 0.25, 1024 + 2 + 240 + 8 + 8 + 32 + 1024),
    ],
)
def test_launchers_request_what_kubevirt_computes(vm: str, cpu: float, memory_mib: float) -> None:
    pod = next(p for p in kind("small", "Pod") if p["metadata"]["labels"].get("vm.kubevirt.io/name") == vm)
    total = requested(pod)
    assert total["cpu"] == pytest.approx(cpu)
    assert total["memory"] == pytest.approx(memory_mib * 1024**2)
    assert total["devices.kubevirt.io/kvm"] == 1


def test_reference_has_the_mix_of_the_architecture() -> None:
    objects_of.cache_clear()
    objects = objects_of("reference")
    vms = Counter(vm["metadata"]["name"].split("-")[0] for vm in kind("reference", "VirtualMachine"))
    assert vms == {"rhel": 1500, "windows": 500, "fedora": 1000}
    pods = kind("reference", "Pod")
    launchers = sum("kubevirt.io/created-by" in pod["metadata"]["labels"] for pod in pods)
    assert (launchers, len(pods) - launchers) == (3000, 21_400)
    workers = [n for n in kind("reference", "Node") if "kubevirt.io/schedulable" in n["metadata"]["labels"]]
    assert len(workers) == 100
    assert {node["status"]["allocatable"]["pods"] for node in workers} == {"500"}
    limits = next(iter(kind("reference", "HyperConverged")))["spec"]["virtualization"]["liveMigrationConfig"]
    assert [
        limits[key]
        for key in (
            "parallelMigrationsPerCluster",
            "parallelOutboundMigrationsPerNode",
            "completionTimeoutPerGiB",
            "progressTimeout",
        )
    ] == [20, 4, 800, 150]
    registry = Registry()
    for obj in objects[::40]:
        assert_valid(registry, obj)


def test_reference_has_one_zone_nearly_empty_and_at_least_300_moves_to_make() -> None:
    zone = {
        n["metadata"]["name"]: n["metadata"]["labels"]["topology.kubernetes.io/zone"] for n in kind("reference", "Node")
    }
    load_of = loads("reference")
    emptied = {node for node, shares in load_of.items() if max(shares) < 0.15}
    assert emptied == {node for node in load_of if zone[node] == "zone-2"}
    mean_cpu = sum(cpu for cpu, _ in load_of.values()) / len(load_of)
    assert all(cpu > mean_cpu + 0.15 for node, (cpu, _) in load_of.items() if node not in emptied)
    # no VM requests more than one core, so half of the surplus above the mean is already more than 300 moves
    surplus_cores = sum(max(0.0, cpu - mean_cpu) * 39.5 for cpu, _ in load_of.values())
    assert surplus_cores / 2 > 300


def test_the_old_release_serves_the_old_layout_only() -> None:
    scenario = load("v1beta1")
    assert scenario.settings["hyperconverged_versions"] == ["v1beta1"]
    assert scenario.settings["vmim_added_node_selector"] is False
    hyperconverged = next(iter(kind("v1beta1", "HyperConverged")))
    assert hyperconverged["apiVersion"] == "hco.kubevirt.io/v1beta1"
    assert hyperconverged["spec"]["liveMigrationConfig"]["parallelOutboundMigrationsPerNode"] == 2
    assert "virtualization" not in hyperconverged["spec"]
    assert "annotations" not in hyperconverged["metadata"]


def test_mixed_cpu_nodes_offer_what_their_vms_need_to_move() -> None:
    nodes = {n["metadata"]["name"]: n["metadata"]["labels"] for n in kind("mixed-cpu", "Node")}
    older, newer, other = nodes["worker-1"], nodes["worker-4"], nodes["worker-7"]
    assert "cpu-model-migration.node.kubevirt.io/Cascadelake-Server" in newer
    assert "cpu-model-migration.node.kubevirt.io/Icelake-Server" not in older
    features = {key for key in older if key.startswith("host-model-required-features.node.kubevirt.io/")}
    assert {key.replace("host-model-required-features", "cpu-feature") for key in features} <= set(newer)
    assert "cpu-vendor.node.kubevirt.io/Intel" not in other


def test_nodes_are_fresh_when_the_present_is_given() -> None:
    now = datetime(2030, 5, 6, 7, 8, 9, tzinfo=UTC)
    node = next(obj for obj in load("small", now=now).objects if obj["metadata"]["name"] == "worker-01")
    assert node["metadata"]["annotations"]["kubevirt.io/heartbeat"] == "2030-05-06T07:08:09Z"
