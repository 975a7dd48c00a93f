"""All kinds that are served, and what happens to an object of one on its way into the store."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from . import metadata
from .builtins import BUILTINS, SUBRESOURCE_KINDS
from .check import Checker
from .coerce import Coercer, clone
from .core_checks import core_defaults, core_errors
from .errors import (
    INVALID,
    TYPE_INVALID,
    FieldError,
    SchemaInvalid,
    bad_request,
    go_quote,
    invalid,
    invalid_patch,
)
from .golang import decode_problem
from .nodes import Node, expand, load_nodes
from .resource import Resource

_DATA = Path(__file__).with_name("data")
_HYPERCONVERGED = "hyperconvergeds.hco.kubevirt.io.json"
_MIGRATION = "virtualmachineinstancemigrations.kubevirt.io.json"

Errors = Callable[[dict[str, Any], dict[str, Any] | None], list[FieldError]]


@dataclass
class _Crd:
    """A compact file: its content, and its nodes when they are first asked for."""

    document: dict[str, Any]
    versions: dict[str, dict[str, Any]] = field(init=False)

    def __post_init__(self) -> None:
        self.versions = {v["name"]: v for v in self.document["versions"] if v["served"]}

    @cached_property
    def nodes(self) -> list[Node]:
        """All schemas of the file."""
        return load_nodes(self.document["nodes"])

    def root(self, version: str) -> Node:
        """The schema of a version."""
        index: int = self.versions[version]["schema"]
        return self.nodes[index]

    @property
    def name(self) -> str:
        """Name of the CustomResourceDefinition."""
        return f"{self.document['names']['plural']}.{self.document['group']}"

    def resource(self) -> Resource:
        """What discovery shows; the storage version is preferred, then the others as listed."""
        names = self.document["names"]
        storage = next(v["name"] for v in self.versions.values() if v.get("storage"))
        subresources = self.versions[storage].get("subresources", {})
        return Resource(
            group=self.document["group"],
            versions=(storage, *(v for v in self.versions if v != storage)),
            storage_version=storage,
            plural=names["plural"],
            singular=names["singular"],
            kind=names["kind"],
            namespaced=self.document["scope"] == "Namespaced",
            short_names=tuple(names.get("shortNames", ())),
            categories=tuple(names.get("categories", ())),
            has_status="status" in subresources,
            has_scale="scale" in subresources,
        )


class Registry:
    """Kinds and schemas.

    Older releases: ``hyperconverged_versions`` limits what is served of ``hco.kubevirt.io``; without
    ``added_node_selector`` migrations have no ``spec.addedNodeSelector`` (KubeVirt before 1.6).
    """

    def __init__(
        self,
        *,
        hyperconverged_versions: Sequence[str] = ("v1", "v1beta1"),
        added_node_selector: bool = True,
    ) -> None:
        self._crds: dict[tuple[str, str], _Crd] = {}
        # "own" are kinds of which only some documented fields are described
        for path in sorted([*(_DATA / "crds").glob("*.json"), *(_DATA / "own").glob("*.json")]):
            document = json.loads(path.read_text(encoding="utf-8"))
            if path.name == _HYPERCONVERGED:
                _limit_versions(document, hyperconverged_versions)
            if path.name == _MIGRATION and not added_node_selector:
                for node in document["nodes"]:
                    node.get("properties", {}).pop("addedNodeSelector", None)
            self._crds[document["group"], document["names"]["plural"]] = _Crd(document)
        core = json.loads((_DATA / "core.json").read_text(encoding="utf-8"))
        self._core_nodes = load_nodes(core["nodes"])
        self._core_kinds: dict[str, int] = core["kinds"]
        self._object_meta = self._core_nodes[core["objectMeta"]]
        resources = [*BUILTINS, *(crd.resource() for crd in self._crds.values())]
        self._by_plural = {(r.group, r.plural): r for r in resources}
        self._by_kind = {(r.group, r.kind): r for r in resources}
        # typed kinds have list keys for apply only; their own validation says which names must differ
        self._coercer, self._checker = Coercer(), Checker(may_repeat=self._core_nodes)
        self._roots: dict[tuple[str, str, str], Node] = {}
        self._coercers: dict[int, Callable[[Any], list[str] | None]] = {}
        self._checks: dict[int, Errors] = {}
        self._coerce_meta = self._coercer.root(self._object_meta)
        self._check_meta = self._checker.root(self._object_meta)

    def resources(self) -> list[Resource]:
        """Every kind, built-in ones first."""
        return list(self._by_plural.values())

    def find(self, group: str, plural: str) -> Resource | None:
        """The resource of a URL."""
        return self._by_plural.get((group, plural))

    def by_kind(self, group: str, kind: str) -> Resource | None:
        """The resource of an object's ``apiVersion`` (its group) and ``kind``."""
        return self._by_kind.get((group, kind))

    def schema(self, resource: Resource, version: str) -> Node:
        """Root node of a version's schema; below ``metadata`` it is ObjectMeta's for every kind."""
        if resource.builtin:
            return self._core_nodes[self._core_kinds[f"{resource.api_version(version)}/{resource.kind}"]]
        key = (resource.group, resource.plural, version)
        if key not in self._roots:
            self._roots[key] = self._with_object_meta(self._crds[resource.group, resource.plural].root(version))
        return self._roots[key]

    def _with_object_meta(self, root: Node) -> Node:
        """A CRD's schema, which may limit ``metadata.name`` and no more, completed by what every object has."""
        given = root.properties.get("metadata")
        meta = self._object_meta
        if given is not None and given.properties:
            limited = {
                name: Node({**meta.properties[name].facts, **extra.facts}) for name, extra in given.properties.items()
            }
            meta = Node(meta.facts, {**meta.properties, **limited})
        type_meta = {name: Node({"type": "string"}) for name in ("apiVersion", "kind")}
        return Node(root.facts, {**type_meta, **root.properties, "metadata": meta}, root.additional)

    def columns(self, resource: Resource, version: str) -> list[dict[str, Any]]:
        """``additionalPrinterColumns`` of a custom resource, empty for built-in kinds."""
        if resource.builtin:
            return []
        return list(self._crds[resource.group, resource.plural].versions[version]["columns"])

    def deprecation(self, resource: Resource, version: str) -> str | None:
        """Text of the Warning header that every request to a deprecated version gets."""
        if resource.builtin:
            return None
        entry = self._crds[resource.group, resource.plural].versions[version]
        if not entry.get("deprecated"):
            return None
        return str(entry.get("deprecationWarning") or f"{resource.api_version(version)} {resource.kind} is deprecated")

    def scale_paths(self, resource: Resource, version: str) -> dict[str, str]:
        """``specReplicasPath``, ``statusReplicasPath`` and ``labelSelectorPath``; empty without ``/scale``."""
        if not resource.has_scale:
            return {}
        if resource.builtin:
            return {"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas"}
        entry = self._crds[resource.group, resource.plural].versions[version]
        return dict(entry["subresources"]["scale"])

    def custom_resource_definitions(self) -> Iterator[dict[str, Any]]:
        """The CRDs as objects to be stored, without metadata other than the name, with ``status`` established."""
        for crd in self._crds.values():
            document = crd.document
            names = {"listKind": f"{document['names']['kind']}List", **document["names"]}
            versions = []
            for entry in document["versions"]:
                version = {k: v for k, v in entry.items() if k not in ("columns", "schema")}
                if entry["columns"]:
                    version["additionalPrinterColumns"] = entry["columns"]
                version["schema"] = {"openAPIV3Schema": expand(load_nodes(document["nodes"])[entry["schema"]])}
                version["storage"], version["served"] = bool(entry.get("storage")), bool(entry.get("served"))
                versions.append(version)
            yield {
                "apiVersion": "apiextensions.k8s.io/v1",
                "kind": "CustomResourceDefinition",
                "metadata": {"name": crd.name},
                "spec": {
                    "conversion": {"strategy": "None"},
                    "group": document["group"],
                    "names": names,
                    "scope": document["scope"],
                    "versions": versions,
                },
                "status": {
                    "acceptedNames": names,
                    "conditions": [
                        {"type": "NamesAccepted", "status": "True", "reason": "NoConflicts"},
                        {"type": "Established", "status": "True", "reason": "InitialNamesAccepted"},
                    ],
                    "storedVersions": [v["name"] for v in versions if v["storage"]],
                },
            }

    def process(
        self,
        resource: Resource,
        version: str,
        obj: dict[str, Any],
        *,
        old: dict[str, Any] | None = None,
        subresource: str = "",
        field_validation: str = "Warn",
        patch: bool = False,
    ) -> list[str]:
        """:meth:`decode`, then :meth:`validate`; returns the warnings of both."""
        warnings = self.decode(resource, version, obj, field_validation=field_validation, patch=patch)
        return warnings + self.validate(resource, version, obj, old=old, subresource=subresource)

    def decode(
        self,
        resource: Resource,
        version: str,
        obj: dict[str, Any],
        *,
        field_validation: str = "Warn",
        patch: bool = False,
        duplicates: Sequence[str] = (),
    ) -> list[str]:
        """Prunes unknown fields and fills in defaults, in place; returns one warning per unknown or repeated field.

        ``patch`` says that ``obj`` is the result of a patch, ``duplicates`` are the paths that
        :func:`.duplicates.duplicate_fields` found in the body. Raises :class:`SchemaInvalid` for values that a typed
        decoder cannot read and, with ``Strict``, for unknown fields: 400, or 422 for a patch.
        """
        self._match_type(resource, version, obj, patch)
        node = self.schema(resource, version)
        if problem := self._undecodable(resource, node, obj):
            raise self._refused(resource, version, obj, problem, patch)
        snapshot = clone(obj) if patch and field_validation == "Strict" else obj
        removed = self._coerce(node, obj) or []
        if (meta := obj.get("metadata")) is not None:
            for name in ("labels", "annotations", "finalizers", "ownerReferences", "managedFields"):
                if name in meta and not meta[name]:
                    del meta[name]
        if resource.builtin:
            core_defaults(resource.kind, obj)
        warnings = [
            *(f"duplicate field {go_quote(path)}" for path in duplicates),
            *(f"unknown field {go_quote(path)}" for path in removed),
        ]
        if warnings and field_validation == "Strict":
            problem = f"strict decoding error: {', '.join(warnings)}"
            raise self._refused(resource, version, snapshot, problem, patch)
        return warnings if field_validation == "Warn" else []

    def validate(
        self,
        resource: Resource,
        version: str,
        obj: dict[str, Any],
        *,
        old: dict[str, Any] | None = None,
        subresource: str = "",
    ) -> list[str]:
        """Checks a decoded object against metadata rules and schema; returns warnings.

        ``old`` is the stored object in the same version, None on create. Raises :class:`SchemaInvalid` (422).
        """
        meta = obj.setdefault("metadata", {})
        if not resource.builtin:
            _check_type(resource, version, obj)
        if old is None:
            errors = metadata.errors_on_create(resource, meta)
        else:
            errors = metadata.errors_on_update(resource, meta, old.get("metadata", {}))
        node = self.schema(resource, version)
        if id(node) not in self._checks:
            self._checks[id(node)] = self._checker.root(node)
        errors += self._checks[id(node)](obj, old)
        if resource.builtin:
            errors += core_errors(resource.kind, obj, old, subresource)
        elif resource.has_scale:
            errors += _scale_errors(obj, self.scale_paths(resource, version))
        if errors:
            raise invalid(resource.kind, resource.group, str(meta.get("name", "")), errors)
        if resource.builtin:
            return []
        return metadata.finalizer_warnings(meta, (old or {}).get("metadata"))

    def check_subresource(self, plural: str, subresource: str, obj: dict[str, Any]) -> None:
        """Refuses (400) a body of a subresource kind that does not decode; prunes and defaults it."""
        api_version, kind = SUBRESOURCE_KINDS[f"{plural}/{subresource}"]
        node = self._core_nodes[self._core_kinds[f"{api_version}/{kind}"]]
        if problem := decode_problem(node, obj, kind):
            version = api_version.rpartition("/")[2]
            raise bad_request(f'{kind} in version "{version}" cannot be handled as a {kind}: {problem}')
        self._coerce(node, obj)

    def _coerce(self, node: Node, obj: dict[str, Any]) -> list[str] | None:
        if id(node) not in self._coercers:
            self._coercers[id(node)] = self._coercer.root(node)
        return self._coercers[id(node)](obj)

    def _undecodable(self, resource: Resource, node: Node, obj: dict[str, Any]) -> str | None:
        """The problem of a typed decoder: with the whole of a built-in kind, with the metadata of a custom resource."""
        target = node if resource.builtin else self._object_meta
        value = obj if resource.builtin else obj.get("metadata")
        if value is None:
            return None
        check = self._checker.compile(target)
        found = check(value)
        if not found or all(p.reason != TYPE_INVALID and not p.nameless for p in found):
            return None
        return decode_problem(target, value, str(target.facts.get("go", "")))

    def type_problem(self, resource: Resource, version: str, group_version: str, kind: str) -> str:
        """Why an object of some type cannot be read as a built-in kind, empty if it can."""
        group_version, kind = group_version or resource.api_version(version), kind or resource.kind
        if (group_version, kind) == (resource.api_version(version), resource.kind):
            return ""
        group, _, given = group_version.rpartition("/")
        known = self.by_kind(group, kind)
        if known is not None and known.builtin and given in known.versions:
            package = resource.group.partition(".")[0] or "core"
            return f"converting ({given}.{kind}) to ({package}.{resource.kind}): unknown conversion"
        scheme = "k8s.io/kubernetes/pkg/api/legacyscheme/scheme.go:30"
        return f'no kind {go_quote(kind)} is registered for version {go_quote(group_version)} in scheme "{scheme}"'

    def _match_type(self, resource: Resource, version: str, obj: dict[str, Any], patch: bool) -> None:
        expected = resource.api_version(version)
        if resource.builtin:
            obj.setdefault("apiVersion", expected)
            obj.setdefault("kind", resource.kind)
        given = obj.get("apiVersion", "")
        if given != expected and given and not patch:
            raise bad_request(
                f"the API version in the data ({given}) does not match the expected API version ({expected})"
            )
        if resource.builtin and (problem := self.type_problem(resource, version, given, obj["kind"])):
            raise invalid_patch(obj, problem) if patch else bad_request(problem)

    @staticmethod
    def _refused(resource: Resource, version: str, obj: dict[str, Any], problem: str, patch: bool) -> SchemaInvalid:
        if patch:
            return invalid_patch(obj, problem)
        return bad_request(
            f"{resource.kind} in version {go_quote(version)} cannot be handled as a {resource.kind}: {problem}"
        )


