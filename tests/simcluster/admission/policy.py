"""MigrationPolicy: its numbers (pkg/virt-api/webhooks/validating-webhook/admitters/migrationpolicy-admitter.go)."""

from __future__ import annotations

from ..quantity import whole
from .instance import cluster_configuration
from .types import Lookup, Obj, Request, cause, invalid

VALIDATING_WEBHOOK = "migration-policy-validator.kubevirt.io"
_DOWNTIME_GATES = {"MigrationStallDetection", "MigrationDowntimeTuning"}


def validate(request: Request, lookup: Lookup) -> list[str]:
    """Nothing negative; the longest downtime only behind its feature gates."""
    spec: Obj = (request.object or {}).get("spec") or {}
    causes = []
    timeout = spec.get("completionTimeoutPerGiB")
    if isinstance(timeout, int) and timeout < 0:
        causes.append(cause("must not be negative", "spec.completionTimeoutPerGiB"))
    bandwidth = spec.get("bandwidthPerMigration")
    if bandwidth is not None and whole(bandwidth) < 0:
        causes.append(cause("must not be negative", "spec.bandwidthPerMigration"))
    downtime = spec.get("maxDowntimeMs")
    if downtime is not None:
        developer: Obj = cluster_configuration(lookup).get("developerConfiguration") or {}
        if not _DOWNTIME_GATES & set(developer.get("featureGates") or []):
            text = (
                "maxDowntimeMs cannot be modified without enabling the MigrationStallDetection or "
                "MigrationDowntimeTuning feature gate"
            )
            causes.append(cause(text, "spec.maxDowntimeMs"))
        elif not 1 <= downtime <= 2_000_000:
            causes.append(cause("must be between 1 and 2000000", "spec.maxDowntimeMs"))
    if causes:
        raise invalid(VALIDATING_WEBHOOK, *causes)
    return []
