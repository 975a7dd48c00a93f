# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The rules a plan was made by and is executed by: limits that hold at every step of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Mapping

from ..errors import InvalidInput

REQUESTED = "requested"
ALLOCATED = "allocated"
USED = "used"
BASES = (REQUESTED, ALLOCATED, USED)
CPU = "cpu"
MEMORY = "memory"
RESOURCES = (CPU, MEMORY)


@dataclass(frozen=True)
class Refusal:
    """Why a VM cannot go to a node: C(code) for programs, C(message) for people."""

    code: str
    message: str


@dataclass(frozen=True)
class Rules:
    """What must hold whenever a move starts.

    C(headroom_cpu) and C(headroom_memory) are shares (0 to 1) of a node's allocatable that stay free of requests.
    C(allow_over_percent) bounds guest memory, and with C(basis) allocated also vCPUs, as a percentage of allocatable:
    no move may lift a node above it. With C(keep_node_loss) the VMs of any one node must keep room on the others, for
    all nodes of which that is true at the start. C(closed_nodes) receive nothing.
    """

    basis: str = REQUESTED
    headroom_cpu: float = 0.0
    headroom_memory: float = 0.0
    allow_over_percent: int = 100
    keep_node_loss: bool = True
    closed_nodes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the rules as they stand in a plan (request.rules)."""
        return {
            "basis": self.basis,
            "headroom_cpu_percent": round(self.headroom_cpu * 100, 6),
            "headroom_memory_percent": round(self.headroom_memory * 100, 6),
            "allow_over_percent": self.allow_over_percent,
            "keep_node_loss": self.keep_node_loss,
            "closed_nodes": list(self.closed_nodes),
        }


def parse_rules(document: Mapping[str, Any], option: str = "plan.request.rules") -> Rules:
    """Return the rules of a plan's C(request.rules); what is absent has its default. Raises InvalidInput."""
    known = Rules().to_dict()
    for name, value in document.items():
        if name not in known:
            raise InvalidInput(f"{option}.{name}", value, f"the rules are {', '.join(known)}")
    basis = document.get("basis", REQUESTED)
    if basis not in BASES:
        raise InvalidInput(f"{option}.basis", basis, f"one of {', '.join(BASES)} is needed")
    keep = document.get("keep_node_loss", True)
    if not isinstance(keep, bool):
        raise InvalidInput(f"{option}.keep_node_loss", keep, "true or false is needed")
    closed = document.get("closed_nodes") or ()
    if not isinstance(closed, (list, tuple)) or not all(isinstance(name, str) for name in closed):
        raise InvalidInput(f"{option}.closed_nodes", closed, "a list of node names is needed")
    return Rules(
        basis=basis,
        headroom_cpu=_percent(document, "headroom_cpu_percent", option, 0, 0, 99) / 100,
        headroom_memory=_percent(document, "headroom_memory_percent", option, 0, 0, 99) / 100,
        allow_over_percent=int(_percent(document, "allow_over_percent", option, 100, 100, 1000)),
        keep_node_loss=keep,
        closed_nodes=tuple(closed),
    )


def _percent(
    document: Mapping[str, Any], name: str, option: str, default: float, lowest: float, highest: float
) -> float:
    value = document.get(name, default)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not lowest <= value <= highest:
        raise InvalidInput(f"{option}.{name}", value, f"a number from {lowest} to {highest} is needed")
    return value
