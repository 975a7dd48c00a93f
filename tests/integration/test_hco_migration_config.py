"""hco_migration_config on a cluster: both API versions and each alone, waits, networks, windows, interference."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from ansible_collections.ocpv.scale.plugins.modules import hco_density_config, hco_migration_config
from simcluster.testing import RunningCluster
from support.clusters import account_token, apply_rights, writes
from support.settings import NAMESPACE, Platform, meanwhile
from support.start import start_cluster

PER_CLUSTER, PER_NODE = "parallel_migrations_per_cluster", "parallel_outbound_migrations_per_node"
VERSIONS = {"v1": ("v1",), "v1beta1": ("v1beta1",), "both": ("v1", "v1beta1")}
REFERENCE = {
    "parallelMigrationsPerCluster": 20,
    "parallelOutboundMigrationsPerNode": 4,
    "completionTimeoutPerGiB": 800,
    "progressTimeout": 150,
}


@pytest.fixture(scope="module", params=list(VERSIONS))
def versioned(request: pytest.FixtureRequest) -> Iterator[Platform]:
    with start_cluster("small", time_scale=50, versions=VERSIONS[request.param]) as running:
        yield Platform(running, VERSIONS[request.param][0])


@pytest.fixture(scope="module")
def cluster() -> Iterator[RunningCluster]:
    with start_cluster("small", time_scale=50) as running:
        yield running


@pytest.fixture
def platform(cluster: RunningCluster) -> Iterator[Platform]:
    """The shared cluster, put back to the operator's defaults afterwards."""
    found = Platform(cluster)
    yield found
    metadata = {
        "labels": {"argocd.argoproj.io/instance": None},
        "annotations": {"ocpv.scale/migration-window": None, "kubevirt.kubevirt.io/jsonpatch": None},
    }
    found.patch({"metadata": metadata, "spec": {"virtualization": {"liveMigrationConfig": None}}})
    done = configure(found, unset=["all"], wait_timeout_seconds=120)
    assert not done.get("failed"), done


def configure(platform: Platform, **options: Any) -> dict[str, Any]:
    return platform.run(hco_migration_config.main, **options)


def codes(result: dict[str, Any]) -> set[str]:
    return {caution["code"] for caution in result["cautions"]}


def test_a_profile_reaches_the_kubevirt_in_each_version_and_the_second_run_changes_nothing(
    versioned: Platform,
) -> None:
    before = versioned.config()
    checked = configure(versioned, check_mode=True, diff=True, profile="reference")
    assert (checked["changed"], versioned.config()) == (True, before)
    assert checked["diff"]["after"][PER_NODE] == 4

    result = configure(versioned, profile="reference")
    assert result["api_version"] == f"hco.kubevirt.io/{versioned.version}"
    assert result["changed"], result
    assert result["after"] == checked["after"]
    assert versioned.config().items() >= REFERENCE.items()
    assert versioned.applied() == versioned.config()
    assert result["waited_for"]["in_force"]
    assert "shared_network" in codes(result)

    versioned.cluster.forget_requests()
    again = configure(versioned, profile="reference")
    assert (again["changed"], again["changed_fields"], writes(versioned.cluster)) == (False, [], {})

    configure(versioned, bandwidth_per_migration="64Mi")
    assert versioned.applied()["bandwidthPerMigration"] == "64Mi"
    back = configure(versioned, unset=["all"])
    assert back["after"]["bandwidth_per_migration"] is None
    assert back["after"][PER_CLUSTER] == 5
    assert "bandwidthPerMigration" not in versioned.applied()
    assert configure(versioned, unset=["all"])["changed"] is False


def test_a_window_opens_and_restores_in_each_version(versioned: Platform) -> None:
    configure(versioned, **{PER_CLUSTER: 7}, bandwidth_per_migration="100Mi")
    before = versioned.config()
    opened = configure(versioned, state="window", profile="drain_window")
    assert opened["window"]["former"][PER_CLUSTER] == 7
    assert "bandwidthPerMigration" not in versioned.applied()
    second = configure(versioned, state="window", profile="reference")
    assert second["window"]["former"] == opened["window"]["former"]
    assert configure(versioned, state="window", profile="reference")["changed"] is False
    restored = configure(versioned, state="restored")
    assert (restored["changed"], restored["window"]["open"]) == (True, False)
    assert versioned.config() == before == versioned.applied()
    assert "ocpv.scale/migration-window" not in versioned.annotations()
    assert configure(versioned, state="restored")["changed"] is False


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({PER_CLUSTER: -1}, "from 0 to 2147483647"),
        ({PER_CLUSTER: 1.5}, PER_CLUSTER),
        ({"bandwidth_per_migration": "64 MB/s"}, "bytes per second"),
        ({"network": "openshift-cnv/fast"}, "without a namespace"),
        ({"network": "nowhere"}, "there is no NetworkAttachmentDefinition of this name in namespace openshift-cnv"),
        ({"unset": ["network"], "network": "fast"}, "given a value"),
        ({"namespace": "default"}, "no HyperConverged kubevirt-hyperconverged in namespace default"),
        ({"state": "restored", "profile": "moderate"}, "takes no settings"),
    ],
)
def test_what_cannot_work_is_refused_and_nothing_is_written(
    platform: Platform, options: dict[str, Any], told: str
) -> None:
    platform.cluster.forget_requests()
    result = configure(platform, **options)
    assert result.get("failed")
    assert told in result["msg"]
    assert writes(platform.cluster) == {}


def test_a_network_of_another_namespace_is_named(platform: Platform) -> None:
    platform.attach("lonely", namespace="default")
    result = configure(platform, network="lonely")
    assert "it is in default, where virt-handler does not look" in result["msg"]
    assert "lonely" not in result["details"]["available"]


