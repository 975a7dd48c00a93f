# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which policy each VM gets, before and after a change, and what else matches it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any, Iterable, Mapping, Optional, Sequence

from ...cluster.model import MigrationPolicy, MigrationSettings, Snapshot, VirtualMachine
from ...cluster.team_labels import workload_of
from .precedence import Match, matches, matches_of, with_policy

# settings that a policy can change, by the names that modules tell: fields of MigrationSettings
SETTINGS = {
    "completion_timeout_seconds_per_gib": "completion_timeout_per_gib",
    "bandwidth_bytes_per_second": "bandwidth_bytes_per_second",
    "allow_auto_converge": "allow_auto_converge",
    "allow_post_copy": "allow_post_copy",
    "allow_workload_disruption": "allow_workload_disruption",
}


@dataclass(frozen=True)
class Effect:
    """What a VM gets. C(before) and C(after) are the policies that match it, the one it gets first."""

    vm: VirtualMachine
    workload: str
    before: Sequence[Match]
    after: Sequence[Match]

    @property
    def policy_before(self) -> Optional[MigrationPolicy]:
        return self.before[0].policy if self.before else None

    @property
    def policy_after(self) -> Optional[MigrationPolicy]:
        return self.after[0].policy if self.after else None

    @property
    def changed(self) -> bool:
        """Whether it gets another policy, or the same with other values."""
        one, other = self.policy_before, self.policy_after
        if one is None or other is None:
            return one is not other
        return one.name != other.name or one.spec != other.spec


def effects(snapshot: Snapshot, before: Iterable[MigrationPolicy], after: Iterable[MigrationPolicy]) -> list[Effect]:
    """Return the effect on each VM of the snapshot, in the order of their keys."""
    old, new = tuple(before), tuple(after)
    machines = (snapshot.virtual_machines[key] for key in sorted(snapshot.virtual_machines))
    return [
        Effect(vm, workload_of(snapshot, vm), matches_of(snapshot, vm, old), matches_of(snapshot, vm, new))
        for vm in machines
    ]


def effects_document(found: Sequence[Effect], settings: Optional[MigrationSettings]) -> dict[str, Any]:
    """Return effects as modules return them: counted by workload, and each VM for which something changes."""
    counts = Counter((each.workload, name_of(each.policy_before), name_of(each.policy_after)) for each in found)
    changed = [each for each in found if each.changed]
    return {
        "changed": len(changed),
        "by_workload": [
            {"workload": workload, "before": old, "after": new, "virtual_machines": count}
            for (workload, old, new), count in sorted(counts.items())
        ],
        "virtual_machines": [_changed_document(each, settings) for each in changed],
    }


def _changed_document(each: Effect, settings: Optional[MigrationSettings]) -> dict[str, Any]:
    return {
        "namespace": each.vm.namespace,
        "name": each.vm.name,
        "workload": each.workload,
        "before": name_of(each.policy_before),
        "after": name_of(each.policy_after),
        "competing": [match.policy.name for match in each.after[1:]],
        "settings_before": settings_document(settings, each.policy_before),
        "settings_after": settings_document(settings, each.policy_after),
    }


def name_of(policy: Optional[MigrationPolicy]) -> str:
    """Return a policy's name, empty for none."""
    return policy.name if policy else ""


def settings_document(settings: Optional[MigrationSettings], policy: Optional[MigrationPolicy]) -> dict[str, Any]:
    """Return the settings in force with a policy; empty where those of the cluster are not known."""
    if settings is None:
        return {}
    applied = with_policy(settings, policy)
    return {name: getattr(applied, field) for name, field in SETTINGS.items()}


@dataclass(frozen=True)
class Standing:
    """How a policy stands among the others: VMs it matches, VMs that get it, and by name the policies that take the
    others from it. C(same_labels) are policies with the very same labels, of which only the first name is ever got."""

    matches: int
    wins: int
    loses_to: Mapping[str, int]
    same_labels: tuple[str, ...]


