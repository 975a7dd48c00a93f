"""From a HyperConverged to a KubeVirt, and what both say of themselves. Pure parts."""

from __future__ import annotations

import json
from typing import Any

import pytest
from simcluster.controllers.hyperconverged import health, kubevirt_spec, operator_conditions
from simcluster.controllers.operator import api_replicas, deployment_id, network_annotation

Obj = dict[str, Any]


def hyperconverged(virtualization: Obj, *operations: Obj) -> Obj:
    annotations = {"kubevirt.kubevirt.io/jsonpatch": json.dumps(operations)} if operations else {}
    return {"metadata": {"annotations": annotations}, "spec": {"virtualization": virtualization}}


class TestKubeVirtSpec:
    def test_settings_are_copied(self) -> None:
        found = kubevirt_spec(
            hyperconverged(
                {
                    "liveMigrationConfig": {"parallelMigrationsPerCluster": 7, "network": "fast"},
                    "vmiCPUAllocationRatio": 4,
                    "higherWorkloadDensity": {"memoryOvercommitPercentage": 120},
                    "evictionStrategy": "None",
                    "workloadUpdateStrategy": {"workloadUpdateMethods": ["Evict"]},
                }
            ),
            {},
        )
        assert found == {
            "configuration": {
                "migrations": {"parallelMigrationsPerCluster": 7, "network": "fast"},
                "vmRolloutStrategy": "LiveUpdate",
                "developerConfiguration": {"cpuAllocationRatio": 4, "memoryOvercommit": 120},
                "evictionStrategy": "None",
            },
            "workloadUpdateStrategy": {"workloadUpdateMethods": ["Evict"]},
        }

    def test_the_rest_stays_and_migrations_are_replaced_whole(self) -> None:
        rest = {"uninstallStrategy": "x", "configuration": {"migrations": {"disableTLS": True}, "other": 1}}
        found = kubevirt_spec(hyperconverged({"liveMigrationConfig": {"progressTimeout": 1}}), rest)
        assert found["uninstallStrategy"] == "x"
        assert found["configuration"]["other"] == 1
        assert found["configuration"]["migrations"] == {"progressTimeout": 1}
        assert rest["configuration"]["migrations"] == {"disableTLS": True}

    @pytest.mark.parametrize(
        ("operation", "path", "expected"),
        [
            ({"op": "add", "path": "/spec/a/b", "value": 1}, ["a", "b"], 1),
            ({"op": "replace", "path": "/spec/configuration/vmRolloutStrategy", "value": "Stage"}, None, "Stage"),
            ({"op": "add", "path": "/spec/list/-", "value": 3}, ["list"], [1, 2, 3]),
            ({"op": "add", "path": "/spec/list/0", "value": 0}, ["list"], [0, 1, 2]),
            ({"op": "replace", "path": "/spec/list/1", "value": 9}, ["list"], [1, 9]),
            ({"op": "remove", "path": "/spec/list/0"}, ["list"], [2]),
            ({"op": "add", "path": "/spec/x~1y", "value": 1}, ["x/y"], 1),
        ],
    )
    def test_json_patch_has_the_last_word(self, operation: Obj, path: list[str] | None, expected: Any) -> None:
        found: Any = kubevirt_spec(hyperconverged({}, operation), {"list": [1, 2]})
        for step in path or ["configuration", "vmRolloutStrategy"]:
            found = found[step]
        assert found == expected

    def test_append_to_a_list_that_is_not_there_is_left_out(self) -> None:
        assert "list" not in kubevirt_spec(hyperconverged({}, {"op": "add", "path": "/spec/list/-", "value": 1}), {})

    def test_one_replica_of_all_where_the_control_plane_is_not_redundant(self) -> None:
        source = {**hyperconverged({}), "status": {"infrastructureHighlyAvailable": False}}
        assert kubevirt_spec(source, {})["infra"] == {"replicas": 1}
        source["status"]["infrastructureHighlyAvailable"] = True
        assert "infra" not in kubevirt_spec(source, {})

    def test_rate_limits_come_from_an_annotation(self) -> None:
        source = hyperconverged({"tuningPolicy": "annotation"})
        source["metadata"]["annotations"]["hco.kubevirt.io/tuningPolicy"] = '{"qps":100,"burst":200}'
        configuration = kubevirt_spec(source, {})["configuration"]
        limiter = configuration["handlerConfiguration"]["restClient"]["rateLimiter"]["tokenBucketRateLimiter"]
        assert limiter == {"qps": 100, "burst": 200}


