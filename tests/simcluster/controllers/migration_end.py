"""After the last phase of a migration: the record is completed, the object let go, the oldest ones are deleted.

Source: KubeVirt pkg/virt-controller/watch/migration/migration.go (updateStatus, garbageCollectFinalizedMigrations).
"""

from __future__ import annotations

from typing import Any

from .controller import Controller
from .informer import Key

Obj = dict[str, Any]
FINALIZER = "kubevirt.io/migrationJobFinalize"
_KEPT_PER_INSTANCE = 5
_COPY_SECONDS = 0.1  # the state follows the final phase only after a moment, the finalizer goes after another


async def settle(controller: Controller, key: Key, migration: Obj, instance: Obj | None) -> None:
    """Copy the instance's migrationState, remove the finalizer, keep five finished ones per instance."""
    migrations = controller.caches.migrations
    metadata: Obj = migration["metadata"]
    state: Obj = ((instance or {}).get("status") or {}).get("migrationState") or {}
    own: Obj = (migration.get("status") or {}).get("migrationState") or {}
    if FINALIZER in (metadata.get("finalizers") or []):
        if state.get("migrationUid") == metadata["uid"] and own.get("migrationUid") != metadata["uid"]:
            await controller.clock.sleep(_COPY_SECONDS)
            await controller.patch(migrations, key, {"status": {"migrationState": state}}, "status")
        await controller.clock.sleep(_COPY_SECONDS)
        left = [each for each in metadata["finalizers"] if each != FINALIZER]
        answer = await controller.client.patch(migrations.kind, *key, {"metadata": {"finalizers": left or None}})
        if "deletionTimestamp" not in metadata:
            migrations.observe(answer)
    if instance is None:
        if "deletionTimestamp" not in metadata:
            await controller.delete(migrations, key, metadata["uid"])
    elif "deletionTimestamp" not in instance["metadata"]:
        await _collect(controller, (key[0], instance["metadata"]["name"]))


async def _collect(controller: Controller, instance: Key) -> None:
    """The oldest go, and with each its dead pod: where the guest left, or where it never arrived."""
    caches = controller.caches
    finished = sorted(
        (item.created, key, item.uid)
        for key in caches.migrations_of(instance)
        if (item := caches.migrations.items[key]).final and not item.deleting
    )
    for _created, key, uid in finished[: max(0, len(finished) - _KEPT_PER_INSTANCE)]:
        status: Obj = (caches.migrations.obj(key) or {}).get("status") or {}
        state: Obj = status.get("migrationState") or {}
        dead = state.get("sourcePod") if status.get("phase") == "Succeeded" else state.get("targetPod")
        await controller.delete(caches.migrations, key, uid)
        pod = caches.pods.get((key[0], dead or ""))
        if pod is not None and pod.final and not pod.deleting:
            await controller.delete(caches.pods, pod.key, pod.uid)
