# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Why a migration that was copying has failed, or is about to."""

from __future__ import annotations

import math
import re
from typing import Optional, Sequence

from ...cluster.model import MigrationSettings
from ...quantity import format_bits
from .. import hyperconverged as hco
from ..advice.concurrency import MIB
from ..advice.timeouts import LONGEST_POLICY_PER_GIB, per_gib_needed
from ..checks import in_words
from ..precopy import DEFAULT_LINK_BYTES_PER_SECOND, copy_of, course_of, started_gigabytes
from ..progress import progress_seconds
from .case import Case
from .findings import (
    ABORTED,
    COMPLETION_TIMEOUT,
    OTHER,
    POD_DIED,
    PROGRESS_TIMEOUT,
    SATURATION,
    SOURCE_FAILED,
    STOPPED,
    UNREACHABLE,
    Diagnosis,
    Setting,
    for_cluster,
    for_some,
    found,
)
from .scheduling import unschedulable
from .waiting import handler_or_node

_MB = 1e6
# KubeVirt looks at its limits about once a second
_TOLERANCE_SECONDS = 2
_FASTER = 1.25
# a guest that dirties less of what is copied meanwhile gains nothing from being slowed down
_BUSY_RATIO = 0.5
_LONGEST_PROGRESS = 600
# live-migration guide, Issue 2: the number of migrations that a saturated network is brought down to
_SATURATED_PARALLEL = 3
_ABORTED_BY_KUBEVIRT = "Live migration has been aborted"
# what libvirt and QEMU say when the two nodes cannot talk to each other
_NETWORK = re.compile(
    r"no route to host|connection (refused|timed out|reset)|network is unreachable|unable to (connect|reach)|"
    r"broken pipe|closed by the remote host|name or service not known",
    re.IGNORECASE,
)


def failed(case: Case) -> list[Diagnosis]:
    """Return why a migration has failed; what made it worse comes after the cause."""
    reason = case.state.failure_reason if case.state else ""
    told = case.told
    if "vmi shutdown" in told or case.vm is None or (case.instance is None or not case.vm.running):
        return [_stopped(case, reason)]
    if _was_aborted(case):
        return [aborted(case)]
    trouble = handler_or_node(case)
    if _ABORTED_BY_KUBEVIRT in reason:
        return _timed_out(case, reason) + ([trouble] if trouble else [])
    if trouble is not None:
        return [trouble]
    if case.state is None and ("unschedulable" in told or (case.pod is not None and case.pod.unschedulable)):
        return [unschedulable(case)]
    if "arget pod" in reason or "arget pod" in told or "attachment pod" in told:
        return [_pod_died(case, reason)]
    if "another migration job" in told:
        return [_other(case)]
    if _NETWORK.search(reason):
        return [_unreachable(case, reason), *_some(saturation(case))]
    return [_source_failed(case, reason)]


def running(case: Case) -> list[Diagnosis]:
    """Return what is wrong with a migration that copies; empty if it may well end in time."""
    trouble = handler_or_node(case)
    if trouble is not None:
        return [trouble]
    took, limit = case.copy_seconds, case.limit_seconds
    if took is None or limit is None or took < limit / 2:
        return []
    left = f"It copies for {took:.0f} s and has to end within {limit:.0f} s."
    return [_completion(case, [left]), *_some(saturation(case))]


def saturation(case: Case) -> Optional[Diagnosis]:
    """Return that migrations crowd one node's link; None if this one was alone there, or the link is wide enough."""
    crowded = max(len(case.leaving), len(case.arriving)) + 1
    settings = case.cluster
    if crowded < 2 or settings is None:
        return None
    share = case.link / crowded if case.link else None
    if share is not None and share >= _needed(case):
        return None
    if case.link is None and settings.network and crowded <= settings.parallel_outbound_migrations_per_node:
        return None
    return found(
        SATURATION,
        "Several migrations shared the link of one node, so that each got too little of it.",
        [
            _crowd("left", case.source, case.leaving),
            _crowd("reached", case.target, case.arriving),
            f"The network {settings.network} carries migrations only."
            if settings.network
            else "Migrations use the pod network, which they share with applications.",
            _share(share, crowded),
            _throughput(case),
            _dirty(case),
        ],
        "Let fewer migrations run at once, give each a limit of bandwidth if applications suffer, and use a dedicated "
        "migration network.",
        *_fewer(case, settings, crowded),
    )


def _some(diagnosis: Optional[Diagnosis]) -> list[Diagnosis]:
    return [diagnosis] if diagnosis is not None else []


def _share(share: Optional[float], crowded: int) -> str:
    if share is None:
        return ""
    return f"A link of {format_bits(share * crowded)} gives each of {crowded} {share / _MB:.0f} MB/s."


def _crowd(did: str, node: str, others: Sequence[str]) -> str:
    if not others:
        return ""
    return f"{len(others) + 1} migrations {did} {node} at that time; the others were of {in_words(others)}."


