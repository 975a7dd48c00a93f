# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How long migrations may take, from what the VMs need at the rate that they get.

Bounds: performance-tuning.md (Timeout Configuration), whose 800 s per GiB is for general workloads; it was written when
that was the default, and KubeVirt's own is 150 since 1.4.
"""

from __future__ import annotations

import math
from typing import Iterable, Sequence

from ..precopy import Course, started_gigabytes
from ..progress import progress_advice, progress_seconds
from .facts import Machine

SHORTEST_PER_GIB = 150
LONGEST_PER_GIB = 800
# what a policy may give a class of VMs: the longest that is advised, for caches
LONGEST_POLICY_PER_GIB = 2000
# a copy may take twice what the model says
_MARGIN = 2
_GB = 10**9


def per_gib_needed(memory_bytes: int, seconds: float) -> int:
    """Return the completionTimeoutPerGiB that lets a VM of this size copy for twice that long, in steps of 10 s."""
    return 10 * math.ceil(_MARGIN * seconds / max(1, started_gigabytes(memory_bytes)) / 10)


def completion_timeout(copies: Iterable[tuple[Machine, Course]], kept: int = 0) -> tuple[int, str]:
    """Return the completion timeout per GiB in seconds, and why.

    C(copies) are the VMs whose copies converge, each with how its copy goes; below C(kept) the value is not lowered.
    """
    value, reason = _computed(copies)
    kept = min(kept, LONGEST_PER_GIB)
    if kept <= value:
        return value, reason
    return kept, f"{reason} The {kept} s are not lowered on a shared network, whose speed varies."


def _computed(copies: Iterable[tuple[Machine, Course]]) -> tuple[int, str]:
    needs = [
        (per_gib_needed(memory_of(machine), course.seconds), course.seconds, machine.vm.key)
        for machine, course in copies
    ]
    if not needs:
        return SHORTEST_PER_GIB, f"No VM is known that would need more than KubeVirt's own {SHORTEST_PER_GIB} s per GB."
    need, seconds, key = max(needs)
    longest = f"{key} takes longest for its size: about {seconds:.0f} s; twice that is {need} s per started GB"
    if need <= SHORTEST_PER_GIB:
        return SHORTEST_PER_GIB, f"{longest}, so KubeVirt's own {SHORTEST_PER_GIB} s are enough and fail early."
    if need <= LONGEST_PER_GIB:
        return need, f"{longest}."
    return LONGEST_PER_GIB, (
        f"{longest}. Cluster-wide no more than {LONGEST_PER_GIB} s; a MigrationPolicy gives more to those that need it."
    )


def progress_timeout(machines: Sequence[Machine]) -> tuple[int, str]:
    """Return the progress timeout in seconds, and why; it exists for the whole cluster only."""
    if not machines:
        usual = progress_seconds(0)
        return usual, f"No VM is known that would need more than the usual {usual} s."
    largest = max(machines, key=lambda machine: (memory_of(machine), machine.vm.key))
    memory_bytes = memory_of(largest)
    shortest, longest = progress_advice(memory_bytes).seconds
    advised = f"{shortest}" if shortest == longest else f"{shortest} to {longest}"
    return progress_seconds(memory_bytes), (
        f"The largest VM that migrates is {largest.vm.key} with {memory_bytes / _GB:.0f} GB: {advised} s is advised. "
        f"No policy can set it for some VMs only."
    )


def memory_of(machine: Machine) -> int:
    """Return the guest's memory in bytes."""
    instance = machine.vm.instance
    return (instance.spec if instance else machine.vm.spec).guest_memory_bytes
