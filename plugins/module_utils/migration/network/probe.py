# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The pods that try out with do-not-fragment packets whether the MTU holds from node to node, and what they answer."""

from __future__ import annotations

import hashlib
import ipaddress
import json
from dataclasses import dataclass
from typing import Any, Mapping, Optional, Sequence

from ... import names

Object = Mapping[str, Any]

OK = "ok"
# the usual size arrives, the wanted one does not
TOO_LONG = "too-long"
LOST = "lost"
VERDICTS = (OK, TOO_LONG, LOST)
# an answer in which ping itself does not work
_UNUSABLE = "error"

INTERFACE = "probe0"
CONTAINER = "probe"
LABEL_VALUE = "mtu"
SELECTOR = f"{names.PROBE}={LABEL_VALUE}"
DEFAULT_IMAGE = "image-registry.openshift-image-registry.svc:5000/openshift/network-tools:latest"
NETWORKS = "k8s.v1.cni.cncf.io/networks"
# IP header and ICMP header
_HEADER_BYTES = {4: 28, 6: 48}
_WAITING_FOR_EVER = (
    "ImagePullBackOff",
    "InvalidImageName",
    "ErrImageNeverPull",
    "RegistryUnavailable",
    "CreateContainerConfigError",
    "CreateContainerError",
    "RunContainerError",
)
_SECONDS_PER_TRY = 3

# The answer is what the kubelet takes from /dev/termination-log. When the wanted size does not arrive a usual one is
# sent, which tells frames that are too long for a switch from no connection at all: neither gives a message.
SCRIPT = """\
set -u
result=${RESULT:-/dev/termination-log}
: > "$result"

arrives() {
  ping -M do -s "$1" -c "$COUNT" -i 0.2 -W 2 -I "${INTERFACE:-probe0}" "$2"
}

ping -c 1 -W 1 127.0.0.1
if [ $? -gt 1 ]; then
  echo "error ping cannot be used in this pod" > "$result"
  exit 2
fi
failed=0
IFS=,
for peer in $PEERS; do
  case $peer in
    *:*) usual=1452 ;;
    *) usual=1472 ;;
  esac
  [ "$PAYLOAD_BYTES" -gt "$usual" ] || usual=56
  if arrives "$PAYLOAD_BYTES" "$peer"; then
    verdict=ok
  else
    failed=1
    if arrives "$usual" "$peer"; then verdict=too-long; else verdict=lost; fi
  fi
  echo "$peer $verdict" >> "$result"
done
exit $failed
"""


@dataclass(frozen=True)
class Probe:
    """What one node is to find out: which addresses of other nodes answer packets of C(mtu) bytes."""

    node: str
    peers: tuple[str, ...]
    mtu: int


@dataclass(frozen=True)
class Answer:
    """One path: from a node to an address of another."""

    node: str
    peer_node: str
    peer: str
    verdict: str


@dataclass(frozen=True)
class PodSettings:
    """How the pods are made: see the module's options of the same names."""

    namespace: str
    network: str
    image: str = DEFAULT_IMAGE
    count: int = 3
    raw_sockets: bool = True
    timeout_seconds: int = 300


def payload_bytes(mtu: int, address: str) -> int:
    """Return how many bytes ping has to send so that the packet is as long as the MTU."""
    return mtu - _HEADER_BYTES[ipaddress.ip_address(address).version]


def plan_probes(addresses: Mapping[str, str], mtu: int, neighbours: int) -> tuple[Probe, ...]:
    """Return a probe for each node: the nodes, in the order of their names, stand in a ring, and each asks the next
    C(neighbours). C(addresses) are by node. With one node there is nothing to ask."""
    ring = sorted(addresses)
    reach = min(neighbours, len(ring) - 1)
    return tuple(
        Probe(node, tuple(addresses[ring[(place + step) % len(ring)]] for step in range(1, reach + 1)), mtu)
        for place, node in enumerate(ring)
        if reach > 0
    )


def pod_name(node: str) -> str:
    """Return the name of a node's probe pod: always the same, so that there is one at most."""
    return f"ocpv-mtu-probe-{hashlib.sha256(node.encode()).hexdigest()[:12]}"


