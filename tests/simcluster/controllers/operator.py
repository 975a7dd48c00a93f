"""virt-operator: says when a change of the KubeVirt is in force, and rolls virt-handler out for a migration network.

Source: KubeVirt pkg/virt-operator/kubevirt.go, pkg/virt-operator/util/client.go (conditions),
pkg/virt-operator/resource/apply/apps.go (canary), pkg/virt-operator/resource/generate/components/daemonsets.go.
"""

from __future__ import annotations

import asyncio
import math
from typing import Any

import orjson

from . import kinds
from .client import ApiError
from .controller import Controller, with_condition
from .informer import Key
from .node import HEARTBEAT, SCHEDULABLE

Obj = dict[str, Any]
NETWORK_ANNOTATION = "k8s.v1.cni.cncf.io/networks"
_FINALIZER = "kubevirt.io/foregroundDeleteKubeVirt"
_DAEMON = "virt-handler"
_API = "virt-api"
_RESTART_SECONDS = 10.0
_ATTACHMENTS = kinds.Kind("k8s.cni.cncf.io", "v1", "network-attachment-definitions", "NetworkAttachmentDefinition")
_READY = ("AllComponentsReady", "All components are ready.")
_UPDATING = ("UpdateInProgress", "Transitioning from previous version to new version.")


class VirtOperator(Controller):
    """Reconciles the KubeVirt and virt-handler's DaemonSet."""

    name = "virt-operator"
    component = "virt-operator"
    workers = 1

    def register(self) -> None:
        self._rollout: asyncio.Task[None] | None = None
        self.caches.kubevirts.on_change(lambda key, _before, _after: self.queue.add(key))
        self.settings.on_change(lambda: self.enqueue_all(self.caches.kubevirts))
        self.caches.nodes.on_change(self._node_changed)
        self.caches.deployments.on_change(lambda _key, _before, _after: self.enqueue_all(self.caches.kubevirts))

    def _node_changed(self, key: Key, before: object, after: object) -> None:
        if before is None or after is None:
            self.enqueue_all(self.caches.kubevirts)

    async def reconcile(self, key: Key) -> float | None:
        kubevirt = self.caches.kubevirts.obj(key)
        if kubevirt is None:
            return None
        metadata: Obj = kubevirt["metadata"]
        finalizers = metadata.get("finalizers") or []
        if "deletionTimestamp" in metadata:
            left = [each for each in finalizers if each != _FINALIZER]
            await self.client.patch(kinds.KUBEVIRTS, *key, {"metadata": {"finalizers": left or None}})
            return None
        if _FINALIZER not in finalizers:
            await self.patch(self.caches.kubevirts, key, {"metadata": {"finalizers": [*finalizers, _FINALIZER]}})
            return None
        await self._scale(key[0], kubevirt)
        daemon_set = self.caches.daemon_sets.obj((key[0], _DAEMON))
        wanted = network_annotation(kubevirt)
        if daemon_set is not None and (self._rollout is None or self._rollout.done()):
            if template_annotations(daemon_set).get(NETWORK_ANNOTATION, "") != wanted:
                await self._tell(key, kubevirt, ready=False)
                self._rollout = asyncio.get_running_loop().create_task(self._roll_out(key, wanted))
                return None
            await self._count(key[0], daemon_set)
            await self._tell(key, kubevirt, ready=True)
        return None

    async def _scale(self, namespace: str, kubevirt: Obj) -> None:
        """virt-api has as many replicas as the KubeVirt or the size of the cluster says, all of them ready."""
        key = (namespace, _API)
        deployment = self.caches.deployments.obj(key)
        if deployment is None:
            return
        schedulable = sum(
            self.caches.node_labels(name).get(SCHEDULABLE) == "true" for _namespace, name in self.caches.nodes.items
        )
        replicas = api_replicas(kubevirt, schedulable)
        if deployment["spec"].get("replicas") != replicas:
            deployment = await self.patch(self.caches.deployments, key, {"spec": {"replicas": replicas}})
        counts = ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas")
        wanted = {**dict.fromkeys(counts, replicas), "observedGeneration": deployment["metadata"].get("generation", 1)}
        status: Obj = deployment.get("status") or {}
        changes = {name: value for name, value in wanted.items() if status.get(name) != value}
        if changes:
            await self.patch(self.caches.deployments, key, {"status": changes}, "status")

    async def _tell(self, key: Key, kubevirt: Obj, *, ready: bool) -> None:
        status: Obj = kubevirt.get("status") or {}
        before: list[Obj] = status.get("conditions") or []
        reason = _READY if ready else _UPDATING
        now = self.context.now()
        conditions = with_condition(before, "Available", "True", now, *reason)
        conditions = with_condition(conditions, "Progressing", "False" if ready else "True", now, *reason)
        conditions = with_condition(conditions, "Degraded", "False" if ready else "True", now, *reason)
        if ready:
            conditions = with_condition(
                conditions, "Created", "True", now, "AllResourcesCreated", "All resources were created."
            )
        changes: Obj = {}
        if conditions is not before:
            changes["conditions"] = conditions
        generation = kubevirt["metadata"].get("generation", 1)
        if ready and status.get("observedGeneration") != generation:
            changes["observedGeneration"] = generation
        phase = "Deployed" if ready else "Deploying"
        if status.get("phase") != phase:
            changes["phase"] = phase
        if changes:
            await self.patch(self.caches.kubevirts, key, {"status": changes}, "status")

    async def _count(self, namespace: str, daemon_set: Obj, updated: int | None = None, missing: int = 0) -> None:
        """The DaemonSet's status: one pod per node with a virt-handler."""
        nodes = self._handler_nodes()
        ready = sum(self.settings.handler_ready(name) for name in nodes) - missing
        wanted: Obj = {
            "observedGeneration": daemon_set["metadata"].get("generation", 1),
            "currentNumberScheduled": len(nodes),
            "desiredNumberScheduled": len(nodes),
            "numberAvailable": ready,
            "numberMisscheduled": 0,
            "numberReady": ready,
            "updatedNumberScheduled": len(nodes) if updated is None else updated,
        }
        unavailable = len(nodes) - ready
        status: Obj = daemon_set.get("status") or {}
        if unavailable or "numberUnavailable" in status:
            wanted["numberUnavailable"] = unavailable or None
        patch = {name: value for name, value in wanted.items() if status.get(name) != value}
        if patch:
            await self.patch(self.caches.daemon_sets, (namespace, _DAEMON), {"status": patch}, "status")

    def _handler_nodes(self) -> list[str]:
        found = []
        for node in self.caches.nodes.objects():
            if HEARTBEAT in (node["metadata"].get("annotations") or {}):
                found.append(node["metadata"]["name"])
        return sorted(found)

    async def _roll_out(self, key: Key, wanted: str) -> None:
        """New pods: one canary, then a tenth of the nodes at a time, which take no new machines meanwhile."""
        try:
            patch = {"spec": {"template": {"metadata": {"annotations": {NETWORK_ANNOTATION: wanted or None}}}}}
            await self.patch(self.caches.daemon_sets, (key[0], _DAEMON), patch)
            nodes = self._handler_nodes()
            batch = 1
            done = 0
            while done < len(nodes):
                names = nodes[done : done + batch]
                await asyncio.gather(*(self._schedulable(name, "false") for name in names))
                await self._count(key[0], self._daemon_set(key), done + len(names), len(names))
                await self.clock.sleep(_RESTART_SECONDS)
                while wanted and not await self._attached(key[0], wanted.partition("@")[0]):
                    await self.clock.sleep(_RESTART_SECONDS)
                await asyncio.gather(*(self._schedulable(name, "true") for name in names))
                done += len(names)
                await self._count(key[0], self._daemon_set(key), done)
                batch = max(1, math.ceil(len(nodes) / 10))
        finally:
            self.queue.add_after(key, 1.0)

    def _daemon_set(self, key: Key) -> Obj:
        return self.caches.daemon_sets.obj((key[0], _DAEMON)) or {"metadata": {}}

    async def _schedulable(self, name: str, value: str) -> None:
        if self.settings.handler_ready(name):
            patch = {"metadata": {"labels": {SCHEDULABLE: value}}}
            await self.patch(self.caches.nodes, ("", name), patch)

    async def _attached(self, namespace: str, name: str) -> bool:
        """Whether the network is there for the pod to start; without it the first one never does."""
        try:
            await self.client.get(_ATTACHMENTS, namespace, name)
        except ApiError as error:
            if error.code == 404:
                return False
            raise
        return True


