# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The record of a run at its beginning, and when a later call goes on with it. Pure."""

from __future__ import annotations

from .. import record as states
from ..plan import Plan
from ..record import Item, RunRecord, StageRecord


def new_record(plan: Plan) -> RunRecord:
    """Return the record of a run of which nothing has been done."""
    items = [
        Item(
            id=move.id,
            namespace=move.namespace,
            name=move.name,
            mode=move.mode,
            source=move.source,
            target=move.target,
            stage=stage.name,
            wave=wave.number,
            predicted_seconds=move.predicted.duration_seconds,
        )
        for stage, wave, move in plan.placed()
    ]
    return RunRecord(
        run_id=plan.run_id,
        plan_id=plan.id,
        plan_digest=plan.digest,
        cluster_uid=plan.cluster_uid,
        stages=[StageRecord(stage.name) for stage in plan.stages],
        items=items,
    )


def reopen(record: RunRecord, retry_failed: bool) -> bool:
    """Make ready what a further call has to do; returns False if there is nothing."""
    for item in record.items:
        again = retry_failed and item.status in (states.FAILED, states.SKIPPED)
        if item.status == states.NOT_ATTEMPTED or again:
            item.status, item.code, item.message, item.hint = states.WAITING, "", "", ""
            item.diagnoses = []
    for stage in record.stages:
        failed = sum(item.stage == stage.name and item.status == states.FAILED for item in record.items)
        stage.failed_before = min(stage.failed_before, failed)
    left = any(item.status in (states.WAITING, states.IN_FLIGHT) for item in record.items)
    return left or record.status != states.COMPLETED
