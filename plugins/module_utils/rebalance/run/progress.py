# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Progress of a run: one line for people, the same as numbers for programs. Pure but for ProgressFile."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Callable, Mapping, Optional

from ...quantity import format_duration
from ..record import FAILED, IN_FLIGHT, SKIPPED, SUCCEEDED, WAITING, RunRecord

# a line is written when something changed, at most once in this time, and again after a while in which nothing did
SHORTEST_SECONDS = 1.0
LONGEST_SECONDS = 30.0
# until so many moves have ended, the plan's own prediction is better than what was seen
_ENOUGH = 3


@dataclass(frozen=True)
class Effort:
    """What a call has done so far. C(planned_seconds) is the plan's prediction for all of it, C(ended_before) holds the
    ids of moves that had ended when this call began."""

    elapsed_seconds: float
    planned_seconds: float
    ended_before: frozenset[str] = frozenset()


def time_left(record: RunRecord, effort: Effort) -> Optional[float]:
    """Return how many seconds the rest will take, None if nothing tells.

    Each move weighs what it was predicted to take; the rate at which weight was worked off so far, moves in flight
    counting half, tells how long the rest will take. At first the plan's prediction is used.
    """
    predicted = [item.predicted_seconds for item in record.items if item.predicted_seconds > 0]
    usual = sum(predicted) / len(predicted) if predicted else 1.0

    def weight(status: str) -> float:
        return sum(
            item.predicted_seconds or usual
            for item in record.items
            if item.status == status and item.id not in effort.ended_before
        )

    flying = weight(IN_FLIGHT) / 2
    left = weight(WAITING) + flying
    done = weight(SUCCEEDED) + weight(FAILED) + flying
    ended = sum(item.status in (SUCCEEDED, FAILED) and item.id not in effort.ended_before for item in record.items)
    if not left:
        return 0.0
    if ended >= _ENOUGH and done and effort.elapsed_seconds > 0:
        return left * effort.elapsed_seconds / done
    return effort.planned_seconds * left / (left + done) if effort.planned_seconds else None


def describe(record: RunRecord, stage: str, effort: Effort) -> dict[str, Any]:
    """Return where the run stands: JSON types, with the line for people as C(text)."""
    names = [entry.name for entry in record.stages]
    own = [item for item in record.items if item.stage == stage]
    counts = record.counts()
    active = [item.wave for item in own if item.status in (WAITING, IN_FLIGHT)]
    waves = max((item.wave for item in own), default=0)
    wave = min(active, default=waves)
    left = time_left(record, effort)
    parts = [
        f"{counts[SUCCEEDED]} done",
        f"{counts[FAILED]} failed",
        f"{counts[IN_FLIGHT]} in flight",
        f"{counts[WAITING]} waiting",
    ]
    if counts[SKIPPED]:
        parts.insert(2, f"{counts[SKIPPED]} skipped")
    if left is not None and record.status == "running":
        parts.append(f"about {format_duration(left)} left")
    number = names.index(stage) + 1 if stage in names else 0
    return {
        "run": record.run_id,
        "status": record.status,
        "stage": stage,
        "stage_number": number,
        "stages": len(names),
        "wave": wave,
        "waves": waves,
        "counts": counts,
        "left_seconds": None if left is None else round(left, 1),
        "text": f"stage {stage} ({number}/{len(names)}), wave {wave}/{waves}: {', '.join(parts)}",
    }


class ProgressFile:
    """Appends JSON lines to a file that somebody follows. Trouble with the file never disturbs the run.

    Once begun, the file's removal says that its reader has gone (C(reader_gone)).
    """

    def __init__(self, path: Optional[str], clock: Callable[[], float]) -> None:
        self._path = path
        self._clock = clock
        self._last = ""
        self._written_at = float("-inf")
        self.reader_gone = False

    def begin(self) -> None:
        """Make the file unless it is there."""
        if self._path is None:
            return
        try:
            with open(self._path, "a", encoding="utf-8"):
                pass
        except OSError:
            self._path = None

    def tell(self, text: str) -> None:
        """Write a message of its own: a failure, a pause, a warning."""
        self._append({"text": text, "message": True})

    def show(self, state: Mapping[str, Any], *, last: bool = False) -> None:
        """Write where the run stands, if that is news; the C(last) line in any case."""
        since = self._clock() - self._written_at
        mark = json.dumps({key: state[key] for key in state if key not in ("left_seconds", "text")}, sort_keys=True)
        if not last and (since < SHORTEST_SECONDS or (mark == self._last and since < LONGEST_SECONDS)):
            return
        self._last = mark
        self._written_at = self._clock()
        self._append(state)

    def _append(self, line: Mapping[str, Any]) -> None:
        if self._path is None:
            return
        try:
            with open(self._path, "r+", encoding="utf-8") as file:
                file.seek(0, 2)
                file.write(json.dumps(line) + "\n")
        except FileNotFoundError:
            self.reader_gone = True
        except OSError:
            self._path = None

    def check(self) -> None:
        """Look whether somebody still follows."""
        if self._path is None:
            return
        try:
            with open(self._path, "rb"):
                pass
        except FileNotFoundError:
            self.reader_gone = True
        except OSError:
            self._path = None
