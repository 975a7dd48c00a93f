"""Claims get a volume, data volumes get a claim and their data.

Source: Kubernetes pkg/controller/volume/persistentvolume, pvcprotection; containerized-data-importer
pkg/controller/datavolume.
"""

from __future__ import annotations

from typing import Any

from . import kinds
from .controller import Controller
from .informer import Key
from .pod import Pod

Obj = dict[str, Any]
_PROTECTION = "kubernetes.io/pvc-protection"
_VOLUME_PROTECTION = "kubernetes.io/pv-protection"


class ClaimController(Controller):
    """Binds claims, one new volume each; lets go of claims that nobody mounts any more."""

    name = "persistent-volume-claim"
    component = "persistentvolume-controller"
    workers = 4

    def register(self) -> None:
        self.caches.claims.on_change(lambda key, _before, _after: self.queue.add(key))
        self.caches.pods.on_change(self._pod_changed)
        self._volume_of: dict[str, str] = {}

    def _pod_changed(self, key: Key, before: Pod | None, after: Pod | None) -> None:
        pod = after or before
        if pod is not None and (before is None or after is None or before.node != after.node):
            for claim in pod.claims:
                self.queue.add((key[0], claim))

    async def reconcile(self, key: Key) -> float | None:
        claim = self.caches.claims.obj(key)
        if claim is None:
            return None
        metadata: Obj = claim["metadata"]
        spec: Obj = claim.get("spec") or {}
        if "deletionTimestamp" in metadata:
            if not self.caches.pods_with_claim(key) and _PROTECTION in (metadata.get("finalizers") or []):
                await self._release(key, claim)
            return None
        if (claim.get("status") or {}).get("phase") == "Bound":
            return None
        node = ""
        if self._binding_mode(spec) == "WaitForFirstConsumer":
            node = self._consumer(key)
            if not node:
                return None
        await self._bind(key, claim, node)
        return None

    def _binding_mode(self, spec: Obj) -> str:
        storage_class = self.caches.storage_classes.obj(("", spec.get("storageClassName") or "")) or {}
        return str(storage_class.get("volumeBindingMode") or "Immediate")

    def _consumer(self, key: Key) -> str:
        pods = [self.caches.pods.get(pod) for pod in self.caches.pods_with_claim(key)]
        return next((pod.node for pod in pods if pod is not None and pod.node), "")

    async def _bind(self, key: Key, claim: Obj, node: str) -> None:
        metadata: Obj = claim["metadata"]
        spec: Obj = claim["spec"]
        class_name = spec.get("storageClassName") or ""
        storage_class = self.caches.storage_classes.obj(("", class_name)) or {}
        if class_name and not storage_class:
            return
        size = (spec.get("resources") or {}).get("requests", {}).get("storage", "1Gi")
        name = spec.get("volumeName") or f"pvc-{metadata['uid']}"
        if ("", name) not in self.caches.volumes.items:
            volume_spec: Obj = {
                "accessModes": spec.get("accessModes") or ["ReadWriteOnce"],
                "volumeMode": spec.get("volumeMode") or "Filesystem",
                "capacity": {"storage": size},
                "storageClassName": class_name,
                "persistentVolumeReclaimPolicy": storage_class.get("reclaimPolicy") or "Delete",
                "csi": {"driver": storage_class.get("provisioner") or "simulated", "volumeHandle": metadata["uid"]},
                "claimRef": {
                    "apiVersion": "v1",
                    "kind": "PersistentVolumeClaim",
                    "namespace": key[0],
                    "name": key[1],
                    "uid": metadata["uid"],
                },
            }
            if node:
                expression = {"key": "kubernetes.io/hostname", "operator": "In", "values": [node]}
                terms = [{"matchExpressions": [expression]}]
                volume_spec["nodeAffinity"] = {"required": {"nodeSelectorTerms": terms}}
            volume = {
                "apiVersion": "v1",
                "kind": "PersistentVolume",
                "metadata": {"name": name, "finalizers": [_VOLUME_PROTECTION]},
                "spec": volume_spec,
            }
            await self.create(self.caches.volumes, volume)
            await self.patch(self.caches.volumes, ("", name), {"status": {"phase": "Bound"}}, "status")
        finalizers = metadata.get("finalizers") or []
        patch: Obj = {
            "metadata": {
                "annotations": {"pv.kubernetes.io/bind-completed": "yes"},
                "finalizers": [*finalizers, *([] if _PROTECTION in finalizers else [_PROTECTION])],
            },
            "spec": {"volumeName": name},
        }
        await self.patch(self.caches.claims, key, patch)
        status = {"phase": "Bound", "accessModes": spec.get("accessModes") or [], "capacity": {"storage": size}}
        await self.patch(self.caches.claims, key, {"status": status}, "status")

    async def _release(self, key: Key, claim: Obj) -> None:
        finalizers = [each for each in claim["metadata"]["finalizers"] if each != _PROTECTION]
        await self.client.patch(kinds.CLAIMS, *key, {"metadata": {"finalizers": finalizers or None}})
        volume: str = (claim.get("spec") or {}).get("volumeName") or ""
        known = self.caches.volumes.obj(("", volume))
        if known is not None and known["spec"].get("persistentVolumeReclaimPolicy") != "Retain":
            await self.client.patch(kinds.VOLUMES, "", volume, {"metadata": {"finalizers": None}})
            await self.delete(self.caches.volumes, ("", volume))


