"""What an object of a built-in kind holds before anything is written into it.

Go always writes struct fields that are no pointers, and lists without ``omitempty``. Whoever creates an object
therefore does not own those structs themselves, only what is in them. Sources: the types of k8s.io/api.
"""

from __future__ import annotations

from typing import Any, Final

Obj = dict[str, Any]
_TEMPLATE: Final[Obj] = {"metadata": {}, "spec": {"containers": []}}
_ZERO: Final[dict[str, Obj]] = {
    "Namespace": {"spec": {}, "status": {}},
    "Node": {"spec": {}, "status": {}},
    "Pod": {"spec": {"containers": []}, "status": {}},
    "Event": {"involvedObject": {}, "source": {}},
    "PersistentVolume": {"spec": {}, "status": {}},
    "PersistentVolumeClaim": {"spec": {"resources": {}}, "status": {}},
    "Service": {"spec": {}, "status": {"loadBalancer": {}}},
    "ResourceQuota": {"spec": {}, "status": {}},
    "LimitRange": {"spec": {"limits": None}},
    "DaemonSet": {"spec": {"selector": None, "template": _TEMPLATE, "updateStrategy": {}}, "status": {}},
    "Deployment": {"spec": {"selector": None, "template": _TEMPLATE, "strategy": {}}, "status": {}},
    "ReplicaSet": {"spec": {"selector": None, "template": _TEMPLATE}, "status": {}},
    "StatefulSet": {"spec": {"selector": None, "template": _TEMPLATE, "updateStrategy": {}}, "status": {}},
    "PodDisruptionBudget": {"spec": {}, "status": {}},
    "Lease": {"spec": {}},
    "RoleBinding": {"roleRef": {}},
    "ClusterRoleBinding": {"roleRef": {}},
}


def zero(kind: str) -> Obj:
    """The empty object of a built-in kind; not to be changed."""
    return _ZERO.get(kind, {})
