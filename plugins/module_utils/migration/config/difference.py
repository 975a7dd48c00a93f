# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What differs between the settings a HyperConverged has and those that are asked for. Pure."""

from __future__ import annotations

import re
from typing import Any, Mapping

from .. import hyperconverged as hco
from .fields import BY_NAME, FIELDS, same
from .wish import Wish

_UNKNOWN_FIELD = re.compile(r'unknown field "([^"]+)"')


def patch_for(config: Mapping[str, Any], wish: Wish, *, exact: bool = False) -> dict[str, Any]:
    """Return the merge patch of C(liveMigrationConfig) that turns settings into those asked for; empty if none does.

    C(exact): a value that means the same but is written otherwise differs, too.
    """
    return {
        name: value
        for name, value in wish.settings.items()
        if (
            name in config
            if value is None
            else config.get(name) != value and (exact or not same(name, config.get(name), value))
        )
    }


def not_kept(config: Mapping[str, Any], wish: Wish) -> dict[str, Any]:
    """Return the values asked for that settings read back do not have, by API field.

    A field given back to the operator may have any value: the operator's default.
    """
    return {
        name: value
        for name, value in wish.settings.items()
        if value is not None and not same(name, config.get(name), value)
    }


def changed_fields(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """Return the options whose settings differ, in the order of the options."""
    return [field.option for field in FIELDS if before.get(field.name) != after.get(field.name)]


def unknown_fields(message: str, layout: hco.Layout) -> frozenset[str]:
    """Return the API names of settings that a strict API server's refusal calls unknown."""
    prefix = ".".join(layout.live_migration) + "."
    found = (path[len(prefix) :] for path in _UNKNOWN_FIELD.findall(message) if path.startswith(prefix))
    return frozenset(name for name in found if name in BY_NAME)
