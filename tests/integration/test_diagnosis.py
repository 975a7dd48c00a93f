"""Every symptom is brought about in the cluster; migration_preflight and rebalance_run tell it from what they see."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ocpv.scale.plugins.modules import migration_preflight, rebalance_report
from support.modules import run_module_main
from support.running import Scene, kubevirt_path, move_of
from support.start import start_cluster
from support.waiting import eventually, set_faults, set_model

Obj = dict[str, Any]
HYPERCONVERGED = "/apis/hco.kubevirt.io/v1/namespaces/openshift-cnv/hyperconvergeds/kubevirt-hyperconverged"
POLICIES = "/apis/migrations.kubevirt.io/v1alpha1/migrationpolicies"
HOSTNAME = "kubernetes.io/hostname"
# a copy that hangs keeps its slot for as long as a test may take
PATIENT = {"progressTimeout": 0, "completionTimeoutPerGiB": 8000}
_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def scene() -> Iterator[Scene]:
    with start_cluster("small", time_scale=40, faults=True) as cluster:
        yield Scene(cluster)


@pytest.fixture(autouse=True)
def restored(scene: Scene) -> Iterator[None]:
    """As it was, after each test: settings, faults and migrations under way."""
    config = scene.client.get(HYPERCONVERGED).json()["spec"]["virtualization"].get("liveMigrationConfig") or {}
    yield
    changed = scene.client.get(HYPERCONVERGED).json()["spec"]["virtualization"].get("liveMigrationConfig") or {}
    configure(scene, **{name: config.get(name) for name in {*config, *changed}})
    for item in scene.migrations():
        if (item.get("status") or {}).get("phase") not in ("Succeeded", "Failed"):
            metadata = item["metadata"]
            key = f"{metadata['namespace']}/{metadata['name']}"
            scene.client.delete(kubevirt_path("virtualmachineinstancemigrations", key))
    set_model(scene.cluster)
    set_faults(scene.cluster)
    for item in scene.client.items(POLICIES):
        scene.client.delete(f"{POLICIES}/{item['metadata']['name']}")
    eventually(lambda: [item for item in scene.migrations() if phase_of(item) not in ("Succeeded", "Failed")], no, 30.0)


def no(found: list[Obj]) -> bool:
    return not found


def phase_of(item: Obj) -> str:
    return str((item.get("status") or {}).get("phase") or "")


def configure(scene: Scene, **config: Any) -> None:
    answer = scene.client.patch(HYPERCONVERGED, {"spec": {"virtualization": {"liveMigrationConfig": config}}})
    assert answer.status == 200, answer.body
    applied = {name: value for name, value in config.items() if value is not None}

    def settings() -> Obj:
        (found,) = scene.client.items(kubevirt_path("kubevirts"))
        return dict(found["spec"]["configuration"].get("migrations") or {})

    eventually(settings, lambda found: applied.items() <= found.items())


def policy(scene: Scene, **spec: Any) -> None:
    """A policy for all VMs of namespace shop."""
    labels = {"kubernetes.io/metadata.name": "shop"}
    body = {
        "apiVersion": "migrations.kubevirt.io/v1alpha1",
        "kind": "MigrationPolicy",
        "metadata": {"name": f"policy-{next(_numbers)}"},
        "spec": {"selectors": {"namespaceSelector": labels}, **spec},
    }
    assert scene.client.post(POLICIES, body).status == 201


def migrate(scene: Scene, key: str, target: str = "", **annotations: str) -> str:
    """Make a migration of a VM; return its name."""
    namespace, vmi = key.split("/")
    name = f"diagnosed-{next(_numbers)}"
    body = {
        "apiVersion": "kubevirt.io/v1",
        "kind": "VirtualMachineInstanceMigration",
        "metadata": {"name": name, "annotations": annotations},
        "spec": {"vmiName": vmi, **({"addedNodeSelector": {HOSTNAME: target}} if target else {})},
    }
    path = f"/apis/kubevirt.io/v1/namespaces/{namespace}/virtualmachineinstancemigrations"
    answer = scene.client.post(path, body)
    assert answer.status == 201, answer.body
    return name


def wait_for(scene: Scene, name: str, *phases: str, seconds: float = 40.0) -> Obj:
    return eventually(
        lambda: next((item for item in scene.migrations() if item["metadata"]["name"] == name), {}),
        lambda item: (
            phase_of(item) in phases and (phase_of(item) != "Failed" or not item["metadata"].get("finalizers"))
        ),
        seconds,
    )


def preflight(scene: Scene, *keys: str) -> list[Obj]:
    result = run_module_main(
        migration_preflight.main,
        {"kubeconfig": str(scene.cluster.kubeconfig), "names": list(keys), "fail_on": []},
    )
    assert not result.get("failed"), result.get("msg")
    return list(result["diagnoses"])


def told(scene: Scene, key: str, symptom: str, seconds: float = 20.0) -> Obj:
    """The diagnosis of a VM's migration once it is this one."""

    def named(found: list[Obj]) -> bool:
        return any(entry["symptom"] == symptom for entry in found)

    found = eventually(lambda: preflight(scene, key), named, seconds)
    entry = next(entry for entry in found if entry["symptom"] == symptom)
    assert f"{entry['namespace']}/{entry['name']}" == key
    assert entry["evidence"]
    return entry


