# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The profiles of kernel parameters, and what is wanted of a host when profiles and own keys are put together.

Sources: large-scale reference architecture, "RHCS network tuning" (all but the last profile); performance tuning, "SAP
HANA Tuning Example" (the last).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Iterable, Mapping, Optional

from ..errors import InvalidInput
from .sysctl_keys import normalize_key, value_text

ARP_FLUX = "arp_flux"
ARP_CACHE = "arp_cache"
WINDOW_SCALING = "window_scaling"
SOCKET_BUFFERS = "socket_buffers"
SOFTIRQ_BUDGET = "softirq_budget"
BACKLOG_QUEUE = "backlog_queue"
LOW_LATENCY = "low_latency"
DEFAULT_FILE = "99.9-ocpv-scale.conf"
OWN_KEYS = "keys"


@dataclass(frozen=True)
class Profile:
    """Keys with their values; C(None) for one that is worked out on the host.

    C(file) is the drop-in's name, empty for that of the module's option. C(may_be_missing) are keys that newer kernels
    do not have.
    """

    values: Mapping[str, Optional[str]]
    file: str = ""
    may_be_missing: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Wanted:
    """One key as it should be: its value, the file name to keep it in, and which profile (or C(keys)) asks for it."""

    key: str
    value: str
    file: str
    origin: str
    may_be_missing: bool = False


PROFILES: Mapping[str, Profile] = {
    ARP_FLUX: Profile(
        {
            "net.ipv4.conf.all.arp_filter": "1",
            "net.ipv4.conf.all.arp_ignore": "1",
            "net.ipv4.conf.all.arp_announce": "1",
        },
        file="99.8-arp.conf",
    ),
    ARP_CACHE: Profile(
        {
            "net.ipv4.neigh.default.gc_thresh1": "4096",
            "net.ipv4.neigh.default.gc_thresh2": "16384",
            "net.ipv4.neigh.default.gc_thresh3": "32768",
        },
        file="99.7-arpcachesize.conf",
    ),
    WINDOW_SCALING: Profile({"net.ipv4.tcp_window_scaling": "1"}),
    SOCKET_BUFFERS: Profile({"net.core.rmem_max": None, "net.core.wmem_max": None, "net.core.wmem_default": None}),
    SOFTIRQ_BUDGET: Profile({"net.core.netdev_budget": None}),
    BACKLOG_QUEUE: Profile({"net.core.netdev_max_backlog": None}),
    LOW_LATENCY: Profile(
        {
            "kernel.sem": "32000 1024000000 500 32000",
            "kernel.numa_balancing": "0",
            "kernel.sched_min_granularity_ns": "3000000",
            "kernel.sched_wakeup_granularity_ns": "4000000",
            "vm.dirty_ratio": "40",
            "vm.dirty_background_ratio": "10",
            "vm.swappiness": "10",
        },
        # no parameters since Linux 5.13; and a kernel without NUMA has nothing to balance
        may_be_missing=frozenset(
            {
                "kernel.sched_min_granularity_ns",
                "kernel.sched_wakeup_granularity_ns",
                "kernel.numa_balancing",
            }
        ),
    ),
}


def put_together(
    profiles: Iterable[str], keys: Mapping[str, Any], computed: Mapping[str, str], default_file: str
) -> list[Wanted]:
    """Return what is wanted of the host, in the order of the profiles and then of C(keys).

    C(computed) has the values that were worked out; a key of a profile that has none there stays as it is. A key of
    C(keys) wins over a profile's and is kept in the profile's file. Raises InvalidInput for names and values in C(keys)
    that cannot be.
    """
    found: dict[str, Wanted] = {}
    for name in dict.fromkeys(profiles):
        profile = PROFILES[name]
        for key, value in profile.values.items():
            decided = value if value is not None else computed.get(key)
            if decided is not None:
                found[key] = Wanted(key, decided, profile.file or default_file, name, key in profile.may_be_missing)
    for key, text in own_keys(keys).items():
        file = found[key].file if key in found else default_file
        found[key] = Wanted(key, text, file, OWN_KEYS)
    return list(found.values())


def own_keys(keys: Mapping[str, Any]) -> dict[str, str]:
    """Return keys and values as texts, by normalized names. Raises InvalidInput naming the key."""
    found: dict[str, str] = {}
    for name, value in keys.items():
        key = normalize_key(str(name))
        if key in found:
            raise InvalidInput("keys", name, f"{key} is given twice")
        try:
            found[key] = value_text(value)
        except ValueError as error:
            raise InvalidInput(f"keys: {name}", value, str(error)) from error
    return found
