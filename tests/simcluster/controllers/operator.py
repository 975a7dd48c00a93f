"""virt-operator: says when a change of the KubeVirt is in force, and rolls virt-handler out for a migration network.

Source: KubeVirt pkg/virt-operator/kubevirt.go, pkg/virt-operator/util/client.go (conditions),
pkg/virt-operator/resource/apply/apps.go (canary), pkg/virt-operator/resource/generate/components/daemonsets.go.
"""

from __future__ import annotations

from typing import Any

import orjson

from ..scenarios.values import stable_uid
from . import kinds
from .attachments import MIGRATION_INTERFACE, NETWORKS
from .client import ApiError
from .controller import Controller, with_condition
from .daemon import DAEMON
from .informer import Key
from .node import SCHEDULABLE
from .pod import Pod
from .revision import template_revision

Obj = dict[str, Any]
_FINALIZER = "kubevirt.io/foregroundDeleteKubeVirt"
_API = "virt-api"
_COUNTS_SCHEDULABLE_SINCE = 7
_CANARY_REST = "10%"
_READY = ("AllComponentsReady", "All components are ready.")
_UPDATING = ("UpdateInProgress", "Transitioning from previous version to new version.")


class VirtOperator(Controller):
    """Reconciles the KubeVirt and virt-handler's DaemonSet."""

    name = "virt-operator"
    component = "virt-operator"
    workers = 1

    def register(self) -> None:
        self._told = ""
        self.caches.kubevirts.on_change(lambda key, _before, _after: self.queue.add(key))
        self.settings.on_change(lambda: self.enqueue_all(self.caches.kubevirts))
        self.caches.nodes.on_change(self._node_changed)
        self.caches.daemon_sets.on_change(lambda _key, _before, _after: self.enqueue_all(self.caches.kubevirts))
        self.caches.pods.on_change(self._pod_changed)
        self.caches.deployments.on_change(lambda _key, _before, _after: self.enqueue_all(self.caches.kubevirts))

    def _node_changed(self, key: Key, before: object, after: object) -> None:
        if before is None or after is None:
            self.enqueue_all(self.caches.kubevirts)

    def _pod_changed(self, key: Key, before: Pod | None, after: Pod | None) -> None:
        plugged = after.plugged if after is not None else None
        if after is not None and plugged is not None and plugged.handler and (after.ready or plugged.crashed):
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
        daemon_set = self.caches.daemon_sets.obj((key[0], DAEMON))
        if daemon_set is None:
            return None
        status: Obj = kubevirt.get("status") or {}
        wanted, target = network_annotation(kubevirt), deployment_id(kubevirt)
        if template_annotations(daemon_set).get(NETWORKS, "") != wanted or status.get("targetDeploymentID") != target:
            await self._tell(key, kubevirt, target, ready=False)
            patch = {
                "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1}},
                "template": {"metadata": {"annotations": {NETWORKS: wanted or None}}},
            }
            await self.patch(self.caches.daemon_sets, (key[0], DAEMON), {"spec": patch})
            return 0.0
        ready = status.get("observedDeploymentID") == target or await self._rolled_out(key[0], daemon_set)
        await self._tell(key, kubevirt, target, ready=ready)
        return None

    async def _scale(self, namespace: str, kubevirt: Obj) -> None:
        """virt-api has as many replicas as the KubeVirt or the size of the cluster says, all of them ready."""
        key = (namespace, _API)
        deployment = self.caches.deployments.obj(key)
        if deployment is None:
            return
        replicas = api_replicas(kubevirt, self._counted_nodes(kubevirt))
        if deployment["spec"].get("replicas") != replicas:
            deployment = await self.patch(self.caches.deployments, key, {"spec": {"replicas": replicas}})
        counts = ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas")
        wanted = {**dict.fromkeys(counts, replicas), "observedGeneration": deployment["metadata"].get("generation", 1)}
        status: Obj = deployment.get("status") or {}
        changes = {name: value for name, value in wanted.items() if status.get(name) != value}
        if changes:
            await self.patch(self.caches.deployments, key, {"status": changes}, "status")
            await self._budget(namespace, replicas)

    def _counted_nodes(self, kubevirt: Obj) -> int:
        """Nodes by which virt-api is scaled: those that take machines, before KubeVirt 1.7 all."""
        names = [name for _namespace, name in self.caches.nodes.items]
        version: str = (kubevirt.get("status") or {}).get("targetKubeVirtVersion", "")
        if version.startswith("v1.") and int(version.split(".")[1]) < _COUNTS_SCHEDULABLE_SINCE:
            return len(names)
        return sum(self.caches.node_labels(name).get(SCHEDULABLE) == "true" for name in names)

    async def _budget(self, namespace: str, replicas: int) -> None:
        """All virt-apis but one must stay."""
        body = {
            "spec": {"minAvailable": replicas - 1},
            "status": {"currentHealthy": replicas, "desiredHealthy": replicas - 1, "expectedPods": replicas},
        }
        try:
            await self.client.patch(kinds.BUDGETS, namespace, f"{_API}-pdb", {"spec": body["spec"]})
            await self.client.patch(kinds.BUDGETS, namespace, f"{_API}-pdb", {"status": body["status"]}, "status")
        except ApiError as error:
            if error.code != 404:
                raise

    async def _tell(self, key: Key, kubevirt: Obj, target: str, *, ready: bool) -> None:
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
        for name, value in (("targetDeploymentID", target), *((("observedDeploymentID", target),) if ready else ())):
            if status.get(name) != value:
                changes[name] = value
        phase = "Deployed" if ready else "Deploying"
        if status.get("phase") != phase:
            changes["phase"] = phase
        if changes:
            await self.patch(self.caches.kubevirts, key, {"status": changes}, "status")

    async def _rolled_out(self, namespace: str, daemon_set: Obj) -> bool:
        """Whether all virt-handlers are new and work. Until then one new pod comes first; once that works a tenth of
        the nodes at a time follow."""
        status: Obj = daemon_set.get("status") or {}
        current = status.get("observedGeneration") == daemon_set["metadata"].get("generation", 1)
        nodes = status.get("desiredNumberScheduled", 0)
        done = current and status.get("updatedNumberScheduled", 0) == status.get("numberAvailable", 0) == nodes
        revision = template_revision(daemon_set["spec"]["template"])
        new = [
            pod
            for pod in map(self.caches.pods.items.__getitem__, self._handler_pods())
            if not pod.deleting and pod.plugged is not None and pod.plugged.revision == revision
        ]
        canary = any(pod.ready for pod in new)
        crashed = next((pod.uid for pod in new if pod.plugged is not None and pod.plugged.crashed), "")
        if crashed and crashed != self._told:
            self._told = crashed
            text = f"daemonSet {DAEMON} rollout failed"
            self.event(kinds.DAEMON_SETS, daemon_set, "RollingUpdate", text, warning=True)
        await self._allow(namespace, daemon_set, _CANARY_REST if canary and not done else 1)
        return bool(done)

    async def _allow(self, namespace: str, daemon_set: Obj, limit: int | str) -> None:
        """How many virt-handlers may be missing."""
        rolling: Obj = (daemon_set["spec"].get("updateStrategy") or {}).get("rollingUpdate") or {}
        if rolling.get("maxUnavailable") != limit:
            patch = {"spec": {"updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": limit}}}}
            await self.patch(self.caches.daemon_sets, (namespace, DAEMON), patch)

    def _handler_pods(self) -> list[Key]:
        return [key for node in self.caches.nodes.items for key in self.caches.handlers_on(node[1])]


def network_annotation(kubevirt: Obj) -> str:
    """What virt-handler's pods are annotated with for the migration network; empty without one."""
    migrations = ((kubevirt.get("spec") or {}).get("configuration") or {}).get("migrations") or {}
    network = migrations.get("network")
    return f"{network}@{MIGRATION_INTERFACE}" if network else ""


def deployment_id(kubevirt: Obj) -> str:
    """Names what virt-operator installs: the version and the migration network (pkg/virt-operator/util/config.go)."""
    status: Obj = kubevirt.get("status") or {}
    network = network_annotation(kubevirt)
    return stable_uid("deployment", status.get("targetKubeVirtVersion", ""), *([network] if network else []))


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
