"""VirtualMachineInstance as virt-controller sees it: its pods, its way to a node, readiness, eviction marks, its end.

Source: KubeVirt pkg/virt-controller/watch/vmi (vmi.go, lifecycle.go).
"""

from __future__ import annotations

from typing import Any

from . import kinds
from .client import ApiError
from .controller import Controller, condition_of, with_condition, without_condition
from .informer import Key
from .launcher import IMAGE, launcher_pod
from .machine import FINALIZER
from .pod import Pod

Obj = dict[str, Any]
FOREGROUND = "kubevirt.io/foregroundDeleteVirtualMachine"
_FINAL = ("Succeeded", "Failed")
_EVICTION_MARK = "descheduler.alpha.kubernetes.io/eviction-in-progress"
_LAUNCHER_VERSION = IMAGE.rpartition("/")[2].partition(":")[0]


class InstanceController(Controller):
    """Reconciles instances that exist."""

    name = "virtual-machine-instance"
    component = "virt-controller"
    workers = 12

    def register(self) -> None:
        self.caches.instances.on_change(lambda key, _before, _after: self.queue.add(key))
        self.caches.pods.on_change(self._pod_changed)
        self.caches.claims.on_change(self._claim_changed)

    def _pod_changed(self, key: Key, before: Pod | None, after: Pod | None) -> None:
        pod = after or before
        if pod is not None and pod.launcher is not None:
            self.queue.add((key[0], pod.launcher.instance))

    def _claim_changed(self, key: Key, before: object, after: object) -> None:
        for instance in self.caches.instances_with_claim(key):
            if (item := self.caches.instances.get(instance)) and item.phase == "Pending":
                self.queue.add(instance)

    async def reconcile(self, key: Key) -> float | None:
        instance = self.caches.instances.obj(key)
        if instance is None:
            return None
        pods = self.caches.launchers(instance["metadata"]["uid"])
        if "deletionTimestamp" in instance["metadata"]:
            await self._remove(key, instance, pods)
            return None
        phase = (instance.get("status") or {}).get("phase")
        if phase in _FINAL:
            return None
        if phase in (None, "", "Pending") and not pods:
            return await self._create_pod(key, instance)
        patch = self._progress(instance, pods) if phase != "Running" else self._upkeep(instance, pods)
        if patch:
            await self._write(key, instance, patch)
        if phase == "Running":
            await self._mark_pods(instance, pods)
        return None

    async def _write(self, key: Key, instance: Obj, patch: Obj) -> None:
        """Patch, guarded by the version when a list is replaced."""
        if "conditions" in patch.get("status", {}):
            patch.setdefault("metadata", {})["resourceVersion"] = instance["metadata"]["resourceVersion"]
        await self.patch(self.caches.instances, key, patch)

    async def _create_pod(self, key: Key, instance: Obj) -> float | None:
        missing = self._missing_claim(key[0], instance)
        conditions: list[Obj] = (instance.get("status") or {}).get("conditions") or []
        if missing:
            text = f"PVC {key[0]}/{missing} does not exist, waiting for it to appear"
            wanted = with_condition(conditions, "Synchronized", "False", self.context.now(), "FailedPvcNotFound", text)
            if wanted is not conditions:
                await self._write(key, instance, {"status": {"conditions": wanted}})
            return None
        changes: Obj = {}
        hint = self._clock_hint(instance)
        if hint:
            changes["topologyHints"] = instance.setdefault("status", {})["topologyHints"] = hint
        configuration = self.caches.configuration()
        pod = launcher_pod(instance, configuration)
        try:
            created = await self.create(self.caches.pods, pod)
        except ApiError as error:
            if error.code not in (403, 422):
                raise
            text = f"failed to create virtual machine pod: {error.body.get('message', '')}"
            wanted = with_condition(conditions, "Synchronized", "False", self.context.now(), "FailedCreate", text)
            if wanted is not conditions:
                self.event(kinds.INSTANCES, instance, "FailedCreate", f"Error creating pod: {text}", warning=True)
                await self._write(key, instance, {"status": {"conditions": wanted}})
            return 5.0
        text = f"Created virtual machine pod {created['metadata']['name']}"
        self.event(kinds.INSTANCES, instance, "SuccessfulCreate", text)
        if changes or without_condition(conditions, "Synchronized") is not conditions:
            changes["conditions"] = without_condition(conditions, "Synchronized")
            await self._write(key, instance, {"status": changes})
        return None

    def _missing_claim(self, namespace: str, instance: Obj) -> str:
        for volume in (instance["spec"].get("volumes")) or []:
            claim: str = (volume.get("persistentVolumeClaim") or {}).get("claimName") or (
                volume.get("dataVolume") or {}
            ).get("name", "")
            if claim and (namespace, claim) not in self.caches.claims.items:
                return claim
        return ""

    def _clock_hint(self, instance: Obj) -> Obj | None:
        """Guests that must keep their clock's rate need nodes of one frequency: the lowest (topology hinter)."""
        features = (instance["spec"].get("domain") or {}).get("features") or {}
        if "reenlightenment" not in (features.get("hyperv") or {}) or (instance.get("status") or {}).get(
            "topologyHints"
        ):
            return None
        frequencies = [
            int(labels["cpu-timer.node.kubevirt.io/tsc-frequency"])
            for key in self.caches.nodes.items
            if "cpu-timer.node.kubevirt.io/tsc-frequency" in (labels := self.caches.node_labels(key[1]))
        ]
        return {"tscFrequency": min(frequencies)} if frequencies else None

    def _progress(self, instance: Obj, pods: list[Pod]) -> Obj:
        """From the first pod to the hand-over to the node's virt-handler."""
        status: Obj = instance.get("status") or {}
        phase = status.get("phase") or "Pending"
        pod = next((each for each in pods if not each.final), None)
        now = self.context.now()
        if pod is None:
            if phase == "Pending" or not pods:
                return {} if phase == "Pending" else self._phase(status, "Failed", now)
            return self._phase(status, "Failed", now)
        conditions: list[Obj] = status.get("conditions") or []
        wanted = with_condition(
            conditions, "Ready", "False", now, "GuestNotRunning", "Guest VM is not reported as running"
        )
        if pod.unschedulable:
            wanted = with_condition(wanted, "PodScheduled", "False", now, "Unschedulable", pod.unschedulable)
        else:
            wanted = without_condition(wanted, "PodScheduled")
        patch: Obj = {} if phase != "Pending" else self._phase(status, "Scheduling", now)
        changes: Obj = patch.setdefault("status", {})
        if wanted is not conditions:
            changes["conditions"] = wanted
        active = {each.uid: each.node for each in pods}
        if active != status.get("activePods"):
            changes["activePods"] = _replaced(status.get("activePods"), active)
        if phase == "Scheduling" and pod.node and pod.launcher and pod.launcher.containers_ready:
            dedicated = ((instance["spec"].get("domain") or {}).get("cpu") or {}).get("dedicatedCpuPlacement")
            changes.update(self._phase(status, "Scheduled", now)["status"])
            changes.update(
                nodeName=pod.node,
                migrationTransport="Unix",
                launcherContainerImageVersion=_LAUNCHER_VERSION,
                interfaces=_interfaces(instance),
                volumeStatus=self._volume_status(instance),
                qosClass="Guaranteed" if dedicated else "Burstable",
            )
            patch["metadata"] = {"labels": {"kubevirt.io/nodeName": pod.node}}
        return patch if changes or "metadata" in patch else {}

    def _phase(self, status: Obj, phase: str, now: str) -> Obj:
        stamps = list(status.get("phaseTransitionTimestamps") or [])
        for each in (["Pending"] if not stamps else []) + [phase]:
            stamps.append({"phase": each, "phaseTransitionTimestamp": now})
        return {"status": {"phase": phase, "phaseTransitionTimestamps": stamps}}

    def _volume_status(self, instance: Obj) -> list[Obj]:
        entries = []
        for number, volume in enumerate(instance["spec"].get("volumes") or []):
            entry: Obj = {"name": volume["name"], "target": f"vd{chr(ord('a') + number)}"}
            name = (volume.get("persistentVolumeClaim") or {}).get("claimName") or (volume.get("dataVolume") or {}).get(
                "name"
            )
            claim = self.caches.claims.obj((instance["metadata"]["namespace"], name)) if name else None
            if claim is not None:
                spec: Obj = claim.get("spec") or {}
                entry["persistentVolumeClaimInfo"] = {
                    "claimName": name,
                    "accessModes": spec.get("accessModes") or [],
                    "volumeMode": spec.get("volumeMode") or "Filesystem",
                    "capacity": (claim.get("status") or {}).get("capacity") or {},
                    "requests": (spec.get("resources") or {}).get("requests") or {},
                    "filesystemOverhead": "0" if spec.get("volumeMode") == "Block" else "0.06",
                }
            entries.append(entry)
        return entries

    def _upkeep(self, instance: Obj, pods: list[Pod]) -> Obj:
        """A running instance: its pods, its readiness, whether it is asked to leave."""
        status: Obj = instance["status"]
        node = status.get("nodeName", "")
        now = self.context.now()
        pod = next((each for each in pods if each.node == node and not each.final), None)
        if pod is None and not any(not each.final for each in pods):
            return self._phase(status, "Failed", now)
        conditions: list[Obj] = status.get("conditions") or []
        wanted = conditions
        if pod is not None and pod.ready:
            wanted = with_condition(wanted, "Ready", "True", now)
        elif pod is not None:
            text = "the virt-launcher pod is not ready"
            wanted = with_condition(wanted, "Ready", "False", now, "PodNotReady", text)
        if status.get("evacuationNodeName"):
            wanted = with_condition(
                wanted, "EvictionRequested", "True", now, "EvictionRequested", "VMI is marked for eviction"
            )
        else:
            wanted = without_condition(wanted, "EvictionRequested")
        changes: Obj = {}
        if wanted is not conditions:
            changes["conditions"] = wanted
        active = {each.uid: each.node for each in pods}
        if active != (status.get("activePods") or {}):
            changes["activePods"] = _replaced(status.get("activePods"), active)
        state: Obj = status.get("migrationState") or {}
        if not status.get("launcherContainerImageVersion") and (state.get("completed") or not state):
            changes["launcherContainerImageVersion"] = _LAUNCHER_VERSION
        return {"status": changes} if changes else {}

    async def _mark_pods(self, instance: Obj, pods: list[Pod]) -> None:
        """Labels and annotations that pods get from their instance."""
        status: Obj = instance["status"]
        state: Obj = status.get("migrationState") or {}
        paused = (condition_of(instance, "Paused") or {}).get("status") == "True"
        for pod in pods:
            if pod.final or pod.deleting or pod.launcher is None:
                continue
            marks = pod.launcher.marks
            metadata: Obj = {}
            if pod.node == status.get("nodeName"):
                if marks["kubevirt.io/nodeName"] != pod.node:
                    metadata["labels"] = {"kubevirt.io/nodeName": pod.node}
                evicting = bool(status.get("evacuationNodeName"))
                if evicting != (_EVICTION_MARK in marks):
                    metadata["annotations"] = {_EVICTION_MARK: "true" if evicting else None}
            stamp = state.get("targetNodeDomainReadyTimestamp")
            ready = "kubevirt.io/migration-target-ready-timestamp"
            if stamp and pod.launcher.job_uid == state.get("migrationUid") and ready not in marks:
                metadata.setdefault("annotations", {})[ready] = stamp
            if metadata:
                await self.patch(self.caches.pods, pod.key, {"metadata": metadata})
            gate = marks["kubevirt.io/virtual-machine-unpaused"]
            if pod.node == status.get("nodeName") and gate and (gate == "False") != paused:
                await self._set_gate(pod, paused)

    async def _set_gate(self, pod: Pod, paused: bool) -> None:
        whole = await self.client.get(kinds.PODS, *pod.key)
        reason = (
            ("Paused", "the virtual machine is paused")
            if paused
            else ("NotPaused", "the virtual machine is not paused")
        )
        conditions = with_condition(
            whole["status"]["conditions"],
            "kubevirt.io/virtual-machine-unpaused",
            "False" if paused else "True",
            self.context.now(),
            *reason,
        )
        await self.patch(self.caches.pods, pod.key, {"status": {"conditions": conditions}}, "status")

    async def _remove(self, key: Key, instance: Obj, pods: list[Pod]) -> None:
        """An instance being deleted: its pods go, then its finalizers."""
        metadata: Obj = instance["metadata"]
        for pod in pods:
            if not pod.deleting:
                await self.delete(self.caches.pods, pod.key, pod.uid)
                text = f"Deleted virtual machine pod {pod.name}"
                self.event(kinds.INSTANCES, instance, "SuccessfulDelete", text)
        if self.caches.launchers(metadata["uid"]):
            return
        phase = (instance.get("status") or {}).get("phase")
        if phase not in _FINAL:
            failed = self._phase(
                instance.get("status") or {}, "Failed" if phase == "Running" else "Succeeded", self.context.now()
            )
            instance = await self.patch(self.caches.instances, key, failed)
            metadata = instance["metadata"]
        finalizers = metadata.get("finalizers") or []
        left = [each for each in finalizers if each not in (FINALIZER, FOREGROUND)]
        if left != finalizers:
            patch = {"metadata": {"finalizers": left, "resourceVersion": metadata["resourceVersion"]}}
            await self.client.patch(kinds.INSTANCES, *key, patch)


def _replaced(before: Obj | None, after: Obj) -> Obj:
    """A merge patch that turns one map into the other."""
    return {**dict.fromkeys(before or {}, None), **after}


def _interfaces(instance: Obj) -> list[Obj]:
    networks = {each["name"]: each for each in instance["spec"].get("networks") or []}
    devices = (instance["spec"].get("domain") or {}).get("devices") or {}
    return [
        {
            "name": each["name"],
            "interfaceName": f"eth{number}",
            "infoSource": "domain" if networks.get(each["name"], {}).get("pod") is not None else "multus-status",
            "queueCount": 1,
        }
        for number, each in enumerate(devices.get("interfaces") or [])
    ]
