# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Migrations that have not ended, and which of them hold a slot of KubeVirt's limits."""

from __future__ import annotations

from collections import Counter
from typing import Mapping

from ..cluster.model import Migration, Snapshot

# phases of a migration that holds a slot whatever its pods look like
HOLDING_PHASES = ("Scheduling", "Scheduled", "PreparingTarget", "TargetReady", "Running")
# annotations of migrations that KubeVirt itself creates
EVACUATION = "kubevirt.io/evacuationMigration"
WORKLOAD_UPDATE = "kubevirt.io/workloadUpdateMigration"


def unfinished(snapshot: Snapshot) -> tuple[Migration, ...]:
    """Return the migrations that have neither succeeded nor failed."""
    return tuple(item for item in snapshot.migrations if not item.final)


def active(snapshot: Snapshot) -> tuple[Migration, ...]:
    """Return the migrations that hold a slot; pending ones without a target pod do not.

    Source: KubeVirt pkg/virt-controller/watch/migration/migration.go, findRunningMigrations.
    """
    with_pod = {pod.migration_uid for pod in snapshot.pods if pod.migration_uid}
    return tuple(item for item in unfinished(snapshot) if item.phase in HOLDING_PHASES or item.uid in with_pod)


def outbound(snapshot: Snapshot, migrations: tuple[Migration, ...]) -> Mapping[str, int]:
    """Return how many of the migrations leave each node: the one the VM is on and the one its last migration left.

    Source: KubeVirt pkg/virt-controller/watch/migration/migration.go, outboundMigrationsOnNode.
    """
    leaving: Counter[str] = Counter()
    for migration in migrations:
        vm = snapshot.virtual_machines.get(f"{migration.namespace}/{migration.vmi}")
        if vm is None or vm.instance is None:
            continue
        state = vm.instance.migration_state
        leaving.update({node for node in (vm.instance.node, state.source_node if state else "") if node})
    return leaving
