"""How long moves take: the documents' numbers and the pre-copy model's properties."""

from __future__ import annotations

import math

import pytest
from ansible_collections.ocpv.scale.plugins.module_utils.migration.precopy import (
    RESUME_SECONDS,
    SINGLE_CHANNEL_BYTES_PER_SECOND,
    completion_timeout_seconds,
    precopy,
)
from ansible_collections.ocpv.scale.plugins.module_utils.rebalance.duration import Conditions, predict
from hypothesis import given
from hypothesis import strategies as st
from unit.plugins.module_utils.rebalance.builders import GIB, settings, vm

MIB = 1024**2


@pytest.mark.parametrize(
    ("gib", "per_gib", "seconds"),
    [(16, 800, 14400), (16, 150, 2700), (16, 20, 360), (1, 20, 40), (0, 20, 0), (16, 0, 0)],
)
def test_kubevirt_counts_started_decimal_gigabytes(gib, per_gib, seconds):
    assert completion_timeout_seconds(gib * GIB, per_gib) == seconds


def test_precopy_by_hand():
    """10 GB at 1 GB/s, 0.1 GB/s dirtied: rounds of 10, 1, 0.1 s, until 0.3 s' worth or less is left."""
    seconds, downtime = precopy(10e9, 1e9, 0.1e9, 0.3)
    assert math.isclose(seconds, 11.1, rel_tol=1e-9)
    assert math.isclose(downtime, 0.01 + RESUME_SECONDS, rel_tol=1e-9)


@given(
    memory=st.floats(1e6, 1e12),
    bandwidth=st.floats(1e7, 1e10),
    ratio=st.floats(0, 0.95),
)
def test_precopy_ends_below_the_closed_form_and_keeps_the_downtime(memory, bandwidth, ratio):
    seconds, downtime = precopy(memory, bandwidth, ratio * bandwidth, 0.3)
    assert memory / bandwidth <= seconds * (1 + 1e-9)
    assert seconds <= memory / (bandwidth * (1 - ratio)) * (1 + 1e-9)
    assert downtime <= 0.3 + RESUME_SECONDS + 1e-9


def test_precopy_refuses_what_does_not_converge():
    with pytest.raises(ValueError, match="converge"):
        precopy(1e9, 1e9, 1e9, 0.3)


def conditions(**changes):
    own = {name: changes.pop(name) for name in ("link_bytes_per_second", "sharing", "dirty_rate") if name in changes}
    return Conditions(settings=settings(**changes), **own)


def test_setup_dominates_for_small_guests():
    forecast = predict(vm("a", "one", memory_gib=4), "live", conditions())
    assert 12 <= forecast.prediction.duration_seconds <= 15
    assert not forecast.obstacle


def test_bandwidth_is_the_least_of_limit_share_and_channel():
    machine = vm("a", "one", memory_gib=16)
    free = predict(machine, "live", conditions(dirty_rate=0)).prediction
    shared = predict(machine, "live", conditions(dirty_rate=0, sharing=2)).prediction
    limited = predict(machine, "live", conditions(dirty_rate=0, bandwidth_bytes_per_second=64 * MIB)).prediction
    single = predict(
        vm("a", "one", memory_gib=16, spec={"cpu_limited": True}), "live", conditions(dirty_rate=0)
    ).prediction
    transfer = [math.floor(item.duration_seconds - 10) for item in (free, shared, limited, single)]
    sizes = 16 * GIB
    expected = [sizes / 1.25e9, sizes / 0.625e9, 256.0, sizes / SINGLE_CHANNEL_BYTES_PER_SECOND]
    assert transfer == [pytest.approx(seconds, abs=1.2) for seconds in expected]


def test_only_touched_memory_is_sent():
    used = predict(vm("a", "one", memory_gib=64, used_cpu=1, used_memory_gib=8), "live", conditions(dirty_rate=0))
    assert used.prediction.bytes == pytest.approx(8 * GIB, rel=0.01)


def test_what_dirties_faster_than_is_sent_is_refused_unless_kubevirt_may_help():
    hot = vm("a", "one", memory_gib=32, dirty_rate=2e9)
    refused = predict(hot, "live", conditions())
    assert "r >= 1" in refused.obstacle and "measured" in refused.obstacle and refused.ratio == pytest.approx(1.6)
    for help_ in ("allow_auto_converge", "allow_post_copy", "allow_workload_disruption"):
        assert not predict(hot, "live", conditions(**{help_: True})).obstacle
    assert "assumed" in predict(vm("a", "one"), "live", conditions(dirty_rate=2e9)).obstacle


def test_a_predicted_timeout_is_an_obstacle():
    big = vm("a", "one", memory_gib=16)
    slow = {"bandwidth_bytes_per_second": 32 * MIB, "dirty_rate": 10 * MIB}
    assert "gives up after 360 s" in predict(big, "live", conditions(completion_timeout_per_gib=20, **slow)).obstacle
    assert not predict(big, "live", conditions(completion_timeout_per_gib=800, **slow)).obstacle
    assert not predict(big, "live", conditions(completion_timeout_per_gib=0, **slow)).obstacle


def test_a_cold_move_is_downtime():
    prediction = predict(vm("a", "one"), "cold", conditions()).prediction
    assert 30 <= prediction.downtime_seconds == prediction.duration_seconds <= 60
    assert prediction.bytes == 0
