"""Validation errors with the texts, causes and codes of the Kubernetes API server.

Sources: k8s.io/apimachinery ``pkg/util/validation/field/errors.go`` (error bodies) and ``pkg/api/errors/errors.go``
(``NewInvalid``: message and causes of a 422).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

REQUIRED: Final = "FieldValueRequired"
INVALID: Final = "FieldValueInvalid"
TYPE_INVALID: Final = "FieldValueTypeInvalid"
NOT_SUPPORTED: Final = "FieldValueNotSupported"
DUPLICATE: Final = "FieldValueDuplicate"
FORBIDDEN: Final = "FieldValueForbidden"
TOO_LONG: Final = "FieldValueTooLong"
TOO_MANY: Final = "FieldValueTooMany"

_TITLES: Final = {
    REQUIRED: "Required value",
    INVALID: "Invalid value",
    TYPE_INVALID: "Invalid value",
    NOT_SUPPORTED: "Unsupported value",
    DUPLICATE: "Duplicate value",
    FORBIDDEN: "Forbidden",
    TOO_LONG: "Too long",
    TOO_MANY: "Too many",
}
_WITHOUT_VALUE: Final = frozenset({REQUIRED, FORBIDDEN, TOO_LONG})

OMITTED: Final = object()
"""Bad value of an error whose text does not show the value."""


@dataclass(frozen=True)
class FieldError:
    """One violated rule: the field's path, a cause reason of the API, the bad value and the rest of the sentence."""

    field: str
    reason: str
    value: Any
    detail: str = ""

    @property
    def body(self) -> str:
        """The text without the field, as in ``details.causes[].message``."""
        title = _TITLES[self.reason]
        text = title if self.reason in _WITHOUT_VALUE or self.value is OMITTED else f"{title}: {go_value(self.value)}"
        return f"{text}: {self.detail}" if self.detail else text

    @property
    def text(self) -> str:
        """Field and body, as in the message of the whole."""
        return f"{self.field}: {self.body}"


class SchemaInvalid(Exception):
    """An object that the API server refuses: HTTP ``code``, ``reason``, ``message`` and ``causes`` of the Status.

    ``causes`` are dicts with ``reason``, ``message`` and ``field``; ``kind`` and ``group`` are what ``details`` shows
    (empty strings: absent there). ``problem`` is why the result of a patch could not be decoded.
    """

    def __init__(
        self,
        code: int,
        reason: str,
        message: str,
        causes: Sequence[dict[str, str]] = (),
        *,
        name: str = "",
        kind: str = "",
        group: str = "",
        problem: str = "",
    ) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.causes = list(causes)
        self.name = name
        self.kind = kind
        self.group = group
        self.problem = problem


def bad_request(message: str) -> SchemaInvalid:
    """400, as for a body that cannot be decoded."""
    return SchemaInvalid(400, "BadRequest", message)


def invalid(kind: str, group: str, name: str, errors: Sequence[FieldError]) -> SchemaInvalid:
    """422 with one cause per error; a single error stands without square brackets, equal ones are told once."""
    qualified = f"{kind}.{group}" if group else kind
    texts = list(dict.fromkeys(error.text for error in errors))
    joined = texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"
    causes = [{"reason": e.reason, "message": e.body, "field": e.field} for e in errors]
    message = f"{qualified} {go_quote(name)} is invalid: {joined}"
    return SchemaInvalid(422, "Invalid", message, causes, name=name, kind=kind, group=group)


def invalid_patch(patched: Any, problem: str) -> SchemaInvalid:
    """422 of a patch whose result cannot be decoded; it quotes the whole patched object and names no kind."""
    shown = patched if isinstance(patched, str) else go_json(patched)
    error = invalid("", "", "", [FieldError("patch", INVALID, shown, problem)])
    error.problem = problem
    return error


def go_json(value: Any) -> str:
    """JSON as Go's ``json.Marshal`` writes it: compact, map keys sorted, ``<``, ``>`` and ``&`` escaped."""
    text = json.dumps(value, separators=(",", ":"), sort_keys=True, ensure_ascii=False)
    for char, escaped in (("<", "\\u003c"), (">", "\\u003e"), ("&", "\\u0026"), ("\u2028", "\\u2028")):
        text = text.replace(char, escaped)
    return text


def go_value(value: Any) -> str:
    """A bad value as a field error shows it."""
    return go_quote(value) if isinstance(value, str) else go_json(value)


_ESCAPES: Final = {
    "\a": "\\a",
    "\b": "\\b",
    "\f": "\\f",
    "\n": "\\n",
    "\r": "\\r",
    "\t": "\\t",
    "\v": "\\v",
    '"': '\\"',
    "\\": "\\\\",
}


def go_quote(text: str) -> str:
    """A string as Go's ``%q`` writes it."""
    return '"' + "".join(_ESCAPES.get(c) or (c if c.isprintable() else _escape(c)) for c in text) + '"'


def _escape(char: str) -> str:
    point = ord(char)
    if point < 0x80:
        return f"\\x{point:02x}"
    return f"\\u{point:04x}" if point < 0x10000 else f"\\U{point:08x}"
