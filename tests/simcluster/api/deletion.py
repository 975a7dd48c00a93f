"""DELETE of objects and collections: preconditions, finalizers, graceful deletion of pods.

Sources: k8s.io/apiserver ``pkg/registry/rest/delete.go``, ``pkg/registry/generic/registry/store.go``
(BeforeDelete, deletionFinalizersForGarbageCollection), kubernetes ``pkg/registry/core/pod/strategy.go``.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from .. import admission
from ..clock import rfc3339
from ..go_json import kind_of
from ..schema.errors import go_quote
from ..schema.resource import Resource
from ..store import Entry
from .errors import (
    bad_request,
    invalid_options,
    not_found,
    of_admission,
    precondition_failed,
    unsupported_dry_run,
)
from .lists import metadata, number, page

if TYPE_CHECKING:
    from .context import Call, Cluster

Obj = dict[str, Any]
_POLICY_FINALIZERS = {"Foreground": "foregroundDeletion", "Orphan": "orphan"}
_RETURNED = frozenset(
    [
        *(("", plural) for plural in ("pods", "namespaces", "services", "serviceaccounts", "resourcequotas")),
        ("", "persistentvolumes"),
        ("", "persistentvolumeclaims"),
    ]
)
"""Kinds whose deletion answers with the object (ReturnDeletedObject)."""


@dataclass(frozen=True)
class Options:
    """DeleteOptions, of the body or the query."""

    policy: str = ""
    grace_seconds: int | None = None
    uid: str = ""
    version: str = ""
    dry_run: bool = False


def options(call: Call, body: Any, *, dry_run: bool) -> Options:
    """The options of a request; raises StatusError (400)."""
    given: Obj = body if isinstance(body, dict) else {}
    _check_given(given)
    preconditions = given.get("preconditions") or {}
    asked = call.query.get("gracePeriodSeconds")
    grace = given.get("gracePeriodSeconds", None if asked is None else number(asked))
    policy = given.get("propagationPolicy") or call.query.get("propagationPolicy", "")
    if policy not in ("", "Background", "Foreground", "Orphan"):
        text = f'Unsupported value: {go_quote(policy)}: supported values: "Foreground", "Background", "Orphan", "nil"'
        raise invalid_options("DeleteOptions", [("propagationPolicy", "FieldValueNotSupported", text)])
    if policy and "orphanDependents" in given:
        text = f"Invalid value: {go_quote(policy)}: orphanDependents and deletionPropagation cannot be both set"
        raise invalid_options("DeleteOptions", [("propagationPolicy", "FieldValueInvalid", text)])
    dry_run = dry_run or _is_dry_run(given.get("dryRun") or [])
    return Options(
        policy=policy,
        grace_seconds=None if grace is None else int(grace),
        uid=preconditions.get("uid", ""),
        version=preconditions.get("resourceVersion", ""),
        dry_run=dry_run,
    )


def _check_given(given: Obj) -> None:
    """Raises StatusError (400) for a body that is no DeleteOptions."""
    kind, version = given.get("kind") or "DeleteOptions", given.get("apiVersion") or "v1"
    if kind != "DeleteOptions":
        scheme = "k8s.io/kubernetes/pkg/api/legacyscheme/scheme.go:30"
        text = f'no kind {go_quote(kind)} is registered for version {go_quote(version)} in scheme "{scheme}"'
        raise bad_request(text)
    if not isinstance(given.get("gracePeriodSeconds", 0), int):
        field = "Go struct field DeleteOptions.gracePeriodSeconds of type int64"
        raise bad_request(f"json: cannot unmarshal {kind_of(given['gracePeriodSeconds'])} into {field}")


def _is_dry_run(given: list[str]) -> bool:
    if any(each != "All" for each in given):
        raise unsupported_dry_run("DeleteOptions", given)
    return bool(given)


def delete(call: Call, resource: Resource, version: str, wanted: Options) -> Obj:
    """DELETE of one object; returns the answer's body. Raises StatusError."""
    cluster, target = call.cluster, call.target
    entry = cluster.store.get(resource, target.namespace if resource.namespaced else "", target.name)
    if entry is None:
        raise not_found(resource, target.name)
    result = remove(call, resource, version, entry, wanted)
    if result is not None:
        return result
    found: Obj = {"name": entry.name}
    if resource.group:
        found["group"] = resource.group
    found |= {"kind": resource.plural, "uid": entry.obj()["metadata"].get("uid", "")}
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": found}


def delete_collection(call: Call, resource: Resource, version: str, wanted: Options) -> Obj:
    """DELETE of what a selection lists; returns the list of what was deleted."""
    found = page(call, resource)
    items = []
    for entry in found.entries:
        remove(call, resource, version, entry, wanted)
        # as the list was, not as the deletion has left it
        item = call.cluster.obj(resource, entry, version)
        if resource.builtin:
            item = {key: value for key, value in item.items() if key not in ("apiVersion", "kind")}
        items.append(item)
    meta: Obj = metadata(found, resource)
    return {
        "kind": f"{resource.kind}List",
        "apiVersion": resource.api_version(version),
        "metadata": meta,
        "items": items,
    }


