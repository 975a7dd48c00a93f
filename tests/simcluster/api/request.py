"""What a request asks for, read from method, path and query.

Source: k8s.io/apiserver ``pkg/endpoints/request/requestinfo.go``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

_VERBS = {"GET": "get", "HEAD": "get", "POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
_UNNAMED = ("OPTIONS",)
"""Methods that no verb stands for."""


def is_true(text: str | None) -> bool:
    """A boolean parameter as the API server reads it: any value but "false" and "0" is true."""
    return text is not None and text.lower() not in ("false", "0")


@dataclass(frozen=True)
class Target:
    """What is asked for. ``group`` is None for paths that are no resource; ``subresource`` may hold slashes."""

    path: str
    verb: str
    group: str | None = None
    version: str = ""
    plural: str = ""
    namespace: str = ""
    name: str = ""
    subresource: str = ""

    @property
    def group_version(self) -> str:
        """``group/version``, or the version alone for the core group."""
        return f"{self.group}/{self.version}" if self.group else self.version


def parse(method: str, path: str, query: Mapping[str, str]) -> Target:
    """The target of a request."""
    verb = "" if method in _UNNAMED else _VERBS.get(method, method.lower())
    plain = Target(path, verb)
    parts = [part for part in path.split("/") if part]
    if parts[:1] == ["api"] and len(parts) > 2:
        group, version, rest = "", parts[1], parts[2:]
    elif parts[:1] == ["apis"] and len(parts) > 3:
        group, version, rest = parts[1], parts[2], parts[3:]
    else:
        return plain
    namespace = ""
    if rest[0] == "namespaces" and len(rest) > 1:
        namespace = rest[1]
        if len(rest) > 2 and not (len(rest) == 3 and rest[2] in ("finalize", "status")):
            rest = rest[2:]
    plural, name, subresource = rest[0], rest[1] if len(rest) > 1 else "", "/".join(rest[2:])
    if not name:
        if verb == "get":
            verb = "watch" if is_true(query.get("watch")) else "list"
        elif verb == "delete":
            verb = "deletecollection"
    return Target(path, verb, group, version, plural, namespace, name, subresource)
