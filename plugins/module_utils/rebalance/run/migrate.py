# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One attempt to move a VM live: from the migration object to its outcome, one small step at a time.

Every step can be repeated: the migration's name follows from run, move and attempt, so it exists at most once, and a
process that finds it goes on watching it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Callable, Optional

from ... import names
from ...cluster.gateway import Object
from ...cluster.model import Migration, MigrationState
from ...cluster.resources import MIGRATIONS
from ...errors import ApiError, Conflict, Forbidden, NotFound, Unreachable
from ...migration.precopy import completion_timeout_seconds
from ...times import seconds_between
from ..plan import LIVE, Move
from ..record import FAILED, SUCCEEDED, WAITING
from .crew import Crew
from .explain import Diagnoses, explain
from .limits import BLOCKING_CONDITIONS
from .live import SeenMigration
from .outcome import Ending, Outcome, arrived, conclude, failed, skipped
from .steer import HOSTNAME, Note, make_note, parse_note, place_patch, restore_patch

UNSCHEDULABLE_TIMEOUT = "kubevirt.io/migrationUnschedulablePodTimeoutSeconds"
# a migration's final phase is written before the rest of its status
_SETTLE_SECONDS = 5.0
# a migration that no watch has shown for so long is asked for
_UNSEEN_SECONDS = 10.0
_STEER_SECONDS = 60.0
_CANCEL_SECONDS = 300.0
# what KubeVirt may take beside copying: preparing the target, switching over, cleaning up
_SLACK_SECONDS = 300.0
# seconds per gigabyte where KubeVirt itself sets no limit: its own default
_UNLIMITED_PER_GIB = 150
# a move is late when a step takes this many times what was predicted for all of it, and at least so long
_LATE_TIMES = 2.0
_LATE_SECONDS = 60.0
# how the scheduler's message is told from those of events
_SCHEDULER = "unschedulable: "


