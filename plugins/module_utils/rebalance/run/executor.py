# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The loop of a run: takes what happened, advances what is under way, starts what may start, and writes it all down.

One thread decides. It is woken by the feed, keeps every slot filled that the limits and the rules allow, saves the
record before it acts, and can be interrupted anywhere: what it needs to go on is in the cluster.
"""

from __future__ import annotations

from collections import Counter
from typing import Any, Callable, Optional, Union

from ...cluster import api_errors
from ...errors import ApiError, Forbidden, OcpvError, Unauthorized, Unreachable
from ...times import seconds_between
from .. import record as states
from ..plan import COLD, LIVE, Move, Plan
from ..record import Attempt, Item, RunRecord, StageRecord
from . import judge as judging
from .choose import Starter
from .crew import Crew
from .feed import Feed
from .lease import LeaseUncertain
from .limits import Limits
from .migrate import LiveFlight
from .outcome import ELSEWHERE, Outcome, failed
from .progress import Effort, ProgressFile, describe
from .recover import Recovery
from .restart import ColdFlight
from .state import PAUSE, STOP, StateStore

Flight = Union[LiveFlight, ColdFlight]

# how the run ends before its plan does
LEAVE = "leave"  # at once: whoever started this process is gone; what is in flight is left to the next call
_POLL_SECONDS = 0.5
# watches broken for longer than this show too old a picture to start anything by
_STALE_SECONDS = 10.0
# at the end, so long the pods that VMs have left may take to go before the loads are told with them
_SETTLE_SECONDS = 10.0
# one migration that the server keeps refusing to take must not hold up the others
_REFUSED_SECONDS = 60.0
_TROUBLE = (Unreachable, LeaseUncertain)


class Executor:
    """Executes a plan. The record is kept up to date in place.

    C(read_limits) reads the limits in force again. C(interrupted) returns why this process should end before the plan
    does (pause, leave), empty if it should not.
    """

    def __init__(
        self,
        plan: Plan,
        record: RunRecord,
        crew: Crew,
        feed: Feed,
        store: StateStore,
        progress: ProgressFile,
        read_limits: Callable[[], Limits],
        interrupted: Callable[[], str] = lambda: "",
    ) -> None:
        self.record = record
        self._plan = plan
        self._crew = crew
        self._feed = feed
        self._store = store
        self._progress = progress
        self._read_limits = read_limits
        self._interrupted = interrupted
        self._moves = {move.id: move for move in plan.moves}
        self._items = {item.id: item for item in record.items}
        self._flights: dict[str, Flight] = {}
        self._refused_since: dict[str, float] = {}
        self._chores: list[Any] = []
        self._ending = ""
        self._dirty = False
        self._trouble_since: Optional[float] = None
        self._failed_in_call = 0
        self._warned: set[str] = set()
        self._began = crew.clock()
        self._ended_before = frozenset(item.id for item in record.items if item.status in states.ITEM_ENDED)
        self._starter = Starter(plan, record, crew)

    # -- the run -----------------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Go on with the plan until it is done, stopped, paused or left. Raises OcpvError when it cannot go on; the
        state then is as good as when it was last saved, and a later call goes on from there."""
        recovery = Recovery(self._plan, self.record, self._crew)
        self._flights.update(recovery.flights())
        self._chores = recovery.chores()
        self._dirty = True
        for stage in self.record.stages:
            if self._ending:
                break
            self._run_stage(stage)
        while self._chores and self._ending != LEAVE:
            self._guarded(lambda: self._turn(None))
        self._finish()

    def _run_stage(self, stage: StageRecord) -> None:
        if not self._left(stage):
            return
        stage.status = states.RUNNING
        stage.started_at = stage.started_at or self._crew.gateway.server_time
        self._dirty = True
        self._crew.view.settings_changed = True
        while self._ending != LEAVE and self._left(stage, states.IN_FLIGHT if self._ending else ""):
            self._guarded(lambda: self._turn(stage))
        stage.status = self._stage_status()
        if self._ending == STOP:
            own = self._counts(stage)
            stage.succeeded_before, stage.failed_before = own[states.SUCCEEDED], own[states.FAILED]
        stage.ended_at = self._crew.gateway.server_time
        self._dirty = True

    def _turn(self, stage: Optional[StageRecord]) -> None:
        """Once around: look, advance, judge, start, tell."""
        crew = self._crew
        for event in self._feed.poll(_POLL_SECONDS):
            crew.view.apply(event, crew.clock())
        self._heed()
        trouble = self._advance()
        if stage is not None:
            self._judge(stage)
            if not self._ending and trouble is None and self._feed.troubled_seconds() < _STALE_SECONDS:
                self._start(stage)
        if self._dirty:
            self._save()
        self._tell(stage)
        if trouble is not None:
            raise trouble

    def _guarded(self, turn: Callable[[], None]) -> None:
        """Do one turn; go on through trouble with the API for as long as the options allow."""
        crew = self._crew
        try:
            turn()
        except _TROUBLE as error:
            now = crew.clock()
            if self._trouble_since is None:
                self._trouble_since = now
                self._progress.tell(f"waiting for the API server: {error.message}")
            if now - self._trouble_since >= crew.options.api_patience_seconds:
                raise
            self._heed()
            for event in self._feed.poll(1.0):
                crew.view.apply(event, crew.clock())
        else:
            if self._trouble_since is not None:
                self._progress.tell("the API server answers again")
            self._trouble_since = None
        if self._feed.troubled_seconds() > crew.options.api_patience_seconds:
            raise Unreachable(
                "Could not watch the cluster: the API server does not answer.", hint=api_errors.REACH_HINT
            )

    # -- what is under way -------------------------------------------------------------------------------------------

    def _advance(self) -> Optional[OcpvError]:
        """Advance all flights and chores; returns trouble that one of them met, after the others had their turn."""
        trouble: Optional[OcpvError] = None
        for chore in list(self._chores):
            try:
                told = chore.advance()
            except _TROUBLE as error:
                trouble = error
                continue
            except Unauthorized:
                raise
            except ApiError as error:
                told = f"what an earlier run left could not be cleaned up: {error.message}"
            if told:
                self._chores.remove(chore)
                self._warn(told)
        for identity, flight in list(self._flights.items()):
            try:
                outcome = flight.advance()
            except _TROUBLE as error:
                outcome = self._refused(identity, flight, error)
                if outcome is None:
                    trouble = error
            except Unauthorized:
                raise
            except ApiError as error:
                code = "forbidden" if isinstance(error, Forbidden) else "refused"
                outcome = failed(code, error.message, hint=error.hint)
                if code == "forbidden":
                    self._end(STOP, error.message)
            else:
                self._refused_since.pop(identity, None)
            if outcome is not None:
                self._landed(self._items[identity], flight, outcome)
        return trouble

    def _refused(self, identity: str, flight: Flight, error: OcpvError) -> Optional[Outcome]:
        """Give up a migration that the server, which answers, does not take for a while."""
        if not isinstance(error, Unreachable) or error.status < 500 or flight.started_at or flight.mode == COLD:
            return None
        since = self._refused_since.setdefault(identity, self._crew.clock())
        if self._crew.clock() - since < _REFUSED_SECONDS:
            return None
        return failed("server_error", error.message, retryable=True, hint=error.hint)

    def _landed(self, item: Item, flight: Flight, outcome: Outcome) -> None:
        """Book the end of an attempt."""
        del self._flights[item.id]
        self._dirty = True
        view, move = self._crew.view, self._moves[item.id]
        attempt = item.attempts[-1]
        if outcome.status == states.WAITING:
            item.attempts.pop()
            item.status = states.WAITING
            view.books.release(move.key, move.target)
            self._starter.later(item.id, 5.0)
            return
        attempt.started_at = outcome.started_at or attempt.started_at or flight.started_at
        attempt.ended_at = outcome.ended_at or self._crew.gateway.server_time
        attempt.result = outcome.status
        attempt.reason = f"{outcome.code}: {outcome.message}" if outcome.code else outcome.message
        item.code, item.message, item.hint, item.reached = outcome.code, outcome.message, outcome.hint, outcome.reached
        item.diagnoses = list(outcome.diagnoses)
        if outcome.status == states.SUCCEEDED:
            item.status = states.SUCCEEDED
            item.actual_seconds = seconds_between(attempt.started_at, attempt.ended_at)
            if move.key in view.books.machines:
                view.books.moved(move.key, move.target)
                view.count_again(move.key)
            return
        view.books.release(move.key, move.target)
        tries = len(item.attempts)
        if outcome.retryable and item.mode == LIVE and tries < self._crew.options.attempts and not self._ending:
            item.status = states.WAITING
            self._starter.later(item.id, float(self._crew.options.retry_delay_seconds))
            self._progress.tell(f"{_named(item)}: attempt {tries} failed, will be tried again: {outcome.message}")
            return
        self._decide(item, outcome)

    def _decide(self, item: Item, outcome: Outcome) -> None:
        """Write down that a move is over without having been made. One that was tried and cannot be tried again has
        failed, unless the VM has left its source meanwhile."""
        if outcome.status == states.SKIPPED and item.attempts and outcome.code not in ELSEWHERE:
            text = f"{item.attempts[-1].reason}; it could not be tried again: {outcome.message}"
            outcome = failed(outcome.code, text, hint=outcome.hint, reached=outcome.reached)
        item.status, item.code, item.message, item.hint = outcome.status, outcome.code, outcome.message, outcome.hint
        item.reached = outcome.reached or item.reached
        self._dirty = True
        if item.status == states.FAILED:
            self._failed_in_call += 1
        self._progress.tell(f"{_named(item)}: {item.status}: {outcome.message}")

    # -- starting ----------------------------------------------------------------------------------------------------

    def _start(self, stage: StageRecord) -> None:
        crew = self._crew
        if crew.view.settings_changed:
            crew.view.settings_changed = False
            limits = self._read_limits()
            self.record.limits = limits.to_dict()
            self._starter.limits = limits
        chosen = self._starter.choose(stage.name, self._flights)
        for item, outcome in self._starter.decided:
            self._decide(item, outcome)
        for text in self._starter.cautions:
            self._warn(text)
        if not chosen:
            return
        for item in chosen:
            number = item.attempts[-1].number + 1 if item.attempts else 1
            flight = self._flight(self._moves[item.id], number)
            name = flight.name if isinstance(flight, LiveFlight) else ""
            item.attempts.append(Attempt(number, name, started_at=crew.gateway.server_time))
            item.status, item.code, item.message, item.hint = states.IN_FLIGHT, "", "", ""
            self._flights[item.id] = flight
        self._save()
        trouble = self._advance()
        if trouble is not None:
            raise trouble

    def _flight(self, move: Move, number: int) -> Flight:
        return ColdFlight(self._crew, move.key, move) if move.mode == COLD else LiveFlight(self._crew, move, number)

    def _left(self, stage: StageRecord, status: str = "") -> bool:
        """Whether moves of the stage are still to come or under way (or in this status)."""
        wanted = (status,) if status else (states.WAITING, states.IN_FLIGHT)
        return any(item.stage == stage.name and item.status in wanted for item in self.record.items)

    def _counts(self, stage: StageRecord) -> Counter[str]:
        return Counter(item.status for item in self.record.items if item.stage == stage.name)

    # -- judging and ending ------------------------------------------------------------------------------------------

    def _judge(self, stage: StageRecord) -> None:
        counts = self._counts(stage)
        succeeded = counts[states.SUCCEEDED] - stage.succeeded_before
        bad = counts[states.FAILED] - stage.failed_before
        total = sum(counts.values()) - counts[states.SKIPPED] - stage.succeeded_before - stage.failed_before
        verdict = judging.judge(stage.name, total, succeeded, bad, self._failed_in_call, self._crew.options.thresholds)
        if verdict.level == judging.OK:
            return
        stage.message = verdict.message
        if verdict.level == judging.WARNING:
            self._warn(verdict.message, about=stage.name)
        elif not self._ending:
            self._end(STOP, verdict.message)

    def _heed(self) -> None:
        """Do what people ask for by signals or on the state's ConfigMap."""
        why = self._interrupted()
        if why == LEAVE:
            self._end(LEAVE, "the process was told to end at once, or its caller has gone")
        elif why:
            self._end(PAUSE, "the process was told to end (signal)")
        elif self._crew.view.request:
            self._end(self._crew.view.request, f"{self._crew.view.request} was asked for on {self._store.location}")

    def _end(self, how: str, why: str) -> None:
        if self._ending == LEAVE or self._ending == how or (self._ending and how != LEAVE):
            return
        self._ending = how
        self.record.message = why
        self._dirty = True
        waits = f"; {len(self._flights)} in flight are waited for" if self._flights and how != LEAVE else ""
        self._progress.tell(f"{'stopping' if how == STOP else 'pausing'}: {why}{waits}")
        if self._crew.options.cancel_in_flight and how != LEAVE:
            for flight in self._flights.values():
                if isinstance(flight, LiveFlight):
                    flight.cancel("cancelled", f"cancelled by this run: {why}")

    def _stage_status(self) -> str:
        if not self._ending:
            return states.COMPLETED
        return states.STOPPED if self._ending == STOP else states.PAUSED

    def _finish(self) -> None:
        record = self.record
        for item in record.items:
            if item.status == states.WAITING:
                item.status = states.NOT_ATTEMPTED
        record.status = states.COMPLETED
        if self._ending:
            record.status = states.STOPPED if self._ending == STOP else states.PAUSED
            record.hint = "Run the same plan again to go on with what is not done."
        else:
            record.message = ""
            record.hint = ""
        record.ended_at = self._crew.gateway.server_time
        if self._ending != LEAVE:
            self._settle()
        record.nodes_after = self._crew.node_loads()
        self._dirty = True
        done = False

        def save() -> None:
            nonlocal done
            self._store.save(record, answered=True)
            done = True

        while not done:
            self._guarded(save)
            if self._ending == LEAVE:
                break
        self._tell(next((stage for stage in reversed(record.stages) if stage.started_at), None), last=True)

    def _settle(self) -> None:
        """Wait until no VM that was moved holds two nodes any more: its old pod goes a little after the migration."""
        crew = self._crew
        moved = {self._moves[item.id].key for item in self.record.items if item.status == states.SUCCEEDED}
        since = crew.clock()
        while crew.clock() - since < _SETTLE_SECONDS and self._feed.troubled_seconds() == 0:
            if not any(len(crew.view.books.held_on(key)) > 1 for key in moved):
                return
            for event in self._feed.poll(_POLL_SECONDS):
                crew.view.apply(event, crew.clock())

    # -- telling -----------------------------------------------------------------------------------------------------

    def _save(self) -> None:
        self._crew.assert_held()
        self._store.save(self.record)
        self._dirty = False

    def _warn(self, text: str, about: str = "") -> None:
        """Tell a warning, once for what it is about (default: once this text)."""
        if (about or text) not in self._warned:
            self._warned.add(about or text)
            self.record.warnings.append(text)
            self._progress.tell(f"warning: {text}")
            self._dirty = True

    def _tell(self, stage: Optional[StageRecord], *, last: bool = False) -> None:
        if stage is None:
            return
        effort = Effort(
            elapsed_seconds=self._crew.clock() - self._began,
            planned_seconds=max((move.predicted.end_seconds for move in self._plan.moves), default=0.0),
            ended_before=self._ended_before,
        )
        self._progress.show(describe(self.record, stage.name, effort), last=last)


def _named(item: Item) -> str:
    return f"{item.namespace}/{item.name} ({item.source} to {item.target})"
