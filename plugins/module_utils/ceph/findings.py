# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is worth knowing before placement groups are changed."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Iterator

from ..quantity import format_bytes
from .calculation import Plan, PoolPlan
from .model import OSD_HARD_FACTOR, Facts
from .rounding import is_power_of_two

# OSDs of one subtree whose weights differ by more than this factor carry PGs by very different numbers
UNEVEN_FACTOR = 1.5
# moving more than this share of the OSDs' capacity is a warning
MUCH_DATA = 0.01

_SEVERITIES = ("error", "warning", "info")


@dataclass(frozen=True)
class Finding:
    """C(severity) is error (nothing can be applied), warning or info; C(pool) is empty if it is about the cluster."""

    code: str
    severity: str
    pool: str
    message: str
    hint: str = ""

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def findings(facts: Facts, plan: Plan) -> list[Finding]:
    """Return the findings about a plan, the severe ones first."""
    found = [*_of_cluster(facts, plan)]
    for pool in plan.pools:
        found += [*_of_osds(facts, pool), *_of_number(pool), *_of_change(facts, pool), *_of_autoscaler(pool)]
    return sorted(found, key=lambda finding: _SEVERITIES.index(finding.severity))


def _of_cluster(facts: Facts, plan: Plan) -> Iterator[Finding]:
    for load in plan.now:
        if load.exceeded:
            where = f"below {load.root}" if load.root else "of the cluster"
            yield Finding(
                "over_limit",
                "warning",
                "",
                f"The {load.osds} OSDs {where} carry {load.per_osd:.0f} PG replicas each already; "
                f"mon_max_pg_per_osd is {facts.max_pgs_per_osd}.",
                "Reduce the PGs of pools that need them least.",
            )
    asked = {pool.pool.name for pool in plan.pools}
    used = frozenset[int]().union(*(facts.rules[pool.pool.rule].osds for pool in plan.pools))
    others = [
        pool
        for pool in facts.pools.values()
        if pool.name not in asked and pool.rule in facts.rules and facts.rules[pool.rule].osds & used
    ]
    if others:
        replicas = sum(pool.pg_num_target * pool.size for pool in others)
        names = ", ".join(sorted(pool.name for pool in others))
        yield Finding(
            "other_pools",
            "info",
            "",
            f"Pools that were not asked for are on the same OSDs with {replicas} PG replicas: {names}.",
            "They count for the monitor's limit. List them too if they hold a share of the data.",
        )


def _of_osds(facts: Facts, plan: PoolPlan) -> Iterator[Finding]:
    rule = facts.rules[plan.pool.rule]
    osds = [facts.osds[number] for number in rule.osds if number in facts.osds]
    name = plan.pool.name
    if len(osds) < plan.pool.size:
        yield Finding(
            "too_few_osds",
            "error",
            name,
            f"Pool {name} puts each PG on {plan.pool.size} OSDs, and its rule {rule.name} finds {len(osds)} below "
            f"{rule.root}.",
            "Its PGs cannot become clean. Add OSDs, or choose another rule or size.",
        )
    elif rule.failure_domain and rule.domains < plan.pool.size:
        yield Finding(
            "too_few_domains",
            "error",
            name,
            f"Pool {name} puts each PG on {plan.pool.size} buckets of type {rule.failure_domain}, and its rule "
            f"{rule.name} finds {rule.domains} with OSDs below {rule.root}.",
            f"Its PGs cannot become clean. Add a {rule.failure_domain}, or choose another rule or size.",
        )
    away = [osd for osd in osds if not (osd.up and osd.is_in)]
    if away:
        yield Finding(
            "osds_away",
            "warning",
            name,
            f"{len(away)} of the {len(osds)} OSDs of pool {name} are down or out: {_listed(osd.id for osd in away)}.",
            "They are counted, as they are expected back. Give osds if they are not.",
        )
    weights = [osd.weight for osd in osds if osd.weight > 0]
    if weights and max(weights) > UNEVEN_FACTOR * min(weights):
        load = sum(
            pool.pg_num * pool.size
            for pool in facts.pools.values()
            if pool.rule in facts.rules and facts.rules[pool.rule].osds == rule.osds
        )
        load += (plan.pg_num - plan.pool.pg_num) * plan.pool.size
        most = load * max(weights) / sum(weights)
        over = most > facts.max_pgs_per_osd
        yield Finding(
            "uneven_osds",
            "warning",
            name,
            f"The OSDs of pool {name} differ in size: CRUSH weights from {min(weights):.3g} to {max(weights):.3g}. The "
            f"largest will carry about {most:.0f} PGs, the smallest {load * min(weights) / sum(weights):.0f}"
            + (f"; mon_max_pg_per_osd is {facts.max_pgs_per_osd}." if over else "."),
            "Calculations are about the mean. Put OSDs of different sizes into device classes with rules of their own."
            if not over
            else f"OSDs take no new PGs beyond {OSD_HARD_FACTOR} times that number. Lower target_pgs_per_osd, or "
            "separate the sizes by device classes.",
        )


