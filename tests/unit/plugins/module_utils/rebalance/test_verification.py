"""What a look at the cluster after a run finds."""

from __future__ import annotations

from dataclasses import replace

import pytest
from ansible_collections.ocpv.scale.plugins.module_utils import names
from ansible_collections.ocpv.scale.plugins.module_utils.cluster.model import (
    Instance,
    Migration,
    Snapshot,
    VirtualMachine,
    VmSpec,
)
from ansible_collections.ocpv.scale.plugins.module_utils.errors import OcpvError
from ansible_collections.ocpv.scale.plugins.module_utils.rebalance.record import Attempt, Item, RunRecord
from ansible_collections.ocpv.scale.plugins.module_utils.rebalance.verification import (
    complaint,
    verification,
    verify_record,
)


def machine(node: str = "worker-2", strategy: str = "Always", **annotations: str) -> VirtualMachine:
    instance = Instance("vmi", "Running", node, VmSpec(), {}, {}, {}) if node else None
    return VirtualMachine(
        "shop", "web", "uid", {}, annotations, {}, strategy, False, "Running" if node else "Stopped", VmSpec(), instance
    )


def look(vm: VirtualMachine | None, *migrations: Migration, status: str = "succeeded") -> list[str]:
    item = Item("m1", "shop", "web", "live", "worker-1", "worker-2", "canary", 1, status, attempts=[Attempt(1)])
    snapshot = Snapshot("", "cluster", virtual_machines={vm.key: vm} if vm else {}, migrations=migrations)
    record = RunRecord("run1", "plan", "digest", "cluster", items=[item])
    return [finding.code for finding in verify_record(snapshot, record)]


@pytest.mark.parametrize(
    ("vm", "status", "codes"),
    [
        (machine(), "succeeded", []),
        (machine("worker-1"), "succeeded", ["elsewhere"]),
        (machine("worker-1"), "failed", []),
        (machine(""), "succeeded", ["not_running"]),
        (machine(""), "failed", ["not_running"]),
        (machine("", "Halted"), "succeeded", []),
        (machine(**{names.COLD_MOVE: "{}"}), "succeeded", ["placement_not_restored"]),
        (machine("worker-1", **{names.STEERED_MOVE: "{}"}), "failed", ["placement_not_restored"]),
        (None, "succeeded", ["gone"]),
        (None, "skipped", []),
    ],
)
def test_every_way_to_disagree_is_found(vm: VirtualMachine | None, status: str, codes: list[str]) -> None:
    assert look(vm, status=status) == codes


@pytest.mark.parametrize(
    ("second", "node", "codes"),
    [
        ("succeeded", "worker-2", []),
        ("succeeded", "worker-3", ["elsewhere"]),
        ("failed", "worker-3", []),
        ("failed", "worker-2", ["elsewhere"]),
    ],
)
def test_of_a_parked_vm_only_the_last_move_that_succeeded_counts(second: str, node: str, codes: list[str]) -> None:
    items = [
        Item("m1", "shop", "web", "live", "worker-1", "worker-3", "all", 1, "succeeded"),
        Item("m2", "shop", "web", "live", "worker-3", "worker-2", "all", 2, second),
    ]
    vm = machine(node)
    record = RunRecord("run1", "plan", "digest", "cluster", items=items)
    result = verification(Snapshot("", "cluster", virtual_machines={vm.key: vm}), record)
    assert [finding["code"] for finding in result["findings"]] == codes
    assert result["checked"] == 1


def test_only_unfinished_migrations_of_this_run_count() -> None:
    mine = Migration("shop", "ocpv-run1-m1-1", "u", "web", "Running", {names.RUN: "run1"}, {})
    assert look(machine(), mine) == ["migration_unfinished"]
    assert look(machine(), replace(mine, phase="Succeeded"), replace(mine, labels={names.RUN: "other"})) == []


def test_findings_become_one_error_that_names_vm_and_remedy() -> None:
    item = Item("m1", "shop", "web", "live", "worker-1", "worker-2", "canary", 1, "succeeded")
    vm = machine("worker-9")
    record = RunRecord("run1", "plan", "digest", "cluster", items=[item])
    result = verification(Snapshot("", "cluster", virtual_machines={vm.key: vm}), record)
    assert (result["verified"], result["checked"]) == (False, 1)
    with pytest.raises(OcpvError, match=r"shop/web: it was moved to worker-2 and runs on worker-9.*Plan again"):
        complaint(result)
