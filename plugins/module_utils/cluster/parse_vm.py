# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From VirtualMachine, VirtualMachineInstance and VirtualMachineInstanceMigration objects to the values of the model.

Only what decides about moving is taken over. Contents of cloud-init, sysprep and other volumes never are, and neither
are annotations that hold serialised objects: a copy of the whole VM, passwords included, may be among them.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache, partial
from typing import Any, Collection, Mapping, Optional

from ..quantity import parse_bytes, parse_count
from .model import (
    Instance,
    Migration,
    MigrationState,
    Resources,
    Usage,
    VirtualMachine,
    VmSpec,
    Volume,
    VolumeStatus,
)
from .parse import controller_of, parse_conditions

Object = Mapping[str, Any]

OWN_DOMAIN = "ocpv.scale/"
_LONGEST_ANNOTATION = 1024
_NOTHING: Mapping[str, Any] = {}
_BINDINGS = ("masquerade", "bridge", "sriov", "macvtap", "passt", "slirp", "passtBinding")
_DEFAULT_GRACE_SECONDS = 30
# decided by the instance type and preference of a VM unless its template says them itself
HARDWARE = (
    "vcpus",
    "guest_memory_bytes",
    "cpu_model",
    "cpu_features",
    "dedicated_cpus",
    "hugepages",
    "machine_type",
    "architecture",
    "host_devices",
    "gpus",
)


def parse_vm(
    vm: Optional[Object],
    vmi: Optional[Object],
    *,
    requests: Optional[Resources] = None,
    usage: Optional[Usage] = None,
    launcher_selector: Optional[Object] = None,
) -> VirtualMachine:
    """Return the value of a VM with its instance; either may be None, not both.

    C(requests), C(usage) and C(launcher_selector) are those of the instance's active launcher pod.
    """
    instance = None
    if vmi is not None:
        instance = parse_instance(vmi, requests=requests, usage=usage, launcher_selector=launcher_selector)
    if vm is not None:
        return vm_with(vm, instance)
    if vmi is None or instance is None:
        raise ValueError("a VirtualMachine, a VirtualMachineInstance or both are needed")
    return lone_instance(vmi["metadata"], instance)


def vm_with(vm: Object, instance: Optional[Instance]) -> VirtualMachine:
    """Return the value of a VirtualMachine with its instance, if it has one."""
    metadata, spec, status = vm["metadata"], vm.get("spec") or _NOTHING, vm.get("status") or _NOTHING
    template = spec.get("template") or _NOTHING
    wish = parse_spec(template.get("spec") or _NOTHING)
    if spec.get("instancetype") and instance is not None:
        wish = replace(wish, **{name: getattr(instance.spec, name) for name in HARDWARE})
    running = spec.get("running")
    return VirtualMachine(
        namespace=metadata["namespace"],
        name=metadata["name"],
        uid=metadata.get("uid", ""),
        labels=metadata.get("labels") or {},
        annotations=harmless_annotations(metadata),
        template_labels=(template.get("metadata") or _NOTHING).get("labels") or {},
        run_strategy=spec.get("runStrategy") or ("Always" if running else "Halted"),
        uses_running=running is not None,
        printable_status=status.get("printableStatus") or "",
        spec=wish,
        instance=instance,
        has_vm=True,
        owner=controller_of(metadata),
        data_volume_templates=tuple([item["metadata"]["name"] for item in spec.get("dataVolumeTemplates") or ()]),
        conditions=parse_conditions(status.get("conditions")),
        deleting="deletionTimestamp" in metadata,
        snapshot_in_progress=status.get("snapshotInProgress") or "",
        restore_in_progress=status.get("restoreInProgress") or "",
    )


def lone_instance(metadata: Object, instance: Instance) -> VirtualMachine:
    """Return the value of an instance without a VirtualMachine; C(metadata) is the VMI's."""
    return VirtualMachine(
        namespace=metadata["namespace"],
        name=metadata["name"],
        uid=instance.uid,
        labels=instance.labels,
        annotations=instance.annotations,
        template_labels=instance.labels,
        run_strategy="",
        uses_running=False,
        printable_status=instance.phase,
        spec=instance.spec,
        instance=instance,
        has_vm=False,
        owner=controller_of(metadata),
        deleting=instance.deleting,
    )


