from __future__ import annotations

import ipaddress
from typing import Any, Optional

import pytest
from ansible_collections.ocpv.scale.plugins.module_utils.migration.network.addresses import (
    overlap,
    parse_address,
    parse_network,
    pool_of,
    ranges_of,
    usable_by_virt_handler,
)
from hypothesis import given
from hypothesis import strategies as st

Obj = dict[str, Any]


def four(text: str) -> Any:
    return ipaddress.ip_network(text)


@pytest.mark.parametrize(
    ("network", "start", "end", "exclude", "size"),
    [
        # the seeds' example: 254 hosts less .1 to .3
        ("10.200.5.0/24", None, None, ["10.200.5.0/30"], 251),
        ("10.200.5.0/24", None, None, [], 254),
        ("10.200.5.0/24", "10.200.5.10", "10.200.5.19", [], 10),
        ("10.200.5.0/24", "10.200.5.10", None, ["10.200.5.0/28"], 239),
        ("10.200.5.0/30", None, None, [], 2),
        ("10.200.5.0/28", None, None, ["10.200.5.0/29", "10.200.5.4/30", "10.200.5.8/29"], 0),
        ("fd00::/120", None, None, ["fd00::/121"], 127),
        # the network's own ends are never handed out
        ("10.200.5.0/29", "10.200.5.0", "10.200.5.7", [], 6),
        ("10.200.5.0/29", "10.200.5.7", None, [], 0),
        ("10.200.5.0/29", None, "10.200.5.0", [], 0),
        ("fd00::/125", "fd00::", "fd00::7", ["fd00::4/126"], 3),
    ],
)
def test_a_pool_has_as_many_addresses_as_can_be_handed_out(
    network: str, start: Optional[str], end: Optional[str], exclude: list[str], size: int
) -> None:
    pool = pool_of(four(network), parse_address(start), parse_address(end), [four(text) for text in exclude])
    assert pool.size == size


@given(
    st.integers(24, 30),
    st.lists(st.tuples(st.integers(0, 255), st.integers(24, 32)), max_size=6),
    st.integers(0, 255),
    st.integers(0, 255),
)
def test_size_and_membership_agree(length: int, parts: list[tuple[int, int]], first: int, last: int) -> None:
    network = four(f"10.0.0.0/{length}")
    count = network.num_addresses
    excluded = [ipaddress.ip_network((f"10.0.0.{host % count}", prefix), strict=False) for host, prefix in parts]
    start, end = sorted((first % count, last % count))
    pool = pool_of(network, network[start], network[end], excluded)
    assert pool.size == sum(address in pool for address in network)


@given(st.integers(0, 2**32 - 1), st.integers(0, 32), st.integers(0, 2**32 - 1), st.integers(0, 32))
def test_overlap_is_that_of_the_standard_library(one: int, length: int, other: int, other_length: int) -> None:
    first = ipaddress.ip_network((one, length), strict=False)
    second = ipaddress.ip_network((other, other_length), strict=False)
    assert overlap(first, second) == first.overlaps(second)
    assert not overlap(first, four("fd00::/8"))


@pytest.mark.parametrize("text", ["10.0.0.0", "10.0.0.0/33", "", None, 7, "ten/8", "10.0.0.256/24", "10.0.0.0/24/24"])
def test_what_is_no_network_is_none(text: Any) -> None:
    assert parse_network(text) is None


@given(st.text(max_size=40))
def test_no_text_is_too_strange(text: str) -> None:
    parse_network(text)
    parse_address(text)


@pytest.mark.parametrize(
    ("address", "usable"),
    [
        ("10.200.5.4", True), ("fd00::4", True), ("2001:db8::1", True),
        ("169.254.1.1", False), ("fe80::1", False), ("127.0.0.1", False), ("224.0.0.5", False), ("0.0.0.0", False),
    ],
)  # fmt: skip
def test_virt_handler_takes_global_unicast_addresses_only(address: str, usable: bool) -> None:
    assert usable_by_virt_handler(ipaddress.ip_address(address)) is usable


@pytest.mark.parametrize(
    ("config", "ranges"),
    [
        ({"type": "macvlan", "ipam": {"type": "whereabouts", "range": "10.1.0.0/24"}}, ["10.1.0.0/24"]),
        ({"ipam": {"type": "whereabouts", "range": "10.1.0.5-10.1.0.9/24"}}, ["10.1.0.0/24"]),
        ({"ipam": {"type": "whereabouts", "ipRanges": [{"range": "10.1.0.0/24"}, {"range": "fd00::/64"}]}},
         ["10.1.0.0/24", "fd00::/64"]),
        ({"ipam": {"type": "host-local", "subnet": "10.2.0.0/24"}}, ["10.2.0.0/24"]),
        ({"ipam": {"type": "host-local", "ranges": [[{"subnet": "10.3.0.0/24"}]]}}, ["10.3.0.0/24"]),
        ({"plugins": [{"type": "bridge", "ipam": {"range": "10.4.0.0/24"}}, {"type": "tuning"}]}, ["10.4.0.0/24"]),
        ({"type": "ovn-k8s-cni-overlay", "topology": "localnet", "subnets": "10.5.0.0/24,fd00::/64"},
         ["10.5.0.0/24", "fd00::/64"]),
        # an overlay is seen by nobody else
        ({"type": "ovn-k8s-cni-overlay", "topology": "layer2", "subnets": "10.5.0.0/24"}, []),
        ({"type": "macvlan", "ipam": {"type": "dhcp"}}, []),
        ({"type": "macvlan", "ipam": "nonsense"}, []),
        ({}, []),
    ],
)  # fmt: skip
def test_ranges_of_all_kinds_of_configurations_are_found(config: Obj, ranges: list[str]) -> None:
    assert [str(network) for network in ranges_of(config)] == ranges
