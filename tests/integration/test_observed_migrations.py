"""Migrations as observed on a real control plane, seen over HTTP: phases, limits, cancelling, failing, evicting."""

from __future__ import annotations

import contextlib
import itertools
import time
from collections.abc import Iterator
from typing import Any

import pytest
from simcluster.scenarios.values import DIRTY_RATE_ANNOTATION
from simcluster.testing import Client, RunningCluster
from support.start import REAL, start_cluster
from support.waiting import eventually, set_faults, set_model

Obj = dict[str, Any]
KUBEVIRT = "/apis/kubevirt.io/v1"
HCO = "/apis/hco.kubevirt.io/v1/namespaces/openshift-cnv/hyperconvergeds/kubevirt-hyperconverged"
KUBEVIRT_CR = f"{KUBEVIRT}/namespaces/openshift-cnv/kubevirts/kubevirt-kubevirt-hyperconverged"
PHASES = ["Pending", "Scheduling", "Scheduled", "PreparingTarget", "TargetReady", "Running", "Succeeded"]
FINAL = ("Succeeded", "Failed")
# a real clock is not sped up: there copies, writing guests and time limits are that much quicker
QUICKER = 10 if REAL else 1
_names = itertools.count(1)


@pytest.fixture(scope="module")
def cluster() -> Iterator[RunningCluster]:
    with start_cluster("small", time_scale=40, tls=False) as running:
        yield running


@pytest.fixture
def api(cluster: RunningCluster) -> Client:
    return cluster.client()


def vmi_path(namespace: str, name: str) -> str:
    return f"{KUBEVIRT}/namespaces/{namespace}/virtualmachineinstances/{name}"


def vm_path(namespace: str, name: str) -> str:
    return f"{KUBEVIRT}/namespaces/{namespace}/virtualmachines/{name}"


def migrations_path(namespace: str, name: str = "") -> str:
    path = f"{KUBEVIRT}/namespaces/{namespace}/virtualmachineinstancemigrations"
    return f"{path}/{name}" if name else path


def migrate(api: Client, namespace: str, vmi: str, annotations: Obj | None = None, **spec: Any) -> str:
    """Creates a migration; returns its name."""
    name = f"m{next(_names)}"
    body = {
        "apiVersion": "kubevirt.io/v1",
        "kind": "VirtualMachineInstanceMigration",
        "metadata": {"name": name, "annotations": annotations or {}},
        "spec": {"vmiName": vmi, **spec},
    }
    answer = api.post(migrations_path(namespace), body)
    assert answer.status == 201, answer.body
    return name


def finished(api: Client, namespace: str, name: str, seconds: float = 20.0) -> Obj:
    """The migration once its finalizer is gone."""
    return eventually(
        lambda: api.get(migrations_path(namespace, name)).json(),
        lambda obj: obj.get("status", {}).get("phase") in FINAL and not obj["metadata"].get("finalizers"),
        seconds,
    )


def events(api: Client, namespace: str, name: str) -> list[str]:
    return [
        f"{each['type']} {each['reason']}: {each['message']}"
        for each in api.get(f"/api/v1/namespaces/{namespace}/events").json()["items"]
        if each["involvedObject"]["name"] == name
    ]


# what hangs is not given up
PATIENT = {"progressTimeout": 0, "completionTimeoutPerGiB": 0}


@contextlib.contextmanager
def settings(api: Client, **config: Any) -> Iterator[None]:
    """The cluster's migration settings are others in this block."""
    migrations = lambda: api.get(KUBEVIRT_CR).json()["spec"]["configuration"]["migrations"]  # noqa: E731
    before = {name: migrations()[name] for name in config}

    def write(values: Obj) -> None:
        assert api.patch(HCO, {"spec": {"virtualization": {"liveMigrationConfig": values}}}).status == 200
        eventually(migrations, lambda found: values.items() <= found.items())
        time.sleep(0.1)

    write(config)
    try:
        yield
    finally:
        write(before)


def other_node(api: Client, node: str) -> str:
    """The emptiest node of the scenario that is not this one."""
    return "worker-12" if node != "worker-12" else "worker-11"


