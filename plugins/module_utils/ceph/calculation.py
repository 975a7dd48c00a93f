# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From facts and a request to a plan: the PGs of each pool by every rule, what is chosen, and what that brings."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Iterable, Mapping, Optional

from ..errors import InvalidInput
from .autoscaler import AutoscalerView, autoscaler_views
from .changes import Movement, movement, steps
from .formulas import View, by_ceph_calculator, by_document
from .limits import Load, fitted, loads, newly_exceeded
from .model import Facts, Pool
from .request import PoolRequest, Request


@dataclass(frozen=True)
class PoolPlan:
    """One pool's answers and what shall become of it.

    C(asked) is what the deciding rule says (or what was given), C(pg_num) what fits the monitor's limit and the pool's
    own bounds. C(share_percent) is None where pg_num was given.
    """

    pool: Pool
    root: str
    device_class: str
    osds: int
    share_percent: Optional[float]
    document: Optional[View]
    pgcalc: Optional[View]
    autoscaler: Optional[AutoscalerView]
    given: bool
    asked: int
    pg_num: int
    autoscale_mode: str
    steps: tuple[int, ...]
    movement: Movement


@dataclass(frozen=True)
class Plan:
    """Plans of all pools that were asked for, with the loads before and after."""

    pools: tuple[PoolPlan, ...]
    now: tuple[Load, ...]
    then: tuple[Load, ...]


def calculate(facts: Facts, request: Request) -> Plan:
    """Return the plan. Raises InvalidInput for unknown pools, impossible shares, and given numbers that are too
    many."""
    for asked in request.pools:
        _known(facts, asked)
    shares = _shares(facts, request)
    views = autoscaler_views(facts)
    answers = {}
    for asked in request.pools:
        pool, share = facts.pools[asked.name], shares.get(asked.name)
        osds = _osds(facts, asked)
        document = share and by_document(request.target_pgs_per_osd, osds, share, pool.size)
        pgcalc = share and by_ceph_calculator(request.target_pgs_per_osd, osds, share, pool.size)
        answers[asked.name] = (osds, share, document or None, pgcalc or None, views.get(asked.name))
    wanted = {
        asked.name: asked.pg_num or _decided(request.method, asked.name, *answers[asked.name][2:])
        for asked in request.pools
    }
    given = {asked.name for asked in request.pools if asked.pg_num}
    bounded = {name: _bounded(facts.pools[name], number, name in given) for name, number in wanted.items()}
    if not request.reduce:
        bounded = {
            name: number if name in given else max(number, facts.pools[name].pg_num_target)
            for name, number in bounded.items()
        }
    chosen = fitted(facts, bounded, given)
    _refuse_too_many(facts, chosen, given)
    plans = []
    for asked in request.pools:
        pool = facts.pools[asked.name]
        osds, share, document, pgcalc, view = answers[asked.name]
        rule = facts.rules[pool.rule]
        number = chosen[asked.name]
        current = pool.pg_num or number
        plans.append(
            PoolPlan(
                pool=pool,
                root=rule.root,
                device_class=rule.device_class,
                osds=osds,
                share_percent=share,
                document=document,
                pgcalc=pgcalc,
                autoscaler=view,
                given=asked.name in given,
                asked=wanted[asked.name],
                pg_num=number,
                autoscale_mode=request.mode_of(asked),
                steps=tuple(steps(current, number, request.step_factor)),
                movement=movement(current, number, int(pool.stored_bytes * pool.raw_rate), pool.size, osds),
            )
        )
    return Plan(tuple(plans), tuple(loads(facts, {})), tuple(loads(facts, chosen)))


def filled(facts: Facts, request: Request) -> Facts:
    """Return facts given by hand with pools filled to their share where it was not told what they store."""
    shares = _shares(facts, request)
    pools = {}
    for name, pool in facts.pools.items():
        if not pool.stored_bytes and name in shares:
            rule = facts.rules[pool.rule]
            capacity = sum(facts.osds[osd].capacity_bytes for osd in rule.osds)
            pool = replace(pool, stored_bytes=int(capacity * shares[name] / 100 / pool.raw_rate))
        pools[name] = pool
    return replace(facts, pools=pools)


