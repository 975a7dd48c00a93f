# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The values of profiles that depend on the host: socket buffers, and what softnet statistics advise."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Mapping, Optional

from ...errors import InvalidInput
from .. import socket_buffers as buffers
from .. import softnet
from ..links import speed_of
from ..sysctl_profiles import BACKLOG_QUEUE, SOCKET_BUFFERS, SOFTIRQ_BUDGET
from ..sysctl_record import Record
from . import network
from .kernel import Kernel


@dataclass
class Measured:
    """Values by key, and how they came about (for the module's result; empty if not asked for)."""

    values: dict[str, str] = field(default_factory=dict)
    socket_buffers: dict[str, Any] = field(default_factory=dict)
    softnet: dict[str, Any] = field(default_factory=dict)


def measure(module: Any, kernel: Kernel, record: Record) -> Measured:
    """Return what the options ask to be worked out. Raises InvalidInput for what cannot be."""
    options, found = module.params, Measured()
    if SOCKET_BUFFERS in options["profiles"]:
        _socket_buffers(module, options["socket_buffers"], record, found)
    if {SOFTIRQ_BUDGET, BACKLOG_QUEUE} & set(options["profiles"]):
        _softnet(options, kernel, record, found)
    return found


def _socket_buffers(module: Any, options: Mapping[str, Any], record: Record, found: Measured) -> None:
    method = options["method"]
    told: dict[str, Any] = {"method": method, "round_trip_ms": None, "link_mbps": None, "kept": False}
    if method == "packet":
        sizes = buffers.by_packet(options["packet_bytes"])
    else:
        told["link_mbps"] = _link_mbps(options)
        told["round_trip_ms"], measured = _round_trip_ms(module, options)
        sizes = buffers.by_latency(told["round_trip_ms"], told["link_mbps"])
        known = record.keys.get("net.core.rmem_max")
        earlier = int(known.wanted) if known and known.wanted.isdigit() else 0
        if measured and earlier and buffers.keeps(earlier, sizes.largest_bytes, options["tolerance_percent"]):
            told["kept"] = earlier != sizes.largest_bytes
            sizes = buffers.of_largest(earlier)
    told.update(largest_bytes=sizes.largest_bytes, default_bytes=sizes.default_bytes)
    found.socket_buffers = told
    found.values["net.core.rmem_max"] = found.values["net.core.wmem_max"] = str(sizes.largest_bytes)
    found.values["net.core.wmem_default"] = str(sizes.default_bytes)


def _link_mbps(options: Mapping[str, Any]) -> int:
    given, interface = options.get("link_mbps"), options.get("interface")
    if given is not None:
        if given < 1:
            raise InvalidInput("socket_buffers.link_mbps", given, "a speed in Mb/s of at least 1 is needed")
        return int(given)
    if not interface:
        raise InvalidInput("socket_buffers.link_mbps", None, "it, or an interface to read it from, is needed")
    return speed_of(network.link(interface, "socket_buffers.interface"))


def _round_trip_ms(module: Any, options: Mapping[str, Any]) -> tuple[float, bool]:
    """Return the round-trip time and whether it was measured."""
    given, address, interface = (options.get(name) for name in ("round_trip_ms", "ping_address", "interface"))
    if given is not None:
        if not 0 < given <= 10000:
            raise InvalidInput("socket_buffers.round_trip_ms", given, "a time of more than 0 and up to 10000 is needed")
        return float(given), False
    if not address or address.startswith("-"):
        allowed = "an address to ping, or round_trip_ms, is needed for the latency method"
        raise InvalidInput("socket_buffers.ping_address", address, allowed)
    if interface:
        network.link(interface, "socket_buffers.interface")
    if not 1 <= options["ping_count"] <= 1000:
        raise InvalidInput("socket_buffers.ping_count", options["ping_count"], "1 to 1000 are possible")
    told = network.ping(module, address, interface or "", options["ping_count"])
    if told.received < told.sent:
        module.warn(f"{told.sent - told.received} of {told.sent} pings to {address} were lost.")
    return told.round_trip_ms, True


def _softnet(options: Mapping[str, Any], kernel: Kernel, record: Record, found: Measured) -> None:
    given = options["softnet"]
    limits = {
        softnet.BUDGET: softnet.Limit(given["budget_step"], given["budget_limit"]),
        softnet.BACKLOG: softnet.Limit(given["backlog_step"], given["backlog_limit"]),
    }
    for name in ("budget_step", "budget_limit", "backlog_step", "backlog_limit"):
        if not 1 <= given[name] <= 2147483647:
            raise InvalidInput(f"softnet.{name}", given[name], "1 to 2147483647 are possible")
    asked = {
        key: limits[key]
        for profile, key in ((SOFTIRQ_BUDGET, softnet.BUDGET), (BACKLOG_QUEUE, softnet.BACKLOG))
        if profile in options["profiles"]
    }
    if given["method"] == "fixed":
        found.values.update({key: str(limit.limit) for key, limit in asked.items()})
        found.softnet = {"method": "fixed", "dropped": None, "squeezed": None, "advice": []}
        return
    if not 0 < given["interval_seconds"] <= 3600:
        allowed = "a time of more than 0 and up to 3600 is needed"
        raise InvalidInput("softnet.interval_seconds", given["interval_seconds"], allowed)
    current = {key: _current(key, kernel, record) if key in asked else None for key in limits}
    counted = network.softnet_growth(given["interval_seconds"])
    advice = softnet.advise_both(
        counted,
        (current[softnet.BUDGET], limits[softnet.BUDGET]),
        (current[softnet.BACKLOG], limits[softnet.BACKLOG]),
    )
    for item in advice:
        # a value that was never raised stays the host's own
        if item.wanted != item.current or item.key in record.keys:
            found.values[item.key] = str(item.wanted)
    found.softnet = {
        "method": "measured",
        "dropped": counted.dropped,
        "squeezed": counted.squeezed,
        "advice": [
            {"key": item.key, "current": item.current, "wanted": item.wanted, "reason": item.reason} for item in advice
        ],
    }


def _current(key: str, kernel: Kernel, record: Record) -> Optional[int]:
    known = record.keys.get(key)
    text = known.wanted if known else kernel.read(key) or ""
    # a missing key is told with all others that cannot be set
    return int(text) if text.strip().isdigit() else 0
