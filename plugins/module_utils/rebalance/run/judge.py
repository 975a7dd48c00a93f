# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether a stage goes well enough to go on: thresholds on failed moves. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from ..plan import STAGES

CANARY = STAGES[0]
OK = "ok"
WARNING = "warning"
STOP = "stop"


@dataclass(frozen=True)
class Thresholds:
    """Shares of a stage's decided moves (succeeded and failed; skipped ones decide nothing), in percent; 0 switches a
    threshold off.

    They count once C(minimum) moves of the stage are decided, or all of them if there are fewer. C(max_failures) counts
    over the whole call, 0 for no such limit.
    """

    warn_percent: float = 10.0
    stop_percent: float = 25.0
    minimum: int = 4
    max_failures: int = 0


@dataclass(frozen=True)
class Judgement:
    level: str = OK
    message: str = ""


def judge(
    stage: str, total: int, succeeded: int, failed: int, failed_in_call: int, thresholds: Thresholds
) -> Judgement:
    """Return whether to go on with a stage of C(total) moves of which so many are decided.

    A failed canary stops at once: finding that out is what it is for.
    """
    if not failed:
        return Judgement()
    decided = succeeded + failed
    told = f"stage {stage}: {failed} of {decided} decided moves failed ({100 * failed / decided:.0f} %)"
    if stage == CANARY:
        return Judgement(STOP, f"{told}; a failed canary stops the run")
    if thresholds.max_failures and failed_in_call >= thresholds.max_failures:
        return Judgement(STOP, f"{told}; max_failures is {thresholds.max_failures}")
    if decided < min(thresholds.minimum, total):
        return Judgement()
    share = 100 * failed / decided
    if thresholds.stop_percent and share >= thresholds.stop_percent:
        return Judgement(STOP, f"{told}; the run stops from {thresholds.stop_percent:g} %")
    if thresholds.warn_percent and share >= thresholds.warn_percent:
        return Judgement(WARNING, f"{told}; {thresholds.warn_percent:g} % is the warning threshold")
    return Judgement()
