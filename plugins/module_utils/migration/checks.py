# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a preflight check says."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Iterable, Mapping

OK = "ok"
# migrations work, but something is to be known first
WARNING = "warning"
# migrations would fail, wait without end, or do harm
FAILED = "failed"
# what the check needs could not be read
UNKNOWN = "unknown"
STATUSES = (OK, WARNING, FAILED, UNKNOWN)

_LONGEST_LIST = 20


@dataclass(frozen=True)
class Check:
    """One check. C(evidence) are the numbers and names it rests on: JSON types, lists cut to 20 entries."""

    name: str
    status: str
    message: str
    hint: str = ""
    evidence: Mapping[str, Any] = field(default_factory=dict)


def some(names: Iterable[str]) -> list[str]:
    """Return the first names in their order, for evidence."""
    return sorted(names)[:_LONGEST_LIST]


def in_words(names: Iterable[str], most: int = 3) -> str:
    """Return names for a message: "a, b, c and 4 more"."""
    ordered = sorted(names)
    shown = ", ".join(ordered[:most])
    return f"{shown} and {len(ordered) - most} more" if len(ordered) > most else shown


def count_of(number: int, noun: str, plural: str = "") -> str:
    """Return a number with its noun: "1 node", "3 nodes"."""
    return f"{number} {noun if number == 1 else plural or noun + 's'}"
