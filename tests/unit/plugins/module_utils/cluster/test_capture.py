"""A cluster is read by list calls; what cannot be read is told, and nothing is taken for empty that was not allowed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from ansible_collections.ocpv.scale.plugins.module_utils.cluster import resources
from ansible_collections.ocpv.scale.plugins.module_utils.cluster.capture import ALL_PARTS, capture
from ansible_collections.ocpv.scale.plugins.module_utils.cluster.gateway import Gateway
from ansible_collections.ocpv.scale.plugins.module_utils.cluster.model import Resources, Usage
from ansible_collections.ocpv.scale.plugins.module_utils.errors import Forbidden, InvalidInput, NotFound
from support.http_api import CAPTURED_AT, NOT_SERVED, HttpApi, Reply, status

MIB = 1024**2


def obj(name: str, namespace: str = "", **content: Any) -> dict[str, Any]:
    metadata = {"name": name, "uid": f"uid-{name}", **({"namespace": namespace} if namespace else {})}
    return {"metadata": {**metadata, **content.pop("metadata", {})}, **content}


def launcher(name: str, node: str, vmi: str, cpu: str, **metadata: Any) -> dict[str, Any]:
    labels = {"kubevirt.io": "virt-launcher", "kubevirt.io/created-by": vmi}
    spec = {"nodeName": node, "containers": [{"name": "compute", "resources": {"requests": {"cpu": cpu}}}]}
    return obj(name, "shop", metadata={"labels": labels, **metadata}, spec=spec, status={"phase": "Running"})


def fill(api: HttpApi) -> None:
    """A cluster with two nodes, one running VM that is just migrating, one stopped one."""
    collections: dict[resources.ResourceType, list[dict[str, Any]]] = {
        resources.NODES: [obj("w1"), obj("w2")],
        resources.NAMESPACES: [obj("kube-system"), obj("shop", metadata={"labels": {"team": "a"}})],
        resources.VIRTUAL_MACHINES: [obj("web", "shop", spec={}), obj("old", "shop", spec={})],
        resources.VIRTUAL_MACHINE_INSTANCES: [
            obj("web", "shop", metadata={"uid": "vmi-web"}, spec={}, status={"phase": "Running", "nodeName": "w1"})
        ],
        resources.PODS: [
            launcher("launcher-new", "w2", "vmi-web", "900m"),
            launcher("launcher-gone", "w1", "vmi-web", "700m", deletionTimestamp="2026-03-01T12:00:00Z"),
            launcher("launcher", "w1", "vmi-web", "500m"),
            obj("done", "shop", spec={"containers": []}, status={"phase": "Succeeded"}),
        ],
        resources.PERSISTENT_VOLUME_CLAIMS: [obj("disk", "shop", spec={"accessModes": ["ReadWriteMany"]})],
        resources.PERSISTENT_VOLUMES: [obj("pv-1", spec={})],
        resources.STORAGE_CLASSES: [obj("ceph", provisioner="rbd")],
        resources.STORAGE_PROFILES: [
            obj("ceph", status={"claimPropertySets": [{"accessModes": ["ReadWriteMany"], "volumeMode": "Block"}]})
        ],
        resources.DATA_VOLUMES: [obj("disk", "shop", status={"phase": "Succeeded"})],
        resources.MIGRATIONS: [obj("m1", "shop", spec={"vmiName": "web"}, status={"phase": "Running"})],
        resources.MIGRATION_POLICIES: [obj("fast", spec={})],
        resources.KUBEVIRTS: [
            obj(
                "kubevirt",
                "openshift-cnv",
                spec={
                    "configuration": {
                        "vmRolloutStrategy": "LiveUpdate",
                        "developerConfiguration": {"cpuAllocationRatio": 5, "memoryOvercommit": 150},
                    },
                    "workloadUpdateStrategy": {"workloadUpdateMethods": ["LiveMigrate"]},
                },
                status={"observedKubeVirtVersion": "v1.5.2", "outdatedVirtualMachineInstanceWorkloads": 3},
            )
        ],
        resources.hyperconvergeds("v1"): [
            obj(
                "kubevirt-hyperconverged",
                "openshift-cnv",
                apiVersion="hco.kubevirt.io/v1",
                spec={},
                status={"versions": [{"name": "operator", "version": "1.18.0"}]},
            )
        ],
        resources.KUBE_DESCHEDULERS: [
            obj("cluster", "openshift-kube-descheduler-operator", spec={"mode": "Automatic"})
        ],
        resources.NODE_METRICS: [obj("w1", usage={"cpu": "2", "memory": "1Gi"})],
        resources.POD_METRICS: [obj("launcher", "shop", containers=[{"usage": {"cpu": "250m", "memory": "64Mi"}}])],
    }
    for resource, items in collections.items():
        api.collections[resource.path()] = items
    handler = obj("virt-handler-1", "openshift-cnv", spec={"nodeName": "w1", "containers": []})
    handler["status"] = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
    api.collections[resources.PODS.path("openshift-cnv")] = [handler]
    api.routes["/apis/hco.kubevirt.io"] = hyperconverged_group("v1", "v1beta1")
    api.routes[resources.NAMESPACES.path(None, "kube-system")] = Reply(body=obj("kube-system"))


def hyperconverged_group(*versions: str) -> Reply:
    served = [{"groupVersion": f"hco.kubevirt.io/{version}", "version": version} for version in versions]
    return Reply(body={"kind": "APIGroup", "versions": served, "preferredVersion": served[0]})


@pytest.fixture
def cluster(api: HttpApi) -> HttpApi:
    fill(api)
    return api


def forbidden(path: str) -> Reply:
    return status(403, "Forbidden", f'{path} is forbidden: User "viewer" cannot list it')


class TestWhole:
    def test_every_part_is_there(self, cluster: HttpApi, gateway: Gateway) -> None:
        snapshot = capture(gateway)
        assert snapshot.parts == ALL_PARTS
        assert snapshot.missing == {}
        assert (snapshot.captured_at, snapshot.server_version) == (CAPTURED_AT, "v1.31.4")
        assert snapshot.cluster_uid == "uid-kube-system"
        assert set(snapshot.nodes) == {"w1", "w2"}
        assert snapshot.namespaces == {"kube-system": {}, "shop": {"team": "a"}}
        assert set(snapshot.virtual_machines) == {"shop/web", "shop/old"}
        assert snapshot.claims["shop/disk"].access_modes == ("ReadWriteMany",)
        assert set(snapshot.persistent_volumes) == {"pv-1"}
        assert snapshot.storage_classes["ceph"].claim_property_sets == (("ReadWriteMany", "Block"),)
        assert snapshot.data_volumes["shop/disk"].phase == "Succeeded"
        assert [migration.name for migration in snapshot.migrations] == ["m1"]
        assert [policy.name for policy in snapshot.migration_policies] == ["fast"]
        assert snapshot.descheduler is not None and snapshot.descheduler.mode == "Automatic"

    def test_requests_and_usage_are_those_of_the_active_launcher(self, cluster: HttpApi, gateway: Gateway) -> None:
        snapshot = capture(gateway)
        instance = snapshot.virtual_machines["shop/web"].instance
        assert instance is not None
        assert instance.requests == Resources(500, 0, 1)
        assert instance.usage == Usage(250, 64 * MIB)
        assert snapshot.nodes["w1"].usage == Usage(2000, 1024 * MIB)
        assert snapshot.nodes["w2"].usage is None

    def test_pods_that_have_ended_are_left_out(self, cluster: HttpApi, gateway: Gateway) -> None:
        assert "done" not in {pod.name for pod in capture(gateway).pods}
        query = cluster.asked("/api/v1/pods")[0].query
        assert query["fieldSelector"] == "status.phase!=Succeeded,status.phase!=Failed"

    def test_the_state_of_virtualization(self, cluster: HttpApi, gateway: Gateway) -> None:
        virtualization = capture(gateway).virtualization
        assert virtualization.namespace == "openshift-cnv"
        assert virtualization.kubevirt_version == "v1.5.2"
        assert virtualization.hyperconverged_version == "1.18.0"
        assert virtualization.hyperconverged_api == "hco.kubevirt.io/v1"
        assert virtualization.vm_rollout_strategy == "LiveUpdate"
        assert virtualization.workload_update_methods == ("LiveMigrate",)
        assert (virtualization.cpu_allocation_ratio, virtualization.memory_overcommit_percent) == (5, 150)
        assert virtualization.outdated_instances == 3
        assert virtualization.virt_handler_ready == {"w1": True}

    def test_only_lists_and_a_few_fixed_reads(self, cluster: HttpApi, gateway: Gateway) -> None:
        capture(gateway)
        first = len(cluster.requests)
        for number in range(300):
            cluster.collections[resources.VIRTUAL_MACHINES.path()].append(obj(f"vm-{number}", "shop", spec={}))
            cluster.collections[resources.PERSISTENT_VOLUME_CLAIMS.path()].append(obj(f"vm-{number}", "shop"))
        capture(gateway)
        assert len(cluster.requests) == 2 * first
        assert {request.method for request in cluster.requests} == {"GET"}


class TestTargetedMigration:
    PATH = resources.CUSTOM_RESOURCE_DEFINITIONS.path(None, "virtualmachineinstancemigrations.kubevirt.io")

    def definition(self, *fields: str) -> Reply:
        spec = {"properties": dict.fromkeys(fields, {"type": "object"})}
        schema = {"openAPIV3Schema": {"properties": {"spec": spec}}}
        versions = [{"name": "v1alpha3", "served": True}, {"name": "v1", "served": True, "schema": schema}]
        return Reply(body={"kind": "CustomResourceDefinition", "spec": {"versions": versions}})

    @pytest.mark.parametrize(("fields", "expected"), [(("vmiName",), False), (("vmiName", "addedNodeSelector"), True)])
    def test_the_served_schema_decides(
        self, cluster: HttpApi, gateway: Gateway, fields: tuple[str, ...], expected: bool
    ) -> None:
        cluster.routes[self.PATH] = self.definition(*fields)
        assert capture(gateway).virtualization.targeted_migration is expected

    @pytest.mark.parametrize(
        ("version", "expected"), [("v1.5.2", False), ("v1.6.0", True), ("v2.0.0-rc.1", True), ("", None), ("dev", None)]
    )
    def test_the_version_decides_when_the_schema_may_not_be_read(
        self, cluster: HttpApi, gateway: Gateway, version: str, expected: bool | None
    ) -> None:
        cluster.routes[self.PATH] = forbidden("customresourcedefinitions")
        cluster.collections[resources.KUBEVIRTS.path()][0]["status"]["observedKubeVirtVersion"] = version
        assert capture(gateway).virtualization.targeted_migration is expected


class TestWhatIsMissing:
    @pytest.mark.parametrize(
        ("path", "part"),
        [
            (resources.PERSISTENT_VOLUMES.path(), "persistent_volumes"),
            (resources.STORAGE_CLASSES.path(), "storage"),
            (resources.STORAGE_PROFILES.path(), "storage_profiles"),
            (resources.DATA_VOLUMES.path(), "data_volumes"),
            (resources.MIGRATION_POLICIES.path(), "policies"),
            (resources.KUBEVIRTS.path(), "virtualization"),
            (resources.hyperconvergeds("v1").path(), "hyperconverged"),
            (resources.PODS.path("openshift-cnv"), "virt_handlers"),
            (resources.KUBE_DESCHEDULERS.path(), "descheduler"),
            (resources.NODE_METRICS.path(), "usage"),
        ],
    )
    def test_what_is_optional_and_forbidden_is_told(
        self, cluster: HttpApi, gateway: Gateway, path: str, part: str
    ) -> None:
        cluster.routes[path] = forbidden(path)
        snapshot = capture(gateway)
        assert list(snapshot.missing) == [part]
        assert "cannot list it" in snapshot.missing[part]
        assert part not in snapshot.parts

    @pytest.mark.parametrize(
        "resource", [resources.NODES, resources.PODS, resources.VIRTUAL_MACHINES, resources.MIGRATIONS]
    )
    def test_what_is_required_and_forbidden_fails(
        self, cluster: HttpApi, gateway: Gateway, resource: resources.ResourceType
    ) -> None:
        cluster.routes[resource.path()] = forbidden(resource.plural)
        with pytest.raises(Forbidden, match=f"Could not list {resource.plural}"):
            capture(gateway)

    @pytest.mark.parametrize(
        "resource", [resources.KUBE_DESCHEDULERS, resources.DATA_VOLUMES, resources.MIGRATION_POLICIES]
    )
    def test_an_optional_kind_that_the_cluster_has_not_is_known_to_be_empty(
        self, cluster: HttpApi, gateway: Gateway, resource: resources.ResourceType
    ) -> None:
        del cluster.collections[resource.path()]
        assert capture(gateway).missing == {}

    def test_usage_of_a_cluster_without_metrics_is_not_known(self, cluster: HttpApi, gateway: Gateway) -> None:
        del cluster.collections[resources.NODE_METRICS.path()]
        snapshot = capture(gateway)
        assert list(snapshot.missing) == ["usage"]
        assert snapshot.nodes["w1"].usage is None

    def test_metrics_that_are_down_do_not_hold_up_the_rest_for_long(
        self, cluster: HttpApi, gateway: Gateway, fake_time: Any
    ) -> None:
        cluster.routes[resources.NODE_METRICS.path()] = status(503, "ServiceUnavailable", "metrics are down")
        assert "metrics are down" in capture(gateway).missing["usage"]
        assert sum(fake_time.slept) <= 10

    def test_a_cluster_without_virtualization_is_told(self, cluster: HttpApi, gateway: Gateway) -> None:
        del cluster.collections[resources.VIRTUAL_MACHINES.path()]
        with pytest.raises(NotFound, match="virtualmachines.kubevirt.io") as caught:
            capture(gateway)
        assert "not installed" in caught.value.hint

    def test_no_hyperconverged_is_nothing_missing(self, cluster: HttpApi, gateway: Gateway) -> None:
        cluster.routes["/apis/hco.kubevirt.io"] = NOT_SERVED
        snapshot = capture(gateway)
        assert snapshot.missing == {}
        assert snapshot.virtualization.hyperconverged_api == ""
        assert snapshot.virtualization.kubevirt_version == "v1.5.2"

    def test_an_older_hyperconverged_is_read_in_its_version(self, cluster: HttpApi, gateway: Gateway) -> None:
        items = cluster.collections.pop(resources.hyperconvergeds("v1").path())
        items[0]["apiVersion"] = "hco.kubevirt.io/v1beta1"
        cluster.collections[resources.hyperconvergeds("v1beta1").path()] = items
        cluster.routes["/apis/hco.kubevirt.io"] = hyperconverged_group("v1beta1")
        assert capture(gateway).virtualization.hyperconverged_api == "hco.kubevirt.io/v1beta1"


class TestParts:
    def test_only_what_is_asked_for_is_read(self, cluster: HttpApi, gateway: Gateway) -> None:
        snapshot = capture(gateway, ("virtual_machines", "claims"))
        assert snapshot.parts == ("virtual_machines", "claims")
        assert snapshot.cluster_uid == "uid-kube-system"
        assert {request.path for request in cluster.requests} == {
            "/version",
            "/api/v1/namespaces/kube-system",
            "/api/v1/persistentvolumeclaims",
            "/api/v1/persistentvolumes",
            resources.VIRTUAL_MACHINES.path(),
            resources.VIRTUAL_MACHINE_INSTANCES.path(),
        }

    def test_an_unknown_part_is_told_before_anything_is_read(self, api: HttpApi, gateway: Gateway) -> None:
        with pytest.raises(InvalidInput, match=r"parts: \['volumes'\] cannot be used: .*claims"):
            capture(gateway, ("volumes",))
        assert api.requests == []

    def test_namespaces_limit_what_belongs_to_vms_only(self, cluster: HttpApi, gateway: Gateway) -> None:
        for resource in (resources.VIRTUAL_MACHINES, resources.VIRTUAL_MACHINE_INSTANCES):
            for namespace in ("shop", "bank"):
                cluster.collections[resource.path(namespace)] = [obj("vm", namespace, spec={})]
        snapshot = capture(gateway, ("nodes", "virtual_machines"), namespaces=["shop", "bank"])
        assert set(snapshot.virtual_machines) == {"shop/vm", "bank/vm"}
        assert set(snapshot.nodes) == {"w1", "w2"}
        assert cluster.asked(resources.VIRTUAL_MACHINES.path()) == []


class TestTrouble:
    def test_an_object_of_another_shape_is_named(self, cluster: HttpApi, gateway: Gateway) -> None:
        cluster.collections[resources.PODS.path()].append(
            {"metadata": {"namespace": "shop", "name": "odd"}, "kind": "Pod"}
        )
        with pytest.raises(InvalidInput, match="Pod shop/odd: \"no 'spec'\""):
            capture(gateway)

    def test_reading_goes_on_when_the_server_restarts_in_the_middle(
        self, cluster: HttpApi, make_gateway: Callable[..., Gateway]
    ) -> None:
        pass_on = [lambda request: None] * 4
        cluster.script = [*pass_on, Reply(drop=True), Reply(drop=True), status(503, "ServiceUnavailable", "starting")]
        assert capture(make_gateway(cluster.url)).parts == ALL_PARTS
