"""A machine as VirtualMachine and VirtualMachineInstance, the instance with status as virt-handler writes it."""

from __future__ import annotations

import json

from . import volumes
from .quantities import bytes_text, cpu_text
from .requests import Requests
from .values import (
    CEPHFS,
    DIRTY_RATE_ANNOTATION,
    INSTALLED_AT,
    STARTED_AT,
    USAGE_ANNOTATION,
    WORKLOADS,
    CpuModel,
    Disk,
    Machine,
    Obj,
    stable_uid,
)

_OBSERVED = {
    "kubevirt.io/latest-observed-api-version": "v1",
    "kubevirt.io/storage-observed-api-version": "v1",
}
# where the state of a persistent TPM lives (KubeVirt pkg/storage/backend-storage/backend-storage.go)
STATE_DISK = Disk("persistent-state", "persistentVolumeClaim", 1, CEPHFS, volume_mode="Filesystem", template=False)
_HOST_DEVICE = "VMI specifies non-migratable generic PCI host device"
_GUESTS: dict[str, Obj] = {
    "rhel": {"id": "rhel", "name": "Red Hat Enterprise Linux", "version": "9.6 (Plow)", "versionId": "9.6"},
    "windows": {"id": "mswindows", "name": "Microsoft Windows", "version": "Microsoft Windows 10", "versionId": "10"},
    "fedora": {"id": "fedora", "name": "Fedora Linux", "version": "42 (Cloud Edition)", "versionId": "42"},
}


def vm_uid(machine: Machine) -> str:
    return stable_uid("VirtualMachine", machine.namespace, machine.name)


def instance_uid(machine: Machine) -> str:
    return stable_uid("VirtualMachineInstance", machine.namespace, machine.name)


def virtual_machine(machine: Machine) -> Obj:
    """The VirtualMachine with the status virt-controller gives it."""
    metadata: Obj = {
        "name": machine.name,
        "namespace": machine.namespace,
        "uid": vm_uid(machine),
        "creationTimestamp": INSTALLED_AT,
        "generation": 2,
        "labels": {"app": machine.name},
        "annotations": dict(_OBSERVED),
        "finalizers": ["kubevirt.io/virtualMachineControllerFinalize"],
    }
    if machine.pool:
        metadata["labels"]["kubevirt.io/vmpool"] = machine.pool
        metadata["ownerReferences"] = [
            _owner("pool.kubevirt.io/v1beta1", "VirtualMachinePool", machine.pool, pool_uid(machine))
        ]
    spec: Obj = {
        "template": {
            "metadata": {
                "labels": machine.all_labels,
                "annotations": template_annotations(machine),
            },
            "spec": _instance_spec(machine, defaulted=False),
        }
    }
    if machine.legacy_running is None:
        spec["runStrategy"] = machine.run_strategy
    else:
        spec["running"] = machine.legacy_running
    templates = [
        volumes.data_volume_template(machine, disk)
        for disk in machine.disks
        if disk.source == "dataVolume" and disk.template
    ]
    if templates:
        spec["dataVolumeTemplates"] = templates
    return {
        "apiVersion": "kubevirt.io/v1",
        "kind": "VirtualMachine",
        "metadata": metadata,
        "spec": spec,
        "status": _vm_status(machine),
    }


def template_annotations(machine: Machine) -> dict[str, str]:
    """Annotations that instance and pods inherit: how the simulated guest behaves, also after a restart."""
    return {
        "kubevirt.io/pci-topology-version": "v3",
        USAGE_ANNOTATION: json.dumps(machine_usage(machine)),
        DIRTY_RATE_ANNOTATION: str(WORKLOADS[machine.workload].dirty_rate_bytes_per_second),
    }


def pool_uid(machine: Machine) -> str:
    return stable_uid("VirtualMachinePool", machine.namespace, machine.pool)


def pool(name: str, members: list[Machine]) -> Obj:
    """The VirtualMachinePool that owns C(members)."""
    first = members[0]
    labels = {"kubevirt.io/vmpool": name}
    template = virtual_machine(first)["spec"]
    template.pop("dataVolumeTemplates", None)
    return {
        "apiVersion": "pool.kubevirt.io/v1beta1",
        "kind": "VirtualMachinePool",
        "metadata": {
            "name": name,
            "namespace": first.namespace,
            "uid": pool_uid(first),
            "creationTimestamp": INSTALLED_AT,
            "generation": 1,
        },
        "spec": {
            "replicas": len(members),
            "selector": {"matchLabels": labels},
            "virtualMachineTemplate": {"metadata": {"labels": labels}, "spec": template},
        },
        "status": {
            "replicas": len(members),
            "readyReplicas": sum(member.running for member in members),
            "labelSelector": f"kubevirt.io/vmpool={name}",
        },
    }


