# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One node's sums, and whether one demand more fits them."""

from __future__ import annotations

from typing import Optional

from ..cluster.model import Node
from ..quantity import format_bytes, format_cpu
from .demand import Demand
from .plan import NodeLoad
from .rules import ALLOCATED, Refusal, Rules


class NodeState:
    """The sums of one node. C(limit_...) are allocatable less headroom."""

    __slots__ = (
        "node", "name", "cpu", "memory", "pods", "extended", "allocated_cpu", "allocated_memory", "used_cpu",
        "used_memory", "limit_cpu", "limit_memory", "limit_allocated_cpu", "limit_allocated_memory", "machines",
    )  # fmt: skip

    def __init__(self, node: Node, rules: Rules) -> None:
        self.cpu = self.memory = self.pods = self.allocated_cpu = self.allocated_memory = 0
        self.used_cpu = self.used_memory = 0
        self.extended: dict[str, int] = {}
        # VMs that hold something here, in the order they came
        self.machines: dict[str, Demand] = {}
        self.set_node(node, rules)

    def set_node(self, node: Node, rules: Rules) -> None:
        """Take the node, and with it its capacity, as it is now."""
        self.node = node
        self.name = node.name
        room = node.allocatable
        self.limit_cpu = int(room.cpu_millicores * (1 - rules.headroom_cpu))
        self.limit_memory = int(room.memory_bytes * (1 - rules.headroom_memory))
        self.limit_allocated_cpu = room.cpu_millicores * rules.allow_over_percent // 100
        self.limit_allocated_memory = room.memory_bytes * rules.allow_over_percent // 100

    def add(self, demand: Demand, sign: int) -> None:
        """Count a demand (sign 1), or count it no longer (sign -1)."""
        self.cpu += sign * demand.cpu
        self.memory += sign * demand.memory
        self.pods += sign * demand.pods
        self.allocated_cpu += sign * demand.allocated_cpu
        self.allocated_memory += sign * demand.allocated_memory
        self.used_cpu += sign * (demand.used_cpu or 0)
        self.used_memory += sign * (demand.used_memory or 0)
        for name, amount in demand.extended:
            self.extended[name] = self.extended.get(name, 0) + sign * amount

    def load(self, usage_base: Optional[tuple[int, int]]) -> NodeLoad:
        """Return the sums; C(usage_base) is what is used (CPU, memory) besides its VMs, None if that is not known."""
        return NodeLoad(
            requested_cpu_millicores=self.cpu,
            requested_memory_bytes=self.memory,
            allocated_cpu_millicores=self.allocated_cpu,
            allocated_memory_bytes=self.allocated_memory,
            used_cpu_millicores=max(0, usage_base[0] + self.used_cpu) if usage_base else None,
            used_memory_bytes=max(0, usage_base[1] + self.used_memory) if usage_base else None,
            virtual_machines=len(self.machines),
            pods=self.pods,
        )


def has_room(state: NodeState, demand: Demand, rules: Rules) -> bool:
    """Tell whether the node takes one more demand: requests, pods, devices, allowed allocation."""
    if (
        state.memory + demand.memory > state.limit_memory
        or state.cpu + demand.cpu > state.limit_cpu
        or state.pods + demand.pods > state.node.allocatable.pods
        or state.allocated_memory + demand.allocated_memory > state.limit_allocated_memory
        or (rules.basis == ALLOCATED and state.allocated_cpu + demand.allocated_cpu > state.limit_allocated_cpu)
    ):
        return False
    room = state.node.allocatable.extended
    held = state.extended
    return all(held.get(name, 0) + amount <= room.get(name, 0) for name, amount in demand.extended)


def room_refusals(state: NodeState, demand: Demand, rules: Rules) -> list[Refusal]:
    """Return everything has_room() would stumble over, in words."""
    found = []
    room = state.node.allocatable
    free_memory = state.limit_memory - state.memory
    if demand.memory > free_memory:
        found.append(
            Refusal(
                "no_memory",
                f"{state.name} has {format_bytes(max(0, free_memory))} of memory left to request"
                f"{_less(rules.headroom_memory)}, the VM needs {format_bytes(demand.memory)}",
            )
        )
    free_cpu = state.limit_cpu - state.cpu
    if demand.cpu > free_cpu:
        found.append(
            Refusal(
                "no_cpu",
                f"{state.name} has {format_cpu(max(0, free_cpu))} CPUs left to request{_less(rules.headroom_cpu)}, "
                f"the VM needs {format_cpu(demand.cpu)}",
            )
        )
    if state.pods + demand.pods > room.pods:
        found.append(Refusal("no_pods", f"{state.name} holds {state.pods} of at most {room.pods} pods"))
    for name, amount in demand.extended:
        free = room.extended.get(name, 0) - state.extended.get(name, 0)
        if amount > free:
            found.append(Refusal("no_device", f"{state.name} has {max(0, free)} of {name} left, the VM needs {amount}"))
    allocated = state.allocated_memory + demand.allocated_memory
    if allocated > state.limit_allocated_memory:
        found.append(_over(state.name, "guest memory", allocated / max(1, room.memory_bytes), rules))
    allocated = state.allocated_cpu + demand.allocated_cpu
    if rules.basis == ALLOCATED and allocated > state.limit_allocated_cpu:
        found.append(_over(state.name, "vCPUs", allocated / max(1, room.cpu_millicores), rules))
    return found


def beyond(demand: Demand, held: Demand) -> Demand:
    """Return what a demand adds where C(held) is charged already."""
    had = dict(held.extended)
    return Demand(
        cpu=max(0, demand.cpu - held.cpu),
        memory=max(0, demand.memory - held.memory),
        pods=max(0, demand.pods - held.pods),
        extended=tuple((name, max(0, amount - had.get(name, 0))) for name, amount in demand.extended),
        allocated_cpu=max(0, demand.allocated_cpu - held.allocated_cpu),
        allocated_memory=max(0, demand.allocated_memory - held.allocated_memory),
    )


def _less(headroom: float) -> str:
    return f" less {headroom * 100:.0f} % headroom" if headroom else ""


def _over(node: str, what: str, share: float, rules: Rules) -> Refusal:
    return Refusal(
        "over_allocated",
        f"{node} would hold {what} of {share * 100:.0f} % of its capacity, more than the {rules.allow_over_percent} % "
        "allowed",
    )