class TestSuccess:
    def test_every_phase_in_order_and_the_state_at_the_end(self, api: Client) -> None:
        vmi = api.get(vmi_path("shop", "app-01")).json()
        source = vmi["status"]["nodeName"]
        target = other_node(api, source)
        name = migrate(api, "shop", "app-01", addedNodeSelector={"kubernetes.io/hostname": target})
        seen: list[str] = []
        first_final: Obj = {}
        for event in api.watch(migrations_path("shop"), fieldSelector=f"metadata.name={name}", timeoutSeconds="20"):
            obj = event["object"]
            status = obj.get("status") or {}
            phase = status.get("phase")
            if phase and (not seen or seen[-1] != phase):
                seen.append(phase)
            if phase == "Succeeded":
                first_final = first_final or obj
                if not obj["metadata"].get("finalizers"):
                    break
        assert seen == PHASES
        # the state comes after the phase, the finalizer goes last
        assert list(first_final["status"]["migrationState"]) == ["sourcePod"]
        assert first_final["metadata"]["finalizers"]
        stamps = [each["phase"] for each in obj["status"]["phaseTransitionTimestamps"]]
        assert stamps == PHASES
        state = obj["status"]["migrationState"]
        assert (state["sourceNode"], state["targetNode"]) == (source, target)
        assert state["completed"] is True and not state.get("failed")
        assert state["startTimestamp"] <= state["endTimestamp"]
        assert state["migrationConfiguration"]["parallelMigrationsPerCluster"] == 5

        moved = eventually(
            lambda: api.get(vmi_path("shop", "app-01")).json(),
            lambda obj: "kubevirt.io/migrationTargetNodeName" not in obj["metadata"]["labels"],
        )
        assert moved["status"]["nodeName"] == moved["metadata"]["labels"]["kubevirt.io/nodeName"] == target
        assert moved["status"]["phase"] == "Running"
        assert moved["status"]["migrationState"]["migrationUid"] == obj["metadata"]["uid"]
        assert sorted(moved["status"]["activePods"].values()) == sorted([source, target])
        machine = api.get(vm_path("shop", "app-01")).json()
        assert machine["status"]["printableStatus"] == "Running"

        pods = eventually(
            lambda: {
                pod["spec"]["nodeName"]: pod
                for pod in api.items("/api/v1/namespaces/shop/pods", labelSelector="vm.kubevirt.io/name=app-01")
            },
            lambda found: found[source]["status"]["phase"] == "Succeeded",
        )
        assert pods[target]["status"]["phase"] == "Running"
        assert pods[target]["metadata"]["labels"]["kubevirt.io/nodeName"] == target
        assert "kubevirt.io/migration-target-ready-timestamp" in pods[target]["metadata"]["annotations"]
        said = events(api, "shop", name)
        assert any(each.startswith("Normal SuccessfulCreate: Created migration target pod") for each in said)
        assert "Normal SuccessfulMigration: Source node reported migration succeeded" in said

    def test_printable_status_is_migrating_while_memory_is_copied(self, api: Client) -> None:
        seen = []
        migrate(api, "databases", "database-01")
        for event in api.watch(
            f"{KUBEVIRT}/namespaces/databases/virtualmachines",
            fieldSelector="metadata.name=database-01",
            timeoutSeconds="20",
        ):
            printable = event["object"]["status"]["printableStatus"]
            seen.append(printable)
            if "Migrating" in seen and printable == "Running":
                break
        assert [each for each, _ in itertools.groupby(seen)] == ["Running", "Migrating", "Running"]

    def test_cluster_limit_holds(self, api: Client) -> None:
        """Six nodes, one each: no more than five run at any time, all end well."""
        chosen = {}
        for vmi in api.items(f"{KUBEVIRT}/namespaces/shop/virtualmachineinstances"):
            if vmi["metadata"]["name"].startswith("web-"):
                chosen.setdefault(vmi["status"]["nodeName"], vmi["metadata"]["name"])
        version = api.get(migrations_path("shop")).json()["metadata"]["resourceVersion"]
        names = {migrate(api, "shop", vmi): vmi for vmi in list(chosen.values())[:8]}
        assert len(names) > 5
        active: set[str] = set()
        done: set[str] = set()
        most = 0
        for event in api.watch(migrations_path("shop"), resourceVersion=version, timeoutSeconds="30"):
            name = event["object"]["metadata"]["name"]
            phase = (event["object"].get("status") or {}).get("phase")
            if name not in names:
                continue
            if phase in FINAL:
                assert phase == "Succeeded"
                active.discard(name)
                done.add(name)
            elif phase not in (None, "Pending"):
                active.add(name)
            most = max(most, len(active))
            if len(done) == len(names):
                break
        assert most == 5
        assert len(done) == len(names)

    def test_node_limit_holds(self, api: Client) -> None:
        """Three from one node: one after the other, the others pending without a word."""
        vmis = api.items(f"{KUBEVIRT}/virtualmachineinstances")
        by_node: dict[str, list[Obj]] = {}
        for vmi in vmis:
            migratable = any(
                e["type"] == "LiveMigratable" and e["status"] == "True" for e in vmi["status"]["conditions"]
            )
            if migratable and vmi["metadata"]["namespace"] == "shop":
                by_node.setdefault(vmi["status"]["nodeName"], []).append(vmi)
        three = max(by_node.values(), key=len)[:3]
        names = [migrate(api, "shop", vmi["metadata"]["name"]) for vmi in three]
        most = 0
        deadline = time.monotonic() + 20
        while True:
            found = [each for each in api.items(migrations_path("shop")) if each["metadata"]["name"] in names]
            phases = [(each.get("status") or {}).get("phase") for each in found]
            most = max(most, sum(phase in PHASES[1:-1] for phase in phases))
            assert all(not each["status"].get("conditions") for each in found if each.get("status"))
            if all(phase == "Succeeded" for phase in phases):
                break
            assert time.monotonic() < deadline, phases
        assert most == 1

    def test_only_five_finished_ones_are_kept(self, api: Client) -> None:
        names = []
        for _ in range(7):
            name = migrate(api, "lab", "rerun-01")
            names.append(name)
            assert finished(api, "lab", name)["status"]["phase"] == "Succeeded"
        left = eventually(
            lambda: [
                each["metadata"]["name"]
                for each in api.items(migrations_path("lab"), labelSelector="kubevirt.io/vmi-name=rerun-01")
            ],
            lambda found: len(found) == 5,
        )
        assert set(left) == set(names[2:])
        # the dead pods of the deleted ones go with them: five sources and the one that runs are left
        eventually(
            lambda: api.items("/api/v1/namespaces/lab/pods", labelSelector="vm.kubevirt.io/name=rerun-01"),
            lambda pods: sorted(pod["status"]["phase"] for pod in pods) == ["Running"] + ["Succeeded"] * 5,
        )


