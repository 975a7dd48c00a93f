# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which MigrationPolicy a VM gets, and the settings that follow from it.

The only place of the rule. Source: KubeVirt pkg/virt-controller/watch/migration/migrationpolicy.go (matchPolicy,
countMatchingLabels). KubeVirt skips the namespace's labels for an instance that has no labels at all; every instance
that can migrate has some (kubevirt.io/nodeName), so this is not followed here.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Iterable, Mapping, Optional, Sequence

from ...cluster.model import MigrationPolicy, MigrationSettings, Snapshot, VirtualMachine
from ...cluster.selectors import labels_match
from .. import hyperconverged as hco
from ..settings import bandwidth_in_force

Labels = Mapping[str, str]

MAX_DOWNTIME_MS = "maxDowntimeMs"


@dataclass(frozen=True)
class Match:
    """A policy whose labels a VM and its namespace all have."""

    policy: MigrationPolicy

    @property
    def vmi_labels(self) -> Labels:
        return self.policy.vmi_labels or {}

    @property
    def namespace_labels(self) -> Labels:
        return self.policy.namespace_labels or {}

    @property
    def rank(self) -> tuple[int, int, str]:
        """What decides, the smallest first: more matching labels, more of them on the VM, the first name."""
        own, space = len(self.vmi_labels), len(self.namespace_labels)
        return -own - space, -own, self.policy.name


def matches(policies: Iterable[MigrationPolicy], labels: Labels, namespace_labels: Labels) -> list[Match]:
    """Return the policies that match these labels of an instance and its namespace; the one it gets comes first."""
    found = [
        Match(policy)
        for policy in policies
        if (policy.vmi_labels is not None or policy.namespace_labels is not None)
        and labels_match(policy.vmi_labels or {}, labels)
        and labels_match(policy.namespace_labels or {}, namespace_labels)
    ]
    return sorted(found, key=lambda match: match.rank)


def labels_at_migration(vm: VirtualMachine) -> Labels:
    """Return the labels that count when it migrates: its instance's; those of its template for one that is to start."""
    return vm.instance.labels if vm.instance else vm.template_labels


def matches_of(snapshot: Snapshot, vm: VirtualMachine, policies: Iterable[MigrationPolicy]) -> list[Match]:
    """Return which of these policies match a VM of the snapshot; the one it gets comes first."""
    return matches(policies, labels_at_migration(vm), snapshot.namespaces.get(vm.namespace, {}))


def settings_for(
    vm: VirtualMachine,
    settings: MigrationSettings,
    policies: Sequence[MigrationPolicy],
    namespace_labels: Labels,
) -> MigrationSettings:
    """Return the cluster's settings with the one policy applied that this VM gets."""
    found = matches(policies, labels_at_migration(vm), namespace_labels)
    return with_policy(settings, found[0].policy if found else None)


def with_policy(settings: MigrationSettings, policy: Optional[MigrationPolicy]) -> MigrationSettings:
    """Return the settings with a policy's values over them.

    A policy that states allowPostCopy and not allowWorkloadDisruption states both. Raises InvalidInput for a bandwidth
    that is no quantity.
    """
    spec = {name: value for name, value in (policy.spec if policy else {}).items() if value is not None}
    changes: dict[str, object] = {}
    if hco.BANDWIDTH in spec:
        changes["bandwidth_bytes_per_second"] = bandwidth_in_force(spec[hco.BANDWIDTH])
    if hco.COMPLETION_TIMEOUT_PER_GIB in spec:
        changes["completion_timeout_per_gib"] = int(spec[hco.COMPLETION_TIMEOUT_PER_GIB])
    if hco.ALLOW_AUTO_CONVERGE in spec:
        changes["allow_auto_converge"] = bool(spec[hco.ALLOW_AUTO_CONVERGE])
    if hco.ALLOW_POST_COPY in spec:
        changes["allow_post_copy"] = bool(spec[hco.ALLOW_POST_COPY])
        changes["allow_workload_disruption"] = bool(spec[hco.ALLOW_POST_COPY])
    if hco.ALLOW_WORKLOAD_DISRUPTION in spec:
        changes["allow_workload_disruption"] = bool(spec[hco.ALLOW_WORKLOAD_DISRUPTION])
    return replace(settings, **changes)  # type: ignore[arg-type]
