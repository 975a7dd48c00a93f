# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Replay a plan, from the planner or edited by hand, and find every step that would not be feasible.

The replay keeps its own plain account of who holds what and compares pods with each other one by one, without the
search's counters, so that an error there is found here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Iterable, Mapping, Optional, Sequence

from ..cluster.model import Node, Snapshot, VirtualMachine
from ..migration.migratability import assess_all
from .candidates import obstacles
from .demand import Demand, arriving_demand, pod_demand, vm_demand
from .occupancy import Occupancy
from .plan import COLD, Move, Plan, Wave
from .replay_groups import Party, apart, lonely, uneven
from .rules import ALLOCATED, Refusal, Rules, parse_rules


@dataclass(frozen=True)
class Problem:
    """Why a plan cannot be carried out as it is. C(move) is the id of the move, empty if it is about the whole plan."""

    move: str
    code: str
    message: str


def verify_plan(snapshot: Snapshot, plan: Plan) -> list[Problem]:
    """Return the problems of a plan on this snapshot, in the plan's order; empty if every step is feasible.

    A move with a problem is taken as not made; moves that wait for it have a problem too, and so have those that lack
    the room it would have made. A move that is made already has none. Raises InvalidInput for rules in the plan that
    cannot be read.
    """
    rules = parse_rules(plan.request.get("rules") or {})
    problems = []
    if plan.cluster_uid != snapshot.cluster_uid:
        problems.append(
            Problem(
                "", "other_cluster", f"the plan was made for cluster {plan.cluster_uid}, this is {snapshot.cluster_uid}"
            )
        )
    keys = sorted({move.key for move in plan.moves})
    pins = frozenset(str(key) for key in plan.request.get("pins") or ())
    replay = _Replay(snapshot, rules, pins, keys, made_already(snapshot, plan))
    for stage in plan.stages:
        for wave in stage.waves:
            problems.extend(replay.wave(wave))
    return problems


def made_already(snapshot: Snapshot, plan: Plan) -> frozenset[str]:
    """Return the ids of the moves whose VM is where they, or a later move of the same VM, take it."""
    found: set[str] = set()
    paths: dict[str, list[Move]] = {}
    for move in plan.moves:
        paths.setdefault(move.key, []).append(move)
    for key, path in paths.items():
        vm = snapshot.virtual_machines.get(key)
        if vm is None or not vm.node or vm.node == path[0].source or (path[0].uid and path[0].uid != vm.uid):
            continue
        last = max((number for number, move in enumerate(path, start=1) if move.target == vm.node), default=0)
        found.update(move.id for move in path[:last])
    return frozenset(found)


