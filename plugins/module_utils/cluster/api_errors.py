# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From an error answer of the API server to one of the collection's errors, with a hint what to do.

The bodies are Kubernetes C(Status) objects, except for unknown API groups and kinds, whose 404 is plain text, and for
whatever a proxy in between makes up.
"""

from __future__ import annotations

import json
import re
from typing import Any, Mapping, Optional

from ..errors import ApiError, Conflict, Expired, Forbidden, NotFound, Unauthorized, Unreachable

TOKEN_HINT = (
    "The credentials are missing, wrong or expired. Get a new token (`oc whoami -t`, or `oc create token NAME` for a "
    "service account) and pass it as api_key, K8S_AUTH_API_KEY or in the kubeconfig."
)
RIGHTS_HINT = "Grant the right to this account; docs/rbac holds the roles that each job needs."
REACH_HINT = "Check host, port, proxy and network path to the API server; if it is restarting, run this again."
CERTIFICATE_HINT = "Pass the cluster's CA as ca_cert (or in the kubeconfig), or set validate_certs to false."
THROTTLED_HINT = "The API server is overloaded; wait, then run this again."
HOST_HINT = "Check that host is the URL of the API server (`oc whoami --show-server`), not of the console."

# statuses of a server that is overloaded, starts, or has lost its store for a moment
PASSING = (429, 500, 502, 503, 504)
_CLASSES: dict[int, type[ApiError]] = {401: Unauthorized, 403: Forbidden, 404: NotFound, 409: Conflict, 410: Expired}
_STRICT = "strict decoding error: "
# an invalid object is quoted whole, and might hold a password
_QUOTED_OBJECT = re.compile(r'Invalid value: (?:"\{.*\}"|\{.*\}|"map\[.*\]"|map\[.*\])', re.DOTALL)
_MAX_MESSAGE = 1000


def from_answer(what: str, request: str, status: int, headers: Mapping[str, str], body: bytes) -> ApiError:
    """Return (not raise) the error for an answer with an error status.

    C(what) completes "Could not ...": "list pods". C(request) is verb and path.
    """
    document = _status_body(headers, body)
    details = document.get("details") or {}
    message = harmless(document.get("message") or _text(body) or f"HTTP status {status}")
    reason = document.get("reason") or ""
    causes = tuple(
        {
            "reason": cause.get("reason", ""),
            "message": harmless(cause.get("message", "")),
            "field": cause.get("field", ""),
        }
        for cause in details.get("causes") or ()
    )
    kind = _CLASSES.get(status, ApiError)
    return kind(
        f"Could not {what}: {message}",
        status=status,
        reason=reason,
        causes=causes,
        request=request,
        retry_after_seconds=_retry_after(headers, details),
        hint=_hint(status, message, document),
        details={"status": status, "reason": reason, "request": request},
    )


def unreachable(
    what: str, request: str, cause: str, *, last: Optional[ApiError] = None, unknown: bool = False
) -> ApiError:
    """Return the error for a request without a usable answer.

    C(cause) is what the connection or the server said, C(last) the server's last error if it did answer. C(unknown):
    it is not known whether a write took effect; C(details["outcome"]) is then "unknown".
    """
    hint = REACH_HINT
    if last is not None and last.status == 429:
        hint = THROTTLED_HINT
    elif "CERTIFICATE_VERIFY_FAILED" in cause:
        hint = CERTIFICATE_HINT
    elif unknown:
        hint = "Whether it took effect is not known; it is read again before anything is repeated."
    details: dict[str, Any] = {"request": request, "status": last.status if last else 0}
    if unknown:
        details["outcome"] = "unknown"
    message = last.message if last is not None else f"Could not {what}: {cause}"
    return Unreachable(
        message,
        status=last.status if last else 0,
        reason=last.reason if last else "",
        causes=last.causes if last else (),
        request=request,
        hint=hint,
        details=details,
    )


def harmless(message: str) -> str:
    """Return an API server's message without the whole objects that it sometimes quotes."""
    if _STRICT in message:
        message = _STRICT + message.rsplit(_STRICT, 1)[1]
    message = _QUOTED_OBJECT.sub("Invalid value: (the object)", message)
    return message if len(message) <= _MAX_MESSAGE else message[:_MAX_MESSAGE] + " ..."


def blocked_by_budget(error: ApiError) -> bool:
    """Tell whether a 429 is a pod disruption budget's refusal of an eviction, not throttling."""
    return any(cause.get("reason") == "DisruptionBudget" for cause in error.causes)


def _status_body(headers: Mapping[str, str], body: bytes) -> dict[str, Any]:
    if "json" not in (headers.get("Content-Type") or ""):
        return {}
    try:
        document = json.loads(body)
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}


def _text(body: bytes) -> str:
    text = body.decode("utf-8", "replace").strip()
    return "" if text.startswith("<") else text[:200]


def _retry_after(headers: Mapping[str, str], details: Mapping[str, Any]) -> Optional[float]:
    value = headers.get("Retry-After") or details.get("retryAfterSeconds")
    try:
        return float(value) if value is not None else None
    except ValueError:
        return None


def _hint(status: int, message: str, document: Mapping[str, Any]) -> str:
    if status == 401:
        return TOKEN_HINT
    if status == 403 and "cannot" in message:
        return RIGHTS_HINT
    if status in (301, 302, 303, 307, 308) or (not document and status in (400, 403)):
        return HOST_HINT
    return ""
