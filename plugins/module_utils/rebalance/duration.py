# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How long a move takes, and whether it ends at all: the pre-copy model of live migration, and cold moves.

Clark et al., Live Migration of Virtual Machines, NSDI 2005: with M bytes to send at B bytes per second while the guest
dirties D bytes per second, round i sends M*r^i bytes, r = D/B; it converges only if r < 1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Mapping, Optional

from ..cluster.model import MigrationSettings, VirtualMachine
from .plan import COLD, Prediction

# Scheduling the target pod and attaching storage and network: 10 of 12 s in the large-scale reference architecture's
# example of an idle 4 GB VM; container disks have to be pulled and copied as well (23 s against 12 to 14 s there).
SETUP_SECONDS = 10.0
BLOCK_SETUP_SECONDS = 9.0
DOWNTIME_TARGET_SECONDS = 0.3
RESUME_SECONDS = 0.1
# Assumption: what one connection carries. Several are used unless the VM has CPU limits or dedicated CPUs (KubeVirt
# pkg/virt-handler/migration-source.go, configureParallelMigrationThreads).
SINGLE_CHANNEL_BYTES_PER_SECOND = 600e6
# Assumption, where nothing better is told: a 10 GbE port for migrations.
DEFAULT_LINK_BYTES_PER_SECOND = 1.25e9
# Stop and start of a guest: half a minute to a minute in practice.
COLD_STOP_SECONDS = 15.0
COLD_START_SECONDS = 30.0
# Assumptions, used where the dirty rate is not measured, by the label ocpv.scale/workload. Bytes per second.
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
# auto-converge slows the guest's CPUs down step by step until it dirties less than is sent
_CONVERGED_RATIO = 0.8
_BYTES_PER_GB = 10**9


@dataclass(frozen=True)
class Conditions:
    """What a move meets: the settings in force for this VM (policies applied), the link of a node, how many migrations
    share it, and the dirty rate assumed for the VM's workload class where none was measured. Bytes per second."""

    settings: MigrationSettings
    link_bytes_per_second: float = DEFAULT_LINK_BYTES_PER_SECOND
    sharing: int = 1
    dirty_rate: float = DIRTY_RATES[""]
    workload: str = ""


@dataclass(frozen=True)
class Forecast:
    """A prediction with what stands against the move: C(obstacle) is empty, or why KubeVirt would give up."""

    prediction: Prediction
    obstacle: str = ""
    timeout_seconds: float = 0.0
    ratio: float = 0.0


def completion_timeout_seconds(size_bytes: int, per_gib: int) -> float:
    """Return when KubeVirt gives a migration up: C(per_gib) seconds for each started 10^9 bytes; 0 means never.

    Source: KubeVirt pkg/virt-launcher/virtwrap/live-migration-source.go and manager.go, getVMIMigrationDataSize.
    """
    return float(-(-size_bytes // _BYTES_PER_GB) * per_gib)


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


def predict(vm: VirtualMachine, mode: str, conditions: Conditions) -> Forecast:
    """Return what moving the VM takes, and why it would fail if that can be foreseen."""
    return _predict_cold(vm) if mode == COLD else _predict_live(vm, conditions)


def _predict_cold(vm: VirtualMachine) -> Forecast:
    spec = vm.instance.spec if vm.instance else vm.spec
    stop = min(COLD_STOP_SECONDS, float(spec.termination_grace_seconds))
    seconds = stop + COLD_START_SECONDS
    return Forecast(Prediction(duration_seconds=seconds, downtime_seconds=seconds, bytes=0))


def _predict_live(vm: VirtualMachine, conditions: Conditions) -> Forecast:
    settings = conditions.settings
    instance = vm.instance
    spec = instance.spec if instance else vm.spec
    memory = spec.guest_memory_bytes
    # zero pages are not sent: what was never touched costs nothing
    touched = min(memory, instance.usage.memory_bytes) if instance and instance.usage else memory
    bandwidth = conditions.link_bytes_per_second / max(1, conditions.sharing)
    if settings.bandwidth_bytes_per_second:
        bandwidth = min(bandwidth, settings.bandwidth_bytes_per_second)
    if spec.cpu_limited or spec.dedicated_cpus:
        bandwidth = min(bandwidth, SINGLE_CHANNEL_BYTES_PER_SECOND)
    measured = instance.dirty_rate_bytes_per_second if instance else None
    dirty = conditions.dirty_rate if measured is None else measured
    setup = SETUP_SECONDS
    if instance and instance.migration_method == "BlockMigration":
        setup += BLOCK_SETUP_SECONDS
    timeout = completion_timeout_seconds(memory, settings.completion_timeout_per_gib)
    ratio = dirty / bandwidth
    obstacle = ""
    if ratio >= 1 and not settings.allow_auto_converge:
        if settings.allow_post_copy or settings.allow_workload_disruption:
            # runs into the timeout, then the guest moves (or pauses) and the rest follows
            seconds, downtime = timeout + touched / bandwidth, touched / bandwidth + RESUME_SECONDS
            downtime = RESUME_SECONDS if settings.allow_post_copy else downtime
        else:
            seconds, downtime = timeout or touched / bandwidth, 0.0
            obstacle = (
                f"Its memory changes at {dirty / 1e6:.0f} MB/s ({_origin(measured, conditions)}) and a migration sends "
                f"{bandwidth / 1e6:.0f} MB/s: with r >= 1 a live migration does not converge."
            )
    else:
        seconds, downtime = precopy(
            touched, bandwidth, min(ratio, _CONVERGED_RATIO) * bandwidth, DOWNTIME_TARGET_SECONDS
        )
        gives_up = not (settings.allow_post_copy or settings.allow_workload_disruption)
        if timeout and seconds > timeout and gives_up:
            obstacle = (
                f"A live migration would take {seconds:.0f} s of transfer, but KubeVirt gives up after {timeout:.0f} s "
                f"(completionTimeoutPerGiB {settings.completion_timeout_per_gib})."
            )
    prediction = Prediction(
        duration_seconds=round(setup + seconds + downtime, 1),
        downtime_seconds=round(downtime, 3),
        bytes=int(seconds * bandwidth),
    )
    return Forecast(prediction, obstacle, timeout, ratio)


def _origin(measured: Optional[float], conditions: Conditions) -> str:
    return "measured" if measured is not None else f"assumed for workload {conditions.workload or 'of no class'}"
