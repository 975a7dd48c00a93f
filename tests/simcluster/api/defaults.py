"""What the API server writes into new objects of built-in kinds beside the schema's defaults.

Source: kubernetes ``pkg/registry/core/{pod,namespace,persistentvolume,persistentvolumeclaim}/strategy.go``.
"""

from __future__ import annotations

from typing import Any

from ..admission.types import Lookup
from ..quantity import whole
from ..schema.resource import Resource

Obj = dict[str, Any]
_UNCOUNTED_GROUPS = (
    "",
    "storage.k8s.io",
    "rbac.authorization.k8s.io",
    "coordination.k8s.io",
)


_DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class"
_NODE_INFO = (
    "architecture", "bootID", "containerRuntimeVersion", "kernelVersion", "kubeProxyVersion", "kubeletVersion",
    "machineID", "operatingSystem", "osImage", "systemUUID",
)  # fmt: skip


def has_generation(resource: Resource) -> bool:
    """Whether changes of the specification are counted in ``metadata.generation``."""
    return resource.group not in _UNCOUNTED_GROUPS or (resource.group == "" and resource.plural == "pods")


def prepare_new(resource: Resource, obj: Obj, lookup: Lookup) -> None:
    """Writes the first status and a claim's default class, in place."""
    if resource.builtin and resource.kind == "PodDisruptionBudget":
        counts = ("currentHealthy", "desiredHealthy", "disruptionsAllowed", "expectedPods")
        obj["status"] = dict.fromkeys(counts, 0)
    if resource.group:
        return
    match resource.kind:
        case "Pod":
            obj["status"] = {"phase": "Pending", "qosClass": qos_class(obj.get("spec") or {})}
        case "Namespace":
            obj.setdefault("spec", {})["finalizers"] = ["kubernetes"]
            obj["status"] = {"phase": "Active"}
        case "Node":
            obj["status"] = {
                "daemonEndpoints": {"kubeletEndpoint": {"Port": 0}},
                "nodeInfo": dict.fromkeys(_NODE_INFO, ""),
            }
        case "PersistentVolume":
            obj["status"] = {"phase": "Pending"}
        case "PersistentVolumeClaim":
            obj["status"] = {"phase": "Pending"}
            default = _default_class(lookup)
            if default and (spec := obj.get("spec")) and spec.get("storageClassName") is None:
                spec["storageClassName"] = default


def _default_class(lookup: Lookup) -> str:
    """The storage class that is marked as the default, the newest of several."""
    marked = [
        each["metadata"]
        for each in lookup.list("storage.k8s.io", "storageclasses")
        if (each["metadata"].get("annotations") or {}).get(_DEFAULT_CLASS) == "true"
    ]
    return str(max(marked, key=lambda meta: (meta["creationTimestamp"], meta["name"]))["name"]) if marked else ""


def qos_class(spec: Obj) -> str:
    """Quality of service of a pod (kubernetes ``pkg/apis/core/v1/helper/qos/qos.go``)."""
    containers = [*(spec.get("containers") or ()), *(spec.get("initContainers") or ())]
    totals: dict[str, dict[str, int]] = {"requests": {}, "limits": {}}
    guaranteed = bool(containers)
    for container in containers:
        resources = container.get("resources") or {}
        for group, total in totals.items():
            for name, amount in (resources.get(group) or {}).items():
                if name in ("cpu", "memory") and (size := whole(amount)) > 0:
                    total[name] = total.get(name, 0) + size
        limits = resources.get("limits") or {}
        guaranteed = guaranteed and {"cpu", "memory"} <= limits.keys()
    if not totals["requests"] and not totals["limits"]:
        return "BestEffort"
    same = all(totals["requests"].get(name) == totals["limits"].get(name) for name in ("cpu", "memory"))
    return "Guaranteed" if guaranteed and same else "Burstable"
