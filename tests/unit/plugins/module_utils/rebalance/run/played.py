"""A cluster in memory with a clock that moves when it is told to, so that a run can be cut at every single request.

It has what a run touches: objects with resource versions, merge patches, a few refusals of the API server and of
KubeVirt's webhooks, live migrations under the two limits, restarts of VMs. The embedded cluster is the one that behaves
like a real one; this one is for what needs thousands of runs.
"""

from __future__ import annotations

import copy
import json
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from ansible_collections.ocpv.scale.plugins.module_utils.cluster.gateway import Listing
from ansible_collections.ocpv.scale.plugins.module_utils.cluster.resources import ResourceType
from ansible_collections.ocpv.scale.plugins.module_utils.errors import ApiError, Conflict, NotFound, Unreachable
from ansible_collections.ocpv.scale.plugins.module_utils.rebalance.run import live
from ansible_collections.ocpv.scale.plugins.module_utils.rebalance.run.feed import Event
from simcluster.scenarios import load

Obj = dict[str, Any]
Key = tuple[str, str, str]
HOSTNAME = "kubernetes.io/hostname"
STEP_SECONDS = 0.5
TOPICS = {
    "nodes": live.NODES,
    "pods": live.PODS,
    "virtualmachines": live.MACHINES,
    "virtualmachineinstances": live.INSTANCES,
    "virtualmachineinstancemigrations": live.MIGRATIONS,
    "kubevirts": live.SETTINGS,
    "configmaps": live.STATE,
}
_PLURALS = {
    "HyperConverged": "hyperconvergeds",
    "StorageClass": "storageclasses",
    "NetworkPolicy": "networkpolicies",
}
_FINAL = ("Succeeded", "Failed")
_objects: list[str] = []


class Killed(BaseException):
    """The process is gone: nothing of it catches this."""


def merge(target: Any, patch: Any) -> Any:
    """RFC 7386."""
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merge(result.get(key), value)
    return result


