"""hco_density_config on a cluster: each API version, guarded limits, virt-api beside patches of others."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from ansible_collections.ocpv.scale.plugins.module_utils.migration import hyperconverged as hco
from ansible_collections.ocpv.scale.plugins.modules import hco_density_config
from simcluster.testing import RunningCluster
from support.clusters import writes
from support.settings import NAMESPACE, Platform, meanwhile
from support.start import start_cluster

CPU, MEMORY = "vmi_cpu_allocation_ratio", "memory_overcommit_percentage"
VERSIONS = {"v1": ("v1",), "v1beta1": ("v1beta1",), "both": ("v1", "v1beta1")}
DEPLOYMENT = f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/virt-api"
# of 150 VMs and 12 workers, for which the operator makes two
FOUR = {"raise_virt_api": True, "vms_per_virt_api": 40}
THEIRS = {"op": "add", "path": "/spec/configuration/migrations/disableTLS", "value": False}


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
    found.patch({"metadata": {"annotations": {hco.JSON_PATCH: None, "ocpv.scale/virt-api-replicas": None}}})
    done = configure(found, state="absent")
    assert not done.get("failed"), done


def configure(platform: Platform, **options: Any) -> dict[str, Any]:
    return platform.run(hco_density_config.main, **options)


def codes(result: dict[str, Any]) -> set[str]:
    return {caution["code"] for caution in result["cautions"]}


def replicas(platform: Platform) -> int:
    return int(platform.client.get(DEPLOYMENT).json()["spec"]["replicas"])


def tainted(platform: Platform) -> bool:
    conditions = platform.hyperconverged()["status"]["conditions"]
    return any(each["type"] == "TaintedConfiguration" for each in conditions)


def operations(platform: Platform) -> list[Any]:
    return list(json.loads(platform.annotations().get(hco.JSON_PATCH, "[]")))


def test_both_ratios_reach_the_kubevirt_in_each_version(versioned: Platform) -> None:
    wanted = {CPU: 4, MEMORY: 120, "environment": "test", "accept_risk": True}
    checked = configure(versioned, check_mode=True, diff=True, **wanted)
    assert (checked["changed"], checked["diff"]["after"][MEMORY]) == (True, 120)
    assert hco.read_value(versioned.hyperconverged(), versioned.layout.memory_overcommit) == 100

    result = configure(versioned, **wanted)
    assert result["api_version"] == f"hco.kubevirt.io/{versioned.version}"
    assert (result["before"], result["after"]) == ({CPU: 10, MEMORY: 100}, {CPU: 4, MEMORY: 120})
    assert result["waited_for"]["in_force"]
    assert {"cpu_overcommit", "memory_overcommit", "after_restart"} <= codes(result)
    kubevirt = versioned.kubevirt()
    assert hco.read_value(kubevirt, hco.KUBEVIRT_CPU_ALLOCATION_RATIO) == 4
    assert hco.read_value(kubevirt, hco.KUBEVIRT_MEMORY_OVERCOMMIT) == 120

    versioned.cluster.forget_requests()
    assert configure(versioned, **wanted)["changed"] is False
    assert writes(versioned.cluster) == {}

    assert configure(versioned, unset=[CPU])["after"] == {CPU: 10, MEMORY: 120}
    assert configure(versioned, state="absent")["after"] == {CPU: 10, MEMORY: 100}
    assert configure(versioned, state="absent")["changed"] is False


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({CPU: 1.8}, "allow_over_percent=180"),
        ({CPU: 2}, "accept_risk=true"),
        ({MEMORY: 120}, "in environment=production not more than 110"),
        ({MEMORY: 20}, "are written 120"),
        ({MEMORY: 5, "accept_risk": True}, "from 10 to"),
        ({"state": "absent", CPU: 1}, "takes no settings"),
    ],
)
def test_what_goes_too_far_is_refused_and_nothing_is_written(
    platform: Platform, options: dict[str, Any], told: str
) -> None:
    platform.cluster.forget_requests()
    result = configure(platform, **options)
    assert result.get("failed")
    assert told in result["msg"]
    assert writes(platform.cluster) == {}


def test_virt_api_is_left_alone_where_the_operator_makes_enough(platform: Platform) -> None:
    result = configure(platform, raise_virt_api=True)
    assert result["changed"] is False
    assert result["levels"]["running"] <= 150
    assert 0 < result["levels"]["guest_memory"]["mean"] <= result["levels"]["guest_memory"]["highest"]
    assert result["virt_api"] == {
        "wanted": 2, "automatic": 2, "asked": None, "given": 2, "virtual_machines": 150, "nodes": 12,
    }  # fmt: skip


def test_virt_api_gets_what_the_vms_need_and_gives_it_back(platform: Platform) -> None:
    result = configure(platform, **FOUR)
    assert (result["changed"], result["changed_fields"]) == (True, ["virt_api_replicas"])
    assert "tainted" in codes(result)
    assert replicas(platform) == 4
    assert tainted(platform)
    assert configure(platform, **FOUR)["changed"] is False
    assert configure(platform, raise_virt_api=True, vms_per_virt_api=30)["virt_api"]["given"] == 5
    assert replicas(platform) == 5
    # what the VMs need is no longer more than the operator makes
    assert configure(platform, raise_virt_api=True)["changed"] is True
    assert hco.JSON_PATCH not in platform.annotations()
    assert configure(platform, **FOUR)["changed"] is True
    assert configure(platform, unset=["virt_api_replicas"])["changed"] is True
    assert not {hco.JSON_PATCH, "ocpv.scale/virt-api-replicas"} & set(platform.annotations())
    assert not tainted(platform)


def test_what_others_have_in_the_annotation_stays(platform: Platform) -> None:
    platform.patch({"metadata": {"annotations": {hco.JSON_PATCH: json.dumps([THEIRS])}}})
    configure(platform, **FOUR)
    assert operations(platform)[0] == THEIRS
    assert replicas(platform) == 4
    configure(platform, state="absent")
    assert operations(platform) == [THEIRS]


def test_a_number_that_somebody_else_has_set_stays_and_is_told(platform: Platform) -> None:
    patch = '[{"op": "replace", "path": "/spec/replicas", "value": 3}]'
    item = {"resourceType": "Deployment", "resourceName": "virt-api", "type": "json", "patch": patch}
    by_hand = json.dumps([{"op": "add", "path": "/spec/customizeComponents/patches", "value": [item]}])
    platform.patch({"metadata": {"annotations": {hco.JSON_PATCH: by_hand}}})
    result = configure(platform, **FOUR)
    assert (result["changed"], result["virt_api"]["asked"]) == (False, 3)
    assert "too_few_api_replicas" in codes(result)
    assert configure(platform, state="absent")["changed"] is False
    assert platform.annotations()[hco.JSON_PATCH] == by_hand


def test_somebody_who_writes_at_the_same_time_loses_nothing(platform: Platform) -> None:
    written = [0]

    def write() -> None:
        platform.patch({"metadata": {"annotations": {"busy": str(written[-1] + 1)}}})
        written.append(written[-1] + 1)

    with meanwhile(write, 0.1):
        result = configure(platform, **FOUR, **{MEMORY: 105})
    assert result["changed"], result
    assert int(platform.annotations()["busy"]) == written[-1]
    assert replicas(platform) == 4
