"""Requests of subresources, and their outcome: an answer and what is to be written."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from .auth import ANONYMOUS, User

Obj = dict[str, Any]


@dataclass(frozen=True)
class SubresourceRequest:
    """A call of a subresource. C(resource) is the plural, C(subresource) what follows the name in the path
    ("eviction", "evacuate/cancel"); C(now) is the simulated time (RFC 3339)."""

    method: str
    group: str
    version: str
    resource: str
    subresource: str
    namespace: str
    name: str
    body: Obj | None
    user: User = ANONYMOUS
    now: str = ""

    @property
    def dry_run(self) -> bool:
        """Asked for in the body, as KubeVirt's verbs and evictions have it."""
        body = self.body or {}
        return "All" in (body.get("dryRun") or (body.get("deleteOptions") or {}).get("dryRun") or [])


@dataclass(frozen=True)
class Write:
    """One write that the API server is to apply, trusted: not checked against the caller's rights."""

    verb: Literal["create", "merge-patch", "json-patch", "delete"]
    group: str
    plural: str
    namespace: str
    name: str
    body: Any = None
    subresource: str = ""


@dataclass(frozen=True)
class Outcome:
    """The answer; a C(body) of None is an empty one without Content-Type."""

    code: int
    body: Obj | None = None
    writes: list[Write] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)


def success(code: int, request: SubresourceRequest, *writes: Write) -> Outcome:
    """A Status that says Success."""
    body = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": code}
    return Outcome(code, body, [] if request.dry_run else list(writes))


def accepted(request: SubresourceRequest, *writes: Write) -> Outcome:
    """202 with nothing in it, as KubeVirt's verbs answer."""
    return Outcome(202, None, [] if request.dry_run else list(writes))


def failure(code: int, reason: str | None, message: str, details: Obj | None = None) -> Outcome:
    """A Status that says Failure; without C(reason) and C(details) these are absent."""
    body: Obj = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": message}
    if reason:
        body["reason"] = reason
    if details:
        body["details"] = details
    return Outcome(code, {**body, "code": code})


def not_found(qualified: str, name: str, group: str = "") -> Outcome:
    """404 of an object; C(qualified) is how the message calls its kind."""
    details = {"name": name, "kind": qualified.partition(".")[0]}
    return failure(
        404, "NotFound", f'{qualified} "{name}" not found', {**details, "group": group} if group else details
    )


def conflict(qualified: str, request: SubresourceRequest, problem: str) -> Outcome:
    """409 because the object is in the wrong state: not worth a retry."""
    text = f'Operation cannot be fulfilled on {qualified} "{request.name}": {problem}'
    kind, _, group = qualified.partition(".")
    return failure(409, "Conflict", text, {"name": request.name, "group": group, "kind": kind})
