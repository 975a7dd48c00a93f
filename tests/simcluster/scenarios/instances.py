"""The running VirtualMachineInstance, with status as virt-controller and virt-handler write it."""

from __future__ import annotations

from ..controllers.migratable import Migratability, migratability
from ..controllers.requests import overhead_bytes
from ..quantity import bytes_text
from . import volumes
from .behaviour import template_annotations
from .domain import instance_spec
from .values import STARTED_AT, Disk, Machine, Obj, owner_reference, stable_uid

OBSERVED_VERSIONS = {
    "kubevirt.io/latest-observed-api-version": "v1",
    "kubevirt.io/storage-observed-api-version": "v1",
}
_GUESTS: dict[str, Obj] = {
    "rhel": {"id": "rhel", "name": "Red Hat Enterprise Linux", "version": "9.6 (Plow)", "versionId": "9.6"},
    "windows": {"id": "mswindows", "name": "Microsoft Windows", "version": "Microsoft Windows 10", "versionId": "10"},
    "fedora": {"id": "fedora", "name": "Fedora Linux", "version": "42 (Cloud Edition)", "versionId": "42"},
}


def virtual_machine_instance(machine: Machine, node: Obj, tsc_frequency_hz: int, pod_uid: str, pod_ip: str) -> Obj:
    """The running instance on C(node), the Node object that machine.node names.

    Source: KubeVirt pkg/virt-handler/vm.go (status), pkg/virt-controller/watch/vmi (activePods, labels).
    """
    instance: Obj = {
        "apiVersion": "kubevirt.io/v1",
        "kind": "VirtualMachineInstance",
        "metadata": {
            "name": machine.name,
            "namespace": machine.namespace,
            "uid": machine.instance_uid,
            "creationTimestamp": STARTED_AT,
            "generation": 12,
            "labels": {**machine.all_labels, "kubevirt.io/nodeName": machine.node},
            "annotations": {
                **OBSERVED_VERSIONS,
                **template_annotations(machine),
                "kubevirt.io/vm-generation": "2",
                "kubevirt.io/nonroot": "true",
            },
            "finalizers": [
                "kubevirt.io/virtualMachineControllerFinalize",
                "kubevirt.io/foregroundDeleteVirtualMachine",
            ],
            "ownerReferences": [owner_reference("kubevirt.io/v1", "VirtualMachine", machine.name, machine.uid)],
        },
        "spec": instance_spec(machine, defaulted=True),
    }
    overhead = overhead_bytes(instance["spec"]["domain"], instance["spec"]["architecture"])
    status = instance["status"] = _instance_status(machine, overhead, pod_uid, pod_ip)
    if machine.reenlightenment:
        status["topologyHints"] = {"tscFrequency": tsc_frequency_hz}
    found = migratability(instance, machine.node, node["metadata"]["labels"])
    status["migrationMethod"] = found.method
    status["conditions"] = _conditions(machine, found)
    return instance


def _conditions(machine: Machine, found: Migratability) -> list[Obj]:
    paused = machine.state == "paused"
    conditions = [
        condition("Ready", "False", "PodNotReady", "the virt-launcher pod is not ready")
        if paused
        else condition("Ready", "True"),
        condition("LiveMigratable", "False", found.live.reason, found.live.message)
        if found.live
        else condition("LiveMigratable", "True"),
    ]
    if found.storage:
        message = ", ".join(f"{obstacle.reason}: {obstacle.message}" for obstacle in found.storage)
        conditions.append(condition("StorageLiveMigratable", "False", "NotMigratable", message))
    else:
        conditions.append(condition("StorageLiveMigratable", "True"))
    if paused:
        conditions.append(condition("Paused", "True", "PausedByUser", "VMI was paused by user"))
    elif machine.operating_system != "fedora":
        conditions.append(condition("AgentConnected", "True"))
    return conditions


def _instance_status(machine: Machine, overhead: int, pod_uid: str, pod_ip: str) -> Obj:
    interface: Obj = {
        "name": "default",
        "interfaceName": "eth0",
        "mac": _mac(machine),
        "infoSource": "domain",
        "podInterfaceName": "eth0",
        "queueCount": 1,
    }
    if not machine.multus_bridge:
        interface.update(ipAddress=pod_ip, ipAddresses=[pod_ip])
    guest = bytes_text(machine.guest_bytes)
    return {
        "phase": "Running",
        "nodeName": machine.node,
        "activePods": {pod_uid: machine.node},
        "currentCPUTopology": {"cores": machine.cores, "sockets": 1, "threads": 1},
        "guestOSInfo": {} if machine.operating_system == "fedora" else dict(_GUESTS[machine.operating_system]),
        "interfaces": [interface],
        "launcherContainerImageVersion": "virt-launcher",
        "machine": {"type": machine.machine_type},
        "memory": {
            "guestAtBoot": guest,
            "guestCurrent": guest,
            "guestRequested": guest,
            "memoryOverhead": bytes_text(overhead),
        },
        "migrationTransport": "Unix",
        "phaseTransitionTimestamps": [
            {"phase": phase, "phaseTransitionTimestamp": time}
            for phase, time in (
                ("Pending", "2026-03-03T07:30:00Z"),
                ("Scheduling", "2026-03-03T07:30:01Z"),
                ("Scheduled", "2026-03-03T07:30:11Z"),
                ("Running", "2026-03-03T07:30:14Z"),
            )
        ],
        "qosClass": "Guaranteed" if machine.dedicated_cpus else "Burstable",
        "runtimeUser": 107,
        "selinuxContext": "none",
        "virtualMachineRevisionName": f"revision-start-vm-{machine.uid}-2",
        "volumeStatus": _volume_statuses(machine),
    }


def _volume_statuses(machine: Machine) -> list[Obj]:
    statuses = [_volume_status(machine, disk, number) for number, disk in enumerate(machine.disks)]
    if machine.persistent_tpm:
        claim = volumes.claim_info(machine, volumes.STATE_DISK)
        statuses.append(
            {"name": f"persistent-state-for-{machine.name}", "target": "", "persistentVolumeClaimInfo": claim}
        )
    return statuses


def _volume_status(machine: Machine, disk: Disk, number: int) -> Obj:
    status: Obj = {"name": disk.name, "target": f"vd{chr(ord('a') + number)}"}
    if volumes.has_claim(disk):
        status["persistentVolumeClaimInfo"] = volumes.claim_info(machine, disk)
    if disk.source == "containerDisk":
        status["containerDiskVolume"] = {"checksum": int(stable_uid("image", disk.image)[:7], 16)}
    return status


def _mac(machine: Machine) -> str:
    digits = machine.instance_uid.replace("-", "")
    return "02:" + ":".join(digits[start : start + 2] for start in range(0, 10, 2))


def condition(kind: str, status: str, reason: str = "", message: str = "") -> Obj:
    condition: Obj = {"type": kind, "status": status, "lastProbeTime": None, "lastTransitionTime": STARTED_AT}
    if reason:
        condition["reason"] = reason
    if message:
        condition["message"] = message
    return condition
