"""Server-side apply: who owns what, and what others may not change."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from simcluster.apply import ApplyConflict, apply, track_update
from simcluster.fields import decode, difference, encode, field_set, merge
from simcluster.schema import SchemaInvalid
from simcluster.schema.nodes import Node
from unit.simcluster.schema_cases import REGISTRY, build, config_map, policy, resource

T1, T2, T3 = (f"2026-01-01T00:00:0{i}Z" for i in (1, 2, 3))


def root(obj: dict[str, Any]) -> Node:
    group, _, version = obj["apiVersion"].rpartition("/")
    return REGISTRY.schema(resource(group, obj["kind"]), version)


def applied(live: dict[str, Any] | None, obj: dict[str, Any], manager: str = "m1", **options: Any) -> dict[str, Any]:
    group = obj["apiVersion"].rpartition("/")[0]
    options = {"force": False, "time": T1, **options}
    kind = resource(group, obj["kind"])
    return apply(live, obj, manager=manager, schema_root=root(obj), resource=kind, **options)


def updated(before: dict[str, Any] | None, after: dict[str, Any], manager: str = "kubectl-edit") -> dict[str, Any]:
    after = copy.deepcopy(after)
    version = after["apiVersion"]
    track_update(before, after, manager=manager, api_version=version, subresource="", time=T2, schema_root=root(after))
    return after


def conflict(live: dict[str, Any], obj: dict[str, Any], manager: str) -> ApplyConflict:
    with pytest.raises(ApplyConflict) as caught:
        applied(live, obj, manager)
    return caught.value


def owners(obj: dict[str, Any]) -> dict[str, Any]:
    return {e["manager"]: e["fieldsV1"] for e in obj["metadata"]["managedFields"]}


def data(**values: str) -> dict[str, Any]:
    return {**config_map(), "data": values}


class TestApply:
    def test_a_create_owns_what_it_says(self) -> None:
        obj = applied(None, policy({"nodeSelector": {"a": "1"}, "maxUnavailable": 2}, labels={"x": "y"}))
        assert obj["metadata"]["managedFields"] == [
            {
                "manager": "m1",
                "operation": "Apply",
                "apiVersion": "nmstate.io/v1",
                "time": T1,
                "fieldsType": "FieldsV1",
                "fieldsV1": {
                    "f:metadata": {"f:labels": {"f:x": {}}},
                    "f:spec": {"f:maxUnavailable": {}, "f:nodeSelector": {"f:a": {}}},
                },
            }
        ]

    def test_conflicts_name_managers_and_fields(self) -> None:
        live = applied(None, policy({"nodeSelector": {"a": "1"}, "maxUnavailable": 2}))
        error = conflict(live, policy({"nodeSelector": {"a": "2"}, "maxUnavailable": 3}), "m2")
        assert error.conflicts == [('"m1"', ".spec.maxUnavailable"), ('"m1"', ".spec.nodeSelector.a")]
        assert error.message == (
            'Apply failed with 2 conflicts: conflicts with "m1":\n- .spec.maxUnavailable\n- .spec.nodeSelector.a'
        )
        assert error.causes[0] == {
            "reason": "FieldManagerConflict",
            "message": 'conflict with "m1"',
            "field": ".spec.maxUnavailable",
        }

    def test_one_conflict_stands_in_one_line(self) -> None:
        live = applied(None, data(x="1"))
        assert conflict(live, data(x="2"), "m2").message == 'Apply failed with 1 conflict: conflict with "m1": .data.x'

    def test_a_manager_that_updated_is_named_with_its_version(self) -> None:
        live = applied(None, policy({"maxUnavailable": 2}))
        changed = copy.deepcopy(live)
        changed["spec"]["maxUnavailable"] = 3
        live = updated(live, changed)
        assert conflict(live, policy({"maxUnavailable": 4}), "m1").message == (
            'Apply failed with 1 conflict: conflict with "kubectl-edit" using nmstate.io/v1: .spec.maxUnavailable'
        )

    def test_the_same_value_is_shared(self) -> None:
        live = applied(applied(None, data(x="1")), data(x="1"), "m2", time=T2)
        assert owners(live) == {"m1": {"f:data": {"f:x": {}}}, "m2": {"f:data": {"f:x": {}}}}

    def test_force_takes_a_field_away(self) -> None:
        live = applied(applied(None, data(x="1", y="1")), data(x="2"), "m2", force=True)
        assert live["data"] == {"x": "2", "y": "1"}
        assert owners(live) == {"m1": {"f:data": {"f:y": {}}}, "m2": {"f:data": {"f:x": {}}}}

    def test_a_field_left_out_next_time_is_removed(self) -> None:
        live = applied(applied(None, data(x="1", y="1")), data(x="1"))
        assert live["data"] == {"x": "1"}

    def test_a_field_left_out_stays_when_another_owns_it_too(self) -> None:
        live = applied(applied(None, data(x="1", y="1")), data(y="1"), "m2")
        assert applied(live, data(x="1"))["data"] == {"x": "1", "y": "1"}

    def test_the_last_field_takes_its_container_along(self) -> None:
        live = applied(None, policy({"nodeSelector": {"a": "1"}, "maxUnavailable": 2}))
        assert applied(live, policy({"maxUnavailable": 2}))["spec"] == {"maxUnavailable": 2}

    def test_what_nobody_owns_stays(self) -> None:
        live = applied(None, data(x="1", y="1"))
        live["data"]["defaulted"] = "z"
        assert applied(live, data(x="1"))["data"] == {"x": "1", "defaulted": "z"}

    def test_the_same_again_changes_nothing_not_even_the_time(self) -> None:
        live = applied(None, data(x="1"))
        assert applied(live, data(x="1"), time=T3) == live

    def test_an_object_without_managed_fields_belongs_to_the_time_before(self) -> None:
        live = policy({"maxUnavailable": 2})
        error = conflict(live, policy({"maxUnavailable": 3}), "m1")
        assert error.message == (
            'Apply failed with 1 conflict: conflict with "before-first-apply" using nmstate.io/v1: .spec.maxUnavailable'
        )
        assert [e["operation"] for e in applied(live, policy({"maxUnavailable": 2}))["metadata"]["managedFields"]] == [
            "Apply",
            "Update",
        ]

    def test_status_counts_only_on_the_status_path(self) -> None:
        body = {**policy({"maxUnavailable": 2}), "status": {"conditions": []}}
        live = applied(None, body)
        assert "status" not in live
        live = applied(live, body, subresource="status")
        assert live["status"] == {"conditions": []}
        entries = live["metadata"]["managedFields"]
        assert [(e["manager"], e.get("subresource")) for e in entries] == [("m1", None), ("m1", "status")]

    @pytest.mark.parametrize(
        ("spec", "text"),
        [
            ({"bogus": 1}, ".spec.bogus: field not declared in schema"),
            ({"nodeSelector": []}, ".spec.nodeSelector: expected map, got &{[]}"),
        ],
    )
    def test_a_body_that_does_not_fit_is_500(self, spec: dict[str, Any], text: str) -> None:
        with pytest.raises(SchemaInvalid) as caught:
            applied(None, policy(spec))
        assert (caught.value.code, caught.value.reason) == (500, "")
        assert caught.value.message == (
            "failed to create typed patch object (/x; nmstate.io/v1, Kind=NodeNetworkConfigurationPolicy): " + text
        )

    def test_managed_fields_in_the_body_are_refused(self) -> None:
        body = policy({}, managedFields=[{"manager": "x"}])
        with pytest.raises(SchemaInvalid, match=r"metadata\.managedFields must be nil") as caught:
            applied(None, body)
        assert caught.value.code == 400


def pod(*containers: dict[str, Any], **spec: Any) -> dict[str, Any]:
    return build("v1", "Pod", {"containers": list(containers), **spec})


class TestLists:
    def test_items_with_keys_are_merged(self) -> None:
        live = applied(None, pod({"name": "a", "image": "1"}, {"name": "b", "image": "1"}))
        live = applied(live, pod({"name": "b", "workingDir": "/"}, {"name": "c", "image": "1"}), "m2")
        assert live["spec"]["containers"] == [
            {"name": "a", "image": "1"},
            {"name": "b", "image": "1", "workingDir": "/"},
            {"name": "c", "image": "1"},
        ]

    def test_a_conflict_names_the_key(self) -> None:
        live = applied(None, pod({"name": "a", "image": "1"}))
        error = conflict(live, pod({"name": "a", "image": "2"}), "m2")
        assert error.conflicts == [('"m1"', '.spec.containers[name="a"].image')]

    def test_defaulted_keys_count(self) -> None:
        port = {"containerPort": 80}
        live = applied(None, pod({"name": "a", "image": "1", "ports": [port]}))
        assert (
            'k:{"containerPort":80,"protocol":"TCP"}'
            in (owners(live)["m1"]["f:spec"]["f:containers"]['k:{"name":"a"}']["f:ports"])
        )

    def test_an_item_left_out_goes_as_a_whole(self) -> None:
        live = applied(None, pod({"name": "a", "image": "1"}, {"name": "b", "image": "1"}))
        live["spec"]["containers"][1]["terminationMessagePath"] = "/defaulted"
        live = applied(live, pod({"name": "a", "image": "1"}))
        assert live["spec"]["containers"] == [{"name": "a", "image": "1"}]

    def test_an_item_left_out_stays_with_what_others_own(self) -> None:
        live = applied(None, pod({"name": "a", "image": "1"}, {"name": "b", "image": "1"}))
        live = applied(live, pod({"name": "b", "workingDir": "/"}), "m2")
        live = applied(live, pod({"name": "a", "image": "1"}))
        assert live["spec"]["containers"][1] == {"name": "b", "workingDir": "/"}

    def test_sets_are_united_and_each_takes_its_own_away(self) -> None:
        live = applied(None, policy({}, finalizers=["a/1", "a/2"]))
        live = applied(live, policy({}, finalizers=["b/1"]), "m2")
        assert live["metadata"]["finalizers"] == ["a/1", "a/2", "b/1"]
        live = applied(live, policy({}, finalizers=["a/2"]))
        assert live["metadata"]["finalizers"] == ["a/2", "b/1"]

    def test_atomic_lists_are_one_value(self) -> None:
        live = applied(None, pod({"name": "a", "image": "1", "args": ["x"]}))
        error = conflict(live, pod({"name": "a", "args": ["x", "y"]}), "m2")
        assert error.conflicts == [('"m1"', '.spec.containers[name="a"].args')]


class TestUpdates:
    def test_a_create_is_tracked_with_its_containers(self) -> None:
        obj = updated(None, data(x="1"), "python-requests")
        assert owners(obj) == {"python-requests": {"f:data": {".": {}, "f:x": {}}}}
        assert obj["metadata"]["managedFields"][0]["operation"] == "Update"

    def test_a_change_moves_ownership(self) -> None:
        live = applied(None, data(x="1", y="1"))
        changed = copy.deepcopy(live)
        changed["data"]["x"] = "2"
        assert owners(updated(live, changed)) == {
            "m1": {"f:data": {"f:y": {}}},
            "kubectl-edit": {"f:data": {"f:x": {}}},
        }

    def test_a_removed_field_belongs_to_nobody(self) -> None:
        live = applied(None, data(x="1", y="1"))
        changed = copy.deepcopy(live)
        del changed["data"]["x"]
        assert owners(updated(live, changed)) == {"m1": {"f:data": {"f:y": {}}}}

    def test_a_write_that_changes_nothing_keeps_every_time(self) -> None:
        live = updated(None, data(x="1"))
        after = copy.deepcopy(live)
        track_update(
            live,
            after,
            manager="kubectl-edit",
            api_version="v1",
            subresource="",
            time=T3,
            schema_root=root(live),
        )
        assert after == live

    def test_an_untracked_object_stays_untracked(self) -> None:
        live = data(x="1")
        assert "managedFields" not in updated(live, data(x="2"))["metadata"]

    def test_appliers_stand_first(self) -> None:
        live = applied(updated(None, data(x="1"), "a"), data(y="1"), "z", time=T3)
        assert [e["manager"] for e in live["metadata"]["managedFields"]] == ["z", "a"]


SPECS = st.fixed_dictionaries(
    {},
    optional={
        "maxUnavailable": st.integers(0, 3),
        "nodeSelector": st.dictionaries(st.sampled_from("abc"), st.sampled_from("12"), max_size=3),
        "desiredState": st.dictionaries(st.sampled_from("xy"), st.lists(st.integers(0, 2), max_size=2), max_size=2),
    },
)
CONTAINERS = st.lists(
    st.fixed_dictionaries(
        {"name": st.sampled_from("abc")},
        optional={"image": st.sampled_from("12"), "args": st.lists(st.sampled_from("xy"), max_size=2)},
    ),
    max_size=3,
    unique_by=lambda c: str(c["name"]),
)


class TestProperties:
    @given(SPECS, SPECS)
    @settings(max_examples=60, deadline=None)
    def test_applying_twice_is_applying_once(self, first: dict[str, Any], second: dict[str, Any]) -> None:
        live = applied(None, policy(first))
        once = applied(live, policy(second), time=T2)
        assert applied(once, policy(second), time=T3) == once

    @given(SPECS, SPECS)
    @settings(max_examples=60, deadline=None)
    def test_a_lone_manager_gets_what_it_says(self, first: dict[str, Any], second: dict[str, Any]) -> None:
        live = applied(applied(None, policy(first)), policy(second))
        expected = {k: v for k, v in second.items() if v != {}}
        assert {k: v for k, v in (live.get("spec") or {}).items() if v != {}} == expected

    @given(CONTAINERS, CONTAINERS)
    @settings(max_examples=60, deadline=None)
    def test_force_always_wins_and_two_managers_lose_nothing(self, first: Any, second: Any) -> None:
        live = applied(applied(None, pod(*first)), pod(*second), "m2", force=True)
        names = {c["name"]: c for c in live["spec"]["containers"]}
        assert set(names) == {c["name"] for c in [*first, *second]}
        for container in second:
            assert container.items() <= names[container["name"]].items()

    @given(SPECS, SPECS)
    @settings(max_examples=60, deadline=None)
    def test_sets_of_paths_survive_being_written(self, spec: dict[str, Any], other: dict[str, Any]) -> None:
        node = root(policy({}))
        for paths in (frozenset(field_set(node, policy(spec))), frozenset(difference(node, {}, policy(other)).added)):
            assert decode(encode(paths)) == paths

    @given(CONTAINERS, CONTAINERS)
    @settings(max_examples=60, deadline=None)
    def test_nothing_differs_after_merging_the_same(self, first: Any, second: Any) -> None:
        node = root(pod())
        merged = merge(node, pod(*first), pod(*second))
        found = difference(node, merged, merge(node, merged, pod(*second)))
        assert not found.written | found.removed