class PlayedCluster:
    """Speaks like a Gateway. C(requested) is called with verb and kind before each request and may raise."""

    host = "https://played.example.com"

    def __init__(self, parallel: int = 5, per_source: int = 2) -> None:
        if not _objects:
            _objects.extend(json.dumps(item) for item in load("small").objects)
        self.seconds = 0.0
        self.version = 1000
        self.objects: dict[Key, Obj] = {}
        self.changes: list[Event] = []
        self.requested: Callable[[str, str], None] = lambda verb, plural: None
        self.answered: Callable[[str, str], None] = lambda verb, plural: None
        self.written: Counter[str] = Counter()
        # VM -> how often its migration is still to fail, or what becomes of it
        self.failures: dict[str, int] = {}
        self.hanging: set[str] = set()
        self.unplaceable: set[str] = set()
        self.arrivals: dict[str, list[str]] = {}
        self.most_parallel = 0
        self.most_leaving: Counter[str] = Counter()
        self._uids = 0
        self._since: dict[str, float] = {}
        self._former: dict[tuple[str, str], tuple[Obj, Obj]] = {}
        self._homes: dict[str, str] = {}
        for text in _objects:
            item = json.loads(text)
            plural = _PLURALS.get(item["kind"], item["kind"].lower() + "s")
            metadata = item["metadata"]
            metadata.setdefault("uid", self.uid())
            self.put(plural, item, told=False)
        self.put("namespaces", {"kind": "Namespace", "metadata": {"name": "ocpv-scale", "uid": self.uid()}}, told=False)
        if ("namespaces", "", "kube-system") not in self.objects:
            system = {"kind": "Namespace", "metadata": {"name": "kube-system", "uid": "cluster"}}
            self.put("namespaces", system, told=False)
        self.limits(parallel, per_source)

    # -- as a Gateway ------------------------------------------------------------------------------------------------

    @property
    def server_time(self) -> str:
        return (datetime(2026, 3, 4, tzinfo=UTC) + timedelta(seconds=self.seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")

    def clock(self) -> float:
        return self.seconds

    def with_retry_seconds(self, seconds: float) -> PlayedCluster:
        return self

    def server_version(self) -> str:
        return "v1.31.4"

    def served_versions(self, group: str) -> tuple[str, ...]:
        return ("v1", "v1beta1") if "hco" in group else ("v1",)

    def can_i(self, verb: str, resource: ResourceType, namespace: str | None = None, **more: Any) -> bool:
        return True

    def list(
        self,
        resource: ResourceType,
        *,
        namespace: str | None = None,
        label_selector: str = "",
        field_selector: str = "",
        page_size: int = 500,
    ) -> Listing[Obj]:
        return self.list_as(resource, lambda item: item, namespace=namespace, label_selector=label_selector)

    def list_as(self, resource: ResourceType, convert: Any, **options: Any) -> Listing[Any]:
        self.requested("list", resource.plural)
        wanted = dict(part.split("=", 1) for part in (options.get("label_selector") or "").split(",") if part)
        found = [
            convert(item)
            for (plural, namespace, _name), item in sorted(self.objects.items())
            if plural == resource.plural
            and (not options.get("namespace") or namespace == options["namespace"])
            and wanted.items() <= (item["metadata"].get("labels") or {}).items()
        ]
        return Listing(found, str(self.version))

    def get(self, resource: ResourceType, name: str, namespace: str | None = None) -> Obj:
        self.requested("get", resource.plural)
        if resource.plural == "customresourcedefinitions":
            raise NotFound("not here", status=404)
        return copy.deepcopy(self.must((resource.plural, namespace or "", name)))

    def create(self, resource: ResourceType, body: Obj, *, namespace: str | None = None, dry_run: bool = False) -> Obj:
        self.requested("create", resource.plural)
        name = body["metadata"]["name"]
        key = (resource.plural, namespace or "", name)
        item = copy.deepcopy(body)
        if resource.plural == "virtualmachineinstancemigrations":
            self.admit(item)
        if key in self.objects:
            raise Conflict(f'{resource.plural} "{name}" already exists', status=409, reason="AlreadyExists")
        item["metadata"].update(uid=self.uid(), creationTimestamp=self.server_time)
        return self.done("create", resource.plural, self.put(resource.plural, item))

    def merge_patch(
        self, resource: ResourceType, name: str, body: Obj, *, namespace: str | None = None, **more: Any
    ) -> Obj:
        self.requested("patch", resource.plural)
        key = (resource.plural, namespace or "", name)
        item = self.must(key)
        stated = body.get("metadata", {}).get("resourceVersion")
        if stated is not None and stated != item["metadata"]["resourceVersion"]:
            raise Conflict(f'the object "{name}" has been modified', status=409, reason="Conflict")
        return self.done("patch", resource.plural, self.put(resource.plural, merge(item, body)))

    def delete(
        self, resource: ResourceType, name: str, *, namespace: str | None = None, uid: str | None = None, **more: Any
    ) -> Obj:
        self.requested("delete", resource.plural)
        key = (resource.plural, namespace or "", name)
        item = self.must(key)
        if item["metadata"].get("finalizers"):
            item["metadata"].setdefault("deletionTimestamp", self.server_time)
            return self.done("delete", resource.plural, self.put(resource.plural, item))
        self.drop(key)
        return self.done("delete", resource.plural, item)

    def put_subresource(
        self, version: str, namespace: str, plural: str, name: str, verb: str, body: Mapping[str, Any] | None = None
    ) -> None:
        self.requested(verb, plural)
        vm = self.must((plural, namespace, name))
        vmi = self.objects.get(("virtualmachineinstances", namespace, name))
        strategy = vm["spec"].get("runStrategy") or ("Always" if vm["spec"].get("running") else "Halted")
        if verb == "restart":
            if strategy in ("Halted", "Once") or vmi is None or vmi["metadata"].get("deletionTimestamp"):
                raise Conflict("VM is not running or stop/start already underway", status=409, reason="Conflict")
            vmi["metadata"]["deletionTimestamp"] = self.server_time
            self.put("virtualmachineinstances", vmi)
        elif verb == "stop":
            vm["spec"]["runStrategy"] = "Halted"
            self.put(plural, vm)
        elif strategy not in ("Manual", "RerunOnFailure") or vmi is not None:
            raise Conflict("VM is already running", status=409, reason="Conflict")
        self.done(verb, plural, vm)

    # -- the world ---------------------------------------------------------------------------------------------------

    def limits(self, parallel: int, per_source: int) -> None:
        for plural in ("hyperconvergeds", "kubevirts"):
            for key, item in self.of(plural):
                settings = {
                    "parallelMigrationsPerCluster": parallel,
                    "parallelOutboundMigrationsPerNode": per_source,
                }
                if plural == "kubevirts":
                    patch: Obj = {"spec": {"configuration": {"migrations": settings}}}
                elif item["apiVersion"].endswith("/v1"):
                    patch = {"spec": {"virtualization": {"liveMigrationConfig": settings}}}
                else:
                    patch = {"spec": {"liveMigrationConfig": settings}}
                generation = item["metadata"].get("generation", 1) + 1
                self.put(key[0], merge(merge(item, patch), {"metadata": {"generation": generation}}))
        self.parallel, self.per_source = parallel, per_source

    def uid(self) -> str:
        self._uids += 1
        return f"uid-{self._uids:06d}"

    def of(self, plural: str) -> list[tuple[Key, Obj]]:
        return [(key, item) for key, item in self.objects.items() if key[0] == plural]

    def must(self, key: Key) -> Obj:
        if key not in self.objects:
            raise NotFound(f'{key[0]} "{key[2]}" not found', status=404, reason="NotFound")
        return copy.deepcopy(self.objects[key])

    def done(self, verb: str, plural: str, item: Obj) -> Obj:
        self.written[f"{verb} {plural}"] += 1
        self.answered(verb, plural)
        return copy.deepcopy(item)

    def put(self, plural: str, item: Obj, *, told: bool = True) -> Obj:
        metadata = item["metadata"]
        key = (plural, metadata.get("namespace") or "", metadata["name"])
        self.version += 1
        metadata["resourceVersion"] = str(self.version)
        new = key not in self.objects
        self.objects[key] = item
        if told and plural in TOPICS:
            self.changes.append(Event(TOPICS[plural], "ADDED" if new else "MODIFIED", copy.deepcopy(item)))
        return item

    def drop(self, key: Key) -> None:
        item = self.objects.pop(key)
        if key[0] in TOPICS:
            self.changes.append(Event(TOPICS[key[0]], "DELETED", copy.deepcopy(item)))

    def vmi(self, key: str) -> Obj:
        namespace, name = key.split("/")
        return self.objects[("virtualmachineinstances", namespace, name)]

    def vm(self, key: str) -> Obj:
        namespace, name = key.split("/")
        return self.objects[("virtualmachines", namespace, name)]

    def node_of(self, key: str) -> str:
        return str(self.vmi(key)["status"].get("nodeName", ""))

    def admit(self, migration: Obj) -> None:
        """The webhooks of a new migration."""
        namespace, name = migration["metadata"]["namespace"], migration["spec"]["vmiName"]
        told = 'admission webhook "migration-create-validator.kubevirt.io" denied the request: '
        if ("virtualmachineinstances", namespace, name) not in self.objects:
            raise ApiError(f'{told}the VMI "{namespace}/{name}" does not exist', status=400)
        for _key, other in self.of("virtualmachineinstancemigrations"):
            phase = other.get("status", {}).get("phase")
            same = other["spec"]["vmiName"] == name and other["metadata"]["namespace"] == namespace
            if same and phase not in _FINAL:
                raise ApiError(f"{told}in-flight migration detected. Active migration job", status=400)
        migration["metadata"]["finalizers"] = ["kubevirt.io/migrationJobFinalize"]
        migration["status"] = {}

    def step(self, seconds: float) -> None:
        """Let time pass and the controllers work."""
        self.seconds += seconds
        for key, migration in self.of("virtualmachineinstancemigrations"):
            self._migrate(key, copy.deepcopy(migration))
        for key, machine in self.of("virtualmachines"):
            self._run_machine(key, machine)
        self._count()

    def _count(self) -> None:
        active = [
            item for _key, item in self.of("virtualmachineinstancemigrations")
            if item["status"].get("phase") in ("Scheduling", "Running")
        ]  # fmt: skip
        self.most_parallel = max(self.most_parallel, len(active))
        leaving = Counter(self._source(item) for item in active)
        for node, count in leaving.items():
            self.most_leaving[node] = max(self.most_leaving[node], count)

    def _source(self, migration: Obj) -> str:
        return self.node_of(f"{migration['metadata']['namespace']}/{migration['spec']['vmiName']}")

    def _migrate(self, key: Key, item: Obj) -> None:
        status, metadata = item["status"], item["metadata"]
        phase = status.get("phase", "")
        vm_key = f"{metadata['namespace']}/{item['spec']['vmiName']}"
        if phase in _FINAL:
            if metadata.get("finalizers"):
                metadata["finalizers"] = []
                self.put(key[0], item)
                if metadata.get("deletionTimestamp"):
                    self.drop(key)
            return
        vmi = self.objects.get(("virtualmachineinstances", metadata["namespace"], item["spec"]["vmiName"]))
        if vmi is None:
            self.drop(key)
            return
        if metadata.get("deletionTimestamp"):
            self._end(key, item, vmi, "Live migration has been aborted" if phase == "Running" else "")
        elif phase == "":
            self._enter(key, item, "Pending")
        elif phase == "Pending":
            self._schedule(key, item, vmi)
        elif phase == "Scheduling":
            target = self._target_node(item)
            if vm_key in self.unplaceable or target is None:
                if self.seconds - self._since[metadata["uid"]] > 60:
                    self._end(key, item, vmi, "")
                return
            vmi = copy.deepcopy(vmi)
            vmi["status"]["migrationState"] = {
                "migrationUid": metadata["uid"],
                "sourceNode": vmi["status"]["nodeName"],
                "targetNode": target,
                "startTimestamp": self.server_time,
            }
            self.put("virtualmachineinstances", vmi)
            self._enter(key, item, "Running")
        elif vm_key not in self.hanging and self.seconds - self._since[metadata["uid"]] >= 4:
            if self.failures.get(vm_key, 0) > 0:
                self.failures[vm_key] -= 1
                self._end(key, item, vmi, "internal error: qemu unexpectedly closed the monitor")
            else:
                self._arrive(key, item, vmi)

    def _enter(self, key: Key, item: Obj, phase: str) -> None:
        item["status"]["phase"] = phase
        transitions = item["status"].setdefault("phaseTransitionTimestamps", [])
        transitions.append({"phase": phase, "phaseTransitionTimestamp": self.server_time})
        self._since[item["metadata"]["uid"]] = self.seconds
        self.put(key[0], item)

    def _schedule(self, key: Key, item: Obj, vmi: Obj) -> None:
        active = [
            other for _key, other in self.of("virtualmachineinstancemigrations")
            if other["status"].get("phase") in ("Scheduling", "Running")
        ]  # fmt: skip
        leaving = sum(self._source(other) == vmi["status"]["nodeName"] for other in active)
        if len(active) >= self.parallel or leaving >= self.per_source:
            return
        vm_key = f"{vmi['metadata']['namespace']}/{vmi['metadata']['name']}"
        target = None if vm_key in self.unplaceable else self._target_node(item)
        self._make_pod(vmi, target, item["metadata"]["uid"])
        self._enter(key, item, "Scheduling")

    def _target_node(self, item: Obj) -> str | None:
        vmi = self.vmi(f"{item['metadata']['namespace']}/{item['spec']['vmiName']}")
        selector = {**item["spec"].get("addedNodeSelector", {}), **(vmi["spec"].get("nodeSelector") or {})}
        return next(
            (node["metadata"]["name"] for _key, node in self.of("nodes") if self._matches(node, selector)), None
        )

    @staticmethod
    def _matches(node: Obj, selector: Mapping[str, str]) -> bool:
        return selector.items() <= node["metadata"]["labels"].items() and not node["spec"].get("unschedulable")

    def _make_pod(self, vmi: Obj, node: str | None, migration: str = "") -> Obj:
        metadata = vmi["metadata"]
        former = next(
            pod for _key, pod in self.of("pods")
            if (pod["metadata"].get("labels") or {}).get("vm.kubevirt.io/name") == metadata["name"]
            and pod["metadata"]["namespace"] == metadata["namespace"]
        )  # fmt: skip
        pod = copy.deepcopy(former)
        pod["metadata"].update(name=f"virt-launcher-{metadata['name']}-{self._uids}", uid=self.uid())
        pod["metadata"]["labels"]["kubevirt.io/created-by"] = metadata["uid"]
        pod["metadata"]["labels"].pop("kubevirt.io/migrationJobUID", None)
        if migration:
            pod["metadata"]["labels"]["kubevirt.io/migrationJobUID"] = migration
        pod["spec"].pop("nodeName", None)
        if node:
            pod["spec"]["nodeName"] = node
        pod["status"] = {"phase": "Running" if node else "Pending"}
        return self.put("pods", pod)

    def _pods(self, vmi_uid: str) -> list[tuple[Key, Obj]]:
        return [
            (key, pod) for key, pod in self.of("pods")
            if (pod["metadata"].get("labels") or {}).get("kubevirt.io/created-by") == vmi_uid
        ]  # fmt: skip

    def _arrive(self, key: Key, item: Obj, vmi: Obj) -> None:
        vmi = copy.deepcopy(vmi)
        state = vmi["status"]["migrationState"]
        state.update(completed=True, endTimestamp=self.server_time)
        vmi["status"]["nodeName"] = state["targetNode"]
        vm_key = f"{vmi['metadata']['namespace']}/{vmi['metadata']['name']}"
        self.arrivals.setdefault(vm_key, []).append(state["targetNode"])
        self.put("virtualmachineinstances", vmi)
        for pod_key, pod in self._pods(vmi["metadata"]["uid"]):
            if pod["spec"].get("nodeName") != state["targetNode"]:
                self.drop(pod_key)
        item["status"]["migrationState"] = dict(state)
        self._enter(key, item, "Succeeded")

    def _end(self, key: Key, item: Obj, vmi: Obj, reason: str) -> None:
        """A migration fails."""
        uid = item["metadata"]["uid"]
        if reason:
            vmi = copy.deepcopy(vmi)
            vmi["status"].setdefault("migrationState", {"migrationUid": uid}).update(
                completed=True, failed=True, failureReason=reason, endTimestamp=self.server_time
            )
            self.put("virtualmachineinstances", vmi)
            item["status"]["migrationState"] = dict(vmi["status"]["migrationState"])
        for pod_key, pod in self._pods(vmi["metadata"]["uid"]):
            if pod["metadata"]["labels"].get("kubevirt.io/migrationJobUID") == uid:
                self.drop(pod_key)
        self._enter(key, item, "Failed")

    def _run_machine(self, key: Key, machine: Obj) -> None:
        """Stop, start and place a VM; the template's selector reaches a running instance."""
        namespace, name = key[1], key[2]
        vmi_key = ("virtualmachineinstances", namespace, name)
        vmi = self.objects.get(vmi_key)
        strategy = machine["spec"].get("runStrategy") or ("Always" if machine["spec"].get("running") else "Halted")
        template = machine["spec"]["template"]["spec"]
        if vmi is None:
            if strategy != "Halted" and (namespace, name) in self._former:
                self._start(template, *self._former[(namespace, name)])
            return
        if vmi["metadata"].get("deletionTimestamp") or strategy == "Halted":
            pods = self._pods(vmi["metadata"]["uid"])
            self._former[(namespace, name)] = (vmi, pods[0][1])
            for pod_key, _pod in pods:
                self.drop(pod_key)
            self.drop(vmi_key)
            return
        if template.get("nodeSelector") != vmi["spec"].get("nodeSelector"):
            vmi = copy.deepcopy(vmi)
            vmi["spec"]["nodeSelector"] = copy.deepcopy(template.get("nodeSelector") or {})
            if not vmi["spec"]["nodeSelector"]:
                del vmi["spec"]["nodeSelector"]
                if not template.get("nodeSelector"):
                    template.pop("nodeSelector", None)
            self.put("virtualmachineinstances", vmi)

    def _start(self, template: Obj, former: Obj, former_pod: Obj) -> None:
        vmi = copy.deepcopy(former)
        metadata = vmi["metadata"]
        vm_key = f"{metadata['namespace']}/{metadata['name']}"
        selector = template.get("nodeSelector") or {}
        metadata["uid"] = self.uid()
        metadata.pop("deletionTimestamp", None)
        node = next(
            (item["metadata"]["name"] for _key, item in self.of("nodes")
             if self._matches(item, selector) and item["metadata"]["labels"].get("kubevirt.io/schedulable") == "true"),
            None,
        )  # fmt: skip
        vmi["spec"].pop("nodeSelector", None)
        if selector:
            vmi["spec"]["nodeSelector"] = dict(selector)
        refused = vm_key in self.unplaceable and node != self._homes.setdefault(
            vm_key, former["status"].get("nodeName")
        )
        vmi["status"]["phase"] = "Scheduling" if refused or node is None else "Running"
        vmi["status"]["conditions"] = [{"type": name, "status": "True"} for name in ("Ready", "LiveMigratable")]
        if refused or node is None:
            vmi["status"].pop("nodeName", None)
            vmi["status"]["conditions"] = [
                {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/15 nodes fit"}
            ]
        else:
            vmi["status"]["nodeName"] = node
            self.arrivals.setdefault(vm_key, []).append(node)
        vmi["status"].pop("migrationState", None)
        pod = copy.deepcopy(former_pod)
        pod["metadata"].update(name=f"virt-launcher-{metadata['name']}-{self._uids}", uid=self.uid())
        pod["metadata"]["labels"]["kubevirt.io/created-by"] = metadata["uid"]
        pod["spec"].pop("nodeName", None)
        if vmi["status"].get("nodeName"):
            pod["spec"]["nodeName"] = node
        self.put("pods", pod)
        self.put("virtualmachineinstances", vmi)


class PlayedFeed:
    """The feed of a played cluster: polling lets its time pass."""

    def __init__(self, cluster: PlayedCluster) -> None:
        self._cluster = cluster
        self._position = len(cluster.changes)

    def mark(self) -> None:
        self._position = len(self._cluster.changes)

    def start(self) -> None:
        """Nothing to start."""

    def stop(self) -> None:
        """Nothing to stop."""

    def wake(self) -> None:
        """Never asleep."""

    def troubled_seconds(self) -> float:
        return 0.0

    def poll(self, timeout_seconds: float) -> list[Event]:
        self._cluster.step(timeout_seconds)
        found = self._cluster.changes[self._position :]
        self._position = len(self._cluster.changes)
        return found


class PlayedLease:
    """A Lease that is always ours."""

    def acquire(self, wait_seconds: float, tell: Any = None) -> None:
        """It is free."""

    def start(self) -> None:
        """Nothing to renew."""

    def clear(self) -> None:
        """Nothing was left."""

    def release(self) -> None:
        """Nothing to give back."""

    def assert_held(self) -> None:
        """It is held."""


__all__ = ["Killed", "PlayedCluster", "PlayedFeed", "PlayedLease", "Unreachable"]
