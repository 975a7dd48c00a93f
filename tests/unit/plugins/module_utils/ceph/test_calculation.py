"""From options and facts to a plan with its findings."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.ocpv.scale.plugins.module_utils.ceph.calculation import Plan, calculate, filled
from ansible_collections.ocpv.scale.plugins.module_utils.ceph.findings import Finding, findings
from ansible_collections.ocpv.scale.plugins.module_utils.ceph.limits import newly_exceeded
from ansible_collections.ocpv.scale.plugins.module_utils.ceph.model import Facts, Rule
from ansible_collections.ocpv.scale.plugins.module_utils.ceph.request import (
    PoolRequest,
    Request,
    facts_given,
    refuse_given_facts,
    request_of,
)
from ansible_collections.ocpv.scale.plugins.module_utils.ceph.result import plan_result
from ansible_collections.ocpv.scale.plugins.module_utils.ceph.rounding import is_power_of_two
from ansible_collections.ocpv.scale.plugins.module_utils.errors import InvalidInput
from hypothesis import given, settings
from hypothesis import strategies as st
from support.ceph_facts import facts, pool, recorded_facts

POOL_OPTIONS = (
    "data_share_percent", "pg_num", "pg_autoscale_mode", "osds", "size", "k", "m", "root", "current_pg_num",
    "stored_bytes", "bulk",
)  # fmt: skip
OPTIONS: dict[str, Any] = {
    "method": "document",
    "target_pgs_per_osd": 100.0,
    "max_used_percent": 85.0,
    "pg_autoscale_mode": "off",
    "step_factor": 2,
    "reduce": False,
    "osds": None,
    "osd_size_bytes": None,
    "max_pgs_per_osd": None,
}


def options(*pools: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Return module parameters as Ansible hands them over: every option is there."""
    given_pools = [{**dict.fromkeys(POOL_OPTIONS), "name": "vms", **entry} for entry in pools]
    return {**OPTIONS, "pools": given_pools, **more}


def by_hand(*pools: dict[str, Any], **more: Any) -> tuple[Facts, Plan]:
    params = options(*pools, **more)
    request = request_of(params)
    known = filled(facts_given(params), request)
    return known, calculate(known, request)


def numbers(plan: Plan) -> dict[str, int]:
    return {entry.pool.name: entry.pg_num for entry in plan.pools}


def codes(found: list[Finding], pool_name: str | None = None) -> list[str]:
    return [finding.code for finding in found if pool_name in (None, finding.pool)]


class TestByHand:
    def test_the_reference_architecture(self) -> None:
        known, plan = by_hand({}, osds=141)
        (entry,) = plan.pools
        assert entry.document is not None and entry.pgcalc is not None and entry.autoscaler is not None
        assert (entry.document.pg_num, entry.pgcalc.pg_num, entry.autoscaler.pg_num, entry.pg_num) == (4096,) * 4
        assert findings(known, plan) == []

    def test_pools_share_the_osds_by_their_shares(self) -> None:
        pools = ({"name": "vms", "data_share_percent": 60.0}, {"name": "images", "data_share_percent": 25.0})
        _known, plan = by_hand(*pools, osds=141)
        assert numbers(plan) == {"vms": 2048, "images": 1024}

    def test_pools_without_a_share_divide_the_rest(self) -> None:
        pools = ({"name": "vms", "data_share_percent": 45.0}, {"name": "a"}, {"name": "b"})
        _known, plan = by_hand(*pools, osds=141)
        assert [entry.share_percent for entry in plan.pools] == [45, 20, 20]

    def test_erasure_coding_counts_all_shards(self) -> None:
        _known, plan = by_hand({"k": 4, "m": 2}, osds=141)
        assert numbers(plan) == {"vms": 2048}
        assert plan.pools[0].pool.raw_rate == 1.5

    def test_pools_on_other_osds_have_shares_of_their_own(self) -> None:
        pools = (
            {"name": "fast", "root": "default~nvme", "osds": 47},
            {"name": "slow", "root": "default~ssd", "osds": 94},
        )
        _known, plan = by_hand(*pools)
        assert [(entry.osds, entry.share_percent) for entry in plan.pools] == [(47, 85), (94, 85)]
        assert numbers(plan) == {"fast": 1024, "slow": 2048}

    def test_what_is_stored_is_told_apart_from_what_will_be(self) -> None:
        _known, plan = by_hand({"current_pg_num": 32, "stored_bytes": 1 << 40}, osds=141, osd_size_bytes=1787 * 10**9)
        (entry,) = plan.pools
        assert entry.autoscaler is not None and entry.autoscaler.pg_num == 64
        assert entry.steps == (64, 128, 256, 512, 1024, 2048, 4096)
        raw = 3 << 40
        assert entry.movement.least_bytes == pytest.approx(raw * (1 - 3 / 141) * (1 - 32 / 4096), rel=1e-6)
        assert entry.movement.most_bytes == pytest.approx(raw * (1 - 3 / 141) * 3.5, rel=1e-6)


