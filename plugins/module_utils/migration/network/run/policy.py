# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Writes the node network policy step by step, waits for every node, and goes back when one fails."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Callable, Mapping, Optional, Sequence

from .... import names
from ....cluster.gateway import Gateway, Object
from ....cluster.parse import parse_conditions
from ....cluster.resources import NODE_NETWORK_ENACTMENTS, NODE_NETWORK_POLICIES, NODES
from ....errors import ApiError, Conflict, NotFound, OcpvError, TimedOut
from ..enactments import (
    BROKEN,
    CONFIGURED,
    DONE,
    FAILED,
    GOING_ON,
    RETRYING,
    STILL_IN_PROGRESS,
    Progress,
    in_progress,
    policy_selector,
    progress_of,
)
from ..facts import Facts, NodeFacts, parse_node
from ..problems import named
from ..records import Former, former_of, leaving_spec, merge_patch

Spec = dict[str, Any]

_POLL_SECONDS = 2.0
_POLL_SECONDS_PER_NODE = 0.01
_ATTEMPTS = 5


class NotConfigured(OcpvError):
    """nmstate could not configure every node; C(progress) is what each of them said."""

    def __init__(self, message: str, progress: Progress, **more: Any) -> None:
        super().__init__(message, **more)
        self.progress = progress


class PolicyWork:
    """Work on one policy. Waits end when no node has got on for C(timeout_seconds)."""

    def __init__(
        self,
        gateway: Gateway,
        name: str,
        facts: Facts,
        *,
        timeout_seconds: float,
        clock: Callable[[], float],
        sleep: Callable[[float], None],
    ) -> None:
        self._gateway = gateway
        self._name = name
        self._facts = facts
        self._timeout_seconds = timeout_seconds
        self._clock = clock
        self._sleep = sleep
        # whether a policy that had failed was tried again
        self.restated = False

    def read(self) -> Optional[Object]:
        """Return the policy as it is now."""
        try:
            return self._gateway.get(NODE_NETWORK_POLICIES, self._name)
        except NotFound:
            return None

    def reach(self, target: Spec, network: str, former: Former) -> Progress:
        """Make the policy state C(target), with the marks of its owner; removes on the way what it stated before and
        does not any more. Raises NotConfigured and TimedOut."""
        marks = {"labels": {names.MIGRATION_NETWORK: network}, "annotations": {names.FORMER: former.text()}}
        current = self.read()
        if current is not None:
            between = leaving_spec(current["spec"], target, former.cards)
            if _interfaces(between) != _interfaces(target):
                self._state(between, marks)
        return self._state(target, marks)

    def withdraw(self, target: Optional[Spec], cards: Mapping[str, Mapping[str, Any]], *, keep_marks: bool) -> None:
        """Bring nodes and policy back to C(target), or to no policy at all. Raises NotConfigured and TimedOut."""
        current = self.read()
        if current is None:
            return
        self._state(leaving_spec(current["spec"], target, cards), {})
        if target is None:
            self._delete()
            return
        marks = {"labels": {names.MIGRATION_NETWORK: None}, "annotations": {names.FORMER: None}}
        self._state(target, {} if keep_marks else marks)

    def _state(self, spec: Spec, marks: Mapping[str, Any]) -> Progress:
        """Make the policy state C(spec), and return how the nodes have ended.

        nmstate tries a policy that has failed again only when it changes, so one that states this already and has
        failed is changed and changed back.
        """
        current = self.read()
        if current is not None and not changes_to(current, spec, {}) and self.progress().verdict == BROKEN:
            self.restated = True
            self.wait(self._put({**spec, "maxUnavailable": 2 if spec.get("maxUnavailable") == 1 else 1}, marks))
        return self.wait(self._put(spec, marks))

    def wait(self, policy: Object) -> Progress:
        """Return how the nodes have ended. Raises NotConfigured when one fails, TimedOut when none gets on any more."""
        deadline = self._clock() + self._timeout_seconds
        generation = policy["metadata"].get("generation", 1)
        configured = 0
        while True:
            progress = self.progress()
            if progress.verdict == DONE:
                return progress
            if progress.verdict == BROKEN:
                raise NotConfigured(self._what_failed(progress), progress)
            if len(progress.having(CONFIGURED)) > configured:
                configured = len(progress.having(CONFIGURED))
                deadline = self._clock() + self._timeout_seconds
            if self._clock() >= deadline:
                left = [item for item in progress.nodes if item.status != CONFIGURED]
                raise TimedOut(
                    f"The node network policy {self._name} (generation {generation}) is not in force on all nodes, and "
                    f"none has got on for {self._timeout_seconds:g} s: "
                    f"{named(f'{item.node} ({item.status})' for item in left)}.",
                    hint="nmstate may go on with it: run this again to wait on. Look at `oc get nnce` and at the "
                    "nmstate-handler pods of these nodes.",
                    details={"nodes": progress.to_list()},
                )
            # enactments hold whole states, of which many are not read every other second
            self._sleep(_POLL_SECONDS + len(progress.nodes) * _POLL_SECONDS_PER_NODE)

    def progress(self) -> Progress:
        """Return how far the policy is now."""
        policy = self._gateway.get(NODE_NETWORK_POLICIES, self._name)
        enactments = self._gateway.list(NODE_NETWORK_ENACTMENTS, label_selector=policy_selector(self._name)).items
        chosen = self._facts.selected((policy.get("spec") or {}).get("nodeSelector") or {})
        progress = progress_of(policy, enactments, *_by_readiness(chosen))
        conditions = parse_conditions((policy.get("status") or {}).get("conditions"))
        if progress.verdict == GOING_ON and "Available" in conditions and conditions["Available"].status == "True":
            # nmstate is through without nodes that have become unready meanwhile
            self._facts = replace(self._facts, nodes=tuple(self._gateway.list_as(NODES, parse_node).items))
        return progress

    def _what_failed(self, progress: Progress) -> str:
        failed = progress.having(FAILED, RETRYING)
        if not failed:
            return f"The node network policy {self._name} is not in force: {progress.reason}."
        said = "; ".join(f"{item.node}: {item.message}" for item in failed[:5])
        return f"nmstate could not configure {len(failed)} of {len(progress.nodes)} nodes. {said}."

    def _put(self, spec: Spec, marks: Mapping[str, Any]) -> Object:
        """Write spec and marks unless they are there, and return the policy. nmstate lets nobody change the spec of a
        policy that it is at work on, which is waited for."""
        deadline = self._clock() + self._timeout_seconds
        conflicts = 0
        while True:
            current = self.read()
            try:
                if current is None:
                    return self._create(spec, marks)
                patch = changes_to(current, spec, marks)
                if not patch:
                    return current
                if "spec" not in patch or not in_progress(current):
                    patch.setdefault("metadata", {})["resourceVersion"] = current["metadata"]["resourceVersion"]
                    return self._gateway.merge_patch(NODE_NETWORK_POLICIES, self._name, patch)
            except Conflict:
                conflicts += 1
                if conflicts == _ATTEMPTS:
                    raise
                continue
            except ApiError as error:
                if STILL_IN_PROGRESS not in error.message:
                    raise
            if self._clock() >= deadline:
                raise TimedOut(
                    f"nmstate was still at work on the node network policy {self._name} after "
                    f"{self._timeout_seconds:g} s, and lets nobody change it before it is done.",
                    hint="Look at `oc get nnce` and at the nmstate-handler pods of nodes that do not get on.",
                )
            self._sleep(_POLL_SECONDS)

    def _create(self, spec: Spec, marks: Mapping[str, Any]) -> Object:
        body = {
            "apiVersion": NODE_NETWORK_POLICIES.api_version,
            "kind": NODE_NETWORK_POLICIES.kind,
            "metadata": {"name": self._name, **marks},
            "spec": spec,
        }
        return self._gateway.create(NODE_NETWORK_POLICIES, body)

    def _delete(self) -> None:
        current = self.read()
        if current is not None:
            self._gateway.delete(NODE_NETWORK_POLICIES, self._name, uid=current["metadata"].get("uid"))


