"""Settings of the exporter: what is the same, what was there, and what its page shows."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.ocpv.scale.plugins.module_utils.ceph.exporter import (
    Found,
    Record,
    differing,
    extended,
    pool_names,
    rbd_metrics,
    read_manager,
    read_record,
    read_settings,
    refuse_unknown,
    same,
    set_command,
    wanted,
)
from ansible_collections.ocpv.scale.plugins.module_utils.errors import InvalidInput
from hypothesis import given, settings
from hypothesis import strategies as st

NOTHING: dict[str, Any] = dict.fromkeys(["rbd_stats_pools", "rbd_stats_pools_refresh_interval", "scrape_interval"])
# config dump of Ceph 16.2.15, with the entries it had of the tests' cluster and further ones
DUMP = [
    {"section": "mgr", "name": "mgr/prometheus/server_addr", "value": "127.0.0.1", "mask": ""},
    {"section": "mgr", "name": "mgr/prometheus/scrape_interval", "value": "60.000000", "mask": ""},
    {"section": "mgr", "name": "mgr/prometheus/rbd_stats_pools", "value": "vms images", "mask": ""},
    {"section": "mgr.x", "name": "mgr/prometheus/scrape_interval", "value": "5.000000", "mask": ""},
    {"section": "mgr", "name": "mgr/prometheus/x/rbd_stats_pools", "value": "old", "mask": ""},
    {"section": "global", "name": "mgr/prometheus/scrape_interval", "value": "20.000000", "mask": ""},
]


def test_the_reference_architecture_s_settings() -> None:
    given_options = {"rbd_stats_pools": ["vms"], "rbd_stats_pools_refresh_interval": 600, "scrape_interval": 60.0}
    assert wanted(given_options) == {
        "rbd_stats_pools": "vms",
        "rbd_stats_pools_refresh_interval": "600",
        "scrape_interval": "60",
    }
    assert wanted(NOTHING) == {}
    assert wanted({**NOTHING, "rbd_stats_pools": []}) == {"rbd_stats_pools": ""}
    assert wanted({**NOTHING, "rbd_stats_pools": ["b", "a/x", "b"], "scrape_interval": 7.5}) == {
        "rbd_stats_pools": "a/x,b",
        "scrape_interval": "7.5",
    }


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("rbd_stats_pools", ["vms,images"]),
        ("rbd_stats_pools", ["my pool"]),
        ("rbd_stats_pools", [""]),
        ("rbd_stats_pools", ["a/b/c"]),
        ("rbd_stats_pools_refresh_interval", 0),
        ("scrape_interval", 0.5),
        ("scrape_interval", 86_400.0),
    ],
)
def test_values_that_ceph_would_take_and_not_understand(option: str, value: Any) -> None:
    with pytest.raises(InvalidInput) as caught:
        wanted({**NOTHING, option: value})
    assert caught.value.option == option


def test_pools_that_are_not_there() -> None:
    refuse_unknown("vms,*", ["vms"])
    refuse_unknown("vms/a", ["vms"])
    with pytest.raises(InvalidInput, match="no such pool; there are: images, vms"):
        refuse_unknown("vms,vm", ["vms", "images"])


def test_what_is_set_and_what_wins_over_it() -> None:
    found = read_settings(DUMP)
    assert found.settings == {
        "rbd_stats_pools": "vms images",
        "rbd_stats_pools_refresh_interval": None,
        "scrape_interval": "60.000000",
    }
    assert found.overriding == {
        "scrape_interval": ("mgr.x: 5.000000",),
        "rbd_stats_pools": ("mgr/prometheus/x/rbd_stats_pools: old",),
    }


@pytest.mark.parametrize(
    ("option", "one", "other", "yes"),
    [
        ("scrape_interval", "60.000000", "60", True),
        ("scrape_interval", "15.000000", "60", False),
        ("scrape_interval", None, "15", False),
        ("scrape_interval", None, None, True),
        ("scrape_interval", "x", "60", False),
        ("rbd_stats_pools", "a b", "b,a", True),
        ("rbd_stats_pools", "a, b", "a", False),
        ("rbd_stats_pools", None, "", True),
    ],
)
def test_the_same_in_another_form(option: str, one: str | None, other: str | None, yes: bool) -> None:
    assert same(option, one, other) is yes


def test_only_what_differs_is_set() -> None:
    now = read_settings(DUMP).settings
    assert differing(now, {"scrape_interval": "60", "rbd_stats_pools": "images,vms"}) == {}
    assert differing(now, {"scrape_interval": "30", "rbd_stats_pools": ""}) == {
        "scrape_interval": "30",
        "rbd_stats_pools": "",
    }
    assert set_command("scrape_interval", "30") == ["config", "set", "mgr", "mgr/prometheus/scrape_interval", "30"]
    assert set_command("rbd_stats_pools", "") == ["config", "rm", "mgr", "mgr/prometheus/rbd_stats_pools"]
    assert set_command("rbd_stats_pools", None) == ["config", "rm", "mgr", "mgr/prometheus/rbd_stats_pools"]


def test_records_keep_what_was_first() -> None:
    found = Found({"scrape_interval": "15", "rbd_stats_pools": None, "rbd_stats_pools_refresh_interval": None})
    first = extended(None, found, False, ["scrape_interval"])
    assert first == Record({"scrape_interval": "15"}, enabled=False)
    later = Found({"scrape_interval": "60", "rbd_stats_pools": None, "rbd_stats_pools_refresh_interval": None})
    second = extended(first, later, True, ["scrape_interval", "rbd_stats_pools"])
    assert second == Record({"scrape_interval": "15", "rbd_stats_pools": None}, enabled=False)


OPTION = st.sampled_from(list(NOTHING))


@settings(deadline=None)
@given(st.dictionaries(OPTION, st.none() | st.text()), st.booleans(), st.none() | st.integers(0, 1 << 40))
def test_records_come_back_as_they_were(settings: dict[str, str | None], enabled: bool, waiting: int | None) -> None:
    record = Record(settings, enabled, waiting)
    assert read_record(record.as_text()) == record


@pytest.mark.parametrize("text", [None, "", "x", "[]", "{}", '{"settings": 1, "enabled": true}', "null"])
def test_what_is_no_record(text: str | None) -> None:
    assert read_record(text) is None


def test_the_manager() -> None:
    dump = {
        "active_gid": 4102, "active_name": "x", "available": True, "modules": ["prometheus"],
        "services": {"prometheus": "http://127.0.0.1:58541/"},
    }  # fmt: skip
    manager = read_manager(dump)
    assert (manager.name, manager.generation, manager.enabled, manager.address) == (
        "x", 4102, True, "http://127.0.0.1:58541/",
    )  # fmt: skip
    assert read_manager({}).available is False


PAGE = """# HELP ceph_rbd_write_ops RBD image writes count
# TYPE ceph_rbd_write_ops counter
ceph_rbd_write_ops{pool="vms",namespace="",image="a"} 3.0
ceph_rbd_read_ops{namespace="",pool="vms",image="a"} 1.0
ceph_rbd_write_ops{pool="vms-2",namespace="",image="b"} 1.0
ceph_health_status 0.0
"""


def test_metrics_by_pool() -> None:
    assert rbd_metrics(PAGE, ["vms", "images"]) == {"vms": 2, "images": 0}
    assert rbd_metrics(PAGE, []) == {"*": 3}
    assert rbd_metrics("", []) == {"*": 0}
    assert pool_names("vms/x, *  images") == ["images", "vms"]
