"""Reading the simulated cluster: by list calls, through trouble, with few rights, and from dumps of it."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from ansible_collections.ocpv.scale.plugins.module_utils.ansible_support import connect
from ansible_collections.ocpv.scale.plugins.module_utils.cluster import resources
from ansible_collections.ocpv.scale.plugins.module_utils.cluster.capture import ALL_PARTS, capture
from ansible_collections.ocpv.scale.plugins.module_utils.cluster.dump import read_dump
from ansible_collections.ocpv.scale.plugins.module_utils.cluster.gateway import Gateway
from ansible_collections.ocpv.scale.plugins.module_utils.cluster.model import Snapshot
from ansible_collections.ocpv.scale.plugins.module_utils.cluster.snapshot_file import read_snapshot, write_snapshot
from ansible_collections.ocpv.scale.plugins.module_utils.errors import (
    ApiError,
    Expired,
    Forbidden,
    NotFound,
    Unauthorized,
    Unreachable,
)
from ansible_collections.ocpv.scale.plugins.modules import cluster_snapshot
from simcluster.testing import RunningCluster
from support.modules import run_module_main
from support.playbook import run_playbook
from support.start import start_cluster

DUMPED = (
    resources.NODES,
    resources.NAMESPACES,
    resources.VIRTUAL_MACHINES,
    resources.VIRTUAL_MACHINE_INSTANCES,
    resources.PODS,
    resources.PERSISTENT_VOLUME_CLAIMS,
    resources.PERSISTENT_VOLUMES,
    resources.STORAGE_CLASSES,
    resources.STORAGE_PROFILES,
    resources.DATA_VOLUMES,
    resources.KUBEVIRTS,
    resources.HYPERCONVERGEDS,
)
SECRET = "correct-horse-battery-staple"


@pytest.fixture(scope="module")
def cluster() -> Iterator[RunningCluster]:
    """One cluster for tests that change nothing but their own objects."""
    with start_cluster(scenario="small", controllers=False, faults=True) as running:
        yield running


@pytest.fixture(autouse=True)
def no_faults(cluster: RunningCluster) -> Iterator[None]:
    yield
    cluster.faults()


@pytest.fixture
def gateway(cluster: RunningCluster) -> Gateway:
    return connect(kubeconfig=str(cluster.kubeconfig))


def limited(
    cluster: RunningCluster, tmp_path: Path, user: str, *rules: dict[str, Any], expires: float | None = None
) -> Gateway:
    """A gateway for a user who may do only what the rules say."""
    client = cluster.client()
    role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": user}}
    assert client.post("/apis/rbac.authorization.k8s.io/v1/clusterroles", {**role, "rules": list(rules)}).status == 201
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": user},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": user},
        "subjects": [{"kind": "User", "name": user, "apiGroup": "rbac.authorization.k8s.io"}],
    }
    assert client.post("/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", binding).status == 201
    token = cluster.add_token(user, expires_seconds=expires)
    return connect(kubeconfig=str(cluster.write_kubeconfig(tmp_path / f"{user}.kubeconfig", token)))


def may(verbs: list[str], group: str, *kinds: str) -> dict[str, Any]:
    return {"verbs": verbs, "apiGroups": [group], "resources": list(kinds)}


class TestLive:
    def test_everything_is_read(self, cluster: RunningCluster, gateway: Gateway) -> None:
        snapshot = capture(gateway)
        client = cluster.client()
        assert snapshot.parts == ALL_PARTS
        assert snapshot.missing == {}
        for resource, found in (
            (resources.NODES, snapshot.nodes),
            (resources.NAMESPACES, snapshot.namespaces),
            (resources.VIRTUAL_MACHINES, {key for key, vm in snapshot.virtual_machines.items() if vm.has_vm}),
            (resources.PERSISTENT_VOLUME_CLAIMS, snapshot.claims),
            (resources.PERSISTENT_VOLUMES, snapshot.persistent_volumes),
            (resources.DATA_VOLUMES, snapshot.data_volumes),
        ):
            assert len(found) == len(client.items(resource.path())), resource.plural
        assert snapshot.virtualization.settings is not None
        assert snapshot.virtualization.targeted_migration is True
        running = [vm.instance for vm in snapshot.virtual_machines.values() if vm.instance]
        assert running
        assert all(instance.requests and instance.usage for instance in running)
        assert all(node.usage for node in snapshot.nodes.values())

    def test_by_list_calls_only(self, cluster: RunningCluster, gateway: Gateway) -> None:
        cluster.forget_requests()
        capture(gateway)
        requests = cluster.requests()
        single = {name: count for name, count in requests.items() if not name.startswith("list ")}
        assert single == {
            "GET /version": 1,
            "GET /apis/hco.kubevirt.io": 1,
            "get customresourcedefinitions.apiextensions.k8s.io": 1,
        }
        assert {name: count for name, count in requests.items() if count > 2} == {}

    def test_an_older_release_is_read_as_well(self) -> None:
        with start_cluster(scenario="v1beta1", controllers=False) as older:
            virtualization = capture(connect(kubeconfig=str(older.kubeconfig)), ("virtualization",)).virtualization
        assert virtualization.hyperconverged_api == "hco.kubevirt.io/v1beta1"
        assert virtualization.settings is not None
        assert "hco.kubevirt.io/v1beta1" in virtualization.settings.source


def wait_until_down(cluster: RunningCluster) -> None:
    """Return when the server, which answers the order to restart first, takes no more connections."""
    address = urlsplit(cluster.url)
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            socket.create_connection((address.hostname, address.port or 443), timeout=0.2).close()
        except OSError:
            return
    raise AssertionError("the server did not restart")


class TestTrouble:
    def test_an_expired_continue_token_starts_the_list_again(self, cluster: RunningCluster, gateway: Gateway) -> None:
        rule = {"match": {"verb": "list", "path": "/api/v1/pods\\?.*continue="}, "action": {"expire_continue": True}}
        cluster.faults({**rule, "times": 1})
        listing = gateway.list(resources.PODS, page_size=100)
        assert len(listing.items) == len(cluster.client().items(resources.PODS.path()))
        assert cluster.fired()[0]["met"] == 1

    def test_throttling_errors_and_lost_connections_are_waited_out(
        self, cluster: RunningCluster, gateway: Gateway
    ) -> None:
        calm = capture(gateway)
        cluster.faults(
            {"match": {"path": "/api/v1/pods"}, "action": {"status": 429, "retry_after": 1}, "times": 1},
            {"match": {"path": "virtualmachines"}, "action": {"drop_connection": True}, "times": 2},
            {"match": {"path": "/api/v1/nodes"}, "action": {"status": 503}, "times": 1},
        )
        troubled = capture(gateway)
        assert [rule["met"] for rule in cluster.fired()] == [1, 2, 1]
        assert replace(troubled, captured_at=calm.captured_at) == calm

    def test_a_restart_in_the_middle_is_survived(self, gateway: Gateway, cluster: RunningCluster) -> None:
        seen = []

        def restart_once(item: dict[str, Any]) -> str:
            if not seen:
                cluster.restart(down_seconds=1.0)
                wait_until_down(cluster)
            seen.append(item)
            return str(item["metadata"]["uid"])

        found = gateway.list_as(resources.PODS, restart_once, page_size=100).items
        assert len(set(found)) == len(cluster.client().items(resources.PODS.path()))

    @pytest.mark.simulated("etcd is compacted every five minutes, and the API server's cache reaches further back")
    def test_a_watch_ends_when_its_version_is_forgotten(self, gateway: Gateway, cluster: RunningCluster) -> None:
        version = gateway.list(resources.NODES).resource_version
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "moves-on", "namespace": "default"}}
        gateway.create(resources.CONFIG_MAPS, body, namespace="default")
        cluster.compact()
        with pytest.raises(Expired):
            list(gateway.watch(resources.NODES, resource_version=version, timeout_seconds=5))

    def test_a_watch_brings_what_changes(self, gateway: Gateway, cluster: RunningCluster) -> None:
        version = gateway.list(resources.CONFIG_MAPS, namespace="default").resource_version
        body = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"generateName": "watched-", "namespace": "default"},
        }
        created = gateway.create(resources.CONFIG_MAPS, body, namespace="default")
        events = gateway.watch(resources.CONFIG_MAPS, namespace="default", resource_version=version, timeout_seconds=10)
        kind, found = next(events)
        assert (kind, found["metadata"]["uid"]) == ("ADDED", created["metadata"]["uid"])
        name = created["metadata"]["name"]
        gateway.delete(resources.CONFIG_MAPS, name, namespace="default", uid=created["metadata"]["uid"])
        assert next(events)[0] == "DELETED"
        events.close()  # type: ignore[attr-defined]

    def test_a_lost_answer_to_a_write_is_not_repeated(self, gateway: Gateway, cluster: RunningCluster) -> None:
        cluster.faults(
            {"match": {"method": "POST", "path": "configmaps"}, "action": {"drop_after_write": True}, "times": 1}
        )
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "written-once", "namespace": "default"}}
        with pytest.raises(Unreachable) as caught:
            gateway.create(resources.CONFIG_MAPS, body, namespace="default")
        assert caught.value.details["outcome"] == "unknown"
        assert gateway.get(resources.CONFIG_MAPS, "written-once", "default")["metadata"]["uid"]


class TestStrictness:
    def migration(self, **spec: Any) -> dict[str, Any]:
        metadata = {"generateName": "strict-", "namespace": "shop"}
        return {
            "apiVersion": resources.MIGRATIONS.api_version,
            "kind": resources.MIGRATIONS.kind,
            "metadata": metadata,
            "spec": {"vmiName": "web-01", **spec},
        }

    def test_a_misspelt_field_is_an_error_when_creating(self, gateway: Gateway) -> None:
        with pytest.raises(ApiError, match='unknown field "spec.addedNodeSelectors"') as caught:
            gateway.create(resources.MIGRATIONS, self.migration(addedNodeSelectors={}), namespace="shop")
        assert caught.value.status == 400

    def test_a_misspelt_field_is_an_error_when_changing_and_the_object_is_not_quoted(self, gateway: Gateway) -> None:
        name = next(iter(gateway.list(resources.VIRTUAL_MACHINES, namespace="shop").items))["metadata"]["name"]
        with pytest.raises(ApiError, match='unknown field "spec.nodeSelectors"') as caught:
            gateway.merge_patch(resources.VIRTUAL_MACHINES, name, {"spec": {"nodeSelectors": {}}}, namespace="shop")
        assert caught.value.status == 422
        assert "cloud-config" not in str(caught.value)

    def test_a_dry_run_creates_nothing(self, gateway: Gateway) -> None:
        before = len(gateway.list(resources.MIGRATIONS).items)
        gateway.create(resources.MIGRATIONS, self.migration(), namespace="shop", dry_run=True)
        assert len(gateway.list(resources.MIGRATIONS).items) == before


class TestRights:
    def test_without_any_right_the_missing_one_is_named(self, cluster: RunningCluster, tmp_path: Path) -> None:
        with pytest.raises(Forbidden, match='User "nobody" cannot list resource "nodes"') as caught:
            capture(limited(cluster, tmp_path, "nobody"))
        assert "docs/rbac" in caught.value.hint

    def test_a_namespace_s_user_can_read_what_belongs_to_it(self, cluster: RunningCluster, tmp_path: Path) -> None:
        gateway = limited(
            cluster,
            tmp_path,
            "reader",
            may(["list"], "kubevirt.io", "virtualmachines", "virtualmachineinstances"),
            may(["list"], "", "persistentvolumeclaims"),
        )
        snapshot = capture(gateway, ("virtual_machines", "claims", "storage", "usage"), namespaces=["shop"])
        assert snapshot.parts == ("virtual_machines", "claims")
        assert {vm.namespace for vm in snapshot.virtual_machines.values()} == {"shop"}
        assert set(snapshot.missing) == {"persistent_volumes", "storage", "usage", "cluster_uid"}

    def test_rights_are_asked_for(self, cluster: RunningCluster, tmp_path: Path) -> None:
        gateway = limited(
            cluster, tmp_path, "mover", may(["create"], "kubevirt.io", "virtualmachineinstancemigrations")
        )
        assert gateway.can_i("create", resources.MIGRATIONS, "shop")
        assert not gateway.can_i("delete", resources.MIGRATIONS, "shop")

    def test_an_expired_token_is_told(self, cluster: RunningCluster, tmp_path: Path) -> None:
        gateway = limited(cluster, tmp_path, "late", may(["list"], "", "nodes"), expires=2.0)
        assert gateway.list(resources.NODES).items
        deadline = time.monotonic() + 20
        with pytest.raises(Unauthorized) as caught:
            while time.monotonic() < deadline:
                gateway.list(resources.NODES)
                time.sleep(0.1)
        assert "expired" in caught.value.hint


class TestCertificates:
    def test_an_unknown_authority_is_told(self, cluster: RunningCluster) -> None:
        with pytest.raises(Unreachable, match="CERTIFICATE_VERIFY_FAILED") as caught:
            connect(host=cluster.url, api_key=cluster.token).list(resources.NODES)
        assert "ca_cert" in caught.value.hint

    @pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
    @pytest.mark.parametrize("by_authority", [True, False])
    def test_the_authority_can_be_given_or_not_be_asked_for(self, cluster: RunningCluster, by_authority: bool) -> None:
        how = {"ca_cert": cluster.authority} if by_authority else {"validate_certs": False}
        assert connect(host=cluster.url, api_key=cluster.token, **how).list(resources.NODES).items


class TestModule:
    def test_a_cloud_init_password_stays_in_the_cluster(
        self, cluster: RunningCluster, gateway: Gateway, tmp_path: Path
    ) -> None:
        listed = gateway.list(resources.VIRTUAL_MACHINES, namespace="shop").items
        template = next(item for item in listed if item["spec"]["template"]["spec"].get("volumes"))["spec"]["template"]
        volumes = [{"name": "init", "cloudInitNoCloud": {"userData": f"#cloud-config\npassword: {SECRET}\n"}}]
        disks = [{"name": "init", "disk": {"bus": "virtio"}}]
        spec = {**template["spec"], "volumes": volumes}
        spec["domain"] = {**spec["domain"], "devices": {**spec["domain"]["devices"], "disks": disks}}
        vm = {
            "apiVersion": resources.VIRTUAL_MACHINES.api_version,
            "kind": resources.VIRTUAL_MACHINES.kind,
            "metadata": {"name": "with-password", "namespace": "shop"},
            "spec": {"runStrategy": "Halted", "template": {**template, "spec": spec}},
        }
        applied = {"kubectl.kubernetes.io/last-applied-configuration": json.dumps(vm)}
        vm["metadata"] = {"name": "with-password", "namespace": "shop", "annotations": applied}
        gateway.create(resources.VIRTUAL_MACHINES, vm, namespace="shop")
        path = tmp_path / "cluster.json"
        try:
            result = run_module_main(cluster_snapshot.main, {"kubeconfig": str(cluster.kubeconfig), "path": str(path)})
        finally:
            gateway.delete(resources.VIRTUAL_MACHINES, "with-password", namespace="shop")
        assert result["changed"] is True
        assert "shop/with-password" in read_snapshot(path).virtual_machines
        assert SECRET not in path.read_text()
        assert SECRET not in json.dumps(result)

    def test_users_run_it_with_connection_options_for_the_whole_group(
        self, cluster: RunningCluster, tmp_path: Path
    ) -> None:
        path = tmp_path / "cluster.json.gz"
        play = {
            "hosts": "localhost",
            "gather_facts": False,
            "module_defaults": {"group/ocpv.scale.k8s": {"kubeconfig": str(cluster.kubeconfig)}},
            "tasks": [{"name": "Take it", "ocpv.scale.cluster_snapshot": {"path": str(path)}}],
        }
        playbook = tmp_path / "play.yml"
        playbook.write_text(yaml.safe_dump([play]))
        run = run_playbook(str(playbook), "/absent", ANSIBLE_STDOUT_CALLBACK="ansible.posix.json")
        assert run.returncode == 0, run.output
        result = run.result("Take it")
        assert result["changed"] is True
        assert result["counts"]["virtual_machines"] == len(read_snapshot(path).virtual_machines)

    def test_what_is_written_is_what_was_read(self, gateway: Gateway, tmp_path: Path) -> None:
        snapshot = capture(gateway)
        write_snapshot(snapshot, tmp_path / "cluster.json.gz")
        assert read_snapshot(tmp_path / "cluster.json.gz") == snapshot


def plain(snapshot: Snapshot) -> Snapshot:
    """What a dump can tell of a snapshot: no metrics, no versions of the server, another time."""
    machines = {
        key: replace(vm, instance=vm.instance and replace(vm.instance, usage=None))
        for key, vm in snapshot.virtual_machines.items()
    }
    return replace(
        snapshot,
        captured_at="",
        server_version="",
        nodes={name: replace(node, usage=None) for name, node in snapshot.nodes.items()},
        virtual_machines=machines,
        pods=tuple(sorted(snapshot.pods, key=lambda pod: (pod.namespace, pod.name))),
        parts=(),
        missing={},
    )


@pytest.fixture(scope="module")
def expected(cluster: RunningCluster) -> Snapshot:
    return plain(capture(connect(kubeconfig=str(cluster.kubeconfig))))


@pytest.fixture(scope="module")
def objects(cluster: RunningCluster) -> list[dict[str, Any]]:
    """All objects as `oc get -o json` prints them, with kind and apiVersion."""
    client = cluster.client()
    return [
        {"apiVersion": resource.api_version, "kind": resource.kind, **item}
        for resource in DUMPED
        for item in client.items(resource.path())
    ]


class TestDumps:
    @pytest.mark.parametrize("form", ["json", "yaml"])
    def test_what_kubectl_prints(self, cluster: RunningCluster, expected: Snapshot, tmp_path: Path, form: str) -> None:
        if not shutil.which("kubectl"):
            pytest.skip("needs kubectl")
        kinds = ",".join(resource.full_name for resource in DUMPED)
        command = ["kubectl", "--kubeconfig", str(cluster.kubeconfig), "get", kinds, "--all-namespaces", "-o", form]
        dump = tmp_path / f"dump.{form}"
        with dump.open("wb") as output:
            subprocess.run(
                command, stdout=output, check=True, timeout=120, env={"HOME": str(tmp_path), "PATH": "/usr/bin"}
            )
        assert plain(read_dump(dump)) == expected

    def test_a_must_gather(self, objects: list[dict[str, Any]], expected: Snapshot, tmp_path: Path) -> None:
        root = tmp_path / "must-gather.local.1" / "quay-io-must-gather-sha256-1"
        plurals = {(resource.group, resource.kind): resource.plural for resource in DUMPED}
        for item in objects:
            metadata, kind = item["metadata"], item["kind"]
            group = item["apiVersion"].rpartition("/")[0]
            name, namespace = f"{metadata['name']}.yaml", metadata.get("namespace")
            if kind == "Namespace":
                place = root / "namespaces" / metadata["name"] / name
            elif kind == "Pod":
                place = root / "namespaces" / namespace / "pods" / metadata["name"] / name
            elif namespace:
                place = root / "namespaces" / namespace / (group or "core") / plurals[group, kind] / name
            else:
                place = root / "cluster-scoped-resources" / (group or "core") / plurals[group, kind] / name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(yaml.dump(item, Dumper=getattr(yaml, "CSafeDumper", yaml.SafeDumper)))
        assert plain(read_dump(tmp_path / "must-gather.local.1")) == expected


@pytest.mark.slow
@pytest.mark.simulated("36,000 objects take minutes to be created over the API")
def test_at_scale_requests_grow_with_pages() -> None:
    """The reference scenario: 3,000 VMs and 24,400 pods."""
    with start_cluster(scenario="reference", controllers=False) as big:
        gateway = connect(kubeconfig=str(big.kubeconfig))
        snapshot = capture(gateway)
        assert len(snapshot.virtual_machines) >= 3000
        assert len(snapshot.pods) >= 20000
        requests = big.requests()
        assert requests["list pods"] <= len(snapshot.pods) / 500 + 3
        assert sum(requests.values()) <= 110


def test_a_cluster_that_is_something_else_is_told(cluster: RunningCluster, gateway: Gateway) -> None:
    cluster.faults(
        {"match": {"path": "/apis/kubevirt.io/v1/"}, "action": {"status": 404, "message": "404 page not found"}}
    )
    with pytest.raises(NotFound, match="virtualmachineinstances.kubevirt.io") as caught:
        capture(gateway)
    assert "not installed" in caught.value.hint
