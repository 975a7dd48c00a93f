"""Errors of a typed decoder: what the API server says when a built-in kind's field has the wrong JSON type.

Sources: Go ``encoding/json`` ``UnmarshalTypeError`` (innermost struct, then the path of field names without indices),
apimachinery ``pkg/api/resource/quantity.go``.
"""

from __future__ import annotations

from typing import Any

from .check import json_type
from .errors import go_quote
from .formats import FORMATS, QUANTITY
from .nodes import Node

_MICRO_TIMES = (("acquireTime",), ("eventTime",), ("renewTime",))
_QUANTITY_TEXT = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"


def decode_problem(node: Node, value: Any, struct: str = "", path: tuple[str, ...] = ()) -> str | None:
    """The first field that does not decode, as text; None when all do."""
    if value is None or node.preserves:
        return None
    wanted = node.type
    if wanted == "object":
        if not isinstance(value, dict):
            return _mismatch(value, node, struct, path)
        inner_struct = str(node.facts.get("go", struct))
        for name, item in value.items():
            child = node.properties.get(name, node.additional)
            if child is not None:
                deeper = (*path, name) if name in node.properties else path
                if problem := decode_problem(child, item, inner_struct, deeper):
                    return problem
        return None
    if wanted == "array":
        if not isinstance(value, list):
            return _mismatch(value, node, struct, path)
        items = (decode_problem(node.items, item, struct, path) for item in value if node.items is not None)
        return next((problem for problem in items if problem), None)
    return _scalar_problem(node, value, struct, path)


def _scalar_problem(node: Node, value: Any, struct: str, path: tuple[str, ...]) -> str | None:
    wanted = node.type
    if wanted == "quantity":
        numeric = isinstance(value, (int, float)) and not isinstance(value, bool)
        return None if numeric or (isinstance(value, str) and QUANTITY.match(value)) else _QUANTITY_TEXT
    fits = {
        "string": isinstance(value, str),
        "boolean": isinstance(value, bool),
        "integer": isinstance(value, int) and not isinstance(value, bool),
        "number": isinstance(value, (int, float)) and not isinstance(value, bool),
        "int-or-string": isinstance(value, (int, str)) and not isinstance(value, bool),
    }
    if not fits.get(wanted, True):
        return _mismatch(value, node, struct, path)
    name = node.facts.get("format", "")
    if not name or FORMATS[name](value):
        return None
    if name == "date-time":
        fraction = ".000000" if path[-1:] in _MICRO_TIMES else ""
        layout = f"2006-01-02T15:04:05{fraction}Z07:00"
        return f'parsing time {go_quote(value)} as {go_quote(layout)}: cannot parse {go_quote(value)} as "2006"'
    if name == "byte":
        return f"illegal base64 data at input byte {_first_bad_base64(value)}"
    return _mismatch(value, node, struct, path)


def _first_bad_base64(text: str) -> int:
    return next((i for i, c in enumerate(text) if not (c.isascii() and (c.isalnum() or c in "+/="))), len(text))


def _mismatch(value: Any, node: Node, struct: str, path: tuple[str, ...]) -> str:
    kinds = {"boolean": "bool", "integer": "number"}
    found = kinds.get(json_type(value), json_type(value))
    if found == "number" and node.type == "integer":
        found = f"number {value}"
    if not path:
        return f"json: cannot unmarshal {found} into Go value of type {_go_type(node)}"
    return f"json: cannot unmarshal {found} into Go struct field {struct}.{'.'.join(path)} of type {_go_type(node)}"


def _go_type(node: Node) -> str:
    if node.type == "object":
        if node.additional is not None:
            return f"map[string]{_go_type(node.additional)}"
        return f"v1.{node.facts.get('go', 'Object')}"
    if node.type == "array":
        return f"[]{_go_type(node.items)}" if node.items is not None else "[]interface {}"
    if node.facts.get("format") == "byte":
        return "[]uint8"
    names = {"boolean": "bool", "integer": node.facts.get("format", "int64"), "number": "float64"}
    return str(names.get(node.type, "string"))
