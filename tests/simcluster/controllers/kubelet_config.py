"""KubeletConfigs become MachineConfigs of the pools that they select.

Source: machine-config-operator pkg/controller/kubelet-config/kubelet_config_controller.go, helpers.go.
"""

from __future__ import annotations

from typing import Any

from ..selectors import matches
from .controller import Controller
from .informer import Key
from .kinds import KUBELET_CONFIGS
from .rendering import (
    KUBELET_FILE,
    MASTER,
    WORKER,
    kubelet_configuration,
    kubelet_problem,
    machine_config,
    max_pods,
)

Obj = dict[str, Any]
_OWNER = "simcluster.ocpv.scale/kubelet-config"
_SUFFIX = "machineconfiguration.openshift.io/mc-name-suffix"
_KEPT = 3


class KubeletConfigController(Controller):
    """Reconciles KubeletConfigs. Two of the same pool do not merge: the later one's file wins by its name."""

    name = "kubelet-config"
    component = "machine-config-controller"
    workers = 1

    def register(self) -> None:
        self.caches.kubelet_configs.on_change(lambda key, _before, _after: self.queue.add(key))
        self.caches.pools.on_change(self._pool_changed)

    def _pool_changed(self, key: Key, before: object, after: object) -> None:
        if before is None or after is None:
            self.enqueue_all(self.caches.kubelet_configs)

    async def reconcile(self, key: Key) -> float | None:
        config = self.caches.kubelet_configs.obj(key)
        owned = {each["metadata"]["name"]: each for each in self._owned(key[1])}
        if config is None or "deletionTimestamp" in config["metadata"]:
            for name in owned:
                await self.delete(self.caches.machine_configs, ("", name))
            return None
        spec: Obj = config.get("spec") or {}
        pools = self._pools(spec)
        problem = kubelet_problem(spec)
        if not problem and not pools:
            problem = f"KubeletConfig {key[1]} does not match any MachineConfigPools"
        if not problem:
            suffix = await self._suffix(key, config)
            wanted = {f"99-{pool}-generated-kubelet{suffix}": pool for pool in pools}
            for name in set(owned) - set(wanted):
                await self.delete(self.caches.machine_configs, ("", name))
            for name, pool in wanted.items():
                await self._write(config, name, pool, owned.get(name))
        await self._tell(key, config, problem)
        return None

    def _owned(self, name: str) -> list[Obj]:
        return [
            each
            for each in self.caches.machine_configs.objects()
            if (each["metadata"].get("annotations") or {}).get(_OWNER) == name
        ]

    def _pools(self, spec: Obj) -> list[str]:
        selector: Obj = spec.get("machineConfigPoolSelector") or {}
        if not (selector.get("matchLabels") or selector.get("matchExpressions")):
            return []
        return sorted(
            pool["metadata"]["name"]
            for pool in self.caches.pools.objects()
            if matches(selector, pool["metadata"].get("labels") or {})
        )

    async def _suffix(self, key: Key, config: Obj) -> str:
        """The first one has none, later ones are numbered; kept in an annotation."""
        annotations: dict[str, str] = config["metadata"].get("annotations") or {}
        if _SUFFIX in annotations:
            number = annotations[_SUFFIX]
            return f"-{number}" if number else ""
        others = [
            (each["metadata"].get("annotations") or {}).get(_SUFFIX)
            for each in self.caches.kubelet_configs.objects()
            if each["metadata"]["name"] != key[1]
        ]
        taken = [int(each or 0) for each in others if each is not None]
        number = str(max(taken) + 1) if taken else ""
        await self.patch(self.caches.kubelet_configs, key, {"metadata": {"annotations": {_SUFFIX: number}}})
        return f"-{number}" if number else ""

    async def _write(self, config: Obj, name: str, pool: str, before: Obj | None) -> None:
        base = self.caches.machine_configs.obj(("", f"01-{MASTER if pool == MASTER else WORKER}-kubelet"))
        pods = max_pods((base or {}).get("spec") or {})
        content = kubelet_configuration(config["spec"].get("kubeletConfig") or {}, pods)
        wanted = machine_config(name, pool, {KUBELET_FILE: content})
        metadata: Obj = config["metadata"]
        wanted["metadata"]["annotations"] = {_OWNER: metadata["name"]}
        wanted["metadata"]["ownerReferences"] = [
            {
                "apiVersion": KUBELET_CONFIGS.api_version,
                "kind": KUBELET_CONFIGS.name,
                "name": metadata["name"],
                "uid": metadata["uid"],
            }
        ]
        if before is None:
            await self.create(self.caches.machine_configs, wanted)
        elif before["spec"] != wanted["spec"]:
            patch = [{"op": "replace", "path": "/spec", "value": wanted["spec"]}]
            await self.patch(self.caches.machine_configs, ("", name), patch)

    async def _tell(self, key: Key, config: Obj, problem: str) -> None:
        """A short history of what was thought of it, then the old pair of conditions."""
        status: Obj = config.get("status") or {}
        generation = config["metadata"].get("generation", 1)
        text = f"Error: {problem}" if problem else "Success"
        before: list[Obj] = status.get("conditions") or []
        if status.get("observedGeneration") == generation and before and before[-1].get("message") == text:
            return
        now = self.context.now()
        kinds = [("Accepted", "False" if problem else "True"), ("Failure" if problem else "Success", "True")]
        accepted, legacy = (
            {"type": kind, "status": value, "message": text, "lastTransitionTime": now} for kind, value in kinds
        )
        history = [each for each in before if each["type"] == "Accepted"][-(_KEPT - 1) :]
        patch = {"status": {"observedGeneration": generation, "conditions": [*history, accepted, legacy]}}
        await self.patch(self.caches.kubelet_configs, key, patch, "status")
