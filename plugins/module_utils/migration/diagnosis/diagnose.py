# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From a migration to the causes of its trouble: the symptoms of the guides' troubleshooting sections, and others."""

from __future__ import annotations

from typing import Optional

from .case import Case
from .failing import aborted, failed, running, saturation
from .findings import Diagnosis
from .waiting import pending, preparing, scheduling

_PREPARING = ("Scheduled", "PreparingTarget", "TargetReady")


def diagnose(case: Case) -> list[Diagnosis]:
    """Return the causes, the likeliest first; empty for a migration that has succeeded or goes on as it should."""
    phase = case.migration.phase
    if phase == "Succeeded":
        return []
    if phase == "Failed":
        return failed(case)
    if case.migration.deleting:
        return [aborted(case)]
    if phase == "Running":
        return running(case)
    if phase in _PREPARING:
        return _listed(preparing(case))
    if case.pod is not None or phase == "Scheduling":
        return _listed(scheduling(case))
    return _listed(pending(case))


def late(case: Case) -> list[Diagnosis]:
    """Return what made a migration take much longer than it should, whether it still goes on or has succeeded."""
    if case.migration.phase == "Succeeded":
        return _listed(saturation(case))
    return diagnose(case) or _listed(saturation(case))


def _listed(diagnosis: Optional[Diagnosis]) -> list[Diagnosis]:
    return [diagnosis] if diagnosis is not None else []
