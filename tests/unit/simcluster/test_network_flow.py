"""From a node network policy to migrations over their own network, as the controllers do it over HTTP."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from simcluster.testing import Client, RunningCluster
from support.start import start_cluster
from support.waiting import set_faults
from unit.simcluster.flow import eventually

Obj = dict[str, Any]
NMSTATE = "/apis/nmstate.io"
POLICIES = f"{NMSTATE}/v1/nodenetworkconfigurationpolicies"
ENACTMENTS = f"{NMSTATE}/v1beta1/nodenetworkconfigurationenactments"
STATES = f"{NMSTATE}/v1beta1/nodenetworkstates"
NAMESPACE = "openshift-cnv"
NADS = f"/apis/k8s.cni.cncf.io/v1/namespaces/{NAMESPACE}/network-attachment-definitions"
HCO = f"/apis/hco.kubevirt.io/v1/namespaces/{NAMESPACE}/hyperconvergeds/kubevirt-hyperconverged"
KUBEVIRT = f"/apis/kubevirt.io/v1/namespaces/{NAMESPACE}/kubevirts/kubevirt-kubevirt-hyperconverged"
PODS = f"/api/v1/namespaces/{NAMESPACE}/pods"
DAEMON_SET = f"/apis/apps/v1/namespaces/{NAMESPACE}/daemonsets/virt-handler"
INSTANCES = "/apis/kubevirt.io/v1/namespaces/shop/virtualmachineinstances"
MIGRATIONS = "/apis/kubevirt.io/v1/namespaces/shop/virtualmachineinstancemigrations"
WORKERS = 12


@pytest.fixture(name="cluster")
def _cluster() -> Iterator[RunningCluster]:
    with start_cluster("small", time_scale=100, tls=False) as cluster:
        yield cluster


@pytest.fixture(name="api")
def _api(cluster: RunningCluster) -> Client:
    return cluster.client()


def policy(api: Client, name: str, *interfaces: Obj, **spec: Any) -> None:
    body = {
        "apiVersion": "nmstate.io/v1",
        "kind": "NodeNetworkConfigurationPolicy",
        "metadata": {"name": name},
        "spec": {
            "nodeSelector": {"node-role.kubernetes.io/worker": ""},
            "desiredState": {"interfaces": list(interfaces)},
            **spec,
        },
    }
    answer = api.post(POLICIES, body, fieldValidation="Strict")
    assert answer.status == 201, answer.body


def vlan(mtu: int = 9000, nic: str = "ens2f0") -> list[Obj]:
    none = {"ipv4": {"enabled": False}, "ipv6": {"enabled": False}}
    return [
        {"name": nic, "type": "ethernet", "state": "up", "mtu": mtu, **none},
        {
            "name": f"{nic}.3030",
            "type": "vlan",
            "state": "up",
            "mtu": mtu,
            "vlan": {"base-iface": nic, "id": 3030},
            **none,
        },
    ]


def conditions(obj: Obj) -> dict[str, tuple[str, str]]:
    found = (obj.get("status") or {}).get("conditions") or []
    return {each["type"]: (each["status"], each.get("reason", "")) for each in found}


def message(obj: Obj, kind: str) -> str:
    return next((e.get("message", "") for e in obj["status"]["conditions"] if e["type"] == kind), "")


def ended(obj: Obj) -> bool:
    states = conditions(obj)
    return any(states.get(kind, ("",))[0] == "True" for kind in ("Available", "Degraded", "Ignored"))


def settle(api: Client, name: str) -> Obj:
    return eventually(lambda: api.get(f"{POLICIES}/{name}").json(), ended)


def enactments(api: Client, name: str) -> dict[str, Obj]:
    found = api.items(ENACTMENTS, labelSelector=f"nmstate.io/policy={name}")
    return {each["metadata"]["labels"]["nmstate.io/node"]: each for each in found}


def interfaces(api: Client, node: str) -> dict[str, Obj]:
    state = api.get(f"{STATES}/{node}").json()["status"]["currentState"]
    return {each["name"]: each for each in state["interfaces"]}


def attachment(api: Client, name: str = "migration-network", **config: Any) -> None:
    full = {
        "cniVersion": "0.3.1",
        "name": name,
        "type": "macvlan",
        "master": "ens2f0.3030",
        "mode": "bridge",
        "mtu": 9000,
        "ipam": {"type": "whereabouts", "range": "10.200.5.0/24", "exclude": ["10.200.5.0/30"]},
        **config,
    }
    body = {
        "apiVersion": "k8s.cni.cncf.io/v1",
        "kind": "NetworkAttachmentDefinition",
        "metadata": {"name": name},
        "spec": {"config": json.dumps(full)},
    }
    assert api.post(NADS, body).status == 201


def use_network(api: Client, name: str | None) -> None:
    patch = {"spec": {"virtualization": {"liveMigrationConfig": {"network": name}}}}
    assert api.patch(HCO, patch, fieldValidation="Strict").status == 200
    eventually(
        lambda: api.get(KUBEVIRT).json()["spec"]["configuration"]["migrations"].get("network"),
        lambda found: found == name,
    )


def handlers(api: Client) -> dict[str, Obj]:
    found = api.items(PODS, labelSelector="kubevirt.io=virt-handler")
    return {each["spec"]["nodeName"]: each for each in found if "deletionTimestamp" not in each["metadata"]}


def migration_address(pod: Obj) -> Obj | None:
    annotations = pod["metadata"].get("annotations", {})
    status = json.loads(annotations.get("k8s.v1.cni.cncf.io/network-status", "[]"))
    return next((each for each in status if each["interface"] == "migration0"), None)


def rolled_out(api: Client) -> Obj:
    def done(kubevirt: Obj) -> bool:
        status = kubevirt["status"]
        return (
            status.get("observedGeneration") == kubevirt["metadata"]["generation"]
            and conditions(kubevirt).get("Progressing") == ("False", "AllComponentsReady")
            and status["observedDeploymentID"] == status["targetDeploymentID"]
        )

    return eventually(lambda: api.get(KUBEVIRT).json(), done, 30.0)


def events(api: Client, reason: str) -> list[str]:
    return [each["message"] for each in api.items("/api/v1/events") if each["reason"] == reason]


class TestPolicies:
    def test_a_policy_changes_the_nodes_it_selects(self, api: Client) -> None:
        policy(api, "live-migration", *vlan(), maxUnavailable=3)
        done = settle(api, "live-migration")
        assert conditions(done) == {
            "Available": ("True", "SuccessfullyConfigured"),
            "Degraded": ("False", "SuccessfullyConfigured"),
            "Progressing": ("False", "SuccessfullyConfigured"),
            "Ignored": ("False", "SuccessfullyConfigured"),
        }
        assert message(done, "Available") == "12/12 nodes successfully configured"
        found = enactments(api, "live-migration")
        assert len(found) == WORKERS
        each = found["worker-03"]
        assert each["metadata"]["name"] == "worker-03.live-migration"
        assert each["status"]["policyGeneration"] == 1
        assert conditions(each)["Available"] == ("True", "SuccessfullyConfigured")
        assert interfaces(api, "worker-03")["ens2f0.3030"]["mtu"] == 9000
        assert interfaces(api, "worker-03")["ens2f0"]["mtu"] == 9000
        assert "ens2f0.3030" not in interfaces(api, "control-1")

        absent = {"interfaces": [{"name": "ens2f0.3030", "type": "vlan", "state": "absent"}]}
        assert api.patch(f"{POLICIES}/live-migration", {"spec": {"desiredState": absent}}).status == 200
        eventually(lambda: interfaces(api, "worker-03"), lambda found: "ens2f0.3030" not in found)
        eventually(
            lambda: enactments(api, "live-migration"),
            lambda all_: all(e["status"]["policyGeneration"] == 2 for e in all_.values()),
        )
        settle(api, "live-migration")
        assert api.delete(f"{POLICIES}/live-migration").status == 200
        eventually(lambda: enactments(api, "live-migration"), lambda found: not found)
        # what a policy has done stays when it goes
        assert interfaces(api, "worker-03")["ens2f0"]["mtu"] == 9000

    def test_a_node_without_the_card_fails_and_the_rest_is_aborted(self, cluster: RunningCluster, api: Client) -> None:
        body = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "faults"},
            "data": {"nics": json.dumps({"worker-03": ["ens2f0"]})},
        }
        assert api.post("/api/v1/namespaces/simcluster/configmaps", body).status == 201
        eventually(lambda: interfaces(api, "worker-03"), lambda found: "ens2f0" not in found)
        policy(api, "live-migration", *vlan(), maxUnavailable=1)
        done = settle(api, "live-migration")
        assert conditions(done)["Degraded"] == ("True", "FailedToConfigure")
        assert conditions(done)["Progressing"] == ("False", "ConfigurationProgressing")
        found = {node: conditions(each) for node, each in enactments(api, "live-migration").items()}
        assert found["worker-03"]["Failing"] == ("True", "FailedToConfigure")
        failing = enactments(api, "live-migration")["worker-03"]
        assert "Ethernet interface ens2f0 does not exists" in message(failing, "Failing")
        assert failing["status"]["retryCount"] == {"1": 5}
        outcomes = [kind for states in found.values() for kind, state in states.items() if state[0] == "True"]
        assert outcomes.count("Failing") == 1
        assert outcomes.count("Aborted") >= 1
        assert outcomes.count("Aborted") + outcomes.count("Available") == WORKERS - 1
        aborted = next(node for node, states in found.items() if states["Aborted"][0] == "True")
        assert "ens2f0.3030" not in interfaces(api, aborted)
        assert "nodes aborted configuration" in message(done, "Degraded")

        assert api.patch("/api/v1/namespaces/simcluster/configmaps/faults", {"data": {"nics": "{}"}}).status == 200
        eventually(lambda: interfaces(api, "worker-03"), lambda found: "ens2f0" in found)

    def test_only_so_many_nodes_at_a_time(self, api: Client) -> None:
        policy(api, "slow", *vlan(), maxUnavailable="17%")
        most = 0

        def look() -> Obj:
            nonlocal most
            states = [conditions(each).get("Progressing", ("",)) for each in enactments(api, "slow").values()]
            most = max(most, sum(state[0] == "True" for state in states))
            return dict(api.get(f"{POLICIES}/slow").json())

        eventually(look, ended)
        assert 1 <= most <= 3

    def test_a_selector_that_fits_no_node(self, api: Client) -> None:
        policy(api, "nowhere", *vlan(), nodeSelector={"no": "node"})
        done = settle(api, "nowhere")
        assert conditions(done)["Ignored"] == ("True", "NoMatchingNode")

    def test_a_rule_makes_a_node_fail_as_often_as_it_says(self, cluster: RunningCluster, api: Client) -> None:
        rules = [{"node": "worker-02", "policy": "live-*", "effect": "fail", "reason": "no carrier", "times": 2}]
        body = {"metadata": {"name": "faults"}, "data": {"nmstate": json.dumps(rules)}}
        assert api.post("/api/v1/namespaces/simcluster/configmaps", body).status == 201
        eventually(lambda: api.get("/api/v1/namespaces/simcluster/configmaps/faults").status, lambda s: s == 200)
        policy(api, "live-migration", *vlan())
        done = settle(api, "live-migration")
        assert conditions(done)["Available"][0] == "True"
        assert enactments(api, "live-migration")["worker-02"]["status"]["retryCount"] == {"1": 2}


class TestMigrationNetwork:
    def test_migrations_go_over_it_and_come_back(self, api: Client) -> None:
        before = handlers(api)
        policy(api, "live-migration", *vlan())
        settle(api, "live-migration")
        attachment(api)
        use_network(api, "migration-network")
        kubevirt = rolled_out(api)
        assert kubevirt["status"]["phase"] == "Deployed"
        status = api.get(DAEMON_SET).json()["status"]
        assert status["updatedNumberScheduled"] == status["numberAvailable"] == status["desiredNumberScheduled"] == 12
        after = handlers(api)
        assert len(after) == WORKERS
        assert not {p["metadata"]["uid"] for p in before.values()} & {p["metadata"]["uid"] for p in after.values()}
        entries = {node: migration_address(pod) for node, pod in after.items()}
        addresses = {node: entry["ips"][0] for node, entry in entries.items() if entry}
        assert len(set(addresses.values())) == WORKERS
        assert all(address.startswith("10.200.5.") and int(address.split(".")[3]) > 3 for address in addresses.values())
        assert {entry["mtu"] for entry in entries.values() if entry} == {9000}
        assert {entry["name"] for entry in entries.values() if entry} == {"openshift-cnv/migration-network"}
        assert api.items("/api/v1/nodes", labelSelector="kubevirt.io/schedulable=false") == []

        state = self.migrate(api)
        assert state["targetNodeAddress"] == addresses[state["targetNode"]]

        use_network(api, None)
        rolled_out(api)
        assert all(migration_address(pod) is None for pod in handlers(api).values())
        state = self.migrate(api)
        assert state["targetNodeAddress"] == handlers(api)[state["targetNode"]]["status"]["podIP"]

    @staticmethod
    def migrate(api: Client) -> Obj:
        body = {
            "apiVersion": "kubevirt.io/v1",
            "kind": "VirtualMachineInstanceMigration",
            "metadata": {"generateName": "move-"},
            "spec": {"vmiName": "app-01"},
        }
        created = api.post(MIGRATIONS, body).json()
        path = f"{MIGRATIONS}/{created['metadata']['name']}"
        eventually(
            lambda: api.get(path).json().get("status", {}).get("phase"), lambda found: found == "Succeeded", 30.0
        )
        return dict(api.get(f"{INSTANCES}/app-01").json()["status"]["migrationState"])

    def stuck(self, api: Client, text: str) -> Obj:
        """The first new virt-handler does not start, and nothing else is touched."""
        said = eventually(lambda: events(api, "FailedCreatePodSandBox"), lambda found: bool(found))
        assert text in said[-1]
        status = eventually(
            lambda: api.get(DAEMON_SET).json()["status"], lambda found: found.get("updatedNumberScheduled") == 1
        )
        assert status["numberUnavailable"] == 1
        kubevirt = api.get(KUBEVIRT).json()
        assert conditions(kubevirt)["Progressing"] == ("True", "UpdateInProgress")
        assert kubevirt["status"]["observedDeploymentID"] != kubevirt["status"]["targetDeploymentID"]
        assert len(api.items("/api/v1/nodes", labelSelector="kubevirt.io/schedulable=false")) == 1
        pod = next(pod for pod in handlers(api).values() if pod["status"]["phase"] == "Pending")
        waiting = pod["status"]["containerStatuses"][0]["state"]["waiting"]
        assert waiting["reason"] == "ContainerCreating"
        return pod

    def test_a_definition_that_is_not_there_stops_the_canary(self, api: Client) -> None:
        use_network(api, "migration-network")
        self.stuck(api, "cannot find a network-attachment-definition (migration-network)")
        policy(api, "live-migration", *vlan())
        settle(api, "live-migration")
        attachment(api)
        rolled_out(api)

    def test_a_master_that_is_not_there(self, api: Client) -> None:
        attachment(api)
        use_network(api, "migration-network")
        self.stuck(api, 'failed to lookup master "ens2f0.3030": Link not found')
        use_network(api, None)
        rolled_out(api)

    def test_a_larger_mtu_than_the_master_has(self, api: Client) -> None:
        attachment(api, master="ens2f0")
        use_network(api, "migration-network")
        self.stuck(api, "invalid MTU 9000, must be [0, master MTU(1500)]")

    def test_a_range_with_too_few_addresses(self, api: Client) -> None:
        ipam = {"type": "whereabouts", "range": "10.200.5.0/29"}
        attachment(api, master="ens2f1", mtu=1500, ipam=ipam)
        use_network(api, "migration-network")
        said = eventually(lambda: events(api, "FailedCreatePodSandBox"), bool, 30.0)
        assert "Could not allocate IP in range: ip: 10.200.5.1 / - 10.200.5.6" in said[0]
        found = [migration_address(pod) for pod in handlers(api).values()]
        assert len([each for each in found if each]) == 6

    def test_a_definition_without_addresses_crashes_virt_handler(self, api: Client) -> None:
        attachment(api, master="ens2f1", mtu=1500, ipam={})
        use_network(api, "migration-network")

        def crashed() -> list[Obj]:
            states = [
                each["state"] for pod in handlers(api).values() for each in pod["status"].get("containerStatuses", [])
            ]
            return [each for each in states if each.get("waiting", {}).get("reason") == "CrashLoopBackOff"]

        assert len(eventually(crashed, bool)) == 1
        said = eventually(lambda: events(api, "RollingUpdate"), bool)
        assert said == ["daemonSet virt-handler rollout failed"]


class TestProbes:
    def probe(self, api: Client, peers: list[str], payload: int, **more: Any) -> Obj:
        container = {
            "name": "probe",
            "image": more.get("image", "registry.example.com/ping:1"),
            "env": [
                {"name": "PEERS", "value": ",".join(peers)},
                {"name": "PAYLOAD_BYTES", "value": str(payload)},
                {"name": "COUNT", "value": "3"},
            ],
        }
        networks = json.dumps([{"name": "migration-network", "namespace": NAMESPACE, "interface": "net1"}])
        body = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "generateName": "probe-",
                "labels": {"ocpv.scale/probe": "mtu"},
                "annotations": {"k8s.v1.cni.cncf.io/networks": more.get("networks", networks)},
            },
            "spec": {"nodeName": "worker-01", "restartPolicy": "Never", "containers": [container]},
        }
        created = api.post(PODS, body)
        assert created.status == 201, created.body
        path = f"{PODS}/{created.json()['metadata']['name']}"
        return eventually(
            lambda: api.get(path).json(),
            lambda pod: (
                pod["status"].get("phase") in ("Succeeded", "Failed")
                or "image" in more
                and "waiting" in (pod["status"].get("containerStatuses") or [{"state": {}}])[0]["state"]
            ),
        )

    def test_what_fits_and_what_does_not(self, cluster: RunningCluster, api: Client) -> None:
        policy(api, "live-migration", *vlan())
        settle(api, "live-migration")
        attachment(api)
        use_network(api, "migration-network")
        rolled_out(api)
        address = {node: (migration_address(pod) or {})["ips"][0] for node, pod in handlers(api).items()}
        peers = [address["worker-02"], address["worker-03"]]

        good = self.probe(api, peers, 8972)
        assert good["status"]["phase"] == "Succeeded"
        ended = good["status"]["containerStatuses"][0]["state"]["terminated"]
        assert (ended["exitCode"], ended["reason"]) == (0, "Completed")
        assert ended["message"].splitlines() == [f"{peer} ok" for peer in peers]
        entry = json.loads(good["metadata"]["annotations"]["k8s.v1.cni.cncf.io/network-status"])[1]
        assert entry["ips"][0] not in address.values()

        bad = self.probe(api, [peers[0], "10.200.5.250"], 8973)
        assert bad["status"]["phase"] == "Failed"
        ended = bad["status"]["containerStatuses"][0]["state"]["terminated"]
        assert (ended["exitCode"], ended["reason"]) == (1, "Error")
        assert ended["message"].splitlines() == [f"{peers[0]} too-long", "10.200.5.250 lost"]

        network = {"switch_mtu": {"worker-02": 1500}, "lost": ["worker-03"]}
        body = {"metadata": {"name": "faults"}, "data": {"network": json.dumps(network)}}
        assert api.post("/api/v1/namespaces/simcluster/configmaps", body).status == 201
        eventually(lambda: api.get("/api/v1/namespaces/simcluster/configmaps/faults").status, lambda s: s == 200)
        found = self.probe(api, peers, 8972, networks="openshift-cnv/migration-network@net1")
        ended = found["status"]["containerStatuses"][0]["state"]["terminated"]
        assert ended["message"].splitlines() == [f"{peers[0]} too-long", f"{peers[1]} lost"]

    def test_an_image_that_cannot_be_pulled(self, api: Client) -> None:
        attachment(api, master="ens2f1", mtu=1500)
        pod = self.probe(api, ["10.0.0.1"], 1000, image="registry.example.com/no-such-image:1")
        waiting = pod["status"]["containerStatuses"][0]["state"]["waiting"]
        assert waiting["reason"] in ("ErrImagePull", "ImagePullBackOff")
        assert pod["status"]["phase"] == "Pending"


def test_faults_of_virt_handler_show_on_its_pod() -> None:
    with start_cluster("small", time_scale=40, tls=False) as cluster:
        api = cluster.client()

        def ready() -> str:
            pod = handlers(api)["worker-12"]
            return str(conditions(pod)["Ready"][0])

        set_faults(cluster, nodes={"worker-12": "handler-not-ready"})
        eventually(ready, lambda found: found == "False")
        set_faults(cluster)
        eventually(ready, lambda found: found == "True")
