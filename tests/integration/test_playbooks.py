"""The playbooks preflight and rebalance as a user runs them: checked, planned, tried, run, and run again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.ocpv.scale.plugins.modules import cluster_snapshot
from simcluster.testing import RunningCluster
from support.clusters import apply_rights, migrations, nodes_of_machines, writes
from support.inventory import GROUP, write_inventory
from support.modules import run_module_main
from support.playbook import AS_JSON, PlaybookRun, run_playbook
from support.start import start_cluster

REBALANCE = "ocpv.scale.rebalance"


@pytest.fixture(scope="module")
def cluster() -> Iterator[RunningCluster]:
    with start_cluster(scenario="small", time_scale=50) as running:
        apply_rights(running)
        yield running


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("playbooks")


@pytest.fixture(scope="module")
def preflight(cluster: RunningCluster, folder: Path) -> PlaybookRun:
    """Three inventory hosts: the cluster, one of its VMs that cannot move, and a snapshot of it in a file."""
    snapshot = str(folder / "snapshot.json.gz")
    written = run_module_main(cluster_snapshot.main, {"kubeconfig": str(cluster.kubeconfig), "path": snapshot})
    assert written["changed"] is True
    arguments = write_inventory(
        folder / "preflight.yml",
        {
            "live": {"ocpv_kubeconfig": str(cluster.kubeconfig)},
            "blocked": {"ocpv_kubeconfig": str(cluster.kubeconfig), "preflight_names": ["lab/scratch-01"]},
            "dump": {"preflight_snapshot": snapshot},
        },
    )
    cluster.forget_requests()
    run = run_playbook("ocpv.scale.preflight", None, {"ocpv_hosts": GROUP}, *arguments, **AS_JSON)
    assert writes(cluster) == {}
    return run


def test_a_cluster_that_is_ready_passes(preflight: PlaybookRun) -> None:
    assert preflight.recap("live")["failures"] == 0
    assert preflight.recap("live")["changed"] == 0
    lines = preflight.result("Show the checks", "live")["msg"]
    assert "OK      permissions: This account may do all that a run does." in lines
    assert len(lines) >= 16


def test_a_failing_check_fails_with_its_words_and_shows_all_lines(preflight: PlaybookRun) -> None:
    assert preflight.returncode == 2
    assert "storage: 0 of 1 running VM can be migrated live" in preflight.failure("blocked")["msg"]
    lines = preflight.result("Show the checks", "blocked")["msg"]
    assert [line for line in lines if line.startswith("FAILED  storage:")]
    assert [line for line in lines if line.startswith("OK      kubevirt:")]


def test_a_file_is_checked_alike_but_for_what_only_a_live_cluster_tells(preflight: PlaybookRun) -> None:
    assert preflight.recap("dump")["failures"] == 0
    live, dump = (preflight.result("Show the checks", host)["msg"] for host in ("live", "dump"))
    assert {line.split()[1] for line in set(live) ^ set(dump)} == {"permissions:", "quota:"}


@pytest.fixture(scope="module")
def planned(cluster: RunningCluster, folder: Path) -> PlaybookRun:
    """The playbook with rebalance_approval=plan_only."""
    cluster.forget_requests()
    variables = {"rebalance_approval": "plan_only", "rebalance_dir": str(folder / "rebalance")}
    return run_playbook(REBALANCE, cluster.kubeconfig, variables, **AS_JSON)


@pytest.fixture(scope="module")
def plan(planned: PlaybookRun, folder: Path) -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load((folder / "rebalance" / "plan.yml").read_text())
    return document


def test_plan_only_writes_the_plan_and_moves_nothing(
    planned: PlaybookRun, plan: dict[str, Any], cluster: RunningCluster, folder: Path
) -> None:
    assert (planned.returncode, planned.recap()["failures"]) == (0, 0)
    assert writes(cluster) == {}
    assert plan["digest"] == planned.result("Plan")["digest"]
    assert len(moves_of(plan)) >= 10
    lines = "\n".join(planned.result("Show the plan")["msg"])
    assert all(f"{move['source']} to {move['target']}" in lines for move in moves_of(plan))
    assert [path.name for path in (folder / "rebalance").iterdir()] == ["plan.yml"]


def test_check_mode_tells_what_would_be_done_and_changes_nothing(cluster: RunningCluster, folder: Path) -> None:
    cluster.forget_requests()
    new = folder / "new" / "rebalance"
    run = run_playbook(REBALANCE, cluster.kubeconfig, {"rebalance_dir": str(new)}, "--check", **AS_JSON)
    assert (run.returncode, run.recap()["failures"]) == (0, 0), run.output[-3000:]
    result = run.result("Run the plan stage by stage")
    assert result["changed"] is True
    assert result["counts"]["waiting"] == len(result["run"]["moves"]) >= 10
    assert result["problems"] == []
    assert writes(cluster) == {}
    assert not new.parent.exists()


@pytest.fixture(scope="module")
def before(cluster: RunningCluster, plan: dict[str, Any]) -> dict[str, str]:
    return nodes_of_machines(cluster)


@pytest.fixture(scope="module")
def ran(cluster: RunningCluster, folder: Path, plan: dict[str, Any], before: dict[str, str]) -> PlaybookRun:
    """The approved plan, run by a second job."""
    variables = {
        "rebalance_approval": "automatic",
        "rebalance_approved_digest": plan["digest"],
        "rebalance_dir": str(folder / "rebalance"),
        "rebalance_plan_file": str(folder / "rebalance" / "plan.yml"),
        "rebalance_title": "Monday",
    }
    return run_playbook(REBALANCE, cluster.kubeconfig, variables, **AS_JSON)


def test_an_approved_plan_is_carried_out(
    ran: PlaybookRun, plan: dict[str, Any], cluster: RunningCluster, before: dict[str, str]
) -> None:
    assert ran.returncode == 0, ran.output[-3000:]
    expected = before | {f"{move['namespace']}/{move['name']}": move["target"] for move in moves_of(plan)}
    assert nodes_of_machines(cluster) == expected
    assert len(migrations(cluster)) == len(moves_of(plan))
    assert ran.result("Look at the cluster again and compare it with the record")["verified"] is True
    assert not ran.ran("Ask whether to run the plan")


def test_the_report_and_the_stats_tell_it(
    ran: PlaybookRun, plan: dict[str, Any], folder: Path, before: dict[str, str]
) -> None:
    page = (folder / "rebalance" / "report.html").read_text()
    assert "<h1>Monday</h1>" in page
    report = json.loads((folder / "rebalance" / "report.json").read_text())
    moved = {f"{move['namespace']}/{move['name']}": move["target"] for move in moves_of(plan)}
    assert len(report["timeline"]) == len(moved)
    assert report["plan"]["digest"] == plan["digest"]
    assert report["durations"]["actual_seconds"] > 0
    result = ran.document["global_custom_stats"]["rebalance_results"]["localhost"]
    assert result["status"] == "completed"
    assert result["counts"] == {**dict.fromkeys(result["counts"], 0), "succeeded": len(moved)}
    assert result["report"] == str(folder / "rebalance" / "report.html")


def test_the_same_plan_again_changes_nothing(
    ran: PlaybookRun, cluster: RunningCluster, folder: Path, plan: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)  # relative paths are meant from here
    there = {path.name: path.read_bytes() for path in (folder / "rebalance").iterdir()}
    nodes = nodes_of_machines(cluster)
    cluster.forget_requests()
    variables = {
        "rebalance_approval": "automatic",
        "rebalance_plan_file": "rebalance/plan.yml",
        "rebalance_title": "Monday",
    }
    again = run_playbook(REBALANCE, cluster.kubeconfig, variables, **AS_JSON)
    assert (again.returncode, again.recap()["changed"]) == (0, 0), again.output[-3000:]
    assert again.result("Run the plan stage by stage")["counts"]["succeeded"] == len(moves_of(plan))
    assert writes(cluster) == {}
    assert nodes_of_machines(cluster) == nodes
    assert {path.name: path.read_bytes() for path in (folder / "rebalance").iterdir()} == there


def moves_of(plan: dict[str, Any]) -> list[dict[str, Any]]:
    return [move for stage in plan["stages"] for wave in stage["waves"] for move in wave["moves"]]
