# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Why a migration waits: it has no target pod yet, or its pod does not get ready."""

from __future__ import annotations

import re
from typing import Optional

from ...cluster.model import MigrationSettings
from ..checks_machines import exceeded
from ..hyperconverged import PARALLEL_OUTBOUND_PER_NODE, PARALLEL_PER_CLUSTER
from ..in_flight import EVACUATION, WORKLOAD_UPDATE
from .case import Case
from .findings import (
    BACKOFF,
    BLOCKED,
    CLUSTER_LIMIT,
    HANDLER,
    NODE_LIMIT,
    NODE_LOST,
    NOT_RUNNING,
    NOT_STARTED,
    PREPARING,
    QUOTA,
    REFUSED,
    STARTING,
    Diagnosis,
    Setting,
    for_cluster,
    found,
)
from .scheduling import unschedulable

# conditions of a migration, which KubeVirt adds while they hold (kubevirt.io/api/core/v1/types.go)
QUOTA_CONDITION = "migrationRejectedByResourceQuota"
_BLOCKING = {
    "migrationBlockedByBackup": "a backup of the VM is under way",
    "migrationBlockedByUtilityVolumes": "the VM has utility volumes attached",
    "decentralizedMigrationBlocked": "the other side of a migration between clusters is not ready",
}
# so long every step may take before it is worth a word
_USUAL_SECONDS = 60.0
# performance-tuning guide, Concurrency Limits Tuning: moderate and aggressive, the latter with a dedicated network; on
# a shared one the default is not raised
_MOST_SHARED, _MOST_DEDICATED = 5, 20
_MOST_OUTBOUND_SHARED, _MOST_OUTBOUND_DEDICATED = 2, 4
_REFUSAL = re.compile(r"Error creating pod: (.*)")


def pending(case: Case) -> Optional[Diagnosis]:
    """Return why no target pod is made for it; None while it may well be made any moment."""
    if QUOTA_CONDITION in case.migration.conditions:
        return _quota(case)
    for condition, why in _BLOCKING.items():
        if condition in case.migration.conditions:
            reason = case.migration.conditions[condition].message or case.migration.conditions[condition].reason
            return found(
                BLOCKED,
                f"KubeVirt holds it back because {why}.",
                [_state(case), f"It has the condition {condition}{f' ({reason})' if reason else ''}."],
                "It goes on by itself when that is over.",
            )
    if case.vm is not None and not case.vm.running:
        phase = case.instance.phase if case.instance else "not there"
        return found(
            NOT_RUNNING,
            "The VM is not running, and only a running one is migrated.",
            [_state(case), f"Its instance is {phase}."],
            "Start the VM, or delete the migration.",
        )
    return _no_slot(case) or _backoff(case) or _refused(case) or _unexplained(case)


def scheduling(case: Case) -> Optional[Diagnosis]:
    """Return why its target pod is not ready; None while it may well become ready."""
    pod = case.pod
    if pod is not None and pod.unschedulable and not pod.node:
        return unschedulable(case)
    waited = case.waited_seconds
    if waited is None or waited < _USUAL_SECONDS or pod is None:
        return None
    return handler_or_node(case) or found(
        STARTING,
        "The containers of its target pod do not start.",
        [
            _state(case),
            f"Pod {case.migration.namespace}/{pod.name} on {pod.node or 'no node'} is {pod.phase or 'Pending'}.",
            f"Its containers wait: {pod.waiting}" if pod.waiting else "",
        ],
        "Look at the pod's events (`oc describe pod`): images that cannot be pulled and volumes that cannot be "
        "attached are usual. KubeVirt gives it up 900 s after the pod was made.",
    )


def preparing(case: Case) -> Optional[Diagnosis]:
    """Return why the two virt-handlers do not begin to copy; None while they may well begin."""
    known = handler_or_node(case)
    waited = case.waited_seconds
    if known is not None or waited is None or waited < _USUAL_SECONDS:
        return known
    network = case.cluster.network if case.cluster else ""
    return found(
        PREPARING,
        "virt-handler of the target does not publish the address to migrate to, or that of the source does not start.",
        [_state(case), f"Its migration network is {network}." if network else ""],
        "Look at the logs of virt-handler on both nodes and, with a dedicated network, at whether these pods have an "
        "address in it.",
    )


def handler_or_node(case: Case) -> Optional[Diagnosis]:
    """Return that a node, or virt-handler on it, does not answer; None if all do."""
    for role, name in (("source", case.source), ("target", case.target)):
        node = case.nodes.get(name)
        if name and node is not None and not node.ready:
            return found(
                NODE_LOST,
                f"The {role} node does not answer.",
                [f"Node {name}, the {role}, is not ready.", *_failure(case)],
                "Look at the node first. A VM whose source is lost restarts elsewhere only once the node is fenced; "
                "one whose target is lost is still on its source.",
            )
        if name and case.handlers.get(name, True) is False:
            label = node.labels.get("kubevirt.io/schedulable") if node else None
            return found(
                HANDLER,
                f"virt-handler on the {role} node is not ready, so nobody carries the migration out there.",
                [
                    f"The virt-handler pod on {name}, the {role}, is not ready.",
                    f"Node {name} has kubevirt.io/schedulable={label}." if label else "",
                    f"Its last heartbeat was at {node.heartbeat}." if node and node.heartbeat else "",
                    *_failure(case),
                ],
                "Wait if its DaemonSet is being rolled out (after a change of the migration network or an update); "
                "else look at the pod's log, at the NetworkAttachmentDefinition and at the node's network.",
            )
    return None


