"""Density: the guides' limits as whole numbers, and the fractions that cannot be expressed."""

from __future__ import annotations

import sys
from typing import Any

import pytest
from ansible_collections.ocpv.scale.plugins.module_utils.errors import InvalidInput
from ansible_collections.ocpv.scale.plugins.module_utils.migration import hyperconverged as hco
from ansible_collections.ocpv.scale.plugins.module_utils.migration.config.density import (
    density_cautions,
    parse_density,
    paths,
)

CPU, MEMORY = "vmi_cpu_allocation_ratio", "memory_overcommit_percentage"


@pytest.mark.parametrize(
    ("option", "value", "environment", "stored"),
    [
        (CPU, 1, "production", 1),
        (CPU, 1.0, "test", 1),
        (MEMORY, 110, "production", 110),
        (MEMORY, 120, "test", 120),
        (MEMORY, 100, "production", 100),
        # 0.9x of the memory
        (MEMORY, 90, "production", 90),
    ],
)
def test_values_within_the_limits_are_taken(option: str, value: float, environment: str, stored: int) -> None:
    wish = parse_density({option: value, "environment": environment})
    assert wish.values == {option: stored}
    assert wish.replicas is None


@pytest.mark.parametrize(
    ("option", "value", "environment", "told"),
    [
        (CPU, 2, "production", "not more than 1.2 vCPUs"),
        (CPU, 2, "test", "not more than 1.8 vCPUs"),
        (CPU, 10, "production", "which as a whole number is 1"),
        (MEMORY, 111, "production", "not more than 110"),
        (MEMORY, 121, "test", "not more than 120"),
        (MEMORY, 150, "test", "accept_risk=true"),
        # "20 percent" of the tuning guide
        (MEMORY, 20, "production", "are written 120"),
        (MEMORY, 89, "production", "from 90 on"),
    ],
)
def test_beyond_the_limits_only_with_the_risk_accepted(option: str, value: int, environment: str, told: str) -> None:
    params = {option: value, "environment": environment}
    with pytest.raises(InvalidInput) as caught:
        parse_density(params)
    assert caught.value.option == option
    assert told in str(caught.value)
    assert parse_density({**params, "accept_risk": True}).values == {option: value}


@pytest.mark.parametrize(
    ("option", "value", "told"),
    [
        (CPU, 1.5, "allow_over_percent=150"),
        (CPU, 1.8, "allow_over_percent=180"),
        (CPU, 0.5, "1 keeps to what is meant"),
        (CPU, 0, "from 1 to"),
        (CPU, float("inf"), "whole number"),
        (CPU, 2**31, "from 1 to"),
        (MEMORY, 110.5, "110 keeps to what is meant"),
        (MEMORY, 9, "from 10 to"),
    ],
)
def test_what_the_api_cannot_express_is_refused_in_any_case(option: str, value: float, told: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_density({option: value, "accept_risk": True})
    assert caught.value.option == option
    assert told in str(caught.value)


def test_absent_and_unset_give_back() -> None:
    absent = parse_density({"state": "absent"})
    assert (absent.values, absent.replicas) == ({CPU: None, MEMORY: None}, False)
    one = parse_density({"unset": [MEMORY], CPU: 1})
    assert (one.values, one.replicas) == ({CPU: 1, MEMORY: None}, None)
    assert parse_density({"unset": ["virt_api_replicas"]}).replicas is False


@pytest.mark.parametrize(
    ("params", "option"),
    [
        ({"state": "absent", CPU: 1}, CPU),
        ({"state": "absent", "raise_virt_api": True}, "raise_virt_api"),
        ({"unset": [CPU], CPU: 1}, "unset"),
        ({"unset": ["virt_api_replicas"], "raise_virt_api": True}, "unset"),
        ({"vms_per_virt_api": -1}, "vms_per_virt_api"),
    ],
)
def test_contradictions_are_told_with_the_option(params: dict[str, Any], option: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_density(params)
    assert caught.value.option == option


@pytest.mark.parametrize(
    ("values", "codes"),
    [
        ({CPU: 1}, ["after_restart"]),
        ({CPU: 5}, ["cpu_overcommit", "after_restart"]),
        ({MEMORY: 120}, ["memory_overcommit", "after_restart"]),
        ({MEMORY: 90}, ["memory_headroom", "after_restart"]),
        ({MEMORY: 100}, ["after_restart"]),
        ({}, []),
    ],
)
def test_what_is_risked_is_told(values: dict[str, int], codes: list[str]) -> None:
    wish = parse_density({**values, "accept_risk": True})
    after = {CPU: 10, MEMORY: 130, **values}
    assert [caution.code for caution in density_cautions(after, wish)] == codes


@pytest.mark.skipif(sys.version_info < (3, 12), reason="the simulated cluster's schemas need Python 3.12")
@pytest.mark.parametrize("version", ["v1", "v1beta1"])
def test_the_crd_has_both_fields_where_they_are_written(version: str) -> None:
    from simcluster.schema import Registry

    registry = Registry()
    resource = registry.by_kind("hco.kubevirt.io", "HyperConverged")
    assert resource is not None
    for name, value in ((CPU, 3), (MEMORY, 120)):
        path = paths(hco.LAYOUTS[version])[name]
        obj = {
            "apiVersion": f"hco.kubevirt.io/{version}",
            "kind": "HyperConverged",
            "metadata": {"name": hco.NAME, "namespace": "openshift-cnv"},
            **hco.nested(path, value),
        }
        assert not registry.process(resource, version, obj)
        assert hco.read_value(obj, path) == value
