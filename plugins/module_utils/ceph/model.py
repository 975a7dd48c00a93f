# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A Ceph cluster as far as placement groups are concerned: plain, immutable values."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Mapping, Optional

# defaults of Ceph 16 (options.cc); a cluster's own values are read
MAX_PGS_PER_OSD = 250
TARGET_PGS_PER_OSD = 100
# options.cc: an OSD takes no PGs beyond so many times mon_max_pg_per_osd
OSD_HARD_FACTOR = 3
# OSDMonitor::check_pg_num counts smaller clusters as if they had so many OSDs
MINIMUM_OSDS = 3

AUTOSCALE_MODES = ("on", "off", "warn")


@dataclass(frozen=True)
class Osd:
    """One OSD; C(weight) is its CRUSH weight, C(capacity_bytes) 0 if it has not reported yet."""

    id: int
    up: bool
    is_in: bool
    weight: float = 1.0
    capacity_bytes: int = 0
    pgs: int = 0


@dataclass(frozen=True)
class Pool:
    """One pool. C(size) is the number of replicas, or k+m of an erasure-coded one (then C(data_chunks) is k).

    The C(_target) numbers are what was asked for last; the others follow them. C(stored_bytes) is what clients stored,
    before replication.
    """

    id: int
    name: str
    created: str
    size: int
    rule: int
    pg_num: int
    pg_num_target: int
    pgp_num: int
    pgp_num_target: int
    autoscale_mode: str = "on"
    data_chunks: int = 1
    erasure: bool = False
    stored_bytes: int = 0
    bulk: bool = False
    bias: float = 1.0
    pg_num_min: Optional[int] = None
    pg_num_max: Optional[int] = None
    target_size_ratio: float = 0.0
    target_size_bytes: int = 0

    @property
    def raw_rate(self) -> float:
        """How many bytes on disk a stored byte takes."""
        return self.size / self.data_chunks if self.erasure else float(self.size)

    @property
    def settled(self) -> bool:
        """Whether pg_num and pgp_num are what was asked for."""
        return self.pg_num == self.pg_num_target and self.pgp_num == self.pgp_num_target


@dataclass(frozen=True)
class Rule:
    """A CRUSH rule: the subtree it takes OSDs from (shadow trees of device classes are C(root~class)).

    C(failure_domain) is the type of bucket of which no two replicas of a PG share one (empty if the rule is not so
    simple, or chooses OSDs), C(domains) how many of these with an OSD there are.
    """

    id: int
    name: str
    root_id: int
    root: str
    osds: frozenset[int]
    failure_domain: str = ""
    domains: int = 0

    @property
    def device_class(self) -> str:
        return self.root.partition("~")[2]


@dataclass(frozen=True)
class Facts:
    """What a calculation knows of a cluster."""

    pools: Mapping[str, Pool]
    rules: Mapping[int, Rule]
    osds: Mapping[int, Osd]
    max_pgs_per_osd: int = MAX_PGS_PER_OSD
    autoscaler_target: int = TARGET_PGS_PER_OSD

    @property
    def in_osds(self) -> int:
        return sum(osd.is_in for osd in self.osds.values())


@dataclass(frozen=True)
class Check:
    """One health check of a cluster: its code, severity (HEALTH_WARN, HEALTH_ERR) and summary."""

    code: str
    severity: str
    summary: str
    muted: bool = False


@dataclass(frozen=True)
class Status:
    """A look at a cluster while it works: health, and how many PGs are in each state."""

    health: str
    checks: tuple[Check, ...] = ()
    pgs_by_state: Mapping[str, int] = field(default_factory=dict)
    pgs: int = 0
    misplaced_ratio: float = 0.0
    manager_available: bool = True

    @property
    def unclean(self) -> dict[str, int]:
        """PGs that are not both active and clean, by state."""
        return {
            state: count
            for state, count in self.pgs_by_state.items()
            if not {"active", "clean"} <= set(state.split("+"))
        }
