"""The document's numbers, and what holds for every number."""

from __future__ import annotations

import math

import pytest
from ansible_collections.ocpv.scale.plugins.module_utils.ceph.formulas import (
    DOCUMENT_SHARE_PERCENT,
    DOCUMENT_TARGET,
    by_ceph_calculator,
    by_document,
)
from ansible_collections.ocpv.scale.plugins.module_utils.ceph.rounding import (
    by_autoscaler,
    by_pgcalc,
    in_log_space,
    is_power_of_two,
    power_above,
    power_below,
)
from hypothesis import given, settings
from hypothesis import strategies as st

OSDS = st.integers(1, 5000)
SHARES = st.floats(0.1, 100)
SIZES = st.integers(1, 20)
TARGETS = st.floats(1, 500)


def test_the_reference_architecture_gets_4096() -> None:
    view = by_document(DOCUMENT_TARGET, 141, DOCUMENT_SHARE_PERCENT, 3)
    assert view.exact == pytest.approx(3995)
    assert view.pg_num == 4096
    assert by_ceph_calculator(100, 141, 85, 3).pg_num == 4096


@pytest.mark.parametrize(
    ("target", "osds", "share", "size", "document", "pgcalc"),
    [
        # 85 percent of the three and the twelve OSDs of the tests' clusters
        (100, 3, 85, 3, 64, 64),
        (100, 12, 85, 3, 256, 256),
        # between two powers: 1.41 times the lower is the middle by the logarithm, 1.33 times where pgcalc goes up
        (100, 36, 100, 20, 128, 256),  # 180
        (100, 38, 100, 20, 256, 256),  # 190
        (100, 34, 100, 20, 128, 128),  # 170: less than a third above 128
        # what the calculator's page shows for its first examples (100 OSDs, 3 replicas)
        (100, 100, 100, 3, 4096, 4096),
        (100, 100, 53, 3, 2048, 2048),
        (100, 100, 25, 3, 1024, 1024),
        (100, 100, 7, 3, 256, 256),
        # pools with next to no data: one PG for each OSD at least, by pgcalc
        (100, 100, 0.1, 3, 4, 64),
        (100, 3, 0.1, 3, 1, 4),
        # erasure coding 4+2: six shards
        (100, 141, 85, 6, 2048, 2048),
    ],
)
def test_pools(target: float, osds: int, share: float, size: int, document: int, pgcalc: int) -> None:
    assert by_document(target, osds, share, size).pg_num == document
    assert by_ceph_calculator(target, osds, share, size).pg_num == pgcalc


@pytest.mark.parametrize(
    ("number", "logarithm", "pgcalc", "autoscaler"),
    [
        (0, 1, 1, 0),
        (0.5, 1, 1, 0),
        (1, 1, 1, 1),
        (1.42, 2, 2, 1),
        (3, 4, 4, 4),
        (5.5, 4, 8, 4),
        (6, 8, 8, 8),
        (48, 64, 64, 64),
        (45, 32, 64, 32),
        (45.26, 64, 64, 32),
        (47.9, 64, 64, 32),
        (3995, 4096, 4096, 4096),
        (2896, 2048, 4096, 2048),
        (2897, 4096, 4096, 2048),
    ],
)
def test_each_rule_rounds_in_its_own_way(number: float, logarithm: int, pgcalc: int, autoscaler: int) -> None:
    assert (in_log_space(number), by_pgcalc(number), by_autoscaler(number)) == (logarithm, pgcalc, autoscaler)


@settings(deadline=None)
@given(st.floats(1, 1e9))
def test_nothing_is_nearer_by_the_logarithm(number: float) -> None:
    rounded = in_log_space(number)
    assert is_power_of_two(rounded)
    distance = abs(math.log2(rounded) - math.log2(number))
    assert distance <= 0.5 + 1e-9


@settings(deadline=None)
@given(st.floats(1, 1e9))
def test_pgcalc_is_never_more_than_a_quarter_below(number: float) -> None:
    rounded = by_pgcalc(number)
    assert is_power_of_two(rounded)
    assert rounded >= 0.75 * number


@settings(deadline=None)
@given(st.integers(1, 1 << 40))
def test_powers_around_a_number(number: int) -> None:
    assert power_below(number) <= number <= power_above(number)
    assert is_power_of_two(power_below(number))
    assert power_above(number) in (power_below(number), 2 * power_below(number))


@settings(deadline=None)
@given(TARGETS, OSDS, SHARES, SIZES)
def test_answers_are_powers_of_two(target: float, osds: int, share: float, size: int) -> None:
    for rule in (by_document, by_ceph_calculator):
        assert is_power_of_two(rule(target, osds, share, size).pg_num)


@settings(deadline=None)
@given(TARGETS, OSDS, SHARES, SIZES, st.integers(1, 1000), st.floats(0, 50))
def test_more_osds_or_data_never_mean_fewer_pgs(
    target: float, osds: int, share: float, size: int, more_osds: int, more_data: float
) -> None:
    for rule in (by_document, by_ceph_calculator):
        base = rule(target, osds, share, size).pg_num
        assert rule(target, osds + more_osds, share, size).pg_num >= base
        assert rule(target, osds, share + more_data, size).pg_num >= base
        assert rule(target + more_data, osds, share, size).pg_num >= base


@settings(deadline=None)
@given(TARGETS, OSDS, SHARES, SIZES)
def test_more_replicas_never_mean_more_pgs(target: float, osds: int, share: float, size: int) -> None:
    assert by_document(target, osds, share, size + 1).pg_num <= by_document(target, osds, share, size).pg_num
