"""ResourceQuota: no pod beyond what its namespace may use (plugin/pkg/admission/resourcequota)."""

from __future__ import annotations

from ..pod_requests import pod_requests
from ..quota import exceeded, used
from .types import Denied, Lookup, Obj, Request

_FINAL = ("Succeeded", "Failed")


def validate(request: Request, lookup: Lookup) -> list[str]:
    """Refuses a pod that any quota of the namespace has no room for."""
    quotas = lookup.list("", "resourcequotas", request.namespace)
    if not quotas:
        return []
    pod: Obj = request.object or {}
    wanted = pod_requests(pod.get("spec") or {})
    others = [
        pod_requests(each.get("spec") or {})
        for each in lookup.list("", "pods", request.namespace)
        if (each.get("status") or {}).get("phase") not in _FINAL
    ]
    for quota in quotas:
        hard: dict[str, str] = (quota.get("spec") or {}).get("hard") or {}
        problem = exceeded(quota["metadata"]["name"], hard, used(hard, others), wanted)
        if problem:
            name = (pod.get("metadata") or {}).get("name") or request.name
            details = {"name": name, "kind": "pods"}
            raise Denied(403, f'pods "{name}" is forbidden: {problem}', "Forbidden", details=details)
    return []
