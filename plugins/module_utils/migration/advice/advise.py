# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Advice about the cluster's live-migration settings, computed from facts, with its reasons.

The settings are called as the options of hco_migration_config are.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Mapping, Optional

from ...cluster.model import MigrationSettings
from ...quantity import format_bits
from .. import hyperconverged as hco
from ..config.fields import BY_NAME
from ..precopy import TOO_DIRTY
from .concurrency import MIB, Concurrency, concurrency_for
from .convergence import Stuck, copy_under, origin_of, stuck
from .facts import Facts, Machine
from .timeouts import completion_timeout, memory_of, progress_timeout

PARALLEL = BY_NAME[hco.PARALLEL_PER_CLUSTER].option
OUTBOUND = BY_NAME[hco.PARALLEL_OUTBOUND_PER_NODE].option
BANDWIDTH = BY_NAME[hco.BANDWIDTH].option
COMPLETION_TIMEOUT = BY_NAME[hco.COMPLETION_TIMEOUT_PER_GIB].option
PROGRESS_TIMEOUT = BY_NAME[hco.PROGRESS_TIMEOUT].option
AUTO_CONVERGE = BY_NAME[hco.ALLOW_AUTO_CONVERGE].option
POST_COPY = BY_NAME[hco.ALLOW_POST_COPY].option
DISRUPTION = BY_NAME[hco.ALLOW_WORKLOAD_DISRUPTION].option
SETTINGS = (
    PARALLEL,
    OUTBOUND,
    BANDWIDTH,
    COMPLETION_TIMEOUT,
    PROGRESS_TIMEOUT,
    AUTO_CONVERGE,
    POST_COPY,
    DISRUPTION,
)

# if more of the VMs than this would not converge, auto-converge is worth being allowed for all
_MANY_STUCK_SHARE = 0.25
_NAMED = 5


@dataclass(frozen=True)
class Advice:
    """Values and reasons by setting; both have all of SETTINGS, in that order."""

    facts: Facts
    recommended: Mapping[str, Any]
    reasons: Mapping[str, str]
    not_converging: tuple[Stuck, ...]


def advise(facts: Facts) -> Advice:
    """Return the advice. Raises InvalidInput for a link that is too slow for any migration."""
    limits = concurrency_for(facts)
    settings = _settings(facts.current, limits)
    copies = [(machine, *copy_under(machine, settings, facts.link)) for machine in facts.machines]
    dirty = [machine.vm.key for machine, _copy, course in copies if course.obstacle == TOO_DIRTY]
    auto_converge, why_auto_converge = _auto_converge(facts, dirty)
    settings = replace(settings, allow_auto_converge=auto_converge)
    copies = [(machine, *copy_under(machine, settings, facts.link)) for machine in facts.machines]
    timeout, why_timeout = completion_timeout(
        (
            (machine, course)
            for machine, _copy, course in copies
            if course.obstacle != TOO_DIRTY and not _own_timeout(machine)
        ),
        0 if facts.link.dedicated or facts.current is None else facts.current.completion_timeout_per_gib,
    )
    settings = replace(settings, completion_timeout_per_gib=timeout)
    progress, why_progress = progress_timeout(facts.machines)
    found = []
    for machine in facts.machines:
        copy, course = copy_under(machine, settings, facts.link)
        if course.obstacle:
            found.append(stuck(machine, copy, course, facts.link))
    values = (
        (PARALLEL, limits.parallel, limits.parallel_reason),
        (OUTBOUND, limits.outbound, limits.outbound_reason),
        (BANDWIDTH, f"{limits.mib_per_second}Mi", limits.bandwidth_reason),
        (COMPLETION_TIMEOUT, timeout, why_timeout),
        (PROGRESS_TIMEOUT, progress, why_progress),
        (AUTO_CONVERGE, auto_converge, why_auto_converge),
        (POST_COPY, False, _post_copy_reason(facts, found)),
        (DISRUPTION, False, _disruption_reason(facts)),
    )
    return Advice(
        facts,
        {name: value for name, value, _reason in values},
        {name: reason for name, _value, reason in values},
        tuple(found),
    )


def current_values(settings: Optional[MigrationSettings]) -> dict[str, Any]:
    """Return the settings in force by the names of SETTINGS; empty if they are not known. No bandwidth is no limit."""
    if settings is None:
        return {}
    bandwidth = settings.bandwidth_bytes_per_second
    return {
        PARALLEL: settings.parallel_migrations_per_cluster,
        OUTBOUND: settings.parallel_outbound_migrations_per_node,
        BANDWIDTH: f"{bandwidth // MIB}Mi" if bandwidth else None,
        COMPLETION_TIMEOUT: settings.completion_timeout_per_gib,
        PROGRESS_TIMEOUT: settings.progress_timeout_seconds,
        AUTO_CONVERGE: settings.allow_auto_converge,
        POST_COPY: settings.allow_post_copy,
        DISRUPTION: settings.allow_workload_disruption,
    }


