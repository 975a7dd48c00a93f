# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The report's content: plan and run record joined into one document of plain values, before any drawing."""

from __future__ import annotations

from statistics import mean, median, pstdev
from typing import Any, Mapping, Optional, Sequence

from ...times import seconds_between
from ..record import FAILED, SUCCEEDED, Item, RunRecord

FORMAT = "ocpv.scale/report"
VERSION = 1
RESOURCES = ("cpu", "memory")


def build_report(record: RunRecord, plan: Optional[Mapping[str, Any]] = None, title: str = "") -> dict[str, Any]:
    """Return the report as a document (JSON types only).

    C(plan) is the plan's document as rebalance_plan wrote it; without it the report has no forecast and no predictions
    of when a move should have run. Node loads are shares of capacity, 0.0 to 1.0 and above.
    """
    document = plan or {}
    moves = _predictions(document)
    timeline = [_timeline_entry(record, item, moves.get(item.id, {})) for item in record.items]
    nodes = _nodes(record, document)
    actual_seconds = _run_seconds(record, timeline)
    ratios = [
        entry["actual_seconds"] / entry["predicted_seconds"]
        for entry in timeline
        if entry["status"] == SUCCEEDED and entry["actual_seconds"] and entry["predicted_seconds"]
    ]
    return {
        "format": FORMAT,
        "version": VERSION,
        "title": title or f"Rebalance {record.run_id}",
        "run": {
            "id": record.run_id,
            "status": record.status,
            "message": record.message,
            "hint": record.hint,
            "started_at": record.started_at,
            "ended_at": record.ended_at,
            "resumed": record.resumed,
            "limits": dict(record.limits),
            "counts": record.counts(),
        },
        "plan": {
            "id": record.plan_id,
            "digest": record.plan_digest,
            "goal": (document.get("request") or {}).get("goal", ""),
            "summary": dict(document.get("summary") or {}),
            "warnings": list(document.get("warnings") or ()),
            "not_moved": list(document.get("not_moved") or ()),
        },
        "warnings": list(record.warnings),
        "durations": {
            "predicted_seconds": _predicted_total(document),
            "actual_seconds": actual_seconds,
            "median_actual_to_predicted": round(median(ratios), 3) if ratios else None,
            "moves_compared": len(ratios),
        },
        "balance": {resource: _balance(nodes, resource) for resource in RESOURCES},
        "nodes": nodes,
        "stages": [_stage(stage, record.items) for stage in record.stages],
        "timeline": timeline,
        "failures": [_failure(item) for item in record.items if item.status not in (SUCCEEDED,) and item.code],
        "late": [_late(item) for item in record.items if item.status == SUCCEEDED and item.diagnoses],
    }


def _predictions(plan: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    return {
        move["id"]: move.get("predicted") or {}
        for stage in plan.get("stages") or ()
        for wave in stage.get("waves") or ()
        for move in wave.get("moves") or ()
    }


def _predicted_total(plan: Mapping[str, Any]) -> Optional[float]:
    ends = [float(prediction.get("end_seconds") or 0) for prediction in _predictions(plan).values()]
    return max(ends) if ends else None


def _timeline_entry(record: RunRecord, item: Item, predicted: Mapping[str, Any]) -> dict[str, Any]:
    starts = [attempt.started_at for attempt in item.attempts if attempt.started_at]
    ends = [attempt.ended_at for attempt in item.attempts if attempt.ended_at]
    start = seconds_between(record.started_at, starts[0]) if starts else None
    end = seconds_between(record.started_at, ends[-1]) if ends else None
    return {
        "id": item.id,
        "virtual_machine": f"{item.namespace}/{item.name}",
        "stage": item.stage,
        "wave": item.wave,
        "mode": item.mode,
        "source": item.source,
        "target": item.target,
        "reached": item.reached,
        "status": item.status,
        "attempts": len(item.attempts),
        "start_seconds": start,
        "end_seconds": end,
        "actual_seconds": item.actual_seconds,
        "predicted_seconds": item.predicted_seconds or predicted.get("duration_seconds") or 0.0,
        "predicted_start_seconds": predicted.get("start_seconds"),
        "predicted_end_seconds": predicted.get("end_seconds"),
    }


def _run_seconds(record: RunRecord, timeline: Sequence[Mapping[str, Any]]) -> Optional[float]:
    """Seconds from the start of the run to the end of its last move, both by the cluster's clock."""
    ends = [entry["end_seconds"] for entry in timeline if entry["end_seconds"] is not None]
    return max(ends) if ends else seconds_between(record.started_at, record.ended_at)


def _share(load: Mapping[str, Any], node: Mapping[str, Any], resource: str) -> Optional[float]:
    unit = "cpu_millicores" if resource == "cpu" else "memory_bytes"
    amount, capacity = load.get(f"requested_{unit}"), node.get(f"capacity_{unit}")
    return round(amount / capacity, 4) if amount is not None and capacity else None


def _loads(entries: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    return {
        str(entry["name"]): {
            "virtual_machines": entry.get("virtual_machines"),
            **{resource: _share(entry, entry, resource) for resource in RESOURCES},
        }
        for entry in entries
    }


def _nodes(record: RunRecord, plan: Mapping[str, Any]) -> list[dict[str, Any]]:
    forecast = {node["name"]: node for node in plan.get("nodes") or ()}
    planned = _loads([{**node, **node["after"]} for node in forecast.values()])
    before = _loads(record.nodes_before) or _loads([{**node, **node["before"]} for node in forecast.values()])
    after = _loads(record.nodes_after)
    return [
        {"name": name, "before": before.get(name), "planned": planned.get(name), "after": after.get(name)}
        for name in sorted(set(before) | set(after))
    ]


def _balance(nodes: Sequence[Mapping[str, Any]], resource: str) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for when in ("before", "planned", "after"):
        shares = [node[when][resource] for node in nodes if node[when] and node[when][resource] is not None]
        result[when] = (
            {
                "maximum": max(shares),
                "mean": round(mean(shares), 4),
                "standard_deviation": round(pstdev(shares), 4),
            }
            if shares
            else None
        )
    return result


def _stage(stage: Any, items: Sequence[Item]) -> dict[str, Any]:
    own = [item for item in items if item.stage == stage.name]
    return {
        "name": stage.name,
        "status": stage.status,
        "message": stage.message,
        "started_at": stage.started_at,
        "ended_at": stage.ended_at,
        "actual_seconds": seconds_between(stage.started_at, stage.ended_at),
        "moves": len(own),
        "succeeded": sum(item.status == SUCCEEDED for item in own),
        "failed": sum(item.status == FAILED for item in own),
    }


def _late(item: Item) -> dict[str, Any]:
    return {
        "virtual_machine": f"{item.namespace}/{item.name}",
        "move": item.id,
        "source": item.source,
        "target": item.target,
        "actual_seconds": item.actual_seconds,
        "predicted_seconds": item.predicted_seconds,
        "diagnoses": [dict(diagnosis) for diagnosis in item.diagnoses],
    }


def _failure(item: Item) -> dict[str, Any]:
    return {
        "virtual_machine": f"{item.namespace}/{item.name}",
        "move": item.id,
        "status": item.status,
        "source": item.source,
        "target": item.target,
        "code": item.code,
        "message": item.message,
        "hint": item.hint,
        "diagnoses": [dict(diagnosis) for diagnosis in item.diagnoses],
        "attempts": [
            {
                "number": attempt.number,
                "migration": attempt.migration,
                "result": attempt.result,
                "reason": attempt.reason,
            }
            for attempt in item.attempts
        ],
    }
