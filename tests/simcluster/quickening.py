"""Making what takes time quicker where the clock cannot be."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from .controllers.settings import Model


def quickened(data: Mapping[str, str], factor: float) -> dict[str, str]:
    """The migration model's values with durations divided and rates multiplied by a factor."""
    found = {}
    for field in dataclasses.fields(Model):
        value = float(data.get(field.name, getattr(Model(), field.name)))
        found[field.name] = str(value / factor if field.name.endswith("_seconds") else value * factor)
    return found
