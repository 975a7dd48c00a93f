"""Answers other than success, with the texts of the Kubernetes API server.

Sources: k8s.io/apimachinery ``pkg/api/errors/errors.go``; k8s.io/apiserver ``pkg/endpoints/handlers/responsewriters``.
"""

from __future__ import annotations

from typing import Any

from ..actions import Outcome
from ..admission import Denied
from ..apply import ApplyConflict
from ..auth import User
from ..schema.errors import SchemaInvalid, go_quote
from ..schema.resource import Resource
from .request import Target

Obj = dict[str, Any]


class StatusError(Exception):
    """An answer of 400 or more: its ``Status`` and further headers."""

    def __init__(
        self,
        code: int,
        reason: str,
        message: str,
        details: Obj | None = None,
        *,
        headers: dict[str, str] | None = None,
        metadata: Obj | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.headers = headers or {}
        self.body: Obj = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": metadata or {},
            "status": "Failure",
            "message": message,
        }
        if reason:
            self.body["reason"] = reason
        if details is not None:
            self.body["details"] = details
        self.body["code"] = code


class TextError(Exception):
    """An answer in plain text."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text


def page_not_found() -> TextError:
    """404 of a path that no group, version or custom resource stands for."""
    return TextError(404, "404 page not found\n")


def no_such_resource() -> StatusError:
    """404 of a resource that a built-in group does not have."""
    return StatusError(404, "NotFound", "the server could not find the requested resource", {})


def details(resource: Resource, name: str = "", **more: Any) -> Obj:
    """``details`` with the plural as kind; the core group is absent."""
    found: Obj = {"name": name} if name else {}
    if resource.group:
        found["group"] = resource.group
    return {**found, "kind": resource.plural, **more}


def not_found(resource: Resource, name: str) -> StatusError:
    """404 of an object."""
    return StatusError(404, "NotFound", f'{resource.qualified} "{name}" not found', details(resource, name))


def already_exists(resource: Resource, name: str, *, deleting: bool = False) -> StatusError:
    """409 of a create."""
    prefix = "object is being deleted: " if deleting else ""
    text = f'{prefix}{resource.qualified} "{name}" already exists'
    return StatusError(409, "AlreadyExists", text, details(resource, name))


def conflict(resource: Resource, name: str, problem: str) -> StatusError:
    """409 of an update, patch or delete."""
    text = f'Operation cannot be fulfilled on {resource.qualified} "{name}": {problem}'
    return StatusError(409, "Conflict", text, details(resource, name))


STALE = "the object has been modified; please apply your changes to the latest version and try again"


def bad_request(message: str) -> StatusError:
    """400."""
    return StatusError(400, "BadRequest", message)


def invalid(resource: Resource, name: str, field: str, body: str, reason: str = "FieldValueInvalid") -> StatusError:
    """422 with one cause; ``body`` is the text behind the field."""
    qualified = f"{resource.kind}.{resource.group}" if resource.group else resource.kind
    found: Obj = {"name": name} if name else {}
    if resource.group:
        found["group"] = resource.group
    found |= {"kind": resource.kind, "causes": [{"reason": reason, "message": body, "field": field}]}
    return StatusError(422, "Invalid", f"{qualified} {go_quote(name)} is invalid: {field}: {body}", found)


def unauthorized() -> StatusError:
    """401: credentials that are not accepted."""
    return StatusError(401, "Unauthorized", "Unauthorized")


def forbidden(user: User, target: Target) -> StatusError:
    """403 of RBAC."""
    if target.group is None:
        text = f"forbidden: User {go_quote(user.name)} cannot {target.verb} path {go_quote(target.path)}"
        return StatusError(403, "Forbidden", text, {})
    plural = f"{target.plural}/{target.subresource}" if target.subresource else target.plural
    qualified = f"{target.plural}.{target.group}" if target.group else target.plural
    named = f' "{target.name}"' if target.name else ""
    scope = f'in the namespace "{target.namespace}"' if target.namespace else "at the cluster scope"
    text = (
        f"{qualified}{named} is forbidden: User {go_quote(user.name)} cannot {target.verb} resource "
        f'"{plural}" in API group "{target.group}" {scope}'
    )
    found: Obj = {"name": target.name} if target.name else {}
    if target.group:
        found["group"] = target.group
    return StatusError(403, "Forbidden", text, {**found, "kind": target.plural})


def version_needed(resource: Resource, name: str) -> StatusError:
    """422 of an update without resourceVersion, which names the plural where others name the kind."""
    body = "Invalid value: 0: must be specified for an update"
    causes = [{"reason": "FieldValueInvalid", "message": body, "field": "metadata.resourceVersion"}]
    text = f"{resource.qualified} {go_quote(name)} is invalid: metadata.resourceVersion: {body}"
    return StatusError(422, "Invalid", text, details(resource, name, causes=causes))


def precondition_failed(resource: Resource, name: str, problem: str) -> StatusError:
    """409 of a delete, which names the kind where others name the plural."""
    qualified = f"{resource.kind}.{resource.group}" if resource.group else resource.kind
    text = f'Operation cannot be fulfilled on {qualified} "{name}": {problem}'
    return StatusError(409, "Conflict", text, {**details(resource, name), "kind": resource.kind})


def method_not_allowed() -> StatusError:
    """405."""
    return StatusError(405, "MethodNotAllowed", "the server does not allow this method on the requested resource", {})


def unsupported_media_type(*supported: str) -> StatusError:
    """415 of a body."""
    accepted = ", ".join(supported)
    text = f"the body of the request was in an unknown format - accepted media types include: {accepted}"
    return StatusError(415, "UnsupportedMediaType", text)


def invalid_options(kind: str, problems: list[tuple[str, str, str]]) -> StatusError:
    """422 of parameters: the field, the cause's reason and the text of each problem."""
    texts = [f"{field}: {text}" for field, _, text in problems]
    joined = texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"
    causes = [{"reason": reason, "message": text, "field": field} for field, reason, text in problems]
    found = {"group": "meta.k8s.io", "kind": kind, "causes": causes}
    return StatusError(422, "Invalid", f'{kind}.meta.k8s.io "" is invalid: {joined}', found)


