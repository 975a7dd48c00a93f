from __future__ import annotations

from typing import Any

import pytest
from simcluster.testing import Client

CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"


@pytest.fixture(name="ten")
def _ten(client: Client) -> Client:
    for number in range(10):
        labels = {"parity": "even" if number % 2 == 0 else "odd"}
        body = {"metadata": {"name": f"m{number}", "labels": labels}, "data": {}}
        assert client.post(CONFIG_MAPS, body).status == 201
    return client


def names(content: dict[str, Any]) -> list[str]:
    return [item["metadata"]["name"] for item in content["items"]]


def test_pages_cover_the_collection_once_and_tell_what_remains(ten: Client) -> None:
    first = ten.get(CONFIG_MAPS, limit="4").json()
    assert first["metadata"]["remainingItemCount"] == 6
    second = ten.get(CONFIG_MAPS, limit="4", **{"continue": first["metadata"]["continue"]}).json()
    third = ten.get(CONFIG_MAPS, limit="4", **{"continue": second["metadata"]["continue"]}).json()
    assert names(first) + names(second) + names(third) == [f"m{n}" for n in range(10)]
    assert "continue" not in third["metadata"] and "remainingItemCount" not in third["metadata"]
    assert {page["metadata"]["resourceVersion"] for page in (first, second, third)} == {
        first["metadata"]["resourceVersion"]
    }


def test_later_pages_show_the_state_of_the_first(ten: Client) -> None:
    first = ten.get(CONFIG_MAPS, limit="5").json()
    ten.post(CONFIG_MAPS, {"metadata": {"name": "m55"}, "data": {}})
    ten.delete(f"{CONFIG_MAPS}/m7")
    ten.patch(f"{CONFIG_MAPS}/m8", {"data": {"new": "1"}})
    rest = ten.get(CONFIG_MAPS, limit="50", **{"continue": first["metadata"]["continue"]}).json()
    assert names(rest) == ["m5", "m6", "m7", "m8", "m9"]
    assert "data" not in rest["items"][3] or "new" not in rest["items"][3]["data"]
    assert names(ten.get(CONFIG_MAPS).json()) == ["m0", "m1", "m2", "m3", "m4", "m5", "m55", "m6", "m8", "m9"]


def test_a_token_that_is_too_old_brings_a_fresh_one(ten: Client) -> None:
    token = ten.get(CONFIG_MAPS, limit="5").json()["metadata"]["continue"]
    assert ten.post("/simcluster/compact", {}).status == 200
    expired = ten.get(CONFIG_MAPS, limit="5", **{"continue": token})
    assert (expired.status, expired.json()["reason"]) == (410, "Expired")
    fresh = expired.json()["metadata"]["continue"]
    assert names(ten.get(CONFIG_MAPS, limit="50", **{"continue": fresh}).json()) == ["m5", "m6", "m7", "m8", "m9"]


def test_bad_positions_are_refused(ten: Client) -> None:
    page = ten.get(CONFIG_MAPS, limit="5").json()
    broken = ten.get(CONFIG_MAPS, limit="5", **{"continue": "%%%"})
    assert broken.status == 400 and broken.json()["message"].startswith("invalid continue token")
    both = ten.get(CONFIG_MAPS, resourceVersion="1", **{"continue": page["metadata"]["continue"]})
    assert both.status == 400
    future = ten.get(CONFIG_MAPS, resourceVersion="999999999")
    current = page["metadata"]["resourceVersion"]
    assert future.status == 504 and future.header("Retry-After") == "1"
    assert future.json()["message"] == f"Timeout: Too large resource version: 999999999, current: {current}"
    assert future.json()["details"]["causes"][0]["reason"] == "ResourceVersionTooLarge"


def test_an_exact_version_is_served_until_it_is_compacted(ten: Client) -> None:
    before = ten.get(CONFIG_MAPS).json()["metadata"]["resourceVersion"]
    ten.delete(f"{CONFIG_MAPS}/m0")
    exact = ten.get(CONFIG_MAPS, resourceVersion=before, resourceVersionMatch="Exact").json()
    assert "m0" in names(exact) and exact["metadata"]["resourceVersion"] == before
    assert "m0" not in names(ten.get(CONFIG_MAPS, resourceVersion=before, resourceVersionMatch="NotOlderThan").json())
    ten.post("/simcluster/compact", {})
    expired = ten.get(CONFIG_MAPS, resourceVersion=before, resourceVersionMatch="Exact")
    assert expired.status == 410
    assert expired.json()["message"] == "The resourceVersion for the provided list is too old."


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        ("parity=even", ["m0", "m2", "m4", "m6", "m8"]),
        ("parity==odd", ["m1", "m3", "m5", "m7", "m9"]),
        ("parity!=odd", ["m0", "m2", "m4", "m6", "m8"]),
        ("parity in (odd, even)", [f"m{n}" for n in range(10)]),
        ("parity notin (odd)", ["m0", "m2", "m4", "m6", "m8"]),
        ("!parity", []),
        ("parity,parity!=even", ["m1", "m3", "m5", "m7", "m9"]),
    ],
)
def test_label_selectors(ten: Client, selector: str, expected: list[str]) -> None:
    assert names(ten.get(CONFIG_MAPS, labelSelector=selector).json()) == expected