def virtual_machine_instance(machine: Machine, requests: Requests, pod_uid: str, pod_ip: str, cpu: CpuModel) -> Obj:
    """The running instance on C(machine.node), whose host has C(cpu).

    Source: KubeVirt pkg/virt-handler/vm.go (status), pkg/virt-controller/watch/vmi (activePods, labels).
    """
    status = _instance_status(machine, requests, pod_uid, pod_ip)
    spec = _instance_spec(machine, defaulted=True)
    if machine.reenlightenment:
        status["topologyHints"] = {"tscFrequency": cpu.tsc_frequency_hz}
    return {
        "apiVersion": "kubevirt.io/v1",
        "kind": "VirtualMachineInstance",
        "metadata": {
            "name": machine.name,
            "namespace": machine.namespace,
            "uid": instance_uid(machine),
            "creationTimestamp": STARTED_AT,
            "generation": 12,
            "labels": {**machine.all_labels, "kubevirt.io/nodeName": machine.node},
            "annotations": {
                **_OBSERVED,
                **template_annotations(machine),
                "kubevirt.io/vm-generation": "2",
                "kubevirt.io/nonroot": "true",
            },
            "finalizers": [
                "kubevirt.io/virtualMachineControllerFinalize",
                "kubevirt.io/foregroundDeleteVirtualMachine",
            ],
            "ownerReferences": [_owner("kubevirt.io/v1", "VirtualMachine", machine.name, vm_uid(machine))],
        },
        "spec": spec,
        "status": status,
    }


def machine_usage(machine: Machine) -> dict[str, int]:
    """What the guest really uses, by its workload class; varied a little from machine to machine."""
    workload = WORKLOADS[machine.workload]
    variation = 0.8 + int(vm_uid(machine)[:4], 16) / 0xFFFF * 0.4
    return {
        "cpu_millicores": round(machine.cores * 1000 * min(1.0, workload.cpu_use * variation)),
        "memory_bytes": round(machine.guest_bytes * min(0.98, workload.memory_use * variation)),
    }


def live_migratable(machine: Machine) -> Obj:
    """The condition LiveMigratable (first failing check only; KubeVirt pkg/virt-handler/vm.go,
    calculateLiveMigrationCondition and checkVolumesForMigration)."""
    if machine.host_device:
        return _condition("LiveMigratable", "False", "HostDeviceNotLiveMigratable", _HOST_DEVICE)
    message = _storage_obstacle(machine)
    if message:
        return _condition("LiveMigratable", "False", "DisksNotLiveMigratable", message)
    return _condition("LiveMigratable", "True")


def _storage_obstacle(machine: Machine) -> str:
    for disk in machine.disks:
        if volumes.has_claim(disk) and disk.access_mode != "ReadWriteMany":
            return (
                f"cannot migrate VMI: PVC {volumes.claim_name(machine, disk)} is not shared, live migration requires "
                "that all PVCs must be shared (using ReadWriteMany access mode)"
            )
        if disk.source == "hostDisk":
            return "cannot migrate VMI with non-shared HostDisk"
    return ""


