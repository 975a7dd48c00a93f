"""The RBAC objects that a cluster has from the start, and those that KubeVirt installs.

Sources: kubernetes ``plugin/pkg/auth/authorizer/rbac/bootstrappolicy/policy.go``; KubeVirt
``pkg/virt-operator/resource/generate/rbac/cluster.go``. Reduced to the kinds that the simulated cluster serves.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

from .auth import AUTHENTICATED, MASTERS, RBAC_GROUP, UNAUTHENTICATED

READ: Final = ("get", "list", "watch")
WRITE: Final = ("create", "delete", "deletecollection", "patch", "update")
EDIT: Final = (*READ, "create", "delete", "patch", "update")
EVERY_VERB: Final = (*READ, *WRITE)

_AGGREGATE: Final = "rbac.authorization.k8s.io/aggregate-to-"
_PUBLIC_PATHS: Final = ("/healthz", "/livez", "/readyz", "/version", "/version/")
_DISCOVERY_PATHS: Final = ("/api", "/api/*", "/apis", "/apis/*", "/openapi", "/openapi/*", *_PUBLIC_PATHS)

_CORE_EDITED: Final = (
    "configmaps",
    "events",
    "persistentvolumeclaims",
    "pods",
    "secrets",
    "serviceaccounts",
    "services",
)
_CORE_READ: Final = (
    "configmaps",
    "events",
    "limitranges",
    "namespaces",
    "persistentvolumeclaims",
    "persistentvolumeclaims/status",
    "pods",
    "pods/log",
    "pods/status",
    "resourcequotas",
    "resourcequotas/status",
    "serviceaccounts",
    "services",
    "services/status",
)
_APPS: Final = ("daemonsets", "deployments", "deployments/scale", "replicasets", "replicasets/scale", "statefulsets")
_VM_KINDS: Final = ("virtualmachineinstancereplicasets", "virtualmachineinstances", "virtualmachines")
_INSTANCETYPE_KINDS: Final = ("virtualmachineinstancetypes", "virtualmachinepreferences")
_SNAPSHOT_KINDS: Final = ("virtualmachinerestores", "virtualmachinesnapshots")
_VMI_READS: Final = tuple(
    f"virtualmachineinstances/{name}"
    for name in ("console", "filesystemlist", "guestosinfo", "userlist", "vnc", "vnc/screenshot")
)
_VMI_UPDATES: Final = tuple(
    f"virtualmachineinstances/{name}"
    for name in ("addvolume", "freeze", "pause", "removevolume", "reset", "softreboot", "unfreeze", "unpause")
)
_VM_UPDATES: Final = tuple(
    f"virtualmachines/{name}" for name in ("addvolume", "removevolume", "restart", "start", "stop")
)


def rule(group: str, resources: Iterable[str], verbs: Iterable[str]) -> dict[str, Any]:
    """A PolicyRule of one API group."""
    return {"apiGroups": [group], "resources": list(resources), "verbs": list(verbs)}


def cluster_role(name: str, rules: list[dict[str, Any]], **labels: str) -> dict[str, Any]:
    """A ClusterRole; ``aggregate_to_x="true"`` makes it part of the cluster role ``x``."""
    written = {f"{_AGGREGATE}{key.removeprefix('aggregate_to_')}": value for key, value in labels.items()}
    meta: dict[str, Any] = {"name": name, "labels": {"kubernetes.io/bootstrapping": "rbac-defaults", **written}}
    return {"apiVersion": f"{RBAC_GROUP}/v1", "kind": "ClusterRole", "metadata": meta, "rules": rules}


def cluster_role_binding(name: str, role: str, subjects: list[dict[str, str]]) -> dict[str, Any]:
    """A ClusterRoleBinding of a ClusterRole."""
    return {
        "apiVersion": f"{RBAC_GROUP}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": name, "labels": {"kubernetes.io/bootstrapping": "rbac-defaults"}},
        "roleRef": {"apiGroup": RBAC_GROUP, "kind": "ClusterRole", "name": role},
        "subjects": subjects,
    }


def group_subject(name: str) -> dict[str, str]:
    """A group as subject of a binding."""
    return {"apiGroup": RBAC_GROUP, "kind": "Group", "name": name}


def bootstrap_objects() -> Iterator[dict[str, Any]]:
    """All default cluster roles, with the rules that aggregation gives them, and their bindings."""
    roles = [*_kubernetes_roles(), *_kubevirt_roles()]
    for name in ("view", "edit", "admin"):
        roles.append(_aggregated(name, roles))
    yield from roles
    everyone = [group_subject(AUTHENTICATED), group_subject(UNAUTHENTICATED)]
    yield cluster_role_binding("cluster-admin", "cluster-admin", [group_subject(MASTERS)])
    yield cluster_role_binding("system:basic-user", "system:basic-user", [group_subject(AUTHENTICATED)])
    yield cluster_role_binding("system:discovery", "system:discovery", [group_subject(AUTHENTICATED)])
    yield cluster_role_binding("system:public-info-viewer", "system:public-info-viewer", everyone)
    yield cluster_role_binding("kubevirt.io:default", "kubevirt.io:default", everyone)


def _aggregated(name: str, roles: list[dict[str, Any]]) -> dict[str, Any]:
    label = f"{_AGGREGATE}{name}"
    labels = {"edit": {"aggregate_to_admin": "true"}, "view": {"aggregate_to_edit": "true"}}.get(name, {})
    rules = [r for role in roles if role["metadata"]["labels"].get(label) == "true" for r in role["rules"]]
    selectors = [{"matchLabels": {label: "true"}}]
    return {**cluster_role(name, rules, **labels), "aggregationRule": {"clusterRoleSelectors": selectors}}


def _kubernetes_roles() -> list[dict[str, Any]]:
    edit = [
        rule("", _CORE_EDITED, WRITE),
        rule("", ("secrets",), READ),
        rule("", ("pods/eviction", "serviceaccounts/token"), ("create",)),
        rule("apps", _APPS, WRITE),
        rule("coordination.k8s.io", ("leases",), EVERY_VERB),
        rule("policy", ("poddisruptionbudgets",), WRITE),
    ]
    view = [
        rule("", _CORE_READ, READ),
        rule("apps", _APPS, READ),
        rule("policy", ("poddisruptionbudgets", "poddisruptionbudgets/status"), READ),
        rule("metrics.k8s.io", ("pods",), READ),
    ]
    everything = [
        {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]},
        {"nonResourceURLs": ["*"], "verbs": ["*"]},
    ]
    reviews = ("selfsubjectaccessreviews", "selfsubjectrulesreviews")
    return [
        cluster_role("cluster-admin", everything),
        cluster_role(
            "system:aggregate-to-admin",
            [rule(RBAC_GROUP, ("rolebindings", "roles"), EVERY_VERB)],
            aggregate_to_admin="true",
        ),
        cluster_role("system:aggregate-to-edit", edit, aggregate_to_edit="true"),
        cluster_role("system:aggregate-to-view", view, aggregate_to_view="true"),
        cluster_role(
            "system:basic-user",
            [
                rule("authorization.k8s.io", reviews, ("create",)),
                rule("authentication.k8s.io", ("selfsubjectreviews",), ("create",)),
            ],
        ),
        cluster_role(
            "system:discovery",
            [{"nonResourceURLs": list(_DISCOVERY_PATHS), "verbs": ["get"]}],
        ),
        cluster_role("system:public-info-viewer", [{"nonResourceURLs": list(_PUBLIC_PATHS), "verbs": ["get"]}]),
    ]


def _kubevirt_roles() -> list[dict[str, Any]]:
    """Namespace roles read migrations; only ``kubevirt.io:migrate``, which aggregates into nothing, may start them."""

    def owning(verbs: Iterable[str]) -> list[dict[str, Any]]:
        return [
            rule("subresources.kubevirt.io", _VMI_READS, ("get",)),
            rule("subresources.kubevirt.io", _VMI_UPDATES, ("update",)),
            rule("subresources.kubevirt.io", _VM_UPDATES, ("update",)),
            rule("kubevirt.io", _VM_KINDS, verbs),
            rule("kubevirt.io", ("virtualmachineinstancemigrations",), READ),
            rule("snapshot.kubevirt.io", _SNAPSHOT_KINDS, verbs),
            rule("instancetype.kubevirt.io", _INSTANCETYPE_KINDS, verbs),
            rule("pool.kubevirt.io", ("virtualmachinepools",), verbs),
            rule("cdi.kubevirt.io", ("datavolumes",), verbs),
        ]

    view = [
        rule("subresources.kubevirt.io", ("virtualmachineinstances/guestosinfo",), ("get",)),
        rule("kubevirt.io", (*_VM_KINDS, "virtualmachineinstancemigrations"), READ),
        rule("snapshot.kubevirt.io", _SNAPSHOT_KINDS, READ),
        rule("instancetype.kubevirt.io", _INSTANCETYPE_KINDS, READ),
        rule("pool.kubevirt.io", ("virtualmachinepools",), READ),
        rule("cdi.kubevirt.io", ("datavolumes",), READ),
        rule("migrations.kubevirt.io", ("migrationpolicies",), READ),
    ]
    default = [
        rule("subresources.kubevirt.io", ("guestfs", "healthz", "version"), ("get", "list")),
        rule("kubevirt.io", ("kubevirts",), ("get", "list")),
        rule(
            "instancetype.kubevirt.io",
            ("virtualmachineclusterinstancetypes", "virtualmachineclusterpreferences"),
            READ,
        ),
    ]
    migrate = [
        rule("subresources.kubevirt.io", ("virtualmachines/migrate",), ("update",)),
        rule("kubevirt.io", ("virtualmachineinstancemigrations",), EVERY_VERB),
    ]
    return [
        cluster_role("kubevirt.io:default", default),
        cluster_role("kubevirt.io:admin", owning(EVERY_VERB), aggregate_to_admin="true"),
        cluster_role("kubevirt.io:edit", owning(EDIT), aggregate_to_edit="true"),
        cluster_role("kubevirt.io:view", view, aggregate_to_view="true"),
        cluster_role("kubevirt.io:migrate", migrate),
    ]
