"""The patch types: merge (RFC 7386), JSON (RFC 6902), and strategic merge for built-in kinds.

Sources: k8s.io/apiserver ``pkg/endpoints/handlers/patch.go``; k8s.io/apimachinery
``pkg/util/strategicpatch/patch.go``; merge keys from the ``patchMergeKey`` tags of k8s.io/api.
"""

from __future__ import annotations

import copy
from typing import Any

import jsonpatch

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


def json_patch(target: Obj, operations: Any) -> Obj:
    """The result of a JSON patch; raises StatusError: 400 for what is no patch, 422 for one that does not apply."""
    if not isinstance(operations, list) or not all(isinstance(each, dict) for each in operations):
        raise bad_request("error decoding patch: json: cannot unmarshal object into Go value of type jsonpatch.Patch")
    if len(operations) > _MAX_OPERATIONS:
        text = f"The allowed maximum operations in a JSON patch is {_MAX_OPERATIONS}, got {len(operations)}"
        raise StatusError(413, "RequestEntityTooLarge", text, {})
    try:
        result = jsonpatch.apply_patch(target, operations)
    except (jsonpatch.JsonPatchException, jsonpatch.JsonPointerException, TypeError, KeyError) as error:
        text = "the server rejected our request due to an error in our request"
        raise StatusError(422, "Invalid", text, {}) from error
    if not isinstance(result, dict):
        raise bad_request("json: cannot unmarshal patched document into an object")
    return result


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
        return [*old, *(item for item in patch if item not in old)]
    key = _merge_key(field, [*old, *patch])
    if not key:
        return copy.deepcopy(patch)
    result = list(old)
    for item in patch:
        if not isinstance(item, dict) or key not in item:
            raise bad_request(f"map: {item} does not contain declared merge key: {key}")
        found = [number for number, each in enumerate(result) if each.get(key) == item[key]]
        if item.get(_DIRECTIVE) == "delete":
            result = [each for each in result if each.get(key) != item[key]]
        elif found:
            result[found[0]] = strategic_patch(result[found[0]], item)
        else:
            result.append(strategic_patch({}, item))
    if order:
        ranks = {each.get(key): rank for rank, each in enumerate(order) if isinstance(each, dict)}
        result.sort(key=lambda each: ranks.get(each.get(key), len(ranks)))
    return result
