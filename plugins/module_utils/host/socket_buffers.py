# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Sizes of socket buffers, from the round-trip time and the link's speed, or from the size of packets.

Source: large-scale reference architecture, "Buffer size tuning". The largest buffer holds ten packets and the default
one four, hence two fifths.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from ..errors import InvalidInput
from .sysctl_keys import INT_MAX

PACKET_BYTES = 524288
PACKETS_LARGEST = 10
PACKETS_DEFAULT = 4
# below this the kernel refuses wmem_max
SMALLEST_BYTES = 4608
_UNIT = 1024**2
_AVERAGE = re.compile(r"^(?:rtt|round-trip) min/avg/max/(?:mdev|stddev) = [0-9.]+/([0-9.]+)/", re.MULTILINE)
_LOSS = re.compile(r"([0-9]+) packets transmitted, ([0-9]+) (?:packets )?received")


@dataclass(frozen=True)
class SocketBuffers:
    """Sizes in bytes: the largest of receive and send buffers, and the default of send buffers."""

    largest_bytes: int
    default_bytes: int


@dataclass(frozen=True)
class Ping:
    """What ping told: the mean round-trip time in ms and how many packets were sent and came back."""

    round_trip_ms: float
    sent: int
    received: int


def by_latency(round_trip_ms: float, link_mbps: int) -> SocketBuffers:
    """Return round-trip time x link speed x 1024^2, rounded to the nearest byte.

    The product is in bits if taken literally; the document calls it bytes, which leaves room for eight times the
    bandwidth-delay product. Raises InvalidInput if the sizes are none that the kernel takes.
    """
    largest = round(round_trip_ms / 1000 * link_mbps * _UNIT)
    if not SMALLEST_BYTES <= largest <= INT_MAX:
        raise InvalidInput(
            "socket_buffers",
            f"{round_trip_ms} ms on {link_mbps} Mb/s",
            f"the buffers would have {largest} bytes, and the kernel takes {SMALLEST_BYTES} to {INT_MAX}",
            hint="Use the packet method, or check the round-trip time and the speed.",
        )
    return of_largest(largest)


def of_largest(largest_bytes: int) -> SocketBuffers:
    """Return the sizes for a largest buffer, of which the default one is two fifths."""
    default = round(largest_bytes * PACKETS_DEFAULT / PACKETS_LARGEST)
    return SocketBuffers(largest_bytes, max(SMALLEST_BYTES, default))


def by_packet(packet_bytes: int = PACKET_BYTES) -> SocketBuffers:
    """Return room for ten and for four packets of a size.

    Raises InvalidInput if the sizes are none that the kernel takes.
    """
    largest, default = packet_bytes * PACKETS_LARGEST, packet_bytes * PACKETS_DEFAULT
    if default < SMALLEST_BYTES or largest > INT_MAX:
        allowed = f"{-(-SMALLEST_BYTES // PACKETS_DEFAULT)} to {INT_MAX // PACKETS_LARGEST} bytes are possible"
        raise InvalidInput("socket_buffers.packet_bytes", packet_bytes, allowed)
    return SocketBuffers(largest, default)


def parse_ping(output: str) -> Ping:
    """Return the summary of ping -q, as iputils prints it with LC_ALL=C. Raises ValueError if there is none."""
    counts, average = _LOSS.search(output), _AVERAGE.search(output)
    if counts is None or average is None:
        raise ValueError("no round-trip time in the output of ping")
    return Ping(float(average.group(1)), int(counts.group(1)), int(counts.group(2)))


def keeps(earlier_bytes: int, computed_bytes: int, tolerance_percent: float) -> bool:
    """Tell whether an earlier size still does, though a new measurement gives another."""
    return abs(computed_bytes - earlier_bytes) * 100 <= tolerance_percent * earlier_bytes
