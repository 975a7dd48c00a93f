"""Scenarios: whole clusters as data, deterministic and complete with status.

C(load) takes the name of one that comes with the simulated cluster, or the path of a file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any

from . import build, small
from .values import INSTALLED_AT, Layout

_LAYOUTS: dict[str, Callable[[int], Layout]] = {
    "small": small.layout,
}


@dataclass(frozen=True)
class Scenario:
    """What a simulated cluster starts from.

    C(objects) yields plain dicts as the API returns them, without resourceVersion and managedFields, and can be read
    once. C(settings) may hold: hyperconverged_versions (list), vmim_added_node_selector (bool), migration (parameters of
    the duration model), time_scale, faults, tokens.
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

    C(seed) varies where machines start where that is left to chance. C(now) is when nodes were last heard of; without
    it all times are in the past and only the controllers make the nodes fresh. Raises ValueError for an unknown name.
    """
    heartbeat = INSTALLED_AT if now is None else now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    if name_or_path not in _LAYOUTS:
        raise ValueError(f"scenario {name_or_path!r} is unknown: use one of {', '.join(names())}, or the path of a file")
    layout = _LAYOUTS[name_or_path](seed)
    return scenario_of(layout, heartbeat)


def scenario_of(layout: Layout, heartbeat: str = INSTALLED_AT) -> Scenario:
    """C(layout) as a scenario; its objects are made while they are read."""
    settings = {
        "hyperconverged_versions": list(layout.hyperconverged_versions),
        "vmim_added_node_selector": True,
        **layout.settings,
    }
    return Scenario(layout.name, layout.description, build.objects(layout, heartbeat=heartbeat), settings)
