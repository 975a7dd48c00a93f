"""From a scenario to a store that holds a whole cluster."""

from __future__ import annotations

import json
import uuid
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any

from .api.context import Cluster
from .api.control import add_token
from .api.defaults import has_generation
from .rbac_defaults import bootstrap_objects
from .scenarios import InvalidScenario, Scenario
from .schema.registry import Registry
from .schema.resource import Resource

Obj = dict[str, Any]
CONFIG_NAMESPACE = "simcluster"
_SYSTEM_NAMESPACES = ("default", "kube-system", "kube-public", "kube-node-lease", CONFIG_NAMESPACE)
_UIDS = uuid.UUID("6e2c2a5e-59a5-5d5f-9d4c-0a7f3a7f5b52")


def load(cluster: Cluster, scenario: Scenario) -> int:
    """Stores a scenario's objects and what every cluster has; returns how many. Raises InvalidScenario."""
    tables: dict[tuple[str, str], list[Obj]] = defaultdict(list)
    resources: dict[tuple[str, str], Resource] = {}
    namespaces: set[str] = set()
    known: set[tuple[str, str, str]] = set()
    for obj in all_objects(cluster.registry, scenario):
        resource = _resource(cluster, obj)
        identity = (resource.qualified, obj["metadata"].get("namespace", ""), obj["metadata"]["name"])
        if identity in known:
            continue
        known.add(identity)
        _complete(cluster, resource, obj)
        if resource.namespaced:
            namespaces.add(obj["metadata"].setdefault("namespace", "default"))
        key = (resource.group, resource.plural)
        resources[key] = resource
        tables[key].append(cluster.convert(resource, obj, resource.storage_version))
    count = 0
    spaces = _missing_namespaces(cluster, tables[("", "namespaces")], namespaces)
    tables[("", "namespaces")] += spaces
    resources[("", "namespaces")] = _resource(cluster, {"apiVersion": "v1", "kind": "Namespace"})
    for key, objects in tables.items():
        count += cluster.store.load(resources[key], objects)
    for wanted in scenario.settings.get("tokens", []):
        add_token(cluster, wanted)
    return count


def all_objects(registry: Registry, scenario: Scenario) -> Iterator[Obj]:
    """What a cluster of the scenario begins with, the kinds included; namespaces may be missing."""
    yield from scenario.objects
    yield from _settings_objects(scenario.settings)
    yield from bootstrap_objects()
    yield from registry.custom_resource_definitions()


def _settings_objects(settings: Obj) -> Iterator[Obj]:
    """The ConfigMaps from which the controllers read the model of durations and the faults."""
    for setting, name in (("migration", "migration-model"), ("faults", "faults")):
        if content := settings.get(setting):
            data = {key: value if isinstance(value, str) else json.dumps(value) for key, value in content.items()}
            meta = {"name": name, "namespace": CONFIG_NAMESPACE}
            yield {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": data}


def _resource(cluster: Cluster, obj: Obj) -> Resource:
    group = str(obj.get("apiVersion", "")).rpartition("/")[0]
    resource = cluster.registry.by_kind(group, str(obj.get("kind", "")))
    if resource is None:
        raise InvalidScenario(
            f"scenario object {obj.get('kind')} {obj.get('metadata', {}).get('name')!r}: "
            f"apiVersion {obj.get('apiVersion')!r} and kind are not served"
        )
    return resource


def _complete(cluster: Cluster, resource: Resource, obj: Obj) -> None:
    """Fills in what the API server would have given the object; the same for every start."""
    meta = obj["metadata"]
    path = f"{resource.qualified}/{meta.get('namespace', '')}/{meta['name']}"
    meta.setdefault("uid", str(uuid.uuid5(_UIDS, path)))
    meta.setdefault("creationTimestamp", cluster.now())
    if has_generation(resource):
        meta.setdefault("generation", 1)


def _missing_namespaces(cluster: Cluster, present: Iterable[Obj], used: set[str]) -> list[Obj]:
    wanted = dict.fromkeys([*_SYSTEM_NAMESPACES, *sorted(used)])
    for obj in present:
        wanted.pop(obj["metadata"]["name"], None)
    made = []
    for name in wanted:
        meta: Obj = {"name": name, "labels": {"kubernetes.io/metadata.name": name}}
        obj = {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": meta,
            "spec": {"finalizers": ["kubernetes"]},
            "status": {"phase": "Active"},
        }
        _complete(cluster, _resource(cluster, obj), obj)
        made.append(obj)
    return made
