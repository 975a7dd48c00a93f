"""What is written: as little as brings the cluster to what is wanted, and nothing the second time."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

import pytest
from ansible_collections.ocpv.scale.plugins.module_utils.migration.policies.differences import (
    CHANGE,
    CREATE,
    KEEP,
    REMOVE,
    Change,
    change_for,
    decide,
    policies_after,
    stored_otherwise,
)
from ansible_collections.ocpv.scale.plugins.module_utils.migration.policies.wanted import Wanted
from hypothesis import given
from hypothesis import strategies as st

Obj = dict[str, Any]
MINE = {"app.kubernetes.io/managed-by": "ocpv-scale"}


def live(name: str, spec: Obj, labels: Mapping[str, str] | None = None) -> Obj:
    return {"metadata": {"name": name, "uid": f"uid-{name}", "resourceVersion": "7", "labels": labels}, "spec": spec}


def merged(target: Any, patch: Any) -> Any:
    """RFC 7386, as the API server merges."""
    if not isinstance(patch, Mapping):
        return deepcopy(patch)
    result = dict(target) if isinstance(target, Mapping) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merged(result.get(key), value)
    return result


LABELS = st.dictionaries(st.sampled_from("abc"), st.sampled_from("xy"), max_size=3)
SPECS = st.fixed_dictionaries(
    {},
    optional={
        "completionTimeoutPerGiB": st.integers(0, 3),
        "bandwidthPerMigration": st.sampled_from(["64Mi", "67108864", "1Gi", "0"]),
        "allowPostCopy": st.booleans(),
        "experimental": st.just({"compression": "zstd"}),
    },
)
SELECTORS = st.fixed_dictionaries({}, optional={"virtualMachineInstanceSelector": LABELS, "namespaceSelector": LABELS})


@given(before=SPECS, selectors=st.none() | SELECTORS, vmi=LABELS, space=LABELS, spec=SPECS)
def test_the_patch_leads_to_what_is_wanted_and_a_second_one_is_empty(before, selectors, vmi, space, spec) -> None:
    spec.pop("experimental", None)
    wanted = Wanted("p", vmi, space, spec)
    item = live("p", {**before, **({} if selectors is None else {"selectors": selectors})})
    change = change_for(item, wanted, present=True)
    stored = {**item, "spec": merged(item["spec"], change.body.get("spec", {}))}
    assert stored_otherwise(Change("p", CHANGE, after={**spec, "selectors": wanted.selectors}), stored) == []
    assert stored["spec"].get("experimental") == before.get("experimental")
    assert change_for(stored, wanted, present=True).action == KEEP
    # the very labels, so that none is left over
    found = {key: labels for key, labels in stored["spec"]["selectors"].items() if labels}
    assert found == {key: labels for key, labels in wanted.selectors.items() if labels}


def test_only_what_differs_is_sent_for_the_version_that_was_read() -> None:
    wanted = Wanted("p", {"a": "x"}, {}, {"completionTimeoutPerGiB": 5, "bandwidthPerMigration": "64Mi"})
    selectors = {"virtualMachineInstanceSelector": {"a": "x", "b": "y"}, "namespaceSelector": {"c": "z"}}
    spec = {"selectors": selectors, "bandwidthPerMigration": "67108864", "allowPostCopy": True}
    change = change_for(live("p", spec), wanted, present=True)
    assert change.body == {
        "metadata": {"uid": "uid-p", "resourceVersion": "7"},
        "spec": {
            "completionTimeoutPerGiB": 5,
            "allowPostCopy": None,
            "selectors": {"virtualMachineInstanceSelector": {"a": "x", "b": None}, "namespaceSelector": None},
        },
    }


@pytest.mark.parametrize(
    ("there", "present", "action"),
    [(False, True, CREATE), (False, False, KEEP), (True, True, CHANGE), (True, False, REMOVE)],
)
def test_what_happens_by_what_is_there(there: bool, present: bool, action: str) -> None:
    wanted = Wanted("p", {"a": "x"}, {}, {"completionTimeoutPerGiB": 5})
    assert change_for(live("p", {}) if there else None, wanted, present=present).action == action


def test_only_policies_of_this_collection_are_purged() -> None:
    found = [
        live("mine", {}, MINE),
        live("theirs", {}, {"app.kubernetes.io/managed-by": "helm"}),
        live("kept", {}, MINE),
    ]
    wanted = [
        Wanted("kept", {"a": "x"}, {}, {"allowPostCopy": False}),
        Wanted("new", {"a": "y"}, {}, {"allowPostCopy": False}),
    ]
    changes = decide(found, wanted, present=True, purge=True)
    assert [(change.name, change.action, change.purged) for change in changes] == [
        ("kept", CHANGE, False),
        ("new", CREATE, False),
        ("mine", REMOVE, True),
    ]
    assert [policy.name for policy in policies_after(found, changes)] == ["kept", "new", "theirs"]
    assert [change.name for change in decide(found, wanted, present=True, purge=False)] == ["kept", "new"]


def test_what_the_server_dropped_is_noticed() -> None:
    change = change_for(None, Wanted("p", {"a": "x"}, {}, {"allowWorkloadDisruption": True}), present=True)
    stored = deepcopy(dict(change.body))
    del stored["spec"]["allowWorkloadDisruption"]
    assert stored_otherwise(change, stored) == ["allowWorkloadDisruption"]