def _needed(case: Case) -> float:
    """Bytes per second that would have been enough: faster than the guest writes, and in time."""
    limit = case.limit_seconds
    return max(case.dirty_rate * _FASTER, case.memory_bytes / limit if limit else 0.0)


def _fewer(case: Case, settings: MigrationSettings, crowded: int) -> list[Setting]:
    fitting = int(case.link / max(1.0, _needed(case))) if case.link else crowded // 2
    outbound, parallel = settings.parallel_outbound_migrations_per_node, settings.parallel_migrations_per_cluster
    options = []
    if len(case.leaving) >= len(case.arriving) and outbound > 1:
        options.append((hco.PARALLEL_OUTBOUND_PER_NODE, outbound, max(1, min(outbound - 1, fitting))))
    if parallel > 1:
        options.append((hco.PARALLEL_PER_CLUSTER, parallel, max(1, min(parallel - 1, _SATURATED_PARALLEL))))
    return [for_cluster(name, current, suggested) for name, current, suggested in options]


def _timed_out(case: Case, reason: str) -> list[Diagnosis]:
    """KubeVirt gives up in the same words for both timeouts; how long it took tells which it was."""
    took, limit = case.copy_seconds, case.limit_seconds
    facts = [f"failureReason: {reason}"]
    if took is not None and limit is not None and took >= limit - _TOLERANCE_SECONDS:
        return [_completion(case, facts), *_some(saturation(case))]
    return [_progress(case, facts), *_some(saturation(case))]


def _completion(case: Case, facts: list[str]) -> Diagnosis:
    took, limit, own = case.copy_seconds, case.limit_seconds, case.own
    if own is not None and took is not None and limit is not None:
        facts.append(
            f"The limit was {limit:.0f} s: {own.completion_timeout_per_gib} s for each of "
            f"{started_gigabytes(case.memory_bytes)} started GB; it copied for {took:.0f} s."
        )
    facts += [_dirty(case), _throughput(case), _bandwidth(case), _channels(case), _policy(case)]
    catches_up, settings = _completion_settings(case)
    useless = _useless_post_copy(case)
    return found(
        COMPLETION_TIMEOUT,
        "The copy was slower than the completion timeout allows."
        if catches_up
        else "The guest changes its memory faster than it is copied, so the copy never ends.",
        facts + ([useless] if useless else []),
        "Raise the timeout or the bandwidth for VMs like this by a MigrationPolicy, allow them auto-converge or "
        "post-copy, choose a quieter hour, or move the VM cold, which is sure to end.",
        *settings,
    )


def _completion_settings(case: Case) -> tuple[bool, list[Setting]]:
    own = case.own
    if own is None or case.vm is None:
        return True, []
    crowded = max(len(case.leaving), len(case.arriving)) + 1
    share = case.throughput or (case.link or DEFAULT_LINK_BYTES_PER_SECOND) / crowded
    copy = copy_of(case.vm, own, share, case.dirty_rate)
    found_settings = []
    if copy.ratio < 1:
        wanted = per_gib_needed(case.memory_bytes, course_of(copy, own).seconds)
        current = own.completion_timeout_per_gib
        suggested = min(LONGEST_POLICY_PER_GIB, max(wanted, 2 * current))
        if suggested > current:
            found_settings.append(for_some(hco.COMPLETION_TIMEOUT_PER_GIB, current, suggested))
    limit = own.bandwidth_bytes_per_second
    if limit and copy.ratio * _FASTER >= 1:
        mib = math.ceil(case.dirty_rate * _FASTER / MIB)
        if mib * MIB > limit:
            found_settings.append(for_some(hco.BANDWIDTH, f"{limit // MIB}Mi", f"{mib}Mi"))
    if _useless_post_copy(case):
        found_settings.append(for_some(hco.ALLOW_WORKLOAD_DISRUPTION, False, True))
    if not own.allow_auto_converge and copy.ratio >= _BUSY_RATIO:
        found_settings.append(for_some(hco.ALLOW_AUTO_CONVERGE, False, True))
    return copy.ratio < 1, found_settings


def _useless_post_copy(case: Case) -> str:
    own = case.own
    if own is not None and own.allow_post_copy and not own.allow_workload_disruption:
        return "Post-copy is allowed, but does nothing, since workload disruption is not."
    return ""


def _progress(case: Case, facts: list[str]) -> Diagnosis:
    own, took, limit = case.own, case.copy_seconds, case.limit_seconds
    current = own.progress_timeout_seconds if own else None
    if took is not None:
        within = f", before the {limit:.0f} s of the completion timeout" if limit else ""
        facts.append(f"It was given up after {took:.0f} s{within}.")
    if current:
        facts.append(f"The progress timeout is {current} s.")
    suggested = min(_LONGEST_PROGRESS, max(progress_seconds(case.memory_bytes), 2 * (current or 0)))
    setting = None
    if current and suggested > current:
        setting = for_cluster(hco.PROGRESS_TIMEOUT, current, suggested)
    return found(
        PROGRESS_TIMEOUT,
        "The data that is left to copy did not get less for as long as the progress timeout.",
        [*facts, _dirty(case), _bandwidth(case), _policy(case)],
        "Look first at the network between source and target: a link that is down, an MTU that does not hold, a "
        "firewall. The timeout exists for the whole cluster only; raise it for very large VMs.",
        setting,
    )


