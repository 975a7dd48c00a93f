# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an earlier process left behind: moves under way are taken up again, those of forgotten runs are cleaned up.

All of it is found in the cluster: migrations carry labels, VMs that were touched carry a note.
"""

from __future__ import annotations

from typing import Any, Optional, Union

from ... import names
from ...cluster.model import Migration, VirtualMachine
from ...errors import Conflict, NotFound
from .. import record as states
from ..plan import COLD, LIVE, Move, Plan
from ..record import Attempt, Item, RunRecord
from .crew import Crew
from .migrate import LiveFlight
from .restart import ColdFlight
from .steer import Note, parse_note, restore_patch

Flight = Union[LiveFlight, ColdFlight]


class Recovery:
    """Looks through the live view for what is under way."""

    def __init__(self, plan: Plan, record: RunRecord, crew: Crew) -> None:
        self._crew = crew
        self._moves = {move.id: move for move in plan.moves}
        self._record = record
        self._by_label = {names.move_label(item.id): item for item in record.items}

    def flights(self) -> dict[str, Flight]:
        """Return the moves of this run that are under way, by id; settles in the record what turns out to be over."""
        found: dict[str, Flight] = {}
        for item in self._record.items:
            if item.status in states.ITEM_ENDED:
                continue
            move = self._moves[item.id]
            flight = self._live(item, move) if item.mode == LIVE else self._cold(item, move)
            if flight is not None:
                found[item.id] = flight
                item.status = states.IN_FLIGHT
                self._crew.view.books.reserve(move.key, move.target, move.mode)
            elif item.status == states.IN_FLIGHT:
                self._look_where_it_is(item, move)
        return found

    def _live(self, item: Item, move: Move) -> Optional[Flight]:
        if move.key not in self._crew.view.machines:
            return None
        number, migration = self._newest(move)
        note = self._note(move.key, names.STEERED_MOVE)
        if note is not None and note.run == self._crew.run_id and note.move == move.id:
            number = number or (item.attempts[-1].number if item.attempts else 1)
        elif migration is None:
            return None
        for attempt in item.attempts:
            if attempt.number == number and attempt.result:
                return None  # known already
        self._attempt(item, number, names.migration_name(self._crew.run_id, move.id, number))
        return LiveFlight(self._crew, move, number)

    def _cold(self, item: Item, move: Move) -> Optional[Flight]:
        note = self._note(move.key, names.COLD_MOVE)
        if note is None or note.run != self._crew.run_id or note.move != move.id:
            return None
        if not item.attempts or item.attempts[-1].result:
            self._attempt(item, len(item.attempts) + 1, "")
        return ColdFlight(self._crew, move.key, move, note)

    def _attempt(self, item: Item, number: int, migration: str) -> None:
        if not any(attempt.number == number for attempt in item.attempts):
            item.attempts.append(Attempt(number, migration))

    def _newest(self, move: Move) -> tuple[int, Optional[Migration]]:
        """Return number and migration of the newest attempt that left one."""
        best: tuple[int, Optional[Migration]] = (0, None)
        for seen in self._crew.view.migrations.values():
            labels = seen.migration.labels
            if labels.get(names.RUN) != self._crew.run_id or labels.get(names.MOVE) != names.move_label(move.id):
                continue
            number = int(seen.migration.name.rsplit("-", 1)[1])
            if number > best[0] and not seen.gone:
                best = (number, seen.migration)
        return best

    def _look_where_it_is(self, item: Item, move: Move) -> None:
        """A move was under way and nothing of it is left: where the VM is tells how it ended."""
        vm = self._crew.view.machines.get(move.key)
        attempt = item.attempts[-1] if item.attempts else None
        if vm is not None and vm.running and vm.node == move.target:
            item.status, item.reached = states.SUCCEEDED, vm.node
            if attempt is not None:
                attempt.result = states.SUCCEEDED
            return
        item.status = states.WAITING
        if attempt is not None and not attempt.result:
            item.attempts.pop()

    def chores(self) -> list["Chore"]:
        """Return what is to be done for VMs that carry a note of another run, or of a move that is over."""
        found: list[Chore] = []
        for key, vm in self._crew.view.machines.items():
            for annotation in (names.COLD_MOVE, names.STEERED_MOVE):
                if annotation in vm.annotations and not self._ours(vm, annotation):
                    found.append(Chore(self._crew, key, annotation))
        return found

    def _ours(self, vm: VirtualMachine, annotation: str) -> bool:
        note = self._note(vm.key, annotation)
        if note is None or note.run != self._crew.run_id:
            return False
        item = self._by_label.get(names.move_label(note.move))
        return item is not None and item.status == states.IN_FLIGHT

    def _note(self, key: str, annotation: str) -> Optional[Note]:
        vm = self._crew.view.machines.get(key)
        try:
            return parse_note(vm.annotations[annotation]) if vm and annotation in vm.annotations else None
        except ValueError:
            return None


class Chore:
    """Cleans up after a move that nobody goes on with: placement is put back, what was stopped runs again."""

    def __init__(self, crew: Crew, key: str, annotation: str) -> None:
        self._crew = crew
        self._key = key
        namespace, _slash, name = key.partition("/")
        self._names = (namespace, name)
        self._annotation = annotation
        self._flight: Optional[ColdFlight] = None

    def advance(self) -> str:
        """Do what is due; returns what to tell once it is done."""
        key = self._key
        if self._flight is not None:
            outcome = self._flight.advance()
            if outcome is None:
                return ""
            return f"{key} had been left in the middle of a cold move: {outcome.message or 'brought to its end'}"
        vm = self._crew.read_vm(*self._names)
        if vm is None:
            return f"{key} had been left in the middle of a move and does not exist any more"
        try:
            note = parse_note((vm["metadata"].get("annotations") or {}).get(self._annotation) or "")
        except ValueError:
            return f"{key} has an annotation {self._annotation} that cannot be read; remove it by hand"
        if note.mode == COLD:
            self._flight = ColdFlight(self._crew, key, None, note, leftover=True)
            return ""
        return self._restore(vm, note)

    def _restore(self, vm: dict[str, Any], note: Note) -> str:
        if self._key in self._crew.view.migrating():
            return ""
        try:
            self._crew.patch_vm(*self._names, restore_patch(vm, note))
        except (Conflict, NotFound):
            return ""
        return f"{self._key} had been left with the node selector of an earlier move; its own was put back"
