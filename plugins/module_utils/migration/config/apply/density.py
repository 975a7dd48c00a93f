# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""hco_density_config as one call: read, decide, write, read back, wait, tell."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any, Callable, Mapping, Optional

from .... import names
from ....cluster.capture import capture
from ....cluster.gateway import Gateway, Object
from ....cluster.resources import KUBEVIRTS
from ....errors import InvalidInput, NotFound, OcpvError
from ... import hyperconverged as hco
from ...settings import kubevirt_release
from ..api_replicas import (
    PATCHABLE_SINCE,
    SCHEDULABLE_SINCE,
    Replicas,
    asked_replicas,
    automatic_replicas,
    dump_operations,
    read_operations,
    wanted_replicas,
    with_replicas,
    without_replicas,
)
from ..cautions import Caution, kept_by, not_well
from ..density import APPLIED_PATHS, FIELDS, DensityWish, density_cautions, parse_density, paths
from ..levels import level_cautions, level_text, levels_of
from ..owner import signs_of_owner
from ..settled import Expectation, is_well, told_by, waiting_for
from ..told import lines_of
from .call import carried_out
from .target import Target, Written, change, find_target
from .wait import TOLD_WITH_FAILURE, look, wait_until_in_force

TAINTED = "TaintedConfiguration"


def configure_density(module: Any, connect: Callable[[], Gateway]) -> dict[str, Any]:
    """Do what the options of a module call ask for and return its result. Raises OcpvError."""
    wish = parse_density(module.params)
    gateway = connect()
    target = find_target(gateway, module.params.get("namespace"))
    operation = DensityOperation(target, wish, check_only=module.check_mode)
    return carried_out(module, operation)


@dataclass(frozen=True)
class Facts:
    """What of the cluster decides: the number of VMs, of nodes that the operator counts, C(infra.replicas) of the
    KubeVirt, its release, and how densely nodes are packed (see levels.levels_of)."""

    machines: int = 0
    nodes: int = 0
    infra_replicas: Optional[int] = None
    release: Optional[tuple[int, int]] = None
    levels: Mapping[str, Any] = field(default_factory=dict)


