"""Kubernetes quantities as whole thousandths (one core is 1000, one byte is 1000)."""

from __future__ import annotations

from decimal import ROUND_CEILING, Decimal

_SUFFIXES = {
    "n": Decimal("1e-9"),
    "u": Decimal("1e-6"),
    "m": Decimal("1e-3"),
    "k": Decimal(10**3),
    "M": Decimal(10**6),
    "G": Decimal(10**9),
    "T": Decimal(10**12),
    "P": Decimal(10**15),
    "E": Decimal(10**18),
    "Ki": Decimal(2**10),
    "Mi": Decimal(2**20),
    "Gi": Decimal(2**30),
    "Ti": Decimal(2**40),
    "Pi": Decimal(2**50),
    "Ei": Decimal(2**60),
}


def thousandths(quantity: object) -> int:
    """C(quantity) ("250m", "4Gi", 2) times 1000, rounded up; raises ValueError if it is none."""
    text = str(quantity).strip()
    digits = text.rstrip("numkKMGTPEi")
    suffix = text[len(digits) :]
    try:
        factor = _SUFFIXES[suffix] if suffix else Decimal(1)
        return int((Decimal(digits) * factor * 1000).to_integral_value(ROUND_CEILING))
    except (KeyError, ArithmeticError, ValueError) as error:
        raise ValueError(f"{quantity!r} is not a quantity") from error


def text(resource: str, amount: int) -> str:
    """An amount of C(resource) for people."""
    if resource == "cpu":
        return f"{amount}m"
    if resource == "memory" or resource.startswith("hugepages-"):
        return f"{amount / 1000 / 2**20:.0f}Mi"
    return f"{amount / 1000:g}"
