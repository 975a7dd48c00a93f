# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The record of a run: what became of each move. It is what a run returns, stores in the cluster and reports."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Mapping, Optional

from ..errors import InvalidInput

FORMAT = "ocpv.scale/run"
VERSION = 1

# status of an item
WAITING = "waiting"
IN_FLIGHT = "in_flight"
SUCCEEDED = "succeeded"
FAILED = "failed"
SKIPPED = "skipped"  # the plan no longer fits this VM (gone, moved by someone else, ...); nothing was done
NOT_ATTEMPTED = "not_attempted"  # the run ended before it
ITEM_ENDED = (SUCCEEDED, FAILED, SKIPPED, NOT_ATTEMPTED)

# status of a run and of a stage
RUNNING = "running"
PAUSED = "paused"
STOPPED = "stopped"  # a threshold or a request stopped it; it can be run again
COMPLETED = "completed"
PENDING = "pending"  # stages only


@dataclass
class Attempt:
    """One try to move. C(migration) is the name of the VirtualMachineInstanceMigration, empty for cold moves. Times are
    the cluster's, RFC 3339."""

    number: int
    migration: str = ""
    started_at: str = ""
    ended_at: str = ""
    result: str = ""
    reason: str = ""


@dataclass
class Item:
    """One move of the plan and what became of it."""

    id: str
    namespace: str
    name: str
    mode: str
    source: str
    target: str
    stage: str
    wave: int
    status: str = WAITING
    # a stable word for programs (e.g. "vm_gone", "no_room", "completion_timeout"), the sentence for people, the remedy
    code: str = ""
    message: str = ""
    hint: str = ""
    reached: str = ""  # the node the VM is on at the end
    predicted_seconds: float = 0.0
    actual_seconds: Optional[float] = None
    # why its last attempt failed, or took much longer than predicted: symptom, cause, evidence, settings, remedy
    diagnoses: list[Mapping[str, Any]] = field(default_factory=list)
    attempts: list[Attempt] = field(default_factory=list)


@dataclass
class StageRecord:
    name: str
    status: str = PENDING
    started_at: str = ""
    ended_at: str = ""
    message: str = ""
    # moves decided when the run stopped here; whoever goes on has accepted them, so they are not judged again
    succeeded_before: int = 0
    failed_before: int = 0


@dataclass
class RunRecord:
    """The whole run. C(nodes_before) and C(nodes_after) map node names to loads as in a plan's forecast."""

    run_id: str
    plan_id: str
    plan_digest: str
    cluster_uid: str
    status: str = RUNNING
    message: str = ""
    hint: str = ""
    started_at: str = ""
    ended_at: str = ""
    resumed: int = 0
    limits: Mapping[str, Any] = field(default_factory=dict)
    stages: list[StageRecord] = field(default_factory=list)
    items: list[Item] = field(default_factory=list)
    nodes_before: list[Mapping[str, Any]] = field(default_factory=list)
    nodes_after: list[Mapping[str, Any]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def counts(self) -> dict[str, int]:
        """Return how many items are in each status; every status is present."""
        counts = dict.fromkeys((WAITING, IN_FLIGHT) + ITEM_ENDED, 0)
        for item in self.items:
            counts[item.status] += 1
        return counts

    def to_dict(self) -> dict[str, Any]:
        """Return the document: JSON types only. The items are called C(moves) there."""
        document = asdict(self)
        document["moves"] = document.pop("items")
        return {"format": FORMAT, "version": VERSION, **document, "counts": self.counts()}


def parse_record(document: Mapping[str, Any]) -> RunRecord:
    """Return the RunRecord of a document that to_dict made. Raises KeyError or TypeError for anything else."""
    values = {name: document[name] for name in RunRecord.__dataclass_fields__ if name in document}
    values["stages"] = [StageRecord(**stage) for stage in document["stages"]]
    values["items"] = [
        Item(**{**item, "attempts": [Attempt(**attempt) for attempt in item["attempts"]]}) for item in document["moves"]
    ]
    return RunRecord(**values)


def read_record(document: Any, option: str = "run") -> RunRecord:
    """Return the RunRecord that a user passed on. Raises InvalidInput for what is no record of a run."""
    try:
        return parse_record(document)
    except (KeyError, TypeError) as error:
        raise InvalidInput(
            option, type(document).__name__, "the value 'run' that rebalance_run returned is needed"
        ) from error
