# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Order moves into stages and waves such that every intermediate state is feasible.

A wave's arrivals are all charged before any of its sources is released. Moves that need room, or a place free of their
anti-affinity group, that an earlier move makes, name it in C(after): with these waited for, the moves of a stage may
also overlap beyond waves.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Callable, Mapping, Optional, Sequence

from .board import Proposal
from .candidates import Candidate
from .occupancy import Occupancy
from .plan import ALL, CANARY, COLD
from .request import PlanRequest
from .tiers import TIERS

BooksMaker = Callable[[], Occupancy]


@dataclass
class Arrangement:
    """Stages in order, each with its waves of proposals. C(after) and C(refused) are by proposal number: what it must
    wait for; why it could be fitted in nowhere."""

    stages: list[tuple[str, list[list[Proposal]]]] = field(default_factory=list)
    after: dict[int, list[int]] = field(default_factory=dict)
    refused: dict[int, list[str]] = field(default_factory=dict)


def arrange(
    proposals: Sequence[Proposal], candidates: Mapping[str, Candidate], request: PlanRequest, books: BooksMaker
) -> Arrangement:
    """Return the moves in stages and waves; C(books) makes the books of the present state, each time anew.

    At first tiers come before everything else; if that leaves moves stuck, moves that share a node keep the order they
    were found in, which is known to work, and wait for a later stage where they must.
    """
    left = list(proposals)
    best: Optional[Arrangement] = None
    for keep_order in (False, True):
        tried = _Arranger(left, candidates, request, books(), books(), keep_order).run()
        if best is None or len(tried.refused) < len(best.refused):
            best = tried
        if not best.refused:
            return best
    if best is None:
        raise AssertionError("there is always a first try")
    # a VM that cannot make its last move makes none: it would end where nobody wants it
    keys = {proposal.key for proposal in proposals if proposal.number in best.refused}
    halves = [proposal for proposal in proposals if proposal.key in keys and proposal.number not in best.refused]
    if halves:
        rest = [proposal for proposal in proposals if proposal.key not in keys]
        again = arrange(rest, candidates, request, books)
        again.refused.update(best.refused)
        return again
    return best


