"""The machine config daemons: cordon, drain, reboot and uncordon, node by node as they are told.

Source: machine-config-operator pkg/daemon/update.go, pkg/controller/drain/drain_controller.go.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from ..scenarios.values import stable_uid
from . import kinds
from .caches import MACHINE_CONFIG, Machine
from .client import ApiError
from .controller import Controller
from .informer import Key
from .machine_config import DEGRADED, DONE
from .rendering import kubelet_settings, max_pods

log = logging.getLogger(__name__)
Obj = dict[str, Any]
_DRAIN_TIMEOUT_SECONDS = 3600.0


class MachineConfigDaemon(Controller):
    """Reconciles nodes. Only launcher pods are evicted: the ordinary pods of a scenario have nobody to make them anew,
    and come back with their node."""

    name = "machine-config-daemon"
    component = "machine-config-daemon"
    workers = 4

    def register(self) -> None:
        self._updates: dict[str, asyncio.Task[None]] = {}
        self.caches.nodes.on_change(self._node_changed)
        self.settings.on_change(lambda: self.enqueue_all(self.caches.nodes))

    def _node_changed(self, key: Key, before: Machine | None, after: Machine | None) -> None:
        if after is not None and (before is None or before.config != after.config):
            self.queue.add(key)

    async def reconcile(self, key: Key) -> float | None:
        node = self.caches.nodes.get(key)
        if node is None or key[1] in self._updates or self.settings.dead(key[1]):
            return None
        if not node.config.get("desiredConfig"):
            return None
        if node.config.get("currentConfig") == node.config["desiredConfig"] and node.config.get("state") == DONE:
            return None
        task = asyncio.get_running_loop().create_task(self._update(key, node.config["desiredConfig"]))
        self._updates[key[1]] = task
        task.add_done_callback(lambda _task: self._ended(key))
        return None

    def _ended(self, key: Key) -> None:
        task = self._updates.pop(key[1])
        self.settings.rebooted(key[1])
        if task.cancelled():
            return
        if task.exception() is not None:
            log.error("update of %s", key[1], exc_info=task.exception())
        self.queue.add_after(key, 1.0)

    async def _update(self, key: Key, wanted: str) -> None:
        try:
            await self._steps(key, wanted)
        except (ApiError, OSError) as error:
            # begun anew from where the annotations stand
            log.info("update of %s: %s", key[1], error)
            await asyncio.sleep(0.1)

    async def _steps(self, key: Key, wanted: str) -> None:
        name = key[1]
        node = self.caches.nodes.items[key]
        before, after = self._spec(node.config.get("currentConfig", "")), self._spec(wanted)
        if after is None:
            text = f'machineconfig.machineconfiguration.openshift.io "{wanted}" not found'
            await self._annotate(key, state=DEGRADED, reason=text)
            await self.clock.sleep(self.settings.model.drain_retry_seconds)
            return
        if before == after and not node.unschedulable:
            # another name for the same content
            await self._annotate(key, currentConfig=wanted, state=DONE, reason="")
            return
        await self._annotate(key, state="Working", reason="")
        problem = self.settings.machine_config.get(name)
        if problem:
            await self._annotate(key, state=DEGRADED, reason=problem)
            while self.settings.machine_config.get(name):
                await self.clock.sleep(self.settings.model.drain_retry_seconds)
            return
        await self._annotate(key, desiredDrain=f"drain-{wanted}")
        await self.patch(self.caches.nodes, key, {"spec": {"unschedulable": True}})
        await self._drain(key)
        await self._annotate(key, lastAppliedDrain=f"drain-{wanted}", state="Rebooting", reason="")
        await self._reboot(key, wanted, after)
        drained = f"uncordon-{wanted}"
        await self._annotate(key, currentConfig=wanted, state=DONE, desiredDrain=drained, lastAppliedDrain=drained)
        await self.patch(self.caches.nodes, key, {"spec": {"unschedulable": None}})

    def _spec(self, name: str) -> Obj | None:
        config = self.caches.machine_configs.obj(("", name))
        return None if config is None else config["spec"]

    async def _annotate(self, key: Key, **values: str) -> None:
        annotations = {f"{MACHINE_CONFIG}{name}": value for name, value in values.items()}
        known = self.caches.nodes.items[key].config
        if any(known.get(name) != value for name, value in values.items()):
            await self.patch(self.caches.nodes, key, {"metadata": {"annotations": annotations}})

    async def _drain(self, key: Key) -> None:
        """Evict until nothing is left; what cannot leave is asked again and again, never forced."""
        name = key[1]
        started = self.context.timestamp()
        while True:
            pods = [self.caches.pods.items[each] for each in self.caches.pods_on(name)]
            left = [pod for pod in pods if not pod.final]
            if not left:
                return
            for pod in left:
                if not pod.deleting:
                    await self._evict(pod.key)
            if self.context.timestamp() - started > _DRAIN_TIMEOUT_SECONDS:
                text = f"failed to drain node: {name} after 1 hour."
                hint = "Please see machine-config-controller logs for more information"
                await self._annotate(key, state=DEGRADED, reason=f"{text} {hint}")
            await self.clock.sleep(self.settings.model.drain_retry_seconds)

    async def _evict(self, pod: Key) -> None:
        body: Obj = {
            "apiVersion": "policy/v1",
            "kind": "Eviction",
            "metadata": {"namespace": pod[0], "name": pod[1]},
        }
        try:
            await self.client.create(kinds.PODS, body, "eviction", pod[1])
        except ApiError as error:
            if error.code not in (404, 409, 429, 500):
                raise

    async def _reboot(self, key: Key, wanted: str, spec: Obj) -> None:
        """The node is away for a while and comes back with another configuration."""
        self.settings.reboot(key[1])
        await self.clock.sleep(self.settings.model.reboot_seconds)
        pods = str(max_pods(spec))
        boot = stable_uid("boot", key[1], wanted)
        status = {"capacity": {"pods": pods}, "allocatable": {"pods": pods}, "nodeInfo": {"bootID": boot}}
        await self.patch(self.caches.nodes, key, {"status": status}, "status")
        if kubelet_settings(spec).get("cpuManagerPolicy") == "static":
            labels = dict.fromkeys(("cpumanager", "kubevirt.io/cpumanager"), "true")
            await self.patch(self.caches.nodes, key, {"metadata": {"labels": labels}})
        self.settings.rebooted(key[1])
        while not self.caches.nodes.items[key].ready:
            await self.clock.sleep(1.0)
