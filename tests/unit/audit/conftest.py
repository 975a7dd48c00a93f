"""A small cluster as the auditor sees it, and a way to let things happen in it."""

from __future__ import annotations

import copy
import json
from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import pytest
from audit.auditor import Auditor
from audit.findings import Finding
from simcluster.scenarios import load

Obj = dict[str, Any]
PLURALS = {
    "Node": "nodes",
    "Pod": "pods",
    "VirtualMachine": "virtualmachines",
    "VirtualMachineInstance": "virtualmachineinstances",
    "VirtualMachineInstanceMigration": "virtualmachineinstancemigrations",
    "KubeVirt": "kubevirts",
    "HyperConverged": "hyperconvergeds",
}


class Happenings:
    """Objects of a scenario, an auditor that watches them, and a clock that only moves when told."""

    def __init__(self, objects: dict[str, list[Obj]], **options: Any) -> None:
        self.objects = objects
        self.now = 1000.0
        self.auditor = Auditor(lag_seconds=2, overlap_seconds=10, **options)
        self.auditor.begin(objects, self.now)
        self.before = json.loads(json.dumps(objects))

    def find(self, kind: str, name: str) -> Obj:
        return next(obj for obj in self.objects[kind] if obj["metadata"]["name"] == name)

    def launcher(self, machine: str) -> Obj:
        return next(
            pod for pod in self.objects["pods"] if pod["metadata"]["labels"].get("vm.kubevirt.io/name") == machine
        )

    def event(self, kind: str, obj: Obj, event: str = "MODIFIED") -> None:
        self.now += 0.01
        known = self.objects.setdefault(kind, [])
        known[:] = [other for other in known if other["metadata"]["uid"] != obj["metadata"]["uid"]]
        if event != "DELETED":
            known.append(obj)
        self.auditor.observe(kind, event, copy.deepcopy(obj), self.now)

    def target_pod(self, machine: str, node: str, *, phase: str = "Running", name: str = "target") -> Obj:
        """A second launcher of C(machine), placed on C(node)."""
        pod = copy.deepcopy(self.launcher(machine))
        pod["metadata"].update(name=f"virt-launcher-{machine}-{name}", uid=f"{machine}-{name}")
        pod["spec"]["nodeName"] = node
        pod["status"]["phase"] = phase
        self.event("pods", pod, "ADDED")
        return pod

    def migration(self, machine: str, phase: str, *, name: str = "m1", run: str = "r1", move: str = "") -> Obj:
        """A migration of C(machine) in C(phase)."""
        source = self.launcher(machine)
        labels = {"ocpv.scale/run": run, "ocpv.scale/move": move} if move else {"ocpv.scale/run": run}
        obj = {
            "metadata": {
                "namespace": source["metadata"]["namespace"],
                "name": f"{machine}-{name}",
                "uid": f"{machine}-{name}",
                "labels": labels,
            },
            "spec": {"vmiName": machine},
            "status": {"phase": phase, "migrationState": {"sourcePod": source["metadata"]["name"]}},
        }
        self.event("virtualmachineinstancemigrations", obj)
        return obj

    def later(self, seconds: float) -> None:
        self.now += seconds
        self.auditor.tick(self.now)

    def findings(self) -> list[Finding]:
        """Everything found so far, once all suspicions had their time."""
        self.later(30)
        return self.auditor.take()

    def rules(self) -> list[str]:
        return [finding.rule for finding in self.findings() if finding.severity == "violation"]


@cache
def objects_by_plural(scenario: str) -> str:
    """The scenario's objects by plural name, as JSON: each test reads its own copy."""
    objects: dict[str, list[Obj]] = defaultdict(list)
    for obj in load(scenario).objects:
        if obj["kind"] in PLURALS:
            objects[PLURALS[obj["kind"]]].append(obj)
    return json.dumps(objects)


@pytest.fixture
def cluster() -> Iterator[Callable[..., Happenings]]:
    def make(scenario: str = "small", **options: Any) -> Happenings:
        return Happenings(json.loads(objects_by_plural(scenario)), **options)

    yield make
