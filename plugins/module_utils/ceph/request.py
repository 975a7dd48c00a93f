# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is asked for: pools with their shares of data, and the facts of a cluster that were given by hand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Mapping, Optional

from ..errors import InvalidInput
from .formulas import DOCUMENT_SHARE_PERCENT, DOCUMENT_TARGET
from .model import MAX_PGS_PER_OSD, Facts, Osd, Pool, Rule

METHODS = ("document", "pgcalc", "autoscaler")
# OSDMonitor: mon_max_pool_pg_num
MOST_PGS = 65536
# any size will do where only shares count
_NOMINAL_BYTES = 1 << 40
_ROOT = "default"
# options that are facts of a cluster
_FACTS = ("osds", "osd_size_bytes", "max_pgs_per_osd")
_POOL_FACTS = ("size", "k", "m", "root", "current_pg_num", "stored_bytes", "bulk")


@dataclass(frozen=True)
class PoolRequest:
    """One pool: its share of the data on its OSDs, or the PGs it shall have; C(osds) where others than now count."""

    name: str
    share_percent: Optional[float] = None
    pg_num: Optional[int] = None
    autoscale_mode: Optional[str] = None
    osds: Optional[int] = None


@dataclass(frozen=True)
class Request:
    """All pools, and the rules: C(method) decides; pools without a share divide what is left of C(max_used_percent).

    Computed numbers below what a pool has count only with C(reduce).
    """

    pools: tuple[PoolRequest, ...]
    method: str = METHODS[0]
    target_pgs_per_osd: float = DOCUMENT_TARGET
    max_used_percent: float = DOCUMENT_SHARE_PERCENT
    autoscale_mode: str = "off"
    step_factor: int = 2
    reduce: bool = False

    def mode_of(self, pool: PoolRequest) -> str:
        return pool.autoscale_mode or self.autoscale_mode


def refuse_given_facts(params: Mapping[str, Any]) -> None:
    """Raise InvalidInput for facts given by hand where the cluster is read: they would not be looked at."""
    given = [(option, params[option]) for option in _FACTS]
    for index, pool in enumerate(params["pools"] or ()):
        given += [(f"pools[{index}].{option}", pool[option]) for option in _POOL_FACTS]
    for option, value in given:
        if value is not None:
            raise InvalidInput(option, value, "it is read from the cluster; only source given takes it")


def request_of(params: Mapping[str, Any]) -> Request:
    """Return the request of a module's options; raises InvalidInput for numbers that make no sense."""
    pools = tuple(_pool_request(index, given) for index, given in enumerate(params["pools"] or ()))
    if not pools:
        raise InvalidInput("pools", [], "at least one pool is needed")
    names = [pool.name for pool in pools]
    for name in names:
        if names.count(name) > 1:
            raise InvalidInput("pools", name, "a pool can be named once")
    _check("target_pgs_per_osd", params["target_pgs_per_osd"], 1, 1000)
    _check("max_used_percent", params["max_used_percent"], 1, 100)
    _check("step_factor", params["step_factor"], 2, MOST_PGS)
    return Request(
        pools=pools,
        method=params["method"],
        target_pgs_per_osd=float(params["target_pgs_per_osd"]),
        max_used_percent=float(params["max_used_percent"]),
        autoscale_mode=params["pg_autoscale_mode"],
        step_factor=int(params["step_factor"]),
        reduce=params["reduce"],
    )


def _pool_request(index: int, given: Mapping[str, Any]) -> PoolRequest:
    where = f"pools[{index}]."
    if not given["name"]:
        raise InvalidInput(f"{where}name", given["name"], "the name of a pool is needed")
    if given["data_share_percent"] is not None and given["pg_num"] is not None:
        raise InvalidInput(
            f"{where}pg_num",
            given["pg_num"],
            "a pool has either pg_num or data_share_percent, from which it is computed",
        )
    _check(f"{where}data_share_percent", given["data_share_percent"], 0, 100, above=True)
    _check(f"{where}pg_num", given["pg_num"], 1, MOST_PGS)
    _check(f"{where}osds", given["osds"], 1, 100_000)
    return PoolRequest(
        name=given["name"],
        share_percent=given["data_share_percent"],
        pg_num=given["pg_num"],
        autoscale_mode=given["pg_autoscale_mode"],
        osds=given["osds"],
    )


