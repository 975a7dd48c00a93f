"""Bodies of writes: JSON, YAML, or protobuf, and keys that are there twice.

Source: sigs.k8s.io/json (duplicate fields), k8s.io/apimachinery ``pkg/runtime/serializer``.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import orjson
import yaml

from ..schema.errors import go_quote
from . import protobuf
from .context import Call
from .errors import bad_request, unsupported_media_type
from .patch import APPLY

YAML = "application/yaml"
TYPES = ("application/json", YAML, protobuf.CONTENT_TYPE)
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def decoded(call: Call) -> Any:
    """The content of a body; a key that is there twice earns a warning or, if asked for, a refusal.

    Raises StatusError: 400 for what cannot be read, 415 for another media type.
    """
    kind = call.content_type
    if kind in (YAML, APPLY):
        try:
            return yaml.load(call.body, Loader=_LOADER)
        except yaml.YAMLError as error:
            raise bad_request(f"error converting YAML to JSON: {error}") from error
    if kind == protobuf.CONTENT_TYPE:
        try:
            return protobuf.decode(call.body)
        except (protobuf.Undecodable, UnicodeDecodeError) as error:
            raise bad_request(f"the protobuf body cannot be decoded: {error}") from error
    if kind not in ("", "application/json") and call.method not in ("PATCH", "DELETE"):
        raise unsupported_media_type(*TYPES)
    try:
        content = orjson.loads(call.body)
    except orjson.JSONDecodeError as error:
        raise bad_request(f"couldn't get version/kind; json parse error: {error}") from error
    validation = call.query.get("fieldValidation", "") or "Warn"
    if validation == "Ignore" or kind not in ("", "application/json"):
        return content
    repeated = [f"duplicate field {go_quote(path)}" for path in duplicates(call.body)]
    if repeated and validation == "Strict":
        raise bad_request(f"strict decoding error: {', '.join(repeated)}")
    call.warnings += repeated
    return content


def duplicates(text: bytes) -> list[str]:
    """Paths of keys that an object of a JSON text holds more than once."""
    found: dict[int, list[str]] = {}

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        result = dict(items)
        if len(result) != len(items):
            counts = Counter(key for key, _ in items)
            found[id(result)] = [key for key, count in counts.items() if count > 1]
        return result

    content = json.loads(text, object_pairs_hook=pairs)
    return list(_paths(content, "", found)) if found else []


def _paths(value: Any, path: str, found: dict[int, list[str]]) -> list[str]:
    if isinstance(value, list):
        return [each for index, item in enumerate(value) for each in _paths(item, f"{path}[{index}]", found)]
    if not isinstance(value, dict):
        return []
    here = f"{path}." if path else ""
    paths = [f"{here}{key}" for key in found.get(id(value), ())]
    return paths + [each for key, item in value.items() for each in _paths(item, f"{here}{key}", found)]
