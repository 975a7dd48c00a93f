"""Storage classes, their profiles, and the claims behind a machine's disks (DataVolume, PVC, PV), all bound."""

from __future__ import annotations

from collections.abc import Iterator

from .values import (
    CEPHFS,
    GIB,
    INSTALLED_AT,
    STORAGE_CLASSES,
    Disk,
    Machine,
    Obj,
    StorageClass,
    owner_reference,
    stable_suffix,
    stable_uid,
)

# where the state of a persistent TPM lives (KubeVirt pkg/storage/backend-storage/backend-storage.go)
STATE_DISK = Disk("persistent-state-for", "persistentVolumeClaim", 1, CEPHFS, volume_mode="Filesystem", template=False)


def claim_name(machine: Machine, disk: Disk) -> str:
    """The PVC that a disk uses; the root disk's is named like the machine."""
    if disk is STATE_DISK:
        return f"{disk.name}-{machine.name}-{stable_suffix('state', machine.namespace, machine.name)}"
    return machine.name if disk.name == "rootdisk" else f"{machine.name}-{disk.name}"


def has_claim(disk: Disk) -> bool:
    return disk.source in ("dataVolume", "persistentVolumeClaim")


def storage_objects() -> Iterator[Obj]:
    """StorageClass and StorageProfile of every class (CDI pkg/storagecapabilities/storagecapabilities.go)."""
    for storage_class in STORAGE_CLASSES:
        more: Obj = {}
        if storage_class.default:
            more["annotations"] = {
                "storageclass.kubernetes.io/is-default-class": "true",
                "storageclass.kubevirt.io/is-default-virt-class": "true",
            }
        yield {
            "apiVersion": "storage.k8s.io/v1",
            "kind": "StorageClass",
            "metadata": {
                "name": storage_class.name,
                "uid": stable_uid("StorageClass", storage_class.name),
                "creationTimestamp": INSTALLED_AT,
                **more,
            },
            "provisioner": storage_class.provisioner,
            "reclaimPolicy": "Delete",
            "volumeBindingMode": "WaitForFirstConsumer" if storage_class.local else "Immediate",
            "allowVolumeExpansion": True,
        }
        yield {
            "apiVersion": "cdi.kubevirt.io/v1beta1",
            "kind": "StorageProfile",
            "metadata": {
                "name": storage_class.name,
                "uid": stable_uid("StorageProfile", storage_class.name),
                "creationTimestamp": INSTALLED_AT,
                "generation": 1,
            },
            "spec": {},
            "status": {
                "storageClass": storage_class.name,
                "provisioner": storage_class.provisioner,
                "cloneStrategy": "copy" if storage_class.local else "csi-clone",
                "claimPropertySets": [
                    {"accessModes": [access], "volumeMode": mode} for access, mode in storage_class.claim_property_sets
                ],
            },
        }


def claim_objects(machine: Machine, disk: Disk) -> Iterator[Obj]:
    """The DataVolume (if it has one), PVC and PV of a disk; nothing if it has no claim or the claim is missing."""
    if not has_claim(disk) or not disk.exists:
        return
    name = claim_name(machine, disk)
    key = (machine.namespace, name)
    more: Obj = {}
    if disk.source == "dataVolume":
        yield _data_volume(machine, disk, name)
        owner = owner_reference("cdi.kubevirt.io/v1beta1", "DataVolume", name, stable_uid("DataVolume", *key))
        more = {"labels": {"app": "containerized-data-importer"}, "ownerReferences": [owner]}
    elif disk is STATE_DISK:
        owner = owner_reference("kubevirt.io/v1", "VirtualMachine", machine.name, machine.uid)
        more = {"labels": {"persistent-state-for": machine.name}, "ownerReferences": [owner]}
    volume = f"pvc-{stable_uid('PersistentVolumeClaim', *key)}"
    size = f"{disk.size_gib}Gi"
    yield {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {
            "name": name,
            "namespace": machine.namespace,
            "uid": stable_uid("PersistentVolumeClaim", *key),
            "creationTimestamp": INSTALLED_AT,
            "annotations": {"pv.kubernetes.io/bind-completed": "yes"},
            "finalizers": ["kubernetes.io/pvc-protection"],
            **more,
        },
        "spec": {
            "accessModes": [disk.access_mode],
            "volumeMode": disk.volume_mode,
            "storageClassName": disk.storage_class.name,
            "resources": {"requests": {"storage": size}},
            "volumeName": volume,
        },
        "status": {"phase": "Bound", "accessModes": [disk.access_mode], "capacity": {"storage": size}},
    }
    yield _persistent_volume(machine, disk, name, volume)


