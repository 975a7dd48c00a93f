"""HyperConverged: its name, its JSON patch annotations, and the operands it will be copied to.

Source: hyperconverged-cluster-operator pkg/webhooks/validator/validator.go,
pkg/webhooks/mutator/hyperConvergedMutator.go, controllers/operands/operand.go.
"""

from __future__ import annotations

import orjson

from ..quantity import whole
from .types import Lookup, Obj, Request, refused

NAME = "kubevirt-hyperconverged"
KUBEVIRT_NAME = f"kubevirt-{NAME}"
JSON_PATCH_ANNOTATIONS = (
    "kubevirt.kubevirt.io/jsonpatch",
    "containerizeddataimporter.kubevirt.io/jsonpatch",
    "networkaddonsconfigs.kubevirt.io/jsonpatch",
    "ssp.kubevirt.io/jsonpatch",
)
MUTATING_WEBHOOK = "mutate-hyperconverged-hco.kubevirt.io"
VALIDATING_WEBHOOK = "validate-hco.kubevirt.io"
_COUNTS = ("parallelMigrationsPerCluster", "parallelOutboundMigrationsPerNode")


def live_migration_config(hyperconverged: Obj) -> Obj:
    """C(liveMigrationConfig) in either layout."""
    spec: Obj = hyperconverged.get("spec") or {}
    if hyperconverged.get("apiVersion", "").endswith("/v1"):
        spec = spec.get("virtualization") or {}
    config: Obj = spec.get("liveMigrationConfig") or {}
    return config


def mutate(request: Request, lookup: Lookup) -> None:
    """Decodes the object into unsigned counts, and fills in the eviction strategy of a known infrastructure."""
    hyperconverged: Obj = request.object or {}
    config = live_migration_config(hyperconverged)
    if any(isinstance(config.get(name), int) and config[name] < 0 for name in _COUNTS):
        raise refused(MUTATING_WEBHOOK, "failed to parse the HyperConverged")
    available = (hyperconverged.get("status") or {}).get("infrastructureHighlyAvailable")
    if available is None:
        return
    spec: Obj = hyperconverged.setdefault("spec", {})
    if hyperconverged.get("apiVersion", "").endswith("/v1"):
        spec = spec.setdefault("virtualization", {})
    spec.setdefault("evictionStrategy", "LiveMigrate" if available else "None")


def validate(request: Request, lookup: Lookup) -> list[str]:
    """What can be refused without asking other operators; an update also needs the KubeVirt it will be copied to."""
    if request.operation == "DELETE":
        _check_delete(request, lookup)
        return []
    hyperconverged: Obj = request.object or {}
    metadata: Obj = hyperconverged.get("metadata") or {}
    if request.operation == "CREATE" and metadata.get("name") != NAME:
        text = f"metadata.name in body should match '{NAME}'"
        raise refused(VALIDATING_WEBHOOK, text, 422, "Invalid")
    for annotation in JSON_PATCH_ANNOTATIONS:
        _check_json_patch(annotation, (metadata.get("annotations") or {}).get(annotation))
    _check_bandwidth(live_migration_config(hyperconverged).get("bandwidthPerMigration"))
    if request.operation == "UPDATE" and not metadata.get("deletionTimestamp"):
        _check_operand(request, lookup)
    return []


def _check_delete(request: Request, lookup: Lookup) -> None:
    """Not while machines exist, unless the uninstall strategy says otherwise."""
    old: Obj = request.old_object or {}
    spec: Obj = old.get("spec") or {}
    strategy = spec.get("uninstallStrategy") or (spec.get("deployment") or {}).get("uninstallStrategy")
    if strategy == "BlockUninstallIfWorkloadsExist" and lookup.list("kubevirt.io", "virtualmachines"):
        text = "there are existing Virtual Machines; they must be removed first"
        raise refused(VALIDATING_WEBHOOK, text, 403, "Forbidden")


def _check_json_patch(annotation: str, text: str | None) -> None:
    if not text:
        return
    try:
        operations = orjson.loads(text)
        if not isinstance(operations, list) or not all(isinstance(each, dict) for each in operations):
            raise ValueError("a list of operations is needed")
        if not all(str(each.get("path", "")).startswith("/spec/") for each in operations):
            raise ValueError("can only modify spec fields")
    except ValueError as problem:
        message = f"invalid jsonPatch in the {annotation} annotation: {problem}"
        raise refused(VALIDATING_WEBHOOK, message, 403, "Forbidden") from problem


def _check_bandwidth(text: str | None) -> None:
    if text is None:
        return
    try:
        whole(text)
    except ValueError as problem:
        message = f"failed to parse the LiveMigrationConfig.bandwidthPerMigration field; {problem}"
        raise refused(VALIDATING_WEBHOOK, message, 403, "Forbidden") from problem


def _check_operand(request: Request, lookup: Lookup) -> None:
    if lookup.get("kubevirt.io", "kubevirts", request.namespace, KUBEVIRT_NAME) is None:
        raise refused(
            VALIDATING_WEBHOOK,
            f'KubeVirt.kubevirt.io "{KUBEVIRT_NAME}" not found',
            404,
            "NotFound",
            {"name": KUBEVIRT_NAME, "group": "kubevirt.io", "kind": "KubeVirt"},
        )
