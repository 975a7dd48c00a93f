"""Typed objects as sets of field paths: what an object contains, how two differ, how one is merged into another.

A path is a tuple of elements as ``managedFields`` writes them: ``f:name`` (field or map key), ``k:{"name":"a"}`` (item
of an associative list), ``v:"a"`` (member of a set). Source: sigs.k8s.io/structured-merge-diff ``typed/tofieldset.go``,
``typed/compare.go``, ``typed/merge.go``, ``fieldpath/serialize.go``, ``fieldpath/element.go``.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from .go_json import printed
from .schema.coerce import clone
from .schema.errors import go_quote
from .schema.nodes import ANYTHING, LIST_TYPE, MAP_TYPE, Node

Path = tuple[str, ...]
Paths = frozenset[Path]

ABSENT: Final = object()
"""Stands for a value that is not there; None is JSON's null."""


def child(node: Node, name: str) -> Node | None:
    """Schema of a field or map key; None when the schema does not know it."""
    if name in node.properties:
        return node.properties[name]
    if node.additional is not None:
        return node.additional
    return ANYTHING if node.preserves else None


def is_granular_map(node: Node, value: Any) -> bool:
    """Whether a value is a map whose keys are owned one by one."""
    return isinstance(value, dict) and node.facts.get(MAP_TYPE) != "atomic"


def is_granular_list(node: Node, value: Any) -> bool:
    """Whether a value is a list whose items are owned one by one."""
    return isinstance(value, list) and node.facts.get(LIST_TYPE) in ("map", "set")


def element(node: Node, item: Any) -> str:
    """Path element of an item of an associative list or of a set."""
    if node.facts.get(LIST_TYPE) == "set" or not isinstance(item, dict):
        return f"v:{_compact(item)}"
    keys = {}
    for name in node.list_keys:
        known = node.items.properties.get(name) if node.items is not None else None
        value = item.get(name, known.facts.get("default") if known is not None else None)
        if value is not None:
            keys[name] = value
    return f"k:{_compact(keys)}"


def _compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), sort_keys=True, ensure_ascii=False)


def path_text(path: Path) -> str:
    """A path as errors show it: ``.spec.containers[name="a"].image``, ``.metadata.finalizers[="a/b"]``."""
    return "".join(_element_text(e) for e in path)


def _element_text(text: str) -> str:
    kind, rest = text[:2], text[2:]
    if kind == "f:":
        return f".{rest}"
    value = json.loads(rest)
    if kind == "v:":
        return f"[={_value_text(value)}]"
    return f"[{','.join(f'{name}={_value_text(v)}' for name, v in value.items())}]"


def _value_text(value: Any) -> str:
    return go_quote(value) if isinstance(value, str) else _compact(value)


def field_set(node: Node, value: Any, path: Path = ()) -> Iterator[Path]:
    """Paths that an applied object owns: leaves, atomic values, items, and keys of maps that are no struct."""
    if is_granular_map(node, value):
        for name, item in value.items():
            below = (*path, f"f:{name}")
            inner = child(node, name) or ANYTHING
            yield from field_set(inner, item, below)
            if item == {} or name not in node.properties:
                yield below
    elif is_granular_list(node, value):
        for item in value:
            below = (*path, element(node, item))
            yield from field_set(node.items or ANYTHING, item, below)
            yield below
        if not value:
            yield path
    else:
        yield path


@dataclass
class Difference:
    """How a new object differs from the old one, as paths; containers that come or go are listed with their content."""

    added: set[Path] = field(default_factory=set)
    modified: set[Path] = field(default_factory=set)
    removed: set[Path] = field(default_factory=set)

    @property
    def written(self) -> set[Path]:
        """Everything that has a new value."""
        return self.added | self.modified


def difference(node: Node, old: Any, new: Any) -> Difference:
    """Compares two objects of one schema."""
    found = Difference()
    _compare(node, old, new, (), found)
    return found


def _compare(node: Node, old: Any, new: Any, path: Path, found: Difference) -> None:
    if old is not ABSENT and new is not ABSENT and old == new and type(old) is type(new):
        return
    sides = [v for v in (old, new) if v is not ABSENT]
    if any(sides) and all(is_granular_map(node, v) for v in sides):
        before, after = (v if v is not ABSENT else {} for v in (old, new))
        _mark_container(old, new, path, found)
        for name in {**before, **after}:
            inner = child(node, name) or ANYTHING
            _compare(inner, before.get(name, ABSENT), after.get(name, ABSENT), (*path, f"f:{name}"), found)
    elif any(sides) and all(is_granular_list(node, v) for v in sides):
        before, after = ({element(node, i): i for i in v} if v is not ABSENT else {} for v in (old, new))
        _mark_container(old, new, path, found)
        for name in {**before, **after}:
            items = node.items or ANYTHING
            _compare(items, before.get(name, ABSENT), after.get(name, ABSENT), (*path, name), found)
    elif old is ABSENT:
        found.added.add(path)
    elif new is ABSENT:
        found.removed.add(path)
    else:
        found.modified.add(path)


