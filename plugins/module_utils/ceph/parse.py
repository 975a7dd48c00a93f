# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reads what the ceph command prints with C(-f json) into values; the shapes are those of Ceph 14 to 19."""

from __future__ import annotations

import json
from typing import Any, Iterable, Mapping

from ..errors import OcpvError
from .model import Check, Osd, Pool, Rule, Status

_ERASURE = 3


class UnknownAnswer(OcpvError):
    """The ceph command succeeded and printed something else than was expected."""


def as_json(what: str, text: str) -> Any:
    """Return a JSON answer; C(what) names the command in the error."""
    try:
        return json.loads(text)
    except ValueError as error:
        raise UnknownAnswer(
            f"`{what}` did not print JSON but {text.strip()[:80]!r}.",
            hint="Is the command of O(ceph_command) the ceph program, and does nothing else print to its output?",
        ) from error


def parse(what: str, text: str, kind: type) -> Any:
    """Return a JSON answer that has to be an object or a list."""
    value = as_json(what, text)
    if not isinstance(value, kind):
        raise UnknownAnswer(f"`{what}` printed a JSON {type(value).__name__}, not a {kind.__name__}.")
    return value


def osds(osd_dump: Mapping[str, Any], osd_df: Mapping[str, Any]) -> dict[int, Osd]:
    """Return the OSDs of C(osd dump), with sizes and PGs of C(osd df)."""
    sizes = {node["id"]: node for node in [*osd_df.get("nodes", ()), *osd_df.get("stray", ())]}
    found = {}
    for entry in osd_dump["osds"]:
        node = sizes.get(entry["osd"], {})
        found[entry["osd"]] = Osd(
            id=entry["osd"],
            up=bool(entry["up"]),
            is_in=bool(entry["in"]),
            weight=float(node.get("crush_weight", 0)),
            capacity_bytes=int(node.get("kb", 0)) * 1024,
            pgs=int(node.get("pgs", 0)),
        )
    return found


def pools(osd_dump: Mapping[str, Any], df: Mapping[str, Any]) -> dict[str, Pool]:
    """Return the pools of C(osd dump) by name, with what is stored from C(df)."""
    stored = {entry["id"]: int(entry["stats"].get("stored", 0)) for entry in df.get("pools", ())}
    profiles = osd_dump.get("erasure_code_profiles", {})
    return {entry["pool_name"]: _pool(entry, profiles, stored) for entry in osd_dump["pools"]}


def _pool(entry: Mapping[str, Any], profiles: Mapping[str, Mapping[str, str]], stored: Mapping[int, int]) -> Pool:
    options = entry.get("options", {})
    erasure = entry["type"] == _ERASURE
    profile = profiles.get(entry.get("erasure_code_profile", ""), {})
    return Pool(
        id=entry["pool"],
        name=entry["pool_name"],
        created=str(entry.get("create_time", "")),
        size=int(entry["size"]),
        rule=int(entry["crush_rule"]),
        pg_num=int(entry["pg_num"]),
        pg_num_target=int(entry.get("pg_num_target", entry["pg_num"])),
        pgp_num=int(entry["pg_placement_num"]),
        pgp_num_target=int(entry.get("pg_placement_num_target", entry["pg_placement_num"])),
        autoscale_mode=entry.get("pg_autoscale_mode", "off"),
        data_chunks=int(profile.get("k", 1)) if erasure else 1,
        erasure=erasure,
        stored_bytes=stored.get(entry["pool"], 0),
        bulk="bulk" in entry.get("flags_names", "").split(","),
        bias=float(options.get("pg_autoscale_bias", 1.0)),
        pg_num_min=options.get("pg_num_min"),
        pg_num_max=options.get("pg_num_max"),
        target_size_ratio=float(options.get("target_size_ratio", 0.0)),
        target_size_bytes=int(options.get("target_size_bytes", 0)),
    )


def rules(crush_dump: Mapping[str, Any]) -> dict[int, Rule]:
    """Return the rules of C(osd crush dump) with the OSDs below the subtree that each takes first.

    A rule with several takes is judged by the first, as the autoscaler does. What a rule takes may be a bucket, the
    shadow of one for a device class, or a single OSD.
    """
    buckets = {bucket["id"]: bucket for bucket in crush_dump["buckets"]}
    found = {}
    for rule in crush_dump["rules"]:
        take = next((step for step in rule["steps"] if step.get("op") == "take"), None)
        root = take["item"] if take else 0
        name = str(take.get("item_name", root)) if take else ""
        below = frozenset(_osds_below(buckets, root)) if take else frozenset()
        domain = _failure_domain(rule["steps"])
        domains = sum(
            buckets[item]["type_name"] == domain and any(inside >= 0 for inside in _below(buckets, item))
            for item in (_below(buckets, root) if take and domain else ())
            if item in buckets
        )
        found[rule["rule_id"]] = Rule(rule["rule_id"], rule["rule_name"], root, name, below, domain, domains)
    return found


def _failure_domain(steps: Iterable[Mapping[str, Any]]) -> str:
    """Return the type of bucket that a rule chooses once for all replicas, empty if it chooses otherwise."""
    choices = [step for step in steps if str(step.get("op", "")).startswith("choose")]
    if len(choices) != 1 or not choices[0]["op"].startswith("chooseleaf_") or choices[0].get("num", 0) != 0:
        return ""
    kind = str(choices[0].get("type", ""))
    return "" if kind == "osd" else kind


def _osds_below(buckets: Mapping[int, Mapping[str, Any]], item: int) -> Iterable[int]:
    return (found for found in _below(buckets, item) if found >= 0)


def _below(buckets: Mapping[int, Mapping[str, Any]], item: int) -> Iterable[int]:
    """Yield an item and all that is below it, OSDs (from 0 on) and buckets (negative)."""
    waiting, seen = [item], set()
    while waiting:
        current = waiting.pop()
        if current in seen:
            continue
        seen.add(current)
        yield current
        if current in buckets:
            waiting += [child["id"] for child in buckets[current]["items"]]


def status(answer: Mapping[str, Any]) -> Status:
    """Return the look at a cluster that C(status) gives; muted checks are told, as muted."""
    health, pgmap = answer.get("health", {}), answer.get("pgmap", {})
    muted = {mute.get("code") for mute in health.get("mutes", ())}
    checks = tuple(
        Check(
            code,
            check.get("severity", ""),
            str(check.get("summary", {}).get("message", "")),
            muted=bool(check.get("muted")) or code in muted,
        )
        for code, check in sorted(health.get("checks", {}).items())
    )
    return Status(
        health=health.get("status", ""),
        checks=checks,
        pgs_by_state={entry["state_name"]: int(entry["count"]) for entry in pgmap.get("pgs_by_state", ())},
        pgs=int(pgmap.get("num_pgs", 0)),
        misplaced_ratio=float(pgmap.get("misplaced_ratio", 0.0)),
        manager_available=bool(answer.get("mgrmap", {}).get("available", True)),
    )