class _Replay:
    """The state while the plan is played through. Moves in C(done) are made already."""

    def __init__(
        self, snapshot: Snapshot, rules: Rules, pins: frozenset[str], keys: Iterable[str], done: frozenset[str]
    ) -> None:
        self._snapshot = snapshot
        self._rules = rules
        self._pins = pins
        self._machines = dict(snapshot.virtual_machines)
        self._books = Occupancy.from_snapshot(snapshot, rules)  # for what a node's loss would mean, and for labels
        self._done = set(done)
        self._held: dict[str, dict[str, Demand]] = {name: {} for name in snapshot.nodes}
        self._parties: dict[str, Party] = {}
        self._verdicts = assess_all(snapshot, [self._machines[key] for key in keys if key in self._machines])
        owners = {vm.instance.uid: key for key, vm in self._machines.items() if vm.instance}
        for key, vm in self._machines.items():
            if vm.node:
                self._parties[key] = Party.of_vm(vm, snapshot.namespaces)
                self._held.setdefault(vm.node, {})[key] = vm_demand(vm, snapshot.virtualization)
        for pod in snapshot.pods:
            owner = owners.get(pod.vmi_uid, "") if pod.vmi_uid else ""
            if owner:
                demand = vm_demand(self._machines[owner], snapshot.virtualization, pod.requests)
                self._held.setdefault(pod.node, {})[owner] = demand
            elif pod.node:
                self._parties[pod.uid] = Party.of_pod(pod, snapshot.namespaces)
                self._held.setdefault(pod.node, {})[pod.uid] = pod_demand(pod)
        self._guards = {owner: party for owner, party in self._parties.items() if party.apart}

    def wave(self, wave: Wave) -> list[Problem]:
        """Play one wave: all targets are charged before any source is released, but for moves that wait for another one
        of the same wave."""
        problems: list[Problem] = []
        started: list[Move] = []
        waiting = [move for move in wave.moves if move.id not in self._done]
        while waiting:
            own = {move.id for move in waiting} | {move.id for move in started}
            now = [move for move in waiting if not any(other in own for other in move.after)]
            if not now and started:
                self._complete(started)
                started = []
                continue
            if not now:
                problems += [Problem(move.id, "circle", "it waits for a move that waits for it") for move in waiting]
                break
            for move in now:
                found = self._start(move)
                problems.extend(Problem(move.id, refusal.code, refusal.message) for refusal in found)
                if not found:
                    started.append(move)
            waiting = [move for move in waiting if move not in now]
        self._complete(started)
        return problems

    def _start(self, move: Move) -> list[Refusal]:
        missing = [other for other in move.after if other not in self._done]
        if missing:
            return [Refusal("after", f"it waits for {', '.join(missing)}, which cannot be made or come later")]
        vm = self._machines.get(move.key)
        if vm is None:
            return [Refusal("vm_gone", f"there is no VM {move.key}")]
        found = self._about_the_vm(move, vm)
        node = self._snapshot.nodes.get(move.target)
        if node is None:
            return [*found, Refusal("node_unknown", f"there is no node {move.target}")]
        if any(refusal.code == "elsewhere" for refusal in found):
            return found
        demand = arriving_demand(vm, self._snapshot.virtualization, move.mode == COLD)
        found.extend(self._books.placement.refusals(self._books.machines[move.key], move.target, move.mode))
        found.extend(self._about_room(node, demand))
        found.extend(self._about_pods(move))
        if not found and self._books.node_loss is not None:
            found.extend(self._books.node_loss.refusals(self._books.machines[move.key], move.target, move.mode))
        if not found:
            self._held[move.target][move.key] = demand
            self._books.reserve(move.key, move.target, move.mode)
        return found

    def _complete(self, moves: Iterable[Move]) -> None:
        for move in moves:
            self._held[move.source].pop(move.key, None)
            self._books.moved(move.key, move.target)
            self._machines[move.key] = self._books.machines[move.key]
            self._done.add(move.id)

    def _about_the_vm(self, move: Move, vm: VirtualMachine) -> list[Refusal]:
        if move.uid and move.uid != vm.uid:
            return [
                Refusal("vm_replaced", f"{move.key} is not the VM the plan was made for: it was deleted and made anew")
            ]
        if vm.node != move.source:
            where = f"runs on {vm.node}" if vm.node else "does not run"
            return [Refusal("elsewhere", f"{move.key} {where}, not on {move.source}")]
        against = obstacles(self._snapshot.virtual_machines[move.key], self._verdicts[move.key], move.mode)
        found = [Refusal("not_movable", f"{move.key}: {reason}") for reason in against]
        if move.key in self._pins:
            found.append(Refusal("pinned", f"{move.key} is among the plan's pins"))
        return found

    def _about_room(self, node: Node, demand: Demand) -> list[Refusal]:
        held = list(self._held[node.name].values())
        room = node.allocatable
        rules = self._rules
        sums = (
            (
                "no_cpu",
                "CPU requests",
                demand.cpu,
                [d.cpu for d in held],
                room.cpu_millicores * (1 - rules.headroom_cpu),
            ),
            (
                "no_memory",
                "memory requests",
                demand.memory,
                [d.memory for d in held],
                room.memory_bytes * (1 - rules.headroom_memory),
            ),
            ("no_pods", "pods", demand.pods, [d.pods for d in held], room.pods),
            (
                "over_allocated",
                "guest memory",
                demand.allocated_memory,
                [d.allocated_memory for d in held],
                room.memory_bytes * rules.allow_over_percent / 100,
            ),
        )
        found = []
        for code, what, more, others, limit in sums:
            if sum(others) + more > limit:
                found.append(
                    Refusal(code, f"{node.name}: {what} would be {sum(others) + more}, {limit:.0f} are allowed")
                )
        vcpus = sum(d.allocated_cpu for d in held) + demand.allocated_cpu
        allowed = room.cpu_millicores * rules.allow_over_percent / 100
        if rules.basis == ALLOCATED and vcpus > allowed:
            found.append(Refusal("over_allocated", f"{node.name}: vCPUs would be {vcpus}m, {allowed:.0f}m are allowed"))
        for name, amount in demand.extended:
            total = amount + sum(more for d in held for other, more in d.extended if other == name)
            if total > room.extended.get(name, 0):
                found.append(
                    Refusal(
                        "no_device",
                        f"{node.name}: {total} of {name} would be held, it has {room.extended.get(name, 0)}",
                    )
                )
        return found

    def _about_pods(self, move: Move) -> list[Refusal]:
        party = self._parties[move.key]
        # a live move's source pod stays while the target's is scheduled
        stays = [] if move.mode == COLD else [node for node, held in self._held.items() if move.key in held]

        def near(topology_key: str) -> Iterable[Party]:
            domain = self._domain(move.target, topology_key)
            names = (
                [] if domain is None else [name for name in self._held if self._domain(name, topology_key) == domain]
            )
            return self._present(names, move.key, stays)

        found = []
        message = apart(party, near) or self._kept_away(move, party, stays)
        if message:
            found.append(Refusal("anti_affinity", f"{move.target}: {message}"))
        if party.near:
            everywhere = list(self._present(self._held, move.key, stays))
            message = lonely(party, near, everywhere, lambda key: self._domain(move.target, key) is not None)
            if message:
                found.append(Refusal("affinity", f"{move.target}: {message}"))
        if party.spreads:
            message = self._spread(move, party, stays)
            if message:
                found.append(Refusal("topology_spread", f"{move.target}: {message}"))
        return found

    def _present(self, names: Iterable[str], own: str, stays: Sequence[str]) -> Iterable[Party]:
        """The parties on these nodes; the VM C(own) itself only where its pod stays."""
        for name in names:
            for owner in self._held[name]:
                if owner != own or name in stays:
                    yield self._parties[owner]

    def _kept_away(self, move: Move, party: Party, stays: Sequence[str]) -> str:
        """Which other one's anti-affinity keeps the VM away; empty if none does."""
        for owner, guard in self._guards.items():
            for term in guard.apart:
                if not party.is_matched_by(term):
                    continue
                domain = self._domain(move.target, term.key)
                for name, held in self._held.items():
                    if owner not in held or (owner == move.key and name not in stays):
                        continue
                    if domain is not None and self._domain(name, term.key) == domain:
                        return f"{owner} there keeps the VM away by its anti-affinity ({term.key})"
        return ""

    def _spread(self, move: Move, party: Party, stays: Sequence[str]) -> str:
        placement = self._books.placement
        machine = self._books.machines[move.key]

        def count(term: object, key: str, by_affinity: bool) -> dict[str, int]:
            counts: dict[str, int] = {}
            for name in self._held:
                value = self._domain(name, key)
                node = self._snapshot.nodes.get(name)
                if value is None or node is None or (by_affinity and not placement.wanted(machine, node, move.mode)):
                    continue
                here = self._present([name], move.key, stays)
                counts[value] = counts.get(value, 0) + sum(1 for other in here if other.is_matched_by(term))
            return counts

        return uneven(party, lambda key: self._domain(move.target, key), count)

    def _domain(self, node: str, key: str) -> Optional[str]:
        item = self._snapshot.nodes.get(node)
        if item is None:
            return None
        return item.labels.get(key, node if key == "kubernetes.io/hostname" else None)


def problems_by_move(problems: Sequence[Problem]) -> Mapping[str, list[Problem]]:
    """Return the problems by the id of their move."""
    found: dict[str, list[Problem]] = {}
    for problem in problems:
        found.setdefault(problem.move, []).append(problem)
    return found