class TestOptions:
    @pytest.mark.parametrize(
        ("params", "option", "allowed"),
        [
            (options(), "pools", "at least one pool"),
            (options({"name": ""}, osds=3), "pools[0].name", "name of a pool"),
            (options({}, {}, osds=3), "pools", "named once"),
            (options({"data_share_percent": 0.0}, osds=3), "pools[0].data_share_percent", "above 0 to 100"),
            (options({"data_share_percent": 101.0}, osds=3), "pools[0].data_share_percent", "above 0 to 100"),
            (options({"pg_num": 0}, osds=3), "pools[0].pg_num", "1 to 65536"),
            (options({"pg_num": 8, "data_share_percent": 5.0}, osds=3), "pools[0].pg_num", "either"),
            (options({}, osds=0), "osds", "number of OSDs is needed"),
            (options({}), "osds", "number of OSDs is needed"),
            (options({"osds": 3}, {"name": "b", "osds": 4}), "pools[1].osds", "default has 3 OSDs"),
            (options({"k": 4}, osds=12), "pools[0].k", "given together"),
            (options({"k": 4, "m": 2, "size": 3}, osds=12), "pools[0].size", "either size"),
            (options({"size": 0}, osds=12), "pools[0].size", "1 to 100"),
            (options({"stored_bytes": 1}, osds=12), "pools[0].stored_bytes", "osd_size_bytes"),
            (options({}, osds=12, target_pgs_per_osd=0.0), "target_pgs_per_osd", "1 to 1000"),
            (options({}, osds=12, max_used_percent=120.0), "max_used_percent", "1 to 100"),
            (options({}, osds=12, step_factor=1), "step_factor", "2 to 65536"),
            (options({}, osds=12, max_pgs_per_osd=0), "max_pgs_per_osd", "1 to 10000"),
            (
                options({"data_share_percent": 60.0}, {"name": "b", "data_share_percent": 50.0}, osds=12),
                "pools",
                "110 % of the OSDs",
            ),
            (options({"data_share_percent": 90.0}, {"name": "b"}, osds=12), "pools", "nothing is left"),
        ],
    )
    def test_one_clear_error(self, params: dict[str, Any], option: str, allowed: str) -> None:
        with pytest.raises(InvalidInput) as caught:
            calculate(facts_given(params), request_of(params))
        assert caught.value.option == option
        assert allowed in caught.value.allowed

    @pytest.mark.parametrize(
        ("params", "option"),
        [
            (options({}, osds=3), "osds"),
            (options({}, max_pgs_per_osd=100), "max_pgs_per_osd"),
            (options({"size": 3}), "pools[0].size"),
            (options({}, {"name": "b", "bulk": False}), "pools[1].bulk"),
        ],
    )
    def test_facts_of_a_cluster_that_is_read(self, params: dict[str, Any], option: str) -> None:
        with pytest.raises(InvalidInput, match="read from the cluster") as caught:
            refuse_given_facts(params)
        assert caught.value.option == option
        refuse_given_facts(options({"osds": 5}))


