# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Names and values of kernel parameters: how they are written, compared, and what is known of each.

Ranges are those that Linux 6.1 was seen to take, made narrower where the kernel takes nonsense (a backlog of -1, say).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Mapping, Optional

from ..errors import InvalidInput

INT_MAX = 2147483647
# a segment may hold dots (an interface such as eth0.10) but no glob, blank or climbing
_SEGMENT = re.compile(r"^[A-Za-z0-9_][A-Za-z0-9_.:@-]*$")
_NUMBER = re.compile(r"^-?[0-9]+$")


@dataclass(frozen=True)
class Rule:
    """What a key takes: each of C(fields) numbers within C(lowest)..C(highest), in rising order if C(rising)."""

    lowest: int
    highest: int = INT_MAX
    fields: int = 1
    rising: bool = False


_RULES: Mapping[str, Rule] = {
    "net.ipv4.conf.*.arp_filter": Rule(0, 1),
    "net.ipv4.conf.*.arp_ignore": Rule(0, 8),
    "net.ipv4.conf.*.arp_announce": Rule(0, 2),
    "net.ipv4.neigh.default.gc_thresh1": Rule(0),
    "net.ipv4.neigh.default.gc_thresh2": Rule(1),
    "net.ipv4.neigh.default.gc_thresh3": Rule(1),
    "net.ipv6.neigh.default.gc_thresh1": Rule(0),
    "net.ipv6.neigh.default.gc_thresh2": Rule(1),
    "net.ipv6.neigh.default.gc_thresh3": Rule(1),
    "net.ipv4.tcp_window_scaling": Rule(0, 1),
    "net.ipv4.tcp_rmem": Rule(1, fields=3, rising=True),
    "net.ipv4.tcp_wmem": Rule(1, fields=3, rising=True),
    "net.core.rmem_max": Rule(2304),
    "net.core.rmem_default": Rule(2304),
    "net.core.wmem_max": Rule(4608),
    "net.core.wmem_default": Rule(4608),
    "net.core.netdev_budget": Rule(1),
    "net.core.netdev_budget_usecs": Rule(1),
    "net.core.netdev_max_backlog": Rule(1),
    "net.core.somaxconn": Rule(1),
    "kernel.sem": Rule(1, fields=4),
    "kernel.numa_balancing": Rule(0, 3),
    "kernel.sched_min_granularity_ns": Rule(100000, 1000000000),
    "kernel.sched_wakeup_granularity_ns": Rule(0, 1000000000),
    "vm.dirty_ratio": Rule(0, 100),
    "vm.dirty_background_ratio": Rule(0, 100),
    "vm.swappiness": Rule(0, 200),
}

# which key may not exceed which; equal values are refused where the pair is strict
_PAIRS: tuple[tuple[str, str, bool], ...] = (
    ("net.ipv4.neigh.default.gc_thresh1", "net.ipv4.neigh.default.gc_thresh2", True),
    ("net.ipv4.neigh.default.gc_thresh2", "net.ipv4.neigh.default.gc_thresh3", True),
    ("net.ipv6.neigh.default.gc_thresh1", "net.ipv6.neigh.default.gc_thresh2", True),
    ("net.ipv6.neigh.default.gc_thresh2", "net.ipv6.neigh.default.gc_thresh3", True),
    ("vm.dirty_background_ratio", "vm.dirty_ratio", True),
    ("net.core.rmem_default", "net.core.rmem_max", False),
    ("net.core.wmem_default", "net.core.wmem_max", False),
)

# shown read-only, or not at all, in every network namespace but the first
_OF_THE_FIRST_NAMESPACE = (
    "net.core.rmem_",
    "net.core.wmem_",
    "net.core.netdev_",
    "net.core.dev_weight",
    "net.core.default_qdisc",
    "net.ipv4.neigh.default.",
    "net.ipv6.neigh.default.",
    "net.ipv4.tcp_mem",
    "net.ipv4.udp_mem",
)


def normalize_key(name: str) -> str:
    """Return a key in the one spelling used here: segments by dots, a dot inside a segment as a slash.

    C(net/ipv4/conf/eth0.10/arp_filter) and C(net.ipv4.conf.eth0/10.arp_filter) are the same key, as for sysctl(8): the
    separator that comes first decides. Raises InvalidInput for what cannot be a key, a glob among it.
    """
    segments = split_key(name)
    if len(segments) < 2 or not all(_SEGMENT.match(segment) and ".." not in segment for segment in segments):
        raise InvalidInput("keys", name, "the full name of one kernel parameter is needed, such as vm.swappiness")
    return ".".join(segment.replace(".", "/") for segment in segments)


