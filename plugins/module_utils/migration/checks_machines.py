# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Preflight checks of the VMs: their storage, what they are doing, and the quotas of their namespaces."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any, Iterable, Mapping, Optional, Sequence

from ..cluster.model import Instance, Node, Resources, Snapshot, Usage, VirtualMachine
from ..quantity import parse_bytes, parse_count, parse_cpu
from .checks import FAILED, OK, UNKNOWN, WARNING, Check, count_of, in_words, some
from .findings import BLOCKED, COLD, ERROR, LIVE, STORAGE_LIVE, WAYS
from .migratability import Verdict

# from here on a node counts as busy, in percent of its allocatable
_BUSY_CPU_PERCENT = 80
_BUSY_MEMORY_PERCENT = 85
# from here on a VM's load makes its migration slow, in percent of its vCPUs
_BUSY_VM_PERCENT = 80


@dataclass(frozen=True)
class Quota:
    """A ResourceQuota that holds for launcher pods, by resource name as the API writes it."""

    namespace: str
    name: str
    hard: Mapping[str, str]
    used: Mapping[str, str]


def parse_quota(item: Mapping[str, Any]) -> Optional[Quota]:
    """Return the value of a ResourceQuota, None for one that is limited to some pods by scopes."""
    spec, status = item.get("spec") or {}, item.get("status") or {}
    if spec.get("scopes") or spec.get("scopeSelector"):
        return None
    metadata = item["metadata"]
    return Quota(metadata["namespace"], metadata["name"], status.get("hard") or {}, status.get("used") or {})


def check_storage(vms: Sequence[VirtualMachine], verdicts: Mapping[str, Verdict]) -> Check:
    """Whether the volumes of the running VMs let them move live; a failure only if none of them can move at all."""
    running = [vm for vm in vms if vm.running]
    ways = Counter(verdicts[vm.key].way for vm in running)
    reasons = Counter(
        code
        for vm in running
        if verdicts[vm.key].way != LIVE
        for code in {item.code for item in verdicts[vm.key].findings if item.severity == ERROR}
    )
    evidence = {
        "running": len(running),
        "counts": {way: ways[way] for way in WAYS},
        "reasons": dict(sorted(reasons.items(), key=lambda entry: (-entry[1], entry[0]))),
        "not_live": some(vm.key for vm in running if verdicts[vm.key].way != LIVE),
    }
    if not running:
        return Check("storage", OK, "None of the selected VMs is running.", "", evidence)
    message = f"{ways[LIVE]} of {count_of(len(running), 'running VM')} can be migrated live."
    if ways[LIVE] == len(running):
        return Check("storage", OK, message, "", evidence)
    hint = (
        f"{ways[STORAGE_LIVE]} could be together with their volumes, {ways[COLD]} can move cold only, {ways[BLOCKED]} "
        "not at all; vm_rwx_check tells why."
    )
    return Check("storage", FAILED if ways[BLOCKED] == len(running) else WARNING, message, hint, evidence)


def check_workload(snapshot: Snapshot, vms: Sequence[VirtualMachine], verdicts: Mapping[str, Verdict]) -> Check:
    """Whether VMs are doing something that stands against moving them now, or are so busy that it takes long."""
    occupied = {vm.key: _occupation(verdicts[vm.key]) for vm in vms if vm.instance}
    occupied = {key: codes for key, codes in occupied.items() if codes}
    busy = [vm.key for vm in vms if vm.instance and vm.running and _busy(snapshot, vm.instance)]
    hot = [node.name for node in snapshot.nodes.values() if _hot(node)]
    evidence = {
        "occupied": {key: occupied[key] for key in some(occupied)},
        "busy_virtual_machines": some(busy),
        "busy_nodes": some(hot),
    }
    told = []
    if occupied:
        codes = Counter(code for found in occupied.values() for code in found)
        words = ", ".join(f"{number} {code}" for code, number in sorted(codes.items()))
        told.append(f"Not to be moved right now: {count_of(len(occupied), 'VM')} ({words})")
    if busy:
        told.append(f"Slow to migrate since busy: {count_of(len(busy), 'VM')} ({in_words(busy)})")
    if hot:
        told.append(f"Near its limit: {count_of(len(hot), 'node')} ({in_words(hot)})")
    if told:
        hint = "Reduce the load or choose a quieter time; what passes by itself is waited for by a run."
        return Check("workload", WARNING, f"{'. '.join(told)}.", hint, evidence)
    if "usage" not in snapshot.parts:
        message = "No VM is doing anything that stands against moving it; how busy they are is not known."
        return Check("workload", UNKNOWN, message, "Metrics (metrics.k8s.io) were not read.", evidence)
    return Check("workload", OK, "No VM is doing anything that stands against moving it.", "", evidence)


