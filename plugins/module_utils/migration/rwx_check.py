# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The result of vm_rwx_check: verdicts counted, filtered, and summed up by reason."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any, Iterable, Mapping

from ..errors import InvalidInput
from .findings import CODES, SEVERITIES, WAYS, Finding
from .migratability import Verdict

# what the verdicts need of a cluster; pods are by far the most objects and are not needed
PARTS = (
    "nodes",
    "namespaces",
    "virtual_machines",
    "claims",
    "storage",
    "data_volumes",
    "migrations",
    "virtualization",
)


@dataclass(frozen=True)
class Wanted:
    """Which VMs and findings are listed; empty tuples and the lowest severity mean all."""

    ways: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()
    severity: str = SEVERITIES[-1]


def wanted(ways: Iterable[str], reasons: Iterable[str], severity: str) -> Wanted:
    """Return the filter that the options of these names ask for. Raises InvalidInput for reasons that do not exist."""
    reasons = tuple(reasons)
    unknown = sorted(set(reasons) - set(CODES))
    if unknown:
        raise InvalidInput("reasons", unknown, f"codes of findings are needed: {', '.join(sorted(CODES))}")
    return Wanted(tuple(ways), reasons, severity)


def parts_for(select: str) -> tuple[str, ...]:
    """Return the parts of a snapshot to read, those included that a JMESPath expression over VMs looks at."""
    usage = ("pods", "usage") if "usage" in select else ()
    requests = ("pods",) if "requests" in select and not usage else ()
    return (*PARTS, *requests, *usage)


def check_result(verdicts: Mapping[str, Verdict], only: Wanted) -> dict[str, Any]:
    """Return what the module returns: counts of all verdicts, and those that are wanted, in the order of their keys."""
    every = [verdicts[key] for key in sorted(verdicts)]
    listed = [verdict for verdict in every if _listed(verdict, only)]
    ways = Counter(verdict.way for verdict in every)
    return {
        "checked": len(every),
        "counts": {way: ways[way] for way in WAYS},
        "live_now": sum(1 for verdict in every if verdict.live_now),
        "reasons": _reasons(every),
        "virtual_machines": [_document(verdict, only.severity) for verdict in listed],
    }


def _listed(verdict: Verdict, only: Wanted) -> bool:
    if only.ways and verdict.way not in only.ways:
        return False
    return not only.reasons or any(item.code in only.reasons for item in verdict.findings)


def _document(verdict: Verdict, severity: str) -> dict[str, Any]:
    namespace, name = verdict.key.split("/", 1)
    severities = SEVERITIES[: SEVERITIES.index(severity) + 1]
    return {
        "namespace": namespace,
        "name": name,
        "way": verdict.way,
        "ways": list(verdict.ways),
        "live_now": verdict.live_now,
        "reported_live": verdict.reported_live,
        "predicted_live": verdict.predicted_live,
        "migration_method": verdict.migration_method,
        "findings": [finding_document(item) for item in verdict.findings if item.severity in severities],
    }


def finding_document(item: Finding) -> dict[str, Any]:
    """Return a finding as modules return it."""
    return {
        "code": item.code,
        "severity": item.severity,
        "volume": item.volume,
        "message": item.message,
        "hint": item.hint,
        "rules_out": list(item.rules_out),
        "momentary": item.momentary,
    }


def _reasons(verdicts: Iterable[Verdict]) -> list[dict[str, Any]]:
    """Return how many VMs have each finding: the more severe and the more frequent first."""
    machines: Counter[tuple[str, str]] = Counter()
    for verdict in verdicts:
        machines.update({(item.severity, item.code) for item in verdict.findings})
    ordered = sorted(machines.items(), key=lambda entry: (SEVERITIES.index(entry[0][0]), -entry[1], entry[0][1]))
    return [{"code": code, "severity": severity, "virtual_machines": count} for (severity, code), count in ordered]
