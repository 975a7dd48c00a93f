"""Evacuation: a migration for every instance that has been asked to leave its node.

Source: KubeVirt pkg/virt-controller/watch/drain/evacuation/evacuation.go.
"""

from __future__ import annotations

from typing import Any

from . import kinds
from .caches import Instance, Migration
from .controller import Controller, condition_of
from .informer import Key
from .limits import migration_configuration

Obj = dict[str, Any]
EVACUATION = "kubevirt.io/evacuationMigration"
_RETRY_SECONDS = 1.0


class EvacuationController(Controller):
    """Reconciles nodes."""

    name = "evacuation"
    component = "virt-controller"
    workers = 4

    def register(self) -> None:
        self._draining: set[str] = set()
        self.caches.nodes.on_change(self._node_changed)
        self.caches.instances.on_change(self._instance_changed)
        self.caches.migrations.on_change(self._migration_changed)

    def _node_changed(self, key: Key, before: object, after: object) -> None:
        wanted = migration_configuration(self.caches.configuration())["nodeDrainTaintKey"]
        taints = ((self.caches.nodes.obj(key) or {}).get("spec") or {}).get("taints") or []
        if any(each["key"] == wanted and each["effect"] == "NoSchedule" for each in taints):
            self._draining.add(key[1])
            self.queue.add(key)
        else:
            self._draining.discard(key[1])

    def _instance_changed(self, key: Key, before: Instance | None, after: Instance | None) -> None:
        if after is not None and (after.evacuation_node or after.node in self._draining):
            self.queue.add(("", after.node))

    def _migration_changed(self, key: Key, before: Migration | None, after: Migration | None) -> None:
        migration = after or before
        if migration is None or (after is not None and not after.final):
            return
        instance = self.caches.instances.get((key[0], migration.instance))
        if instance is not None and (instance.evacuation_node or instance.node in self._draining):
            self.queue.add(("", instance.node))

    async def reconcile(self, key: Key) -> float | None:
        again = False
        for instance in self.caches.instances_on(key[1]):
            item = self.caches.instances.get(instance)
            if item is None or item.deleting or item.phase != "Running":
                continue
            if item.evacuation_node == key[1] or key[1] in self._draining:
                again |= await self._evacuate(instance, item, key[1])
        return _RETRY_SECONDS if again else None

    async def _evacuate(self, key: Key, item: Instance, node: str) -> bool:
        """Make a migration if there is none; True if it has to be tried again later."""
        migrations = [self.caches.migrations.items[each] for each in self.caches.migrations_of(key)]
        instance = self.caches.instances.obj(key)
        if instance is None or any(not each.final for each in migrations):
            return False
        strategy = instance["spec"].get("evictionStrategy") or self.caches.configuration().get("evictionStrategy")
        migratable = condition_of(instance, "LiveMigratable")
        if strategy not in ("LiveMigrate", "LiveMigrateIfPossible"):
            return False
        if migratable is None or migratable["status"] != "True":
            return False
        if sum(not pod.final for pod in self.caches.launchers(item.uid)) > 1:
            return True
        source = (instance["metadata"].get("annotations") or {}).get("kubevirt.io/eviction-source")
        migration: Obj = {
            "apiVersion": "kubevirt.io/v1",
            "kind": "VirtualMachineInstanceMigration",
            "metadata": {
                "generateName": "kubevirt-evacuation-",
                "namespace": key[0],
                "annotations": {EVACUATION: node},
            },
            "spec": {
                "vmiName": key[1],
                "priority": "system-maintenance" if source == "descheduler" else "system-critical",
            },
        }
        created = await self.create(self.caches.migrations, migration)
        text = f"Created Migration {created['metadata']['name']}"
        self.event(kinds.INSTANCES, instance, "SuccessfulCreate", text)
        return False
