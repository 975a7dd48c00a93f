"""Options of rebalance_plan: bad input is named, before anything is planned."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.ocpv.scale.plugins.module_utils.errors import InvalidInput
from ansible_collections.ocpv.scale.plugins.module_utils.rebalance.operation import plan_or_review
from ansible_collections.ocpv.scale.plugins.module_utils.rebalance.plan import parse_plan
from ansible_collections.ocpv.scale.plugins.module_utils.rebalance.plan_file import holds, read_document, to_text
from ansible_collections.ocpv.scale.plugins.module_utils.rebalance.plan_options import ARGUMENT_SPEC, parse_request
from ansible_collections.ocpv.scale.plugins.module_utils.rebalance.planner import make_plan
from ansible_collections.ocpv.scale.plugins.module_utils.rebalance.request import PlanRequest, check_request
from unit.plugins.module_utils.rebalance.builders import node, snapshot, vm


def picture():
    machines = [vm(f"m{index}", "one", memory_gib=12) for index in range(4)]
    return snapshot([node("one"), node("two")], [*machines, vm("db", "two", namespace="shop")])


def params(**given: Any) -> dict[str, Any]:
    """Options as AnsibleModule completes them."""
    return {**{name: spec.get("default") for name, spec in ARGUMENT_SPEC.items()}, **given}


def wanted(name, target, namespace="apps", mode=None):
    return {"namespace": namespace, "name": name, "target": target, "mode": mode}


@pytest.mark.parametrize(
    ("given", "option", "text"),
    [
        ({"goal": "drain"}, "nodes", "names of the nodes"),
        ({"goal": "drain", "nodes": ["nine"]}, "nodes", "'nine'"),
        ({"nodes": ["one"]}, "nodes", "goal is balance"),
        ({"goal": "evacuate"}, "thresholds", "threshold"),
        ({"goal": "evacuate", "thresholds": {"cpu": 0, "memory": None}}, "thresholds.cpu", "from 1"),
        ({"goal": "moves"}, "moves", "list of moves"),
        ({"moves": [wanted("ghost", "two")]}, "moves", "apps/ghost"),
        ({"moves": [wanted("m0", "nine")]}, "moves", "nine"),
        ({"moves": [wanted("m0", "two"), wanted("m0", "one")]}, "moves", "once"),
        ({"moves": [wanted("m0", "two")], "pins": ["apps/m0"]}, "moves", "pins"),
        ({"moves": [wanted("m0", "two")], "goal": "drain", "nodes": ["two"]}, "moves", "drained"),
        ({"moves": [wanted("", "two")]}, "moves[0].name", "name"),
        ({"pins": ["apps/ghost"]}, "pins", "apps/ghost"),
        ({"exclude": ["apps/ghost"]}, "exclude", "apps/ghost"),
        ({"names": ["ghost"]}, "names", "ghost"),
        ({"namespaces": ["nowhere"]}, "namespaces", "nowhere"),
        ({"label_selector": "a b c"}, "label_selector", "a b c"),
        ({"max_bytes": "many"}, "max_bytes", "many"),
        ({"link_bandwidth": "fast"}, "link_bandwidth", "fast"),
        ({"max_moves": -1}, "max_moves", "at least 0"),
        ({"tolerance": -5}, "tolerance", "0 to 100"),
        ({"headroom": {"cpu": 120, "memory": 0}}, "headroom.cpu", "0 to 99"),
        ({"allow_over_percent": 50}, "allow_over_percent", "100 to 1000"),
        ({"wave_size": 0}, "wave_size", "1 to 1000"),
        ({"canary": -1}, "canary", "0 to 1000"),
        ({"resources": []}, "resources", "cpu, memory"),
        ({"modes": []}, "modes", "live, cold"),
        ({"basis": "used"}, "basis", "metrics"),
        ({"limits": {"parallel_migrations_per_cluster": 0}}, "limits.parallel_migrations_per_cluster", "1 to 1000"),
    ],
)
def test_bad_input_is_named(given, option, text):
    with pytest.raises(InvalidInput) as caught:
        check_request(parse_request(params(**given), picture(), ""), picture())
    assert caught.value.option == option
    assert text in caught.value.message


@pytest.mark.parametrize("field", ["goal", "basis", "default_tier"])
def test_unknown_words_are_named_with_those_that_are_known(field):
    with pytest.raises(InvalidInput, match=f"{field}: 'nonsense'.*one of"):
        check_request(PlanRequest(**{field: "nonsense"}), picture())


def test_the_goal_follows_from_moves():
    assert parse_request(params(), picture(), "").goal == "balance"
    request = parse_request(params(moves=[wanted("m0", "two")]), picture(), "")
    assert request.goal == "moves" and request.moves[0].key == "apps/m0"


def test_selection_and_pins_become_keys():
    request = parse_request(params(namespaces=["apps"], exclude=["m1"], pins=["m[02]"]), picture(), "")
    assert request.selected == {"apps/m0", "apps/m2", "apps/m3"}
    assert request.pins == {"apps/m0", "apps/m2"}
    assert parse_request(params(), picture(), "").selected is None


def test_a_call_plans_and_a_call_with_the_plan_reviews_it():
    plan, result = plan_or_review(picture(), params(snapshot="/a/file"))
    assert result["problems"] == [] and result["edited"] is False and result["digest"] == plan.digest
    assert json.loads(json.dumps(result)) == result
    document = result["plan"]
    document["stages"][0]["waves"][0]["moves"][0]["target"] = "nine"
    again, result = plan_or_review(picture(), params(plan=document))
    assert result["edited"] is True and result["digest"] == again.digest != plan.digest
    assert [problem["code"] for problem in result["problems"]] == ["node_unknown"]


@pytest.mark.parametrize("name", ["plan.yml", "plan.json"])
def test_files(tmp_path, name):
    path = tmp_path / name
    plan = make_plan(picture(), PlanRequest())
    assert not holds(str(path), plan)
    path.write_text(to_text(plan, str(path)), encoding="utf-8")
    assert parse_plan(read_document(str(path))) == parse_plan(plan.to_dict())
    assert holds(str(path), plan)
    other = make_plan(picture(), PlanRequest(goal="drain", nodes=("one",)))
    assert not holds(str(path), other)


@pytest.mark.parametrize(
    ("content", "text"),
    [(None, "No such file"), (b"{: [", "neither YAML nor JSON"), (b"\xff\xfe\x00", "not UTF-8")],
)
def test_files_that_cannot_be_read(tmp_path, content, text):
    path = tmp_path / "plan.yml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InvalidInput, match=text):
        read_document(str(path))
