# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A window of other settings: the former ones are kept in the cluster, and put back exactly. Pure.

The record is an annotation of the HyperConverged, written in the same request as the first settings of the window and
removed in the one that puts the former back, so there is no moment at which one of them is there without the other.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Mapping, Optional

from ... import names
from ...errors import InvalidInput
from .fields import BY_NAME, by_option, same
from .wish import Wish

_FORMAT = 1


@dataclass(frozen=True)
class Window:
    """A window that is open: since when, and per API field the value before it and within it; None: not set."""

    opened_at: str
    former: Mapping[str, Any]
    within: Mapping[str, Any]

    def to_annotation(self) -> str:
        """Return the text that is kept in the cluster."""
        content = {"format": _FORMAT, "opened_at": self.opened_at, "former": self.former, "within": self.within}
        return json.dumps(content, sort_keys=True)

    def to_dict(self) -> dict[str, Any]:
        """Return what a module tells about it, under the names of options."""
        former = {option: value for option, value in by_option(self.former).items() if _field(option) in self.former}
        return {"open": True, "opened_at": self.opened_at, "former": former}

    @property
    def restoring(self) -> Wish:
        """What puts the former settings back."""
        return Wish(dict(self.former), frozenset(self.former))

    def changed_within(self, config: Mapping[str, Any]) -> list[str]:
        """Return the options that are now neither as the window set them nor as they were before."""
        return [
            BY_NAME[name].option
            for name, value in self.within.items()
            if value is not None
            and not same(name, config.get(name), value)
            and not same(name, config.get(name), self.former.get(name))
        ]


CLOSED: Mapping[str, Any] = {"open": False, "opened_at": "", "former": {}}


def read_window(metadata: Mapping[str, Any]) -> Optional[Window]:
    """Return the window that a HyperConverged's metadata records; None without one. Raises InvalidInput."""
    text = (metadata.get("annotations") or {}).get(names.MIGRATION_WINDOW)
    if not text:
        return None
    try:
        content = json.loads(text)
        former, within = dict(content["former"]), dict(content["within"])
        if content["format"] != _FORMAT or not {*former, *within} <= set(BY_NAME):
            raise ValueError("of another format")
        return Window(str(content["opened_at"]), former, within)
    except (ValueError, KeyError, TypeError) as error:
        raise InvalidInput(
            f"annotation {names.MIGRATION_WINDOW}",
            text,
            "it is not the record of a window",
            hint="Somebody changed it. Set the settings as they should be, and remove the annotation.",
        ) from error


def opened(window: Optional[Window], config: Mapping[str, Any], wish: Wish, now: str) -> Window:
    """Return the window as it is after C(wish) has been set in it.

    C(config) are the settings before, C(now) a time in RFC 3339. What a window that is open already has recorded stays;
    fields that it did not touch so far are added.
    """
    earlier = window or Window(now, {}, {})
    former = {**{name: config.get(name) for name in wish.settings}, **earlier.former}
    return Window(earlier.opened_at, former, {**earlier.within, **wish.settings})


def _field(option: str) -> str:
    return next(name for name, field in BY_NAME.items() if field.option == option)
