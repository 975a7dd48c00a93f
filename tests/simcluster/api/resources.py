"""Requests for stored resources and their subresources: from target to answer."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import Any

import orjson

from .. import subresources
from ..actions import SubresourceRequest, Write
from ..auth import ACCOUNT_PREFIX, MASTERS, User
from ..go_json import printed
from ..schema.errors import SchemaInvalid
from ..schema.registry import Registry
from ..schema.resource import Resource
from . import deletion, metrics, options, patch, reviews, scale, write
from .body import decoded, decoded_object, decoded_patch
from .context import Call
from .discovery import METRICS, SUBRESOURCES
from .errors import (
    StatusError,
    TextError,
    bad_request,
    invalid_options,
    method_not_allowed,
    no_such_resource,
    not_found,
    of_outcome,
    of_schema,
    page_not_found,
    unsupported_media_type,
    unsupported_verb,
)
from .lists import check_read_version
from .render import Renderer
from .request import Target

Obj = dict[str, Any]
_VIRT_API = User(f"{ACCOUNT_PREFIX}openshift-cnv:kubevirt-apiserver", (MASTERS,))
_ACTING = {
    ("", "pods", "eviction"): "pods",
    ("", "pods", "binding"): "pods",
}
_REVIEWS = ("selfsubjectaccessreviews", "subjectaccessreviews", "selfsubjectreviews")


@dataclass(frozen=True)
class Answer:
    """What is sent back. A ``body`` of None goes out empty and without Content-Type."""

    code: int
    body: bytes | None
    headers: dict[str, str] = field(default_factory=dict)


def served(call: Call) -> Resource:
    """The resource of a request; raises the 404 that fits."""
    target, registry = call.target, call.cluster.registry
    resource = registry.find(target.group or "", target.plural)
    if resource is not None and target.version in resource.versions and _scope_fits(resource, target):
        return resource
    if is_builtin_group(registry, target.group or ""):
        raise no_such_resource()
    raise page_not_found()


def is_builtin_group(registry: Registry, group: str) -> bool:
    """Whether the API server itself serves a group, which answers absent paths with a Status."""
    return any(r.builtin and r.group == group for r in registry.resources())


def _scope_fits(resource: Resource, target: Target) -> bool:
    return resource.namespaced or not target.namespace or resource.plural == "namespaces"


def answer(call: Call) -> Answer:
    """The answer to anything but a watch; raises StatusError or TextError."""
    target = call.target
    if (target.group, target.version) == METRICS:
        return Answer(200, orjson.dumps(metrics.answer(call)))
    if target.group == SUBRESOURCES[0]:
        return _machine_verb(call)
    resource = served(call)
    if not resource.builtin and resource.namespaced and not target.namespace and call.method not in ("GET", "HEAD"):
        raise page_not_found()
    if target.subresource and target.subresource != "status":
        return _subresource(call, resource)
    if target.subresource == "status" and not resource.has_status:
        raise _absent_status(call, resource)
    if deprecated := call.cluster.registry.deprecation(resource, target.version):
        call.warnings.append(deprecated)
    if call.method == "HEAD" and resource.builtin:
        raise method_not_allowed()
    if call.method in ("POST", "PUT", "PATCH", "DELETE"):
        options.check_options(call)
    match call.method:
        case "GET" | "HEAD":
            return _read(call, resource)
        case "POST":
            return _post(call, resource)
        case "PUT" if target.name:
            obj = decoded_object(call, resource, target.version)
            return _written(call, resource, write.update(call, resource, target.version, obj))
        case "PUT" if not resource.builtin:
            raise bad_request("name must be provided")
        case "PATCH" if target.name or not resource.builtin:
            return _patch(call, resource)
        case "DELETE" if not target.subresource and (target.name or target.namespace or not resource.namespaced):
            return _delete(call, resource)
        case "DELETE" if target.subresource and not resource.builtin:
            raise unsupported_verb(resource, "delete")
    raise method_not_allowed()


def _read(call: Call, resource: Resource) -> Answer:
    if "get" not in resource.verbs:
        raise method_not_allowed()
    renderer = Renderer(call, resource, call.target.version)
    if not call.target.name:
        return Answer(200, renderer.collection())
    namespace = call.target.namespace if resource.namespaced else ""
    check_read_version(call)
    entry = call.cluster.store.get(resource, namespace, call.target.name)
    if entry is None:
        raise not_found(resource, call.target.name)
    return Answer(200, renderer.entry(entry))


def _post(call: Call, resource: Resource) -> Answer:
    target = call.target
    if target.subresource and not resource.builtin:
        raise unsupported_verb(resource, "create")
    if target.subresource or (target.name and resource.builtin):
        raise method_not_allowed()
    if resource.plural in _REVIEWS:
        obj = decoded_object(call, resource, target.version)
        try:
            call.cluster.registry.decode(resource, target.version, obj)
        except SchemaInvalid as error:
            raise of_schema(error) from error
        return Answer(201, orjson.dumps(reviews.review(call, resource, obj)))
    if resource.namespaced and not target.namespace:
        raise method_not_allowed()
    obj = decoded_object(call, resource, target.version)
    return _written(call, resource, write.create(call, resource, target.version, obj))


def _patch(call: Call, resource: Resource) -> Answer:
    version, kind = call.target.version, call.content_type
    supported = [patch.JSON, patch.MERGE, *([patch.STRATEGIC] if resource.builtin else []), patch.APPLY]
    if kind not in supported:
        if resource.builtin:
            raise StatusError(415, "UnsupportedMediaType", "415: Unsupported Media Type", {})
        raise unsupported_media_type(*supported)
    if not call.target.name:
        raise bad_request("name must be provided")
    if kind == patch.APPLY:
        if not call.query.get("fieldManager"):
            required = ("fieldManager", "FieldValueRequired", "Required value: is required for apply patch")
            raise invalid_options("PatchOptions", [required])
        return _written(call, resource, write.apply_patch(call, resource, version, decoded_patch(call)))
    if "force" in call.query:
        forbidden = ("force", "FieldValueForbidden", "Forbidden: may not be specified for non-apply patch")
        raise invalid_options("PatchOptions", [forbidden])
    functions = {patch.JSON: patch.json_patch, patch.MERGE: patch.merge_patch, patch.STRATEGIC: patch.strategic_patch}
    body = decoded_patch(call)
    change = partial(_flipped, functions[kind], body)
    shown = printed(body) if kind == patch.STRATEGIC else ""
    return _written(call, resource, write.patch(call, resource, version, change, shown=shown))


def _flipped(function: Any, body: Any, old: Obj) -> Any:
    return function(old, body)


def _delete(call: Call, resource: Resource) -> Answer:
    body = decoded(call) if call.body.strip() else None
    wanted = deletion.options(call, body, dry_run=options.is_dry_run(call))
    if call.target.name:
        result = deletion.delete(call, resource, call.target.version, wanted)
    else:
        if "deletecollection" not in resource.verbs:
            raise method_not_allowed()
        result = deletion.delete_collection(call, resource, call.target.version, wanted)
    return Answer(200, orjson.dumps(result))


def _written(call: Call, resource: Resource, outcome: write.Outcome) -> Answer:
    renderer = Renderer(call, resource, call.target.version)
    return Answer(outcome.code, orjson.dumps(renderer.obj(outcome.obj)))


def _absent_status(call: Call, resource: Resource) -> Exception:
    """A kind without a status answers as if the object itself were absent."""
    return not_found(resource, call.target.name) if not resource.builtin else no_such_resource()


def _subresource(call: Call, resource: Resource) -> Answer:
    target = call.target
    if target.subresource == "scale" and resource.has_scale:
        if call.method not in ("GET", "HEAD", "PUT", "PATCH"):
            raise method_not_allowed()
        return Answer(200, orjson.dumps(scale.answer(call, resource)))
    if (resource.group, resource.plural, target.subresource) == ("", "serviceaccounts", "token"):
        if call.method != "POST":
            raise method_not_allowed()
        return Answer(201, orjson.dumps(reviews.token(call, resource, _checked_body(call))))
    if (resource.group, resource.plural, target.subresource) in _ACTING:
        if call.method != "POST":
            raise method_not_allowed()
        return _acted(call, _checked_body(call))
    if (resource.group, resource.plural, target.subresource) == ("", "pods", "log"):
        if call.cluster.store.get(resource, target.namespace, target.name) is None:
            raise not_found(resource, target.name)
        return Answer(200, b"", {"Content-Type": "text/plain"})
    raise no_such_resource() if resource.builtin else not_found(resource, target.name)


def _checked_body(call: Call) -> Obj:
    body: Obj = decoded(call) if call.body.strip() else {}
    try:
        call.cluster.registry.check_subresource(call.target.plural, call.target.subresource, body)
    except SchemaInvalid as error:
        raise of_schema(error) from error
    return body


def _machine_verb(call: Call) -> Answer:
    """KubeVirt's verbs, served by its aggregated API."""
    if call.target.version not in SUBRESOURCES[1] or not call.target.name:
        raise page_not_found()
    if call.method != "PUT":
        raise method_not_allowed()
    body = decoded(call) if call.body.strip() else {}
    if not isinstance(body, dict):
        raise bad_request("the body must be a JSON object")
    return _acted(call, body)


