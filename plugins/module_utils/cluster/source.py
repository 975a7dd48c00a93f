# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where a module's Snapshot comes from: the live cluster, or the file or dump that option C(snapshot) names."""

from __future__ import annotations

from typing import Any, Callable, Collection, Optional

from ..errors import InvalidInput
from .capture import ALL_PARTS, capture
from .gateway import Gateway
from .model import Snapshot
from .snapshot_file import read_snapshot


def obtain(
    path: Optional[str],
    connect: Callable[[], Gateway],
    parts: Collection[str] = ALL_PARTS,
    *,
    required: Collection[str] = (),
    namespaces: Optional[Collection[str]] = None,
) -> Snapshot:
    """Return the Snapshot of the file or dump at C(path); without a path that of the live cluster.

    C(parts) and C(namespaces) limit what is read live, as for capture. C(required) are parts without which the caller
    cannot work. Raises InvalidInput when one of them is not in the snapshot, and whatever reading raises.
    """
    snapshot = read_snapshot(path) if path else capture(connect(), parts, namespaces=namespaces)
    for part in required:
        if part not in snapshot.parts:
            reason = snapshot.missing.get(part, "it was not asked for when the snapshot was made")
            raise InvalidInput("snapshot", path or "the cluster", f"its part {part} is needed, but {reason}")
    return snapshot


def summary(snapshot: Snapshot) -> dict[str, Any]:
    """Return what a snapshot holds, in a few JSON values."""
    machines = snapshot.virtual_machines.values()
    return {
        "captured_at": snapshot.captured_at,
        "cluster_uid": snapshot.cluster_uid,
        "server_version": snapshot.server_version,
        "kubevirt_version": snapshot.virtualization.kubevirt_version,
        "hyperconverged_api": snapshot.virtualization.hyperconverged_api,
        "parts": list(snapshot.parts),
        "missing": dict(snapshot.missing),
        "counts": {
            "nodes": len(snapshot.nodes),
            "namespaces": len(snapshot.namespaces),
            "virtual_machines": len(snapshot.virtual_machines),
            "running_virtual_machines": sum(1 for vm in machines if vm.running),
            "pods": len(snapshot.pods),
            "claims": len(snapshot.claims),
            "data_volumes": len(snapshot.data_volumes),
            "storage_classes": len(snapshot.storage_classes),
            "migrations": len(snapshot.migrations),
            "migration_policies": len(snapshot.migration_policies),
        },
    }
