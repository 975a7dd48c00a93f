# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Read the cluster's MigrationPolicies, try changes out, write them, and look at what was stored."""

from __future__ import annotations

from typing import Any, Optional, Sequence

from ...cluster.capture import capture
from ...cluster.gateway import Gateway
from ...cluster.resources import MIGRATION_POLICIES
from ...errors import Conflict, NotFound, OcpvError
from .differences import (
    CHANGE,
    CREATE,
    KEEP,
    REMOVE,
    Change,
    Outcome,
    change_for,
    decide,
    policies_after,
    stored_otherwise,
)
from .result import diff_of, preview, with_outcomes
from .told import lines_of
from .wanted import Wanted, check_gates

_ATTEMPTS = 5
_PARTS = ("namespaces", "virtual_machines", "virtualization", "migrations")
_NO_POLICIES = "Is OpenShift Virtualization installed? MigrationPolicy is part of it."


def manage(
    gateway: Gateway, wanted: Sequence[Wanted], *, present: bool, purge: bool, check_mode: bool
) -> dict[str, Any]:
    """Bring the cluster's policies to what is wanted and return the module's result.

    Nothing is written in check mode, nor when the API server refuses one of the changes. Raises ApiError, and
    InvalidInput for a value that this cluster cannot take.
    """
    live = read_policies(gateway)
    snapshot = capture(gateway, _PARTS)
    check_gates(wanted, snapshot.virtualization)
    changes = decide(live, wanted, present=present, purge=purge)
    document = preview(snapshot, policies_after(live, ()), policies_after(live, changes), changes, wanted)
    try_out(gateway, changes)
    outcomes = [Outcome(change) for change in changes]
    if not check_mode:
        outcomes = apply(gateway, changes, wanted, present=present)
    written = any(outcome.change.action != KEEP and not outcome.error for outcome in outcomes)
    ended = with_outcomes(document, outcomes)
    return {
        "changed": written,
        "diff": diff_of(changes),
        "captured_at": snapshot.captured_at,
        "missing": dict(snapshot.missing),
        "lines": lines_of(ended),
        **ended,
    }


def read_policies(gateway: Gateway) -> list[dict[str, Any]]:
    """Return all MigrationPolicy objects. Raises ApiError; NotFound with a hint where the kind is not served."""
    try:
        return gateway.list(MIGRATION_POLICIES).items
    except NotFound as error:
        raise NotFound(error.message, status=error.status, request=error.request, hint=_NO_POLICIES) from error


def try_out(gateway: Gateway, changes: Sequence[Change]) -> None:
    """Let the API server judge every change without storing it. Raises the first refusal as ApiError."""
    for change in changes:
        _write(gateway, change, dry_run=True)


def apply(gateway: Gateway, changes: Sequence[Change], wanted: Sequence[Wanted], *, present: bool) -> list[Outcome]:
    """Make the changes and return what came of each; one that fails does not keep the others from being made.

    Each is worked out anew from the object as it is just before, and again when somebody else is quicker.
    """
    by_name = {each.name: each for each in wanted}
    return [
        Outcome(change) if change.action == KEEP else _apply_one(gateway, change, by_name.get(change.name), present)
        for change in changes
    ]


def _apply_one(gateway: Gateway, change: Change, wanted: Optional[Wanted], present: bool) -> Outcome:
    try:
        for attempt in range(_ATTEMPTS):
            fresh = change if wanted is None else change_for(_read(gateway, change.name), wanted, present=present)
            try:
                stored = _write(gateway, fresh)
            except Conflict:
                if attempt == _ATTEMPTS - 1:
                    raise
                continue
            _check_stored(fresh, stored)
            break
    except OcpvError as error:
        return Outcome(change, error.message, error.hint)
    return Outcome(change)


def _check_stored(change: Change, stored: dict[str, Any]) -> None:
    differing = stored_otherwise(change, stored) if change.action in (CREATE, CHANGE) else []
    if differing:
        raise OcpvError(
            f"The API server stored policy {change.name} with other values: {', '.join(differing)}.",
            hint="A webhook changes them, or this release does not know them.",
        )


def _read(gateway: Gateway, name: str) -> Optional[dict[str, Any]]:
    try:
        return gateway.get(MIGRATION_POLICIES, name)
    except NotFound:
        return None


def _write(gateway: Gateway, change: Change, *, dry_run: bool = False) -> dict[str, Any]:
    if change.action == CREATE:
        return gateway.create(MIGRATION_POLICIES, change.body, dry_run=dry_run)
    if change.action == CHANGE:
        return gateway.merge_patch(MIGRATION_POLICIES, change.name, change.body, dry_run=dry_run)
    if change.action == REMOVE:
        try:
            return gateway.delete(MIGRATION_POLICIES, change.name, uid=change.uid, dry_run=dry_run)
        except NotFound:
            return {}
    return {}
