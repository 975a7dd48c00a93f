# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Settings of the manager's module prometheus: what is wanted, what there is, what there was, and what it exports."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any, Iterable, Mapping, Optional, Sequence

from ..errors import InvalidInput

MODULE = "prometheus"
SECTION = "mgr"
_PREFIX = f"mgr/{MODULE}/"

POOLS = "rbd_stats_pools"
REFRESH = "rbd_stats_pools_refresh_interval"
SCRAPE = "scrape_interval"
OPTIONS = (POOLS, REFRESH, SCRAPE)
# read once, when the module starts (measured with Ceph 16.2.15; the others work at once)
AT_START = (SCRAPE,)

_SEPARATORS = re.compile(r"[\s,]+")
# a name that the exporter's list can hold, optionally with a namespace
_ENTRY = re.compile(r"^[^\s,/]+(/[^\s,/]+)?$")
EVERYTHING = "*"

Settings = Mapping[str, Optional[str]]


@dataclass(frozen=True)
class Found:
    """What C(config dump) has of the options, by option: the manager section's text, None if not set; C(overriding) are
    more specific entries with another value, as C(section: value)."""

    settings: Settings
    overriding: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Manager:
    """The active manager: C(generation) is another number each time it starts."""

    name: str
    generation: int
    available: bool
    enabled: bool
    address: str


@dataclass(frozen=True)
class Record:
    """What there was before the first change, by option, and the manager that has not read a new setting yet."""

    settings: Settings
    enabled: bool = True
    waiting: Optional[int] = None

    def as_text(self) -> str:
        value = {"settings": dict(self.settings), "enabled": self.enabled, "waiting": self.waiting}
        return json.dumps(value, sort_keys=True)


def wanted(params: Mapping[str, Any]) -> dict[str, str]:
    """Return the settings that options ask for, as texts; options that are None are left alone, an empty list of pools
    becomes an empty text. Raises InvalidInput for values that the exporter would take and not understand."""
    found: dict[str, str] = {}
    if params[POOLS] is not None:
        for entry in params[POOLS]:
            if not _ENTRY.match(entry):
                raise InvalidInput(
                    POOLS, entry, "the name of a pool, pool/namespace or * is needed, without blanks and commas"
                )
        found[POOLS] = ",".join(sorted(set(params[POOLS])))
    for option, most in ((REFRESH, 86_400), (SCRAPE, 3_600)):
        value = params[option]
        if value is None:
            continue
        if not 1 <= value <= most:
            raise InvalidInput(option, value, f"a number of seconds from 1 to {most} is needed")
        found[option] = f"{value:g}"
    return found


def pool_names(text: Optional[str]) -> list[str]:
    """Return the pools of the exporter's list, without namespaces and C(*), sorted."""
    entries = {entry.split("/")[0] for entry in _SEPARATORS.split(text or "") if entry}
    return sorted(entries - {EVERYTHING})


def refuse_unknown(text: Optional[str], pools: Iterable[str]) -> None:
    """Raise InvalidInput for pools that are not there: Ceph would take them and export nothing."""
    known = set(pools)
    unknown = [name for name in pool_names(text) if name not in known]
    if unknown:
        there = ", ".join(sorted(known)) or "none"
        raise InvalidInput(POOLS, ", ".join(unknown), f"the cluster has no such pool; there are: {there}")


def option_name(option: str) -> str:
    """Return an option as C(ceph config) names it."""
    return _PREFIX + option


def read_settings(config_dump: Sequence[Mapping[str, Any]]) -> Found:
    """Return what the answer of C(config dump) has of the options."""
    settings: dict[str, Optional[str]] = dict.fromkeys(OPTIONS)
    others: dict[str, list[str]] = {}
    for entry in config_dump:
        name, section, value = str(entry["name"]), str(entry["section"]), str(entry["value"])
        option = name.rpartition("/")[2]
        if not name.startswith(_PREFIX) or option not in OPTIONS:
            continue
        if name == option_name(option) and section == SECTION and not entry.get("mask"):
            settings[option] = value
        elif section != "global":
            # of one manager: mgr.NAME, or the option with the manager's name in it
            where = section if name == option_name(option) else name
            others.setdefault(option, []).append(f"{where}: {value}")
    return Found(settings, {option: tuple(values) for option, values in others.items()})


def same(option: str, one: Optional[str], other: Optional[str]) -> bool:
    """Tell whether two texts of an option mean the same: pools in any order, numbers in any form (60, 60.000000)."""
    return normal(option, one) == normal(option, other)


def normal(option: str, text: Optional[str]) -> Optional[str]:
    """Return an option's text in one form for all that mean the same; None if it is not set or empty."""
    if not text:
        return None
    if option == POOLS:
        return ",".join(sorted({entry for entry in _SEPARATORS.split(text) if entry})) or None
    try:
        return f"{float(text):g}"
    except ValueError:
        return text


def differing(now: Settings, then: Settings) -> dict[str, Optional[str]]:
    """Return those settings of C(then) that C(now) has not."""
    return {option: value for option, value in then.items() if not same(option, now.get(option), value)}


def set_command(option: str, value: Optional[str]) -> list[str]:
    """Return the command that sets an option, or unsets it for None and an empty text."""
    if not value:
        return ["config", "rm", SECTION, option_name(option)]
    return ["config", "set", SECTION, option_name(option), value]


def read_manager(mgr_dump: Mapping[str, Any]) -> Manager:
    """Return the active manager from the answer of C(mgr dump)."""
    return Manager(
        name=str(mgr_dump.get("active_name", "")),
        generation=int(mgr_dump.get("active_gid", 0)),
        available=bool(mgr_dump.get("available", False)),
        enabled=MODULE in mgr_dump.get("modules", ()),
        address=str(mgr_dump.get("services", {}).get(MODULE, "")),
    )


def read_record(text: Optional[str]) -> Optional[Record]:
    """Return a record from its text; None if there is none or it is not one."""
    try:
        value = json.loads(text or "")
        settings = {option: value["settings"][option] for option in OPTIONS if option in value["settings"]}
        waiting = value.get("waiting")
        return Record(settings, bool(value["enabled"]), None if waiting is None else int(waiting))
    except (ValueError, KeyError, TypeError):
        return None


def extended(record: Optional[Record], found: Found, enabled: bool, options: Iterable[str]) -> Record:
    """Return the record with what there is of C(options), where it does not have them already."""
    base = record or Record({}, enabled)
    added = {option: found.settings.get(option) for option in options if option not in base.settings}
    return Record({**base.settings, **added}, base.enabled, base.waiting)


def rbd_metrics(page: str, pools: Sequence[str]) -> dict[str, int]:
    """Return how many RBD metrics an exporter's page has of each pool; of all together, as C(*), if none is named."""
    counts = dict.fromkeys(pools or [EVERYTHING], 0)
    for line in page.splitlines():
        if not line.startswith("ceph_rbd_"):
            continue
        if not pools:
            counts[EVERYTHING] += 1
            continue
        labels = re.search(r'[{,]pool="([^"]*)"', line)
        if labels and labels[1] in counts:
            counts[labels[1]] += 1
    return counts
