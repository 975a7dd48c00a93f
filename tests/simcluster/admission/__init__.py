"""Admission: what KubeVirt's and the HyperConverged operator's webhooks answer, and quotas, as pure functions.

The API server calls C(mutate), then validates by schema, then C(validate).
"""

from __future__ import annotations

from collections.abc import Callable

from . import hyperconverged, instance, kubevirt, migration, policy, quota, virtual_machine
from .types import Denied, Lookup, Request

__all__ = ["Denied", "Lookup", "Request", "mutate", "validate"]

_MUTATE: dict[tuple[str, str, str], Callable[[Request, Lookup], None]] = {
    ("kubevirt.io", "virtualmachines", "CREATE"): virtual_machine.mutate,
    ("kubevirt.io", "virtualmachineinstances", "CREATE"): instance.mutate,
    ("kubevirt.io", "virtualmachineinstancemigrations", "CREATE"): migration.mutate,
    ("hco.kubevirt.io", "hyperconvergeds", "CREATE"): hyperconverged.mutate,
    ("hco.kubevirt.io", "hyperconvergeds", "UPDATE"): hyperconverged.mutate,
}
_VALIDATE: dict[tuple[str, str, str], Callable[[Request, Lookup], list[str]]] = {
    ("kubevirt.io", "virtualmachines", "CREATE"): virtual_machine.validate,
    ("kubevirt.io", "virtualmachines", "UPDATE"): virtual_machine.validate,
    ("kubevirt.io", "virtualmachineinstances", "CREATE"): instance.validate_create,
    ("kubevirt.io", "virtualmachineinstances", "UPDATE"): instance.validate_update,
    ("kubevirt.io", "virtualmachineinstancemigrations", "CREATE"): migration.validate_create,
    ("kubevirt.io", "virtualmachineinstancemigrations", "UPDATE"): migration.validate_update,
    ("kubevirt.io", "kubevirts", "CREATE"): kubevirt.validate_create,
    ("", "pods", "CREATE"): quota.validate,
    ("migrations.kubevirt.io", "migrationpolicies", "CREATE"): policy.validate,
    ("migrations.kubevirt.io", "migrationpolicies", "UPDATE"): policy.validate,
    ("hco.kubevirt.io", "hyperconvergeds", "CREATE"): hyperconverged.validate,
    ("hco.kubevirt.io", "hyperconvergeds", "UPDATE"): hyperconverged.validate,
    ("hco.kubevirt.io", "hyperconvergeds", "DELETE"): hyperconverged.validate_delete,
}


def mutate(request: Request, lookup: Lookup) -> None:
    """Fill in C(request.object) what the mutating webhooks do. Raises Denied."""
    webhook = _MUTATE.get((request.group, request.resource, request.operation))
    if webhook is not None and not request.subresource and request.object is not None:
        webhook(request, lookup)


def validate(request: Request, lookup: Lookup) -> list[str]:
    """Check the defaulted object; returns texts for Warning headers. Raises Denied."""
    webhook = _VALIDATE.get((request.group, request.resource, request.operation))
    if webhook is None or request.subresource:
        return []
    return webhook(request, lookup)
