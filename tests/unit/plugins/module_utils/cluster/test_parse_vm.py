"""VMs, their instances and migrations as the API returns them become the values of the model."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import pytest
from ansible_collections.ocpv.scale.plugins.module_utils.cluster.model import Resources, Usage, Volume
from ansible_collections.ocpv.scale.plugins.module_utils.cluster.parse_vm import (
    harmless_annotations,
    parse_migration,
    parse_spec,
    parse_vm,
)

GIB = 1024**3
METADATA = {"namespace": "shop", "name": "web", "uid": "vm-uid", "labels": {"app": "web"}}


def vm(**spec: Any) -> dict[str, Any]:
    template = {
        "metadata": {"labels": {"kubevirt.io/domain": "web"}},
        "spec": {"domain": {"cpu": {"cores": 2}, "memory": {"guest": "4Gi"}}},
    }
    return {"metadata": METADATA, "spec": {"runStrategy": "Always", "template": template, **spec}}


def vmi(**status: Any) -> dict[str, Any]:
    return {
        "metadata": {**METADATA, "uid": "vmi-uid"},
        "spec": {"domain": {"cpu": {"sockets": 2, "cores": 2, "threads": 2}, "memory": {"guest": "8Gi"}}},
        "status": {"phase": "Running", "nodeName": "w1", **status},
    }


class TestVirtualMachine:
    def test_wish_and_reality_are_both_kept(self) -> None:
        value = parse_vm(vm(), vmi(), requests=Resources(500), usage=Usage(1, 2))
        assert (value.key, value.uid, value.node) == ("shop/web", "vm-uid", "w1")
        assert value.has_vm and value.running
        assert (value.spec.vcpus, value.spec.guest_memory_bytes) == (2, 4 * GIB)
        assert value.instance is not None
        assert (value.instance.spec.vcpus, value.instance.spec.guest_memory_bytes) == (8, 8 * GIB)
        assert (value.instance.requests, value.instance.usage) == (Resources(500), Usage(1, 2))
        assert value.template_labels == {"kubevirt.io/domain": "web"}

    def test_a_stopped_vm_has_no_instance(self) -> None:
        value = parse_vm(vm(runStrategy="Halted"), None)
        assert (value.instance, value.running, value.node, value.run_strategy) == (None, False, "", "Halted")

    @pytest.mark.parametrize(
        ("spec", "strategy", "uses_running"),
        [
            ({"runStrategy": "Manual"}, "Manual", False),
            ({"runStrategy": None, "running": True}, "Always", True),
            ({"runStrategy": None, "running": False}, "Halted", True),
            ({"runStrategy": None}, "Halted", False),
        ],
    )
    def test_run_strategies_old_and_new(self, spec: dict[str, Any], strategy: str, uses_running: bool) -> None:
        value = parse_vm(vm(**spec), None)
        assert (value.run_strategy, value.uses_running) == (strategy, uses_running)

    def test_an_instance_without_vm_stands_for_itself(self) -> None:
        raw = vmi()
        raw["metadata"]["ownerReferences"] = [
            {"kind": "Other", "name": "x"},
            {"kind": "VirtualMachineInstanceReplicaSet", "name": "pool", "controller": True},
        ]
        value = parse_vm(None, raw)
        assert (value.has_vm, value.owner, value.uid) == (False, "VirtualMachineInstanceReplicaSet/pool", "vmi-uid")
        assert value.instance is not None
        assert value.spec == value.instance.spec

    def test_neither_is_a_programming_error(self) -> None:
        with pytest.raises(ValueError, match="needed"):
            parse_vm(None, None)

    def test_hardware_of_an_instance_type_is_that_of_the_instance(self) -> None:
        template = {"spec": {"domain": {}, "nodeSelector": {"zone": "a"}}}
        value = parse_vm(vm(template=template, instancetype={"name": "u1.large"}), vmi())
        assert (value.spec.vcpus, value.spec.guest_memory_bytes) == (8, 8 * GIB)
        assert value.spec.node_selector == {"zone": "a"}

    def test_data_volume_templates_and_conditions(self) -> None:
        raw = vm(dataVolumeTemplates=[{"metadata": {"name": "root"}, "spec": {}}])
        raw["status"] = {
            "printableStatus": "Stopped",
            "conditions": [{"type": "RestartRequired", "status": "True", "message": "memory"}],
        }
        value = parse_vm(raw, None)
        assert (value.data_volume_templates, value.printable_status) == (("root",), "Stopped")
        assert value.conditions["RestartRequired"].message == "memory"


class TestInstance:
    def test_what_virt_handler_says_of_volumes(self) -> None:
        info = {"claimName": "disk", "accessModes": ["ReadWriteMany"], "volumeMode": "Block"}
        status = [
            {"name": "root", "persistentVolumeClaimInfo": info},
            {"name": "data", "phase": "Ready", "hotplugVolume": {"attachPodName": "hp"}},
        ]
        value = parse_vm(vm(), vmi(volumeStatus=status, migratedVolumes=[{"volumeName": "root"}]))
        assert value.instance is not None
        root, data = value.instance.volume_status
        assert (root.claim, root.access_modes, root.volume_mode, root.hotplugged) == (
            "disk",
            ("ReadWriteMany",),
            "Block",
            False,
        )
        assert (data.claim, data.hotplugged, data.phase) == ("", True, "Ready")
        assert value.instance.migrated_volumes == ("root",)

    def test_pause_and_migration_state(self) -> None:
        state = {"migrationUid": "m", "sourceNode": "w1", "targetNode": "w2", "completed": True, "failed": True}
        value = parse_vm(vm(), vmi(conditions=[{"type": "Paused", "status": "True"}], migrationState=state))
        assert value.instance is not None
        assert value.instance.paused
        assert value.instance.migration_state is not None
        assert (value.instance.migration_state.target_node, value.instance.migration_state.failed) == ("w2", True)


class TestSpec:
    @pytest.mark.parametrize(
        ("domain", "vcpus"),
        [
            ({"cpu": {"cores": 4}}, 4),
            ({"cpu": {"sockets": 2, "cores": 3, "threads": 2}}, 12),
            ({"resources": {"requests": {"cpu": "2500m"}}}, 3),
            ({"resources": {"requests": {"cpu": "2"}, "limits": {"cpu": "4"}}}, 4),
            ({"cpu": {"model": "host-model"}}, 1),
            ({}, 1),
        ],
    )
    def test_vcpus(self, domain: dict[str, Any], vcpus: int) -> None:
        assert parse_spec({"domain": domain}).vcpus == vcpus

    @pytest.mark.parametrize(
        ("domain", "gib"),
        [
            ({"memory": {"guest": "4Gi"}, "resources": {"requests": {"memory": "2Gi"}}}, 4),
            ({"resources": {"requests": {"memory": "2Gi"}, "limits": {"memory": "3Gi"}}}, 2),
            ({"resources": {"limits": {"memory": "3Gi"}}}, 3),
            ({}, 0),
        ],
    )
    def test_guest_memory(self, domain: dict[str, Any], gib: int) -> None:
        assert parse_spec({"domain": domain}).guest_memory_bytes == gib * GIB

    def test_volumes_of_every_kind(self) -> None:
        devices = {
            "disks": [
                {"name": "root", "disk": {"bus": "virtio"}},
                {"name": "iso", "cdrom": {"bus": "sata"}},
                {"name": "rw-cd", "cdrom": {"readonly": False}},
                {"name": "shared", "lun": {"readonly": True}},
                {"name": "plain"},
            ],
            "filesystems": [{"name": "files", "virtiofs": {}}],
        }
        volumes = [
            {"name": "root", "dataVolume": {"name": "root-dv", "hotpluggable": True}},
            {"name": "iso", "persistentVolumeClaim": {"claimName": "iso"}},
            {"name": "rw-cd", "containerDisk": {"image": "x"}},
            {"name": "shared", "hostDisk": {"path": "/x", "type": "Disk", "shared": True}},
            {"name": "plain", "ephemeral": {"persistentVolumeClaim": {"claimName": "base"}}},
            {"name": "files", "configMap": {"name": "settings"}},
            {"name": "dump", "memoryDump": {"claimName": "dump"}},
            {"name": "init", "cloudInitNoCloud": {"userData": "secret"}},
            {"name": "metrics", "downwardMetrics": None},
        ]
        assert parse_spec({"domain": {"devices": devices}, "volumes": volumes}).volumes == (
            Volume("root", "dataVolume", "root-dv", hotplugged=True, device="disk"),
            Volume("iso", "persistentVolumeClaim", "iso", device="cdrom", read_only=True),
            Volume("rw-cd", "containerDisk", device="cdrom"),
            Volume("shared", "hostDisk", shared_host_disk=True, device="lun", read_only=True),
            Volume("plain", "ephemeral", "base", device="disk"),
            Volume("files", "configMap", device="filesystem"),
            Volume("dump", "memoryDump", "dump"),
            Volume("init", "cloudInitNoCloud"),
            Volume("metrics", "downwardMetrics"),
        )

    def test_devices_and_networks(self) -> None:
        spec = parse_spec(
            {
                "domain": {
                    "devices": {
                        "interfaces": [
                            {"name": "default", "masquerade": {}},
                            {"name": "other", "binding": {"name": "l2bridge"}},
                            {"name": "fast", "sriov": {}},
                        ],
                        "gpus": [{"name": "g", "deviceName": "nvidia.com/A10"}],
                        "hostDevices": [{"name": "h", "deviceName": "intel.com/qat"}],
                        "tpm": {"persistent": True},
                    },
                    "firmware": {"bootloader": {"efi": {"persistent": True}}},
                    "cpu": {
                        "dedicatedCpuPlacement": True,
                        "model": "Cascadelake-Server",
                        "features": [
                            {"name": "vmx"},
                            {"name": "apic", "policy": "require"},
                            {"name": "x", "policy": "optional"},
                        ],
                    },
                    "memory": {"hugepages": {"pageSize": "1Gi"}},
                    "resources": {"limits": {"cpu": 2}},
                    "machine": {"type": "q35"},
                },
                "networks": [
                    {"name": "default", "pod": {}},
                    {"name": "fast", "multus": {"networkName": "shop/fast"}},
                ],
            }
        )
        assert spec.pod_network_bindings == {"default": "masquerade"}
        assert spec.multus_networks == ("shop/fast",)
        assert (spec.gpus, spec.host_devices) == (("nvidia.com/A10",), ("intel.com/qat",))
        assert spec.persistent_tpm and spec.persistent_efi and spec.dedicated_cpus and spec.cpu_limited
        assert (spec.cpu_model, spec.cpu_features, spec.hugepages) == ("Cascadelake-Server", ("vmx", "apic"), "1Gi")
        assert (spec.limits, spec.machine_type) == ({"cpu": "2"}, "q35")

    @pytest.mark.parametrize("tpm", [None, {}, {"persistent": False}, {"persistent": True, "enabled": False}])
    def test_a_tpm_without_state_is_not_persistent(self, tpm: dict[str, Any] | None) -> None:
        assert parse_spec({"domain": {"devices": {"tpm": tpm}}}).persistent_tpm is False

    def test_grace_of_zero_is_not_the_default(self) -> None:
        assert parse_spec({"terminationGracePeriodSeconds": 0}).termination_grace_seconds == 0
        assert parse_spec({}).termination_grace_seconds == 30


class TestSecrets:
    SECRET = "correct-horse-battery-staple"

    def test_a_cloud_init_password_never_reaches_the_model(self) -> None:
        volumes = [
            {"name": "init", "cloudInitNoCloud": {"userData": f"password: {self.SECRET}", "networkData": self.SECRET}},
            {"name": "drive", "cloudInitConfigDrive": {"userDataBase64": self.SECRET}},
        ]
        raw = vm(template={"spec": {"domain": {}, "volumes": volumes, "accessCredentials": [{"x": self.SECRET}]}})
        copied = json.dumps({"spec": {"userData": self.SECRET}})
        annotations = {
            "kubectl.kubernetes.io/last-applied-configuration": copied,
            "note": "kept",
            "list": f'["{self.SECRET}"]',
        }
        raw["metadata"] = {**METADATA, "annotations": {**annotations, "long": self.SECRET * 100}}
        instance = vmi()
        instance["spec"]["volumes"] = volumes
        instance["metadata"]["annotations"] = annotations
        value = parse_vm(raw, instance)
        assert self.SECRET not in repr(asdict(value))
        assert value.annotations == {"note": "kept"}

    def test_the_collection_s_own_annotations_are_always_kept(self) -> None:
        metadata = {"annotations": {"ocpv.scale/cold-move": '{"nodeSelector": {}}'}}
        assert harmless_annotations(metadata) == metadata["annotations"]


class TestMigration:
    def test_all_fields(self) -> None:
        value = parse_migration(
            {
                "metadata": {
                    "namespace": "shop",
                    "name": "m",
                    "uid": "m1",
                    "labels": {"kubevirt.io/vmi-name": "web"},
                    "creationTimestamp": "2026-03-01T12:00:00Z",
                    "deletionTimestamp": "2026-03-01T12:01:00Z",
                },
                "spec": {"vmiName": "web", "priority": "system-critical"},
                "status": {
                    "phase": "Running",
                    "phaseTransitionTimestamps": [
                        {"phase": "Pending", "phaseTransitionTimestamp": "2026-03-01T12:00:01Z"},
                    ],
                    "migrationState": {"migrationUid": "m1", "targetNode": "w2"},
                    "conditions": [{"type": "migrationAbortRequested", "status": "True"}],
                },
            }
        )
        assert (value.vmi, value.phase, value.final, value.priority) == ("web", "Running", False, "system-critical")
        assert value.transitions == {"Pending": "2026-03-01T12:00:01Z"}
        assert value.state is not None and value.state.target_node == "w2"
        assert value.deleting and "migrationAbortRequested" in value.conditions

    def test_a_migration_nobody_has_looked_at_yet(self) -> None:
        value = parse_migration({"metadata": {"namespace": "a", "name": "b"}, "spec": {"vmiName": "web"}})
        assert (value.phase, value.state, value.transitions) == ("", None, {})
