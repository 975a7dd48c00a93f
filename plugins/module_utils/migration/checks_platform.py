# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Preflight checks of what moves VMs and of what else does: KubeVirt, its operator, limits, descheduler, rights."""

from __future__ import annotations

from typing import Mapping, Optional

from ..cluster.model import Condition, Snapshot
from .checks import FAILED, OK, UNKNOWN, WARNING, Check, count_of, in_words, some
from .in_flight import EVACUATION, WORKLOAD_UPDATE, active, outbound, unfinished
from .rights import RIGHTS, Right

# from here on the slots of the cluster count as nearly used up, in percent
_NEARLY_FULL_PERCENT = 80
_KUBEVIRT_PROFILES = ("KubeVirtRelieveAndMigrate", "DevKubeVirtRelieveAndMigrate", "LongLifecycle")
_AUTOMATIC = "Automatic"


def check_limits(snapshot: Snapshot) -> Check:
    """Whether slots are free: migrations that hold one, counted as KubeVirt does, against the limits in force."""
    settings = snapshot.virtualization.settings
    if settings is None:
        reason = snapshot.missing.get("virtualization", "neither a HyperConverged nor a KubeVirt object was read")
        return Check("limits", UNKNOWN, f"The migration limits are not known: {reason}.")
    running = active(snapshot)
    waiting = len(unfinished(snapshot)) - len(running)
    limit, per_node = settings.parallel_migrations_per_cluster, settings.parallel_outbound_migrations_per_node
    full = [node for node, number in outbound(snapshot, running).items() if number >= per_node]
    evidence = {
        "active": len(running),
        "pending": waiting,
        "parallel_migrations_per_cluster": limit,
        "parallel_outbound_migrations_per_node": per_node,
        "nodes_at_their_limit": some(full),
        "source": settings.source,
    }
    if limit < 1 or per_node < 1:
        name = "parallelMigrationsPerCluster" if limit < 1 else "parallelOutboundMigrationsPerNode"
        message = f"{name} is 0 ({settings.source}): no migration would ever start."
        return Check("limits", FAILED, message, "Raise it in the HyperConverged's liveMigrationConfig.", evidence)
    also = f", {waiting} more are waiting" if waiting else ""
    message = f"{len(running)} of {limit} migrations are in flight{also}; at most {per_node} may leave a node."
    if len(running) >= limit:
        hint = "Wait until one has ended; further migrations would stay pending."
        return Check("limits", FAILED, message, hint, evidence)
    if len(running) * 100 >= limit * _NEARLY_FULL_PERCENT or waiting:
        return Check("limits", WARNING, message, "Migrations have to share the free slots with those.", evidence)
    return Check("limits", OK, message, f"The limits are those of {settings.source}.", evidence)


def check_kubevirt(snapshot: Snapshot) -> Check:
    """Whether KubeVirt is available; while it is being updated it also says Degraded, which is a warning only."""
    virtualization = snapshot.virtualization
    if "virtualization" not in snapshot.parts:
        reason = snapshot.missing.get("virtualization", "it was not read")
        return Check("kubevirt", UNKNOWN, f"The state of KubeVirt is not known: {reason}.")
    conditions = virtualization.kubevirt_conditions
    evidence = {"version": virtualization.kubevirt_version, "conditions": _statuses(conditions)}
    if not conditions:
        message = "There is no KubeVirt object, or it has not been worked off yet."
        return Check(
            "kubevirt", FAILED, message, "Install OpenShift Virtualization and wait until it is deployed.", evidence
        )
    if not _is(conditions, "Available", "True"):
        message = f"KubeVirt {virtualization.kubevirt_version} is not available{_told(conditions, 'Available')}."
        return Check(
            "kubevirt", FAILED, message, "Look at the KubeVirt object's conditions and virt-operator's log.", evidence
        )
    wrong = [name for name in ("Progressing", "Degraded") if _is(conditions, name, "True")]
    if wrong:
        message = f"KubeVirt {virtualization.kubevirt_version} is {' and '.join(wrong)}{_told(conditions, wrong[0])}."
        hint = "An update or a change of its configuration is under way; nodes leave scheduling for moments: wait."
        return Check("kubevirt", WARNING, message, hint, evidence)
    return Check("kubevirt", OK, f"KubeVirt {virtualization.kubevirt_version} is available.", "", evidence)


