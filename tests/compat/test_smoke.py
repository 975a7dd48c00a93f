"""Playbooks and modules on the oldest supported versions; the embedded cluster itself runs on the newest."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from compat.environments import CACHE, NEWEST, OLDEST, OLDEST_MODULES, Environment
from simcluster.testing import RunningCluster, SimCluster
from support.clusters import apply_rights, nodes_of_machines
from support.playbook import AS_JSON, PlaybookRun, run_playbook

ROOT = Path(__file__).resolve().parents[2]
READING = str(Path(__file__).with_name("reading.yml"))
MOVES = 4


@dataclass(frozen=True)
class Place:
    """The environment that Ansible runs from, and the one that its modules run in."""

    controller: Environment
    modules: Environment
    cluster: RunningCluster
    folder: Path

    def run(self, playbook: str, **variables: Any) -> PlaybookRun:
        if self.modules is not self.controller:
            variables["ansible_python_interpreter"] = str(self.modules.python)
        shown: dict[str, Any] = {**AS_JSON}
        return run_playbook(playbook, self.cluster.kubeconfig, variables, programs=self.controller.programs, **shown)


@pytest.fixture(
    scope="module",
    params=[(OLDEST, OLDEST), (OLDEST, OLDEST_MODULES), (NEWEST, OLDEST_MODULES)],
    ids=lambda pair: " with modules in ".join(environment.name for environment in pair),
)
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    controller, modules = request.param
    for environment in (controller, modules):
        if not environment.python.exists():
            missing = f".cache/{environment.name} is not there: `make oldest` says why"
            if os.environ.get("CI"):
                pytest.fail(missing)
            pytest.skip(missing)
    with SimCluster("small", time_scale=50) as cluster:
        apply_rights(cluster)
        yield Place(controller, modules, cluster, tmp_path_factory.mktemp("smoke"))


def test_the_versions_are_the_lowest_that_the_collection_takes(place: Place) -> None:
    controller, modules = place.controller.versions(), place.modules.versions()
    core = yaml.safe_load((ROOT / "meta" / "runtime.yml").read_text())["requires_ansible"]
    assert core == ">=2.16.0"
    assert controller["ansible-core"].startswith("2.16.") == (place.controller is OLDEST)
    lowest = dict(re.findall(r"^(\w+)>=([0-9.]+)", (ROOT / "requirements.txt").read_text(), re.MULTILINE))
    if place.modules is OLDEST_MODULES:
        assert modules["Python"].startswith("3.9.")
    else:
        del lowest["PyYAML"]  # its lowest version is for Python 3.9
    assert {name: modules[name] for name in lowest} == lowest
    needed = yaml.safe_load((ROOT / "galaxy.yml").read_text())["dependencies"]["kubernetes.core"]
    manifest = CACHE / "collections" / "ansible_collections" / "kubernetes" / "core" / "MANIFEST.json"
    assert needed == f">={json.loads(manifest.read_text())['collection_info']['version']}"


def test_modules_read_a_cluster_and_a_file(place: Place) -> None:
    snapshot = place.folder / "snapshot.json.gz"
    run = place.run(READING, smoke_snapshot=str(snapshot))
    assert run.returncode == 0, run.failure()["msg"]
    assert snapshot.stat().st_size > 1000
    checked = run.result("Check VMs of the snapshot")
    assert {machine["namespace"] for machine in checked["virtual_machines"]} == {"lab"}
    python = run.result("Tell the Python that modules run on")["ansible_facts"]["ansible_python"]
    assert python["executable"] == str(place.modules.python)


def test_a_ready_cluster_passes_preflight(place: Place) -> None:
    run = place.run("ocpv.scale.preflight")
    assert run.returncode == 0, run.failure()["msg"]
    assert "OK      permissions: This account may do all that a run does." in run.result("Show the checks")["msg"]


def test_a_rebalance_moves_what_its_plan_says(place: Place) -> None:
    before = nodes_of_machines(place.cluster)
    folder = place.folder / "rebalance"
    run = place.run(
        "ocpv.scale.rebalance",
        rebalance_approval="automatic",
        rebalance_dir=str(folder),
        rebalance_max_moves=MOVES,
    )
    assert run.returncode == 0, run.failure()["msg"]
    plan = yaml.safe_load((folder / "plan.yml").read_text())
    moves = [move for stage in plan["stages"] for wave in stage["waves"] for move in wave["moves"]]
    assert 0 < len(moves) <= MOVES
    expected = before | {f"{move['namespace']}/{move['name']}": move["target"] for move in moves}
    assert nodes_of_machines(place.cluster) == expected != before
    assert run.result("Look at the cluster again and compare it with the record")["verified"] is True
    assert run.document["global_custom_stats"]["rebalance_results"]["localhost"]["counts"]["succeeded"] == len(moves)
    assert "</html>" in (folder / "report.html").read_text()
