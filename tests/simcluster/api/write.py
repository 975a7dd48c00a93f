"""Create, update and patch: from a body to a stored object.

Every write is one step: nothing else runs between reading the old state and storing the new one. Sources:
k8s.io/apiserver ``pkg/registry/rest/{create,update}.go``, ``pkg/registry/generic/registry/store.go``,
``pkg/endpoints/handlers/{create,update,patch}.go``.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any

from .. import admission
from ..apply import ApplyConflict, apply, track_update
from ..schema.errors import SchemaInvalid, go_quote
from ..schema.resource import Resource
from ..store import Entry
from . import deletion, namespaces
from .context import Call
from .defaults import has_generation, prepare_new
from .errors import (
    STALE,
    StatusError,
    already_exists,
    bad_request,
    conflict,
    not_found,
    of_admission,
    of_apply,
    of_schema,
    version_needed,
)
from .names import generated

Obj = dict[str, Any]


@dataclass(frozen=True)
class Outcome:
    """The answer to a write: the object in the version asked for."""

    code: int
    obj: Obj


def create(call: Call, resource: Resource, version: str, obj: Obj) -> Outcome:
    """POST of a collection; raises StatusError."""
    with _translated():
        return _create(call, resource, version, obj)


def update(call: Call, resource: Resource, version: str, obj: Obj) -> Outcome:
    """PUT of an object or of its status; raises StatusError."""
    target = call.target
    entry = _existing(call, resource)
    with _translated():
        _check_body(obj)
        _match_url(call, obj)
        call.warnings += call.cluster.registry.decode(resource, version, obj, field_validation=_field_validation(call))
        meta = obj["metadata"]
        if not resource.builtin and not meta.get("resourceVersion"):
            raise version_needed(resource, target.name)
        stored_uid = entry.obj()["metadata"].get("uid")
        if meta.get("uid") and meta["uid"] != stored_uid:
            text = (
                f"StorageError: invalid object, Code: 4, Key: {_storage_key(resource, entry)}, ResourceVersion: 0, "
                f"AdditionalErrorMsg: Precondition failed: UID in precondition: {meta['uid']}, "
                f"UID in object meta: {stored_uid}"
            )
            raise conflict(resource, target.name, text)
        return _replace(call, resource, version, entry, obj)


def patch(call: Call, resource: Resource, version: str, change: Any) -> Outcome:
    """PATCH with a function ``change(old object in that version) -> new object``; raises StatusError."""
    entry = _existing(call, resource)
    with _translated():
        new = change(call.cluster.obj(resource, entry, version))
        _check_body(new)
        call.warnings += call.cluster.registry.decode(
            resource, version, new, field_validation=_field_validation(call), patch=True
        )
        return _replace(call, resource, version, entry, new)


def apply_patch(call: Call, resource: Resource, version: str, applied: Obj) -> Outcome:
    """Server-side apply: creates or changes; raises StatusError."""
    cluster, target = call.cluster, call.target
    _check_body(applied)
    _match_url(call, applied)
    applied["metadata"].setdefault("name", target.name)
    if resource.namespaced:
        applied["metadata"].setdefault("namespace", target.namespace)
    entry = cluster.store.get(resource, target.namespace, target.name)
    if entry is None and target.subresource:
        raise not_found(resource, target.name)
    live = None if entry is None else cluster.obj(resource, entry, version)
    given = applied["metadata"].get("resourceVersion")
    if given and entry is not None and given != str(entry.version):
        raise conflict(resource, target.name, STALE)
    with _translated():
        result = apply(
            live,
            applied,
            manager=call.manager,
            force=call.query.get("force") in ("true", "1"),
            schema_root=cluster.registry.schema(resource, version),
            resource=resource,
            time=cluster.now(),
            subresource=target.subresource,
        )
        if entry is None:
            return _create(call, resource, version, result, tracked=True)
        cluster.registry.decode(resource, version, result, field_validation="Ignore")
        return _replace(call, resource, version, entry, result, tracked=True)


def trusted_patch(call: Call, resource: Resource, change: Any) -> Outcome:
    """A change that the API server makes itself: no admission, no separation of the status."""
    version = resource.storage_version
    entry = _existing(call, resource)
    new = change(call.cluster.obj(resource, entry, version))
    return _replace(call, resource, version, entry, new, trusted=True)


class _translated:
    """Turns the refusals of schema, admission and apply into answers."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, SchemaInvalid):
            raise of_schema(error) from error
        if isinstance(error, admission.Denied):
            raise of_admission(error) from error
        if isinstance(error, ApplyConflict):
            raise of_apply(error) from error


