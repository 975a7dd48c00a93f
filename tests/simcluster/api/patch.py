"""The patch types: merge (RFC 7386), JSON (RFC 6902), and strategic merge for built-in kinds.

Sources: k8s.io/apiserver ``pkg/endpoints/handlers/patch.go``; k8s.io/apimachinery
``pkg/util/strategicpatch/patch.go``; merge keys from the ``patchMergeKey`` tags of k8s.io/api.
"""

from __future__ import annotations

import copy
from typing import Any

import jsonpatch

from ..go_json import printed
from .errors import StatusError, bad_request

Obj = dict[str, Any]

MERGE = "application/merge-patch+json"
JSON = "application/json-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
APPLY = "application/apply-patch+yaml"
_MAX_OPERATIONS = 10000

_MERGE_KEYS: dict[str, str] = {
    "containers": "name",
    "initContainers": "name",
    "volumes": "name",
    "env": "name",
    "volumeMounts": "mountPath",
    "volumeDevices": "devicePath",
    "imagePullSecrets": "name",
    "hostAliases": "ip",
    "topologySpreadConstraints": "topologyKey",
    "resourceClaims": "name",
    "conditions": "type",
    "addresses": "type",
    "podIPs": "ip",
    "ownerReferences": "uid",
    "secrets": "name",
}
"""Lists of objects that merge item by item, by the name of their field (the same everywhere but for ``ports``)."""
_MERGED_SETS = frozenset({"finalizers", "podCIDRs"})
"""Lists of plain values that merge as sets."""
_RETAIN, _DIRECTIVE, _DELETE_ITEMS, _ORDER = "$retainKeys", "$patch", "$deleteFromPrimitiveList/", "$setElementOrder/"


def merge_patch(target: Any, patch: Any) -> Any:
    """The result of a merge patch; shares nothing with ``patch``, may share with ``target``."""
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merge_patch(result.get(key), value)
    return result


def json_patch(target: Obj, operations: list[Any]) -> Obj:
    """The result of a JSON patch; raises StatusError: 413 for too many operations, 422 for one that does not apply."""
    if len(operations) > _MAX_OPERATIONS:
        text = f"The allowed maximum operations in a JSON patch is {_MAX_OPERATIONS}, got {len(operations)}"
        raise StatusError(413, "RequestEntityTooLarge", text, {})
    result: Any = target
    try:
        for operation in operations:
            result = jsonpatch.apply_patch(result, [_lenient(result, operation)])
    except (jsonpatch.JsonPatchException, jsonpatch.JsonPointerException, TypeError, KeyError) as error:
        text = "the server rejected our request due to an error in our request"
        raise StatusError(422, "Invalid", text, {}) from error
    if not isinstance(result, dict):
        raise bad_request("json: cannot unmarshal patched document into an object")
    return result


def _lenient(target: Any, operation: Any) -> Any:
    """The API server's library lets C(replace) set a field that is not there."""
    if not isinstance(operation, dict) or operation.get("op") != "replace":
        return operation
    parent, _, _ = str(operation.get("path", "")).rpartition("/")
    if parent and isinstance(jsonpatch.JsonPointer(parent).resolve(target, None), dict):
        return {**operation, "op": "add"}
    return operation


def strategic_patch(target: Obj, patch: Obj) -> Obj:
    """The result of a strategic merge patch."""
    result = dict(target)
    if patch.get(_DIRECTIVE) == "replace":
        return {k: copy.deepcopy(v) for k, v in patch.items() if k != _DIRECTIVE}
    if patch.get(_DIRECTIVE) == "delete":
        return {}
    if _RETAIN in patch:
        result = {k: v for k, v in result.items() if k in patch[_RETAIN]}
    for key, value in patch.items():
        if key in (_DIRECTIVE, _RETAIN) or key.startswith(_ORDER):
            continue
        if key.startswith(_DELETE_ITEMS):
            name = key.removeprefix(_DELETE_ITEMS)
            result[name] = [item for item in result.get(name) or [] if item not in value]
        elif value is None:
            result.pop(key, None)
        elif isinstance(value, dict):
            old = result.get(key)
            result[key] = strategic_patch(old if isinstance(old, dict) else {}, value)
        elif isinstance(value, list):
            result[key] = _list(key, result.get(key) or [], value, patch.get(f"{_ORDER}{key}"))
        else:
            result[key] = value
    return result


def _merge_key(field: str, items: list[Any]) -> str:
    if field == "ports":
        return "containerPort" if any("containerPort" in item for item in items if isinstance(item, dict)) else "port"
    if field == "taints" or field == "tolerations":
        return ""
    return _MERGE_KEYS.get(field, "")


def _list(field: str, old: list[Any], patch: list[Any], order: list[Any] | None) -> list[Any]:
    if any(isinstance(item, dict) and item.get(_DIRECTIVE) == "replace" for item in patch):
        return [copy.deepcopy(item) for item in patch if item.get(_DIRECTIVE) != "replace"]
    if field in _MERGED_SETS:
        merged = [*old, *(item for item in patch if item not in old)]
        return _ordered(merged, old, order if order is not None else patch, "")
    key = _merge_key(field, [*old, *patch])
    if not key:
        return copy.deepcopy(patch)
    result = list(old)
    for item in patch:
        if not isinstance(item, dict) or key not in item:
            raise StatusError(500, "", f"map: {printed(item)} does not contain declared merge key: {key}")
        found = [number for number, each in enumerate(result) if each.get(key) == item[key]]
        if item.get(_DIRECTIVE) == "delete":
            result = [each for each in result if each.get(key) != item[key]]
        elif found:
            result[found[0]] = strategic_patch(result[found[0]], item)
        else:
            result.append(strategic_patch({}, item))
    return _ordered(result, old, order if order is not None else patch, key)


def _ordered(merged: list[Any], old: list[Any], order: list[Any], key: str) -> list[Any]:
    """Items that the patch names in its order; the others before those that they came before, else behind."""

    def name(item: Any) -> Any:
        return item.get(key) if key and isinstance(item, dict) else item

    ranks = {name(item): rank for rank, item in reversed(list(enumerate(order)))}
    places = {name(item): place for place, item in reversed(list(enumerate(old)))}
    named = sorted((item for item in merged if name(item) in ranks), key=lambda item: ranks[name(item)])
    others = [item for item in merged if name(item) not in ranks]
    result = []
    while named and others:
        here, there = places.get(name(others[0])), places.get(name(named[0]))
        first = others if here is not None and there is not None and here < there else named
        result.append(first.pop(0))
    return result + named + others
