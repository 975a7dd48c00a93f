# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is asked of the planner: a goal, its limits, and what may move; and the check that it can be meant."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Mapping, Optional, Sequence

from ..cluster.model import MigrationSettings, Snapshot
from ..errors import InvalidInput
from ..migration.precopy import DEFAULT_LINK_BYTES_PER_SECOND
from .plan import LIVE, MODES
from .rules import BASES, REQUESTED, RESOURCES, USED, Rules
from .tiers import NON_CRITICAL, TIERS

BALANCE = "balance"
DRAIN = "drain"
EVACUATE = "evacuate"
MOVES = "moves"
GOALS = (BALANCE, DRAIN, EVACUATE, MOVES)

# names of the limits in a plan; each may be overridden by the request
CLUSTER_LIMIT = "parallel_migrations_per_cluster"
OUTBOUND_LIMIT = "parallel_outbound_migrations_per_node"
INBOUND_LIMIT = "parallel_inbound_migrations_per_node"
COLD_LIMIT = "parallel_cold_moves"
# arrivals at one node and cold moves have no limit in KubeVirt
DEFAULT_INBOUND = 2
DEFAULT_COLD = 1
LIMIT_RANGES = {
    CLUSTER_LIMIT: (1, 1000),
    OUTBOUND_LIMIT: (1, 100),
    INBOUND_LIMIT: (1, 100),
    COLD_LIMIT: (1, 100),
}


@dataclass(frozen=True)
class ExplicitMove:
    """A move that somebody wants: this VM to this node. An empty mode means live, or cold where only that is possible
    and allowed."""

    namespace: str
    name: str
    target: str
    mode: str = ""

    @property
    def key(self) -> str:
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True)
class PlanRequest:
    """All options of a plan. Percentages are numbers from 0 to 100, sizes are bytes.

    C(selected) are the keys ("namespace/name") of the VMs that may move, None for all; C(pins) are keys that stay where
    they are. C(thresholds_percent) are those of evacuate, by resource. C(tolerance_percent) is how far above the mean a
    node may stay when balancing.
    """

    goal: str = BALANCE
    resources: tuple[str, ...] = RESOURCES
    basis: str = REQUESTED
    nodes: tuple[str, ...] = ()
    thresholds_percent: Mapping[str, float] = field(default_factory=dict)
    headroom_cpu_percent: float = 0.0
    headroom_memory_percent: float = 0.0
    allow_over_percent: int = 100
    keep_node_loss: bool = True
    tolerance_percent: float = 5.0
    max_moves: Optional[int] = None
    max_bytes: Optional[int] = None
    modes: tuple[str, ...] = (LIVE,)
    selected: Optional[frozenset[str]] = None
    pins: frozenset[str] = frozenset()
    moves: tuple[ExplicitMove, ...] = ()
    stages: bool = True
    canary: int = 2
    wave_size: int = 20
    default_tier: str = NON_CRITICAL
    limits: Mapping[str, int] = field(default_factory=dict)
    link_bytes_per_second: float = DEFAULT_LINK_BYTES_PER_SECOND
    created_at: str = ""

    @property
    def rules(self) -> Rules:
        """The rules that hold at every step."""
        return Rules(
            basis=self.basis,
            headroom_cpu=self.headroom_cpu_percent / 100,
            headroom_memory=self.headroom_memory_percent / 100,
            allow_over_percent=self.allow_over_percent,
            keep_node_loss=self.keep_node_loss,
            closed_nodes=self.nodes if self.goal == DRAIN else (),
        )

    @property
    def measured(self) -> tuple[str, ...]:
        """The resources whose levels count: those with a threshold for evacuate, else those asked for."""
        if self.goal == EVACUATE:
            return tuple(resource for resource in RESOURCES if resource in self.thresholds_percent)
        return self.resources

    def to_dict(self) -> dict[str, Any]:
        """Return what of the request stands in the plan."""
        return {
            "goal": self.goal,
            "resources": list(self.resources),
            "basis": self.basis,
            "nodes": list(self.nodes),
            "thresholds_percent": dict(self.thresholds_percent),
            "tolerance_percent": self.tolerance_percent,
            "max_moves": self.max_moves,
            "max_bytes": self.max_bytes,
            "modes": list(self.modes),
            "selected": None if self.selected is None else len(self.selected),
            "pins": sorted(self.pins),
            "stages": self.stages,
            "canary": self.canary,
            "wave_size": self.wave_size,
            "default_tier": self.default_tier,
            "link_bytes_per_second": int(self.link_bytes_per_second),
            "rules": self.rules.to_dict(),
        }


def limits_in_force(settings: MigrationSettings, request: PlanRequest) -> dict[str, Any]:
    """Return the limits that the plan is made for: the cluster's, and what the request overrides, which may only be
    less than what the cluster allows."""
    own = request.limits
    cluster = min(own.get(CLUSTER_LIMIT, 10**6), settings.parallel_migrations_per_cluster)
    return {
        CLUSTER_LIMIT: cluster,
        OUTBOUND_LIMIT: min(own.get(OUTBOUND_LIMIT, 10**6), settings.parallel_outbound_migrations_per_node),
        INBOUND_LIMIT: own.get(INBOUND_LIMIT, DEFAULT_INBOUND),
        COLD_LIMIT: own.get(COLD_LIMIT, DEFAULT_COLD),
        "completion_timeout_per_gib": settings.completion_timeout_per_gib,
        "progress_timeout_seconds": settings.progress_timeout_seconds,
        "bandwidth_bytes_per_second": settings.bandwidth_bytes_per_second,
        "source": settings.source,
    }


