"""What may be, what may be for a while, and what stops."""

from __future__ import annotations

import pytest
from ansible_collections.ocpv.scale.plugins.module_utils.ceph.health import Patience, Verdict, judge, told
from ansible_collections.ocpv.scale.plugins.module_utils.ceph.model import Check, Status
from ansible_collections.ocpv.scale.plugins.module_utils.ceph.parse import status
from support.ceph_facts import answer


def of(*codes: str, severity: str = "HEALTH_WARN", muted: bool = False) -> Status:
    return Status(severity, tuple(Check(code, severity, code.lower(), muted) for code in codes))


@pytest.mark.parametrize(
    ("seen", "tolerated", "stop", "passing"),
    [
        (of(), (), [], []),
        (of("POOL_TOO_FEW_PGS", "POOL_PG_NUM_NOT_POWER_OF_TWO"), (), [], []),
        (of("PG_AVAILABILITY", "PG_DEGRADED"), (), [], ["PG_AVAILABILITY", "PG_DEGRADED"]),
        (of("OSD_DOWN", "PG_DEGRADED"), (), ["OSD_DOWN"], ["PG_DEGRADED"]),
        (of("OSD_DOWN", "PG_DEGRADED"), ("OSD_DOWN", "PG_DEGRADED"), [], []),
        (of("OSD_DOWN", muted=True), (), [], []),
        (of("OSD_NEARFULL"), ("OSD_DOWN",), ["OSD_NEARFULL"], []),
        # an error of what would be expected as a warning
        (of("TOO_MANY_PGS", severity="HEALTH_ERR"), (), ["TOO_MANY_PGS"], []),
    ],
)
def test_checks(seen: Status, tolerated: tuple[str, ...], stop: list[str], passing: list[str]) -> None:
    verdict = judge(seen, tolerated)
    assert [check.code for check in verdict.stop] == stop
    assert [check.code for check in verdict.passing] == passing


def test_a_real_cluster_with_an_osd_down() -> None:
    verdict = judge(status(answer("states", "osd_down")), {"POOL_APP_NOT_ENABLED"})
    assert told(verdict.stop) == "OSD_DOWN (1 osds down)"
    muted = judge(status(answer("states", "muted")), {"POOL_APP_NOT_ENABLED"})
    assert muted.stop == ()
    assert [check.code for check in muted.passing] == ["PG_DEGRADED"]


def test_patience_counts_from_the_first_look_and_anew_after_a_break() -> None:
    patience, bad = Patience(60), judge(of("PG_AVAILABILITY"), ())
    assert [patience.worn_out(bad, now) for now in (0, 30, 60, 61)] == [False, False, False, True]
    assert patience.worn_out(Verdict(), 70) is False
    assert [patience.worn_out(bad, now) for now in (80, 140, 141)] == [False, False, True]
