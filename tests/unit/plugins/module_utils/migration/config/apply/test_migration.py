"""One change of the settings from beginning to end: conflicts, lost answers, old releases, waits and their ends."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.ocpv.scale.plugins.module_utils import names
from ansible_collections.ocpv.scale.plugins.module_utils.errors import (
    ApiError,
    Conflict,
    InvalidInput,
    NotFound,
    OcpvError,
    TimedOut,
    Unreachable,
)
from ansible_collections.ocpv.scale.plugins.module_utils.migration import hyperconverged as hco
from ansible_collections.ocpv.scale.plugins.module_utils.migration.config.apply.migration import Operation
from ansible_collections.ocpv.scale.plugins.module_utils.migration.config.apply.target import find_target
from ansible_collections.ocpv.scale.plugins.module_utils.migration.config.apply.wait import ChangedBack
from ansible_collections.ocpv.scale.plugins.module_utils.migration.config.wish import parse_options
from unit.plugins.module_utils.migration.config.apply.played import NAMESPACE, PlayedCluster

PER_CLUSTER = "parallel_migrations_per_cluster"


@pytest.fixture
def cluster() -> PlayedCluster:
    return PlayedCluster()


def run(
    cluster: Any, *, check: bool = False, wait: bool = True, timeout: float = 30.0, **params: Any
) -> dict[str, Any]:
    target = find_target(cluster, params.pop("namespace", None))
    operation = Operation(target, parse_options(params), check_only=check, clock=cluster.clock, sleep=cluster.sleep)
    return operation.run(wait, timeout)


def codes(result: dict[str, Any]) -> list[str]:
    return [caution["code"] for caution in result["cautions"]]


@pytest.mark.parametrize(("version", "served"), [("v1", ("v1beta1", "v1")), ("v1beta1", ("v1beta1",))])
def test_only_what_differs_is_written_in_the_layout_of_the_version(version: str, served: tuple[str, ...]) -> None:
    cluster = PlayedCluster(version, served)
    result = run(cluster, parallel_migrations_per_cluster=10, progress_timeout_seconds=150)
    (body,) = cluster.writes
    assert hco.read_path(body, hco.LAYOUTS[version].live_migration) == {"parallelMigrationsPerCluster": 10}
    assert set(body) == {"spec", "metadata"}
    assert (result["changed"], result["changed_fields"]) == (True, [PER_CLUSTER])
    assert (result["before"][PER_CLUSTER], result["after"][PER_CLUSTER]) == (5, 10)
    assert result["api_version"] == f"hco.kubevirt.io/{version}"
    assert result["waited_for"]["in_force"] is True
    again = run(cluster, parallel_migrations_per_cluster=10, progress_timeout_seconds=150)
    assert (again["changed"], len(cluster.writes)) == (False, 1)


def test_a_field_at_its_default_that_is_given_back_is_no_change(cluster: PlayedCluster) -> None:
    result = run(cluster, unset=["all"])
    assert (result["changed"], cluster.writes) == (False, [])


def test_a_check_only_asks_the_server(cluster: PlayedCluster) -> None:
    result = run(cluster, check=True, wait=False, profile="reference")
    assert (result["changed"], result["after"][PER_CLUSTER]) == (True, 20)
    assert (cluster.writes, cluster.dry_runs) == ([], 1)


def test_a_change_by_somebody_else_in_between_is_kept(cluster: PlayedCluster) -> None:
    meddling = iter([{"progressTimeout": 200}, {"progressTimeout": 300}])

    def meddle() -> None:
        for settings in meddling:
            cluster.write_as_somebody(**settings)
            return

    cluster.before_write = meddle
    result = run(cluster, parallel_migrations_per_cluster=10)
    assert (cluster.config["parallelMigrationsPerCluster"], cluster.config["progressTimeout"]) == (10, 300)
    assert (result["before"]["progress_timeout_seconds"], result["changed_fields"]) == (300, [PER_CLUSTER])
    assert cluster.dry_runs == 1


def test_conflicts_without_end_are_told(cluster: PlayedCluster) -> None:
    cluster.before_write = lambda: cluster.write_as_somebody(progressTimeout=int(cluster.seconds * 10) + 1)
    with pytest.raises(Conflict, match="changed by somebody else all the time"):
        run(cluster, parallel_migrations_per_cluster=10)
    assert cluster.writes == []


def test_a_write_whose_answer_was_lost_counts_as_a_change(cluster: PlayedCluster) -> None:
    def lose() -> None:
        cluster.after_write = lambda: None
        raise Unreachable("no answer", details={"outcome": "unknown"})

    cluster.after_write = lose
    result = run(cluster, parallel_migrations_per_cluster=10)
    assert (result["changed"], result["before"][PER_CLUSTER], result["after"][PER_CLUSTER]) == (True, 5, 10)
    assert len(cluster.writes) == 1


def test_a_profile_leaves_out_what_the_release_does_not_know(cluster: PlayedCluster) -> None:
    cluster.unknown = {"allowWorkloadDisruption"}
    del cluster.hyperconverged["spec"]["virtualization"]["liveMigrationConfig"]["allowWorkloadDisruption"]
    result = run(cluster, profile="conservative")
    assert "unknown_to_release" in codes(result)
    assert (result["after"][PER_CLUSTER], result["after"]["allow_workload_disruption"]) == (3, None)
    assert run(cluster, profile="conservative")["changed"] is False


def test_an_option_that_the_release_does_not_know_is_refused(cluster: PlayedCluster) -> None:
    cluster.unknown = {"allowWorkloadDisruption"}
    with pytest.raises(InvalidInput, match=r"allow_workload_disruption.*1\.19"):
        run(cluster, profile="conservative", allow_workload_disruption=True)
    assert cluster.writes == []


def test_other_refusals_are_passed_on(cluster: PlayedCluster) -> None:
    def refuse() -> None:
        raise ApiError("admission webhook denied the request: no", status=403)

    cluster.before_write = refuse
    with pytest.raises(ApiError, match="admission webhook denied"):
        run(cluster, parallel_migrations_per_cluster=10)


def test_a_value_that_is_not_stored_is_noticed(cluster: PlayedCluster) -> None:
    cluster.after_write = lambda: cluster.write_as_somebody(parallelMigrationsPerCluster=7)
    with pytest.raises(OcpvError, match=f"does not have what was written: {PER_CLUSTER} is 7"):
        run(cluster, parallel_migrations_per_cluster=10)


def test_a_value_that_is_put_back_while_waiting_is_told_with_who_did_it(cluster: PlayedCluster) -> None:
    cluster.follows = False

    def revert() -> None:
        cluster.each_second = lambda: None
        cluster.write_as_somebody(parallelMigrationsPerCluster=5)
        owned = hco.nested(
            tuple(f"f:{step}" for step in cluster.layout.live_migration), {"f:parallelMigrationsPerCluster": {}}
        )
        cluster.hyperconverged["metadata"]["managedFields"] = [
            {"manager": "argocd-controller", "apiVersion": "hco.kubevirt.io/v1", "fieldsV1": owned, "time": "2026"}
        ]

    cluster.each_second = revert
    with pytest.raises(ChangedBack) as caught:
        run(cluster, parallel_migrations_per_cluster=10)
    assert "parallelMigrationsPerCluster is 5 again instead of 10, last written by argocd-controller" in str(
        caught.value
    )
    assert "Argo CD" in str(caught.value)
    assert caught.value.details["managers"] == ["argocd-controller"]


def test_what_a_gitops_tool_keeps_is_watched_longer(cluster: PlayedCluster) -> None:
    cluster.hyperconverged["metadata"]["labels"] = {"argocd.argoproj.io/instance": "virt"}
    result = run(cluster, parallel_migrations_per_cluster=10)
    assert "kept_by_others" in codes(result)
    assert 10 <= cluster.seconds < 12
    cluster.each_second = lambda: (
        cluster.write_as_somebody(parallelMigrationsPerCluster=10) if cluster.seconds > 15 else None
    )
    with pytest.raises(ChangedBack):
        run(cluster, parallel_migrations_per_cluster=12)


def test_a_wait_that_is_over_names_what_is_missing(cluster: PlayedCluster) -> None:
    cluster.follows = False
    with pytest.raises(TimedOut, match="After 30 s the operator has not taken up the change") as caught:
        run(cluster, parallel_migrations_per_cluster=10)
    assert cluster.config["parallelMigrationsPerCluster"] == 10
    details = caught.value.details
    assert (details["changed"], details["before"][PER_CLUSTER], details["after"][PER_CLUSTER]) == (True, 5, 10)


def test_the_next_call_waits_on_although_nothing_is_to_be_changed(cluster: PlayedCluster) -> None:
    cluster.follows = False
    run(cluster, wait=False, parallel_migrations_per_cluster=10)
    with pytest.raises(TimedOut, match="parallelMigrationsPerCluster is 5"):
        run(cluster, parallel_migrations_per_cluster=10)
    cluster.each_second = cluster.follow
    result = run(cluster, parallel_migrations_per_cluster=10)
    assert (result["changed"], result["waited_for"]["in_force"]) == (False, True)


def test_a_rollout_that_hangs_names_pods_and_nodes(cluster: PlayedCluster) -> None:
    cluster.attachments = [(NAMESPACE, "fast")]
    annotations = {"k8s.v1.cni.cncf.io/networks": "fast@migration0"}
    cluster.daemon_set["spec"]["template"]["metadata"]["annotations"] = annotations
    cluster.daemon_set["status"] |= {"updatedNumberScheduled": 1, "numberAvailable": 2}
    waiting = [{"state": {"waiting": {"reason": "ContainerCreating"}}}]
    cluster.pods = [
        {
            "metadata": {"name": "virt-handler-a", "annotations": annotations},
            "spec": {"nodeName": "worker-01"},
            "status": {"phase": "Pending", "containerStatuses": waiting},
        },
        {
            "metadata": {"name": "virt-handler-b"},
            "spec": {"nodeName": "worker-02"},
            "status": {"phase": "Running"},
        },
        {
            "metadata": {"name": "virt-handler-c", "annotations": annotations},
            "spec": {"nodeName": "worker-03"},
            "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]},
        },
    ]
    cluster.nodes = [{"metadata": {"name": "worker-01"}}]
    with pytest.raises(TimedOut) as caught:
        run(cluster, network="fast")
    assert "virt-handler is rolled out on 1 and available on 2 of 3 nodes" in str(caught.value)
    assert caught.value.details["pods"] == [
        "virt-handler-a on worker-01 (ContainerCreating)",
        "virt-handler-b on worker-02 (not renewed yet)",
    ]
    assert caught.value.details["nodes"] == ["worker-01"]
    assert "virt-handler-a on worker-01 (ContainerCreating)" in str(caught.value)


def test_a_network_has_to_be_there_and_the_way_is_told(cluster: PlayedCluster) -> None:
    cluster.attachments = [(NAMESPACE, "storage"), ("default", "fast")]
    with pytest.raises(InvalidInput) as caught:
        run(cluster, network="fast")
    assert "in namespace openshift-cnv; it is in default" in str(caught.value)
    assert caught.value.details == {"available": ["storage"], "elsewhere": ["default"]}
    assert cluster.writes == []


def test_a_node_without_virt_handler_does_not_hold_up_other_settings(cluster: PlayedCluster) -> None:
    cluster.daemon_set["status"]["numberAvailable"] = 2
    assert run(cluster, unset=["all"], parallel_migrations_per_cluster=10)["waited_for"]["in_force"]


def test_an_operator_that_was_not_well_before_is_not_waited_for(cluster: PlayedCluster) -> None:
    bad = {"type": "Degraded", "status": "True", "message": "SSP is degraded"}
    good = [each for each in cluster.hyperconverged["status"]["conditions"] if each["type"] != "Degraded"]
    cluster.hyperconverged["status"]["conditions"] = [*good, bad]
    result = run(cluster, parallel_migrations_per_cluster=10)
    assert result["waited_for"]["in_force"]
    (caution,) = result["cautions"]
    assert caution["code"] == "not_well_before"
    assert "Degraded=True (SSP is degraded)" in caution["message"]


def test_a_window_is_recorded_in_the_same_write_and_put_back(cluster: PlayedCluster) -> None:
    result = run(cluster, state="window", profile="drain_window", bandwidth_per_migration="1G")
    (body,) = cluster.writes
    assert names.MIGRATION_WINDOW in body["metadata"]["annotations"]
    assert result["window"]["open"]
    assert result["window"]["former"][PER_CLUSTER] == 5
    again = run(cluster, state="window", profile="drain_window", bandwidth_per_migration="1G")
    assert (again["changed"], again["window"]) == (False, result["window"])
    assert "window_open" in codes(run(cluster, progress_timeout_seconds=400))
    restored = run(cluster, state="restored")
    assert (restored["window"]["open"], restored["after"]) == (False, result["before"])
    assert "changed_within_window" in codes(restored)
    assert names.MIGRATION_WINDOW not in cluster.hyperconverged["metadata"]["annotations"]
    assert run(cluster, state="restored")["changed"] is False


def test_putting_back_a_network_that_is_gone_is_refused_but_not_for_other_settings(cluster: PlayedCluster) -> None:
    cluster.write_as_somebody(network="gone")
    run(cluster, state="window", wait=False, progress_timeout_seconds=300)
    assert run(cluster, state="restored", wait=False)["changed"]
    run(cluster, state="window", wait=False, unset=["network"])
    with pytest.raises(InvalidInput, match="network: 'gone'"):
        run(cluster, state="restored", wait=False)


def test_a_network_that_is_back_already_does_not_stand_in_the_way(cluster: PlayedCluster) -> None:
    cluster.write_as_somebody(network="gone")
    run(cluster, state="window", wait=False, unset=["network"], progress_timeout_seconds=300)
    cluster.write_as_somebody(network="gone")
    assert run(cluster, state="restored", wait=False)["after"]["progress_timeout_seconds"] == 150


def test_what_is_put_back_is_written_as_it_was(cluster: PlayedCluster) -> None:
    cluster.write_as_somebody(bandwidthPerMigration="67108864")
    run(cluster, state="window", bandwidth_per_migration="32Mi")
    cluster.write_as_somebody(bandwidthPerMigration="64Mi")
    assert run(cluster, state="restored")["after"]["bandwidth_per_migration"] == "67108864"


def test_the_hyperconverged_is_found_or_told_missing(cluster: PlayedCluster) -> None:
    assert run(cluster)["namespace"] == NAMESPACE
    with pytest.raises(NotFound, match="in namespace elsewhere"):
        run(cluster, namespace="elsewhere")
    cluster.served = ()
    with pytest.raises(NotFound, match="installed"):
        run(cluster)
    cluster.served = ("v1alpha1",)
    with pytest.raises(InvalidInput, match="v1alpha1"):
        run(cluster)