def _failure(case: Case) -> list[str]:
    reason = case.state.failure_reason if case.state else ""
    return [f"failureReason: {reason}"] if reason else []


def _state(case: Case) -> str:
    waited = case.waited_seconds
    since = f" for {waited:.0f} s" if waited is not None else ""
    pod = "" if case.pod else " and has no target pod"
    return f"Migration {case.name} is {case.migration.phase or 'new'}{since}{pod}."


def _no_slot(case: Case) -> Optional[Diagnosis]:
    settings, slots = case.cluster, case.slots
    if settings is None or slots is None:
        return None
    limit, per_node = settings.parallel_migrations_per_cluster, settings.parallel_outbound_migrations_per_node
    waiting = f"{slots.waiting} migrations wait for a slot." if slots.waiting > 1 else ""
    dedicated = bool(settings.network)
    silent = "KubeVirt says so neither in a condition nor in an event; it goes on by itself when a slot is free."
    if slots.active >= limit:
        most = _MOST_DEDICATED if dedicated else _MOST_SHARED
        return found(
            CLUSTER_LIMIT,
            "The cluster's limit of migrations is reached.",
            [
                _state(case),
                f"{slots.active} of {limit} migrations hold a slot (parallelMigrationsPerCluster, {settings.source}).",
                waiting,
            ],
            f"Wait. {silent} {_room_for_more(settings, most > limit)}",
            _raised(PARALLEL_PER_CLUSTER, limit, slots.active + slots.waiting, most),
        )
    if slots.outbound >= per_node:
        most = _MOST_OUTBOUND_DEDICATED if dedicated else _MOST_OUTBOUND_SHARED
        return found(
            NODE_LIMIT,
            f"The limit of migrations that leave node {case.source} is reached.",
            [
                _state(case),
                f"{slots.outbound} of {per_node} migrations leave {case.source} "
                f"(parallelOutboundMigrationsPerNode, {settings.source}).",
                f"{slots.active} of {limit} hold a slot in the cluster.",
                waiting,
            ],
            f"Wait. {silent} {_room_for_more(settings, most > per_node)}",
            _raised(PARALLEL_OUTBOUND_PER_NODE, per_node, slots.outbound + slots.waiting, most),
        )
    return None


def _room_for_more(settings: MigrationSettings, possible: bool) -> str:
    if possible:
        return "Raise the limit if links and nodes have room for more (migration_advice computes that)."
    if settings.network:
        return "The limit is as high as is advised already."
    return "Without a dedicated migration network the limit should not be raised."


def _raised(name: str, current: int, wanted: int, most: int) -> Optional[Setting]:
    suggested = min(max(wanted, current + 1), most)
    return for_cluster(name, current, suggested) if suggested > current else None


def _quota(case: Case) -> Diagnosis:
    requests = case.instance.requests if case.instance else None
    facts = []
    for quota in case.quotas:
        resource = exceeded(quota, requests) if requests else ""
        names = [resource] if resource in quota.hard else sorted(quota.hard)
        amounts = ", ".join(f"{name} {quota.used.get(name, '0')} of {quota.hard[name]}" for name in names)
        if resource or not requests:
            facts.append(f"ResourceQuota {quota.namespace}/{quota.name}: {amounts} in use.")
    if requests is not None:
        gib = requests.memory_bytes / 1024**3
        facts.append(f"The second pod requests {requests.cpu_millicores}m CPU and {gib:.1f} GiB of memory.")
    return found(
        QUOTA,
        "The namespace's quota does not allow the second pod that a VM has while it migrates.",
        [_state(case), f"It has the condition {QUOTA_CONDITION}.", *facts],
        "Raise the quota by what one VM requests for as long as VMs are migrated, or move the VM cold. It goes on by "
        "itself when there is room.",
    )


def _backoff(case: Case) -> Optional[Diagnosis]:
    own = EVACUATION in case.migration.annotations or WORKLOAD_UPDATE in case.migration.annotations
    told = [event for event in case.events if "backoff migrating vmi" in event]
    if not (own and told):
        return None
    return found(
        BACKOFF,
        "Earlier migrations of this VM that KubeVirt made itself have failed, so it waits longer before each new one.",
        [_state(case), *(f"Event: {event}" for event in told[-1:])],
        "See why the earlier ones have failed. The wait is 20 s, doubled with each failure; a migration that a user "
        "makes does not wait.",
    )


def _refused(case: Case) -> Optional[Diagnosis]:
    told = [match.group(1) for event in case.events for match in [_REFUSAL.search(event)] if match]
    if not told:
        return None
    return found(
        REFUSED,
        "The API server does not accept the target pod.",
        [_state(case), f"Event: {told[-1]}"],
        "The message names who refuses it: admission policies, security constraints and limit ranges are usual.",
    )


def _unexplained(case: Case) -> Optional[Diagnosis]:
    waited = case.waited_seconds
    if waited is None or waited < _USUAL_SECONDS:
        return None
    return found(
        NOT_STARTED,
        "No target pod is made for it, and nothing that can be read says why.",
        [_state(case), *(f"Event: {event}" for event in case.events[-3:])],
        "Is virt-controller running? Is an old pod of the VM still being ended, or a hot-plug unfinished? Delete the "
        "migration and make another one.",
    )
