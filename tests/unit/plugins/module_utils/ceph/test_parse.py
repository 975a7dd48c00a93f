"""What real clusters answered becomes facts."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.ocpv.scale.plugins.module_utils.ceph.model import Check
from ansible_collections.ocpv.scale.plugins.module_utils.ceph.parse import (
    UnknownAnswer,
    osds,
    parse,
    pools,
    rules,
    status,
)
from support.ceph_facts import answer, recorded_facts


def test_pools_of_each_kind() -> None:
    found = recorded_facts("classes").pools
    assert list(found) == ["device_health_metrics", "vms", "images", "archive", "scratch"]
    vms, archive = found["vms"], found["archive"]
    assert (vms.size, vms.pg_num, vms.autoscale_mode, vms.erasure, vms.raw_rate) == (3, 64, "off", False, 3.0)
    assert vms.stored_bytes == 20 * (4 << 20)
    assert (archive.size, archive.data_chunks, archive.erasure, archive.raw_rate) == (6, 4, True, 1.5)
    assert found["images"].target_size_ratio == pytest.approx(0.2)
    assert (found["scratch"].bulk, vms.bulk) == (True, False)
    assert (found["device_health_metrics"].pg_num_min, found["device_health_metrics"].pg_num_max) == (1, 32)
    assert all(pool.settled for pool in found.values())
    assert vms.created.startswith("20")


def test_rules_find_the_osds_of_their_class_below_their_root() -> None:
    found = {rule.name: rule for rule in recorded_facts("classes").rules.values()}
    assert found["replicated_rule"].osds == frozenset(range(12))
    assert found["fast"].osds == frozenset(range(6))
    assert found["slow"].osds == found["archive"].osds == frozenset(range(6, 12))
    assert (found["fast"].root, found["fast"].device_class) == ("default~nvme", "nvme")
    assert (found["replicated_rule"].root, found["replicated_rule"].device_class) == ("default", "")


def test_osds_with_weight_size_and_pgs() -> None:
    found = recorded_facts("classes").osds
    assert len(found) == 12
    assert (found[0].weight, found[1].weight, found[11].weight) == (pytest.approx(2.9, abs=1e-4), 1.75, 3.5)
    assert found[3].capacity_bytes == 1 << 30
    assert found[3].pgs > 0
    assert all(osd.up and osd.is_in for osd in found.values())


def test_an_osd_that_is_down_and_one_that_never_reported() -> None:
    found = osds(answer("states", "osd_down_dump"), {})
    assert (found[11].up, found[11].is_in) == (False, True)
    assert (found[0].up, found[0].capacity_bytes) == (True, 0)


def test_a_healthy_cluster() -> None:
    found = status(answer("states", "healthy"))
    assert found.unclean == {}
    assert found.pgs == sum(found.pgs_by_state.values()) == 145


def test_pgs_that_are_not_clean_while_they_split() -> None:
    found = status(answer("states", "splitting"))
    assert found.unclean
    assert found.pgs == 209
    assert "active+clean" not in found.unclean


def test_checks_and_mutes() -> None:
    down = status(answer("states", "osd_down"))
    assert Check("OSD_DOWN", "HEALTH_WARN", "1 osds down") in down.checks
    muted = {check.code: check.muted for check in status(answer("states", "muted")).checks}
    assert muted["OSD_DOWN"] is True
    assert muted["POOL_APP_NOT_ENABLED"] is False


def test_a_rule_may_take_one_osd_or_nothing_that_is_there() -> None:
    dump = {
        "buckets": [{"id": -1, "name": "default", "items": [{"id": 0, "weight": 1}, {"id": -1, "weight": 1}]}],
        "rules": [
            {"rule_id": 0, "rule_name": "all", "steps": [{"op": "take", "item": -1, "item_name": "default"}]},
            {"rule_id": 1, "rule_name": "one", "steps": [{"op": "take", "item": 7, "item_name": "osd.7"}]},
            {"rule_id": 2, "rule_name": "gone", "steps": [{"op": "take", "item": -9, "item_name": "old"}]},
            {"rule_id": 3, "rule_name": "empty", "steps": [{"op": "emit"}]},
        ],
    }
    assert [rule.osds for rule in rules(dump).values()] == [{0}, {7}, set(), set()]


def test_failure_domains_are_buckets_with_osds_below_the_rule_s_root() -> None:
    def bucket(number: int, kind: str, *items: int) -> dict[str, Any]:
        return {"id": number, "type_name": kind, "items": [{"id": item} for item in items]}

    def steps(*choices: tuple[str, str, int]) -> list[dict[str, Any]]:
        take = {"op": "take", "item": -1, "item_name": "default"}
        return [take, *({"op": op, "type": kind, "num": number} for op, kind, number in choices), {"op": "emit"}]

    dump = {
        "buckets": [
            bucket(-1, "root", -2, -3, -4),
            bucket(-2, "rack", -5, -6),
            bucket(-3, "rack", -7),
            bucket(-4, "rack"),
            bucket(-5, "host", 0),
            bucket(-6, "host", 1, 2),
            bucket(-7, "host", 3),
            bucket(-8, "host", 4),
        ],
        "rules": [
            {"rule_id": 0, "rule_name": "hosts", "steps": steps(("chooseleaf_firstn", "host", 0))},
            {"rule_id": 1, "rule_name": "racks", "steps": steps(("chooseleaf_indep", "rack", 0))},
            {"rule_id": 2, "rule_name": "osds", "steps": steps(("choose_firstn", "osd", 0))},
            {
                "rule_id": 3,
                "rule_name": "pairs",
                "steps": steps(("choose_indep", "host", 2), ("choose_indep", "osd", 2)),
            },
            {"rule_id": 4, "rule_name": "one of it", "steps": steps(("chooseleaf_firstn", "host", 1))},
        ],
    }
    found = [(rule.failure_domain, rule.domains) for rule in rules(dump).values()]
    assert found == [("host", 3), ("rack", 2), ("", 0), ("", 0), ("", 0)]


def test_pools_of_older_releases_have_no_targets() -> None:
    entry = {
        "pool": 1, "pool_name": "old", "type": 1, "size": 2, "crush_rule": 0, "pg_num": 8, "pg_placement_num": 8,
    }  # fmt: skip
    (found,) = pools({"pools": [entry]}, {}).values()
    assert (found.pg_num_target, found.pgp_num_target, found.autoscale_mode, found.settled) == (8, 8, "off", True)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Inferring fsid 1234", "did not print JSON but 'Inferring fsid 1234'"),
        ("", "did not print JSON but ''"),
        ("[]", "printed a JSON list, not a dict"),
    ],
)
def test_answers_that_are_no_answers(text: str, message: str) -> None:
    with pytest.raises(UnknownAnswer, match="ceph osd dump.*" + message.replace("'", ".")):
        parse("ceph osd dump", text, dict)


def test_the_empty_line_before_json_does_not_matter() -> None:
    assert parse("ceph osd dump", '\n{"a": 1}', dict) == {"a": 1}
