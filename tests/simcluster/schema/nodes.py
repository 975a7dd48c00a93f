"""Schemas as graphs of nodes: the compact files of ``data/`` and how they are read.

A compact file holds each distinct schema once, in the list ``nodes``; ``properties``, ``items`` and
``additionalProperties`` refer to others by their index there. All other keywords are those of
``apiextensions.k8s.io/v1`` JSONSchemaProps.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

INT_OR_STRING = "x-kubernetes-int-or-string"
PRESERVE = "x-kubernetes-preserve-unknown-fields"
EMBEDDED = "x-kubernetes-embedded-resource"
LIST_TYPE = "x-kubernetes-list-type"
LIST_MAP_KEYS = "x-kubernetes-list-map-keys"
MAP_TYPE = "x-kubernetes-map-type"
RULES = "x-kubernetes-validations"


@dataclass(eq=False)
class Node:
    """One schema: its own keywords in ``facts``, its children as nodes. A graph of nodes may have cycles."""

    facts: dict[str, Any]
    properties: dict[str, Node] = field(default_factory=dict)
    additional: Node | None = None
    items: Node | None = None

    @property
    def type(self) -> str:
        """JSON type, ``int-or-string``, or ``""`` where anything goes."""
        if self.facts.get(INT_OR_STRING):
            return "int-or-string"
        return str(self.facts.get("type", ""))

    @property
    def preserves(self) -> bool:
        """Whether fields that the schema does not know are kept."""
        return bool(self.facts.get(PRESERVE))

    @property
    def list_keys(self) -> tuple[str, ...]:
        """Key fields of an associative list, else empty."""
        return tuple(self.facts.get(LIST_MAP_KEYS, ())) if self.facts.get(LIST_TYPE) == "map" else ()


INT_OR_STRING_ANY_OF = [{"type": "integer"}, {"type": "string"}]
"""What stands beside ``x-kubernetes-int-or-string`` in every CRD; compact files leave it out."""

ANYTHING = Node({PRESERVE: True})
"""The schema of a field about whose content nothing is known."""


def load_nodes(compact: list[dict[str, Any]]) -> list[Node]:
    """Nodes of a compact file, in its order."""
    nodes = [Node({k: v for k, v in raw.items() if k not in _CHILDREN}) for raw in compact]
    for node, raw in zip(nodes, compact, strict=True):
        node.properties = {name: nodes[index] for name, index in raw.get("properties", {}).items()}
        node.additional = nodes[raw["additionalProperties"]] if "additionalProperties" in raw else None
        node.items = nodes[raw["items"]] if "items" in raw else None
    return nodes


_CHILDREN = ("properties", "additionalProperties", "items")


def expand(node: Node) -> dict[str, Any]:
    """The schema written out in full, as ``spec.versions[].schema.openAPIV3Schema`` of a CRD (no cycles)."""
    full = dict(node.facts)
    if node.facts.get(INT_OR_STRING):
        full["anyOf"] = INT_OR_STRING_ANY_OF
    if node.properties:
        full["properties"] = {name: expand(child) for name, child in node.properties.items()}
    if node.additional is not None:
        full["additionalProperties"] = expand(node.additional)
    if node.items is not None:
        full["items"] = expand(node.items)
    return full