def setting(entry: Obj) -> tuple[str, Any, Any]:
    first = entry["settings"][0]
    return first["option"], first["current"], first["suggested"]


def neighbours(scene: Scene, number: int, prefix: str) -> list[str]:
    """VMs of namespace shop on one node whose names begin so."""
    by_node: dict[str, list[str]] = {}
    for item in scene.client.items(kubevirt_path("virtualmachineinstances")):
        metadata = item["metadata"]
        if metadata["namespace"] == "shop" and metadata["name"].startswith(prefix):
            by_node.setdefault(item["status"]["nodeName"], []).append(f"shop/{metadata['name']}")
    return sorted(max(by_node.values(), key=len))[:number]


class TestTimeouts:
    def test_completion_timeout(self, scene: Scene) -> None:
        """The issue of the guide: a cache dirties its memory faster than it is sent."""
        set_model(scene.cluster, stream_bytes_per_second="2e8")
        policy(scene, completionTimeoutPerGiB=10, bandwidthPerMigration="128Mi")
        wait_for(scene, migrate(scene, "shop/cache-01"), "Failed")
        entry = told(scene, "shop/cache-01", "completion_timeout")
        evidence = "\n".join(entry["evidence"])
        assert "failureReason: Live migration has been aborted" in evidence
        assert "10 s for each of" in evidence
        assert "315 MB/s (assumed for workload caching)" in evidence
        assert "MigrationPolicy policy-" in evidence
        assert setting(entry) == ("bandwidth_per_migration", "128Mi", "375Mi")
        assert entry["source"].startswith("live-migration guide, Issue 1")

    def test_progress_timeout(self, scene: Scene) -> None:
        set_faults(scene.cluster, {"vm": "shop/cache-02", "effect": "hang"})
        configure(scene, completionTimeoutPerGiB=800, progressTimeout=100)
        wait_for(scene, migrate(scene, "shop/cache-02"), "Failed")
        entry = told(scene, "shop/cache-02", "progress_timeout")
        assert setting(entry) == ("progress_timeout_seconds", 100, 200)
        assert "The progress timeout is 100 s." in entry["evidence"]

    def test_a_success_ends_the_matter(self, scene: Scene) -> None:
        set_faults(scene.cluster, {"vm": "shop/cache-03", "effect": "fail", "reason": "qemu is unhappy", "times": 1})
        wait_for(scene, migrate(scene, "shop/cache-03"), "Failed")
        assert "qemu is unhappy" in "\n".join(told(scene, "shop/cache-03", "source_failed")["evidence"])
        wait_for(scene, migrate(scene, "shop/cache-03"), "Succeeded")
        assert preflight(scene, "shop/cache-03") == []

    def test_saturation(self, scene: Scene) -> None:
        """Four leave a node with a link for one: each gets a quarter of what it needs."""
        configure(scene, parallelOutboundMigrationsPerNode=4, parallelMigrationsPerCluster=8)
        policy(scene, completionTimeoutPerGiB=5)
        set_model(scene.cluster, quickened_by=1.0, link_bytes_per_second="1e8")
        keys = neighbours(scene, 3, "web")
        assert len(keys) == 3
        names = [migrate(scene, key) for key in keys]
        for name in names:
            wait_for(scene, name, "Failed")
        entry = told(scene, keys[0], "network_saturation")
        assert "3 migrations left worker-" in entry["evidence"][0]
        assert keys[1] in entry["evidence"][0]
        assert setting(entry)[:2] == ("parallel_outbound_migrations_per_node", 4)
        assert setting(entry)[2] < 4
        assert [each["symptom"] for each in preflight(scene, keys[0])] == ["completion_timeout", "network_saturation"]

    @pytest.mark.simulated("half of its limit passes quickly in simulated time only")
    def test_one_that_runs_into_its_limit(self, scene: Scene) -> None:
        policy(scene, completionTimeoutPerGiB=60)
        configure(scene, progressTimeout=0)
        set_faults(scene.cluster, {"vm": "shop/cache-04", "effect": "hang"})
        migrate(scene, "shop/cache-04")
        entry = told(scene, "shop/cache-04", "completion_timeout", 90.0)
        assert entry["phase"] == "Running"
        assert "has to end within" in entry["evidence"][0]