def check_request(request: PlanRequest, snapshot: Snapshot) -> None:
    """Raise InvalidInput, naming the option, for anything in the request that cannot be meant for this snapshot."""
    _one_of("goal", request.goal, GOALS)
    _one_of("basis", request.basis, BASES)
    _one_of("default_tier", request.default_tier, TIERS)
    _some_of("resources", request.resources, RESOURCES)
    _some_of("modes", request.modes, MODES)
    for option, value, lowest, highest in (
        ("headroom.cpu", request.headroom_cpu_percent, 0, 99),
        ("headroom.memory", request.headroom_memory_percent, 0, 99),
        ("allow_over_percent", request.allow_over_percent, 100, 1000),
        ("tolerance", request.tolerance_percent, 0, 100),
        ("canary", request.canary, 0, 1000),
        ("wave_size", request.wave_size, 1, 1000),
        ("link_bandwidth", request.link_bytes_per_second, 1, float("inf")),
    ):
        _in_range(option, value, lowest, highest)
    for option, bound in (("max_moves", request.max_moves), ("max_bytes", request.max_bytes)):
        if bound is not None:
            _in_range(option, bound, 0, float("inf"))
    for name, limit in request.limits.items():
        _one_of("limits", name, tuple(LIMIT_RANGES))
        _in_range(f"limits.{name}", limit, *LIMIT_RANGES[name])
    _check_nodes(request, snapshot)
    _check_machines(request, snapshot)
    if request.basis == USED and not any(node.usage for node in snapshot.nodes.values()):
        reason = snapshot.missing.get("usage", "the snapshot holds no metrics of nodes")
        raise InvalidInput("basis", USED, f"it needs metrics of the nodes, but {reason}")


def _check_nodes(request: PlanRequest, snapshot: Snapshot) -> None:
    if request.goal == DRAIN and not request.nodes:
        raise InvalidInput("nodes", list(request.nodes), "goal drain needs the names of the nodes to empty")
    if request.goal != DRAIN and request.nodes:
        raise InvalidInput("nodes", list(request.nodes), f"it belongs to goal drain; the goal is {request.goal}")
    _known("nodes", request.nodes, snapshot.nodes, "nodes")
    if request.goal == EVACUATE and not request.thresholds_percent:
        raise InvalidInput(
            "thresholds", {}, "goal evacuate needs a threshold for cpu, memory or both, in percent of allocatable"
        )
    for resource, percent in request.thresholds_percent.items():
        _one_of("thresholds", resource, RESOURCES)
        _in_range(f"thresholds.{resource}", percent, 1, 1000)


def _check_machines(request: PlanRequest, snapshot: Snapshot) -> None:
    _known("pins", sorted(request.pins), snapshot.virtual_machines, "VMs")
    if request.goal == MOVES and not request.moves:
        raise InvalidInput("moves", [], "goal moves needs a list of moves")
    _known("moves", [move.key for move in request.moves], snapshot.virtual_machines, "VMs")
    _known("moves", [move.target for move in request.moves], snapshot.nodes, "target nodes")
    seen: set[str] = set()
    for move in request.moves:
        if move.mode:
            _one_of(f"moves: mode of {move.key}", move.mode, MODES)
        if move.key in seen:
            raise InvalidInput("moves", move.key, "each VM can be listed once")
        if move.key in request.pins:
            raise InvalidInput("moves", move.key, "it is among the pins, which stay where they are")
        if move.target in request.rules.closed_nodes:
            raise InvalidInput("moves", f"{move.key} to {move.target}", "the target is to be drained")
        seen.add(move.key)


def _one_of(option: str, value: str, allowed: Sequence[str]) -> None:
    if value not in allowed:
        raise InvalidInput(option, value, f"one of {', '.join(allowed)} is needed")


def _some_of(option: str, values: Sequence[str], allowed: Sequence[str]) -> None:
    if not values:
        raise InvalidInput(option, list(values), f"at least one of {', '.join(allowed)} is needed")
    for value in values:
        _one_of(option, value, allowed)


def _in_range(option: str, value: float, lowest: float, highest: float) -> None:
    if not lowest <= value <= highest:
        wanted = f"from {lowest} to {highest}" if highest != float("inf") else f"of at least {lowest}"
        raise InvalidInput(option, value, f"a number {wanted} is needed")


def _known(option: str, names: Sequence[str], there: Mapping[str, object], what: str) -> None:
    unknown = [name for name in names if name not in there]
    if unknown:
        some = ", ".join(sorted(there)[:5]) + (", ..." if len(there) > 5 else "")
        raise InvalidInput(option, unknown, f"existing {what} are needed, such as {some or '(there are none)'}")
