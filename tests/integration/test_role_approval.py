"""Approval: asked for at a terminal, refused without one, bound to a plan; and plans that were edited."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from simcluster.testing import RunningCluster
from support.clusters import KUBEVIRT, apply_rights, migrations, nodes_of_machines, writes
from support.inventory import GROUP, write_inventory
from support.playbook import AS_JSON, PlaybookRun, run_playbook
from support.start import start_cluster
from support.terminal import run_at_terminal

REBALANCE = "ocpv.scale.rebalance"
QUESTION = "Type yes to move the VMs"
ASK = "Ask whether to run the plan"
RUN = "Run the plan stage by stage"


@pytest.fixture(scope="module")
def cluster() -> Iterator[RunningCluster]:
    with start_cluster(scenario="small", time_scale=50) as running:
        apply_rights(running)
        yield running


@pytest.fixture(scope="module")
def second_cluster() -> Iterator[RunningCluster]:
    with start_cluster(scenario="small", time_scale=50, seed=1) as running:
        apply_rights(running)
        yield running


def read_plan(folder: Path) -> dict[str, Any]:
    plan: dict[str, Any] = yaml.safe_load((folder / "plan.yml").read_text())
    return plan


def moves_of(plan: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the moves of a plan by "namespace/name"."""
    return {
        f"{move['namespace']}/{move['name']}": move
        for stage in plan["stages"]
        for wave in stage["waves"]
        for move in wave["moves"]
    }


def test_without_a_terminal_nothing_is_moved_and_the_way_is_told(cluster: RunningCluster, tmp_path: Path) -> None:
    cluster.forget_requests()
    variables = {"rebalance_preflight": False, "rebalance_dir": str(tmp_path)}
    run = run_playbook(REBALANCE, cluster.kubeconfig, variables, **AS_JSON)
    assert run.returncode == 2
    told = run.failure()["msg"]
    for text in (
        "was not approved; nothing was moved",
        "rebalance_approval=automatic",
        f"rebalance_plan_file={tmp_path}/plan.yml",
        f"rebalance_approved_digest={read_plan(tmp_path)['digest']}",
    ):
        assert text in told
    assert writes(cluster) == {}
    assert not run.ran(RUN)


def test_a_no_leaves_everything_as_it_is(cluster: RunningCluster, tmp_path: Path) -> None:
    cluster.forget_requests()
    variables = {"rebalance_preflight": False, "rebalance_dir": str(tmp_path)}
    run = run_at_terminal(REBALANCE, cluster.kubeconfig, variables, QUESTION, "no", **AS_JSON)
    assert run.returncode == 2
    assert "was not approved; nothing was moved" in run.failure()["msg"]
    assert read_plan(tmp_path)["id"] in run.output[: run.output.index(QUESTION)]
    assert writes(cluster) == {}


def test_one_yes_runs_the_plans_of_several_clusters_each_its_own(
    cluster: RunningCluster, second_cluster: RunningCluster, tmp_path: Path
) -> None:
    clusters = {"east": cluster, "west": second_cluster}
    before = {name: nodes_of_machines(one) for name, one in clusters.items()}
    arguments = write_inventory(
        tmp_path / "clusters.yml",
        {name: {"ocpv_kubeconfig": str(one.kubeconfig)} for name, one in clusters.items()},
        # the role's own default is a folder for each host below the working directory
        rebalance_dir=f"{tmp_path}/{{{{ inventory_hostname }}}}",
        rebalance_max_moves=2,
        rebalance_preflight=False,
    )
    run = run_at_terminal(REBALANCE, None, {"ocpv_hosts": GROUP}, QUESTION, "yes", *arguments, **AS_JSON)
    assert run.returncode == 0, run.output[-3000:]
    asked = run.output[: run.output.index(QUESTION)]
    results = run.document["global_custom_stats"]["rebalance_results"]
    for name, one in clusters.items():
        plan = read_plan(tmp_path / name)
        assert f"{plan['id']} on {name}" in asked
        targets = {key: move["target"] for key, move in moves_of(plan).items()}
        assert len(targets) == 2
        assert nodes_of_machines(one) == before[name] | targets
        assert results[name]["counts"]["succeeded"] == 2
        assert results[name]["report"] == str(tmp_path / name / "report.html")
        assert (tmp_path / name / "report.html").exists()
    assert read_plan(tmp_path / "east")["id"] != read_plan(tmp_path / "west")["id"]


