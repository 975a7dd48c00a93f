"""What the auditor says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Finding:
    """A rule that was seen broken (C(violation)) or something worth knowing (C(note)).

    C(subject) is a namespace/name or a node's name, C(time) seconds since 1970.
    """

    severity: Literal["violation", "note"]
    rule: str
    subject: str
    message: str
    time: float


def violation(rule: str, subject: str, message: str, time: float) -> Finding:
    return Finding("violation", rule, subject, message, time)


def note(rule: str, subject: str, message: str, time: float) -> Finding:
    return Finding("note", rule, subject, message, time)
