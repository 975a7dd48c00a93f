# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""VMs whose migration would not end under the advised settings, and what helps each of them."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Mapping

from ...cluster.model import MigrationSettings
from .. import hyperconverged as hco
from ..policies.precedence import with_policy
from ..policies.wanted import FIELDS
from ..precopy import SINGLE_CHANNEL_BYTES_PER_SECOND, TOO_DIRTY, Copy, Course, copy_of, course_of
from .concurrency import MIB
from .facts import Link, Machine
from .timeouts import LONGEST_POLICY_PER_GIB, memory_of, per_gib_needed

AUTO_CONVERGE = "auto_converge"
POST_COPY = "post_copy"
BANDWIDTH = "bandwidth"
TIMEOUT = "completion_timeout"
CHANNELS = "channels"
COLD = "cold"

# a copy that is only just faster than the guest never seems to end
_FASTER = 1.25
_MB = 1e6


@dataclass(frozen=True)
class Help:
    """One way out. C(policy) are values for a MigrationPolicy that matches the VM, by the names of the options of
    migration_policy; empty if no setting is needed."""

    way: str
    text: str
    policy: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Stuck:
    """A VM that would not get there."""

    machine: Machine
    copy: Copy
    course: Course
    reason: str
    helps: tuple[Help, ...]


def copy_under(machine: Machine, settings: MigrationSettings, link: Link) -> tuple[Copy, Course]:
    """Return what migrating the VM copies and how that goes, its policy's values over C(settings)."""
    own = with_policy(settings, machine.policy)
    copy = copy_of(machine.vm, own, link.budget, machine.dirty_rate)
    return copy, course_of(copy, own)


def stuck(machine: Machine, copy: Copy, course: Course, link: Link) -> Stuck:
    """Return why the VM's copy is given up, and what helps."""
    return Stuck(machine, copy, course, _reason(machine, copy, course), _helps(machine, copy, course, link))


def origin_of(machine: Machine, copy: Copy) -> str:
    """Return where the dirty rate is known from: measured, given or assumed."""
    if copy.measured:
        return "measured"
    return "given" if machine.rate_given else "assumed"


def _reason(machine: Machine, copy: Copy, course: Course) -> str:
    if course.obstacle == TOO_DIRTY:
        return (
            f"Its memory changes at {copy.dirty_rate / _MB:.0f} MB/s ({origin_of(machine, copy)}) and a migration "
            f"sends {copy.bandwidth / _MB:.0f} MB/s: the copy never catches up."
        )
    return f"Copying takes about {course.seconds:.0f} s, and KubeVirt gives up after {copy.timeout:.0f} s."


def _helps(machine: Machine, copy: Copy, course: Course, link: Link) -> tuple[Help, ...]:
    found = []
    instance = machine.vm.instance
    spec = instance.spec if instance else machine.vm.spec
    single = spec.cpu_limited or spec.dedicated_cpus
    if course.obstacle == TOO_DIRTY:
        wanted = math.ceil(copy.dirty_rate * _FASTER / MIB)
        most = min(link.budget, SINGLE_CHANNEL_BYTES_PER_SECOND) if single else link.budget
        if copy.bandwidth < wanted * MIB <= most:
            text = f"Let it use {wanted} MiB/s, and move it while no other migration leaves or reaches its nodes."
            found.append(Help(BANDWIDTH, text, _policy((hco.BANDWIDTH, f"{wanted}Mi"))))
        if single and copy.bandwidth == SINGLE_CHANNEL_BYTES_PER_SECOND < link.budget:
            text = "It has CPU limits or dedicated CPUs, so one connection is used instead of eight: drop them."
            found.append(Help(CHANNELS, text))
        text = "Auto-converge slows its CPUs down until the copy catches up; what it serves slows down meanwhile."
        found.append(Help(AUTO_CONVERGE, text, _policy((hco.ALLOW_AUTO_CONVERGE, True))))
    else:
        needed = per_gib_needed(memory_of(machine), course.seconds)
        if needed <= LONGEST_POLICY_PER_GIB:
            text = f"Give it {needed} s per started GB."
            found.append(Help(TIMEOUT, text, _policy((hco.COMPLETION_TIMEOUT_PER_GIB, needed))))
    if not (spec.host_devices or spec.gpus):
        text = (
            "Post-copy switches it over when the completion timeout is over and fetches the rest behind it: slow at "
            "first, and the VM is lost if the connection breaks before all is there."
        )
        found.append(Help(POST_COPY, text, _policy((hco.ALLOW_POST_COPY, True), (hco.ALLOW_WORKLOAD_DISRUPTION, True))))
    found.append(Help(COLD, "Move it cold (stop, place, start): sure to end, with the downtime of a restart."))
    return tuple(found)


def _policy(*values: tuple[str, Any]) -> dict[str, Any]:
    options = {name: option for option, name in FIELDS.items()}
    return {options[name]: value for name, value in values}
