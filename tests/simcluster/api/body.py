"""Bodies of writes: JSON, YAML, or protobuf, and what the API server says of those that it cannot read.

Sources: k8s.io/apimachinery ``pkg/runtime/serializer/json``, k8s.io/apiserver ``pkg/endpoints/handlers/rest.go``
(transformDecodeError, summarizeData), ``pkg/endpoints/handlers/patch.go``.
"""

from __future__ import annotations

from typing import Any

from ..go_json import Undecodable, load_yaml, loads, unmarshal_problem
from ..schema.duplicates import duplicate_fields, merged
from ..schema.errors import go_quote
from ..schema.resource import Resource
from . import protobuf
from .context import Call
from .errors import StatusError, bad_request, unsupported_media_type
from .patch import APPLY, JSON, STRATEGIC

YAML = "application/yaml"
TYPES = ("application/json", YAML, protobuf.CONTENT_TYPE)
_SUMMARY_BYTES = 30
_TYPE_META = 'struct { APIVersion string "json:\\"apiVersion,omitempty\\""; Kind string "json:\\"kind,omitempty\\"" }'
_MAP = "map[string]interface {}"


def decoded(call: Call) -> Any:
    """The content of a body, of whatever kind; keys that are there twice are noted in the call.

    Raises StatusError: 400 for what cannot be read, 415 for another media type.
    """
    kind = call.content_type
    if kind == protobuf.CONTENT_TYPE:
        try:
            return protobuf.decode(call.body)
        except (protobuf.Undecodable, UnicodeDecodeError) as error:
            raise bad_request(f"the protobuf body cannot be decoded: {error}") from error
    if kind not in ("", *TYPES):
        raise unsupported_media_type(*TYPES)
    try:
        if kind == YAML:
            return load_yaml(call.body)
        content = loads(call.body)
    except Undecodable as error:
        problem = str(error) if kind == YAML else f"couldn't get version/kind; json parse error: {error}"
        raise bad_request(problem) from error
    call.duplicates = duplicate_fields(call.body)
    return content


def decoded_object(call: Call, resource: Resource, version: str) -> Any:
    """The object of a POST or PUT; raises StatusError for what the resource's decoder does not take."""
    try:
        content = decoded(call)
    except StatusError as error:
        if error.code != 400 or call.content_type == protobuf.CONTENT_TYPE:
            raise
        raise _unrecognized(call, resource, error.body["message"]) from error
    if content is not None and not isinstance(content, dict):
        problem = unmarshal_problem(content, _TYPE_META)
        raise _unrecognized(call, resource, f"couldn't get version/kind; json parse error: {problem}")
    obj: dict[str, Any] = content or {}
    group_version, kind = obj.get("apiVersion") or "", obj.get("kind") or ""
    if not isinstance(group_version, str) or not isinstance(kind, str):
        # the decoder that looks at the whole says which
        return obj
    if group_version.count("/") > 1:
        raise _unrecognized(call, resource, f"unexpected GroupVersion string: {group_version}")
    if resource.builtin:
        if problem := call.cluster.registry.type_problem(resource, version, group_version, kind):
            shown, given = kind or resource.kind, (group_version or version).rpartition("/")[2]
            text = f"{shown} in version {go_quote(given)} cannot be handled as a {resource.kind}: {problem}"
            raise bad_request(text)
        if call.duplicates:
            obj = merged(call.body)
    else:
        _match_custom_type(call, resource, version, obj)
    return obj


def _match_custom_type(call: Call, resource: Resource, version: str, obj: dict[str, Any]) -> None:
    if not obj.get("kind"):
        whole = call.body.decode(errors="replace")
        raise _unrecognized(call, resource, f"Object 'Kind' is missing in '{whole}'")
    given, expected = obj.get("apiVersion") or "", resource.api_version(version)
    if given == expected:
        return
    call.warnings += unknown_version_warnings(resource, obj)
    raise bad_request(f"the API version in the data ({given}) does not match the expected API version ({expected})")


def unknown_version_warnings(resource: Resource, obj: dict[str, Any]) -> list[str]:
    """Warnings for an object of a version that the kind does not have: without a schema no field is known."""
    group, _, version = str(obj.get("apiVersion") or "").rpartition("/")
    if group != resource.group or version in resource.versions:
        return []
    return [f"unknown field {go_quote(key)}" for key in sorted(obj) if key not in ("apiVersion", "kind", "metadata")]


def _unrecognized(call: Call, resource: Resource, problem: str) -> StatusError:
    head, longer = call.body[:_SUMMARY_BYTES], len(call.body) > _SUMMARY_BYTES
    if not head:
        summary = "<empty>"
    else:
        summary = head.decode(errors="replace") if head.startswith(b"{") else head.hex()
        summary += " ..." if longer else ""
    return bad_request(f"the object provided is unrecognized (must be of type {resource.kind}): {problem} ({summary})")


def decoded_patch(call: Call) -> Any:
    """The content of a patch of any type; raises StatusError (400)."""
    kind = call.content_type
    if kind == APPLY:
        return _applied(call)
    prefix = "" if kind == STRATEGIC else "error decoding patch: "
    try:
        content = loads(call.body)
    except Undecodable as error:
        raise bad_request(f"{prefix}{error}") from error
    if kind == JSON:
        if content is None:
            return []
        if not isinstance(content, list):
            raise bad_request(f"{prefix}{unmarshal_problem(content, '[]handlers.jsonPatchOp')}")
        return content
    if content is None:
        if kind == STRATEGIC:
            return {}
        raise bad_request("Invalid JSON Patch")
    if not isinstance(content, dict):
        raise bad_request(f"{prefix}{unmarshal_problem(content, _MAP)}")
    call.duplicates = duplicate_fields(call.body)
    return content


def _applied(call: Call) -> dict[str, Any]:
    try:
        content = load_yaml(call.body)
    except Undecodable as error:
        raise bad_request(f"error decoding YAML: error converting YAML to JSON: {error}") from error
    if content is None:
        return {}
    if not isinstance(content, dict):
        problem = unmarshal_problem(content, _MAP)
        raise bad_request(f"error decoding YAML: error unmarshaling JSON: while decoding JSON: {problem}")
    return content
