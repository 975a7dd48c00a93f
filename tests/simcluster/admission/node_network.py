"""NodeNetworkConfigurationPolicy: names, and no other spec while nmstate is at work on one.

Source: kubernetes-nmstate pkg/webhook/nodenetworkconfigurationpolicy/validation.go and handler.go.
"""

from __future__ import annotations

import re

from .types import Lookup, Obj, Request, refused

CREATE_WEBHOOK = "nodenetworkconfigurationpolicies-create-validate.nmstate.io"
UPDATE_WEBHOOK = "nodenetworkconfigurationpolicies-update-validate.nmstate.io"
_LABEL_VALUE = re.compile(r"^([A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?$")
_PROGRESSING = ("", "ConfigurationProgressing")


def validate_create(request: Request, lookup: Lookup) -> list[str]:
    """Its name becomes the value of a label of its enactments."""
    if not _LABEL_VALUE.match(request.name):
        raise _denied(CREATE_WEBHOOK, request.name, f'invalid policy name: "{request.name}": must be a label value')
    return []


def validate_update(request: Request, lookup: Lookup) -> list[str]:
    """Until all nodes have ended nobody changes what they are to do."""
    before, after = request.old_object or {}, request.object or {}
    if before.get("spec") == after.get("spec"):
        return []
    conditions: list[Obj] = (before.get("status") or {}).get("conditions") or []
    available = next((each for each in conditions if each["type"] == "Available"), {})
    if (available.get("reason") or "") in _PROGRESSING:
        raise _denied(UPDATE_WEBHOOK, request.name, f"policy {request.name} is still in progress")
    return []


def _denied(webhook: str, name: str, text: str) -> Exception:
    told = f"failed to admit NodeNetworkConfigurationPolicy {name}: message: {text}. "
    return refused(webhook, told, 403, "Forbidden")
