# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What became of a move, in a word for programs, a sentence for people, and a hint what to do. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Mapping, Optional, Sequence

from ...cluster.model import Migration, MigrationState
from ..record import FAILED, SKIPPED, SUCCEEDED

# codes of items whose VM has left its source although the move itself was not made by this run: room was made
ELSEWHERE = ("vm_gone", "vm_replaced", "already_there", "moved_elsewhere", "not_running")

_HINTS = {
    "completion_timeout": (
        "The guest changed its memory faster than it could be copied within completionTimeoutPerGiB. Raise that value "
        "or the bandwidth (a MigrationPolicy can do so for some VMs), allow auto-converge or post-copy, wait for a "
        "quieter hour, or plan this VM as a cold move."
    ),
    "progress_timeout": (
        "The copy made no progress for progressTimeout seconds. Look at the migration network between source and "
        "target, and at how much memory the guest changes; auto-converge or post-copy help, or a cold move."
    ),
    "migration_timeout": (
        "The migration was cancelled by this run. Look at the events of the migration and at the virt-launcher pods, "
        "and raise migration_timeout_seconds if such a VM may take longer."
    ),
    "not_started": (
        "It stayed pending. Events of the VMI (FailedCreate), a resource quota, a running backup or an unfinished "
        "hot-plug of the VM tell why; limits that are used up by others are another reason."
    ),
    "quota": "Raise the resource quota of the namespace: during a migration both launcher pods count.",
    "target_unschedulable": (
        "The scheduler found no place for the VM's pod on this node. Its message tells what is missing; make the plan "
        "again if the node changed since."
    ),
    "target_pod_failed": (
        "The target's virt-launcher pod ended. Look at its log and at the node's virt-handler: images that cannot be "
        "pulled, volumes that cannot be attached and memory pressure are usual causes."
    ),
    "target_node_lost": "The VM is still on its source. Check the node; plan again without it if it stays away.",
    "source_failed": (
        "libvirt or virt-handler on the source gave up; the reason above is its own. The log of the source's "
        "virt-launcher pod says more."
    ),
    "cancelled": "Somebody deleted the migration. Run with retry_failed when the VM may move after all.",
    "wrong_target": (
        "The VM's own node selector overrules the migration's. Change the VM's selector or plan another target."
    ),
    "vm_stopped": "The VM was shut down while it migrated. Start it again if that was not meant.",
    "steering_not_applied": (
        "This KubeVirt release cannot aim a migration at a node, so the VM's node selector is changed for the move, "
        "and that did not reach the running VM. See KubeVirt's vmRolloutStrategy and the condition RestartRequired."
    ),
}


@dataclass(frozen=True)
class Outcome:
    """The end of one attempt. C(status) is one of the record's; C(retryable) says that another attempt may help;
    C(diagnoses) are the causes found, as documents."""

    status: str
    code: str = ""
    message: str = ""
    hint: str = ""
    retryable: bool = False
    reached: str = ""
    started_at: str = ""
    ended_at: str = ""
    diagnoses: tuple[Mapping[str, Any], ...] = ()


def failed(code: str, message: str, *, retryable: bool = False, hint: str = "", reached: str = "") -> Outcome:
    """Return a failure; the hint is the one for the code unless given."""
    return Outcome(FAILED, code, message, hint or _HINTS.get(code, ""), retryable, reached)


def skipped(code: str, message: str, *, hint: str = "", reached: str = "") -> Outcome:
    """Return that nothing was done, and why."""
    return Outcome(SKIPPED, code, message, hint or _HINTS.get(code, ""), False, reached)


@dataclass(frozen=True)
class Ending:
    """What is known of a live migration that has ended.

    C(migration) as last seen and C(state) the VMI's or the migration's own copy of how it went (None if it never got to
    a hand-over). C(node) is where the VM is now, empty if it runs nowhere. C(cancelled_code) and C(cancelled) are why
    this run cancelled it, empty if it did not. C(events) are messages of the events of migration and VMI, newest last.
    """

    target: str
    migration: Migration
    state: Optional[MigrationState]
    vm_exists: bool
    node: str
    target_ready: bool = True
    cancelled_code: str = ""
    cancelled: str = ""
    copy_seconds: Optional[float] = None
    limit_seconds: Optional[float] = None
    events: Sequence[str] = ()


def arrived(ending: Ending) -> bool:
    """Tell whether the VM reached the planned node by this very migration."""
    state = ending.state
    if state is not None and state.completed:
        return not state.failed and state.target_node == ending.target == ending.node
    return ending.migration.phase == "Succeeded" and ending.node == ending.target


def conclude(ending: Ending) -> Outcome:
    """Return what became of a live migration that has ended, with the cluster's times."""
    migration, state = ending.migration, ending.state
    outcome = Outcome(SUCCEEDED) if arrived(ending) else _failure(ending)
    ended = (state.end if state else "") or migration.transitions.get(migration.phase, "")
    return replace(outcome, reached=ending.node, started_at=migration.created, ended_at=ended)


def _failure(ending: Ending) -> Outcome:
    state = ending.state
    told = "; ".join(dict.fromkeys(ending.events))
    reason = state.failure_reason if state else ""
    if not ending.vm_exists:
        return failed("vm_gone", "the VM was deleted while it migrated")
    if ending.migration.phase == "Succeeded" or (state and state.completed and not state.failed and ending.node):
        where = (state.target_node if state else "") or ending.node
        return failed("wrong_target", f"the migration went to {where}, not to {ending.target}")
    if ending.cancelled_code:
        return failed(ending.cancelled_code, ending.cancelled + _told(reason or told), retryable=True)
    if not ending.node or "vmi shutdown" in told:
        return failed("vm_stopped", "the VM stopped while it migrated" + _told(reason or told))
    if ending.migration.deleting:
        return failed("cancelled", "the migration was deleted by somebody else" + _told(reason or told))
    if not ending.target_ready:
        return failed("target_node_lost", f"{ending.target} was lost" + _told(reason or told), retryable=True)
    if "aborted" in reason:
        return _aborted(ending, reason)
    if "unschedulable" in told:
        return failed("target_unschedulable", _last(ending.events, "unschedulable"), retryable=True)
    if "arget pod" in reason or "arget pod" in told or "attachment pod" in told:
        return failed("target_pod_failed", reason or _last(ending.events, "pod"), retryable=True)
    return failed("source_failed", reason or told or "the migration failed without saying why", retryable=True)


def _aborted(ending: Ending, reason: str) -> Outcome:
    """Tell KubeVirt's two aborts apart: both say the same, only the time differs."""
    took, limit = ending.copy_seconds, ending.limit_seconds
    if took is not None and limit is not None and took >= limit - 2:
        return failed("completion_timeout", f"{reason}: not complete after {took:.0f} of {limit:.0f} s", retryable=True)
    after = f" after {took:.0f} s" if took is not None else ""
    return failed("progress_timeout", f"{reason}{after}: the copy made no progress", retryable=True)


def _told(text: str) -> str:
    return f": {text}" if text else ""


def _last(events: Sequence[str], word: str) -> str:
    return next((event for event in reversed(events) if word in event), "")