def go_back(work: PolicyWork, error: NotConfigured, before: Optional[Object], former: Former) -> NotConfigured:
    """Bring nodes back to C(before), the policy as it was when this call began, and return the error to raise then."""
    target = before["spec"] if before is not None else None
    marked = before is not None and names.FORMER in (before["metadata"].get("annotations") or {})
    cards = former_of(before).cards if before is not None and marked else former.cards
    try:
        work.withdraw(target, cards, keep_marks=marked)
    except OcpvError as again:
        left = f"The way back failed, too: {again.message} The policy is left in place; see `oc get nncp,nnce`."
        details = {"nodes": error.progress.to_list(), "gone_back": False}
        return NotConfigured(error.message, error.progress, hint=left, details=details)
    done = (
        "The policy was removed and the nodes are as before"
        if target is None
        else "The former policy is in force again"
    )
    hint = f"{done}. Put right what nmstate says, then run this again."
    details = {"nodes": error.progress.to_list(), "gone_back": True}
    return NotConfigured(error.message, error.progress, hint=hint, details=details)


def changes_to(current: Object, spec: Spec, marks: Mapping[str, Any]) -> dict[str, Any]:
    """Return the merge patch that gives an object this spec and these marks (None takes one away)."""
    patch: dict[str, Any] = {}
    difference = merge_patch(current.get("spec") or {}, spec)
    if difference:
        patch["spec"] = difference
    for kind, entries in marks.items():
        there = current["metadata"].get(kind) or {}
        changed = {key: value for key, value in entries.items() if there.get(key) != value}
        if changed:
            patch.setdefault("metadata", {})[kind] = changed
    return patch


def _by_readiness(nodes: Sequence[NodeFacts]) -> tuple[list[str], list[str]]:
    return [node.name for node in nodes if node.ready], [node.name for node in nodes if not node.ready]


def _interfaces(spec: Mapping[str, Any]) -> Sequence[Any]:
    state = spec.get("desiredState") or {}
    return [state.get("interfaces") or [], (state.get("ovn") or {}).get("bridge-mappings") or []]