def _create(call: Call, resource: Resource, version: str, obj: Obj, *, tracked: bool = False) -> Outcome:
    cluster, target = call.cluster, call.target
    _check_body(obj)
    meta = obj["metadata"]
    _match_url(call, obj)
    if resource.namespaced:
        meta["namespace"] = target.namespace
    call.warnings += cluster.registry.decode(resource, version, obj, field_validation=_field_validation(call))
    meta = obj["metadata"]
    if meta.pop("resourceVersion", None):
        raise StatusError(500, "", "resourceVersion should not be set on objects to be created")
    name = meta.get("name") or target.name
    if not name and meta.get("generateName"):
        name = generated(meta["generateName"])
    if name:
        meta["name"] = name
    for key in ("deletionTimestamp", "deletionGracePeriodSeconds", "selfLink"):
        meta.pop(key, None)
    meta["uid"] = str(uuid.uuid4())
    meta["creationTimestamp"] = cluster.now()
    meta.pop("generation", None)
    if has_generation(resource):
        meta["generation"] = 1
    if resource.has_status:
        obj.pop("status", None)
    prepare_new(resource, obj)
    if resource.namespaced:
        namespaces.require(call, resource, target.namespace, name or "")
    request = _admission(call, resource, version, "CREATE", obj, None)
    admission.mutate(request, cluster.lookup)
    cluster.registry.decode(resource, version, obj, field_validation="Ignore")
    call.warnings += cluster.registry.validate(resource, version, obj)
    call.warnings += admission.validate(request, cluster.lookup)
    existing = cluster.store.get(resource, meta.get("namespace", ""), name or "")
    if existing is not None:
        deleting = "deletionTimestamp" in existing.obj()["metadata"]
        raise already_exists(resource, name or "", deleting=deleting)
    if not tracked:
        _track(call, resource, version, None, obj)
    if is_dry_run(call):
        return Outcome(201, obj)
    entry = cluster.store.put(resource, cluster.convert(resource, obj, resource.storage_version))
    namespaces.created(cluster, resource, entry.name)
    return Outcome(201, cluster.obj(resource, entry, version))


def _replace(
    call: Call,
    resource: Resource,
    version: str,
    entry: Entry,
    new: Obj,
    *,
    tracked: bool = False,
    trusted: bool = False,
) -> Outcome:
    """From the old state and what the caller wants to the new state."""
    cluster, subresource = call.cluster, call.target.subresource
    old = cluster.obj(resource, entry, version)
    given = new["metadata"].get("resourceVersion")
    if given and given != str(entry.version):
        raise conflict(resource, entry.name, STALE)
    if not trusted:
        new = _separated(resource, subresource, cluster.obj(resource, entry, version), new)
    _keep_system_fields(old, new)
    if not trusted:
        request = _admission(call, resource, version, "UPDATE", new, old)
        admission.mutate(request, cluster.lookup)
    cluster.registry.decode(resource, version, new, field_validation="Ignore")
    _set_generation(resource, old, new)
    if not trusted:
        call.warnings += cluster.registry.validate(resource, version, new, old=old, subresource=subresource)
        call.warnings += admission.validate(request, cluster.lookup)
    if not tracked:
        _track(call, resource, version, old, new)
    if new == old:
        return Outcome(200, old)
    if is_dry_run(call):
        new["metadata"]["resourceVersion"] = str(entry.version)
        return Outcome(200, new)
    stored = cluster.store.put(resource, cluster.convert(resource, new, resource.storage_version))
    result = cluster.obj(resource, stored, version)
    deletion.finish(cluster, resource, stored)
    return Outcome(200, result)


def _separated(resource: Resource, subresource: str, old: Obj, new: Obj) -> Obj:
    """A write of the status changes only that, any other write leaves it as it is."""
    if subresource == "status":
        result = {**old}
        result.pop("status", None)
        if "status" in new:
            result["status"] = new["status"]
        meta = dict(old["metadata"])
        kept = ("managedFields", "labels", "annotations") if resource.builtin else ("managedFields",)
        for key in kept:
            meta.pop(key, None)
            if key in new["metadata"]:
                meta[key] = new["metadata"][key]
        result["metadata"] = meta
        return result
    if resource.has_status:
        new.pop("status", None)
        if "status" in old:
            new["status"] = old["status"]
    return new


