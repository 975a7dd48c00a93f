# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Place given VMs: those of nodes to be drained, and those that somebody wants on a certain node.

Where a VM finds no room, another one is moved out of its way first; where wanted moves block each other in a circle,
one VM is parked on a third node meanwhile.
"""

from __future__ import annotations

from itertools import combinations
from typing import Iterable, Optional, Sequence

from .board import Board
from .candidates import Candidate
from .plan import LIVE
from .request import ExplicitMove
from .rules import Refusal

_AWAY_TARGETS = 40
_AWAY_GROUPS = 12
_LISTED_NODES = 3


def drain(board: Board, nodes: Sequence[str]) -> dict[str, list[str]]:
    """Move everything movable off the nodes, the largest VMs first, each to the node that stays lowest.

    Returns the VMs that stay, with every reason.
    """
    waiting = []
    stay: dict[str, list[str]] = {}
    for node in nodes:
        for vm in board.books.machines_on(node):
            candidate = board.candidates.get(vm.key)
            if candidate is None or vm.node != node:
                continue
            if board.free(candidate):
                waiting.append(candidate)
            elif candidate.obstacles:
                stay[vm.key] = list(candidate.obstacles)
    rooms = {name: board.books.nodes[name].node.allocatable for name in nodes}
    waiting.sort(key=lambda item: (-_size(board, item, rooms[item.node]), item.key))
    homeless = []
    for candidate in waiting:
        limit = board.affordable(candidate.key)
        if limit:
            stay[candidate.key] = [limit]
        elif not _place(board, candidate):
            homeless.append(candidate)
    for candidate in homeless:
        limit = board.affordable(candidate.key)
        if not limit and (_place(board, candidate) or _make_room(board, candidate)):
            continue
        stay[candidate.key] = [limit] if limit else why_nowhere(board, candidate)
    return stay


def fulfil(board: Board, wanted: Sequence[ExplicitMove]) -> dict[str, list[str]]:
    """Make the moves that somebody asked for, in any order that works; return the others, with every reason."""
    length = len(board.proposals)
    refused = _fulfil(board, wanted, parking=True)
    targets = {move.key: move.target for move in wanted}
    if any(board.machine(item.key).node != targets[item.key] for item in board.proposals[length:]):
        # something would stay parked: better nothing is parked at all
        board.rewind(length)
        refused = _fulfil(board, wanted, parking=False)
    return refused


def _fulfil(board: Board, wanted: Sequence[ExplicitMove], parking: bool) -> dict[str, list[str]]:
    refused: dict[str, list[str]] = {}
    waiting = []
    for move in wanted:
        candidate = board.candidates.get(move.key)
        if candidate is None:
            refused[move.key] = ["it does not run, so it is on no node"]
        elif candidate.node == move.target:
            refused[move.key] = [f"it runs on {move.target} already"]
        elif not candidate.mode:
            refused[move.key] = list(candidate.obstacles)
        else:
            waiting.append((candidate, move.target))
    board.settled.update(move.key for move in wanted)
    while waiting:
        rest = [(candidate, target) for candidate, target in waiting if not _fulfil_one(board, candidate, target)]
        if len(rest) == len(waiting) and not (parking and _park_one(board, rest)):
            for candidate, target in rest:
                limit = board.affordable(candidate.key)
                reasons = [refusal.message for refusal in board.refusals(candidate.key, target, candidate.mode)]
                refused[candidate.key] = [limit] if limit else reasons
            break
        waiting = rest
    return refused


def why_nowhere(board: Board, candidate: Candidate) -> list[str]:
    """Return, in a few sentences, why no node takes the VM: the refusals of all nodes by kind, the commonest first."""
    kinds: dict[str, list[Refusal]] = {}
    nodes = 0
    for name in board.levels.members:
        if name == candidate.node:
            continue
        nodes += 1
        for refusal in board.refusals(candidate.key, name, candidate.mode):
            kinds.setdefault(refusal.code, []).append(refusal)
    if not nodes:
        return ["there is no other node that runs VMs"]
    sentences = []
    for refusals in sorted(kinds.values(), key=len, reverse=True):
        shown = "; ".join(refusal.message for refusal in refusals[:_LISTED_NODES])
        rest = len(refusals) - _LISTED_NODES
        sentences.append(shown + (f"; {rest} more nodes alike" if rest > 0 else ""))
    return sentences or ["no node takes it now"]


def _size(board: Board, candidate: Candidate, room: object) -> float:
    demand = board.books.demand(board.machine(candidate.key), candidate.mode)
    cpu = getattr(room, "cpu_millicores", 0) or 1
    memory = getattr(room, "memory_bytes", 0) or 1
    return max(demand.cpu / cpu, demand.memory / memory)


def _place(board: Board, candidate: Candidate, avoid: Iterable[str] = ()) -> bool:
    """Move the VM to the node that stays lowest with it."""
    source = board.machine(candidate.key).node
    target = _target(board, candidate, {source, *avoid})
    if target is None:
        return False
    board.take(candidate.key, target, candidate.mode, _drain_reason(board, source, target))
    return True


def _target(board: Board, candidate: Candidate, avoid: set[str]) -> Optional[str]:
    for _level, target in board.targets_by_level(candidate.key, candidate.mode):
        if target not in avoid and board.possible(candidate.key, target, candidate.mode):
            return target
    return None


def _drain_reason(board: Board, source: str, target: str) -> str:
    levels = board.levels
    index = max(range(len(levels.resources)), key=lambda i: levels.levels(target)[i])
    share = f"{levels.levels(target)[index]:.0%}".replace("%", " %")
    return f"{source} is to be drained; {target} is at {share} of {levels.words(levels.resources[index])}"


def _make_room(board: Board, candidate: Candidate) -> bool:
    """Move one or two other VMs away from a node that could take this one then."""
    key, mode = candidate.key, candidate.mode
    source = board.machine(key).node
    for _level, target in list(board.targets_by_level(key, mode))[:_AWAY_TARGETS]:
        for others in _in_the_way(board, candidate, target):
            length = len(board.proposals)
            away = board.room_for_moves > len(others) and all(
                _send_away(board, item, key, source, target) for item in others
            )
            if away and not board.affordable(key) and board.possible(key, target, mode):
                board.take(key, target, mode, _drain_reason(board, source, target))
                return True
            board.rewind(length)
    return False


def _in_the_way(board: Board, candidate: Candidate, target: str) -> Iterable[tuple[Candidate, ...]]:
    """Yield VMs of the target, alone and in pairs, without which it would have room; the smallest first."""
    state = board.books.nodes[target]
    wanted = board.books.demand(board.machine(candidate.key), candidate.mode)
    memory = state.memory + wanted.memory - state.limit_memory
    cpu = state.cpu + wanted.cpu - state.limit_cpu
    others = [other for other in board.movable_on(target) if other.mode == LIVE]
    groups = [(other,) for other in others] + list(combinations(others, 2))
    sizes = []
    for group in groups:
        held = [state.machines[other.key] for other in group]
        if sum(item.memory for item in held) >= memory and sum(item.cpu for item in held) >= cpu:
            sizes.append((len(group), sum(item.memory for item in held), [item.key for item in group], group))
    return [group for _count, _memory, _keys, group in sorted(sizes, key=lambda item: item[:3])[:_AWAY_GROUPS]]


def _send_away(board: Board, other: Candidate, key: str, source: str, target: str) -> bool:
    refuge = _target(board, other, {source, target})
    if refuge is None or board.affordable(other.key):
        return False
    board.take(other.key, refuge, other.mode, f"makes room on {target} for {key}")
    return True


def _fulfil_one(board: Board, candidate: Candidate, target: str) -> bool:
    if board.affordable(candidate.key) or not board.possible(candidate.key, target, candidate.mode):
        return False
    board.take(candidate.key, target, candidate.mode, "asked for")
    return True


def _park_one(board: Board, waiting: Sequence[tuple[Candidate, str]]) -> bool:
    """Park one VM of a circle of moves on a third node, such that another move of the circle becomes possible."""
    if board.room_for_moves < 2:
        return False
    taken = {target for _candidate, target in waiting}
    for candidate, target in sorted(waiting, key=lambda item: (item[0].cost, item[0].key)):
        if candidate.mode != LIVE or board.affordable(candidate.key):
            continue
        source = board.machine(candidate.key).node
        refuge = _target(board, candidate, {source, target, *taken}) or _target(board, candidate, {source, target})
        if refuge is None:
            continue
        length = len(board.proposals)
        board.take(candidate.key, refuge, LIVE, f"parked until {target} has room for it", final=False)
        if any(
            board.possible(other.key, wanted, other.mode) for other, wanted in waiting if other.key != candidate.key
        ):
            return True
        board.rewind(length)
    return False
