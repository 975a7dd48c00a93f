"""kubernetes-nmstate: the handlers of all nodes, which make of a NodeNetworkConfigurationPolicy what it asks for.

Source: kubernetes-nmstate controllers/handler/nodenetworkconfigurationpolicy_controller.go,
pkg/enactmentstatus/conditions, pkg/policyconditions/conditions.go, pkg/node/nodes.go.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from typing import Any

from . import kinds
from .caches import Enactment, Machine
from .client import ApiError
from .controller import Controller
from .informer import Key
from .network_state import NmstateError, applied, without
from .nmstate_conditions import (
    ENACTMENT_TYPES,
    RESET,
    RETRIES,
    aborted,
    conditions_after,
    failed,
    max_unavailable,
    pending,
    policy_conditions,
    progressing,
    retrying,
    succeeded,
)

log = logging.getLogger(__name__)
Obj = dict[str, Any]
POLICY_LABEL = "nmstate.io/policy"
NODE_LABEL = "nmstate.io/node"
_LONGEST_RETRY_FACTOR = 30
_HANG_POLL_SECONDS = 5.0
_STATES = "network state"


@dataclass
class _Rollout:
    """One generation of a policy on its way over the nodes."""

    generation: int
    limit: int
    busy: set[str] = field(default_factory=set)
    failed: bool = False
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None

    def wake(self) -> None:
        self.changed.set()
        self.changed = asyncio.Event()


class NmstateHandler(Controller):
    """Keys are policies, and C((_STATES, node)) for cards that a fault takes from a node."""

    name = "nmstate"
    component = "nmstate-handler"
    workers = 4

    def register(self) -> None:
        self._rollouts: dict[str, _Rollout] = {}
        self._cards: dict[str, list[Obj]] = {}
        self.caches.network_policies.on_change(lambda key, _before, _after: self.queue.add(key))
        self.caches.enactments.on_change(self._enactment_changed)
        self.caches.nodes.on_change(self._node_changed)
        self.settings.on_change(self._faults_changed)

    def _enactment_changed(self, key: Key, before: Enactment | None, after: Enactment | None) -> None:
        item = after or before
        if item is not None:
            self.queue.add(("", item.policy))

    def _node_changed(self, key: Key, before: Machine | None, after: Machine | None) -> None:
        if before is None or after is None or (before.labels, before.ready) != (after.labels, after.ready):
            self.enqueue_all(self.caches.network_policies)
        if after is None:
            self.queue.add((_STATES, key[1]))

    def _faults_changed(self) -> None:
        for node in {*self.settings.missing_nics, *self._cards}:
            self.queue.add((_STATES, node))
        self.enqueue_all(self.caches.network_policies)

    async def reconcile(self, key: Key) -> float | None:
        if key[0] == _STATES:
            await self._set_cards(key[1])
            return None
        policy = self.caches.network_policies.obj(key)
        name = key[1]
        matching = self._matching(policy) if policy is not None else []
        rollout = self._rollouts.get(name)
        generation = policy["metadata"].get("generation", 1) if policy else 0
        if rollout is not None and (policy is None or rollout.generation != generation):
            if rollout.task is not None:
                rollout.task.cancel()
            del self._rollouts[name]
            rollout = None
        for enactment in self.caches.enactments_of(name):
            item = self.caches.enactments.items[enactment]
            if item.node not in matching:
                await self.delete(self.caches.enactments, enactment, item.uid)
        if policy is None:
            return None
        ready = [node for node in matching if self._ready(node)]
        todo = [node for node in ready if not self._done(name, node, generation)]
        if todo and rollout is None:
            await self._tell(policy, matching, ready, started=False)
            rollout = _Rollout(generation, max_unavailable(policy["spec"].get("maxUnavailable"), len(matching)))
            self._rollouts[name] = rollout
            rollout.task = asyncio.get_running_loop().create_task(self._roll_out(name, rollout, ready, todo))
            return None
        await self._tell(policy, matching, ready)
        return None

    def _matching(self, policy: Obj) -> list[str]:
        selector: dict[str, str] = (policy.get("spec") or {}).get("nodeSelector") or {}
        return sorted(
            name
            for _, name in self.caches.network_states.items
            if ("", name) in self.caches.nodes.items and selector.items() <= self.caches.node_labels(name).items()
        )

    def _ready(self, node: str) -> bool:
        known = self.caches.nodes.get(("", node))
        return known is not None and known.ready and not self.settings.dead(node)

    def _done(self, policy: str, node: str, generation: int) -> bool:
        item = self.caches.enactments.get(("", f"{node}.{policy}"))
        return item is not None and item.generation == generation and item.final

    async def _roll_out(self, name: str, rollout: _Rollout, ready: list[str], todo: list[str]) -> None:
        rollout.failed = any(
            item.generation == rollout.generation and item.outcome == "Failing"
            for item in map(self.caches.enactments.items.__getitem__, self.caches.enactments_of(name))
        )
        try:
            async with asyncio.TaskGroup() as group:
                for node in todo:
                    group.create_task(self._on_node(name, rollout, node))
        finally:
            if self._rollouts.get(name) is rollout:
                del self._rollouts[name]
            self.queue.add(("", name))

    async def _on_node(self, name: str, rollout: _Rollout, node: str) -> None:
        """One node's handler; a failure of the API is tried again as long as the policy is the same."""
        while True:
            try:
                await self._enact(name, rollout, node)
            except (ApiError, OSError) as error:
                log.info("policy %s on %s: %s", name, node, error)
                rollout.busy.discard(node)
                await asyncio.sleep(0.1)
                continue
            return

    async def _enact(self, name: str, rollout: _Rollout, node: str) -> None:
        policy = self.caches.network_policies.obj(("", name))
        if policy is None or policy["metadata"].get("generation", 1) != rollout.generation:
            return
        desired: Obj = policy["spec"].get("desiredState") or {}
        attempts = await self._prepare(name, rollout.generation, node, desired)
        while len(rollout.busy) >= rollout.limit:
            await self._set(name, node, *pending())
            if rollout.failed:
                await self._set(name, node, *aborted(f"{node}.{name}"))
                return
            await rollout.changed.wait()
        rollout.busy.add(node)
        while self._ready(node):
            await self._set(name, node, *progressing())
            problem = await self._attempt(name, node, desired)
            if problem is None:
                await self._set(name, node, *succeeded())
                rollout.busy.discard(node)
                rollout.wake()
                return
            attempts += 1
            count = {str(rollout.generation): attempts}
            if attempts >= RETRIES:
                await self._set(name, node, *failed(node, problem), count)
                # its place stays taken, so that nobody who waits goes on
                rollout.failed = True
                rollout.wake()
                return
            await self._set(name, node, *retrying(node, attempts), count)
            factor = min(2 ** (attempts - 1), _LONGEST_RETRY_FACTOR)
            await self.clock.sleep(self.settings.model.nmstate_retry_seconds * factor)
        rollout.busy.discard(node)
        rollout.wake()

    async def _prepare(self, name: str, generation: int, node: str, desired: Obj) -> int:
        """The node's enactment, for this generation of the policy. Returns how often that has been tried."""
        key = ("", f"{node}.{name}")
        if key not in self.caches.enactments.items:
            owner = self.caches.nodes.obj(("", node)) or {"metadata": {"uid": ""}}
            await self.create(
                self.caches.enactments,
                {
                    "apiVersion": kinds.ENACTMENTS.api_version,
                    "kind": kinds.ENACTMENTS.name,
                    "metadata": {
                        "name": key[1],
                        "labels": {POLICY_LABEL: name, NODE_LABEL: node},
                        "ownerReferences": [
                            {"apiVersion": "v1", "kind": "Node", "name": node, "uid": owner["metadata"]["uid"]}
                        ],
                    },
                },
            )
        status: Obj = (self.caches.enactments.obj(key) or {}).get("status") or {}
        if status.get("policyGeneration") != generation:
            # replaced whole: what the former generation desired must not show through
            patch = [
                {"op": "add", "path": "/status", "value": {"desiredState": desired, "policyGeneration": generation}}
            ]
            await self.patch(self.caches.enactments, key, patch, "status")
            return 0
        return int((status.get("retryCount") or {}).get(str(generation), 0))

    async def _attempt(self, name: str, node: str, desired: Obj) -> str | None:
        """Apply the state to a node, which stays as it was if that fails. Returns what is wrong, or None."""
        fault = self.settings.nmstate_fault(node, name)
        while fault is not None and fault.get("effect") == "hang":
            await self.clock.sleep(_HANG_POLL_SECONDS)
            fault = self.settings.nmstate_fault(node, name)
        await self.clock.sleep(self.settings.model.nmstate_apply_seconds)
        if fault is not None:
            return str(fault.get("reason") or "NmstateError: Bug: activation of profile failed: timeout")
        current = self.caches.network_state(node)
        try:
            state = applied(current, desired)
        except NmstateError as error:
            return str(error)
        await self._write_state(node, state)
        return None

    async def _write_state(self, node: str, state: Obj) -> None:
        if state == self.caches.network_state(node):
            return
        patch = [
            {"op": "add", "path": "/status/currentState", "value": state},
            {"op": "add", "path": "/status/lastSuccessfulUpdateTime", "value": self.context.now()},
        ]
        await self.patch(self.caches.network_states, ("", node), patch, "status")

    async def _set_cards(self, node: str) -> None:
        """Take away the cards that a fault says are missing, or put them back; a node that is gone reports nothing."""
        key = ("", node)
        if key not in self.caches.network_states.items:
            return
        if key not in self.caches.nodes.items:
            await self.delete(self.caches.network_states, key)
            return
        state = self.caches.network_state(node)
        missing = self.settings.missing_nics.get(node) or []
        back = [each for each in self._cards.pop(node, []) if each["name"] not in missing]
        state["interfaces"] = [*state.get("interfaces", []), *back]
        gone = [each for each in state["interfaces"] if each["name"] in missing and each.get("type") == "ethernet"]
        if gone:
            self._cards[node] = gone
        await self._write_state(node, without(state, missing))

    async def _set(
        self, policy: str, node: str, reason: str, states: dict[str, tuple[str, str]], retries: Obj | None = None
    ) -> None:
        """The conditions of an enactment: status and message by type."""
        key = ("", f"{node}.{policy}")
        before: Obj = (self.caches.enactments.obj(key) or {}).get("status") or {}
        values = [(kind, states[kind][0], reason, states[kind][1]) for kind in ENACTMENT_TYPES]
        conditions = conditions_after(before.get("conditions") or [], values, self.context.now())
        patch: Obj = {}
        if conditions is not before.get("conditions"):
            patch["conditions"] = conditions
        if retries is not None:
            patch["retryCount"] = retries
        if patch:
            await self.patch(self.caches.enactments, key, {"status": patch}, "status")

    async def _tell(self, policy: Obj, matching: list[str], ready: list[str], *, started: bool = True) -> None:
        """What the policy says of itself."""
        name, generation = policy["metadata"]["name"], policy["metadata"].get("generation", 1)
        outcomes = []
        for node in ready:
            item = self.caches.enactments.get(("", f"{node}.{name}"))
            outcomes.append(item.outcome if item is not None and item.generation == generation else "")
        status: Obj = policy.get("status") or {}
        wanted = policy_conditions(outcomes, len(matching) - len(ready)) if started else RESET
        conditions = conditions_after(status.get("conditions") or [], wanted, self.context.now())
        rollout = self._rollouts.get(name)
        busy = {str(generation): len(rollout.busy) if rollout else outcomes.count("Failing")}
        patch: Obj = {}
        if conditions is not status.get("conditions"):
            patch["conditions"] = conditions
        if status.get("unavailableNodeCountMap") != busy:
            stale = {key: None for key in status.get("unavailableNodeCountMap") or {} if key not in busy}
            patch["unavailableNodeCountMap"] = {**stale, **busy}
            patch["lastUnavailableNodeCountUpdate"] = self.context.now()
        if patch:
            await self.patch(self.caches.network_policies, ("", name), {"status": patch}, "status")
