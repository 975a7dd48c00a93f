"""Kubernetes quantities as integers and back (apimachinery pkg/api/resource/quantity.go; fractions round up).

The simulated cluster reads quantities with its own code, so that it can contradict the collection's.
"""

from __future__ import annotations

import re
from decimal import ROUND_CEILING, Decimal
from functools import lru_cache

_BINARY = (("Gi", 1024**3), ("Mi", 1024**2), ("Ki", 1024))
_DECIMAL = (("G", 10**9), ("M", 10**6))
_PATTERN = re.compile(r"^([+-]?(?:\d+\.?\d*|\.\d+))(?:([KMGTPE]i|[numkMGTPE])|[eE]([+-]?\d+))?$")
_FACTORS = {
    **{f"{letter}i": Decimal(1024**power) for power, letter in enumerate("KMGTPE", start=1)},
    **{letter: Decimal(1000) ** power for power, letter in enumerate("kMGTPE", start=1)},
    "n": Decimal("1e-9"),
    "u": Decimal("1e-6"),
    "m": Decimal("1e-3"),
}


def _amount(text: str | int | float) -> Decimal:
    match = _PATTERN.match(str(text).strip())
    if match is None:
        raise ValueError(f"{text!r} is not a quantity")
    number, suffix, exponent = match.groups()
    factor = _FACTORS[suffix] if suffix else Decimal(10) ** int(exponent or 0)
    return Decimal(number) * factor


@lru_cache(maxsize=4096)
def millicores(text: str | int | float) -> int:
    """Millicores of a CPU quantity: "2" is 2000. Raises ValueError."""
    return int((_amount(text) * 1000).to_integral_value(ROUND_CEILING))


@lru_cache(maxsize=4096)
def whole(text: str | int | float) -> int:
    """The number of a quantity of bytes or of countable things: "1Ki" is 1024. Raises ValueError."""
    return int(_amount(text).to_integral_value(ROUND_CEILING))


def bytes_text(amount_bytes: int) -> str:
    """The shortest exact quantity: binary units first, then decimal, else plain bytes."""
    for unit, size in (*_BINARY, *_DECIMAL):
        if amount_bytes and amount_bytes % size == 0:
            return f"{amount_bytes // size}{unit}"
    return str(amount_bytes)


def cpu_text(amount_millicores: int) -> str:
    """Whole CPUs where possible, else millicores."""
    return str(amount_millicores // 1000) if amount_millicores % 1000 == 0 else f"{amount_millicores}m"
