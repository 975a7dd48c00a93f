"""How a VM can move: tables of what decides about it, one cause at a time."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.ocpv.scale.plugins.module_utils.migration.findings import Finding
from ansible_collections.ocpv.scale.plugins.module_utils.migration.migratability import Verdict, assess, assess_all
from unit.plugins.module_utils.migration.objects import (
    LIVE,
    LOCAL,
    NAMESPACE,
    NOT_SHARED,
    SAN,
    STORAGE_LIVE,
    Obj,
    both,
    claim,
    condition,
    data_volume,
    kubevirt,
    local_volume,
    migration,
    not_live,
    of_claim,
    snapshot,
    spec,
    stopped,
    vm,
    vmi,
    volume_status,
)

RWO = ("ReadWriteOnce",)
RWX = ("ReadWriteMany",)
KEY = f"{NAMESPACE}/web"


def verdict(*objects: Obj, **options: Any) -> Verdict:
    found = snapshot(*objects, **options)
    return assess(found, found.virtual_machines[KEY])


def codes(found: Verdict) -> set[str]:
    return {item.code for item in found.findings}


def the(found: Verdict, code: str) -> Finding:
    matching = [item for item in found.findings if item.code == code]
    assert len(matching) == 1, found.findings
    return matching[0]


def on_disk(*conditions: Obj, modes: tuple[str, ...] = RWX, **changes: Any) -> list[Obj]:
    """A running VM with one claim of these access modes, which its instance knows."""
    status = {"volumeStatus": [volume_status("root", "disk", modes)], **changes.pop("status", {})}
    return [*both(spec([of_claim()]), conditions, status=status, **changes), claim(modes=modes)]


# volumes and the access modes of their claims


@pytest.mark.parametrize(
    ("modes", "volume_mode", "shared"),
    [
        (("ReadWriteMany",), "Block", True),
        (("ReadWriteMany",), "Filesystem", True),
        (("ReadWriteOnce", "ReadWriteMany"), "Block", True),
        (("ReadWriteOnce",), "Block", False),
        (("ReadWriteOnce",), "Filesystem", False),
        (("ReadWriteOncePod",), "Block", False),
        (("ReadOnlyMany",), "Filesystem", False),
    ],
)
@pytest.mark.parametrize("kind", ["persistentVolumeClaim", "dataVolume"])
def test_only_read_write_many_is_shared_whatever_the_volume_mode(
    kind: str, modes: tuple[str, ...], volume_mode: str, shared: bool
) -> None:
    volume = of_claim() if kind == "persistentVolumeClaim" else {"name": "root", "dataVolume": {"name": "disk"}}
    found = verdict(*both(spec([volume])), claim(modes=modes, volume_mode=volume_mode))
    assert found.predicted_live is shared
    assert found.way == ("live" if shared else "storage_live")
    if not shared:
        reason = the(found, "claim_not_shared")
        assert (reason.severity, reason.volume, reason.rules_out) == ("error", "root", ("live",))
        assert "/".join(modes) in reason.message
        assert volume_mode in reason.message


@pytest.mark.parametrize(
    ("of", "hint"),
    [
        ("ceph-rbd", "Its storage class offers ReadWriteMany as well"),
        ("san", "a storage class with ReadWriteMany: ceph-rbd"),
    ],
)
def test_the_hint_says_where_shared_volumes_are_to_be_had(of: str, hint: str) -> None:
    found = verdict(*both(spec([of_claim()])), claim(modes=RWO, of=of))
    assert hint in the(found, "claim_not_shared").hint


@pytest.mark.parametrize(
    "source",
    [
        {"containerDisk": {"image": "quay.io/containerdisks/fedora:42"}},
        {"emptyDisk": {"capacity": "2Gi"}},
        {"cloudInitNoCloud": {"userData": "#cloud-config"}},
        {"cloudInitConfigDrive": {}},
        {"configMap": {"name": "settings"}},
        {"secret": {"secretName": "token"}},
        {"serviceAccount": {"serviceAccountName": "default"}},
        {"downwardMetrics": {}},
        {"sysprep": {"configMap": {"name": "answers"}}},
        {"memoryDump": {"claimName": "dump"}},
        {"ephemeral": {"persistentVolumeClaim": {"claimName": "disk"}}},
    ],
)
def test_local_volumes_are_copied_and_do_not_stand_in_the_way(source: Obj) -> None:
    found = verdict(*both(spec([{"name": "extra", **source}])), claim())
    assert (found.way, found.migration_method) == ("live", "BlockMigration")
    assert the(found, "volume_copied").volume == "extra"


@pytest.mark.parametrize(
    ("devices", "method"),
    [
        ({"disks": [{"name": "extra", "cdrom": {"bus": "sata"}}]}, "LiveMigration"),
        ({"disks": [{"name": "extra", "cdrom": {"bus": "sata", "readonly": False}}]}, "BlockMigration"),
        ({"disks": [], "filesystems": [{"name": "extra", "virtiofs": {}}]}, "LiveMigration"),
        ({"disks": [{"name": "extra", "disk": {"bus": "virtio"}}]}, "BlockMigration"),
    ],
)
def test_what_the_guest_only_reads_is_not_copied(devices: Obj, method: str) -> None:
    volume = {"name": "extra", "configMap": {"name": "settings"}}
    assert verdict(*both(spec([volume], devices=devices))).migration_method == method


def test_a_host_disk_binds_the_vm_to_its_node_unless_it_is_shared() -> None:
    disk = {"path": "/srv/disk.img", "type": "Disk"}
    fixed = verdict(*both(spec([{"name": "root", "hostDisk": disk}])))
    assert (fixed.way, fixed.ways) == ("blocked", ())
    assert the(fixed, "host_disk").rules_out == ("live", "storage_live", "cold")
    shared = verdict(*both(spec([{"name": "root", "hostDisk": {**disk, "shared": True}}])))
    assert shared.way == "live"
    assert the(shared, "host_disk_shared").severity == "info"


def test_a_volume_of_an_unknown_kind_is_told_and_left_to_the_instance() -> None:
    found = verdict(*both(spec([{"name": "new", "holographicDisk": {}}]), [LIVE]))
    assert found.way == "live"
    assert the(found, "volume_unknown").volume == "new"


@pytest.mark.parametrize(
    ("phase", "of", "expected", "way"),
    [
        ("Bound", "ceph-rbd", None, "cold"),
        ("Pending", "ceph-rbd", "claim_unbound", "blocked"),
        ("Pending", LOCAL, "claim_awaits_consumer", "cold"),
        ("Lost", "ceph-rbd", "claim_lost", "blocked"),
    ],
)
def test_a_claim_has_to_be_bound_or_to_wait_for_its_vm(phase: str, of: str, expected: str | None, way: str) -> None:
    found = verdict(*stopped(spec([of_claim()])), claim(phase=phase, of=of))
    assert found.way == way
    assert {item.code for item in found.findings if item.volume} == ({expected} if expected else set())


def test_a_missing_claim_is_told_as_such_and_not_as_unshared() -> None:
    for objects in (both(spec([of_claim()]), [LIVE]), stopped(spec([of_claim()]))):
        found = verdict(*objects)
        assert found.way == "blocked"
        assert the(found, "claim_missing").message == f"Claim {NAMESPACE}/disk of volume root does not exist."
        assert "claim_not_shared" not in codes(found)


def test_a_claim_that_was_not_read_is_not_taken_for_missing() -> None:
    found = verdict(*both(spec([of_claim()])), without=["claims"])
    assert the(found, "claim_modes_unknown").volume == "root"
    assert "claim_missing" not in codes(found)
    told = verdict(*on_disk(LIVE)[:2], without=["claims"])
    assert (told.way, codes(told)) == ("live", set())


def test_a_claim_still_to_come_from_a_template_is_not_missing() -> None:
    template = {"spec": {"dataVolumeTemplates": [{"metadata": {"name": "disk"}}]}}
    volume = {"name": "root", "dataVolume": {"name": "disk"}}
    found = verdict(*stopped(spec([volume]), **template))
    assert (found.way, "claim_missing" in codes(found)) == ("cold", False)
    assert the(found, "claim_from_template").severity == "info"


@pytest.mark.parametrize(
    ("phase", "expected", "way"),
    [
        ("Succeeded", None, "cold"),
        ("ImportInProgress", "data_volume_not_ready", "cold"),
        ("CloneScheduled", "data_volume_not_ready", "cold"),
        ("Failed", "data_volume_failed", "blocked"),
    ],
)
def test_a_data_volume_has_to_be_filled(phase: str, expected: str | None, way: str) -> None:
    volume = {"name": "root", "dataVolume": {"name": "disk"}}
    found = verdict(*stopped(spec([volume])), claim(), data_volume("disk", phase))
    assert found.way == way
    assert {item.code for item in found.findings if item.volume} == ({expected} if expected else set())


def test_hotplugged_volumes_count_like_others() -> None:
    volume = {"name": "hot", "persistentVolumeClaim": {"claimName": "disk", "hotpluggable": True}}
    status = volume_status("hot", "disk", RWO, hotplugVolume={"attachPodName": "hp"}, phase="Ready")
    found = verdict(*both(spec([volume]), status={"volumeStatus": [status]}), claim(modes=RWO))
    assert found.way == "storage_live"
    assert {"hotplugged", "claim_not_shared"} <= codes(found)


def test_a_volume_being_plugged_in_only_delays() -> None:
    volume = {"name": "hot", "persistentVolumeClaim": {"claimName": "disk", "hotpluggable": True}}
    status = volume_status("hot", "disk", RWX, hotplugVolume={}, phase="AttachedToNode")
    found = verdict(*both(spec([volume]), [LIVE], status={"volumeStatus": [status]}), claim())
    assert (found.way, found.live_now) == ("live", False)
    assert the(found, "hotplug_in_progress").momentary


def test_volumes_in_the_middle_of_being_migrated_count_as_shared() -> None:
    migrated = {"migratedVolumes": [{"volumeName": "root"}]}
    conditions = [condition("VolumesChange", "True")]
    found = verdict(*on_disk(*conditions, modes=RWO, status=migrated))
    assert (found.predicted_live, found.live_now) == (True, False)
    assert the(found, "volumes_changing").momentary


def test_a_local_persistent_volume_keeps_the_vm_unless_the_volume_moves_with_it() -> None:
    found = verdict(*on_disk(modes=RWO), local_volume("disk", "worker-1"))
    assert (found.way, found.ways) == ("storage_live", ("storage_live",))
    assert "worker-1" in the(found, "volume_on_one_node").message


def test_a_volume_of_a_zone_limits_the_nodes_only() -> None:
    found = verdict(*on_disk(LIVE), local_volume("disk", "worker-1", "worker-2"))
    assert found.way == "live"
    assert the(found, "volume_limits_nodes").message.endswith("can be used on 2 of 3 nodes.")


@pytest.mark.parametrize(("modes", "words"), [(RWX, "is shared"), (RWO, "is handed over")])
def test_tpm_and_efi_state_follows_whatever_its_claim(modes: tuple[str, ...], words: str) -> None:
    state = volume_status("persistent-state-for-web", "persistent-state-for-web-abcde", modes)
    devices = {"tpm": {"persistent": True}}
    found = verdict(*both(spec([], devices=devices), [LIVE], status={"volumeStatus": [state]}))
    assert found.way == "live"
    assert words in the(found, "state_follows").message


def test_an_ephemeral_volume_on_a_single_attach_claim_is_a_risk() -> None:
    volume = {"name": "root", "ephemeral": {"persistentVolumeClaim": {"claimName": "disk"}}}
    found = verdict(*both(spec([volume])), claim(modes=RWO))
    assert found.way == "live"
    assert the(found, "ephemeral_backing_not_shared").severity == "warning"


# devices, networks, CPU


@pytest.mark.parametrize(
    ("devices", "annotations", "code", "way"),
    [
        ({"interfaces": [{"name": "default", "masquerade": {}}]}, {}, None, "live"),
        ({"interfaces": [{"name": "default", "passt": {}}]}, {}, None, "live"),
        ({"interfaces": [{"name": "default", "bridge": {}}]}, {}, "interface_not_migratable", "cold"),
        (
            {"interfaces": [{"name": "default", "bridge": {}}]},
            {"kubevirt.io/allow-pod-bridge-network-live-migration": ""},
            None,
            "live",
        ),
        ({"interfaces": [{"name": "default", "slirp": {}}]}, {}, "interface_not_migratable", "cold"),
        ({"interfaces": [{"name": "default", "binding": {"name": "l2bridge"}}]}, {}, "binding_unknown", "live"),
        ({"hostDevices": [{"name": "nic", "deviceName": "intel.com/nic"}]}, {}, "host_device", "cold"),
        ({"gpus": [{"name": "gpu", "deviceName": "nvidia.com/T4"}]}, {}, "gpu", "cold"),
    ],
)
def test_networks_and_devices(devices: Obj, annotations: dict[str, str], code: str | None, way: str) -> None:
    found = verdict(*both(spec(devices=devices), metadata={"annotations": annotations}))
    assert found.way == way
    assert codes(found) - {"not_reported"} == ({code} if code else set())


def test_secondary_networks_are_never_in_the_way() -> None:
    networks = [{"name": "default", "pod": {}}, {"name": "lan", "multus": {"networkName": "lan"}}]
    devices = {"interfaces": [{"name": "default", "masquerade": {}}, {"name": "lan", "sriov": {}}]}
    assert verdict(*both(spec(devices=devices, networks=networks))).way == "live"


def test_one_mediated_gpu_may_migrate_where_the_gate_is_on() -> None:
    gates = {"developerConfiguration": {"featureGates": ["VGPULiveMigration"]}}
    gpu = {"name": "gpu", "deviceName": "nvidia.com/GRID_T4"}
    one = verdict(*both(spec(devices={"gpus": [gpu]})), kubevirt(spec={"configuration": gates}))
    assert (one.way, the(one, "gpu_perhaps").severity) == ("live", "warning")
    two = verdict(*both(spec(devices={"gpus": [gpu, {**gpu, "name": "g2"}]})), kubevirt(spec={"configuration": gates}))
    assert two.way == "cold"


@pytest.mark.parametrize(
    ("domain", "code"),
    [
        ({"cpu": {"dedicatedCpuPlacement": True}}, "single_channel"),
        ({"resources": {"limits": {"cpu": "2"}}}, "single_channel"),
        ({"cpu": {"model": "host-passthrough"}}, "host_passthrough"),
    ],
)
def test_what_makes_migrations_slow_or_risky_does_not_rule_them_out(domain: Obj, code: str) -> None:
    found = verdict(*both(spec(domain=domain), [LIVE]))
    assert (found.way, codes(found)) == ("live", {code})


# what the instance reports


def test_the_report_counts_and_the_contradiction_is_told() -> None:
    found = verdict(*on_disk(LIVE, modes=RWO))
    assert (found.way, found.reported_live, found.predicted_live) == ("live", True, False)
    assert not [item for item in found.findings if item.severity == "error"]
    assert the(found, "claim_not_shared").severity == "warning"
    assert "root" in the(found, "contradiction").message
    other = verdict(*on_disk(not_live("DisksNotLiveMigratable", NOT_SHARED.format(claim="disk")), STORAGE_LIVE))
    assert (other.way, other.reported_live, other.predicted_live) == ("storage_live", False, True)
    assert "nothing that was read explains it" in the(other, "contradiction").message


@pytest.mark.parametrize("storage", [[STORAGE_LIVE], []])
def test_reported_and_predicted_agree_without_contradiction(storage: list[Obj]) -> None:
    report = not_live("DisksNotLiveMigratable", NOT_SHARED.format(claim="disk"))
    found = verdict(*on_disk(report, *storage, modes=RWO))
    assert (found.way, found.migration_method) == ("storage_live", "BlockMigration")
    assert {"not_live_migratable", "claim_not_shared"} <= codes(found)
    assert "contradiction" not in codes(found)
    assert NOT_SHARED.format(claim="disk") in the(found, "not_live_migratable").message


@pytest.mark.parametrize(
    "reason",
    [
        "InterfaceNotLiveMigratable",
        "CPUModeLiveMigratable",
        "HostDeviceNotLiveMigratable",
        "SEVNotLiveMigratable",
        "TDXNotLiveMigratable",
        "SecureExecutionNotLiveMigratable",
        "NoTSCFrequencyNotLiveMigratable",
        "HypervPassthroughNotLiveMigratable",
        "SomethingNewerNotLiveMigratable",
    ],
)
def test_what_is_not_about_disks_rules_out_moving_the_volumes_along_as_well(reason: str) -> None:
    found = verdict(*on_disk(not_live(reason, "told by virt-handler")))
    assert found.ways == ("cold",)
    assert reason in the(found, "not_live_migratable").message


def test_without_a_report_the_prediction_decides() -> None:
    found = verdict(*on_disk())
    assert (found.way, found.reported_live, found.predicted_live) == ("live", None, True)
    assert the(found, "not_reported").severity == "warning"


def test_volumes_are_not_migrated_when_the_instance_says_so() -> None:
    report = not_live("DisksNotLiveMigratable", NOT_SHARED.format(claim="disk"))
    refused = condition("StorageLiveMigratable", "False", "NotMigratable", "PersistentReservation: VMI uses SCSI PR")
    found = verdict(*on_disk(report, refused, modes=RWO))
    assert found.ways == ("cold",)
    assert "SCSI PR" in the(found, "not_storage_live_migratable").message


# where volumes can be migrated


@pytest.mark.parametrize(
    ("changes", "obstacle"),
    [
        ({}, ""),
        ({"spec": {"configuration": {"vmRolloutStrategy": "Stage"}}}, "vmRolloutStrategy is Stage"),
        ({"spec": {"workloadUpdateStrategy": {"workloadUpdateMethods": ["Evict"]}}}, "do not contain LiveMigrate"),
        ({"status": {"observedKubeVirtVersion": "v1.4.1"}}, "lacks the gates VolumesUpdateStrategy, VolumeMigration"),
        (
            {
                "status": {"observedKubeVirtVersion": "v1.4.1"},
                "spec": {
                    "configuration": {
                        "developerConfiguration": {"featureGates": ["VolumesUpdateStrategy", "VolumeMigration"]}
                    }
                },
            },
            "",
        ),
    ],
)
def test_volumes_move_along_where_the_cluster_can(changes: Obj, obstacle: str) -> None:
    found = verdict(*on_disk(modes=RWO), kubevirt(**changes))
    assert found.way == ("cold" if obstacle else "storage_live")
    if obstacle:
        assert obstacle in the(found, "volume_migration_unavailable").message


def test_whether_volumes_can_be_migrated_has_to_be_known() -> None:
    assert verdict(*on_disk(modes=RWO), without=["virtualization"]).way == "cold"


def test_what_the_cluster_cannot_do_is_not_told_where_it_is_not_needed() -> None:
    changes = {"configuration": {"vmRolloutStrategy": "Stage"}}
    assert codes(verdict(*on_disk(LIVE), kubevirt(spec=changes))) == set()


@pytest.mark.parametrize("device", ["lun", "filesystem"])
def test_luns_and_shared_filesystems_are_not_migrated_with_the_vm(device: str) -> None:
    devices: Obj = {"disks": [{"name": "root", "lun": {"bus": "scsi"}}]}
    if device == "filesystem":
        devices = {"disks": [], "filesystems": [{"name": "root", "virtiofs": {}}]}
    found = verdict(*both(spec([of_claim()], devices=devices)), claim(modes=RWO))
    assert found.way == "cold"
    assert the(found, "volume_not_migratable").volume == "root"


# wish and reality


def test_a_changed_volume_waits_for_a_restart_and_reality_decides_about_live() -> None:
    wish = spec([{"name": "root", "persistentVolumeClaim": {"claimName": "new"}}])
    objects = [vm(wish), vmi(spec([of_claim()]), [LIVE], status={"volumeStatus": [volume_status("root", "disk", RWX)]})]
    found = verdict(*objects, claim(), claim("new", RWO, of=SAN))
    assert found.way == "live"
    waiting = the(found, "volume_change_waits")
    assert "claim new" in waiting.message
    assert "claim disk" in waiting.message
    assert "claim_not_shared" not in codes(found)


def test_a_cold_move_starts_what_the_vm_wishes() -> None:
    wish = spec([{"name": "root", "persistentVolumeClaim": {"claimName": "gone"}}])
    found = verdict(vm(wish), vmi(spec([of_claim()]), [LIVE]), claim())
    assert found.ways == ("live", "storage_live")
    assert the(found, "claim_missing").rules_out == ("cold",)
    assert the(found, "claim_missing").severity == "warning"


def test_volumes_that_only_one_side_has_are_told() -> None:
    wish = spec([of_claim(), {"name": "added", "persistentVolumeClaim": {"claimName": "more"}}])
    running = spec([of_claim(), {"name": "removed", "emptyDisk": {"capacity": "1Gi"}}])
    found = verdict(vm(wish), vmi(running, [LIVE]), claim(), claim("more"))
    waiting = {item.volume for item in found.findings if item.code == "volume_change_waits"}
    assert waiting == {"added", "removed"}


def test_a_volume_plugged_into_the_instance_only_is_lost_by_a_cold_move() -> None:
    hot = {"name": "hot", "persistentVolumeClaim": {"claimName": "disk", "hotpluggable": True}}
    report = not_live("HostDeviceNotLiveMigratable")
    found = verdict(vm(spec()), vmi(spec([hot]), [report]), claim())
    assert found.way == "cold"
    assert the(found, "unplugged_on_restart").volume == "hot"
    assert "volume_change_waits" not in codes(found)
    assert "unplugged_on_restart" not in codes(verdict(vm(spec()), vmi(spec([hot]), [LIVE]), claim()))


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ({"nodeSelector": {"zone": "a"}}, "nodeSelector"),
        ({"domain": {"cpu": {"sockets": 4}}}, "domain.cpu"),
        ({"domain": {"memory": {"guest": "8Gi"}}}, "domain.memory"),
        ({"evictionStrategy": "None"}, "evictionStrategy"),
    ],
)
def test_other_differences_are_told_by_name(changes: Obj, names: str) -> None:
    found = verdict(vm(spec(**changes)), vmi(spec(), [LIVE]))
    assert the(found, "change_waits").message == f"The VM and its running instance differ in {names}."


def test_what_only_the_instance_states_is_a_default_and_no_difference() -> None:
    filled_in = spec(
        nodeSelector={"zone": "a"}, evictionStrategy="LiveMigrate", domain={"cpu": {"model": "host-model"}}
    )
    assert codes(verdict(vm(spec()), vmi(filled_in, [LIVE]), base=[])) == set()


def test_what_is_forgotten_by_a_restart_is_told_where_that_is_the_way() -> None:
    scratch = spec([{"name": "scratch", "emptyDisk": {"capacity": "1Gi"}}])
    assert the(verdict(*both(scratch, [not_live("SEVNotLiveMigratable")])), "lost_on_restart").volume == "scratch"
    assert "lost_on_restart" not in codes(verdict(*both(scratch, [LIVE])))


# state of the VM


@pytest.mark.parametrize(
    ("objects", "code", "way", "live_now"),
    [
        (stopped(spec()), "stopped", "cold", False),
        ([vm(spec(), status={"printableStatus": "ErrorUnschedulable"})], "no_instance", "cold", False),
        ([vm(spec(), spec={"runStrategy": "Manual"}, status={"printableStatus": "Stopped"})], "stopped", "cold", False),
        (both(spec(), status={"phase": "Succeeded"}), "instance_ended", "cold", False),
        (both(spec(), status={"phase": "Scheduling", "nodeName": ""}), "instance_starting", "live", False),
        (both(spec(), [LIVE], status={"phase": "Unknown"}), "instance_unknown", "blocked", False),
        (
            both(spec(), [LIVE], metadata={"deletionTimestamp": "2026-03-01T12:00:00Z"}),
            "instance_stopping",
            "live",
            False,
        ),
        (both(spec(), [LIVE], vm_={"spec": {"runStrategy": "Halted"}}), "instance_stopping", "live", False),
        (both(spec(), [LIVE, condition("Paused", "True")]), "paused", "live", False),
        ([*both(spec(), [LIVE]), migration("Running")], "migrating", "live", False),
        ([*both(spec(), [LIVE]), migration("")], "migrating", "live", False),
        ([*both(spec(), [LIVE]), migration("Failed")], None, "live", True),
        (
            both(spec(), [LIVE], status={"migrationState": {"startTimestamp": "2026-03-01T12:00:00Z"}}),
            "migrating",
            "live",
            False,
        ),
        (
            both(spec(), [LIVE], status={"migrationState": {"startTimestamp": "a", "endTimestamp": "b"}}),
            None,
            "live",
            True,
        ),
        (both(spec(), [LIVE], status={"evacuationNodeName": "worker-1"}), "evacuating", "live", False),
        (
            both(spec(), [LIVE], vm_={"metadata": {"deletionTimestamp": "2026-03-01T12:00:00Z"}}),
            "deleting",
            "blocked",
            False,
        ),
        (both(spec(), [LIVE], vm_={"status": {"snapshotInProgress": "s1"}}), "snapshot_in_progress", "live", False),
        (both(spec(), [LIVE], vm_={"status": {"restoreInProgress": "r1"}}), "restore_in_progress", "live", False),
        (stopped(spec(), spec={"runStrategy": "WaitAsReceiver"}), "receiver", "blocked", False),
    ],
)
def test_the_state_of_a_vm(objects: list[Obj], code: str | None, way: str, live_now: bool) -> None:
    found = verdict(*objects)
    assert (found.way, found.live_now) == (way, live_now)
    assert codes(found) - {"not_reported", "stopped"} == ({code} if code else set()) - {"stopped"}
    assert code is None or code in codes(found)


def test_manual_recovery_keeps_the_vm_running_where_it_can() -> None:
    status = {"conditions": [condition("ManualRecoveryRequired", "True", "", "volume migration was aborted")]}
    running = verdict(*both(spec(), [LIVE], vm_={"status": status}))
    assert running.ways == ("live",)
    assert "volume migration was aborted" in the(running, "manual_recovery_required").message
    assert verdict(*stopped(spec(), status=status)).way == "blocked"


def test_a_required_restart_forbids_migrating_volumes() -> None:
    status = {"conditions": [condition("RestartRequired", "True", "", "a non-live-updatable field was changed")]}
    found = verdict(*on_disk(modes=RWO, vm_={"status": status}))
    assert found.way == "cold"
    assert "non-live-updatable" in the(found, "restart_required").message


# owners


@pytest.mark.parametrize("kind", ["VirtualMachinePool", "VirtualMachineInstanceReplicaSet"])
def test_what_an_owner_manages_is_moved_live_only(kind: str) -> None:
    owner = {"metadata": {"ownerReferences": [{"kind": kind, "name": "kiosk", "controller": True}]}}
    found = verdict(*both(spec(), [LIVE], vm_=owner))
    assert found.ways == ("live",)
    assert f"{kind}/kiosk" in the(found, "managed_by_owner").message
    assert verdict(*stopped(spec(), **owner)).way == "blocked"


def test_an_instance_without_a_vm_is_moved_live_or_not_at_all() -> None:
    found = verdict(vmi(spec(), [LIVE]))
    assert found.ways == ("live",)
    assert the(found, "no_virtual_machine").severity == "warning"
    assert verdict(vmi(spec(), [not_live("SEVNotLiveMigratable")])).way == "blocked"


def test_other_owners_are_told() -> None:
    owner = {"metadata": {"ownerReferences": [{"kind": "Shop", "name": "eu", "controller": True}]}}
    found = verdict(*both(spec(), [LIVE], vm_=owner))
    assert (found.way, the(found, "owned").severity) == ("live", "info")


def test_the_wish_not_to_be_evicted_is_told() -> None:
    annotation = {"annotations": {"descheduler.alpha.kubernetes.io/prefer-no-eviction": ""}}
    found = verdict(*both(spec(), [LIVE], metadata=annotation))
    assert (found.way, found.live_now) == ("live", True)
    assert the(found, "prefer_no_eviction").severity == "warning"


@pytest.mark.parametrize(
    ("strategy", "default", "conditions", "blocks"),
    [
        ("LiveMigrate", "", [not_live("SEVNotLiveMigratable")], True),
        ("", "LiveMigrate", [not_live("SEVNotLiveMigratable")], True),
        ("LiveMigrateIfPossible", "LiveMigrate", [not_live("SEVNotLiveMigratable")], False),
        ("None", "LiveMigrate", [not_live("SEVNotLiveMigratable")], False),
        ("LiveMigrate", "", [LIVE], False),
    ],
)
def test_a_vm_that_would_block_a_drain_is_told(
    strategy: str, default: str, conditions: list[Obj], blocks: bool
) -> None:
    of = spec(**({"evictionStrategy": strategy} if strategy else {}))
    cluster = kubevirt(spec={"configuration": {"evictionStrategy": default}})
    assert ("blocks_drain" in codes(verdict(*both(of, conditions), cluster))) is blocks


# where it may run


def test_a_vm_pinned_to_its_node_moves_in_no_way() -> None:
    pinned = verdict(*both(spec(nodeSelector={"kubernetes.io/hostname": "worker-1"}), [LIVE]))
    assert pinned.ways == ()
    assert "kubernetes.io/hostname=worker-1" in the(pinned, "pinned").message
    terms = [{"matchExpressions": [{"key": "kubernetes.io/hostname", "operator": "In", "values": ["worker-1"]}]}]
    required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}
    by_affinity = verdict(*both(spec(affinity={"nodeAffinity": required}), [LIVE]))
    assert "required node affinity" in the(by_affinity, "pinned").message


@pytest.mark.parametrize("selector", [{}, {"kubevirt.io/schedulable": "true"}])
def test_a_selector_that_other_nodes_meet_is_no_pin(selector: dict[str, str]) -> None:
    assert verdict(*both(spec(nodeSelector=selector), [LIVE])).way == "live"


def test_without_nodes_nothing_is_said_of_them() -> None:
    objects = both(spec(nodeSelector={"kubernetes.io/hostname": "worker-1"}), [LIVE])
    assert verdict(*objects, base=[kubevirt()]).way == "live"


def test_many_are_assessed_like_one() -> None:
    objects = [
        *on_disk(LIVE),
        vm(spec(), metadata={"name": "other", "uid": "vm-other"}, spec={"runStrategy": "Halted"}),
    ]
    found = snapshot(*objects)
    machines = [found.virtual_machines[key] for key in sorted(found.virtual_machines, reverse=True)]
    verdicts = assess_all(found, machines)
    assert list(verdicts) == [machine.key for machine in machines]
    assert verdicts == {machine.key: assess(found, machine) for machine in machines}


def test_the_reasons_are_what_rules_out_a_better_way() -> None:
    found = verdict(*on_disk(modes=RWO))
    assert {item.code for item in found.reasons} == {"claim_not_shared"}
    assert verdict(*on_disk(LIVE)).reasons == ()