class _Arranger:
    """One attempt. C(now) are the books with earlier waves completed, C(worst) those in which nothing has left yet but
    what a later move waits for."""

    def __init__(
        self,
        proposals: Sequence[Proposal],
        candidates: Mapping[str, Candidate],
        request: PlanRequest,
        now: Occupancy,
        worst: Occupancy,
        keep_order: bool,
    ) -> None:
        self._proposals = proposals
        self._candidates = candidates
        self._request = request
        self._now = now
        self._worst = worst
        self._keep_order = keep_order
        self._done: dict[int, Proposal] = {}
        self._released: dict[str, list[int]] = {}  # node -> moves whose departure a later arrival waits for
        self._result = Arrangement()
        self._open: dict[str, set[int]] = {}  # node -> moves that touch it and are still to be made
        for proposal in proposals:
            for node in (proposal.source, proposal.target):
                self._open.setdefault(node, set()).add(proposal.number)
        worst.node_loss = None
        self._former: dict[int, int] = {}
        last: dict[str, int] = {}
        for proposal in proposals:
            if proposal.key in last:
                self._former[proposal.number] = last[proposal.key]
            last[proposal.key] = proposal.number

    def run(self) -> Arrangement:
        """Return the attempt's result."""
        waiting: list[Proposal] = []
        canaries = self._canaries()
        rest = [proposal for proposal in self._proposals if proposal not in canaries]
        if self._request.stages:
            parts = [(CANARY, canaries)]
            parts += [(tier, [item for item in rest if self._tier(item) == tier]) for tier in TIERS]
        else:
            parts = [(ALL, rest)]
        for stage, own in parts:
            waves, waiting = self._waves(self._ordered(waiting + own))
            if waves:
                self._result.stages.append((stage, waves))
        for proposal in waiting:
            refusals = self._now.why_not(self._now.machines[proposal.key], proposal.target, proposal.mode)
            self._result.refused[proposal.number] = [refusal.message for refusal in refusals] or [
                "a move that it waits for cannot be made"
            ]
        return self._result

    def _tier(self, proposal: Proposal) -> str:
        return self._candidates[proposal.key].tier

    def _canaries(self) -> list[Proposal]:
        """The first moves: of the least critical VMs, the cheapest, if they can be made at once."""
        count = min(self._request.canary, len(self._proposals) // 2) if self._request.stages else 0
        chosen: list[Proposal] = []
        twice = set(self._former.values())
        ranked = sorted(
            self._proposals,
            key=lambda item: (TIERS.index(self._tier(item)), self._candidates[item.key].cost, item.number),
        )
        for proposal in ranked:
            if len(chosen) >= count:
                break
            if proposal.mode == COLD or proposal.number in self._former or proposal.number in twice:
                continue
            if not self._in_turn(proposal):
                continue
            if not self._now.why_not(self._now.machines[proposal.key], proposal.target, proposal.mode):
                chosen.append(proposal)
        return chosen

    def _ordered(self, proposals: Sequence[Proposal]) -> list[Proposal]:
        """Live before cold; turn by turn of the sources, the one with most to send first; small VMs first."""
        work: dict[str, float] = {}
        by_source: dict[str, list[Proposal]] = {}
        for proposal in proposals:
            by_source.setdefault(proposal.source, []).append(proposal)
            work[proposal.source] = work.get(proposal.source, 0.0) + self._seconds(proposal)
        turn: dict[int, int] = {}
        for own in by_source.values():
            own.sort(key=lambda item: (item.mode == COLD, self._seconds(item), item.number))
            turn.update({item.number: index for index, item in enumerate(own)})
        return sorted(
            proposals,
            key=lambda item: (item.mode == COLD, turn[item.number], -work[item.source], item.source, item.number),
        )

    def _seconds(self, proposal: Proposal) -> float:
        return self._candidates[proposal.key].forecast.prediction.duration_seconds

    def _waves(self, waiting: list[Proposal]) -> tuple[list[list[Proposal]], list[Proposal]]:
        """Return the waves that can be made of the waiting moves, and the moves left over."""
        waves = []
        while waiting:
            wave: list[Proposal] = []
            left: list[Proposal] = []
            for proposal in waiting:
                if len(wave) < self._request.wave_size and self._starts(proposal):
                    self._now.reserve(proposal.key, proposal.target, proposal.mode)
                    self._result.after[proposal.number] = self._wait_for(proposal)
                    wave.append(proposal)
                else:
                    left.append(proposal)
            if not wave:
                break
            for proposal in wave:
                self._now.moved(proposal.key, proposal.target)
                self._done[proposal.number] = proposal
                for node in (proposal.source, proposal.target):
                    self._open[node].discard(proposal.number)
            waves.append(wave)
            waiting = left
        return waves, waiting

    def _starts(self, proposal: Proposal) -> bool:
        former = self._former.get(proposal.number)
        if former is not None and former not in self._done:
            return False
        if not self._in_turn(proposal):
            return False
        return not self._now.why_not(self._now.machines[proposal.key], proposal.target, proposal.mode)

    def _in_turn(self, proposal: Proposal) -> bool:
        """With the order kept: no earlier move that touches one of its nodes is still to be made."""
        if not self._keep_order:
            return True
        return all(min(self._open[node]) == proposal.number for node in (proposal.source, proposal.target))

    def _wait_for(self, proposal: Proposal) -> list[int]:
        """Return the earlier moves that must have ended before this one can start, whatever else has not."""
        worst = self._worst
        needed: set[int] = set()
        former = self._former.get(proposal.number)
        if former is not None:
            self._let_go(self._done[former])
            needed.add(former)
        needed.update(self._released.get(proposal.target, ()))
        departures = [done for done in self._done.values() if done.source == proposal.target]
        departures += [done for done in self._done.values() if done.source != proposal.target]
        for done in departures:
            if not worst.why_not(worst.machines[proposal.key], proposal.target, proposal.mode):
                break
            if done.number not in needed and self._let_go(done):
                needed.add(done.number)
        worst.reserve(proposal.key, proposal.target, proposal.mode)
        return sorted(needed)

    def _let_go(self, done: Proposal) -> bool:
        """Release the source of a move in the worst books; tell whether it was not released before."""
        released = self._released.setdefault(done.source, [])
        if done.number in released:
            return False
        released.append(done.number)
        self._worst.moved(done.key, done.target)
        return True