def split_key(name: str) -> list[str]:
    """Return the segments of a key or of a glob, as its path below /proc/sys has them."""
    first = re.search(r"[./]", name)
    if first is None or first.group() == "/":
        return name.split("/")
    return [segment.replace("/", ".") for segment in name.split(".")]


def key_path(key: str) -> str:
    """Return where a key lies below /proc/sys."""
    return "/".join(split_key(key))


def value_text(value: Any) -> str:
    """Return a value as it is written to a file or to the kernel: fields by single blanks.

    Takes numbers, booleans (1 and 0), texts, and lists of numbers or texts. Raises ValueError for anything else, for an
    empty value and for one that would not stay on its line.
    """
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, (list, tuple)):
        if any(isinstance(item, (list, tuple, dict)) for item in value):
            raise ValueError("a value is a number, a text or a list of these")
        value = " ".join(value_text(item) for item in value)
    if not isinstance(value, (str, int)):
        raise ValueError("a value is a number, a text or a list of these")
    text = " ".join(str(value).split(" ")).replace("\t", " ")
    if any(character < " " for character in text):
        raise ValueError("a value is one line")
    text = " ".join(text.split())
    if not text:
        raise ValueError("a value is needed")
    if "#" in text or ";" in text:
        raise ValueError("a comment behind a value becomes part of the value; leave it out")
    return text


def same_value(one: str, other: str) -> bool:
    """Tell whether two texts are one value for the kernel, which prints tabs and takes numbers with leading zeros."""
    mine, theirs = one.split(), other.split()
    return len(mine) == len(theirs) and all(
        left == right or (_is_number(left) and _is_number(right) and int(left) == int(right))
        for left, right in zip(mine, theirs)
    )


def of_the_first_namespace(key: str) -> bool:
    """Tell whether a key can be set in the machine's first network namespace only."""
    return key.startswith(_OF_THE_FIRST_NAMESPACE)


def rule_of(key: str) -> Optional[Rule]:
    """Return what is known of a key, None if nothing."""
    if key.startswith("net.ipv4.conf."):
        key = "net.ipv4.conf.*." + key.rsplit(".", 1)[1]
    return _RULES.get(key)


def value_problem(key: str, value: str, current: str) -> str:
    """Return why a key cannot take a value, empty if it can as far as is known.

    C(current) is what the kernel prints now, which shows the kind and number of fields of keys without a rule.
    """
    rule, fields, shown = rule_of(key), value.split(), current.split()
    if rule is not None:
        return _problem_by_rule(rule, fields)
    if not shown or not all(_is_number(field) for field in shown):
        return ""
    if len(fields) != len(shown) or not all(_is_number(field) for field in fields):
        needed = f"{len(shown)} whole numbers are" if len(shown) > 1 else "a whole number is"
        return f"{needed} needed, as in {' '.join(shown)!r}"
    return ""


def pair_problems(values: Mapping[str, str], current: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return (key, problem) for wanted values that contradict each other or what stays as it is.

    C(values) are the wanted ones, C(current) what the kernel has, of these keys and of those they depend on.
    """
    found = []
    for low, high, strict in _PAIRS:
        if low not in values and high not in values:
            continue
        below, above = values.get(low, current.get(low, "")), values.get(high, current.get(high, ""))
        if not (_is_number(below) and _is_number(above)):
            continue
        if int(below) > int(above) or (strict and int(below) == int(above)):
            least, most = ("less than", "more than") if strict else ("at most", "at least")
            if low in values:
                found.append((low, f"it must be {least} {high}, which is {above}"))
            else:
                found.append((high, f"it must be {most} {low}, which is {below}"))
    return found


def partners(key: str) -> set[str]:
    """Return the keys whose values decide what a key may be."""
    return {other for low, high, _strict in _PAIRS if key in (low, high) for other in (low, high) if other != key}


def _problem_by_rule(rule: Rule, fields: list[str]) -> str:
    each = f"from {rule.lowest} to {rule.highest}"
    needed = (
        f"a whole number {each} is needed" if rule.fields == 1 else f"{rule.fields} whole numbers {each} are needed"
    )
    if len(fields) != rule.fields or not all(_is_number(field) for field in fields):
        return needed
    numbers = [int(field) for field in fields]
    if not all(rule.lowest <= number <= rule.highest for number in numbers):
        return needed
    if rule.rising and numbers != sorted(numbers):
        return "the numbers (lowest, default, highest) must not fall"
    return ""


def _is_number(text: str) -> bool:
    return bool(_NUMBER.match(text))