def probe_pod(probe: Probe, settings: PodSettings) -> dict[str, Any]:
    """Return the pod. ping needs a raw socket where the sysctl net.ipv4.ping_group_range does not allow unprivileged
    ones, and to bind itself to an interface on kernels before 5.7: hence NET_RAW and root, and nothing else."""
    network = {"name": settings.network, "namespace": settings.namespace, "interface": INTERFACE}
    variables = {
        "PEERS": ",".join(probe.peers),
        "PAYLOAD_BYTES": str(payload_bytes(probe.mtu, probe.peers[0])),
        "COUNT": str(settings.count),
    }
    who = {"runAsUser": 0} if settings.raw_sockets else {"runAsNonRoot": True}
    capabilities = {"drop": ["ALL"], **({"add": ["NET_RAW"]} if settings.raw_sockets else {})}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": pod_name(probe.node),
            "namespace": settings.namespace,
            "labels": {names.PROBE: LABEL_VALUE, names.MANAGED_BY: names.MANAGER},
            "annotations": {NETWORKS: json.dumps([network])},
        },
        "spec": {
            "nodeName": probe.node,
            "restartPolicy": "Never",
            # a pod that nobody removes ends by itself
            "activeDeadlineSeconds": settings.timeout_seconds + _SECONDS_PER_TRY * settings.count * len(probe.peers),
            "terminationGracePeriodSeconds": 2,
            "automountServiceAccountToken": False,
            "tolerations": [{"operator": "Exists"}],
            "securityContext": {"seccompProfile": {"type": "RuntimeDefault"}, **who},
            "containers": [
                {
                    "name": CONTAINER,
                    "image": settings.image,
                    "command": ["/bin/sh", "-c", SCRIPT],
                    "env": [{"name": key, "value": value} for key, value in variables.items()],
                    "resources": {
                        "requests": {"cpu": "10m", "memory": "32Mi"},
                        "limits": {"cpu": "100m", "memory": "64Mi"},
                    },
                    "securityContext": {"allowPrivilegeEscalation": False, "capabilities": capabilities},
                }
            ],
        },
    }


def answer_of(pod: Object) -> Optional[Mapping[str, str]]:
    """Return what a probe pod has found, verdicts by address; None while it has not ended.

    Raises ValueError, with what went wrong, for a pod that cannot end well.
    """
    status = pod.get("status") or {}
    container: Object = next(iter(status.get("containerStatuses") or ()), {})
    state = container.get("state") or {}
    waiting = state.get("waiting") or {}
    if waiting.get("reason") in _WAITING_FOR_EVER:
        image = container.get("image") or pod["spec"]["containers"][0]["image"]
        raise ValueError(f"{waiting['reason']} for the image {image}: {waiting.get('message') or 'no message'}")
    ended = state.get("terminated")
    if ended is None:
        if status.get("phase") == "Failed":
            raise ValueError(f"{status.get('reason') or 'the pod failed'}: {status.get('message') or 'no message'}")
        return None
    return parse_answer(ended.get("message") or "", ended)


def parse_answer(text: str, ended: Optional[Object] = None) -> Mapping[str, str]:
    """Return the verdicts in a termination message. Raises ValueError for anything else."""
    found = {}
    for line in text.splitlines():
        peer, _blank, verdict = line.strip().partition(" ")
        if peer == _UNUSABLE:
            raise ValueError(verdict)
        if verdict not in VERDICTS:
            raise ValueError(f"it answered {line.strip()!r}")
        found[peer] = verdict
    if not found:
        told = f" (exit code {ended.get('exitCode')}, {ended.get('reason') or 'no reason'})" if ended else ""
        raise ValueError(f"it answered nothing{told}")
    return found


def why_pending(pod: Object) -> str:
    """Return what keeps a pod from running, as its status tells it."""
    status = pod.get("status") or {}
    for condition in status.get("conditions") or ():
        if condition.get("status") != "True" and condition.get("message"):
            return str(condition["message"])
    for container in status.get("containerStatuses") or ():
        waiting = (container.get("state") or {}).get("waiting") or {}
        if waiting:
            return f"{waiting.get('reason')} {waiting.get('message') or ''}".strip()
    return f"it is {status.get('phase') or 'not seen by the node'}"


def answers(probes: Sequence[Probe], found: Mapping[str, Mapping[str, str]], nodes: Mapping[str, str]) -> list[Answer]:
    """Return all paths; C(found) are verdicts by node and address, C(nodes) names by address. What a probe did not
    mention is lost."""
    return [
        Answer(probe.node, nodes.get(peer, ""), peer, found.get(probe.node, {}).get(peer, LOST))
        for probe in probes
        if probe.node in found
        for peer in probe.peers
    ]
