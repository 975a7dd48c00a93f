"""Scenarios: whole clusters as data, deterministic and complete with status.

C(load) takes the name of one that comes with the simulated cluster, or the path of a file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from . import awkward, build, files, reference, small
from .placement import InvalidScenario
from .values import INSTALLED_AT, Layout

__all__ = ["InvalidScenario", "Scenario", "load", "names"]

_LAYOUTS: dict[str, Callable[[int], Layout]] = {
    "small": small.layout,
    "reference": reference.layout,
    "tight": awkward.tight,
    "mixed-cpu": awkward.mixed_cpu,
    "v1beta1": awkward.v1beta1,
    "single-node": awkward.single_node,
}


@dataclass(frozen=True)
class Scenario:
    """What a simulated cluster starts from.

    C(objects) yields plain dicts as the API returns them, without resourceVersion and managedFields, and can be read
    once. C(settings) holds hyperconverged_versions (list) and vmim_added_node_selector (bool), and may hold time_scale,
    tokens, migration (parameters of the duration model) and faults (of migrations and nodes).
    """

    name: str
    description: str
    objects: Iterator[dict[str, Any]]
    settings: dict[str, Any] = field(default_factory=dict)


def names() -> list[str]:
    """The scenarios that come with the simulated cluster."""
    return sorted(_LAYOUTS)


def load(name_or_path: str, *, seed: int = 0, now: datetime | None = None) -> Scenario:
    """The scenario of that name, or read from a file.

    C(seed) varies where machines start. C(now) is when nodes were last heard of; without it that is long ago, and only
    the controllers make the nodes fresh. Raises InvalidScenario.
    """
    heartbeat = INSTALLED_AT if now is None else now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    if name_or_path in _LAYOUTS:
        return _built(_LAYOUTS[name_or_path](seed), heartbeat)
    path = Path(name_or_path)
    if not path.is_file():
        raise InvalidScenario(
            f"scenario {name_or_path!r} is unknown: use {', '.join(names())}, or the path of a YAML or JSON file"
        )
    return _from_file(path, seed, heartbeat)


def _built(layout: Layout, heartbeat: str) -> Scenario:
    settings = {
        "hyperconverged_versions": list(layout.hyperconverged_versions),
        "vmim_added_node_selector": True,
        **layout.settings,
    }
    return Scenario(layout.name, layout.description, build.objects(layout, heartbeat=heartbeat), settings)


def _from_file(path: Path, seed: int, heartbeat: str) -> Scenario:
    content = files.read(path)
    name = content.get("name", path.stem)
    base = Scenario(
        name, "", iter(()), {"hyperconverged_versions": ["v1", "v1beta1"], "vmim_added_node_selector": True}
    )
    if "base" in content:
        if content["base"] not in _LAYOUTS:
            raise InvalidScenario(
                f"scenario file {path}: base {content['base']!r} is unknown, use one of {', '.join(names())}"
            )
        base = _built(_LAYOUTS[content["base"]](seed), heartbeat)
    elif "sizes" in content:
        base = _built(reference.layout(seed, files.sizes(path, content["sizes"]), name), heartbeat)
    return Scenario(
        name,
        content.get("description", base.description),
        _with(base.objects, content.get("objects", [])),
        {**base.settings, **content.get("settings", {})},
    )


def _with(built: Iterator[dict[str, Any]], literal: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The built objects without those that C(literal) replaces, then the literal ones."""
    replaced = {_identity(obj) for obj in literal}
    yield from (obj for obj in built if _identity(obj) not in replaced)
    yield from literal


def _identity(obj: dict[str, Any]) -> tuple[str, str, str]:
    metadata = obj["metadata"]
    return obj["kind"], metadata.get("namespace", ""), metadata["name"]
