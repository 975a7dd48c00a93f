"""The limits in force, and who holds the slots."""

from __future__ import annotations

import pytest
from ansible_collections.ocpv.scale.plugins.module_utils.errors import InvalidInput
from ansible_collections.ocpv.scale.plugins.module_utils.rebalance.run.limits import (
    Limits,
    Slots,
    Unfinished,
    limits_in_force,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from unit.plugins.module_utils.rebalance.builders import settings as in_cluster

PLANNED = {
    "parallel_migrations_per_cluster": 4,
    "parallel_outbound_migrations_per_node": 3,
    "parallel_inbound_migrations_per_node": 1,
}


@pytest.mark.parametrize(
    ("cluster", "planned", "options", "expected"),
    [
        ((5, 2), {}, (None, None, None), (5, 2, 2)),
        ((5, 2), {}, (3, 1, 4), (3, 1, 4)),
        ((5, 2), {}, (50, 20, None), (5, 2, 2)),
        ((5, 2), PLANNED, (None, None, None), (4, 2, 1)),
        ((5, 2), PLANNED, (None, None, 8), (4, 2, 1)),
        (None, {}, (7, 3, None), (7, 3, 2)),
    ],
)
def test_the_smallest_limit_counts(cluster, planned, options, expected) -> None:
    found = None
    if cluster:
        found = in_cluster(parallel_migrations_per_cluster=cluster[0], parallel_outbound_migrations_per_node=cluster[1])
    limits = limits_in_force(found, planned, *options)
    assert (limits.parallel, limits.per_source, limits.per_target) == expected


def test_unknown_limits_must_be_given() -> None:
    with pytest.raises(InvalidInput, match="max_parallel and max_per_source"):
        limits_in_force(None, {})
    with pytest.raises(InvalidInput, match="max_per_source"):
        limits_in_force(None, {}, max_parallel=5)


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"parallel_migrations_per_cluster": 0}, "parallelMigrationsPerCluster"),
        ({"parallel_outbound_migrations_per_node": 0}, "parallelOutboundMigrationsPerNode"),
    ],
)
def test_a_limit_that_lets_nothing_start_is_refused(changes, name) -> None:
    with pytest.raises(InvalidInput, match=name):
        limits_in_force(in_cluster(**changes), {})


def holding(vm: str, source: str, target: str = "") -> Unfinished:
    return Unfinished(vm, frozenset({source}), target, holding=True)


@pytest.mark.parametrize(
    ("unfinished", "told"),
    [
        ([], ""),
        ([holding("a", "one"), holding("b", "two"), holding("c", "three")], "3 of at most 3"),
        ([holding("a", "one"), holding("b", "one")], "leaving one"),
        ([holding("a", "two", "nine")], "arriving at nine"),
        ([Unfinished("a", frozenset({"two", "one"}), holding=True), holding("b", "one")], "leaving one"),
        ([Unfinished("a", frozenset({"one"}))] * 5, ""),  # pending, and not asking: blocked, or given up on
    ],
)
def test_what_others_hold_is_counted(unfinished, told) -> None:
    refusal = Slots(Limits(3, 2, 1, ""), unfinished).refusal("one", "nine")
    assert told in refusal
    assert bool(refusal) == bool(told)


def test_migrations_that_wait_for_a_slot_are_let_in_first_but_only_as_far_as_the_limits_let_them() -> None:
    drain = [Unfinished(f"vm{n}", frozenset({"one"}), asking=True, priority="system-critical") for n in range(30)]
    slots = Slots(Limits(5, 2, 2, ""), drain)
    assert slots.free == 3
    assert "leaving one" in slots.refusal("one", "nine")
    assert not slots.refusal("two", "nine")


UNFINISHED = st.builds(
    lambda vm, source, target, state: Unfinished(
        vm, frozenset({source}), target, state == "holding", state == "asking"
    ),
    st.text("abc", min_size=1, max_size=3),
    st.sampled_from("wxyz"),
    st.sampled_from(["", "w", "x", "y", "z"]),
    st.sampled_from(["holding", "asking", "blocked"]),
)


@settings(max_examples=60)
@given(
    st.lists(UNFINISHED, max_size=12),
    st.lists(st.tuples(st.sampled_from("wxyz"), st.sampled_from("wxyz")), max_size=20),
    st.integers(1, 6),
    st.integers(1, 4),
    st.integers(1, 4),
)
def test_taking_what_is_not_refused_never_breaks_a_limit(unfinished, wanted, parallel, source_limit, target_limit):
    slots = Slots(Limits(parallel, source_limit, target_limit, ""), unfinished)
    before = sum(item.holding for item in unfinished)
    leaving: dict[str, int] = {}
    arriving: dict[str, int] = {}
    taken = 0
    for source, target in wanted:
        if slots.refusal(source, target):
            continue
        slots.take(source, target)
        taken += 1
        leaving[source] = leaving.get(source, 0) + 1
        arriving[target] = arriving.get(target, 0) + 1
    for node, count in leaving.items():
        held = sum(item.holding and node in item.sources for item in unfinished)
        assert count + held <= source_limit
    for node, count in arriving.items():
        held = sum(item.holding and node == item.target for item in unfinished)
        assert count + held <= target_limit
    assert taken + before <= max(parallel, before)
