"""A staged rebalance of more than 200 VMs on a real API server, killed in the middle and run again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from simcluster.testing import RunningCluster
from support.auditing import Audit
from support.killing import EVERYTHING, KillableRun
from support.playbook import run_playbook
from support.rehearsal import Rehearsal
from support.running import Scene
from support.start import real_cluster

PLAYBOOK = "ocpv.scale.rebalance"
SIZES = {
    "workers": 42, "rhel": 640, "windows": 210, "fedora": 420, "pods": 360,
    "parallel_per_cluster": 40, "parallel_outbound_per_node": 8,
}  # fmt: skip
LEAST_MOVES = 200


@pytest.fixture(scope="module")
def cluster() -> Iterator[RunningCluster]:
    with real_cluster({"name": "hundreds", "sizes": SIZES}, time_scale=100) as running:
        yield running


def test_killed_in_the_middle_it_goes_on_to_the_planned_state(cluster: RunningCluster, tmp_path: Path) -> None:
    variables: dict[str, Any] = {
        "rebalance_dir": str(tmp_path / "plan"),
        "rebalance_lease_seconds": 3,
        "rebalance_preflight": False,
    }
    scene = Scene(cluster)
    planned = run_playbook(PLAYBOOK, cluster.kubeconfig, {**variables, "rebalance_approval": "plan_only"})
    assert planned.returncode == 0, planned.output[-3000:]
    plan_file = tmp_path / "plan" / "plan.yml"
    view = Rehearsal(scene, yaml.safe_load(plan_file.read_text(encoding="utf-8")))
    assert len(view.moves) >= LEAST_MOVES
    variables |= {"rebalance_approval": "automatic", "rebalance_plan_file": str(plan_file)}
    with Audit(cluster.kubeconfig, tmp_path) as audit:
        with KillableRun(PLAYBOOK, cluster.kubeconfig, variables, tmp_path / "killed.log") as killed:
            killed.until(
                lambda: len(view.recorded("succeeded")) >= len(view.moves) // 2 and view.recorded("in_flight"),
                "half of it is done",
                seconds=300,
            )
            killed.kill(EVERYTHING)
        assert len(view.recorded("succeeded")) < len(view.moves)
        with KillableRun(PLAYBOOK, cluster.kubeconfig, variables, tmp_path / "resumed.log") as resumed:
            finished = resumed.result(seconds=400)
        assert finished.returncode == 0, finished.output[-3000:]
        view.check(resumed=1)
        view.check_that_another_run_changes_nothing()
        audit.finish()