def test_a_network_is_in_force_when_virt_handler_is_rolled_out_on_all_nodes(platform: Platform) -> None:
    platform.attach("fast")
    result = configure(platform, network="fast", wait_timeout_seconds=300)
    assert not result.get("failed"), result
    rolled = result["waited_for"]["virt_handler"]
    assert rolled["networks"] == "fast@migration0"
    assert rolled["desired"] == rolled["updated"] == rolled["available"] > 0
    assert "virt_handler_restarts" in codes(result)
    pods = platform.client.items(f"/api/v1/namespaces/{NAMESPACE}/pods", labelSelector="kubevirt.io=virt-handler")
    assert {pod["metadata"]["annotations"]["k8s.v1.cni.cncf.io/networks"] for pod in pods} == {"fast@migration0"}
    again = configure(platform, network="fast")
    assert (again["changed"], again["waited_for"]["in_force"]) == (False, True)
    away = configure(platform, unset=["network"], wait_timeout_seconds=300)
    assert away["waited_for"]["virt_handler"]["networks"] == ""
    assert "network" not in platform.applied()


def test_a_rollout_that_hangs_names_the_pod_and_its_node_and_can_be_taken_back(platform: Platform) -> None:
    platform.attach("broken", master="nic-of-no-node")
    result = configure(platform, network="broken", wait_timeout_seconds=8)
    assert result.get("failed")
    assert result["error"] == "TimedOut"
    (stuck,) = [pod for pod in result["details"]["pods"] if "not renewed yet" not in pod]
    assert stuck.startswith("virt-handler-")
    assert " on worker-" in stuck
    assert stuck in result["msg"]
    assert "NetworkAttachmentDefinition" in result["hint"]
    back = configure(platform, unset=["network"], wait_timeout_seconds=300)
    assert back["changed"], back
    assert back["waited_for"]["in_force"]


def test_a_gitops_tool_that_puts_the_value_back_is_named(platform: Platform) -> None:
    platform.patch({"metadata": {"labels": {"argocd.argoproj.io/instance": "virt"}}})

    def heal() -> None:
        if platform.config()["parallelMigrationsPerCluster"] != 5:
            platform.set("argocd-controller", parallelMigrationsPerCluster=5)

    with meanwhile(heal, 1.0):
        result = configure(platform, **{PER_CLUSTER: 10}, wait_timeout_seconds=60)
    assert result["error"] == "ChangedBack"
    assert "parallelMigrationsPerCluster is 5 again instead of 10" in result["msg"]
    assert "Argo CD (label argocd.argoproj.io/instance: virt)" in result["msg"]


def test_a_change_of_something_else_at_the_same_time_is_kept(platform: Platform) -> None:
    written = [0]

    def write() -> None:
        platform.patch({"metadata": {"annotations": {"busy": str(written[-1] + 1)}}})
        written.append(written[-1] + 1)

    with meanwhile(write, 0.1):
        result = configure(platform, **{PER_CLUSTER: 9})
    assert result.get("changed"), result
    assert platform.config()["parallelMigrationsPerCluster"] == 9
    assert int(platform.annotations()["busy"]) == written[-1]


def test_what_a_json_patch_overrides_is_told_and_not_waited_for(platform: Platform) -> None:
    patch = '[{"op": "add", "path": "/spec/configuration/migrations/progressTimeout", "value": 77}]'
    platform.patch({"metadata": {"annotations": {"kubevirt.kubevirt.io/jsonpatch": patch}}})
    result = configure(platform, progress_timeout_seconds=300)
    assert not result.get("failed"), result
    assert "overridden" in codes(result)
    assert platform.applied()["progressTimeout"] == 77


def test_a_window_survives_a_wait_that_failed(platform: Platform) -> None:
    platform.attach("unusable", master="nic-of-no-node")
    before = platform.config()
    opened = configure(platform, state="window", profile="drain_window", network="unusable", wait_timeout_seconds=3)
    assert opened["error"] == "TimedOut"
    restored = configure(platform, state="restored", wait_timeout_seconds=300)
    assert restored["changed"], restored
    assert platform.config() == before


def test_an_account_without_rights_is_told_what_it_lacks(platform: Platform, tmp_path: Any) -> None:
    token = platform.cluster.add_token("nobody")
    kubeconfig = platform.cluster.write_kubeconfig(tmp_path / "kubeconfig", token)
    result = configure(platform, kubeconfig=str(kubeconfig), **{PER_CLUSTER: 10})
    assert result["error"] == "Forbidden"
    assert "docs/rbac" in result["hint"]


def test_the_documented_rights_are_enough(platform: Platform, tmp_path: Any) -> None:
    apply_rights(platform.cluster)
    apply_rights(platform.cluster, "configure")
    token = account_token(platform.cluster, account="configure")
    account = {"kubeconfig": str(platform.cluster.write_kubeconfig(tmp_path / "kubeconfig", token))}
    platform.attach("slow")
    settings = configure(platform, **account, network="slow", wait_timeout_seconds=300)
    assert settings.get("changed"), settings
    platform.attach("stuck", master="nic-of-no-node")
    stuck = configure(platform, **account, network="stuck", wait_timeout_seconds=3)
    assert stuck["details"]["pods"], stuck
    assert configure(platform, **account, unset=["all"], wait_timeout_seconds=300)["changed"]
    density = platform.run(hco_density_config.main, **account, raise_virt_api=True, vms_per_virt_api=40)
    assert density.get("changed"), density
    assert platform.run(hco_density_config.main, **account, state="absent")["changed"]
