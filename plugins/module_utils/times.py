# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Times as the API writes them (RFC 3339)."""

from __future__ import annotations

from datetime import datetime
from typing import Optional


def seconds_between(start: str, end: str) -> Optional[float]:
    """Return the seconds from one RFC 3339 time to another, None if either is missing or not readable."""
    try:
        return (_time(end) - _time(start)).total_seconds()
    except (TypeError, ValueError):
        return None


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))
