# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who holds what on which node, and whether a VM could go to another one now.

One bookkeeping serves the search, which plays moves through, and a run, which keeps it current from watches and asks
again just before each move. A VM counts once per node, however many pods and reservations of it are there; during a
live move it counts on both nodes. Not thread-safe.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Iterator, Mapping, Optional, Sequence

from ..cluster.model import Node, Pod, Snapshot, Virtualization, VirtualMachine
from .demand import Demand, arriving_demand, pod_demand, vm_demand
from .groups import Groups, Member, affinity_parts
from .node_loss import NodeLoss
from .placement import Placement
from .plan import COLD, LIVE, NodeLoad
from .room import NodeState, beyond, has_room, room_refusals
from .rules import Refusal, Rules

LAUNCHER_VM_LABEL = "vm.kubevirt.io/name"
_HOSTNAME = "kubernetes.io/hostname"
# what keeps a VM on a node in the books
_INSTANCE = "instance"
_RESERVATION = "reservation"


class Occupancy:
    """All nodes, all pods and all VMs, as far as room and rules go. Made by from_snapshot."""

    def __init__(self, rules: Rules, virtualization: Virtualization, placement: Placement) -> None:
        self.rules = rules
        self.nodes: dict[str, NodeState] = {}
        self.machines: dict[str, VirtualMachine] = {}
        self.placement = placement
        self.groups: Groups
        self.node_loss: Optional[NodeLoss] = None
        self._virtualization = virtualization
        self._pods: dict[str, tuple[Pod, str]] = {}  # uid -> pod and, for launchers, its VM's key
        # (VM, node) -> what keeps it there -> what that holds
        self._holds: dict[tuple[str, str], dict[str, Demand]] = {}
        self._held_nodes: dict[str, list[str]] = {}
        self._members: dict[str, Member] = {}
        self._pod_members: dict[str, Member] = {}
        self._keys_by_instance: dict[str, str] = {}
        self._arriving: dict[tuple[str, bool], Demand] = {}
        self._usage_base: dict[str, tuple[int, int]] = {}
        # launcher pods whose VM is not known (yet), by the UID of its instance
        self._orphans: dict[str, list[Pod]] = {}
        self._listeners: list[set[str]] = []

    @classmethod
    def from_snapshot(cls, snapshot: Snapshot, rules: Rules) -> "Occupancy":
        """Return the books of a snapshot."""
        virtualization = snapshot.virtualization
        placement = Placement(
            snapshot.claims, snapshot.persistent_volumes, virtualization.virt_handler_ready, rules.closed_nodes
        )
        books = cls(rules, virtualization, placement)
        books.groups = Groups(snapshot.namespaces, books._domain, books.nodes.keys)
        for node in snapshot.nodes.values():
            books.upsert_node(node)
        # all terms first: later ones would have to be tried on every pod there is
        for vm in snapshot.virtual_machines.values():
            books._member_of(vm)
        for pod in snapshot.pods:
            if pod.anti_affinity:
                books.groups.member(pod.namespace, pod.labels, pod.anti_affinity)
        for vm in snapshot.virtual_machines.values():
            books.upsert_vm(vm)
        for pod in snapshot.pods:
            books.upsert_pod(pod)
        for name, node in snapshot.nodes.items():
            state = books.nodes[name]
            if node.usage:
                books._usage_base[name] = (
                    node.usage.cpu_millicores - state.used_cpu,
                    node.usage.memory_bytes - state.used_memory,
                )
        if rules.keep_node_loss:
            books.node_loss = NodeLoss(books)
        return books

    # -- questions ---------------------------------------------------------------------------------------------------

    def why_not(self, vm: VirtualMachine, target: str, mode: str) -> tuple[Refusal, ...]:
        """Return every reason why the VM could not start moving to the target now; empty if it could.

        All hard constraints: the target's state and labels, taints, CPU, devices, storage topology; room for requests
        (a live move counts on both nodes); pods per node; the allowed allocation; (anti-)affinity and topology spread;
        the loss of a node. Whether the VM itself may move (LiveMigratable, paused, ...) is not asked here.
        """
        found = list(self.placement.refusals(vm, target, mode))
        if target == vm.node:
            found.append(Refusal("same_node", f"{vm.key} already runs on {target}"))
        if target in self.nodes:
            found.extend(room_refusals(self.nodes[target], self.added(vm, target, mode), self.rules))
            found.extend(self.group_refusals(vm, target, mode))
            if not found and self.node_loss is not None:
                found.extend(self.node_loss.refusals(vm, target, mode))
        return tuple(found)

    def fits(self, vm: VirtualMachine, target: str, mode: str) -> bool:
        """Tell whether why_not() would find nothing, the loss of a node left out: quick, for searching."""
        state = self.nodes.get(target)
        if state is None or target == vm.node or self.placement.refusals(vm, target, mode):
            return False
        return has_room(state, self.added(vm, target, mode), self.rules) and not self.group_refusals(vm, target, mode)

    def group_refusals(self, vm: VirtualMachine, target: str, mode: str) -> list[Refusal]:
        """Return what other pods have against the VM on the target, or it against them."""
        member = self._members.get(vm.key)
        if member is None or not self.in_groups(vm.key):
            return []
        return self.groups.refusals(
            member,
            target,
            self.held_on(vm.key),
            mode == COLD,
            lambda name: self.placement.wanted(vm, self.nodes[name].node, mode),
        )

    def in_groups(self, vm_key: str) -> bool:
        """Tell whether any rule between pods concerns the VM."""
        member = self._members.get(vm_key)
        return member is not None and bool(member.matched or member.anti or member.near or member.spreads)

    def demand(self, vm: VirtualMachine, mode: str = LIVE) -> Demand:
        """Return what the VM will hold on a node it moves to."""
        key = (vm.key, mode == COLD)
        known = self._arriving.get(key)
        if known is None:
            known = self._arriving[key] = arriving_demand(vm, self._virtualization, mode == COLD)
        return known

    def added(self, vm: VirtualMachine, target: str, mode: str) -> Demand:
        """Return what the VM would add to the target, which may hold something of it already."""
        demand = self.demand(vm, mode)
        holds = self._holds.get((vm.key, target))
        return beyond(demand, _effective(holds)) if holds else demand

    def held_on(self, vm_key: str) -> Sequence[str]:
        """Return the nodes on which the VM holds something now."""
        return self._held_nodes.get(vm_key, ())

    def loads(self) -> dict[str, NodeLoad]:
        """Return each node's load. Use is the node's own measurement, moved VMs' shares carried along."""
        return {name: state.load(self._usage_base.get(name)) for name, state in self.nodes.items()}

    def usage_base(self, name: str) -> Optional[tuple[int, int]]:
        """Return what is used on a node (CPU, memory) besides its VMs; None if the node is not measured."""
        return self._usage_base.get(name)

    # -- moves -------------------------------------------------------------------------------------------------------

    def reserve(self, vm_key: str, target: str, mode: str = LIVE) -> None:
        """Charge the target for a move that starts. A cold move also stops the VM: its source is then freed by
        release()."""
        vm = self.machines[vm_key]
        self._hold(vm_key, target, _RESERVATION, self.demand(vm, mode))

    def release(self, vm_key: str, node: str) -> None:
        """Give back what was reserved for the VM on a node, and what it held there as a running instance; pods stay
        until they are gone."""
        self._drop(vm_key, node, _RESERVATION)
        self._drop(vm_key, node, _INSTANCE)

    def moved(self, vm_key: str, target: str) -> None:
        """The VM runs on the target now: it holds nothing elsewhere any more, and moves on from there."""
        for node in list(self.held_on(vm_key)):
            if node != target:
                for reason in list(self._holds[(vm_key, node)]):
                    self._drop(vm_key, node, reason)
        holds = self._holds.get((vm_key, target), {})
        demand = holds.get(_RESERVATION) or self.demand(self.machines[vm_key])
        self._hold(vm_key, target, _INSTANCE, demand)
        self._drop(vm_key, target, _RESERVATION)
        vm = self.machines[vm_key]
        if vm.instance and vm.instance.node != target:
            carried = self.placement.carried(vm)
            self.machines[vm_key] = replace(vm, instance=replace(vm.instance, node=target, launcher_selector=carried))
            self.placement.forget(vm_key)

    # -- what the cluster says ---------------------------------------------------------------------------------------

    def upsert_node(self, node: Node) -> None:
        """Take a node as it is now."""
        state = self.nodes.get(node.name)
        if state is None:
            self.nodes[node.name] = NodeState(node, self.rules)
            for key, holds in list(self._holds.items()):
                if key[1] == node.name and holds:
                    self._charge(key[0], node.name, _effective(holds), 1)
            for pod, vm_key in list(self._pods.values()):
                if pod.node == node.name and not vm_key:
                    self.nodes[node.name].add(pod_demand(pod), 1)
        else:
            state.set_node(node, self.rules)
        self.placement.set_node(node)
        self._touch(node.name)

    def remove_node(self, name: str) -> None:
        """Forget a node; what ran there stays known and counts again if the node comes back."""
        self.nodes.pop(name, None)
        self.placement.drop_node(name)
        self._usage_base.pop(name, None)
        self._touch(name)

    def upsert_vm(self, vm: VirtualMachine) -> None:
        """Take a VM (with its instance, if it runs) as it is now."""
        former = self.machines.get(vm.key)
        if former == vm:
            return
        self.machines[vm.key] = vm
        self.placement.forget(vm.key)
        self._arriving.pop((vm.key, False), None)
        self._arriving.pop((vm.key, True), None)
        if former is not None and former.instance and (not vm.instance or vm.instance.uid != former.instance.uid):
            self._keys_by_instance.pop(former.instance.uid, None)
        if vm.instance:
            self._keys_by_instance[vm.instance.uid] = vm.key
        self._renew_member(vm)
        for node in list(self.held_on(vm.key)):
            if node != vm.node:
                self._drop(vm.key, node, _INSTANCE)
        if vm.node:
            self._hold(vm.key, vm.node, _INSTANCE, vm_demand(vm, self._virtualization))
        for node in self.held_on(vm.key):
            for reason in self._holds[(vm.key, node)]:
                if reason in self._pods:
                    requests = self._pods[reason][0].requests
                    self._hold(vm.key, node, reason, vm_demand(vm, self._virtualization, requests))
        for pod in self._orphans.pop(vm.instance.uid, ()) if vm.instance else ():
            self.remove_pod(pod.uid)
            self.upsert_pod(pod)

    def remove_vm(self, vm_key: str) -> None:
        """The VM is gone; launcher pods that still exist hold their room until they are gone too."""
        vm = self.machines.pop(vm_key, None)
        if vm is None:
            return
        self.placement.forget(vm_key)
        for node in list(self.held_on(vm_key)):
            self._drop(vm_key, node, _INSTANCE)
            self._drop(vm_key, node, _RESERVATION)
        if vm.instance:
            self._keys_by_instance.pop(vm.instance.uid, None)

    def upsert_pod(self, pod: Pod) -> None:
        """Take a pod that is bound to a node and neither succeeded nor failed."""
        former = self._pods.get(pod.uid)
        if former is not None:
            if former[0] == pod:
                return
            self.remove_pod(pod.uid)
        if not pod.node:
            return
        vm_key = self._vm_key(pod)
        self._pods[pod.uid] = (pod, vm_key)
        if vm_key:
            vm = self.machines[vm_key]
            self._hold(vm_key, pod.node, pod.uid, vm_demand(vm, self._virtualization, pod.requests))
            return
        if pod.vmi_uid:
            self._orphans.setdefault(pod.vmi_uid, []).append(pod)
        if pod.node in self.nodes:
            self.nodes[pod.node].add(pod_demand(pod), 1)
        member = self._pod_members[pod.uid] = self.groups.member(pod.namespace, pod.labels, pod.anti_affinity)
        self.groups.add(member, pod.node)
        self._touch(pod.node)

    def remove_pod(self, uid: str) -> None:
        """The pod is gone, or has succeeded or failed."""
        pod, vm_key = self._pods.pop(uid, (None, ""))
        if pod is None:
            return
        if vm_key:
            self._drop(vm_key, pod.node, uid)
            return
        if pod.vmi_uid in self._orphans:
            self._orphans[pod.vmi_uid] = [other for other in self._orphans[pod.vmi_uid] if other.uid != uid]
        if pod.node in self.nodes:
            self.nodes[pod.node].add(pod_demand(pod), -1)
        self.groups.remove(self._pod_members.pop(uid), pod.node)
        self._touch(pod.node)

    def changes(self) -> set[str]:
        """Return a set that gets the name of every node whose books change from now on; the caller empties it."""
        names: set[str] = set()
        self._listeners.append(names)
        return names

    def machines_on(self, node: str) -> Iterator[VirtualMachine]:
        """Yield the VMs that hold something on the node, those whose objects are gone left out."""
        state = self.nodes.get(node)
        for key in list(state.machines) if state else ():
            vm = self.machines.get(key)
            if vm is not None:
                yield vm

    # -- inside ------------------------------------------------------------------------------------------------------

    def _domain(self, node: str, key: str) -> Optional[str]:
        state = self.nodes.get(node)
        if state is None:
            return None
        return state.node.labels.get(key, node if key == _HOSTNAME else None)

    def _vm_key(self, pod: Pod) -> str:
        """The VM a launcher pod belongs to, empty for other pods and while its VM is not known."""
        if not pod.vmi_uid:
            return ""
        key = f"{pod.namespace}/{pod.labels.get(LAUNCHER_VM_LABEL, '')}"
        if key not in self.machines:
            # long names are cut in the label
            key = self._keys_by_instance.get(pod.vmi_uid, "")
        return key

    def _member_of(self, vm: VirtualMachine) -> Member:
        instance = vm.instance
        spec = instance.spec if instance else vm.spec
        labels = {
            **(instance.labels if instance else vm.template_labels),
            "kubevirt.io": "virt-launcher",
            "kubevirt.io/created-by": instance.uid if instance else "",
            LAUNCHER_VM_LABEL: vm.name,
        }
        anti, near = affinity_parts(spec.affinity)
        return self.groups.member(vm.namespace, labels, anti, near, spec.topology_spread)

    def _renew_member(self, vm: VirtualMachine) -> None:
        former = self._members.get(vm.key)
        member = self._members[vm.key] = self._member_of(vm)
        for node in self.held_on(vm.key):
            if former is not None:
                self.groups.remove(former, node)
            self.groups.add(member, node)

    def _hold(self, vm_key: str, node: str, reason: str, demand: Demand) -> None:
        holds = self._holds.get((vm_key, node))
        if holds is None:
            self._holds[(vm_key, node)] = {reason: demand}
            self._held_nodes.setdefault(vm_key, []).append(node)
            self.groups.add(self._members[vm_key], node)
            self._charge(vm_key, node, demand, 1)
            return
        self._charge(vm_key, node, _effective(holds), -1)
        holds[reason] = demand
        self._charge(vm_key, node, _effective(holds), 1)

    def _drop(self, vm_key: str, node: str, reason: str) -> None:
        holds = self._holds.get((vm_key, node))
        if not holds or reason not in holds:
            return
        self._charge(vm_key, node, _effective(holds), -1)
        del holds[reason]
        if holds:
            self._charge(vm_key, node, _effective(holds), 1)
            return
        del self._holds[(vm_key, node)]
        self._held_nodes[vm_key].remove(node)
        self.groups.remove(self._members[vm_key], node)

    def _charge(self, vm_key: str, node: str, demand: Demand, sign: int) -> None:
        state = self.nodes.get(node)
        if state is None:
            return
        state.add(demand, sign)
        if sign > 0:
            state.machines[vm_key] = demand
        else:
            state.machines.pop(vm_key, None)
        self._touch(node)

    def _touch(self, node: str) -> None:
        for names in self._listeners:
            names.add(node)


def _effective(holds: Mapping[str, Demand]) -> Demand:
    """What counts of several holds of one VM on one node: its pod's requests, the reservation, or the instance."""
    for reason, demand in holds.items():
        if reason not in (_INSTANCE, _RESERVATION):
            return demand
    return holds.get(_RESERVATION) or holds[_INSTANCE]