def _check_type(resource: Resource, version: str, obj: dict[str, Any]) -> None:
    """Refuses a custom resource of another kind or version; nothing else is then looked at."""
    errors = [
        FieldError(name, INVALID, obj.get(name, ""), f"must be {wanted}")
        for name, wanted in (("kind", resource.kind), ("apiVersion", resource.api_version(version)))
        if obj.get(name) != wanted
    ]
    if errors:
        group, kind = str(obj.get("apiVersion", "")).rpartition("/")[0], str(obj.get("kind", ""))
        raise invalid(kind, group, str(obj.get("metadata", {}).get("name", "")), errors)


def _scale_errors(obj: dict[str, Any], paths: dict[str, str]) -> list[FieldError]:
    """Negative replicas. Source: apiextensions-apiserver ``pkg/registry/customresource/validator.go``."""
    errors = []
    for path in (paths["specReplicasPath"], paths["statusReplicasPath"]):
        value: Any = obj
        for name in path.removeprefix(".").split("."):
            value = value.get(name) if isinstance(value, dict) else None
        if isinstance(value, int) and value < 0:
            errors.append(FieldError(path, INVALID, value, "should be a non-negative integer"))
    return errors


def _limit_versions(document: dict[str, Any], wanted: Sequence[str]) -> None:
    """Keeps only some versions of a CRD; the first of them is then stored unless the storage version is among them."""
    versions = [v for v in document["versions"] if v["name"] in wanted]
    if not versions or len(versions) != len(set(wanted)):
        known = ", ".join(v["name"] for v in document["versions"])
        raise ValueError(f"HyperConverged versions {', '.join(wanted)!r}: choose from {known}")
    if not any(v.get("storage") for v in versions):
        versions[0]["storage"] = True
    document["versions"] = versions
