"""Fields that a JSON body names twice.

Source: sigs.k8s.io/json ``internal/golang/encoding/json/kubernetes_patch.go`` (``duplicate field "spec.x"``).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any


def duplicate_fields(body: bytes | str) -> list[str]:
    """Paths of repeated fields (``spec.list[0].x``), sorted; the last value of each is the one that counts."""
    repeated: dict[int, list[str]] = {}
    alive: list[dict[str, Any]] = []

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        result = dict(items)
        if len(result) != len(items):
            names = [name for name, _ in items]
            repeated[id(result)] = sorted({name for name in names if names.count(name) > 1})
            alive.append(result)
        return result

    root = json.loads(body, object_pairs_hook=pairs)
    return sorted(path[1:] for path in _paths(root, "", repeated)) if repeated else []


def _paths(value: Any, prefix: str, repeated: dict[int, list[str]]) -> Iterator[str]:
    if isinstance(value, dict):
        for name in repeated.get(id(value), ()):
            yield f"{prefix}.{name}"
        for name, item in value.items():
            yield from _paths(item, f"{prefix}.{name}", repeated)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _paths(item, f"{prefix}[{index}]", repeated)
