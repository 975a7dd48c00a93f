"""Names, values and ranges of kernel parameters."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.ocpv.scale.plugins.module_utils.errors import InvalidInput
from ansible_collections.ocpv.scale.plugins.module_utils.host.sysctl_keys import (
    key_path,
    normalize_key,
    pair_problems,
    same_value,
    value_problem,
    value_text,
)
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("name", "key", "path"),
    [
        ("vm.swappiness", "vm.swappiness", "vm/swappiness"),
        ("vm/swappiness", "vm.swappiness", "vm/swappiness"),
        ("net.ipv4.conf.eth0/10.arp_filter", "net.ipv4.conf.eth0/10.arp_filter", "net/ipv4/conf/eth0.10/arp_filter"),
        ("net/ipv4/conf/eth0.10/arp_filter", "net.ipv4.conf.eth0/10.arp_filter", "net/ipv4/conf/eth0.10/arp_filter"),
    ],
)
def test_both_spellings_are_one_key(name: str, key: str, path: str) -> None:
    assert normalize_key(name) == key
    assert key_path(key) == path
    assert normalize_key(key) == key


@pytest.mark.parametrize(
    "name",
    ["", "vm", "net.ipv4.conf.*.arp_filter", "vm..swappiness", "vm/../kernel/sem", "vm. x", "-vm.swappiness", "/vm/x"],
)
def test_what_is_no_key_is_refused(name: str) -> None:
    with pytest.raises(InvalidInput, match="full name of one kernel parameter"):
        normalize_key(name)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1, "1"),
        (True, "1"),
        (False, "0"),
        ("  4096\t131072 8 ", "4096 131072 8"),
        ([4096, "8"], "4096 8"),
        ("fq", "fq"),
    ],
)
def test_values_are_written_on_one_line(value: Any, text: str) -> None:
    assert value_text(value) == text


@pytest.mark.parametrize("value", [None, "", " ", [], {"a": 1}, [[1]], 1.5, "1\n2", "1 #default value 0", "1;"])
def test_what_is_no_value_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match="value"):
        value_text(value)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("4096\t87380\t16777216", "4096 87380 16777216", True),
        ("01", "1", True),
        ("1 2", "1", False),
        ("fq", "fq_codel", False),
        ("", "1", False),
    ],
)
def test_values_are_compared_as_the_kernel_means_them(one: str, other: str, same: bool) -> None:
    assert same_value(one, other) is same


@given(st.lists(st.integers(0, 2**31), min_size=1, max_size=4))
def test_what_the_kernel_prints_is_what_was_written(numbers: list[int]) -> None:
    assert same_value("\t".join(map(str, numbers)) + "\n", value_text(numbers))


@pytest.mark.parametrize(
    ("key", "value", "problem"),
    [
        ("net.core.rmem_max", "2303", "from 2304 to 2147483647"),
        ("net.core.rmem_max", "2147483648", "from 2304 to 2147483647"),
        ("net.core.wmem_default", "4607", "from 4608"),
        ("net.core.netdev_budget", "0", "from 1"),
        ("net.core.netdev_max_backlog", "-1", "from 1"),
        ("net.ipv4.conf.all.arp_filter", "2", "from 0 to 1"),
        ("net.ipv4.conf.bond0/7.arp_announce", "3", "from 0 to 2"),
        ("net.ipv4.tcp_window_scaling", "", "from 0 to 1"),
        ("net.ipv4.tcp_rmem", "4096 131072", "3 whole numbers"),
        ("net.ipv4.tcp_rmem", "4096 131072 8192", "must not fall"),
        ("kernel.sem", "32000 1024000000 500", "4 whole numbers"),
        ("vm.swappiness", "201", "from 0 to 200"),
        ("vm.swappiness", "abc", "from 0 to 200"),
    ],
)
def test_values_out_of_range_are_told(key: str, value: str, problem: str) -> None:
    assert problem in value_problem(key, value, "")


@pytest.mark.parametrize(
    ("value", "current", "problem"),
    [
        ("5", "3", ""),
        ("abc", "3", "a whole number is needed, as in '3'"),
        ("5 x", "3\t4", "2 whole numbers are needed, as in '3 4'"),
        ("5 6", "3", "a whole number is needed, as in '3'"),
        ("x", "fq_codel", ""),
    ],
)
def test_keys_without_a_rule_take_what_looks_like_their_value(value: str, current: str, problem: str) -> None:
    assert value_problem("net.core.something", value, current).startswith(problem)
    assert bool(value_problem("net.core.something", value, current)) is bool(problem)


THRESHOLDS = {
    f"net.ipv4.neigh.default.gc_thresh{number}": value for number, value in enumerate(("128", "512", "1024"), 1)
}


def test_the_thresholds_of_the_reference_rise() -> None:
    wanted = dict(zip(THRESHOLDS, ("4096", "16384", "32768"), strict=True))
    assert pair_problems(wanted, THRESHOLDS) == []


def test_a_threshold_above_the_next_one_is_told() -> None:
    key = "net.ipv4.neigh.default.gc_thresh1"
    assert pair_problems({key: "512"}, THRESHOLDS) == [
        (key, "it must be less than net.ipv4.neigh.default.gc_thresh2, which is 512")
    ]


def test_a_limit_below_what_stays_is_told() -> None:
    current = {"net.core.rmem_default": "212992", "net.core.rmem_max": "212992"}
    assert pair_problems({"net.core.rmem_max": "100000"}, current) == [
        ("net.core.rmem_max", "it must be at least net.core.rmem_default, which is 212992")
    ]
    assert pair_problems({"net.core.rmem_max": "212992"}, current) == []
