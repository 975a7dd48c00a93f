# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The plan: a document that people read, edit and approve, and that C(rebalance_run) executes.

A plan is plain data (JSON or YAML). Its digest covers what will be done (cluster, limits, stages, waves, moves), not
what is only told (predictions, summary, warnings), so an approval is bound to the actions.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field, replace
from typing import Any, Iterator, Mapping, Optional

from ..errors import InvalidInput

FORMAT = "ocpv.scale/plan"
VERSION = 1
LIVE = "live"
COLD = "cold"
MODES = (LIVE, COLD)
CANARY = "canary"
# the one stage of a plan that is not to be staged
ALL = "all"
# in the order in which stages run
STAGES = (CANARY, "dev-test", "non-critical", "critical", ALL)


@dataclass(frozen=True)
class Prediction:
    """What a move is expected to take. Times count from the start of the run, in seconds."""

    duration_seconds: float = 0.0
    downtime_seconds: float = 0.0
    bytes: int = 0
    start_seconds: float = 0.0
    end_seconds: float = 0.0


@dataclass(frozen=True)
class Move:
    """One VM from one node to another. C(after) lists moves (ids) that must have succeeded before this one may start:
    they make the room, or clear the anti-affinity, that it needs."""

    id: str
    namespace: str
    name: str
    uid: str
    source: str
    target: str
    mode: str
    reason: str
    cpu_millicores: int = 0
    memory_bytes: int = 0
    after: tuple[str, ...] = ()
    predicted: Prediction = field(default_factory=Prediction)

    @property
    def key(self) -> str:
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True)
class Wave:
    number: int
    moves: tuple[Move, ...]
    duration_seconds: float = 0.0


@dataclass(frozen=True)
class Stage:
    name: str
    waves: tuple[Wave, ...]
    duration_seconds: float = 0.0

    @property
    def moves(self) -> tuple[Move, ...]:
        return tuple(move for wave in self.waves for move in wave.moves)


@dataclass(frozen=True)
class NodeLoad:
    """Load of one node in three views; C(requested) is what the scheduler counts, C(allocated) vCPUs and guest memory,
    C(used) what metrics say (None where there are none). CPU in millicores, memory in bytes."""

    requested_cpu_millicores: int
    requested_memory_bytes: int
    allocated_cpu_millicores: int
    allocated_memory_bytes: int
    used_cpu_millicores: Optional[int]
    used_memory_bytes: Optional[int]
    virtual_machines: int
    pods: int


@dataclass(frozen=True)
class NodeForecast:
    name: str
    capacity_cpu_millicores: int
    capacity_memory_bytes: int
    capacity_pods: int
    before: NodeLoad
    after: NodeLoad


