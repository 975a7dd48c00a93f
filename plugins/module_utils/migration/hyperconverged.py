# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where the live-migration settings stand in a HyperConverged, whose API versions are laid out differently.

The only place that knows these field names. Source: hyperconverged-cluster-operator api/v1/hyperconverged_types.go
(LiveMigrationConfigurations) and api/v1beta1/conversion.go.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Mapping, Optional

Path = tuple[str, ...]


@dataclass(frozen=True)
class Layout:
    """Paths of a HyperConverged's parts in one API version, from the top of the object."""

    live_migration: Path


# by API version, without the group
LAYOUTS: Mapping[str, Layout] = {
    "v1beta1": Layout(live_migration=("spec", "liveMigrationConfig")),
    "v1": Layout(live_migration=("spec", "virtualization", "liveMigrationConfig")),
}
# KubeVirt has the same fields under another name
KUBEVIRT_MIGRATIONS: Path = ("spec", "configuration", "migrations")

PARALLEL_PER_CLUSTER = "parallelMigrationsPerCluster"
PARALLEL_OUTBOUND_PER_NODE = "parallelOutboundMigrationsPerNode"
COMPLETION_TIMEOUT_PER_GIB = "completionTimeoutPerGiB"
PROGRESS_TIMEOUT = "progressTimeout"
BANDWIDTH = "bandwidthPerMigration"
NETWORK = "network"
ALLOW_AUTO_CONVERGE = "allowAutoConverge"
ALLOW_POST_COPY = "allowPostCopy"
ALLOW_WORKLOAD_DISRUPTION = "allowWorkloadDisruption"


def layout_of(api_version: str) -> Optional[Layout]:
    """Return the layout of an API version ("hco.kubevirt.io/v1" or "v1"); None for one that is not known."""
    return LAYOUTS.get(api_version.rpartition("/")[2])


def read_path(document: Optional[Mapping[str, Any]], path: Path) -> Mapping[str, Any]:
    """Return the object at a path of a document, empty if it or anything above it is absent."""
    found: Any = document or {}
    for name in path:
        found = found.get(name) or {}
    return found  # type: ignore[no-any-return]
