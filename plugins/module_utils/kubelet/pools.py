# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Machine config pools and their nodes as the machine config operator sees them.

Source: openshift/api machineconfiguration/v1/types.go; machine-config-operator pkg/controller/node,
pkg/helpers/helpers.go and pkg/daemon/constants/constants.go.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, Iterable, Mapping, Optional, Sequence

from ..cluster.model import Condition
from ..cluster.parse import is_ready, parse_conditions
from ..cluster.selectors import selector_matches
from ..names import POOL_RECORD

Object = Mapping[str, Any]

MASTER, WORKER = "master", "worker"
ROLE = "machineconfiguration.openshift.io/role"
_POOL_LABEL = "pools.operator.machineconfiguration.openshift.io/"
_ANNOTATION = "machineconfiguration.openshift.io/"
_DONE = "Done"
_BAD_STATES = ("Degraded", "Unreconcilable")
_DEGRADED = ("Degraded", "NodeDegraded", "RenderDegraded")

_BINDING_OWNERS = ("DaemonSet", "Node")

# what a node is doing about a pool's target configuration
UPDATED, WAITING, DRAINING, UPDATING, REBOOTING, DEGRADED = (
    "updated",
    "waiting",
    "draining",
    "updating",
    "rebooting",
    "degraded",
)


def pool_label(pool: str) -> str:
    """Return the label by which a KubeletConfig selects one pool and no other."""
    return f"{_POOL_LABEL}{pool}"


@dataclass(frozen=True)
class Record:
    """How a pool was before kubelet_config began to work on it, kept in its annotation. C(rendered) is the
    configuration it was to have before the KubeletConfig was written; empty until that is done."""

    paused: bool
    rendered: str = ""
    # whether the run was told that it may pause and unpause the pool
    held: bool = False

    def to_text(self) -> str:
        """Return what the annotation holds."""
        return json.dumps({"held": self.held, "paused": self.paused, "rendered": self.rendered}, sort_keys=True)


def parse_record(text: str) -> Optional[Record]:
    """Return the record of an annotation; None for one that nobody can have written here."""
    try:
        content = json.loads(text)
        return Record(bool(content["paused"]), str(content.get("rendered") or ""), bool(content.get("held")))
    except (ValueError, TypeError, KeyError, AttributeError):
        return None


@dataclass(frozen=True)
class Pool:
    """A MachineConfigPool. C(target) is the rendered configuration that its nodes are to have, C(reached) the one that
    all of them had last."""

    name: str
    labels: Mapping[str, str] = field(default_factory=dict)
    node_selector: Optional[Object] = None
    config_selector: Optional[Object] = None
    paused: bool = False
    max_unavailable: Any = None
    target: str = ""
    reached: str = ""
    conditions: Mapping[str, Condition] = field(default_factory=dict)
    observed: bool = True
    record: Optional[Record] = None
    resource_version: str = ""

    @property
    def updated(self) -> bool:
        """Whether all nodes have its configuration, said after its last change."""
        return self.observed and self.settled

    @property
    def settled(self) -> bool:
        """The same, as last said."""
        return self._is("Updated") and self.target == self.reached

    @property
    def degraded(self) -> str:
        """Why it is degraded; empty if it is not."""
        for kind in _DEGRADED:
            if self._is(kind):
                condition = self.conditions[kind]
                return condition.message or condition.reason or kind
        return ""

    def _is(self, kind: str) -> bool:
        condition = self.conditions.get(kind)
        return condition is not None and condition.status == "True"

    def inherits(self, other: str) -> bool:
        """Whether it takes the MachineConfigs of another pool's role, such as custom pools those of worker."""
        return self.name != other and selector_matches(self.config_selector, {ROLE: other})

    def at_a_time(self, nodes: int) -> int:
        """Return how many of so many nodes may be unavailable together; a percentage is rounded down, one at least."""
        limit = self.max_unavailable
        if limit is None:
            return 1
        if isinstance(limit, str):
            limit = nodes * int(limit.rstrip("%") or 0) // 100 if limit.endswith("%") else int(limit)
        return max(1, int(limit))