def conditions_of(kubevirt: Obj | None, served: Obj | None = None) -> dict[str, tuple[str, str]]:
    found = operator_conditions(served or {"metadata": {}}, kubevirt, 3, "now")
    assert all(each["observedGeneration"] == 3 for each in found)
    return {each["type"]: (each["status"], each["reason"]) for each in found}


def kubevirt(available: bool, progressing: bool, degraded: bool) -> Obj:
    states = {"Available": available, "Progressing": progressing, "Degraded": degraded}
    return {"status": {"conditions": [{"type": k, "status": str(v), "message": "m"} for k, v in states.items()]}}


class TestConditions:
    def test_all_is_well(self) -> None:
        found = conditions_of(kubevirt(True, False, False))
        assert {kind: status for kind, (status, _) in found.items()} == {
            "ReconcileComplete": "True",
            "Available": "True",
            "Progressing": "False",
            "Degraded": "False",
            "Upgradeable": "True",
        }
        assert {reason for _, reason in found.values()} == {"ReconcileCompleted"}

    def test_an_operand_that_has_said_nothing(self) -> None:
        found = conditions_of({"status": {}})
        assert found["Available"] == ("False", "KubevirtConditions")
        assert found["Upgradeable"] == ("False", "KubevirtConditions")

    def test_an_update_is_under_way(self) -> None:
        found = conditions_of(kubevirt(True, True, True))
        assert found["Available"] == ("True", "ReconcileCompleted")
        assert found["Progressing"] == ("True", "KubeVirtProgressing")
        assert found["Degraded"] == ("True", "KubeVirtDegraded")

    def test_a_json_patch_taints(self) -> None:
        served = {"metadata": {"annotations": {"ssp.kubevirt.io/jsonpatch": "[]"}}}
        found = conditions_of(kubevirt(True, False, False), served)
        assert found["TaintedConfiguration"] == ("True", "UnsupportedFeatureAnnotation")

    def test_transition_times_stay_while_nothing_changes(self) -> None:
        first = operator_conditions({"metadata": {}}, kubevirt(True, False, False), 1, "t1")
        served = {"metadata": {}, "status": {"conditions": first}}
        second = operator_conditions(served, kubevirt(True, True, False), 2, "t2")
        times = {each["type"]: each["lastTransitionTime"] for each in second}
        assert (times["Available"], times["Progressing"], times["Upgradeable"]) == ("t1", "t2", "t2")

    @pytest.mark.parametrize(
        ("state", "expected"),
        [
            ((True, False, False), "healthy"),
            ((True, True, False), "warning"),
            ((True, True, True), "error"),
            ((False, True, False), "error"),
        ],
    )
    def test_health_sums_up(self, state: tuple[bool, bool, bool], expected: str) -> None:
        assert health(operator_conditions({"metadata": {}}, kubevirt(*state), 1, "t")) == expected


@pytest.mark.parametrize(
    ("spec", "nodes", "expected"),
    [
        ({}, 1, 1),
        ({}, 12, 2),
        ({}, 100, 10),
        ({"infra": {"replicas": 5}}, 100, 5),
        (
            {
                "customizeComponents": {
                    "patches": [
                        {
                            "resourceType": "Deployment",
                            "resourceName": "virt-api",
                            "type": "json",
                            "patch": '[{"op": "replace", "path": "/spec/replicas", "value": 4}]',
                        }
                    ]
                }
            },
            100,
            4,
        ),
        (
            {
                "customizeComponents": {
                    "patches": [
                        {
                            "resourceType": "Deployment",
                            "resourceName": "virt-api",
                            "type": "json",
                            "patch": '[{"op": "add", "path": "/spec/replicas", "value": 4}]',
                        }
                    ]
                }
            },
            100,
            10,
        ),
    ],
)
def test_replicas_of_virt_api(spec: Obj, nodes: int, expected: int) -> None:
    assert api_replicas({"spec": spec}, nodes) == expected


def test_what_is_installed_is_named_by_version_and_network() -> None:
    status = {"targetKubeVirtVersion": "v1.9.0"}
    plain = deployment_id({"spec": {}, "status": status})
    fast = deployment_id({"spec": {"configuration": {"migrations": {"network": "fast"}}}, "status": status})
    limits = deployment_id({"spec": {"configuration": {"migrations": {"progressTimeout": 9}}}, "status": status})
    assert plain == limits != fast


def test_network_of_migrations_is_named_for_multus() -> None:
    spec = {"configuration": {"migrations": {"network": "fast"}}}
    assert network_annotation({"spec": spec}) == "fast@migration0"
    assert network_annotation({"spec": {}}) == ""
