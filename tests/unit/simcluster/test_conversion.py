"""The two layouts of HyperConverged mean the same after conversion."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from simcluster.conversion import V1_ONLY_ANNOTATION, convert_hyperconverged

LIMITS = {"parallelMigrationsPerCluster": 20, "parallelOutboundMigrationsPerNode": 4, "bandwidthPerMigration": "64Mi"}


def old(spec: dict[str, Any], **annotations: str) -> dict[str, Any]:
    return _object("v1beta1", spec, annotations)


def new(spec: dict[str, Any], **annotations: str) -> dict[str, Any]:
    return _object("v1", spec, annotations)


def _object(version: str, spec: dict[str, Any], annotations: dict[str, str]) -> dict[str, Any]:
    metadata: dict[str, Any] = {"name": "kubevirt-hyperconverged", "namespace": "openshift-cnv", "resourceVersion": "7"}
    if annotations:
        metadata["annotations"] = annotations
    return {
        "apiVersion": f"hco.kubevirt.io/{version}",
        "kind": "HyperConverged",
        "metadata": metadata,
        "spec": spec,
        "status": {"observedGeneration": 3},
    }


@pytest.mark.parametrize(
    ("v1beta1_spec", "v1_spec"),
    [
        ({"liveMigrationConfig": LIMITS}, {"virtualization": {"liveMigrationConfig": LIMITS}}),
        (
            {"resourceRequirements": {"vmiCPUAllocationRatio": 4, "storageWorkloads": {"limits": {"cpu": "1"}}}},
            {
                "virtualization": {"vmiCPUAllocationRatio": 4},
                "storage": {"workloadResourceRequirements": {"limits": {"cpu": "1"}}},
            },
        ),
        (
            {"higherWorkloadDensity": {"memoryOvercommitPercentage": 120}, "evictionStrategy": "LiveMigrateIfPossible"},
            {
                "virtualization": {
                    "higherWorkloadDensity": {"memoryOvercommitPercentage": 120},
                    "evictionStrategy": "LiveMigrateIfPossible",
                }
            },
        ),
        (
            {"obsoleteCPUs": {"cpuModels": ["Penryn"]}, "defaultCPUModel": "Haswell"},
            {
                "virtualization": {
                    "obsoleteCPUModels": ["Penryn"],
                    "virtualMachineOptions": {"defaultCPUModel": "Haswell"},
                }
            },
        ),
        (
            {"infra": {"nodePlacement": {"nodeSelector": {"a": "b"}}}, "workloads": {"nodePlacement": {}}},
            {"deployment": {"nodePlacements": {"infra": {"nodeSelector": {"a": "b"}}, "workload": {}}}},
        ),
        (
            {"enableApplicationAwareQuota": True, "applicationAwareConfig": {"vmiCalcConfigName": "VmiPodUsage"}},
            {"deployment": {"applicationAwareConfig": {"enable": True, "vmiCalcConfigName": "VmiPodUsage"}}},
        ),
        (
            {"enableCommonBootImageImport": False, "CommonInstancetypesDeployment": {"enabled": False}},
            {
                "workloadSources": {
                    "enableCommonBootImageImport": False,
                    "commonInstancetypesDeployment": {"enabled": False},
                }
            },
        ),
        ({"kubeSecondaryDNSNameServerIP": "192.0.2.9"}, {"networking": {"kubeSecondaryDNSNameServerIP": "192.0.2.9"}}),
        ({"vmStateStorageClass": "fast"}, {"storage": {"vmStateStorageClass": "fast"}}),
    ],
)
def test_each_field_has_one_place_in_either_layout(v1beta1_spec: dict[str, Any], v1_spec: dict[str, Any]) -> None:
    assert convert_hyperconverged(old(v1beta1_spec), "hco.kubevirt.io/v1")["spec"] == v1_spec
    back = convert_hyperconverged(new(v1_spec), "v1beta1")["spec"]
    back.pop("featureGates")
    assert back == v1beta1_spec


def test_metadata_and_status_stay_and_the_source_is_not_touched() -> None:
    source = old({"liveMigrationConfig": dict(LIMITS)})
    before = copy.deepcopy(source)
    converted = convert_hyperconverged(source, "v1")
    assert source == before
    assert converted["apiVersion"] == "hco.kubevirt.io/v1"
    assert converted["metadata"] == source["metadata"]
    assert converted["status"] == source["status"]
    converted["spec"]["virtualization"]["liveMigrationConfig"]["progressTimeout"] = 1
    assert source == before


def test_what_only_v1_knows_travels_in_the_annotation_and_comes_back() -> None:
    source = new(
        {
            "deployment": {"deployNetworkResourcesInjector": False, "deployVmConsoleProxy": True},
            "observability": {"allowedAlerts": ["VMCannotBeEvicted"]},
            "featureGates": [{"name": "brandNew"}],
        },
        team="platform",
    )
    v1beta1 = convert_hyperconverged(source, "v1beta1")
    assert v1beta1["spec"]["deployVmConsoleProxy"] is True
    assert "observability" not in v1beta1["spec"]
    assert json.loads(v1beta1["metadata"]["annotations"][V1_ONLY_ANNOTATION])["observability"] == {
        "allowedAlerts": ["VMCannotBeEvicted"]
    }
    back = convert_hyperconverged(v1beta1, "v1")
    assert back["metadata"]["annotations"] == {"team": "platform"}
    assert back["spec"]["featureGates"] == [{"name": "brandNew", "state": "Enabled"}]
    assert back["spec"]["deployment"] == {"deployNetworkResourcesInjector": False, "deployVmConsoleProxy": True}


def test_a_write_to_the_old_version_wins_over_what_the_annotation_kept() -> None:
    kept = json.dumps({"virtualization": {"liveMigrationConfig": {"progressTimeout": 1}}, "storage": {"x": 1}})
    converted = convert_hyperconverged(
        old({"liveMigrationConfig": {"progressTimeout": 300}}, **{V1_ONLY_ANNOTATION: kept}), "v1"
    )
    assert converted["spec"]["virtualization"]["liveMigrationConfig"] == {"progressTimeout": 300}
    assert converted["spec"]["storage"] == {"x": 1}


def test_a_broken_annotation_is_dropped() -> None:
    converted = convert_hyperconverged(old({}, **{V1_ONLY_ANNOTATION: "{"}), "v1")
    assert converted["spec"] == {}
    assert "annotations" not in converted["metadata"]


def test_feature_gates_are_booleans_on_one_side_and_a_list_of_differences_on_the_other() -> None:
    v1 = convert_hyperconverged(
        old({"featureGates": {"downwardMetrics": True, "videoConfig": False, "objectGraph": False, "nonRoot": True}}),
        "v1",
    )
    assert v1["spec"]["featureGates"] == [
        {"name": "downwardMetrics", "state": "Enabled"},
        {"name": "videoConfig", "state": "Disabled"},
    ]
    gates = convert_hyperconverged(v1, "v1beta1")["spec"]["featureGates"]
    assert gates["downwardMetrics"] is True
    assert gates["videoConfig"] is False
    assert gates["decentralizedLiveMigration"] is True


def test_values_that_v1_no_longer_has_are_dropped() -> None:
    converted = convert_hyperconverged(old({"tuningPolicy": "highBurst", "vddkInitImage": "x"}), "v1")
    assert converted["spec"] == {}
    devices = {"mediatedDevicesConfiguration": {"mediatedDevicesTypes": ["nvidia-222"]}}
    assert convert_hyperconverged(old(devices), "v1")["spec"] == {
        "virtualization": {"mediatedDevicesConfiguration": {"mediatedDeviceTypes": ["nvidia-222"]}}
    }


@pytest.mark.parametrize(
    ("obj", "version"),
    [
        ({"apiVersion": "kubevirt.io/v1", "kind": "KubeVirt"}, "v1"),
        ({"apiVersion": "hco.kubevirt.io/v1", "kind": "HyperConverged"}, "v2"),
        ({"apiVersion": "hco.kubevirt.io/v1alpha1", "kind": "HyperConverged"}, "v1"),
    ],
)
def test_other_kinds_and_versions_are_refused_by_name(obj: dict[str, Any], version: str) -> None:
    with pytest.raises(ValueError, match="only HyperConverged between hco.kubevirt.io/v1 and hco.kubevirt.io/v1beta1"):
        convert_hyperconverged(obj, version)


_leaf = st.one_of(st.booleans(), st.integers(0, 50), st.sampled_from(["a", "b"]))


@settings(max_examples=50, deadline=None)
@given(
    st.fixed_dictionaries(
        {},
        optional={
            "virtualization": st.dictionaries(
                st.sampled_from(["liveMigrationConfig", "evictionStrategy", "vmiCPUAllocationRatio", "futureField"]),
                _leaf | st.dictionaries(st.sampled_from(["network", "allowPostCopy"]), _leaf, min_size=1),
                min_size=1,
            ),
            "deployment": st.dictionaries(
                st.sampled_from(["deployVmConsoleProxy", "deployNetworkResourcesInjector"]), _leaf, min_size=1
            ),
            "observability": st.dictionaries(st.sampled_from(["allowedAlerts", "workloads"]), _leaf, min_size=1),
            "featureGates": st.just([{"name": "objectGraph", "state": "Enabled"}]),
        },
    )
)
def test_v1_survives_the_way_through_v1beta1(spec: dict[str, Any]) -> None:
    source = new(spec)
    assert convert_hyperconverged(convert_hyperconverged(source, "v1beta1"), "v1") == source
