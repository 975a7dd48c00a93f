# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Kubernetes quantities and durations: text in, plain integers out, and back.

The grammar is that of Kubernetes' resource.Quantity (apimachinery pkg/api/resource/quantity.go): a decimal number with
a binary (Ki .. Ei) or decimal (n, u, m, k, M, G, T, P, E) suffix or a decimal exponent. Fractions round up, as there.
"""

from __future__ import annotations

import re
from decimal import ROUND_CEILING, Decimal
from typing import Union

from .errors import InvalidInput

_QUANTITY = re.compile(r"^([+-]?(?:\d+\.?\d*|\.\d+))(?:(Ki|Mi|Gi|Ti|Pi|Ei|n|u|m|k|M|G|T|P|E)|[eE]([+-]?\d+))?$")
_SUFFIXES = {
    "": Decimal(1),
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
_RATE = re.compile(r"^(?P<amount>.*?)(?:(?P<bits>bps|bits?/s|b/s|bit|b)|(?:Bps|B/s|B))?$")
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|h|m|s)")
_DURATION_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}

Number = Union[int, float, str]


def _parse(value: Number, option: str, what: str) -> Decimal:
    if isinstance(value, bool):
        raise InvalidInput(option, value, f"a {what} quantity such as 500m, 2, 4Gi or 1.5G is needed")
    match = _QUANTITY.match(str(value).strip())
    if not match:
        raise InvalidInput(option, value, f"a {what} quantity such as 500m, 2, 4Gi or 1.5G is needed")
    number, suffix, exponent = match.groups()
    factor = Decimal(10) ** int(exponent) if exponent else _SUFFIXES[suffix or ""]
    return Decimal(number) * factor


def _ceiling(value: Decimal) -> int:
    return int(value.to_integral_value(rounding=ROUND_CEILING))


def parse_cpu(value: Number, option: str = "cpu") -> int:
    """Return millicores of a CPU quantity ("2" -> 2000, "250m" -> 250).

    Raises InvalidInput, naming C(option), for text that is no quantity.
    """
    return _ceiling(_parse(value, option, "CPU") * 1000)


def parse_bytes(value: Number, option: str = "memory") -> int:
    """Return bytes of a memory, storage or bandwidth quantity ("4Gi" -> 4294967296). Raises InvalidInput."""
    return _ceiling(_parse(value, option, "byte"))


def parse_rate(value: Number, option: str = "bandwidth") -> int:
    """Return bytes per second of a rate: a quantity of bytes ("3G", "128Mi", "3GB/s"), or of bits where it says so
    ("25Gbit/s", "25Gbit", "25Gbps"). A small b is a bit. Raises InvalidInput."""
    match = None if isinstance(value, bool) else _RATE.match("".join(str(value).split()))
    if not match or not _QUANTITY.match(match["amount"]):
        raise InvalidInput(option, value, "bytes per second such as 3G or 3GB/s, or bits such as 25Gbit/s, are needed")
    amount = _parse(match["amount"], option, "byte")
    return _ceiling(amount / 8 if match["bits"] else amount)


def parse_count(value: Number, option: str = "count") -> int:
    """Return the whole number of a countable resource ("1k" -> 1000). Raises InvalidInput."""
    return _ceiling(_parse(value, option, "count"))


def parse_duration(value: Number, option: str = "duration") -> float:
    """Return seconds of a Go duration ("1m30s" -> 90.0) or of a plain number of seconds. Raises InvalidInput."""
    text = str(value).strip()
    allowed = "a duration such as 90, 90s, 5m or 1h30m is needed"
    try:
        seconds = float(text)
    except ValueError:
        parts = _DURATION.findall(text)
        if not parts or "".join(number + unit for number, unit in parts) != text:
            raise InvalidInput(option, value, allowed) from None
        seconds = sum(float(number) * _DURATION_SECONDS[unit] for number, unit in parts)
    if isinstance(value, bool) or not 0 <= seconds < float("inf"):
        raise InvalidInput(option, value, allowed)
    return seconds


def format_bytes(value: float) -> str:
    """Return bytes as people read them in plans and reports: 4294967296 -> "4.0 GiB"."""
    number = float(value)
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if abs(number) < 1024 or unit == "TiB":
            return f"{number:.0f} {unit}" if unit == "B" else f"{number:.1f} {unit}"
        number /= 1024
    raise AssertionError("unreachable")


def format_bits(bytes_per_second: float) -> str:
    """Return a link's rate as people name links: 1.25e9 -> "10 Gbit/s", 12.5e6 -> "100 Mbit/s"."""
    bits = bytes_per_second * 8
    return f"{bits / 1e9:.3g} Gbit/s" if bits >= 1e9 else f"{bits / 1e6:.3g} Mbit/s"


def format_cpu(millicores: int) -> str:
    """Return millicores as cores for people: 2500 -> "2.5", 4000 -> "4"."""
    return f"{millicores / 1000:.3f}".rstrip("0").rstrip(".")


def format_duration(seconds: float) -> str:
    """Return seconds for people: 75 -> "1m15s", 3700 -> "1h01m"."""
    whole = int(round(seconds))
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02d}s"
    return f"{whole // 3600}h{whole % 3600 // 60:02d}m"
