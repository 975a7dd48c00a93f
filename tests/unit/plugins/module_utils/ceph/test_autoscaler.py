"""The autoscaler's view is the real one's."""

from __future__ import annotations

from dataclasses import replace

import pytest
from ansible_collections.ocpv.scale.plugins.module_utils.ceph.autoscaler import autoscaler_views
from ansible_collections.ocpv.scale.plugins.module_utils.ceph.model import Rule
from support.ceph_facts import answer, facts, pool, recorded_facts


@pytest.mark.parametrize("situation", ["classes", "overlapping"])
def test_it_is_what_a_real_manager_said(situation: str) -> None:
    said = {entry["pool_name"]: entry for entry in answer(situation, "autoscale_status")}
    views = autoscaler_views(recorded_facts(situation))
    assert set(views) == set(said)
    for name, view in views.items():
        assert view.pg_num == said[name]["pg_num_final"], name
        assert int(view.exact) == said[name]["pg_num_ideal"], name
        assert view.capacity_ratio == pytest.approx(
            said[name]["capacity_ratio"] if not said[name]["bulk"] else view.capacity_ratio
        )
        assert view.would_adjust is said[name]["would_adjust"], name


def test_roots_that_share_osds_are_not_scaled() -> None:
    assert autoscaler_views(recorded_facts("overlapping")) == {}


def test_the_reference_pool_filled_to_85_percent() -> None:
    stored = int(141 * (1 << 40) * 0.85 / 3)
    view = autoscaler_views(facts(pool(stored_bytes=stored), osds=141))["vms"]
    assert view.pg_num == 4096
    assert view.exact == pytest.approx(3995)
    assert view.would_adjust is True


@pytest.mark.parametrize(
    ("pg_num", "mode", "acts"),
    [(32, "on", True), (43, "on", False), (384, "on", False), (385, "on", True), (1, "off", False)],
)
def test_it_acts_beyond_a_factor_of_three(pg_num: int, mode: str, acts: bool) -> None:
    # 12 OSDs, a third of the capacity: 12 * 100 / 3 / 3 = 133, so 128 PGs
    stored = int(12 * (1 << 40) / 3 / 3)
    view = autoscaler_views(facts(pool(pg_num=pg_num, autoscale_mode=mode, stored_bytes=stored)))["vms"]
    assert (view.pg_num, view.would_adjust) == (128, acts)


def test_bulk_pools_divide_what_is_left() -> None:
    first, second = pool("a", id=1, bulk=True), pool("b", id=2, bulk=True)
    views = autoscaler_views(facts(first, second))
    assert [view.pg_num for view in views.values()] == [256, 256]
    # one that uses more than its part gets that first
    stored = int(12 * (1 << 40) * 0.75 / 3)
    views = autoscaler_views(facts(replace(first, stored_bytes=stored), second))
    assert (views["a"].pg_num, views["b"].pg_num) == (256, 128)


def test_bounds_of_the_pool_and_its_bias() -> None:
    assert autoscaler_views(facts(pool()))["vms"].pg_num == 32
    assert autoscaler_views(facts(pool(pg_num_min=4)))["vms"].pg_num == 4
    assert autoscaler_views(facts(pool(bulk=True, pg_num_max=64)))["vms"].pg_num == 64
    # 12 * 100 / 3 = 400, four times
    assert autoscaler_views(facts(pool(bulk=True, bias=4.0)))["vms"].pg_num == 2048


def test_pools_without_capacity_or_rule_are_left_out() -> None:
    assert autoscaler_views(facts(pool(rule=9))) == {}
    empty = {0: Rule(0, "r", -1, "default", frozenset({99}))}
    assert autoscaler_views(facts(pool(), rules=empty)) == {}
