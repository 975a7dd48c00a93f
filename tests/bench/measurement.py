"""What a benchmark finds: a measured value, and a limit or a peer beside it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

SECONDS = "s"
BYTES = "MB"
PERCENT = "%"
SLOTS = "slots"
_DECIMALS = {SECONDS: 2, BYTES: 1, PERCENT: 2, SLOTS: 1}


class NotMeasured(Exception):
    """What kept a benchmark from a result."""


@dataclass(frozen=True)
class Measurement:
    """One value of several rounds, and what stands beside it.

    ``values`` and ``beside_values`` are in ``unit``, one of each round; a limit, or what is known beforehand, is
    one value. ``at_most`` is the highest ratio that is allowed, None if there is no such limit.
    """

    what: str
    unit: str
    values: tuple[float, ...]
    beside: str
    beside_values: tuple[float, ...]
    at_most: float | None = None

    @property
    def value(self) -> float:
        """The median."""
        return median(self.values)

    @property
    def beside_value(self) -> float:
        """The median of what stands beside."""
        return median(self.beside_values)

    @property
    def ratio(self) -> float | None:
        """Value by what stands beside it, round by round if both were measured; the median. None by nothing."""
        if not all(self.beside_values):
            return None
        if len(self.values) == len(self.beside_values):
            return median(a / b for a, b in zip(self.values, self.beside_values, strict=True))
        return self.value / self.beside_value

    def to_dict(self) -> dict[str, Any]:
        """JSON types only."""
        return {
            "what": self.what,
            "unit": self.unit,
            "value": self.value,
            "values": list(self.values),
            "beside": self.beside,
            "beside_value": self.beside_value,
            "beside_values": list(self.beside_values),
            "ratio": self.ratio,
            "at_most": self.at_most,
        }


def within_limit(what: str, unit: str, values: Sequence[float], limit: float) -> Measurement:
    """A value that must not exceed a limit in the same unit."""
    return Measurement(what, unit, tuple(values), "limit", (limit,), at_most=1.0)


def seconds_of(work: Callable[[], object]) -> float:
    """How long a call takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def in_turn(rounds: int, *works: Callable[[], object]) -> tuple[tuple[float, ...], ...]:
    """Seconds of each call in each round. All are called once before, then in turn, so that whatever slows the machine
    down slows them all."""
    for work in works:
        work()
    found = [[seconds_of(work) for work in works] for _round in range(rounds)]
    return tuple(zip(*found, strict=True))


def table(rows: Sequence[tuple[str, Measurement]]) -> str:
    """A Markdown table, aligned; rows are (benchmark, measurement)."""
    cells = [("Benchmark", "Measured", "Result", "Beside it", "Its result", "Ratio", "At most")]
    last = ""
    for name, item in rows:
        ratio = "" if item.ratio is None else f"{item.ratio:.2f}"
        limit = "" if item.at_most is None else f"{item.at_most:g}"
        shown = "" if name == last else name
        result, other = words(item.value, item.unit), words(item.beside_value, item.unit)
        cells.append((shown, item.what, result, item.beside, other, ratio, limit))
        last = name
    widths = [max(len(row[column]) for row in cells) for column in range(len(cells[0]))]
    rule = tuple("-" * width for width in widths)
    return "\n".join(_line(row, widths) for row in (cells[0], rule, *cells[1:]))


def words(value: float, unit: str) -> str:
    """A value with its unit; counts and what is large without decimals, parts of a second with one more."""
    decimals = _DECIMALS.get(unit, 0)
    if unit != PERCENT and value >= 100:
        decimals = 0
    elif unit == SECONDS and value < 1:
        decimals = 3
    return f"{value:,.{decimals}f} {unit}"


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    return "| " + " | ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)) + " |"
