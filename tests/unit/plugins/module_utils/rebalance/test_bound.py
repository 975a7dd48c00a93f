"""The lower bound is proven: no placement gets below it. And it is not vacuous."""

from __future__ import annotations

from itertools import product

import pytest
from ansible_collections.ocpv.scale.plugins.module_utils.rebalance.bound import BoundNode, BoundVm, lower_bound
from hypothesis import given
from hypothesis import strategies as st

ALL = frozenset("abc")


def machine(node, *weight, allowed=ALL, must_leave=False):
    return BoundVm(node, weight, frozenset(allowed) | {node}, must_leave)


@pytest.mark.parametrize(
    ("machines", "moves", "expected"),
    [
        # nothing can move: the fullest node as it is
        ([machine("a", 50), machine("a", 20)], 0, 0.7),
        # one move: the largest leaves
        ([machine("a", 50), machine("a", 40)], 1, 0.4),
        # all moves: the volume over three nodes of 100
        ([machine("a", 50), machine("a", 20), machine("a", 20)], None, 0.3),
        # confined to two nodes
        ([machine("a", 50, allowed="ab"), machine("a", 40, allowed="ab")], None, 0.45),
        ([], None, 0.0),
    ],
)
def test_by_hand(machines, moves, expected):
    nodes = [BoundNode(name, (100,), (0,)) for name in "abc"]
    assert lower_bound(nodes, machines, moves) == pytest.approx(expected, abs=1e-6)


def test_what_stays_bounds_its_node():
    nodes = [BoundNode("a", (100, 10), (40, 9)), BoundNode("b", (100, 10), (0, 0))]
    assert lower_bound(nodes, [], None) == pytest.approx(0.9)


def test_drained_machines_use_up_moves():
    nodes = [BoundNode(name, (100,), (0,)) for name in "bc"]
    machines = [machine("gone", 10, must_leave=True), machine("b", 60), machine("b", 30)]
    assert lower_bound(nodes, machines, 1) == pytest.approx(0.9, abs=1e-6)
    assert lower_bound(nodes, machines, 2) == pytest.approx(0.5, abs=1e-6)


def test_without_nodes_there_is_no_level():
    assert lower_bound([], [machine("a", 1)], None) == 0.0


sizes = st.tuples(st.integers(1, 60), st.integers(1, 60))


@given(
    st.lists(st.tuples(st.sampled_from("abc"), sizes, st.sampled_from(("abc", "ab", "c"))), max_size=5),
    st.integers(0, 5),
    st.lists(st.tuples(st.integers(40, 100), st.integers(0, 20)), min_size=3, max_size=3),
)
def test_no_placement_is_below_the_bound(values, moves, shapes):
    nodes = [BoundNode(name, (room, 100), (fixed, 0)) for name, (room, fixed) in zip("abc", shapes, strict=True)]
    machines = [machine(node, *weight, allowed=allowed) for node, weight, allowed in values]
    bound = lower_bound(nodes, machines, moves)
    best = None
    for choice in product("abc", repeat=len(machines)):
        if any(target not in vm.allowed for vm, target in zip(machines, choice, strict=True)):
            continue
        if sum(vm.node != target for vm, target in zip(machines, choice, strict=True)) > moves:
            continue
        loads = {node.name: list(node.fixed) for node in nodes}
        for vm, target in zip(machines, choice, strict=True):
            loads[target] = [had + more for had, more in zip(loads[target], vm.weight, strict=True)]
        level = max(loads[node.name][r] / node.capacity[r] for node in nodes for r in (0, 1))
        best = level if best is None else min(best, level)
    assert best is not None
    assert bound <= best + 1e-9