def _keep_system_fields(old: Obj, new: Obj) -> None:
    """What only the API server sets: taken from the old state where the caller leaves it out, or always."""
    before, meta = old["metadata"], new["metadata"]
    for key in ("uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "namespace", "name"):
        if meta.get(key) is None and key in before:
            meta[key] = before[key]
    for key in ("generation", "resourceVersion", "selfLink"):
        meta.pop(key, None)
        if key in before:
            meta[key] = before[key]
    if "managedFields" not in meta and "managedFields" in before:
        meta["managedFields"] = before["managedFields"]


def _set_generation(resource: Resource, old: Obj, new: Obj) -> None:
    if not has_generation(resource):
        return
    ignored = {"metadata", "status"} if resource.has_status else {"metadata"}
    changed = any(new.get(key) != old.get(key) for key in (new.keys() | old.keys()) - ignored)
    if changed:
        new["metadata"]["generation"] = int(old["metadata"].get("generation", 0)) + 1


def _track(call: Call, resource: Resource, version: str, old: Obj | None, new: Obj) -> None:
    track_update(
        old,
        new,
        manager=call.manager,
        api_version=resource.api_version(version),
        subresource=call.target.subresource,
        time=call.cluster.now(),
        schema_root=call.cluster.registry.schema(resource, version),
    )


def _existing(call: Call, resource: Resource) -> Entry:
    entry = call.cluster.store.get(resource, call.target.namespace if resource.namespaced else "", call.target.name)
    if entry is None:
        raise not_found(resource, call.target.name)
    return entry


def _admission(
    call: Call, resource: Resource, version: str, operation: str, obj: Obj | None, old: Obj | None
) -> admission.Request:
    meta = (obj or old or {}).get("metadata", {})
    return admission.Request(
        operation=operation,
        group=resource.group,
        version=version,
        resource=resource.plural,
        namespace=meta.get("namespace", ""),
        name=meta.get("name", ""),
        object=obj,
        old_object=old,
        user=call.user,
        subresource=call.target.subresource,
        dry_run=is_dry_run(call),
    )


def _check_body(obj: Any) -> None:
    if not isinstance(obj, dict):
        raise bad_request("couldn't get version/kind; json parse error: json: cannot unmarshal value into Go value")
    if not isinstance(obj.setdefault("metadata", {}), dict):
        raise bad_request("json: cannot unmarshal value into Go struct field .metadata of type v1.ObjectMeta")


def _match_url(call: Call, obj: Obj) -> None:
    target, meta = call.target, obj["metadata"]
    given = meta.get("name")
    if target.name and given and given != target.name:
        raise bad_request(f"the name of the object ({given}) does not match the name on the URL ({target.name})")
    given = meta.get("namespace")
    if target.namespace and given and given != target.namespace and target.plural != "namespaces":
        text = "the namespace of the provided object does not match the namespace sent on the request"
        raise bad_request(text)
    if target.name and call.method == "PUT":
        meta.setdefault("name", target.name)


def _storage_key(resource: Resource, entry: Entry) -> str:
    prefix = f"/{resource.group}" if resource.group else ""
    return f"/kubernetes.io{prefix}/{resource.plural}/{entry.key}"


def _field_validation(call: Call) -> str:
    value = call.query.get("fieldValidation", "")
    if value in ("", "Ignore", "Warn", "Strict"):
        return value or "Warn"
    kind = {"POST": "CreateOptions", "PATCH": "PatchOptions"}.get(call.method, "UpdateOptions")
    text = f'fieldValidation: Unsupported value: {go_quote(value)}: supported values: "Ignore", "Strict", "Warn"'
    raise _invalid_option(kind, text, "fieldValidation", value)


def is_dry_run(call: Call) -> bool:
    """Whether nothing is to be stored; raises StatusError (422) for another value than ``All``."""
    value = call.query.get("dryRun")
    if value in (None, "", "All"):
        return value == "All"
    kind = {"POST": "CreateOptions", "PATCH": "PatchOptions", "DELETE": "DeleteOptions"}.get(
        call.method, "UpdateOptions"
    )
    text = f'dryRun: Unsupported value: [{go_quote(value)}]: supported values: "All"'
    raise _invalid_option(kind, text, "dryRun", value)


def _invalid_option(kind: str, text: str, field: str, value: str) -> StatusError:
    causes = [{"reason": "FieldValueNotSupported", "message": text.partition(": ")[2], "field": field}]
    found = {"group": "meta.k8s.io", "kind": kind, "causes": causes}
    return StatusError(422, "Invalid", f'{kind}.meta.k8s.io "" is invalid: {text}', found)
