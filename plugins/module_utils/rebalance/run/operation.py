# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""rebalance_run as one call: checks the plan and the rights, takes the Lease, executes, and tells the result."""

from __future__ import annotations

import os
import socket
import time
import uuid
from datetime import datetime
from typing import Any, Callable, Mapping, Optional

from ... import names
from ...cluster.assemble import CLUSTER_NAMESPACE
from ...cluster.capture import capture
from ...cluster.gateway import Gateway
from ...cluster.model import Snapshot
from ...cluster.resources import (
    ACTIVE_PODS,
    CONFIG_MAPS,
    KUBEVIRTS,
    MIGRATIONS,
    NAMESPACES,
    NODES,
    PODS,
    VIRTUAL_MACHINE_INSTANCES,
    VIRTUAL_MACHINES,
    hyperconvergeds,
)
from ...errors import ApiError, InvalidInput, OcpvError, Unreachable
from .. import record as states
from ..plan import Plan, edited, parse_plan
from ..plan_file import read_document
from ..record import RunRecord
from ..rules import parse_rules
from ..verify import verify_plan
from . import live
from .begin import new_record, reopen
from .crew import Crew
from .executor import Executor
from .feed import Topic, WatchFeed
from .interrupt import Interruption
from .lease import Lease, LeaseUncertain
from .limits import Limits, limits_in_force
from .live import LiveView
from .options import RunOptions, parse_options
from .progress import ProgressFile
from .rights import check_rights
from .state import StateStore, Stored, prune

_PARTS = (
    "nodes", "namespaces", "virtual_machines", "pods", "claims", "migrations", "policies", "virtualization",
)  # fmt: skip
# one call of the API may try so long before the loop looks at everything else again
_CALL_SECONDS = 5.0


def run_plan(module: Any, connect: Callable[[], Gateway]) -> Mapping[str, Any]:
    """Execute, go on with, or (in check mode) only check the plan of a module call; returns the module's result."""
    options = parse_options(module.params)
    document = module.params["plan"]
    if document is None:
        document = read_document(module.params["plan_file"])
    plan = parse_plan(document)
    if options.approved_digest and options.approved_digest != plan.digest:
        raise InvalidInput(
            "approved_digest",
            options.approved_digest,
            f"the plan's digest is {plan.digest}",
            hint="The plan is not the one that was approved. Have this one approved, or run the approved one.",
        )
    gateway = connect()
    gateway.server_version()
    run = Run(gateway, options, plan, document)
    result = run.preview() if module.check_mode else run.execute(module.warn)
    return _finish(module, options, result)


