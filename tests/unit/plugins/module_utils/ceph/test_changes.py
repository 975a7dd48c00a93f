"""Steps between two numbers of PGs, and the data that moves."""

from __future__ import annotations

import pytest
from ansible_collections.ocpv.scale.plugins.module_utils.ceph.changes import movement, next_step, steps
from ansible_collections.ocpv.scale.plugins.module_utils.ceph.rounding import is_power_of_two
from hypothesis import given, settings
from hypothesis import strategies as st

PGS = st.integers(1, 65536)


@pytest.mark.parametrize(
    ("current", "final", "factor", "way"),
    [
        (32, 4096, 2, [64, 128, 256, 512, 1024, 2048, 4096]),
        (32, 4096, 8, [256, 2048, 4096]),
        (32, 4096, 65536, [4096]),
        (64, 64, 2, []),
        (100, 256, 2, [128, 256]),
        (70, 256, 2, [128, 256]),
        (256, 32, 2, [128, 64, 32]),
        (100, 32, 2, [64, 32]),
        (1, 8, 2, [2, 4, 8]),
        (8, 1, 2, [4, 2, 1]),
        (64, 100, 2, [100]),
        # the monitor takes any number
        (30, 100, 2, [32, 64, 100]),
    ],
)
def test_steps(current: int, final: int, factor: int, way: list[int]) -> None:
    assert steps(current, final, factor) == way


@settings(deadline=None)
@given(PGS, PGS, st.integers(2, 64))
def test_steps_lead_there_through_powers_of_two(current: int, final: int, factor: int) -> None:
    way = steps(current, final, factor)
    assert way[-1:] == ([final] if current != final else [])
    assert sorted(way, reverse=final < current) == way
    assert all(is_power_of_two(number) for number in way[:-1])
    for before, after in zip([current, *way], way, strict=False):
        assert max(before, after) <= max(factor * min(before, after), 2 * min(before, after))


@settings(deadline=None)
@given(PGS, PGS, st.integers(2, 64))
def test_an_interrupted_way_goes_on_as_it_would_have(current: int, final: int, factor: int) -> None:
    way = steps(current, final, factor)
    for index, reached in enumerate(way):
        assert steps(reached, final, factor) == way[index + 1 :]


@pytest.mark.parametrize(
    ("current", "final", "size", "osds", "least", "most"),
    [
        # a doubling moves the half that is split off, unless an OSD had it already (3 of 12)
        (32, 64, 3, 12, 0.375, 0.375),
        (32, 64, 3, 3, 0.0, 0.0),
        (32, 64, 3, 300, 0.495, 0.495),
        # three doublings: seven eighths at once, or up to half of it three times
        (32, 256, 3, 300, 0.86625, 1.485),
        (64, 32, 3, 12, 0.375, 0.375),
        (64, 64, 3, 12, 0.0, 0.0),
        (0, 64, 3, 0, 0.0, 0.0),
    ],
)
def test_data_that_moves(current: int, final: int, size: int, osds: int, least: float, most: float) -> None:
    found = movement(current, final, 1_000_000, size, osds)
    assert (found.least_bytes, found.most_bytes) == (
        pytest.approx(least * 1e6, abs=1),
        pytest.approx(most * 1e6, abs=1),
    )


@settings(deadline=None)
@given(PGS, PGS, st.integers(0, 1 << 50), st.integers(1, 20), st.integers(1, 1000))
def test_no_more_moves_at_least_than_at_most(current: int, final: int, data: int, size: int, osds: int) -> None:
    found = movement(current, final, data, size, osds)
    assert 0 <= found.least_bytes <= found.most_bytes
    assert found.least_bytes <= data
    assert found == movement(final, current, data, size, osds)


@settings(deadline=None)
@given(PGS, PGS, st.integers(2, 8))
def test_the_next_step_is_never_the_current_number(current: int, final: int, factor: int) -> None:
    assert (next_step(current, final, factor) == current) is (current == final)
