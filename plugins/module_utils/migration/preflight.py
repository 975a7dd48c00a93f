# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether a cluster is ready for migrations: every check before any VM moves."""

from __future__ import annotations

from collections import Counter
from typing import Any, Collection, Iterable, Mapping, Optional, Sequence

from ..cluster.model import Snapshot, VirtualMachine
from .checks import FAILED, STATUSES, Check
from .checks_machines import Quota, check_quota, check_storage, check_workload
from .checks_nodes import check_capacity, check_network, check_targets, check_virt_handler
from .checks_platform import (
    check_descheduler,
    check_evacuations,
    check_hyperconverged,
    check_kubevirt,
    check_limits,
    check_metrics,
    check_permissions,
    check_targeted_migration,
    check_workload_updates,
)
from .migratability import assess_all
from .rights import Right

# in the order in which they are told
CHECKS = (
    "storage",
    "network",
    "capacity",
    "virt_handler",
    "workload",
    "limits",
    "targets",
    "kubevirt",
    "hyperconverged",
    "workload_updates",
    "descheduler",
    "evacuations",
    "targeted_migration",
    "permissions",
    "quota",
    "metrics",
)


def preflight(
    snapshot: Snapshot,
    vms: Sequence[VirtualMachine],
    *,
    rights: Optional[Mapping[Right, bool]] = None,
    quotas: Optional[Iterable[Quota]] = None,
) -> list[Check]:
    """Return all checks in the order of CHECKS; C(vms) are those that are to move.

    C(rights) are what the account may do and C(quotas) the quotas of the cluster, each None if not asked for.
    """
    verdicts = assess_all(snapshot, vms)
    found = (
        check_storage(vms, verdicts),
        check_network(snapshot),
        check_capacity(snapshot, vms),
        check_virt_handler(snapshot),
        check_workload(snapshot, vms, verdicts),
        check_limits(snapshot),
        check_targets(snapshot, vms),
        check_kubevirt(snapshot),
        check_hyperconverged(snapshot),
        check_workload_updates(snapshot),
        check_descheduler(snapshot),
        check_evacuations(snapshot),
        check_targeted_migration(snapshot),
        check_permissions(rights),
        check_quota(vms, verdicts, quotas),
        check_metrics(snapshot),
    )
    return list(found)


def preflight_result(checks: Sequence[Check], fail_on: Collection[str]) -> dict[str, Any]:
    """Return what the module returns; C(fail_on) are the names of the checks that must not fail."""
    statuses = Counter(check.status for check in checks)
    fatal = [check for check in checks if check.status == FAILED and check.name in fail_on]
    told = ", ".join(f"{statuses[status]} {status}" for status in STATUSES)
    return {
        "passed": not fatal,
        "counts": {status: statuses[status] for status in STATUSES},
        "fatal": [check.name for check in fatal],
        "msg": " ".join(
            [f"Checks: {told}.", *(f"{check.name}: {check.message} {check.hint}".strip() for check in fatal)]
        ),
        "lines": [f"{check.status.upper():8}{check.name}: {check.message}" for check in checks],
        "checks": [
            {
                "name": check.name,
                "status": check.status,
                "message": check.message,
                "hint": check.hint,
                "fatal": check in fatal,
                "evidence": dict(check.evidence),
            }
            for check in checks
        ],
    }
