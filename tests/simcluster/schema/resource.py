"""What the API serves: one ``Resource`` per kind."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Resource:
    """A kind as discovery shows it. ``versions`` are the served ones, the preferred first; the core group is ``""``."""

    group: str
    versions: tuple[str, ...]
    storage_version: str
    plural: str
    singular: str
    kind: str
    namespaced: bool
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    has_status: bool = False
    has_scale: bool = False
    builtin: bool = False
    verbs: tuple[str, ...] = ("delete", "deletecollection", "get", "list", "patch", "create", "update", "watch")

    @property
    def qualified(self) -> str:
        """Name in messages: ``plural.group``, or the plural alone for the core group."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    def api_version(self, version: str) -> str:
        """``group/version``, or the version alone for the core group."""
        return f"{self.group}/{version}" if self.group else version
