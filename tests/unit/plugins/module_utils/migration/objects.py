"""API objects as a cluster returns them, trimmed, and the snapshot of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ansible_collections.ocpv.scale.plugins.module_utils.cluster.assemble import ALL_PARTS
from ansible_collections.ocpv.scale.plugins.module_utils.cluster.dump import snapshot_of_objects
from ansible_collections.ocpv.scale.plugins.module_utils.cluster.model import Snapshot

Obj = dict[str, Any]

NAMESPACE = "shop"
RBD = "ceph-rbd"
SAN = "san"
LOCAL = "local"
WORKERS = ("worker-1", "worker-2", "worker-3")
NOT_SHARED = (
    "cannot migrate VMI: PVC {claim} is not shared, live migration requires that all PVCs must be shared "
    "(using ReadWriteMany access mode)"
)


def merged(base: Obj, changes: Mapping[str, Any]) -> Obj:
    """C(base) with C(changes) merged into it; lists are replaced, None removes."""
    result = dict(base)
    for key, value in changes.items():
        if value is None:
            result.pop(key, None)
        elif isinstance(value, Mapping) and isinstance(result.get(key), dict):
            result[key] = merged(result[key], value)
        else:
            result[key] = value
    return result


def node(name: str, **labels: str) -> Obj:
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "uid": f"uid-{name}",
            "labels": {"kubernetes.io/hostname": name, "kubevirt.io/schedulable": "true", **labels},
            "annotations": {"kubevirt.io/heartbeat": "2026-03-01T12:00:00Z"},
        },
        "spec": {},
        "status": {
            "allocatable": {"cpu": "16", "memory": "64Gi", "pods": "250"},
            "conditions": [{"type": "Ready", "status": "True"}],
        },
    }


def storage_class(name: str, sets: Iterable[tuple[str, str]], **more: Any) -> list[Obj]:
    """A StorageClass and its StorageProfile; C(sets) are (access mode, volume mode)."""
    return [
        {
            "apiVersion": "storage.k8s.io/v1",
            "kind": "StorageClass",
            "metadata": {"name": name},
            "provisioner": f"{name}.example.com",
            "volumeBindingMode": "Immediate",
            **more,
        },
        {
            "apiVersion": "cdi.kubevirt.io/v1beta1",
            "kind": "StorageProfile",
            "metadata": {"name": name},
            "status": {"claimPropertySets": [{"accessModes": [mode], "volumeMode": how} for mode, how in sets]},
        },
    ]


def claim(
    name: str = "disk",
    modes: Iterable[str] = ("ReadWriteMany",),
    *,
    volume_mode: str = "Block",
    of: str = RBD,
    phase: str = "Bound",
) -> Obj:
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"namespace": NAMESPACE, "name": name},
        "spec": {
            "accessModes": list(modes),
            "volumeMode": volume_mode,
            "storageClassName": of,
            "volumeName": f"pv-{name}" if phase == "Bound" else "",
            "resources": {"requests": {"storage": "10Gi"}},
        },
        "status": {"phase": phase},
    }


def local_volume(claim_name: str, *nodes: str) -> Obj:
    """The persistent volume of a claim, usable on some nodes only."""
    expression = {"key": "kubernetes.io/hostname", "operator": "In", "values": list(nodes)}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": f"pv-{claim_name}"},
        "spec": {"nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [expression]}]}}},
    }


def data_volume(name: str, phase: str) -> Obj:
    return {
        "apiVersion": "cdi.kubevirt.io/v1beta1",
        "kind": "DataVolume",
        "metadata": {"namespace": NAMESPACE, "name": name},
        "status": {"phase": phase},
    }


def of_claim(name: str = "disk", volume: str = "root") -> Obj:
    return {"name": volume, "persistentVolumeClaim": {"claimName": name}}


def spec(volumes: Iterable[Obj] = (), *, devices: Mapping[str, Any] | None = None, **more: Any) -> Obj:
    """The spec of a VMI; each volume is a disk unless C(devices) says otherwise."""
    volumes = list(volumes)
    disks = [{"name": volume["name"], "disk": {"bus": "virtio"}} for volume in volumes]
    base: Obj = {
        "domain": {
            "cpu": {"sockets": 2},
            "memory": {"guest": "4Gi"},
            "devices": {"disks": disks, "interfaces": [{"name": "default", "masquerade": {}}]},
        },
        "networks": [{"name": "default", "pod": {}}],
        "volumes": volumes,
    }
    return merged(merged(base, {"domain": {"devices": devices or {}}}), more)


def condition(kind: str, status: str, reason: str = "", message: str = "") -> Obj:
    return {"type": kind, "status": status, "reason": reason, "message": message}


LIVE = condition("LiveMigratable", "True")
STORAGE_LIVE = condition("StorageLiveMigratable", "True")


def not_live(reason: str, message: str = "") -> Obj:
    return condition("LiveMigratable", "False", reason, message)


def volume_status(name: str, claim_name: str, modes: Iterable[str], **more: Any) -> Obj:
    info = {"claimName": claim_name, "accessModes": list(modes), "volumeMode": "Block"}
    return {"name": name, "target": "vda", "persistentVolumeClaimInfo": info, **more}


def vm(template: Obj, **changes: Any) -> Obj:
    base: Obj = {
        "apiVersion": "kubevirt.io/v1",
        "kind": "VirtualMachine",
        "metadata": {"namespace": NAMESPACE, "name": "web", "uid": "vm-web"},
        "spec": {"runStrategy": "Always", "template": {"metadata": {}, "spec": template}},
        "status": {"printableStatus": "Running"},
    }
    return merged(base, changes)


def vmi(running: Obj, conditions: Iterable[Obj] = (), **changes: Any) -> Obj:
    base: Obj = {
        "apiVersion": "kubevirt.io/v1",
        "kind": "VirtualMachineInstance",
        "metadata": {"namespace": NAMESPACE, "name": "web", "uid": "vmi-web"},
        "spec": running,
        "status": {"phase": "Running", "nodeName": "worker-1", "conditions": list(conditions)},
    }
    return merged(base, changes)


def both(of: Obj, conditions: Iterable[Obj] = (), *, vm_: Mapping[str, Any] | None = None, **changes: Any) -> list[Obj]:
    """A VM and its running instance of the same spec; C(changes) are to the instance, C(vm_) to the VM."""
    return [vm(of, **(vm_ or {})), vmi(of, conditions, **changes)]


def stopped(of: Obj, **changes: Any) -> list[Obj]:
    return [vm(of, **merged({"spec": {"runStrategy": "Halted"}, "status": {"printableStatus": "Stopped"}}, changes))]


def migration(phase: str, name: str = "move", **changes: Any) -> Obj:
    base: Obj = {
        "apiVersion": "kubevirt.io/v1",
        "kind": "VirtualMachineInstanceMigration",
        "metadata": {"namespace": NAMESPACE, "name": name, "uid": f"uid-{name}"},
        "spec": {"vmiName": "web"},
        "status": {"phase": phase},
    }
    return merged(base, changes)


def kubevirt(**changes: Any) -> Obj:
    base: Obj = {
        "apiVersion": "kubevirt.io/v1",
        "kind": "KubeVirt",
        "metadata": {"namespace": "openshift-cnv", "name": "kubevirt-kubevirt-hyperconverged"},
        "spec": {
            "configuration": {
                "vmRolloutStrategy": "LiveUpdate",
                "migrations": {"parallelMigrationsPerCluster": 5, "parallelOutboundMigrationsPerNode": 2},
            },
            "workloadUpdateStrategy": {"workloadUpdateMethods": ["LiveMigrate"]},
        },
        "status": {
            "observedKubeVirtVersion": "v1.6.2",
            "conditions": [
                condition("Available", "True", "AllComponentsReady", "All components are ready."),
                condition("Progressing", "False", "AllComponentsReady", "All components are ready."),
                condition("Degraded", "False", "AllComponentsReady", "All components are ready."),
            ],
        },
    }
    return merged(base, changes)


def hyperconverged(version: str, config: Mapping[str, Any], **changes: Any) -> Obj:
    """A HyperConverged in C(version) with this liveMigrationConfig."""
    layout = {"virtualization": {"liveMigrationConfig": config}} if version == "v1" else {"liveMigrationConfig": config}
    base: Obj = {
        "apiVersion": f"hco.kubevirt.io/{version}",
        "kind": "HyperConverged",
        "metadata": {"namespace": "openshift-cnv", "name": "kubevirt-hyperconverged"},
        "spec": layout,
    }
    return merged(base, changes)


CLUSTER: tuple[Obj, ...] = (
    *(node(name) for name in WORKERS),
    *storage_class(RBD, [("ReadWriteMany", "Block"), ("ReadWriteOnce", "Filesystem")]),
    *storage_class(SAN, [("ReadWriteOnce", "Filesystem")]),
    *storage_class(LOCAL, [("ReadWriteOnce", "Block")], volumeBindingMode="WaitForFirstConsumer"),
    kubevirt(),
)


def snapshot(*objects: Obj, without: Iterable[str] = (), base: Iterable[Obj] = CLUSTER) -> Snapshot:
    """The snapshot of a small cluster with these objects; parts in C(without) count as not read."""
    identities = {(item["kind"], item["metadata"]["name"]) for item in objects}
    kept = [item for item in base if (item["kind"], item["metadata"]["name"]) not in identities]
    found = snapshot_of_objects([*kept, *objects], Path("."))
    return replace(found, parts=tuple(part for part in ALL_PARTS if part not in set(without)), missing={})
