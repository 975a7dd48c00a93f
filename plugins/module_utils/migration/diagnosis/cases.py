# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which migrations of a cluster are in trouble, with all that is known of each."""

from __future__ import annotations

from dataclasses import dataclass, field
from statistics import median
from typing import Any, Collection, Iterable, Mapping, Optional, Sequence

from ...cluster.model import Migration, MigrationState, Snapshot, VirtualMachine
from ...cluster.team_labels import workload_of
from ...times import seconds_between
from ..checks_machines import Quota
from ..in_flight import active, outbound, unfinished
from ..policies.precedence import settings_for
from .case import Case, Slots, TargetPod, settings_started_with
from .diagnose import diagnose

Object = Mapping[str, Any]
FAILED = "Failed"
SUCCEEDED = "Succeeded"
_RECENT_SECONDS = 86400.0
# events of the end may come a little later
_EVENT_SLACK_SECONDS = 60.0
# times are whole seconds: a shorter copy says too little
_TELLING_SECONDS = 5.0


@dataclass(frozen=True)
class Message:
    """What an event says, and when (RFC 3339)."""

    time: str
    text: str


@dataclass(frozen=True)
class Observed:
    """What a snapshot does not hold: target pods by the migration's UID, and messages of events by the object they are
    about ("Kind namespace/name"), the oldest first."""

    pods: Mapping[str, TargetPod] = field(default_factory=dict)
    messages: Mapping[str, Sequence[Message]] = field(default_factory=dict)


@dataclass(frozen=True)
class Flight:
    """The copying part of a migration of the VM C(key)."""

    key: str
    state: MigrationState


def message_of(event: Object) -> Optional[tuple[str, Message]]:
    """Return (the object it is about, the message) of an event that tells of trouble; None for any other.

    These are warnings, and the deletion of a target pod, which KubeVirt reports as a normal event.
    """
    if event.get("type") != "Warning" and event.get("reason") != "SuccessfulDelete":
        return None
    about = event.get("involvedObject") or {}
    time = event.get("lastTimestamp") or event.get("eventTime") or event["metadata"].get("creationTimestamp") or ""
    name = f"{about.get('kind', '')} {about.get('namespace', '')}/{about.get('name', '')}"
    return name, Message(time, str(event.get("message") or ""))


def troubled(snapshot: Snapshot, keys: Collection[str]) -> list[Migration]:
    """Return the migrations of these VMs ("namespace/name") that may need a diagnosis: those under way, and those that
    have failed within a day and since the VM's last success. KubeVirt keeps five ended ones of each VM."""
    own = [item for item in snapshot.migrations if f"{item.namespace}/{item.vmi}" in keys]
    succeeded: dict[str, str] = {}
    for item in own:
        if item.phase == SUCCEEDED:
            key = f"{item.namespace}/{item.vmi}"
            succeeded[key] = max(succeeded.get(key, ""), item.created)
    return [
        item
        for item in own
        if not item.final
        or (
            item.phase == FAILED
            and item.created > succeeded.get(f"{item.namespace}/{item.vmi}", "")
            and (seconds_between(_ended(item), snapshot.captured_at) or 0.0) <= _RECENT_SECONDS
        )
    ]


def diagnoses(
    snapshot: Snapshot, keys: Collection[str], observed: Observed, quotas: Optional[Iterable[Quota]] = None
) -> list[dict[str, Any]]:
    """Return one entry for each cause found of each migration in trouble (JSON types), migrations under way first.

    C(quotas) are those of the cluster, None if they were not read.
    """
    entries = []
    flights = flights_of(snapshot)
    wanted = sorted(troubled(snapshot, keys), key=lambda item: (item.final, item.namespace, item.vmi, item.created))
    for migration in wanted:
        case = _case(snapshot, migration, observed, flights, tuple(quotas or ()))
        for diagnosis in diagnose(case):
            entries.append(
                {
                    "namespace": migration.namespace,
                    "name": migration.vmi,
                    "migration": migration.name,
                    "phase": migration.phase,
                    "created_at": migration.created,
                    "ended_at": _ended(migration) if migration.final else "",
                    "source_node": case.source,
                    "target_node": case.target,
                    **diagnosis.to_dict(),
                }
            )
    return entries


