"""Server-side apply and the bookkeeping of ``metadata.managedFields``.

Sources: sigs.k8s.io/structured-merge-diff ``merge/update.go`` (``Apply``, ``Update``, ``prune``); apimachinery
``pkg/util/managedfields/internal`` (``managedfields.go``, ``conflict.go``, ``stripmeta.go``, ``skipnonapplied.go``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from .fields import Difference, Path, Paths, decode, difference, encode, field_set, merge, path_text, remove, undeclared
from .schema.coerce import clone
from .schema.errors import SchemaInvalid, bad_request, go_quote
from .schema.nodes import Node
from .schema.resource import Resource

Obj = dict[str, Any]

_BEFORE_FIRST_APPLY: Final = "before-first-apply"
_STRIPPED: Final[Paths] = frozenset(
    [
        ("f:apiVersion",),
        ("f:kind",),
        ("f:metadata",),
        *(
            ("f:metadata", f"f:{name}")
            for name in (
                "creationTimestamp",
                "generation",
                "managedFields",
                "name",
                "namespace",
                "resourceVersion",
                "selfLink",
                "uid",
            )
        ),
    ]
)


class ApplyConflict(Exception):
    """Others own fields that this apply would change: pairs of the manager as text and the field's path."""

    def __init__(self, conflicts: list[tuple[str, str]]) -> None:
        self.conflicts = conflicts
        super().__init__(self.message)

    @property
    def message(self) -> str:
        """Message of the Status (409, reason ``Conflict``)."""
        if len(self.conflicts) == 1:
            manager, path = self.conflicts[0]
            return f"Apply failed with 1 conflict: conflict with {manager}: {path}"
        lines = []
        for manager in sorted({manager for manager, _ in self.conflicts}):
            lines.append(f"conflicts with {manager}:")
            lines += [f"- {path}" for owner, path in self.conflicts if owner == manager]
        return f"Apply failed with {len(self.conflicts)} conflicts: " + "\n".join(lines)

    @property
    def causes(self) -> list[dict[str, str]]:
        """``details.causes`` of the Status; ``details`` holds nothing else."""
        return [
            {"reason": "FieldManagerConflict", "message": f"conflict with {manager}", "field": path}
            for manager, path in self.conflicts
        ]


@dataclass(frozen=True)
class _Id:
    """What makes a manager's entry one and the same; an applier keeps its entry over API versions."""

    operation: str
    manager: str
    api_version: str
    subresource: str

    @property
    def text(self) -> str:
        """The manager in a conflict's message."""
        text = go_quote(self.manager)
        if self.subresource:
            text += f" with subresource {go_quote(self.subresource)}"
        return f"{text} using {self.api_version}" if self.operation == "Update" else text


@dataclass
class _Entry:
    paths: Paths
    api_version: str
    time: str


_Managers = dict[_Id, _Entry]


def apply(
    live: Obj | None,
    applied: Obj,
    *,
    manager: str,
    force: bool,
    schema_root: Node,
    resource: Resource,
    time: str,
    subresource: str = "",
) -> Obj:
    """The object that results from applying ``applied`` to ``live`` (None: create), not yet defaulted or validated.

    Both are of the same API version; ``time`` (RFC 3339) goes into the manager's entry when anything changes. Raises
    :class:`ApplyConflict`, and :class:`SchemaInvalid` for a body that does not fit the schema (500, no reason) or
    that carries managedFields (400).
    """
    if applied.get("metadata", {}).get("managedFields"):
        raise bad_request("metadata.managedFields must be nil")
    check_typed(applied, schema_root)
    applied = _relevant(applied, resource, subresource)
    before = live or {}
    managers = _read(before)
    if live is not None and not managers:
        api_version = str(before.get("apiVersion", ""))
        everything = difference(schema_root, {}, _relevant(before, resource, subresource)).added
        key = _Id("Update", _BEFORE_FIRST_APPLY, api_version, "")
        managers[key] = _Entry(_managed(frozenset(everything)), api_version, time)
    me = _Id("Apply", manager, "", subresource)
    last = managers[me].paths if me in managers else frozenset()
    mine = _managed(frozenset(field_set(schema_root, applied)))
    result: Obj = merge(schema_root, before, applied)
    others: Paths = frozenset(path for key, entry in managers.items() if key != me for path in entry.paths)
    remove(schema_root, result, [path for path in last - mine if not _owned(path, others | mine)], others | mine)
    changes = difference(schema_root, before, result)
    _settle(managers, me, changes, force)
    changed = bool(_managed(frozenset(changes.written | changes.removed)))
    since = managers[me].time if me in managers else ""
    # who applies what is there already gets an entry without a time
    managers[me] = _Entry(mine, str(applied.get("apiVersion", "")), time if changed or live is None else since)
    _write(result, before, managers, me, changed=changed)
    return result


