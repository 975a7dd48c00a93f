"""POST pods/eviction: budgets of ordinary pods, and KubeVirt's interceptor of launcher pods.

Source: Kubernetes pkg/registry/core/pod/storage/eviction.go; KubeVirt
pkg/virt-api/webhooks/validating-webhook/admitters/pod-eviction-admitter.go.
"""

from __future__ import annotations

import math

from . import admission
from .actions import Obj, Outcome, SubresourceRequest, Write, failure, not_found, success
from .admission.instance import cluster_configuration
from .selectors import matches

WEBHOOK = "virt-launcher-eviction-interceptor.kubevirt.io"
_DESCHEDULER = "sigs.k8s.io/descheduler"


def evict(request: SubresourceRequest, lookup: admission.Lookup) -> Outcome:
    """429 while a budget or an instance forbids it, else the pod is deleted."""
    pod = lookup.get("", "pods", request.namespace, request.name)
    if pod is None:
        return not_found("pods", request.name)
    refusal = intercept(request, pod, lookup)
    if refusal is not None:
        return refusal
    if (pod.get("status") or {}).get("phase") in ("Pending", "Running"):
        budget = _blocking_budget(pod, lookup)
        if budget:
            return budget
    body: Obj = (request.body or {}).get("deleteOptions") or {}
    return success(201, request, Write("delete", "", "pods", request.namespace, request.name, body))


def intercept(request: SubresourceRequest, pod: Obj, lookup: admission.Lookup) -> Outcome | None:
    """What KubeVirt's webhook answers for a launcher pod, or None if it may go; the outcome's writes are virt-api's."""
    metadata: Obj = pod["metadata"]
    labels: dict[str, str] = metadata.get("labels") or {}
    if labels.get("kubevirt.io") != "virt-launcher":
        return None
    name = (metadata.get("annotations") or {}).get("kubevirt.io/domain") or labels.get("vm.kubevirt.io/name", "")
    instance = lookup.get("kubevirt.io", "virtualmachineinstances", request.namespace, name)
    if instance is None or (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed"):
        return None
    status: Obj = instance.get("status") or {}
    node = (pod.get("spec") or {}).get("nodeName", "")
    strategy = (instance.get("spec") or {}).get("evictionStrategy") or cluster_configuration(lookup).get(
        "evictionStrategy"
    )
    migratable = any(
        each["type"] == "LiveMigratable" and each["status"] == "True" for each in status.get("conditions") or []
    )
    if strategy in (None, "", "None"):
        return None
    if not migratable and strategy == "LiveMigrateIfPossible":
        return None
    if not migratable and strategy == "LiveMigrate":
        return _denied(f"VMI {name} is configured with an eviction strategy but is not live-migratable")
    text = f'Eviction triggered evacuation of VMI "{request.namespace}/{name}"'
    if status.get("evacuationNodeName"):
        return _denied(f"Evacuation in progress: {text}")
    if status.get("nodeName") != node:
        # also a source whose guest has just left
        return _denied("Eviction request for target Pod")
    patch: Obj = {"status": {"evacuationNodeName": node}}
    requested_by = ((request.body or {}).get("metadata") or {}).get("annotations") or {}
    if requested_by.get("requested-by") == _DESCHEDULER:
        patch["metadata"] = {"annotations": {"kubevirt.io/eviction-source": "descheduler"}}
    write = Write("merge-patch", "kubevirt.io", "virtualmachineinstances", request.namespace, name, patch)
    return _denied(text, *([] if request.dry_run else [write]))


def _denied(text: str, *writes: Write) -> Outcome:
    outcome = failure(429, None, f'admission webhook "{WEBHOOK}" denied the request: {text}')
    return Outcome(outcome.code, outcome.body, list(writes))


def _blocking_budget(pod: Obj, lookup: admission.Lookup) -> Outcome | None:
    metadata: Obj = pod["metadata"]
    namespace = metadata["namespace"]
    budgets = [
        each
        for each in lookup.list("policy", "poddisruptionbudgets", namespace)
        if matches((each.get("spec") or {}).get("selector"), metadata.get("labels") or {})
    ]
    if len(budgets) > 1:
        text = "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support."
        return failure(500, "InternalError", text)
    for budget in budgets:
        spec: Obj = budget["spec"]
        covered = [each for each in lookup.list("", "pods", namespace) if matches(spec.get("selector"), _labels(each))]
        healthy = sum(_ready(each) for each in covered)
        needed = _needed(spec, len(covered))
        if _ready(pod) and healthy - 1 < needed:
            name = budget["metadata"]["name"]
            text = f"The disruption budget {name} needs {needed} healthy pods and has {healthy} currently"
            return failure(
                429,
                "TooManyRequests",
                "Cannot evict pod as it would violate the pod's disruption budget.",
                {"causes": [{"reason": "DisruptionBudget", "message": text}]},
            )
    return None


def _labels(pod: Obj) -> dict[str, str]:
    labels: dict[str, str] = pod["metadata"].get("labels") or {}
    return labels


def _ready(pod: Obj) -> bool:
    conditions = (pod.get("status") or {}).get("conditions") or []
    return not pod["metadata"].get("deletionTimestamp") and any(
        each["type"] == "Ready" and each["status"] == "True" for each in conditions
    )


def _needed(spec: Obj, covered: int) -> int:
    """Healthy pods that must stay (percentages round up, as in the disruption controller)."""
    if spec.get("maxUnavailable") is not None:
        return max(0, covered - _scaled(spec["maxUnavailable"], covered))
    return _scaled(spec.get("minAvailable", 1), covered)


def _scaled(value: int | str, covered: int) -> int:
    if isinstance(value, str) and value.endswith("%"):
        return math.ceil(int(value[:-1]) * covered / 100)
    return int(value)