def _acted(call: Call, body: Obj) -> Answer:
    target = call.target
    asked = SubresourceRequest(
        method=call.method,
        group=target.group or "",
        version=target.version,
        resource=target.plural,
        subresource=target.subresource,
        namespace=target.namespace,
        name=target.name,
        body=body,
        user=call.user,
        now=call.cluster.now(),
    )
    outcome = subresources.handle(asked, call.cluster.lookup)
    for each in [] if options.is_dry_run(call) else outcome.writes:
        perform(call, each)
    if outcome.code >= 400:
        raise of_outcome(outcome)
    return Answer(outcome.code, None if outcome.body is None else orjson.dumps(outcome.body), dict(outcome.headers))


def perform(call: Call, wanted: Write) -> None:
    """Applies a write that a subresource asked for, as KubeVirt's API server; raises StatusError."""
    resource = call.cluster.registry.find(wanted.group, wanted.plural)
    if resource is None:
        raise TextError(500, f"{wanted.plural}.{wanted.group} is not served")
    version = resource.storage_version
    verb = {"create": "create", "delete": "delete"}.get(wanted.verb, "patch")
    target = Target("", verb, wanted.group, version, wanted.plural, wanted.namespace, wanted.name, wanted.subresource)
    inner = Call(call.cluster, target, {}, {"User-Agent": "virt-api/v1"}, user=_VIRT_API, method="POST")
    if wanted.verb == "create":
        write.create(inner, resource, version, wanted.body)
    elif wanted.verb == "delete":
        deletion.delete(inner, resource, version, deletion.options(inner, wanted.body, dry_run=False))
    else:
        function = patch.merge_patch if wanted.verb == "merge-patch" else patch.json_patch
        silent = call.target.subresource == "binding"
        write.trusted_patch(inner, resource, partial(_flipped, function, wanted.body), silent=silent)
