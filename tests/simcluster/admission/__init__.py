"""Admission: what the webhooks of KubeVirt, of its operator and of nmstate answer, and quotas, as pure functions.

The API server calls C(mutate), then validates by schema, then C(validate).
"""

from __future__ import annotations

from collections.abc import Iterable

from . import hyperconverged, instance, kubevirt, migration, node_network, policy, quota, virtual_machine
from .types import Denied, Lookup, Request, Webhook, own_words

__all__ = ["MUTATING", "VALIDATING", "Denied", "Lookup", "Request", "Webhook", "mutate", "own_words", "validate"]

_KUBEVIRT, _OPERATOR, _POLICIES = "kubevirt.io", "hco.kubevirt.io", "migrations.kubevirt.io"
_VMS, _INSTANCES, _MIGRATIONS = "virtualmachines", "virtualmachineinstances", "virtualmachineinstancemigrations"
_NMSTATE, _NODE_NETWORKS = "nmstate.io", "nodenetworkconfigurationpolicies"
_CREATE, _UPDATE, _WRITE = ("CREATE",), ("UPDATE",), ("CREATE", "UPDATE")
MUTATING = (
    Webhook("virtualmachines-mutator.kubevirt.io", _KUBEVIRT, _VMS, _CREATE, virtual_machine.mutate),
    Webhook("virtualmachineinstances-mutator.kubevirt.io", _KUBEVIRT, _INSTANCES, _CREATE, instance.mutate),
    Webhook("migrations-mutator.kubevirt.io", _KUBEVIRT, _MIGRATIONS, _CREATE, migration.mutate),
    Webhook(hyperconverged.MUTATING_WEBHOOK, _OPERATOR, "hyperconvergeds", _WRITE, hyperconverged.mutate),
)
VALIDATING = (
    Webhook(virtual_machine.VALIDATING_WEBHOOK, _KUBEVIRT, _VMS, _WRITE, virtual_machine.validate),
    Webhook(instance.CREATE_WEBHOOK, _KUBEVIRT, _INSTANCES, _CREATE, instance.validate_create),
    Webhook(instance.UPDATE_WEBHOOK, _KUBEVIRT, _INSTANCES, _UPDATE, instance.validate_update),
    Webhook(migration.CREATE_WEBHOOK, _KUBEVIRT, _MIGRATIONS, _CREATE, migration.validate_create),
    Webhook(migration.UPDATE_WEBHOOK, _KUBEVIRT, _MIGRATIONS, _UPDATE, migration.validate_update),
    Webhook(kubevirt.CREATE_WEBHOOK, _KUBEVIRT, "kubevirts", _CREATE, kubevirt.validate_create),
    Webhook(node_network.CREATE_WEBHOOK, _NMSTATE, _NODE_NETWORKS, _CREATE, node_network.validate_create),
    Webhook(node_network.UPDATE_WEBHOOK, _NMSTATE, _NODE_NETWORKS, _UPDATE, node_network.validate_update),
    Webhook(policy.VALIDATING_WEBHOOK, _POLICIES, "migrationpolicies", _WRITE, policy.validate),
    Webhook(
        hyperconverged.VALIDATING_WEBHOOK,
        _OPERATOR,
        "hyperconvergeds",
        ("CREATE", "UPDATE", "DELETE"),
        hyperconverged.validate,
    ),
)
# what the API server refuses by itself
_BUILT_IN = (Webhook("", "", "pods", _CREATE, quota.validate),)


def _by_request(webhooks: Iterable[Webhook]) -> dict[tuple[str, str, str], Webhook]:
    return {(each.group, each.resource, operation): each for each in webhooks for operation in each.operations}


_MUTATE = _by_request(MUTATING)
_VALIDATE = _by_request((*VALIDATING, *_BUILT_IN))


def mutate(request: Request, lookup: Lookup) -> None:
    """Fill in C(request.object) what the mutating webhooks do. Raises Denied."""
    webhook = _MUTATE.get((request.group, request.resource, request.operation))
    if webhook is not None and not request.subresource and request.object is not None:
        webhook.call(request, lookup)


def validate(request: Request, lookup: Lookup) -> list[str]:
    """Check the defaulted object; returns texts for Warning headers. Raises Denied."""
    webhook = _VALIDATE.get((request.group, request.resource, request.operation))
    if webhook is None or request.subresource:
        return []
    return webhook.call(request, lookup) or []
