"""The machine config operator: renders configurations of pools, and leads their nodes to them one after another.

Source: machine-config-operator pkg/controller/render, pkg/controller/node (node_controller.go, status.go).
"""

from __future__ import annotations

from typing import Any

from .caches import MACHINE_CONFIG, Machine
from .controller import Controller
from .informer import Key
from .rendering import at_a_time, merged, pool_of, rendered, selected

Obj = dict[str, Any]
IN_PROGRESS = {"key": "UpdateInProgress", "effect": "PreferNoSchedule"}
DONE, DEGRADED = "Done", "Degraded"
_ZONE = "topology.kubernetes.io/zone"


class PoolController(Controller):
    """Reconciles MachineConfigPools."""

    name = "machine-config-pool"
    component = "machine-config-controller"
    workers = 1

    def register(self) -> None:
        self._specs: dict[str, Obj] = {}
        self._pools: dict[str, Obj] = {}
        self._render_due: dict[str, float] = {}
        self.caches.pools.on_change(self._pool_changed)
        self.caches.machine_configs.on_change(self._config_changed)
        self.caches.nodes.on_change(self._node_changed)

    def _pool_changed(self, key: Key, before: object, after: object) -> None:
        pool = self.caches.pools.obj(key)
        if pool is None:
            self._pools.pop(key[1], None)
        else:
            self._pools[key[1]] = pool
        if before is None or after is None:
            # nodes may belong to others now
            self.enqueue_all(self.caches.pools)
        self.queue.add(key)

    def _config_changed(self, key: Key, before: object, after: object) -> None:
        if not key[1].startswith("rendered-"):
            self.enqueue_all(self.caches.pools)

    def _node_changed(self, key: Key, before: Machine | None, after: Machine | None) -> None:
        if before != after:
            self.enqueue_all(self.caches.pools)

    async def reconcile(self, key: Key) -> float | None:
        pool = self.caches.pools.obj(key)
        if pool is None:
            return None
        left = await self._render(key, pool)
        pool = self.caches.pools.obj(key) or pool
        target: str = ((pool["spec"].get("configuration")) or {}).get("name", "")
        nodes = self._nodes(key[1])
        if target and not pool["spec"].get("paused"):
            await self._lead(pool, target, nodes)
        await self._mark(target, nodes)
        await self._tell(key, pool, target, self._nodes(key[1]))
        return left

    async def _render(self, key: Key, pool: Obj) -> float | None:
        """Some seconds after the last change the pool gets a new target."""
        sources = selected(pool, self.caches.machine_configs.objects())
        wanted = rendered(key[1], merged(sources))
        name = wanted["metadata"]["name"]
        configuration: Obj = pool["spec"].get("configuration") or {}
        listed = [
            {"apiVersion": each["apiVersion"], "kind": each["kind"], "name": each["metadata"]["name"]}
            for each in sources
        ]
        if not sources or configuration.get("name") == name:
            self._render_due.pop(key[1], None)
            return None
        now = self.context.timestamp()
        due = self._render_due.setdefault(key[1], now + self.settings.model.render_seconds)
        if due > now:
            return due - now
        self._render_due.pop(key[1], None)
        if ("", name) not in self.caches.machine_configs.items:
            wanted["metadata"]["ownerReferences"] = [
                {
                    "apiVersion": pool["apiVersion"],
                    "kind": pool["kind"],
                    "name": key[1],
                    "uid": pool["metadata"]["uid"],
                    "controller": True,
                    "blockOwnerDeletion": True,
                }
            ]
            await self.create(self.caches.machine_configs, wanted)
        patch = {"spec": {"configuration": {"name": name, "source": listed}}}
        await self.patch(self.caches.pools, key, patch)
        return None

    def _nodes(self, pool: str) -> dict[str, Machine]:
        found = {
            name: node
            for (_, name), node in self.caches.nodes.items.items()
            if node.config and pool_of(self._pools, node.labels) == pool
        }
        order = sorted(found, key=lambda name: (found[name].labels.get(_ZONE, ""), found[name].created, name))
        return {name: found[name] for name in order}

    async def _lead(self, pool: Obj, target: str, nodes: dict[str, Machine]) -> None:
        """Give the target to as many nodes as may be unavailable."""
        spare = at_a_time(pool["spec"].get("maxUnavailable"), len(nodes))
        spare -= sum(_unavailable(node) for node in nodes.values())
        for name, node in nodes.items():
            if node.config.get("desiredConfig") == target:
                continue
            # one that is unavailable already takes no more than it has taken
            if _unavailable(node):
                if node.config.get("state") in (DONE, DEGRADED) and not node.ready:
                    continue
            elif spare <= 0:
                continue
            else:
                spare -= 1
            await self._annotate(name, {"desiredConfig": target})

    async def _annotate(self, node: str, values: dict[str, str]) -> None:
        annotations = {f"{MACHINE_CONFIG}{name}": value for name, value in values.items()}
        await self.patch(self.caches.nodes, ("", node), {"metadata": {"annotations": annotations}})

    async def _mark(self, target: str, nodes: dict[str, Machine]) -> None:
        """What has still to be updated is less welcome to pods."""
        for name, node in nodes.items():
            waiting = bool(target) and not _updated(node, target)
            if waiting == node.marked:
                continue
            obj = self.caches.nodes.obj(("", name))
            if obj is None:
                continue
            taints = [each for each in (obj.get("spec") or {}).get("taints") or [] if each["key"] != IN_PROGRESS["key"]]
            patch = {
                "metadata": {"resourceVersion": obj["metadata"]["resourceVersion"]},
                "spec": {"taints": [*taints, *([dict(IN_PROGRESS)] if waiting else [])] or None},
            }
            await self.patch(self.caches.nodes, ("", name), patch)

    async def _tell(self, key: Key, pool: Obj, target: str, nodes: dict[str, Machine]) -> None:
        status: Obj = pool.get("status") or {}
        wanted = pool_status(pool, target, nodes)
        before = {each["type"]: each for each in status.get("conditions") or []}
        now = self.context.now()
        conditions = []
        for kind, value, reason, message in wanted.pop("conditions"):
            old = before.get(kind, {})
            since = old.get("lastTransitionTime", now) if old.get("status") == value else now
            conditions.append(
                {"type": kind, "status": value, "reason": reason, "message": message, "lastTransitionTime": since}
            )
        wanted["conditions"] = conditions
        patch = {name: value for name, value in wanted.items() if status.get(name) != value}
        if patch:
            await self.patch(self.caches.pools, key, {"status": patch}, "status")


