"""Launcher pods, conditions and status: by tables, and settled for everything a scenario starts with."""

from __future__ import annotations

from typing import Any

import pytest
from simcluster import scenarios
from simcluster.controllers.launcher import launcher_pod, target_pod
from simcluster.controllers.machine_status import machine_status, printable_status, restart_required
from simcluster.controllers.migratable import migratability
from simcluster.controllers.pod import summarize
from simcluster.controllers.requests import compute_requests

Obj = dict[str, Any]
GIB = 2**30
MIB = 2**20


@pytest.fixture(scope="module")
def small() -> dict[str, dict[tuple[str, str], Obj]]:
    """Objects of the small scenario by kind and key."""
    found: dict[str, dict[tuple[str, str], Obj]] = {}
    for obj in scenarios.load("small").objects:
        metadata = obj["metadata"]
        found.setdefault(obj["kind"], {})[metadata.get("namespace", ""), metadata["name"]] = obj
    return found


@pytest.fixture(scope="module")
def configuration(small: Any) -> Obj:
    (kubevirt,) = small["KubeVirt"].values()
    return dict(kubevirt["spec"]["configuration"])


def test_launcher_pods_request_what_the_scenarios_do(small: Any, configuration: Obj) -> None:
    pods = {
        pod["metadata"]["labels"]["kubevirt.io/created-by"]: pod
        for pod in small["Pod"].values()
        if pod["metadata"]["labels"].get("kubevirt.io") == "virt-launcher"
    }
    assert len(pods) > 100
    for instance in small["VirtualMachineInstance"].values():
        there = pods[instance["metadata"]["uid"]]
        made = launcher_pod(instance, configuration)
        name = instance["metadata"]["name"]
        made["metadata"].update(name="x", uid="x")
        there_pod, made_pod = summarize(there), summarize(made)
        assert made_pod.requests == there_pod.requests, name
        assert made["spec"]["nodeSelector"] == there["spec"]["nodeSelector"], name
        assert made["spec"]["tolerations"] == there["spec"]["tolerations"], name
        assert made_pod.anti_affinity == there_pod.anti_affinity, name
        labels = dict(there["metadata"]["labels"])
        labels.pop("kubevirt.io/nodeName")
        assert made["metadata"]["labels"] == labels, name


def test_conditions_are_those_of_the_scenarios(small: Any) -> None:
    for instance in small["VirtualMachineInstance"].values():
        status = instance["status"]
        labels = small["Node"]["", status["nodeName"]]["metadata"]["labels"]
        found = migratability(instance, status["nodeName"], labels)
        conditions = {each["type"]: each for each in status["conditions"]}
        live = conditions["LiveMigratable"]
        assert (found.live is None) == (live["status"] == "True"), instance["metadata"]["name"]
        if found.live is not None:
            assert (found.live.reason, found.live.message) == (live["reason"], live["message"])
        assert (not found.storage) == (conditions["StorageLiveMigratable"]["status"] == "True")
        assert found.method == status["migrationMethod"], instance["metadata"]["name"]


def test_status_of_every_machine_is_settled(small: Any) -> None:
    for key, machine in small["VirtualMachine"].items():
        instance = small["VirtualMachineInstance"].get(key)
        volumes = [
            small["DataVolume"].get((key[0], each["metadata"]["name"]), {"status": {"phase": "Succeeded"}})
            for each in machine["spec"].get("dataVolumeTemplates") or []
        ]
        wanted = machine_status(machine, instance, volumes, "now")
        assert {k: v for k, v in wanted.items() if v is not None and machine["status"].get(k) != v} == {}, key


def instance(**domain: Any) -> Obj:
    return {
        "metadata": {"name": "vm", "namespace": "ns", "uid": "u1", "labels": {"app": "vm"}},
        "spec": {"domain": domain, "volumes": []},
        "status": {},
    }