def check_hyperconverged(snapshot: Snapshot) -> Check:
    """Whether the HyperConverged has been worked off; KubeVirt works without one as well."""
    virtualization = snapshot.virtualization
    conditions = virtualization.hyperconverged_conditions
    evidence = {
        "api_version": virtualization.hyperconverged_api,
        "version": virtualization.hyperconverged_version,
        "conditions": _statuses(conditions),
    }
    reason = snapshot.missing.get("hyperconverged") or snapshot.missing.get("virtualization")
    if not virtualization.hyperconverged_api:
        if reason:
            return Check("hyperconverged", UNKNOWN, f"The HyperConverged could not be read: {reason}.", "", evidence)
        message = "There is no HyperConverged; migration settings are those of the KubeVirt object."
        return Check("hyperconverged", OK, message, "", evidence)
    wrong = [
        name
        for name, good in (
            ("ReconcileComplete", "True"),
            ("Available", "True"),
            ("Progressing", "False"),
            ("Degraded", "False"),
        )
        if name in conditions and conditions[name].status != good
    ]
    if wrong:
        message = f"The HyperConverged has {', '.join(f'{name}={conditions[name].status}' for name in wrong)}"
        hint = "Wait until the operator has worked it off, or look at its conditions."
        return Check("hyperconverged", WARNING, f"{message}{_told(conditions, wrong[0])}.", hint, evidence)
    message = f"The HyperConverged ({virtualization.hyperconverged_api}) has been worked off."
    return Check("hyperconverged", OK, message, "", evidence)


def check_workload_updates(snapshot: Snapshot) -> Check:
    """Whether KubeVirt is about to migrate VMs itself, which goes first.

    Source: KubeVirt pkg/virt-controller/watch/workload-updater.
    """
    outdated = snapshot.virtualization.outdated_instances
    moving = [f"{item.namespace}/{item.vmi}" for item in unfinished(snapshot) if WORKLOAD_UPDATE in item.annotations]
    automatic = "LiveMigrate" in snapshot.virtualization.workload_update_methods
    evidence = {"outdated": outdated, "migrating": some(moving), "automatic": automatic}
    if "virtualization" not in snapshot.parts:
        return Check("workload_updates", UNKNOWN, "Whether VMs wait for an update is not known.", "", evidence)
    if moving or (outdated and automatic):
        message = f"VMs with an outdated launcher: {outdated}; being migrated for an update: {len(moving)}."
        hint = (
            "KubeVirt's own migrations overtake others: wait until status.outdatedVirtualMachineInstanceWorkloads is 0."
        )
        return Check("workload_updates", WARNING, message, hint, evidence)
    if outdated:
        message = f"VMs with an outdated launcher: {outdated}; KubeVirt does not update them by itself."
        return Check("workload_updates", OK, message, "A migration updates them.", evidence)
    return Check("workload_updates", OK, "No VM waits for an update of its launcher.", "", evidence)


def check_descheduler(snapshot: Snapshot) -> Check:
    """Whether a descheduler moves VMs at the same time: in mode Automatic with a profile for VMs it undoes the work."""
    descheduler = snapshot.descheduler
    if descheduler is None:
        if "descheduler" in snapshot.missing:
            reason = snapshot.missing["descheduler"]
            return Check("descheduler", UNKNOWN, f"Whether there is a descheduler is not known: {reason}.")
        return Check("descheduler", OK, "There is no descheduler.")
    evidence = {
        "mode": descheduler.mode,
        "profiles": list(descheduler.profiles),
        "interval_seconds": descheduler.interval_seconds,
    }
    profiles = ", ".join(descheduler.profiles) or "no profile"
    if descheduler.mode != _AUTOMATIC:
        message = f"The descheduler only predicts (mode {descheduler.mode})."
        return Check("descheduler", OK, message, "", evidence)
    hint = "Set the KubeDescheduler's mode to Predictive while VMs are being moved, else both move the same VMs."
    for_vms = [name for name in descheduler.profiles if name in _KUBEVIRT_PROFILES]
    message = f"The descheduler evicts by itself every {descheduler.interval_seconds} s ({profiles})."
    return Check("descheduler", FAILED if for_vms else WARNING, message, hint, evidence)


