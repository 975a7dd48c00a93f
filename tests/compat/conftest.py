"""Tell which versions a run is about."""

from __future__ import annotations

from compat.environments import NEWEST, OLDEST, OLDEST_MODULES


def pytest_report_header() -> list[str]:
    lines = []
    for environment in (OLDEST, OLDEST_MODULES, NEWEST):
        told = ", ".join(f"{name} {version}" for name, version in environment.versions().items() if version != "-")
        lines.append(f".cache/{environment.name}: {told or 'not there'}")
    return lines
