# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The options of a run as values, checked before anything is done."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Mapping, Optional

from ... import names
from ...errors import InvalidInput
from .judge import Thresholds

# what makes the module fail at the end
FAIL_ON = ("failed_moves", "stopped", "never")


@dataclass(frozen=True)
class RunOptions:
    """Options of rebalance_run; the module documents them. Times in seconds, None for a value that is worked out."""

    approved_digest: Optional[str] = None
    max_plan_age_seconds: int = 86400
    max_parallel: Optional[int] = None
    max_per_source: Optional[int] = None
    max_per_target: Optional[int] = None
    attempts: int = 2
    retry_delay_seconds: int = 30
    retry_failed: bool = False
    migration_timeout_seconds: Optional[int] = None
    pending_timeout_seconds: int = 600
    unschedulable_timeout_seconds: int = 120
    start_timeout_seconds: int = 600
    room_timeout_seconds: int = 60
    warn_percent: float = 10.0
    stop_percent: float = 25.0
    judge_minimum: int = 4
    max_failures: int = 0
    cancel_in_flight: bool = False
    fail_on: str = "failed_moves"
    state_namespace: str = names.STATE_NAMESPACE
    keep_runs: Optional[int] = None
    lease_seconds: int = 30
    wait_for_lease_seconds: int = 0
    api_patience_seconds: int = 300
    progress_path: Optional[str] = None

    @property
    def thresholds(self) -> Thresholds:
        return Thresholds(self.warn_percent, self.stop_percent, self.judge_minimum, self.max_failures)


# option -> lowest and highest value
BOUNDS: Mapping[str, tuple[float, float]] = {
    "max_plan_age_seconds": (0, 10**8),
    "max_parallel": (1, 1000),
    "max_per_source": (1, 1000),
    "max_per_target": (1, 1000),
    "attempts": (1, 10),
    "retry_delay_seconds": (0, 86400),
    "migration_timeout_seconds": (1, 604800),
    "pending_timeout_seconds": (1, 604800),
    "unschedulable_timeout_seconds": (1, 86400),
    "start_timeout_seconds": (1, 86400),
    "room_timeout_seconds": (0, 86400),
    "warn_percent": (0, 100),
    "stop_percent": (0, 100),
    "judge_minimum": (1, 10**6),
    "max_failures": (0, 10**6),
    "keep_runs": (0, 10**6),
    "lease_seconds": (3, 3600),
    "wait_for_lease_seconds": (0, 604800),
    "api_patience_seconds": (0, 86400),
}


def parse_options(params: Mapping[str, Any]) -> RunOptions:
    """Return the options of a module call. Raises InvalidInput for a value that is out of its bounds."""
    given = {field.name: params[field.name] for field in fields(RunOptions) if params.get(field.name) is not None}
    options = RunOptions(**given)
    for name, (lowest, highest) in BOUNDS.items():
        value = getattr(options, name)
        if value is not None and not lowest <= value <= highest:
            raise InvalidInput(name, value, f"a number from {lowest:g} to {highest:g} is needed")
    if options.warn_percent and options.stop_percent and options.warn_percent > options.stop_percent:
        raise InvalidInput(
            "warn_percent", options.warn_percent, f"it must not be above stop_percent ({options.stop_percent:g})"
        )
    return options
