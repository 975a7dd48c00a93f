"""Defaults and rules of built-in kinds that their field types do not express.

Sources: kubernetes ``pkg/apis/core/v1/defaults.go`` and ``pkg/apis/core/validation/validation.go``.
"""

from __future__ import annotations

from typing import Any

from .errors import FieldError


def core_defaults(kind: str, obj: dict[str, Any]) -> None:
    """Fills in defaults that depend on other fields, in place."""


def core_errors(kind: str, obj: dict[str, Any], old: dict[str, Any] | None, subresource: str) -> list[FieldError]:
    """Violations of rules that go beyond one field."""
    return []
