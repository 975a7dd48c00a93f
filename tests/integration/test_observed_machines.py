"""Life of machines, storage, nodes and operators from outside: real HTTP against a simulated cluster."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from simcluster.testing import Client, RunningCluster
from support.start import start_cluster
from support.waiting import eventually

Obj = dict[str, Any]
KUBEVIRT = "/apis/kubevirt.io/v1"
HCO = "/apis/hco.kubevirt.io/v1/namespaces/openshift-cnv/hyperconvergeds/kubevirt-hyperconverged"
KUBEVIRT_CR = f"{KUBEVIRT}/namespaces/openshift-cnv/kubevirts/kubevirt-kubevirt-hyperconverged"
_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def cluster() -> Iterator[RunningCluster]:
    with start_cluster("small", time_scale=40, tls=False) as running:
        yield running


@pytest.fixture
def api(cluster: RunningCluster) -> Client:
    return cluster.client()


def vm_path(name: str = "", namespace: str = "lab") -> str:
    return f"{KUBEVIRT}/namespaces/{namespace}/virtualmachines" + (f"/{name}" if name else "")


def vmi_path(name: str, namespace: str = "lab") -> str:
    return f"{KUBEVIRT}/namespaces/{namespace}/virtualmachineinstances/{name}"


def verb(api: Client, name: str, what: str, body: Obj | None = None, namespace: str = "lab") -> int:
    path = f"/apis/subresources.kubevirt.io/v1/namespaces/{namespace}/virtualmachines/{name}/{what}"
    return api.put(path, body or {}).status


def printable(api: Client, name: str, wanted: str, namespace: str = "lab") -> Obj:
    """The machine once its printable status is that."""
    return eventually(
        lambda: api.get(vm_path(name, namespace)).json(),
        lambda obj: obj.get("status", {}).get("printableStatus") == wanted,
    )


def new_machine(api: Client, strategy: str = "Always", **spec: Any) -> str:
    """Creates a small machine without volumes; returns its name."""
    name = f"vm{next(_numbers)}"
    template = {
        "metadata": {"labels": {"app": name}},
        "spec": {
            "domain": {"memory": {"guest": "256Mi"}, "devices": {}},
            "terminationGracePeriodSeconds": 1,
            **spec.pop("template", {}),
        },
    }
    body = {
        "apiVersion": "kubevirt.io/v1",
        "kind": "VirtualMachine",
        "metadata": {"name": name, "namespace": "lab"},
        "spec": {"runStrategy": strategy, "template": template, **spec},
    }
    answer = api.post(vm_path(), body)
    assert answer.status == 201, answer.body
    return name


def condition(obj: Obj, kind: str) -> Obj:
    return next((each for each in obj["status"].get("conditions") or [] if each["type"] == kind), {})


class TestRunStrategies:
    def test_always_starts_and_is_complete(self, api: Client) -> None:
        name = new_machine(api)
        machine = printable(api, name, "Running")
        assert machine["metadata"]["finalizers"] == ["kubevirt.io/virtualMachineControllerFinalize"]
        eventually(lambda: api.get(vm_path(name)).json(), lambda obj: obj["status"].get("ready"))
        vmi = api.get(vmi_path(name)).json()
        status = vmi["status"]
        assert [each["phase"] for each in status["phaseTransitionTimestamps"]] == [
            "Pending",
            "Scheduling",
            "Scheduled",
            "Running",
        ]
        assert condition(vmi, "LiveMigratable")["status"] == condition(vmi, "Ready")["status"] == "True"
        assert vmi["metadata"]["labels"]["kubevirt.io/nodeName"] == status["nodeName"]
        assert list(status["activePods"].values()) == [status["nodeName"]]
        assert vmi["spec"]["evictionStrategy"] == "LiveMigrate"
        assert vmi["spec"]["domain"]["cpu"]["model"] == "host-model"
        assert vmi["spec"]["domain"]["memory"]["maxGuest"] == "1Gi"

    def test_stop_start_and_restart(self, api: Client) -> None:
        name = new_machine(api)
        printable(api, name, "Running")
        assert verb(api, name, "stop") == 202
        machine = printable(api, name, "Stopped")
        assert machine["spec"]["runStrategy"] == "Halted"
        assert api.get(vmi_path(name)).status == 404
        assert verb(api, name, "stop") == 409
        assert verb(api, name, "start") == 202
        machine = printable(api, name, "Running")
        assert machine["spec"]["runStrategy"] == "Always"
        uid = api.get(vmi_path(name)).json()["metadata"]["uid"]
        assert verb(api, name, "restart") == 202
        eventually(
            lambda: api.get(vmi_path(name)).json(),
            lambda obj: obj.get("metadata", {}).get("uid", uid) != uid and obj["status"]["phase"] == "Running",
        )
        machine = printable(api, name, "Running")
        assert machine["spec"]["runStrategy"] == "Always"
        assert "stateChangeRequests" not in machine["status"]

    def test_manual_waits_for_requests(self, api: Client) -> None:
        name = new_machine(api, "Manual")
        printable(api, name, "Stopped")
        time.sleep(0.2)
        assert api.get(vmi_path(name)).status == 404
        assert verb(api, name, "start") == 202
        printable(api, name, "Running")
        assert verb(api, name, "stop") == 202
        machine = printable(api, name, "Stopped")
        assert machine["spec"]["runStrategy"] == "Manual"
        time.sleep(0.2)
        assert api.get(vmi_path(name)).status == 404

    def test_once_turns_into_always_by_stop_and_start(self, api: Client) -> None:
        name = new_machine(api, "Once")
        printable(api, name, "Running")
        verb(api, name, "stop")
        printable(api, name, "Stopped")
        verb(api, name, "start")
        assert printable(api, name, "Running")["spec"]["runStrategy"] == "Always"
        assert api.patch(vm_path(name), {"spec": {"runStrategy": "Once"}}).status == 200
        time.sleep(0.2)
        assert printable(api, name, "Running")["status"]["runStrategy"] == "Once"

    def test_always_comes_back_when_its_pod_is_deleted(self, api: Client) -> None:
        name = new_machine(api)
        printable(api, name, "Running")
        uid = api.get(vmi_path(name)).json()["metadata"]["uid"]
        (pod,) = api.items("/api/v1/namespaces/lab/pods", labelSelector=f"vm.kubevirt.io/name={name}")
        api.delete(f"/api/v1/namespaces/lab/pods/{pod['metadata']['name']}")
        eventually(
            lambda: api.get(vmi_path(name)).json(),
            lambda obj: obj.get("metadata", {}).get("uid", uid) != uid and obj["status"].get("phase") == "Running",
        )

    def test_deleted_machine_goes_with_all_it_owns(self, api: Client) -> None:
        name = new_machine(api)
        printable(api, name, "Running")
        answer = api.delete(vm_path(name))
        assert answer.json()["metadata"]["deletionTimestamp"]
        eventually(lambda: api.get(vm_path(name)).status, lambda code: code == 404)
        assert api.get(vmi_path(name)).status == 404
        assert api.items("/api/v1/namespaces/lab/pods", labelSelector=f"vm.kubevirt.io/name={name}") == []


class TestTrouble:
    def test_no_node_is_good_enough(self, api: Client) -> None:
        name = new_machine(api, template={"nodeSelector": {"no": "where"}})
        machine = printable(api, name, "ErrorUnschedulable")
        scheduled = condition(machine, "PodScheduled")
        assert scheduled["reason"] == "Unschedulable"
        assert "node(s) didn't match Pod's node affinity/selector" in scheduled["message"]
        vmi = api.get(vmi_path(name)).json()
        assert vmi["status"]["phase"] == "Scheduling"
        api.patch(vm_path(name), {"spec": {"template": {"spec": {"nodeSelector": {"no": None}}}}})
        verb(api, name, "restart")
        printable(api, name, "Running")

    def test_missing_claim(self, api: Client) -> None:
        volume = {"name": "root", "persistentVolumeClaim": {"claimName": "later"}}
        domain = {"memory": {"guest": "256Mi"}, "devices": {"disks": [{"name": "root", "disk": {}}]}}
        name = new_machine(api, template={"domain": domain, "volumes": [volume]})
        printable(api, name, "ErrorPvcNotFound")
        claim = {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {"name": "later"},
            "spec": {
                "accessModes": ["ReadWriteOnce"],
                "storageClassName": "ocs-external-storagecluster-ceph-rbd",
                "resources": {"requests": {"storage": "1Gi"}},
            },
        }
        assert api.post("/api/v1/namespaces/lab/persistentvolumeclaims", claim).status == 201
        printable(api, name, "Running")
        bound = api.get("/api/v1/namespaces/lab/persistentvolumeclaims/later").json()
        assert bound["status"]["phase"] == "Bound"
        vmi = api.get(vmi_path(name)).json()
        assert condition(vmi, "LiveMigratable")["reason"] == "DisksNotLiveMigratable"
        assert "PVC later is not shared" in condition(vmi, "LiveMigratable")["message"]

    def test_quota_is_told_on_the_migration_and_forgotten(self, api: Client) -> None:
        quotas = "/api/v1/namespaces/development/resourcequotas"
        quota = {
            "apiVersion": "v1",
            "kind": "ResourceQuota",
            "metadata": {"name": "q"},
            "spec": {"hard": {"pods": "1"}},
        }
        assert api.post(quotas, quota).status == 201
        used = eventually(lambda: api.get(f"{quotas}/q").json().get("status"), bool)
        assert used == {"hard": {"pods": "1"}, "used": {"pods": "26"}}
        path = f"{KUBEVIRT}/namespaces/development/virtualmachineinstancemigrations"
        body = {
            "apiVersion": "kubevirt.io/v1",
            "kind": "VirtualMachineInstanceMigration",
            "metadata": {"name": "held"},
            "spec": {"vmiName": "build-01"},
        }
        assert api.post(path, body).status == 201
        held = eventually(lambda: api.get(f"{path}/held").json(), lambda obj: obj.get("status", {}).get("conditions"))
        assert held["status"]["phase"] == "Pending"
        assert [each["type"] for each in held["status"]["conditions"]] == ["migrationRejectedByResourceQuota"]
        assert api.delete(f"{quotas}/q").status == 200
        done = eventually(
            lambda: api.get(f"{path}/held").json(), lambda obj: obj["status"]["phase"] in ("Succeeded", "Failed")
        )
        assert (done["status"]["phase"], done["status"].get("conditions", [])) == ("Succeeded", [])


class TestLiveChanges:
    def test_placement_is_handed_on_without_a_restart(self, api: Client) -> None:
        name = new_machine(api)
        printable(api, name, "Running")
        tolerations = [{"key": "k", "operator": "Exists"}]
        patch = {"nodeSelector": {"kubernetes.io/os": "linux"}, "tolerations": tolerations}
        assert api.patch(vm_path(name), {"spec": {"template": {"spec": patch}}}).status == 200
        vmi = eventually(lambda: api.get(vmi_path(name)).json(), lambda obj: "nodeSelector" in obj["spec"])
        assert (vmi["spec"]["nodeSelector"], vmi["spec"]["tolerations"]) == (patch["nodeSelector"], tolerations)
        api.patch(vm_path(name), {"spec": {"template": {"spec": {"nodeSelector": None}}}})
        eventually(lambda: api.get(vmi_path(name)).json(), lambda obj: "nodeSelector" not in obj["spec"])
        assert condition(api.get(vm_path(name)).json(), "RestartRequired") == {}

    def test_other_changes_need_a_restart(self, api: Client) -> None:
        name = new_machine(api)
        printable(api, name, "Running")
        api.patch(vm_path(name), {"spec": {"template": {"spec": {"evictionStrategy": "None"}}}})
        machine = eventually(lambda: api.get(vm_path(name)).json(), lambda obj: condition(obj, "RestartRequired"))
        assert condition(machine, "RestartRequired")["message"] == (
            "a non-live-updatable field was changed in the template spec"
        )
        verb(api, name, "restart")
        eventually(lambda: api.get(vm_path(name)).json(), lambda obj: not condition(obj, "RestartRequired"))

    def test_pause_and_unpause(self, api: Client) -> None:
        name = new_machine(api)
        printable(api, name, "Running")
        path = f"/apis/subresources.kubevirt.io/v1/namespaces/lab/virtualmachineinstances/{name}"
        assert api.put(f"{path}/pause", {}).status == 202
        printable(api, name, "Paused")
        eventually(lambda: api.get(vm_path(name)).json(), lambda obj: obj["status"]["ready"] is False)
        assert api.put(f"{path}/unpause", {}).status == 202
        printable(api, name, "Running")
        eventually(lambda: api.get(vm_path(name)).json(), lambda obj: obj["status"]["ready"] is True)


class TestStorage:
    def test_machine_with_a_data_volume_template(self, api: Client) -> None:
        domain = {"memory": {"guest": "256Mi"}, "devices": {"disks": [{"name": "root", "disk": {}}]}}
        number = next(_numbers)
        disk = f"disk{number}"
        template = {
            "metadata": {"name": disk},
            "spec": {
                "source": {"blank": {}},
                "pvc": {
                    "accessModes": ["ReadWriteMany"],
                    "volumeMode": "Block",
                    "resources": {"requests": {"storage": "1Gi"}},
                },
            },
        }
        volumes = [{"name": "root", "dataVolume": {"name": disk}}]
        name = new_machine(api, template={"domain": domain, "volumes": volumes}, dataVolumeTemplates=[template])
        printable(api, name, "Provisioning")
        printable(api, name, "Running")
        claim = api.get(f"/api/v1/namespaces/lab/persistentvolumeclaims/{disk}").json()
        assert claim["spec"]["storageClassName"] == "ocs-external-storagecluster-ceph-rbd"
        assert claim["metadata"]["ownerReferences"][0]["kind"] == "DataVolume"
        vmi = api.get(vmi_path(name)).json()
        assert condition(vmi, "LiveMigratable")["status"] == "True"
        (volume,) = vmi["status"]["volumeStatus"]
        assert volume["persistentVolumeClaimInfo"]["accessModes"] == ["ReadWriteMany"]
        api.delete(vm_path(name))
        for path in (
            f"/apis/cdi.kubevirt.io/v1beta1/namespaces/lab/datavolumes/{disk}",
            f"/api/v1/namespaces/lab/persistentvolumeclaims/{disk}",
            f"/api/v1/persistentvolumes/{claim['spec']['volumeName']}",
        ):
            eventually(lambda path=path: api.get(path).status, lambda code: code == 404)

    def test_a_machine_that_runs_again_on_failure_only_still_starts_after_its_data(self, api: Client) -> None:
        disk = f"disk{next(_numbers)}"
        template = {
            "metadata": {"name": disk},
            "spec": {
                "source": {"blank": {}},
                "pvc": {"accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": "1Gi"}}},
            },
        }
        volumes = [{"name": "root", "dataVolume": {"name": disk}}]
        name = new_machine(api, "RerunOnFailure", template={"volumes": volumes}, dataVolumeTemplates=[template])
        printable(api, name, "Running")
        verb(api, name, "stop")
        printable(api, name, "Stopped")
        time.sleep(0.3)
        assert api.get(vmi_path(name)).status == 404


class TestOperators:
    def migrations(self, api: Client) -> Obj:
        return dict(api.get(KUBEVIRT_CR).json()["spec"]["configuration"]["migrations"])

    @pytest.mark.parametrize("version", ["v1", "v1beta1"])
    def test_limits_are_copied_whatever_the_version(self, api: Client, version: str) -> None:
        number = 6 if version == "v1" else 7
        config: Obj = {"liveMigrationConfig": {"parallelMigrationsPerCluster": number}}
        spec = {"virtualization": config} if version == "v1" else config
        answer = api.patch(HCO.replace("/v1/", f"/{version}/"), {"spec": spec})
        assert answer.status == 200 and not answer.warnings
        eventually(lambda: self.migrations(api), lambda found: found["parallelMigrationsPerCluster"] == number)
        done = eventually(
            lambda: api.get(HCO).json(),
            lambda obj: obj["status"]["observedGeneration"] == obj["metadata"]["generation"],
        )
        assert condition(done, "Available")["status"] == "True"
        kubevirt = eventually(
            lambda: api.get(KUBEVIRT_CR).json(),
            lambda obj: obj["status"]["observedGeneration"] == obj["metadata"]["generation"],
        )
        assert condition(kubevirt, "Progressing")["status"] == "False"

    def test_unset_brings_the_defaults_back(self, api: Client) -> None:
        config: Obj = {"bandwidthPerMigration": "64Mi", "completionTimeoutPerGiB": 800}
        assert api.patch(HCO, {"spec": {"virtualization": {"liveMigrationConfig": config}}}).status == 200
        eventually(lambda: self.migrations(api), lambda found: found.get("bandwidthPerMigration") == "64Mi")
        assert api.patch(HCO, {"spec": {"virtualization": {"liveMigrationConfig": None}}}).status == 200
        found = eventually(lambda: self.migrations(api), lambda found: "bandwidthPerMigration" not in found)
        assert (found["completionTimeoutPerGiB"], found["parallelMigrationsPerCluster"]) == (20, 5)

    def test_direct_changes_are_taken_back(self, api: Client) -> None:
        before = self.migrations(api)
        patch = {"migrations": {"progressTimeout": 9, "disableTLS": True}}
        answer = api.patch(KUBEVIRT_CR, {"spec": {"configuration": patch}})
        assert answer.json()["spec"]["configuration"]["migrations"]["progressTimeout"] == 9
        eventually(lambda: self.migrations(api), lambda found: found == before)

    def test_json_patch_annotation_taints(self, api: Client) -> None:
        operation = [{"op": "replace", "path": "/spec/configuration/migrations/progressTimeout", "value": 99}]
        annotations = {"kubevirt.kubevirt.io/jsonpatch": json.dumps(operation)}
        assert api.patch(HCO, {"metadata": {"annotations": annotations}}).status == 200
        eventually(lambda: self.migrations(api), lambda found: found["progressTimeout"] == 99)
        tainted = eventually(lambda: api.get(HCO).json(), lambda obj: condition(obj, "TaintedConfiguration"))
        assert condition(tainted, "TaintedConfiguration")["reason"] == "UnsupportedFeatureAnnotation"
        api.patch(HCO, {"metadata": {"annotations": {"kubevirt.kubevirt.io/jsonpatch": None}}})
        eventually(lambda: api.get(HCO).json(), lambda obj: not condition(obj, "TaintedConfiguration"))
        eventually(lambda: self.migrations(api), lambda found: found["progressTimeout"] == 150)

    @pytest.mark.simulated("every virt-handler takes ten seconds of a clock that is real there")
    def test_migration_network_rolls_virt_handler_out(self, api: Client) -> None:
        daemon_set = "/apis/apps/v1/namespaces/openshift-cnv/daemonsets/virt-handler"
        ipam = {"type": "whereabouts", "range": "10.200.5.0/24"}
        config = {"cniVersion": "0.3.1", "name": "fast", "type": "macvlan", "master": "ens2f0", "ipam": ipam}
        attachment = {
            "apiVersion": "k8s.cni.cncf.io/v1",
            "kind": "NetworkAttachmentDefinition",
            "metadata": {"name": "fast"},
            "spec": {"config": json.dumps(config)},
        }
        network = {"spec": {"virtualization": {"liveMigrationConfig": {"network": "fast"}}}}
        assert api.patch(HCO, network).status == 200
        kubevirt = eventually(
            lambda: api.get(KUBEVIRT_CR).json(), lambda obj: condition(obj, "Progressing")["status"] == "True"
        )
        assert condition(kubevirt, "Degraded")["reason"] == "UpdateInProgress"
        # without the network the first new pod does not start, and only that one is touched
        canary = eventually(
            lambda: api.get(daemon_set).json(), lambda obj: obj["status"]["updatedNumberScheduled"] == 1
        )
        assert canary["status"]["numberUnavailable"] == 1
        annotations = canary["spec"]["template"]["metadata"]["annotations"]
        assert annotations["k8s.v1.cni.cncf.io/networks"] == "fast@migration0"
        flickering = api.items("/api/v1/nodes", labelSelector="kubevirt.io/schedulable=false")
        assert len(flickering) == 1
        path = "/apis/k8s.cni.cncf.io/v1/namespaces/openshift-cnv/network-attachment-definitions"
        assert api.post(path, attachment).status == 201
        eventually(lambda: api.get(KUBEVIRT_CR).json(), lambda obj: condition(obj, "Progressing")["status"] == "False")
        done = api.get(daemon_set).json()["status"]
        assert done["updatedNumberScheduled"] == done["numberAvailable"] == done["desiredNumberScheduled"] == 12
        assert api.items("/api/v1/nodes", labelSelector="kubevirt.io/schedulable=false") == []
        api.patch(HCO, {"spec": {"virtualization": {"liveMigrationConfig": {"network": None}}}})
        eventually(
            lambda: api.get(daemon_set).json()["spec"]["template"]["metadata"].get("annotations") or {},
            lambda found: "k8s.v1.cni.cncf.io/networks" not in found,
        )
        eventually(
            lambda: api.get(KUBEVIRT_CR).json(),
            lambda obj: obj["status"]["observedGeneration"] == obj["metadata"]["generation"],
        )


def test_machines_of_a_removed_node_start_elsewhere(api: Client) -> None:
    """A node is fenced: its object goes, its pods with it, and what runs always comes back on another."""
    name = new_machine(api)
    printable(api, name, "Running")
    before = api.get(vmi_path(name)).json()
    node = before["status"]["nodeName"]
    assert api.delete(f"/api/v1/nodes/{node}").status == 200
    after = eventually(
        lambda: api.get(vmi_path(name)).json(),
        lambda obj: (
            obj["metadata"].get("uid", before["metadata"]["uid"]) != before["metadata"]["uid"]
            and obj["status"]["phase"] == "Running"
        ),
        30.0,
    )
    assert after["status"]["nodeName"] != node


def test_controllers_survive_a_restarted_api_server(cluster: RunningCluster, api: Client) -> None:
    name = new_machine(api, "Manual")
    cluster.restart()
    time.sleep(0.5)
    eventually(lambda: verb(cluster.client(), name, "start"), lambda code: code == 202)
    printable(cluster.client(), name, "Running")


@pytest.mark.simulated("the faults of a real API server are played by a proxy, which the controllers do not use")
def test_controllers_survive_errors_and_lost_watches(cluster: RunningCluster, api: Client) -> None:
    account = "system:serviceaccount:openshift-cnv:kubevirt-"
    users = [f"{account}controller", f"{account}handler", "system:simcluster:controllers"]
    actions: list[Obj] = [
        {"status": 500},
        {"status": 429, "retry_after": 1},
        {"conflict": True},
        {"drop_connection": True},
        {"drop_after_write": True},
    ]
    rules = [
        {"match": {"user": user, "verb": what}, "probability": 0.08, "action": action}
        for user, what, action in itertools.product(users, ("patch", "create"), actions)
    ]
    watches = {"match": {"verb": "watch", "user": "system:simcluster:controllers"}, "action": {"drop_watch": True}}
    try:
        cluster.faults(*rules, {**watches, "times": 20})
        names = [new_machine(api) for _ in range(3)]
        for name in names:
            printable(api, name, "Running")
            migrate = verb(api, name, "migrate")
            assert migrate == 202
        eventually(
            lambda: [
                (each.get("status") or {}).get("phase")
                for each in api.items(f"{KUBEVIRT}/namespaces/lab/virtualmachineinstancemigrations")
                if each["spec"]["vmiName"] in names
            ],
            lambda phases: len(phases) == 3 and set(phases) == {"Succeeded"},
            40.0,
        )
        assert sum(rule["met"] for rule in cluster.fired()) > 3
    finally:
        cluster.faults()
