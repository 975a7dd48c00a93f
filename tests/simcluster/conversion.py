"""HyperConverged between its API versions."""

from __future__ import annotations

from typing import Any


def convert_hyperconverged(obj: dict[str, Any], to_version: str) -> dict[str, Any]:
    return obj
