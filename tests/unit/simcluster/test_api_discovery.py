from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from simcluster.testing import Client

HYPERCONVERGED = {"kind": "HyperConverged", "metadata": {"name": "kubevirt-hyperconverged"}}


def resources(client: Client, path: str) -> dict[str, Any]:
    return {entry["name"]: entry for entry in client.get(path).json()["resources"]}


def test_versions_and_groups(client: Client) -> None:
    assert client.get("/version").json()["gitVersion"].startswith("v1.")
    assert client.get("/api").json()["versions"] == ["v1"]
    groups = {group["name"]: group for group in client.get("/apis").json()["groups"]}
    assert {"apps", "kubevirt.io", "hco.kubevirt.io", "metrics.k8s.io", "subresources.kubevirt.io"} <= set(groups)
    assert "" not in groups
    operator = groups["hco.kubevirt.io"]
    assert operator["preferredVersion"]["version"] == "v1"
    assert [each["version"] for each in operator["versions"]] == ["v1", "v1beta1"]
    assert client.get("/apis/hco.kubevirt.io").json()["versions"] == operator["versions"]


def test_an_older_release_serves_one_version_only(make_local: Callable[..., Any]) -> None:
    client = make_local(versions=("v1beta1",)).client
    assert [v["version"] for v in client.get("/apis/hco.kubevirt.io").json()["versions"]] == ["v1beta1"]
    assert client.get("/apis/hco.kubevirt.io/v1").status == 404


def test_entries_of_resources_and_their_subresources(client: Client) -> None:
    core = resources(client, "/api/v1")
    assert core["pods"]["shortNames"] == ["po"] and core["pods"]["namespaced"] is True
    assert core["pods/eviction"]["kind"] == "Eviction" and core["pods/eviction"]["group"] == "policy"
    machines = resources(client, "/apis/kubevirt.io/v1")
    verbs = ["delete", "deletecollection", "get", "list", "patch", "create", "update", "watch"]
    assert machines["virtualmachines"]["verbs"] == verbs
    assert machines["virtualmachines/status"]["kind"] == "VirtualMachine"
    assert "virtualmachineinstances/status" not in machines
    verbs_of_machines = resources(client, "/apis/subresources.kubevirt.io/v1")
    assert verbs_of_machines["virtualmachines/migrate"]["kind"] == ""
    assert verbs_of_machines["virtualmachines/migrate"]["verbs"] is None


@pytest.mark.parametrize("path", ["/apis/absent.io", "/apis/absent.io/v1", "/apis/kubevirt.io/v9", "/absent"])
def test_an_unknown_group_or_version_is_plain_text(client: Client, path: str) -> None:
    answer = client.get(path)
    assert answer.status == 404 and answer.header("Content-Type").startswith("text/plain")
    assert answer.body.strip() == b"404 page not found"


@pytest.mark.parametrize("path", ["/api/v2", "/apis/apps/v9", "/apis/apps/v9/deployments"])
def test_an_unknown_version_of_a_built_in_group_is_a_status(client: Client, path: str) -> None:
    answer = client.get(path)
    assert (answer.status, answer.json()["reason"]) == (404, "NotFound")


def test_an_unknown_resource(client: Client) -> None:
    custom = client.get("/apis/kubevirt.io/v1/absent")
    assert custom.status == 404 and custom.header("Content-Type").startswith("text/plain")
    core = client.get("/api/v1/namespaces/default/absent")
    assert core.status == 404 and core.json()["kind"] == "Status"


def test_an_object_that_is_absent(client: Client) -> None:
    core = client.get("/api/v1/namespaces/default/configmaps/x").json()
    assert core["message"] == 'configmaps "x" not found' and core["details"] == {"name": "x", "kind": "configmaps"}
    custom = client.get("/apis/nmstate.io/v1/nodenetworkconfigurationpolicies/x").json()
    assert custom["message"] == 'nodenetworkconfigurationpolicies.nmstate.io "x" not found'
    assert client.get("/api/v1/namespaces/default/configmaps/x", watch="true").status == 404


def test_one_object_in_two_layouts_and_the_silent_loss_of_the_old_one(client: Client) -> None:
    path = "/apis/hco.kubevirt.io/{}/namespaces/default/hyperconvergeds"
    limits = {"parallelMigrationsPerCluster": 9}
    body = {**HYPERCONVERGED, "apiVersion": "hco.kubevirt.io/v1beta1", "spec": {"liveMigrationConfig": limits}}
    assert client.post(path.format("v1beta1"), body).status == 201
    kubevirt = {"metadata": {"name": "kubevirt-kubevirt-hyperconverged"}, "kind": "KubeVirt", "spec": {}}
    made = client.post(
        "/apis/kubevirt.io/v1/namespaces/default/kubevirts", {**kubevirt, "apiVersion": "kubevirt.io/v1"}
    )
    assert made.status == 201
    one = f"{path}/kubevirt-hyperconverged"
    new = client.get(one.format("v1")).json()
    assert new["spec"]["virtualization"]["liveMigrationConfig"]["parallelMigrationsPerCluster"] == 9
    old_layout = {"spec": {"liveMigrationConfig": {"parallelMigrationsPerCluster": 2}}}
    lost = client.patch(one.format("v1"), old_layout)
    assert lost.status == 200 and lost.json()["metadata"]["resourceVersion"] == new["metadata"]["resourceVersion"]
    assert lost.warnings == ['unknown field "spec.liveMigrationConfig"']
    kept = client.patch(one.format("v1beta1"), old_layout).json()
    assert kept["apiVersion"] == "hco.kubevirt.io/v1beta1"
    assert (
        client.get(one.format("v1")).json()["spec"]["virtualization"]["liveMigrationConfig"][
            "parallelMigrationsPerCluster"
        ]
        == 2
    )


def test_kubectl_finds_that_fields_are_validated_by_the_server(client: Client) -> None:
    index = client.get("/openapi/v3").json()["paths"]
    url = index["apis/kubevirt.io/v1"]["serverRelativeURL"]
    paths = client.get(url.partition("?")[0]).json()["paths"]
    operation = paths["/apis/kubevirt.io/v1/namespaces/{namespace}/virtualmachines/{name}"]["patch"]
    assert "fieldValidation" in [parameter["name"] for parameter in operation["parameters"]]
    assert operation["x-kubernetes-group-version-kind"]["kind"] == "VirtualMachine"


def test_a_list_of_kubectl_is_validated_by_the_server(client: Client) -> None:
    """kubectl 1.33 reads this before it applies a List; what is not a Document it refuses."""
    answer = client.get("/openapi/v2")
    assert answer.header("Content-Type").endswith("+protobuf")
    assert answer.body.startswith(b"\x0a\x032.0\x12") and answer.body.endswith(b"\x42\x00")