class TestCancel:
    def test_while_pending(self, api: Client) -> None:
        with settings(api, parallelMigrationsPerCluster=0):
            name = migrate(api, "shop", "cache-01")
            eventually(
                lambda: api.get(migrations_path("shop", name)).json(),
                lambda obj: (obj.get("status") or {}).get("phase") == "Pending",
            )
            assert api.delete(migrations_path("shop", name)).json()["metadata"]["deletionTimestamp"]
            eventually(lambda: api.get(migrations_path("shop", name)).status, lambda code: code == 404)

    def test_while_scheduling(self, api: Client) -> None:
        name = migrate(api, "shop", "cache-01", addedNodeSelector={"kubernetes.io/hostname": "nowhere"})
        eventually(
            lambda: api.get(migrations_path("shop", name)).json(),
            lambda obj: (obj.get("status") or {}).get("phase") == "Scheduling",
        )
        api.delete(migrations_path("shop", name))
        eventually(lambda: api.get(migrations_path("shop", name)).status, lambda code: code == 404)
        said = eventually(lambda: events(api, "shop", name), lambda found: len(found) >= 3)
        assert "Warning FailedMigration: Migration failed due to being canceled" in said
        assert any("Normal SuccessfulDelete: migration canceled and pod" in each for each in said)
        pods = api.items("/api/v1/namespaces/shop/pods", labelSelector="vm.kubevirt.io/name=cache-01")
        assert [pod["status"]["phase"] for pod in pods if not pod["metadata"].get("deletionTimestamp")] == ["Running"]

    def test_while_running(self, api: Client, cluster: RunningCluster) -> None:
        set_faults(cluster, {"vm": "shop/cache-02", "effect": "hang"})
        node = api.get(vmi_path("shop", "cache-02")).json()["status"]["nodeName"]
        with settings(api, **PATIENT):
            name = migrate(api, "shop", "cache-02")
            eventually(
                lambda: api.get(migrations_path("shop", name)).json(),
                lambda obj: (obj.get("status") or {}).get("phase") == "Running",
            )
            api.delete(migrations_path("shop", name))
        eventually(lambda: api.get(migrations_path("shop", name)).status, lambda code: code == 404)
        vmi = api.get(vmi_path("shop", "cache-02")).json()
        state = vmi["status"]["migrationState"]
        assert (state["abortRequested"], state["abortStatus"]) == (True, "Succeeded")
        assert (state["failed"], state["completed"]) == (True, True)
        assert state["failureReason"] == "Live migration has been aborted"
        assert (vmi["status"]["nodeName"], vmi["status"]["phase"]) == (node, "Running")
        set_faults(cluster)

    def test_before_it_runs_takes_effect_when_it_does(self, api: Client, cluster: RunningCluster) -> None:
        # the copy must not be over before it can be aborted
        set_model(cluster, prepare_target_seconds="30", stream_bytes_per_second="1e7")
        name = migrate(api, "shop", "web-24")
        eventually(
            lambda: api.get(migrations_path("shop", name)).json(),
            lambda obj: (obj.get("status") or {}).get("phase") == "PreparingTarget",
        )
        seen = []
        version = api.get(migrations_path("shop")).json()["metadata"]["resourceVersion"]
        api.delete(migrations_path("shop", name))
        for event in api.watch(migrations_path("shop"), resourceVersion=version, timeoutSeconds="20"):
            if event["object"]["metadata"]["name"] == name:
                status = event["object"]["status"]
                conditions = [each["type"] for each in status.get("conditions") or []]
                seen.append((event["type"], status["phase"], conditions))
                if event["type"] == "DELETED":
                    break
        aborted = ["migrationAbortRequested"]
        assert ("MODIFIED", "PreparingTarget", aborted) in seen
        assert ("MODIFIED", "Running", aborted) in seen
        assert seen[-1] == ("DELETED", "Failed", aborted)
        state = api.get(vmi_path("shop", "web-24")).json()["status"]["migrationState"]
        assert (state["failed"], state["abortStatus"]) == (True, "Succeeded")
        set_model(cluster)


