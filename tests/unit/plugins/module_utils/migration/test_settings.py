"""The settings in force: two layouts of the HyperConverged, KubeVirt's word over it, its defaults by version."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.ocpv.scale.plugins.module_utils.errors import InvalidInput
from ansible_collections.ocpv.scale.plugins.module_utils.migration.settings import kubevirt_release, settings_from
from hypothesis import given
from hypothesis import strategies as st
from unit.plugins.module_utils.migration.objects import hyperconverged, kubevirt

MIB = 1024**2
HCO = "openshift-cnv/kubevirt-hyperconverged"
CONFIG = {
    "parallelMigrationsPerCluster": 8,
    "parallelOutboundMigrationsPerNode": 3,
    "completionTimeoutPerGiB": 20,
    "progressTimeout": 300,
    "bandwidthPerMigration": "64Mi",
    "network": "migration-net",
    "allowAutoConverge": True,
    "allowPostCopy": True,
    "allowWorkloadDisruption": False,
}


def applied(config: dict[str, Any], version: str = "v1.6.2") -> dict[str, Any]:
    found = kubevirt(status={"observedKubeVirtVersion": version})
    found["spec"]["configuration"]["migrations"] = config
    return found


@pytest.mark.parametrize("version", ["v1", "v1beta1"])
@pytest.mark.parametrize("group", ["hco.kubevirt.io/", ""])
def test_both_api_versions_say_the_same_in_their_own_layout(version: str, group: str) -> None:
    settings = settings_from(hyperconverged(version, CONFIG), group + version, None)
    assert settings.parallel_migrations_per_cluster == 8
    assert settings.parallel_outbound_migrations_per_node == 3
    assert settings.completion_timeout_per_gib == 20
    assert settings.progress_timeout_seconds == 300
    assert settings.bandwidth_bytes_per_second == 64 * MIB
    assert settings.network == "migration-net"
    assert (settings.allow_auto_converge, settings.allow_post_copy, settings.allow_workload_disruption) == (
        True,
        True,
        False,
    )
    assert settings.source == f"HyperConverged {HCO} ({group}{version})"


def test_a_layout_is_read_only_where_its_version_has_it() -> None:
    stray = {**hyperconverged("v1", {}), "spec": {"liveMigrationConfig": {"parallelMigrationsPerCluster": 99}}}
    assert settings_from(stray, "hco.kubevirt.io/v1", None).parallel_migrations_per_cluster == 5


@pytest.mark.parametrize(
    ("version", "timeout"), [("v1.3.1", 800), ("v0.59.2", 800), ("v1.4.0", 150), ("v1.9.0", 150), ("", 150), ("x", 150)]
)
def test_without_settings_the_defaults_of_the_release_hold(version: str, timeout: int) -> None:
    settings = settings_from(None, "", applied({}, version))
    assert settings.parallel_migrations_per_cluster == 5
    assert settings.parallel_outbound_migrations_per_node == 2
    assert settings.completion_timeout_per_gib == timeout
    assert settings.bandwidth_bytes_per_second == 0
    assert settings.network == ""
    assert settings.source == "KubeVirt's built-in defaults"


def test_kubevirts_word_counts_and_the_difference_is_told() -> None:
    wished = hyperconverged("v1", {**CONFIG, "bandwidthPerMigration": "64Mi"})
    settings = settings_from(
        wished,
        "hco.kubevirt.io/v1",
        applied({**CONFIG, "parallelMigrationsPerCluster": 2, "bandwidthPerMigration": "67108864"}),
    )
    assert settings.parallel_migrations_per_cluster == 2
    assert settings.parallel_outbound_migrations_per_node == 3
    assert settings.source == (
        "KubeVirt openshift-cnv/kubevirt-kubevirt-hyperconverged, which does not follow HyperConverged "
        f"{HCO} (hco.kubevirt.io/v1) in parallelMigrationsPerCluster"
    )


def test_an_unknown_api_version_leaves_kubevirt_to_tell() -> None:
    settings = settings_from(hyperconverged("v2", CONFIG), "hco.kubevirt.io/v2", applied({"progressTimeout": 7}))
    assert settings.progress_timeout_seconds == 7
    assert settings.parallel_migrations_per_cluster == 5
    assert settings.source == "KubeVirt openshift-cnv/kubevirt-kubevirt-hyperconverged"


@pytest.mark.parametrize(
    ("config", "disruption"),
    [
        ({}, False),
        ({"allowPostCopy": True}, True),
        ({"allowPostCopy": True, "allowWorkloadDisruption": False}, False),
        ({"allowPostCopy": True, "allowWorkloadDisruption": None}, True),
        ({"allowWorkloadDisruption": True}, True),
    ],
)
def test_unset_workload_disruption_follows_post_copy(config: dict[str, Any], disruption: bool) -> None:
    assert settings_from(None, "", applied(config)).allow_workload_disruption is disruption


@pytest.mark.parametrize(
    ("quantity", "mib"), [("0", 0), ("1", 1), ("1Ki", 1), ("1600Ki", 2), ("1.4Mi", 1), ("64Mi", 64), ("100M", 95)]
)
def test_bandwidth_is_whole_mebibytes_as_virt_launcher_sets_it(quantity: str, mib: int) -> None:
    settings = settings_from(None, "", applied({"bandwidthPerMigration": quantity}))
    assert settings.bandwidth_bytes_per_second == mib * MIB


def test_a_bandwidth_that_is_no_quantity_is_named() -> None:
    with pytest.raises(InvalidInput, match="bandwidthPerMigration: 'fast'"):
        settings_from(None, "", applied({"bandwidthPerMigration": "fast"}))


@pytest.mark.parametrize(
    ("text", "release"), [("v1.6.2", (1, 6)), ("1.10.0-rc.1", (1, 10)), ("", None), ("v1", None), ("devel", None)]
)
def test_releases(text: str, release: tuple[int, int] | None) -> None:
    assert kubevirt_release(text) == release


@given(
    st.dictionaries(st.sampled_from(["parallelMigrationsPerCluster", "progressTimeout"]), st.integers(0, 100)),
    st.dictionaries(st.sampled_from(["parallelMigrationsPerCluster", "progressTimeout"]), st.integers(0, 100)),
    st.sampled_from(["v1", "v1beta1"]),
)
def test_each_field_is_kubevirts_else_the_hyperconvergeds_else_the_default(
    wished: dict[str, int], told: dict[str, int], version: str
) -> None:
    settings = settings_from(hyperconverged(version, wished), version, applied(dict(told)))
    expected = {"parallelMigrationsPerCluster": 5, "progressTimeout": 150, **wished, **told}
    assert settings.parallel_migrations_per_cluster == expected["parallelMigrationsPerCluster"]
    assert settings.progress_timeout_seconds == expected["progressTimeout"]
    differing = {name for name in wished if name in told and wished[name] != told[name]}
    assert ("does not follow" in settings.source) is bool(differing)
