# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The live view: the cluster as it is now, kept current by events; the books of the rebalance follow it.

Events of one kind come in order, perhaps late; between kinds there is no order. Whoever decides about one VM therefore
reads that VM again just before (take_vm, take_instance).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Iterable, Mapping, Optional

from ... import names
from ...cluster.model import Instance, Migration, Node, Pod, Snapshot, VirtualMachine
from ...cluster.parse import parse_node, parse_pod
from ...cluster.parse_vm import HARDWARE, parse_instance, parse_migration, parse_vm
from ...migration.in_flight import HOLDING_PHASES
from ..occupancy import Occupancy
from ..rules import Rules
from .feed import DELETED, SYNC, Event, object_key
from .limits import BLOCKING_CONDITIONS, Unfinished
from .state import request_of

Object = dict[str, Any]

NODES, PODS, MACHINES, INSTANCES, MIGRATIONS = "nodes", "pods", "virtual_machines", "instances", "migrations"
SETTINGS, OPERATOR, STATE = "settings", "operator", "state"
# a migration of others that has been asking for a slot for so long does not count as asking any more
_ASKING_SECONDS = 60.0


@dataclass(frozen=True)
class SeenMigration:
    """A migration as last seen. C(gone): the object does not exist any more. C(settled): nothing more is to come, its
    finalizer is removed."""

    migration: Migration
    seen_at: float
    settled: bool = False
    gone: bool = False


