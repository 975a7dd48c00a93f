from __future__ import annotations

import time
from typing import Any

from simcluster.testing import Client

CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"
POLICIES = "/apis/migrations.kubevirt.io/v1alpha1/migrationpolicies"
PODS = "/api/v1/namespaces/default/pods"


def policy(name: str, *finalizers: str) -> dict[str, Any]:
    return {
        "apiVersion": "migrations.kubevirt.io/v1alpha1",
        "kind": "MigrationPolicy",
        "metadata": {"name": name, "finalizers": list(finalizers)},
        "spec": {"selectors": {}},
    }


def pod(name: str, node: str = "") -> dict[str, Any]:
    spec: dict[str, Any] = {"containers": [{"name": "c", "image": "i"}]}
    if node:
        spec["nodeName"] = node
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}


def test_without_finalizers_the_answer_is_a_success_that_names_the_object(client: Client) -> None:
    made = client.post(POLICIES, policy("p")).json()
    answer = client.delete(f"{POLICIES}/p")
    assert answer.status == 200
    assert answer.json() == {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Success",
        "details": {
            "name": "p",
            "group": "migrations.kubevirt.io",
            "kind": "migrationpolicies",
            "uid": made["metadata"]["uid"],
        },
    }
    assert client.get(f"{POLICIES}/p").status == 404
    assert client.delete(f"{POLICIES}/p").status == 404


def test_a_finalizer_holds_the_object_until_it_is_taken_off(client: Client) -> None:
    made = client.post(POLICIES, policy("p", "example.com/hold")).json()
    first = client.delete(f"{POLICIES}/p").json()
    assert first["metadata"]["deletionTimestamp"] and first["metadata"]["deletionGracePeriodSeconds"] == 0
    assert first["metadata"]["generation"] == made["metadata"]["generation"] + 1
    assert client.delete(f"{POLICIES}/p").json() == first
    exists = client.post(POLICIES, policy("p"))
    assert exists.json()["message"] == (
        'object is being deleted: migrationpolicies.migrations.kubevirt.io "p" already exists'
    )
    more = client.patch(f"{POLICIES}/p", {"metadata": {"finalizers": ["example.com/hold", "example.com/new"]}})
    assert (
        more.status == 422 and "no new finalizers can be added if the object is being deleted" in more.json()["message"]
    )
    last = client.patch(f"{POLICIES}/p", {"metadata": {"finalizers": None}})
    assert last.status == 200 and last.json()["metadata"]["name"] == "p"
    assert client.get(f"{POLICIES}/p").status == 404


def test_propagation_policies_add_their_finalizer(client: Client) -> None:
    for name, wanted, finalizer in (("f", "Foreground", "foregroundDeletion"), ("o", "Orphan", "orphan")):
        client.post(POLICIES, policy(name))
        held = client.delete(f"{POLICIES}/{name}", {"propagationPolicy": wanted}).json()
        assert held["metadata"]["finalizers"] == [finalizer] and held["metadata"]["deletionTimestamp"]
    client.post(POLICIES, policy("b"))
    assert client.delete(f"{POLICIES}/b", propagationPolicy="Background").json()["status"] == "Success"


def test_a_finalizer_without_a_domain_earns_a_warning(client: Client) -> None:
    answer = client.post(POLICIES, policy("p", "hold"))
    assert answer.status == 201 and "prefer a domain-qualified finalizer name" in answer.warnings[0]


def test_preconditions(client: Client) -> None:
    uid = client.post(CONFIG_MAPS, {"metadata": {"name": "a"}}).json()["metadata"]["uid"]
    wrong = client.delete(f"{CONFIG_MAPS}/a", {"preconditions": {"uid": "other"}})
    assert (wrong.status, wrong.json()["reason"]) == (409, "Conflict")
    assert f"the UID in the precondition (other) does not match the UID in record ({uid})" in wrong.json()["message"]
    assert wrong.json()["details"]["kind"] == "ConfigMap"
    old = client.delete(f"{CONFIG_MAPS}/a", {"preconditions": {"resourceVersion": "1"}})
    assert old.status == 409 and "might have been modified" in old.json()["message"]
    assert client.delete(f"{CONFIG_MAPS}/a", {"preconditions": {"uid": uid}}).status == 200


def test_a_scheduled_pod_goes_in_the_future_and_one_without_a_node_at_once(client: Client) -> None:
    client.post(PODS, pod("bound", "node-1"))
    answer = client.delete(f"{PODS}/bound").json()
    assert answer["kind"] == "Pod" and answer["metadata"]["deletionGracePeriodSeconds"] == 30
    assert (
        answer["metadata"]["deletionTimestamp"] > client.post(PODS, pod("free")).json()["metadata"]["creationTimestamp"]
    )
    assert client.delete(f"{PODS}/free").json()["kind"] == "Pod"
    assert client.get(f"{PODS}/free").status == 404
    assert client.delete(f"{PODS}/bound", {"gracePeriodSeconds": 0}).status == 200
    assert client.get(f"{PODS}/bound").status == 404


def test_a_collection_delete_answers_with_what_it_deleted(client: Client) -> None:
    for name, labels in (("a", {"x": "1"}), ("b", {"x": "1"}), ("c", {})):
        client.post(CONFIG_MAPS, {"metadata": {"name": name, "labels": labels}})
    answer = client.delete(CONFIG_MAPS, labelSelector="x=1").json()
    assert [item["metadata"]["name"] for item in answer["items"]] == ["a", "b"]
    assert [item["metadata"]["name"] for item in client.get(CONFIG_MAPS).json()["items"]] == ["c"]


def test_a_namespace_takes_its_content_along_and_waits_for_finalizers(client: Client) -> None:
    client.post("/api/v1/namespaces", {"metadata": {"name": "n"}})
    assert client.get("/api/v1/namespaces/n/serviceaccounts/default").status == 200
    client.post("/api/v1/namespaces/n/configmaps", {"metadata": {"name": "free"}})
    held = {"metadata": {"name": "held", "finalizers": ["example.com/hold"]}}
    client.post("/api/v1/namespaces/n/configmaps", held)
    answer = client.delete("/api/v1/namespaces/n").json()
    assert answer["kind"] == "Namespace" and answer["status"]["phase"] == "Terminating"
    refused = client.post("/api/v1/namespaces/n/configmaps", {"metadata": {"name": "late"}})
    assert refused.status == 403
    assert "because it is being terminated" in refused.json()["message"]
    assert refused.json()["details"]["causes"][0]["reason"] == "NamespaceTerminating"
    _until(lambda: client.get("/api/v1/namespaces/n/configmaps/free").status == 404)
    _until(lambda: client.get("/api/v1/namespaces/n").json()["status"].get("conditions"))
    assert client.get("/api/v1/namespaces/n/configmaps/held").json()["metadata"]["deletionTimestamp"]
    client.patch("/api/v1/namespaces/n/configmaps/held", {"metadata": {"finalizers": None}})
    _until(lambda: client.get("/api/v1/namespaces/n").status == 404)


def _until(condition: Any, seconds: float = 5.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)
