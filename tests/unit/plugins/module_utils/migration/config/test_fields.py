"""Which values the settings take: ranges of the API, whole numbers, quantities, names."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.ocpv.scale.plugins.module_utils.errors import InvalidInput
from ansible_collections.ocpv.scale.plugins.module_utils.migration.config.fields import (
    BY_OPTION,
    FIELDS,
    applied_bandwidth,
    by_option,
    checked,
    same,
)
from hypothesis import given
from hypothesis import strategies as st

MIB = 1024**2


@pytest.mark.parametrize(
    ("option", "value", "stored"),
    [
        ("parallel_migrations_per_cluster", 0, 0),
        ("parallel_migrations_per_cluster", 2**31 - 1, 2**31 - 1),
        ("parallel_outbound_migrations_per_node", 4.0, 4),
        ("completion_timeout_seconds_per_gib", 800, 800),
        ("progress_timeout_seconds", 0, 0),
        ("bandwidth_per_migration", "64Mi", "64Mi"),
        ("bandwidth_per_migration", " 1.5G ", "1.5G"),
        ("bandwidth_per_migration", "0", "0"),
        ("network", "migration-network", "migration-network"),
        ("network", "a.b-c.d", "a.b-c.d"),
        ("allow_post_copy", False, False),
    ],
)
def test_a_value_is_taken_as_the_api_takes_it(option: str, value: Any, stored: Any) -> None:
    assert checked(BY_OPTION[option], value) == stored


@pytest.mark.parametrize(
    ("option", "value", "told"),
    [
        ("parallel_migrations_per_cluster", -1, "from 0 to 2147483647"),
        ("parallel_migrations_per_cluster", 2**31, "from 0 to 2147483647"),
        ("parallel_outbound_migrations_per_node", 1.5, "whole numbers only"),
        ("parallel_outbound_migrations_per_node", True, "whole numbers only"),
        ("completion_timeout_seconds_per_gib", "800", "whole numbers only"),
        ("progress_timeout_seconds", 2**63, "from 0 to"),
        ("bandwidth_per_migration", "64 Mbit", "bytes per second"),
        ("bandwidth_per_migration", "-64Mi", "bytes per second"),
        ("bandwidth_per_migration", "", "bytes per second"),
        ("network", "", "Name it in unset"),
        ("network", "openshift-cnv/migration-network", "without a namespace"),
        ("network", "Migration", "without a namespace"),
        ("network", "a" * 254, "without a namespace"),
        ("allow_auto_converge", "yes", "true or false"),
    ],
)
def test_what_the_api_does_not_take_is_told_with_the_option(option: str, value: Any, told: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        checked(BY_OPTION[option], value)
    assert str(caught.value).startswith(f"{option}: {value!r} cannot be used: ")
    assert told in str(caught.value)


@pytest.mark.parametrize(
    ("quantity", "mebibytes"),
    [("32Mi", 32), ("64Mi", 64), ("128Mi", 128), ("1", 1), ("512Ki", 1), ("1.5Mi", 2), ("1.4Mi", 1), ("100M", 95)],
)
def test_bandwidth_is_applied_in_whole_mib(quantity: str, mebibytes: int) -> None:
    assert applied_bandwidth(quantity) == mebibytes * MIB


@given(st.integers(1, 2**50))
def test_applied_bandwidth_is_near_what_is_stated_and_never_none(stated: int) -> None:
    applied = applied_bandwidth(str(stated))
    assert applied >= MIB
    assert applied % MIB == 0
    assert applied == MIB or abs(applied - stated) <= MIB // 2


def test_the_same_bandwidth_written_otherwise_is_no_change() -> None:
    assert same("bandwidthPerMigration", "64Mi", "67108864")
    assert not same("bandwidthPerMigration", "64Mi", "64M")
    assert not same("bandwidthPerMigration", None, "64Mi")
    assert not same("bandwidthPerMigration", "what", "64Mi")
    assert same("network", None, None)


def test_every_setting_has_an_option_and_is_told() -> None:
    assert len({field.name for field in FIELDS}) == len(BY_OPTION) == 9
    told = by_option({"progressTimeout": 150})
    assert set(told) == set(BY_OPTION)
    assert [option for option, value in told.items() if value is not None] == ["progress_timeout_seconds"]