def unsupported_dry_run(kind: str, given: list[str]) -> StatusError:
    """422 of another ``dryRun`` than ``All``."""
    listed = ",".join(go_quote(each) for each in given)
    text = f'Unsupported value: [{listed}]: supported values: "All"'
    return invalid_options(kind, [("dryRun", "FieldValueNotSupported", text)])


def unsupported_verb(resource: Resource, verb: str) -> StatusError:
    """405 of a custom resource's subresource."""
    text = f"{verb} is not supported on resources of kind {go_quote(resource.qualified)}"
    return StatusError(405, "MethodNotAllowed", text, details(resource))


def expired_continue(token: str) -> StatusError:
    """410 of a continue token; ``token`` goes on from there inconsistently."""
    text = (
        "The provided continue parameter is too old to display a consistent list result. You can start a new list "
        "without the continue parameter, or use the continue token in this response to retrieve the remainder of the "
        "results. Continuing with the provided token results in an inconsistent list - objects that were created, "
        "modified, or deleted between the time the first chunk was returned and now may show up in the list."
    )
    return StatusError(410, "Expired", text, metadata={"continue": token})


def expired_list() -> StatusError:
    """410 of ``resourceVersionMatch=Exact``."""
    return StatusError(410, "Expired", "The resourceVersion for the provided list is too old.")


def expired_watch(version: int, floor: int) -> StatusError:
    """410 that a watch sends as its last line."""
    return StatusError(410, "Expired", f"too old resource version: {version} ({floor})")


def version_too_large(version: int, current: int) -> StatusError:
    """504 of a resourceVersion that does not exist yet."""
    text = f"Timeout: Too large resource version: {version}, current: {current}"
    causes = [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}]
    found = {"causes": causes, "retryAfterSeconds": 1}
    return StatusError(504, "Timeout", text, found, headers={"Retry-After": "1"})


def of_schema(error: SchemaInvalid) -> StatusError:
    """The answer to an object that the schema refuses."""
    if error.code == 422:
        found: Obj = {key: value for key in ("name", "group", "kind") if (value := getattr(error, key))}
        found["causes"] = error.causes
        return StatusError(422, error.reason, error.message, found)
    return StatusError(error.code, error.reason, error.message)


def of_admission(denied: Denied) -> StatusError:
    """The answer of a webhook."""
    found = {**denied.details, **({"causes": denied.causes} if denied.causes else {})}
    return StatusError(denied.code, denied.reason or "", denied.message, found or None)


def of_apply(error: ApplyConflict) -> StatusError:
    """The answer to an apply that would take fields from others."""
    return StatusError(409, "Conflict", error.message, {"causes": error.causes})


def of_outcome(outcome: Outcome) -> StatusError:
    """The refusal of a subresource."""
    body = outcome.body or {}
    return StatusError(
        outcome.code, body.get("reason", ""), body.get("message", ""), body.get("details"), headers=outcome.headers
    )