class DataVolumeController(Controller):
    """Makes the claim, waits as long as an import would take, succeeds."""

    name = "data-volume"
    component = "cdi-controller"
    workers = 4

    def register(self) -> None:
        self._due: dict[str, float] = {}
        self.caches.data_volumes.on_change(lambda key, _before, _after: self.queue.add(key))
        self.caches.claims.on_change(self._claim_changed)

    def _claim_changed(self, key: Key, before: object, after: object) -> None:
        if key in self.caches.data_volumes.items:
            self.queue.add(key)

    async def reconcile(self, key: Key) -> float | None:
        data_volume = self.caches.data_volumes.obj(key)
        if data_volume is None or "deletionTimestamp" in data_volume["metadata"]:
            return None
        status: Obj = data_volume.get("status") or {}
        if status.get("phase") in ("Succeeded", "Failed"):
            return None
        if key not in self.caches.claims.items:
            await self._create_claim(key, data_volume)
            return None
        claim = self.caches.claims.obj(key) or {}
        uid = data_volume["metadata"]["uid"]
        bound = (claim.get("status") or {}).get("phase") == "Bound"
        now = self.context.timestamp()
        left = self._due.setdefault(uid, now + self.settings.model.data_volume_seconds) - now
        if bound and left <= 0:
            self._due.pop(uid, None)
            wanted = {"phase": "Succeeded", "progress": "100.0%", "claimName": key[1]}
        elif bound:
            wanted = {"phase": "ImportInProgress", "progress": "N/A", "claimName": key[1]}
        elif self._waits(claim):
            wanted = {"phase": "WaitForFirstConsumer", "progress": "N/A", "claimName": key[1]}
        else:
            wanted = {"phase": "Pending", "progress": "N/A", "claimName": key[1]}
        if any(status.get(name) != value for name, value in wanted.items()):
            await self.patch(self.caches.data_volumes, key, {"status": wanted}, "status")
        return left if bound and left > 0 else None

    def _waits(self, claim: Obj) -> bool:
        name = (claim.get("spec") or {}).get("storageClassName") or ""
        storage_class = self.caches.storage_classes.obj(("", name)) or {}
        return storage_class.get("volumeBindingMode") == "WaitForFirstConsumer"

    async def _create_claim(self, key: Key, data_volume: Obj) -> None:
        spec: Obj = data_volume.get("spec") or {}
        wanted: Obj = dict(spec.get("pvc") or spec.get("storage") or {})
        if not wanted.get("storageClassName"):
            wanted["storageClassName"] = self._default_class()
        wanted.setdefault("accessModes", ["ReadWriteMany"])
        wanted.setdefault("volumeMode", "Block")
        wanted.setdefault("resources", {"requests": {"storage": "1Gi"}})
        owner = {
            "apiVersion": kinds.DATA_VOLUMES.api_version,
            "kind": kinds.DATA_VOLUMES.name,
            "name": key[1],
            "uid": data_volume["metadata"]["uid"],
            "controller": True,
            "blockOwnerDeletion": True,
        }
        claim = {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {
                "name": key[1],
                "namespace": key[0],
                "labels": {"app": "containerized-data-importer"},
                "finalizers": [_PROTECTION],
                "ownerReferences": [owner],
            },
            "spec": wanted,
        }
        await self.create(self.caches.claims, claim)

    def _default_class(self) -> str:
        names = ("storageclass.kubevirt.io/is-default-virt-class", "storageclass.kubernetes.io/is-default-class")
        for name in names:
            for each in self.caches.storage_classes.objects():
                if (each["metadata"].get("annotations") or {}).get(name) == "true":
                    return str(each["metadata"]["name"])
        return ""
