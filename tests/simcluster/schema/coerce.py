"""Defaulting and pruning by schema, compiled to one closure per node.

Rules: apiextensions-apiserver ``pkg/apiserver/schema/pruning/algorithm.go`` (unknown fields),
``schema/defaulting/algorithm.go`` (defaults, also inside of defaulted values) and ``schema/defaulting/prunenulls.go``
(nulls of fields that are neither nullable nor defaulted vanish).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .nodes import EMBEDDED, Node
from .quantities import canonical

Coerce = Callable[[Any], "list[str] | None"]
"""Changes a value in place; returns the paths of removed fields relative to the value (``.a[0].b``), or None."""

_TYPE_META = ("apiVersion", "kind", "metadata")


class Coercer:
    """Compiles nodes, each once."""

    def __init__(self) -> None:
        self._known: dict[int, Coerce | None] = {}

    def root(self, node: Node) -> Coerce:
        """Closure for a whole object, which keeps ``apiVersion``, ``kind`` and ``metadata`` in any case.

        It returns the sorted paths of removed fields (``spec.a[0].b``).
        """
        inner = self._object(node, keep=_TYPE_META)

        def coerce(value: Any) -> list[str] | None:
            removed = inner(value)
            return sorted(path[1:] for path in removed) if removed else None

        return coerce

    def compile(self, node: Node | None) -> Coerce | None:
        """Closure for a value of this node, or None where there is nothing to do."""
        if node is None:
            return None
        key = id(node)
        if key not in self._known:
            # a cycle meets its own forward reference, which looks the closure up when it is called
            self._known[key] = lambda value: (self._known[key] or _nothing)(value)
            self._known[key] = self._make(node)
        return self._known[key]

    def _make(self, node: Node) -> Coerce | None:
        if node.items is not None or node.type == "array":
            return _array(self.compile(node.items))
        if node.type == "object" or node.properties or node.additional is not None:
            return self._object(node, keep=_TYPE_META if node.facts.get(EMBEDDED) else ())
        return None

    def _object(self, node: Node, keep: tuple[str, ...]) -> Coerce:
        children: dict[str, Coerce | None] = dict.fromkeys(keep)
        children |= {name: self.compile(child) for name, child in node.properties.items()}
        defaults = tuple(
            (name, child.facts["default"], not child.facts.get("nullable"))
            for name, child in node.properties.items()
            if "default" in child.facts
        )
        no_null = frozenset(
            name
            for name, child in node.properties.items()
            if "default" not in child.facts and not child.facts.get("nullable")
        )
        other = node.additional
        other_coerce = self.compile(other)
        other_no_null = other is not None and not other.facts.get("nullable") and "default" not in other.facts
        keep_unknown = node.preserves or other is not None
        omitted = _omitted_when_empty(node)
        no_false = _OMITTED_WHEN_FALSE.get(node.facts.get("go", ""), frozenset())
        quantities = other is not None and other.type == "quantity"
        missing = object()

        def coerce(value: Any) -> list[str] | None:
            if not isinstance(value, dict):
                return None
            for name, default, replaces_null in defaults:
                if name not in value or (replaces_null and value[name] is None):
                    value[name] = clone(default)
            removed: list[str] | None = None
            doomed: list[str] | None = None
            for name, item in value.items():
                child: Any = children.get(name, missing)
                known = child is not missing
                if not known and not keep_unknown:
                    removed = [*(removed or ()), f".{name}"]
                    doomed = [*(doomed or ()), name]
                elif not item and (name in no_false or (name in omitted and (item == [] or item == {}))):
                    doomed = [*(doomed or ()), name]
                elif item is None:
                    if name in no_null if known else other_no_null:
                        doomed = [*(doomed or ()), name]
                else:
                    inner = child if known else other_coerce
                    if inner is not None and (deeper := inner(item)):
                        removed = [*(removed or ()), *(f".{name}{path}" for path in deeper)]
            if doomed:
                for name in doomed:
                    del value[name]
            if quantities:
                for name, item in value.items():
                    value[name] = canonical(str(item))
            return removed

        return coerce


_OMITTED_WHEN_FALSE = {
    "NodeSpec": frozenset({"unschedulable"}),
    "PodSpec": frozenset({"hostIPC", "hostNetwork", "hostPID"}),
    "Container": frozenset({"stdin", "stdinOnce", "tty"}),
    "VolumeMount": frozenset({"readOnly"}),
    "DeploymentSpec": frozenset({"paused"}),
}
"""Fields of built-in kinds that Go does not write when they are false: they are no pointers."""


def _omitted_when_empty(node: Node) -> frozenset[str]:
    """Lists and maps of a built-in kind's struct that Go does not write when they are empty."""
    if "go" not in node.facts:
        return frozenset()
    required = node.facts.get("required", ())
    return frozenset(
        name
        for name, child in node.properties.items()
        if name not in required and (child.type == "array" or child.additional is not None)
    )


def _nothing(_: Any) -> list[str] | None:
    return None


def _array(inner: Coerce | None) -> Coerce | None:
    if inner is None:
        return None

    def coerce(value: Any) -> list[str] | None:
        if not isinstance(value, list):
            return None
        removed: list[str] = []
        for index, item in enumerate(value):
            if deeper := inner(item):
                removed += [f"[{index}]{path}" for path in deeper]
        return removed or None

    return coerce


def clone(value: Any) -> Any:
    """A copy of a JSON value that shares nothing changeable with it."""
    if isinstance(value, dict):
        return {name: clone(item) for name, item in value.items()}
    return [clone(item) for item in value] if isinstance(value, list) else value
