"""virt-api: how many replicas the VMs need, and a JSON patch that shares its annotation with others'."""

from __future__ import annotations

import importlib
import json
import sys
from typing import Any

import pytest
from ansible_collections.ocpv.scale.plugins.module_utils.errors import InvalidInput
from ansible_collections.ocpv.scale.plugins.module_utils.migration import hyperconverged as hco
from ansible_collections.ocpv.scale.plugins.module_utils.migration.config.api_replicas import (
    asked_replicas,
    automatic_replicas,
    dump_operations,
    read_operations,
    wanted_replicas,
    with_replicas,
    without_replicas,
)
from hypothesis import given
from hypothesis import strategies as st

SIMULATION_TO_BE_HAD = sys.version_info >= (3, 12)
PATCHES = "/spec/customizeComponents/patches"
THEIRS = {"resourceType": "DaemonSet", "resourceName": "virt-handler", "type": "merge", "patch": "{}"}
GATE = {"op": "add", "path": "/spec/configuration/migrations/disableTLS", "value": True}
LIST = {"op": "add", "path": PATCHES, "value": [THEIRS]}
MORE = {"op": "add", "path": f"{PATCHES}/-", "value": THEIRS}
WHOLE = {"op": "add", "path": "/spec/customizeComponents", "value": {"patches": [THEIRS]}}
FLAGS = {"op": "add", "path": "/spec/customizeComponents", "value": {"flags": {}}}
GONE = {"op": "remove", "path": PATCHES}
OTHERS = st.sampled_from([[], [GATE], [LIST], [LIST, GONE], [LIST, MORE], [WHOLE], [FLAGS], [GATE, LIST, GATE]])


@pytest.mark.parametrize(
    ("machines", "replicas"), [(0, 2), (150, 2), (1500, 2), (1501, 3), (3000, 4), (3001, 5), (7500, 10)]
)
def test_one_replica_for_each_750_vms(machines: int, replicas: int) -> None:
    assert wanted_replicas(machines, 750) == replicas


@pytest.mark.parametrize(("nodes", "replicas"), [(0, 2), (1, 1), (2, 2), (12, 2), (29, 2), (30, 3), (100, 10)])
def test_the_operator_makes_one_for_ten_nodes(nodes: int, replicas: int) -> None:
    assert automatic_replicas(nodes) == replicas


def simulated(part: str) -> Any:
    """A module of the simulated cluster."""
    if not SIMULATION_TO_BE_HAD:
        pytest.skip("the simulated cluster needs Python 3.12")
    return importlib.import_module(f"simcluster.controllers.{part}")


def applied(operations: list[dict[str, Any]]) -> dict[str, Any]:
    """The KubeVirt's spec after the simulated operator has applied a patch."""
    annotations = {hco.JSON_PATCH: json.dumps(operations)}
    found: dict[str, Any] = simulated("hyperconverged").kubevirt_spec(
        {"metadata": {"annotations": annotations}, "spec": {}}, {}
    )
    return found


def customizations(operations: list[dict[str, Any]]) -> list[Any]:
    return list(applied(operations).get("customizeComponents", {}).get("patches") or [])


@given(OTHERS, st.integers(3, 20))
def test_the_operator_makes_as_many_and_keeps_what_others_asked_for(others: list[Any], replicas: int) -> None:
    operations = with_replicas(others, replicas, None)
    assert asked_replicas(operations) == replicas
    assert simulated("operator").api_replicas({"spec": applied(operations)}, 12) == replicas
    assert operations[: len(others)] == others
    assert customizations(operations)[: len(customizations(others))] == customizations(others)


@given(OTHERS, st.integers(3, 20), st.integers(3, 20))
def test_another_number_takes_the_place_of_the_former_one(others: list[Any], first: int, second: int) -> None:
    operations = with_replicas(with_replicas(others, first, None), second, first)
    assert operations == with_replicas(others, second, None)
    assert without_replicas(operations, second) == others
    assert without_replicas(operations, None) == operations


def test_what_others_added_to_our_list_stays_possible() -> None:
    operations = [*with_replicas([], 4, None), MORE]
    left = without_replicas(operations, 4)
    assert customizations(left) == [THEIRS]
    merged = [{"op": "add", "path": PATCHES, "value": [THEIRS, *with_replicas([], 4, None)[0]["value"]]}]
    assert without_replicas(merged, 4) == [LIST]


def test_a_number_that_somebody_else_asked_for_is_not_ours() -> None:
    by_hand = with_replicas([], 4, None)
    assert without_replicas(by_hand, 5) == by_hand
    assert asked_replicas(by_hand) == 4


@pytest.mark.parametrize(
    "patch",
    [
        {"resourceName": "virt-api", "type": "merge", "patch": '{"spec": {"replicas": 4}}'},
        {"resourceName": "virt-api", "type": "json", "patch": '[{"op": "add", "path": "/spec/replicas", "value": 4}]'},
        {"resourceName": "virt-api", "type": "json", "patch": "broken"},
        {"resourceName": "virt-handler", "type": "json", "patch": '[{"op": "replace", "path": "/spec/replicas"}]'},
    ],
)
def test_what_the_operator_scales_away_again_is_no_number_asked_for(patch: dict[str, Any]) -> None:
    assert asked_replicas([{"op": "add", "path": PATCHES, "value": [patch]}]) is None


def test_the_annotation_is_a_string_that_is_read_back() -> None:
    text = dump_operations(with_replicas([GATE], 4, None))
    assert text is not None
    assert read_operations({hco.JSON_PATCH: text}) == with_replicas([GATE], 4, None)
    assert dump_operations([]) is None
    assert read_operations({}) == []


@pytest.mark.parametrize("text", ["no JSON", "{}", "[1]", '[{"op": "add"}]', '"text"'])
def test_an_annotation_that_is_no_patch_is_told(text: str) -> None:
    with pytest.raises(InvalidInput, match="kubevirt.kubevirt.io/jsonpatch"):
        read_operations({hco.JSON_PATCH: text})
