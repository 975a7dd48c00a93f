from __future__ import annotations

import ipaddress
import json
from typing import Any

import pytest
from ansible_collections.ocpv.scale.plugins.module_utils.migration.network.probe import Answer
from ansible_collections.ocpv.scale.plugins.module_utils.migration.network.verdicts import (
    Handler,
    check_handlers,
    check_migrations,
    check_mtu,
    check_rollout,
    parse_handler,
    rolled_out,
    within,
)

Obj = dict[str, Any]
RANGES = [ipaddress.ip_network("10.200.5.0/24")]
NAME = "migration-network"


def daemon_set(networks: str = f"{NAME}@migration0", desired: int = 3, updated: int = 3, available: int = 3) -> Obj:
    return {
        "metadata": {"generation": 2},
        "spec": {"template": {"metadata": {"annotations": {"k8s.v1.cni.cncf.io/networks": networks}}}},
        "status": {
            "observedGeneration": 2,
            "desiredNumberScheduled": desired,
            "updatedNumberScheduled": updated,
            "numberAvailable": available,
        },
    }


@pytest.mark.parametrize(
    ("item", "done", "told"),
    [
        (daemon_set(), True, "rolled out with migration-network on 3 nodes"),
        (daemon_set(updated=1), False, "rolled out on 1 and available on 3 of 3 nodes"),
        (daemon_set(available=2), False, "available on 2"),
        (daemon_set(""), False, "for network none"),
        (daemon_set("old@migration0"), False, "for network old@migration0"),
        # the controller has not seen the new template yet
        ({**daemon_set(), "metadata": {"generation": 3}}, False, "rolled out"),
        (None, False, "no DaemonSet"),
    ],
)
def test_the_rollout_is_judged_by_the_daemon_set(item: Any, done: bool, told: str) -> None:
    assert rolled_out(item, NAME) is done
    check = check_rollout(item, NAME)
    assert (check.status == "ok") is done
    assert told in check.message


def pod(node: str, *interfaces: Obj) -> Obj:
    status = [{"name": "ovn-kubernetes", "interface": "eth0", "ips": ["10.128.2.7"], "default": True}, *interfaces]
    return {
        "metadata": {
            "name": f"virt-handler-{node}",
            "annotations": {"k8s.v1.cni.cncf.io/network-status": json.dumps(status)},
        },
        "spec": {"nodeName": node},
        "status": {"startTime": "2026-03-01T12:00:00Z"},
    }


def test_virt_handler_s_second_interface_is_read() -> None:
    entry = {"name": f"openshift-cnv/{NAME}", "interface": "migration0", "ips": ["10.200.5.4"], "mtu": 9000}
    handler = parse_handler(pod("worker-01", entry))
    assert (handler.node, handler.address, handler.mtu, handler.attached) == ("worker-01", "10.200.5.4", 9000, True)
    assert not parse_handler(pod("worker-01")).attached
    assert not parse_handler({"metadata": {"name": "x"}}).attached
    spoilt = {"metadata": {"name": "x", "annotations": {"k8s.v1.cni.cncf.io/network-status": "{"}}}
    assert not parse_handler(spoilt).attached


def handler(node: str, address: str = "10.200.5.4", mtu: int = 0, attached: bool = True) -> Handler:
    return Handler(node, f"virt-handler-{node}", "2026-03-01T12:00:00Z", address, mtu, attached)


@pytest.mark.parametrize(
    ("handlers", "status", "told"),
    [
        ([handler("a"), handler("b", "10.200.5.5", 9000)], "ok", "All 2"),
        ([handler("a"), handler("b", "", attached=False)], "failed", "no interface migration0 on b"),
        ([handler("a")], "failed", "on b"),
        ([handler("a"), handler("b", "")], "failed", "outside of the range on b"),
        ([handler("a"), handler("b", "10.9.0.1")], "failed", "outside of the range on b"),
        ([handler("a"), handler("b")], "failed", "in use twice: 10.200.5.4"),
        ([handler("a"), handler("b", "10.200.5.5", 1500)], "failed", "smaller MTU than 9000 on b"),
    ],
)
def test_each_virt_handler_has_its_interface(handlers: list[Handler], status: str, told: str) -> None:
    check = check_handlers(handlers, ["a", "b"], RANGES, 9000)
    assert check.status == status
    assert told in check.message


def answer(verdict: str, node: str = "a", peer: str = "b") -> Answer:
    return Answer(node, peer, "10.200.5.5", verdict)


@pytest.mark.parametrize(
    ("found", "broken", "status", "told"),
    [
        ([answer("ok"), answer("ok", "b", "a")], {}, "ok", "Packets of 9000 bytes arrive unfragmented on 2 paths"),
        ([answer("ok"), answer("too-long", "b", "a")], {}, "failed", "do not arrive on 1 of 2 paths: b to a"),
        ([answer("lost"), answer("too-long", "b", "a")], {}, "failed", "No packets arrive on 1 of 2 paths: a to b"),
        ([answer("ok")], {"c": "ImagePullBackOff"}, "failed", "1 node. c: ImagePullBackOff"),
        ([], {}, "unknown", "only one node"),
    ],
)
def test_what_the_probes_found_is_told(found: list[Answer], broken: dict[str, str], status: str, told: str) -> None:
    check = check_mtu(found, broken, 9000)
    assert check.status == status
    assert told in check.message


def migration(name: str, address: str, phase: str = "Succeeded", start: str = "2026-03-01T13:00:00Z") -> Obj:
    state = {"targetNodeAddress": address, "startTimestamp": start}
    return {"metadata": {"name": name, "namespace": "shop"}, "status": {"phase": phase, "migrationState": state}}


@pytest.mark.parametrize(
    ("items", "asked", "status", "told"),
    [
        ([migration("m1", "10.200.5.9")], False, "ok", "1 migration went over the network"),
        ([migration("m1", "10.200.5.9"), migration("m2", "10.128.2.9")], False, "failed", "shop/m2 to 10.128.2.9"),
        # before virt-handler had the network
        ([migration("m1", "10.128.2.9", start="2026-03-01T11:00:00Z")], False, "unknown", "since virt-handler"),
        ([migration("m1", "10.128.2.9", phase="Failed")], False, "unknown", "since virt-handler"),
        ([migration("m1", "", phase="Failed")], True, "failed", "did not succeed"),
        ([], False, "unknown", "since virt-handler"),
    ],
)
def test_migrations_are_judged_by_their_addresses(items: list[Obj], asked: bool, status: str, told: str) -> None:
    check = check_migrations(items, RANGES, "2026-03-01T12:00:00Z", asked=asked)
    assert check.status == status
    assert told in check.message


def test_addresses_may_have_a_length() -> None:
    assert within("10.200.5.4/24", RANGES)
    assert not within("10.200.6.4", RANGES)
    assert not within("", RANGES)
