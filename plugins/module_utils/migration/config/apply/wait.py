# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Waits until a change of the HyperConverged is obeyed everywhere, or tells what is missing or who changed it back."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, Callable, Optional

from ....cluster.gateway import FIELD_MANAGER, Object
from ....cluster.resources import DAEMON_SETS, DEPLOYMENTS, KUBEVIRTS, NODES, PODS, VIRT_HANDLER_PODS
from ....errors import ApiError, NotFound, OcpvError, TimedOut
from ... import hyperconverged as hco
from ..owner import managers_of, signs_of_owner
from ..settled import NETWORK_ANNOTATION, Expectation, Seen, changed_back, networks_annotation, rollout, waiting_for
from .target import Target

VIRT_HANDLER = "virt-handler"
VIRT_API = "virt-api"
# tools that keep an object as a repository says look at it again within seconds
WATCHED_SECONDS = 10.0
# what of a result is told with a wait that failed, since the change stays
TOLD_WITH_FAILURE = ("changed", "changed_fields", "before", "after")
_POLL_SECONDS = 1.0
_UNSCHEDULABLE = "kubevirt.io/schedulable=false"
_LISTED = 10
_NOT_RENEWED = "not renewed yet"


class ChangedBack(OcpvError):
    """Somebody has put other values back."""


@dataclass(frozen=True)
class Reached:
    """How a wait ended: how long it took, and how far virt-handler is where that was looked at."""

    seconds: float
    virt_handler: Optional[dict[str, Any]]

    def to_dict(self) -> dict[str, Any]:
        """Return it as a module tells it."""
        return {"in_force": True, "waited_seconds": round(self.seconds), "virt_handler": self.virt_handler or {}}


def wait_until_in_force(
    target: Target,
    expected: Expectation,
    timeout_seconds: float,
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Reached:
    """Return when everything expected is true.

    Where a tool such as Argo CD keeps the HyperConverged, it is looked at some seconds longer. Raises ChangedBack when
    somebody puts other values back, TimedOut, naming what is missing and the nodes and pods it is about, and ApiError.
    """
    started = clock()
    done_at: Optional[float] = None
    while True:
        seen = look(target, expected)
        back = changed_back(seen, expected)
        if back:
            raise _changed_back(target, seen, expected, back, clock() - started)
        missing = waiting_for(seen, expected)
        now = clock()
        if not missing:
            done_at = now if done_at is None else done_at
            watched = WATCHED_SECONDS if signs_of_owner(seen.hyperconverged) else 0.0
            if now - done_at >= min(watched, timeout_seconds):
                told = rollout(seen.daemon_set) if expected.network is not None else None
                return Reached(now - started, told)
        elif now - started >= timeout_seconds:
            raise _timed_out(target, expected, missing, timeout_seconds)
        sleep(_POLL_SECONDS)


def look(target: Target, expected: Expectation) -> Seen:
    """Return what there is to judge by at this moment."""
    return Seen(
        target.read(),
        _read(target, KUBEVIRTS, hco.KUBEVIRT_NAME),
        _read(target, DAEMON_SETS, VIRT_HANDLER) if expected.network is not None else None,
        _read(target, DEPLOYMENTS, VIRT_API) if expected.api_replicas is not None else None,
    )


def _read(target: Target, resource: Any, name: str) -> Optional[Object]:
    try:
        return target.gateway.get(resource, name, target.namespace)
    except NotFound:
        return None


def _changed_back(
    target: Target, seen: Seen, expected: Expectation, back: dict[hco.Path, Any], seconds: float
) -> ChangedBack:
    names = [path[-1] for path in back]
    managers = [name for name in managers_of(seen.hyperconverged, names) if name != FIELD_MANAGER]
    owners = signs_of_owner(seen.hyperconverged)
    fields = ", ".join(
        f"{path[-1]} is {value!r} again instead of {expected.wanted[path]!r}" for path, value in sorted(back.items())
    )
    by = f", last written by {managers[0]}" if managers else ""
    kept = f" It is kept by {', '.join(owners)}." if owners else ""
    return ChangedBack(
        f"{target.location} was changed back within {seconds:.0f} s: {fields}{by}.{kept}",
        hint="Something else decides on this object, such as a GitOps tool or another job. Change the values where it "
        "takes them from, or have it ignore these fields.",
        details={
            "fields": {".".join(path): value for path, value in back.items()},
            "managers": managers,
            "owners": list(owners),
        },
    )


def _timed_out(target: Target, expected: Expectation, missing: str, timeout_seconds: float) -> TimedOut:
    details: dict[str, Any] = {"missing": missing}
    stuck = ""
    hint = "The change is written and goes on by itself; run this again to wait on."
    if expected.network is not None:
        pods, nodes = _behind(target, expected.network)
        details.update(pods=pods, nodes=nodes)
        if pods:
            stuck += f" Pods that are not ready or not renewed: {_listed(pods)}."
        if nodes:
            stuck += f" Nodes that take no VMs meanwhile: {_listed(nodes)}."
        hint = (
            "Look at the events of these pods: a NetworkAttachmentDefinition that cannot be attached on a node (its "
            f"interface, its address range) stops the rollout there. Unset network to go back. {hint}"
        )
    return TimedOut(f"After {timeout_seconds:g} s {missing}.{stuck}", hint=hint, details=details)


def _behind(target: Target, network: str) -> tuple[list[str], list[str]]:
    """The virt-handler pods that are not as they should be ("pod on node (why)"), and the nodes that take no VMs."""
    wanted = networks_annotation(network)
    pods: list[str] = []
    nodes: list[str] = []
    try:
        for pod in target.gateway.list(PODS, namespace=target.namespace, label_selector=VIRT_HANDLER_PODS).items:
            reason = _why_behind(pod, wanted)
            if reason:
                node = (pod.get("spec") or {}).get("nodeName") or "no node"
                pods.append(f"{pod['metadata']['name']} on {node} ({reason})")
        nodes += [node["metadata"]["name"] for node in target.gateway.list(NODES, label_selector=_UNSCHEDULABLE).items]
    except ApiError:
        pass  # less is told then
    # those that are stuck come before those that wait for them
    return sorted(pods, key=lambda pod: (_NOT_RENEWED in pod, pod)), sorted(nodes)


def _why_behind(pod: Object, wanted: str) -> str:
    status = pod.get("status") or {}
    for container in status.get("containerStatuses") or ():
        waiting = (container.get("state") or {}).get("waiting") or {}
        if waiting.get("reason"):
            return str(waiting["reason"])
    conditions = {item.get("type"): item.get("status") for item in status.get("conditions") or ()}
    if status.get("phase") != "Running" or conditions.get("Ready", "True") != "True":
        return str(status.get("phase") or "not ready") if status.get("phase") != "Running" else "not ready"
    annotations = pod["metadata"].get("annotations") or {}
    return "" if str(annotations.get(NETWORK_ANNOTATION) or "") == wanted else _NOT_RENEWED


def _listed(names: list[str]) -> str:
    more = len(names) - _LISTED
    return ", ".join(names[:_LISTED]) + (f" and {more} more" if more > 0 else "")
