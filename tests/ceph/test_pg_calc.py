"""Placement groups on a real cluster: calculated, applied until they are there, interrupted, restored."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from .calls import call, call_apart, start, warnings
from .cluster import CephCluster

MODULE = "ceph_pg_calc"
MakePool = Callable[..., str]


def settings(cluster: CephCluster, pool: str) -> dict[str, Any]:
    found = cluster.pool(pool)
    names = ("pg_autoscale_mode", "pg_num", "pg_num_target", "pg_placement_num", "pg_placement_num_target")
    return {name: found[name] for name in names}


def records(cluster: CephCluster) -> dict[str, Any]:
    found: dict[str, Any] = cluster.json("config-key", "dump", "ocpv.scale/")
    return found


def test_calculating_changes_nothing(three: CephCluster, make_pool: MakePool) -> None:
    pool = make_pool(three, 8)
    before = settings(three, pool)
    result = call(MODULE, three, pools=[{"name": pool}])
    assert result["changed"] is False
    (entry,) = result["pools"]
    # 100 x 3 x 0.85 / 3 = 85
    assert entry["document"] == {"exact": 85.0, "pg_num": 64}
    assert entry["pgcalc"] == {"exact": 85.0, "pg_num": 64}
    assert entry["autoscaler"]["pg_num"] == 32
    assert (entry["current_pg_num"], entry["pg_num"], entry["steps"]) == (8, 64, [16, 32, 64])
    assert result["commands"][-1] == f"ceph osd pool set {pool} pg_num 64"
    assert result["lines"][1].split()[:4] == [pool, "3", "3", "85%"]
    assert settings(three, pool) == before
    assert records(three) == {}


def test_pgs_converge_to_what_was_computed_and_back(three: CephCluster, make_pool: MakePool) -> None:
    pool = make_pool(three, 4)
    before = settings(three, pool)
    # 100 x 3 x 0.08 / 3 = 8
    wanted: dict[str, Any] = {"state": "applied", "pools": [{"name": pool, "data_share_percent": 8}]}
    told = call(MODULE, three, check_mode=True, diff=True, **wanted)
    assert settings(three, pool) == before
    assert records(three) == {}

    done = call(MODULE, three, diff=True, **wanted)
    assert "failed" not in done, done
    assert done["changed"] is told["changed"] is True
    assert done["commands"] == told["commands"]
    assert done["diff"] == told["diff"]
    assert done["diff"]["before"] == {pool: {"pg_autoscale_mode": "on", "pg_num": 4, "pgp_num": 4}}
    assert done["diff"]["after"] == {pool: {"pg_autoscale_mode": "off", "pg_num": 8, "pgp_num": 8}}
    assert settings(three, pool) == {
        "pg_autoscale_mode": "off", "pg_num": 8, "pg_num_target": 8,
        "pg_placement_num": 8, "pg_placement_num_target": 8,
    }  # fmt: skip
    assert three.clean()
    identity = three.pool(pool)["pool_id"]
    kept = {"pool": pool, "pg_autoscale_mode": "on", "pg_num": 4, "pgp_num": 4}
    assert {key: json.loads(text) for key, text in records(three).items()} == {f"ocpv.scale/pg/{identity}": kept}

    again = call(MODULE, three, diff=True, **wanted)
    assert (again["changed"], again["commands"]) == (False, [])
    assert "diff" not in again

    # another change does not touch the record of what was there first
    call(MODULE, three, state="applied", pools=[{"name": pool, "pg_num": 8}], pg_autoscale_mode="warn")
    assert json.loads(records(three)[f"ocpv.scale/pg/{identity}"]) == kept

    restored = call(MODULE, three, state="restored", pools=[{"name": pool}])
    assert "failed" not in restored, restored
    assert restored["changed"] is True
    assert settings(three, pool) == before
    assert records(three) == {}
    assert call(MODULE, three, state="restored")["changed"] is False


def test_it_can_be_killed_and_goes_on(three: CephCluster, make_pool: MakePool) -> None:
    pool = make_pool(three, 4)
    wanted: dict[str, Any] = {"state": "applied", "pools": [{"name": pool, "pg_num": 32}]}
    # long enough at the first step to be met there
    with start(MODULE, three, settle_seconds=60, **wanted) as process:
        three.wait(lambda: three.pool(pool)["pg_num_target"] == 8, 60)
        process.kill()
    time.sleep(1)
    assert three.pool(pool)["pg_num_target"] == 8
    result = call(MODULE, three, **wanted)
    assert "failed" not in result, result
    assert not any("config-key" in command for command in result["commands"])
    assert result["commands"][-1] == f"ceph osd pool set {pool} pg_num 32"
    assert settings(three, pool)["pg_placement_num"] == 32
    assert three.clean()
    (record,) = records(three).values()
    assert json.loads(record)["pg_num"] == 4
    three.ceph("config-key", "rm", *records(three))


def test_pgs_under_way_are_waited_for_without_a_change(three: CephCluster, make_pool: MakePool) -> None:
    pool = make_pool(three, 8)
    three.ceph("osd", "pool", "set", pool, "pg_autoscale_mode", "off")
    three.ceph("osd", "pool", "set", pool, "pg_num", "16")
    result = call(MODULE, three, state="applied", pools=[{"name": pool, "pg_num": 16}])
    assert (result["changed"], result["commands"]) == (False, [])
    assert settings(three, pool)["pg_placement_num"] == 16
    assert three.clean()


def test_a_pgp_num_of_its_own_comes_back(three: CephCluster, make_pool: MakePool) -> None:
    pool = make_pool(three, 8)
    three.ceph("osd", "pool", "set", pool, "pg_autoscale_mode", "off")
    three.ceph("osd", "pool", "set", pool, "pgp_num", "4")
    three.wait(lambda: settings(three, pool)["pg_placement_num"] == 4, 60)
    before = settings(three, pool)
    assert call(MODULE, three, state="applied", pools=[{"name": pool, "pg_num": 8}])["changed"] is True
    assert settings(three, pool)["pg_placement_num"] == 8
    assert call(MODULE, three, state="restored", pools=[{"name": pool}])["changed"] is True
    assert settings(three, pool) == before


def test_without_waiting_the_manager_does_the_rest(three: CephCluster, make_pool: MakePool) -> None:
    pool = make_pool(three, 4)
    result = call(MODULE, three, state="applied", wait=False, pools=[{"name": pool, "pg_num": 16}])
    assert result["commands"][-1] == f"ceph osd pool set {pool} pg_num 16"
    assert three.pool(pool)["pg_num_target"] == 16
    three.wait(lambda: settings(three, pool)["pg_placement_num"] == 16, 60)
    three.ceph("config-key", "rm", *records(three))


class TestSpelling:
    def test_ceph_refuses_the_document_s_spelling(self, three: CephCluster, make_pool: MakePool) -> None:
        pool = make_pool(three, 4)
        with pytest.raises(RuntimeError, match="Error EINVAL: invalid command"):
            three.ceph("osd", "pool", "set", pool, "pg_autoscaler_mode", "off")

    @pytest.mark.parametrize("inside", [False, True])
    def test_the_module_takes_it_with_a_warning(self, three: CephCluster, make_pool: MakePool, inside: bool) -> None:
        pool = make_pool(three, 4)
        mode, asked = {"pg_autoscaler_mode": "warn"}, {"name": pool, "pg_num": 4}
        given: dict[str, Any] = {"pools": [{**asked, **mode}]} if inside else {"pools": [asked], **mode}
        result = call_apart(MODULE, three, check_mode=True, state="applied", **given)
        assert result["commands"][-1] == f"ceph osd pool set {pool} pg_autoscale_mode warn"
        assert [text for text in warnings(result) if "Ceph calls it pg_autoscale_mode" in text]


def test_the_autoscaler_s_view_is_that_of_the_manager(three: CephCluster, make_pool: MakePool) -> None:
    pools = [make_pool(three, 8), make_pool(three, 8, "--bulk")]
    said = {entry["pool_name"]: entry for entry in three.json("osd", "pool", "autoscale-status")}
    result = call(MODULE, three, pools=[{"name": pool} for pool in pools])
    for entry in result["pools"]:
        assert entry["autoscaler"]["pg_num"] == said[entry["name"]]["pg_num_final"]
        assert entry["autoscaler"]["would_adjust"] == said[entry["name"]]["would_adjust"]