def parse_instance(
    vmi: Object,
    *,
    requests: Optional[Resources] = None,
    usage: Optional[Usage] = None,
    launcher_selector: Optional[Object] = None,
) -> Instance:
    """Return the value of a VirtualMachineInstance."""
    metadata, status = vmi["metadata"], vmi.get("status") or _NOTHING
    return Instance(
        uid=metadata.get("uid", ""),
        phase=status.get("phase") or "",
        node=status.get("nodeName") or "",
        spec=parse_spec(vmi.get("spec") or _NOTHING),
        labels=metadata.get("labels") or {},
        annotations=harmless_annotations(metadata),
        conditions=parse_conditions(status.get("conditions")),
        migration_method=status.get("migrationMethod") or "",
        migration_state=parse_migration_state(status.get("migrationState")),
        volume_status=tuple([_volume_status(item) for item in status.get("volumeStatus") or ()]),
        migrated_volumes=tuple([item["volumeName"] for item in status.get("migratedVolumes") or ()]),
        evacuation_node=status.get("evacuationNodeName") or "",
        deleting="deletionTimestamp" in metadata,
        requests=requests,
        usage=usage,
        launcher_selector=launcher_selector or {},
    )


def harmless_annotations(metadata: Object) -> dict[str, str]:
    """Return an object's annotations without long ones and serialised objects; the collection's own are all kept."""
    annotations = metadata.get("annotations")
    if not annotations:
        return {}
    return {
        name: value
        for name, value in annotations.items()
        if name.startswith(OWN_DOMAIN) or (len(value) <= _LONGEST_ANNOTATION and not value.startswith(("{", "[")))
    }


def parse_spec(spec: Object) -> VmSpec:
    """Return the value of a VM's spec.template.spec or of a VMI's spec."""
    domain = spec.get("domain") or _NOTHING
    devices = domain.get("devices") or _NOTHING
    cpu = domain.get("cpu") or _NOTHING
    memory = domain.get("memory") or _NOTHING
    resources = domain.get("resources") or _NOTHING
    requests, limits = resources.get("requests") or _NOTHING, resources.get("limits") or _NOTHING
    networks = spec.get("networks") or ()
    tpm = devices.get("tpm")
    bootloader = (domain.get("firmware") or _NOTHING).get("bootloader") or _NOTHING
    grace = spec.get("terminationGracePeriodSeconds")
    return VmSpec(
        node_selector=spec.get("nodeSelector") or _NOTHING,
        affinity=spec.get("affinity") or _NOTHING,
        tolerations=tuple(spec.get("tolerations") or ()),
        topology_spread=tuple(spec.get("topologySpreadConstraints") or ()),
        scheduler_name=spec.get("schedulerName") or "",
        priority_class=spec.get("priorityClassName") or "",
        volumes=_volumes(spec.get("volumes") or (), devices),
        vcpus=_vcpus(cpu, requests, limits),
        guest_memory_bytes=_guest_memory(memory, requests, limits),
        cpu_model=cpu.get("model") or "",
        cpu_features=_required_features(cpu["features"]) if cpu.get("features") else (),
        dedicated_cpus=bool(cpu.get("dedicatedCpuPlacement")),
        cpu_limited="cpu" in limits,
        hugepages=(memory.get("hugepages") or _NOTHING).get("pageSize") or "",
        machine_type=(domain.get("machine") or _NOTHING).get("type") or "",
        architecture=spec.get("architecture") or "",
        requests={name: str(value) for name, value in requests.items()} if requests else _NOTHING,
        limits={name: str(value) for name, value in limits.items()} if limits else _NOTHING,
        eviction_strategy=spec.get("evictionStrategy") or "",
        host_devices=_device_names(devices["hostDevices"]) if devices.get("hostDevices") else (),
        gpus=_device_names(devices["gpus"]) if devices.get("gpus") else (),
        pod_network_bindings=_pod_network_bindings(networks, devices),
        multus_networks=tuple([network["multus"]["networkName"] for network in networks if network.get("multus")]),
        persistent_tpm=tpm is not None and tpm.get("enabled", True) and bool(tpm.get("persistent")),
        persistent_efi=bool((bootloader.get("efi") or _NOTHING).get("persistent")),
        termination_grace_seconds=_DEFAULT_GRACE_SECONDS if grace is None else int(grace),
    )


def _required_features(features: Any) -> tuple[str, ...]:
    return tuple(feature["name"] for feature in features if feature.get("policy", "") in ("", "require"))


def _device_names(devices: Any) -> tuple[str, ...]:
    return tuple(device.get("deviceName", "") for device in devices)


def _vcpus(cpu: Object, requests: Object, limits: Object) -> int:
    """vCPUs as KubeVirt counts them (pkg/virt-controller/services/renderresources.go): the CPU topology; without one as
    many sockets as the CPU limit or request; else 1."""
    sockets, cores, threads = cpu.get("sockets"), cpu.get("cores"), cpu.get("threads")
    if sockets or cores or threads:
        return int(sockets or 1) * int(cores or 1) * int(threads or 1)
    stated = limits.get("cpu") or requests.get("cpu")
    return max(1, _count(stated)) if stated else 1


def _guest_memory(memory: Object, requests: Object, limits: Object) -> int:
    stated = memory.get("guest") or requests.get("memory") or limits.get("memory")
    return _size(stated) if stated else 0


