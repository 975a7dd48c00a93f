# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A plan as a module returns it: values for programs, lines for people."""

from __future__ import annotations

from typing import Any, Optional, Sequence

from ..quantity import format_bytes
from .autoscaler import AutoscalerView
from .calculation import Plan, PoolPlan
from .findings import Finding
from .formulas import View
from .limits import Load
from .model import Facts


def plan_result(facts: Facts, plan: Plan, found: Sequence[Finding]) -> dict[str, Any]:
    """Return C(pools), C(limits), C(findings) and C(lines)."""
    return {
        "pools": [_pool(entry) for entry in plan.pools],
        "limits": {
            "max_pgs_per_osd": facts.max_pgs_per_osd,
            "loads": [_load(now, then) for now, then in zip(plan.now, plan.then)],
        },
        "findings": [finding.as_dict() for finding in found],
        "lines": lines(plan, found),
    }


def _pool(plan: PoolPlan) -> dict[str, Any]:
    pool = plan.pool
    return {
        "name": pool.name,
        "kind": "erasure" if pool.erasure else "replicated",
        "size": pool.size,
        "root": plan.root,
        "device_class": plan.device_class,
        "osds": plan.osds,
        "data_share_percent": plan.share_percent,
        "document": _view(plan.document),
        "pgcalc": _view(plan.pgcalc),
        "autoscaler": _autoscaler(plan.autoscaler),
        "current_pg_num": pool.pg_num,
        "pg_num": plan.pg_num,
        "pg_autoscale_mode": plan.autoscale_mode,
        "pgs_per_osd": round(plan.pg_num * pool.size / plan.osds, 1),
        "steps": list(plan.steps),
        "moved_bytes": {"least": plan.movement.least_bytes, "most": plan.movement.most_bytes},
    }


def _view(view: Optional[View]) -> Optional[dict[str, Any]]:
    return None if view is None else {"exact": round(view.exact, 3), "pg_num": view.pg_num}


def _autoscaler(view: Optional[AutoscalerView]) -> Optional[dict[str, Any]]:
    if view is None:
        return None
    return {
        "exact": round(view.exact, 3),
        "pg_num": view.pg_num,
        "capacity_ratio": round(view.capacity_ratio, 6),
        "would_adjust": view.would_adjust,
    }


def _load(now: Load, then: Load) -> dict[str, Any]:
    return {
        "root": then.root,
        "osds": then.osds,
        "allowed": int(then.allowed),
        "current_pg_replicas": round(now.replicas),
        "pg_replicas": round(then.replicas),
        "pgs_per_osd": round(then.per_osd, 1),
    }


_HEADS = ("pool", "size", "OSDs", "share", "document", "pgcalc", "autoscaler", "now", "then", "per OSD", "moves up to")


def lines(plan: Plan, found: Sequence[Finding]) -> list[str]:
    """Return a table of the pools, and the findings below it."""
    rows = [_HEADS, *(_row(entry) for entry in plan.pools)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADS))]
    table = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows]
    return table + [f"{finding.severity}: {finding.message} {finding.hint}".rstrip() for finding in found]


def _row(plan: PoolPlan) -> tuple[str, ...]:
    pool = plan.pool

    def number(view: Any) -> str:
        return "-" if view is None else str(view.pg_num)

    return (
        pool.name,
        f"{pool.data_chunks}+{pool.size - pool.data_chunks}" if pool.erasure else str(pool.size),
        str(plan.osds),
        "-" if plan.share_percent is None else f"{plan.share_percent:g}%",
        number(plan.document),
        number(plan.pgcalc),
        number(plan.autoscaler),
        str(pool.pg_num or "-"),
        str(plan.pg_num),
        f"{plan.pg_num * pool.size / plan.osds:.1f}",
        format_bytes(plan.movement.most_bytes) if plan.movement.most_bytes else "-",
    )
