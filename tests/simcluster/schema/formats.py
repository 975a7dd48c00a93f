"""String and integer formats that schemas name.

Source: kube-openapi ``pkg/validation/strfmt`` (date-time, duration) and ``pkg/validation/validate/values.go``
(``IsValueValidAgainstRange``).
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from typing import Any, Final

QUANTITY: Final = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([KMGTPE]i|[numkMGTPE]|[eE][+-]?\d+)?\Z", re.ASCII)
"""A resource quantity. Source: apimachinery ``pkg/api/resource/quantity.go``, the grammar in the type's comment."""

_DATE_TIME = re.compile(
    r"\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])[Tt](2[0-3]|[01]\d):[0-5]\d:([0-5]\d|60)(\.\d+)?([Zz]|[+-]\d\d:\d\d)\Z",
    re.ASCII,
)
_DURATION = re.compile(r"[+-]?(0|((\d+(\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h|d|w)\s*)+)\Z")


def is_base64(text: str) -> bool:
    """Whether a string is standard base64 with padding."""
    try:
        base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return False
    return True


FORMATS: Final[dict[str, Callable[[Any], bool]]] = {
    "int32": lambda value: -(2**31) <= value < 2**31,
    "int64": lambda value: -(2**63) <= value < 2**63,
    "date-time": lambda value: _DATE_TIME.match(value) is not None,
    "duration": lambda value: _DURATION.match(value) is not None,
    "quantity": lambda value: QUANTITY.match(value) is not None,
    "byte": is_base64,
}
