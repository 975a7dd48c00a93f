"""Parameters that all writes have.

Source: k8s.io/apimachinery ``pkg/apis/meta/v1/validation/validation.go``.
"""

from __future__ import annotations

from ..schema.errors import go_quote
from .context import Call
from .errors import invalid_options, unsupported_dry_run

_MANAGER_MAX_BYTES = 128


def field_validation(call: Call) -> str:
    """What is to be done about unknown fields; raises StatusError (422)."""
    value = call.query.get("fieldValidation", "")
    if value in ("", "Ignore", "Warn", "Strict"):
        return value or "Warn"
    text = f'Unsupported value: {go_quote(value)}: supported values: "", "Ignore", "Strict", "Warn"'
    raise invalid_options(_options_kind(call), [("fieldValidation", "FieldValueNotSupported", text)])


def check_options(call: Call) -> None:
    """Raises StatusError (422) for options that no write knows."""
    is_dry_run(call)
    if call.method == "DELETE":
        return
    field_validation(call)
    manager, kind = call.query.get("fieldManager", ""), _options_kind(call)
    if len(manager.encode()) > _MANAGER_MAX_BYTES:
        text = f"Too long: may not be more than {_MANAGER_MAX_BYTES} bytes"
        raise invalid_options(kind, [("fieldManager", "FieldValueTooLong", text)])
    for position, char in enumerate(manager):
        if not char.isprintable():
            text = f"Invalid value: {go_quote(manager)}: invalid character U+{ord(char):04X} (at position {position})"
            raise invalid_options(kind, [("fieldManager", "FieldValueInvalid", text)])


def is_dry_run(call: Call) -> bool:
    """Whether nothing is to be stored; raises StatusError (422) for another value than ``All``."""
    value = call.query.get("dryRun")
    if value in (None, "", "All"):
        return value == "All"
    raise unsupported_dry_run(_options_kind(call), [value])


def _options_kind(call: Call) -> str:
    kinds = {"POST": "CreateOptions", "PATCH": "PatchOptions", "DELETE": "DeleteOptions"}
    return kinds.get(call.method, "UpdateOptions")