class TestRequests:
    overhead = (240 + 8 + 8 + 32) * MIB

    @pytest.mark.parametrize(
        ("domain", "cpu", "memory"),
        [
            ({"cpu": {"cores": 4}, "memory": {"guest": "4Gi"}}, 400, 4 * GIB + overhead + 24 * MIB),
            (
                {"resources": {"requests": {"cpu": "2", "memory": "4Gi"}}},
                2000,
                4 * GIB + overhead + 8 * MIB + 8 * MIB,
            ),
            (
                {"cpu": {"cores": 2, "dedicatedCpuPlacement": True}, "memory": {"guest": "1Gi"}},
                2000,
                GIB + overhead + 8 * MIB + 100 * MIB,
            ),
            (
                {
                    "cpu": {"cores": 2, "dedicatedCpuPlacement": True, "isolateEmulatorThread": True},
                    "memory": {"guest": "1Gi"},
                },
                3000,
                GIB + overhead + 8 * MIB + 100 * MIB,
            ),
            ({"memory": {"guest": "1Gi", "hugepages": {"pageSize": "1Gi"}}}, 100, overhead),
            ({"memory": {"guest": "1Gi"}, "devices": {"tpm": {}}}, 100, GIB + overhead + 53 * MIB),
            ({"memory": {"guest": "1Gi"}, "devices": {"autoattachGraphicsDevice": False}}, 100, GIB + 256 * MIB),
            ({"memory": {"guest": "1Gi"}, "devices": {"gpus": [{"deviceName": "g"}]}}, 100, 2 * GIB + overhead),
        ],
    )
    def test_of_the_compute_container(self, domain: Obj, cpu: int, memory: int) -> None:
        found = compute_requests({"domain": domain}, {"cpuAllocationRatio": 10})
        assert (found.cpu_millicores, found.memory_bytes) == (cpu, memory)

    def test_memory_overcommit_shrinks_the_guests_part_only(self) -> None:
        spec = {"domain": {"memory": {"guest": "1200Mi"}}}
        plain = compute_requests(spec, {})
        dense = compute_requests(spec, {"memoryOvercommit": 120})
        assert plain.memory_bytes - dense.memory_bytes == 200 * MIB

    def test_explicit_requests_bypass_the_ratios(self) -> None:
        spec = {"domain": {"resources": {"requests": {"cpu": "500m", "memory": "1Gi"}}}}
        ratios = {"cpuAllocationRatio": 2, "memoryOvercommit": 150}
        assert compute_requests(spec, ratios) == compute_requests(spec, {})

    def test_hugepages_and_devices_are_asked_for(self) -> None:
        vmi = instance(
            memory={"guest": "1Gi", "hugepages": {"pageSize": "1Gi"}},
            devices={"hostDevices": [{"deviceName": "a/b"}, {"deviceName": "a/b"}]},
        )
        requests = launcher_pod(vmi, {})["spec"]["containers"][0]["resources"]["requests"]
        assert (requests["hugepages-1Gi"], requests["a/b"], requests["devices.kubevirt.io/kvm"]) == ("1Gi", "2", "1")


class TestTargetPod:
    node = {
        "host-model-cpu.node.kubevirt.io/Cascadelake-Server": "true",
        "host-model-required-features.node.kubevirt.io/vmx": "true",
        "cpu-vendor.node.kubevirt.io/Intel": "true",
        "kubernetes.io/hostname": "n1",
    }
    migration = {
        "metadata": {"name": "m", "uid": "m-uid"},
        "spec": {"addedNodeSelector": {"kubernetes.io/hostname": "n2", "grp": "B"}},
    }

    def source(self, **selector: str) -> Any:
        pod = launcher_pod(instance(), {})
        pod["metadata"].update(name="source", uid="source")
        pod["spec"]["nodeSelector"] = selector
        pod["spec"]["nodeName"] = "n1"
        return summarize(pod)

    def test_selects_fitting_hosts_and_the_wanted_one(self) -> None:
        pod = target_pod(instance(), self.migration, self.source(), self.node, {})
        assert pod["spec"]["nodeSelector"] == {
            "kubevirt.io/schedulable": "true",
            "kubernetes.io/arch": "amd64",
            "kubernetes.io/hostname": "n2",
            "grp": "B",
            "cpu-model-migration.node.kubevirt.io/Cascadelake-Server": "true",
            "cpu-feature.node.kubevirt.io/vmx": "true",
            "cpu-vendor.node.kubevirt.io/Intel": "true",
        }
        assert pod["metadata"]["labels"]["kubevirt.io/migrationJobUID"] == "m-uid"
        assert pod["metadata"]["labels"]["kubevirt.io/nodeName"] == "n1"
        assert pod["metadata"]["annotations"]["kubevirt.io/migrationJobName"] == "m"
        (term,) = summarize({**pod, "metadata": {**pod["metadata"], "name": "t", "uid": "t"}}).anti_affinity
        assert term.selector == {"matchLabels": {"kubevirt.io/created-by": "u1"}}

    def test_the_instances_own_selector_wins(self) -> None:
        vmi = instance()
        vmi["spec"]["nodeSelector"] = {"grp": "A"}
        pod = target_pod(vmi, self.migration, self.source(), self.node, {})
        assert pod["spec"]["nodeSelector"]["grp"] == "A"

    def test_model_of_the_first_migration_is_kept(self) -> None:
        key = "cpu-model-migration.node.kubevirt.io/Skylake-Server"
        pod = target_pod(instance(), self.migration, self.source(**{key: "true"}), self.node, {})
        models = [k for k in pod["spec"]["nodeSelector"] if k.startswith("cpu-model-migration")]
        assert models == [key]

    def test_passthrough_is_bound_to_the_vendor_only(self) -> None:
        vmi = instance(cpu={"model": "host-passthrough"})
        selector = target_pod(vmi, self.migration, self.source(), self.node, {})["spec"]["nodeSelector"]
        assert "cpu-vendor.node.kubevirt.io/Intel" in selector
        assert not any(key.startswith("cpu-model") for key in selector)

    def test_named_model_is_selected(self) -> None:
        selector = launcher_pod(instance(cpu={"model": "Haswell"}), {})["spec"]["nodeSelector"]
        assert selector["cpu-model.node.kubevirt.io/Haswell"] == "true"