def _instance_spec(machine: Machine, *, defaulted: bool) -> Obj:
    """spec.template.spec of the VM; with C(defaulted) as admission completes it for the instance (pkg/defaults)."""
    disks = [_guest_disk(disk) for disk in machine.disks]
    interface: Obj = {"name": "default", "model": "virtio"}
    interface["bridge" if machine.multus_bridge else "masquerade"] = {}
    network: Obj = {"name": "default"}
    if machine.multus_bridge:
        network["multus"] = {"networkName": machine.multus_bridge}
    else:
        network["pod"] = {}
    cpu: Obj = {"cores": machine.cores, "sockets": 1, "threads": 1}
    if machine.dedicated_cpus:
        cpu["dedicatedCpuPlacement"] = True
    if machine.cpu_model != "host-model" or defaulted:
        cpu["model"] = machine.cpu_model
    memory: Obj = {"guest": bytes_text(machine.guest_bytes)}
    if defaulted:
        memory["maxGuest"] = bytes_text(4 * machine.guest_bytes)
    devices: Obj = {"disks": disks, "interfaces": [interface], "rng": {}}
    if machine.host_device:
        devices["hostDevices"] = [{"name": "hostdevice1", "deviceName": machine.host_device}]
    if machine.persistent_tpm:
        devices["tpm"] = {"persistent": True}
    resources: Obj = {}
    if machine.request_cpu_millicores is not None:
        resources.setdefault("requests", {})["cpu"] = cpu_text(machine.request_cpu_millicores)
    if machine.request_memory_bytes is not None:
        resources.setdefault("requests", {})["memory"] = bytes_text(machine.request_memory_bytes)
    if machine.limit_cpu_millicores is not None:
        resources["limits"] = {"cpu": cpu_text(machine.limit_cpu_millicores)}
    domain: Obj = {
        "cpu": cpu,
        "memory": memory,
        "devices": devices,
        "machine": {"type": machine.machine_type},
        "firmware": {"uuid": stable_uid("firmware", machine.namespace, machine.name), "serial": vm_uid(machine)},
        "resources": resources,
    }
    features: Obj = {"acpi": {"enabled": True}} if defaulted else {}
    if machine.operating_system == "windows":
        features = {"acpi": {"enabled": True} if defaulted else {}, "apic": {}, "hyperv": _hyperv(machine)}
        domain["clock"] = {
            "utc": {},
            "timer": {"hpet": {"present": False}, "hyperv": {}, "pit": {"tickPolicy": "delay"}},
        }
    if features:
        domain["features"] = features
    spec: Obj = {
        "architecture": "amd64",
        "domain": domain,
        "evictionStrategy": machine.eviction_strategy,
        "networks": [network],
        "terminationGracePeriodSeconds": machine.termination_grace_seconds,
        "volumes": [_volume(machine, disk) for disk in machine.disks],
    }
    spec.update(placement_rules(machine))
    return spec


def placement_rules(machine: Machine) -> Obj:
    """nodeSelector, affinity, tolerations and topologySpreadConstraints, the same on VM, instance and pod."""
    rules: Obj = {}
    if machine.node_selector:
        rules["nodeSelector"] = dict(machine.node_selector)
    affinity: Obj = {}
    if machine.anti_affinity:
        affinity["podAntiAffinity"] = _required_term(machine.anti_affinity, "kubernetes.io/hostname")
    if machine.affinity_zone:
        affinity["podAffinity"] = _required_term(machine.affinity_zone, "topology.kubernetes.io/zone")
    if affinity:
        rules["affinity"] = affinity
    if machine.tolerations:
        rules["tolerations"] = [
            {"key": key, "operator": "Equal", "value": value, "effect": "NoSchedule"}
            for key, value in machine.tolerations
        ]
    if machine.spread_zone:
        key, value = machine.spread_zone
        rules["topologySpreadConstraints"] = [
            {
                "maxSkew": 1,
                "topologyKey": "topology.kubernetes.io/zone",
                "whenUnsatisfiable": "DoNotSchedule",
                "labelSelector": {"matchLabels": {key: value}},
            }
        ]
    return rules


def _required_term(label: tuple[str, str], topology_key: str) -> Obj:
    key, value = label
    term = {"labelSelector": {"matchLabels": {key: value}}, "topologyKey": topology_key}
    return {"requiredDuringSchedulingIgnoredDuringExecution": [term]}


def _hyperv(machine: Machine) -> Obj:
    hyperv: Obj = {
        "frequencies": {},
        "ipi": {},
        "relaxed": {},
        "reset": {},
        "runtime": {},
        "spinlocks": {"spinlocks": 8191},
        "synic": {},
        "synictimer": {"direct": {}},
        "vapic": {},
        "vpindex": {},
    }
    if machine.reenlightenment:
        hyperv["reenlightenment"] = {}
    return hyperv


def _guest_disk(disk: Disk) -> Obj:
    bus = "virtio"
    guest_disk: Obj = {"name": disk.name, "disk": {"bus": bus}}
    if disk.name == "rootdisk":
        guest_disk["bootOrder"] = 1
    return guest_disk


