# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is known of one migration that waits, runs or has failed: all that its diagnosis is a function of."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Mapping, Optional, Sequence

from ...cluster.model import Instance, Migration, MigrationSettings, MigrationState, Node, VirtualMachine
from ...times import seconds_between
from .. import hyperconverged as hco
from ..checks_machines import Quota
from ..precopy import DIRTY_RATES, completion_timeout_seconds
from ..settings import settings_from

Object = Mapping[str, Any]
_PAUSED = "Paused"


@dataclass(frozen=True)
class TargetPod:
    """The pod that a migration has made on, or for, its target. C(unschedulable) is the scheduler's message while it
    finds no node, C(waiting) what its containers wait for ("ErrImagePull: ...")."""

    name: str
    node: str = ""
    phase: str = ""
    unschedulable: str = ""
    waiting: str = ""
    created: str = ""
    selector: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Slots:
    """Who holds KubeVirt's slots: migrations in flight in the cluster and from the VM's node, and how many wait."""

    active: int
    outbound: int
    waiting: int


@dataclass(frozen=True)
class Case:
    """One migration. C(state) is its own migrationState (None before the hand-over), C(cluster) the cluster's settings,
    C(own) those that the VM gets. C(leaving) and C(arriving) are VMs whose migrations left its source or reached its
    target at the same time. C(events) are messages of the events of migration and VMI, the newest last; C(cancelled)
    why the one who diagnoses cancelled it. C(quotas) are those of its namespace; C(now) is RFC 3339, C(link)
    bytes per second of a node's link if known, C(throughput) what migrations from its source were seen to send."""

    migration: Migration
    vm: Optional[VirtualMachine]
    now: str
    nodes: Mapping[str, Node] = field(default_factory=dict)
    handlers: Mapping[str, bool] = field(default_factory=dict)
    cluster: Optional[MigrationSettings] = None
    own: Optional[MigrationSettings] = None
    state: Optional[MigrationState] = None
    pod: Optional[TargetPod] = None
    slots: Optional[Slots] = None
    events: Sequence[str] = ()
    leaving: Sequence[str] = ()
    arriving: Sequence[str] = ()
    quotas: Sequence[Quota] = ()
    workload: str = ""
    link: Optional[float] = None
    throughput: Optional[float] = None
    cancelled: str = ""

    @property
    def instance(self) -> Optional[Instance]:
        return self.vm.instance if self.vm else None

    @property
    def name(self) -> str:
        return f"{self.migration.namespace}/{self.migration.name}"

    @property
    def key(self) -> str:
        """ "namespace/name" of the VM."""
        return f"{self.migration.namespace}/{self.migration.vmi}"

    @property
    def source(self) -> str:
        """The node it leaves, empty if not known."""
        return (self.state.source_node if self.state else "") or (self.vm.node if self.vm else "")

    @property
    def target(self) -> str:
        """The node it goes to, empty before the scheduler has chosen."""
        return (self.state.target_node if self.state else "") or (self.pod.node if self.pod else "")

    @property
    def memory_bytes(self) -> int:
        return self.instance.spec.guest_memory_bytes if self.instance else 0

    @property
    def waited_seconds(self) -> Optional[float]:
        """How long it has been in its phase, None if that is not known."""
        since = self.migration.transitions.get(self.migration.phase) or self.migration.created
        return seconds_between(since, self.now)

    @property
    def copy_seconds(self) -> Optional[float]:
        """How long it copied, or copies so far."""
        if self.state is None or not self.state.start:
            return None
        return seconds_between(self.state.start, self.state.end or self.now)

    @property
    def limit_seconds(self) -> Optional[float]:
        """When KubeVirt gives the copy up; None for never, or if it is not known."""
        if self.own is None or not self.memory_bytes:
            return None
        limit = completion_timeout_seconds(self.memory_bytes, self.own.completion_timeout_per_gib)
        # a guest that is paused to let the copy end gets the time once more
        twice = self.state is not None and self.state.mode == _PAUSED
        return (2 * limit if twice else limit) or None

    @property
    def dirty_rate(self) -> float:
        """Bytes per second that the guest changes: measured, or assumed for its workload."""
        measured = self.instance.dirty_rate_bytes_per_second if self.instance else None
        return DIRTY_RATES.get(self.workload, DIRTY_RATES[""]) if measured is None else measured

    @property
    def dirty_rate_measured(self) -> bool:
        return self.instance is not None and self.instance.dirty_rate_bytes_per_second is not None

    @property
    def told(self) -> str:
        """All that events say."""
        return "; ".join(self.events)


def settings_started_with(state: Optional[MigrationState]) -> Optional[MigrationSettings]:
    """Return the settings that a migration was started with, which hold to its end; None if they are not told."""
    if state is None or not state.configuration:
        return None
    migrations: Any = state.configuration
    for name in reversed(hco.KUBEVIRT_MIGRATIONS):
        migrations = {name: migrations}
    return settings_from(None, "", migrations)


def parse_target_pod(item: Object) -> TargetPod:
    """Return what a migration's target pod, as the API writes it, tells."""
    metadata, spec, status = item["metadata"], item.get("spec") or {}, item.get("status") or {}
    return TargetPod(
        name=metadata["name"],
        node=spec.get("nodeName") or "",
        phase=status.get("phase") or "",
        unschedulable=unschedulable_message(item),
        waiting=_waiting(status),
        created=metadata.get("creationTimestamp") or "",
        selector=spec.get("nodeSelector") or {},
    )


def unschedulable_message(item: Object) -> str:
    """Return the scheduler's message about a pod that it finds no node for, empty if it does not say so."""
    for condition in (item.get("status") or {}).get("conditions") or ():
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            return str(condition.get("message") or condition.get("reason") or "")
    return ""


def _waiting(status: Object) -> str:
    for kind in ("initContainerStatuses", "containerStatuses"):
        for container in status.get(kind) or ():
            waiting = (container.get("state") or {}).get("waiting") or {}
            if waiting.get("reason"):
                return ": ".join(part for part in (waiting["reason"], waiting.get("message")) if part)
    return ""