class DensityOperation:
    """One change of the density settings. C(clock) and C(sleep) are given for tests."""

    def __init__(
        self,
        target: Target,
        wish: DensityWish,
        *,
        check_only: bool = False,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._target = target
        self._wish = wish
        self._check_only = check_only
        self._clock = clock
        self._sleep = sleep
        self._facts = Facts()

    def run(self, wait: bool, timeout_seconds: float) -> dict[str, Any]:
        """Write what differs and return the result; with C(wait) not before it is obeyed everywhere."""
        self._facts = self._read_facts()
        written = change(self._target, self._patch, check_only=self._check_only, sleep=self._sleep)
        after = self._values(written.after)
        dropped = [name for name, value in self._wish.values.items() if value not in (None, after[name])]
        if dropped:
            raise OcpvError(
                f"{self._target.location} does not have what was written: "
                + ", ".join(f"{name} is {after[name]!r}" for name in dropped),
                hint="Something changes the object on its way, such as an admission webhook.",
            )
        result = self._result(written)
        if wait:
            try:
                result["waited_for"] = self._wait(written, timeout_seconds)
            except OcpvError as error:
                error.details.update({name: result[name] for name in TOLD_WITH_FAILURE})
                raise
        return result

    def _read_facts(self) -> Facts:
        gateway = self._target.gateway
        try:
            kubevirt = gateway.get(KUBEVIRTS, hco.KUBEVIRT_NAME, self._target.namespace)
        except NotFound:
            kubevirt = {}
        release = kubevirt_release(str(hco.read_path(kubevirt, ("status",)).get("observedKubeVirtVersion") or ""))
        # an unknown version is taken for a newer one
        all_nodes = release is not None and release < SCHEDULABLE_SINCE
        snapshot = capture(gateway, ("nodes", "virtual_machines"))
        fixed = hco.read_value(kubevirt, hco.KUBEVIRT_INFRA_REPLICAS)
        return Facts(
            machines=sum(vm.has_vm for vm in snapshot.virtual_machines.values()),
            nodes=sum(all_nodes or node.runs_vms for node in snapshot.nodes.values()),
            infra_replicas=None if fixed is None else int(fixed),
            release=release,
            levels=levels_of(snapshot),
        )

    def _values(self, hyperconverged: Mapping[str, Any]) -> dict[str, Any]:
        return {name: hco.read_value(hyperconverged, path) for name, path in paths(self._target.layout).items()}

    def _replicas(self, hyperconverged: Mapping[str, Any]) -> Replicas:
        return Replicas(
            wanted_replicas(self._facts.machines, self._wish.machines_per_replica),
            automatic_replicas(self._facts.nodes),
            asked_replicas(read_operations(_annotations(hyperconverged))),
            self._facts.infra_replicas,
        )

    def _patch(self, hyperconverged: Object) -> dict[str, Any]:
        found = self._values(hyperconverged)
        body: dict[str, Any] = {}
        for name, path in paths(self._target.layout).items():
            if name in self._wish.values and found[name] != self._wish.values[name]:
                body = _merged(body, hco.nested(path, self._wish.values[name]))
        annotations = self._annotation_changes(hyperconverged)
        if annotations:
            body["metadata"] = {"annotations": annotations}
        return body

    def _annotation_changes(self, hyperconverged: Object) -> dict[str, Optional[str]]:
        """What of the annotations has to change for the wanted replicas; others' operations stay as they are."""
        if self._wish.replicas is None:
            return {}
        annotations = _annotations(hyperconverged)
        operations = read_operations(annotations)
        ours = _ours(annotations)
        replicas = self._replicas(hyperconverged)
        others = without_replicas(operations, ours)
        wanted: Optional[int] = None
        if self._wish.replicas and replicas.fixed is None and asked_replicas(others) is None:
            wanted = replicas.wanted if replicas.wanted > replicas.automatic else None
        if wanted is not None:
            self._check_release()
        if wanted == ours and (wanted is None or asked_replicas(operations) == wanted):
            return {}
        after = others if wanted is None else with_replicas(operations, wanted, ours)
        changes: dict[str, Optional[str]] = {names.API_REPLICAS: None if wanted is None else str(wanted)}
        if after != operations:
            changes[hco.JSON_PATCH] = dump_operations(after)
        return changes

    def _check_release(self) -> None:
        release = self._facts.release
        if release is not None and release < PATCHABLE_SINCE:
            raise InvalidInput(
                "raise_virt_api",
                True,
                "this release of KubeVirt ({}.{}) scales virt-api back to its own number".format(*release),
                hint="Update to {}.{} or later.".format(*PATCHABLE_SINCE),
            )

    def _wait(self, written: Written, timeout_seconds: float) -> dict[str, Any]:
        after = self._values(written.after)
        operations = read_operations(_annotations(written.after))
        asked = _ours(_annotations(written.after)) if self._wish.replicas else None
        where = paths(self._target.layout)
        fields = [name for name in FIELDS if name in self._wish.values and not _patched(operations, name)]
        expected = Expectation(
            {where[name]: after[name] for name in fields},
            {APPLIED_PATHS[name]: after[name] for name in fields},
            api_replicas=asked,
            conditions=written.changed,
            well=is_well(written.before),
        )
        if not written.changed and not waiting_for(look(self._target, expected), expected):
            return {"in_force": True, "waited_seconds": 0}
        reached = wait_until_in_force(self._target, expected, timeout_seconds, clock=self._clock, sleep=self._sleep)
        return {"in_force": True, "waited_seconds": round(reached.seconds)}

    def _result(self, written: Written) -> dict[str, Any]:
        before, after = self._values(written.before), self._values(written.after)
        annotations = (_annotations(written.before), _annotations(written.after))
        replicas = (self._replicas(written.before), self._replicas(written.after))
        changed = [name for name in FIELDS if before[name] != after[name]]
        if annotations[0].get(hco.JSON_PATCH) != annotations[1].get(hco.JSON_PATCH):
            changed.append("virt_api_replicas")
        shown = [
            {**values, "virt_api_replicas": counted.asked, "annotation": text.get(hco.JSON_PATCH)}
            for values, counted, text in zip((before, after), replicas, annotations)
        ]
        machines, nodes = self._facts.machines, self._facts.nodes
        found = self._cautions(written, after, replicas[1])
        note = (
            f"virt-api: {machines} VMs need {replicas[1].wanted} replicas, the operator makes {replicas[1].automatic} "
            f"for {nodes} nodes, and there come to be {replicas[1].given}."
        )
        return {
            "changed": written.changed,
            "lines": lines_of(self._target.location, before, after, found, [note, level_text(self._facts.levels)]),
            "levels": self._facts.levels,
            "api_version": self._target.resource.api_version,
            "namespace": self._target.namespace,
            "before": before,
            "after": after,
            "changed_fields": changed,
            "virt_api": {**replicas[1].to_dict(), "virtual_machines": machines, "nodes": nodes},
            "cautions": [caution.to_dict() for caution in found],
            "waited_for": {"in_force": False, "waited_seconds": 0},
            "diff": {
                "before_header": self._target.location,
                "after_header": self._target.location,
                "before": shown[0],
                "after": shown[1],
            },
        }

    def _cautions(self, written: Written, after: Mapping[str, Any], replicas: Replicas) -> list[Caution]:
        found = density_cautions(after, self._wish)
        if any(value is not None for value in self._wish.values.values()):
            found += level_cautions(self._facts.levels)
        annotations = _annotations(written.after)
        if self._wish.replicas and replicas.given < replicas.wanted:
            why = "infra.replicas of the KubeVirt" if replicas.fixed is not None else f"the annotation {hco.JSON_PATCH}"
            found.append(
                Caution(
                    "too_few_api_replicas",
                    f"{replicas.wanted} replicas of virt-api are wanted, and {why}, which somebody else has set, gives "
                    f"{replicas.given}. It is left as it is.",
                )
            )
        if annotations.get(hco.JSON_PATCH) and self._wish.replicas is not None:
            found.append(
                Caution(
                    "tainted",
                    f"While the annotation {hco.JSON_PATCH} is there, the HyperConverged has the condition {TAINTED} "
                    "and the alert UnsupportedHCOModification fires: support may ask for it to be removed.",
                )
            )
        if written.changed and not is_well(written.before):
            found.append(not_well(told_by(written.before)))
        return found + kept_by(signs_of_owner(written.before) if written.changed else ())


def _annotations(hyperconverged: Mapping[str, Any]) -> Mapping[str, str]:
    return hco.read_path(hyperconverged, ("metadata", "annotations"))


def _ours(annotations: Mapping[str, str]) -> Optional[int]:
    """The number of replicas that this collection has asked for."""
    text = annotations.get(names.API_REPLICAS) or ""
    return int(text) if text.isdigit() else None


def _patched(operations: list[dict[str, Any]], name: str) -> bool:
    path = "/" + "/".join(APPLIED_PATHS[name])
    return any(path == each["path"] or path.startswith(each["path"] + "/") for each in operations)


def _merged(one: dict[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(one)
    for name, value in other.items():
        inner = merged.get(name)
        merged[name] = _merged(inner, value) if isinstance(inner, dict) and isinstance(value, dict) else value
    return merged
