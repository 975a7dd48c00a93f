# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Read a Snapshot from files: what C(oc get ... -o yaml|json) printed, or a directory of must-gather.

Understood are objects, Lists of objects and several YAML documents in a file, gzipped or not. In a must-gather only
those files are opened whose kinds matter here; elsewhere every .yaml, .yml and .json file of the directory is.
"""

from __future__ import annotations

import gzip
import json
import os
from datetime import datetime, timezone
from functools import lru_cache
from pathlib import Path
from typing import Any, Callable, Iterable, Iterator, Mapping, Union

from ..errors import InvalidInput
from . import resources
from .assemble import ALL_PARTS, MachineReader, Raw, assemble, not_understood, read_instance, understood
from .model import Snapshot
from .parse import parse_claim, parse_data_volume, parse_persistent_volume, parse_pod
from .parse_vm import parse_migration
from .resources import ResourceType

try:
    import yaml
except ImportError:  # comes with Ansible; told when a YAML file is met
    yaml = None  # type: ignore[assignment]

_SUFFIXES = (".yaml", ".yml", ".json")
_HOW = (
    "Make one with `oc get nodes,namespaces,vm,vmi,vmim,pods,pvc,pv,storageclass,storageprofile,datavolume,"
    "hyperconverged,kubevirt -A -o json > dump.json`, or with must-gather."
)
_NONE = "the dump holds no {kinds}: there was none, or it was left out"
# directories above the two roots of a must-gather: its own name, the image's, and one more
_MUST_GATHER_DEPTH = 3
_GATHERED = ("cluster-scoped-resources", "namespaces")

# kinds that matter, with the part of the snapshot that they stand for and the field of Raw they go to
_KINDS: dict[ResourceType, tuple[str, str]] = {
    resources.NODES: ("nodes", "nodes"),
    resources.NAMESPACES: ("namespaces", "namespaces"),
    resources.VIRTUAL_MACHINES: ("virtual_machines", "virtual_machines"),
    resources.VIRTUAL_MACHINE_INSTANCES: ("virtual_machines", "instances"),
    resources.PODS: ("pods", "pods"),
    resources.PERSISTENT_VOLUME_CLAIMS: ("claims", "claims"),
    resources.PERSISTENT_VOLUMES: ("persistent_volumes", "persistent_volumes"),
    resources.STORAGE_CLASSES: ("storage", "storage_classes"),
    resources.STORAGE_PROFILES: ("storage_profiles", "storage_profiles"),
    resources.DATA_VOLUMES: ("data_volumes", "data_volumes"),
    resources.MIGRATIONS: ("migrations", "migrations"),
    resources.MIGRATION_POLICIES: ("policies", "migration_policies"),
    resources.KUBEVIRTS: ("virtualization", "kubevirts"),
    resources.HYPERCONVERGEDS: ("hyperconverged", "hyperconvergeds"),
    resources.KUBE_DESCHEDULERS: ("descheduler", "deschedulers"),
    resources.NODE_METRICS: ("usage", "node_metrics"),
    resources.POD_METRICS: ("usage", "pod_metrics"),
    resources.CUSTOM_RESOURCE_DEFINITIONS: ("", "migration_definition"),
}
# kinds that are turned into values as they are read
_VALUES: Mapping[ResourceType, Callable[[Any], Any]] = {
    resources.PERSISTENT_VOLUME_CLAIMS: parse_claim,
    resources.PERSISTENT_VOLUMES: parse_persistent_volume,
    resources.DATA_VOLUMES: parse_data_volume,
    resources.MIGRATIONS: parse_migration,
}
_BY_KIND = {(resource.group, resource.kind): resource for resource in _KINDS}


def read_dump(path: Union[str, os.PathLike[str]]) -> Snapshot:
    """Return the Snapshot of a dump: a file, or a directory with files, perhaps a must-gather.

    What the dump does not hold is in C(Snapshot.missing). Raises InvalidInput when there is no such file, a file cannot
    be understood, or the dump holds no virtual machines at all.
    """
    place = Path(path)
    files = _files(place) if place.is_dir() else [place]
    return snapshot_of_objects((item for file in files for item in read_documents(file)), place, files)


def read_documents(file: Path) -> Iterator[Any]:
    """Yield the documents of a JSON or YAML file, gzipped or not. Raises InvalidInput naming the file."""
    try:
        content = file.read_bytes()
        if content.startswith(b"\x1f\x8b"):
            content = gzip.decompress(content)
    except (OSError, EOFError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InvalidInput(str(file), reason, "a readable file is needed") from error
    if content.lstrip()[:1] in (b"{", b"["):
        try:
            yield json.loads(content)
        except ValueError as error:
            raise InvalidInput(str(file), str(error), "JSON is needed; is the file complete?") from error
        return
    if yaml is None:
        raise InvalidInput(str(file), "YAML", "the Python library PyYAML is needed to read it (or write it as JSON)")
    try:
        yield from yaml.load_all(content, Loader=_loader())
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f"not YAML at line {mark.line + 1}" if mark else "not YAML"
        hint = "An archive has to be unpacked first."
        raise InvalidInput(str(file), where, "JSON or YAML is needed", hint=hint) from error


@lru_cache(maxsize=1)
def _loader() -> Any:
    """A safe YAML loader, quick where libyaml is there, that leaves times as text like JSON does."""

    class Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
        yaml_implicit_resolvers = {
            first: [rule for rule in rules if rule[0] != "tag:yaml.org,2002:timestamp"]
            for first, rules in yaml.SafeLoader.yaml_implicit_resolvers.items()
        }

    return Loader


def snapshot_of_objects(documents: Iterable[Any], place: Path, files: Iterable[Path] = ()) -> Snapshot:
    """Return the Snapshot of objects and Lists of objects.

    C(place) is for messages; the newest of C(files) (C(place) if there are none) says when the dump was made.
    """
    found: dict[ResourceType, dict[str, Any]] = {resource: {} for resource in _KINDS}
    for item in _objects(documents):
        resource = _BY_KIND.get((_group(item), str(item.get("kind"))))
        if resource is None:
            continue
        try:
            metadata = item["metadata"]
            key = f"{metadata.get('namespace', '')}/{metadata['name']}"
        except (KeyError, TypeError, AttributeError) as error:
            raise not_understood(item, error) from error
        known = found[resource].get(key)
        # a HyperConverged may be there in both of its API versions; v1 says more
        if known is None or known.get("apiVersion") != resource.api_version:
            found[resource][key] = item
    if not found[resources.VIRTUAL_MACHINES] and not found[resources.VIRTUAL_MACHINE_INSTANCES]:
        raise InvalidInput(
            str(place), "no virtual machines", "a snapshot or a dump with VirtualMachine objects is needed", hint=_HOW
        )
    return assemble(_raw(found, _modified(files or [place])))


def _raw(found: Mapping[ResourceType, Mapping[str, Any]], captured_at: str) -> Raw:
    raw = Raw(captured_at=captured_at)
    absent: dict[str, list[str]] = {}
    present = set()
    for resource, (part, target) in _KINDS.items():
        items = list(found[resource].values())
        if resource is resources.PODS:
            raw.pods = [pod for pod in map(understood(parse_pod), items) if pod is not None]
            raw.virt_handlers = [pod for pod in items if _labels(pod).get("kubevirt.io") == "virt-handler"]
        elif resource is resources.CUSTOM_RESOURCE_DEFINITIONS:
            raw.migration_definition = found[resource].get("/" + resources.MIGRATIONS.full_name)
        elif resource in (resources.VIRTUAL_MACHINES, resources.VIRTUAL_MACHINE_INSTANCES):
            pass  # made together below
        else:
            convert = _VALUES.get(resource)
            setattr(raw, target, [understood(convert)(item) for item in items] if convert else items)
        if items:
            present.add(part)
        else:
            absent.setdefault(part, []).append(resource.kind)
    reader = MachineReader(map(understood(read_instance), found[resources.VIRTUAL_MACHINE_INSTANCES].values()))
    machines = [understood(reader.read)(item) for item in found[resources.VIRTUAL_MACHINES].values()]
    raw.virtual_machines = machines + reader.without_vm(machines)
    raw.parts = tuple(part for part in ALL_PARTS if part in present)
    raw.missing = {
        part: _NONE.format(kinds=" and no ".join(kinds))
        for part, kinds in absent.items()
        if part and part not in present
    }
    return raw


def _labels(item: Mapping[str, Any]) -> Mapping[str, Any]:
    return item["metadata"].get("labels") or {}


def _objects(documents: Iterable[Any]) -> Iterator[Mapping[str, Any]]:
    """Yield the objects of documents; those of a typed list (PodList) get the kind that only the list tells."""
    for document in documents:
        if isinstance(document, list):
            yield from _objects(document)
        elif isinstance(document, Mapping):
            kind = str(document.get("kind"))
            if not kind.endswith("List") or not isinstance(document.get("items"), list):
                yield document
                continue
            for item in document["items"]:
                if isinstance(item, Mapping):
                    yield {"kind": kind[: -len("List")], "apiVersion": document.get("apiVersion"), **item}


def _group(item: Mapping[str, Any]) -> str:
    version = str(item.get("apiVersion"))
    return version.rpartition("/")[0]


def _modified(files: Iterable[Path]) -> str:
    newest = max((file.stat().st_mtime for file in files), default=0.0)
    return datetime.fromtimestamp(newest, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def _files(directory: Path) -> list[Path]:
    """Return the files of a directory that may hold objects of the kinds that matter."""
    roots = list(_must_gather_roots(directory, _MUST_GATHER_DEPTH))
    if roots:
        return sorted({file for root in roots for file in _gathered(root)})
    return sorted(file for file in directory.rglob("*") if file.is_file() and _may_hold_objects(file))


def _may_hold_objects(file: Path) -> bool:
    return (file.with_suffix("") if file.suffix == ".gz" else file).suffix in _SUFFIXES


def _must_gather_roots(directory: Path, depth: int) -> Iterator[Path]:
    for child in sorted(directory.iterdir()):
        if not child.is_dir():
            continue
        if child.name in _GATHERED:
            yield child
        elif depth > 0:
            yield from _must_gather_roots(child, depth - 1)


def _gathered(root: Path) -> Iterator[Path]:
    """Yield the files of interest below one root, as C(oc adm inspect) lays them out."""
    if root.name == "cluster-scoped-resources":
        for resource in _KINDS:
            if not resource.namespaced:
                yield from _of_kind(root, resource)
        return
    for namespace in sorted(child for child in root.iterdir() if child.is_dir()):
        own = namespace / f"{namespace.name}.yaml"
        if own.is_file():
            yield own
        yield from (namespace / "pods").glob("*/*.yaml")
        for resource in _KINDS:
            if resource.namespaced:
                yield from _of_kind(namespace, resource)


def _of_kind(directory: Path, resource: ResourceType) -> Iterator[Path]:
    group = directory / (resource.group or "core")
    if resource is resources.CUSTOM_RESOURCE_DEFINITIONS:  # there are hundreds; one matters
        yield from (group / resource.plural).glob(f"{resources.MIGRATIONS.full_name}.yaml")
        return
    if (group / f"{resource.plural}.yaml").is_file():
        yield group / f"{resource.plural}.yaml"
    yield from (group / resource.plural).rglob("*.yaml")
