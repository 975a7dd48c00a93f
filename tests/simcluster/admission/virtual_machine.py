"""VirtualMachine: defaults that must not change between starts, and the checks of its template.

Source: KubeVirt pkg/virt-api/webhooks/mutating-webhook/mutators/vm-mutator.go,
pkg/virt-api/webhooks/validating-webhook/admitters/vms-admitter.go.
"""

from __future__ import annotations

import uuid

from .instance import cluster_configuration, disk_causes, eviction_strategy_causes
from .types import Lookup, Obj, Request, cause, invalid

RUN_STRATEGIES = ("Always", "RerunOnFailure", "Manual", "Once", "Halted", "WaitAsReceiver")
VALIDATING_WEBHOOK = "virtualmachine-validator.kubevirt.io"
_EXCLUSIVE = (
    "Running and RunStrategy are mutually exclusive. Note that Running is deprecated, please use RunStrategy instead"
)
_DEPRECATED = "spec.running is deprecated, please use spec.runStrategy instead."


def mutate(request: Request, lookup: Lookup) -> None:
    """Identity and machine type of the guest, written into the template once."""
    spec: Obj = (request.object or {}).get("spec") or {}
    template = spec.get("template")
    if not isinstance(template, dict):
        return
    metadata: Obj = template.setdefault("metadata", {})
    metadata.setdefault("annotations", {}).setdefault("kubevirt.io/pci-topology-version", "v3")
    instance: Obj = template.setdefault("spec", {})
    instance.setdefault("architecture", "amd64")
    domain: Obj = instance.setdefault("domain", {})
    machine_type = cluster_configuration(lookup).get("machineType") or "q35"
    domain.setdefault("machine", {}).setdefault("type", machine_type)
    domain.setdefault("resources", {})
    firmware: Obj = domain.setdefault("firmware", {})
    firmware.setdefault("uuid", str(uuid.uuid4()))
    firmware.setdefault("serial", str(uuid.uuid4()))


def validate(request: Request, lookup: Lookup) -> list[str]:
    """Run strategy, disks, eviction strategy; warns of C(spec.running)."""
    virtual_machine: Obj = request.object or {}
    if (virtual_machine.get("metadata") or {}).get("deletionTimestamp"):
        return []
    spec: Obj = virtual_machine.get("spec") or {}
    running, strategy = spec.get("running"), spec.get("runStrategy")
    if running is not None and strategy:
        raise invalid(VALIDATING_WEBHOOK, cause(_EXCLUSIVE, "spec.running"))
    if running is None and not strategy:
        raise invalid(VALIDATING_WEBHOOK, cause("One of Running or RunStrategy must be specified", "spec.running"))
    if strategy and strategy not in RUN_STRATEGIES:
        raise invalid(VALIDATING_WEBHOOK, cause(f"Invalid RunStrategy ({strategy})", "spec.runStrategy"))
    instance: Obj = (spec.get("template") or {}).get("spec") or {}
    path = "spec.template.spec"
    causes = disk_causes(instance, path) + eviction_strategy_causes(instance, path)
    if causes:
        raise invalid(VALIDATING_WEBHOOK, *causes)
    return [_DEPRECATED] if running is not None else []
