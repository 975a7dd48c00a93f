"""Fields that a JSON body names twice.

Source: sigs.k8s.io/json ``internal/golang/encoding/json/kubernetes_patch.go`` (``duplicate field "spec.x"``).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any


def duplicate_fields(body: bytes | str) -> list[str]:
    """Paths of repeated fields (``spec.list[0].x``) in the order in which a decoder meets them."""
    if isinstance(body, bytes):
        body = body.decode(errors="replace")
    alive: list[tuple[dict[str, Any], list[tuple[str, Any]]]] = []

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        result = dict(items)
        if len(result) != len(items):
            # kept alive, so that no other object gets its id
            alive.append((result, items))
        return result

    root = json.loads(body, object_pairs_hook=pairs)
    if not alive:
        return []
    originals = {id(result): items for result, items in alive}
    return list(dict.fromkeys(path[1:] for path in _paths(root, "", originals)))


def merged(body: bytes | str) -> Any:
    """The content as a typed decoder reads it: what a repeated field holds is read into the same map."""

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for name, value in items:
            old = result.get(name)
            result[name] = {**old, **value} if isinstance(old, dict) and isinstance(value, dict) else value
        return result

    return json.loads(body.decode(errors="replace") if isinstance(body, bytes) else body, object_pairs_hook=pairs)


def _paths(value: Any, prefix: str, originals: dict[int, list[tuple[str, Any]]]) -> Iterator[str]:
    if isinstance(value, dict):
        seen: set[str] = set()
        for name, item in originals.get(id(value), value.items()):
            if name in seen:
                yield f"{prefix}.{name}"
            seen.add(name)
            yield from _paths(item, f"{prefix}.{name}", originals)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _paths(item, f"{prefix}[{index}]", originals)