def parse_pool(item: Object) -> Pool:
    """Return the value of a MachineConfigPool."""
    metadata, spec, status = item["metadata"], item.get("spec") or {}, item.get("status") or {}
    target = spec.get("configuration") or {}
    annotations = metadata.get("annotations") or {}
    return Pool(
        name=metadata["name"],
        labels=metadata.get("labels") or {},
        node_selector=spec.get("nodeSelector"),
        config_selector=spec.get("machineConfigSelector"),
        paused=bool(spec.get("paused")),
        max_unavailable=spec.get("maxUnavailable"),
        target=target.get("name") or "",
        reached=(status.get("configuration") or {}).get("name") or "",
        conditions=parse_conditions(status.get("conditions")),
        observed=int(status.get("observedGeneration") or 0) >= int(metadata.get("generation") or 0),
        record=parse_record(annotations[POOL_RECORD]) if POOL_RECORD in annotations else None,
        resource_version=metadata.get("resourceVersion", ""),
    )


@dataclass(frozen=True)
class PoolNode:
    """A node as the machine config daemon reports on it in annotations."""

    name: str
    labels: Mapping[str, str]
    ready: bool
    current: str = ""
    desired: str = ""
    state: str = ""
    reason: str = ""
    draining: bool = False

    def phase(self, target: str) -> str:
        """Return what it is doing about this target configuration."""
        if self.state in _BAD_STATES:
            return DEGRADED
        if self.desired != target:
            return WAITING
        if self.current == target and self.state == _DONE:
            return UPDATED if self.ready else REBOOTING
        if self.draining:
            return DRAINING
        return UPDATING if self.ready and self.state != "Rebooting" else REBOOTING


def parse_pool_node(item: Object) -> PoolNode:
    """Return the value of a Node."""
    metadata = item["metadata"]
    annotations = metadata.get("annotations") or {}
    wanted, applied = (annotations.get(f"{_ANNOTATION}{name}", "") for name in ("desiredDrain", "lastAppliedDrain"))
    return PoolNode(
        name=metadata["name"],
        labels=metadata.get("labels") or {},
        ready=is_ready(item),
        current=annotations.get(f"{_ANNOTATION}currentConfig", ""),
        desired=annotations.get(f"{_ANNOTATION}desiredConfig", ""),
        state=annotations.get(f"{_ANNOTATION}state", ""),
        reason=annotations.get(f"{_ANNOTATION}reason", ""),
        draining=wanted.startswith("drain-") and wanted != applied,
    )


@dataclass(frozen=True)
class PodCount:
    """How many pods a node has, and how many of them go nowhere else: those of DaemonSets, and the node's own."""

    pods: int = 0
    bound: int = 0


def parse_pod_place(item: Object) -> tuple[str, bool]:
    """Return the node of a Pod (empty: none yet), and whether it goes nowhere else.

    A static pod has the node as its owner (Kubernetes pkg/kubelet/pod/mirror_client.go).
    """
    owners = item["metadata"].get("ownerReferences") or ()
    bound = any(owner.get("controller") and owner.get("kind") in _BINDING_OWNERS for owner in owners)
    return item["spec"].get("nodeName") or "", bound


def count_pods(places: Iterable[tuple[str, bool]]) -> dict[str, PodCount]:
    """Return the pods of each node."""
    found: dict[str, PodCount] = {}
    for node, bound in places:
        if node:
            count = found.get(node, PodCount())
            found[node] = PodCount(count.pods + 1, count.bound + bound)
    return found


def nodes_by_pool(pools: Iterable[Pool], nodes: Iterable[PoolNode]) -> dict[str, list[PoolNode]]:
    """Return the nodes of each pool: master before a custom pool before worker. A node that several custom pools select
    is taken care of by none."""
    known = {pool.name: pool for pool in pools}
    found: dict[str, list[PoolNode]] = {name: [] for name in known}
    for node in nodes:
        selecting = [name for name, pool in known.items() if selector_matches(pool.node_selector, node.labels)]
        custom = [name for name in selecting if name not in (MASTER, WORKER)]
        if MASTER in selecting:
            found[MASTER].append(node)
        elif len(custom) == 1:
            found[custom[0]].append(node)
        elif not custom and WORKER in selecting:
            found[WORKER].append(node)
    return found


def node_document(node: PoolNode, target: str) -> dict[str, Any]:
    """Return a node as the module reports it."""
    return {"name": node.name, "phase": node.phase(target), "reason": node.reason, "configuration": node.current}


def moving(nodes: Sequence[PoolNode], target: str) -> tuple[tuple[str, str, str], ...]:
    """Return what changes while a pool makes progress."""
    return tuple((node.name, node.phase(target), node.current) for node in nodes)
