"""Which daemons a host runs and whether they are well, from answers of Ceph 16.2."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.ocpv.scale.plugins.module_utils.errors import InvalidInput
from ansible_collections.ocpv.scale.plugins.module_utils.host.ceph_health import Daemon, daemons_of

NODES = {"mon": {"ceph-1": ["a"], "ceph-2": ["b"]}, "osd": {"ceph-1": [0, 1], "ceph-2": [2]}, "mgr": {"ceph-1": ["x"]}}
STATUS = {"health": {"status": "HEALTH_OK"}, "quorum_names": ["a", "b"]}
MANAGERS = {"active_name": "y", "standbys": [{"name": "x"}]}


def tree(**changed: Any) -> dict[str, Any]:
    osds = [{"id": number, "type": "osd", "status": "up", "reweight": 1} for number in range(3)]
    return {"nodes": [{"id": -1, "type": "root"}, {**osds[0], **changed}, *osds[1:]], "stray": []}


def test_daemons_of_a_host_that_is_well() -> None:
    expected = [Daemon("mon.a"), Daemon("mgr.x"), Daemon("osd.0"), Daemon("osd.1")]
    assert daemons_of("ceph-1", NODES, tree(), STATUS, MANAGERS) == expected
    assert daemons_of("ceph-1.example.com", NODES, tree(), STATUS, MANAGERS) == expected


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ({"status": "down"}, "down"),
        ({"reweight": 0}, "out"),
        ({"status": "down", "reweight": 0}, "down and out"),
        ({"status": "destroyed"}, "destroyed"),
        ({"id": 9}, "not in the CRUSH tree"),
    ],
)
def test_an_osd_has_to_be_up_and_in(changed: dict[str, Any], problem: str) -> None:
    assert daemons_of("ceph-1", NODES, tree(**changed), STATUS, MANAGERS)[2] == Daemon("osd.0", problem)


def test_an_osd_of_another_host_does_not_matter() -> None:
    assert not any(item.problem for item in daemons_of("ceph-2", NODES, tree(status="down"), STATUS, MANAGERS))


def test_a_monitor_has_to_be_in_quorum_and_a_manager_to_serve() -> None:
    found = daemons_of("ceph-1", NODES, tree(), {"quorum_names": ["b"]}, {"active_name": "y", "standbys": []})
    assert found[:2] == [Daemon("mon.a", "not in quorum"), Daemon("mgr.x", "neither active nor standby")]


def test_an_unknown_host_is_told_with_the_known_ones() -> None:
    with pytest.raises(InvalidInput, match=r"host: 'ceph-9' cannot be used.*its hosts are: ceph-1, ceph-2"):
        daemons_of("ceph-9", NODES, tree(), STATUS, MANAGERS)
