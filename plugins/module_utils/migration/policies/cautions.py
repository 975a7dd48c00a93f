# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a policy risks, and what it cannot do: sentences for people."""

from __future__ import annotations

from typing import Any, Iterable, Mapping, Optional, Sequence

from ...cluster.model import MigrationPolicy, MigrationSettings, VirtualMachine
from ...quantity import format_duration, parse_bytes
from .. import hyperconverged as hco
from ..progress import progress_advice
from .differences import CHANGE, KEEP, REMOVE, Change
from .effects import Effect, Standing
from .named import NAMED
from .precedence import with_policy
from .wanted import Wanted

_MIB = 1024**2


def policy_cautions(name: str, spec: Mapping[str, Any], settings: Optional[MigrationSettings]) -> list[str]:
    """Return what the values of one policy risk; C(settings) are the cluster's, None if they are not known."""
    told = []
    post_copy, disruption = spec.get(hco.ALLOW_POST_COPY), spec.get(hco.ALLOW_WORKLOAD_DISRUPTION)
    if post_copy and disruption is not False:
        told.append(
            "allows post-copy: once a migration has switched to it, the guest runs on the target with part of its "
            "memory still on the source, no time-out holds any more, and a lost network or node loses the guest."
        )
    if post_copy and disruption is False:
        told.append(
            "allows post-copy but no workload disruption: with KubeVirt 1.9 and later (HyperConverged 1.19) this does "
            "nothing."
        )
    if disruption and not _post_copy(post_copy, settings):
        told.append(
            "allows workload disruption without post-copy: when the completion time-out is over, the guest is paused "
            "until its memory is copied."
        )
    if spec.get(hco.ALLOW_AUTO_CONVERGE):
        told.append("allows auto-converge: a guest that writes too fast gets less and less CPU until its copy ends.")
    if spec.get(hco.COMPLETION_TIMEOUT_PER_GIB) == 0:
        told.append("has the completion time-out 0: a migration that does not converge goes on for ever.")
    told += _bandwidth_cautions(spec.get(hco.BANDWIDTH), settings)
    return [f"Policy {name} {text}" for text in told]


def _post_copy(stated: Optional[bool], settings: Optional[MigrationSettings]) -> bool:
    if stated is not None:
        return stated
    return settings.allow_post_copy if settings else False


def _bandwidth_cautions(quantity: Any, settings: Optional[MigrationSettings]) -> list[str]:
    if quantity is None:
        return []
    stated = parse_bytes(quantity, hco.BANDWIDTH)
    if stated == 0:
        if settings is None or settings.bandwidth_bytes_per_second == 0:
            return []
        limit = settings.bandwidth_bytes_per_second // _MIB
        return [f"takes away the cluster's limit of {limit} MiB/s: one migration may fill the link."]
    if stated < _MIB:
        return [f"limits the bandwidth to {quantity} bytes per second, which counts as 1 MiB/s; 64Mi is 64 MiB/s."]
    return [
        f"limits each migration to {max(1, (stated + _MIB // 2) // _MIB)} MiB/s: a guest that writes faster than that "
        "does not end its migration by itself."
    ]


def change_cautions(
    changes: Sequence[Change],
    wanted: Sequence[Wanted],
    standings: Mapping[str, Standing],
    settings: Optional[MigrationSettings],
) -> list[str]:
    """Return what to know about the policies that are to be there, and about those that are changed or removed."""
    told: list[str] = []
    for change in changes:
        if change.action == REMOVE and not change.managed:
            told.append(f"Policy {change.name} was not made by this collection; it is removed since it was named.")
        if change.action == CHANGE and not change.managed:
            told.append(f"Policy {change.name} was not made by this collection: it is changed, and never purged.")
        if change.action == REMOVE or (change.action == KEEP and not change.after):
            continue
        told += policy_cautions(change.name, change.after, settings)
        told += _standing_cautions(change.name, standings.get(change.name))
    advised = [(each.name, NAMED[each.profile].advice) for each in wanted if each.spec and each.profile]
    return told + [f"Policy {name}: {advice}" for name, advice in advised if advice]


def _standing_cautions(name: str, standing: Optional[Standing]) -> list[str]:
    if standing is None:
        return []
    first = min(standing.same_labels, default=name)
    if first < name:
        return [f"Policy {name} has the same labels as {first}, whose name comes first: no VM ever gets {name}."]
    if standing.matches and not standing.wins:
        others = ", ".join(standing.loses_to)
        return [f"Policy {name} matches {standing.matches} VMs, but all of them get {others}."]
    return []


def progress_cautions(found: Iterable[Effect], settings: Optional[MigrationSettings]) -> list[str]:
    """Return which progress time-out the VMs with a policy need: it exists only for the whole cluster.

    Source: performance-tuning guide, Timeout Configuration, Progress Timeout, which gives one by the size of a VM.
    """
    if settings is None or settings.progress_timeout_seconds == 0:
        return []
    short: dict[str, list[VirtualMachine]] = {}
    for each in found:
        if each.policy_after is None:
            continue
        advice = progress_advice(_memory(each.vm))
        if advice.seconds[0] > settings.progress_timeout_seconds:
            short.setdefault(advice.name, []).append(each.vm)
    told = []
    for name, machines in sorted(short.items()):
        low, high = progress_advice(_memory(machines[0])).seconds
        some = ", ".join(vm.key for vm in machines[:3]) + (", ..." if len(machines) > 3 else "")
        told.append(
            f"{len(machines)} VMs with a policy are {name} ({some}): {low} to {high} s without progress are advised "
            f"for them, and the cluster's progressTimeout is {settings.progress_timeout_seconds} s. No policy can "
            "change it: it exists only for the whole cluster (hco_migration_config)."
        )
    return told


def _memory(vm: VirtualMachine) -> int:
    return (vm.instance.spec if vm.instance else vm.spec).guest_memory_bytes


def timeout_cautions(found: Iterable[Effect], settings: Optional[MigrationSettings]) -> list[str]:
    """Return the policies under which a migration is cancelled earlier than under the cluster's settings."""
    if settings is None:
        return []
    cluster = settings.completion_timeout_per_gib
    got: dict[str, MigrationPolicy] = {}
    for each in found:
        if each.policy_after is not None:
            got[each.policy_after.name] = each.policy_after
    told = []
    for name, policy in sorted(got.items()):
        own = with_policy(settings, policy).completion_timeout_per_gib
        if own and (cluster == 0 or own < cluster):
            whole = "for ever" if cluster == 0 else f"{format_duration(cluster)} per GB"
            told.append(
                f"Policy {name} gives a migration {format_duration(own)} per GB, less than the cluster's {whole}."
            )
    return told


def in_flight_cautions(found: Iterable[Effect], migrating: Iterable[str]) -> list[str]:
    """Return that migrations under way keep what they began with; C(migrating) are the keys of VMs that migrate now."""
    now = set(migrating)
    kept = sorted(each.vm.key for each in found if each.changed and each.vm.key in now)
    if not kept:
        return []
    return [f"{', '.join(kept)}: a migration under way keeps the policy that it began with."]
