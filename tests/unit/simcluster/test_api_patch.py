from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from simcluster.api.errors import StatusError
from simcluster.api.patch import json_patch, merge_patch, strategic_patch
from simcluster.testing import Client

CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"
POLICIES = "/apis/migrations.kubevirt.io/v1alpha1/migrationpolicies"
LEAVES = st.one_of(st.booleans(), st.integers(-5, 5), st.text(max_size=3))
TREES = st.recursive(
    LEAVES, lambda inner: st.dictionaries(st.sampled_from("abc"), inner, max_size=3) | st.lists(inner, max_size=2)
)
DOCUMENTS = st.dictionaries(st.sampled_from("abc"), TREES, max_size=3)


@given(target=DOCUMENTS, patch=DOCUMENTS)
def test_a_merge_patch_applied_twice_is_applied_once(target: Any, patch: Any) -> None:
    once = merge_patch(target, patch)
    assert merge_patch(once, patch) == once
    assert merge_patch(target, {}) == target


@pytest.mark.parametrize(
    ("target", "patch", "result"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_merge_patches_as_in_the_rfc(target: Any, patch: Any, result: Any) -> None:
    assert merge_patch(target, patch) == result


@pytest.mark.parametrize(
    "operations",
    [
        [{"op": "test", "path": "/data/x", "value": "other"}],
        [{"op": "remove", "path": "/data/absent"}],
        [{"op": "replace", "path": "/no/where", "value": 1}],
        [{"op": "spin", "path": "/data"}],
    ],
)
def test_json_patches_that_do_not_apply(client: Client, operations: Any) -> None:
    client.post(CONFIG_MAPS, {"metadata": {"name": "a"}, "data": {"x": "1"}})
    answer = client.patch(f"{CONFIG_MAPS}/a", operations, "json")
    assert (answer.status, answer.json()["reason"]) == (422, "Invalid")
    assert answer.json()["message"] == "the server rejected our request due to an error in our request"
    assert answer.json()["details"] == {}


def test_a_json_patch_with_a_test_that_holds(client: Client) -> None:
    client.post(CONFIG_MAPS, {"metadata": {"name": "a"}, "data": {"x": "1"}})
    operations = [
        {"op": "test", "path": "/data/x", "value": "1"},
        {"op": "add", "path": "/metadata/labels", "value": {}},
        {"op": "add", "path": "/metadata/labels/kubevirt.io~1x", "value": "c"},
        {"op": "remove", "path": "/data/x"},
    ]
    changed = client.patch(f"{CONFIG_MAPS}/a", operations, "json").json()
    assert changed["metadata"]["labels"] == {"kubevirt.io/x": "c"} and not changed.get("data")


def test_a_json_patch_has_at_most_ten_thousand_operations() -> None:
    with pytest.raises(StatusError) as refused:
        json_patch({}, [{"op": "add", "path": "/a", "value": 1}] * 10001)
    assert refused.value.code == 413


def test_strategic_patches_merge_lists_by_their_keys() -> None:
    old = {"containers": [{"name": "a", "image": "1", "env": [{"name": "X", "value": "1"}]}, {"name": "b"}]}
    patch = {"containers": [{"name": "a", "env": [{"name": "Y", "value": "2"}]}, {"name": "c"}]}
    assert strategic_patch(old, patch) == {
        "containers": [
            {"name": "a", "image": "1", "env": [{"name": "Y", "value": "2"}, {"name": "X", "value": "1"}]},
            {"name": "c"},
            {"name": "b"},
        ]
    }
    removed = strategic_patch(old, {"containers": [{"name": "a", "$patch": "delete"}]})
    assert removed == {"containers": [{"name": "b"}]}
    replaced = strategic_patch(old, {"containers": [{"$patch": "replace"}, {"name": "z"}]})
    assert replaced == {"containers": [{"name": "z"}]}
    ordered = strategic_patch(
        old, {"containers": [{"name": "c"}], "$setElementOrder/containers": [{"name": "c"}, {"name": "a"}]}
    )
    assert [each["name"] for each in ordered["containers"]] == ["c", "a", "b"]


def test_strategic_patches_replace_other_lists_and_merge_sets() -> None:
    assert strategic_patch({"taints": [{"key": "a"}]}, {"taints": [{"key": "b"}]}) == {"taints": [{"key": "b"}]}
    assert strategic_patch({"finalizers": ["a"]}, {"finalizers": ["b"]}) == {"finalizers": ["b", "a"]}
    gone = strategic_patch({"finalizers": ["a", "b"]}, {"$deleteFromPrimitiveList/finalizers": ["a"]})
    assert gone == {"finalizers": ["b"]}
    assert strategic_patch({"data": {"a": "1", "b": "2"}}, {"data": {"a": None}}) == {"data": {"b": "2"}}
    assert strategic_patch({"s": {"a": 1, "b": 2}}, {"s": {"$retainKeys": ["b"], "b": 3}}) == {"s": {"b": 3}}


def test_patch_types_that_a_kind_does_not_take(client: Client) -> None:
    policy = {
        "apiVersion": "migrations.kubevirt.io/v1alpha1",
        "kind": "MigrationPolicy",
        "metadata": {"name": "p"},
        "spec": {"selectors": {}},
    }
    assert client.post(POLICIES, policy).status == 201
    refused = client.patch(f"{POLICIES}/p", {"spec": {}}, "strategic")
    assert (refused.status, refused.json()["reason"]) == (415, "UnsupportedMediaType")
    assert "application/merge-patch+json" in refused.json()["message"]
    as_json = client.request("PATCH", f"{POLICIES}/p", policy, content_type="application/apply-patch+json")
    assert as_json.status == 415


def test_server_side_apply_creates_owns_and_conflicts(client: Client) -> None:
    def wanted(**data: str) -> dict[str, Any]:
        return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": data}

    assert client.patch(f"{CONFIG_MAPS}/a", wanted(x="1"), "apply").status == 422
    made = client.patch(f"{CONFIG_MAPS}/a", wanted(x="1"), "apply", fieldManager="m1")
    assert made.status == 201 and made.json()["metadata"]["uid"]
    again = client.patch(f"{CONFIG_MAPS}/a", wanted(x="1"), "apply", fieldManager="m1")
    assert (again.status, again.json()) == (200, made.json())
    refused = client.patch(f"{CONFIG_MAPS}/a", wanted(x="2"), "apply", fieldManager="m2")
    assert (refused.status, refused.json()["reason"]) == (409, "Conflict")
    assert refused.json()["message"] == 'Apply failed with 1 conflict: conflict with "m1": .data.x'
    assert refused.json()["details"] == {
        "causes": [{"reason": "FieldManagerConflict", "message": 'conflict with "m1"', "field": ".data.x"}]
    }
    forced = client.patch(f"{CONFIG_MAPS}/a", wanted(x="2"), "apply", fieldManager="m2", force="true").json()
    assert forced["data"] == {"x": "2"}
    dropped = client.patch(f"{CONFIG_MAPS}/a", wanted(), "apply", fieldManager="m2").json()
    assert "data" not in dropped or "x" not in dropped["data"]
    merged = client.patch(f"{CONFIG_MAPS}/a", {"data": {"y": "1"}}, force="true")
    assert merged.status == 422 and "force: Forbidden" in merged.json()["message"]
