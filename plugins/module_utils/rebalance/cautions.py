# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What people should know before they approve a plan: one sentence each."""

from __future__ import annotations

from typing import Iterable, Mapping, Sequence

from ..cluster.model import Snapshot
from ..migration.config.levels import MOST_GUEST_MEMORY as MEMORY_OVERCOMMIT
from ..migration.config.levels import MOST_VCPUS_PER_CORE as CPU_OVERCOMMIT
from ..quantity import format_duration
from ..times import seconds_between
from .plan import COLD, LIVE, NodeForecast, Plan
from .request import DRAIN, OUTBOUND_LIMIT, PlanRequest

STALE_SECONDS = 900
_RELIEVING_PROFILES = ("KubeVirtRelieveAndMigrate", "DevKubeVirtRelieveAndMigrate", "LongLifecycle")
_LISTED = 5


def cautions(
    snapshot: Snapshot,
    request: PlanRequest,
    plan: Plan,
    unsafe_before: Mapping[str, str],
    unsafe_after: Mapping[str, str],
) -> tuple[str, ...]:
    """Return the warnings of a plan. C(unsafe_...) are nodes whose loss the others could not absorb, with a VM that
    would find no room."""
    found = _of_the_snapshot(snapshot, plan.created_at)
    found += _of_the_limits(snapshot, plan)
    found += _of_others(snapshot)
    found += _of_overcommitment(plan.nodes)
    found += _of_node_loss(request, unsafe_before, unsafe_after)
    found += _of_moves(snapshot, plan)
    return tuple(found)


def _of_the_snapshot(snapshot: Snapshot, created_at: str) -> list[str]:
    found = []
    age = seconds_between(snapshot.captured_at, created_at)
    if age is not None and age > STALE_SECONDS:
        found.append(
            f"The snapshot is {format_duration(age)} old. rebalance_run checks each move again, but the plan may no "
            "longer be the best one."
        )
    if "usage" in snapshot.missing or not any(node.usage for node in snapshot.nodes.values()):
        found.append(
            "There are no metrics of nodes and VMs: real use is not looked at, and times of migrations are predicted "
            "from the whole guest memory."
        )
    for part in ("pods", "claims", "migrations", "virtualization", "descheduler", "policies"):
        if part in snapshot.missing and (part != "descheduler" or "404" not in snapshot.missing[part]):
            found.append(
                f"The snapshot holds no {part} ({snapshot.missing[part]}); what depends on them is not checked."
            )
    return found


def _of_the_limits(snapshot: Snapshot, plan: Plan) -> list[str]:
    settings = snapshot.virtualization.settings
    if settings is None:
        return [
            "The migration limits in force could not be read; KubeVirt's built-in defaults are assumed. "
            "rebalance_run needs to read them or to be told."
        ]
    if int(plan.limits.get(OUTBOUND_LIMIT, 1)) > 1 and not settings.network:
        return [
            f"Up to {plan.limits[OUTBOUND_LIMIT]} migrations leave a node at once without a network of their own; they "
            "share the pod network's bandwidth."
        ]
    return []


def _of_others(snapshot: Snapshot) -> list[str]:
    found = []
    descheduler = snapshot.descheduler
    if descheduler is not None and descheduler.mode == "Automatic":
        profiles = [name for name in descheduler.profiles if name in _RELIEVING_PROFILES]
        if profiles:
            found.append(
                f"The descheduler is Automatic with profile {', '.join(profiles)}: it moves VMs by itself and may undo "
                "this plan. Set KubeDescheduler/cluster to mode Predictive for the time of the run."
            )
    active = [migration for migration in snapshot.migrations if not migration.final]
    if active:
        found.append(
            f"{len(active)} migrations of others were in flight or waiting when the snapshot was taken; they use the "
            "same limits."
        )
    outdated = snapshot.virtualization.outdated_instances
    if outdated:
        found.append(
            f"{outdated} VMs still run on an outdated launcher: after an upgrade KubeVirt migrates them itself and "
            "takes precedence over this plan."
        )
    return found


def _of_overcommitment(nodes: Sequence[NodeForecast]) -> list[str]:
    found = []
    crowded = {}
    heavy = {}
    for node in nodes:
        vcpus = node.after.allocated_cpu_millicores / max(1, node.capacity_cpu_millicores)
        memory = node.after.allocated_memory_bytes / max(1, node.capacity_memory_bytes)
        if vcpus > CPU_OVERCOMMIT and node.after.allocated_cpu_millicores > node.before.allocated_cpu_millicores:
            crowded[node.name] = vcpus
        if memory > MEMORY_OVERCOMMIT and node.after.allocated_memory_bytes > node.before.allocated_memory_bytes:
            heavy[node.name] = memory
    if crowded:
        found.append(
            f"Overcommitment of CPU: more than {CPU_OVERCOMMIT} vCPUs per CPU of {_highest(crowded)}. Guests may have "
            "to wait for CPU time."
        )
    if heavy:
        found.append(
            f"Guest memory above {MEMORY_OVERCOMMIT:.0%} of {_highest(heavy)}. Little is left when guests use it all."
        )
    return [sentence.replace("%", " %") for sentence in found]


def _highest(shares: Mapping[str, float]) -> str:
    ranked = sorted(shares, key=lambda name: (-shares[name], name))
    listed = ", ".join(f"{name} ({shares[name]:.0%})" for name in ranked[:_LISTED])
    return listed + (f" and {len(ranked) - _LISTED} more nodes" if len(ranked) > _LISTED else "")


def _of_node_loss(request: PlanRequest, before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    if not request.keep_node_loss:
        return ["The loss of a node is not looked at (keep_node_loss is false)."]
    found = []
    if before:
        drained = " with the drained nodes empty" if request.goal == DRAIN else ""
        name = sorted(before)[0]
        found.append(
            f"Already before the plan{drained} the VMs of {len(before)} nodes might find no room on the others if the "
            f"node failed ({_some(before)}; for example {before[name]} of {name})."
        )
    worse = sorted(set(after) - set(before))
    if worse:
        found.append(f"After the plan the loss of {_some(worse)} could not be absorbed any more.")
    return found


def _of_moves(snapshot: Snapshot, plan: Plan) -> list[str]:
    found = []
    cold = [move for move in plan.moves if move.mode == COLD]
    if cold:
        longest = max(move.predicted.downtime_seconds for move in cold)
        what = "1 VM moves cold: it is" if len(cold) == 1 else f"{len(cold)} VMs move cold: each is"
        found.append(f"{what} stopped and down for about {format_duration(longest)}.")
    there = snapshot.virtual_machines  # a plan that is looked at again may name VMs that are gone
    live = [there[move.key] for move in plan.moves if move.mode == LIVE and move.key in there]
    guessed = [vm.key for vm in live if vm.instance and vm.instance.dirty_rate_bytes_per_second is None]
    if guessed:
        found.append(
            f"For {len(guessed)} of {len(live)} live moves the rate at which the guest changes its memory is not "
            "measured but assumed by workload class; their predicted times are estimates."
        )
    disruptive = [move.key for move in plan.moves if move.mode == LIVE and move.predicted.downtime_seconds > 1.0]
    if disruptive:
        found.append(f"Live moves that pause the guest for more than a second are expected of {_some(disruptive)}.")
    return found


def _some(names: Iterable[str]) -> str:
    listed = sorted(names)
    return ", ".join(listed[:_LISTED]) + (f" and {len(listed) - _LISTED} more" if len(listed) > _LISTED else "")