class TestOfACluster:
    def test_osds_are_those_of_the_rule(self) -> None:
        known = recorded_facts("classes")
        asked = tuple(PoolRequest(name) for name in ("vms", "archive"))
        plan = calculate(known, Request(asked))
        vms, archive = plan.pools
        assert (vms.root, vms.device_class, vms.osds, vms.share_percent) == ("default~nvme", "nvme", 6, 85)
        assert (archive.root, archive.osds, archive.pool.size) == ("default~hdd", 6, 6)
        assert numbers(plan) == {"vms": 128, "archive": 64}
        assert (vms.steps, archive.steps) == ((128,), (64,))

    def test_another_number_of_osds_may_be_planned_for(self) -> None:
        plan = calculate(recorded_facts("classes"), Request((PoolRequest("vms", osds=12),)))
        assert (plan.pools[0].osds, plan.pools[0].pg_num) == (12, 256)

    def test_unknown_pool(self) -> None:
        with pytest.raises(InvalidInput, match="no such pool; there are: archive, .*vms"):
            calculate(recorded_facts("classes"), Request((PoolRequest("vm"),)))

    def test_a_rule_without_osds(self) -> None:
        none = facts(pool(), rules={0: Rule(0, "gone", -9, "old", frozenset())})
        with pytest.raises(InvalidInput, match="CRUSH rule gone finds no OSD"):
            calculate(none, Request((PoolRequest("vms"),)))

    def test_a_pool_the_autoscaler_leaves_alone(self) -> None:
        with pytest.raises(InvalidInput, match="does not scale pool vms"):
            calculate(recorded_facts("overlapping"), Request((PoolRequest("vms"),), method="autoscaler"))

    def test_the_method_decides(self) -> None:
        twelve = facts(pool(bulk=True), osds=36)
        for method, expected in (("document", 1024), ("pgcalc", 1024), ("autoscaler", 1024)):
            assert numbers(calculate(twelve, Request((PoolRequest("vms"),), method=method))) == {"vms": expected}
        # 36 * 100 * 0.6 / 12 = 180
        asked = (PoolRequest("vms", share_percent=60.0),)
        wide = facts(pool(size=12, bulk=True), osds=36)
        for method, expected in (("document", 128), ("pgcalc", 256), ("autoscaler", 256)):
            assert numbers(calculate(wide, Request(asked, method=method))) == {"vms": expected}

    def test_more_pgs_than_computed_are_kept_unless_told(self) -> None:
        known = facts(pool(pg_num=1024))
        keep = calculate(known, Request((PoolRequest("vms"),)))
        assert numbers(keep) == {"vms": 1024}
        assert "not_reduced" in codes(findings(known, keep))
        reduce = calculate(known, Request((PoolRequest("vms"),), reduce=True))
        assert numbers(reduce) == {"vms": 256}
        assert reduce.pools[0].steps == (512, 256)
        assert "merge" in codes(findings(known, reduce))
        assert numbers(calculate(known, Request((PoolRequest("vms", pg_num=128),)))) == {"vms": 128}

    def test_given_numbers_that_are_too_many(self) -> None:
        known = facts(pool("device_health_metrics", 1), pool(id=2), osds=3)
        with pytest.raises(InvalidInput) as caught:
            calculate(known, Request((PoolRequest("vms", pg_num=256),)))
        assert "would carry 771 PG replicas, 257 each, and mon_max_pg_per_osd (250) allows 750" in str(caught.value)
        assert caught.value.details == {"replicas": 771, "allowed": 750, "osds": 3}

    def test_computed_numbers_are_lowered_and_it_is_told(self) -> None:
        known = facts(pool("other", 180), pool(id=2), osds=3)
        plan = calculate(
            known,
            Request(
                (PoolRequest("vms", share_percent=100.0),),
            ),
        )
        assert (plan.pools[0].asked, plan.pools[0].pg_num) == (128, 64)
        (limited,) = [finding for finding in findings(known, plan) if finding.code == "limited"]
        assert "should have 128 PGs, and gets 64 because of mon_max_pg_per_osd" in limited.message

    def test_bounds_of_the_pool_hold(self) -> None:
        bounded = facts(pool(pg_num_max=128))
        plan = calculate(bounded, Request((PoolRequest("vms"),)))
        assert (plan.pools[0].asked, plan.pools[0].pg_num) == (256, 128)
        assert "pg_num_max 128 of the pool" in findings(bounded, plan)[0].message
        with pytest.raises(InvalidInput, match="pg_num_max 128"):
            calculate(bounded, Request((PoolRequest("vms", pg_num=256),)))
        with pytest.raises(InvalidInput, match="pg_num_min 16"):
            calculate(facts(pool(pg_num_min=16)), Request((PoolRequest("vms", pg_num=8),)))


