"""VirtualMachineInstance: cluster defaults at creation; afterwards only KubeVirt changes it.

Source: KubeVirt pkg/defaults/defaults.go, pkg/virt-api/webhooks/mutating-webhook/mutators/vmi-mutator.go,
pkg/virt-api/webhooks/validating-webhook/admitters/vmi-update-admitter.go.
"""

from __future__ import annotations

from ..quantity import bytes_text, whole
from .types import Lookup, Obj, Request, cause, invalid, is_kubevirt

FOREGROUND_FINALIZER = "kubevirt.io/foregroundDeleteVirtualMachine"
EVICTION_STRATEGIES = ("None", "LiveMigrate", "LiveMigrateIfPossible", "External")
CREATE_WEBHOOK = "virtualmachineinstances-create-validator.kubevirt.io"
UPDATE_WEBHOOK = "virtualmachineinstances-update-validator.kubevirt.io"
_MAX_GUEST_RATIO = 4
_RESERVED_LABELS = (
    "kubevirt.io/created-by",
    "kubevirt.io/migrationJobUID",
    "kubevirt.io/nodeName",
    "kubevirt.io/migrationTargetNodeName",
    "kubevirt.io/schedulable",
    "kubevirt.io/install-strategy",
)


def mutate(request: Request, lookup: Lookup) -> None:
    """Write the cluster's defaults into the spec, and the first status (the kind has no status subresource)."""
    instance: Obj = request.object or {}
    metadata = instance.setdefault("metadata", {})
    finalizers = list(metadata.get("finalizers") or [])
    if FOREGROUND_FINALIZER not in finalizers:
        metadata["finalizers"] = [*finalizers, FOREGROUND_FINALIZER]
    set_defaults(instance.setdefault("spec", {}), cluster_configuration(lookup))
    instance["status"] = {"phase": "Pending", "runtimeUser": 107}


def cluster_configuration(lookup: Lookup) -> Obj:
    """C(spec.configuration) of the KubeVirt, empty when there is none."""
    for kubevirt in lookup.list("kubevirt.io", "kubevirts"):
        configuration: Obj = (kubevirt.get("spec") or {}).get("configuration") or {}
        return configuration
    return {}


def set_defaults(spec: Obj, configuration: Obj) -> None:
    """The defaults of an instance's spec, in place."""
    spec.setdefault("architecture", "amd64")
    if configuration.get("evictionStrategy"):
        spec.setdefault("evictionStrategy", configuration["evictionStrategy"])
    spec.setdefault("terminationGracePeriodSeconds", 30)
    domain: Obj = spec.setdefault("domain", {})
    cpu: Obj = domain.setdefault("cpu", {})
    cpu.setdefault("model", configuration.get("cpuModel") or "host-model")
    memory: Obj = domain.get("memory") or {}
    if memory.get("guest") and not memory.get("maxGuest") and not memory.get("hugepages"):
        memory["maxGuest"] = bytes_text(whole(memory["guest"]) * _MAX_GUEST_RATIO)
    domain.setdefault("features", {}).setdefault("acpi", {}).setdefault("enabled", True)
    domain.setdefault("machine", {}).setdefault("type", configuration.get("machineType") or "q35")
    domain.setdefault("resources", {})


def eviction_strategy_causes(spec: Obj, path: str) -> list[dict[str, str]]:
    """Refuses an unknown eviction strategy (vmi-create-admitter.go)."""
    strategy = spec.get("evictionStrategy")
    if strategy is None or strategy in EVICTION_STRATEGIES:
        return []
    field_path = f"{path}.evictionStrategy"
    return [cause(f"{field_path} is set with an unrecognized option: {strategy}", field_path)]


def disk_causes(spec: Obj, path: str) -> list[dict[str, str]]:
    """Every disk needs the volume of its name, and names must differ."""
    volumes = {volume.get("name") for volume in spec.get("volumes") or []}
    causes = []
    seen: set[str] = set()
    for index, disk in enumerate(((spec.get("domain") or {}).get("devices") or {}).get("disks") or []):
        name = disk.get("name", "")
        field_path = f"{path}.domain.devices.disks[{index}]"
        if name in seen:
            text = (
                f"{field_path} and {path}.domain.devices.disks[{list(seen).index(name)}] must not have the same Name."
            )
            causes.append(cause(text, f"{field_path}.name"))
        seen.add(name)
        if name not in volumes:
            causes.append(cause(f"{field_path}.Name '{name}' not found.", f"{field_path}.name"))
    return causes


def validate_create(request: Request, lookup: Lookup) -> list[str]:
    """Refuses what KubeVirt could not start."""
    spec: Obj = (request.object or {}).get("spec") or {}
    causes = disk_causes(spec, "spec") + eviction_strategy_causes(spec, "spec")
    if causes:
        raise invalid(CREATE_WEBHOOK, *causes)
    return []


def validate_update(request: Request, lookup: Lookup) -> list[str]:
    """Users may change other labels and, strangely, the status; not the spec, not the labels KubeVirt steers by."""
    if is_kubevirt(request.user):
        return []
    new, old = request.object or {}, request.old_object or {}
    if new.get("spec") != old.get("spec"):
        raise invalid(UPDATE_WEBHOOK, cause("update of VMI object is restricted", reason="FieldValueNotSupported"))
    labels, before = (_labels(instance) for instance in (new, old))
    if any(labels.get(key) != before.get(key) for key in _RESERVED_LABELS):
        text = "modification of the following reserved kubevirt.io/ labels on a VMI object is prohibited"
        raise invalid(UPDATE_WEBHOOK, cause(text, reason="FieldValueNotSupported"))
    return []


def _labels(instance: Obj) -> dict[str, str]:
    labels: dict[str, str] = (instance.get("metadata") or {}).get("labels") or {}
    return labels