def test_a_selector_that_cannot_be_read_is_a_bad_request(ten: Client) -> None:
    answer = ten.get(CONFIG_MAPS, labelSelector="a=b=c")
    assert answer.status == 400 and answer.json()["message"] == "found '=', expected: ',' or 'end of string'"


def test_selected_pages_do_not_count_what_remains(ten: Client) -> None:
    page = ten.get(CONFIG_MAPS, limit="2", labelSelector="parity=even").json()
    assert names(page) == ["m0", "m2"] and "remainingItemCount" not in page["metadata"]
    rest = ten.get(CONFIG_MAPS, limit="9", labelSelector="parity=even", **{"continue": page["metadata"]["continue"]})
    assert names(rest.json()) == ["m4", "m6", "m8"]


def test_field_selectors_of_core_kinds_and_of_custom_resources(client: Client) -> None:
    for name, node in (("a", "n1"), ("b", "n2")):
        spec = {"nodeName": node, "containers": [{"name": "c", "image": "i"}]}
        body = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}
        assert client.post("/api/v1/namespaces/default/pods", body).status == 201
    assert names(client.get("/api/v1/pods", fieldSelector="spec.nodeName=n2").json()) == ["b"]
    assert names(client.get("/api/v1/pods", fieldSelector="status.phase!=Running,metadata.name=a").json()) == ["a"]
    machines = "/apis/kubevirt.io/v1/virtualmachines"
    assert client.get(machines, fieldSelector="metadata.namespace=x").status == 200
    refused = client.get(machines, fieldSelector="spec.foo=1")
    assert refused.status == 400 and refused.json()["message"] == "field label not supported: spec.foo"


def test_items_of_core_kinds_carry_no_type_and_those_of_custom_resources_do(ten: Client) -> None:
    core = ten.get(CONFIG_MAPS).json()
    assert (core["kind"], core["apiVersion"]) == ("ConfigMapList", "v1")
    assert all("kind" not in item and "apiVersion" not in item for item in core["items"])
    policies = "/apis/migrations.kubevirt.io/v1alpha1/migrationpolicies"
    body = {
        "apiVersion": "migrations.kubevirt.io/v1alpha1",
        "kind": "MigrationPolicy",
        "metadata": {"name": "p"},
        "spec": {"selectors": {}},
    }
    assert ten.post(policies, body).status == 201
    custom = ten.get(policies).json()
    assert [item["kind"] for item in custom["items"]] == ["MigrationPolicy"]
    assert custom["metadata"]["continue"] == ""


def test_a_list_in_an_absent_namespace_is_empty(client: Client) -> None:
    answer = client.get("/api/v1/namespaces/absent/configmaps")
    assert answer.status == 200 and answer.json()["items"] == []


def test_without_a_limit_or_from_version_zero_everything_comes_at_once(ten: Client) -> None:
    assert len(ten.get(CONFIG_MAPS, limit="-1").json()["items"]) == 10
    assert len(ten.get(CONFIG_MAPS, limit="3", resourceVersion="0").json()["items"]) == 10


def test_metadata_and_tables_on_demand(ten: Client) -> None:
    partial = ten.request(
        "GET",
        CONFIG_MAPS,
        headers={"Accept": "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"},
    ).json()
    assert partial["kind"] == "PartialObjectMetadataList"
    assert all(set(item) == {"kind", "apiVersion", "metadata"} for item in partial["items"])
    table = ten.request(
        "GET", f"{CONFIG_MAPS}/m0", headers={"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"}
    ).json()
    assert [column["name"] for column in table["columnDefinitions"]] == ["Name", "Data", "Age"]
    assert table["rows"][0]["cells"][:2] == ["m0", 0]
    refused = ten.request("GET", CONFIG_MAPS, headers={"Accept": "application/xml"})
    assert refused.status == 406
