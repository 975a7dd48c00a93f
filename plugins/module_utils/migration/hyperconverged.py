# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where settings stand in a HyperConverged, whose API versions are laid out differently, and in its KubeVirt.

The only place that knows these field names. Source: hyperconverged-cluster-operator api/v1/hyperconverged_types.go
(LiveMigrationConfigurations), api/v1beta1/conversion.go and controllers/handlers/kubevirt.go.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Iterable, Mapping, Optional

Path = tuple[str, ...]

# there is one of each in a cluster, and both have the same namespace
NAME = "kubevirt-hyperconverged"
KUBEVIRT_NAME = "kubevirt-kubevirt-hyperconverged"
# annotation with a JSON patch (RFC 6902) that the operator applies to the KubeVirt after all settings
JSON_PATCH = "kubevirt.kubevirt.io/jsonpatch"


@dataclass(frozen=True)
class Layout:
    """Paths of a HyperConverged's parts in one API version, from the top of the object."""

    live_migration: Path
    cpu_allocation_ratio: Path
    memory_overcommit: Path


# by API version, without the group; the one that is preferred comes first
LAYOUTS: Mapping[str, Layout] = {
    "v1": Layout(
        live_migration=("spec", "virtualization", "liveMigrationConfig"),
        cpu_allocation_ratio=("spec", "virtualization", "vmiCPUAllocationRatio"),
        memory_overcommit=("spec", "virtualization", "higherWorkloadDensity", "memoryOvercommitPercentage"),
    ),
    "v1beta1": Layout(
        live_migration=("spec", "liveMigrationConfig"),
        cpu_allocation_ratio=("spec", "resourceRequirements", "vmiCPUAllocationRatio"),
        memory_overcommit=("spec", "higherWorkloadDensity", "memoryOvercommitPercentage"),
    ),
}
# KubeVirt has the same fields under other names
KUBEVIRT_MIGRATIONS: Path = ("spec", "configuration", "migrations")
KUBEVIRT_CPU_ALLOCATION_RATIO: Path = ("spec", "configuration", "developerConfiguration", "cpuAllocationRatio")
KUBEVIRT_MEMORY_OVERCOMMIT: Path = ("spec", "configuration", "developerConfiguration", "memoryOvercommit")
KUBEVIRT_PATCHES: Path = ("spec", "customizeComponents", "patches")
KUBEVIRT_INFRA_REPLICAS: Path = ("spec", "infra", "replicas")

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


def preferred_version(served: Iterable[str]) -> Optional[str]:
    """Return the API version to use of those that are served; None if none has a layout that is known.

    v1 has fields that v1beta1 lacks, and releases before 1.18 serve v1beta1 only.
    """
    offered = set(served)
    return next((version for version in LAYOUTS if version in offered), None)


def read_value(document: Optional[Mapping[str, Any]], path: Path) -> Any:
    """Return the value at a path of a document, None if it or anything above it is absent."""
    return read_path(document, path[:-1]).get(path[-1])


def nested(path: Path, value: Any) -> dict[str, Any]:
    """Return a document that holds nothing but C(value) at C(path), as a merge patch needs it."""
    document: Any = value
    for name in reversed(path):
        document = {name: document}
    return document  # type: ignore[no-any-return]


def read_path(document: Optional[Mapping[str, Any]], path: Path) -> Mapping[str, Any]:
    """Return the object at a path of a document, empty if it or anything above it is absent."""
    found: Any = document or {}
    for name in path:
        found = found.get(name) or {}
    return found  # type: ignore[no-any-return]
