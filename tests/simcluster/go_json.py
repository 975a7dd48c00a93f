"""JSON and YAML as Go's decoders read them, with the texts of their errors.

Sources: Go ``encoding/json`` (scanner.go: invalid bytes of strings become U+FFFD), sigs.k8s.io/yaml, Go ``fmt`` (maps).
"""

from __future__ import annotations

import base64
import json
from typing import Any

import orjson
import yaml

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_EXPECTED = {
    "Extra data": "after top-level value",
    "Expecting value": "looking for beginning of value",
    "Expecting property name enclosed in double quotes": "looking for beginning of object key string",
    "Illegal trailing comma before end of object": "looking for beginning of object key string",
    "Expecting ':' delimiter": "after object key",
    "Invalid \\escape": "in string escape code",
    "Invalid control character at": "in string literal",
}


class Undecodable(Exception):
    """A text that is no JSON or YAML, or no base64; its text is Go's."""


def loads(data: bytes) -> Any:
    """The value of a JSON text; raises Undecodable."""
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        pass
    text = data.decode(errors="replace")
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise Undecodable(_syntax(text, error)) from error


def load_yaml(data: bytes) -> Any:
    """The value of a YAML text's first document; raises Undecodable."""
    try:
        # what follows a complete flow mapping is not looked at
        loader = _LOADER(data)
        try:
            return loader.get_data() if loader.check_data() else None
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        raise Undecodable(f"yaml: {_line(error)}{error.problem}") from error
    except yaml.YAMLError as error:
        raise Undecodable(f"yaml: {getattr(error, 'reason', None) or error}") from error


def _line(error: yaml.MarkedYAMLError) -> str:
    """The line of an error as Go's library counts it, empty where it tells none."""
    mark = error.problem_mark
    number = mark.line if mark is not None else 0
    if number and isinstance(error, yaml.scanner.ScannerError):
        number += 1
    return f"line {number}: " if number else ""


def _syntax(text: str, error: json.JSONDecodeError) -> str:
    position = error.pos
    if position >= len(text.rstrip()) or error.msg.startswith("Unterminated string"):
        return "unexpected end of JSON input"
    if error.msg == "Expecting ',' delimiter":
        expected = "after array element" if _in_array(text[:position]) else "after object key:value pair"
    else:
        expected = _EXPECTED.get(error.msg, "in literal")
    return f"invalid character {_quoted(text[position])} {expected}"


def _in_array(text: str) -> bool:
    depth = 0
    for char in reversed(text):
        if char in "]}":
            depth += 1
        elif char in "[{":
            if not depth:
                return char == "["
            depth -= 1
    return False


def _quoted(char: str) -> str:
    return {"'": r"'\''", '"': "'\"'"}.get(char, f"'{char}'")


def kind_of(value: Any) -> str:
    """What Go calls a JSON value in a message."""
    if isinstance(value, dict):
        return "object"
    if isinstance(value, list):
        return "array"
    if isinstance(value, str):
        return "string"
    return "bool" if isinstance(value, bool) else "number"


def unmarshal_problem(value: Any, into: str) -> str:
    """The text for a value of another kind than the Go type that it is read into."""
    return f"json: cannot unmarshal {kind_of(value)} into Go value of type {into}"


def raw_base64(text: str) -> bytes:
    """The bytes of an unpadded base64 text for URLs; raises Undecodable."""
    for index, char in enumerate(text):
        if not (char.isascii() and (char.isalnum() or char in "-_")):
            raise Undecodable(f"illegal base64 data at input byte {index}")
    if len(text) % 4 == 1:
        raise Undecodable(f"illegal base64 data at input byte {len(text)}")
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def printed(value: Any) -> str:
    """A value as Go's C(%v) prints it."""
    if isinstance(value, dict):
        return f"map[{' '.join(f'{key}:{printed(value[key])}' for key in sorted(value))}]"
    if isinstance(value, list):
        return f"[{' '.join(map(printed, value))}]"
    if value is None:
        return "<nil>"
    return str(value).lower() if isinstance(value, bool) else str(value)
