"""What the monitor allows, as it says it itself, and computed numbers that stay below."""

from __future__ import annotations

from dataclasses import replace

from ansible_collections.ocpv.scale.plugins.module_utils.ceph.limits import fitted, loads, newly_exceeded
from ansible_collections.ocpv.scale.plugins.module_utils.ceph.model import Osd, Rule
from ansible_collections.ocpv.scale.plugins.module_utils.ceph.rounding import is_power_of_two
from hypothesis import given, settings
from hypothesis import strategies as st
from support.ceph_facts import facts, pool


def test_the_monitor_counts_all_pools_against_the_osds_that_are_in() -> None:
    # a real monitor: "pool id 2 pg_num 256 size 3 would mean 771 total pgs, which exceeds max 750"
    three = facts(pool("device_health_metrics", 1, id=1), pool("vms", 32, id=2), osds=3)
    (load, _default) = loads(three, {"vms": 256})
    assert (load.replicas, load.allowed, load.exceeded) == (771, 750, True)
    assert [load.root for load in newly_exceeded(three, {"vms": 256})] == ["", "default"]
    assert newly_exceeded(three, {"vms": 128}) == []


def test_clusters_of_one_or_two_osds_count_as_three() -> None:
    one = facts(pool(size=1), osds=1)
    assert loads(one, {})[0].allowed == 750


def test_osds_that_are_out_do_not_count() -> None:
    base = facts(pool(), osds=4)
    gone = replace(base, osds={**base.osds, 3: replace(base.osds[3], is_in=False)})
    cluster, root = loads(gone, {})
    assert (cluster.allowed, root.allowed) == (750, 750)
    # their PGs are on the others
    assert root.replicas == 96


def test_the_osds_of_a_class_are_judged_by_themselves() -> None:
    rules = {
        0: Rule(0, "all", -1, "default", frozenset(range(12))),
        1: Rule(1, "fast", -2, "default~nvme", frozenset(range(3))),
    }
    classes = facts(pool("a", 128), pool("b", 64, rule=1), rules=rules)
    found = {load.root: load for load in loads(classes, {"b": 256})}
    assert found[""].exceeded is False
    # 256 x 3, and a quarter of 128 x 3
    assert (found["default~nvme"].replicas, found["default~nvme"].exceeded) == (864, True)


def test_what_was_too_much_before_may_shrink() -> None:
    over = facts(pool(pg_num=512), osds=3)
    assert newly_exceeded(over, {"vms": 256}) == []
    assert fitted(over, {"vms": 256}, ()) == {"vms": 256}


def test_computed_numbers_are_halved_until_they_fit_the_largest_first() -> None:
    three = facts(pool("a", 32, id=1), pool("b", 32, id=2), osds=3)
    assert fitted(three, {"a": 256, "b": 64}, ()) == {"a": 128, "b": 64}
    assert fitted(three, {"a": 256, "b": 64}, {"b"}) == {"a": 128, "b": 64}
    # given numbers stay, whatever is left for the others
    assert fitted(three, {"a": 256, "b": 64}, {"a"}) == {"a": 256, "b": 32}


POOLS = st.lists(st.tuples(st.integers(0, 9), st.integers(1, 6), st.integers(0, 12)), min_size=1, max_size=5)


@settings(deadline=None)
@given(POOLS, st.integers(1, 40), st.integers(50, 400))
def test_never_above_the_limit_unless_it_was_before(
    given_pools: list[tuple[int, int, int]], osds: int, limit: int
) -> None:
    pools = [
        pool(f"p{number}", 1 << now, id=number, size=size) for number, (now, size, _then) in enumerate(given_pools)
    ]
    wanted = {f"p{number}": 1 << then for number, (_now, _size, then) in enumerate(given_pools)}
    cluster = facts(*pools, osds=osds, max_pgs_per_osd=limit)
    chosen = fitted(cluster, wanted, ())
    assert newly_exceeded(cluster, chosen) == []
    assert all(is_power_of_two(number) and number <= wanted[name] for name, number in chosen.items())


def test_osds_of_other_rules_are_no_concern() -> None:
    osds = {number: Osd(number, True, True) for number in range(6)}
    rules = {
        0: Rule(0, "a", -1, "a", frozenset(range(3))),
        1: Rule(1, "b", -2, "b", frozenset(range(3, 6))),
    }
    apart = facts(pool("a", 32, id=1), pool("b", 32, id=2, rule=1), rules=rules, osds_=osds)
    assert fitted(apart, {"a": 512, "b": 128}, ()) == {"a": 128, "b": 128}
