# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Search for moves that bring overloaded nodes below a limit: balance (mean plus tolerance) and evacuate (thresholds).

Greedy relief of the most overloaded node: the VM that takes most of the excess away per cost goes to the node that
stays lowest. Where nothing brings a node below the limit, moves that at least lower the highest excess are taken, then
exchanges of a larger VM for a smaller one.
"""

from __future__ import annotations

from typing import Optional

from .board import Board
from .candidates import Candidate
from .objective import Vector
from .plan import LIVE

_EPSILON = 1e-9
# a move that does not lower the highest level by so much is not worth it
_LEAST_GAIN = 0.005
# other paths of the search are tried in clusters of so many VMs times nodes
_SMALL = 60_000
_SHARES = (1.0, 0.5, 0.0)
_EXCHANGE_TARGETS = 12
_EXCHANGE_MACHINES = 12


def balance(board: Board, tolerance: float) -> tuple[dict[str, float], Vector]:
    """Move VMs off nodes above the mean level plus C(tolerance), a share; return the nodes still above, with the
    excess, and the limits per resource.

    Where nodes stay above, stricter limits are tried as well, which lead the search along other paths; of all attempts
    the one with the lowest highest level is kept, the one with fewer moves if they are about equal.
    """
    levels = board.levels
    peaks = tuple(levels.balance()[resource].maximum for resource in levels.resources)
    mean = levels.mean()
    length = len(board.proposals)

    def attempt(share: float) -> dict[str, float]:
        board.rewind(length)
        board.peaks = peaks
        return relieve(board, tuple(min(m + tolerance * share, p) for m, p in zip(mean, peaks)), beyond_limits=True)

    found = []
    small = len(board.candidates) * len(levels.members) <= _SMALL
    for share in _SHARES if small else _SHARES[:1]:
        stuck = attempt(share)
        found.append((round(levels.top() / _LEAST_GAIN), len(board.proposals), -share))
        if not stuck and share == 1.0:
            break
    best = -min(found)[2]
    if best != -found[-1][2]:
        attempt(best)
    limits = tuple(min(m + tolerance, p) for m, p in zip(mean, peaks))
    return {name: excess for name, excess in _excesses(board, limits).items() if excess > _EPSILON}, limits


def relieve(board: Board, limits: Vector, *, beyond_limits: bool) -> dict[str, float]:
    """Move VMs off nodes whose level exceeds C(limits) (per resource); return the nodes still above, with the excess.

    With C(beyond_limits) a node that cannot get below its limit is still lowered as far as that lowers the highest
    excess; without it no target may exceed the limits.
    """
    for _round in range(2):
        before = len(board.proposals)
        _relieve_once(board, limits, beyond_limits)
        if len(board.proposals) == before:
            break
    return {name: excess for name, excess in _excesses(board, limits).items() if excess > _EPSILON}


def _relieve_once(board: Board, limits: Vector, beyond_limits: bool) -> None:
    excesses = _excesses(board, limits)
    stuck: set[str] = set()
    while not board.full:
        waiting = [(excess, name) for name, excess in excesses.items() if excess > _EPSILON and name not in stuck]
        if not waiting:
            return
        donor = max(waiting)[1]
        touched = _relief(board, donor, limits)
        if not touched and beyond_limits:
            touched = _beyond(board, donor, limits)
        if not touched:
            stuck.add(donor)
        for name in touched:
            excesses[name] = _excess(board, name, limits)


def _beyond(board: Board, donor: str, limits: Vector) -> tuple[str, ...]:
    """Lower the donor although nothing brings it below its limit. Other resources of other nodes may become fuller than
    they were anywhere, but not as full as the donor is."""
    peaks = board.peaks
    if peaks is not None:
        level = max(board.levels.levels(donor))
        board.peaks = tuple(max(level, peak) for peak in peaks)
    touched = _lowering(board, donor, limits) or _exchange(board, donor, limits)
    board.peaks = peaks
    return touched


def _excesses(board: Board, limits: Vector) -> dict[str, float]:
    return {name: _excess(board, name, limits) for name in board.levels.members}


def _excess(board: Board, name: str, limits: Vector) -> float:
    return max(level - limit for level, limit in zip(board.levels.levels(name), limits))


def _after(board: Board, name: str, limits: Vector, *weights: tuple[int, Vector]) -> float:
    """Excess of a node after adding (1) or taking away (-1) some weights."""
    loads = list(board.levels.loads(name))
    for sign, weight in weights:
        for index, amount in enumerate(weight):
            loads[index] += sign * amount
    return max(load / room - limit for load, room, limit in zip(loads, board.levels.capacities(name), limits))


def _relief(board: Board, donor: str, limits: Vector) -> tuple[str, ...]:
    """Make the move off the donor that takes most of its excess away per cost, to a node that stays within the limits;
    return the nodes it touched."""
    excess = _excess(board, donor, limits)
    options = []
    for candidate in _distinct(board, donor):
        left = _after(board, donor, limits, (-1, _held_weight(board, candidate)))
        gain = excess - max(left, 0.0)
        if gain > _EPSILON:
            options.append((-gain / candidate.cost, candidate.key, candidate))
    for _rank, _key, candidate in sorted(options, key=lambda option: option[:2]):
        for reached, target in board.targets_by_level(candidate.key, candidate.mode, limits):
            if reached > _EPSILON:
                break
            if _go(board, candidate, donor, target, limits):
                return donor, target
    return ()


def _lowering(board: Board, donor: str, limits: Vector) -> tuple[str, ...]:
    """Make the move off the donor after which the higher of the two nodes is lowest, if that lowers the donor; return
    the nodes it touched."""
    ceiling = _excess(board, donor, limits) - _LEAST_GAIN
    options = []
    for candidate in _distinct(board, donor):
        left = _after(board, donor, limits, (-1, _held_weight(board, candidate)))
        if left > ceiling:
            continue
        for reached, target in board.targets_by_level(candidate.key, candidate.mode, limits):
            if reached > ceiling:
                break
            options.append((max(left, reached), candidate.cost, candidate.key, target, candidate))
    for _worst, _cost, _key, target, candidate in sorted(options, key=lambda option: option[:4]):
        if _go(board, candidate, donor, target, limits):
            return donor, target
    return ()


def _distinct(board: Board, donor: str) -> list[Candidate]:
    """The VMs of a node that may move and can be afforded, one of each kind."""
    kinds: dict[tuple[object, ...], Candidate] = {}
    for candidate in board.movable_on(donor):
        if not board.affordable(candidate.key):
            kinds.setdefault(_alike(board, candidate), candidate)
    return list(kinds.values())


def _go(board: Board, candidate: Candidate, donor: str, target: str, limits: Vector) -> bool:
    if target == donor or not board.possible(candidate.key, target, candidate.mode):
        return False
    board.take(candidate.key, target, candidate.mode, board.levels.describe(donor, target, limits))
    return True


def _exchange(board: Board, donor: str, limits: Vector) -> tuple[str, ...]:
    """Swap a VM of the donor for a smaller one of another node, the larger one moving first."""
    if board.room_for_moves < 2:
        return ()
    excess = _excess(board, donor, limits)
    ceiling = excess - _LEAST_GAIN
    for mine in sorted(board.movable_on(donor), key=lambda item: (-item.cost, item.key))[:_EXCHANGE_MACHINES]:
        weight = _held_weight(board, mine)
        targets = [target for _level, target in board.targets_by_level(mine.key, mine.mode, limits) if target != donor]
        for target in targets[:_EXCHANGE_TARGETS]:
            if _after(board, target, limits, (1, weight)) > excess:
                break
            if not board.below_peaks(target, weight):
                continue
            theirs = _smaller(board, donor, target, weight, limits, ceiling)
            if theirs is not None and _swap(board, mine, theirs, donor, target):
                return donor, target
    return ()


def _smaller(
    board: Board, donor: str, target: str, weight: Vector, limits: Vector, ceiling: float
) -> Optional[Candidate]:
    best: Optional[tuple[float, str, Candidate]] = None
    for other in board.movable_on(target):
        back = _held_weight(board, other)
        reached = max(
            _after(board, donor, limits, (-1, weight), (1, back)),
            _after(board, target, limits, (1, weight), (-1, back)),
        )
        if not board.below_peaks(donor, back, weight):
            continue
        if reached <= ceiling and (best is None or (reached, other.key) < best[:2]):
            best = (reached, other.key, other)
    return best[2] if best else None


def _swap(board: Board, mine: Candidate, theirs: Candidate, donor: str, target: str) -> bool:
    if board.affordable(mine.key) or not board.possible(mine.key, target, mine.mode):
        return False
    length = len(board.proposals)
    reason = board.levels.describe(donor, target)
    board.take(mine.key, target, mine.mode, reason)
    if board.affordable(theirs.key) or not board.possible(theirs.key, donor, theirs.mode):
        board.rewind(length)
        return False
    board.take(theirs.key, donor, theirs.mode, f"makes room on {target} for {mine.key}, a larger VM of {donor}")
    return True


def _held_weight(board: Board, candidate: Candidate) -> Vector:
    """What the VM weighs where it is."""
    state = board.books.nodes[board.machine(candidate.key).node]
    return board.levels.weight(state.machines[candidate.key])


def _alike(board: Board, candidate: Candidate) -> tuple[object, ...]:
    """VMs of one node with equal values here are equally good to move, unless rules between pods tell them apart."""
    vm = board.machine(candidate.key)
    allowed = board.books.placement.allowed(vm, candidate.mode or LIVE)
    group = candidate.key if board.books.in_groups(vm.key) else ""
    return (_held_weight(board, candidate), candidate.mode, round(candidate.cost, 3), allowed, group)