class TestPrintableStatus:
    machine = {"metadata": {"name": "vm"}, "spec": {"runStrategy": "Always", "template": {"spec": {}}}, "status": {}}

    def vmi(self, phase: str, *conditions: Obj, deleting: bool = False, **status: Any) -> Obj:
        metadata = {"name": "vm", "uid": "u", **({"deletionTimestamp": "t"} if deleting else {})}
        return {
            "metadata": metadata,
            "spec": {},
            "status": {"phase": phase, "conditions": list(conditions), **status},
        }

    @pytest.mark.parametrize(
        ("vmi", "expected"),
        [
            (("Running", {}), "Running"),
            (("Running", {"migrationState": {"startTimestamp": "t"}}), "Migrating"),
            (("Running", {"migrationState": {"startTimestamp": "t", "endTimestamp": "t"}}), "Running"),
            (("Running", {"migrationState": {"migrationUid": "x"}}), "Running"),
            (("Scheduling", {}), "Starting"),
            (("Running", {"deleting": True}), "Stopping"),
        ],
    )
    def test_follows_the_instance(self, vmi: tuple[str, Obj], expected: str) -> None:
        assert printable_status(self.machine, self.vmi(vmi[0], **vmi[1]), []) == expected

    @pytest.mark.parametrize(
        ("condition", "phase", "expected"),
        [
            ({"type": "Paused", "status": "True"}, "Running", "Paused"),
            (
                {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"},
                "Scheduling",
                "ErrorUnschedulable",
            ),
            ({"type": "Synchronized", "status": "False", "reason": "FailedPvcNotFound"}, "Pending", "ErrorPvcNotFound"),
        ],
    )
    def test_follows_conditions(self, condition: Obj, phase: str, expected: str) -> None:
        assert printable_status(self.machine, self.vmi(phase, condition), []) == expected

    def test_without_an_instance(self) -> None:
        halted = {**self.machine, "spec": {"runStrategy": "Halted", "template": {"spec": {}}}}
        assert printable_status(halted, None, []) == "Stopped"
        assert printable_status(self.machine, None, [{"status": {"phase": "ImportInProgress"}}]) == "Provisioning"
        deleting = {**self.machine, "metadata": {"name": "vm", "deletionTimestamp": "t"}}
        assert printable_status(deleting, None, []) == "Terminating"


@pytest.mark.parametrize(
    ("template", "required"),
    [
        ({"evictionStrategy": "LiveMigrate"}, False),
        ({"evictionStrategy": "None"}, True),
        ({"nodeSelector": {"a": "b"}}, False),
        ({"domain": {"cpu": {"cores": 2}}}, True),
        ({"domain": {"cpu": {"cores": 1}}}, False),
        ({"terminationGracePeriodSeconds": 5}, True),
    ],
)
def test_restart_is_required_for_what_is_not_live(template: Obj, required: bool) -> None:
    spec = {"evictionStrategy": "LiveMigrate", "domain": {"cpu": {"cores": 1, "model": "host-model"}}}
    running = {"metadata": {"annotations": {"kubevirt.io/vm-generation": "1"}}, "spec": spec}
    machine = {"metadata": {"generation": 2}, "spec": {"template": {"spec": template}}}
    assert restart_required(machine, running) is required
    machine["metadata"] = {"generation": 1}
    assert restart_required(machine, running) is False
