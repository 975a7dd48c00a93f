"""Reads of a cluster for admission, over HTTP."""

from __future__ import annotations

from typing import Any

from ..schema.registry import Registry
from ..schema.resource import Resource
from ..testing import Client

Obj = dict[str, Any]


class HttpLookup:
    """Asks the API server each time; a kind that it does not serve has no objects."""

    def __init__(self, client: Client, registry: Registry) -> None:
        self._client = client
        self._registry = registry

    def get(self, group: str, plural: str, namespace: str, name: str) -> Obj | None:
        """The object in its storage version, or None."""
        resource = self._registry.find(group, plural)
        if resource is None or not name:
            return None
        answer = self._client.get(resource_path(resource, namespace, name))
        if answer.status == 404:
            return None
        assert answer.status == 200, answer.body
        return dict(answer.json())

    def list(
        self, group: str, plural: str, namespace: str | None = None, labels: dict[str, str] | None = None
    ) -> list[Obj]:
        """All objects of a kind, in one namespace or in all, with these labels."""
        resource = self._registry.find(group, plural)
        if resource is None:
            return []
        selector = ",".join(f"{key}={value}" for key, value in (labels or {}).items())
        items = self._client.items(resource_path(resource, namespace or ""), labelSelector=selector)
        kind = {"apiVersion": resource.api_version(resource.storage_version), "kind": resource.kind}
        return [{**kind, **item} for item in items]


def resource_path(resource: Resource, namespace: str = "", name: str = "", subresource: str = "") -> str:
    """URL path of a collection or an object, in the storage version."""
    version = resource.api_version(resource.storage_version)
    parts = [f"/apis/{version}" if resource.group else f"/api/{version}"]
    if resource.namespaced and namespace:
        parts.append(f"namespaces/{namespace}")
    return "/".join([*parts, resource.plural, *filter(None, (name, subresource))])
