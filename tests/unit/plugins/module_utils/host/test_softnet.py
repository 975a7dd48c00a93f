"""Softnet statistics: rows of all kernels, and small steps up to a limit."""

from __future__ import annotations

import pytest
from ansible_collections.ocpv.scale.plugins.module_utils.host.softnet import (
    BACKLOG,
    BUDGET,
    CpuCounts,
    Growth,
    Limit,
    advise,
    advise_both,
    growth,
    parse,
)
from hypothesis import given
from hypothesis import strategies as st

# the tables of the reference architecture
SQUEEZED = """\
01877e29 00000000 00000022 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000 0000005d
0c4a6107 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000 0000005e
01d05820 00000000 00000012 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000 0000005f
092b933a 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000060
"""
OLD = "0000000a 00000001 00000002 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000\n" * 2
NEW = (
    "0000000a 00000001 00000002 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000 "
    "00000000 00000007 00000000 00000000\n"
)


def test_rows_of_the_reference_are_read() -> None:
    rows = parse(SQUEEZED)
    assert [row.cpu for row in rows] == [0x5D, 0x5E, 0x5F, 0x60]
    assert [row.squeezed for row in rows] == [0x22, 0, 0x12, 0]
    assert [row.dropped for row in rows] == [0, 0, 0, 0]


def test_short_rows_are_numbered_and_long_ones_tell_their_cpu() -> None:
    assert [row.cpu for row in parse(OLD)] == [0, 1]
    assert parse(NEW) == [CpuCounts(7, 10, 1, 2)]


def test_other_tables_are_no_softnet_statistics() -> None:
    with pytest.raises(ValueError, match="row 1 has 3 columns"):
        parse("0 1 2\n")


def test_growth_is_of_cpus_in_both_readings() -> None:
    before = [CpuCounts(0, 0, 5, 5), CpuCounts(1, 0, 100, 100)]
    after = [CpuCounts(0, 0, 7, 9), CpuCounts(2, 0, 1000, 1000)]
    assert growth(before, after) == Growth(dropped=2, squeezed=4)


def test_counters_wrap_at_32_bits() -> None:
    assert growth([CpuCounts(0, 0, 0xFFFFFFFF, 0)], [CpuCounts(0, 0, 1, 0)]).dropped == 2


def test_dropped_asks_for_backlog_and_squeezed_for_budget() -> None:
    advice = advise_both(Growth(dropped=3, squeezed=0), (300, Limit(100, 1000)), (1000, Limit(500, 5000)))
    assert [(item.key, item.wanted) for item in advice] == [(BUDGET, 300), (BACKLOG, 1500)]
    advice = advise_both(Growth(dropped=0, squeezed=1), (300, Limit(100, 1000)), (None, Limit(500, 5000)))
    assert [(item.key, item.wanted) for item in advice] == [(BUDGET, 400)]


@pytest.mark.parametrize(("current", "wanted"), [(300, 400), (950, 1000), (1000, 1000), (3000, 3000)])
def test_a_step_ends_at_the_limit_and_never_lowers(current: int, wanted: int) -> None:
    advice = advise(BUDGET, current, 12, Limit(100, 1000))
    assert advice.wanted == wanted
    assert "12 polls" in advice.reason
    assert ("limit of 1000 is reached" in advice.reason) is (current >= 1000)


@given(st.integers(1, 10000), st.integers(0, 100), st.integers(1, 1000), st.integers(1, 10000))
def test_advice_is_small_and_never_down(current: int, counted: int, step: int, limit: int) -> None:
    wanted = advise(BACKLOG, current, counted, Limit(step, limit)).wanted
    assert current <= wanted <= max(current, limit)
    assert wanted - current <= step
    assert counted or wanted == current
