# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How densely VMs may be packed: the two fields of the HyperConverged, and how far they may go. Pure.

Limits are those of "CPU and Memory Overcommit" of the performance tuning guide: 1.2x CPU and 10 % memory in
production, 1.8x and 20 % elsewhere, and 0.9x of the memory as the other end. What the fields mean is in
hyperconverged-cluster-operator api/v1/hyperconverged_types.go and KubeVirt's requests of launcher pods.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Mapping, Optional

from ...errors import InvalidInput
from .. import hyperconverged as hco
from .cautions import Caution
from .levels import MOST_VCPUS_PER_CORE

CPU_RATIO = "vmi_cpu_allocation_ratio"
MEMORY = "memory_overcommit_percentage"
API_REPLICAS = "virt_api_replicas"
FIELDS = (CPU_RATIO, MEMORY)
UNSET_CHOICES = [*FIELDS, API_REPLICAS]
PRODUCTION = "production"
TEST = "test"
PRESENT = "present"
ABSENT = "absent"
STATES = (PRESENT, ABSENT)
VMS_PER_API_REPLICA = 750

_LARGEST = 2**31 - 1
_SMALLEST: Mapping[str, int] = {CPU_RATIO: 1, MEMORY: 10}
# less than this reserves more than a tenth above the guests' memory, which nobody means
LEAST_MEMORY = 90


@dataclass(frozen=True)
class Limits:
    """The most that is meant well: vCPUs per core, and guest memory in percent of what is reserved for it."""

    cpu: float
    memory: int


LIMITS: Mapping[str, Limits] = {PRODUCTION: Limits(1.2, 110), TEST: Limits(MOST_VCPUS_PER_CORE, 120)}


@dataclass(frozen=True)
class DensityWish:
    """What is asked for: values by option, None gives a field back. C(replicas): True to raise virt-api, False to take
    back what was asked for before, None to leave it. C(machines_per_replica): VMs that one virt-api may serve."""

    values: Mapping[str, Optional[int]]
    replicas: Optional[bool]
    machines_per_replica: int


def parse_density(params: Mapping[str, Any]) -> DensityWish:
    """Return what the options of a module call ask for. Raises InvalidInput for what cannot be expressed, and for what
    goes beyond the limits without C(accept_risk)."""
    unset = set(params.get("unset") or ())
    given = {name: params[name] for name in FIELDS if params.get(name) is not None}
    replicas: Optional[bool] = True if params.get("raise_virt_api") else None
    if params.get("state") == ABSENT:
        for name in (*given, *(["raise_virt_api"] if replicas else []), *(["unset"] if unset else [])):
            raise InvalidInput(name, params[name], f"state={ABSENT} gives everything back and takes no settings")
        unset = set(UNSET_CHOICES)
    for name in sorted(unset & (set(given) | ({API_REPLICAS} if replicas else set()))):
        raise InvalidInput("unset", name, "the same setting is given a value", hint="Leave one of the two out.")
    limits = LIMITS[params.get("environment") or PRODUCTION]
    values: dict[str, Optional[int]] = dict.fromkeys(unset & set(FIELDS))
    for name, value in given.items():
        values[name] = _whole(name, value)
        if not params.get("accept_risk"):
            _within(name, values[name] or 0, limits, params.get("environment") or PRODUCTION)
    per_replica = params.get("vms_per_virt_api") or VMS_PER_API_REPLICA
    if per_replica < 1:
        raise InvalidInput("vms_per_virt_api", per_replica, "a whole number of at least 1 is needed")
    return DensityWish(values, False if API_REPLICAS in unset else replicas, per_replica)


def paths(layout: hco.Layout) -> dict[str, hco.Path]:
    """Return where the options stand in a HyperConverged."""
    return {CPU_RATIO: layout.cpu_allocation_ratio, MEMORY: layout.memory_overcommit}


APPLIED_PATHS: Mapping[str, hco.Path] = {
    CPU_RATIO: hco.KUBEVIRT_CPU_ALLOCATION_RATIO,
    MEMORY: hco.KUBEVIRT_MEMORY_OVERCOMMIT,
}


def density_cautions(after: Mapping[str, Any], wish: DensityWish) -> list[Caution]:
    """Return what there is to say about the values (by option) after a change."""
    found = []
    ratio, memory = after.get(CPU_RATIO), after.get(MEMORY)
    asked = {name for name, value in wish.values.items() if value is not None}
    if CPU_RATIO in asked and ratio is not None and ratio > LIMITS[TEST].cpu:
        found.append(
            Caution(
                "cpu_overcommit",
                f"{CPU_RATIO} {ratio} reserves {1000 // ratio}m for each vCPU, so up to {ratio} vCPUs share a core. "
                f"Hold the real level at {LIMITS[TEST].cpu} or less where VMs are placed: rebalance_plan with "
                f"basis=allocated and allow_over_percent={LIMITS[TEST].cpu * 100:.0f}.",
            )
        )
    if MEMORY in asked and memory is not None and memory > 100:
        found.append(
            Caution(
                "memory_overcommit",
                f"{MEMORY} {memory} reserves {10000 / memory:.0f} % of each guest's memory: when guests use all of "
                "theirs, nodes run out of memory and VMs are killed.",
            )
        )
    if MEMORY in asked and memory is not None and memory < 100:
        found.append(
            Caution(
                "memory_headroom",
                f"{MEMORY} {memory} reserves {10000 / memory:.0f} % of each guest's memory, which leaves headroom.",
            )
        )
    if asked:
        found.append(
            Caution(
                "after_restart",
                "Requests of VMs that run change when they are migrated or restarted; VMs with CPU or memory requests "
                "of their own are not affected.",
            )
        )
    return found


def _whole(name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) < float("inf"):
        raise InvalidInput(name, value, "a whole number is needed")
    if value != int(value):
        below = max(_SMALLEST[name], int(value))
        hint = f"{below} keeps to what is meant."
        if name == CPU_RATIO:
            hint += (
                f" A level of {value:g} vCPUs per core is held where VMs are placed: rebalance_plan with "
                f"basis=allocated and allow_over_percent={value * 100:.0f}."
            )
        raise InvalidInput(name, value, "the API takes whole numbers only", hint=hint)
    if not _SMALLEST[name] <= value <= _LARGEST:
        raise InvalidInput(name, value, f"a whole number from {_SMALLEST[name]} to {_LARGEST} is needed")
    return int(value)


def _within(name: str, value: int, limits: Limits, environment: str) -> None:
    risk = "Set accept_risk=true to have it nevertheless."
    if name == CPU_RATIO and value > limits.cpu:
        raise InvalidInput(
            name,
            value,
            f"in environment={environment} not more than {limits.cpu:g} vCPUs should share a core, which as a whole "
            f"number is {int(limits.cpu)}",
            hint="Above that vCPUs wait for each other under load. The operator's default of 10 counts on the real "
            f"level being held where VMs are placed. {risk}",
        )
    if name == MEMORY and value > limits.memory:
        raise InvalidInput(
            name,
            value,
            f"in environment={environment} not more than {limits.memory} is meant well (100 is no overcommitment)",
            hint=f"Above that VMs are killed when their nodes run out of memory. {risk}",
        )
    if name == MEMORY and value < LEAST_MEMORY:
        raise InvalidInput(
            name,
            value,
            f"it would reserve {10000 / value:.0f} % of each guest's memory; from {LEAST_MEMORY} on is meant well",
            hint=f"{value} % more than there is are written {100 + value}. {risk}",
        )
