# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which moves start now: in the plan's order, as many as slots, room and rules allow; live ones before cold ones."""

from __future__ import annotations

from typing import Iterable, Mapping, Optional, Protocol

from .. import record as states
from ..plan import COLD, LIVE, Move, Plan
from ..record import Item, RunRecord
from .crew import Crew
from .limits import Limits, Slots, Unfinished
from .look import Hold, hindrance, target_hindrance
from .outcome import ELSEWHERE, Outcome, skipped


class Flying(Protocol):
    mode: str


class Starter:
    """Chooses moves to start. After choose(), C(decided) holds moves that are over without a start, C(cautions) what
    people should know of."""

    def __init__(self, plan: Plan, record: RunRecord, crew: Crew) -> None:
        self.limits = Limits(0, 0, 0, "")
        self.decided: list[tuple[Item, Outcome]] = []
        self.cautions: list[str] = []
        self._moves = {move.id: move for move in plan.moves}
        self._items = {item.id: item for item in record.items}
        self._stages: dict[str, list[Item]] = {}
        for item in record.items:
            self._stages.setdefault(item.stage, []).append(item)
        self._crew = crew
        self._not_before: dict[str, float] = {}
        self._stuck_since: Optional[float] = None

    def later(self, identity: str, seconds: float) -> None:
        """Do not start this move for a while."""
        self._not_before[identity] = self._crew.clock() + seconds

    def choose(self, stage: str, flights: Mapping[str, Flying]) -> list[Item]:
        """Return the moves to start now; room on their targets is reserved."""
        self.decided, self.cautions = [], []
        now = self._crew.clock()
        waiting = [item for item in self._stages.get(stage, ()) if item.status == states.WAITING]
        live = [item for item in waiting if item.mode == LIVE]
        mode = LIVE if live or any(flight.mode == LIVE for flight in flights.values()) else COLD
        held: list[tuple[Item, Hold]] = []
        patient = False  # something is waited for that needs no deadline
        chosen: list[Item] = []
        slots = self._slots(flights)
        migrating = self._crew.view.migrating()
        for item in live if mode == LIVE else waiting:
            if mode == COLD and (flights or chosen):
                patient = True
                break
            move = self._moves[item.id]
            ready = self._depends(item, move)
            if ready is not None:
                patient = patient or ready
                continue
            if self._not_before.get(item.id, now) > now:
                patient = True
                continue
            if mode == LIVE and slots.refusal(move.source, move.target):
                patient = True
                if not slots.free:
                    break
                continue
            hold = self._check(item, move, migrating)
            if isinstance(hold, Hold):
                held.append((item, hold))
            elif hold is None:
                slots.take(move.source, move.target)
                chosen.append(item)
        self._watch_holds(held, bool(flights) or bool(chosen) or bool(self.decided) or patient)
        return chosen

    def _slots(self, flights: Mapping[str, Flying]) -> Slots:
        """The slots taken, those of our own flights counted whether or not a watch has shown them."""
        own = {}
        for identity, flight in flights.items():
            move = self._moves[identity]
            if flight.mode == LIVE:
                own[move.key] = Unfinished(move.key, frozenset((move.source,)), move.target, holding=True)
        others = [item for item in self._crew.view.unfinished() if item.vm not in own]
        return Slots(self.limits, [*own.values(), *others])

    def _depends(self, item: Item, move: Move) -> Optional[bool]:
        """Return None if the moves this one needs have been made, True if one is still to come, False if one never
        will be (then the move is decided)."""
        for identity in move.after:
            other = self._items[identity]
            if other.status == states.SUCCEEDED or (other.status == states.SKIPPED and other.code in ELSEWHERE):
                continue
            if other.status in (states.WAITING, states.IN_FLIGHT):
                return True
            text = f"move {identity} ({other.namespace}/{other.name}), which makes the room for it, was not made"
            self.decided.append((item, skipped("dependency_failed", text)))
            return False
        return None

    def _check(self, item: Item, move: Move, migrating: Mapping[str, object]) -> Optional[object]:
        """Return None if the move may start (its room is reserved then), a Hold, or an Outcome that is decided."""
        found = self._hindrance(move)
        if found is None:
            # the watches may lag behind: look at this VM once more
            self._crew.read_instance(move.namespace, move.name)
            found = self._hindrance(move)
        elif isinstance(found, Outcome):
            self._read_all(move)
            found = self._hindrance(move)
        if isinstance(found, Outcome):
            self.decided.append((item, found))
            return found
        if found is not None:
            return found
        vm = self._crew.view.machines[move.key]
        if vm.instance is not None and vm.instance.paused:
            self.cautions.append(f"{move.key} is paused and is moved as it is")
        self._crew.view.books.reserve(move.key, move.target, move.mode)
        return None

    def _hindrance(self, move: Move) -> object:
        view = self._crew.view
        vm = view.machines.get(move.key)
        found = hindrance(move, vm, view.migrating().get(move.key))
        if found is None and vm is not None:
            found = target_hindrance(move, view.books.why_not(vm, move.target, move.mode))
        return found

    def _read_all(self, move: Move) -> None:
        self._crew.read_vm(move.namespace, move.name)
        self._crew.read_instance(move.namespace, move.name)

    def _watch_holds(self, held: Iterable[tuple[Item, Hold]], moving: bool) -> None:
        """Give up moves that are held while nothing else goes on that could free them."""
        held = list(held)
        now = self._crew.clock()
        if moving or not held:
            self._stuck_since = None
            return
        if self._stuck_since is None:
            self._stuck_since = now
        if now - self._stuck_since >= self._crew.options.room_timeout_seconds:
            for item, hold in held:
                hint = "Nothing changed that for room_timeout_seconds. Make a new plan from the present state."
                self.decided.append((item, skipped(hold.code, hold.message, hint=hint)))
            self._stuck_since = None