def track_update(
    before: Obj | None,
    after: Obj,
    *,
    manager: str,
    api_version: str,
    subresource: str,
    time: str,
    schema_root: Node,
    zero: Obj | None = None,
) -> None:
    """Writes into ``after`` who owns what after a create (``before`` is None), update or patch.

    An object that has no managedFields yet gets none from an update, only from a create or an apply. ``zero`` is what
    an empty object of the kind holds; it comes with an owner of nothing.
    """
    managers = _read(after) or _read(before or {})
    if before is not None and not managers:
        return
    changes = difference(schema_root, (zero or {}) if before is None else before, after)
    me = _Id("Update", manager, api_version, subresource)
    _settle(managers, me, changes, force=True)
    had = managers[me].paths if me in managers else frozenset()
    paths = _managed((had - changes.removed) | changes.written)
    managers[me] = _Entry(paths, api_version, time)
    changed = bool(_managed(frozenset(changes.written | changes.removed)))
    _write(after, before or {}, managers, me, changed=changed)


def check_typed(applied: Obj, schema_root: Node) -> None:
    """Raises SchemaInvalid (500) for an object that the schema does not cover."""
    if problems := list(undeclared(schema_root, applied)):
        raise SchemaInvalid(500, "", _untyped_text(applied, problems))


def _relevant(applied: Obj, resource: Resource, subresource: str) -> Obj:
    """What of an applied object counts: all but the status, or for ``/status`` the status alone."""
    if subresource == "status":
        meta = {k: v for k, v in applied.get("metadata", {}).items() if k in ("name", "namespace", "resourceVersion")}
        return {**{k: v for k, v in applied.items() if k in ("apiVersion", "kind", "status")}, "metadata": meta}
    if resource.has_status:
        return {k: v for k, v in applied.items() if k != "status"}
    return applied


def _managed(paths: Paths) -> Paths:
    return frozenset(p for p in paths if p not in _STRIPPED and p[:2] != ("f:metadata", "f:managedFields"))


def _owned(path: Path, paths: Paths) -> bool:
    return any(other[: len(path)] == path for other in paths)


def _settle(managers: _Managers, me: _Id, changes: Difference, force: bool) -> None:
    """Takes what changed away from the others and forgets what is gone; without ``force`` conflicts are an error."""
    written, removed = _managed(frozenset(changes.written)), frozenset(changes.removed)
    conflicts = [
        (key.text, path_text(path))
        for key, entry in managers.items()
        if key != me
        for path in sorted(entry.paths & written)
    ]
    if conflicts and not force:
        raise ApplyConflict(conflicts)
    for key, entry in managers.items():
        if key != me:
            entry.paths -= written
        entry.paths -= removed


def _read(obj: Obj) -> _Managers:
    managers: _Managers = {}
    for raw in obj.get("metadata", {}).get("managedFields") or ():
        operation, api_version = raw.get("operation", ""), raw.get("apiVersion", "")
        key = _Id(
            operation,
            raw.get("manager", ""),
            "" if operation == "Apply" else api_version,
            raw.get("subresource", ""),
        )
        managers[key] = _Entry(decode(raw.get("fieldsV1") or {}), api_version, raw.get("time", ""))
    return managers


def _write(obj: Obj, before: Obj, managers: _Managers, me: _Id, *, changed: bool) -> None:
    """Writes the entries, Apply first; a write that changes neither object nor ownership leaves them as they were."""
    entries = [_raw(key, entry) for key, entry in sorted(managers.items(), key=_order) if entry.paths]
    meta = obj.setdefault("metadata", {})
    old = before.get("metadata", {}).get("managedFields") or []
    if not changed and [_timeless(e) for e in entries] == [_timeless(e) for e in old]:
        entries = clone(old)
    if entries:
        meta["managedFields"] = entries
    else:
        meta.pop("managedFields", None)


def _order(item: tuple[_Id, _Entry]) -> tuple[str, ...]:
    key, entry = item
    return (key.operation, entry.time, key.manager, entry.api_version, key.subresource)


def _raw(key: _Id, entry: _Entry) -> Obj:
    raw = {
        "manager": key.manager,
        "operation": key.operation,
        "apiVersion": entry.api_version,
        **({"time": entry.time} if entry.time else {}),
        "fieldsType": "FieldsV1",
        "fieldsV1": encode(entry.paths),
    }
    return {**raw, "subresource": key.subresource} if key.subresource else raw


def _timeless(raw: Obj) -> Obj:
    return {k: v for k, v in raw.items() if k != "time"}


def _untyped_text(applied: Obj, problems: list[str]) -> str:
    given = applied.get("metadata")
    meta = given if isinstance(given, dict) else {}
    name, namespace = (value if isinstance(value := meta.get(key), str) else "" for key in ("name", "namespace"))
    group, _, version = str(applied.get("apiVersion", "")).rpartition("/")
    named = f"{namespace}/{name}; {group}/{version}, Kind={applied.get('kind', '')}"
    joined = problems[0] if len(problems) == 1 else "errors:" + "".join(f"\n  {problem}" for problem in problems)
    return f"failed to create typed patch object ({named}): {joined}"