class TestFindings:
    def found(self, known: Facts, **asked: Any) -> list[Finding]:
        return findings(known, calculate(known, Request((PoolRequest("vms", **asked),))))

    def test_osds_of_different_size(self) -> None:
        (uneven,) = [item for item in self.found(recorded_facts("classes")) if item.code == "uneven_osds"]
        # 2.9 and five times 1.75: of 128 + 32 PGs and the one of device_health_metrics, three replicas each
        total = (128 + 32 + 1) * 3
        assert f"largest will carry about {total * 2.9 / 11.65:.0f} PGs" in uneven.message
        assert f"smallest {total * 1.75 / 11.65:.0f}" in uneven.message
        assert "uneven_osds" not in codes(self.found(facts(pool())))

    def test_the_largest_osd_may_be_above_the_limit_when_the_mean_is_not(self) -> None:
        uneven = facts(pool(), weights={0: 12.0})
        (found,) = [item for item in self.found(uneven, pg_num=512) if item.code == "uneven_osds"]
        assert "largest will carry about 801 PGs" in found.message
        assert "mon_max_pg_per_osd is 250" in found.message

    def test_too_few_osds(self) -> None:
        assert self.found(facts(pool(), osds=2))[0].code == "too_few_osds"
        assert self.found(facts(pool(), osds=2))[0].severity == "error"

    @pytest.mark.parametrize(("domains", "enough"), [(2, False), (3, True)])
    def test_too_few_hosts_of_a_rule_that_wants_one_for_each_replica(self, domains: int, enough: bool) -> None:
        base = facts(pool())
        hosts = replace(base.rules[0], failure_domain="host", domains=domains)
        found = [item for item in self.found(replace(base, rules={0: hosts})) if item.severity == "error"]
        assert [item.code for item in found] == ([] if enough else ["too_few_domains"])
        assert enough or "puts each PG on 3 buckets of type host" in found[0].message

    def test_osds_that_are_away(self) -> None:
        base = facts(pool())
        away = replace(base, osds={**base.osds, 3: replace(base.osds[3], up=False)})
        (found,) = [item for item in self.found(away) if item.code == "osds_away"]
        assert found.message == "1 of the 12 OSDs of pool vms are down or out: osd.3."

    def test_data_that_moves(self) -> None:
        little, much = facts(pool(stored_bytes=1 << 30)), facts(pool(stored_bytes=1 << 40))
        assert ("data_moves", "info") in {(item.code, item.severity) for item in self.found(little)}
        (found,) = [item for item in self.found(much) if item.code == "data_moves"]
        assert found.severity == "warning"
        # 32 to 256: seven eighths of 3 TiB but for what stays (3 of 12), up to half of it three times
        assert "moves about 2.0 TiB to 3.4 TiB" in found.message
        assert "data_moves" not in codes(self.found(facts(pool())))

    def test_an_autoscaler_that_would_take_it_back(self) -> None:
        known = facts(pool())
        assert "autoscaler_disagrees" in codes(self.found(known, autoscale_mode="on"))
        assert "autoscaler_disagrees" not in codes(self.found(known, autoscale_mode="off"))
        assert "autoscaler_disagrees" not in codes(self.found(known, autoscale_mode="on", pg_num=64))
        overlapping = recorded_facts("overlapping")
        assert "not_scaled" in codes(self.found(overlapping, autoscale_mode="on"))

    def test_numbers_that_are_no_power_of_two(self) -> None:
        assert "not_power_of_two" in codes(self.found(facts(pool()), pg_num=100))

    def test_what_is_too_much_already(self) -> None:
        assert "over_limit" in codes(self.found(facts(pool(pg_num=512), osds=3)))

    def test_other_pools_and_views_that_differ(self) -> None:
        found = self.found(facts(pool("other", id=2), pool()))
        assert codes(found) == ["other_pools", "views_differ"]
        assert "document 256, pgcalc 256, autoscaler 32" in found[1].message


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 8), st.integers(1, 6), st.floats(0.5, 20)), min_size=1, max_size=5),
    st.integers(6, 60),
    st.sampled_from(["document", "pgcalc", "autoscaler"]),
    st.floats(10, 400),
)
def test_plans_stay_below_the_monitor_s_limit(
    given_pools: list[tuple[int, int, float]], osds: int, method: str, target: float
) -> None:
    pools = [pool(f"p{number}", 1 << now, size=size) for number, (now, size, _share) in enumerate(given_pools)]
    asked = tuple(PoolRequest(f"p{number}", share) for number, (_now, _size, share) in enumerate(given_pools))
    known = facts(*pools, osds=osds)
    plan = calculate(known, Request(asked, method=method, target_pgs_per_osd=target, reduce=True))
    assert newly_exceeded(known, numbers(plan)) == []
    assert all(is_power_of_two(entry.pg_num) for entry in plan.pools)
    # whatever is planned can be told
    result = plan_result(known, plan, findings(known, plan))
    assert len(result["pools"]) == len(pools)
    assert len(result["lines"]) >= 1 + len(pools)