class Run:
    """One call of the module. C(clock), C(sleep), C(lease) and C(watch) (it makes the feed) are for tests that play."""

    def __init__(
        self,
        gateway: Gateway,
        options: RunOptions,
        plan: Plan,
        document: Any,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        lease: Optional[Lease] = None,
        watch: Callable[[Gateway, list[Topic]], WatchFeed] = WatchFeed,
    ) -> None:
        self._clock = clock
        self._sleep = sleep
        self._watch = watch
        self._gateway = gateway.with_retry_seconds(min(_CALL_SECONDS, options.api_patience_seconds))
        self._patient = gateway
        self._options = options
        self._plan = plan
        self._document = document
        identity = f"{plan.run_id}/{socket.gethostname()}/{os.getpid()}-{uuid.uuid4().hex[:6]}"
        self._lease = lease or Lease(gateway, options.state_namespace, identity, options.lease_seconds)
        self._store = StateStore(gateway, options.state_namespace, plan.run_id, identity)
        self._progress = ProgressFile(options.progress_path, clock)
        self._interruption = Interruption(self._progress)

    # -- check mode --------------------------------------------------------------------------------------------------

    def preview(self) -> dict[str, Any]:
        """Return what a run would do, without writing anything."""
        stored = self._store.load()
        self._check_plan(stored)
        record = stored.record if stored else new_record(self._plan)
        if stored and not reopen(record, self._options.retry_failed):
            return self._told(record, stored, changed=False)
        snapshot = capture(self._patient, _PARTS)
        self._check_nodes(snapshot)
        record.limits = self._limits(snapshot).to_dict()
        problems = verify_plan(snapshot, self._plan)
        for problem in problems:
            item = next((item for item in record.items if item.id == problem.move), None)
            if item is not None and item.status == states.WAITING:
                item.code, item.message = problem.code, problem.message
        return {
            **self._told(record, stored, changed=any(item.status == states.WAITING for item in record.items)),
            "problems": [{"move": item.move, "code": item.code, "message": item.message} for item in problems],
        }

    # -- acting ------------------------------------------------------------------------------------------------------

    def execute(self, warn: Callable[[str], None]) -> dict[str, Any]:
        """Execute the plan, or go on with it."""
        stored = self._store.load()
        self._check_plan(stored)
        if stored and not reopen(stored.record, self._options.retry_failed):
            self._lease.clear()
            return self._result(stored.record, stored, changed=False)
        check_rights(self._patient, self._plan, self._options.state_namespace)
        self._progress.begin()
        self._lease.acquire(self._options.wait_for_lease_seconds, self._progress.tell)
        self._lease.start()
        restore_signals = self._interruption.listen()
        try:
            return self._act(warn)
        finally:
            restore_signals()
            self._lease.release()

    def _act(self, warn: Callable[[str], None]) -> dict[str, Any]:
        stored = self._store.load()
        if stored and not reopen(stored.record, self._options.retry_failed):
            return self._result(stored.record, stored, changed=False)
        feed = self._watch(self._patient, self._topics())
        feed.mark()
        snapshot = capture(self._patient, _PARTS)
        self._check_nodes(snapshot)
        limits = self._limits(snapshot)
        virtualization = snapshot.virtualization
        view = LiveView(snapshot, parse_rules(self._plan.request.get("rules") or {}), self._clock())
        crew = Crew(
            self._plan.run_id,
            self._gateway,
            self._lease,
            view,
            self._options,
            self._clock,
            virtualization.settings,
            virtualization.targeted_migration is not False,
        )
        check_rights(self._patient, self._plan, self._options.state_namespace, steering=not crew.targeted)
        record = self._begin(stored, snapshot, crew, limits)
        self._store.use(self._gateway)
        feed.start()
        executor = Executor(
            self._plan, record, crew, feed, self._store, self._progress, self._reader(crew), self._interruption.why
        )
        self._interruption.wake = feed.wake
        try:
            executor.run()
        except OcpvError as error:
            raise self._resumable(error) from error
        finally:
            feed.stop()
        if record.status == states.COMPLETED and self._options.keep_runs is not None:
            prune(self._gateway, self._options.state_namespace, self._options.keep_runs, record.run_id)
        for text in record.warnings:
            warn(text)
        return self._result(record, stored, changed=crew.changed)

    def _begin(self, stored: Optional[Stored], snapshot: Snapshot, crew: Crew, limits: Limits) -> RunRecord:
        """Return the record to go on with, saved before anything is done."""
        now = self._patient.server_time
        if stored is not None:
            record = stored.record
            record.resumed += 1
            record.status, record.message, record.hint, record.ended_at = states.RUNNING, "", "", ""
            record.limits = limits.to_dict()
            self._persist(lambda: self._store.save(record, answered=True))
            return record
        record = new_record(self._plan)
        record.started_at = now
        record.limits = limits.to_dict()
        record.nodes_before = crew.node_loads()
        if edited(self._document, self._plan):
            # nobody has looked at these steps as a whole yet; each is looked at again just before it in any case
            record.warnings.append("the plan was edited since it was made")
            record.warnings += [problem.message for problem in verify_plan(snapshot, self._plan)]
        self._persist(lambda: self._store.create(self._plan.to_dict(), record))
        return record

    def _persist(self, write: Callable[[], None]) -> None:
        """Write the state, however often the API server has to be asked; it can be written twice."""
        started = self._clock()
        while True:
            try:
                self._lease.assert_held()
                write()
                return
            except (ApiError, LeaseUncertain) as error:
                passing = isinstance(error, (Unreachable, LeaseUncertain)) or error.status >= 500
                if not passing or self._clock() - started >= self._options.api_patience_seconds:
                    raise
            self._sleep(1.0)

    def _topics(self) -> list[Topic]:
        selector = f"{names.RUN}={self._plan.run_id},{names.CONTENT}=state"
        topics = [
            Topic(live.NODES, NODES),
            Topic(live.MACHINES, VIRTUAL_MACHINES),
            Topic(live.INSTANCES, VIRTUAL_MACHINE_INSTANCES),
            Topic(live.MIGRATIONS, MIGRATIONS),
            Topic(live.PODS, PODS, field_selector=ACTIVE_PODS),
            Topic(live.STATE, CONFIG_MAPS, self._options.state_namespace, selector, optional=True),
            Topic(live.SETTINGS, KUBEVIRTS, optional=True),
        ]
        versions = self._patient.served_versions(hyperconvergeds("v1").group)
        if versions:
            topics.append(Topic(live.OPERATOR, hyperconvergeds(versions[0]), optional=True))
        return topics

    def _reader(self, crew: Crew) -> Callable[[], Limits]:
        def read() -> Limits:
            virtualization = capture(self._gateway, ("virtualization",)).virtualization
            crew.settings = virtualization.settings or crew.settings
            crew.view.handlers(virtualization.virt_handler_ready)
            try:
                return self._limits_of(crew.settings)
            except InvalidInput as error:
                self._progress.tell(f"nothing can start: {error.message}")
                return Limits(0, 0, 0, error.message)

        return read

    # -- checks ------------------------------------------------------------------------------------------------------

    def _check_plan(self, stored: Optional[Stored]) -> None:
        uid = self._patient.get(NAMESPACES, CLUSTER_NAMESPACE)["metadata"]["uid"]
        if uid != self._plan.cluster_uid:
            raise InvalidInput(
                "plan.cluster.uid",
                self._plan.cluster_uid,
                f"this is cluster {uid} ({self._gateway.host})",
                hint="Connect to the cluster that the plan was made for, or make a plan for this one.",
            )
        if stored is None and self._options.max_plan_age_seconds:
            self._check_age()

    def _check_age(self) -> None:
        limit = self._options.max_plan_age_seconds
        hint = "Make a new plan; raise max_plan_age_seconds if nothing has changed since."
        try:
            created = datetime.fromisoformat(self._plan.created_at.replace("Z", "+00:00"))
            now = datetime.fromisoformat(self._gateway.server_time.replace("Z", "+00:00"))
            age = (now - created).total_seconds()
        except (ValueError, TypeError):
            raise InvalidInput(
                "plan.created_at", self._plan.created_at, "a time such as 2026-11-21T08:00:00Z is needed", hint=hint
            ) from None
        if age > limit:
            text = f"the plan is {age / 3600:.1f} hours old, at most {limit / 3600:.1f} are allowed"
            raise InvalidInput("plan.created_at", self._plan.created_at, text, hint=hint)

    def _check_nodes(self, snapshot: Snapshot) -> None:
        unknown = sorted(
            {node for move in self._plan.moves for node in (move.source, move.target)} - set(snapshot.nodes)
        )
        if unknown:
            raise InvalidInput(
                "plan",
                unknown,
                "it names nodes that this cluster does not have",
                hint="Edit the plan or make a new one.",
            )

    def _limits(self, snapshot: Snapshot) -> Limits:
        return self._limits_of(snapshot.virtualization.settings)

    def _limits_of(self, settings: Any) -> Limits:
        options = self._options
        return limits_in_force(
            settings, self._plan.limits, options.max_parallel, options.max_per_source, options.max_per_target
        )

    # -- telling -----------------------------------------------------------------------------------------------------

    def _result(self, record: RunRecord, stored: Optional[Stored], *, changed: bool) -> dict[str, Any]:
        return {**self._told(record, stored, changed=changed), "state": self._store.location}

    def _told(self, record: RunRecord, stored: Optional[Stored], *, changed: bool) -> dict[str, Any]:
        return {
            "changed": changed,
            "run": record.to_dict(),
            # the plan that is given may have been looked at again since, when part of it was done
            "plan": dict(stored.plan) if stored else self._plan.to_dict(),
            "counts": record.counts(),
            "resumed": record.resumed,
        }

    def _resumable(self, error: OcpvError) -> OcpvError:
        hint = f"{error.hint} Run the same plan again to go on: its state is in {self._store.location}.".strip()
        error.hint = hint
        error.details["run"] = self._plan.run_id
        return error


def _finish(module: Any, options: RunOptions, result: dict[str, Any]) -> Mapping[str, Any]:
    """Return the result, or fail with it if the run did not go as it should."""
    run = result["run"]
    bad = [move for move in run["moves"] if move["status"] == states.FAILED]
    stopped = run["status"] == states.STOPPED
    if module.check_mode or options.fail_on == "never" or not (stopped or (bad and options.fail_on == "failed_moves")):
        return result
    lines = [
        f"{move['namespace']}/{move['name']} ({move['source']} to {move['target']}): {move['message']} {move['hint']}"
        for move in bad
    ]
    reason = run["message"] if stopped else f"{len(bad)} of {len(run['moves'])} moves failed"
    counts = ", ".join(f"{count} {status.replace('_', ' ')}" for status, count in result["counts"].items() if count)
    module.fail_json(
        msg="\n".join([f"Run {run['run_id']} {run['status']}: {reason} ({counts}).", *lines, run["hint"]]).strip(),
        hint=run["hint"],
        error="RunFailed",
        **result,
    )
    raise AssertionError("unreachable")
