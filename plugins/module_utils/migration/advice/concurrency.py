# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How many migrations at once, and how fast each may be, so that no node's link carries more than its share.

Bounds are the guidance of live-migration-best-practices.md (Concurrency Management), performance-tuning.md (Concurrency
Limits Tuning, Migration Bandwidth Management) and large-scale-reference-architecture.md (VMs migration: 20 in the
cluster and 4 per node on two 25 GbE ports and 100 nodes).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

from ...errors import InvalidInput
from ...quantity import format_bits
from .facts import Facts, Link

MIB = 1024**2
# performance-tuning.md, Bandwidth Per Migration: its most conservative value; a slower migration hardly ever ends
SLOWEST_MIB = 32
GBIT = 1e9 / 8

# without a network of their own: the value that all releases have by default
_SHARED_PARALLEL = 5
_USUAL_OUTBOUND = 2
# a node gets no more arrivals than this at once: the scheduler spreads them, and rebalance_run keeps to it by itself
_ARRIVALS = 2
# (link of a node from, migrations at once in the cluster), and the same for those that leave one node
_PARALLEL_BY_LINK = ((0.0, 5), (10 * GBIT, 10), (25 * GBIT, 20))
_OUTBOUND_BY_LINK = ((0.0, _USUAL_OUTBOUND), (25 * GBIT, 3), (100 * GBIT, 4))
_MANY_NODES = 20
_FEW_NODES_PARALLEL = 10
# performance-tuning.md: more than two may leave a node only if it is idle enough
_FREE_SHARE = 0.5


@dataclass(frozen=True)
class Concurrency:
    """C(parallel) in the cluster, C(outbound) from one node, C(mib_per_second) for each; and why."""

    parallel: int
    outbound: int
    mib_per_second: int
    parallel_reason: str
    outbound_reason: str
    bandwidth_reason: str


def concurrency_for(facts: Facts) -> Concurrency:
    """Return the limits. Raises InvalidInput for a link whose share is less than 1 MiB/s."""
    link = facts.link
    budget = int(link.budget // MIB)
    if budget < 1:
        told = f"{format_bits(link.bytes_per_second)} of which {link.share:.0%} are for migrations"
        raise InvalidInput("link_bandwidth", told, "migrations need 1 MiB per second at least")
    return _dedicated(facts, budget) if link.dedicated else _shared(facts, budget)


def _shared(facts: Facts, budget: int) -> Concurrency:
    fitting = max(1, budget // SLOWEST_MIB)
    parallel = min(_SHARED_PARALLEL, _USUAL_OUTBOUND * max(1, facts.nodes - 1), fitting)
    outbound = min(_USUAL_OUTBOUND, parallel)
    each = budget // parallel
    told = _told(facts.link)
    few = f"; the link carries {fitting} with {SLOWEST_MIB} MiB/s each" if fitting < _SHARED_PARALLEL else ""
    return Concurrency(
        parallel,
        outbound,
        each,
        f"Migrations share {told} with applications, so no more than {_SHARED_PARALLEL} at once{few}"
        f"{_nodes_told(facts)}. A dedicated migration network allows more.",
        f"Without a dedicated migration network {_USUAL_OUTBOUND} at most leave a node at once, which keeps its "
        f"applications and its network usable.",
        f"{facts.link.share:.0%} of {told} are {budget} MiB/s; {parallel} x {each} MiB/s stay below that even if all "
        f"migrations of the cluster meet on one node (KubeVirt has no limit for arrivals).",
    )


def _dedicated(facts: Facts, budget: int) -> Concurrency:
    link = facts.link
    told = _told(link)
    wanted = _by_link(_OUTBOUND_BY_LINK, link)
    idle = facts.free_share is not None and facts.free_share > _FREE_SHARE
    outbound = max(1, min(wanted if idle else _USUAL_OUTBOUND, budget // SLOWEST_MIB))
    by_link = _by_link(_PARALLEL_BY_LINK, link)
    by_nodes = by_link if facts.nodes > _MANY_NODES else _FEW_NODES_PARALLEL
    parallel = min(by_link, by_nodes, outbound * max(1, facts.nodes - 1), budget)
    outbound = min(outbound, parallel)
    together = max(outbound, min(parallel, _ARRIVALS))
    each = budget // together
    few = f", {_FEW_NODES_PARALLEL} at most up to {_MANY_NODES} nodes" if by_nodes < by_link else ""
    return Concurrency(
        parallel,
        outbound,
        each,
        f"Migrations have a network of their own with {told}, which is good for {by_link} at once in the cluster{few}"
        f"{_nodes_told(facts)}.",
        _outbound_reason(outbound, wanted, facts.free_share, told),
        f"{link.share:.0%} of {told} are {budget} MiB/s; {together} x {each} MiB/s, which leave or reach a node at "
        f"once, stay below that. No limit at all is acceptable, too, where the network carries nothing else.",
    )


def _outbound_reason(outbound: int, wanted: int, free_share: Optional[float], told: str) -> str:
    if outbound > _USUAL_OUTBOUND:
        return (
            f"The dedicated network has {told} and every node has {free_share:.0%} of CPU and memory free, so "
            f"{outbound} may leave a node. Try it before it is relied on: {_USUAL_OUTBOUND} is the proven value."
        )
    if outbound < _USUAL_OUTBOUND:
        return f"{told} carry one migration of {SLOWEST_MIB} MiB/s or more at a time, or there is one target only."
    if wanted > outbound:
        free = "is not known" if free_share is None else f"is {free_share:.0%} on the fullest node"
        return f"More than {_USUAL_OUTBOUND} need more than {_FREE_SHARE:.0%} of CPU and memory free, which {free}."
    return f"{_USUAL_OUTBOUND} is the proven value; more need a dedicated network of 25 Gbit/s or more."


def _nodes_told(facts: Facts) -> str:
    if facts.nodes < 2:
        return f"; with {facts.nodes} node that runs VMs there is nowhere to migrate to"
    return f"; {facts.nodes} nodes run VMs"


def _by_link(steps: tuple[tuple[float, int], ...], link: Link) -> int:
    return max(number for least, number in steps if link.bytes_per_second >= least)


def _told(link: Link) -> str:
    origin = f" ({link.origin})" if link.origin else ""
    return f"{format_bits(link.bytes_per_second)} per node{origin}"
