"""Who may do what: tokens, RBAC, reviews."""

from __future__ import annotations

from typing import Any

from .api import ANONYMOUS, UNKNOWN, Api
from .case import Case, case, delete, get, patch, post, put, send, settle, told
from .objects import binding, config_map, machine, migration, policy, role, rule

_PATHS = ("configmaps", "configmaps/x", "vms", "vms/x", "nodes", "nodes/x", "migrationpolicies/x", "/api/v1/configmaps",
          "pods/x/status", "vms/x/status", "pods/x/log", "/healthz", "/api", "/metrics",
          "/apis/kubevirt.io", "/bogus", "configmaps/x/bogus")  # fmt: skip


def _access(user: str = "", **attributes: str) -> dict[str, Any]:
    kind = "SubjectAccessReview" if user else "SelfSubjectAccessReview"
    spec = {"resourceAttributes": attributes, **({"user": user} if user else {})}
    return {"apiVersion": "authorization.k8s.io/v1", "kind": kind, "spec": spec}


def _grant(api: Api, user: str, *rules: dict[str, Any]) -> None:
    api.post("roles", role("reader", *rules))
    api.post("rolebindings", binding("reader", user))
    api.settle("configmaps", user)


def namespaced_role(api: Api) -> None:
    user = "rita"
    _grant(api, user, rule("get list", "configmaps"), rule("create", "virtualmachineinstancemigrations", "kubevirt.io"))
    api.get("configmaps", user=user)
    api.get("configmaps/x", user=user)
    api.get("/api/v1/configmaps", user=user)
    api.get("configmaps", user=user, watch="true", timeoutSeconds="1")
    api.post("configmaps", config_map(), user=user)
    api.delete("configmaps", user=user)
    api.delete("configmaps/x", user=user)
    api.patch("configmaps/x", {}, user=user)
    api.put("configmaps/x", config_map("x"), user=user)
    api.get("/api/v1/namespaces/default/configmaps", user=user)
    api.post("vmims", migration(), user=user, dryRun="All")
    api.get("vmims", user=user)


def named_resources(api: Api) -> None:
    user = "nora"
    named = rule("get delete", "configmaps", resourceNames=["a"])
    _grant(api, user, named, rule("list", "configmaps"))
    api.post("configmaps", config_map())
    api.get("configmaps/a", user=user)
    api.get("configmaps/b", user=user)
    api.delete("configmaps", user=user)


def subresource_rights(api: Api) -> None:
    user = "sue"
    _grant(api, user, rule("list", "configmaps"), rule("get update", "pods/status"), rule("patch", "pods"))
    api.get("pods/x/status", user=user)
    api.get("pods/x", user=user)
    api.patch("pods/x/status", {}, user=user)
    api.post("pods/x/eviction", {}, user=user)
    api.put("/apis/subresources.kubevirt.io/v1/namespaces/{ns}/virtualmachines/vm/migrate", {}, user=user)


def apply_needs_create_and_patch(api: Api) -> None:
    user = "petra"
    _grant(api, user, rule("list patch", "configmaps"))
    api.patch("configmaps/a", config_map(x="1"), "apply", user=user)
    api.post("configmaps", config_map(x="0"))
    api.patch("configmaps/a", config_map(x="1"), "apply", user=user)


def access_reviews(api: Api) -> None:
    user = "vera"
    _grant(api, user, rule("get list", "configmaps"))
    for attributes in (
        {"verb": "get", "resource": "configmaps", "namespace": "{ns}"},
        {"verb": "create", "resource": "virtualmachineinstancemigrations", "group": "kubevirt.io", "namespace": "{ns}"},
        {"verb": "list", "resource": "nodes"},
        {"verb": "update", "resource": "virtualmachines", "subresource": "migrate",
         "group": "subresources.kubevirt.io"},
    ):  # fmt: skip
        api.post("selfsubjectaccessreviews", _access(**attributes), user=user)
        api.post("subjectaccessreviews", _access(user, **attributes))
        api.post("selfsubjectaccessreviews", _access(**attributes))
    api.post("subjectaccessreviews", _access(user, verb="get", resource="configmaps"), user=user)


def self_reviews(api: Api) -> None:
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    api.post("selfsubjectreviews", body, user="vera")
    api.post("selfsubjectreviews", body, user=ANONYMOUS)


def bindings_are_fixed(api: Api) -> None:
    api.post("rolebindings", binding("reader", "x"))
    api.patch("rolebindings/reader", {"roleRef": {"name": "other"}})


def nobody_grants_more_than_they_have(api: Api) -> None:
    user = "greta"
    _grant(api, user, rule("list", "configmaps"),
           rule("create", "roles rolebindings", "rbac.authorization.k8s.io"))  # fmt: skip
    api.post("roles", role("more", rule("get", "secrets")), user=user)
    api.post("rolebindings", binding("reader", "x") | {"metadata": {"name": "again"}}, user=user)
    api.post("rolebindings", binding("admin", "x", role_kind="ClusterRole"), user=user)


CASES: list[Case] = [
    *(
        case(
            f"{name} {path.replace('/', ' ').strip()}" + (" all" if path.startswith("/api/v1/") else ""),
            get(path, user=user),
        )
        for name, user in (("no rights", "alice"), ("no token", ANONYMOUS), ("bad token", UNKNOWN))
        for path in _PATHS
    ),  # fmt: skip
    case("no rights to create", post("configmaps", config_map(), user="alice"), post("vms", machine(), user="alice")),
    case(
        "no rights to change",
        put("configmaps/x", {}, user="alice"),
        patch("configmaps/x", {}, user="alice"),
        delete("configmaps/x", user="alice"),
        delete("configmaps", user="alice"),
        patch("migrationpolicies/x", policy("x"), "apply", user="alice"),
        send("OPTIONS", "configmaps", user="alice"),
    ),  # fmt: skip
    case(
        "bodies are not read without rights",
        post("configmaps", b"{", user="alice"),
        patch("configmaps/x", b"{", user="alice", dryRun="x"),
    ),  # fmt: skip
    case(
        "cluster role",
        post("clusterroles", role("{ns}", rule("list", "nodes"), kind="ClusterRole")),
        post("clusterrolebindings", binding("{ns}", "carl", kind="ClusterRoleBinding", role_kind="ClusterRole")),
        settle("nodes", "carl", fieldSelector="metadata.name=x"),
        get("nodes", user="carl", fieldSelector="metadata.name=x"),
        get("nodes/x", user="carl"),
    ),  # fmt: skip
    *told(
        namespaced_role,
        named_resources,
        subresource_rights,
        apply_needs_create_and_patch,
        access_reviews,
        self_reviews,
        bindings_are_fixed,
        nobody_grants_more_than_they_have,
    ),
]
