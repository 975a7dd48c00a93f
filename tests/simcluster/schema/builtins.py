"""The kinds that are part of Kubernetes itself and that the simulated cluster serves."""

from __future__ import annotations

from typing import Final

from .resource import Resource

_ALL_VERBS: Final = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")


def _kind(
    group_version: str,
    plural: str,
    kind: str,
    *,
    namespaced: bool = True,
    short: str = "",
    all_category: bool = False,
    status: bool = False,
    scale: bool = False,
    verbs: tuple[str, ...] = _ALL_VERBS,
) -> Resource:
    group, _, version = group_version.rpartition("/")
    return Resource(
        group=group,
        versions=(version,),
        storage_version=version,
        plural=plural,
        singular=kind.lower(),
        kind=kind,
        namespaced=namespaced,
        short_names=tuple(short.split()),
        categories=("all",) if all_category else (),
        has_status=status,
        has_scale=scale,
        builtin=True,
        verbs=verbs,
    )


_CREATE: Final = ("create",)
_NO_COLLECTION_DELETE: Final = ("create", "delete", "get", "list", "patch", "update", "watch")

BUILTINS: Final[tuple[Resource, ...]] = (
    _kind("v1", "namespaces", "Namespace", namespaced=False, short="ns", status=True, verbs=_NO_COLLECTION_DELETE),
    _kind("v1", "nodes", "Node", namespaced=False, short="no", status=True),
    _kind("v1", "pods", "Pod", short="po", all_category=True, status=True),
    _kind("v1", "configmaps", "ConfigMap", short="cm"),
    _kind("v1", "secrets", "Secret"),
    _kind("v1", "serviceaccounts", "ServiceAccount", short="sa"),
    _kind("v1", "events", "Event", short="ev"),
    _kind("v1", "persistentvolumes", "PersistentVolume", namespaced=False, short="pv", status=True),
    _kind("v1", "persistentvolumeclaims", "PersistentVolumeClaim", short="pvc", status=True),
    _kind("v1", "services", "Service", short="svc", all_category=True, status=True),
    _kind("v1", "resourcequotas", "ResourceQuota", short="quota", status=True),
    _kind("v1", "limitranges", "LimitRange", short="limits"),
    _kind("apps/v1", "daemonsets", "DaemonSet", short="ds", all_category=True, status=True),
    _kind("apps/v1", "deployments", "Deployment", short="deploy", all_category=True, status=True, scale=True),
    _kind("apps/v1", "replicasets", "ReplicaSet", short="rs", all_category=True, status=True, scale=True),
    _kind("apps/v1", "statefulsets", "StatefulSet", short="sts", all_category=True, status=True, scale=True),
    _kind("policy/v1", "poddisruptionbudgets", "PodDisruptionBudget", short="pdb", status=True),
    _kind("storage.k8s.io/v1", "storageclasses", "StorageClass", namespaced=False, short="sc"),
    _kind("coordination.k8s.io/v1", "leases", "Lease"),
    _kind("rbac.authorization.k8s.io/v1", "roles", "Role"),
    _kind("rbac.authorization.k8s.io/v1", "rolebindings", "RoleBinding"),
    _kind("rbac.authorization.k8s.io/v1", "clusterroles", "ClusterRole", namespaced=False),
    _kind("rbac.authorization.k8s.io/v1", "clusterrolebindings", "ClusterRoleBinding", namespaced=False),
    _kind(
        "apiextensions.k8s.io/v1",
        "customresourcedefinitions",
        "CustomResourceDefinition",
        namespaced=False,
        short="crd crds",
        status=True,
    ),
    _kind(
        "authorization.k8s.io/v1",
        "selfsubjectaccessreviews",
        "SelfSubjectAccessReview",
        namespaced=False,
        verbs=_CREATE,
    ),
    _kind("authorization.k8s.io/v1", "subjectaccessreviews", "SubjectAccessReview", namespaced=False, verbs=_CREATE),
    _kind("authentication.k8s.io/v1", "selfsubjectreviews", "SelfSubjectReview", namespaced=False, verbs=_CREATE),
    _kind("scheduling.k8s.io/v1", "priorityclasses", "PriorityClass", namespaced=False, short="pc"),
)

SUBRESOURCE_KINDS: Final = {
    "pods/binding": ("v1", "Binding"),
    "pods/eviction": ("policy/v1", "Eviction"),
    "serviceaccounts/token": ("authentication.k8s.io/v1", "TokenRequest"),
}
"""Bodies of subresources that are kinds of their own: ``plural/subresource`` → (apiVersion, kind)."""
