"""Scenario files: a known scenario or a size, changed by settings and literal objects."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import yaml

from .placement import InvalidScenario
from .reference import Sizes

_KEYS = {"name", "description", "settings", "base", "sizes", "objects"}


def read(path: Path) -> dict[str, Any]:
    """The checked content of a YAML or JSON scenario file.

    Keys: C(name), C(description), C(settings) (mapping), and at least one of C(base) (name of a scenario), C(sizes)
    (fields of Sizes, builds a cluster like C(reference)) and C(objects) (list of complete objects, which replace built
    ones of the same kind, namespace and name). Raises InvalidScenario.
    """
    try:
        text = path.read_text(encoding="utf-8")
        content = json.loads(text) if path.suffix == ".json" else yaml.safe_load(text)
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise InvalidScenario(f"scenario file {path} cannot be read: {error}") from error
    if not isinstance(content, dict):
        raise InvalidScenario(f"scenario file {path} must hold a mapping, found {type(content).__name__}")
    unknown = sorted(set(content) - _KEYS)
    if unknown:
        raise InvalidScenario(f"scenario file {path}: unknown key {unknown[0]!r}, use {', '.join(sorted(_KEYS))}")
    if not {"base", "sizes", "objects"} & set(content):
        raise InvalidScenario(f"scenario file {path} builds nothing: give base, sizes or objects")
    if "base" in content and "sizes" in content:
        raise InvalidScenario(f"scenario file {path}: base and sizes exclude each other, keep one")
    for key, kind in (("settings", dict), ("sizes", dict), ("objects", list)):
        if not isinstance(content.get(key, kind()), kind):
            raise InvalidScenario(f"scenario file {path}: {key} must be a {'list' if kind is list else 'mapping'}")
    for number, obj in enumerate(content.get("objects", [])):
        if not isinstance(obj, dict) or not obj.get("kind") or not obj.get("metadata", {}).get("name"):
            raise InvalidScenario(f"scenario file {path}: objects[{number}] needs apiVersion, kind and metadata.name")
    return content


def sizes(path: Path, wanted: dict[str, Any]) -> Sizes:
    """C(wanted) as Sizes; raises InvalidScenario for an unknown field or a value that is not a number."""
    allowed = {field.name for field in fields(Sizes)}
    for name, value in wanted.items():
        if name not in allowed:
            raise InvalidScenario(f"scenario file {path}: unknown size {name!r}, use {', '.join(sorted(allowed))}")
        if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
            raise InvalidScenario(f"scenario file {path}: size {name} must be a number from 0, found {value!r}")
    if wanted.get("workers") == 0:
        raise InvalidScenario(f"scenario file {path}: size workers must be at least 1, found 0")
    return Sizes(**wanted)