def advice_result(advice: Advice) -> dict[str, Any]:
    """Return what the module returns: JSON types only."""
    facts = advice.facts
    current = current_values(facts.current)
    return {
        "recommended": dict(advice.recommended),
        "current": current,
        "reasons": [
            {
                "setting": name,
                "current": current.get(name),
                "recommended": advice.recommended[name],
                "reason": advice.reasons[name],
            }
            for name in SETTINGS
        ],
        "not_converging": [_stuck_entry(item) for item in advice.not_converging],
        "facts": {
            "nodes": facts.nodes,
            "virtual_machines": len(facts.machines),
            "not_live_migratable": facts.not_live,
            "dedicated_network": facts.link.dedicated,
            "link_bytes_per_second": int(facts.link.bytes_per_second),
            "link_share_percent": round(facts.link.share * 100),
            "link_origin": facts.link.origin,
            "settings_source": facts.current.source if facts.current else "",
        },
        "text": "\n".join(_text(advice, current)),
    }


def _settings(current: Optional[MigrationSettings], limits: Concurrency) -> MigrationSettings:
    return MigrationSettings(
        parallel_migrations_per_cluster=limits.parallel,
        parallel_outbound_migrations_per_node=limits.outbound,
        completion_timeout_per_gib=0,
        progress_timeout_seconds=0,
        bandwidth_bytes_per_second=limits.mib_per_second * MIB,
        allow_auto_converge=False,
        allow_post_copy=False,
        allow_workload_disruption=False,
        network=current.network if current else "",
        source="",
    )


def _own_timeout(machine: Machine) -> bool:
    return machine.policy is not None and machine.policy.spec.get(hco.COMPLETION_TIMEOUT_PER_GIB) is not None


def _auto_converge(facts: Facts, dirty: list[str]) -> tuple[bool, str]:
    total = len(facts.machines)
    if not dirty:
        if facts.current is not None and facts.current.allow_auto_converge:
            return True, "It is allowed now, and does nothing to migrations that converge by themselves."
        return False, f"All {total} VMs that can migrate are expected to converge without it."
    told = f"{len(dirty)} of {total} VMs change their memory faster than it is copied ({_some(dirty)})"
    if len(dirty) > total * _MANY_STUCK_SHARE:
        return True, f"{told}. It slows the CPUs of those guests down while they migrate, and leaves others alone."
    if facts.current is not None and facts.current.allow_auto_converge:
        return True, f"{told}, and it is allowed now. It slows the CPUs of those guests down while they migrate."
    return False, f"{told}: allow it for those by a MigrationPolicy and leave the other VMs as they are."


def _post_copy_reason(facts: Facts, found: list[Stuck]) -> str:
    risk = "a guest is lost if the connection breaks after the switch, so no whole cluster should be exposed to that"
    if facts.current is not None and facts.current.allow_post_copy:
        vain = ""
        if not facts.current.allow_workload_disruption:
            vain = " Now it does nothing, because allow_workload_disruption is false."
        return f"It is allowed now for every VM: {risk}. Allow it by a MigrationPolicy for those that need it.{vain}"
    needing = f" ({_some([item.machine.vm.key for item in found])})" if found else ""
    return f"Off: {risk}. A MigrationPolicy allows it for VMs that do not converge{needing}."


def _disruption_reason(facts: Facts) -> str:
    if facts.current is not None and facts.current.allow_workload_disruption:
        return (
            "Now a guest that runs into the completion timeout is paused, or switched to post-copy, for any VM. Allow "
            "that by a MigrationPolicy to those whose owners agree."
        )
    return (
        "Off: with it KubeVirt pauses a guest at the completion timeout (or starts post-copy where that is allowed) "
        "instead of giving the migration up."
    )


def _stuck_entry(item: Stuck) -> dict[str, Any]:
    vm = item.machine.vm
    return {
        "namespace": vm.namespace,
        "name": vm.name,
        "workload": item.machine.workload,
        "policy": item.machine.policy.name if item.machine.policy else "",
        "memory_bytes": memory_of(item.machine),
        "dirty_bytes_per_second": int(item.copy.dirty_rate),
        "dirty_rate_origin": origin_of(item.machine, item.copy),
        "bandwidth_bytes_per_second": int(item.copy.bandwidth),
        "code": item.course.obstacle,
        "reason": item.reason,
        "helps": [{"way": way.way, "text": way.text, "policy": dict(way.policy)} for way in item.helps],
    }


def _text(advice: Advice, current: Mapping[str, Any]) -> list[str]:
    facts = advice.facts
    network = "a dedicated migration network" if facts.link.dedicated else "a network shared with applications"
    lines = [
        f"For {facts.nodes} nodes and {len(facts.machines)} VMs that can migrate, over {network} with "
        f"{format_bits(facts.link.bytes_per_second)} per node:"
    ]
    for name in SETTINGS:
        value = advice.recommended[name]
        was = "no limit" if name in current and current[name] is None else current.get(name)
        now = f" (now {was})" if was is not None and was != value else ""
        lines.append(f"{name}: {value}{now}. {advice.reasons[name]}")
    for item in advice.not_converging:
        ways = ", ".join(way.way for way in item.helps)
        lines.append(f"{item.machine.vm.key} would not get there. {item.reason} What helps: {ways}.")
    return lines


def _some(names: list[str]) -> str:
    shown = ", ".join(names[:_NAMED])
    return f"{shown} and {len(names) - _NAMED} more" if len(names) > _NAMED else shown