def check_evacuations(snapshot: Snapshot) -> Check:
    """Whether nodes are being emptied: their migrations overtake all others."""
    nodes = {vm.instance.evacuation_node for vm in snapshot.virtual_machines.values() if vm.instance}
    moving = [item for item in unfinished(snapshot) if EVACUATION in item.annotations]
    nodes |= {item.annotations[EVACUATION] for item in moving}
    nodes.discard("")
    evidence = {"nodes": some(nodes), "migrations": len(moving)}
    if not nodes and not moving:
        return Check("evacuations", OK, "No node is being evacuated.", "", evidence)
    message = f"Being evacuated: {count_of(len(nodes), 'node')} ({in_words(nodes)}); migrations for it: {len(moving)}."
    hint = "Migrations of a drain overtake others: wait until it is done."
    return Check("evacuations", WARNING, message, hint, evidence)


def check_targeted_migration(snapshot: Snapshot) -> Check:
    """Whether a migration can be sent to a chosen node (spec.addedNodeSelector, KubeVirt 1.6)."""
    possible = snapshot.virtualization.targeted_migration
    if possible is None:
        message = "Whether migrations can be sent to a chosen node is not known."
        return Check("targeted_migration", UNKNOWN, message, "The definition of migrations could not be read.")
    if possible:
        return Check("targeted_migration", OK, "Migrations can be sent to a chosen node.")
    message = "Migrations cannot be sent to a chosen node (no spec.addedNodeSelector, KubeVirt before 1.6)."
    hint = "VMs are steered by their nodeSelector instead, which needs the right to patch VirtualMachines."
    return Check("targeted_migration", WARNING, message, hint)


def check_permissions(rights: Optional[Mapping[Right, bool]]) -> Check:
    """Whether the account may do what a run does; C(rights) are the answers of the API server, None if not asked."""
    if rights is None:
        message = "What this account may do was not asked."
        return Check("permissions", UNKNOWN, message, "It can be asked of a live cluster only.")
    denied = [right for right in RIGHTS if not rights.get(right, False)]
    evidence = {"allowed": len(RIGHTS) - len(denied), "denied": [right.text for right in denied]}
    if not denied:
        return Check("permissions", OK, "This account may do all that a run does.", "", evidence)
    needed = [right for right in denied if not right.optional]
    message = f"This account may not {in_words(right.text for right in needed or denied)}."
    if needed:
        return Check("permissions", FAILED, message, "docs/rbac/rebalance.yaml has the rights to give it.", evidence)
    hint = "These rights are for cold moves, and for steering VMs where migrations cannot be aimed at a node."
    return Check("permissions", WARNING, message, hint, evidence)


def check_metrics(snapshot: Snapshot) -> Check:
    """Whether usage is known, which planning by usage and good predictions need."""
    if "usage" not in snapshot.parts:
        reason = snapshot.missing.get("usage", "they were not read")
        hint = "Plan by requests or allocation; durations are predicted with assumptions."
        return Check("metrics", WARNING, f"There are no metrics of nodes and VMs: {reason}.", hint)
    without = [node.name for node in snapshot.nodes.values() if node.ready and node.usage is None]
    evidence = {"nodes": len(snapshot.nodes), "without": some(without)}
    if without:
        message = f"There are no metrics of {count_of(len(without), 'node')}: {in_words(without)}."
        return Check("metrics", WARNING, message, "Is the kubelet of these nodes reachable for metrics?", evidence)
    return Check("metrics", OK, f"Metrics of {count_of(len(snapshot.nodes), 'node')} are there.", "", evidence)


def _is(conditions: Mapping[str, Condition], name: str, status: str) -> bool:
    return name in conditions and conditions[name].status == status


def _statuses(conditions: Mapping[str, Condition]) -> dict[str, str]:
    return {name: condition.status for name, condition in sorted(conditions.items())}


def _told(conditions: Mapping[str, Condition], name: str) -> str:
    condition = conditions.get(name)
    told = ": ".join(part for part in (condition.reason, condition.message.rstrip(".")) if part) if condition else ""
    return f" ({told})" if told else ""
