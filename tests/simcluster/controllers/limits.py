"""How many migrations may run, and when one that waits is looked at again. Pure.

Source: KubeVirt pkg/virt-controller/watch/migration/migration.go (findRunningMigrations, outboundMigrationsOnNode,
handleTargetPodCreation), pkg/util/migrations/migrations.go (priorities).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

Obj = dict[str, Any]
PRIORITIES = {"system-critical": 100, "user-triggered": 50, "system-maintenance": 20, "": 0}
_DEFAULTS: Obj = {
    "allowAutoConverge": False,
    "allowPostCopy": False,
    "bandwidthPerMigration": "0",
    "completionTimeoutPerGiB": 150,
    "maxDowntimeMs": 900,
    "nodeDrainTaintKey": "kubevirt.io/drain",
    "parallelMigrationsPerCluster": 5,
    "parallelOutboundMigrationsPerNode": 2,
    "progressTimeout": 150,
    "unsafeMigrationOverride": False,
    "utilityVolumesTimeout": 150,
}
UNSCHEDULABLE_SECONDS = 300
PENDING_SECONDS = 900


@dataclass(frozen=True)
class Active:
    """A migration that holds a slot: the nodes it counts as leaving (its instance's node, and a source on record)."""

    uid: str
    leaving: frozenset[str]


def migration_configuration(configuration: Obj) -> Obj:
    """The cluster's migration configuration, complete (virt-config.go, GetMigrationConfiguration)."""
    merged = {**_DEFAULTS, **{k: v for k, v in (configuration.get("migrations") or {}).items() if v is not None}}
    merged.setdefault("allowWorkloadDisruption", merged["allowPostCopy"])
    return merged


def may_start(active: Iterable[Active], source_node: str, limits: Obj) -> bool:
    """Whether one more migration may leave C(source_node)."""
    known = list(active)
    if len(known) >= int(limits["parallelMigrationsPerCluster"]):
        return False
    outbound = sum(source_node in each.leaving for each in known)
    return outbound < int(limits["parallelOutboundMigrationsPerNode"])


def requeue_seconds(priority: str) -> float:
    """When a migration that has to wait is looked at again."""
    return {"system-critical": 1.0, "user-triggered": 3.0}.get(priority, 5.0)


def pending_limit_seconds(migration: Obj, unschedulable: bool) -> float:
    """How long a target pod may stay pending; annotations of the migration override it."""
    annotations: dict[str, str] = migration["metadata"].get("annotations") or {}
    name, default = (
        ("kubevirt.io/migrationUnschedulablePodTimeoutSeconds", UNSCHEDULABLE_SECONDS)
        if unschedulable
        else ("kubevirt.io/migrationPendingPodTimeoutSeconds", PENDING_SECONDS)
    )
    text = annotations.get(name, "")
    return float(text) if text.isdigit() else float(default)


def backoff_seconds(failures: int) -> float:
    """How long an evacuation waits after so many failures in a row (20 s, doubling)."""
    return 0.0 if failures <= 0 else 20.0 * 2 ** (failures - 1)
