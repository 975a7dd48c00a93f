"""What clients read first: versions, groups, resources, and the little of OpenAPI that kubectl looks for.

Sources: k8s.io/apiserver ``pkg/endpoints/discovery``; KubeVirt ``pkg/virt-api/api.go`` (subresources).
"""

from __future__ import annotations

from typing import Any, Final

from ..schema.registry import Registry
from ..schema.resource import Resource
from .context import Cluster

Obj = dict[str, Any]
PATHS: Final = (
    "/api", "/api/v1", "/apis", "/healthz", "/livez", "/openapi/v2", "/openapi/v3", "/readyz", "/version",
)  # fmt: skip
OPENAPI_V2: Final = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
METRICS: Final = ("metrics.k8s.io", "v1beta1")
SUBRESOURCES: Final = ("subresources.kubevirt.io", ("v1", "v1alpha3"))

_MACHINE_VERBS: Final = (
    "start",
    "stop",
    "restart",
    "migrate",
    "addvolume",
    "removevolume",
    "memorydump",
    "expand-spec",
    "portforward",
    "evacuate/cancel",
)
_INSTANCE_VERBS: Final = (
    "pause",
    "unpause",
    "softreboot",
    "freeze",
    "unfreeze",
    "addvolume",
    "removevolume",
    "guestosinfo",
    "filesystemlist",
    "userlist",
    "console",
    "vnc",
    "portforward",
    "evacuate/cancel",
)
_CORE_SUBRESOURCES: Final[dict[tuple[str, str], tuple[Obj, ...]]] = {
    ("", "pods"): (
        {"name": "pods/binding", "kind": "Binding", "verbs": ["create"]},
        {"name": "pods/eviction", "group": "policy", "version": "v1", "kind": "Eviction", "verbs": ["create"]},
        {"name": "pods/log", "kind": "Pod", "verbs": ["get"]},
    ),
    ("", "serviceaccounts"): (
        {
            "name": "serviceaccounts/token",
            "group": "authentication.k8s.io",
            "version": "v1",
            "kind": "TokenRequest",
            "verbs": ["create"],
        },
    ),
}


def version(cluster: Cluster) -> Obj:
    """GET /version."""
    major, minor, _ = cluster.version.removeprefix("v").split(".")
    return {
        "major": major,
        "minor": minor,
        "gitVersion": cluster.version,
        "gitCommit": "0" * 40,
        "gitTreeState": "clean",
        "buildDate": "2026-01-01T00:00:00Z",
        "goVersion": "go1.24",
        "compiler": "gc",
        "platform": "linux/amd64",
    }


def core_versions(address: str) -> Obj:
    """GET /api."""
    return {
        "kind": "APIVersions",
        "versions": ["v1"],
        "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": address}],
    }


def _versions(registry: Registry) -> dict[str, list[str]]:
    """Served versions of each group but the core one, the preferred first."""
    found: dict[str, list[str]] = {}
    for resource in registry.resources():
        if resource.group:
            known = found.setdefault(resource.group, [])
            known += [each for each in resource.versions if each not in known]
    found[METRICS[0]] = [METRICS[1]]
    found[SUBRESOURCES[0]] = list(SUBRESOURCES[1])
    return found


def _group(name: str, versions: list[str]) -> Obj:
    entries = [{"groupVersion": f"{name}/{each}", "version": each} for each in versions]
    return {"name": name, "versions": entries, "preferredVersion": entries[0]}


def groups(registry: Registry) -> Obj:
    """GET /apis."""
    listed = [_group(name, versions) for name, versions in _versions(registry).items()]
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": listed}


def group(registry: Registry, name: str) -> Obj | None:
    """GET /apis/<group>, None when it is not served."""
    versions = _versions(registry).get(name)
    if versions is None:
        return None
    return {"kind": "APIGroup", "apiVersion": "v1", **_group(name, versions)}


