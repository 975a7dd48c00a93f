"""The predicted timeline: the documents' example, and what list scheduling guarantees."""

from __future__ import annotations

import math

import pytest
from ansible_collections.ocpv.scale.plugins.module_utils.rebalance.twin import Slots, Task, makespan_bound, play
from hypothesis import given
from hypothesis import strategies as st


def task(number, source, target, seconds, mode="live", after=()):
    return Task(f"m{number}", f"s{source}", f"t{target}", mode, seconds, after)


def test_a_thousand_machines_with_twenty_at_once_take_14_minutes():
    """Reference architecture: 400 RHEL of 14 s, 400 Fedora of 23 s, 200 Windows of 12 s, P = 20, k = 4."""
    seconds = [14] * 400 + [23] * 400 + [12] * 200
    tasks = [task(number, number % 50, number % 50, length) for number, length in enumerate(seconds)]
    slots = Slots(cluster=20, outbound=4, inbound=20)
    assert makespan_bound(tasks, slots) == pytest.approx(17200 / 20)
    assert makespan_bound(tasks, slots) / 60 == pytest.approx(14.3, abs=0.05)
    assert play([tasks], slots).seconds / 60 == pytest.approx(14.3, abs=0.5)


@pytest.mark.parametrize(
    ("tasks", "slots", "bound"),
    [
        ([(0, 0, 10), (1, 1, 10), (2, 2, 10)], (1, 1, 1), 30),  # the cluster
        ([(0, 0, 10), (0, 1, 10), (0, 2, 10)], (5, 1, 5), 30),  # the source
        ([(0, 0, 10), (1, 0, 10), (2, 0, 10)], (5, 5, 2), 15),  # the target
        ([(0, 0, 10), (1, 1, 40)], (5, 5, 5), 40),  # the longest
        ([], (5, 5, 5), 0),
    ],
)
def test_the_bound_is_the_scarcest_of_cluster_source_target_and_longest(tasks, slots, bound):
    made = [task(number, *values) for number, values in enumerate(tasks)]
    assert makespan_bound(made, Slots(*slots)) == bound


tasks = st.lists(
    st.tuples(st.integers(0, 4), st.integers(0, 4), st.floats(0.5, 100), st.sampled_from(("live", "live", "cold"))),
    max_size=30,
)


@given(tasks, st.integers(1, 5), st.integers(1, 3), st.integers(1, 3))
def test_limits_hold_at_every_moment_and_the_makespan_is_near_the_bound(values, cluster, outbound, inbound):
    made = [task(number, s, t, seconds, mode) for number, (s, t, seconds, mode) in enumerate(values)]
    slots = Slots(cluster, outbound, inbound)
    timeline = play([made[: len(made) // 2], made[len(made) // 2 :]], slots)
    spans = timeline.spans
    assert set(spans) == {item.id for item in made}
    for item in made:
        start = spans[item.id][0]
        assert math.isclose(spans[item.id][1] - start, item.seconds)
        now = [other for other in made if spans[other.id][0] <= start < spans[other.id][1]]
        live = [other for other in now if other.mode == "live"]
        assert len(live) <= cluster and len(now) - len(live) <= 1
        assert sum(other.source == item.source for other in live) <= outbound
        assert sum(other.target == item.target for other in live) <= inbound
    live = [item for item in made if item.mode == "live"]
    only = play([live], slots).seconds
    bound = makespan_bound(live, slots)
    assert bound <= only * (1 + 1e-9)
    work = sum(item.seconds for item in live) / cluster
    per_source = max((sum(i.seconds for i in live if i.source == s.source) for s in live), default=0) / outbound
    per_target = max((sum(i.seconds for i in live if i.target == s.target) for s in live), default=0) / inbound
    longest = max((item.seconds for item in live), default=0)
    assert only <= work + per_source + per_target + longest + 1e-6


def test_a_stage_begins_when_the_one_before_has_ended():
    timeline = play([[task(1, 0, 0, 10)], [task(2, 1, 1, 5)]], Slots(5, 5, 5))
    assert timeline.spans == {"m1": (0, 10), "m2": (10, 15)}


def test_cold_moves_follow_live_ones_one_by_one():
    stage = [task(1, 0, 0, 10, "cold"), task(2, 1, 1, 5), task(3, 2, 2, 10, "cold")]
    assert play([stage], Slots(5, 5, 5)).spans == {"m2": (0, 5), "m1": (5, 15), "m3": (15, 25)}


def test_what_waits_starts_when_what_it_waits_for_has_ended():
    stage = [task(1, 0, 0, 10), task(2, 1, 1, 5, after=("m1",)), task(3, 2, 2, 1)]
    assert play([stage], Slots(5, 5, 5)).spans == {"m1": (0, 10), "m2": (10, 15), "m3": (0, 1)}
    with pytest.raises(ValueError, match="wait for each other"):
        play([[task(1, 0, 0, 1, after=("m2",)), task(2, 1, 1, 1, after=("m1",))]], Slots(5, 5, 5))
