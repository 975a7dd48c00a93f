"""How densely nodes are packed: means, the highest with its node, and VMs for which no ratio counts."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.ocpv.scale.plugins.module_utils.cluster.model import (
    Instance,
    Node,
    Resources,
    Snapshot,
    VirtualMachine,
    VmSpec,
)
from ansible_collections.ocpv.scale.plugins.module_utils.migration.config.levels import (
    level_cautions,
    level_text,
    levels_of,
)

GIB = 1024**3


def node(name: str, cores: int, gib: int, *, takes_vms: bool = True) -> Node:
    labels = {"kubevirt.io/schedulable": "true"} if takes_vms else {}
    allocatable = Resources(cpu_millicores=cores * 1000, memory_bytes=gib * GIB)
    return Node(name, name, labels, (), False, True, allocatable)


def vm(name: str, on: str, vcpus: int, gib: int, **more: Any) -> VirtualMachine:
    spec = VmSpec(vcpus=vcpus, guest_memory_bytes=gib * GIB, **more)
    instance = Instance(name, "Running" if on else "Pending", on, spec, {}, {}, {})
    return VirtualMachine("ns", name, name, {}, {}, {}, "Always", False, "Running", spec, instance)


def snapshot(nodes: list[Node], machines: list[VirtualMachine]) -> Snapshot:
    return Snapshot(
        "2026-03-01T22:00:00Z",
        "uid",
        nodes={each.name: each for each in nodes},
        virtual_machines={each.key: each for each in machines},
    )


def test_levels_are_of_running_vms_and_of_nodes_that_take_vms() -> None:
    found = levels_of(
        snapshot(
            [node("a", 10, 100), node("b", 10, 100), node("control", 4, 16, takes_vms=False)],
            [
                vm("one", "a", 15, 50),
                vm("two", "a", 4, 42, requests={"cpu": "4"}),
                vm("three", "b", 5, 10, dedicated_cpus=True),
                vm("waiting", "", 99, 99),
            ],
        )
    )
    assert found == {
        "running": 3,
        "own_requests": 2,
        "vcpus_per_core": {"mean": 1.2, "highest": 1.9, "node": "a"},
        "guest_memory": {"mean": 0.51, "highest": 0.92, "node": "a"},
    }
    assert [caution.code for caution in level_cautions(found)] == ["cpu_level", "memory_level"]
    assert "at most 92% (a); 2 of 3 VMs" in level_text(found)


@pytest.mark.parametrize(("vcpus", "gib", "codes"), [(18, 90, []), (19, 90, ["cpu_level"]), (18, 91, ["memory_level"])])
def test_up_to_the_limits_of_the_guide_nothing_is_said(vcpus: int, gib: int, codes: list[str]) -> None:
    found = levels_of(snapshot([node("a", 10, 100)], [vm("one", "a", vcpus, gib)]))
    assert [caution.code for caution in level_cautions(found)] == codes


def test_without_nodes_or_vms_there_are_no_levels() -> None:
    empty = {"mean": 0.0, "highest": 0.0, "node": ""}
    found = levels_of(snapshot([], []))
    assert (found["vcpus_per_core"], found["guest_memory"]) == (empty, empty)
    assert levels_of(snapshot([node("a", 10, 100)], []))["guest_memory"] == {**empty, "node": "a"}
