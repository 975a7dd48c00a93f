# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The next step of a cold move, from what is seen of the VM and the note on it. Pure.

place -> restart (or stop and start) -> verify that it runs on the target -> put placement back. There is no other state
than the note and the VM itself, so a run that was killed anywhere goes on at the step that is due. If the target does
not take the VM it goes back to its source, and if that does not either, anywhere its own placement allows: whatever was
stopped is started again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

from ..record import SUCCEEDED
from .outcome import Outcome, failed
from .steer import ANYWHERE, SOURCE, TARGET, Note

# steps
WAIT = "wait"
RESTART = "restart"  # the restart subresource: ends the instance and starts a new one, run strategy unchanged
STOP = "stop"  # for run strategy Once, which knows no restart
PUT_STRATEGY_BACK = "put_strategy_back"  # starts a VM whose strategy Once had to give way to Halted
START = "start"  # the start subresource, for a VM that should have come back by itself
RETREAT = "retreat"  # aim at the next goal
FINISH = "finish"  # put placement back; the outcome is in the step

_ONCE = "Once"
_HALTED = "Halted"
# strategies under which a VM that was restarted may stay down without a start request
_STARTED_BY_REQUEST = ("Manual", "RerunOnFailure")
_LATE_HINT = "See the events of the VMI and of its virt-launcher pod."


@dataclass(frozen=True)
class Sight:
    """A VM as it is seen now. C(unschedulable) holds the scheduler's message, empty if its pod has a place."""

    run_strategy: str
    instance_uid: str = ""
    phase: str = ""
    node: str = ""
    ready: bool = False
    deleting: bool = False
    unschedulable: str = ""


@dataclass(frozen=True)
class Patience:
    """How long to wait, in seconds: for the old instance to end (beside the guest's grace period), for the new one to
    run, and for the scheduler to find it a place."""

    stop_seconds: float = 120.0
    start_seconds: float = 600.0
    unschedulable_seconds: float = 60.0


@dataclass(frozen=True)
class Step:
    action: str
    outcome: Optional[Outcome] = None
    goal: str = ""
    code: str = ""
    reason: str = ""


def next_step(note: Note, sight: Sight, *, asked: bool, waited_seconds: float, patience: Patience) -> Step:
    """Return what to do next.

    C(asked) tells whether this process has asked for the stop or restart already; C(waited_seconds) counts from the
    last change that was seen of the VM, for which it may be waiting.
    """
    if sight.run_strategy == _HALTED and note.run_strategy not in (_ONCE, _HALTED):
        return _finish(note, failed("stopped_by_other", "somebody stopped the VM while it was being moved"))
    if sight.instance_uid and sight.instance_uid == note.replaces:
        return _end_old(note, sight, asked, waited_seconds, patience)
    if not sight.instance_uid:
        return _start_new(note, sight, waited_seconds, patience)
    return _verify(note, sight, waited_seconds, patience)


def _end_old(note: Note, sight: Sight, asked: bool, waited_seconds: float, patience: Patience) -> Step:
    if waited_seconds > patience.stop_seconds and (sight.deleting or asked):
        return _finish(
            note,
            failed(
                "stop_timeout",
                f"the VM did not stop within {waited_seconds:.0f} s",
                hint="Look at virt-handler and the virt-launcher pod on its node; the VM may still stop later.",
                reached=sight.node,
            ),
        )
    if sight.deleting or asked:
        return Step(WAIT)
    if note.run_strategy == _ONCE:
        return Step(STOP) if sight.run_strategy == _ONCE else Step(WAIT)
    return Step(RESTART)


def _start_new(note: Note, sight: Sight, waited_seconds: float, patience: Patience) -> Step:
    if note.run_strategy == _ONCE and sight.run_strategy == _HALTED:
        return Step(PUT_STRATEGY_BACK)
    if waited_seconds <= patience.start_seconds:
        if waited_seconds > patience.stop_seconds and note.run_strategy in _STARTED_BY_REQUEST:
            return Step(START)
        return Step(WAIT)
    return _give_up(note, sight, "no_instance", f"no new instance of the VM after {waited_seconds:.0f} s")


def _verify(note: Note, sight: Sight, waited_seconds: float, patience: Patience) -> Step:
    if sight.phase == "Running":
        if not sight.ready and waited_seconds <= patience.start_seconds:
            return Step(WAIT)
        return _finish(note, _running(note, sight))
    if sight.unschedulable and waited_seconds > patience.unschedulable_seconds:
        return _give_up(note, sight, "target_unschedulable", sight.unschedulable)
    if waited_seconds > patience.start_seconds:
        return _give_up(note, sight, "start_timeout", f"the VM did not run within {waited_seconds:.0f} s")
    return Step(WAIT)


def _running(note: Note, sight: Sight) -> Outcome:
    if sight.node == note.target:
        slow = "" if sight.ready else "it runs on the target but does not report ready"
        return Outcome(SUCCEEDED, message=slow, reached=sight.node)
    if note.goal == TARGET:
        return failed("wrong_target", f"the VM started on {sight.node}, not on {note.target}", reached=sight.node)
    where = "back on its source" if sight.node == note.source else f"on {sight.node}"
    reason = note.reason or "the target did not take it"
    return failed(note.code or "start_timeout", f"{reason}; the VM runs {where}", reached=sight.node)


def _give_up(note: Note, sight: Sight, code: str, reason: str) -> Step:
    if note.goal == TARGET:
        return Step(RETREAT, goal=SOURCE, code=code, reason=reason)
    if note.goal == SOURCE:
        return Step(RETREAT, goal=ANYWHERE, code=code, reason=reason)
    told = f"{note.reason or reason}; the VM has its own placement back but does not run yet: {reason}"
    return _finish(note, failed(note.code or code, told, hint=_LATE_HINT, reached=sight.node))


def _finish(note: Note, outcome: Outcome) -> Step:
    return Step(FINISH, outcome=outcome)
