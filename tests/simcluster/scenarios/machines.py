"""A machine as VirtualMachine, and the pools that own some."""

from __future__ import annotations

from ..controllers.machine_status import machine_status
from . import volumes
from .behaviour import template_annotations
from .domain import instance_spec
from .instances import OBSERVED_VERSIONS
from .values import (
    INSTALLED_AT,
    STARTED_AT,
    Machine,
    Obj,
    owner_reference,
    stable_uid,
)


def virtual_machine(machine: Machine, instance: Obj | None) -> Obj:
    """The VirtualMachine with the status that the controllers give it; C(instance) if it runs."""
    metadata: Obj = {
        "name": machine.name,
        "namespace": machine.namespace,
        "uid": machine.uid,
        "creationTimestamp": INSTALLED_AT,
        "generation": 2,
        "labels": {"app": machine.name},
        "annotations": dict(OBSERVED_VERSIONS),
        "finalizers": ["kubevirt.io/virtualMachineControllerFinalize"],
    }
    if machine.pool:
        metadata["labels"]["kubevirt.io/vmpool"] = machine.pool
        metadata["ownerReferences"] = [
            owner_reference("pool.kubevirt.io/v1beta1", "VirtualMachinePool", machine.pool, pool_uid(machine))
        ]
    virtual_machine = {
        "apiVersion": "kubevirt.io/v1",
        "kind": "VirtualMachine",
        "metadata": metadata,
        "spec": _spec(machine),
    }
    status = machine_status(virtual_machine, instance, [], STARTED_AT)
    if instance is not None:
        status["volumeSnapshotStatuses"] = [
            {"name": disk.name, "enabled": volumes.has_claim(disk)} for disk in machine.disks
        ]
    virtual_machine["status"] = {field: value for field, value in status.items() if value is not None}
    return virtual_machine


def _spec(machine: Machine) -> Obj:
    spec: Obj = {
        "template": {
            "metadata": {
                "labels": machine.all_labels,
                "annotations": template_annotations(machine),
            },
            "spec": instance_spec(machine, defaulted=False),
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
    return spec


def pool_uid(machine: Machine) -> str:
    return stable_uid("VirtualMachinePool", machine.namespace, machine.pool)


def pool(name: str, members: list[Machine]) -> Obj:
    """The VirtualMachinePool that owns C(members)."""
    first = members[0]
    labels = {"kubevirt.io/vmpool": name}
    template = _spec(first)
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
