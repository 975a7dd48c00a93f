from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.ocpv.scale.plugins.module_utils.migration.network.enactments import progress_of, shortened

Obj = dict[str, Any]
NODES = ["worker-01", "worker-02"]
# as kubernetes-nmstate writes it
LONG = """error reconciling NodeNetworkConfigurationPolicy on node worker-02 at desired state apply: "",
 failed to execute nmstatectl set --no-commit: 'exit status 1' '' '[2026-03-01T12:00:00Z INFO  nmstate::nm] x
[2026-03-01T12:00:01Z ERROR nmstate] y
NmstateError: VerificationError: Verification failure: ens2f0.interface.mtu desire '9000', current '1500'
'"""


def policy(available: str = "Unknown", ignored: str = "False", generation: int = 2) -> Obj:
    conditions = [
        {"type": "Available", "status": available},
        {"type": "Ignored", "status": ignored, "reason": "NoMatchingNode", "message": "Policy does not match any node"},
    ]
    return {"metadata": {"generation": generation}, "status": {"conditions": conditions}}


def enactment(node: str, *true: str, generation: int = 2, message: str = "") -> Obj:
    kinds = ("Failing", "Available", "Progressing", "Pending", "Aborted")
    conditions = [{"type": k, "status": "True" if k in true else "False", "message": message} for k in kinds]
    labels = {"nmstate.io/node": node, "nmstate.io/policy": "p"}
    return {"metadata": {"labels": labels}, "status": {"policyGeneration": generation, "conditions": conditions}}


DONE = [enactment(name, "Available") for name in NODES]


@pytest.mark.parametrize(
    ("state", "enactments", "verdict", "statuses"),
    [
        (policy("True"), DONE, "done", ["configured", "configured"]),
        # the policy's conditions may be those of an earlier generation
        (policy("True"), [enactment(name, "Available", generation=1) for name in NODES], "going_on", ["waiting"] * 2),
        (policy("True"), DONE[:1], "going_on", ["configured", "waiting"]),
        (policy("Unknown"), DONE, "going_on", ["configured", "configured"]),
        (policy(), [], "going_on", ["waiting", "waiting"]),
        (policy(), [DONE[0], enactment("worker-02", "Pending")], "going_on", ["configured", "pending"]),
        (policy(), [DONE[0], enactment("worker-02", "Progressing")], "going_on", ["configured", "progressing"]),
        # nmstate tries again, up to five times
        (policy(), [DONE[0], enactment("worker-02", "Failing", "Progressing")], "going_on", ["configured", "retrying"]),
        (policy("False"), [DONE[0], enactment("worker-02", "Failing")], "broken", ["configured", "failed"]),
        (policy(), [enactment("worker-01", "Progressing"), enactment("worker-02", "Failing")], "going_on",
         ["progressing", "failed"]),
        (policy("False"), [enactment("worker-01", "Aborted"), enactment("worker-02", "Failing")], "broken",
         ["aborted", "failed"]),
        (policy("False", "True"), [], "broken", ["waiting", "waiting"]),
    ],
)  # fmt: skip
def test_what_follows_from_the_enactments(state: Obj, enactments: list[Obj], verdict: str, statuses: list[str]) -> None:
    progress = progress_of(state, enactments, NODES, [])
    assert progress.verdict == verdict
    assert [item.status for item in progress.nodes] == statuses


def test_nodes_that_are_not_ready_are_told_and_not_waited_for() -> None:
    progress = progress_of(policy("True"), DONE, NODES, ["worker-03"])
    assert progress.verdict == "done"
    assert [item.status for item in progress.nodes] == ["configured", "configured", "not_ready"]


def test_only_what_nmstate_found_wrong_is_told() -> None:
    text = "VerificationError: Verification failure: ens2f0.interface.mtu desire '9000', current '1500"
    assert shortened(LONG) == text
    progress = progress_of(policy("False"), [DONE[0], enactment("worker-02", "Failing", message=LONG)], NODES, [])
    assert progress.nodes[1].message == text
    assert len(shortened("x" * 5000)) < 500
    assert shortened("something\n else") == "something else"