class TestLimits:
    def test_cluster_limit(self, scene: Scene) -> None:
        configure(scene, parallelMigrationsPerCluster=1, **PATIENT)
        set_faults(scene.cluster, {"vm": "shop/app-01", "effect": "hang"})
        wait_for(scene, migrate(scene, "shop/app-01"), "Running")
        name = migrate(scene, "shop/app-02")
        entry = told(scene, "shop/app-02", "cluster_limit_reached")
        assert (entry["migration"], entry["phase"]) == (name, "Pending")
        assert any("1 of 1 migrations hold a slot" in fact for fact in entry["evidence"])
        assert setting(entry) == ("parallel_migrations_per_cluster", 1, 2)
        assert entry["source"].startswith("live-migration guide, Issue 4")

    def test_node_limit(self, scene: Scene) -> None:
        configure(scene, parallelOutboundMigrationsPerNode=1, **PATIENT)
        first, second = neighbours(scene, 2, "web")
        set_faults(scene.cluster, {"vm": first, "effect": "hang"})
        wait_for(scene, migrate(scene, first), "Running")
        migrate(scene, second)
        entry = told(scene, second, "node_limit_reached")
        assert any(f"leave {scene.node_of(second)}" in fact for fact in entry["evidence"])
        assert setting(entry) == ("parallel_outbound_migrations_per_node", 1, 2)

    def test_quota(self, scene: Scene) -> None:
        path = "/api/v1/namespaces/lab/resourcequotas"
        key = next(
            f"lab/{item['metadata']['name']}"
            for item in scene.client.items(kubevirt_path("virtualmachineinstances"))
            if item["metadata"]["namespace"] == "lab" and migratable(item)
        )
        body = {"metadata": {"name": "compute"}, "spec": {"hard": {"requests.memory": "1Mi"}}}
        assert scene.client.post(path, {"apiVersion": "v1", "kind": "ResourceQuota", **body}).status == 201
        try:
            eventually(lambda: scene.client.get(f"{path}/compute").json().get("status") or {}, bool)
            migrate(scene, key)
            entry = told(scene, key, "quota")
        finally:
            scene.client.delete(f"{path}/compute")
        evidence = "\n".join(entry["evidence"])
        assert "migrationRejectedByResourceQuota" in evidence
        assert "ResourceQuota lab/compute: requests.memory" in evidence
        assert "The second pod requests" in evidence

    def test_backoff(self, scene: Scene) -> None:
        set_faults(scene.cluster, {"vm": "shop/app-06", "effect": "fail", "times": 1})
        pods = scene.client.items("/api/v1/namespaces/shop/pods", labelSelector="vm.kubevirt.io/name=app-06")
        (name,) = [each["metadata"]["name"] for each in pods if each["status"]["phase"] == "Running"]
        body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name}}
        assert scene.client.post(f"/api/v1/namespaces/shop/pods/{name}/eviction", body).status == 429
        slow(scene)
        entry = told(scene, "shop/app-06", "backoff")
        assert "Event: backoff migrating vmi shop/app-06" in entry["evidence"]
        assert entry["migration"].startswith("kubevirt-evacuation-")


