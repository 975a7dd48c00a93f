"""What all handlers share, and what one request carries."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from ..auth import ANONYMOUS, Authenticator, Authorizer, User
from ..clock import Clock, rfc3339
from ..conversion import convert_hyperconverged
from ..schema.registry import Registry
from ..schema.resource import Resource
from ..store import Entry, Store
from .faults import Faults
from .request import Target

Obj = dict[str, Any]
_CONVERTED = "hco.kubevirt.io"
_CACHED = frozenset(
    [
        *(("rbac.authorization.k8s.io", plural) for plural in ("clusterroles", "clusterrolebindings", "roles")),
        ("rbac.authorization.k8s.io", "rolebindings"),
        ("kubevirt.io", "kubevirts"),
    ]
)


class StoreLookup:
    """Reads of the store for admission and RBAC. Objects of a few kinds are shared between calls: not to be changed."""

    def __init__(self, store: Store, registry: Registry) -> None:
        self._store = store
        self._registry = registry
        self._parsed: dict[tuple[str, str, str], tuple[int, Obj]] = {}

    def get(self, group: str, plural: str, namespace: str, name: str) -> Obj | None:
        """The object in its storage version, or None."""
        resource = self._registry.find(group, plural)
        entry = self._store.get(resource, namespace, name) if resource else None
        return None if entry is None else self._obj(group, plural, entry)

    def list(
        self, group: str, plural: str, namespace: str | None = None, labels: dict[str, str] | None = None
    ) -> list[Obj]:
        """All objects of a kind, in one namespace or in all, with these labels."""
        resource = self._registry.find(group, plural)
        if resource is None:
            return []
        wanted = labels.items() if labels else ()
        return [
            self._obj(group, plural, entry)
            for entry in self._store.entries(resource, namespace or "")
            if all(entry.labels.get(key) == value for key, value in wanted)
        ]

    def _obj(self, group: str, plural: str, entry: Entry) -> Obj:
        if (group, plural) not in _CACHED:
            return entry.obj()
        key = (group, plural, entry.key)
        version, obj = self._parsed.get(key, (0, {}))
        if version != entry.version:
            obj = entry.obj()
            self._parsed[key] = (entry.version, obj)
        return obj


class Cluster:
    """The simulated cluster behind the API."""

    def __init__(
        self, registry: Registry, store: Store, clock: Clock, *, version: str = "v1.33.4", bookmark_seconds: float = 60
    ) -> None:
        self.registry = registry
        self.store = store
        self.clock = clock
        self.version = version
        self.bookmark_seconds = bookmark_seconds
        self.lookup = StoreLookup(store, registry)
        self.authenticator = Authenticator()
        self.authorizer = Authorizer(self.lookup)
        self.faults = Faults()

    def convert(self, resource: Resource, obj: Obj, version: str) -> Obj:
        """An object in another version of its kind; the argument may be changed."""
        wanted = resource.api_version(version)
        if obj["apiVersion"] == wanted:
            return obj
        if resource.group == _CONVERTED:
            converted = convert_hyperconverged(obj, version)
            self.registry.decode(resource, version, converted, field_validation="Ignore")
            return converted
        obj["apiVersion"] = wanted
        return obj

    def obj(self, resource: Resource, entry: Entry, version: str) -> Obj:
        """A fresh copy of a stored object in a version."""
        return self.convert(resource, entry.obj(), version)

    def data(self, resource: Resource, entry: Entry, version: str) -> bytes:
        """The serialised object in a version."""
        if version == resource.storage_version:
            return entry.data
        if resource.group == _CONVERTED:
            return orjson.dumps(self.obj(resource, entry, version))
        return type_meta(resource, version) + entry.data[len(type_meta(resource, resource.storage_version)) :]

    def now(self) -> str:
        """The simulated time, as objects carry it."""
        return rfc3339(self.clock.now())


def type_meta(resource: Resource, version: str) -> bytes:
    """How the bytes of every stored object begin, up to and with the comma behind ``kind``."""
    return f'{{"apiVersion":"{resource.api_version(version)}","kind":"{resource.kind}",'.encode()


@dataclass
class Call:
    """One request: who asks for what, with which parameters and body.

    ``warnings`` go into the answer's headers, ``duplicates`` are fields that the body names twice.
    """

    cluster: Cluster
    target: Target
    query: Mapping[str, str]
    headers: Mapping[str, str]
    user: User = ANONYMOUS
    body: bytes = b""
    method: str = "GET"
    warnings: list[str] = field(default_factory=list)
    duplicates: list[str] = field(default_factory=list)

    @property
    def manager(self) -> str:
        """The field manager: the parameter, or the User-Agent up to the first slash."""
        return self.query.get("fieldManager") or self.headers.get("User-Agent", "").partition("/")[0] or "unknown"

    @property
    def content_type(self) -> str:
        """The media type of the body, without parameters."""
        return self.headers.get("Content-Type", "").partition(";")[0].strip().lower()
