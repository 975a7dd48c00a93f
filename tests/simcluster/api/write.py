"""Create, update and patch: from a body to a stored object.

Every write is one step: nothing else runs between reading the old state and storing the new one. Sources:
k8s.io/apiserver ``pkg/registry/rest/{create,update}.go``, ``pkg/registry/generic/registry/store.go``,
``pkg/endpoints/handlers/{create,update,patch}.go``.
"""

from __future__ import annotations

import dataclasses
import uuid
from dataclasses import dataclass
from typing import Any

from .. import admission
from ..apply import ApplyConflict, apply, check_typed, track_update
from ..schema.errors import SchemaInvalid, go_json, invalid_patch
from ..schema.resource import Resource
from ..store import Entry
from ..zero import zero
from . import deletion, namespaces
from .body import unknown_version_warnings
from .context import Call
from .defaults import has_generation, prepare_new
from .errors import (
    STALE,
    StatusError,
    already_exists,
    bad_request,
    conflict,
    forbidden,
    not_found,
    of_admission,
    of_apply,
    of_schema,
    version_needed,
)
from .names import generated
from .options import field_validation, is_dry_run

Obj = dict[str, Any]
_CONDITIONAL = frozenset([("coordination.k8s.io", "leases"), ("apiextensions.k8s.io", "customresourcedefinitions")])


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
    with _translated():
        _decode(call, resource, version, obj)
        _match_url(call, obj)
        _require_name(call, obj)
        entry = _existing(call, resource)
        meta = obj["metadata"]
        if not meta.get("resourceVersion") and not _takes_unconditional_updates(resource):
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


def patch(call: Call, resource: Resource, version: str, change: Any, *, shown: str = "") -> Outcome:
    """PATCH with a function ``change(old object in that version) -> new object``; raises StatusError.

    A result that cannot be decoded is quoted by the error, unless something else is ``shown`` in its place.
    """
    entry = _existing(call, resource)
    with _translated():
        new = change(call.cluster.obj(resource, entry, version))
        if not resource.builtin and not new.get("kind"):
            raise invalid_patch(new, f"Object 'Kind' is missing in '{go_json(new)}'")
        told = len(call.warnings)
        try:
            _decode(call, resource, version, new, patch=True)
        except SchemaInvalid as error:
            if not shown or not error.problem:
                raise
            raise invalid_patch(shown, error.problem) from error
        if not resource.builtin and new.get("apiVersion") != resource.api_version(version):
            call.warnings[told:] = unknown_version_warnings(resource, new)
        _match_url(call, new)
        return _replace(call, resource, version, entry, new)


def apply_patch(call: Call, resource: Resource, version: str, applied: Obj) -> Outcome:
    """Server-side apply: creates or changes; raises StatusError."""
    cluster, target = call.cluster, call.target
    _match_applied_type(resource, version, applied)
    with _translated():
        check_typed(applied, cluster.registry.schema(resource, version))
    _match_url(call, applied)
    _require_name(call, applied)
    meta = applied["metadata"]
    if resource.namespaced:
        meta.setdefault("namespace", target.namespace)
    entry = cluster.store.get(resource, target.namespace, target.name)
    if entry is None:
        _check_creation_by_apply(call, resource, meta)
        meta.pop("resourceVersion", None)
    live = None if entry is None else cluster.obj(resource, entry, version)
    given = meta.get("resourceVersion")
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