def standings(found: Sequence[Effect], policies: Sequence[MigrationPolicy]) -> dict[str, Standing]:
    """Return how each policy stands after the change, by name."""
    matched: Counter[str] = Counter()
    won: Counter[str] = Counter()
    lost: dict[str, Counter[str]] = {policy.name: Counter() for policy in policies}
    for each in found:
        for place, match in enumerate(each.after):
            matched[match.policy.name] += 1
            if place == 0:
                won[match.policy.name] += 1
            else:
                lost[match.policy.name][each.after[0].policy.name] += 1
    return {
        policy.name: Standing(
            matched[policy.name],
            won[policy.name],
            dict(sorted(lost[policy.name].items())),
            tuple(other.name for other in policies if other.name != policy.name and _same_labels(policy, other)),
        )
        for policy in policies
    }


def _same_labels(one: MigrationPolicy, other: MigrationPolicy) -> bool:
    def labels(policy: MigrationPolicy) -> Any:
        if policy.vmi_labels is None and policy.namespace_labels is None:
            return None
        return dict(policy.vmi_labels or {}), dict(policy.namespace_labels or {})

    return labels(one) is not None and labels(one) == labels(other)


def explain(snapshot: Snapshot, vm: VirtualMachine, settings: Optional[MigrationSettings]) -> dict[str, Any]:
    """Return which policy a VM gets and why, what competes with it, and the settings that follow."""
    found = matches_of(snapshot, vm, snapshot.migration_policies)
    policy = found[0].policy if found else None
    # the template's labels reach the instance only when it is made
    space = snapshot.namespaces.get(vm.namespace, {})
    restarted = matches(snapshot.migration_policies, vm.template_labels, space) if vm.has_vm else found
    return {
        "namespace": vm.namespace,
        "name": vm.name,
        "workload": workload_of(snapshot, vm),
        "running": vm.running,
        "policy": name_of(policy),
        "why": _why(found),
        "matched": _labels_document(found[0]) if found else {"vmi_labels": {}, "namespace_labels": {}},
        "competing": [_competing(found[0], match) for match in found[1:]],
        "policy_after_restart": name_of(restarted[0].policy) if restarted else "",
        "settings": settings_document(settings, policy),
        "from_policy": from_policy(policy, settings),
    }


def from_policy(policy: Optional[MigrationPolicy], settings: Optional[MigrationSettings]) -> list[str]:
    """Return the settings in which a policy differs from the cluster's."""
    if settings is None or policy is None:
        return []
    applied = with_policy(settings, policy)
    return [name for name, field in SETTINGS.items() if getattr(applied, field) != getattr(settings, field)]


def _competing(first: Match, match: Match) -> dict[str, Any]:
    return {"name": match.policy.name, **_labels_document(match), "loses": _loss(first, match)}


def _labels_document(match: Match) -> dict[str, Any]:
    return {"vmi_labels": dict(match.vmi_labels), "namespace_labels": dict(match.namespace_labels)}


def _why(found: Sequence[Match]) -> str:
    if not found:
        return "No policy's labels are all on the VM and its namespace: the cluster's settings hold."
    first = found[0]
    parts = [f"{key}={value} of the VM" for key, value in sorted(first.vmi_labels.items())]
    parts += [f"{key}={value} of the namespace" for key, value in sorted(first.namespace_labels.items())]
    matched = f"It matches by {', '.join(parts)}" if parts else "It matches every VM"
    return f"{matched}." if len(found) == 1 else f"{matched}, and {_lead(first, found[1])}."


def _lead(first: Match, second: Match) -> str:
    return f"is before {second.policy.name} {_loss(first, second)}"


def _loss(first: Match, other: Match) -> str:
    """Say why one policy comes before another that matches as well."""
    if first.rank[0] != other.rank[0]:
        return "by more matching labels"
    if first.rank[1] != other.rank[1]:
        return "by more labels of the VM"
    return "by its name, which comes first"
