"""Namespaces: what is made with a new one, and how one ends.

Source: k8s.io/apiserver ``pkg/admission/plugin/namespace/lifecycle``; kubernetes ``pkg/controller/namespace``,
``pkg/controller/serviceaccount``.
"""

from __future__ import annotations

import asyncio
import uuid
from typing import TYPE_CHECKING, Any

from ..schema.resource import Resource
from ..store import Entry
from . import deletion
from .errors import StatusError, details

if TYPE_CHECKING:
    from .context import Call, Cluster

Obj = dict[str, Any]
_REAP_SECONDS = 0.2


def require(call: Call, resource: Resource, namespace: str, name: str) -> None:
    """Raises StatusError unless the namespace takes new objects such as the one called ``name``."""
    found = call.cluster.lookup.get("", "namespaces", "", namespace)
    if found is None:
        text = f'namespaces "{namespace}" not found'
        raise StatusError(404, "NotFound", text, {"name": namespace, "kind": "namespaces"})
    if found.get("status", {}).get("phase") != "Terminating":
        return
    named = f' "{name}"' if name else ""
    cause = {
        "reason": "NamespaceTerminating",
        "message": f"namespace {namespace} is being terminated",
        "field": "metadata.namespace",
    }
    text = (
        f"{resource.qualified}{named} is forbidden: unable to create new content in namespace {namespace} "
        "because it is being terminated"
    )
    raise StatusError(403, "Forbidden", text, details(resource, name, causes=[cause]))


def created(cluster: Cluster, resource: Resource, name: str) -> None:
    """Makes what every new namespace has: its default service account."""
    accounts = cluster.registry.find("", "serviceaccounts")
    if resource.group or resource.plural != "namespaces" or accounts is None:
        return
    if cluster.store.get(accounts, name, "default") is None:
        meta = {"name": "default", "namespace": name, "uid": str(uuid.uuid4()), "creationTimestamp": cluster.now()}
        cluster.store.put(accounts, {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta})


async def reap(cluster: Cluster) -> None:
    """Empties namespaces that are being deleted and takes them away, until cancelled."""
    resource = cluster.registry.find("", "namespaces")
    assert resource is not None
    while True:
        await asyncio.sleep(_REAP_SECONDS)
        for entry in list(cluster.store.entries(resource)):
            if entry.fields["status.phase"] == "Terminating":
                _empty(cluster, resource, entry)


def _empty(cluster: Cluster, resource: Resource, entry: Entry) -> None:
    remaining, finalizers = 0, 0
    for table in cluster.store.tables():
        if not table.resource.namespaced:
            continue
        for content in list(cluster.store.entries(table.resource, entry.name)):
            remaining += 1
            if deletion.expunge(cluster, table.resource, content):
                remaining -= 1
            else:
                finalizers += 1
    obj = entry.obj()
    if not remaining and not obj["metadata"].get("finalizers"):
        cluster.store.remove(resource, "", entry.name)
        return
    conditions = [
        _condition("NamespaceContentRemaining", "SomeResourcesRemain", f"{remaining} objects remain", cluster.now()),
        _condition("NamespaceFinalizersRemaining", "SomeFinalizersRemain", f"{finalizers} hold on", cluster.now()),
    ]
    if not (obj["status"].get("conditions")):
        obj["status"]["conditions"] = conditions
        cluster.store.put(resource, obj)


def _condition(kind: str, reason: str, message: str, now: str) -> Obj:
    return {"type": kind, "status": "True", "reason": reason, "message": message, "lastTransitionTime": now}
