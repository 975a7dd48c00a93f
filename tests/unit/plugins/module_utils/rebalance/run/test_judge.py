"""Thresholds on failed moves."""

from __future__ import annotations

import pytest
from ansible_collections.ocpv.scale.plugins.module_utils.rebalance.run.judge import Thresholds, judge


@pytest.mark.parametrize(
    ("stage", "total", "succeeded", "failed", "in_call", "level"),
    [
        ("dev-test", 20, 20, 0, 0, "ok"),
        ("canary", 2, 0, 1, 1, "stop"),
        ("canary", 40, 39, 1, 1, "stop"),
        ("dev-test", 20, 0, 1, 1, "ok"),  # too few decided to tell
        ("dev-test", 20, 2, 1, 1, "ok"),
        ("dev-test", 20, 3, 1, 1, "stop"),  # exactly 25 %
        ("dev-test", 20, 4, 1, 1, "warning"),
        ("dev-test", 20, 9, 1, 1, "warning"),  # exactly 10 %
        ("dev-test", 20, 10, 1, 1, "ok"),
        ("dev-test", 2, 1, 1, 1, "stop"),  # all of a small stage
        ("dev-test", 2, 0, 1, 1, "ok"),
        ("dev-test", 100, 90, 5, 7, "stop"),  # max_failures
    ],
)
def test_shares_of_decided_moves(stage, total, succeeded, failed, in_call, level) -> None:
    limit = 7 if in_call == 7 else 0
    found = judge(stage, total, succeeded, failed, in_call, Thresholds(max_failures=limit))
    assert found.level == level
    assert bool(found.message) == (level != "ok")
    if found.message:
        assert f"{failed} of {succeeded + failed}" in found.message


def test_a_threshold_of_zero_is_off_except_for_the_canary() -> None:
    off = Thresholds(warn_percent=0, stop_percent=0)
    assert judge("dev-test", 4, 0, 4, 4, off).level == "ok"
    assert judge("canary", 4, 0, 1, 1, off).level == "stop"
