# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The state of a search: the books, what may still be moved, the moves found so far.

Every move that is taken was possible when it was taken, one after the other: the list is a feasible path.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Iterable, Mapping, Optional, Sequence

from ..cluster.model import VirtualMachine
from ..quantity import format_bytes
from .candidates import Candidate
from .objective import Levels, Vector
from .occupancy import Occupancy
from .request import PlanRequest
from .rules import Refusal

_ROUNDING = 1 + 1e-12


@dataclass(frozen=True)
class Proposal:
    """A move that the search wants; C(number) is its place in the feasible path."""

    number: int
    key: str
    source: str
    target: str
    mode: str
    reason: str


class Board:
    """What all searches share."""

    def __init__(
        self, books: Occupancy, levels: Levels, candidates: Mapping[str, Candidate], request: PlanRequest
    ) -> None:
        self.books = books
        self.levels = levels
        self.candidates = candidates
        self.request = request
        self.proposals: list[Proposal] = []
        self.moved: set[str] = set()
        self.settled: set[str] = set()  # asked for explicitly: they stay where they were put
        # levels per resource that no node may be lifted above; None if only the rules bound them
        self.peaks: Optional[Vector] = None
        self._before: list[VirtualMachine] = []
        self._bytes = 0

    @property
    def full(self) -> bool:
        """Whether no further move is allowed."""
        return self.room_for_moves <= 0

    @property
    def room_for_moves(self) -> int:
        """How many moves are still allowed."""
        limit = self.request.max_moves
        return 10**9 if limit is None else limit - len(self.proposals)

    def affordable(self, key: str) -> str:
        """Return why the VM cannot be moved for the limits of the request, empty if it can."""
        request = self.request
        if self.full:
            return f"max_moves {request.max_moves} is reached"
        size = self.candidates[key].forecast.prediction.bytes
        if request.max_bytes is not None and self._bytes + size > request.max_bytes:
            return f"max_bytes {format_bytes(request.max_bytes)} does not allow another {format_bytes(size)}"
        return ""

    def movable_on(self, node: str) -> list[Candidate]:
        """Return the VMs on a node that may move and have not been moved yet."""
        return [
            candidate
            for vm in self.books.machines_on(node)
            for candidate in (self.candidates.get(vm.key),)
            if candidate is not None and self.free(candidate) and vm.node == node
        ]

    def free(self, candidate: Candidate) -> bool:
        """Tell whether a VM may move and has not been moved yet."""
        return bool(candidate.mode) and candidate.key not in self.moved and candidate.key not in self.settled

    def machine(self, key: str) -> VirtualMachine:
        """Return the VM as it stands on the board, its node included."""
        return self.books.machines[key]

    def weight(self, key: str, mode: str) -> Vector:
        """Return what the VM adds to the levels of a node it moves to."""
        return self.levels.weight(self.books.demand(self.machine(key), mode))

    def refusals(self, key: str, target: str, mode: str) -> Sequence[Refusal]:
        """Return why the VM cannot go to the target now."""
        return self.books.why_not(self.machine(key), target, mode)

    def possible(self, key: str, target: str, mode: str) -> bool:
        """Tell whether the VM can go to the target now."""
        vm = self.machine(key)
        if not self.books.fits(vm, target, mode):
            return False
        loss = self.books.node_loss
        return loss is None or not loss.refusals(vm, target, mode)

    def targets_by_level(self, key: str, mode: str, limits: Optional[Vector] = None) -> Iterable[tuple[float, str]]:
        """Return (level that the node would reach, node) for each node the VM may run on and that stays below the
        peaks, the lowest first. Levels are measured against C(limits) if given."""
        levels = self.levels
        weight = self.weight(key, mode)
        found = []
        for name in self.books.placement.allowed(self.machine(key), mode):
            if name not in levels.member_set or not self.below_peaks(name, weight):
                continue
            reached = [
                (load + more) / room - (limits[index] if limits else 0.0)
                for index, (load, more, room) in enumerate(zip(levels.loads(name), weight, levels.capacities(name)))
            ]
            found.append((max(reached), name))
        return sorted(found)

    def below_peaks(self, name: str, arriving: Vector, leaving: Optional[Vector] = None) -> bool:
        """Tell whether a node stays below the peaks with one weight more and another one less."""
        if self.peaks is None:
            return True
        gone = leaving or (0.0,) * len(arriving)
        return all(
            load + more - less <= peak * room * _ROUNDING or more <= less
            for load, more, less, room, peak in zip(
                self.levels.loads(name), arriving, gone, self.levels.capacities(name), self.peaks
            )
        )

    def take(self, key: str, target: str, mode: str, reason: str, *, final: bool = True) -> None:
        """Make a move. With C(final) false the VM may be moved again (it is only parked)."""
        vm = self.machine(key)
        source = vm.node
        self._before.append(vm)
        self.proposals.append(Proposal(len(self.proposals), key, source, target, mode, reason))
        self.books.reserve(key, target, mode)
        self.books.moved(key, target)
        self._bytes += self.candidates[key].forecast.prediction.bytes
        if final:
            self.moved.add(key)

    def rewind(self, length: int) -> None:
        """Undo moves, the last first, until C(length) proposals are left."""
        while len(self.proposals) > length:
            last = self.proposals.pop()
            self.books.upsert_vm(self._before.pop())
            self._bytes -= self.candidates[last.key].forecast.prediction.bytes
            self.moved.discard(last.key)