class LiveFlight:
    """A live move under way. advance() as often as you like; it returns the outcome once there is one."""

    mode = LIVE

    def __init__(self, crew: Crew, move: Move, attempt: int) -> None:
        self.move = move
        self.attempt = attempt
        self.name = names.migration_name(crew.run_id, move.id, attempt)
        self._crew = crew
        self._step: Callable[[], bool] = self._begin
        self._since = crew.clock()
        self._note: Optional[Note] = None
        self._outcome: Optional[Outcome] = None
        self._phase_since: dict[str, float] = {}
        self._cancelled = ("", "")
        self._explained: set[str] = set()
        self._diagnoses: Diagnoses = ()

    @property
    def started_at(self) -> str:
        """When the migration object was made (cluster's time), empty if that was not seen yet."""
        seen = self._seen()
        return seen.migration.created if seen else ""

    def advance(self) -> Optional[Outcome]:
        """Do what is due and return the outcome, None while it is under way. Raises ApiError; then call it again."""
        while self._step():
            if self._outcome is not None and self._note is None:
                return self._outcome
        return None

    def cancel(self, code: str, text: str) -> None:
        """Ask for the migration to be given up, for a reason that becomes its outcome."""
        if not self._cancelled[0]:
            self._cancelled = (code, text)

    # Each step returns True when another one is due at once.

    def _go(self, step: Callable[[], bool]) -> bool:
        self._step = step
        self._since = self._crew.clock()
        return True

    def _end(self, outcome: Outcome) -> bool:
        self._outcome = outcome
        return self._go(self._restore) if self._note is not None else True

    def _waited(self) -> float:
        return self._crew.clock() - self._since

    def _begin(self) -> bool:
        seen = self._seen()
        if seen is not None and not seen.gone:  # made by a process that did not live to see its end
            self._note = self._found_note()
            return self._go(self._watch)
        return self._go(self._create if self._crew.targeted else self._steer)

    def _found_note(self) -> Optional[Note]:
        vm = self._crew.view.machines.get(self.move.key)
        text = vm.annotations.get(names.STEERED_MOVE) if vm else None
        return parse_note(text) if text else None

    def _steer(self) -> bool:
        move = self.move
        vm = self._crew.read_vm(move.namespace, move.name)
        if vm is None:
            return self._end(failed("cannot_steer", "without a VirtualMachine it cannot be aimed at a node"))
        text = (vm["metadata"].get("annotations") or {}).get(names.STEERED_MOVE)
        if text:
            self._note = parse_note(text)
            return self._go(self._await_selector)
        crew = self._crew
        note = make_note(vm, crew.run_id, move, crew.hostname(move.source), crew.hostname(move.target), "")
        try:
            crew.patch_vm(move.namespace, move.name, place_patch(vm, note))
        except Conflict:
            return False
        self._note = note
        return self._go(self._await_selector)

    def _await_selector(self) -> bool:
        vm = self._crew.view.machines.get(self.move.key)
        selector = vm.instance.spec.node_selector if vm and vm.instance else {}
        if self._note is not None and selector.get(HOSTNAME) == self._note.hostname:
            return self._go(self._create)
        if self._waited() > _STEER_SECONDS:
            return self._end(failed("steering_not_applied", "the VM did not take the node selector for the move"))
        return False

    def _create(self) -> bool:
        crew, move = self._crew, self.move
        body = self._body()
        try:
            item = crew.write(lambda: crew.gateway.create(MIGRATIONS, body, namespace=move.namespace))
        except Unreachable:
            raise
        except ApiError as error:
            if crew.targeted and 'unknown field "spec.addedNodeSelector"' in error.message:
                crew.targeted = False
                return self._go(self._steer)
            # the answer to an earlier try may have been lost; webhooks refuse before the name is looked at
            found = self._existing()
            if found is None:
                return self._end(_refusal(error))
            item = found
        crew.view.take_migration(item)
        return self._go(self._watch)

    def _existing(self) -> Optional[Object]:
        try:
            return self._crew.gateway.get(MIGRATIONS, self.name, self.move.namespace)
        except NotFound:
            return None

    def _body(self) -> Object:
        crew, move = self._crew, self.move
        timeout = crew.options.unschedulable_timeout_seconds
        spec: Object = {"vmiName": move.name}
        if self._note is None:
            spec["addedNodeSelector"] = {HOSTNAME: crew.hostname(move.target)}
        return {
            "apiVersion": MIGRATIONS.api_version,
            "kind": MIGRATIONS.kind,
            "metadata": {
                "name": self.name,
                "namespace": move.namespace,
                "labels": {names.RUN: crew.run_id, names.MOVE: names.move_label(move.id)},
                "annotations": {UNSCHEDULABLE_TIMEOUT: str(timeout)},
            },
            "spec": spec,
        }

    def _seen(self) -> Optional[SeenMigration]:
        return self._crew.view.migrations.get(f"{self.move.namespace}/{self.name}")

    def _watch(self) -> bool:
        seen = self._seen()
        if seen is None:
            return self._look_for_it() if self._waited() > _UNSEEN_SECONDS else False
        migration = seen.migration
        if seen.settled or migration.final:
            ended = self._phase_since.setdefault("final", self._crew.clock())
            complete = seen.settled or (migration.state is not None and bool(migration.state.end))
            if complete or self._crew.clock() - ended > _SETTLE_SECONDS:
                return self._go(self._settle)
            return False
        self._check_deadlines(migration)
        return self._go(self._delete) if self._cancelled[0] else False

    def _look_for_it(self) -> bool:
        item = self._existing()
        if item is None:
            return self._vanished()
        self._crew.view.take_migration(item)
        return True

    def _vanished(self) -> bool:
        """Nobody saw how the migration ended, and its object is gone; where the VM is tells."""
        vm = self._crew.read_instance(self.move.namespace, self.move.name)
        if vm is not None and vm.running and vm.node == self.move.target:
            return self._end(Outcome(SUCCEEDED, reached=vm.node))
        return self._end(failed("cancelled", f"the migration {self.name} vanished", reached=vm.node if vm else ""))

    def _check_deadlines(self, migration: Migration) -> None:
        options = self._crew.options
        now = self._crew.clock()
        copying = migration.phase not in ("", "Pending", "Scheduling")
        kind = "copying" if copying else "scheduling" if migration.phase == "Scheduling" else "pending"
        waited = now - self._phase_since.setdefault(kind, now)
        if waited > self._patience() and kind not in self._explained:
            self._explained.add(kind)
            self._explain(migration)
        if kind == "pending" and waited > options.pending_timeout_seconds:
            blocking = [name for name in BLOCKING_CONDITIONS if name in migration.conditions]
            code = "quota" if "migrationRejectedByResourceQuota" in blocking else "not_started"
            self.cancel(code, f"still pending after {waited:.0f} s" + (f" ({', '.join(blocking)})" if blocking else ""))
        elif kind == "scheduling" and waited > options.unschedulable_timeout_seconds + _SLACK_SECONDS:
            self.cancel("target_pod_failed", f"the target pod was not ready after {waited:.0f} s")
        elif copying and waited > self._copy_timeout() and self._mode() != "PostCopy":
            self.cancel("migration_timeout", f"the migration had not ended after {waited:.0f} s")
        if self._cancelled[0]:
            self._explain(migration)

    def _patience(self) -> float:
        return max(_LATE_SECONDS, _LATE_TIMES * self.move.predicted.duration_seconds)

    def _explain(self, migration: Migration) -> None:
        """Find out why it is late while the cluster still shows it."""
        state, events = self._state(migration), self._events(migration)
        self._diagnoses = explain(self._crew, migration, state, events, is_late=True) or self._diagnoses

    def _mode(self) -> str:
        vm = self._crew.view.machines.get(self.move.key)
        state = vm.instance.migration_state if vm and vm.instance else None
        return state.mode if state else ""

    def _completion_limit(self) -> float:
        """After how many seconds of copying KubeVirt gives up; 0 for never, or if it is not known."""
        crew, key = self._crew, self.move.key
        vm = crew.view.machines.get(key)
        usual = crew.settings.completion_timeout_per_gib if crew.settings else 0
        per_gib = crew.view.completion_timeouts.get(key, usual)
        return completion_timeout_seconds(vm.instance.spec.guest_memory_bytes, per_gib) if vm and vm.instance else 0.0

    def _copy_timeout(self) -> float:
        if self._crew.options.migration_timeout_seconds is not None:
            return float(self._crew.options.migration_timeout_seconds)
        vm = self._crew.view.machines.get(self.move.key)
        guest = vm.instance.spec.guest_memory_bytes if vm and vm.instance else 0
        limit = self._completion_limit() or completion_timeout_seconds(guest, _UNLIMITED_PER_GIB)
        # a guest that is paused to let the copy complete gets the limit once more
        twice = self._crew.settings is not None and self._crew.settings.allow_workload_disruption
        return limit * (2 if twice else 1) + _SLACK_SECONDS

    def _delete(self) -> bool:
        crew, move = self._crew, self.move
        seen = self._seen()
        uid = seen.migration.uid if seen else None
        try:
            crew.write(lambda: crew.gateway.delete(MIGRATIONS, self.name, namespace=move.namespace, uid=uid))
        except (NotFound, Conflict):
            return self._go(self._settle)
        return self._go(self._await_cancelled)

    def _await_cancelled(self) -> bool:
        seen = self._seen()
        if seen is None or seen.settled:
            return self._go(self._settle)
        if self._waited() > _CANCEL_SECONDS:
            text = f"{self._cancelled[1]}; its cancellation was not confirmed within {_CANCEL_SECONDS:.0f} s"
            hint = f"Look at VirtualMachineInstanceMigration {self.move.namespace}/{self.name} and at virt-handler."
            return self._end(failed("cancel_not_confirmed", text, hint=hint))
        return False

    def _settle(self) -> bool:
        crew, move = self._crew, self.move
        vm = crew.read_instance(move.namespace, move.name)
        seen = self._seen()
        if seen is None:
            return self._vanished()
        if seen.gone and not seen.migration.final:
            # a list that was read before the migration was made lacks it, too
            item = self._existing()
            if item is not None:
                crew.view.retake_migration(item)
                return self._go(self._watch)
        state = self._state(seen.migration)
        node = crew.view.nodes.get(move.target)
        ending = Ending(
            target=move.target,
            migration=seen.migration,
            state=state,
            vm_exists=vm is not None and not (vm.deleting and vm.has_vm),
            node=vm.node if vm and vm.running else "",
            target_ready=node is not None and node.ready,
            cancelled_code=self._cancelled[0],
            cancelled=self._cancelled[1],
            copy_seconds=seconds_between(state.start, state.end) if state else None,
            limit_seconds=self._completion_limit() or None,
        )
        if not arrived(ending):
            ending = replace(ending, events=self._events(seen.migration))
        return self._end(self._explained_end(conclude(ending), ending))

    def _explained_end(self, outcome: Outcome, ending: Ending) -> Outcome:
        """Return the outcome with what made it fail, or late; what was seen before it was cancelled counts then."""
        if outcome.status == SUCCEEDED:
            took = seconds_between(outcome.started_at, outcome.ended_at) or 0.0
            if took <= self._patience():
                return outcome
            found = explain(self._crew, ending.migration, ending.state, (), is_late=True)
            return replace(outcome, diagnoses=found or self._diagnoses)
        if outcome.status != FAILED:
            return outcome
        if ending.cancelled_code and self._diagnoses:
            return replace(outcome, diagnoses=self._diagnoses)
        events = [event for event in ending.events if not event.startswith(_SCHEDULER)]
        found = explain(self._crew, ending.migration, ending.state, events, cancelled=ending.cancelled)
        return replace(outcome, diagnoses=found or self._diagnoses)

    def _state(self, migration: Migration) -> Optional[MigrationState]:
        if migration.state is not None and migration.state.migration_uid == migration.uid:
            return migration.state
        vm = self._crew.view.machines.get(self.move.key)
        state = vm.instance.migration_state if vm and vm.instance else None
        return state if state is not None and state.migration_uid == migration.uid else None

    def _events(self, migration: Migration) -> list[str]:
        crew, move = self._crew, self.move
        since = migration.created
        found = crew.events(move.namespace, "VirtualMachineInstance", move.name, since)
        found += crew.events(move.namespace, MIGRATIONS.kind, self.name, since)
        told = crew.view.unschedulable.get(migration.uid)
        return found + ([f"{_SCHEDULER}{told}"] if told else [])

    def _restore(self) -> bool:
        move = self.move
        vm = self._crew.read_vm(move.namespace, move.name)
        if vm is not None and self._note is not None:
            try:
                self._crew.patch_vm(move.namespace, move.name, restore_patch(vm, self._note))
            except Conflict:
                return False
            except NotFound:
                pass
        self._note = None
        return True


def _refusal(error: ApiError) -> Outcome:
    """Return what a refused creation means. Admission webhooks of KubeVirt answer 400 and 422 with a text only
    (migration-create-admitter.go)."""
    text = error.message
    if "in-flight migration detected" in text:
        return Outcome(WAITING, "migrating", "another migration of this VM is under way")
    if "Cannot migrate VMI" in text:
        code = "vm_stopped" if "finalized state" in text else "not_migratable"
        return skipped(code, text.split("denied the request: ")[-1], hint="vm_rwx_check tells every reason.")
    if isinstance(error, NotFound) or "does not exist" in text or "being terminated" in text:
        return skipped("vm_gone", text.split("denied the request: ")[-1])
    if isinstance(error, Forbidden) and error.reason == "Forbidden":
        raise error
    return failed("refused", text, hint=error.hint)