class TestSlowCopy:
    """A guest that dirties its memory faster than the link carries it."""

    @pytest.fixture
    def slow(self, cluster: RunningCluster) -> Iterator[None]:
        set_model(cluster, quickened_by=QUICKER, stream_bytes_per_second="2e8")
        path = vmi_path("shop", "cache-01")
        writes = int(cluster.client().get(path).json()["metadata"]["annotations"][DIRTY_RATE_ANNOTATION])
        annotations = {DIRTY_RATE_ANNOTATION: str(writes * QUICKER)}
        assert cluster.client().patch(path, {"metadata": {"annotations": annotations}}).status == 200
        yield
        annotations[DIRTY_RATE_ANNOTATION] = str(writes)
        assert cluster.client().patch(path, {"metadata": {"annotations": annotations}}).status == 200
        set_model(cluster)

    def policy(self, api: Client, name: str, **spec: Any) -> None:
        body = {
            "apiVersion": "migrations.kubevirt.io/v1alpha1",
            "kind": "MigrationPolicy",
            "metadata": {"name": name},
            "spec": {
                "selectors": {"virtualMachineInstanceSelector": {"ocpv.scale/workload": "caching"}},
                "completionTimeoutPerGiB": 10 // QUICKER,
                **spec,
            },
        }
        assert api.post("/apis/migrations.kubevirt.io/v1alpha1/migrationpolicies", body).status == 201

    @pytest.mark.parametrize(
        ("spec", "phase", "mode"),
        [
            ({}, "Failed", "PreCopy"),
            ({"allowPostCopy": True}, "Succeeded", "PostCopy"),
            ({"allowWorkloadDisruption": True}, "Succeeded", "Paused"),
            ({"allowAutoConverge": True, "completionTimeoutPerGiB": 100 // QUICKER}, "Succeeded", "PreCopy"),
        ],
    )
    def test_ends_as_the_policy_allows(self, api: Client, slow: None, spec: Obj, phase: str, mode: str) -> None:
        self.policy(api, "caching", **spec)
        try:
            obj = finished(api, "shop", migrate(api, "shop", "cache-01"), 40.0)
        finally:
            api.delete("/apis/migrations.kubevirt.io/v1alpha1/migrationpolicies/caching")
        state = obj["status"]["migrationState"]
        assert (obj["status"]["phase"], state["mode"], state["migrationPolicyName"]) == (phase, mode, "caching")
        if phase == "Failed":
            assert state["failureReason"] == "Live migration has been aborted"


class TestFailure:
    def test_reported_by_the_source(self, api: Client, cluster: RunningCluster) -> None:
        set_faults(cluster, {"vm": "shop/cache-03", "effect": "fail", "reason": "no route to host", "times": 1})
        obj = finished(api, "shop", name := migrate(api, "shop", "cache-03"))
        assert obj["status"]["phase"] == "Failed"
        assert obj["status"]["migrationState"]["failureReason"] == "no route to host"
        assert not obj["status"].get("conditions")
        said = eventually(lambda: events(api, "shop", name), lambda found: any("FailedMigration" in e for e in found))
        assert "Warning FailedMigration: source node reported migration failed" in said
        vmi = api.get(vmi_path("shop", "cache-03")).json()
        assert vmi["status"]["nodeName"] == obj["status"]["migrationState"]["sourceNode"]
        # once only: the next one works
        assert finished(api, "shop", migrate(api, "shop", "cache-03"))["status"]["phase"] == "Succeeded"
        set_faults(cluster)

    def test_no_node_for_the_target_in_time(self, api: Client) -> None:
        name = migrate(
            api,
            "shop",
            "cache-04",
            {"kubevirt.io/migrationUnschedulablePodTimeoutSeconds": "5" if REAL else "20"},
            addedNodeSelector={"kubernetes.io/hostname": "nowhere"},
        )
        obj = finished(api, "shop", name)
        assert obj["status"]["phase"] == "Failed"
        assert list(obj["status"]["migrationState"]) == ["sourcePod"]
        said = eventually(lambda: events(api, "shop", name), lambda found: len(found) >= 4)
        assert "Warning FailedMigration: Migration target pod was removed during active migration." in said
        assert any("migrationTargetPodUnschedulable: Migration target pod for VMI [shop/cache-04]" in e for e in said)
        assert any("timeout period exceeded" in each for each in said)

    def test_stuck_copy_is_given_up_after_the_progress_timeout(self, api: Client, cluster: RunningCluster) -> None:
        set_faults(cluster, {"vm": "shop/cache-05", "effect": "hang"})
        with settings(api, progressTimeout=10):
            obj = finished(api, "shop", migrate(api, "shop", "cache-05"))
        state = obj["status"]["migrationState"]
        assert (obj["status"]["phase"], state["failureReason"]) == ("Failed", "Live migration has been aborted")
        set_faults(cluster)

    def test_target_pod_that_goes_away(self, api: Client, cluster: RunningCluster) -> None:
        set_faults(cluster, {"vm": "shop/cache-06", "effect": "hang"})
        with settings(api, **PATIENT):
            name = migrate(api, "shop", "cache-06")
            vmi = eventually(
                lambda: api.get(vmi_path("shop", "cache-06")).json(),
                lambda obj: (obj["status"].get("migrationState") or {}).get("startTimestamp"),
            )
            target = vmi["status"]["migrationState"]["targetPod"]
            api.delete(f"/api/v1/namespaces/shop/pods/{target}")
            obj = finished(api, "shop", name)
        assert obj["status"]["phase"] == "Failed"
        assert obj["status"]["migrationState"]["failureReason"] == "Target pod is down"
        assert api.get(vmi_path("shop", "cache-06")).json()["status"]["phase"] == "Running"
        set_faults(cluster)

    def test_instance_that_is_stopped_meanwhile(self, api: Client, cluster: RunningCluster) -> None:
        set_faults(cluster, {"vm": "shop/app-20", "effect": "hang"})
        with settings(api, **PATIENT):
            name = migrate(api, "shop", "app-20")
            eventually(
                lambda: api.get(migrations_path("shop", name)).json(),
                lambda obj: (obj.get("status") or {}).get("phase") == "Running",
            )
            stop = "/apis/subresources.kubevirt.io/v1/namespaces/shop/virtualmachines/app-20/stop"
            assert api.put(stop, {}).status == 202
        eventually(lambda: api.get(migrations_path("shop", name)).status, lambda code: code == 404)
        eventually(lambda: api.get(vmi_path("shop", "app-20")).status, lambda code: code == 404)
        said = events(api, "shop", name)
        assert "Warning FailedMigration: Migration failed vmi shutdown during migration." in said
        set_faults(cluster)


class TestEviction:
    def test_of_a_launcher_moves_its_instance(self, api: Client) -> None:
        vmi = api.get(vmi_path("shop", "app-05")).json()
        node = vmi["status"]["nodeName"]
        pods = api.items("/api/v1/namespaces/shop/pods", labelSelector="vm.kubevirt.io/name=app-05")
        (pod,) = [each for each in pods if each["status"]["phase"] == "Running"]
        name = pod["metadata"]["name"]
        body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name, "namespace": "shop"}}
        answer = api.post(f"/api/v1/namespaces/shop/pods/{name}/eviction", body)
        assert answer.status == 429
        assert 'Eviction triggered evacuation of VMI "shop/app-05"' in answer.json()["message"]
        (migration,) = eventually(
            lambda: api.items(migrations_path("shop"), labelSelector="kubevirt.io/vmi-name=app-05"),
            lambda found: len(found) == 1,
        )
        assert migration["metadata"]["name"].startswith("kubevirt-evacuation-")
        assert migration["metadata"]["annotations"]["kubevirt.io/evacuationMigration"] == node
        assert migration["spec"]["priority"] == "system-critical"
        moved = eventually(
            lambda: api.get(vmi_path("shop", "app-05")).json(),
            lambda obj: obj["status"]["nodeName"] != node,
        )
        assert "evacuationNodeName" not in moved["status"]

    def test_overtakes_what_others_have_asked_for(self, api: Client, cluster: RunningCluster) -> None:
        """One slot: an evacuation that comes last is the next to get it."""
        set_model(cluster, stream_bytes_per_second="5e7")
        try:
            with settings(api, parallelMigrationsPerCluster=1):
                self.evict_behind(api)
        finally:
            set_model(cluster)

    def evict_behind(self, api: Client) -> None:
        version = api.get(migrations_path("shop")).json()["metadata"]["resourceVersion"]
        mine = [migrate(api, "shop", f"web-{number:02d}") for number in range(10, 15)]
        eventually(
            lambda: [(e.get("status") or {}).get("phase") for e in api.items(migrations_path("shop"))],
            lambda phases: "Running" in phases,
        )
        pods = api.items("/api/v1/namespaces/shop/pods", labelSelector="vm.kubevirt.io/name=web-20")
        (pod,) = [each["metadata"]["name"] for each in pods if each["status"]["phase"] == "Running"]
        body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod}}
        assert api.post(f"/api/v1/namespaces/shop/pods/{pod}/eviction", body).status == 429
        started: list[str] = []
        ended: set[str] = set()
        for event in api.watch(migrations_path("shop"), resourceVersion=version, timeoutSeconds="90"):
            name, status = event["object"]["metadata"]["name"], event["object"].get("status") or {}
            if status.get("phase") == "Scheduling" and name not in started:
                started.append(name)
            if status.get("phase") == "Succeeded":
                ended.add(name)
            if len(ended) == len(mine) + 1:
                break
        assert started[1].startswith("kubevirt-evacuation-")
        assert set(started) - {started[1]} == set(mine)

    def test_is_told_while_it_lasts_and_repeated_after_a_failure(self, api: Client, cluster: RunningCluster) -> None:
        set_faults(cluster, {"vm": "shop/app-06", "effect": "fail", "after_seconds": 20, "times": 1})
        set_model(cluster, stream_bytes_per_second="1e7")
        pods = api.items("/api/v1/namespaces/shop/pods", labelSelector="vm.kubevirt.io/name=app-06")
        (pod,) = [each for each in pods if each["status"]["phase"] == "Running"]
        path = f"/api/v1/namespaces/shop/pods/{pod['metadata']['name']}"
        body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod["metadata"]["name"]}}
        assert api.post(f"{path}/eviction", body).status == 429
        again = api.post(f"{path}/eviction", body)
        assert "Evacuation in progress: Eviction triggered evacuation" in again.json()["message"]
        machine = eventually(
            lambda: api.get(vm_path("shop", "app-06")).json(),
            lambda obj: any(each["type"] == "EvictionRequested" for each in obj["status"]["conditions"]),
        )
        assert machine["status"]["created"]
        mark = "descheduler.alpha.kubernetes.io/eviction-in-progress"
        eventually(lambda: api.get(path).json()["metadata"]["annotations"], lambda found: found.get(mark) == "true")
        eventually(
            lambda: [
                each.get("status", {}).get("phase")
                for each in api.items(migrations_path("shop"), labelSelector="kubevirt.io/vmi-name=app-06")
            ],
            lambda phases: sorted(map(str, phases)) == ["Failed", "Pending"],
        )
        set_model(cluster)
        set_faults(cluster)
        eventually(
            lambda: api.get(vmi_path("shop", "app-06")).json()["status"]["nodeName"],
            lambda node: node != pod["spec"]["nodeName"],
        )
        said = events(api, "shop", "app-06")
        assert "Warning MigrationBackoff: backoff migrating vmi shop/app-06" in said
        machine = eventually(
            lambda: api.get(vm_path("shop", "app-06")).json(),
            lambda obj: all(each["type"] != "EvictionRequested" for each in obj["status"]["conditions"]),
        )
        assert machine["status"]["ready"]

    def test_drain_taint_empties_a_node(self, api: Client) -> None:
        node = "/api/v1/nodes/worker-11"
        taint = {"key": "kubevirt.io/drain", "effect": "NoSchedule"}
        assert api.patch(node, {"spec": {"taints": [taint], "unschedulable": True}}).status == 200
        try:
            eventually(
                lambda: [
                    each["metadata"]["name"]
                    for each in api.items(f"{KUBEVIRT}/virtualmachineinstances")
                    if each["status"]["nodeName"] == "worker-11"
                    and each["spec"].get("evictionStrategy") in ("LiveMigrate", "LiveMigrateIfPossible")
                    and any(
                        e["type"] == "LiveMigratable" and e["status"] == "True" for e in each["status"]["conditions"]
                    )
                ],
                lambda left: not left,
                40.0,
            )
            taints = [each["key"] for each in api.get(node).json()["spec"]["taints"]]
            assert sorted(taints) == ["kubevirt.io/drain", "node.kubernetes.io/unschedulable"]
        finally:
            api.patch(node, {"spec": {"taints": None, "unschedulable": None}})