def check_quota(
    vms: Sequence[VirtualMachine], verdicts: Mapping[str, Verdict], quotas: Optional[Iterable[Quota]]
) -> Check:
    """Whether quotas leave room for a second launcher pod, which counts beside the first until a migration ends."""
    if quotas is None:
        return Check("quota", UNKNOWN, "Quotas were not read.", "They are read from a live cluster only.")
    by_namespace: dict[str, list[Quota]] = {}
    for quota in quotas:
        by_namespace.setdefault(quota.namespace, []).append(quota)
    short: dict[str, str] = {}
    for vm in vms:
        requests = vm.instance.requests if vm.instance else None
        if requests is None or verdicts[vm.key].way not in (LIVE, STORAGE_LIVE):
            continue
        for quota in by_namespace.get(vm.namespace, ()):
            resource = exceeded(quota, requests)
            if resource:
                short[vm.key] = f"{quota.name}: {resource}"
    evidence = {"namespaces": some(by_namespace), "without_room": {key: short[key] for key in some(short)}}
    if not short:
        where = f"in {count_of(len(by_namespace), 'namespace')}" if by_namespace else "anywhere"
        message = f"Quotas {where} leave room for migrating." if by_namespace else "There are no quotas."
        return Check("quota", OK, message, "", evidence)
    message = f"Quotas leave no room for a second pod of {count_of(len(short), 'VM')}: {in_words(short)}."
    hint = "Their migrations would stay pending. Raise the quota, or move these VMs cold."
    return Check("quota", WARNING, message, hint, evidence)


def _occupation(verdict: Verdict) -> list[str]:
    return sorted({item.code for item in verdict.findings if item.momentary})


def _busy(snapshot: Snapshot, instance: Instance) -> bool:
    settings = snapshot.virtualization.settings
    dirty, bandwidth = instance.dirty_rate_bytes_per_second, settings.bandwidth_bytes_per_second if settings else 0
    if dirty is not None and bandwidth and dirty >= bandwidth:
        return True
    usage = instance.usage
    return usage is not None and usage.cpu_millicores * 100 >= instance.spec.vcpus * 1000 * _BUSY_VM_PERCENT


def _hot(node: Node) -> bool:
    usage: Optional[Usage] = node.usage
    return usage is not None and (
        usage.cpu_millicores * 100 > node.allocatable.cpu_millicores * _BUSY_CPU_PERCENT
        or usage.memory_bytes * 100 > node.allocatable.memory_bytes * _BUSY_MEMORY_PERCENT
    )


def exceeded(quota: Quota, requests: Resources) -> str:
    """Return the first resource of which the quota has less left than a further pod of this VM needs."""
    for names, parse, needed in (
        (("requests.cpu", "cpu"), parse_cpu, requests.cpu_millicores),
        (("requests.memory", "memory"), parse_bytes, requests.memory_bytes),
        (("pods", "count/pods"), parse_count, 1),
    ):
        for name in names:
            if name in quota.hard and parse(quota.used.get(name, "0"), name) + needed > parse(quota.hard[name], name):
                return name
    return ""
