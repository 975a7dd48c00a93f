"""What node network policies and their enactments say of themselves. Pure.

Source: kubernetes-nmstate pkg/enactmentstatus/conditions, pkg/policyconditions/conditions.go, pkg/node/nodes.go.
"""

from __future__ import annotations

import math
from typing import Any

Obj = dict[str, Any]
RETRIES = 5
ENACTMENT_TYPES = ("Failing", "Available", "Progressing", "Pending", "Aborted")
POLICY_TYPES = ("Available", "Degraded", "Progressing", "Ignored")
RESET = [(kind, "Unknown", "", "") for kind in POLICY_TYPES]


def policy_conditions(outcomes: list[str], ignored: int) -> list[tuple[str, str, str, str]]:
    """Type, status, reason and message, from the true conditions of the enactments on nodes that are ready."""
    total = len(outcomes)
    tail = f", {ignored} nodes ignored due to NotReady state" if ignored else ""
    failed, aborted, done = (outcomes.count(each) for each in ("Failing", "Aborted", "Available"))
    if not outcomes:
        text = "Policy does not match any node"
        return [(kind, "False", "NoMatchingNode", "") for kind in POLICY_TYPES[:-1]] + [
            ("Ignored", "True", "NoMatchingNode", text)
        ]
    finished = failed + aborted + done
    if finished < total:
        pending = outcomes.count("Pending")
        text = f"Policy is progressing {finished}/{total} nodes finished"
        text += (f", {pending} pending" if pending else "") + tail
        reason = "ConfigurationProgressing"
        return [
            ("Available", "Unknown", reason, ""),
            ("Degraded", "Unknown", reason, ""),
            ("Progressing", "True", reason, text),
            ("Ignored", "False", reason, ""),
        ]
    if failed or aborted:
        text = f"{failed}/{total} nodes failed to configure"
        text += f", {aborted} nodes aborted configuration" if aborted else ""
        return [
            ("Available", "False", "FailedToConfigure", ""),
            ("Degraded", "True", "FailedToConfigure", text),
            ("Progressing", "False", "ConfigurationProgressing", ""),
            ("Ignored", "False", "FailedToConfigure", ""),
        ]
    reason = "SuccessfullyConfigured"
    return [
        ("Available", "True", reason, f"{done}/{total} nodes successfully configured{tail}"),
        ("Degraded", "False", reason, ""),
        ("Progressing", "False", reason, ""),
        ("Ignored", "False", reason, ""),
    ]


def max_unavailable(value: int | str | None, nodes: int) -> int:
    """How many nodes may be busy: half of them by default, percentages round up, at least one (nodes.go)."""
    text = "50%" if value is None else str(value)
    if text.endswith("%"):
        number = math.ceil(int(text[:-1]) * nodes / 100)
    else:
        number = int(text) if text.lstrip("-").isdigit() else 0
    return max(1, number)


def conditions_after(before: list[Obj], values: list[tuple[str, str, str, str]], now: str) -> list[Obj]:
    """Conditions of these types, statuses, reasons and messages; the very same list if they were so."""
    known = {each["type"]: each for each in before}
    found = []
    for kind, status, reason, message in values:
        old = known.get(kind, {})
        same = old.get("status") == status
        if same and old.get("reason", "") == reason and old.get("message", "") == message:
            found.append(old)
            continue
        new = {
            "type": kind,
            "status": status,
            "lastHeartbeatTime": now,
            "lastTransitionTime": old.get("lastTransitionTime", now) if same else now,
        }
        new.update({key: value for key, value in (("reason", reason), ("message", message)) if value})
        found.append(new)
    return before if found == before else found


Outcome = tuple[str, dict[str, tuple[str, str]]]


def _states(status: str, **named: tuple[str, str]) -> dict[str, tuple[str, str]]:
    return {**dict.fromkeys(ENACTMENT_TYPES, (status, "")), **named}


def pending() -> Outcome:
    """It waits for its turn."""
    text = "Max unavailable node limit reached"
    return "MaxUnavailableLimitReached", _states("False", Pending=("True", text), Progressing=("False", text))


def progressing() -> Outcome:
    """The state is being applied."""
    states = _states(
        "False", Progressing=("True", "Applying desired state"), Failing=("Unknown", ""), Available=("Unknown", "")
    )
    return "ConfigurationProgressing", states


def succeeded() -> Outcome:
    """The node has the state."""
    return "SuccessfullyConfigured", _states("False", Available=("True", "successfully reconciled"))


def retrying(node: str, attempts: int) -> Outcome:
    """It failed and is tried again."""
    text = f"failed to reconcile NodeNetworkConfigurationPolicy on node {node}. Retrying {attempts + 1}/{RETRIES}"
    return "Retrying", _states("False", Failing=("True", text), Progressing=("True", text))


def failed(node: str, problem: str) -> Outcome:
    """It failed for the last time."""
    text = (
        f'error reconciling NodeNetworkConfigurationPolicy on node {node} at desired state apply: "",\n {problem}\n'
        ": failed to execute nmstatectl apply --no-commit --timeout 480: exit status 1"
    )
    return "FailedToConfigure", _states("False", Failing=("True", text))


def aborted(enactment: str) -> Outcome:
    """It is not tried, since another node failed."""
    text = f'reconciliation of enactment "{enactment}" has aborted'
    return "ConfigurationAborted", _states("False", Aborted=("True", text))
