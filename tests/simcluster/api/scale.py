"""The scale subresource: replicas of a kind, whatever its layout.

Source: apiextensions-apiserver ``pkg/registry/customresource/etcd.go`` (ScaleREST).
"""

from __future__ import annotations

import dataclasses
from typing import Any

from ..schema.resource import Resource
from . import patch, write
from .body import decoded, decoded_patch
from .context import Call
from .errors import STALE, conflict, invalid, method_not_allowed, not_found

Obj = dict[str, Any]


def answer(call: Call, resource: Resource) -> Obj:
    """GET, PUT or PATCH; returns the Scale."""
    cluster, target = call.cluster, call.target
    entry = cluster.store.get(resource, target.namespace, target.name)
    if entry is None:
        raise not_found(resource, target.name)
    paths = cluster.registry.scale_paths(resource, target.version)
    present = _scale(paths, cluster.obj(resource, entry, target.version))
    if call.method in ("GET", "HEAD"):
        return present
    if call.method == "PUT":
        wanted = decoded(call)
    elif call.method == "PATCH":
        apply = patch.json_patch if call.content_type == patch.JSON else patch.merge_patch
        wanted = apply(present, decoded_patch(call))
    else:
        raise method_not_allowed()
    given = (wanted.get("metadata") or {}).get("resourceVersion")
    if given and given != str(entry.version):
        raise conflict(resource, target.name, STALE)
    replicas = int((wanted.get("spec") or {}).get("replicas", 0))
    if replicas < 0:
        named = dataclasses.replace(resource, group="autoscaling", kind="Scale")
        text = f"Invalid value: {replicas}: must be greater than or equal to 0"
        raise invalid(named, target.name, "spec.replicas", text)
    keys = _keys(paths["specReplicasPath"])
    change: Any = replicas
    for key in reversed(keys):
        change = {key: change}
    outcome = write.trusted_patch(call, resource, lambda old: patch.merge_patch(old, change))
    return _scale(paths, outcome.obj)


def _keys(path: str) -> list[str]:
    return [key for key in path.split(".") if key]


def _at(obj: Obj, path: str) -> Any:
    value: Any = obj
    for key in _keys(path):
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _scale(paths: dict[str, str], obj: Obj) -> Obj:
    meta = obj["metadata"]
    kept = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    status: Obj = {"replicas": _at(obj, paths["statusReplicasPath"]) or 0}
    if selector := _at(obj, paths.get("labelSelectorPath", "")) if paths.get("labelSelectorPath") else None:
        status["selector"] = selector
    elif paths.get("labelSelectorPath") is None and (labels := _at(obj, ".spec.selector.matchLabels")):
        status["selector"] = ",".join(f"{key}={labels[key]}" for key in sorted(labels))
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {key: meta[key] for key in kept if key in meta},
        "spec": {"replicas": _at(obj, paths["specReplicasPath"]) or 0},
        "status": status,
    }
