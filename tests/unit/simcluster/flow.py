"""Waiting for what a simulated cluster does by itself."""

from __future__ import annotations

import json
import time
from collections.abc import Callable


def eventually[T](read: Callable[[], T], good: Callable[[T], bool], seconds: float = 15.0) -> T:
    """The first value that is good; fails with the last one."""
    deadline = time.monotonic() + seconds
    while True:
        value = read()
        if good(value):
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s; last: {json.dumps(value, default=str)[:3000]}")
        time.sleep(0.02)
