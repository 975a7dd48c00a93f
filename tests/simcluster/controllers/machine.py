"""VirtualMachine: keeps an instance as the run strategy says, hands on what may change live, and tells how it goes.

Source: KubeVirt pkg/virt-controller/watch/vm/vm.go (syncRunStrategy, syncRestartRequired, setPrintableStatus).
"""

from __future__ import annotations

from typing import Any

from ..subresources import run_strategy
from . import kinds
from .controller import Controller, condition_of
from .informer import Key
from .machine_status import machine_status, restart_required

Obj = dict[str, Any]
FINALIZER = "kubevirt.io/virtualMachineControllerFinalize"
OBSERVED = {
    "kubevirt.io/latest-observed-api-version": "v1",
    "kubevirt.io/storage-observed-api-version": "v1",
}
_LIVE_FIELDS = ("nodeSelector", "affinity", "tolerations")
_FINAL = ("Succeeded", "Failed")
_START_BACKOFF_SECONDS = 10.0
_LONGEST_BACKOFF_SECONDS = 300.0


class MachineController(Controller):
    """Reconciles virtual machines."""

    name = "virtual-machine"
    component = "virt-controller"
    workers = 8

    def register(self) -> None:
        self._failed_starts: dict[str, tuple[int, float]] = {}  # uid: failures in a row, when to start again
        self.caches.machines.on_change(lambda key, _before, _after: self.queue.add(key))
        self.caches.instances.on_change(lambda key, _before, _after: self.queue.add(key))
        self.caches.data_volumes.on_change(self._data_volume_changed)

    def _data_volume_changed(self, key: Key, before: object, after: object) -> None:
        for owner in ((self.caches.data_volumes.obj(key) or {}).get("metadata") or {}).get("ownerReferences") or []:
            if owner["kind"] == "VirtualMachine":
                self.queue.add((key[0], owner["name"]))

    async def reconcile(self, key: Key) -> float | None:
        machine = self.caches.machines.obj(key)
        if machine is None:
            return None
        instance = self.caches.instances.obj(key)
        if instance is not None and not _owned(instance, machine):
            instance = None
        metadata: Obj = machine["metadata"]
        if "deletionTimestamp" in metadata:
            if instance is None:
                await self._finish(key, machine)
                return None
            await self._delete_instance(key, instance)
            await self._tell(key, machine, instance)
            return None
        await self._mark(key, machine)
        wait = None
        ready = await self._data_volumes_ready(key, machine)
        if ready:
            wait = await self._follow_run_strategy(key, machine, instance)
        if instance is not None and "deletionTimestamp" not in instance["metadata"]:
            await self._hand_on(key, machine, instance)
        known = self.caches.machines.obj(key) or machine
        await self._tell(key, known, self._instance(key, machine), ready=ready)
        return wait

    def _instance(self, key: Key, machine: Obj) -> Obj | None:
        instance = self.caches.instances.obj(key)
        return instance if instance is not None and _owned(instance, machine) else None

    async def _mark(self, key: Key, machine: Obj) -> None:
        metadata: Obj = machine["metadata"]
        annotations: dict[str, str] = metadata.get("annotations") or {}
        finalizers = metadata.get("finalizers") or []
        if FINALIZER in finalizers and annotations.items() >= OBSERVED.items():
            return
        patch = {
            "metadata": {
                "annotations": OBSERVED,
                "finalizers": [*finalizers, *([] if FINALIZER in finalizers else [FINALIZER])],
                "resourceVersion": metadata["resourceVersion"],
            }
        }
        machine["metadata"] = (await self.patch(self.caches.machines, key, patch))["metadata"]

    async def _finish(self, key: Key, machine: Obj) -> None:
        metadata: Obj = machine["metadata"]
        finalizers = metadata.get("finalizers") or []
        if FINALIZER in finalizers:
            left = [each for each in finalizers if each != FINALIZER]
            patch = {"metadata": {"finalizers": left, "resourceVersion": metadata["resourceVersion"]}}
            await self.client.patch(kinds.MACHINES, *key, patch)

    async def _data_volumes_ready(self, key: Key, machine: Obj) -> bool:
        """Make the data volumes of the templates; True when all of them have their data."""
        ready = True
        for template in machine["spec"].get("dataVolumeTemplates") or []:
            name = template["metadata"]["name"]
            existing = self.caches.data_volumes.obj((key[0], name))
            if existing is not None:
                ready &= (existing.get("status") or {}).get("phase") in ("Succeeded", "WaitForFirstConsumer")
                continue
            if (key[0], name) in self.caches.claims.items:
                continue
            ready = False
            metadata = {
                **template["metadata"],
                "namespace": key[0],
                "labels": {
                    **(template["metadata"].get("labels") or {}),
                    "kubevirt.io/created-by": machine["metadata"]["uid"],
                },
                "ownerReferences": [_owner(machine)],
            }
            await self.create(
                self.caches.data_volumes,
                {
                    "apiVersion": kinds.DATA_VOLUMES.api_version,
                    "kind": kinds.DATA_VOLUMES.name,
                    "metadata": metadata,
                    "spec": template["spec"],
                },
            )
        return ready

    async def _follow_run_strategy(self, key: Key, machine: Obj, instance: Obj | None) -> float | None:
        """Start or stop (vm.go, syncRunStrategy). Returns when to try again after a failed start."""
        strategy = run_strategy(machine)
        status: Obj = machine.get("status") or {}
        requests = status.get("stateChangeRequests") or []
        if instance is None:
            start_requested = bool(requests) and requests[0]["action"] == "Start"
            changed = strategy != status.get("runStrategy")
            wanted = strategy in ("Always", "Once") or (
                strategy in ("Manual", "RerunOnFailure")
                and (start_requested or (strategy == "RerunOnFailure" and changed))
            )
            if wanted:
                return await self._start(key, machine)
            return None
        if "deletionTimestamp" in instance["metadata"]:
            return None
        phase = (instance.get("status") or {}).get("phase")
        stop_requested = any(
            each["action"] == "Stop" and each.get("uid") == instance["metadata"]["uid"] for each in requests
        )
        ended = phase in _FINAL and strategy in ("Always", "RerunOnFailure")
        uid = machine["metadata"]["uid"]
        if phase == "Running":
            self._failed_starts.pop(uid, None)
        if strategy == "Halted" or stop_requested or ended:
            if phase == "Failed" and strategy == "RerunOnFailure" and not stop_requested:
                body = {"status": {"stateChangeRequests": [{"action": "Start"}]}}
                await self.patch(self.caches.machines, key, body, "status")
            if phase == "Failed" and not _ran(instance):
                count = self._failed_starts.get(uid, (0, 0.0))[0] + 1
                seconds = min(_START_BACKOFF_SECONDS * 2.0 ** (count - 1), _LONGEST_BACKOFF_SECONDS)
                self._failed_starts[uid] = count, self.context.timestamp() + seconds
            await self._delete_instance(key, instance)
        return None

    async def _start(self, key: Key, machine: Obj) -> float | None:
        left = self._failed_starts.get(machine["metadata"]["uid"], (0, 0.0))[1] - self.context.timestamp()
        if left > 0:
            return left
        template: Obj = machine["spec"]["template"]
        inherited: Obj = template.get("metadata") or {}
        generation = machine["metadata"].get("generation", 1)
        instance = {
            "apiVersion": "kubevirt.io/v1",
            "kind": "VirtualMachineInstance",
            "metadata": {
                "name": key[1],
                "namespace": key[0],
                "labels": dict(inherited.get("labels") or {}),
                "annotations": {
                    **(inherited.get("annotations") or {}),
                    **OBSERVED,
                    "kubevirt.io/vm-generation": str(generation),
                },
                "finalizers": [FINALIZER],
                "ownerReferences": [_owner(machine)],
            },
            "spec": template["spec"],
        }
        await self.create(self.caches.instances, instance)
        text = f"Started the virtual machine by creating the new virtual machine instance {key[1]}"
        self.event(kinds.MACHINES, machine, "SuccessfulCreate", text)
        return None

    async def _delete_instance(self, key: Key, instance: Obj) -> None:
        if "deletionTimestamp" in instance["metadata"]:
            return
        await self.delete(self.caches.instances, key, instance["metadata"]["uid"])
        text = f"Stopped the virtual machine by deleting the virtual machine instance {instance['metadata']['uid']}"
        self.event(kinds.INSTANCES, instance, "SuccessfulDelete", text)

    async def _hand_on(self, key: Key, machine: Obj, instance: Obj) -> None:
        """Where the machine may run is handed on to the running instance (vm.go, syncDynamicLabels and affinity)."""
        if (instance.get("status") or {}).get("phase") in _FINAL or restart_required(machine, instance):
            return
        if condition_of(machine, "RestartRequired"):
            return
        wanted: Obj = machine["spec"]["template"].get("spec") or {}
        changes = {
            field: wanted.get(field) for field in _LIVE_FIELDS if wanted.get(field) != instance["spec"].get(field)
        }
        state: Obj = (instance.get("status") or {}).get("migrationState") or {}
        if state.get("startTimestamp") and not state.get("endTimestamp"):
            changes = {field: value for field, value in changes.items() if field == "nodeSelector"}
        if not changes:
            return
        patch = [
            {"op": "remove", "path": f"/spec/{field}"}
            if value is None
            else {"op": "add", "path": f"/spec/{field}", "value": value}
            for field, value in changes.items()
        ]
        await self.patch(self.caches.instances, key, patch)

    async def _tell(self, key: Key, machine: Obj, instance: Obj | None, *, ready: bool = True) -> None:
        """C(ready): the run strategy has been followed, not only waited with."""
        data_volumes = [
            self.caches.data_volumes.obj((key[0], each["metadata"]["name"])) or {}
            for each in machine["spec"].get("dataVolumeTemplates") or []
        ]
        before: Obj = machine.get("status") or {}
        crashing = machine["metadata"]["uid"] in self._failed_starts
        after = machine_status(machine, instance, data_volumes, self.context.now(), crashing=crashing)
        if not ready:
            after["runStrategy"] = before.get("runStrategy")
        patch = {name: value for name, value in after.items() if before.get(name) != value}
        patch = {name: value for name, value in patch.items() if value is not None or name in before}
        if patch:
            await self.patch(self.caches.machines, key, {"status": patch}, "status")


def _ran(instance: Obj) -> bool:
    """Whether the guest was up before it failed: then it was no failed start."""
    stamps = (instance.get("status") or {}).get("phaseTransitionTimestamps") or []
    return any(each["phase"] == "Running" for each in stamps)


def _owned(instance: Obj, machine: Obj) -> bool:
    owners = instance["metadata"].get("ownerReferences") or []
    return any(owner["uid"] == machine["metadata"]["uid"] for owner in owners)


def _owner(machine: Obj) -> Obj:
    return {
        "apiVersion": "kubevirt.io/v1",
        "kind": "VirtualMachine",
        "name": machine["metadata"]["name"],
        "uid": machine["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }
