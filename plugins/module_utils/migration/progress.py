# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which progress timeout the guide advises for VMs of a size. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass

_GB = 10**9


@dataclass(frozen=True)
class ProgressAdvice:
    """Seconds without progress that the guide advises for VMs with at least C(from_bytes) of memory."""

    name: str
    from_bytes: int
    seconds: tuple[int, int]


# performance-tuning guide, Timeout Configuration, Progress Timeout; largest first. GB are decimal, as KubeVirt counts
PROGRESS_TIMEOUTS = (
    ProgressAdvice("large", 200 * _GB, (300, 600)),
    ProgressAdvice("medium", 50 * _GB, (200, 300)),
    ProgressAdvice("small", 0, (150, 150)),
)
# the longest of all is for this size and above
_LONGEST_FROM_BYTES = 500 * _GB


def progress_advice(memory_bytes: int) -> ProgressAdvice:
    """Return what the guide advises for a VM of this size; the time-out exists only for the whole cluster."""
    return next(advice for advice in PROGRESS_TIMEOUTS if memory_bytes >= advice.from_bytes)


def progress_seconds(memory_bytes: int) -> int:
    """Return one number out of what is advised for a VM of this size: more for more memory, in steps of 10 s."""
    advice = progress_advice(memory_bytes)
    above = [each.from_bytes for each in PROGRESS_TIMEOUTS if each.from_bytes > advice.from_bytes]
    end = min(above, default=_LONGEST_FROM_BYTES)
    low, high = advice.seconds
    share = min(1.0, (memory_bytes - advice.from_bytes) / (end - advice.from_bytes))
    return 10 * math.ceil((low + (high - low) * share) / 10)
