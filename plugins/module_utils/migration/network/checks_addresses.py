# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Checks of the addresses of a migration network: enough of them, and nobody else's."""

from __future__ import annotations

from typing import Iterator

from .addresses import Pool, overlap, parse_address, parse_network, ranges_of
from .facts import Facts, config_of
from .problems import WARNING, Problem, named
from .wanted import LOCALNET, Wanted

# probe pods that run at the same time, when the network is verified
PROBES_AT_ONCE = 10
# an address more than pods, as a DaemonSet's new pod may start before the old one's address is free
_SPARE = 1
_GROWTH = 0.1


def needed_addresses(virt_nodes: int) -> int:
    """Return how many addresses virt-handler (one per node) and the probes need."""
    return virt_nodes + min(virt_nodes, PROBES_AT_ONCE) + _SPARE


def check_addresses(wanted: Wanted, facts: Facts) -> Iterator[Problem]:
    """Yield what is wrong with the range."""
    pool = wanted.pool
    if pool is None:
        return
    yield from _size(pool, len(facts.virt_nodes))
    text = str(pool.network)
    for what, network in facts.reserved:
        if overlap(pool.network, network):
            yield Problem("range_overlaps", "range", text, f"it overlaps with {what}, {network}", _OWN)
    for network in wanted.other_ranges:
        if overlap(pool.network, network):
            yield Problem("range_overlaps", "range", text, f"it overlaps with {network} of other_ranges", _OWN)
    yield from _attachments(wanted, facts, pool)
    yield from _nodes(wanted, facts, pool)


_OWN = "Use a range of its own, which nothing else routes to."


def _size(pool: Pool, virt_nodes: int) -> Iterator[Problem]:
    needed = needed_addresses(virt_nodes)
    if pool.size < needed:
        text = (
            f"it has {pool.size} addresses, and {needed} are needed: {virt_nodes} nodes that run virt-handler, "
            f"{min(virt_nodes, PROBES_AT_ONCE)} for the probes, {_SPARE} spare"
        )
        yield Problem("range_small", "range", str(pool.network), text, "Use a larger range, or exclude less.")
    elif pool.size < needed + virt_nodes * _GROWTH:
        text = f"it has {pool.size} addresses for {virt_nodes} nodes, which leaves little room for more"
        yield Problem("range_tight", "range", str(pool.network), text, severity=WARNING)


def _attachments(wanted: Wanted, facts: Facts, pool: Pool) -> Iterator[Problem]:
    for item in facts.attachments:
        metadata = item["metadata"]
        key = (metadata.get("namespace", ""), metadata["name"])
        if key == (wanted.namespace, wanted.name):
            continue
        for network in ranges_of(config_of(item)):
            if overlap(pool.network, network):
                text = f"the network attachment {key[0]}/{key[1]} hands out {network}"
                yield Problem("range_overlaps", "range", str(pool.network), text, _OWN)


def _nodes(wanted: Wanted, facts: Facts, pool: Pool) -> Iterator[Problem]:
    """Addresses of nodes in the range would be given out again; the node's networks must be others, but on the very
    interface that carries the migrations."""
    clashes = {f"{node.name} has {address}" for node in facts.nodes for address in node.addresses if address in pool}
    own = {wanted.device} if wanted.attachment != LOCALNET else set()
    overlapping: dict[str, list[str]] = {}
    for state in facts.states.values():
        for item in state.interfaces:
            for text in item.addresses:
                address, network = parse_address(text), parse_network(text)
                if address is None or network is None or not overlap(pool.network, network):
                    continue
                if address in pool:
                    clashes.add(f"{state.node} has {address}")
                if item.name not in own:
                    overlapping.setdefault(f"{network} of {item.name}", []).append(state.node)
    if clashes:
        text = f"it would hand out addresses of nodes: {named(clashes)}"
        remedy = "Exclude them (exclude, range_start, range_end), or use a range of its own."
        yield Problem("range_node_address", "range", str(pool.network), text, remedy)
    for what, nodes in sorted(overlapping.items()):
        text = f"it overlaps with {what} on {named(nodes)}"
        yield Problem("range_overlaps", "range", str(pool.network), text, _OWN, nodes=tuple(sorted(nodes)))
