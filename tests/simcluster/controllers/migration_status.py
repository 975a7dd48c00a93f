"""What the state of an instance means for its migration's phase. Pure.

Source: KubeVirt pkg/virt-controller/watch/migration/migration.go (updateStatus, processMigrationPhase).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from .controller import with_condition, without_condition
from .pod import Pod

Obj = dict[str, Any]
ABORTED = "migrationAbortRequested"
REJECTED = "migrationRejectedByResourceQuota"
_WITH_TARGET = ("Scheduling", "Scheduled", "PreparingTarget", "TargetReady", "Running")
_HANDED_OVER = ("PreparingTarget", "TargetReady", "Running")
_FINAL = ("Succeeded", "Failed")


def next_phase(phase: str, state: Obj) -> str:
    """The phase after C(phase) once the instance's migrationState allows it, else nothing."""
    if phase == "PreparingTarget" and state.get("targetNode") and state.get("targetNodeAddress"):
        return "TargetReady"
    if phase == "TargetReady" and state.get("startTimestamp"):
        return "Running"
    if phase == "Running" and state.get("completed") and not state.get("failed"):
        return "Succeeded"
    return ""


def failure(migration: Obj, instance: Obj, target: Pod | None) -> str:
    """Why an unfinished migration has failed (text of its event), or nothing."""
    phase = (migration.get("status") or {}).get("phase") or ""
    uid = migration["metadata"]["uid"]
    status: Obj = instance.get("status") or {}
    state: Obj = status.get("migrationState") or {}
    owned = state.get("migrationUid") == uid
    if status.get("phase") in _FINAL or "deletionTimestamp" in instance["metadata"]:
        return "Migration failed vmi shutdown during migration."
    if owned and state.get("failed"):
        return "source node reported migration failed"
    if owned and state.get("completed"):
        return ""
    if phase in _WITH_TARGET and target is None:
        return "Migration target pod was removed during active migration."
    if phase in _WITH_TARGET and target is not None and (target.final or (target.deleting and phase in _HANDED_OVER)):
        return "Migration failed because target pod shutdown during migration"
    if phase in _HANDED_OVER and not state:
        return "VMI's migration state was cleared during the active migration."
    if phase in _HANDED_OVER and not owned:
        return "VMI's migration state was taken over by another migration job during active migration."
    return ""


def condition_patch(migration: Obj, kind: str, present: bool, now: str) -> Obj:
    """A status patch that adds or takes away a condition; empty if it is as wanted."""
    before: list[Obj] = (migration.get("status") or {}).get("conditions") or []
    after = with_condition(before, kind, "True", now) if present else without_condition(before, kind)
    return {} if after is before else {"conditions": after}


def ended_at(migration: Obj) -> str:
    """When it reached its last phase (RFC 3339)."""
    stamps = (migration.get("status") or {}).get("phaseTransitionTimestamps") or []
    return str(stamps[-1]["phaseTransitionTimestamp"]) if stamps else ""


def failures_in_a_row(migrations: Iterable[Obj], marks: Iterable[str]) -> int:
    """Failed migrations with one of these annotations since the last success, newest first."""
    wanted = set(marks)
    finished = [each for each in migrations if (each.get("status") or {}).get("phase") in _FINAL]
    count = 0
    for each in sorted(finished, key=ended_at, reverse=True):
        if each["status"]["phase"] == "Succeeded":
            break
        if wanted & set(each["metadata"].get("annotations") or {}):
            count += 1
    return count
