# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a change of settings is told as, for people: one line for each setting, then what there is to know. Pure."""

from __future__ import annotations

from typing import Any, Mapping, Sequence

from .cautions import Caution


def lines_of(
    location: str,
    before: Mapping[str, Any],
    after: Mapping[str, Any],
    cautions: Sequence[Caution],
    notes: Sequence[str],
) -> list[str]:
    """Return the lines. C(before) and C(after) have the same keys, in the order in which they are told."""
    told = [f"{location}:"]
    width = max((len(name) for name in after), default=0)
    for name, value in after.items():
        former = before.get(name)
        change = f"   (was {text_of(former)})" if former != value else ""
        told.append(f"  {name:<{width}}  {text_of(value)}{change}")
    return told + list(notes) + [f"Caution: {caution.message}" for caution in cautions]


def text_of(value: Any) -> str:
    """Return a setting as people read it."""
    if value is None:
        return "not set"
    return str(value).lower() if isinstance(value, bool) else str(value)