# the same few sizes come again and again
_size = lru_cache(maxsize=1024)(parse_bytes)
_count = lru_cache(maxsize=1024)(partial(parse_count, option="cpu"))


def _volumes(volumes: Any, devices: Object) -> tuple[Volume, ...]:
    if not volumes:
        return ()
    disks = {disk["name"]: disk for disk in devices.get("disks") or ()}
    filesystems = {item["name"] for item in devices["filesystems"]} if devices.get("filesystems") else ()
    return tuple([_volume(volume, disks.get(volume["name"]), filesystems) for volume in volumes])


def _volume(volume: Object, disk: Optional[Object], filesystems: Collection[str]) -> Volume:
    name = volume["name"]
    kind, source = "", _NOTHING
    for key in volume:
        if key != "name":
            kind, source = key, volume[key] or _NOTHING
            break
    device, read_only = "", False
    if disk is not None:
        device = "cdrom" if "cdrom" in disk else "lun" if "lun" in disk else "disk"
        # a CD-ROM is read-only unless it says otherwise
        read_only = bool((disk.get(device) or _NOTHING).get("readonly", device == "cdrom"))
    elif name in filesystems:
        device = "filesystem"
    claim = ""
    if kind == "dataVolume":
        claim = source["name"]  # CDI names the claim like the DataVolume
    elif kind in ("persistentVolumeClaim", "memoryDump"):
        claim = source["claimName"]
        read_only = read_only or bool(source.get("readOnly"))
    elif kind == "ephemeral":
        claim = (source.get("persistentVolumeClaim") or _NOTHING).get("claimName", "")
    return Volume(
        name=name,
        kind=kind,
        claim=claim,
        hotplugged=bool(source.get("hotpluggable")),
        shared_host_disk=kind == "hostDisk" and bool(source.get("shared")),
        device=device,
        read_only=read_only,
    )


def _pod_network_bindings(networks: Any, devices: Object) -> dict[str, str]:
    on_pod_network = {network["name"] for network in networks if "pod" in network}
    if not on_pod_network:
        return {}
    return {
        interface["name"]: _binding(interface)
        for interface in devices.get("interfaces") or ()
        if interface["name"] in on_pod_network
    }


def _binding(interface: Object) -> str:
    if interface.get("binding"):
        return str(interface["binding"].get("name", ""))
    return next((name for name in _BINDINGS if name in interface), "")


def _volume_status(status: Object) -> VolumeStatus:
    claim = status.get("persistentVolumeClaimInfo") or _NOTHING
    return VolumeStatus(
        name=status["name"],
        claim=claim.get("claimName") or "",
        access_modes=tuple(claim.get("accessModes") or ()),
        volume_mode=claim.get("volumeMode") or "",
        hotplugged="hotplugVolume" in status,
        phase=status.get("phase") or "",
    )


def parse_migration_state(state: Optional[Object]) -> Optional[MigrationState]:
    """Return the value of status.migrationState of a VMI or of a migration; None if there is none."""
    if not state:
        return None
    return MigrationState(
        migration_uid=state.get("migrationUid") or "",
        source_node=state.get("sourceNode") or "",
        target_node=state.get("targetNode") or "",
        start=state.get("startTimestamp") or "",
        end=state.get("endTimestamp") or "",
        completed=bool(state.get("completed")),
        failed=bool(state.get("failed")),
        failure_reason=state.get("failureReason") or "",
        mode=state.get("mode") or "",
        abort_requested=bool(state.get("abortRequested")),
        target_address=state.get("targetNodeAddress") or "",
        policy=state.get("migrationPolicyName") or "",
        configuration=state.get("migrationConfiguration") or {},
    )


def parse_migration(migration: Object) -> Migration:
    """Return the value of a VirtualMachineInstanceMigration."""
    metadata, spec, status = (
        migration["metadata"],
        migration.get("spec") or _NOTHING,
        migration.get("status") or _NOTHING,
    )
    return Migration(
        namespace=metadata["namespace"],
        name=metadata["name"],
        uid=metadata.get("uid", ""),
        vmi=spec.get("vmiName") or "",
        phase=status.get("phase") or "",
        labels=metadata.get("labels") or {},
        annotations=harmless_annotations(metadata),
        created=metadata.get("creationTimestamp") or "",
        priority=spec.get("priority") or "",
        transitions={
            item["phase"]: item["phaseTransitionTimestamp"] for item in status.get("phaseTransitionTimestamps") or ()
        },
        state=parse_migration_state(status.get("migrationState")),
        conditions=parse_conditions(status.get("conditions")),
        deleting="deletionTimestamp" in metadata,
        added_node_selector=spec.get("addedNodeSelector") or {},
    )
