from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import sys
from typing import Any, Optional

import pytest
from ansible_collections.ocpv.scale.plugins.module_utils.migration.network.probe import (
    SCRIPT,
    PodSettings,
    Probe,
    answer_of,
    answers,
    parse_answer,
    payload_bytes,
    plan_probes,
    pod_name,
    probe_pod,
    why_pending,
)
from hypothesis import given
from hypothesis import strategies as st

Obj = dict[str, Any]
CRDS_TO_BE_HAD = sys.version_info >= (3, 12)
SETTINGS = PodSettings(namespace="openshift-cnv", network="migration-network")
PROBE = Probe("worker-01", ("10.200.5.5", "10.200.5.6"), 9000)


@pytest.mark.parametrize(
    ("mtu", "address", "payload"),
    [(9000, "10.200.5.4", 8972), (1500, "10.200.5.4", 1472), (9000, "fd00::4", 8952), (1500, "fd00::4", 1452)],
)
def test_a_packet_is_as_long_as_the_mtu(mtu: int, address: str, payload: int) -> None:
    assert payload_bytes(mtu, address) == payload


@given(st.integers(0, 40), st.integers(1, 6))
def test_every_node_asks_its_neighbours_in_a_ring_and_is_asked_by_as_many(nodes: int, neighbours: int) -> None:
    addresses = {f"worker-{number:03}": f"10.0.0.{number + 1}" for number in range(nodes)}
    probes = plan_probes(addresses, 9000, neighbours)
    reach = max(0, min(neighbours, nodes - 1))
    assert len(probes) == (nodes if reach else 0)
    asked = [peer for probe in probes for peer in probe.peers]
    for probe in probes:
        assert len(set(probe.peers)) == reach
        assert addresses[probe.node] not in probe.peers
    assert all(asked.count(address) == reach for address in addresses.values() if probes)


def test_the_pod_is_what_the_node_is_asked_for() -> None:
    pod = probe_pod(PROBE, SETTINGS)
    (container,) = pod["spec"]["containers"]
    assert pod["spec"]["nodeName"] == "worker-01"
    assert pod["metadata"]["labels"]["ocpv.scale/probe"] == "mtu"
    (network,) = json.loads(pod["metadata"]["annotations"]["k8s.v1.cni.cncf.io/networks"])
    assert network == {"name": "migration-network", "namespace": "openshift-cnv", "interface": "probe0"}
    variables = {item["name"]: item["value"] for item in container["env"]}
    assert variables == {"PEERS": "10.200.5.5,10.200.5.6", "PAYLOAD_BYTES": "8972", "COUNT": "3"}
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"], "add": ["NET_RAW"]}
    assert not pod["spec"]["automountServiceAccountToken"]


def test_without_raw_sockets_it_fits_the_restricted_standard() -> None:
    spec = probe_pod(PROBE, PodSettings("n", "m", raw_sockets=False))["spec"]
    assert spec["securityContext"] == {"seccompProfile": {"type": "RuntimeDefault"}, "runAsNonRoot": True}
    inner = spec["containers"][0]["securityContext"]
    assert inner == {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}


@pytest.mark.skipif(not CRDS_TO_BE_HAD, reason="the simulated cluster's schemas need Python 3.12")
def test_the_api_takes_the_pod() -> None:
    from simcluster.schema import Registry

    registry = Registry()
    resource = registry.by_kind("", "Pod")
    assert resource is not None
    assert registry.process(resource, "v1", probe_pod(PROBE, SETTINGS), field_validation="Strict") == []


def test_the_script_is_plain_shell() -> None:
    for shell in filter(None, (shutil.which("dash"), shutil.which("sh"))):
        subprocess.run([shell, "-n", "-c", SCRIPT], check=True)


@given(st.text(max_size=60))
def test_names_of_pods_are_valid_and_always_the_same(node: str) -> None:
    assert pod_name(node) == pod_name(node)
    assert len(pod_name(node)) <= 63
    assert pod_name(node).replace("-", "").isalnum()


def pod(**status: Any) -> Obj:
    return {**probe_pod(PROBE, SETTINGS), "status": status}


def ended(message: Optional[str], **more: Any) -> Obj:
    state = {"terminated": {"message": message, "exitCode": 1, "reason": "Error", **more}}
    return pod(containerStatuses=[{"name": "probe", "state": state}])


def waiting(reason: str, message: str = "") -> Obj:
    state = {"waiting": {"reason": reason, "message": message}}
    return pod(phase="Pending", containerStatuses=[{"name": "probe", "image": "i:1", "state": state}])


def test_answers_are_read_when_the_pod_has_ended() -> None:
    assert answer_of(pod(phase="Pending")) is None
    assert answer_of(waiting("ContainerCreating")) is None
    assert answer_of(waiting("ErrImagePull")) is None
    assert answer_of(ended("10.200.5.5 ok\n10.200.5.6 too-long\n")) == {"10.200.5.5": "ok", "10.200.5.6": "too-long"}


@pytest.mark.parametrize(
    ("item", "told"),
    [
        (waiting("ImagePullBackOff", "not found"), "ImagePullBackOff for the image i:1: not found"),
        (waiting("CreateContainerConfigError", "must run as non-root"), "non-root"),
        (ended(""), "it answered nothing (exit code 1, Error)"),
        (ended(None, reason="OOMKilled"), "OOMKilled"),
        (ended("/bin/sh: no such file"), "/bin/sh"),
        (ended("error ping cannot be used in this pod"), "ping cannot be used"),
        (pod(phase="Failed", reason="OutOfpods", message="Too many pods"), "OutOfpods: Too many pods"),
        (pod(phase="Failed", reason="DeadlineExceeded"), "DeadlineExceeded"),
    ],
)
def test_a_pod_that_cannot_answer_says_why(item: Obj, told: str) -> None:
    with pytest.raises(ValueError, match="(?s).*") as caught:
        answer_of(item)
    assert told in str(caught.value)


@given(st.text(max_size=60))
def test_no_answer_is_too_strange(text: str) -> None:
    with contextlib.suppress(ValueError):
        parse_answer(text)


def test_what_keeps_a_pod_waiting_is_told() -> None:
    conditions = [{"type": "PodScheduled", "status": "False", "message": "0/3 nodes are available"}]
    assert why_pending(pod(conditions=conditions)) == "0/3 nodes are available"
    assert why_pending(waiting("ContainerCreating")) == "ContainerCreating"
    assert why_pending(pod(phase="Pending")) == "it is Pending"


def test_a_peer_that_a_probe_does_not_mention_is_lost() -> None:
    found = answers([PROBE, Probe("worker-02", ("x",), 1)], {"worker-01": {"10.200.5.5": "ok"}}, {"10.200.5.5": "w2"})
    assert [(item.node, item.peer_node, item.verdict) for item in found] == [
        ("worker-01", "w2", "ok"),
        ("worker-01", "", "lost"),
    ]
