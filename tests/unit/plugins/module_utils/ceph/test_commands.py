"""Commands that lead to a goal, and records by which it is left again."""

from __future__ import annotations

import json

import pytest
from ansible_collections.ocpv.scale.plugins.module_utils.ceph.command import as_text
from ansible_collections.ocpv.scale.plugins.module_utils.ceph.commands import Goal, commands, in_order, on_the_way
from ansible_collections.ocpv.scale.plugins.module_utils.ceph.record import (
    PoolSettings,
    pool_key,
    pool_record,
    read_pool_records,
    settings_of,
)
from support.ceph_facts import pool

OFF_128 = PoolSettings("off", 128, 128)


def texts(goal: Goal, factor: int = 2) -> list[str]:
    return [as_text(command).replace("ceph osd pool set ", "") for command in commands(goal, factor)]


def test_the_autoscaler_is_off_before_the_first_step() -> None:
    assert texts(Goal(pool(pg_num=32), OFF_128)) == ["vms pg_autoscale_mode off", "vms pg_num 64", "vms pg_num 128"]


def test_it_is_on_again_after_the_last_one() -> None:
    assert texts(Goal(pool(pg_num=64), PoolSettings("on", 128, 128))) == [
        "vms pg_autoscale_mode off",
        "vms pg_num 128",
        "vms pg_autoscale_mode on",
    ]


def test_nothing_to_do_is_no_command_and_no_record() -> None:
    assert commands(Goal(pool(pg_num=128, autoscale_mode="off"), OFF_128, record=True), 2) == []


def test_what_it_had_is_recorded_first_and_forgotten_last() -> None:
    now = pool(pg_num=64, id=7, autoscale_mode="warn")
    kept = commands(Goal(now, OFF_128, record=True), 2)
    assert kept[0][:3] == ["config-key", "set", "ocpv.scale/pg/7"]
    assert json.loads(kept[0][3]) == {"pool": "vms", "pg_autoscale_mode": "warn", "pg_num": 64, "pgp_num": 64}
    assert kept[1:] == [
        ["osd", "pool", "set", "vms", "pg_num", "128"],
        ["osd", "pool", "set", "vms", "pg_autoscale_mode", "off"],
    ]
    assert commands(Goal(pool(pg_num=128, id=7), settings_of(now), forget=True), 2)[-1] == [
        "config-key", "rm", "ocpv.scale/pg/7",
    ]  # fmt: skip


def test_pgs_that_are_under_way_are_not_asked_for_again() -> None:
    under_way = pool(pg_num=40, pg_num_target=64, pgp_num=33, pgp_num_target=64, autoscale_mode="off")
    assert texts(Goal(under_way, OFF_128)) == ["vms pg_num 128"]
    assert texts(Goal(under_way, PoolSettings("off", 64, 64))) == []


def test_somebody_else_s_wish_is_taken_back() -> None:
    too_far = pool(pg_num=40, pg_num_target=4096, pgp_num=40, pgp_num_target=4096, autoscale_mode="off")
    assert texts(Goal(too_far, OFF_128)) == ["vms pg_num 64", "vms pg_num 128"]
    shrinking = pool(pg_num=40, pg_num_target=8, pgp_num=8, pgp_num_target=8, autoscale_mode="off")
    assert texts(Goal(shrinking, PoolSettings("off", 40, 8))) == ["vms pg_num 40", "vms pgp_num 8"]


def test_a_pgp_num_of_its_own_is_set_by_itself() -> None:
    apart = pool(pg_num=64, pgp_num=32, pgp_num_target=32, autoscale_mode="off")
    assert texts(Goal(apart, OFF_128)) == ["vms pg_num 128", "vms pgp_num 128"]
    assert texts(Goal(pool(pg_num=128, autoscale_mode="off"), settings_of(apart))) == [
        "vms pg_num 64",
        "vms pgp_num 32",
    ]


def test_pools_that_shrink_make_room_first() -> None:
    goals = [
        Goal(pool("a", 32), OFF_128),
        Goal(pool("z", 256), OFF_128),
        Goal(pool("b", 128), OFF_128),
    ]
    assert [goal.pool.name for goal in in_order(goals)] == ["b", "z", "a"]


@pytest.mark.parametrize(
    ("current", "asked", "number", "final", "yes"),
    [
        (32, 32, 64, 128, False),
        (32, 64, 64, 128, True),
        (40, 64, 64, 128, True),
        (32, 128, 64, 128, True),
        (32, 4096, 64, 128, False),
        (32, 16, 64, 128, False),
        (128, 64, 64, 32, True),
        (128, 128, 64, 32, False),
        (64, 64, 64, 64, True),
        (64, 128, 64, 64, False),
    ],
)
def test_on_the_way(current: int, asked: int, number: int, final: int, yes: bool) -> None:
    assert on_the_way(current, asked, number, final) is yes


def test_records_come_back_as_they_were() -> None:
    now = pool(pg_num=64, id=7, pgp_num=32, pgp_num_target=32, autoscale_mode="warn")
    assert read_pool_records({pool_key(now): pool_record(now)}) == {7: settings_of(now)}


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("ocpv.scale/pg/7", "not json"),
        ("ocpv.scale/pg/7", "[]"),
        ("ocpv.scale/pg/7", '{"pg_num": 64}'),
        ("ocpv.scale/pg/7", '{"pg_autoscale_mode": "sideways", "pg_num": 64, "pgp_num": 64}'),
        ("ocpv.scale/pg/7", '{"pg_autoscale_mode": "on", "pg_num": 0, "pgp_num": 64}'),
        ("ocpv.scale/pg/x", '{"pg_autoscale_mode": "on", "pg_num": 64, "pgp_num": 64}'),
        ("other/pg/7", '{"pg_autoscale_mode": "on", "pg_num": 64, "pgp_num": 64}'),
    ],
)
def test_what_is_no_record_is_left_out(key: str, text: str) -> None:
    assert read_pool_records({key: text}) == {}
