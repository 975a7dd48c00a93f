# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The options of rebalance_plan as a request."""

from __future__ import annotations

from typing import Any, Collection, Mapping, Optional

from ..cluster.model import Snapshot
from ..cluster.select import Selection, choose
from ..errors import InvalidInput
from ..migration.precopy import DEFAULT_LINK_BYTES_PER_SECOND
from ..quantity import parse_bytes
from .plan import COLD, LIVE, MODES
from .request import BALANCE, GOALS, LIMIT_RANGES, MOVES, ExplicitMove, PlanRequest
from .rules import BASES, CPU, MEMORY, REQUESTED, RESOURCES
from .tiers import NON_CRITICAL, TIERS

ARGUMENT_SPEC: dict[str, Any] = {
    "goal": {"type": "str", "choices": list(GOALS)},
    "nodes": {"type": "list", "elements": "str", "default": []},
    "resources": {"type": "list", "elements": "str", "choices": list(RESOURCES), "default": list(RESOURCES)},
    "basis": {"type": "str", "choices": list(BASES), "default": REQUESTED},
    "thresholds": {"type": "dict", "options": {CPU: {"type": "float"}, MEMORY: {"type": "float"}}},
    "headroom": {
        "type": "dict",
        "options": {CPU: {"type": "float", "default": 0}, MEMORY: {"type": "float", "default": 0}},
    },
    "allow_over_percent": {"type": "int", "default": 100},
    "keep_node_loss": {"type": "bool", "default": True},
    "tolerance": {"type": "float", "default": 5},
    "max_moves": {"type": "int"},
    "max_bytes": {"type": "str"},
    "modes": {"type": "list", "elements": "str", "choices": list(MODES), "default": [LIVE]},
    "namespaces": {"type": "list", "elements": "str", "default": []},
    "names": {"type": "list", "elements": "str", "default": []},
    "label_selector": {"type": "str", "default": ""},
    "select": {"type": "str", "default": ""},
    "exclude": {"type": "list", "elements": "str", "default": []},
    "pins": {"type": "list", "elements": "str", "default": []},
    "moves": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "namespace": {"type": "str", "required": True},
            "name": {"type": "str", "required": True},
            "target": {"type": "str", "required": True},
            "mode": {"type": "str", "choices": list(MODES)},
        },
    },
    "stages": {"type": "bool", "default": True},
    "canary": {"type": "int", "default": 2},
    "default_tier": {"type": "str", "choices": list(TIERS), "default": NON_CRITICAL},
    "wave_size": {"type": "int", "default": 20},
    "limits": {"type": "dict", "options": {name: {"type": "int"} for name in LIMIT_RANGES}},
    "link_bandwidth": {"type": "str"},
    "plan": {"type": "dict"},
    "plan_file": {"type": "path"},
    "snapshot": {"type": "path"},
    "dest": {"type": "path"},
}
_SELECTING = ("namespaces", "names", "label_selector", "select", "exclude")


def parse_request(params: Mapping[str, Any], snapshot: Snapshot, created_at: str) -> PlanRequest:
    """Return the request of a module call. Raises InvalidInput naming the option.

    Ranges, nodes and targets are checked later (check_request).
    """
    moves = tuple(_move(item, index) for index, item in enumerate(params["moves"]))
    thresholds = params["thresholds"] or {}
    headroom = params["headroom"] or {}
    limits = params["limits"] or {}
    return PlanRequest(
        goal=params["goal"] or (MOVES if moves else BALANCE),
        resources=tuple(dict.fromkeys(params["resources"])),
        basis=params["basis"],
        nodes=tuple(dict.fromkeys(params["nodes"])),
        thresholds_percent={name: value for name, value in thresholds.items() if value is not None},
        headroom_cpu_percent=headroom.get("cpu") or 0.0,
        headroom_memory_percent=headroom.get("memory") or 0.0,
        allow_over_percent=params["allow_over_percent"],
        keep_node_loss=params["keep_node_loss"],
        tolerance_percent=params["tolerance"],
        max_moves=params["max_moves"],
        max_bytes=_bytes(params["max_bytes"], "max_bytes"),
        modes=(LIVE, COLD) if COLD in params["modes"] and LIVE in params["modes"] else tuple(params["modes"]),
        selected=_selected(params, snapshot),
        pins=_named(params["pins"], snapshot),
        moves=moves,
        stages=params["stages"],
        canary=params["canary"],
        wave_size=params["wave_size"],
        default_tier=params["default_tier"],
        limits={name: value for name, value in limits.items() if value is not None},
        link_bytes_per_second=_bytes(params["link_bandwidth"], "link_bandwidth") or DEFAULT_LINK_BYTES_PER_SECOND,
        created_at=created_at,
    )


def _move(item: Mapping[str, Any], index: int) -> ExplicitMove:
    for name in ("namespace", "name", "target"):
        if not item[name]:
            raise InvalidInput(f"moves[{index}].{name}", item[name], "a name is needed")
    return ExplicitMove(item["namespace"], item["name"], item["target"], item["mode"] or "")


def _bytes(value: Optional[str], option: str) -> Optional[int]:
    return None if value is None else parse_bytes(value, option)


def _selected(params: Mapping[str, Any], snapshot: Snapshot) -> Optional[frozenset[str]]:
    if not any(params[name] for name in _SELECTING):
        return None
    selection = Selection(
        namespaces=tuple(params["namespaces"]),
        names=tuple(params["names"]),
        label_selector=params["label_selector"],
        select=params["select"],
        exclude=tuple(params["exclude"]),
    )
    return frozenset(vm.key for vm in choose(snapshot, selection))


def _named(names: Collection[str], snapshot: Snapshot) -> frozenset[str]:
    if not names:
        return frozenset()
    try:
        return frozenset(vm.key for vm in choose(snapshot, Selection(names=tuple(names))))
    except InvalidInput as error:
        raise InvalidInput("pins", error.value, error.allowed, hint=error.hint) from error
