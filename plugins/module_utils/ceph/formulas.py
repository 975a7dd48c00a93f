# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How many placement groups a pool should have, by the rules that give a number from a few facts."""

from __future__ import annotations

import math
from dataclasses import dataclass

from .rounding import by_pgcalc, in_log_space

# reference architecture, "Placement groups (PGs) tuning": target for rbd and librados, and how full a pool may get
DOCUMENT_TARGET = 100
DOCUMENT_SHARE_PERCENT = 85.0


@dataclass(frozen=True)
class View:
    """One rule's answer: the number before rounding, and the number of PGs."""

    exact: float
    pg_num: int


def by_document(target_per_osd: float, osds: int, share_percent: float, size: int) -> View:
    """Return the PGs of a pool by the reference architecture: target x OSDs x share of data / replicas, rounded to a
    power of two by the logarithm. C(size) is k+m for an erasure-coded pool, since a PG has a shard on so many OSDs.
    """
    exact = _exact(target_per_osd, osds, share_percent, size)
    return View(exact, in_log_space(exact))


def by_ceph_calculator(target_per_osd: float, osds: int, share_percent: float, size: int) -> View:
    """Return the PGs of a pool by PG Calc (docs.ceph.com, rados/operations/pgcalc and its pgcalc.js).

    Whole numbers are rounded, and each OSD of the pool gets at least about one PG: no less than OSDs / size, rounded
    and doubled once if that is below the number of OSDs.
    """
    exact = math.floor(_exact(target_per_osd, osds, share_percent, size))
    least = by_pgcalc(osds // size + 1)
    if least < osds:
        least *= 2
    return View(float(exact), max(least, by_pgcalc(exact)))


def _exact(target_per_osd: float, osds: int, share_percent: float, size: int) -> float:
    return target_per_osd * osds * share_percent / 100 / size
