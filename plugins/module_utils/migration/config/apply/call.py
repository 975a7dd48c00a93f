# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One module call that changes settings: what both modules do around their operations."""

from __future__ import annotations

from typing import Any, Protocol


class Change(Protocol):
    """A change of settings."""

    def run(self, wait: bool, timeout_seconds: float) -> dict[str, Any]:
        """Make it and return the module's result; with C(wait) not before it is obeyed everywhere."""


def carried_out(module: Any, change: Change) -> dict[str, Any]:
    """Make a change as the options C(wait) and C(wait_timeout_seconds) say, give its cautions as warnings, and return
    its result, with a diff only if that was asked for. Raises OcpvError."""
    result = change.run(module.params["wait"] and not module.check_mode, float(module.params["wait_timeout_seconds"]))
    for caution in result["cautions"]:
        module.warn(caution["message"])
    if not module._diff:
        del result["diff"]
    return result