def _mark_container(old: Any, new: Any, path: Path, found: Difference) -> None:
    if old is ABSENT:
        found.added.add(path)
    elif new is ABSENT:
        found.removed.add(path)


def merge(node: Node, old: Any, new: Any) -> Any:
    """A copy of ``old`` with everything that ``new`` says; atomic values are replaced as a whole."""
    if is_granular_map(node, old) and is_granular_map(node, new):
        merged = {name: clone(item) for name, item in old.items() if name not in new}
        for name, item in new.items():
            merged[name] = merge(child(node, name) or ANYTHING, old[name], item) if name in old else clone(item)
        return merged
    if is_granular_list(node, old) and is_granular_list(node, new):
        fresh = {element(node, item): item for item in new}
        result = []
        for item in old:
            other = fresh.pop(element(node, item), ABSENT)
            result.append(clone(item) if other is ABSENT else merge(node.items or ANYTHING, item, other))
        return result + [clone(item) for item in fresh.values()]
    return clone(new)


def remove(node: Node, value: Any, doomed: Iterable[Path], kept: Paths) -> None:
    """Removes fields and items from an object, in place, and containers that this empties unless they are ``kept``."""
    for path in sorted(doomed, key=len):
        _remove(node, value, path, (), kept)


def _remove(node: Node, value: Any, path: Path, above: Path, kept: Paths) -> bool:
    """Removes one path below ``value``, which itself is at ``above``; whether there was anything to remove."""
    head, rest = path[0], path[1:]
    here = (*above, head)
    if isinstance(value, dict):
        name = head[2:]
        if name not in value:
            return False
        if rest and not _remove(child(node, name) or ANYTHING, value[name], rest, here, kept):
            return False
        if not rest or (not value[name] and here not in kept):
            del value[name]
        return True
    if isinstance(value, list):
        for index, item in enumerate(value):
            if element(node, item) == head:
                if not rest:
                    del value[index]
                    return True
                return _remove(node.items or ANYTHING, item, rest, here, kept)
    return False


def encode(paths: Paths) -> dict[str, Any]:
    """``fieldsV1`` of a set of paths."""
    tree: dict[str, Any] = {}
    for path in sorted(paths):
        branch = tree
        for name in path:
            branch = branch.setdefault(name, {})
        branch["."] = {}
    return _without_lone_dots(tree)


def _without_lone_dots(tree: dict[str, Any]) -> dict[str, Any]:
    return {name: {} if below == {".": {}} else _without_lone_dots(below) for name, below in sorted(tree.items())}


def decode(tree: dict[str, Any]) -> Paths:
    """The set of paths of a ``fieldsV1``."""
    return frozenset(_decode(tree, ()))


def _decode(tree: dict[str, Any], path: Path) -> Iterator[Path]:
    for name, below in tree.items():
        if name == ".":
            yield path
        elif not below:
            yield (*path, name)
        else:
            yield from _decode(below, (*path, name))


def undeclared(node: Node, value: Any, path: Path = ()) -> Iterator[str]:
    """Why an object does not fit its schema, one text per field, as the typed parser says it."""
    wanted = node.type
    if value is None:
        return
    if isinstance(value, dict) and wanted in ("object", ""):
        for name, item in value.items():
            below = (*path, f"f:{name}")
            inner = child(node, name)
            if inner is None and wanted:
                yield f"{path_text(below)}: field not declared in schema"
            else:
                yield from undeclared(inner or ANYTHING, item, below)
    elif isinstance(value, list) and wanted in ("array", ""):
        yield from _undeclared_items(node, value, path)
    elif problem := _mismatch(wanted, value):
        yield f"{path_text(path)}: {problem}"


def _undeclared_items(node: Node, value: list[Any], path: Path) -> Iterator[str]:
    granular, seen = is_granular_list(node, value), set()
    for index, item in enumerate(value):
        name = element(node, item) if granular else f"v:{index}"
        if granular and name in seen:
            yield f"{path_text(path)}: duplicate entries for key {_element_text(name)}"
        seen.add(name)
        yield from undeclared(node.items or ANYTHING, item, (*path, name))


def _mismatch(wanted: str, value: Any) -> str:
    if wanted == "object":
        return f"expected map, got &{{{printed(value)}}}"
    if wanted == "array":
        return f"expected list, got &{{{printed(value)}}}"
    shown = f"got &value.valueUnstructured{{Value:{_compact(value)}}}"
    if wanted == "string" and not isinstance(value, str):
        return f"expected string, {shown}"
    if wanted == "boolean" and not isinstance(value, bool):
        return f"expected boolean, {shown}"
    if wanted in ("integer", "number") and (isinstance(value, bool) or not isinstance(value, (int, float))):
        return f"expected numeric (int or float), {shown}"
    return ""
