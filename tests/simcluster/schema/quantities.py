"""The canonical form in which the API server returns quantities of built-in kinds.

Source: apimachinery ``pkg/api/resource/quantity.go``, ``CanonicalizeBytes`` and ``Add``: no fraction, the largest
suffix of the family (decimal or binary) in which the number is whole, never finer than ``n``; binary amounts below
1024 or with a fraction become decimal.
"""

from __future__ import annotations

import re
from decimal import ROUND_UP, Decimal
from functools import lru_cache
from typing import Final

_PARTS: Final = re.compile(r"([+-]?[\d.]+)(.*)\Z")
_DECIMAL: Final = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY: Final = {"Ki": 1, "Mi": 2, "Gi": 3, "Ti": 4, "Pi": 5, "Ei": 6}


@lru_cache(maxsize=4096)
def canonical(text: str) -> str:
    """The canonical form of a valid quantity: ``1024Mi`` → ``1Gi``, ``0.5`` → ``500m``, ``1e3`` stays ``1e3``."""
    match = _PARTS.match(text)
    assert match is not None, text
    number, suffix = Decimal(match[1]), match[2]
    if suffix in _BINARY:
        amount = number * 1024 ** _BINARY[suffix]
        if amount == amount.to_integral_value() and abs(amount) >= 1024:
            return _scaled_binary(int(amount))
        return _scaled_decimal(amount)
    if suffix[:1] in ("e", "E") and suffix[1:]:
        return _scaled_exponent(number * Decimal(10) ** int(suffix[1:]))
    return _scaled_decimal(number * Decimal(10) ** _DECIMAL[suffix])


def _scaled_binary(amount: int) -> str:
    power = 0
    while amount % 1024 == 0 and power < 6:
        amount, power = amount // 1024, power + 1
    suffixes = ["", *_BINARY]
    return f"{amount}{suffixes[power]}"


def _nano(amount: Decimal) -> int:
    """Billionths, rounded away from zero."""
    return int((amount * 10**9).to_integral_value(rounding=ROUND_UP))


def _scaled_decimal(amount: Decimal) -> str:
    number, exponent = _nano(amount), -9
    if number == 0:
        return "0"
    while number % 1000 == 0 and exponent < 18:
        number, exponent = number // 1000, exponent + 3
    return f"{number}{next(s for s, e in _DECIMAL.items() if e == exponent)}"


def _scaled_exponent(amount: Decimal) -> str:
    number, exponent = _nano(amount), -9
    if number == 0:
        return "0"
    while number % 1000 == 0 and exponent < 18:
        number, exponent = number // 1000, exponent + 3
    return f"{number}e{exponent}" if exponent else str(number)
