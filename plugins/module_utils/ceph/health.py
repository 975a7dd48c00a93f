# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether a cluster is well enough to go on changing its PGs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Collection, Optional

from .model import Check, Status

# about the number of PGs itself, which is what is being put right
EXPECTED = frozenset(
    {
        "POOL_TOO_FEW_PGS",
        "POOL_TOO_MANY_PGS",
        "TOO_FEW_PGS",
        "TOO_MANY_PGS",
        "POOL_PG_NUM_NOT_POWER_OF_TWO",
        "MANY_OBJECTS_PER_PG",
        "SMALLER_PGP_NUM",
        "OBJECT_MISPLACED",
    }
)
# seen for moments while PGs split, merge and peer; trouble only if they stay
PASSING = frozenset({"PG_AVAILABILITY", "PG_DEGRADED", "SLOW_OPS", "PG_RECENTLY_SPLIT"})


@dataclass(frozen=True)
class Verdict:
    """C(stop) are checks that forbid to go on; C(passing) those that do so once they have lasted too long."""

    stop: tuple[Check, ...] = ()
    passing: tuple[Check, ...] = ()


def judge(status: Status, tolerated: Collection[str]) -> Verdict:
    """Return what the health checks of a cluster mean for going on. Muted checks and C(tolerated) codes mean nothing;
    HEALTH_ERR stops whatever the code, unless it is tolerated."""
    stop, passing = [], []
    for check in status.checks:
        if check.muted or check.code in tolerated:
            continue
        if check.code in PASSING:
            passing.append(check)
        elif check.code not in EXPECTED or check.severity == "HEALTH_ERR":
            stop.append(check)
    return Verdict(tuple(stop), tuple(passing))


def told(checks: Collection[Check]) -> str:
    """Return checks as one line."""
    return "; ".join(f"{check.code} ({check.summary})" for check in checks)


@dataclass
class Patience:
    """How long passing checks have lasted; they may stay for C(seconds)."""

    seconds: float
    since: Optional[float] = None

    def worn_out(self, verdict: Verdict, now: float) -> bool:
        """Tell whether passing checks have been there at every look for longer than that."""
        if not verdict.passing:
            self.since = None
            return False
        if self.since is None:
            self.since = now
        return now - self.since > self.seconds
