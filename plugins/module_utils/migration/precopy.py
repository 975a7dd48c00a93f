# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The pre-copy model of live migration: how long copying a running guest takes, and whether it ends at all.

Clark et al., Live Migration of Virtual Machines, NSDI 2005: with M bytes to send at B bytes per second while the guest
dirties D bytes per second, round i sends M*r^i bytes, r = D/B; it converges only if r < 1. Times are seconds, rates
bytes per second.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Mapping, Optional

from ..cluster.model import MigrationSettings, VirtualMachine

DOWNTIME_TARGET_SECONDS = 0.3
RESUME_SECONDS = 0.1
# Assumption: what one connection carries. Several are used unless the VM has CPU limits or dedicated CPUs (KubeVirt
# pkg/virt-handler/migration-source.go, configureParallelMigrationThreads).
SINGLE_CHANNEL_BYTES_PER_SECOND = 600e6
# Assumption, where nothing better is told: a 10 GbE port for migrations.
DEFAULT_LINK_BYTES_PER_SECOND = 1.25e9
# Assumptions, used where the dirty rate is not measured, by the label ocpv.scale/workload.
_MIB = 1024**2
DIRTY_RATES: Mapping[str, float] = {
    "": 5 * _MIB,
    "general": 5 * _MIB,
    "web": 10 * _MIB,
    "edge": 2 * _MIB,
    "dev-test": 5 * _MIB,
    "batch": 5 * _MIB,
    "database": 120 * _MIB,
    "caching": 300 * _MIB,
    "analytics": 80 * _MIB,
    "streaming": 50 * _MIB,
    "media": 150 * _MIB,
    "ai": 200 * _MIB,
    "hpc": 500 * _MIB,
}
# why a copy is given up
TOO_DIRTY = "too_dirty"
TOO_LONG = "too_long"
# auto-converge slows the guest's CPUs down step by step until it dirties less than is sent
_CONVERGED_RATIO = 0.8
_BYTES_PER_GB = 10**9


@dataclass(frozen=True)
class Copy:
    """What one live migration has to copy and how fast. C(measured) says that the dirty rate is, and is not assumed;
    C(timeout) is when KubeVirt's completion timeout is over, 0 for never."""

    size_bytes: float
    bandwidth: float
    dirty_rate: float
    measured: bool
    timeout: float

    @property
    def ratio(self) -> float:
        return self.dirty_rate / self.bandwidth


@dataclass(frozen=True)
class Course:
    """How a copy goes: seconds of transfer and of downtime; C(obstacle) is TOO_DIRTY or TOO_LONG if it is given up,
    empty if it gets there."""

    seconds: float
    downtime: float
    obstacle: str = ""


def completion_timeout_seconds(size_bytes: int, per_gib: int) -> float:
    """Return when KubeVirt gives a migration up: C(per_gib) seconds for each started 10^9 bytes; 0 means never.

    Source: KubeVirt pkg/virt-launcher/virtwrap/live-migration-source.go and manager.go, getVMIMigrationDataSize.
    """
    return float(started_gigabytes(size_bytes) * per_gib)


def started_gigabytes(size_bytes: int) -> int:
    """Return what the completion timeout is multiplied with: decimal gigabytes, rounded up."""
    return -(-size_bytes // _BYTES_PER_GB)


def precopy(memory_bytes: float, bandwidth: float, dirty_rate: float, downtime_target: float) -> tuple[float, float]:
    """Return (seconds of transfer, seconds of downtime) of a migration that converges: dirty_rate < bandwidth."""
    ratio = dirty_rate / bandwidth
    if ratio >= 1:
        raise ValueError("the migration does not converge")
    if memory_bytes <= 0:
        return 0.0, RESUME_SECONDS
    rounds = 0
    if ratio > 0 and memory_bytes > downtime_target * bandwidth:
        rounds = math.ceil(math.log(downtime_target * bandwidth / memory_bytes) / math.log(ratio))
    seconds = memory_bytes / bandwidth * (1 - ratio ** (rounds + 1)) / (1 - ratio)
    return seconds, memory_bytes * ratio ** (rounds + 1) / bandwidth + RESUME_SECONDS


def copy_of(vm: VirtualMachine, settings: MigrationSettings, link: float, assumed_dirty_rate: float) -> Copy:
    """Return what migrating this VM copies under the settings that it gets; C(link) is its share of the link."""
    instance = vm.instance
    spec = instance.spec if instance else vm.spec
    memory = spec.guest_memory_bytes
    # zero pages are not sent: what was never touched costs nothing
    touched = min(memory, instance.usage.memory_bytes) if instance and instance.usage else memory
    bandwidth = link
    if settings.bandwidth_bytes_per_second:
        bandwidth = min(bandwidth, settings.bandwidth_bytes_per_second)
    if spec.cpu_limited or spec.dedicated_cpus:
        bandwidth = min(bandwidth, SINGLE_CHANNEL_BYTES_PER_SECOND)
    measured: Optional[float] = instance.dirty_rate_bytes_per_second if instance else None
    return Copy(
        size_bytes=touched,
        bandwidth=bandwidth,
        dirty_rate=assumed_dirty_rate if measured is None else measured,
        measured=measured is not None,
        timeout=completion_timeout_seconds(memory, settings.completion_timeout_per_gib),
    )


def course_of(copy: Copy, settings: MigrationSettings) -> Course:
    """Return how the copy goes under the settings: it converges, is helped at the timeout, or is given up."""
    ratio = min(copy.ratio, _CONVERGED_RATIO) if settings.allow_auto_converge else copy.ratio
    obstacle, seconds, rest = TOO_DIRTY, 0.0, copy.size_bytes / copy.bandwidth
    if ratio < 1:
        seconds, downtime = precopy(copy.size_bytes, copy.bandwidth, ratio * copy.bandwidth, DOWNTIME_TARGET_SECONDS)
        if not copy.timeout or seconds <= copy.timeout:
            return Course(seconds, downtime)
        obstacle = TOO_LONG
    # at the timeout the guest moves (or pauses) and the rest follows
    if settings.allow_post_copy:
        return Course(copy.timeout + rest, RESUME_SECONDS)
    if settings.allow_workload_disruption:
        return Course(copy.timeout + rest, rest + RESUME_SECONDS)
    return Course(seconds or copy.timeout or rest, 0.0, obstacle)