@dataclass(frozen=True)
class NotMoved:
    """A VM (or node, for goals that could not be met) that was wanted elsewhere and stays, with every reason."""

    name: str
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class Plan:
    id: str
    created_at: str
    cluster_uid: str
    snapshot_at: str
    request: Mapping[str, Any]
    limits: Mapping[str, Any]
    stages: tuple[Stage, ...]
    nodes: tuple[NodeForecast, ...] = ()
    summary: Mapping[str, Any] = field(default_factory=dict)
    not_moved: tuple[NotMoved, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def moves(self) -> tuple[Move, ...]:
        return tuple(move for stage in self.stages for move in stage.moves)

    def placed(self) -> Iterator[tuple[Stage, Wave, Move]]:
        """Yield each move with its stage and wave, in the order of execution."""
        for stage in self.stages:
            for wave in stage.waves:
                for move in wave.moves:
                    yield stage, wave, move

    @property
    def digest(self) -> str:
        """SHA-256 over the canonical JSON of what will be done: two plans with the same digest do the same."""
        acted = {
            "format": FORMAT,
            "version": VERSION,
            "id": self.id,
            "cluster_uid": self.cluster_uid,
            "limits": {key: self.limits[key] for key in sorted(self.limits) if key != "source"},
            "rules": self.request.get("rules", {}),
            "stages": [
                [
                    stage.name,
                    [
                        [
                            [move.id, move.namespace, move.name, move.uid, move.source, move.target, move.mode]
                            + [sorted(move.after)]
                            for move in wave.moves
                        ]
                        for wave in stage.waves
                    ],
                ]
                for stage in self.stages
            ],
        }
        text = json.dumps(acted, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return "sha256:" + hashlib.sha256(text.encode()).hexdigest()

    @property
    def run_id(self) -> str:
        """The id of the one run that executes this plan: the same plan always continues the same run."""
        return self.digest.split(":", 1)[1][:10]

    def to_dict(self) -> dict[str, Any]:
        """Return the document: JSON types only."""
        return {
            "format": FORMAT,
            "version": VERSION,
            "id": self.id,
            "digest": self.digest,
            "created_at": self.created_at,
            "cluster": {"uid": self.cluster_uid},
            "snapshot_at": self.snapshot_at,
            "request": dict(self.request),
            "limits": dict(self.limits),
            "summary": dict(self.summary),
            "stages": [_stage_to_dict(stage) for stage in self.stages],
            "nodes": [_forecast_to_dict(node) for node in self.nodes],
            "not_moved": [{"name": item.name, "reasons": list(item.reasons)} for item in self.not_moved],
            "warnings": list(self.warnings),
        }


def _move_to_dict(move: Move) -> dict[str, Any]:
    document = {name: getattr(move, name) for name in _MOVE_TEXTS}
    document.update(cpu_millicores=move.cpu_millicores, memory_bytes=move.memory_bytes, after=list(move.after))
    document["predicted"] = {name: getattr(move.predicted, name) for name in _PREDICTION_FIELDS}
    return document


def _stage_to_dict(stage: Stage) -> dict[str, Any]:
    return {
        "name": stage.name,
        "duration_seconds": stage.duration_seconds,
        "waves": [
            {
                "number": wave.number,
                "duration_seconds": wave.duration_seconds,
                "moves": [_move_to_dict(move) for move in wave.moves],
            }
            for wave in stage.waves
        ],
    }


_MOVE_TEXTS = ("id", "namespace", "name", "uid", "source", "target", "mode", "reason")
_PREDICTION_FIELDS = ("duration_seconds", "downtime_seconds", "bytes", "start_seconds", "end_seconds")
_LOAD_FIELDS = tuple(NodeLoad.__dataclass_fields__)


def _forecast_to_dict(node: NodeForecast) -> dict[str, Any]:
    return {
        "name": node.name,
        "capacity_cpu_millicores": node.capacity_cpu_millicores,
        "capacity_memory_bytes": node.capacity_memory_bytes,
        "capacity_pods": node.capacity_pods,
        "before": {name: getattr(node.before, name) for name in _LOAD_FIELDS},
        "after": {name: getattr(node.after, name) for name in _LOAD_FIELDS},
    }


def parse_plan(document: Any, option: str = "plan") -> Plan:
    """Return the Plan that a document (from rebalance_plan, perhaps edited by hand) describes.

    Reads only what is needed to act; what an editor may leave out (predictions, summary, nodes) may be absent.
    Raises InvalidInput naming the place in the document for anything missing, of the wrong type or contradictory.
    """
    root = _Reader(document, option)
    if root.text("format") != FORMAT:
        raise InvalidInput(f"{option}.format", root.value.get("format"), f"a document of format {FORMAT} is needed")
    version = root.value.get("version")
    if version != VERSION:
        raise InvalidInput(f"{option}.version", version, f"this release reads version {VERSION}; make the plan again")
    stages = tuple(_parse_stage(item) for item in root.items("stages"))
    plan = Plan(
        id=root.text("id"),
        created_at=root.text("created_at", ""),
        cluster_uid=root.child("cluster").text("uid"),
        snapshot_at=root.text("snapshot_at", ""),
        request=root.mapping("request"),
        limits=root.mapping("limits"),
        stages=stages,
        nodes=tuple(_parse_forecast(item) for item in root.items("nodes", optional=True)),
        summary=root.mapping("summary"),
        not_moved=tuple(
            NotMoved(item.text("name"), tuple(str(reason) for reason in item.value.get("reasons") or ()))
            for item in root.items("not_moved", optional=True)
        ),
        warnings=tuple(str(warning) for warning in root.value.get("warnings") or ()),
    )
    _check_moves(plan, option)
    return plan


def edited(document: Mapping[str, Any], plan: Plan) -> bool:
    """Tell whether the document was changed by hand since rebalance_plan wrote its digest into it."""
    return document.get("digest") != plan.digest


def without_moves(plan: Plan, ids: frozenset[str]) -> Plan:
    """Return the plan without the moves of these ids (and without waves and stages that become empty)."""
    stages = []
    for stage in plan.stages:
        waves = [replace(wave, moves=tuple(move for move in wave.moves if move.id not in ids)) for wave in stage.waves]
        kept = tuple(wave for wave in waves if wave.moves)
        if kept:
            stages.append(replace(stage, waves=kept))
    return replace(plan, stages=tuple(stages))


def _check_moves(plan: Plan, option: str) -> None:
    seen: set[str] = set()
    for stage, wave, move in plan.placed():
        place = f"{option}: move {move.id} ({move.key}) in stage {stage.name}, wave {wave.number}"
        if move.id in seen:
            raise InvalidInput(f"{place}, id", move.id, "every move needs an id of its own")
        if move.mode not in MODES:
            raise InvalidInput(f"{place}, mode", move.mode, f"one of {', '.join(MODES)} is needed")
        if move.source == move.target:
            raise InvalidInput(f"{place}, target", move.target, "source and target must differ; drop the move instead")
        unknown = [other for other in move.after if other not in seen]
        if unknown:
            raise InvalidInput(
                f"{place}, after", unknown, "it must name moves that come earlier in the plan; drop this move as well"
            )
        seen.add(move.id)


def _parse_stage(reader: "_Reader") -> Stage:
    name = reader.text("name")
    if name not in STAGES:
        raise InvalidInput(f"{reader.path}.name", name, f"the stages are {', '.join(STAGES)}")
    waves = []
    for number, wave in enumerate(reader.items("waves"), start=1):
        moves = tuple(_parse_move(move) for move in wave.items("moves"))
        waves.append(Wave(int(wave.number("number", number)), moves, wave.number("duration_seconds", 0)))
    return Stage(name, tuple(waves), reader.number("duration_seconds", 0))


def _parse_move(reader: "_Reader") -> Move:
    texts = {name: reader.text(name, "" if name in ("uid", "reason") else None) for name in _MOVE_TEXTS}
    predicted = reader.child("predicted", optional=True)
    values = {name: predicted.number(name, 0) for name in _PREDICTION_FIELDS}
    values["bytes"] = int(values["bytes"])
    return Move(
        cpu_millicores=int(reader.number("cpu_millicores", 0)),
        memory_bytes=int(reader.number("memory_bytes", 0)),
        after=tuple(str(item) for item in reader.value.get("after") or ()),
        predicted=Prediction(**values),  # type: ignore[arg-type]
        **texts,
    )


def _parse_forecast(reader: "_Reader") -> NodeForecast:
    loads = {}
    for when in ("before", "after"):
        load = reader.child(when).value
        loads[when] = NodeLoad(**{name: load.get(name, 0) for name in _LOAD_FIELDS})
    return NodeForecast(
        name=reader.text("name"),
        capacity_cpu_millicores=int(reader.number("capacity_cpu_millicores")),
        capacity_memory_bytes=int(reader.number("capacity_memory_bytes")),
        capacity_pods=int(reader.number("capacity_pods")),
        **loads,
    )


class _Reader:
    """Takes typed values out of a document and names the place of whatever does not fit."""

    def __init__(self, value: Any, path: str) -> None:
        if not isinstance(value, Mapping):
            raise InvalidInput(path, value if value is None else type(value).__name__, "a mapping is needed here")
        self.value = value
        self.path = path

    def text(self, name: str, default: Optional[str] = None) -> str:
        value = self.value.get(name, default)
        if not isinstance(value, str) or (default is None and not value):
            raise InvalidInput(f"{self.path}.{name}", value, "text is needed here")
        return value

    def number(self, name: str, default: Optional[float] = None) -> float:
        value = self.value.get(name, default)
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise InvalidInput(f"{self.path}.{name}", value, "a number is needed here")
        return value

    def mapping(self, name: str) -> Mapping[str, Any]:
        value = self.value.get(name) or {}
        if not isinstance(value, Mapping):
            raise InvalidInput(f"{self.path}.{name}", value, "a mapping is needed here")
        return value

    def child(self, name: str, optional: bool = False) -> "_Reader":
        value = self.value.get(name)
        return _Reader({} if value is None and optional else value, f"{self.path}.{name}")

    def items(self, name: str, optional: bool = False) -> list["_Reader"]:
        value = self.value.get(name)
        if value is None and optional:
            return []
        if not isinstance(value, (list, tuple)):
            raise InvalidInput(f"{self.path}.{name}", value, "a list is needed here")
        return [_Reader(item, f"{self.path}.{name}[{index}]") for index, item in enumerate(value)]
