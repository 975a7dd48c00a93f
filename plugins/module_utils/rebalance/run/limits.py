# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How many migrations may be in flight: the limits in force, and who holds the slots they leave. Pure.

The arithmetic is KubeVirt's (pkg/virt-controller/watch/migration/migration.go, handleTargetPodCreation,
findRunningMigrations, outboundMigrationsOnNode): a migration counts from the moment its target pod exists, whoever
started it, in the cluster and on the node that it leaves. For arrivals KubeVirt has no limit; the run has one of its
own.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any, Iterable, Mapping, Optional

from ...cluster.model import MigrationSettings
from ...errors import InvalidInput
from ..request import CLUSTER_LIMIT, DEFAULT_INBOUND, INBOUND_LIMIT, OUTBOUND_LIMIT

# conditions under which a pending migration does not ask for a slot
BLOCKING_CONDITIONS = (
    "migrationRejectedByResourceQuota",
    "migrationBlockedByUtilityVolumes",
    "migrationBlockedByBackup",
    "decentralizedMigrationBlocked",
)
# in this order pending migrations of others are let through
_PRIORITIES = {"system-critical": 0, "user-triggered": 1, "system-maintenance": 2}


@dataclass(frozen=True)
class Limits:
    """The most migrations at once: in the cluster, leaving one node, arriving at one node."""

    parallel: int
    per_source: int
    per_target: int
    source: str

    def to_dict(self) -> dict[str, Any]:
        """Return the limits as they stand in the record of a run."""
        return {
            "parallel": self.parallel,
            "per_source": self.per_source,
            "per_target": self.per_target,
            "source": self.source,
        }


def limits_in_force(
    settings: Optional[MigrationSettings],
    planned: Mapping[str, Any],
    max_parallel: Optional[int] = None,
    max_per_source: Optional[int] = None,
    max_per_target: Optional[int] = None,
) -> Limits:
    """Return the smallest of the cluster's settings, the plan's C(limits) and the run's own options (None: no limit).

    Raises InvalidInput when the settings could not be read and an option is missing, or when nothing could ever start.
    """
    if settings is None:
        missing = [
            name
            for name, value in (("max_parallel", max_parallel), ("max_per_source", max_per_source))
            if value is None
        ]
        if missing:
            raise InvalidInput(
                " and ".join(missing),
                None,
                "the cluster's migration limits could not be read, so a number is needed",
                hint="Neither a HyperConverged nor a KubeVirt object could be read; see docs/rbac for the rights.",
            )
    cluster = settings.parallel_migrations_per_cluster if settings else None
    node = settings.parallel_outbound_migrations_per_node if settings else None
    parallel = _least(max_parallel, cluster, planned.get(CLUSTER_LIMIT))
    per_source = _least(max_per_source, node, planned.get(OUTBOUND_LIMIT))
    per_target = _least(max_per_target, planned.get(INBOUND_LIMIT), default=DEFAULT_INBOUND)
    source = settings.source if settings else "the run's options"
    for name, value in (("parallelMigrationsPerCluster", parallel), ("parallelOutboundMigrationsPerNode", per_source)):
        if value < 1:
            raise InvalidInput(name, value, f"with this limit ({source}) no migration would ever start")
    return Limits(parallel, per_source, per_target, source)


def _least(*values: Optional[int], default: int = 0) -> int:
    return min((int(value) for value in values if value is not None), default=default)


@dataclass(frozen=True)
class Unfinished:
    """An unfinished migration as the limits see it.

    C(sources) are the nodes it counts as leaving: where the VM is and, since KubeVirt looks at both, where the VM's
    last migration came from. C(target) is empty while nobody knows it. C(holding): it has a target pod or is in a
    phase that has one. C(asking): it waits for a slot and takes one as soon as it may.
    """

    vm: str
    sources: frozenset[str]
    target: str = ""
    holding: bool = False
    asking: bool = False
    priority: str = ""


class Slots:
    """The slots that are taken, and whether one more migration fits. Migrations of others that ask for a slot are let
    in first: those of the system overtake ours in any case, and none is to be starved."""

    def __init__(self, limits: Limits, unfinished: Iterable[Unfinished] = ()) -> None:
        self.limits = limits
        self.taken = 0
        self._leaving: Counter[str] = Counter()
        self._arriving: Counter[str] = Counter()
        waiting = []
        for migration in unfinished:
            if migration.holding:
                self._count(migration.sources, migration.target)
            elif migration.asking:
                waiting.append(migration)
        for migration in sorted(waiting, key=lambda item: _PRIORITIES.get(item.priority, 3)):
            if self.taken < limits.parallel and all(
                self._leaving[node] < limits.per_source for node in migration.sources
            ):
                self._count(migration.sources, migration.target)

    @property
    def free(self) -> int:
        """How many more migrations the limit of the cluster allows."""
        return max(0, self.limits.parallel - self.taken)

    def refusal(self, source: str, target: str) -> str:
        """Return which limit forbids one more migration from source to target; empty if none does."""
        limits = self.limits
        if self.taken >= limits.parallel:
            return f"{self.taken} of at most {limits.parallel} migrations are running"
        if self._leaving[source] >= limits.per_source:
            return f"{self._leaving[source]} of at most {limits.per_source} migrations are leaving {source}"
        if self._arriving[target] >= limits.per_target:
            return f"{self._arriving[target]} of at most {limits.per_target} migrations are arriving at {target}"
        return ""

    def take(self, source: str, target: str) -> None:
        """Count a migration that is being started."""
        self._count(frozenset((source,)), target)

    def _count(self, sources: Iterable[str], target: str) -> None:
        self.taken += 1
        for node in sources:
            self._leaving[node] += 1
        if target:
            self._arriving[target] += 1
