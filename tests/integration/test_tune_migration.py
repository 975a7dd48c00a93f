"""The playbooks tune_migration and tune_density: profiles, windows that survive a kill, advice, both API layouts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ocpv.scale.plugins.module_utils.migration import hyperconverged as hco
from simcluster.testing import RunningCluster
from support.clusters import writes
from support.killing import EVERYTHING, KillableRun
from support.playbook import AS_JSON, PlaybookRun, run_playbook
from support.settings import Platform
from support.start import start_cluster

MIGRATION, DENSITY = "ocpv.scale.tune_migration", "ocpv.scale.tune_density"
SET, SHOW = "Set the live-migration settings in the HyperConverged", "Show the settings"
SET_DENSITY = "Set the ratios, and the replicas of virt-api"


@pytest.fixture(scope="module")
def cluster() -> Iterator[RunningCluster]:
    with start_cluster("small", time_scale=50) as running:
        yield running


@pytest.fixture
def platform(cluster: RunningCluster) -> Platform:
    return Platform(cluster)


def tune(platform: Platform, playbook: str = MIGRATION, *arguments: str, **variables: Any) -> PlaybookRun:
    return run_playbook(playbook, platform.cluster.kubeconfig, variables, *arguments, **AS_JSON)


def test_a_profile_with_a_value_over_it_is_set_once(platform: Platform) -> None:
    given = {"migration_tuning_profile": "moderate", "migration_tuning_parallel_migrations_per_cluster": 8}
    checked = tune(platform, MIGRATION, "--check", "--diff", **given)
    assert checked.returncode == 0, checked.output[-3000:]
    assert platform.config()["parallelMigrationsPerCluster"] == 5

    run = tune(platform, **given)
    assert run.returncode == 0, run.output[-3000:]
    assert run.recap()["changed"] == 1
    applied = platform.applied()
    assert (applied["parallelMigrationsPerCluster"], applied["bandwidthPerMigration"]) == (8, "64Mi")
    shown = "\n".join(run.result(SHOW)["msg"])
    assert "parallel_migrations_per_cluster" in shown
    assert "8   (was 5)" in shown

    platform.cluster.forget_requests()
    again = tune(platform, **given)
    assert (again.returncode, again.recap()["changed"]) == (0, 0)
    assert writes(platform.cluster) == {}
    assert tune(platform, migration_tuning_unset=["all"]).recap()["changed"] == 1


def test_a_window_whose_opening_was_killed_is_restored_by_the_next_job(platform: Platform, tmp_path: Path) -> None:
    platform.attach("never", master="nic-of-no-node")
    before = platform.config()
    opening = {
        "migration_tuning_state": "window",
        "migration_tuning_profile": "drain_window",
        # the rollout for this one never ends, so the job is killed while it waits
        "migration_tuning_network": "never",
    }
    with KillableRun(MIGRATION, platform.cluster.kubeconfig, opening, tmp_path / "log") as run:
        run.until(lambda: platform.applied().get("network") == "never", "the window was open")
        run.kill(EVERYTHING)
    assert platform.config()["parallelMigrationsPerCluster"] == 20
    # a second job opens it again, and waits in vain; the first record counts nevertheless
    second = tune(platform, **opening, migration_tuning_wait_timeout_seconds=2)
    assert second.returncode == 2
    assert "After 2 s" in second.failure()["msg"]
    restored = tune(platform, migration_tuning_state="restored", migration_tuning_wait_timeout_seconds=300)
    assert restored.returncode == 0, restored.output[-3000:]
    assert platform.config() == before == platform.applied()
    assert tune(platform, migration_tuning_state="restored").recap()["changed"] == 0


def test_advice_is_shown_without_a_change_and_set_where_that_is_asked_for(platform: Platform) -> None:
    given = {"migration_tuning_link_bandwidth": "25Gbit/s", "migration_tuning_settings": False}
    shown = tune(platform, **given, migration_tuning_advice=True)
    assert shown.returncode == 0, shown.output[-3000:]
    assert shown.recap()["changed"] == 0
    assert shown.ran("Show the advice and its reasons")
    assert not shown.ran(SET)
    recommended = shown.result("Compute settings from links, nodes and VMs")["recommended"]
    applied = tune(
        platform,
        migration_tuning_link_bandwidth="25Gbit/s",
        migration_tuning_apply_advice=True,
        migration_tuning_progress_timeout_seconds=333,
    )
    assert applied.returncode == 0, applied.output[-3000:]
    wanted = {**recommended, "progress_timeout_seconds": 333}
    after = applied.result(SET)["after"]
    assert {name: after[name] for name in wanted} == wanted
    tune(platform, migration_tuning_unset=["all"])


def test_a_wrong_value_is_told_before_anything_is_changed(platform: Platform) -> None:
    platform.cluster.forget_requests()
    run = tune(platform, migration_tuning_bandwidth_per_migration="64 Mbit")
    assert run.returncode == 2
    assert "bandwidth_per_migration: '64 Mbit' cannot be used" in run.failure()["msg"]
    assert tune(platform, migration_tuning_profile="fastest").returncode == 2
    assert writes(platform.cluster) == {}


def test_density_is_set_and_given_back(platform: Platform) -> None:
    given = {
        "cluster_density_memory_overcommit_percentage": 110,
        "cluster_density_raise_virt_api": True,
        "cluster_density_vms_per_virt_api": 40,
    }
    run = tune(platform, DENSITY, **given)
    assert run.returncode == 0, run.output[-3000:]
    assert run.recap()["changed"] == 1
    assert hco.read_value(platform.kubevirt(), hco.KUBEVIRT_MEMORY_OVERCOMMIT) == 110
    assert run.result(SET_DENSITY)["virt_api"]["given"] == 4
    assert any("virt-api: 150 VMs need 4 replicas" in line for line in run.result(SHOW)["msg"])
    assert tune(platform, DENSITY, **given).recap()["changed"] == 0
    refused = tune(platform, DENSITY, cluster_density_vmi_cpu_allocation_ratio=1.8)
    assert "allow_over_percent=180" in refused.failure()["msg"]
    assert tune(platform, DENSITY, cluster_density_state="absent").recap()["changed"] == 1
    assert hco.read_value(platform.kubevirt(), hco.KUBEVIRT_MEMORY_OVERCOMMIT) == 100


@pytest.mark.parametrize("versions", [("v1beta1",), ("v1",)])
def test_the_same_variables_do_on_a_release_with_one_api_version(versions: tuple[str, ...]) -> None:
    with start_cluster("small", time_scale=50, versions=versions) as running:
        platform = Platform(running, versions[0])
        run = tune(platform, migration_tuning_profile="reference")
        assert run.returncode == 0, run.output[-3000:]
        assert run.result(SET)["api_version"] == f"hco.kubevirt.io/{versions[0]}"
        assert platform.applied()["parallelOutboundMigrationsPerNode"] == 4
        density = tune(platform, DENSITY, cluster_density_memory_overcommit_percentage=105)
        assert density.returncode == 0, density.output[-3000:]
        assert hco.read_value(platform.kubevirt(), hco.KUBEVIRT_MEMORY_OVERCOMMIT) == 105
