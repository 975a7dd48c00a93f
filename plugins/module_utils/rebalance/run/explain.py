# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Why a move of this run waits, is late or has failed: what the run knows, handed to the diagnosis of migrations."""

from __future__ import annotations

from typing import Any, Mapping, Optional, Sequence

from ...cluster.model import Migration, MigrationState, Snapshot
from ...cluster.team_labels import workload_of
from ...migration.diagnosis.case import Case, Slots, TargetPod, settings_started_with
from ...migration.diagnosis.cases import Flight, crowd, throughput_from
from ...migration.diagnosis.diagnose import diagnose, late
from ...migration.diagnosis.waiting import QUOTA_CONDITION
from .crew import Crew

Diagnoses = tuple[Mapping[str, Any], ...]


def explain(
    crew: Crew,
    migration: Migration,
    state: Optional[MigrationState],
    events: Sequence[str],
    *,
    cancelled: str = "",
    is_late: bool = False,
) -> Diagnoses:
    """Return the causes as documents, the likeliest first; empty if nothing is wrong.

    C(state) is the migration's own, C(events) are messages about it and its VM, C(cancelled) is why this run cancelled
    it. C(is_late): it takes, or took, much longer than predicted.
    """
    view = crew.view
    key = f"{migration.namespace}/{migration.vmi}"
    vm = view.machines.get(key)
    now = crew.gateway.server_time
    flights = _flights(crew)
    leaving, arriving = crowd(state, flights, now)
    case = Case(
        migration=migration,
        vm=vm,
        now=now,
        nodes=view.nodes,
        handlers=view.ready_handlers,
        cluster=crew.settings,
        own=settings_started_with(state) or crew.settings,
        state=state,
        pod=_pod(crew, migration),
        slots=_slots(crew, vm.node if vm else ""),
        events=events,
        leaving=leaving,
        arriving=arriving,
        quotas=crew.quotas(migration.namespace) if QUOTA_CONDITION in migration.conditions else (),
        # labels of the VM only; those of its namespace are not kept up to date here
        workload=workload_of(Snapshot("", ""), vm) if vm else "",
        throughput=throughput_from(state.source_node if state else "", flights, view.machines),
        cancelled=cancelled,
    )
    return tuple(item.to_dict() for item in (late(case) if is_late else diagnose(case)))


def _flights(crew: Crew) -> list[Flight]:
    found = {}
    for seen in crew.view.migrations.values():
        item = seen.migration
        if item.state is not None and item.state.start:
            found[item.state.migration_uid] = Flight(f"{item.namespace}/{item.vmi}", item.state)
    for key, vm in crew.view.machines.items():
        state = vm.instance.migration_state if vm.instance else None
        if state is not None and state.start:
            found[state.migration_uid] = Flight(key, state)
    return list(found.values())


def _pod(crew: Crew, migration: Migration) -> Optional[TargetPod]:
    message = crew.view.unschedulable.get(migration.uid, "")
    pod = crew.view.target_pod(migration.uid)
    if pod is None:
        return TargetPod("", unschedulable=message) if message else None
    return TargetPod(pod.name, pod.node, pod.phase, "" if pod.node else message, selector=pod.node_selector)


def _slots(crew: Crew, source: str) -> Slots:
    unfinished = crew.view.unfinished()
    holding = [item for item in unfinished if item.holding]
    leaving = sum(source in item.sources for item in holding)
    return Slots(len(holding), leaving, len(unfinished) - len(holding))
