"""A scenario's objects, written to a real API server as their owners would have written them.

The API server gives every object a new UID and the time of now. Wherever a scenario's objects name each other by UID
(owners, claims, labels, pods of an instance) the new one takes the place of the old.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable
from typing import Any

import orjson
from simcluster.controllers.client import ApiError, Client
from simcluster.controllers.kinds import Kind
from simcluster.conversion import convert_hyperconverged
from simcluster.schema.registry import Registry
from simcluster.schema.resource import Resource

Obj = dict[str, Any]
_UID = re.compile(rb"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_AT_ONCE = 16
_ESTABLISH_SECONDS = 60.0
_CRDS = "CustomResourceDefinition"
# what others refer to comes first; all that is not named comes in between
_FIRST = ("Namespace", "Node", "StorageClass", "HyperConverged", "KubeVirt", "VirtualMachine", "PersistentVolumeClaim")
_LAST = ("VirtualMachineInstanceMigration", "Event")


class NotInstalled(Exception):
    """The API server refused an object; the text says which, and how."""


async def install(client: Client, registry: Registry, objects: Iterable[Obj]) -> int:
    """Create all objects, then their status; returns how many. Raises NotInstalled.

    Objects that the API server has by itself (its own roles and namespaces) stay as they are.
    """
    by_kind: dict[bool, list[Obj]] = {True: [], False: []}
    for obj in objects:
        by_kind[obj["kind"] == _CRDS].append(obj)
    await _establish(client, by_kind[True])
    installer = _Installer(client, registry)
    await installer.run(_with_namespaces(by_kind[False]))
    return len(by_kind[True]) + installer.count


def _with_namespaces(objects: list[Obj]) -> list[Obj]:
    there = {obj["metadata"]["name"] for obj in objects if obj["kind"] == "Namespace"}
    used = {obj["metadata"].get("namespace", "") for obj in objects} - there - {""}
    return [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}} for name in sorted(used)] + objects


async def _establish(client: Client, definitions: list[Obj]) -> None:
    path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    for each in definitions:
        try:
            await client.request("POST", path, body={key: value for key, value in each.items() if key != "status"})
        except ApiError as error:
            raise NotInstalled(f"CustomResourceDefinition {each['metadata']['name']}: {error}") from error
    deadline = asyncio.get_running_loop().time() + _ESTABLISH_SECONDS
    for each in definitions:
        while not _established(await client.request("GET", f"{path}/{each['metadata']['name']}")):
            if asyncio.get_running_loop().time() > deadline:
                raise NotInstalled(f"CustomResourceDefinition {each['metadata']['name']} is not established")
            await asyncio.sleep(0.05)


def _established(definition: Obj) -> bool:
    conditions = (definition.get("status") or {}).get("conditions") or []
    return any(each["type"] == "Established" and each["status"] == "True" for each in conditions)


class _Installer:
    def __init__(self, client: Client, registry: Registry) -> None:
        self._client = client
        self._registry = registry
        self._new: dict[bytes, bytes] = {}
        self._slots = asyncio.Semaphore(_AT_ONCE)
        self.count = 0

    async def run(self, objects: list[Obj]) -> None:
        created: list[tuple[Kind, Resource, Obj, Obj]] = []
        waiting = sorted(objects, key=_rank)
        known = {obj["metadata"]["uid"] for obj in objects if obj["metadata"].get("uid")}
        while waiting:
            rank = _rank(waiting[0])
            now = [obj for obj in waiting if _rank(obj) == rank and self._owners_known(obj, known)]
            if not now:
                now = [obj for obj in waiting if self._owners_known(obj, known)] or waiting
            chosen = set(map(id, now))
            waiting = [obj for obj in waiting if id(obj) not in chosen]
            created += [each for each in await asyncio.gather(*map(self._create, now)) if each]
        await asyncio.gather(*(self._write_status(*each) for each in created if each[2].get("status")))

    def _owners_known(self, obj: Obj, known: set[str]) -> bool:
        owners = {each["uid"] for each in obj["metadata"].get("ownerReferences") or []}
        return all(uid.encode() in self._new for uid in owners & known)

    async def _create(self, obj: Obj) -> tuple[Kind, Resource, Obj, Obj] | None:
        group, _, version = obj["apiVersion"].rpartition("/")
        resource = self._registry.by_kind(group, obj["kind"])
        assert resource is not None, obj["kind"]
        if version not in resource.versions and obj["kind"] == "HyperConverged":
            version = resource.storage_version
            obj = convert_hyperconverged(obj, version)
        kind = Kind(group, version, resource.plural, resource.kind, resource.namespaced)
        wanted = self._renewed(obj)
        metadata = wanted["metadata"]
        old = metadata.pop("uid", "")
        for name in ("creationTimestamp", "generation", "resourceVersion", "managedFields", "selfLink"):
            metadata.pop(name, None)
        if resource.namespaced:
            metadata.setdefault("namespace", "default")
        async with self._slots:
            try:
                stored = await self._client.request(
                    "POST",
                    kind.path(metadata.get("namespace", "")),
                    params={"fieldManager": "simcluster", "fieldValidation": "Strict"},
                    body=wanted,
                )
            except ApiError as error:
                if error.body.get("reason") == "AlreadyExists":
                    await self._aggregate(kind, obj)
                    return None
                raise NotInstalled(f"{_name(obj)}: {error}") from error
        self.count += 1
        if old:
            self._new[old.encode()] = stored["metadata"]["uid"].encode()
        return kind, resource, obj, stored

    async def _aggregate(self, kind: Kind, obj: Obj) -> None:
        """Fill in the rules of a role that is made of others, as the controller manager does."""
        if "aggregationRule" in obj:
            await self._client.patch(kind, "", obj["metadata"]["name"], {"rules": obj["rules"]})

    async def _write_status(self, kind: Kind, resource: Resource, obj: Obj, stored: Obj) -> None:
        status = self._renewed(obj)["status"]
        async with self._slots:
            try:
                await self._client.replace(kind, {**stored, "status": status}, "status" if resource.has_status else "")
            except ApiError as error:
                raise NotInstalled(f"status of {_name(obj)}: {error}") from error

    def _renewed(self, obj: Obj) -> Obj:
        """A copy with the new UIDs, as far as they are known."""
        text = _UID.sub(lambda found: self._new.get(found[0], found[0]), orjson.dumps(obj))
        renewed: Obj = orjson.loads(text)
        return renewed


def _rank(obj: Obj) -> int:
    kind = obj["kind"]
    if kind in _FIRST:
        return _FIRST.index(kind)
    return len(_FIRST) + (1 + _LAST.index(kind) if kind in _LAST else 0)


def _name(obj: Obj) -> str:
    metadata = obj["metadata"]
    return f"{obj['kind']} {metadata.get('namespace', '')}/{metadata['name']}"
