# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What keeps a migration network from being made: options that cannot work in this cluster, each with its remedy."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Iterable, Sequence

from ...errors import InvalidInput

ERROR = "error"
WARNING = "warning"
_UNTOUCHED = "Nothing has been changed."
# how many nodes a message names
_SHOWN = 10


@dataclass(frozen=True)
class Problem:
    """One finding. C(option) is the module's option and C(value) what it holds, C(allowed) completes "cannot be used:",
    C(remedy) says what to do, C(nodes) where it was found. An C(error) keeps the network from being made."""

    code: str
    option: str
    value: Any
    allowed: str
    remedy: str = ""
    severity: str = ERROR
    nodes: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The finding in words."""
        return f"{self.option}: {self.value!r}: {self.allowed}. {self.remedy}".strip()

    def to_dict(self) -> dict[str, Any]:
        """Return it as a module tells it."""
        return {**asdict(self), "nodes": list(self.nodes), "text": self.text}


def named(nodes: Iterable[str]) -> str:
    """Return node names for a sentence, ten at most."""
    ordered = sorted(nodes)
    more = f" and {len(ordered) - _SHOWN} more" if len(ordered) > _SHOWN else ""
    return ", ".join(ordered[:_SHOWN]) + more


def errors_of(problems: Iterable[Problem]) -> list[Problem]:
    """Return the problems that are no warnings."""
    return [problem for problem in problems if problem.severity == ERROR]


def refuse(problems: Sequence[Problem]) -> None:
    """Raise InvalidInput, with all problems in its details, if one of them is an error."""
    errors = errors_of(problems)
    if not errors:
        return
    first = errors[0]
    details = {"problems": [problem.to_dict() for problem in problems]}
    hint = f"{first.remedy} {_UNTOUCHED}".strip()
    error = InvalidInput(first.option, first.value, first.allowed, hint=hint, details=details)
    if len(errors) > 1:
        lines = "; ".join(f"({number}) {problem.text}" for number, problem in enumerate(errors, 1))
        error.message = f"The migration network cannot be made for {len(errors)} reasons: {lines}"
        error.hint = _UNTOUCHED
    raise error
