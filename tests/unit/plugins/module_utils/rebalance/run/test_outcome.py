"""What became of a live migration, told apart by what KubeVirt leaves behind."""

from __future__ import annotations

from dataclasses import replace

import pytest
from ansible_collections.ocpv.scale.plugins.module_utils.cluster.model import Migration, MigrationState
from ansible_collections.ocpv.scale.plugins.module_utils.rebalance.run.outcome import Ending, arrived, conclude

MIGRATION = Migration(
    "shop", "ocpv-r-m1-1", "uid-1", "web", "Failed", {}, {}, created="2026-03-01T12:00:00Z",
    transitions={"Failed": "2026-03-01T12:00:09Z", "Succeeded": "2026-03-01T12:00:08Z"},
)  # fmt: skip
STATE = MigrationState(
    migration_uid="uid-1",
    source_node="one",
    target_node="two",
    start="2026-03-01T12:00:01Z",
    end="2026-03-01T12:00:07Z",
    completed=True,
)
BROKEN = replace(STATE, failed=True)
ENDING = Ending(target="two", migration=MIGRATION, state=None, vm_exists=True, node="one")
ABORTED = replace(BROKEN, failure_reason="Live migration has been aborted")

CASES = {
    "a success": (
        replace(ENDING, migration=replace(MIGRATION, phase="Succeeded"), state=STATE, node="two"), "", False,
    ),
    "a success that was cancelled too late": (
        replace(ENDING, state=STATE, node="two", cancelled_code="migration_timeout", cancelled="too slow"), "", False,
    ),
    "a selector that won": (
        replace(ENDING, migration=replace(MIGRATION, phase="Succeeded"), state=replace(STATE, target_node="three"),
                node="three"), "wrong_target", False,
    ),
    "libvirt's error": (replace(ENDING, state=replace(BROKEN, failure_reason="internal error")), "source_failed", True),
    "no word at all": (ENDING, "source_failed", True),
    "no place": (
        replace(ENDING, events=("Migration target pod was removed", "unschedulable: 0/5 nodes are available")),
        "target_unschedulable", True,
    ),
    "the target pod": (replace(ENDING, state=replace(BROKEN, failure_reason="Target pod is down")),
                       "target_pod_failed", True),
    "the target pod, by event": (
        replace(ENDING, events=("Migration failed because target pod shutdown during migration",)),
        "target_pod_failed", True,
    ),
    "the target node": (
        replace(ENDING, state=replace(BROKEN, failure_reason="Target pod is down"), target_ready=False),
        "target_node_lost", True,
    ),
    "the completion timeout": (replace(ENDING, state=ABORTED, copy_seconds=341.0, limit_seconds=340.0),
                               "completion_timeout", True),
    "the progress timeout": (replace(ENDING, state=ABORTED, copy_seconds=160.0, limit_seconds=340.0),
                             "progress_timeout", True),
    "no completion timeout set": (replace(ENDING, state=ABORTED, copy_seconds=900.0), "progress_timeout", True),
    "somebody's cancellation": (
        replace(ENDING, migration=replace(MIGRATION, deleting=True), state=ABORTED, copy_seconds=3.0),
        "cancelled", False,
    ),
    "somebody's cancellation before it ran": (
        replace(ENDING, migration=replace(MIGRATION, deleting=True), events=("unschedulable",)), "cancelled", False,
    ),
    "our own cancellation": (
        replace(ENDING, state=ABORTED, cancelled_code="migration_timeout", cancelled="had not ended after 60 s"),
        "migration_timeout", True,
    ),
    "the guest's shutdown": (replace(ENDING, node=""), "vm_stopped", False),
    "the VM's deletion": (replace(ENDING, node="", vm_exists=False), "vm_gone", False),
}  # fmt: skip


@pytest.mark.parametrize(("ending", "code", "retryable"), CASES.values(), ids=CASES)
def test_endings_are_told_apart(ending, code, retryable) -> None:
    outcome = conclude(ending)
    assert (outcome.code, outcome.retryable) == (code, retryable)
    assert (outcome.status == "succeeded") == (code == "") == arrived(ending)
    assert outcome.started_at == MIGRATION.created
    assert outcome.ended_at
    if code:
        assert outcome.message
        assert outcome.hint or code == "vm_gone"


def test_the_schedulers_words_are_in_the_message() -> None:
    assert "0/5 nodes are available" in conclude(CASES["no place"][0]).message
