"""The objects by which an API server knows of the companion."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from .. import admission, eviction
from ..api.discovery import METRICS, SUBRESOURCES

Obj = dict[str, Any]
NAME = "ocpv-simcluster"
NAMESPACE = "kube-system"
HOST = f"{NAME}.{NAMESPACE}.svc"
"""The name that the API server expects in the certificate."""
CONVERT, EVICT = "/convert", "/evict"
_CONVERTED = "hyperconvergeds.hco.kubevirt.io"


def mutate_path(number: int) -> str:
    """Where the webhook of that number in C(admission.MUTATING) is."""
    return f"/mutate/{number}"


def validate_path(number: int) -> str:
    """Where the webhook of that number in C(admission.VALIDATING) is."""
    return f"/validate/{number}"


def webhook_configurations(url: str, authority: str) -> list[Obj]:
    """Both configurations; C(authority) is the CA's certificate in base64."""
    mutating = [_webhook(each, url + mutate_path(number), authority) for number, each in enumerate(admission.MUTATING)]
    validating = [
        _webhook(each, url + validate_path(number), authority) for number, each in enumerate(admission.VALIDATING)
    ]
    evicting = admission.Webhook(eviction.WEBHOOK, "", "pods/eviction", ("CREATE",), lambda request, lookup: None)
    validating.append(_webhook(evicting, url + EVICT, authority))
    return [
        _configuration("MutatingWebhookConfiguration", mutating),
        _configuration("ValidatingWebhookConfiguration", validating),
    ]


def conversion_patch(url: str, authority: str) -> tuple[str, Obj]:
    """Name of the CustomResourceDefinition whose versions differ, and the patch that lets the companion convert it."""
    client = {"url": url + CONVERT, "caBundle": authority}
    conversion = {
        "strategy": "Webhook",
        "webhook": {"clientConfig": client, "conversionReviewVersions": ["v1"]},
    }
    return _CONVERTED, {"spec": {"conversion": conversion}}


def aggregated_apis(port: int, authority: str) -> list[Obj]:
    """A service that leads to this machine, and the API groups behind it."""
    service: Obj = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": NAME, "namespace": NAMESPACE},
        "spec": {"type": "ExternalName", "externalName": "localhost"},
    }
    groups = [(METRICS[0], METRICS[1]), *((SUBRESOURCES[0], version) for version in SUBRESOURCES[1])]
    return [service, *(_api_service(group, version, port, authority) for group, version in groups)]


def _api_service(group: str, version: str, port: int, authority: str) -> Obj:
    return {
        "apiVersion": "apiregistration.k8s.io/v1",
        "kind": "APIService",
        "metadata": {"name": f"{version}.{group}"},
        "spec": {
            "group": group,
            "version": version,
            "groupPriorityMinimum": 1000,
            "versionPriority": 15,
            "caBundle": authority,
            "service": {"namespace": NAMESPACE, "name": NAME, "port": port},
        },
    }


def _webhook(webhook: admission.Webhook, url: str, authority: str) -> Obj:
    return {
        "name": webhook.name,
        "clientConfig": {"url": url, "caBundle": authority},
        "rules": [
            {
                "apiGroups": [webhook.group],
                "apiVersions": ["*"],
                "operations": list(webhook.operations),
                "resources": [webhook.resource],
            }
        ],
        "failurePolicy": "Fail",
        "matchPolicy": "Exact",
        "sideEffects": "NoneOnDryRun",
        "admissionReviewVersions": ["v1"],
        "timeoutSeconds": 10,
    }


def _configuration(kind: str, webhooks: Iterable[Obj]) -> Obj:
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": kind,
        "metadata": {"name": NAME},
        "webhooks": list(webhooks),
    }
