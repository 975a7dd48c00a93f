# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Preflight checks of nodes: reachable, with a healthy virt-handler, and somewhere to go to."""

from __future__ import annotations

from datetime import datetime
from typing import Iterable, Mapping, Optional, Sequence

from ..cluster.model import Node, Pod, Resources, Snapshot, VirtualMachine
from ..cluster.selectors import untolerated
from .checks import FAILED, OK, UNKNOWN, WARNING, Check, count_of, in_words, some

# KubeVirt takes a node for lost then (pkg/virt-controller/watch/node/node.go)
_HEARTBEAT_SECONDS = 300
_SCHEDULABLE = "kubevirt.io/schedulable"


def vm_nodes(snapshot: Snapshot) -> list[Node]:
    """Return the nodes that virt-handler runs on or has run on, and those with VMs, in the order of their names."""
    used = {vm.node for vm in snapshot.virtual_machines.values() if vm.node}
    return [node for name, node in sorted(snapshot.nodes.items()) if _SCHEDULABLE in node.labels or name in used]


def targets(snapshot: Snapshot) -> list[Node]:
    """Return the nodes that could take a VM at the moment."""
    return [node for node in vm_nodes(snapshot) if node.ready and node.runs_vms and not node.unschedulable]


def check_network(snapshot: Snapshot) -> Check:
    """Whether the nodes that run VMs answer: ready, and virt-handler's heartbeat not older than the others'."""
    nodes = vm_nodes(snapshot)
    silent = {node.name: reason for node in nodes for reason in [_silence(node, _newest_heartbeat(nodes))] if reason}
    settings = snapshot.virtualization.settings
    network = settings.network if settings else ""
    evidence = {
        "nodes": len(nodes),
        "unreachable": {name: silent[name] for name in some(silent)},
        "migration_network": network,
    }
    if not nodes:
        return Check("network", FAILED, "No node runs VMs.", _NO_VM_NODES, evidence)
    over = f"over the network {network}" if network else "over the pod network"
    if not silent:
        hint = ""
        if settings and not network and settings.parallel_outbound_migrations_per_node > 1:
            hint = (
                f"{settings.parallel_outbound_migrations_per_node} migrations may leave a node at once and share the "
                "pod network with the VMs: a network of their own (liveMigrationConfig.network) is faster."
            )
        message = f"All nodes that run VMs answer ({len(nodes)}); migrations go {over}."
        return Check("network", OK, message, hint, evidence)
    words = in_words(f"{name} ({reason})" for name, reason in silent.items())
    message = f"{len(silent)} of {count_of(len(nodes), 'node')} cannot be reached: {words}."
    status = FAILED if len(nodes) - len(silent) < 2 else WARNING
    return Check("network", status, message, "Nothing can move from or to these nodes until they answer.", evidence)


_NO_VM_NODES = "Is OpenShift Virtualization (KubeVirt) installed, and has virt-handler started on the nodes?"


def check_virt_handler(snapshot: Snapshot) -> Check:
    """Whether virt-handler is ready on every node that runs VMs: one that is not is a warning, more are a failure."""
    ready = snapshot.virtualization.virt_handler_ready
    if not ready:
        reason = snapshot.missing.get("virt_handlers") or snapshot.missing.get("virtualization") or "no pod was found"
        return Check("virt_handler", UNKNOWN, f"The state of virt-handler is not known: {reason}.")
    nodes = vm_nodes(snapshot)
    bad = sorted(node.name for node in nodes if not ready.get(node.name, False))
    evidence = {"ready": sum(1 for node in nodes if ready.get(node.name)), "not_ready": some(bad)}
    if not bad:
        return Check("virt_handler", OK, f"virt-handler is ready on {count_of(len(nodes), 'node')}.", "", evidence)
    hint = (
        "Wait if its DaemonSet is being rolled out (after a change of the migration network or an update); else look "
        "at the pods' logs, and at the migration network's NetworkAttachmentDefinition."
    )
    message = f"virt-handler is not ready on {count_of(len(bad), 'node')}: {in_words(bad)}."
    return Check("virt_handler", FAILED if len(bad) > 1 else WARNING, message, hint, evidence)


