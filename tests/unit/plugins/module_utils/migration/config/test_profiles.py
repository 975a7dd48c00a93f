"""Profiles: the seeds' numbers, the defaults of each release, every value stated, all of them taken by the CRD."""

from __future__ import annotations

import sys
from typing import Any

import pytest
from ansible_collections.ocpv.scale.plugins.module_utils.errors import InvalidInput
from ansible_collections.ocpv.scale.plugins.module_utils.migration import hyperconverged as hco
from ansible_collections.ocpv.scale.plugins.module_utils.migration.config.fields import BY_NAME, checked
from ansible_collections.ocpv.scale.plugins.module_utils.migration.config.profiles import (
    PROFILES,
    profile,
    release_of,
)

CLUSTER, NODE = "parallelMigrationsPerCluster", "parallelOutboundMigrationsPerNode"
BANDWIDTH, COMPLETION, PROGRESS = "bandwidthPerMigration", "completionTimeoutPerGiB", "progressTimeout"


def numbers(settings: Any) -> tuple[Any, ...]:
    return tuple(settings[name] for name in (CLUSTER, NODE, BANDWIDTH, COMPLETION, PROGRESS))


@pytest.mark.parametrize(
    ("release", "expected"),
    [
        ("1.4", (5, 2, "64Mi", 800, 150)),
        ("1.5.3", (5, 2, None, 800, 150)),
        ("1.13", (5, 2, None, 800, 150)),
        ("1.14.0", (5, 2, None, 150, 150)),
        ("1.18", (5, 2, None, 150, 150)),
        ("1.19.0", (5, 1, None, 20, 150)),
        ("1.20.0-dev", (5, 1, None, 20, 150)),
        ("v2.0.0", (5, 1, None, 20, 150)),
    ],
)
def test_defaults_are_those_of_the_release(release: str, expected: tuple[Any, ...]) -> None:
    assert numbers(profile("release_defaults", release_of(release))) == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("conservative", (3, 1, "32Mi", 800, 150)),
        ("moderate", (10, 2, "64Mi", 800, 150)),
        ("aggressive", (20, 2, None, 800, 150)),
        ("reference", (20, 4, None, 800, 150)),
        ("drain_window", (20, 4, None, 1200, 300)),
    ],
)
def test_named_profiles_have_the_numbers_of_the_guides(name: str, expected: tuple[Any, ...]) -> None:
    assert numbers(profile(name)) == expected


def test_the_range_of_each_profile_is_that_of_the_tuning_guide() -> None:
    for name, low, high in (("conservative", 3, 5), ("moderate", 5, 10), ("aggressive", 10, 20)):
        assert low <= profile(name)[CLUSTER] <= high


@pytest.mark.parametrize("name", PROFILES)
def test_each_profile_states_every_value_but_the_network(name: str) -> None:
    settings = profile(name, (1, 19))
    assert set(settings) == set(BY_NAME) - {"network"}
    for field, value in settings.items():
        assert value is None or checked(BY_NAME[field], value) == value


@pytest.mark.skipif(sys.version_info < (3, 12), reason="the simulated cluster's schemas need Python 3.12")
@pytest.mark.parametrize("version", ["v1", "v1beta1"])
@pytest.mark.parametrize("name", PROFILES)
def test_the_crd_takes_each_profile_and_keeps_every_value(name: str, version: str) -> None:
    from simcluster.schema import Registry

    registry = Registry()
    resource = registry.by_kind("hco.kubevirt.io", "HyperConverged")
    assert resource is not None
    settings = {field: value for field, value in profile(name, (1, 19)).items() if value is not None}
    path = hco.LAYOUTS[version].live_migration
    obj = {
        "apiVersion": f"hco.kubevirt.io/{version}",
        "kind": "HyperConverged",
        "metadata": {"name": hco.NAME, "namespace": "openshift-cnv"},
        **hco.nested(path, dict(settings)),
    }
    unknown = registry.process(resource, version, obj)
    assert not unknown
    assert {**hco.read_path(obj, path), **settings} == dict(hco.read_path(obj, path))


def test_a_release_that_is_not_known_is_asked_for() -> None:
    with pytest.raises(InvalidInput, match="release"):
        profile("release_defaults", None)
    with pytest.raises(InvalidInput, match=r"from 1\.4 on"):
        profile("release_defaults", (1, 3))
    assert release_of("latest") is None