def remove(call: Call, resource: Resource, version: str, entry: Entry, wanted: Options) -> Obj | None:
    """Deletes or begins to; returns the object where the API answers with it."""
    cluster = call.cluster
    old = cluster.obj(resource, entry, version)
    meta = old["metadata"]
    _check_preconditions(resource, entry, meta, wanted)
    request = admission.Request(
        operation="DELETE",
        group=resource.group,
        version=version,
        resource=resource.plural,
        namespace=entry.namespace,
        name=entry.name,
        object=None,
        old_object=old,
        user=call.user,
        dry_run=wanted.dry_run,
    )
    try:
        call.warnings += admission.validate(request, cluster.lookup)
    except admission.Denied as denied:
        raise of_admission(denied) from denied
    new = cluster.obj(resource, entry, version)
    terminating = _begin(cluster, resource, new, wanted)
    returned = (resource.group, resource.plural) in _RETURNED
    if not terminating and (resource.group, resource.plural) == ("", "pods"):
        _mark(cluster, new["metadata"], 0)
    if wanted.dry_run:
        return new if terminating or returned else None
    if not terminating:
        last = cluster.store.remove(resource, entry.namespace, entry.name)
        new["metadata"]["resourceVersion"] = str(last.version)
        return new if returned else None
    if new == old:
        return old
    stored = cluster.store.put(resource, cluster.convert(resource, new, resource.storage_version))
    return cluster.obj(resource, stored, version)


def expunge(cluster: Cluster, resource: Resource, entry: Entry) -> bool:
    """Deletes what the end of its namespace takes with it; False while something holds the object."""
    new = entry.obj()
    if not _begin(cluster, resource, new, Options(policy="Background")):
        cluster.store.remove(resource, entry.namespace, entry.name)
        return True
    if new != entry.obj():
        cluster.store.put(resource, new)
    return False


def is_finished(resource: Resource, obj: Obj) -> bool:
    """Whether nothing holds up an object's deletion any more."""
    meta = obj["metadata"]
    if resource.group == "" and resource.plural == "namespaces":
        return False
    return "deletionTimestamp" in meta and not (meta.get("finalizers") or meta.get("deletionGracePeriodSeconds"))


def _begin(cluster: Cluster, resource: Resource, new: Obj, wanted: Options) -> bool:
    """Marks an object as being deleted; False when nothing holds it."""
    meta = new["metadata"]
    finalizers = [f for f in meta.get("finalizers") or [] if f not in _POLICY_FINALIZERS.values()]
    if wanted.policy in _POLICY_FINALIZERS:
        finalizers.append(_POLICY_FINALIZERS[wanted.policy])
    elif not wanted.policy:
        finalizers = list(meta.get("finalizers") or [])
    grace_seconds = _grace_seconds(resource, new, wanted)
    is_namespace = resource.group == "" and resource.plural == "namespaces"
    if not finalizers and grace_seconds == 0 and not is_namespace:
        return False
    if finalizers != (meta.get("finalizers") or []):
        meta["finalizers"] = finalizers
        if not finalizers:
            del meta["finalizers"]
    if "deletionTimestamp" in meta:
        if grace_seconds < (meta.get("deletionGracePeriodSeconds") or 0):
            meta["deletionGracePeriodSeconds"] = grace_seconds
            meta["deletionTimestamp"] = rfc3339(cluster.clock.now() + timedelta(seconds=grace_seconds))
        return True
    _mark(cluster, meta, grace_seconds)
    if is_namespace:
        del meta["deletionGracePeriodSeconds"]
        new.setdefault("status", {})["phase"] = "Terminating"
    return True


def _mark(cluster: Cluster, meta: Obj, grace_seconds: int) -> None:
    """Writes into metadata that and when an object will be gone."""
    if "deletionTimestamp" not in meta and "generation" in meta:
        meta["generation"] += 1
    meta["deletionTimestamp"] = rfc3339(cluster.clock.now() + timedelta(seconds=grace_seconds))
    meta["deletionGracePeriodSeconds"] = grace_seconds


def _grace_seconds(resource: Resource, obj: Obj, wanted: Options) -> int:
    if resource.group or resource.plural != "pods":
        return 0
    spec, phase = obj.get("spec") or {}, (obj.get("status") or {}).get("phase")
    if not spec.get("nodeName") or phase in ("Succeeded", "Failed"):
        return 0
    seconds = wanted.grace_seconds
    if seconds is None:
        seconds = spec.get("terminationGracePeriodSeconds", 30)
    return 1 if seconds < 0 else int(seconds)


def _check_preconditions(resource: Resource, entry: Entry, meta: Obj, wanted: Options) -> None:
    problem = ""
    if wanted.uid and wanted.uid != meta.get("uid"):
        problem = f"the UID in the precondition ({wanted.uid}) does not match the UID in record ({meta.get('uid')})"
        problem += ". The object might have been deleted and then recreated"
    elif wanted.version and wanted.version != str(entry.version):
        problem = (
            f"the ResourceVersion in the precondition ({wanted.version}) does not match the ResourceVersion in record "
            f"({entry.version}). The object might have been modified"
        )
    if problem:
        raise precondition_failed(resource, entry.name, problem)
