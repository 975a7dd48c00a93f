from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import pytest
from simcluster.clock import Clock, rfc3339


def test_simulated_time_runs_as_many_times_as_fast() -> None:
    an_hour_ago = time.time() - 3600
    clock = Clock(10, an_hour_ago)
    passed = clock.now() - datetime.fromtimestamp(an_hour_ago, UTC)
    assert timedelta(hours=10) <= passed < timedelta(hours=10, seconds=60)


def test_the_shared_values_make_the_same_clock() -> None:
    one = Clock(7)
    values = one.as_dict()
    other = Clock(values["scale"], values["start_real"], values["start_simulated"])
    assert abs(one.now() - other.now()) < timedelta(seconds=5)


def test_a_scale_that_stops_time_is_refused() -> None:
    with pytest.raises(ValueError, match="time scale must be a number above 0, found 0"):
        Clock(0)


def test_times_are_written_as_the_api_does() -> None:
    assert rfc3339(datetime(2026, 1, 2, 3, 4, 5, 999, UTC)) == "2026-01-02T03:04:05Z"