def facts_given(params: Mapping[str, Any]) -> Facts:
    """Return the facts that a module's options give by hand: OSDs of one size below each root, and the pools on them.

    Without C(stored_bytes) a pool counts as filled to its share, which is what the autoscaler would see in the end;
    then shares decide and the size of the OSDs does not matter.
    """
    _check("max_pgs_per_osd", params["max_pgs_per_osd"], 1, 10_000)
    roots: dict[str, int] = {}
    for index, given in enumerate(params["pools"] or ()):
        _check(f"pools[{index}].osds", given["osds"], 1, 100_000)
        count, root = given["osds"] or params["osds"], given["root"] or _ROOT
        if not count:
            raise InvalidInput("osds", params["osds"], "the number of OSDs is needed when facts are given by hand")
        if roots.setdefault(root, count) != count:
            raise InvalidInput(
                f"pools[{index}].osds",
                count,
                f"another pool says that {root} has {roots[root]} OSDs; name another root",
            )
    size = params["osd_size_bytes"] or _NOMINAL_BYTES
    osds: dict[int, Osd] = {}
    rules: dict[int, Rule] = {}
    for number, (root, count) in enumerate(roots.items()):
        ids = range(len(osds), len(osds) + count)
        osds.update({osd: Osd(osd, True, True, 1.0, size) for osd in ids})
        rules[number] = Rule(number, root, -1 - number, root, frozenset(ids))
    pools = {}
    for index, given in enumerate(params["pools"]):
        root = given["root"] or _ROOT
        pools[given["name"]] = _pool_given(index, given, list(roots).index(root), params)
    return Facts(pools, rules, osds, max_pgs_per_osd=params["max_pgs_per_osd"] or MAX_PGS_PER_OSD)


def _pool_given(index: int, given: Mapping[str, Any], rule: int, params: Mapping[str, Any]) -> Pool:
    where = f"pools[{index}]."
    if (given["k"] is None) != (given["m"] is None):
        raise InvalidInput(f"{where}k", given["k"], "k and m of an erasure-coded pool are given together")
    if given["k"] is not None and given["size"] is not None:
        raise InvalidInput(
            f"{where}size", given["size"], "a pool has either size (replicas) or k and m (erasure coding)"
        )
    for option, least in (("size", 1), ("k", 1), ("m", 0)):
        _check(where + option, given[option], least, 100)
    if given["stored_bytes"] and not params["osd_size_bytes"]:
        raise InvalidInput(
            f"{where}stored_bytes", given["stored_bytes"], "how much that is needs osd_size_bytes, the size of an OSD"
        )
    erasure = given["k"] is not None
    current = given["current_pg_num"] or 0
    return Pool(
        id=index + 1,
        name=given["name"],
        created="",
        size=given["k"] + given["m"] if erasure else given["size"] or 3,
        rule=rule,
        pg_num=current,
        pg_num_target=current,
        pgp_num=current,
        pgp_num_target=current,
        data_chunks=given["k"] if erasure else 1,
        erasure=erasure,
        stored_bytes=given["stored_bytes"] or 0,
        bulk=bool(given["bulk"]),
    )


def _check(option: str, value: Optional[float], least: float, most: float, above: bool = False) -> None:
    if value is None:
        return
    if not least <= value <= most or (above and value == least):
        edge = f"above {least}" if above else f"{least}"
        raise InvalidInput(option, value, f"a number from {edge} to {most} is needed")
