"""Planning on the simulated cluster; plans are replayed on the API's objects by the auditor's rules."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.ocpv.scale.plugins.module_utils.cluster.snapshot_file import read_snapshot
from ansible_collections.ocpv.scale.plugins.module_utils.rebalance.planner import make_plan
from ansible_collections.ocpv.scale.plugins.module_utils.rebalance.request import PlanRequest
from ansible_collections.ocpv.scale.plugins.modules import cluster_snapshot, rebalance_plan
from audit import facts
from audit.placement import node_rules, pod_rules
from support.modules import run_module_main
from support.start import start_cluster

Document = dict[str, Any]
HOSTNAME = "kubernetes.io/hostname"


@dataclass
class Picture:
    """A cluster as the API showed it, and a snapshot file of it."""

    nodes: Mapping[str, facts.Node]
    pods: list[facts.Pod]
    path: Path


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Picture]:
    return {}


@pytest.fixture(params=["small", "tight", "mixed-cpu"])
def picture(request: pytest.FixtureRequest, pictures: dict[str, Picture], tmp_path_factory: Any) -> Picture:
    return taken(request.param, pictures, tmp_path_factory)


def taken(scenario: str, pictures: dict[str, Picture], tmp_path_factory: pytest.TempPathFactory) -> Picture:
    if scenario not in pictures:
        path = tmp_path_factory.mktemp(scenario) / "snapshot.json"
        with start_cluster(scenario=scenario, controllers=False) as cluster:
            result = run_module_main(cluster_snapshot.main, {"kubeconfig": str(cluster.kubeconfig), "path": str(path)})
            assert not result.get("failed"), result
            client = cluster.client()
            nodes = [facts.node(item) for item in client.items("/api/v1/nodes")]
            pods = [facts.pod(item) for item in client.items("/api/v1/pods")]
        pictures[scenario] = Picture(
            {node.name: node for node in nodes}, [pod for pod in pods if pod.holds_resources], path
        )
    return pictures[scenario]


def plan(picture: Picture, **options: Any) -> Document:
    result = run_module_main(rebalance_plan.main, {"snapshot": str(picture.path), **options})
    assert not result.get("failed"), result
    assert result["problems"] == []
    return result


def replay(picture: Picture, document: Document) -> dict[str, str]:
    """Play the plan wave by wave with both pods of a moving VM, by the auditor's rules; return where each VM ends."""
    launchers = {"/".join(pod.machine): pod for pod in picture.pods if pod.instance_uid}
    pods = {pod.uid: pod for pod in picture.pods}
    held = {name: Counter[str]() for name in picture.nodes}
    for pod in picture.pods:
        held[pod.node].update(pod.requests + Counter(pods=1000))
    for stage in document["stages"]:
        for wave in stage["waves"]:
            arrived = []
            for move in wave["moves"]:
                key = f"{move['namespace']}/{move['name']}"
                source = launchers[key]
                assert source.node == move["source"], move
                selector = {name: value for name, value in source.node_selector.items() if name != HOSTNAME}
                target = replace(source, uid=f"{move['id']}-{source.uid}", node=move["target"], node_selector=selector)
                node = picture.nodes[move["target"]]
                if move["mode"] == "cold":
                    pods.pop(source.uid)
                    held[source.node].subtract(source.requests + Counter(pods=1000))
                assert node_rules(target, node) == [], move
                assert pod_rules(target, picture.nodes, pods.values()) == [], move
                held[node.name].update(target.requests + Counter(pods=1000))
                over = {name: amount for name, amount in held[node.name].items() if amount > node.allocatable[name]}
                assert not over, (move, over)
                pods[target.uid] = target
                arrived.append((key, source, target))
            for key, source, target in arrived:
                if pods.pop(source.uid, None):
                    held[source.node].subtract(source.requests + Counter(pods=1000))
                launchers[key] = target
    return {key: pod.node for key, pod in launchers.items()}


def drainable(picture: Picture) -> list[str]:
    return sorted(name for name, node in picture.nodes.items() if node.labels.get("kubevirt.io/schedulable") == "true")


def test_balance(picture: Picture) -> None:
    result = plan(picture)
    replay(picture, result["plan"])
    summary = result["summary"]
    assert summary["moves"] > 0
    assert summary["max_level_after"] < summary["max_level_before"]
    assert summary["lower_bound_level"] <= summary["max_level_after"]
    assert set(summary["node_loss"]["unsafe_after"]) <= set(summary["node_loss"]["unsafe_before"])


@pytest.mark.parametrize("modes", [["live"], ["live", "cold"]])
def test_drain_of_every_node(picture: Picture, modes: list[str]) -> None:
    for node in drainable(picture):
        result = plan(picture, goal="drain", nodes=[node], modes=modes)
        ends = replay(picture, result["plan"])
        left = {key for key, place in ends.items() if place == node}
        assert left == {item["name"] for item in result["plan"]["not_moved"]}
        assert all(item["reasons"] for item in result["plan"]["not_moved"])
        assert {move["mode"] for move in moves(result["plan"])} <= set(modes)


def test_evacuate_and_cold_moves(picture: Picture) -> None:
    result = plan(picture, goal="evacuate", thresholds={"memory": 60, "cpu": 60}, modes=["live", "cold"])
    replay(picture, result["plan"])
    above = {item["name"] for item in result["plan"]["not_moved"]}
    for node in result["plan"]["nodes"]:
        level = node["after"]["requested_memory_bytes"] / node["capacity_memory_bytes"]
        assert level <= 0.6 or node["name"] in above or node["name"].startswith("control")