def _updated(node: Machine, target: str) -> bool:
    config = node.config
    return config.get("currentConfig") == target == config.get("desiredConfig") and config.get("state") == DONE


def _unavailable(node: Machine) -> bool:
    config = node.config
    busy = config.get("currentConfig") != config.get("desiredConfig") or config.get("state") != DONE
    return busy or not node.ready or node.unschedulable


def pool_status(pool: Obj, target: str, nodes: dict[str, Machine]) -> Obj:
    """What a pool says of itself; conditions are type, status, reason and message (status.go, calculateStatus)."""
    updated = [name for name, node in nodes.items() if _updated(node, target)]
    ready = [name for name in updated if nodes[name].ready and not nodes[name].unschedulable]
    unavailable = [name for name, node in nodes.items() if _unavailable(node)]
    degraded = [name for name, node in nodes.items() if node.config.get("state") == DEGRADED]
    complete = len(updated) == len(ready) == len(nodes) and not unavailable
    status: Obj = {
        "observedGeneration": pool["metadata"].get("generation", 1),
        "machineCount": len(nodes),
        "updatedMachineCount": len(updated),
        "readyMachineCount": len(ready),
        "unavailableMachineCount": len(unavailable),
        "degradedMachineCount": len(degraded),
    }
    if complete:
        status["configuration"] = pool["spec"].get("configuration") or {}
        first = [
            ("Updated", "True", "", f"All nodes are updated with {target}"),
            ("Updating", "False", "", ""),
        ]
    elif pool["spec"].get("paused"):
        text = f"Pool is paused; will not update to {target}"
        first = [("Updated", "False", "", text), ("Updating", "False", "", text)]
    else:
        first = [("Updated", "False", "", ""), ("Updating", "True", "", f"All nodes are updating to {target}")]
    reports = ", ".join(f'Node {name} is reporting: "{nodes[name].config.get("reason", "")}"' for name in degraded)
    reason = f"{len(degraded)} nodes are reporting degraded status" if degraded else ""
    state = "True" if degraded else "False"
    status["conditions"] = [
        *first,
        ("RenderDegraded", "False", "", ""),
        ("NodeDegraded", state, reason, reports),
        ("Degraded", state, "", ""),
    ]
    return status
