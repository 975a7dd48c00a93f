"""The advice as a whole: values with reasons, VMs that would not converge, what helps them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.ocpv.scale.plugins.module_utils.cluster.model import MigrationPolicy, MigrationSettings
from ansible_collections.ocpv.scale.plugins.module_utils.migration.advice.advise import (
    SETTINGS,
    advice_result,
    advise,
)
from ansible_collections.ocpv.scale.plugins.module_utils.migration.advice.concurrency import GBIT, MIB
from ansible_collections.ocpv.scale.plugins.module_utils.migration.advice.facts import Facts, Link, Machine
from ansible_collections.ocpv.scale.plugins.module_utils.migration.config.fields import BY_OPTION, checked
from ansible_collections.ocpv.scale.plugins.module_utils.migration.precopy import DIRTY_RATES
from ansible_collections.ocpv.scale.plugins.module_utils.quantity import parse_bytes
from hypothesis import given
from hypothesis import strategies as st
from unit.plugins.module_utils.rebalance.builders import settings, vm

SHARED_10G = Link(10 * GBIT, 0.5, False, "as told")
DEDICATED_25G = Link(25 * GBIT, 0.8, True, "as told")


def machine(
    name: str = "web-1",
    *,
    workload: str = "",
    gib: float = 4,
    rate: float | None = None,
    policy: dict[str, Any] | None = None,
    **spec: Any,
) -> Machine:
    """C(rate) is a measured dirty rate."""
    return Machine(
        vm(name, "worker-1", namespace="shop", memory_gib=gib, dirty_rate=rate, spec=spec),
        workload,
        DIRTY_RATES[workload],
        policy=MigrationPolicy("own", {}, {}, policy) if policy is not None else None,
    )


def result(
    *machines: Machine, link: Link = SHARED_10G, current: MigrationSettings | None = None, nodes: int = 12
) -> dict[str, Any]:
    found = advice_result(advise(Facts(nodes, link, machines, current if current else settings())))
    json.dumps(found)
    return found


def test_ordinary_vms_on_a_shared_link() -> None:
    found = result(machine(), machine("web-2", workload="web", gib=32))
    assert found["recommended"] == {
        "parallel_migrations_per_cluster": 5,
        "parallel_outbound_migrations_per_node": 2,
        "bandwidth_per_migration": "119Mi",
        "completion_timeout_seconds_per_gib": 150,
        "progress_timeout_seconds": 150,
        "allow_auto_converge": False,
        "allow_post_copy": False,
        "allow_workload_disruption": False,
    }
    assert found["current"]["bandwidth_per_migration"] is None
    assert [entry["setting"] for entry in found["reasons"]] == list(SETTINGS) == list(found["recommended"])
    assert set(BY_OPTION) - set(SETTINGS) == {"network"}
    assert all(entry["reason"].endswith(".") for entry in found["reasons"])
    assert found["not_converging"] == []
    assert "bandwidth_per_migration: 119Mi (now no limit)." in found["text"]
    assert len(found["text"].splitlines()) == 1 + len(SETTINGS)


def test_a_cache_does_not_converge_on_a_shared_link_and_does_on_a_fast_one() -> None:
    """300 MiB/s are assumed for caches; 119 MiB/s are what a migration gets of 10 Gbit/s shared."""
    cache = machine("cache-1", workload="caching", gib=32)
    others = [machine(f"web-{number}") for number in range(9)]
    found = result(cache, *others)
    (entry,) = found["not_converging"]
    assert (entry["namespace"], entry["name"], entry["code"]) == ("shop", "cache-1", "too_dirty")
    assert (entry["dirty_bytes_per_second"], entry["bandwidth_bytes_per_second"]) == (300 * MIB, 119 * MIB)
    assert entry["dirty_rate_origin"] == "assumed"
    assert [way["way"] for way in entry["helps"]] == ["bandwidth", "auto_converge", "post_copy", "cold"]
    assert entry["helps"][0]["policy"] == {"bandwidth_per_migration": "375Mi"}
    assert entry["helps"][2]["policy"] == {"allow_post_copy": True, "allow_workload_disruption": True}
    assert found["recommended"]["allow_auto_converge"] is False
    assert "1 of 10 VMs" in next(e["reason"] for e in found["reasons"] if e["setting"] == "allow_auto_converge")
    assert "shop/cache-1 would not get there" in found["text"]
    assert result(cache, *others, link=DEDICATED_25G)["not_converging"] == []


def test_what_was_measured_counts_before_what_is_assumed() -> None:
    found = result(machine("cache-1", workload="caching", rate=10e6))
    assert found["not_converging"] == []
    (entry,) = result(machine(rate=500e6), *(machine(f"web-{n}") for n in range(2, 9)))["not_converging"]
    assert entry["dirty_rate_origin"] == "measured"
    assert "500 MB/s (measured)" in entry["reason"]


def test_the_policy_of_a_vm_counts() -> None:
    others = [machine(f"web-{number}") for number in range(9)]
    for policy in ({"allowAutoConverge": True}, {"allowPostCopy": True}, {"bandwidthPerMigration": "400Mi"}):
        cache = machine("cache-1", workload="caching", policy=policy)
        assert result(cache, *others)["not_converging"] == [], policy
    (entry,) = result(machine("a", workload="web", gib=64, policy={"completionTimeoutPerGiB": 5}))["not_converging"]
    assert (entry["code"], entry["policy"]) == ("too_long", "own")
    assert entry["helps"][0] == {
        "way": "completion_timeout",
        "text": "Give it 20 s per started GB.",
        "policy": {"completion_timeout_seconds_per_gib": 20},
    }


def test_auto_converge_for_all_where_many_need_it() -> None:
    found = result(machine("cache-1", workload="caching"), machine())
    assert found["recommended"]["allow_auto_converge"] is True
    assert found["not_converging"] == []
    kept = result(machine(), current=settings(allow_auto_converge=True))
    assert kept["recommended"]["allow_auto_converge"] is True


def test_one_connection_of_a_vm_with_cpu_limits() -> None:
    link = Link(100 * GBIT, 1.0, True)
    fast = [machine(f"web-{number}") for number in range(9)]
    (entry,) = result(machine("hpc-1", rate=700e6, cpu_limited=True), *fast, link=link)["not_converging"]
    assert entry["bandwidth_bytes_per_second"] == 600_000_000
    assert [way["way"] for way in entry["helps"]] == ["channels", "auto_converge", "post_copy", "cold"]


def test_no_post_copy_for_passed_through_devices() -> None:
    others = [machine(f"web-{number}") for number in range(9)]
    (entry,) = result(machine("gpu", rate=500e6, gpus=("vgpu",)), *others)["not_converging"]
    assert "post_copy" not in [way["way"] for way in entry["helps"]]


@pytest.mark.parametrize(
    ("gb", "seconds"),
    [(4, 150), (49.9, 150), (50, 200), (125, 250), (200, 300), (350, 450), (500, 600), (1000, 600)],
)
def test_the_progress_timeout_follows_the_largest_vm(gb: float, seconds: int) -> None:
    found = result(machine(gib=gb * 1e9 / 2**30), machine("small"))
    assert found["recommended"]["progress_timeout_seconds"] == seconds


def test_the_completion_timeout_covers_the_slowest_of_those_that_converge() -> None:
    """On 1 Gbit/s shared a migration gets 59 MiB/s; 50 MiB/s dirtied leave 6.3 times the copy."""
    link = Link(1 * GBIT, 0.5, False)
    slow = machine("stream", workload="streaming", gib=60)
    found = result(slow, *(machine(f"web-{n}") for n in range(9)), link=link)
    value = found["recommended"]["completion_timeout_seconds_per_gib"]
    reason = next(e["reason"] for e in found["reasons"] if e["setting"] == "completion_timeout_seconds_per_gib")
    assert 150 < value <= 260
    assert "shop/stream" in reason
    assert found["not_converging"] == []


def test_more_than_the_documents_advise_is_for_a_policy() -> None:
    link = Link(1 * GBIT, 0.5, False)
    slow = machine("stream", rate=58.5 * MIB, gib=60)
    found = result(slow, *(machine(f"web-{n}") for n in range(9)), link=link)
    assert found["recommended"]["completion_timeout_seconds_per_gib"] == 800
    (entry,) = found["not_converging"]
    assert entry["code"] == "too_long"


@pytest.mark.parametrize(("now", "shared", "dedicated"), [(20, 150, 150), (800, 800, 150), (1600, 800, 150)])
def test_on_a_shared_network_the_timeout_is_not_lowered(now: int, shared: int, dedicated: int) -> None:
    for link, expected in ((SHARED_10G, shared), (DEDICATED_25G, dedicated)):
        found = result(machine(), link=link, current=settings(completion_timeout_per_gib=now))
        assert found["recommended"]["completion_timeout_seconds_per_gib"] == expected


def test_what_is_allowed_now_and_why_not_for_all() -> None:
    found = result(machine(), current=settings(allow_post_copy=True, allow_workload_disruption=False))
    reason = next(e["reason"] for e in found["reasons"] if e["setting"] == "allow_post_copy")
    assert "lost if the connection breaks" in reason
    assert "Now it does nothing" in reason


def test_without_vms_and_without_known_settings() -> None:
    found = advice_result(advise(Facts(3, SHARED_10G, ())))
    assert found["current"] == {}
    assert found["recommended"]["completion_timeout_seconds_per_gib"] == 150
    assert {entry["current"] for entry in found["reasons"]} == {None}


machines = st.lists(
    st.builds(
        machine,
        name=st.sampled_from(["a", "b", "c"]),
        workload=st.sampled_from(sorted(DIRTY_RATES)),
        gib=st.floats(0.1, 2000),
        rate=st.none() | st.floats(0, 5e9),
        cpu_limited=st.booleans(),
    ),
    max_size=6,
)


@given(machines=machines, gbit=st.floats(0.1, 400), dedicated=st.booleans(), nodes=st.integers(0, 300))
def test_values_are_valid_for_the_api_and_the_same_each_time(machines, gbit, dedicated, nodes) -> None:
    link = Link(gbit * GBIT, 0.5, dedicated)
    found = result(*machines, link=link, nodes=nodes)
    assert found == result(*machines, link=link, nodes=nodes)
    values = found["recommended"]
    assert {name: checked(BY_OPTION[name], value) for name, value in values.items()} == values
    assert all(type(values[name]) is int for name in SETTINGS[:2] + SETTINGS[3:5])
    assert min(values[name] for name in SETTINGS[:2]) >= 1
    assert 150 <= values["completion_timeout_seconds_per_gib"] <= 800
    assert 150 <= values["progress_timeout_seconds"] <= 600
    assert parse_bytes(values["bandwidth_per_migration"]) % MIB == 0
    assert values["bandwidth_per_migration"] != "0Mi"
    assert all(type(values[name]) is bool for name in SETTINGS[5:])
    for entry in found["not_converging"]:
        assert [way["way"] for way in entry["helps"]][-1] == "cold"
        if entry["code"] == "too_dirty":
            assert entry["dirty_bytes_per_second"] >= entry["bandwidth_bytes_per_second"]