def test_basis_used_reads_the_metrics(picture: Picture) -> None:
    result = plan(picture, basis="used", tolerance=2)
    replay(picture, result["plan"])
    for move in moves(result["plan"]):
        assert " used, " in move["reason"] or "makes room" in move["reason"]


def test_small_moves_a_named_vm_and_keeps_a_pinned_one(pictures: dict[str, Picture], tmp_path_factory: Any) -> None:
    picture = taken("small", pictures, tmp_path_factory)
    snapshot = read_snapshot(picture.path)
    names = drainable(picture)
    movable = make_plan(snapshot, PlanRequest(goal="drain", nodes=(names[0],))).moves[0]
    wanted = {"namespace": movable.namespace, "name": movable.name, "target": movable.target, "mode": "live"}
    result = plan(picture, moves=[wanted])
    assert [(move["name"], move["target"]) for move in moves(result["plan"])] == [(movable.name, movable.target)]
    assert replay(picture, result["plan"])[movable.key] == movable.target
    result = plan(picture, goal="drain", nodes=[names[0]], pins=[movable.key])
    assert movable.key in {item["name"] for item in result["plan"]["not_moved"]}


def moves(document: Document) -> Iterator[Document]:
    for stage in document["stages"]:
        for wave in stage["waves"]:
            yield from wave["moves"]


@pytest.mark.parametrize("name", ["plan.yml", "plan.json"])
def test_a_plan_is_written_edited_and_checked_again(
    pictures: dict[str, Picture], tmp_path_factory: Any, tmp_path: Path, name: str
) -> None:
    picture = taken("small", pictures, tmp_path_factory)
    dest = tmp_path / name
    options = {"snapshot": str(picture.path), "dest": str(dest), "max_moves": 6}
    assert run_module_main(rebalance_plan.main, options, check_mode=True)["changed"] and not dest.exists()
    first = run_module_main(rebalance_plan.main, options)
    assert first["changed"] and first["dest"] == str(dest)
    again = run_module_main(rebalance_plan.main, options)
    assert not again["changed"] and again["digest"] == first["digest"]

    document = yaml.safe_load(dest.read_text(encoding="utf-8"))
    assert document["digest"] == first["digest"]
    wave = document["stages"][-1]["waves"][-1]
    wave["moves"][-1]["target"] = "worker-99"
    dest.write_text(json.dumps(document), encoding="utf-8")
    checked = run_module_main(rebalance_plan.main, {"snapshot": str(picture.path), "plan_file": str(dest)})
    assert checked["edited"] and checked["digest"] != first["digest"]
    assert [problem["code"] for problem in checked["problems"]] == ["node_unknown"]
    document["stages"][-1]["waves"] = [item for item in document["stages"][-1]["waves"] if item is not wave]
    document["stages"] = [stage for stage in document["stages"] if stage["waves"]]
    dest.write_text(json.dumps(document), encoding="utf-8")
    mended = run_module_main(
        rebalance_plan.main, {"snapshot": str(picture.path), "plan_file": str(dest), "dest": str(dest)}
    )
    assert mended["problems"] == []
    assert yaml.safe_load(dest.read_text(encoding="utf-8"))["digest"] == mended["digest"]


def test_planning_a_live_cluster_writes_nothing_to_it() -> None:
    with start_cluster(scenario="small", controllers=False) as cluster:
        cluster.forget_requests()
        result = run_module_main(rebalance_plan.main, {"kubeconfig": str(cluster.kubeconfig)})
        assert not result.get("failed"), result
        verbs = {name.split()[0] for name in cluster.requests()}
    assert {verb.lower() for verb in verbs} <= {"get", "list"}
    assert result["plan"]["created_at"] == result["plan"]["snapshot_at"]
    assert result["plan"]["limits"]["source"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"goal": "drain", "nodes": ["worker-99"]}, "worker-99"),
        ({"pins": ["shop/ghost"]}, "ghost"),
        ({"moves": [{"namespace": "shop", "name": "ghost", "target": "worker-01"}]}, "shop/ghost"),
        ({"goal": "evacuate"}, "thresholds"),
        ({"headroom": {"memory": 120}}, "headroom.memory"),
        ({"max_bytes": "lots"}, "lots"),
        ({"plan": {"format": "something"}}, "format"),
        ({"plan_file": "/no/such/plan.yml"}, "/no/such/plan.yml"),
        ({"dest": "/no/such/directory/plan.yml"}, "/no/such/directory"),
        ({"goal": "tidy"}, "tidy"),
    ],
)
def test_bad_input_fails_with_one_clear_message(
    pictures: dict[str, Picture], tmp_path_factory: Any, options: Document, said: str
) -> None:
    picture = taken("small", pictures, tmp_path_factory)
    result = run_module_main(rebalance_plan.main, {"snapshot": str(picture.path), **options})
    assert result["failed"] and said in result["msg"]
    assert "Traceback" not in result["msg"]


def test_a_plan_of_another_cluster_is_told(pictures: dict[str, Picture], tmp_path_factory: Any) -> None:
    picture = taken("small", pictures, tmp_path_factory)
    document = plan(picture)["plan"]
    document["cluster"]["uid"] = "another-cluster"
    result = run_module_main(rebalance_plan.main, {"snapshot": str(picture.path), "plan": document})
    assert "other_cluster" in {problem["code"] for problem in result["problems"]}


@pytest.mark.simulated("36,000 objects take minutes to be created over the API")
def test_the_reference_cluster_is_planned(pictures: dict[str, Picture], tmp_path_factory: Any) -> None:
    picture = taken("reference", pictures, tmp_path_factory)
    snapshot = read_snapshot(picture.path)
    made = make_plan(snapshot, PlanRequest())
    assert len(made.moves) >= 300
    assert made.summary["gap_points"] <= 5
    replay(picture, made.to_dict())