def _of_number(plan: PoolPlan) -> Iterator[Finding]:
    name = plan.pool.name
    if plan.pg_num > plan.asked and plan.pg_num == plan.pool.pg_num_target:
        yield Finding(
            "not_reduced",
            "info",
            name,
            f"Pool {name} should have {plan.asked} PGs, and keeps the {plan.pg_num} that it has.",
            "Merging is slow and moves data. Set reduce if there are too many PGs in the cluster.",
        )
    elif plan.pg_num != plan.asked:
        low, high = plan.pool.pg_num_min, plan.pool.pg_num_max
        own = plan.pg_num in (low, high)
        reason = f"pg_num_min {low} and pg_num_max {high} of the pool" if own else "mon_max_pg_per_osd"
        yield Finding(
            "limited",
            "warning",
            name,
            f"Pool {name} should have {plan.asked} PGs, and gets {plan.pg_num} because of {reason}.",
            "Change the bounds of the pool." if own else "Reduce the PGs of other pools, or raise the limit knowingly.",
        )
    if not is_power_of_two(plan.pg_num):
        yield Finding(
            "not_power_of_two",
            "warning",
            name,
            f"pg_num {plan.pg_num} of pool {name} is not a power of two, so that its PGs hold different amounts "
            "of data.",
            "Ceph warns of it (POOL_PG_NUM_NOT_POWER_OF_TWO). Choose a power of two.",
        )
    views = {
        "document": plan.document and plan.document.pg_num,
        "pgcalc": plan.pgcalc and plan.pgcalc.pg_num,
        "autoscaler": plan.autoscaler and plan.autoscaler.pg_num,
    }
    if len({number for number in views.values() if number}) > 1:
        told = ", ".join(f"{view} {number}" for view, number in views.items() if number)
        yield Finding("views_differ", "info", name, f"The rules differ about pool {name}: {told}.")


def _of_change(facts: Facts, plan: PoolPlan) -> Iterator[Finding]:
    name, current, most = plan.pool.name, plan.pool.pg_num, plan.movement.most_bytes
    if not current or current == plan.pg_num:
        return
    if plan.pg_num < current:
        yield Finding(
            "merge",
            "warning",
            name,
            f"Pool {name} goes from {current} to {plan.pg_num} PGs; Ceph merges them one after the other, some "
            "seconds each.",
            "Leave it as it is unless there are too many PGs in the cluster.",
        )
    if not most:
        return
    capacity = sum(
        facts.osds[number].capacity_bytes for number in facts.rules[plan.pool.rule].osds if number in facts.osds
    )
    much = bool(capacity) and most > MUCH_DATA * capacity
    yield Finding(
        "data_moves",
        "warning" if much else "info",
        name,
        f"Going from {current} to {plan.pg_num} PGs moves about {format_bytes(plan.movement.least_bytes)} to "
        f"{format_bytes(most)} of pool {name} to other OSDs.",
        "The manager keeps at most target_max_misplaced_ratio (5 %) of the data misplaced. Choose quiet hours."
        if much
        else "",
    )


def _of_autoscaler(plan: PoolPlan) -> Iterator[Finding]:
    view, name = plan.autoscaler, plan.pool.name
    if plan.autoscale_mode == "off":
        return
    if view is None:
        yield Finding(
            "not_scaled",
            "info",
            name,
            f"The autoscaler does not scale pool {name}: its OSDs are shared with a rule of another CRUSH root.",
            "Let all pools on these OSDs use rules with a device class.",
        )
    elif plan.autoscale_mode == "on" and not plan.pg_num / 3 <= view.pg_num <= plan.pg_num * 3:
        yield Finding(
            "autoscaler_disagrees",
            "warning",
            name,
            f"The autoscaler stays on for pool {name} and would change {plan.pg_num} PGs to {view.pg_num}.",
            "Set pg_autoscale_mode to off, or promise the pool its space (target_size_ratio, or the flag bulk).",
        )


def _listed(numbers: Any, most: int = 10) -> str:
    found = sorted(numbers)
    shown = ", ".join(f"osd.{number}" for number in found[:most])
    return f"{shown} and {len(found) - most} more" if len(found) > most else shown
