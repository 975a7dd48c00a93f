# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What ceph_pg_calc does: calculate, apply, restore."""

from __future__ import annotations

from typing import Any, Mapping, Optional, Sequence

from ...errors import InvalidInput
from ..calculation import Plan, calculate, filled
from ..command import Denied, as_text
from ..commands import Goal, commands, in_order
from ..findings import Finding, findings
from ..health import judge, told
from ..record import PoolSettings, read_pool_records, settings_of
from ..request import facts_given, refuse_given_facts, request_of
from ..result import plan_result
from .ceph import Ceph
from .support import ceph_of
from .work import Limits, Worker

# Ceph knows the one; the other is a common misspelling (also of the reference architecture)
MODE, MISSPELT_MODE = "pg_autoscale_mode", "pg_autoscaler_mode"


def operate(module: Any) -> Mapping[str, Any]:
    """Do what the module's options ask for and return its result."""
    params = module.params
    _warn_of_spelling(module)
    if params["source"] == "given":
        return _calculate_given(params)
    refuse_given_facts(params)
    ceph = ceph_of(module)
    if params["state"] == "restored":
        return _restore(module, ceph)
    request = request_of(params)
    facts = ceph.facts()
    plan = calculate(facts, request)
    found = findings(facts, plan)
    result = plan_result(facts, plan, found)
    goals = _goals(plan, _records(ceph, params["state"]))
    orders = _orders(goals, request.step_factor)
    if params["state"] == "calculated":
        return {**result, "changed": False, "commands": orders}
    _refuse(found)
    return {**result, **_reach(module, ceph, goals, request.step_factor)}


def _calculate_given(params: Mapping[str, Any]) -> dict[str, Any]:
    if params["state"] != "calculated":
        raise InvalidInput(
            "source",
            "given",
            f"state {params['state']} changes a cluster, whose facts have to be read: use source cluster",
        )
    request = request_of(params)
    facts = filled(facts_given(params), request)
    plan = calculate(facts, request)
    new = [Goal(entry.pool, PoolSettings(entry.autoscale_mode, entry.pg_num, entry.pg_num)) for entry in plan.pools]
    orders = [
        as_text(["osd", "pool", "set", goal.pool.name, variable, str(value)])
        for goal in new
        for variable, value in ((MODE, goal.wanted.autoscale_mode), ("pg_num", goal.wanted.pg_num))
    ]
    return {**plan_result(facts, plan, findings(facts, plan)), "changed": False, "commands": orders}


def _records(ceph: Ceph, state: str) -> dict[int, PoolSettings]:
    try:
        return read_pool_records(ceph.pool_records())
    except Denied:
        # who may only read the cluster may not read config keys; they only matter for changes
        if state == "calculated":
            return {}
        raise


def _goals(plan: Plan, records: Mapping[int, PoolSettings]) -> list[Goal]:
    return [
        Goal(
            entry.pool,
            PoolSettings(entry.autoscale_mode, entry.pg_num, entry.pg_num),
            record=entry.pool.id not in records,
        )
        for entry in plan.pools
    ]


def _restore(module: Any, ceph: Ceph) -> dict[str, Any]:
    names = [given["name"] for given in module.params["pools"] or ()]
    pools = ceph.pools()
    unknown = [name for name in names if name not in pools]
    if unknown:
        known = ", ".join(sorted(pools)) or "none"
        raise InvalidInput("pools", ", ".join(unknown), f"the cluster has no such pool; there are: {known}")
    records = read_pool_records(ceph.pool_records())
    goals = [
        Goal(pool, records[pool.id], forget=True)
        for pool in pools.values()
        if pool.id in records and (not names or pool.name in names)
    ]
    empty: dict[str, Any] = {"pools": [], "limits": {}, "findings": [], "lines": []}
    factor = int(module.params["step_factor"])
    lines = [_line(goal) for goal in goals] or ["Nothing is recorded for these pools, so nothing is restored."]
    return {**empty, "lines": lines, **_reach(module, ceph, goals, factor)}


def _line(goal: Goal) -> str:
    now, then = settings_of(goal.pool), goal.wanted
    return (
        f"{goal.pool.name}: pg_num {now.pg_num} -> {then.pg_num}, pgp_num {now.pgp_num} -> {then.pgp_num}, "
        f"pg_autoscale_mode {now.autoscale_mode} -> {then.autoscale_mode}"
    )


def _reach(module: Any, ceph: Ceph, goals: Sequence[Goal], factor: int) -> dict[str, Any]:
    before = {goal.pool.name: settings_of(goal.pool).as_dict() for goal in goals}
    after = {goal.pool.name: goal.wanted.as_dict() for goal in goals}
    if module.check_mode:
        orders = _orders(goals, factor)
        if orders:
            _warn_of_health(module, ceph)
    else:
        Worker(ceph, _limits(module.params, factor)).reach(goals)
        orders = list(ceph.sent)
    # waiting for what was asked for earlier is no change
    result: dict[str, Any] = {"changed": bool(orders), "commands": orders}
    if module._diff and before != after:
        headers = {"before_header": "pools now", "after_header": "pools then"}
        result["diff"] = {"before": before, "after": after, **headers}
    return result


def _warn_of_health(module: Any, ceph: Ceph) -> None:
    status = ceph.status()
    verdict = judge(status, module.params["tolerated_checks"])
    if verdict.stop:
        module.warn(f"The cluster is {status.health}, so that nothing would be changed now: {told(verdict.stop)}.")


def _orders(goals: Sequence[Goal], factor: int) -> list[str]:
    return [as_text(order) for goal in in_order(list(goals)) for order in commands(goal, factor)]


def _limits(params: Mapping[str, Any], factor: int) -> Limits:
    for option, least in (
        ("timeout_seconds", 1),
        ("poll_seconds", 0.1),
        ("settle_seconds", 0),
        ("transient_seconds", 0),
    ):
        if params[option] < least:
            raise InvalidInput(option, params[option], f"a number from {least} on is needed")
    return Limits(
        tolerated=frozenset(params["tolerated_checks"]),
        transient_seconds=float(params["transient_seconds"]),
        timeout_seconds=float(params["timeout_seconds"]),
        poll_seconds=float(params["poll_seconds"]),
        settle_seconds=float(params["settle_seconds"]),
        step_factor=factor,
        wait=params["wait"],
    )


def _refuse(found: Sequence[Finding]) -> None:
    errors = [finding for finding in found if finding.severity == "error"]
    if errors:
        raise InvalidInput("pools", errors[0].pool, errors[0].message.rstrip("."), hint=errors[0].hint)


def _warn_of_spelling(module: Any) -> None:
    given: Optional[Mapping[str, Any]]
    for given in (module.params, *(module.params["pools"] or ())):
        if given.get(MISSPELT_MODE) is not None:
            module.warn(f"{MISSPELT_MODE}: Ceph calls it {MODE} and refuses the other spelling; it is taken as {MODE}.")
            return
