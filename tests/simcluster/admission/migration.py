"""VirtualMachineInstanceMigration: one job at a time, only for what can move, and its spec never changes.

Source: KubeVirt pkg/virt-api/webhooks/validating-webhook/admitters/migration-create-admitter.go,
migration-update-admitter.go and pkg/virt-api/webhooks/mutating-webhook/mutators/migration-create-mutator.go.
"""

from __future__ import annotations

from .types import Lookup, Obj, Request, cause, invalid, is_kubevirt, refused

VMI_LABEL = "kubevirt.io/vmi-name"
FINALIZER = "kubevirt.io/migrationJobFinalize"
CREATE_WEBHOOK = "migration-create-validator.kubevirt.io"
UPDATE_WEBHOOK = "migration-update-validator.kubevirt.io"
_FINAL = ("Succeeded", "Failed")


def mutate(request: Request, lookup: Lookup) -> None:
    """The label to find an instance's migrations by, and the controller's finalizer."""
    migration: Obj = request.object or {}
    metadata = migration.setdefault("metadata", {})
    name = (migration.get("spec") or {}).get("vmiName")
    if isinstance(name, str):
        metadata["labels"] = {**(metadata.get("labels") or {}), VMI_LABEL: name}
    finalizers = list(metadata.get("finalizers") or [])
    if FINALIZER not in finalizers:
        metadata["finalizers"] = [*finalizers, FINALIZER]


def validate_create(request: Request, lookup: Lookup) -> list[str]:
    """The checks of migration-create-admitter.go, in its order."""
    spec: Obj = (request.object or {}).get("spec") or {}
    name = spec.get("vmiName")
    if not name:
        raise invalid(CREATE_WEBHOOK, cause("vmiName is missing", "spec.vmiName", "FieldValueRequired"))
    if spec.get("priority") and not is_kubevirt(request.user, "controller"):
        text = "Migration priority queue, only virt-controller is allowed to set priority field"
        raise invalid(CREATE_WEBHOOK, cause(text, "spec.migrationPriority", "FieldValueNotSupported"))
    instance = lookup.get("kubevirt.io", "virtualmachineinstances", request.namespace, name)
    if instance is None:
        raise refused(CREATE_WEBHOOK, f'the VMI "{request.namespace}/{name}" does not exist')
    status: Obj = instance.get("status") or {}
    if status.get("phase") in _FINAL:
        raise refused(CREATE_WEBHOOK, "Cannot migrate VMI in finalized state.")
    for condition in status.get("conditions") or []:
        if condition["type"] == "LiveMigratable" and condition["status"] == "False":
            reason, message = condition.get("reason", ""), condition.get("message", "")
            raise refused(CREATE_WEBHOOK, f"Cannot migrate VMI, Reason: {reason}, Message: {message}")
    for other in lookup.list("kubevirt.io", "virtualmachineinstancemigrations", request.namespace, {VMI_LABEL: name}):
        if (other.get("status") or {}).get("phase") not in _FINAL:
            raise refused(
                CREATE_WEBHOOK,
                f"in-flight migration detected. Active migration job ({other['metadata']['uid']}) is currently already "
                f"in progress for VMI {name}.",
            )
    return []


def validate_update(request: Request, lookup: Lookup) -> list[str]:
    """Neither the spec nor, while the job is unfinished, the label of the instance may change."""
    new, old = request.object or {}, request.old_object or {}
    if new.get("spec") != old.get("spec"):
        raise invalid(
            UPDATE_WEBHOOK, cause("update of Migration object's spec is restricted", reason="FieldValueNotSupported")
        )
    if (old.get("status") or {}).get("phase") not in _FINAL and _label(new) != _label(old):
        text = "selector label can't be modified on an in-flight migration"
        raise invalid(UPDATE_WEBHOOK, cause(text, reason="FieldValueNotSupported"))
    return []


def _label(migration: Obj) -> str | None:
    labels: dict[str, str] = (migration.get("metadata") or {}).get("labels") or {}
    return labels.get(VMI_LABEL)
