"""Socket buffers, with the numbers of the reference architecture."""

from __future__ import annotations

import pytest
from ansible_collections.ocpv.scale.plugins.module_utils.errors import InvalidInput
from ansible_collections.ocpv.scale.plugins.module_utils.host.socket_buffers import (
    Ping,
    by_latency,
    by_packet,
    keeps,
    parse_ping,
)
from hypothesis import given
from hypothesis import strategies as st

PING = """\
PING 192.168.216.90 (192.168.216.90) from 192.168.216.1 bond0: 56(84) bytes of data.

--- 192.168.216.90 ping statistics ---
60 packets transmitted, 59 received, 1.66667% packet loss, time 11800ms
rtt min/avg/max/mdev = 0.102/0.208/0.611/0.071 ms
"""


def test_latency_method_gives_the_sizes_of_the_reference() -> None:
    sizes = by_latency(0.208, 50000)
    assert (sizes.largest_bytes, sizes.default_bytes) == (10905190, 4362076)


def test_packet_method_gives_the_sizes_of_the_reference() -> None:
    sizes = by_packet()
    assert (sizes.largest_bytes, sizes.default_bytes) == (5242880, 2097152)


@given(st.floats(0.01, 5), st.integers(1000, 100000), st.floats(1, 3))
def test_more_latency_never_gives_smaller_buffers(round_trip_ms: float, link_mbps: int, factor: float) -> None:
    less = by_latency(round_trip_ms, link_mbps)
    more = by_latency(min(round_trip_ms * factor, 5), link_mbps)
    assert more.largest_bytes >= less.largest_bytes
    assert more.default_bytes >= less.default_bytes
    assert less.default_bytes <= less.largest_bytes
    assert less.default_bytes == 4608 or abs(less.default_bytes - less.largest_bytes * 0.4) <= 1


@pytest.mark.parametrize(("round_trip_ms", "link_mbps"), [(0.001, 1), (10000, 400000)])
def test_sizes_that_the_kernel_does_not_take_are_refused(round_trip_ms: float, link_mbps: int) -> None:
    with pytest.raises(InvalidInput, match=r"the kernel takes 4608 to 2147483647"):
        by_latency(round_trip_ms, link_mbps)


@pytest.mark.parametrize("packet_bytes", [0, 1151, 214748365])
def test_packets_without_sense_are_refused(packet_bytes: int) -> None:
    with pytest.raises(InvalidInput, match=r"1152 to 214748364 bytes are possible"):
        by_packet(packet_bytes)


def test_the_mean_of_ping_is_read() -> None:
    assert parse_ping(PING) == Ping(0.208, 60, 59)


@pytest.mark.parametrize("text", ["", "ping: connect: Network is unreachable", PING[: PING.index("rtt")]])
def test_output_without_times_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match="no round-trip time"):
        parse_ping(text)


@pytest.mark.parametrize(("computed", "kept"), [(1000, True), (1250, True), (1251, False), (750, True), (749, False)])
def test_an_earlier_size_is_kept_within_the_tolerance(computed: int, kept: bool) -> None:
    assert keeps(1000, computed, 25) is kept