def _was_aborted(case: Case) -> bool:
    return (
        case.migration.deleting
        or "migrationAbortRequested" in case.migration.conditions
        or (case.state is not None and case.state.abort_requested)
        or "being canceled" in case.told
        or bool(case.cancelled)
    )


def aborted(case: Case) -> Diagnosis:
    """Return that the migration was, or is being, cancelled."""
    reason = case.state.failure_reason if case.state else ""
    by_us = f"It was cancelled because {case.cancelled}." if case.cancelled else ""
    return found(
        ABORTED,
        "This run cancelled the migration." if by_us else "Somebody deleted the migration, which cancels it.",
        [
            by_us,
            f"failureReason: {reason}" if reason else "",
            "It has the condition migrationAbortRequested."
            if "migrationAbortRequested" in case.migration.conditions
            else "",
            *(f"Event: {event}" for event in case.events if "cancel" in event),
        ],
        "The VM is still on its source. Migrate it again if that was not meant.",
    )


def _stopped(case: Case, reason: str) -> Diagnosis:
    phase = case.instance.phase if case.instance else "gone"
    return found(
        STOPPED,
        "The VM was shut down, or deleted, while it migrated.",
        [
            f"Its instance is {phase}.",
            f"failureReason: {reason}" if reason else "",
            *(f"Event: {event}" for event in case.events if "shutdown" in event),
        ],
        "Start the VM again if that was not meant; then it can be migrated.",
    )


def _pod_died(case: Case, reason: str) -> Diagnosis:
    return found(
        POD_DIED,
        "The pod on the target ended before the VM had arrived.",
        [
            f"failureReason: {reason}" if reason else "",
            f"The target was {case.target}." if case.target else "",
            *(f"Event: {event}" for event in case.events if "pod" in event.lower()),
        ],
        "The VM is still on its source. Look at the log and the events of the target's virt-launcher pod: evictions, "
        "memory pressure and volumes that cannot be attached are usual.",
    )


def _other(case: Case) -> Diagnosis:
    return found(
        OTHER,
        "Another migration of the same VM was under way.",
        [f"Event: {event}" for event in case.events if "another migration job" in event],
        "Wait for the other one; a VM has one migration at a time.",
    )


def _unreachable(case: Case, reason: str) -> Diagnosis:
    network = case.cluster.network if case.cluster else ""
    address = case.state.target_address if case.state else ""
    return found(
        UNREACHABLE,
        "The two nodes could not talk to each other over the network that carries migrations.",
        [
            f"failureReason: {reason}",
            f"From {case.source} to {case.target}{f' at {address}' if address else ''}.",
            f"Migrations use the dedicated network {network}." if network else "Migrations use the pod network.",
        ],
        "Check link, VLAN, MTU and firewall between the two nodes, and the NetworkAttachmentDefinition of a dedicated "
        "network (migration_network_verify does that).",
    )


def _source_failed(case: Case, reason: str) -> Diagnosis:
    return found(
        SOURCE_FAILED,
        "libvirt or virt-handler on the source gave up.",
        [f"failureReason: {reason}" if reason else "", *(f"Event: {event}" for event in case.events[-3:])],
        "The reason is in its own words; the log of the source's virt-launcher pod says more.",
    )


def _dirty(case: Case) -> str:
    if not case.memory_bytes:
        return ""
    origin = "measured" if case.dirty_rate_measured else f"assumed for workload {case.workload or 'of no class'}"
    return f"The guest changes its memory at about {case.dirty_rate / _MB:.0f} MB/s ({origin})."


def _throughput(case: Case) -> str:
    if not case.throughput:
        return ""
    return f"Migrations from {case.source} that succeeded have sent about {case.throughput / _MB:.0f} MB/s each."


def _bandwidth(case: Case) -> str:
    limit = case.own.bandwidth_bytes_per_second if case.own else 0
    return f"A migration sends {limit // MIB} MiB/s at most (bandwidthPerMigration)." if limit else ""


def _channels(case: Case) -> str:
    spec = case.instance.spec if case.instance else None
    if spec is not None and (spec.cpu_limited or spec.dedicated_cpus):
        return "The VM has CPU limits or dedicated CPUs, so one connection is used instead of eight."
    return ""


def _policy(case: Case) -> str:
    policy = case.state.policy if case.state else ""
    return f"MigrationPolicy {policy} applied." if policy else ""
