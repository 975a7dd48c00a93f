"""The conditions LiveMigratable and StorageLiveMigratable, and the method. Pure.

Source: KubeVirt pkg/virt-handler/vm.go (calculateLiveMigrationCondition, checkVolumesForMigration,
calculateLiveStorageMigrationCondition).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Obj = dict[str, Any]
_LOCAL_VOLUMES = (
    "containerDisk",
    "emptyDisk",
    "ephemeral",
    "cloudInitNoCloud",
    "cloudInitConfigDrive",
    "configMap",
    "secret",
    "serviceAccount",
    "downwardAPI",
    "downwardMetrics",
    "sysprep",
    "memoryDump",
)
_SHARED_NEEDED = "live migration requires that all PVCs must be shared (using ReadWriteMany access mode)"
_BRIDGE_ALLOWED = "kubevirt.io/allow-pod-bridge-network-live-migration"


@dataclass(frozen=True)
class Obstacle:
    """A check that fails: reason and message of the condition."""

    reason: str
    message: str


@dataclass(frozen=True)
class Migratability:
    """C(live): the first obstacle to a live migration; C(storage): all that also hinder moving volumes."""

    live: Obstacle | None
    storage: tuple[Obstacle, ...]
    method: str  # LiveMigration, or BlockMigration if local disks are copied


def migratability(instance: Obj, node: str, node_labels: Mapping[str, str]) -> Migratability:
    """What virt-handler finds on the node where the instance runs."""
    general = [each for each in _general(instance, node, node_labels) if each is not None]
    disks = disk_obstacle(instance)
    first = general[0] if general else disks
    return Migratability(first, tuple(general), migration_method(instance))


def _general(instance: Obj, node: str, node_labels: Mapping[str, str]) -> list[Obstacle | None]:
    spec: Obj = instance["spec"]
    domain: Obj = spec.get("domain") or {}
    return [
        _network(instance),
        _cpu_model(domain, node, node_labels),
        _host_devices(domain),
        _security(domain),
        _clock(instance, domain),
        Obstacle("HypervPassthroughNotLiveMigratable", "VMI uses hyperv passthrough")
        if ((domain.get("features") or {}).get("hypervPassthrough") or {}).get("enabled")
        else None,
    ]


def _network(instance: Obj) -> Obstacle | None:
    spec: Obj = instance["spec"]
    pod_networks = {each["name"] for each in spec.get("networks") or [] if each.get("pod") is not None}
    annotations: dict[str, str] = instance["metadata"].get("annotations") or {}
    for interface in ((spec.get("domain") or {}).get("devices") or {}).get("interfaces") or []:
        if interface["name"] not in pod_networks or "masquerade" in interface or "passt" in interface:
            continue
        if "passtBinding" in interface or (interface.get("binding") or {}).get("name") == "passt":
            continue
        if "bridge" in interface and _BRIDGE_ALLOWED in annotations:
            continue
        return Obstacle(
            "InterfaceNotLiveMigratable",
            "cannot migrate VMI which does not use masquerade or a migratable plugin to connect to the pod network",
        )
    return None


def _cpu_model(domain: Obj, node: str, node_labels: Mapping[str, str]) -> Obstacle | None:
    model = (domain.get("cpu") or {}).get("model") or "host-model"
    if model != "host-model" or any(key.startswith("host-model-cpu.node.kubevirt.io/") for key in node_labels):
        return None
    return Obstacle("CPUModeLiveMigratable", f'the node "{node}" does not allow migration with host-model')


def _host_devices(domain: Obj) -> Obstacle | None:
    devices: Obj = domain.get("devices") or {}
    if devices.get("hostDevices"):
        text = "VMI specifies non-migratable generic PCI host device"
    elif len(devices.get("gpus") or []) > 1:
        text = "VMI specifies too many GPUs"
    elif devices.get("gpus"):
        text = "VMI specifies a GPU but feature gate VGPULiveMigration is not enabled"
    else:
        return None
    return Obstacle("HostDeviceNotLiveMigratable", text)


def _security(domain: Obj) -> Obstacle | None:
    security: Obj = domain.get("launchSecurity") or {}
    if "sev" in security or "snp" in security:
        return Obstacle("SEVNotLiveMigratable", "VMI uses SEV")
    if "tdx" in security:
        return Obstacle("TDXNotLiveMigratable", "VMI uses TDX")
    return None


def _clock(instance: Obj, domain: Obj) -> Obstacle | None:
    hyperv: Obj = (domain.get("features") or {}).get("hyperv") or {}
    hints: Obj = (instance.get("status") or {}).get("topologyHints") or {}
    if "reenlightenment" not in hyperv or hints.get("tscFrequency"):
        return None
    return Obstacle(
        "NoTSCFrequencyNotLiveMigratable",
        "HyperV Reenlightenment VMIs cannot migrate when TSC Frequency is not exposed on the cluster: guest timers "
        "might be inconsistent",
    )


def disk_obstacle(instance: Obj) -> Obstacle | None:
    """The first volume that keeps the instance where it is."""
    status: Obj = instance.get("status") or {}
    known = {each["name"]: each for each in status.get("volumeStatus") or []}
    migrated = {each.get("volumeName") for each in status.get("migratedVolumes") or []}
    for volume in instance["spec"].get("volumes") or []:
        claim = (volume.get("persistentVolumeClaim") or {}).get("claimName") or (volume.get("dataVolume") or {}).get(
            "name"
        )
        message = ""
        if claim and volume["name"] not in migrated:
            info = known.get(volume["name"], {}).get("persistentVolumeClaimInfo")
            if info is None:
                message = f"cannot migrate VMI: Unable to determine if PVC {claim} is shared, {_SHARED_NEEDED}"
            elif "ReadWriteMany" not in (info.get("accessModes") or []):
                message = f"cannot migrate VMI: PVC {claim} is not shared, {_SHARED_NEEDED}"
        elif "hostDisk" in volume and not (volume["hostDisk"] or {}).get("shared"):
            message = "cannot migrate VMI with non-shared HostDisk"
        if message:
            return Obstacle("DisksNotLiveMigratable", message)
    return None


def migration_method(instance: Obj) -> str:
    """Whether local disks must be copied with the memory; read-only CD-ROMs need not."""
    disks = ((instance["spec"].get("domain") or {}).get("devices") or {}).get("disks") or []
    spared = {each["name"] for each in disks if (each.get("cdrom") or {}).get("readonly", "cdrom" in each)}
    local = any(
        volume["name"] not in spared and any(source in volume for source in (*_LOCAL_VOLUMES, "hostDisk"))
        for volume in instance["spec"].get("volumes") or []
    )
    return "BlockMigration" if local else "LiveMigration"