def lines(entries: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return one line for people for each entry of diagnoses."""
    found = []
    for entry in entries:
        settings = [f"{item['option']} {item['suggested']} ({item['module']})" for item in entry["settings"]]
        change = f" Would change it: {', '.join(settings)}." if settings else ""
        found.append(
            f"{entry['namespace']}/{entry['name']}, {entry['phase'] or 'new'} ({entry['symptom']}): "
            f"{entry['likely_cause']} {entry['evidence'][0]}{change}"
        )
    return found


def flights_of(snapshot: Snapshot) -> list[Flight]:
    """Return all migrations that are known to have copied, or to copy."""
    found = {}
    for item in snapshot.migrations:
        if item.state is not None and item.state.start:
            found[item.state.migration_uid] = Flight(f"{item.namespace}/{item.vmi}", item.state)
    for vm in snapshot.virtual_machines.values():
        state = vm.instance.migration_state if vm.instance else None
        if state is not None and state.start:
            found[state.migration_uid] = Flight(vm.key, state)
    return [found[uid] for uid in sorted(found)]


def crowd(state: Optional[MigrationState], flights: Iterable[Flight], now: str) -> tuple[list[str], list[str]]:
    """Return the other VMs whose migrations left this one's source, and reached its target, while it copied."""
    if state is None or not state.start:
        return [], []
    end = state.end or now
    together = [
        flight
        for flight in flights
        if flight.state.migration_uid != state.migration_uid
        and flight.state.start < end
        and (flight.state.end or now) > state.start
    ]
    leaving = sorted({item.key for item in together if item.state.source_node == state.source_node})
    arriving = sorted({item.key for item in together if item.state.target_node == state.target_node})
    return leaving, arriving


def throughput_from(node: str, flights: Iterable[Flight], vms: Mapping[str, VirtualMachine]) -> Optional[float]:
    """Return the bytes per second that migrations which left a node and succeeded have sent, their median; None if
    there was none that took long enough to tell. What a VM has touched of its memory counts as sent once."""
    rates = []
    for flight in flights:
        state, vm = flight.state, vms.get(flight.key)
        instance = vm.instance if vm else None
        seconds = seconds_between(state.start, state.end) or 0.0
        if state.source_node != node or not state.completed or state.failed or instance is None:
            continue
        if seconds >= _TELLING_SECONDS:
            memory = instance.spec.guest_memory_bytes
            rates.append((min(memory, instance.usage.memory_bytes) if instance.usage else memory) / seconds)
    return median(rates) if rates else None


def own_state(migration: Migration, of_instance: Optional[MigrationState]) -> Optional[MigrationState]:
    """Return how this very migration goes or went: its own copy, or the instance's; None before the hand-over."""
    for state in (migration.state, of_instance):
        if state is not None and state.migration_uid == migration.uid:
            return state
    return None


def _case(
    snapshot: Snapshot, migration: Migration, observed: Observed, flights: Sequence[Flight], quotas: Sequence[Quota]
) -> Case:
    key = f"{migration.namespace}/{migration.vmi}"
    vm = snapshot.virtual_machines.get(key)
    state = own_state(migration, vm.instance.migration_state if vm and vm.instance else None)
    leaving, arriving = crowd(state, flights, snapshot.captured_at)
    cluster = snapshot.virtualization.settings
    own = settings_started_with(state)
    if own is None and vm is not None and cluster is not None:
        labels = snapshot.namespaces.get(vm.namespace, {})
        own = settings_for(vm, cluster, snapshot.migration_policies, labels)
    return Case(
        migration=migration,
        vm=vm,
        now=snapshot.captured_at,
        nodes=snapshot.nodes,
        handlers=snapshot.virtualization.virt_handler_ready,
        cluster=cluster,
        own=own,
        state=state,
        pod=observed.pods.get(migration.uid) or _known_pod(snapshot, migration),
        slots=_slots(snapshot, vm.node if vm else ""),
        events=_events(migration, observed),
        leaving=leaving,
        arriving=arriving,
        quotas=[quota for quota in quotas if quota.namespace == migration.namespace],
        workload=workload_of(snapshot, vm) if vm else "",
        throughput=throughput_from(state.source_node if state else "", flights, snapshot.virtual_machines),
    )


def _known_pod(snapshot: Snapshot, migration: Migration) -> Optional[TargetPod]:
    for pod in snapshot.pods:
        if pod.migration_uid == migration.uid and not migration.final:
            return TargetPod(pod.name, pod.node, pod.phase, selector=pod.node_selector)
    return None


def _slots(snapshot: Snapshot, source: str) -> Slots:
    running = active(snapshot)
    waiting = len(unfinished(snapshot)) - len(running)
    return Slots(len(running), outbound(snapshot, running).get(source, 0), waiting)


def _events(migration: Migration, observed: Observed) -> list[str]:
    """Messages about the migration, and about its VM while it was under way, the newest last."""
    place = migration.namespace
    found = [*observed.messages.get(f"VirtualMachineInstanceMigration {place}/{migration.name}", ())]
    ended = _ended(migration) if migration.final else ""
    for message in observed.messages.get(f"VirtualMachineInstance {place}/{migration.vmi}", ()):
        after = seconds_between(ended, message.time) if ended else None
        if message.time >= migration.created and (after is None or after <= _EVENT_SLACK_SECONDS):
            found.append(message)
    return [message.text for message in sorted(found, key=lambda message: message.time)]


def _ended(migration: Migration) -> str:
    return (migration.state.end if migration.state else "") or migration.transitions.get(migration.phase, "")