def test_a_plan_of_several_clusters_has_a_folder_each_by_default(
    cluster: RunningCluster, second_cluster: RunningCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    clusters = {"east": cluster, "west": second_cluster}
    arguments = write_inventory(
        tmp_path / "clusters.yml", {name: {"ocpv_kubeconfig": str(one.kubeconfig)} for name, one in clusters.items()}
    )
    variables = {"ocpv_hosts": GROUP, "rebalance_approval": "plan_only", "rebalance_preflight": False}
    assert run_playbook(REBALANCE, None, variables, *arguments).returncode == 0
    plans = {name: read_plan(tmp_path / "rebalance" / name) for name in clusters}
    assert plans["east"]["id"] != plans["west"]["id"]


@pytest.fixture(scope="module")
def edited(cluster: RunningCluster, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A plan of which one move is dropped, one goes to another node that takes it, one to a node that does not; and of
    one VM that is deleted before the plan is run. Holds what was done to it, and the run."""
    folder = tmp_path_factory.mktemp("edited")
    variables = {"rebalance_dir": str(folder), "rebalance_preflight": False}
    planning = {**variables, "rebalance_approval": "plan_only", "rebalance_stages": False}
    assert run_playbook(REBALANCE, cluster.kubeconfig, planning).returncode == 0
    plan = read_plan(folder)
    kept = [key for key, move in moves_of(plan).items() if key.startswith("desktops/") and not move["after"]]
    dropped, redirected, impossible, deleted = kept[:4]
    redirection = next(
        node for node in ("worker-09", "worker-10", "worker-11") if node != moves_of(plan)[redirected]["target"]
    )
    for stage in plan["stages"]:
        for wave in stage["waves"]:
            wave["moves"] = [move for move in wave["moves"] if f"{move['namespace']}/{move['name']}" != dropped]
    moves_of(plan)[redirected]["target"] = redirection
    moves_of(plan)[impossible]["target"] = "control-1"
    (folder / "edited.yml").write_text(yaml.safe_dump(plan))
    before = nodes_of_machines(cluster)
    client = cluster.client()
    namespace, name = deleted.split("/")
    assert client.delete(f"{KUBEVIRT}/namespaces/{namespace}/virtualmachines/{name}").status == 200
    running = {
        **variables,
        "rebalance_approval": "automatic",
        "rebalance_plan_file": str(folder / "edited.yml"),
        "rebalance_room_timeout_seconds": 0,
    }
    return {
        "plan": plan,
        "dropped": dropped,
        "redirected": redirected,
        "redirection": redirection,
        "impossible": impossible,
        "deleted": deleted,
        "before": before,
        "run": run_playbook(REBALANCE, cluster.kubeconfig, running, **AS_JSON),
    }


def test_an_edited_plan_is_looked_at_again_before_anything_is_done(edited: dict[str, Any]) -> None:
    run: PlaybookRun = edited["run"]
    planned = run.result("Plan")
    assert planned["edited"] is True
    assert planned["digest"] != edited["plan"]["digest"]
    problems = {problem["move"]: problem["message"] for problem in planned["problems"]}
    moves = moves_of(edited["plan"])
    assert set(problems) == {moves[edited["impossible"]]["id"], moves[edited["deleted"]]["id"]}
    lines = "\n".join(run.result("Show the plan")["msg"])
    assert "Problems (" in lines
    assert f"there is no VM {edited['deleted']}" in lines


def test_an_edited_plan_does_what_it_says_where_that_is_possible(
    edited: dict[str, Any], cluster: RunningCluster
) -> None:
    run: PlaybookRun = edited["run"]
    assert run.returncode == 0, run.output[-3000:]
    told = {f"{move['namespace']}/{move['name']}": move for move in run.result(RUN)["run"]["moves"]}
    assert edited["dropped"] not in told
    assert (told[edited["redirected"]]["status"], told[edited["redirected"]]["reached"]) == (
        "succeeded",
        edited["redirection"],
    )
    assert told[edited["impossible"]]["status"] == "skipped"
    assert "control-1" in told[edited["impossible"]]["message"]
    assert told[edited["deleted"]]["status"] == "skipped"
    stayed = {edited["dropped"], edited["impossible"], edited["deleted"]}
    targets = {key: move["target"] for key, move in moves_of(edited["plan"]).items() if key not in stayed}
    expected = edited["before"] | targets
    del expected[edited["deleted"]]
    assert nodes_of_machines(cluster) == expected


def test_the_approval_of_a_plan_is_none_of_an_edited_one(
    edited: dict[str, Any], cluster: RunningCluster, tmp_path: Path
) -> None:
    plan = edited["plan"]
    moves_of(plan)[edited["impossible"]]["target"] = "worker-12"
    (tmp_path / "edited.yml").write_text(yaml.safe_dump(plan))
    cluster.forget_requests()
    done = len(migrations(cluster))
    variables = {
        "rebalance_approval": "automatic",
        "rebalance_approved_digest": plan["digest"],
        "rebalance_dir": str(tmp_path),
        "rebalance_plan_file": str(tmp_path / "edited.yml"),
        "rebalance_preflight": False,
    }
    run = run_playbook(REBALANCE, cluster.kubeconfig, variables, **AS_JSON)
    assert run.returncode == 2
    assert "approved_digest" in run.failure()["msg"]
    assert "Have this one approved" in run.failure()["msg"]
    assert writes(cluster) == {}
    assert len(migrations(cluster)) == done
