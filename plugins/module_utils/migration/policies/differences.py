# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What has to be written so that the cluster's MigrationPolicies are those that are wanted."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Iterable, Mapping, Optional, Sequence

from ...cluster.model import MigrationPolicy
from ...cluster.parse import parse_migration_policy
from ...errors import InvalidInput
from ...names import MANAGED_BY, MANAGER
from ...quantity import parse_bytes
from .. import hyperconverged as hco
from .wanted import FIELDS, Wanted

Object = Mapping[str, Any]

CREATE, CHANGE, REMOVE, KEEP = "create", "change", "remove", "keep"
# what this collection decides about; other fields of a policy stay as they are
_OWNED = (*FIELDS.values(), "selectors")


@dataclass(frozen=True)
class Change:
    """What happens to one policy. C(body) is the object to create or the merge patch; C(before) and C(after) are its
    spec, empty if there is none. C(purged): it goes only because it is not asked for."""

    name: str
    action: str
    before: Object = field(default_factory=dict)
    after: Object = field(default_factory=dict)
    body: Object = field(default_factory=dict)
    uid: str = ""
    purged: bool = False
    # whether the object says that this collection made it
    managed: bool = True


@dataclass(frozen=True)
class Outcome:
    """What came of one change: C(error) is empty, or what stood against it, with a hint."""

    change: Change
    error: str = ""
    hint: str = ""


def decide(live: Iterable[Object], wanted: Sequence[Wanted], *, present: bool, purge: bool) -> list[Change]:
    """Return what to do about each wanted policy, in order, and then about those that are to be purged, by name.

    C(live) are the MigrationPolicy objects of the cluster. Without C(present) the wanted ones are removed. C(purge)
    removes those that this collection made and that are not wanted; none else is touched.
    """
    by_name = {item["metadata"]["name"]: item for item in live}
    changes = [change_for(by_name.get(each.name), each, present=present) for each in wanted]
    named = {each.name for each in wanted}
    if purge:
        leftover = (by_name[name] for name in sorted(set(by_name) - named))
        changes += [_removal(item, purged=True) for item in leftover if _managed(item)]
    return changes


def change_for(live: Optional[Object], wanted: Wanted, *, present: bool) -> Change:
    """Return what to do about one policy as it is now (None: there is none)."""
    if live is None:
        if not present:
            return Change(wanted.name, KEEP)
        body = wanted.to_object()
        return Change(wanted.name, CREATE, after=body["spec"], body=body)
    if not present:
        return _removal(live)
    before: Object = live.get("spec") or {}
    after = {key: value for key, value in before.items() if key not in _OWNED}
    after.update({"selectors": wanted.selectors, **wanted.spec})
    patch = {key: after.get(key) for key in _OWNED if not _same(key, before.get(key), after.get(key))}
    if "selectors" in patch:
        patch["selectors"] = _selectors_patch(before.get("selectors") or {}, wanted.selectors)
    uid = live["metadata"].get("uid", "")
    if not patch:
        return Change(wanted.name, KEEP, before, before, uid=uid, managed=_managed(live))
    # what is written holds for this very version of the object, or not at all
    metadata = {"uid": uid, "resourceVersion": live["metadata"].get("resourceVersion", "")}
    body = {"metadata": {key: value for key, value in metadata.items() if value}, "spec": patch}
    return Change(wanted.name, CHANGE, before, after, body, uid, managed=_managed(live))


def stored_otherwise(change: Change, stored: Object) -> list[str]:
    """Return the fields in which the object that the server stored is not what was sent."""
    spec: Object = stored.get("spec") or {}
    return sorted(key for key in _OWNED if not _same(key, spec.get(key), change.after.get(key)))


def policies_after(live: Iterable[Object], changes: Iterable[Change]) -> list[MigrationPolicy]:
    """Return the cluster's policies as they are once the changes are made."""
    specs = {item["metadata"]["name"]: item.get("spec") or {} for item in live}
    for change in changes:
        if change.action == REMOVE:
            specs.pop(change.name, None)
        elif change.action in (CREATE, CHANGE):
            specs[change.name] = change.after
    return [parse_migration_policy({"metadata": {"name": name}, "spec": spec}) for name, spec in sorted(specs.items())]


def _removal(live: Object, *, purged: bool = False) -> Change:
    metadata = live["metadata"]
    before = live.get("spec") or {}
    uid = metadata.get("uid", "")
    return Change(metadata["name"], REMOVE, before, uid=uid, purged=purged, managed=_managed(live))


def _managed(live: Object) -> bool:
    return bool((live["metadata"].get("labels") or {}).get(MANAGED_BY) == MANAGER)


def _same(key: str, one: Any, other: Any) -> bool:
    if key == "selectors":
        return bool(_stated(one) == _stated(other))
    if key == hco.BANDWIDTH and one is not None and other is not None:
        try:
            return bool(parse_bytes(one) == parse_bytes(other))
        except InvalidInput:
            return False
    return bool(one == other)


def _stated(selectors: Optional[Object]) -> Any:
    """Return selectors so that equal ones compare equal; None matches nothing, the empty ones everything."""
    if selectors is None:
        return None
    return {key: dict(labels) for key, labels in selectors.items() if labels}


def _selectors_patch(before: Object, after: Mapping[str, Mapping[str, str]]) -> dict[str, Any]:
    """Return a merge patch from one value of selectors to another: labels that go are null."""
    patch: dict[str, Any] = {}
    for key in sorted({*before, *after}):
        if key not in after:
            patch[key] = None
            continue
        gone = dict.fromkeys(set(before.get(key) or {}) - set(after[key]))
        patch[key] = {**gone, **after[key]}
    return patch
