"""What a machine asks for: the spec that VM template and instance share, and the rules for where it may run."""

from __future__ import annotations

from ..quantity import bytes_text, cpu_text
from . import volumes
from .values import Disk, Machine, Obj, stable_uid


def instance_spec(machine: Machine, *, defaulted: bool) -> Obj:
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
        "firmware": {
            "uuid": stable_uid("firmware", machine.namespace, machine.name),
            "serial": stable_uid("serial", machine.namespace, machine.name),
        },
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
