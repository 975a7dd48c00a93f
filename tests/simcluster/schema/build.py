"""Makes the compact schema files from a directory of CRDs: ``python -m simcluster.schema.build CRD_DIR``.

Each CRD (YAML, ``apiextensions.k8s.io/v1``) becomes one file in ``data/``: names, versions, and every distinct schema
once. Whatever the rest of this package could not honour makes the program stop: an unknown keyword, format, pattern
or CEL rule.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from .check import go_pattern
from .formats import FORMATS
from .nodes import INT_OR_STRING, INT_OR_STRING_ANY_OF, RULES
from .rules import UnknownRule, rule_for

DATA = Path(__file__).with_name("data")

_KEYWORDS = frozenset(
    [
        "type",
        "format",
        "nullable",
        "default",
        "enum",
        "pattern",
        "minimum",
        "maximum",
        "minLength",
        "maxLength",
        "minItems",
        "maxItems",
        "maxProperties",
        "required",
        "properties",
        "items",
        "additionalProperties",
        "x-kubernetes-int-or-string",
        "x-kubernetes-preserve-unknown-fields",
        "x-kubernetes-embedded-resource",
        "x-kubernetes-list-type",
        "x-kubernetes-list-map-keys",
        "x-kubernetes-map-type",
        "x-kubernetes-validations",
    ]
)
_TYPES = frozenset({"", "object", "array", "string", "integer", "number", "boolean"})
_META_FIELDS = frozenset({"name", "generateName"})
_RULE_KEYS = frozenset({"rule", "message", "fieldPath"})
_CRD_KEYS = frozenset({"group", "names", "scope", "versions", "conversion"})
_VERSION_KEYS = ("name", "served", "storage", "deprecated", "deprecationWarning", "subresources")


class Unsupported(Exception):
    """Something in a CRD that the simulated API server would not honour; says where."""


def compact(crd: dict[str, Any]) -> dict[str, Any]:
    """The compact form of one CustomResourceDefinition; :class:`Unsupported` when it cannot be kept in full."""
    name, spec = crd["metadata"]["name"], crd["spec"]
    _only(spec, _CRD_KEYS, f"{name} spec")
    if spec.get("conversion", {}).get("strategy", "None") != "None":
        raise Unsupported(f"{name}: conversion {spec['conversion']} is not supported")
    shared = _Shared()
    versions = []
    for version in spec["versions"]:
        where = f"{name} {version['name']}"
        _only(version, {*_VERSION_KEYS, "additionalPrinterColumns", "schema"}, where)
        entry: dict[str, Any] = {key: version[key] for key in _VERSION_KEYS if version.get(key)}
        columns = version.get("additionalPrinterColumns", [])
        entry["columns"] = [{k: v for k, v in column.items() if k != "description"} for column in columns]
        schema = version["schema"]["openAPIV3Schema"]
        _only(schema.get("properties", {}).get("metadata", {}).get("properties", {}), _META_FIELDS, f"{where} metadata")
        entry["schema"] = shared.add(schema, where)
        versions.append(entry)
    return {
        "group": spec["group"],
        "scope": spec["scope"],
        "names": spec["names"],
        "versions": versions,
        "nodes": shared.nodes,
    }


class _Shared:
    """Collects schemas, equal ones once; children come before their parents."""

    def __init__(self) -> None:
        self.nodes: list[dict[str, Any]] = []
        self._index: dict[str, int] = {}

    def add(self, schema: dict[str, Any], where: str) -> int:
        """Index of a schema in ``nodes``."""
        facts = {k: v for k, v in schema.items() if k not in ("description", "title", "externalDocs", "example")}
        if facts.get(INT_OR_STRING) and (facts.pop("anyOf", None) != INT_OR_STRING_ANY_OF or "type" in facts):
            raise Unsupported(f"{where}: {INT_OR_STRING} without the usual anyOf")
        _supported(facts, where)
        for keyword in ("items", "additionalProperties"):
            if keyword in facts:
                facts[keyword] = self.add(facts[keyword], f"{where}.{keyword}")
        if "properties" in facts:
            facts["properties"] = {k: self.add(v, f"{where}.{k}") for k, v in facts["properties"].items()}
        key = json.dumps(facts, sort_keys=True)
        if key not in self._index:
            self._index[key] = len(self.nodes)
            self.nodes.append(facts)
        return self._index[key]


def _only(mapping: dict[str, Any], allowed: Iterable[str], where: str) -> None:
    if unknown := set(mapping) - set(allowed):
        raise Unsupported(f"{where}: {', '.join(sorted(unknown))} not supported")


def _supported(facts: dict[str, Any], where: str) -> None:
    _only(facts, _KEYWORDS, where)
    if facts.get("type", "") not in _TYPES:
        raise Unsupported(f"{where}: type {facts['type']!r} not supported")
    for keyword in ("items", "additionalProperties"):
        if keyword in facts and not isinstance(facts[keyword], dict):
            raise Unsupported(f"{where}: {keyword} must be one schema, not {facts[keyword]!r}")
    if facts.get("format") and facts["format"] not in FORMATS:
        raise Unsupported(f"{where}: format {facts['format']!r} not supported")
    if "pattern" in facts:
        go_pattern(facts["pattern"])
    for rule in facts.get(RULES, ()):
        _only(rule, _RULE_KEYS, f"{where} rule {rule['rule']!r}")
        try:
            rule_for(rule["rule"])
        except UnknownRule as error:
            raise Unsupported(f"{where}: {error}") from error


def dump(document: dict[str, Any]) -> str:
    """A compact document as text, one schema a line so that changes can be read."""
    head = {key: value for key, value in document.items() if key != "nodes"}
    lines = ",\n".join(json.dumps(node, separators=(",", ":"), ensure_ascii=False) for node in document["nodes"])
    return f'{json.dumps(head, separators=(",", ":"), ensure_ascii=False)[:-1]},"nodes":[\n{lines}\n]}}\n'


def read_crds(directory: Path) -> dict[str, dict[str, Any]]:
    """File name of the compact form (``<plural>.<group>.json``) → CRD, of all YAML files of a directory."""
    crds = {}
    for path in sorted(directory.glob("*.yaml")):
        for document in yaml.safe_load_all(path.read_text(encoding="utf-8")):
            if document and document.get("kind") == "CustomResourceDefinition":
                crds[f"{document['metadata']['name']}.json"] = document
    return crds


def main(arguments: list[str]) -> int:
    """Writes the files and removes those of CRDs that are gone; 1 with a message when something is not supported."""
    parser = argparse.ArgumentParser(prog="python -m simcluster.schema.build", description=__doc__.split("\n")[0])
    parser.add_argument("crd_dir", type=Path, help="directory of CustomResourceDefinition YAML files")
    parser.add_argument("--output", type=Path, default=DATA / "crds", help="directory to write to")
    options = parser.parse_args(arguments)
    try:
        texts = {name: dump(compact(crd)) for name, crd in read_crds(options.crd_dir).items()}
    except Unsupported as error:
        sys.stderr.write(f"{error}\n")
        return 1
    if not texts:
        sys.stderr.write(f"{options.crd_dir}: no CustomResourceDefinition in any *.yaml\n")
        return 1
    options.output.mkdir(parents=True, exist_ok=True)
    for stale in options.output.glob("*.json"):
        if stale.name not in texts:
            stale.unlink()
    for name, text in texts.items():
        (options.output / name).write_text(text, encoding="utf-8")
    sys.stdout.write(f"{len(texts)} files, {sum(len(text) for text in texts.values())} characters\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
