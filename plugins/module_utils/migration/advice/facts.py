# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What advice about live-migration settings rests on: nodes, the link they have for migrations, and the VMs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Iterable, Mapping, Optional, Sequence

from ...cluster.model import MigrationPolicy, MigrationSettings, Node, Snapshot, VirtualMachine
from ...cluster.team_labels import workload_of
from ...errors import InvalidInput
from ...quantity import parse_rate
from ..policies.precedence import matches_of
from ..precopy import DIRTY_RATES

# what the advice needs of a cluster
PARTS = ("nodes", "namespaces", "virtual_machines", "pods", "policies", "virtualization", "usage")
_LIVE_MIGRATABLE = "LiveMigratable"


@dataclass(frozen=True)
class Link:
    """What a node sends and receives migrations over: bytes per second of the slowest node's link, the share of it that
    migrations may use (0 to 1), and in words where the speed is known from. C(dedicated): it carries nothing else."""

    bytes_per_second: float
    share: float
    dedicated: bool
    origin: str = ""

    @property
    def budget(self) -> float:
        """Bytes per second that migrations may use of it."""
        return self.bytes_per_second * self.share


@dataclass(frozen=True)
class Machine:
    """A running VM that can migrate live, with its workload class (empty if it has none), the dirty rate taken for it
    unless it was measured (bytes per second, C(rate_given): told by the user), and the policy that it gets."""

    vm: VirtualMachine
    workload: str
    dirty_rate: float
    rate_given: bool = False
    policy: Optional[MigrationPolicy] = None


@dataclass(frozen=True)
class Facts:
    """All that the advice is a function of. C(free_share) is the smallest share of CPU or memory that is not in use on
    any of the nodes, None if that is not known; C(not_live) counts running VMs that cannot migrate live."""

    nodes: int
    link: Link
    machines: tuple[Machine, ...]
    current: Optional[MigrationSettings] = None
    free_share: Optional[float] = None
    not_live: int = 0


def facts_from(
    snapshot: Snapshot, vms: Iterable[VirtualMachine], link: Link, dirty_rates: Mapping[str, float]
) -> Facts:
    """Return the facts about a cluster's migrations of C(vms).

    C(dirty_rates) are bytes per second by workload class that take the place of the assumed ones; what was measured of
    a VM counts before both.
    """
    rates = {**DIRTY_RATES, **dirty_rates}
    running = sorted((vm for vm in vms if vm.running), key=lambda vm: vm.key)
    machines = []
    for vm in running:
        if not can_migrate(vm):
            continue
        workload = workload_of(snapshot, vm)
        known = workload if workload in rates else ""
        policies = matches_of(snapshot, vm, snapshot.migration_policies)
        machines.append(
            Machine(vm, workload, rates[known], known in dirty_rates, policies[0].policy if policies else None)
        )
    nodes = [node for node in snapshot.nodes.values() if node.ready and node.runs_vms]
    return Facts(
        nodes=len(nodes),
        link=link,
        machines=tuple(machines),
        current=snapshot.virtualization.settings,
        free_share=_free_share(snapshot, nodes),
        not_live=len(running) - len(machines),
    )


def parse_rates(rates: Mapping[str, Any]) -> dict[str, float]:
    """Return bytes per second by workload class of the option C(dirty_rates). Raises InvalidInput."""
    found = {workload: float(parse_rate(rate, f"dirty_rates.{workload}")) for workload, rate in rates.items()}
    for workload, rate in found.items():
        if rate < 0:
            raise InvalidInput(f"dirty_rates.{workload}", rates[workload], "0 or more is needed")
    return found


def can_migrate(vm: VirtualMachine) -> bool:
    """Tell whether KubeVirt lets the running VM migrate, which it does unless the instance says that it cannot."""
    condition = vm.instance.conditions.get(_LIVE_MIGRATABLE) if vm.instance else None
    return condition is None or condition.status != "False"


def _free_share(snapshot: Snapshot, nodes: Sequence[Node]) -> Optional[float]:
    """By what is really used where that is known of all nodes, else by what pods request."""
    if not nodes:
        return None
    if all(node.usage is not None for node in nodes):
        used = {node.name: (node.usage.cpu_millicores, node.usage.memory_bytes) for node in nodes if node.usage}
    elif "pods" in snapshot.parts:
        used = {node.name: (0, 0) for node in nodes}
        for pod in snapshot.pods:
            if pod.node in used:
                cpu, memory = used[pod.node]
                used[pod.node] = cpu + pod.requests.cpu_millicores, memory + pod.requests.memory_bytes
    else:
        return None
    return min(
        1 - max(amount / room for amount, room in zip(used[node.name], _room(node)) if room)
        for node in nodes
        if any(_room(node))
    )


def _room(node: Node) -> tuple[int, int]:
    return node.allocatable.cpu_millicores, node.allocatable.memory_bytes