def trusted_patch(call: Call, resource: Resource, change: Any, *, silent: bool = False) -> Outcome:
    """A change that the API server makes itself: no admission, no separation of the status.

    A ``silent`` one is neither counted as a change of the specification nor owned by anyone.
    """
    version = resource.storage_version
    entry = _existing(call, resource)
    new = change(call.cluster.obj(resource, entry, version))
    return _replace(call, resource, version, entry, new, trusted=True, tracked=silent)


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
    _decode(call, resource, version, obj)
    _match_url(call, obj)
    meta = obj["metadata"]
    if resource.namespaced:
        meta["namespace"] = target.namespace
    else:
        meta.pop("namespace", None)
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
    if has_generation(resource):
        meta["generation"] = 1
    if resource.has_status:
        obj.pop("status", None)
    # what the server and webhooks add from here on is nobody's
    if not tracked:
        _track(call, resource, version, None, obj)
    prepare_new(resource, obj, cluster.lookup)
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
    if not resource.namespaced:
        new["metadata"].pop("namespace", None)
    if not trusted:
        new = _separated(resource, subresource, cluster.obj(resource, entry, version), new)
    _keep_system_fields(old, new)
    if not tracked:
        _track(call, resource, version, old, new)
    if not trusted:
        request = _admission(call, resource, version, "UPDATE", new, old)
        admission.mutate(request, cluster.lookup)
    cluster.registry.decode(resource, version, new, field_validation="Ignore", patch=True)
    if not (trusted and tracked):
        _set_generation(resource, old, new)
    if not trusted:
        call.warnings += cluster.registry.validate(resource, version, new, old=old, subresource=subresource)
        call.warnings += admission.validate(request, cluster.lookup)
    if new == old:
        return Outcome(200, old)
    if is_dry_run(call):
        new["metadata"]["resourceVersion"] = str(entry.version)
        return Outcome(200, new)
    if deletion.is_finished(resource, new):
        cluster.store.remove(resource, entry.namespace, entry.name)
        return Outcome(200, new)
    stored = cluster.store.put(resource, cluster.convert(resource, new, resource.storage_version))
    return Outcome(200, cluster.obj(resource, stored, version))


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
    for key in ("uid", "deletionTimestamp", "deletionGracePeriodSeconds", "namespace", "name"):
        if meta.get(key) is None and key in before:
            meta[key] = before[key]
    for key in ("generation", "resourceVersion", "selfLink", "creationTimestamp"):
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
    if resource.kind == "Deployment" and resource.builtin:
        changed = changed or new["metadata"].get("annotations") != old["metadata"].get("annotations")
    if changed:
        new["metadata"]["generation"] = int(old["metadata"].get("generation", 0)) + 1


def _track(call: Call, resource: Resource, version: str, old: Obj | None, new: Obj) -> None:
    track_update(
        old,
        new,
        manager=call.manager,
        api_version=resource.api_version(version),
        subresource=call.target.subresource,
        # the API server leaves the time of changes of a scale empty
        time="" if call.target.subresource == "scale" and resource.builtin else call.cluster.now(),
        schema_root=call.cluster.registry.schema(resource, version),
        zero=zero(resource.kind) if resource.builtin else None,
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


def _decode(call: Call, resource: Resource, version: str, obj: Obj, *, patch: bool = False) -> None:
    """Reads a body, or the result of a patch, into the kind; raises SchemaInvalid."""
    if obj.get("metadata") is None:
        obj["metadata"] = {}
    call.warnings += call.cluster.registry.decode(
        resource,
        version,
        obj,
        field_validation=field_validation(call),
        patch=patch,
        duplicates=call.duplicates,
    )


def _match_url(call: Call, obj: Obj) -> None:
    target, meta = call.target, obj.get("metadata") or {}
    given = meta.get("name")
    if target.name and given and given != target.name and call.method != "POST":
        raise bad_request(f"the name of the object ({given}) does not match the name on the URL ({target.name})")
    given = meta.get("namespace")
    if target.namespace and given and given != target.namespace and target.plural != "namespaces":
        text = "the namespace of the provided object does not match the namespace sent on the request"
        raise bad_request(text)


def _require_name(call: Call, obj: Obj) -> None:
    if not (obj.get("metadata") or {}).get("name"):
        text = f"the name of the object ({call.target.name} based on URL) was undeterminable: name must be provided"
        raise bad_request(text)


def _check_creation_by_apply(call: Call, resource: Resource, meta: Obj) -> None:
    """Raises StatusError where an apply may not create what is not there."""
    target = call.target
    if target.subresource:
        raise not_found(resource, target.name)
    creation = dataclasses.replace(target, verb="create")
    allowed = call.cluster.authorizer.allowed(
        call.user, "create", resource.group, resource.plural, "", target.namespace or None, target.name
    )
    if not allowed:
        raise forbidden(call.user, creation)
    if meta.get("uid"):
        text = f"uid mismatch: the provided object specified uid {meta['uid']}, and no existing object was found"
        raise conflict(resource, target.name, text)


def _match_applied_type(resource: Resource, version: str, applied: Obj) -> None:
    """Raises StatusError (400) for an applied object that is not of the URL's kind."""
    group_version, kind = str(applied.get("apiVersion") or ""), str(applied.get("kind") or "")
    if group_version.count("/") > 1:
        group_version = kind = ""
    if (group_version, kind) != (resource.api_version(version), resource.kind):
        shown = group_version if "/" in group_version else f"/{group_version}"
        raise bad_request(f"invalid object type: {shown}, Kind={kind}")


def _takes_unconditional_updates(resource: Resource) -> bool:
    """Whether a PUT without resourceVersion is accepted, which each kind's strategy says."""
    return resource.builtin and (resource.group, resource.plural) not in _CONDITIONAL


def _storage_key(resource: Resource, entry: Entry) -> str:
    prefix = f"/{resource.group}" if resource.group else ""
    return f"/kubernetes.io{prefix}/{resource.plural}/{entry.key}"
