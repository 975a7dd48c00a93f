"""VirtualMachineInstanceMigration: from a waiting object to a target pod, the hand-over to the nodes, and the end.

Source: KubeVirt pkg/virt-controller/watch/migration/migration.go (sync, updateStatus, processMigrationPhase,
handleTargetPodCreation, handleTargetPodHandoff, garbageCollectFinalizedMigrations).
"""

from __future__ import annotations

from typing import Any

from ..quantity import bytes_text
from . import kinds, limits, migration_status
from .caches import IN_FLIGHT, Instance, Migration
from .client import ApiError
from .controller import Controller
from .informer import Key
from .launcher import target_pod
from .limits import Active
from .machine import OBSERVED
from .migration_end import settle
from .pod import Pod
from .policies import applied, matching_policy
from .requests import compute_requests

Obj = dict[str, Any]
TARGET_LABEL = "kubevirt.io/migrationTargetNodeName"
_SHORTEST_POLL_REAL_SECONDS = 1.0  # hundreds may wait; the end of another one wakes them anyway
_BACKOFF_MARKS = ("kubevirt.io/evacuationMigration", "kubevirt.io/workloadUpdateMigration")


class MigrationController(Controller):
    """Moves each migration one phase at a time."""

    name = "migration"
    component = "virt-controller"
    workers = 12

    def register(self) -> None:
        self._starting: set[str] = set()  # a target pod was made, the phase is still Pending
        self._warned: set[str] = set()
        self.caches.migrations.on_change(self._migration_changed)
        self.caches.instances.on_change(self._instance_changed)
        self.caches.pods.on_change(self._pod_changed)
        self.caches.kubevirts.on_change(lambda _key, _before, _after: self._wake_pending())

    def _migration_changed(self, key: Key, before: Migration | None, after: Migration | None) -> None:
        self.queue.add(key)
        if before is not None and not before.final and (after is None or after.final):
            self._starting.discard(before.uid)
            self._warned.discard(before.uid)
            self._wake_pending()
        elif after is not None and after.phase in IN_FLIGHT:
            self._starting.discard(after.uid)

    def _instance_changed(self, key: Key, before: Instance | None, after: Instance | None) -> None:
        for migration in self.caches.migrations_of(key):
            if before is None or after is None or not self.caches.migrations.items[migration].final:
                self.queue.add(migration)

    def _pod_changed(self, key: Key, before: Pod | None, after: Pod | None) -> None:
        pod = after or before
        if pod is not None and pod.launcher is not None:
            for migration in self.caches.migrations_of((key[0], pod.launcher.instance)):
                if not self.caches.migrations.items[migration].final:
                    self.queue.add(migration)

    def _wake_pending(self) -> None:
        """Slots may be free: the most important first (migration.go, the queue's priorities)."""
        waiting = [(key, self.caches.migrations.items[key]) for key in self.caches.migrations_in("Pending")]
        waiting.sort(key=lambda each: -limits.PRIORITIES.get(each[1].priority, 0))
        limit = limits.migration_configuration(self.caches.configuration())
        active = self.active()
        for key, migration in waiting:
            instance = self.caches.instances.get((key[0], migration.instance))
            if instance is not None and limits.may_start(active, instance.node, limit):
                active.append(Active(migration.uid, frozenset([instance.node])))
                self.queue.add(key)
            if len(active) >= int(limit["parallelMigrationsPerCluster"]):
                return

    def active(self) -> list[Active]:
        """Migrations that hold a slot."""
        keys = {key for phase in IN_FLIGHT for key in self.caches.migrations_in(phase)}
        for uid in self._starting:
            keys.update(self.caches.migration_with(uid))
        found = []
        for key in keys:
            migration = self.caches.migrations.items[key]
            instance = self.caches.instances.get((key[0], migration.instance))
            leaving = {instance.node, instance.source_node} - {""} if instance else set()
            found.append(Active(migration.uid, frozenset(leaving)))
        return found

    async def reconcile(self, key: Key) -> float | None:
        summary = self.caches.migrations.get(key)
        if summary is None:
            return None
        if summary.phase == "Pending" and not summary.deleting and summary.uid not in self._starting:
            wait = self._must_wait(key, summary)
            if wait is not None:
                return wait
        migration = self.caches.migrations.obj(key)
        if migration is None:
            return None
        instance = self.caches.instances.obj((key[0], summary.instance))
        if summary.final:
            await settle(self, key, migration, instance)
            return None
        annotations: dict[str, str] = migration["metadata"].get("annotations") or {}
        if not annotations.items() >= OBSERVED.items():
            migration = await self.patch(self.caches.migrations, key, {"metadata": {"annotations": OBSERVED}})
        if instance is None:
            await self._fail(key, migration, "Migration failed vmi shutdown during migration.")
            await self.delete(self.caches.migrations, key, summary.uid)
            return None
        pods = self.caches.launchers(instance["metadata"]["uid"])
        target = next((pod for pod in pods if pod.launcher and pod.launcher.job_uid == summary.uid), None)
        return await self._advance(key, migration, instance, pods, target)

    def _must_wait(self, key: Key, migration: Migration) -> float | None:
        """Cheap look at a pending migration before anything is decoded: is there a slot for it?"""
        instance = self.caches.instances.get((key[0], migration.instance))
        if instance is None or instance.deleting or instance.final:
            return None
        if any(pod.launcher and pod.launcher.job_uid == migration.uid for pod in self.caches.launchers(instance.uid)):
            self._starting.add(migration.uid)
            return None
        limit = limits.migration_configuration(self.caches.configuration())
        if limits.may_start(self.active(), instance.node, limit):
            return None
        return max(limits.requeue_seconds(migration.priority), _SHORTEST_POLL_REAL_SECONDS * self.clock.scale)

    async def _advance(
        self, key: Key, migration: Obj, instance: Obj, pods: list[Pod], target: Pod | None
    ) -> float | None:
        failure = migration_status.failure(migration, instance, target)
        if failure:
            await self._fail_with_target(key, migration, instance, target, failure)
            return None
        status: Obj = migration.get("status") or {}
        phase = status.get("phase") or ""
        uid = migration["metadata"]["uid"]
        if "deletionTimestamp" in migration["metadata"]:
            done = await self._abort(key, migration, instance, target)
            if done:
                return None
            migration = self.caches.migrations.obj(key) or migration
        if phase == "":
            if not self._eligible(instance, uid):
                text = "VMI is not eligible for migration because another migration job is in progress."
                await self._fail(key, migration, text)
                return None
            source = _pod_on(pods, instance["status"].get("nodeName", ""))
            state = {"migrationState": {"sourcePod": source.name}} if source else {}
            await self._set_phase(key, migration, "Pending", state)
            return None
        if phase == "Pending":
            if target is None:
                return await self._make_target(key, migration, instance, pods)
            await self._set_phase(key, migration, "Scheduling")
            return None
        if phase == "Scheduling":
            assert target is not None and target.launcher is not None
            if target.launcher.containers_ready:
                await self._set_phase(key, migration, "Scheduled")
                return None
            return await self._watch_pending_pod(key, migration, target)
        if phase == "Scheduled" and target is not None:
            if (instance["status"].get("migrationState") or {}).get("migrationUid") != uid:
                await self._hand_over(key, migration, instance, pods, target)
            else:
                await self._set_phase(key, migration, "PreparingTarget")
            return None
        following = migration_status.next_phase(phase, instance["status"].get("migrationState") or {})
        if following:
            await self._set_phase(key, migration, following)
            if following == "Succeeded":
                text = "Source node reported migration succeeded"
                self.event(kinds.MIGRATIONS, migration, "SuccessfulMigration", text)
        return None

    def _eligible(self, instance: Obj, uid: str) -> bool:
        state: Obj = (instance.get("status") or {}).get("migrationState") or {}
        owner = state.get("migrationUid")
        if not owner or owner == uid:
            return True
        return all(self.caches.migrations.items[key].final for key in self.caches.migration_with(owner))

    async def _set_phase(self, key: Key, migration: Obj, phase: str, more: Obj | None = None) -> Obj:
        status: Obj = migration.get("status") or {}
        stamps = [
            *(status.get("phaseTransitionTimestamps") or []),
            {"phase": phase, "phaseTransitionTimestamp": self.context.now()},
        ]
        patch = {"status": {"phase": phase, "phaseTransitionTimestamps": stamps, **(more or {})}}
        return await self.patch(self.caches.migrations, key, patch, "status")

    async def _make_target(self, key: Key, migration: Obj, instance: Obj, pods: list[Pod]) -> float | None:
        status: Obj = instance["status"]
        priority = (migration.get("spec") or {}).get("priority", "")
        if status.get("phase") != "Running" or "deletionTimestamp" in instance["metadata"]:
            return limits.requeue_seconds(priority)
        if sum(not pod.final for pod in pods) > 1:
            return 1.0
        source = _pod_on(pods, status.get("nodeName", ""))
        if source is None or source.launcher is None:
            return 1.0
        left = self._backoff(key, migration, instance)
        if left > 0:
            return left
        image_disks = any(volume.get("containerDisk") for volume in instance["spec"].get("volumes") or [])
        if image_disks and not source.launcher.digests:
            return limits.requeue_seconds(priority)
        uid = migration["metadata"]["uid"]
        configuration = self.caches.configuration()
        limit = limits.migration_configuration(configuration)
        if not limits.may_start(self.active(), source.node, limit):
            return limits.requeue_seconds(priority)
        self._starting.add(uid)
        try:
            await self._mark_nonroot(key, instance)
            labels = self.caches.node_labels(source.node)
            pod = await self.create(self.caches.pods, target_pod(instance, migration, source, labels, configuration))
        except BaseException as error:
            self._starting.discard(uid)
            if isinstance(error, ApiError) and error.code in (403, 422):
                return await self._refused(key, migration, instance, error)
            raise
        rejected = migration_status.REJECTED
        more = migration_status.condition_patch(migration, rejected, False, self.context.now())
        text = f"Created migration target pod {key[0]}/{pod['metadata']['name']}"
        self.event(kinds.MIGRATIONS, migration, "SuccessfulCreate", text)
        await self._set_phase(key, migration, "Scheduling", more)
        return None

    async def _mark_nonroot(self, key: Key, instance: Obj) -> None:
        if (instance["metadata"].get("annotations") or {}).get("kubevirt.io/nonroot") != "true":
            patch = {"metadata": {"annotations": {"kubevirt.io/nonroot": "true"}}}
            await self.patch(self.caches.instances, (key[0], instance["metadata"]["name"]), patch)

    async def _refused(self, key: Key, migration: Obj, instance: Obj, error: ApiError) -> float:
        """The pod may not be made: by quota, which may be lifted, or for ever."""
        message = error.body.get("message", "")
        if "exceeded quota" in message:
            more = migration_status.condition_patch(migration, migration_status.REJECTED, True, self.context.now())
            if more:
                await self.patch(self.caches.migrations, key, {"status": more}, "status")
        else:
            text = f"Error creating pod: {message}"
            self.event(kinds.INSTANCES, instance, "FailedCreate", text, warning=True)
        return limits.requeue_seconds("")

    def _backoff(self, key: Key, migration: Obj, instance: Obj) -> float:
        """Evacuations and workload updates wait longer after every failure since the last success."""
        if not any(mark in (migration["metadata"].get("annotations") or {}) for mark in _BACKOFF_MARKS):
            return 0.0
        history = [
            each
            for each in map(
                self.caches.migrations.obj, self.caches.migrations_of((key[0], instance["metadata"]["name"]))
            )
            if each is not None
        ]
        wait = limits.backoff_seconds(migration_status.failures_in_a_row(history, _BACKOFF_MARKS))
        if not wait:
            return 0.0
        ended = max(
            migration_status.ended_at(each) for each in history if (each.get("status") or {}).get("phase") == "Failed"
        )
        left = wait - self.context.seconds_since(ended)
        if left > 0 and migration["metadata"]["uid"] not in self._warned:
            self._warned.add(migration["metadata"]["uid"])
            text = f"backoff migrating vmi {key[0]}/{instance['metadata']['name']}"
            self.event(kinds.INSTANCES, instance, "MigrationBackoff", text, warning=True)
        return left

    async def _watch_pending_pod(self, key: Key, migration: Obj, target: Pod) -> float | None:
        """A target pod may wait only so long for a node, or for its containers."""
        if target.phase != "Pending" or target.deleting:
            return None
        unschedulable = bool(target.unschedulable) and not target.node
        if unschedulable and migration["metadata"]["uid"] not in self._warned:
            self._warned.add(migration["metadata"]["uid"])
            name = (migration.get("spec") or {}).get("vmiName")
            text = f"Migration target pod for VMI [{key[0]}/{name}] is currently unschedulable."
            self.event(kinds.MIGRATIONS, migration, "migrationTargetPodUnschedulable", text, warning=True)
        allowed = limits.pending_limit_seconds(migration, unschedulable)
        left = allowed - self.context.seconds_since(target.created)
        if left > 0:
            return left
        await self.delete(self.caches.pods, target.key, target.uid)
        kind = "unschedulable" if unschedulable else "pending"
        text = f"{kind} pod {target.namespace}/{target.name} timeout period exceeded"
        self.event(kinds.MIGRATIONS, migration, "SuccessfulDelete", text)
        return None

    async def _hand_over(self, key: Key, migration: Obj, instance: Obj, pods: list[Pod], target: Pod) -> None:
        status: Obj = instance["status"]
        source = _pod_on(pods, status.get("nodeName", ""))
        namespace: Obj = self.caches.namespaces.obj(("", key[0])) or {"metadata": {}}
        configuration = self.caches.configuration()
        policy = matching_policy(
            self.caches.policies.objects(),
            instance["metadata"].get("labels") or {},
            namespace["metadata"].get("labels") or {},
        )
        overhead = compute_requests(instance["spec"], configuration.get("developerConfiguration") or {}).overhead_bytes
        state: Obj = {
            "migrationUid": migration["metadata"]["uid"],
            "sourceNode": status.get("nodeName", ""),
            "sourcePod": source.name if source else "",
            "targetNode": target.node,
            "targetPod": target.name,
            "targetMemoryOverhead": bytes_text(overhead),
            "migrationConfiguration": applied(policy, limits.migration_configuration(configuration)),
        }
        if policy is not None:
            state["migrationPolicyName"] = policy["metadata"]["name"]
        before = status.get("migrationState")
        label = f"/metadata/labels/{TARGET_LABEL.replace('/', '~1')}"
        patch: list[Obj] = [{"op": "add", "path": label, "value": target.node}]
        if not instance["metadata"].get("labels"):
            patch.insert(0, {"op": "add", "path": "/metadata/labels", "value": {}})
        if before is not None:
            patch.append({"op": "test", "path": "/status/migrationState", "value": before})
        patch.append({"op": "add", "path": "/status/migrationState", "value": state})
        await self.patch(self.caches.instances, (key[0], instance["metadata"]["name"]), patch)
        text = f"Migration target pod is ready for preparation by virt-handler on node {target.node}."
        self.event(kinds.MIGRATIONS, migration, "SuccessfulHandOver", text)

    async def _abort(self, key: Key, migration: Obj, instance: Obj, target: Pod | None) -> bool:
        """The migration was deleted. True when it has failed of that; else it goes on until it can be stopped."""
        phase = (migration.get("status") or {}).get("phase") or ""
        state: Obj = instance["status"].get("migrationState") or {}
        handed_over = state.get("migrationUid") == migration["metadata"]["uid"]
        more = migration_status.condition_patch(migration, migration_status.ABORTED, True, self.context.now())
        if not handed_over:
            await self._set_phase(key, migration, "Failed", more)
            text = "Migration failed due to being canceled"
            self.event(kinds.MIGRATIONS, migration, "FailedMigration", text, warning=True)
            if target is not None and not target.deleting:
                await self.delete(self.caches.pods, target.key, target.uid)
                text = f"migration canceled and pod {target.namespace}/{target.name} is deleted"
                self.event(kinds.MIGRATIONS, migration, "SuccessfulDelete", text)
            return True
        if more:
            await self.patch(self.caches.migrations, key, {"status": more}, "status")
        if phase == "Running" and not state.get("abortRequested") and not state.get("completed"):
            patch = {"status": {"migrationState": {"abortRequested": True}}}
            await self.patch(self.caches.instances, (key[0], instance["metadata"]["name"]), patch)
            text = "Migration is ready to be canceled by virt-handler."
            self.event(kinds.MIGRATIONS, migration, "SuccessfulAbortMigration", text)
        return False

    async def _fail(self, key: Key, migration: Obj, message: str) -> None:
        await self._set_phase(key, migration, "Failed")
        self.event(kinds.MIGRATIONS, migration, "FailedMigration", message, warning=True)

    async def _fail_with_target(
        self, key: Key, migration: Obj, instance: Obj, target: Pod | None, message: str
    ) -> None:
        """Fail; when the target went down after the hand-over the instance is told, since no virt-handler does."""
        state: Obj = instance["status"].get("migrationState") or {}
        owned = state.get("migrationUid") == migration["metadata"]["uid"]
        if owned and not state.get("completed") and (target is None or target.final or target.deleting):
            ended = {
                "completed": True,
                "failed": True,
                "endTimestamp": self.context.now(),
                "failureReason": "Target pod is down",
            }
            patch = {"metadata": {"labels": {TARGET_LABEL: None}}, "status": {"migrationState": ended}}
            await self.patch(self.caches.instances, (key[0], instance["metadata"]["name"]), patch)
        await self._fail(key, migration, message)


def _pod_on(pods: list[Pod], node: str) -> Pod | None:
    return next((pod for pod in pods if pod.node == node and not pod.final), None)
