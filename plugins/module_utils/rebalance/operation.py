# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What rebalance_plan does: make a plan, or look at one again."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any, Mapping

from ..cluster.model import Snapshot
from .plan import Plan, edited, parse_plan
from .plan_file import read_document
from .plan_options import parse_request
from .plan_text import plan_lines
from .planner import make_plan
from .review import review
from .verify import Problem, made_already

# without these nothing can be planned
REQUIRED = ("nodes", "namespaces", "virtual_machines", "pods")


def plan_or_review(snapshot: Snapshot, params: Mapping[str, Any]) -> tuple[Plan, dict[str, Any]]:
    """Return the plan of a module call, and what the module returns of it. Raises InvalidInput."""
    document = params["plan"]
    if params["plan_file"]:
        document = read_document(params["plan_file"])
    problems: list[Problem] = []
    changed = False
    made: list[str] = []
    if document is None:
        plan = make_plan(snapshot, parse_request(params, snapshot, _created_at(snapshot, params)))
    else:
        given = parse_plan(document)
        plan, problems = review(snapshot, given)
        changed = edited(document, given)
        made_ids = made_already(snapshot, given)
        made = [move.id for move in given.moves if move.id in made_ids]
    return plan, {
        "plan": plan.to_dict(),
        "summary": dict(plan.summary),
        "digest": plan.digest,
        "lines": plan_lines(plan, problems, made),
        "edited": changed,
        "made_already": made,
        "problems": [{"move": item.move, "code": item.code, "message": item.message} for item in problems],
    }


def _created_at(snapshot: Snapshot, params: Mapping[str, Any]) -> str:
    """Now: by the cluster's clock if it was just read, else by this host's."""
    if not params["snapshot"]:
        return snapshot.captured_at
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
