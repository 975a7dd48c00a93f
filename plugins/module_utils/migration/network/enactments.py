# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How far nmstate is with a policy, node by node, from the policy and its enactments.

Source: kubernetes-nmstate pkg/enactmentstatus/conditions, pkg/policyconditions. The policy's own conditions tell no
generation, so that only enactments of the policy's generation count, which do.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from typing import Any, Iterable, Mapping, Sequence

from ...cluster.parse import parse_conditions

Object = Mapping[str, Any]

CONFIGURED = "configured"
PROGRESSING = "progressing"
PENDING = "pending"
RETRYING = "retrying"
FAILED = "failed"
ABORTED = "aborted"
WAITING = "waiting"
NOT_READY = "not_ready"

DONE = "done"
GOING_ON = "going_on"
BROKEN = "broken"

_POLICY = "nmstate.io/policy"
_NODE = "nmstate.io/node"
_NO_MATCH = "NoMatchingNode"
_PROGRESSING = "ConfigurationProgressing"
# what the webhook says to a changed spec meanwhile: pkg/webhook/nodenetworkconfigurationpolicy/validation.go
STILL_IN_PROGRESS = "is still in progress"
_MESSAGE = re.compile(r"NmstateError: ([^\n]+)")
_LONGEST = 400


@dataclass(frozen=True)
class NodeProgress:
    """What one node is doing with the policy; C(message) is nmstate's, shortened."""

    node: str
    status: str
    message: str = ""


@dataclass(frozen=True)
class Progress:
    """All nodes and what follows: C(done), C(going_on) or C(broken) (nothing more will happen by itself)."""

    verdict: str
    nodes: tuple[NodeProgress, ...] = ()
    reason: str = ""

    def having(self, *statuses: str) -> list[NodeProgress]:
        """Return the nodes in one of these statuses."""
        return [item for item in self.nodes if item.status in statuses]

    def to_list(self) -> list[dict[str, str]]:
        """Return the nodes as a module tells them."""
        return [asdict(item) for item in self.nodes]


def policy_selector(policy_name: str) -> str:
    """Return the label selector of a policy's enactments."""
    return f"{_POLICY}={policy_name}"


def in_progress(policy: Object) -> bool:
    """Tell whether nmstate is at work on a policy, so that its webhook refuses another spec."""
    available = parse_conditions((policy.get("status") or {}).get("conditions")).get("Available")
    return available is None or available.reason in ("", _PROGRESSING)


def progress_of(policy: Object, enactments: Sequence[Object], ready: Iterable[str], unready: Iterable[str]) -> Progress:
    """Return how far a policy is. C(ready) and C(unready) are names of nodes that it selects; nmstate leaves out the
    latter."""
    generation = policy["metadata"].get("generation", 1)
    by_node = {
        (item["metadata"].get("labels") or {}).get(_NODE, ""): item
        for item in enactments
        if (item.get("status") or {}).get("policyGeneration") == generation
    }
    nodes = [_node(name, by_node.get(name)) for name in sorted(ready)]
    late = [
        _node(name, by_node[name]) if name in by_node else NodeProgress(name, NOT_READY, "The node is not ready.")
        for name in sorted(unready)
    ]
    everything = tuple(sorted([*nodes, *late], key=lambda item: item.node))
    conditions = parse_conditions((policy.get("status") or {}).get("conditions"))
    ignored = conditions.get("Ignored")
    if ignored is not None and ignored.status == "True" and not by_node:
        return Progress(BROKEN, everything, f"{ignored.reason or _NO_MATCH}: {ignored.message}")
    busy = any(item.status in (PROGRESSING, RETRYING) for item in everything)
    if any(item.status in (FAILED, ABORTED) for item in everything):
        # others still work: the way back waits for them
        return Progress(GOING_ON if busy else BROKEN, everything, "nmstate could not configure every node")
    available = conditions.get("Available")
    if all(item.status == CONFIGURED for item in nodes) and available is not None and available.status == "True":
        return Progress(DONE, everything)
    return Progress(GOING_ON, everything)


def _node(name: str, enactment: Any) -> NodeProgress:
    if enactment is None:
        return NodeProgress(name, WAITING)
    conditions = parse_conditions((enactment.get("status") or {}).get("conditions"))

    def is_true(kind: str) -> bool:
        return kind in conditions and conditions[kind].status == "True"

    if is_true("Failing"):
        status = RETRYING if is_true("Progressing") else FAILED
        return NodeProgress(name, status, shortened(conditions["Failing"].message))
    if is_true("Aborted"):
        return NodeProgress(name, ABORTED, "nmstate went no further after another node had failed.")
    if is_true("Pending"):
        return NodeProgress(name, PENDING, "It waits for its turn (maxUnavailable).")
    return NodeProgress(name, CONFIGURED if is_true("Available") else PROGRESSING if conditions else WAITING)


def shortened(message: str) -> str:
    """Return what nmstate found wrong, without the whole state and the log that it tells along with it."""
    found = _MESSAGE.findall(message)
    text = found[-1] if found else " ".join(message.split())
    text = text.rstrip("'\" ")
    return text if len(text) <= _LONGEST else text[:_LONGEST] + " ..."