def claim_info(machine: Machine, disk: Disk) -> Obj:
    """What virt-handler copies from the claim into volumeStatus[].persistentVolumeClaimInfo."""
    size = f"{disk.size_gib}Gi"
    return {
        "claimName": claim_name(machine, disk),
        "accessModes": [disk.access_mode],
        "volumeMode": disk.volume_mode,
        "capacity": {"storage": size},
        "requests": {"storage": str(disk.size_gib * GIB)},
        "filesystemOverhead": "0" if disk.volume_mode == "Block" else "0.06",
    }


def data_volume_template(machine: Machine, disk: Disk) -> Obj:
    """The entry of spec.dataVolumeTemplates that the disk's DataVolume was made from."""
    return {
        "metadata": {"name": claim_name(machine, disk)},
        "spec": {
            "source": {"pvc": {"namespace": "golden-images", "name": f"{machine.operating_system}-image"}},
            "pvc": {
                "accessModes": [disk.access_mode],
                "volumeMode": disk.volume_mode,
                "storageClassName": disk.storage_class.name,
                "resources": {"requests": {"storage": f"{disk.size_gib}Gi"}},
            },
        },
    }


def _data_volume(machine: Machine, disk: Disk, name: str) -> Obj:
    return {
        "apiVersion": "cdi.kubevirt.io/v1beta1",
        "kind": "DataVolume",
        "metadata": {
            "name": name,
            "namespace": machine.namespace,
            "uid": stable_uid("DataVolume", machine.namespace, name),
            "creationTimestamp": INSTALLED_AT,
            "generation": 1,
            "labels": {"kubevirt.io/created-by": machine.uid},
            "ownerReferences": [owner_reference("kubevirt.io/v1", "VirtualMachine", machine.name, machine.uid)],
        },
        "spec": data_volume_template(machine, disk)["spec"],
        "status": {"claimName": name, "phase": "Succeeded", "progress": "100.0%"},
    }


def _persistent_volume(machine: Machine, disk: Disk, claim: str, name: str) -> Obj:
    storage_class: StorageClass = disk.storage_class
    spec: Obj = {
        "accessModes": [disk.access_mode],
        "volumeMode": disk.volume_mode,
        "capacity": {"storage": f"{disk.size_gib}Gi"},
        "storageClassName": storage_class.name,
        "persistentVolumeReclaimPolicy": "Delete",
        "csi": {"driver": storage_class.provisioner, "volumeHandle": stable_uid("handle", machine.namespace, claim)},
        "claimRef": {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "namespace": machine.namespace,
            "name": claim,
            "uid": stable_uid("PersistentVolumeClaim", machine.namespace, claim),
        },
    }
    if storage_class.local:
        expression = {"key": "topology.topolvm.io/node", "operator": "In", "values": [machine.node]}
        spec["nodeAffinity"] = {"required": {"nodeSelectorTerms": [{"matchExpressions": [expression]}]}}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {
            "name": name,
            "uid": stable_uid("PersistentVolume", name),
            "creationTimestamp": INSTALLED_AT,
            "finalizers": ["kubernetes.io/pv-protection"],
        },
        "spec": spec,
        "status": {"phase": "Bound"},
    }
