# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether the VMs of any one node would find room on the others if it failed (N-1).

For each node a witness is kept: a place for each of its VMs, found first-fit with the largest VM first, so that all
have room at once. A witness proves safety; where none is found the node counts as unsafe, although a cleverer search
might save it. A change only invalidates the parts of witnesses it touches, so asking again after each move is cheap.
Headroom is there to be used in such a case, so only allocatable bounds the others. VMs that can run nowhere else are
left out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Mapping, Optional, Sequence

from ..cluster.model import VirtualMachine
from .demand import Demand
from .plan import COLD
from .room import NodeState
from .rules import Refusal

if TYPE_CHECKING:
    from .occupancy import Occupancy


class _Witness:
    """Where the VMs of one node would go."""

    __slots__ = ("host_of", "guests")

    def __init__(self, host_of: Mapping[str, str], guests: Mapping[str, Sequence[Demand]]) -> None:
        self.host_of = dict(host_of)
        self.guests = {host: list(demands) for host, demands in guests.items()}


class NodeLoss:
    """Follows the books of an Occupancy.

    Nodes that are unsafe when it first looks, or become so by what others do, are in C(unsafe) (with a VM that found no
    place) and are not asked about again.
    """

    def __init__(self, books: "Occupancy") -> None:
        self._books = books
        self._changed = books.changes()
        self._changed.update(books.nodes)
        self._witnesses: dict[str, _Witness] = {}
        self._roomiest: list[str] = []
        self.unsafe: dict[str, str] = {}

    def refresh(self) -> None:
        """Bring the witnesses up to date with the books."""
        for name, lost in self._renew(self._take_changes()).items():
            self.unsafe[name] = lost
            self._witnesses.pop(name, None)

    def refusals(self, vm: VirtualMachine, target: str, mode: str) -> list[Refusal]:
        """Return the nodes that would become unsafe if this VM took its place on the target."""
        books = self._books
        key = vm.key
        self.refresh()
        if target in books.held_on(key):
            return []
        saved = dict(self._witnesses)
        books.reserve(key, target, mode)
        try:
            lost = self._renew(self._take_changes())
        finally:
            books.release(key, target)
        if lost:
            self._witnesses = saved
        return [
            Refusal(
                "node_loss",
                f"with it on {target}, {homeless} would find no room on another node if {name} failed",
            )
            for name, homeless in sorted(lost.items())
        ]

    def _take_changes(self) -> set[str]:
        changed = set(self._changed)
        self._changed.clear()
        return changed

    def _renew(self, changed: set[str]) -> dict[str, str]:
        """Repair what the changed nodes broke; return the nodes that cannot be made safe."""
        if not changed:
            return {}
        nodes = self._books.nodes
        self._roomiest = sorted(
            (name for name, state in nodes.items() if state.node.runs_vms),
            key=lambda name: nodes[name].memory - nodes[name].node.allocatable.memory_bytes,
        )
        lost: dict[str, str] = {}
        for name, state in nodes.items():
            if name in self.unsafe or not state.machines:
                continue
            witness = self._witnesses.get(name)
            if witness is not None and not self._broken(name, state, witness, changed):
                continue
            homeless = self._repair(name, state, witness, changed)
            if homeless and witness is not None:
                homeless = self._repair(name, state, None, changed)
            if homeless:
                lost[name] = homeless
        return lost

    def _broken(self, name: str, state: NodeState, witness: _Witness, changed: set[str]) -> bool:
        if name in changed and witness.host_of.keys() != state.machines.keys():
            return True
        return any(host in changed and not self._takes(host, guests, None) for host, guests in witness.guests.items())

    def _repair(self, name: str, state: NodeState, former: Optional[_Witness], changed: set[str]) -> str:
        """Make a witness, keeping of the former what still holds; return a VM without place, empty if all have one."""
        made = _Witness({}, {})
        demands = state.machines
        if former is not None:
            for key, host in former.host_of.items():
                if key not in demands:
                    continue
                if not host:
                    made.host_of[key] = host
                elif host not in changed or self._takes(host, made.guests.get(host, ()), demands[key]):
                    made.host_of[key] = host
                    made.guests.setdefault(host, []).append(demands[key])
        waiting = [key for key in demands if key not in made.host_of]
        for key in sorted(waiting, key=lambda key: (-demands[key].memory, -demands[key].cpu, key)):
            found = self._find(name, key, demands[key], made)
            if found is None:
                return key
            made.host_of[key] = found
            if found:
                made.guests.setdefault(found, []).append(demands[key])
        self._witnesses[name] = made
        return ""

    def _find(self, name: str, key: str, demand: Demand, made: _Witness) -> Optional[str]:
        """Return a host for one VM of the lost node; empty if it needs none, None if there is none."""
        books = self._books
        vm = books.machines.get(key)
        held = books.held_on(key)
        if vm is None or any(node != name for node in held):
            # gone already, or on its way: the other side holds its room
            return ""
        possible = False
        for host in self._roomiest:
            if host == name or books.placement.refusals(vm, host, COLD):
                continue
            possible = True
            if self._takes(host, made.guests.get(host, ()), demand) and not books.group_refusals(vm, host, COLD):
                return host
        return None if possible else ""

    def _takes(self, host: str, guests: Sequence[Demand], more: Optional[Demand]) -> bool:
        state = self._books.nodes.get(host)
        if state is None:
            return False
        cpu, memory, pods = state.cpu, state.memory, state.pods
        extended: dict[str, int] = {}
        for demand in (*guests, more) if more else guests:
            cpu += demand.cpu
            memory += demand.memory
            pods += demand.pods
            for resource, amount in demand.extended:
                extended[resource] = extended.get(resource, 0) + amount
        room = state.node.allocatable
        return (
            memory <= room.memory_bytes
            and cpu <= room.cpu_millicores
            and pods <= room.pods
            and all(
                state.extended.get(resource, 0) + amount <= room.extended.get(resource, 0)
                for resource, amount in extended.items()
            )
        )