class LiveView:
    """What is known of the cluster. C(books) is its Occupancy. Not thread-safe."""

    def __init__(self, snapshot: Snapshot, rules: Rules, now: float) -> None:
        # the books ask this very mapping, which is kept current
        self._handlers = dict(snapshot.virtualization.virt_handler_ready)
        snapshot = replace(snapshot, virtualization=replace(snapshot.virtualization, virt_handler_ready=self._handlers))
        self.books = Occupancy.from_snapshot(snapshot, rules)
        self.nodes: dict[str, Node] = dict(snapshot.nodes)
        self.machines: dict[str, VirtualMachine] = dict(snapshot.virtual_machines)
        self.migrations: dict[str, SeenMigration] = {}
        # migration UID -> the scheduler's message about its target pod
        self.unschedulable: dict[str, str] = {}
        # VM key -> completionTimeoutPerGiB in force for its last migration
        self.completion_timeouts: dict[str, int] = {}
        self.settings_changed = False
        self.request = ""
        self.now = now
        self._generations: dict[str, Any] = {}
        self._pods: set[str] = set()
        self._launchers: dict[str, dict[str, Pod]] = {}  # VMI UID -> pod UID -> pod
        self._launcher_of: dict[str, str] = {}  # pod UID -> VMI UID
        self._target_pods: dict[str, Pod] = {}  # migration UID -> pod
        for pod in snapshot.pods:
            self._know_pod(pod)
        for migration in snapshot.migrations:
            key = f"{migration.namespace}/{migration.name}"
            self.migrations[key] = SeenMigration(migration, now, settled=migration.final)

    # -- events ------------------------------------------------------------------------------------------------------

    def apply(self, event: Event, now: float) -> None:
        """Take one event; C(now) is the caller's clock."""
        self.now = now
        if event.kind in (SETTINGS, OPERATOR):
            for item in event.object if event.type == SYNC else [event.object]:
                generation = item["metadata"].get("generation")
                self.settings_changed |= self._generations.get(event.kind) != generation
                self._generations[event.kind] = generation
        elif event.kind == STATE:
            for item in event.object if event.type == SYNC else [event.object]:
                self.request = "" if event.type == DELETED else request_of(item)
        elif event.type == SYNC:
            self._sync(event.kind, event.object)
        elif event.kind:
            self._take(event.kind, event.object, event.type == DELETED)

    def _take(self, kind: str, item: Object, deleted: bool) -> None:
        if kind == MIGRATIONS:
            self.take_migration(item, gone=deleted)
        elif deleted:
            self._drop(kind, _identity(kind, item))
        elif kind == NODES:
            self._take_node(item)
        elif kind == PODS:
            self._take_pod(item)
        elif kind == MACHINES:
            self.take_vm(item)
        elif kind == INSTANCES:
            self.take_instance(item)

    def _drop(self, kind: str, identity: str) -> None:
        if kind == NODES:
            if self.nodes.pop(identity, None) is not None:
                self.books.remove_node(identity)
        elif kind == PODS:
            self._drop_pod(identity)
        elif kind == MACHINES:
            self.drop_machine(identity)
        elif kind == INSTANCES:
            self.drop_instance(identity)
        elif kind == MIGRATIONS and identity in self.migrations:
            self.migrations[identity] = replace(self.migrations[identity], gone=True, settled=True)

    def _sync(self, kind: str, items: Iterable[Object]) -> None:
        known: dict[str, Iterable[str]] = {
            NODES: self.nodes,
            PODS: self._pods,
            MACHINES: [key for key, vm in self.machines.items() if vm.has_vm],
            INSTANCES: [key for key, vm in self.machines.items() if vm.instance],
            MIGRATIONS: self.migrations,
        }
        vanished = set(known.get(kind, ()))
        for item in items:
            vanished.discard(_identity(kind, item))
            self._take(kind, item, False)
        for identity in sorted(vanished):
            self._drop(kind, identity)

    # -- nodes and pods ----------------------------------------------------------------------------------------------

    def _take_node(self, item: Object) -> None:
        former = self.nodes.get(item["metadata"]["name"])
        node = parse_node(item, former.usage if former else None)
        if former is not None and replace(node, heartbeat=former.heartbeat) == former:
            return
        self.nodes[node.name] = node
        self.books.upsert_node(node)

    def _take_pod(self, item: Object) -> None:
        pod = parse_pod(item)
        if pod is None:
            self._drop_pod(item["metadata"]["uid"])
            return
        if pod.migration_uid:
            self._note_unschedulable(pod, item)
        self._know_pod(pod)
        self.books.upsert_pod(pod)

    def _note_unschedulable(self, pod: Pod, item: Object) -> None:
        for condition in (item.get("status") or {}).get("conditions") or ():
            if condition["type"] == "PodScheduled" and condition["status"] == "False":
                self.unschedulable[pod.migration_uid] = condition.get("message") or condition.get("reason") or ""

    def _know_pod(self, pod: Pod) -> None:
        self._pods.add(pod.uid)
        if not pod.vmi_uid:
            return
        self._launchers.setdefault(pod.vmi_uid, {})[pod.uid] = pod
        self._launcher_of[pod.uid] = pod.vmi_uid
        if pod.migration_uid:
            self._target_pods[pod.migration_uid] = pod

    def _drop_pod(self, uid: str) -> None:
        self._pods.discard(uid)
        self.books.remove_pod(uid)
        pod = self._launchers.get(self._launcher_of.pop(uid, ""), {}).pop(uid, None)
        if pod is not None and pod.migration_uid:
            self._target_pods.pop(pod.migration_uid, None)

    @property
    def ready_handlers(self) -> Mapping[str, bool]:
        """Whether virt-handler is ready, by node."""
        return self._handlers

    def target_pod(self, migration_uid: str) -> Optional[Pod]:
        """Return the pod that a migration has made for its target, while there is one."""
        return self._target_pods.get(migration_uid)

    def handlers(self, ready: Mapping[str, bool]) -> None:
        """Take which nodes have a virt-handler that is ready."""
        if dict(self._handlers) == dict(ready):
            return
        self._handlers.clear()
        self._handlers.update(ready)
        for node in self.nodes.values():
            self.books.placement.set_node(node)

    # -- VMs ---------------------------------------------------------------------------------------------------------

    def take_vm(self, item: Object) -> VirtualMachine:
        """Take a VirtualMachine object as it is now."""
        vm = parse_vm(item, None)
        former = self.machines.get(vm.key)
        if former is not None and former.instance is not None:
            vm = replace(vm, instance=former.instance)
            if item["spec"].get("instancetype"):
                hardware = {name: getattr(former.instance.spec, name) for name in HARDWARE}
                vm = replace(vm, spec=replace(vm.spec, **hardware))
        return self._know_vm(vm)

    def take_instance(self, item: Object) -> VirtualMachine:
        """Take a VirtualMachineInstance object as it is now."""
        key = object_key(item)
        former = self.machines.get(key)
        vm = former if former is not None and former.has_vm else parse_vm(None, item)
        vm = replace(vm, instance=self._completed(parse_instance(item), former))
        configuration = ((item.get("status") or {}).get("migrationState") or {}).get("migrationConfiguration") or {}
        if configuration.get("completionTimeoutPerGiB") is not None:
            self.completion_timeouts[key] = int(configuration["completionTimeoutPerGiB"])
        return self._know_vm(vm)

    def drop_instance(self, key: str) -> None:
        """The VM's instance does not exist any more."""
        vm = self.machines.get(key)
        if vm is not None and vm.has_vm:
            self._know_vm(replace(vm, instance=None))
        elif vm is not None:
            self._forget(key)

    def _forget(self, key: str) -> None:
        if self.machines.pop(key, None) is not None:
            self.books.remove_vm(key)

    def drop_machine(self, key: str) -> None:
        """There is no VirtualMachine of this name; an instance may still be there, and may never have had one."""
        vm = self.machines.get(key)
        if vm is None or not vm.has_vm:
            return
        if vm.instance is not None:
            self._know_vm(replace(vm, has_vm=False, deleting=True))
        else:
            self._forget(key)

    def _know_vm(self, vm: VirtualMachine) -> VirtualMachine:
        self.machines[vm.key] = vm
        self.books.upsert_vm(vm)
        return vm

    def _completed(self, instance: Instance, vm: Optional[VirtualMachine]) -> Instance:
        """Carry over what an instance's object does not tell: its pod's requests and selector, and its use."""
        pods = self._launchers.get(instance.uid, {}).values()
        requests = next((pod.requests for pod in pods if pod.node == instance.node and not pod.deleting), None)
        former = vm.instance if vm else None
        if vm is None or former is None or former.uid != instance.uid:
            return replace(instance, requests=requests)
        booked = self.books.machines.get(vm.key)
        if booked and booked.instance and booked.instance.uid == instance.uid and booked.node == instance.node:
            former = booked.instance  # after a move the books know what the new pod selects
        return replace(
            instance,
            requests=requests or former.requests,
            usage=former.usage,
            dirty_rate_bytes_per_second=former.dirty_rate_bytes_per_second,
            launcher_selector=former.launcher_selector,
        )

    def count_again(self, key: str) -> None:
        """Let launcher pods of a VM that still exist count on their nodes, after its move was booked."""
        vm = self.machines.get(key)
        for pod in list(self._launchers.get(vm.instance.uid if vm and vm.instance else "", {}).values()):
            self.books.remove_pod(pod.uid)
            self.books.upsert_pod(pod)

    # -- migrations --------------------------------------------------------------------------------------------------

    def take_migration(self, item: Object, *, gone: bool = False) -> SeenMigration:
        """Take a VirtualMachineInstanceMigration object; C(gone): as it was when it was removed."""
        key = object_key(item)
        migration = parse_migration(item)
        former = self.migrations.get(key)
        same = former is not None and former.migration.uid == migration.uid
        seen = SeenMigration(
            migration,
            former.seen_at if former is not None and same else self.now,
            settled=gone or (migration.final and not item["metadata"].get("finalizers")),
            gone=gone or (former is not None and same and former.gone),
        )
        if gone and names.RUN not in migration.labels:
            self.migrations.pop(key, None)
        else:
            self.migrations[key] = seen
        return seen

    def retake_migration(self, item: Object) -> None:
        """Take a migration that was thought to be gone and has just been read."""
        self.migrations.pop(object_key(item), None)
        self.take_migration(item)

    def unfinished(self) -> list[Unfinished]:
        """Return all unfinished migrations of the cluster, as the limits see them."""
        found = []
        for key, migration, seen_at in self._unfinished():
            vm = self.machines.get(key)
            state = vm.instance.migration_state if vm and vm.instance else None
            pod = self._target_pods.get(migration.uid)
            own = state is not None and state.migration_uid == migration.uid
            asking = (
                bool(vm and vm.running)
                and not any(name in migration.conditions for name in BLOCKING_CONDITIONS)
                and not migration.deleting
                and self.now - seen_at < _ASKING_SECONDS
            )
            found.append(
                Unfinished(
                    vm=key,
                    sources=frozenset({vm.node if vm else "", state.source_node if state else ""} - {""}),
                    target=(pod.node if pod else "") or (state.target_node if state and own else ""),
                    holding=migration.phase in HOLDING_PHASES or pod is not None,
                    asking=asking,
                    priority=migration.priority,
                )
            )
        return found

    def migrating(self) -> dict[str, Migration]:
        """Return the unfinished migration of each VM that has one, by the VM's key."""
        return {key: migration for key, migration, _seen_at in self._unfinished()}

    def _unfinished(self) -> Iterable[tuple[str, Migration, float]]:
        for seen in self.migrations.values():
            if not seen.gone and not seen.migration.final:
                yield f"{seen.migration.namespace}/{seen.migration.vmi}", seen.migration, seen.seen_at


def _identity(kind: str, item: Object) -> str:
    if kind == NODES:
        return str(item["metadata"]["name"])
    return str(item["metadata"]["uid"]) if kind == PODS else object_key(item)