def resources(registry: Registry, name: str, version: str) -> Obj | None:
    """GET /api/v1 and /apis/<group>/<version>, None when that is not served."""
    if (name, version) == METRICS:
        listed = [_metrics_entry("nodes", "NodeMetrics", False), _metrics_entry("pods", "PodMetrics", True)]
    elif name == SUBRESOURCES[0] and version in SUBRESOURCES[1]:
        names = [f"virtualmachines/{verb}" for verb in _MACHINE_VERBS]
        names += [f"virtualmachineinstances/{verb}" for verb in _INSTANCE_VERBS]
        listed = [{"name": each, "singularName": "", "namespaced": True, "kind": "", "verbs": None} for each in names]
    else:
        served = [r for r in registry.resources() if r.group == name and version in r.versions]
        if not served:
            return None
        listed = [entry for resource in served for entry in _entries(resource)]
    group_version = f"{name}/{version}" if name else version
    found: Obj = {"kind": "APIResourceList", "groupVersion": group_version, "resources": listed}
    return {**found, "apiVersion": "v1"} if name else found


def _metrics_entry(plural: str, kind: str, namespaced: bool) -> Obj:
    return {"name": plural, "singularName": "", "namespaced": namespaced, "kind": kind, "verbs": ["get", "list"]}


def _entries(resource: Resource) -> list[Obj]:
    entry: Obj = {
        "name": resource.plural,
        "singularName": resource.singular,
        "namespaced": resource.namespaced,
        "kind": resource.kind,
        "verbs": list(resource.verbs),
    }
    if resource.short_names:
        entry["shortNames"] = list(resource.short_names)
    if resource.categories:
        entry["categories"] = list(resource.categories)
    common: Obj = {"singularName": "", "namespaced": resource.namespaced}
    found = [entry]
    if resource.has_status:
        verbs = ["get", "patch", "update"]
        found.append({"name": f"{resource.plural}/status", **common, "kind": resource.kind, "verbs": verbs})
    if resource.has_scale:
        scale: Obj = {"group": "autoscaling", "version": "v1", "kind": "Scale", "verbs": ["get", "patch", "update"]}
        found.append({"name": f"{resource.plural}/scale", **common, **scale})
    for more in _CORE_SUBRESOURCES.get((resource.group, resource.plural), ()):
        found.append({**common, **more})
    return found


def openapi_v2() -> bytes:
    """GET /openapi/v2: a document without definitions. kubectl asks for it, as protobuf only, before it applies a List,
    and then leaves validation to the server."""
    info = _protobuf(1, b"Kubernetes") + _protobuf(2, b"unversioned")
    return _protobuf(1, b"2.0") + _protobuf(2, info) + _protobuf(8, b"")


def _protobuf(number: int, content: bytes) -> bytes:
    """A length-delimited field of less than 128 bytes (protobuf encoding, wire type 2)."""
    return bytes([number << 3 | 2, len(content)]) + content


def openapi_index(registry: Registry) -> Obj:
    """GET /openapi/v3."""
    names = {f"api{'s/' + r.group if r.group else ''}/{v}" for r in registry.resources() for v in r.versions}
    return {"paths": {name: {"serverRelativeURL": f"/openapi/v3/{name}?hash=0"} for name in sorted(names)}}


def openapi(registry: Registry, name: str, version: str) -> Obj | None:
    """GET /openapi/v3/…: which kinds can be patched with which parameters; no schemas."""
    paths: Obj = {}
    for resource in registry.resources():
        if resource.group != name or version not in resource.versions:
            continue
        kind = {"group": name, "version": version, "kind": resource.kind}
        prefix = f"/apis/{name}/{version}" if name else f"/api/{version}"
        scope = "/namespaces/{namespace}" if resource.namespaced else ""
        parameters = [
            {"name": each, "in": "query", "schema": {"type": "string"}}
            for each in ("dryRun", "fieldManager", "fieldValidation")
        ]
        operation = {
            "parameters": parameters,
            "responses": {"200": {"description": "OK"}},
            "x-kubernetes-action": "patch",
            "x-kubernetes-group-version-kind": kind,
        }
        paths[f"{prefix}{scope}/{resource.plural}/{{name}}"] = {"patch": operation}
    if not paths:
        return None
    return {"openapi": "3.0.0", "info": {"title": "Kubernetes", "version": "unversioned"}, "paths": paths}