def network_annotation(kubevirt: Obj) -> str:
    """What virt-handler's pods are annotated with for the migration network; empty without one."""
    migrations = ((kubevirt.get("spec") or {}).get("configuration") or {}).get("migrations") or {}
    network = migrations.get("network")
    return f"{network}@migration0" if network else ""


def api_replicas(kubevirt: Obj, schedulable_nodes: int) -> int:
    """Replicas of virt-api (apps.go, getDesiredApiReplicas, replicasAlreadyPatched): as asked for, as patched, or by
    the number of nodes that take machines."""
    spec: Obj = kubevirt.get("spec") or {}
    asked = (spec.get("infra") or {}).get("replicas")
    if asked is not None:
        return int(asked)
    for patch in (spec.get("customizeComponents") or {}).get("patches") or []:
        if patch.get("resourceName", "").lower() != _API or patch.get("type") != "json":
            continue
        for operation in orjson.loads(patch.get("patch") or "[]"):
            if operation.get("op") == "replace" and operation.get("path") == "/spec/replicas":
                return int(operation["value"])
    return 1 if schedulable_nodes == 1 else max(2, schedulable_nodes // 10)


def template_annotations(daemon_set: Obj) -> dict[str, str]:
    """Annotations of the pods it makes."""
    template: Obj = (daemon_set.get("spec") or {}).get("template") or {}
    annotations: dict[str, str] = (template.get("metadata") or {}).get("annotations") or {}
    return annotations
