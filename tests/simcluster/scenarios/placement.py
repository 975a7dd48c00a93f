"""Where a scenario's machines start: nodes filled in a given proportion, every hard constraint kept."""

from __future__ import annotations

import heapq
import random
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from .nodes import MACHINE_TYPES
from .requests import Requests, launcher_requests
from .values import Machine, NodeShape

_HANDLER_CPU_MILLICORES = 10
_HANDLER_MEMORY_BYTES = 325 * 1024**2


class InvalidScenario(ValueError):
    """A scenario that cannot be used; the message names what is wrong and what is allowed."""


class Unplaceable(InvalidScenario):
    """A scenario asks for more than its nodes can hold."""


@dataclass
class _Host:
    shape: NodeShape
    level: float
    cpu_millicores: int
    memory_bytes: int
    pods: int
    devices: dict[str, int]
    labels: Counter[tuple[str, str]] = field(default_factory=Counter)
    refused: Counter[tuple[str, str]] = field(default_factory=Counter)  # anti-affinity of machines already here

    def fullness(self) -> float:
        """The larger of the CPU and memory shares that are requested."""
        return max(
            self.cpu_millicores / self.shape.allocatable_cpu_millicores,
            self.memory_bytes / self.shape.allocatable_memory_bytes,
        )

    def fits(self, machine: Machine, requests: Requests, ceiling: float) -> bool:
        shape = self.shape
        return (
            self.cpu_millicores + requests.cpu_millicores <= shape.allocatable_cpu_millicores * ceiling
            and self.memory_bytes + requests.memory_bytes <= shape.allocatable_memory_bytes * ceiling
            and self.pods < shape.max_pods
            and all(self.devices.get(name, 0) >= count for name, count in requests.devices)
            and (not machine.dedicated_cpus or shape.cpu_manager)
            and machine.machine_type in MACHINE_TYPES
            and machine.cpu_model in ("host-model", "host-passthrough", *shape.cpu.usable_models)
            and self._selected_by(machine)
            and {taint[:2] for taint in shape.taints if taint[2] == "NoSchedule"} <= set(machine.tolerations)
        )

    def _selected_by(self, machine: Machine) -> bool:
        own = {"kubernetes.io/hostname": self.shape.name, "topology.kubernetes.io/zone": self.shape.zone}
        own.update(dict(self.shape.labels))
        return all(own.get(key) == value for key, value in machine.node_selector)

    def take(self, machine: Machine, requests: Requests) -> None:
        self.cpu_millicores += requests.cpu_millicores
        self.memory_bytes += requests.memory_bytes
        self.pods += 1
        for name, count in requests.devices:
            self.devices[name] -= count
        self.labels.update(machine.all_labels.items())
        if machine.anti_affinity:
            self.refused[machine.anti_affinity] += 1


def place(
    machines: Iterable[Machine],
    nodes: Iterable[NodeShape],
    levels: Mapping[str, float],
    *,
    cpu_allocation_ratio: int,
    pods_on: Mapping[str, int],
    pod_cpu_millicores: int,
    pod_memory_bytes: int,
    ceiling: float,
    seed: int = 0,
) -> tuple[Machine, ...]:
    """Give every running machine (and every one with local volumes) a node.

    C(levels) says how full the nodes are to be in proportion to each other; no node is filled above C(ceiling) (a
    share of its allocatable). Machines that already name a node stay there. Order is preserved. Raises Unplaceable.
    """
    hosts = {
        shape.name: _Host(
            shape,
            levels[shape.name],
            _HANDLER_CPU_MILLICORES + pods_on.get(shape.name, 0) * pod_cpu_millicores,
            _HANDLER_MEMORY_BYTES + pods_on.get(shape.name, 0) * pod_memory_bytes,
            1 + pods_on.get(shape.name, 0),
            dict(shape.devices),
        )
        for shape in nodes
        if shape.worker
    }
    chosen = list(machines)
    wants = [launcher_requests(machine, cpu_allocation_ratio) for machine in chosen]
    queue = [(host.fullness() / host.level, name) for name, host in hosts.items()]
    heapq.heapify(queue)
    tie_breaker = random.Random(seed)
    order = sorted(
        (number for number, machine in enumerate(chosen) if machine.running),
        key=lambda number: (
            _urgency(chosen[number]),
            -wants[number].cpu_millicores,
            -wants[number].memory_bytes,
            tie_breaker.random(),
        ),
    )
    for number in order:
        machine, wanted = chosen[number], wants[number]
        if machine.node:
            host = hosts[machine.node]
            if not host.fits(machine, wanted, 1.0):
                raise Unplaceable(f"{machine.namespace}/{machine.name} does not fit on {machine.node}")
        else:
            host = _first_that_takes(queue, hosts, machine, wanted, ceiling)
            chosen[number] = replace(machine, node=host.shape.name)
        host.take(machine, wanted)
        heapq.heappush(queue, (host.fullness() / host.level, host.shape.name))
    return tuple(chosen)


def _urgency(machine: Machine) -> int:
    if machine.node:
        return 0
    if machine.affinity_zone:
        return 2
    constrained = machine.spread_zone or machine.anti_affinity or machine.host_device or machine.dedicated_cpus
    named_cpu = machine.cpu_model not in ("host-model", "host-passthrough")
    return 1 if constrained or named_cpu or machine.node_selector else 3


def _first_that_takes(
    queue: list[tuple[float, str]], hosts: dict[str, _Host], machine: Machine, wanted: Requests, ceiling: float
) -> _Host:
    """The host with the most room in proportion; entries of C(queue) that a later one replaced are dropped."""
    passed: list[tuple[float, str]] = []
    found: _Host | None = None
    while queue and found is None:
        score, name = heapq.heappop(queue)
        host = hosts[name]
        if score != host.fullness() / host.level:
            continue
        if host.fits(machine, wanted, ceiling) and _neighbours_allow(host, hosts, machine):
            found = host
        else:
            passed.append((score, name))
    for entry in passed:
        heapq.heappush(queue, entry)
    if found is None:
        raise Unplaceable(
            f"no node takes {machine.namespace}/{machine.name} ({wanted.cpu_millicores}m CPU, "
            f"{wanted.memory_bytes} bytes of memory) below {ceiling:.0%}: use more nodes or fewer machines"
        )
    return found


def _neighbours_allow(host: _Host, hosts: dict[str, _Host], machine: Machine) -> bool:
    """Required (anti-)affinity, both ways, and topology spread with maxSkew 1."""
    if machine.anti_affinity and host.labels[machine.anti_affinity]:
        return False
    if any(host.refused[label] for label in machine.all_labels.items()):
        return False
    if machine.affinity_zone and not _in_zone(hosts, host.shape.zone, machine.affinity_zone):
        return False
    if machine.spread_zone:
        counts = {zone: _in_zone(hosts, zone, machine.spread_zone) for zone in {h.shape.zone for h in hosts.values()}}
        return counts[host.shape.zone] + 1 - min(counts.values()) <= 1
    return True


def _in_zone(hosts: dict[str, _Host], zone: str, label: tuple[str, str]) -> int:
    return sum(host.labels[label] for host in hosts.values() if host.shape.zone == zone)