def _volume(machine: Machine, disk: Disk) -> Obj:
    claim = volumes.claim_name(machine, disk)
    source: Obj = {
        "dataVolume": {"name": claim},
        "persistentVolumeClaim": {"claimName": claim},
        "containerDisk": {"image": disk.image, "imagePullPolicy": "IfNotPresent"},
        "hostDisk": {"path": f"/var/data/{claim}.img", "type": "DiskOrCreate", "capacity": f"{disk.size_gib}Gi"},
        "cloudInitNoCloud": {"userData": "#cloud-config\nssh_pwauth: false\n"},
    }[disk.source]
    return {"name": disk.name, disk.source: source}


def _vm_status(machine: Machine) -> Obj:
    status: Obj = {"desiredGeneration": 2, "observedGeneration": 2}
    status["runStrategy"] = (
        machine.run_strategy if machine.legacy_running is None else ("Always" if machine.legacy_running else "Halted")
    )
    if not machine.running:
        status["printableStatus"] = "Stopped"
        status["conditions"] = [
            _condition("Ready", "False", "VMINotExists", "VMI does not exist"),
        ]
        return status
    status["printableStatus"] = "Paused" if machine.state == "paused" else "Running"
    status["created"] = True
    status["ready"] = machine.state != "paused"
    status["conditions"] = _instance_conditions(machine)
    status["volumeSnapshotStatuses"] = [
        {"name": disk.name, "enabled": volumes.has_claim(disk)} for disk in machine.disks
    ]
    return status


def _instance_conditions(machine: Machine) -> list[Obj]:
    paused = machine.state == "paused"
    conditions = [
        _condition("Ready", "False", "PodNotReady", "the virt-launcher pod is not ready")
        if paused
        else _condition("Ready", "True"),
        live_migratable(machine),
    ]
    if machine.host_device:
        message = f"HostDeviceNotLiveMigratable: {_HOST_DEVICE}"
        conditions.append(_condition("StorageLiveMigratable", "False", "NotMigratable", message))
    else:
        conditions.append(_condition("StorageLiveMigratable", "True"))
    if paused:
        conditions.append(_condition("Paused", "True", "PausedByUser", "VMI was paused by user"))
    elif machine.operating_system != "fedora":
        conditions.append(_condition("AgentConnected", "True"))
    return conditions


def _instance_status(machine: Machine, requests: Requests, pod_uid: str, pod_ip: str) -> Obj:
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
        "conditions": _instance_conditions(machine),
        "currentCPUTopology": {"cores": machine.cores, "sockets": 1, "threads": 1},
        "guestOSInfo": {} if machine.operating_system == "fedora" else dict(_GUESTS[machine.operating_system]),
        "interfaces": [interface],
        "launcherContainerImageVersion": "virt-launcher",
        "machine": {"type": machine.machine_type},
        "memory": {
            "guestAtBoot": guest,
            "guestCurrent": guest,
            "guestRequested": guest,
            "memoryOverhead": bytes_text(requests.overhead_bytes),
        },
        "migrationMethod": _migration_method(machine),
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
        "virtualMachineRevisionName": f"revision-start-vm-{vm_uid(machine)}-2",
        "volumeStatus": [_volume_status(machine, disk, number) for number, disk in enumerate(machine.disks)],
    }


def _migration_method(machine: Machine) -> str:
    """Local disks are copied with the memory (pkg/virt-handler/vm.go, checkVolumesForMigration)."""
    local = any(disk.source in ("containerDisk", "cloudInitNoCloud", "hostDisk") for disk in machine.disks)
    return "BlockMigration" if local else "LiveMigration"


def _volume_status(machine: Machine, disk: Disk, number: int) -> Obj:
    status: Obj = {"name": disk.name, "target": f"vd{chr(ord('a') + number)}"}
    if volumes.has_claim(disk):
        status["persistentVolumeClaimInfo"] = volumes.claim_info(machine, disk)
    if disk.source == "containerDisk":
        status["containerDiskVolume"] = {"checksum": int(stable_uid("image", disk.image)[:7], 16)}
    return status


def _mac(machine: Machine) -> str:
    digits = instance_uid(machine).replace("-", "")
    return "02:" + ":".join(digits[start : start + 2] for start in range(0, 10, 2))


def _condition(kind: str, status: str, reason: str = "", message: str = "") -> Obj:
    condition: Obj = {"type": kind, "status": status, "lastProbeTime": None, "lastTransitionTime": STARTED_AT}
    if reason:
        condition["reason"] = reason
    if message:
        condition["message"] = message
    return condition


def _owner(api_version: str, kind: str, name: str, uid: str) -> Obj:
    return {
        "apiVersion": api_version,
        "kind": kind,
        "name": name,
        "uid": uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }
