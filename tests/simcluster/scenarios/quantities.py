"""Amounts as Kubernetes writes them."""

from __future__ import annotations

_BINARY = (("Gi", 1024**3), ("Mi", 1024**2), ("Ki", 1024))
_DECIMAL = (("G", 10**9), ("M", 10**6))


def bytes_text(amount_bytes: int) -> str:
    """The shortest exact quantity: binary units first, then decimal, else plain bytes."""
    for unit, size in (*_BINARY, *_DECIMAL):
        if amount_bytes and amount_bytes % size == 0:
            return f"{amount_bytes // size}{unit}"
    return str(amount_bytes)


def cpu_text(millicores: int) -> str:
    return str(millicores // 1000) if millicores % 1000 == 0 else f"{millicores}m"
