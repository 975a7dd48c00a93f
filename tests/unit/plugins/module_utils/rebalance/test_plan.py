"""The plan as a document: read, edited by hand, refused when it makes no sense."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest
from ansible_collections.ocpv.scale.plugins.module_utils.errors import InvalidInput
from ansible_collections.ocpv.scale.plugins.module_utils.rebalance.plan import (
    Move,
    NodeForecast,
    NodeLoad,
    NotMoved,
    Plan,
    Prediction,
    Stage,
    Wave,
    edited,
    parse_plan,
    without_moves,
)

LOAD = NodeLoad(1000, 2**30, 2000, 2**31, None, None, 1, 5)


def move(number: int, **values: Any) -> Move:
    settings: dict[str, Any] = {
        "id": f"m{number:04d}",
        "namespace": "shop",
        "name": f"vm-{number}",
        "uid": f"uid-{number}",
        "source": "worker-1",
        "target": "worker-2",
        "mode": "live",
        "reason": "worker-1 is fuller",
    }
    return Move(**{**settings, **values})


@pytest.fixture
def plan() -> Plan:
    return Plan(
        id="20260101-000000-ab12",
        created_at="2026-01-01T00:00:00Z",
        cluster_uid="cluster",
        snapshot_at="2026-01-01T00:00:00Z",
        request={"goal": "balance"},
        limits={"parallel_migrations_per_cluster": 5, "source": "HyperConverged"},
        stages=(
            Stage("canary", (Wave(1, (move(1, predicted=Prediction(14, 0.5, 2**30, 0, 14)),), 14),), 14),
            Stage("critical", (Wave(1, (move(2), move(3, mode="cold", after=("m0001",)))), Wave(2, (move(4),)))),
        ),
        nodes=(NodeForecast("worker-1", 40_000, 2**38, 250, LOAD, LOAD),),
        summary={"moves": 4},
        not_moved=(NotMoved("shop/vm-9", ("its volume is ReadWriteOnce",)),),
        warnings=("no metrics",),
    )


def test_document_reads_back_the_same(plan: Plan) -> None:
    document = json.loads(json.dumps(plan.to_dict()))
    assert parse_plan(document) == plan
    assert not edited(document, plan)


def test_what_is_only_told_may_be_left_out_and_does_not_move_the_digest(plan: Plan) -> None:
    document = plan.to_dict()
    for key in ("summary", "nodes", "not_moved", "warnings", "created_at", "snapshot_at"):
        del document[key]
    for stage in document["stages"]:
        for wave in stage["waves"]:
            for entry in wave["moves"]:
                del entry["predicted"], entry["reason"]
    assert parse_plan(document).digest == plan.digest


def change_target(document: dict[str, Any]) -> None:
    document["stages"][0]["waves"][0]["moves"][0]["target"] = "worker-3"


def drop_move(document: dict[str, Any]) -> None:
    del document["stages"][1]["waves"][1]["moves"][0]


def change_mode(document: dict[str, Any]) -> None:
    document["stages"][1]["waves"][0]["moves"][0]["mode"] = "cold"


def change_limit(document: dict[str, Any]) -> None:
    document["limits"]["parallel_migrations_per_cluster"] = 50


def change_cluster(document: dict[str, Any]) -> None:
    document["cluster"]["uid"] = "another"


@pytest.mark.parametrize("change", [change_target, drop_move, change_mode, change_limit, change_cluster])
def test_every_change_of_what_is_done_moves_the_digest_and_the_run(
    plan: Plan, change: Callable[[dict[str, Any]], None]
) -> None:
    document = copy.deepcopy(plan.to_dict())
    change(document)
    changed = parse_plan(document)
    assert changed.digest != plan.digest
    assert changed.run_id != plan.run_id
    assert edited(document, changed)


@pytest.mark.parametrize(
    ("path", "value", "named"),
    [
        (("format",), "something", "plan.format"),
        (("version",), 2, "plan.version"),
        (("cluster",), None, "plan.cluster"),
        (("cluster", "uid"), "", "plan.cluster.uid"),
        (("stages",), "none", "plan.stages"),
        (("stages", 0, "name"), "first", "plan.stages[0].name"),
        (("stages", 0, "waves", 0, "moves", 0, "name"), 7, "plan.stages[0].waves[0].moves[0].name"),
        (("stages", 0, "waves", 0, "moves", 0, "mode"), "warm", "mode"),
        (("stages", 0, "waves", 0, "moves", 0, "target"), "worker-1", "target"),
        (("stages", 0, "waves", 0, "moves", 0, "id"), "m0002", "id"),
        (("stages", 0, "waves", 0, "moves", 0, "after"), ["m0004"], "after"),
        (("stages", 0, "waves", 0, "moves", 0, "predicted"), {"duration_seconds": "long"}, "duration_seconds"),
        (("limits",), [5], "plan.limits"),
    ],
)
def test_malformed_documents_are_refused_by_the_place(
    plan: Plan, path: tuple[str | int, ...], value: Any, named: str
) -> None:
    document = copy.deepcopy(plan.to_dict())
    place: Any = document
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    with pytest.raises(InvalidInput) as raised:
        parse_plan(document)
    assert named in raised.value.option


@pytest.mark.parametrize("document", [None, [], "plan", 3])
def test_what_is_no_mapping_is_refused(document: Any) -> None:
    with pytest.raises(InvalidInput, match="mapping"):
        parse_plan(document)


def test_dropping_moves_drops_empty_waves_and_stages(plan: Plan) -> None:
    rest = without_moves(plan, frozenset({"m0001", "m0004"}))
    assert [(stage.name, [wave.number for wave in stage.waves]) for stage in rest.stages] == [("critical", [1])]