def slow(scene: Scene) -> None:
    """So slowly nothing that matters passes unseen."""
    set_model(scene.cluster, stream_bytes_per_second="1e7")


def migratable(item: Obj) -> bool:
    conditions = item["status"].get("conditions") or []
    return any(each["type"] == "LiveMigratable" and each["status"] == "True" for each in conditions)


class TestTarget:
    def test_a_node_that_does_not_exist(self, scene: Scene) -> None:
        migrate(scene, "shop/web-01", "nowhere")
        entry = told(scene, "shop/web-01", "invalid_selector")
        evidence = "\n".join(entry["evidence"])
        assert "cannot be scheduled: 0/15 nodes are available" in evidence
        assert "addedNodeSelector is kubernetes.io/hostname=nowhere" in evidence

    def test_and_when_it_was_given_up(self, scene: Scene) -> None:
        timeout = {"kubevirt.io/migrationUnschedulablePodTimeoutSeconds": "20"}
        wait_for(scene, migrate(scene, "shop/web-02", "nowhere", **timeout), "Failed")
        entry = told(scene, "shop/web-02", "invalid_selector")
        assert entry["phase"] == "Failed"
        assert any("timeout period exceeded" in fact for fact in entry["evidence"])

    def test_a_cordoned_node(self, scene: Scene) -> None:
        with changed_node(scene, "worker-12", {"spec": {"unschedulable": True}}, {"spec": {"unschedulable": None}}):
            migrate(scene, "shop/web-03", "worker-12")
            entry = told(scene, "shop/web-03", "target_cordoned")
        assert "Node worker-12 is cordoned." in entry["evidence"]

    def test_another_cpu(self, scene: Scene) -> None:
        source = scene.client.get(f"/api/v1/nodes/{scene.node_of('shop/web-04')}").json()["metadata"]["labels"]
        model = next(key.split("/")[1] for key in source if key.startswith("host-model-cpu.node.kubevirt.io/"))
        label = f"cpu-model-migration.node.kubevirt.io/{model}"
        without, with_it = ({"metadata": {"labels": {label: value}}} for value in (None, "true"))
        with changed_node(scene, "worker-12", without, with_it):
            migrate(scene, "shop/web-04", "worker-12")
            entry = told(scene, "shop/web-04", "host_model")
        assert any(label in fact and "worker-12" in fact for fact in entry["evidence"])
        assert "same CPU generation" in entry["remedy"]

    def test_no_room(self, scene: Scene) -> None:
        node = scene.client.get("/api/v1/nodes/worker-12").json()
        taken = {"cpu": "1m", "memory": node["status"]["allocatable"]["memory"]}
        filler = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "filler"},
            "spec": {
                "nodeName": "worker-12",
                "containers": [{"name": "filler", "image": "filler", "resources": {"requests": taken}}],
            },
        }
        path = "/api/v1/namespaces/lab/pods"
        assert scene.client.post(path, filler).status == 201
        try:
            migrate(scene, "shop/web-05", "worker-12")
            entry = told(scene, "shop/web-05", "target_unschedulable")
        finally:
            scene.client.delete(f"{path}/filler")
        evidence = "\n".join(entry["evidence"])
        assert "Insufficient memory" in evidence
        assert "The pod requests" in evidence

    def test_containers_that_do_not_start(self, scene: Scene) -> None:
        set_faults(scene.cluster, {"vm": "shop/web-06", "effect": "never-ready"})
        migrate(scene, "shop/web-06")
        entry = told(scene, "shop/web-06", "target_pod_starting")
        assert entry["phase"] == "Scheduling"
        assert entry["target_node"].startswith("worker-")

    @pytest.mark.simulated("faults do not reach the controllers there")
    def test_a_target_pod_that_is_refused(self, scene: Scene) -> None:
        match = {"verb": "create", "path": r"/namespaces/shop/pods(\?|$)"}
        scene.cluster.faults({"match": match, "action": {"status": 403}})
        try:
            migrate(scene, "shop/web-13")
            entry = told(scene, "shop/web-13", "target_pod_refused")
        finally:
            scene.cluster.faults()
        assert (entry["phase"], entry["target_node"]) == ("Pending", "")

    def test_a_target_pod_that_dies(self, scene: Scene) -> None:
        configure(scene, **PATIENT)
        set_faults(scene.cluster, {"vm": "shop/web-07", "effect": "hang"})
        name = migrate(scene, "shop/web-07")
        wait_for(scene, name, "Running")
        pod = scene.vmi("shop/web-07")["status"]["migrationState"]["targetPod"]
        assert scene.client.delete(f"/api/v1/namespaces/shop/pods/{pod}").status == 200
        wait_for(scene, name, "Failed")
        entry = told(scene, "shop/web-07", "target_pod_died")
        assert "failureReason: Target pod is down" in entry["evidence"]


