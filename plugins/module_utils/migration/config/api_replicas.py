# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How many replicas of virt-api there should be, and the JSON patch by which more than the operator's are had. Pure.

Source: KubeVirt pkg/virt-operator/resource/apply/apps.go (getDesiredApiReplicas, replicasAlreadyPatched) and
patches.go; "VMs migration" of the reference architecture for one replica for each 750 VMs.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Mapping, Optional

from ...errors import InvalidInput
from .. import hyperconverged as hco

Operation = dict[str, Any]

# before this release a patched number is scaled away
PATCHABLE_SINCE = (1, 1)
# before this one all nodes are counted, not only those that take VMs
SCHEDULABLE_SINCE = (1, 7)
_LEAST = 2
_NODES_PER_REPLICA = 10
_VIRT_API = "virt-api"
_REPLICAS = "/spec/replicas"
_PATCHES = "/" + "/".join(hco.KUBEVIRT_PATCHES)
_CUSTOMIZE = _PATCHES.rpartition("/")[0]


@dataclass(frozen=True)
class Replicas:
    """Replicas of virt-api: C(wanted) for the VMs there are, C(automatic) by the operator, C(asked) by a JSON patch
    (None: by none), C(fixed) by C(infra.replicas) of the KubeVirt (None: by nothing)."""

    wanted: int
    automatic: int
    asked: Optional[int]
    fixed: Optional[int]

    @property
    def given(self) -> int:
        """What the cluster comes to."""
        if self.fixed is not None:
            return self.fixed
        return self.automatic if self.asked is None else self.asked

    def to_dict(self) -> dict[str, Any]:
        """Return it as a module tells it."""
        return {"wanted": self.wanted, "automatic": self.automatic, "asked": self.asked, "given": self.given}


def wanted_replicas(machines: int, per_replica: int) -> int:
    """Return the replicas that so many VMs need, at least two."""
    return max(_LEAST, -(-machines // per_replica))


def automatic_replicas(nodes: int) -> int:
    """Return the replicas that the operator makes for so many nodes."""
    return 1 if nodes == 1 else max(_LEAST, nodes // _NODES_PER_REPLICA)


def read_operations(annotations: Mapping[str, str]) -> list[Operation]:
    """Return the JSON patch of a HyperConverged's annotations. Raises InvalidInput if it is none."""
    text = annotations.get(hco.JSON_PATCH)
    if not text:
        return []
    try:
        operations = json.loads(text)
        if not isinstance(operations, list) or not all(isinstance(each["path"], str) for each in operations):
            raise ValueError("not a list of operations")
    except (ValueError, KeyError, TypeError) as error:
        raise InvalidInput(
            f"annotation {hco.JSON_PATCH}", text, "it is not a JSON patch", hint="Correct or remove it first."
        ) from error
    return operations


def asked_replicas(operations: list[Operation]) -> Optional[int]:
    """Return the number of replicas of virt-api that operations ask for; None if none does.

    The operator goes by the first patch that replaces the number.
    """
    for patch in _customizations(operations):
        if str(patch.get("resourceName", "")).lower() != _VIRT_API or patch.get("type") != "json":
            continue
        try:
            for inner in json.loads(patch.get("patch") or "[]"):
                if inner.get("op") == "replace" and inner.get("path") == _REPLICAS:
                    return int(inner["value"])
        except (ValueError, KeyError, TypeError, AttributeError):
            continue
    return None


def with_replicas(operations: list[Operation], replicas: int, ours: Optional[int]) -> list[Operation]:
    """Return operations that ask for replicas as well; C(ours) is the number this collection asked for before.

    All others stay as they are and in their order.
    """
    kept = without_replicas(operations, ours)
    place, value = (
        (f"{_PATCHES}/-", _customization(replicas)) if _have_list(kept) else (_PATCHES, [_customization(replicas)])
    )
    return [*kept, {"op": "add", "path": place, "value": value}]


def without_replicas(operations: list[Operation], ours: Optional[int]) -> list[Operation]:
    """Return operations without what this collection added, which was a number of replicas; others' stay."""
    if ours is None:
        return operations
    mine = _customization(ours)
    kept: list[Operation] = []
    for number, operation in enumerate(operations):
        path, value = operation["path"], operation.get("value")
        if path.startswith(f"{_PATCHES}/") and value == mine:
            continue
        if path == _PATCHES and isinstance(value, list) and mine in value:
            rest = [each for each in value if each != mine]
            needed = any(later["path"].startswith(f"{_PATCHES}/") for later in operations[number + 1 :])
            if not rest and not needed:
                continue
            operation = {**operation, "value": rest}
        kept.append(operation)
    return kept


def dump_operations(operations: list[Operation]) -> Optional[str]:
    """Return the annotation for operations; None for none."""
    return json.dumps(operations) if operations else None


def _customization(replicas: int) -> dict[str, Any]:
    return {
        "resourceType": "Deployment",
        "resourceName": _VIRT_API,
        "type": "json",
        "patch": json.dumps([{"op": "replace", "path": _REPLICAS, "value": replicas}]),
    }


def _have_list(operations: list[Operation]) -> bool:
    """Whether the list of customizations is there after these operations."""
    there = False
    for operation in operations:
        path, removed = operation["path"], operation.get("op") == "remove"
        if path == _PATCHES:
            there = not removed
        elif path == _CUSTOMIZE:
            value = operation.get("value")
            there = not removed and isinstance(value, dict) and isinstance(value.get("patches"), list)
    return there


def _customizations(operations: list[Operation]) -> list[Mapping[str, Any]]:
    """The customizations that operations add, as far as they are understood."""
    found: list[Any] = []
    for operation in operations:
        path, value = operation["path"], operation.get("value")
        if path == _CUSTOMIZE:
            found = list(value.get("patches") or ()) if isinstance(value, dict) else []
        elif path == _PATCHES:
            found = list(value) if isinstance(value, list) else []
        elif path.startswith(f"{_PATCHES}/") and operation.get("op") != "remove":
            found.append(value)
    return [each for each in found if isinstance(each, dict)]
