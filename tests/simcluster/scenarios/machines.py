"""A machine as VirtualMachine, and the pools that own some."""

from __future__ import annotations

from . import volumes
from .behaviour import template_annotations
from .domain import instance_spec
from .instances import OBSERVED_VERSIONS, condition, instance_conditions
from .values import (
    INSTALLED_AT,
    Machine,
    Obj,
    owner_reference,
    stable_uid,
)


def virtual_machine(machine: Machine) -> Obj:
    """The VirtualMachine with the status virt-controller gives it."""
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
    return {
        "apiVersion": "kubevirt.io/v1",
        "kind": "VirtualMachine",
        "metadata": metadata,
        "spec": spec,
        "status": _vm_status(machine),
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


def _vm_status(machine: Machine) -> Obj:
    status: Obj = {"desiredGeneration": 2, "observedGeneration": 2}
    status["runStrategy"] = (
        machine.run_strategy if machine.legacy_running is None else ("Always" if machine.legacy_running else "Halted")
    )
    if not machine.running:
        status["printableStatus"] = "Stopped"
        status["conditions"] = [
            condition("Ready", "False", "VMINotExists", "VMI does not exist"),
        ]
        return status
    status["printableStatus"] = "Paused" if machine.state == "paused" else "Running"
    status["created"] = True
    status["ready"] = machine.state != "paused"
    status["conditions"] = instance_conditions(machine)
    status["volumeSnapshotStatuses"] = [
        {"name": disk.name, "enabled": volumes.has_claim(disk)} for disk in machine.disks
    ]
    return status
