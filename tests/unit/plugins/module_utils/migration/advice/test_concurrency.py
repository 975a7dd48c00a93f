"""Limits and bandwidth: the documents' guidance as a table, and that no link is ever asked for more than it carries."""

from __future__ import annotations

import math

import pytest
from ansible_collections.ocpv.scale.plugins.module_utils.errors import InvalidInput
from ansible_collections.ocpv.scale.plugins.module_utils.migration.advice.concurrency import (
    GBIT,
    MIB,
    Concurrency,
    concurrency_for,
)
from ansible_collections.ocpv.scale.plugins.module_utils.migration.advice.facts import Facts, Link
from hypothesis import given
from hypothesis import strategies as st


def limits(
    gbit: float, nodes: int, *, dedicated: bool, share: float | None = None, free: float | None = None
) -> Concurrency:
    part = share if share is not None else 0.8 if dedicated else 0.5
    return concurrency_for(Facts(nodes, Link(gbit * GBIT, part, dedicated), (), free_share=free))


@pytest.mark.parametrize(
    ("gbit", "nodes", "dedicated", "free", "parallel", "outbound", "mib"),
    [
        # shared: 5 and 2 at most, fewer where a migration would get less than 32 MiB/s
        (10, 12, False, None, 5, 2, 119),
        (100, 100, False, 0.9, 5, 2, 1192),
        (1, 12, False, None, 1, 1, 59),
        (2.5, 12, False, None, 4, 2, 37),
        (10, 3, False, None, 4, 2, 149),
        (10, 2, False, None, 2, 2, 298),
        (10, 1, False, None, 2, 2, 298),
        # a network of their own; the reference architecture had 25 GbE, 100 nodes, 20 and 4
        (1, 12, True, None, 5, 2, 47),
        (10, 12, True, None, 10, 2, 476),
        (10, 100, True, 0.9, 10, 2, 476),
        (25, 12, True, 0.4, 10, 2, 1192),
        (25, 100, True, 0.6, 20, 3, 794),
        (25, 100, True, None, 20, 2, 1192),
        (100, 100, True, 0.6, 20, 4, 2384),
        (100, 100, True, 0.5, 20, 2, 4768),
        (100, 3, True, 0.9, 8, 4, 2384),
        (0.3, 12, True, None, 5, 1, 14),
    ],
)
def test_limits_follow_the_guidance(
    gbit: float, nodes: int, dedicated: bool, free: float | None, parallel: int, outbound: int, mib: int
) -> None:
    found = limits(gbit, nodes, dedicated=dedicated, free=free)
    assert (found.parallel, found.outbound, found.mib_per_second) == (parallel, outbound, mib)


def test_reasons_have_the_numbers() -> None:
    shared = limits(1, 12, dedicated=False)
    assert "1 Gbit/s per node" in shared.parallel_reason
    assert "carries 1 with 32 MiB/s each" in shared.parallel_reason
    assert "12 nodes" in shared.parallel_reason
    assert "50% of 1 Gbit/s per node are 59 MiB/s; 1 x 59 MiB/s" in shared.bandwidth_reason
    wide = limits(25, 30, dedicated=True, free=0.6)
    assert "60% of CPU and memory free" in wide.outbound_reason
    assert "Try it" in wide.outbound_reason
    assert "is 40% on the fullest node" in limits(25, 30, dedicated=True, free=0.4).outbound_reason
    assert "nowhere to migrate to" in limits(10, 1, dedicated=False).parallel_reason


def test_a_link_that_carries_nothing_is_refused() -> None:
    with pytest.raises(InvalidInput, match=r"link_bandwidth: '1 Mbit/s of which 50% are for migrations'"):
        limits(0.001, 5, dedicated=False)


speeds = st.floats(0.05, 400)
shares = st.floats(0.3, 1.0)
free_shares = st.none() | st.floats(0, 1)
counts = st.integers(0, 1000)


@given(gbit=speeds, nodes=counts, dedicated=st.booleans(), share=shares, free=free_shares)
def test_no_link_is_asked_for_more_than_its_share(gbit, nodes, dedicated, share, free) -> None:
    found = limits(gbit, nodes, dedicated=dedicated, share=share, free=free)
    budget = gbit * GBIT * share
    each = found.mib_per_second * MIB
    assert found.outbound * each <= budget
    # arrivals: the whole cluster's on a shared link, two at least on one of their own
    arrivals = min(found.parallel, 2) if dedicated else found.parallel
    assert arrivals * each <= budget
    assert 1 <= found.outbound <= found.parallel <= 20
    assert found.mib_per_second >= 1
    if not dedicated:
        assert found.outbound <= 2
        assert found.parallel <= 5
    if found.outbound > 2:
        assert free is not None
        assert free > 0.5


@given(a=speeds, b=speeds, nodes=counts, dedicated=st.booleans(), share=shares, free=free_shares)
def test_a_faster_link_never_means_less(a, b, nodes, dedicated, share, free) -> None:
    slow, fast = (limits(gbit, nodes, dedicated=dedicated, share=share, free=free) for gbit in sorted((a, b)))
    assert slow.parallel <= fast.parallel
    assert slow.outbound <= fast.outbound
    # what one node carries at most; whole MiB per migration lose less than one each
    (before, slow_each), (after, fast_each) = (
        (found.outbound if dedicated else found.parallel, found.mib_per_second) for found in (slow, fast)
    )
    assert before * slow_each <= after * (fast_each + 1)


@given(a=counts, b=counts, gbit=speeds, dedicated=st.booleans(), free=free_shares)
def test_more_nodes_never_mean_less(a, b, gbit, dedicated, free) -> None:
    few, many = (limits(gbit, nodes, dedicated=dedicated, free=free) for nodes in sorted((a, b)))
    assert few.parallel <= many.parallel
    assert few.outbound <= many.outbound


@given(gbit=speeds, nodes=counts, dedicated=st.booleans(), free=free_shares)
def test_the_same_facts_give_the_same_advice(gbit, nodes, dedicated, free) -> None:
    assert limits(gbit, nodes, dedicated=dedicated, free=free) == limits(gbit, nodes, dedicated=dedicated, free=free)
    assert math.isfinite(limits(gbit, nodes, dedicated=dedicated, free=free).mib_per_second)
