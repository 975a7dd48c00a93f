# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How many PGs the monitor lets a cluster have, and lowering what was computed until it fits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Collection, Mapping

from .model import MINIMUM_OSDS, Facts, Pool
from .rounding import is_power_of_two, power_below


@dataclass(frozen=True)
class Load:
    """PG replicas on one set of OSDs: what the pools of C(root) (empty: all of the cluster) put on C(osds) OSDs."""

    root: str
    osds: int
    replicas: float
    allowed: float

    @property
    def per_osd(self) -> float:
        return self.replicas / self.osds if self.osds else 0.0

    @property
    def exceeded(self) -> bool:
        return self.replicas > self.allowed


def loads(facts: Facts, pg_nums: Mapping[str, int]) -> list[Load]:
    """Return the load of the cluster and of each subtree that pools use, with C(pg_nums) as the pools' PGs.

    The cluster's load is what OSDMonitor::check_pg_num of Ceph 16 refuses by: PGs x size of all pools against
    mon_max_pg_per_osd x the OSDs that are in (at least three). Ceph 17 and later judge each rule's OSDs, which is also
    where too many PGs hurt; a pool's PGs are taken as spread evenly over the OSDs of its rule.
    """
    total = sum(pg_nums.get(pool.name, pool.pg_num_target) * pool.size for pool in facts.pools.values())
    counted = max(facts.in_osds, MINIMUM_OSDS)
    found = [Load("", counted, total, facts.max_pgs_per_osd * counted)]
    for root, inside in _subtrees(facts).items():
        replicas = 0.0
        for pool in facts.pools.values():
            theirs = _in(facts, pool)
            if theirs and theirs & inside:
                part = len(theirs & inside) / len(theirs)
                replicas += pg_nums.get(pool.name, pool.pg_num_target) * pool.size * part
        found.append(Load(root, len(inside), replicas, facts.max_pgs_per_osd * len(inside)))
    return found


def newly_exceeded(facts: Facts, pg_nums: Mapping[str, int]) -> list[Load]:
    """Return the loads that C(pg_nums) lift above the limit; one that is above it already and shrinks is not told."""
    now = {load.root: load.replicas for load in loads(facts, {})}
    return [load for load in loads(facts, pg_nums) if load.exceeded and load.replicas > now[load.root]]


def fitted(facts: Facts, pg_nums: Mapping[str, int], fixed: Collection[str]) -> dict[str, int]:
    """Return C(pg_nums) lowered to what the monitor accepts, by halving the pool with the most PG replicas each time.

    Pools in C(fixed) keep theirs. Numbers stay powers of two, and no pool goes below what it has now if that is less
    than what was computed. The result may still exceed the limit if the fixed ones alone do.
    """
    fitting = dict(pg_nums)
    while True:
        exceeded = newly_exceeded(facts, fitting)
        choices = [
            pool
            for name, pool in facts.pools.items()
            if name in fitting
            and name not in fixed
            and fitting[name] > max(1, min(pool.pg_num_target, pg_nums[name]))
            and any(not load.root or _in(facts, pool) & _subtrees(facts)[load.root] for load in exceeded)
        ]
        if not exceeded or not choices:
            return fitting
        largest = max(choices, key=lambda pool: (fitting[pool.name] * pool.size, pool.name))
        number = fitting[largest.name]
        fitting[largest.name] = number // 2 if is_power_of_two(number) else power_below(number)


def _in(facts: Facts, pool: Pool) -> frozenset[int]:
    """Return the OSDs of a pool's rule that are in."""
    rule = facts.rules.get(pool.rule)
    if rule is None:
        return frozenset()
    return frozenset(number for number in rule.osds if number in facts.osds and facts.osds[number].is_in)


def _subtrees(facts: Facts) -> dict[str, frozenset[int]]:
    used = {pool.rule for pool in facts.pools.values()}
    return {
        rule.root: frozenset(number for number in rule.osds if number in facts.osds and facts.osds[number].is_in)
        for rule in facts.rules.values()
        if rule.id in used
    }