def check_targets(snapshot: Snapshot, vms: Sequence[VirtualMachine]) -> Check:
    """Whether there is another node to go to: not with a single node, nor with one that has all the VMs."""
    usable = [node.name for node in targets(snapshot)]
    cordoned = [node.name for node in vm_nodes(snapshot) if node.unschedulable]
    evidence = {"usable": len(usable), "cordoned": some(cordoned), "nodes": len(snapshot.nodes)}
    stuck = [vm for vm in vms if vm.running and not set(usable) - {vm.node}]
    running = [vm for vm in vms if vm.running]
    if len(snapshot.nodes) == 1:
        message = "The cluster has a single node; there is nowhere to move to."
        return Check("targets", FAILED, message, "VMs should have evictionStrategy None there.", evidence)
    if not usable or (running and len(stuck) == len(running)):
        message = f"There is no node that VMs could move to ({count_of(len(usable), 'node')} would take VMs)."
        hint = "Nodes have to be Ready, uncordoned, and labelled kubevirt.io/schedulable=true by virt-handler."
        return Check("targets", FAILED, message, hint, evidence)
    message = f"{count_of(len(usable), 'node')} can take VMs."
    if stuck or len(usable) == 1:
        return Check("targets", WARNING, message, f"{count_of(len(stuck), 'VM')} can go nowhere else.", evidence)
    if cordoned:
        hint = f"Cordoned, and left out: {in_words(cordoned)}."
        return Check("targets", OK, message, hint, evidence)
    return Check("targets", OK, message, "", evidence)


def check_capacity(snapshot: Snapshot, vms: Sequence[VirtualMachine]) -> Check:
    """Whether each running VM's requests fit on some other node: a live migration holds them on both until its end."""
    if "pods" not in snapshot.parts:
        reason = snapshot.missing.get("pods", "pods were not read")
        return Check("capacity", UNKNOWN, f"How full the nodes are is not known: {reason}.")
    nodes = targets(snapshot)
    free = _free(nodes, snapshot.pods)
    running = [vm for vm in vms if vm.running and vm.instance is not None and vm.instance.requests is not None]
    homeless = [vm.key for vm in running if not _fits_elsewhere(vm, nodes, free)]
    total = _sum(node.allocatable for node in nodes)
    left = _sum(free.values())
    evidence = {
        "checked": len(running),
        "fitting": len(running) - len(homeless),
        "without_room": some(homeless),
        "free_cpu_percent": _percent(left.cpu_millicores, total.cpu_millicores),
        "free_memory_percent": _percent(left.memory_bytes, total.memory_bytes),
    }
    message = (
        f"{len(running) - len(homeless)} of {count_of(len(running), 'running VM')} would fit on another node; "
        f"{evidence['free_cpu_percent']} % of CPU and {evidence['free_memory_percent']} % of memory are not requested."
    )
    if not homeless:
        return Check("capacity", OK, message, "", evidence)
    status = FAILED if len(homeless) == len(running) else WARNING
    hint = f"No room for {in_words(homeless)}: free a node first, add nodes, or lower requests."
    return Check("capacity", status, message, hint, evidence)


def _silence(node: Node, newest: Optional[datetime]) -> str:
    if not node.ready:
        return "not ready"
    beat = _time(node.heartbeat)
    if beat and newest and (newest - beat).total_seconds() > _HEARTBEAT_SECONDS:
        return f"virt-handler was last heard of {int((newest - beat).total_seconds())} s before the others"
    return ""


def _newest_heartbeat(nodes: Iterable[Node]) -> Optional[datetime]:
    return max((beat for node in nodes for beat in [_time(node.heartbeat)] if beat), default=None)


def _time(text: str) -> Optional[datetime]:
    try:
        return datetime.strptime(text[:19], "%Y-%m-%dT%H:%M:%S")
    except ValueError:
        return None


def _free(nodes: Iterable[Node], pods: Iterable[Pod]) -> Mapping[str, Resources]:
    """Return what of each node's allocatable is not requested by its pods."""
    used: dict[str, list[int]] = {node.name: [0, 0, 0] for node in nodes}
    for pod in pods:
        held = used.get(pod.node)
        if held is not None:
            held[0] += pod.requests.cpu_millicores
            held[1] += pod.requests.memory_bytes
            held[2] += 1
    return {
        node.name: Resources(
            cpu_millicores=node.allocatable.cpu_millicores - used[node.name][0],
            memory_bytes=node.allocatable.memory_bytes - used[node.name][1],
            pods=node.allocatable.pods - used[node.name][2],
        )
        for node in nodes
    }


def _fits_elsewhere(vm: VirtualMachine, nodes: Iterable[Node], free: Mapping[str, Resources]) -> bool:
    if vm.instance is None or vm.instance.requests is None:
        return True
    wanted = vm.instance.requests
    for node in nodes:
        room = free[node.name]
        if (
            node.name != vm.node
            and room.memory_bytes >= wanted.memory_bytes
            and room.cpu_millicores >= wanted.cpu_millicores
            and room.pods >= 1
            and not (node.taints and untolerated(node, vm.instance.spec.tolerations))
        ):
            return True
    return False


def _sum(amounts: Iterable[Resources]) -> Resources:
    cpu = memory = pods = 0
    for amount in amounts:
        cpu += amount.cpu_millicores
        memory += amount.memory_bytes
        pods += amount.pods
    return Resources(cpu, memory, pods)


def _percent(part: int, whole: int) -> int:
    return round(100 * part / whole) if whole else 0
