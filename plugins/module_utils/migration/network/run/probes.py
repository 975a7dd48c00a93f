# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs the probe pods, a few nodes at a time, and removes them in every case."""

from __future__ import annotations

import contextlib
from typing import Callable, Iterator, Mapping, Sequence

from ....cluster.gateway import Gateway, Object
from ....cluster.resources import EVENTS, PODS
from ....errors import ApiError, Forbidden, NotFound, TimedOut
from ..checks_addresses import PROBES_AT_ONCE
from ..probe import SELECTOR, PodSettings, Probe, answer_of, pod_name, probe_pod, why_pending

Answers = dict[str, Mapping[str, str]]

_POLL_SECONDS = 1.0
_GONE_SECONDS = 60.0


def run_probes(
    gateway: Gateway,
    probes: Sequence[Probe],
    settings: PodSettings,
    *,
    clock: Callable[[], float],
    sleep: Callable[[float], None],
) -> tuple[Answers, dict[str, str]]:
    """Return verdicts by node and address, and why the probes of other nodes came to nothing.

    What fails on all of the first nodes is not tried on the next ones. Raises Forbidden when pods may not be made.
    """
    runner = _Runner(gateway, settings, clock, sleep)
    found: Answers = {}
    broken: dict[str, str] = {}
    with runner.cleaned_up():
        for start in range(0, len(probes), PROBES_AT_ONCE):
            batch = probes[start : start + PROBES_AT_ONCE]
            answered, failed = runner.run(batch)
            found.update(answered)
            broken.update(failed)
            if failed and not answered:
                break
    return found, broken


class _Runner:
    def __init__(
        self, gateway: Gateway, settings: PodSettings, clock: Callable[[], float], sleep: Callable[[float], None]
    ) -> None:
        self._gateway = gateway
        self._settings = settings
        self._clock = clock
        self._sleep = sleep

    @contextlib.contextmanager
    def cleaned_up(self) -> Iterator[None]:
        """Remove what an interrupted call has left, and afterwards what this one made."""
        self._remove_all()
        try:
            yield
        finally:
            self._remove_all()

    def run(self, batch: Sequence[Probe]) -> tuple[Answers, dict[str, str]]:
        """Run one pod for each probe, to their ends or to the time limit."""
        waiting = {pod_name(probe.node): probe for probe in batch}
        for probe in batch:
            self._create(probe)
        found: Answers = {}
        broken: dict[str, str] = {}
        deadline = self._clock() + self._settings.timeout_seconds
        while waiting:
            pods = {pod["metadata"]["name"]: pod for pod in self._pods()}
            late = self._clock() >= deadline
            for name, probe in list(waiting.items()):
                pod = pods.get(name)
                try:
                    answer = answer_of(pod) if pod is not None else None
                except ValueError as error:
                    broken[probe.node] = str(error)
                else:
                    if answer is not None:
                        found[probe.node] = answer
                    elif pod is None or late:
                        broken[probe.node] = self._why_not(name, pod)
                    else:
                        continue
                del waiting[name]
            if waiting:
                self._sleep(_POLL_SECONDS)
        for probe in batch:
            self._delete(pod_name(probe.node))
        return found, broken

    def _create(self, probe: Probe) -> None:
        namespace = self._settings.namespace
        try:
            self._gateway.create(PODS, probe_pod(probe, self._settings), namespace=namespace)
        except Forbidden as error:
            # a security context constraint or pod security may be what refuses, not RBAC
            error.hint = error.hint or (
                "The pod asks for NET_RAW and root, which the namespace or the account's security context constraints "
                "do not allow: set probe_raw_sockets to false, or allow it (docs/rbac/migration-network.yaml)."
            )
            raise

    def _pods(self) -> list[Object]:
        return self._gateway.list(PODS, namespace=self._settings.namespace, label_selector=SELECTOR).items

    def _why_not(self, name: str, pod: object) -> str:
        if not isinstance(pod, dict):
            return "somebody removed the pod"
        waited = f"not ended within {self._settings.timeout_seconds} s"
        return f"{waited}: {self._event(name) or why_pending(pod)}"

    def _event(self, name: str) -> str:
        """What the node last complained about, such as a plugin that gives no interface."""
        selector = f"involvedObject.name={name}"
        try:
            events = self._gateway.list(EVENTS, namespace=self._settings.namespace, field_selector=selector).items
        except ApiError:
            return ""
        warnings = [event for event in events if event.get("type") == "Warning"]
        if not warnings:
            return ""
        last = max(warnings, key=lambda event: event.get("lastTimestamp") or event.get("eventTime") or "")
        return f"{last.get('reason')}: {' '.join(str(last.get('message') or '').split())[:400]}"

    def _delete(self, name: str) -> None:
        with contextlib.suppress(NotFound):
            self._gateway.delete(PODS, name, namespace=self._settings.namespace)

    def _remove_all(self) -> None:
        deadline = self._clock() + _GONE_SECONDS
        while True:
            pods = self._pods()
            if not pods:
                return
            if self._clock() >= deadline:
                left = ", ".join(sorted(pod["metadata"]["name"] for pod in pods))
                raise TimedOut(
                    f"Probe pods in {self._settings.namespace} do not go away: {left}.",
                    hint="Look at their nodes; delete them by hand if a node is gone.",
                )
            for pod in pods:
                if not pod["metadata"].get("deletionTimestamp"):
                    self._delete(pod["metadata"]["name"])
            self._sleep(_POLL_SECONDS)
