"""What a case is: requests that are sent to both servers, one after the other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .api import Api

Step = Callable[[Api], object]


@dataclass(frozen=True)
class Case:
    """Some steps. ``name`` is the test's id and, shortened, the namespace that the case works in."""

    name: str
    steps: tuple[Step, ...]

    @property
    def namespace(self) -> str:
        """A name that fits a namespace."""
        return f"d-{self.name}"[:60].rstrip("-")


def case(name: str, *steps: Step) -> Case:
    """A case; ``name`` in words."""
    return Case("".join(each if each.isalnum() else "-" for each in name.lower()), steps)


def told(*functions: Step) -> list[Case]:
    """A case of each function, named after it."""
    return [case(str(getattr(each, "__name__", "")), each) for each in functions]


def get(path: str, **options: str) -> Step:
    """GET."""
    return lambda api: api.get(path, **options)


def post(path: str, body: Any, **options: str) -> Step:
    """POST; ``content_type``, ``accept`` and ``user`` are no parameters of the query."""
    return lambda api: api.post(path, body, **options)


def put(path: str, body: Any, **options: str) -> Step:
    """PUT."""
    return lambda api: api.put(path, body, **options)


def patch(path: str, body: Any, kind: str = "merge", **options: str) -> Step:
    """PATCH of a kind: merge, json, strategic or apply."""
    return lambda api: api.patch(path, body, kind, **options)


def delete(path: str, body: Any = None, **options: str) -> Step:
    """DELETE."""
    return lambda api: api.delete(path, body, **options)


def send(method: str, path: str, body: Any = None, **options: str) -> Step:
    """Any other request."""
    return lambda api: api.send(method, path, body, **options)


def watch(path: str, count: int = 0, **params: str) -> Step:
    """A watch, read until ``count`` events or its end."""
    return lambda api: api.watch(path, count, **params)


def settle(path: str, user: str, **params: str) -> Step:
    """Wait until a user may read something."""
    return lambda api: api.settle(path, user, **params)
