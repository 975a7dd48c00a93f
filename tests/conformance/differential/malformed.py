"""Bodies, media types, methods and paths that do not fit."""

from __future__ import annotations

from typing import Any

from .case import Case, case, get, patch, post, put, send
from .objects import config_map, machine, obj, policy

_BODIES: dict[str, Any] = {
    "broken": b'{"apiVersion": "v1", ',
    "empty": b"",
    "array": b"[]",
    "string": b'"x"',
    "number": b"5",
    "null": b"null",
    "empty object": b"{}",
    "text": b"hello",
    "no kind": b'{"apiVersion":"v1","metadata":{"name":"a"}}',
    "no version": b'{"kind":"ConfigMap","metadata":{"name":"a"}}',
    "trailing": b'{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"}} x',
    "not utf8": b'{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"},"data":{"x":"\xff"}}',
}
_CORE: dict[str, Any] = {
    "wrong type": config_map(x=5),
    "wrong type deep": config_map() | {"metadata": {"name": "a", "labels": [1]}},
    "wrong type of metadata": config_map() | {"metadata": "x"},
    "wrong kind": config_map() | {"kind": "Secret"},
    "unknown kind": config_map() | {"kind": "Wrong"},
    "wrong version": config_map() | {"apiVersion": "v2"},
    "wrong group": config_map() | {"apiVersion": "apps/v1"},
    "bad version": config_map() | {"apiVersion": "a/b/c"},
    "other namespace": config_map(meta={"namespace": "other"}),
    "data is a list": config_map() | {"data": []},
    "name is a number": config_map() | {"metadata": {"name": 5}},
}
_CUSTOM: dict[str, Any] = {
    "wrong kind": policy() | {"kind": "Wrong"},
    "known kind": policy() | {"kind": "VirtualMachine"},
    "wrong version": policy() | {"apiVersion": "migrations.kubevirt.io/v1"},
    "wrong group": policy() | {"apiVersion": "v1"},
    "wrong type of metadata": policy() | {"metadata": "x"},
    "wrong type of spec": policy() | {"spec": "x"},
    "name is a number": policy() | {"metadata": {"name": 5}},
    "no kind": {"apiVersion": "migrations.kubevirt.io/v1alpha1", "metadata": {"name": "{ns}"}, "spec": {}},
}
_TYPES = ("text/plain", "application/x-www-form-urlencoded", "application/xml", "application/json; charset=utf-8")
_PATCH_TYPES = ("application/json", "application/apply-patch+json", "text/plain", "application/merge-patch+json")
_PATHS = (
    "/api/v2",
    "/api/v1/bogus",
    "/api/v1/namespaces/{ns}/bogus",
    "/api/v1/namespaces/{ns}/bogus/a",
    "/api/v1/namespaces/{ns}/configmaps/a/bogus",
    "/apis/bogus.example.com",
    "/apis/bogus.example.com/v1",
    "/apis/bogus.example.com/v1/things",
    "/apis/apps/v9",
    "/apis/apps/v9/deployments",
    "/apis/apps/v1/bogus",
    "/apis/kubevirt.io/v9",
    "/apis/kubevirt.io/v9/virtualmachines",
    "/apis/kubevirt.io/v1/bogus",
    "/apis/kubevirt.io/v1/namespaces/{ns}/bogus",
    "/apis/kubevirt.io/v1/namespaces/{ns}/virtualmachines/a/bogus",
    "/apis/migrations.kubevirt.io/v1alpha1/namespaces/{ns}/migrationpolicies",
    "/api/v1/namespaces/{ns}/nodes",
    "/bogus",
    "/api/v1/namespaces/{ns}/configmaps/a/b/c",
)
_METHODS: tuple[tuple[str, str, Any], ...] = (
    ("POST", "/api/v1/configmaps", config_map()),
    ("POST", "/apis/kubevirt.io/v1/virtualmachines", machine()),
    ("PUT", "configmaps", config_map()),
    ("PUT", "nads", {}),
    ("PATCH", "configmaps", {}),
    ("PATCH", "nads", {}),
    ("DELETE", "/api/v1/namespaces", None),
    ("DELETE", "/api/v1/configmaps", None),
    ("DELETE", "/apis/kubevirt.io/v1/virtualmachines", None),
    ("POST", "pods/a/status", {}),
    ("POST", "vms/a/status", {}),
    ("DELETE", "pods/a/status", None),
    ("DELETE", "vms/a/status", None),
    ("PUT", "pods/a/eviction", {}),
    ("GET", "pods/a/eviction", None),
    ("GET", "pods/a/binding", None),
    ("GET", "serviceaccounts/default/token", None),
    ("GET", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", None),
    ("DELETE", "deployments/a/scale", None),
    ("POST", "deployments/a/scale", {}),
    ("OPTIONS", "configmaps", None),
    ("HEAD", "configmaps", None),
    ("HEAD", "configmaps/absent", None),
    ("HEAD", "nads/absent", None),
    ("POST", "/api/v1", {}),
    ("DELETE", "/version", None),
)


def _slug(text: str) -> str:
    return "".join(each if each.isalnum() else " " for each in text.removeprefix("/")).strip()


CASES: list[Case] = [
    *(case(f"post {name}", post("configmaps", body)) for name, body in _BODIES.items()),
    *(case(f"post nads {name}", post("nads", body)) for name, body in _BODIES.items()),
    *(
        case(f"put {name}", post("configmaps", config_map()), put("configmaps/a", body))
        for name, body in _BODIES.items()
    ),
    *(
        case(f"merge patch {name}", post("configmaps", config_map()), patch("configmaps/a", body))
        for name, body in _BODIES.items()
    ),
    *(
        case(f"merge patch policies {name}", post("migrationpolicies", policy()), patch("migrationpolicies/{ns}", body))
        for name, body in _BODIES.items()
    ),
    *(
        case(f"json patch {name}", post("configmaps", config_map()), patch("configmaps/a", body, "json"))
        for name, body in _BODIES.items()
    ),
    *(
        case(f"strategic patch {name}", post("configmaps", config_map()), patch("configmaps/a", body, "strategic"))
        for name, body in _BODIES.items()
    ),
    *(case(f"apply {name}", patch("configmaps/a", body, "apply")) for name, body in _BODIES.items()),
    *(case(f"core {name}", post("configmaps", body)) for name, body in _CORE.items()),
    *(
        case(f"core put {name}", post("configmaps", config_map()), put("configmaps/a", body))
        for name, body in _CORE.items()
    ),
    *(
        case(f"core apply {name}", post("configmaps", config_map()), patch("configmaps/a", body, "apply"))
        for name, body in _CORE.items()
    ),
    *(case(f"custom {name}", post("migrationpolicies", body)) for name, body in _CUSTOM.items()),
    *(
        case(
            f"custom put {name}",
            post("migrationpolicies", policy()),
            put("migrationpolicies/{ns}", body),
        )
        for name, body in _CUSTOM.items()
    ),
    *(
        case(
            f"custom merge {name}",
            post("migrationpolicies", policy()),
            patch("migrationpolicies/{ns}", body),
        )
        for name, body in _CUSTOM.items()
    ),
    case("put another name", post("configmaps", config_map()), put("configmaps/a", config_map("b"))),
    case("put of nads with another name", put("nads/a", obj("k8s.cni.cncf.io/v1", "NetworkAttachmentDefinition", "b"))),
    case("apply another name", patch("configmaps/a", config_map("b"), "apply")),
    case("merge patch to another kind", post("configmaps", config_map()), patch("configmaps/a", {"kind": "Secret"})),
    *(case(f"post {_slug(kind)}", post("configmaps", config_map(), content_type=kind)) for kind in _TYPES),
    *(case(f"post nads {_slug(kind)}", post("nads", {}, content_type=kind)) for kind in _TYPES),
    *(
        case(
            f"patch {_slug(kind)}",
            post("configmaps", config_map()),
            send("PATCH", "configmaps/a", {"data": {"x": "1"}}, content_type=kind),
        )
        for kind in _PATCH_TYPES
    ),
    case("strategic patch of a custom resource", patch("migrationpolicies/x", {}, "strategic")),
    case(
        "strategic patch of an existing custom resource",
        post("migrationpolicies", policy()),
        patch("migrationpolicies/{ns}", {}, "strategic"),
    ),  # fmt: skip
    case(
        "yaml",
        post(
            "configmaps",
            b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {x: '1'}\n",
            content_type="application/yaml",
        ),
        get("configmaps/a"),
    ),  # fmt: skip
    case("broken yaml", post("configmaps", b"a: b: c\n", content_type="application/yaml")),
    case("oversized", post("configmaps", config_map(x="y" * (3 << 20)))),
    case("oversized patch", patch("configmaps/a", {"data": {"x": "y" * (3 << 20)}})),
    case("large config map", post("configmaps", config_map(x="y" * ((1 << 20) + 1)))),
    *(case(f"path {_slug(path)}", get(path)) for path in _PATHS),
    *(case(f"path post {_slug(path)}", post(path, {})) for path in _PATHS),
    *(case(f"method {method} {_slug(path)}", send(method, path, body)) for method, path, body in _METHODS),
]
