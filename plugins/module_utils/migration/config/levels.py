# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How densely nodes are packed as they are: vCPUs for a core, guest memory for memory. Pure.

The most that goes well is that of "CPU and Memory Overcommit" of the performance tuning guide.
"""

from __future__ import annotations

from collections import Counter
from typing import Any, Mapping

from ...cluster.model import Snapshot
from .cautions import Caution

MOST_VCPUS_PER_CORE = 1.8
MOST_GUEST_MEMORY = 0.9


def levels_of(snapshot: Snapshot) -> dict[str, Any]:
    """Return the levels of the nodes that take VMs, as a module tells them: the mean of all, and the highest with its
    node, as shares of what is allocatable (vCPUs for a core, guest bytes for a byte). Of VMs that run; with the number
    of those that have CPU or memory requests of their own, for which no ratio counts."""
    nodes = {name: node for name, node in snapshot.nodes.items() if node.runs_vms}
    vcpus: Counter[str] = Counter()
    memory: Counter[str] = Counter()
    own_requests = 0
    running = [vm.instance for vm in snapshot.virtual_machines.values() if vm.running and vm.instance is not None]
    for instance in running:
        spec = instance.spec
        vcpus[instance.node] += spec.vcpus
        memory[instance.node] += spec.guest_memory_bytes
        own_requests += bool({"cpu", "memory"} & set(spec.requests) or spec.dedicated_cpus)
    cores = {name: node.allocatable.cpu_millicores / 1000 for name, node in nodes.items()}
    room = {name: float(node.allocatable.memory_bytes) for name, node in nodes.items()}
    return {
        "running": len(running),
        "own_requests": own_requests,
        "vcpus_per_core": _levels(vcpus, cores),
        "guest_memory": _levels(memory, room),
    }


def level_text(levels: Mapping[str, Any]) -> str:
    """Return the levels as a sentence for people."""
    cpu, memory = levels["vcpus_per_core"], levels["guest_memory"]
    return (
        f"Levels: {cpu['mean']:.2f} vCPUs for a core, at most {cpu['highest']:.2f} ({cpu['node']}); guests have "
        f"{memory['mean']:.0%} of the memory, at most {memory['highest']:.0%} ({memory['node']}); "
        f"{levels['own_requests']} of {levels['running']} VMs that run have requests of their own."
    )


def level_cautions(levels: Mapping[str, Any]) -> list[Caution]:
    """Return what there is to say about levels that are too high already."""
    found = []
    cpu, memory = levels["vcpus_per_core"], levels["guest_memory"]
    if cpu["highest"] > MOST_VCPUS_PER_CORE:
        text = f"Node {cpu['node']} has {cpu['highest']:.2f} vCPUs for a core, more than {MOST_VCPUS_PER_CORE}."
        found.append(Caution("cpu_level", f"{text} Move VMs away before anything is packed more densely."))
    if memory["highest"] > MOST_GUEST_MEMORY:
        text = f"The guests on node {memory['node']} have {memory['highest']:.0%} of its memory, more than "
        text += f"{MOST_GUEST_MEMORY:.0%}."
        found.append(Caution("memory_level", f"{text} Move VMs away before anything is packed more densely."))
    return found


def _levels(used: Counter[str], available: dict[str, float]) -> dict[str, Any]:
    shares = {name: used[name] / amount for name, amount in available.items() if amount}
    node = max(sorted(shares), key=lambda name: shares[name], default="")
    total = sum(available.values())
    return {
        "mean": round(sum(used[name] for name in available) / total, 3) if total else 0.0,
        "highest": round(shares.get(node, 0.0), 3),
        "node": node,
    }