class TestNodes:
    @pytest.mark.parametrize("role", ["source", "target"])
    def test_virt_handler(self, scene: Scene, role: str) -> None:
        key = "shop/web-08"
        source = scene.node_of(key)
        target = "worker-11" if source != "worker-11" else "worker-10"
        set_model(scene.cluster, prepare_target_seconds="500")
        wait_for(scene, migrate(scene, key, target), "PreparingTarget")
        set_faults(scene.cluster, nodes={source if role == "source" else target: "handler-not-ready"})
        entry = told(scene, key, "virt_handler_not_ready")
        assert any(f"the {role}, is not ready" in fact for fact in entry["evidence"])
        assert entry["source"].startswith("live-migration guide, Issue 3")

    def test_nodes_that_cannot_talk_to_each_other(self, scene: Scene) -> None:
        reason = "operation failed: Failed to connect to remote libvirt URI: No route to host"
        set_faults(scene.cluster, {"vm": "shop/web-09", "effect": "fail", "reason": reason})
        wait_for(scene, migrate(scene, "shop/web-09"), "Failed")
        entry = told(scene, "shop/web-09", "migration_network_unreachable")
        assert f"failureReason: {reason}" in entry["evidence"]
        assert "Migrations use the pod network." in entry["evidence"]

    @pytest.mark.simulated("it is worth a word after a minute only, which passes faster in simulated time")
    def test_a_target_that_publishes_no_address(self, scene: Scene) -> None:
        set_model(scene.cluster, prepare_target_seconds="500")
        wait_for(scene, migrate(scene, "shop/web-11"), "PreparingTarget")
        entry = told(scene, "shop/web-11", "preparing_stuck")
        assert "logs of virt-handler" in entry["remedy"]

    def test_one_that_is_being_cancelled(self, scene: Scene) -> None:
        set_model(scene.cluster, prepare_target_seconds="500")
        name = migrate(scene, "shop/web-10")
        wait_for(scene, name, "PreparingTarget")
        scene.client.delete(kubevirt_path("virtualmachineinstancemigrations", f"shop/{name}"))
        entry = told(scene, "shop/web-10", "aborted", 10.0)
        assert "It has the condition migrationAbortRequested." in entry["evidence"]

    @pytest.mark.simulated("a node is known to be lost only after minutes")
    def test_a_lost_target(self, scene: Scene) -> None:
        set_faults(scene.cluster, {"vm": "shop/portal-01", "effect": "kill-target"})
        wait_for(scene, migrate(scene, "shop/portal-01"), "Failed")
        entry = told(scene, "shop/portal-01", "node_lost", 40.0)
        assert f"Node {entry['target_node']}, the target, is not ready." in entry["evidence"]