def _known(facts: Facts, asked: PoolRequest) -> None:
    pool = facts.pools.get(asked.name)
    if pool is None:
        known = ", ".join(sorted(facts.pools)) or "none"
        raise InvalidInput("pools", asked.name, f"the cluster has no such pool; there are: {known}")
    rule = facts.rules.get(pool.rule)
    if rule is None or not rule.osds:
        name = rule.name if rule else pool.rule
        raise InvalidInput(
            "pools",
            asked.name,
            f"its CRUSH rule {name} finds no OSD",
            hint="See `ceph osd crush rule dump` and `ceph osd crush tree --show-shadow`.",
        )


def _osds(facts: Facts, asked: PoolRequest) -> int:
    return asked.osds or len(facts.rules[facts.pools[asked.name].rule].osds)


def _shares(facts: Facts, request: Request) -> dict[str, float]:
    """Return the share of data of each pool whose PGs are computed, in percent of the OSDs it is on."""
    shares: dict[str, float] = {}
    for group in _groups(facts, request.pools):
        told = {pool.name: pool.share_percent for pool in group if pool.share_percent is not None}
        silent = [pool.name for pool in group if pool.share_percent is None and pool.pg_num is None]
        total = sum(told.values())
        if total > 100 + 1e-9:
            raise InvalidInput(
                "pools",
                ", ".join(sorted(told)),
                f"their data_share_percent make {total:g} % of the OSDs that they share, and 100 is the most",
            )
        rest = request.max_used_percent - total
        if silent and rest <= 0:
            raise InvalidInput(
                "pools",
                ", ".join(sorted(silent)),
                f"nothing is left of max_used_percent ({request.max_used_percent:g}) "
                "for pools without data_share_percent",
            )
        shares.update(told)
        shares.update({name: rest / len(silent) for name in silent})
    return shares


def _groups(facts: Facts, asked: Iterable[PoolRequest]) -> list[list[PoolRequest]]:
    """Return the pools in groups that share OSDs, directly or by a third one."""
    groups: list[tuple[frozenset[int], list[PoolRequest]]] = []
    for pool in asked:
        osds, members = facts.rules[facts.pools[pool.name].rule].osds, [pool]
        apart = []
        for others, theirs in groups:
            if others & osds:
                osds, members = osds | others, theirs + members
            else:
                apart.append((others, theirs))
        groups = [*apart, (osds, members)]
    return [members for _osds_of, members in groups]


def _decided(
    method: str,
    name: str,
    document: Optional[View],
    pgcalc: Optional[View],
    autoscaler: Optional[AutoscalerView],
) -> int:
    view = {"document": document, "pgcalc": pgcalc, "autoscaler": autoscaler}[method]
    if view is None:
        raise InvalidInput(
            "method",
            method,
            f"the autoscaler does not scale pool {name}",
            hint="Its OSDs are shared with a rule of another CRUSH root, or have not told their size. "
            "Choose another method.",
        )
    return view.pg_num


def _bounded(pool: Pool, number: int, given: bool) -> int:
    """Return a number within the pool's own pg_num_min and pg_num_max, which Ceph refuses to pass."""
    least, most = pool.pg_num_min or 1, pool.pg_num_max or number
    bounded = max(least, min(number, most))
    if given and bounded != number:
        raise InvalidInput(
            "pools",
            f"{pool.name}: pg_num {number}",
            f"the pool has pg_num_min {pool.pg_num_min or 'unset'} and pg_num_max {pool.pg_num_max or 'unset'}",
            hint=f"Change them first: `ceph osd pool set {pool.name} pg_num_max ...`.",
        )
    return bounded


def _refuse_too_many(facts: Facts, chosen: Mapping[str, int], given: set[str]) -> None:
    exceeded = newly_exceeded(facts, chosen)
    if not exceeded:
        return
    worst = max(exceeded, key=lambda load: load.per_osd)
    where = f"below {worst.root}" if worst.root else "of the cluster"
    raise InvalidInput(
        "pools",
        ", ".join(f"{name}: pg_num {chosen[name]}" for name in sorted(given or chosen)),
        f"the {worst.osds} OSDs {where} would carry {worst.replicas:.0f} PG replicas, {worst.per_osd:.0f} each, "
        f"and mon_max_pg_per_osd ({facts.max_pgs_per_osd}) allows {worst.allowed:.0f}",
        hint="Ask for fewer PGs, reduce those of other pools first, or raise mon_max_pg_per_osd knowingly.",
        details={"replicas": round(worst.replicas), "allowed": round(worst.allowed), "osds": worst.osds},
    )
