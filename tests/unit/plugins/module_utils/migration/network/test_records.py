from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.ocpv.scale.plugins.module_utils import names
from ansible_collections.ocpv.scale.plugins.module_utils.migration.network.records import (
    Former,
    former_of,
    is_owned,
    joined_spec,
    leaving_spec,
    merge_patch,
    same_config,
)
from ansible_collections.ocpv.scale.plugins.module_utils.migration.network.render import policy_spec
from hypothesis import given
from hypothesis import strategies as st
from unit.plugins.module_utils.migration.network.networks import wanted

Obj = dict[str, Any]
CARDS = {"enp4s0": {"state": "up", "mtu": 1500}}
THEIRS: Obj = {
    "nodeSelector": {"node-role.kubernetes.io/worker": ""},
    "desiredState": {"interfaces": [{"name": "dummy1", "type": "dummy"}], "dns-resolver": {"config": {}}},
}
documents = st.recursive(
    st.booleans() | st.integers(0, 3) | st.text("ab", max_size=2),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text("abc", min_size=1, max_size=1), inner),
    max_leaves=8,
)
objects = st.dictionaries(st.text("abc", min_size=1, max_size=1), documents)


def merged(target: Any, patch: Any) -> Any:
    """RFC 7386."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merged(result.get(key), value)
    return result


@given(objects, objects)
def test_a_merge_patch_makes_one_of_the_other_and_nothing_of_equals(one: Obj, other: Obj) -> None:
    assert merged(one, merge_patch(one, other)) == other
    assert (merge_patch(one, other) == {}) == (one == other)


def interfaces(spec: Obj) -> list[tuple[str, str]]:
    return [(item["name"], item.get("state", "")) for item in spec["desiredState"].get("interfaces", [])]


@pytest.mark.parametrize(
    ("options", "way_back"),
    [
        ({}, [("enp4s0.3030", "absent"), ("enp4s0", "up")]),
        ({"topology": "linux-bridge"}, [("enp4s0.3030", "absent"), ("br-lm", "absent"), ("enp4s0", "up")]),
        ({"topology": "ethernet", "vlan_id": None}, [("enp4s0", "up")]),
    ],
)
def test_the_way_back_to_nothing_removes_what_was_made_and_restores_the_card(
    options: Obj, way_back: list[tuple[str, str]]
) -> None:
    leaving = leaving_spec(policy_spec(wanted(**options)), None, CARDS)
    assert interfaces(leaving) == way_back
    card = leaving["desiredState"]["interfaces"][-1]
    assert card == {"name": "enp4s0", "type": "ethernet", "state": "up", "mtu": 1500}
    # as after a call that was interrupted
    assert leaving_spec(leaving, None, CARDS) == leaving


def test_the_way_back_takes_the_mapping_along() -> None:
    leaving = leaving_spec(policy_spec(wanted(topology="ovs-bridge")), None, CARDS)
    assert leaving["desiredState"]["ovn"]["bridge-mappings"] == [{"localnet": "migration-network", "state": "absent"}]


def test_others_interfaces_stay_and_come_back() -> None:
    ours = policy_spec(wanted())
    joined = joined_spec(ours, THEIRS)
    assert [name for name, _state in interfaces(joined)] == ["dummy1", "enp4s0", "enp4s0.3030"]
    assert joined["desiredState"]["dns-resolver"] == {"config": {}}
    assert joined["maxUnavailable"] == 1
    # ours may be stated anew without anything being stated twice
    assert joined_spec(ours, joined) == joined
    leaving = leaving_spec(joined, THEIRS, CARDS)
    assert interfaces(leaving) == [("dummy1", ""), ("enp4s0.3030", "absent"), ("enp4s0", "up")]
    assert joined_spec(ours, None) == ours


def test_another_vlan_takes_the_first_one_away() -> None:
    between = leaving_spec(policy_spec(wanted()), policy_spec(wanted(vlan_id=3031)), CARDS)
    assert interfaces(between) == [("enp4s0", "up"), ("enp4s0.3031", "up"), ("enp4s0.3030", "absent")]


def test_a_record_is_read_back_and_a_spoilt_one_is_empty() -> None:
    former = Former(THEIRS, CARDS, "old-network")
    item: Obj = {"metadata": {"labels": {names.MIGRATION_NETWORK: "x"}, "annotations": {names.FORMER: former.text()}}}
    assert is_owned(item)
    assert former_of(item) == former
    for text in ("", "{", "[]", '{"spec": 7, "cards": []}'):
        item["metadata"]["annotations"][names.FORMER] = text
        assert former_of(item) == Former()
    assert not is_owned({"metadata": {}})
    assert not is_owned(None)


def test_configurations_are_compared_by_what_they_say() -> None:
    one = {"config": '{"a": 1, "b": [2]}'}
    assert same_config(one, {"config": json.dumps({"b": [2], "a": 1}, indent=2)})
    assert not same_config(one, {"config": "{}"})
    assert not same_config(one, {"config": "{"})