class TestRun:
    def test_a_failed_move_carries_its_diagnosis_to_the_report(self, scene: Scene, tmp_path: Path) -> None:
        policy(scene, completionTimeoutPerGiB=2)
        set_faults(scene.cluster, {"vm": "shop/app-10", "effect": "hang"})
        plan = scene.plan({"non-critical": [("shop/app-10", free_target(scene, "shop/app-10"))]})
        result = scene.run(plan, attempts=1, stop_percent=0)
        item = move_of(result, "m1")
        assert item["code"] == "completion_timeout"
        (diagnosis,) = item["diagnoses"]
        assert diagnosis["symptom"] == "completion_timeout"
        assert any("2 s for each of" in fact for fact in diagnosis["evidence"])
        assert diagnosis["settings"][0]["module"] == "migration_policy"
        report = run_module_main(rebalance_report.main, {"run": result["run"], "plan": plan, "dest": str(tmp_path)})
        assert not report.get("failed"), report.get("msg")
        (page,) = [path.read_text() for path in tmp_path.iterdir() if path.suffix == ".html"]
        assert "2 s for each of" in page
        assert "migration_policy: completion_timeout_seconds_per_gib" in page

    def test_a_move_that_waits_for_others_says_so(self, scene: Scene) -> None:
        """Nothing but a quota holds it up; what was seen before it was given up is told."""
        path = "/api/v1/namespaces/shop/resourcequotas"
        body = {"metadata": {"name": "compute"}, "spec": {"hard": {"requests.memory": "1Mi"}}}
        assert scene.client.post(path, {"apiVersion": "v1", "kind": "ResourceQuota", **body}).status == 201
        try:
            plan = scene.plan({"non-critical": [("shop/app-11", free_target(scene, "shop/app-11"))]})
            result = scene.run(plan, attempts=1, stop_percent=0, pending_timeout_seconds=3)
        finally:
            scene.client.delete(f"{path}/compute")
        item = move_of(result, "m1")
        assert (item["status"], item["code"]) == ("failed", "quota")
        assert [diagnosis["symptom"] for diagnosis in item["diagnoses"]] == ["quota"]
        assert any("ResourceQuota shop/compute" in fact for fact in item["diagnoses"][0]["evidence"])

    def test_a_vm_that_is_shut_down_meanwhile_is_told_and_not_started(self, scene: Scene) -> None:
        configure(scene, **PATIENT)
        set_faults(scene.cluster, {"vm": "shop/web-12", "effect": "hang"})
        process = scene.start(scene.plan({"non-critical": [("shop/web-12", free_target(scene, "shop/web-12"))]}))
        scene.wait_for_phase("ocpv-", "Running")
        requests = "/apis/subresources.kubevirt.io/v1/namespaces/shop/virtualmachines/web-12"
        assert scene.client.put(f"{requests}/stop", {"gracePeriod": 0}).status == 202
        try:
            item = move_of(process.result(), "m1")
            assert scene.client.get(kubevirt_path("virtualmachineinstances", "shop/web-12")).status == 404
        finally:
            assert scene.client.put(f"{requests}/start", {}).status == 202
        assert (item["status"], item["code"]) == ("failed", "vm_stopped")
        assert [diagnosis["symptom"] for diagnosis in item["diagnoses"]] == ["vm_stopped"]
        assert "Start the VM again" in item["diagnoses"][0]["remedy"]

    @pytest.mark.simulated("copies that take minutes are over soon in simulated time only")
    def test_a_late_move_tells_what_slowed_it_down(self, scene: Scene) -> None:
        configure(scene, parallelOutboundMigrationsPerNode=4, parallelMigrationsPerCluster=8)
        configure(scene, completionTimeoutPerGiB=800)
        set_model(scene.cluster, link_bytes_per_second="5e7")
        keys = neighbours(scene, 2, "app")
        plan = scene.plan({"non-critical": [(key, free_target(scene, key)) for key in keys]})
        result = scene.run(plan, max_per_target=4)
        items = [move_of(result, "m1"), move_of(result, "m2")]
        assert [item["status"] for item in items] == ["succeeded", "succeeded"], result.get("msg")
        assert "network_saturation" in [each["symptom"] for item in items for each in item["diagnoses"]]


def free_target(scene: Scene, key: str) -> str:
    """One of the emptiest nodes, on which the VM is not."""
    return next(name for name in ("worker-12", "worker-11") if name != scene.node_of(key))


class changed_node:
    """A node is changed inside of the block."""

    def __init__(self, scene: Scene, name: str, change: Obj, back: Obj) -> None:
        path = f"/api/v1/nodes/{name}"
        self._do: Callable[[], Any] = lambda: scene.client.patch(path, change)
        self._undo: Callable[[], Any] = lambda: scene.client.patch(path, back)

    def __enter__(self) -> None:
        assert self._do().status == 200

    def __exit__(self, *_error: object) -> None:
        assert self._undo().status == 200
