"""Facts of Ceph clusters for tests: what a real cluster answered, and small ones made by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ansible_collections.ocpv.scale.plugins.module_utils.ceph import parse
from ansible_collections.ocpv.scale.plugins.module_utils.ceph.model import Facts, Osd, Pool, Rule

RECORDED = Path(__file__).resolve().parents[1] / "unit" / "plugins" / "module_utils" / "ceph" / "recorded"


def answer(situation: str, name: str) -> Any:
    """Return what a real cluster answered (see tests/ceph/record.py)."""
    return json.loads((RECORDED / situation / f"{name}.json").read_text())


def recorded_facts(situation: str) -> Facts:
    dump = answer(situation, "osd_dump")
    return Facts(
        pools=parse.pools(dump, answer(situation, "df")),
        rules=parse.rules(answer(situation, "crush_dump")),
        osds=parse.osds(dump, answer(situation, "osd_df")),
    )


def pool(name: str = "vms", pg_num: int = 32, **more: Any) -> Pool:
    """Return a settled pool; rule 0, three replicas unless told otherwise."""
    given: dict[str, Any] = {
        "id": 1, "created": "", "size": 3, "rule": 0,
        "pg_num": pg_num, "pg_num_target": pg_num, "pgp_num": pg_num, "pgp_num_target": pg_num,
    }  # fmt: skip
    return Pool(name=name, **{**given, **more})


def facts(*pools: Pool, osds: int = 12, weights: dict[int, float] | None = None, **more: Any) -> Facts:
    """Return a cluster whose one rule takes all OSDs, each of 1 TiB."""
    every = {
        number: Osd(number, up=True, is_in=True, weight=(weights or {}).get(number, 1.0), capacity_bytes=1 << 40)
        for number in range(osds)
    }
    rules = {0: Rule(0, "replicated_rule", -1, "default", frozenset(every))}
    return Facts({entry.name: entry for entry in pools}, more.pop("rules", rules), more.pop("osds_", every), **more)
