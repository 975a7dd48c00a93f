"""What the role is asked for is what happens: named moves, live and cold, a node drained, full nodes relieved."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from simcluster.testing import RunningCluster
from support.clusters import apply_rights, machine, migrations, nodes_of_machines
from support.playbook import AS_JSON, PlaybookRun, run_playbook
from support.start import start_cluster

DATABASE, GPU = "databases/database-01", "lab/gpu-01"


@pytest.fixture(scope="module")
def cluster() -> Iterator[RunningCluster]:
    with start_cluster(scenario="small", time_scale=50) as running:
        apply_rights(running)
        yield running


def rebalance(cluster: RunningCluster, folder: Path, **variables: Any) -> PlaybookRun:
    """Run the playbook without asking; C(variables) are the role's, without its prefix."""
    fixed = {"approval": "automatic", "dir": str(folder), "preflight": False}
    named = {f"rebalance_{name}": value for name, value in {**fixed, **variables}.items()}
    run = run_playbook("ocpv.scale.rebalance", cluster.kubeconfig, named, **AS_JSON)
    assert run.returncode == 0, run.failure()["msg"]
    if variables.get("approval") != "plan_only":
        assert run.result("Look at the cluster again and compare it with the record")["verified"] is True
    return run


def attached(manifest: dict[str, Any]) -> dict[str, Any]:
    """Return what a cold move changes for a while."""
    template = manifest["spec"]["template"]["spec"]
    return {
        "run_strategy": manifest["spec"].get("runStrategy"),
        "running": manifest["spec"].get("running"),
        "node_selector": template.get("nodeSelector"),
        "affinity": template.get("affinity"),
        "annotations": {
            name: value
            for name, value in (manifest["metadata"].get("annotations") or {}).items()
            if name.startswith("ocpv.scale/")
        },
    }


def test_named_moves_are_made_live_where_possible_and_cold_where_allowed(
    cluster: RunningCluster, tmp_path: Path
) -> None:
    before = nodes_of_machines(cluster)
    gpu_before = attached(machine(cluster, GPU))
    targets = {
        DATABASE: next(node for node in ("worker-11", "worker-12") if node != before[DATABASE]),
        GPU: {"worker-04": "worker-08", "worker-08": "worker-04"}[before[GPU]],
    }
    moves = [
        {"namespace": key.split("/")[0], "name": key.split("/")[1], "target": target} for key, target in targets.items()
    ]
    run = rebalance(cluster, tmp_path, moves=moves, modes=["live", "cold"])
    told = {move["name"]: move for move in run.result("Run the plan stage by stage")["run"]["moves"]}
    assert {name: move["mode"] for name, move in told.items()} == {"database-01": "live", "gpu-01": "cold"}
    assert nodes_of_machines(cluster) == before | targets
    assert [item["spec"]["vmiName"] for item in migrations(cluster)] == ["database-01"]
    assert attached(machine(cluster, GPU)) == gpu_before


def test_two_vms_change_places_over_a_third_node(tmp_path: Path) -> None:
    with start_cluster(scenario="tight", time_scale=50) as tight:
        apply_rights(tight)
        before = nodes_of_machines(tight)
        # 8 GiB each; worker-1 and worker-4 have no room for a second one
        targets = {"production/app-04": "worker-4", "production/app-14": "worker-1"}
        assert {before[key] for key in targets} == {"worker-1", "worker-4"}
        moves = [
            {"namespace": key.split("/")[0], "name": key.split("/")[1], "target": target}
            for key, target in targets.items()
        ]
        run = rebalance(tight, tmp_path, moves=moves, keep_node_loss=False)
        assert run.result("Run the plan stage by stage")["counts"]["succeeded"] == 3
        assert nodes_of_machines(tight) == before | targets


def test_a_drained_node_is_empty_but_for_what_cannot_move(cluster: RunningCluster, tmp_path: Path) -> None:
    before = nodes_of_machines(cluster)
    on_node = {key for key, node in before.items() if node == "worker-09"}
    run = rebalance(cluster, tmp_path, goal="drain", nodes=["worker-09"])
    after = nodes_of_machines(cluster)
    stayed = {key for key, node in after.items() if node == "worker-09"}
    told = {entry["name"] for entry in run.result("Plan")["plan"]["not_moved"]}
    assert stayed < on_node
    assert stayed <= told
    assert {key for key in before if before[key] != after[key]} == on_node - stayed


def test_nodes_above_the_thresholds_are_relieved(cluster: RunningCluster, tmp_path: Path) -> None:
    run = rebalance(cluster, tmp_path, goal="evacuate", thresholds={"memory": 75})
    summary = run.result("Plan")["summary"]
    assert summary["moves"] > 0
    assert summary["balance_before"]["memory"]["max_level"] > 0.75 >= summary["balance_after"]["memory"]["max_level"]
    again = rebalance(cluster, tmp_path, goal="evacuate", thresholds={"memory": 75}, approval="plan_only")
    assert again.result("Plan")["summary"]["moves"] == 0
