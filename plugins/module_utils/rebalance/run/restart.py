# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One cold move under way: does the steps that cold.next_step() names, each of which can be repeated."""

from __future__ import annotations

from typing import Any, Callable, Optional

from ... import names
from ...cluster.model import VirtualMachine
from ...cluster.resources import SUBRESOURCES_GROUP_VERSION, VIRTUAL_MACHINES
from ...errors import Conflict, NotFound
from ..plan import COLD, Move
from . import cold
from .crew import Crew
from .outcome import Outcome, failed
from .steer import TARGET, Note, make_note, parse_note, place_patch, restore_patch, retreat, strategy_patch

_STOP_SECONDS = 120.0
_AGAIN_SECONDS = 2.0


class ColdFlight:
    """A cold move under way. advance() as often as you like; it returns the outcome once there is one.

    Without a note the move begins by placing the VM; with one, found on the VM, it goes on where that says. C(leftover)
    is the note of a run that nobody goes on with: what is under way is brought to an end, nothing new is stopped.
    """

    mode = COLD

    def __init__(
        self, crew: Crew, key: str, move: Optional[Move] = None, note: Optional[Note] = None, *, leftover: bool = False
    ) -> None:
        self.key = key
        self.move = move
        self.note = note
        self.started_at = crew.gateway.server_time
        self._crew = crew
        self._leftover = leftover
        self._namespace, _slash, self._name = key.partition("/")
        self._asked: set[str] = set()
        self._not_before = 0.0
        self._mark: Any = None
        self._since = crew.clock()

    def advance(self) -> Optional[Outcome]:
        """Do what is due and return the outcome, None while it is under way. Raises ApiError; then call it again."""
        if self.note is None and not self._place():
            return None
        vm = self._crew.view.machines.get(self.key)
        if vm is None or not vm.has_vm:
            return failed("vm_gone", f"{self.key} was deleted while it was moved")
        step = self._next(vm)
        if step.action == cold.WAIT:
            return None
        # what the watches showed may be old: look again before anything is done
        vm = self._crew.read_instance(self._namespace, self._name)
        if vm is None:
            return None
        step = self._next(vm)
        return self._do(step, vm)

    def _next(self, vm: VirtualMachine) -> cold.Step:
        if self.note is None:
            raise AssertionError("a step needs the note")
        sight = _sight(vm)
        mark = (sight.run_strategy, sight.instance_uid, sight.phase, sight.deleting, self.note.goal)
        if mark != self._mark:
            self._mark, self._since = mark, self._crew.clock()
        if self._leftover and sight.instance_uid and sight.instance_uid == self.note.replaces and not sight.deleting:
            return cold.Step(cold.FINISH, outcome=failed("abandoned", "an earlier run left this move undone"))
        options = self._crew.options
        return cold.next_step(
            self.note,
            sight,
            asked=bool(self._asked & {cold.RESTART, cold.STOP}),
            waited_seconds=self._crew.clock() - self._since,
            patience=cold.Patience(
                stop_seconds=_STOP_SECONDS + vm.spec.termination_grace_seconds,
                start_seconds=options.start_timeout_seconds,
                unschedulable_seconds=options.unschedulable_timeout_seconds,
            ),
        )

    def _place(self) -> bool:
        """Write the note and the placement; True when they are there."""
        crew, move = self._crew, self.move
        if move is None:
            raise AssertionError("placing needs the move")
        item = crew.read_vm(self._namespace, self._name)
        vm = crew.read_instance(self._namespace, self._name)
        if item is None or vm is None or vm.instance is None:
            return item is None  # gone: told by the caller; no instance: wait for it
        text = (item["metadata"].get("annotations") or {}).get(names.COLD_MOVE)
        if text:
            self.note = parse_note(text)
            return True
        note = make_note(
            item, crew.run_id, move, crew.hostname(move.source), crew.hostname(move.target), vm.instance.uid
        )
        try:
            crew.patch_vm(self._namespace, self._name, place_patch(item, note))
        except Conflict:
            return False
        self.note = note
        return True

    def _do(self, step: cold.Step, vm: VirtualMachine) -> Optional[Outcome]:
        if step.action in (cold.RESTART, cold.STOP, cold.START):
            self._ask(step.action)
        elif step.action == cold.PUT_STRATEGY_BACK:
            self._patch(strategy_patch)
        elif step.action == cold.RETREAT:
            self._retreat(step, vm)
        elif step.action == cold.FINISH and (self._patch(restore_patch) or self._vm_gone()):
            return step.outcome
        return None

    def _ask(self, verb: str) -> None:
        crew = self._crew
        if verb in self._asked or crew.clock() < self._not_before:
            return
        try:
            crew.write(
                lambda: crew.gateway.put_subresource(
                    SUBRESOURCES_GROUP_VERSION, self._namespace, VIRTUAL_MACHINES.plural, self._name, verb
                )
            )
        except (Conflict, NotFound):
            # an earlier request is still being worked off, or it is no longer needed: the next look tells
            self._not_before = crew.clock() + _AGAIN_SECONDS
        else:
            self._asked.add(verb)

    def _patch(self, make: Callable[[Any, Note], dict[str, Any]]) -> bool:
        """Change the VM as it is now; False if it changed in between, to be tried again."""
        if self.note is None:
            raise AssertionError("a change needs the note")
        item = self._crew.read_vm(self._namespace, self._name)
        if item is None:
            return False
        try:
            self._crew.patch_vm(self._namespace, self._name, make(item, self.note))
        except (Conflict, NotFound):
            return False
        return True

    def _vm_gone(self) -> bool:
        return self._crew.read_vm(self._namespace, self._name) is None

    def _retreat(self, step: cold.Step, vm: VirtualMachine) -> None:
        if self.note is None:
            raise AssertionError("a retreat needs the note")
        if self.note.goal == TARGET:
            self._crew.view.books.release(self.key, self.note.target)
        uid = vm.instance.uid if vm.instance else ""
        note = retreat(self.note, step.goal, uid, step.code, step.reason)
        former, self.note = self.note, note
        if self._patch(place_patch):
            self._asked.clear()
        else:
            self.note = former


def _sight(vm: VirtualMachine) -> cold.Sight:
    instance = vm.instance
    if instance is None:
        return cold.Sight(vm.run_strategy)
    scheduled = instance.conditions.get("PodScheduled")
    ready = instance.conditions.get("Ready")
    return cold.Sight(
        run_strategy=vm.run_strategy,
        instance_uid=instance.uid,
        phase=instance.phase,
        node=instance.node,
        ready=ready is not None and ready.status == "True",
        deleting=instance.deleting,
        unschedulable=scheduled.message or scheduled.reason if scheduled and scheduled.status == "False" else "",
    )