@pytest.mark.simulated("a node is known to be lost only after minutes")
class TestNodes:
    def test_target_that_dies_fails_the_migration_and_the_machine_stays(
        self, cluster: RunningCluster, api: Client
    ) -> None:
        set_faults(cluster, {"vm": "shop/portal-01", "effect": "kill-target"})
        obj = finished(api, "shop", migrate(api, "shop", "portal-01"), 40.0)
        state = obj["status"]["migrationState"]
        assert obj["status"]["phase"] == "Failed"
        assert "connection timed out" in state["failureReason"]
        assert api.get(vmi_path("shop", "portal-01")).json()["status"]["nodeName"] == state["sourceNode"]
        node = f"/api/v1/nodes/{state['targetNode']}"
        ready = lambda: next(  # noqa: E731
            each["status"] for each in api.get(node).json()["status"]["conditions"] if each["type"] == "Ready"
        )
        eventually(ready, lambda status: status == "Unknown")
        eventually(
            lambda: api.get(node).json()["metadata"]["labels"]["kubevirt.io/schedulable"],
            lambda label: label == "false",
        )
        set_faults(cluster)
        eventually(ready, lambda status: status == "True")
        eventually(
            lambda: api.get(node).json()["metadata"]["labels"]["kubevirt.io/schedulable"],
            lambda label: label == "true",
        )
        assert not (api.get(node).json()["spec"].get("taints") or [])
