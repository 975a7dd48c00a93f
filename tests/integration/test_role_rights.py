"""The rights of docs/rbac are enough and needed, a token is all it takes to connect, and no token is ever shown."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from simcluster.testing import RunningCluster
from support.clusters import account_token, apply_rights, migrations, nodes_of_machines, writes
from support.inventory import GROUP, write_inventory
from support.playbook import AS_JSON, PlaybookRun, run_playbook
from support.start import start_cluster

ACCOUNT = "system:serviceaccount:ocpv-scale:rebalance"
MOVING = "create virtualmachineinstancemigrations.kubevirt.io"


@pytest.fixture
def no_files_of_a_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No kubeconfig in the home directory."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))


@pytest.fixture(scope="module")
def cluster() -> Iterator[RunningCluster]:
    with start_cluster(scenario="small", time_scale=50) as running:
        apply_rights(running)
        yield running


@pytest.mark.usefixtures("no_files_of_a_user")
def test_the_documented_account_checks_plans_and_moves_and_its_token_is_shown_nowhere(
    cluster: RunningCluster, tmp_path: Path
) -> None:
    token = account_token(cluster)
    connection = {
        "K8S_AUTH_HOST": cluster.url,
        "K8S_AUTH_API_KEY": token,
        "K8S_AUTH_SSL_CA_CERT": cluster.authority,
    }
    cluster.forget_requests()
    variables = {
        "rebalance_approval": "automatic",
        "rebalance_dir": str(tmp_path / "rebalance"),
        "rebalance_max_moves": 4,
        # asks for the rights to move cold as well
        "rebalance_moves": [{"namespace": "lab", "name": "gpu-01", "target": gpu_target(cluster)}],
        "rebalance_goal": "balance",
        "rebalance_modes": ["live", "cold"],
    }
    run = run_playbook("ocpv.scale.rebalance", None, variables, "-vvv", **AS_JSON, **connection)
    assert run.returncode == 0, run.output[-3000:]
    assert run.result("Check storage, nodes, capacity, virt-handler, workloads and limits")["passed"] is True
    counts = run.result("Run the plan stage by stage")["counts"]
    assert counts == {**dict.fromkeys(counts, 0), "succeeded": 4}
    assert len(migrations(cluster)) == 3
    assert cluster.requests(ACCOUNT)["create virtualmachineinstancemigrations.kubevirt.io"] == 3
    # nothing but this test asked as the administrator, and it only read
    assert writes(cluster) == {}
    assert token not in run.output
    written = list((tmp_path / "rebalance").iterdir())
    assert sorted(path.name for path in written) == ["plan.yml", "report.html", "report.json"]
    assert not [path for path in written if token in path.read_text()]


def gpu_target(cluster: RunningCluster) -> str:
    return {"worker-04": "worker-08", "worker-08": "worker-04"}[nodes_of_machines(cluster)["lab/gpu-01"]]


@pytest.fixture(scope="module")
def reading() -> Iterator[RunningCluster]:
    """A cluster whose account may read, and keep the state of runs, but not move."""
    with start_cluster(scenario="small", controllers=False) as running:
        apply_rights(running, without=("ocpv-scale-mover",))
        yield running


@pytest.fixture(scope="module")
def reader(reading: RunningCluster, tmp_path_factory: pytest.TempPathFactory) -> tuple[PlaybookRun, Path]:
    """What such an account is told: when it plans, wants to move, and wants to move without asking first if it may."""
    folder = tmp_path_factory.mktemp("reader")
    token = account_token(reading)
    arguments = write_inventory(
        folder / "inventory.yml",
        {
            "plans": {"rebalance_approval": "plan_only"},
            "moves": {"rebalance_approval": "automatic"},
            "moves-unchecked": {"rebalance_approval": "automatic", "rebalance_preflight": False},
        },
        ocpv_host=reading.url,
        ocpv_api_key=token,
        ocpv_ca_cert=reading.authority,
        rebalance_dir=f"{folder}/{{{{ inventory_hostname }}}}",
    )
    reading.forget_requests()
    run = run_playbook("ocpv.scale.rebalance", None, {"ocpv_hosts": GROUP}, *arguments, "-vvv", **AS_JSON)
    assert token not in run.output
    return run, folder


def test_reading_is_enough_to_plan(reader: tuple[PlaybookRun, Path]) -> None:
    run, folder = reader
    assert run.recap("plans")["failures"] == 0
    assert yaml.safe_load((folder / "plans" / "plan.yml").read_text())["stages"]
    assert f"FAILED  permissions: This account may not {MOVING}" in "\n".join(
        run.result("Show the checks", "plans")["msg"]
    )


def test_to_move_is_refused_by_the_preflight_which_names_the_right(reader: tuple[PlaybookRun, Path]) -> None:
    run, folder = reader
    told = run.failure("moves")["msg"]
    assert f"permissions: This account may not {MOVING}" in told
    assert "docs/rbac/rebalance.yaml" in told
    assert not (folder / "moves").exists()


def test_to_move_is_refused_by_the_run_as_well_before_anything_is_changed(
    reader: tuple[PlaybookRun, Path], reading: RunningCluster
) -> None:
    run, _folder = reader
    failure = run.failure("moves-unchecked")
    assert MOVING in failure["msg"]
    assert "Nothing was changed" in failure["msg"]
    assert any(right.startswith(MOVING) for right in failure["details"]["missing"])
    assert run.returncode == 2
    assert reading.requests(ACCOUNT)
    assert writes(reading, ACCOUNT) == {}
