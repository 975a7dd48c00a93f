# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How long a move takes, and whether it ends at all: by the pre-copy model of live migration, and for cold moves."""

from __future__ import annotations

from dataclasses import dataclass

from ..cluster.model import MigrationSettings, VirtualMachine
from ..migration.precopy import (
    DEFAULT_LINK_BYTES_PER_SECOND,
    DIRTY_RATES,
    TOO_DIRTY,
    TOO_LONG,
    Copy,
    copy_of,
    course_of,
)
from .plan import COLD, Prediction

# Scheduling the target pod and attaching storage and network: 10 of 12 s in the large-scale reference architecture's
# example of an idle 4 GB VM; container disks have to be pulled and copied as well (23 s against 12 to 14 s there).
SETUP_SECONDS = 10.0
BLOCK_SETUP_SECONDS = 9.0
# Stop and start of a guest: half a minute to a minute in practice.
COLD_STOP_SECONDS = 15.0
COLD_START_SECONDS = 30.0


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
    link = conditions.link_bytes_per_second / max(1, conditions.sharing)
    copy = copy_of(vm, settings, link, conditions.dirty_rate)
    course = course_of(copy, settings)
    setup = SETUP_SECONDS
    if vm.instance and vm.instance.migration_method == "BlockMigration":
        setup += BLOCK_SETUP_SECONDS
    obstacle = ""
    if course.obstacle == TOO_DIRTY:
        obstacle = (
            f"Its memory changes at {copy.dirty_rate / 1e6:.0f} MB/s ({_origin(copy, conditions)}) and a migration "
            f"sends {copy.bandwidth / 1e6:.0f} MB/s: with r >= 1 a live migration does not converge."
        )
    elif course.obstacle == TOO_LONG:
        obstacle = (
            f"A live migration would take {course.seconds:.0f} s of transfer, but KubeVirt gives up after "
            f"{copy.timeout:.0f} s (completionTimeoutPerGiB {settings.completion_timeout_per_gib})."
        )
    prediction = Prediction(
        duration_seconds=round(setup + course.seconds + course.downtime, 1),
        downtime_seconds=round(course.downtime, 3),
        bytes=int(course.seconds * copy.bandwidth),
    )
    return Forecast(prediction, obstacle, copy.timeout, copy.ratio)


def _origin(copy: Copy, conditions: Conditions) -> str:
    return "measured" if copy.measured else f"assumed for workload {conditions.workload or 'of no class'}"
