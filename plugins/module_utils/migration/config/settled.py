# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether a change of the HyperConverged has reached everything that obeys it, judged from what was read. Pure.

The operator's own conditions are not enough: it tells a new generation as observed before it has done anything for it.
Source: hyperconverged-cluster-operator controllers/hyperconverged/hyperconverged_controller.go and
controllers/operands/generic_operand.go; KubeVirt pkg/virt-operator/kubevirt.go, pkg/virt-operator/util/client.go,
pkg/virt-operator/resource/generate/components/daemonsets.go and pkg/virt-operator/resource/apply/apps.go.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Callable, Mapping, Optional

from .. import hyperconverged as hco

Object = Mapping[str, Any]

NETWORK_ANNOTATION = "k8s.v1.cni.cncf.io/networks"
MIGRATION_INTERFACE = "migration0"
_READY = {"Available": "True", "Progressing": "False", "Degraded": "False"}


@dataclass(frozen=True)
class Seen:
    """What was read at one moment. C(daemon_set) is virt-handler's, C(deployment) virt-api's; None where not asked
    for or absent."""

    hyperconverged: Object
    kubevirt: Optional[Object] = None
    daemon_set: Optional[Object] = None
    deployment: Optional[Object] = None


@dataclass(frozen=True)
class Expectation:
    """What has to come true.

    C(wanted): values the HyperConverged was given, by path, and C(applied): those the KubeVirt has to have. Each value
    is compared by C(equal(path, found, wanted)). C(network): the migration network that virt-handler has to be
    rolled out with ("" for none), None if that is not looked at. C(api_replicas): how many replicas of virt-api have
    to be ready, None if that is not looked at. C(conditions): whether the operators have to be through with it.
    C(well): whether the HyperConverged's operator has to be well, too.
    """

    wanted: Mapping[hco.Path, Any]
    applied: Mapping[hco.Path, Any]
    network: Optional[str] = None
    api_replicas: Optional[int] = None
    conditions: bool = True
    well: bool = True
    equal: Callable[[hco.Path, Any, Any], bool] = field(default=lambda path, found, wanted: bool(found == wanted))


def changed_back(seen: Seen, expected: Expectation) -> dict[hco.Path, Any]:
    """Return the values in the HyperConverged that are no longer those it was given, by path."""
    return _unequal(seen.hyperconverged, expected.wanted, expected)


def waiting_for(seen: Seen, expected: Expectation) -> str:
    """Return the first thing that has not come true yet, as a sentence without its end; empty if all has."""
    name = hco.read_path(seen.hyperconverged, ("metadata",)).get("name", hco.NAME)
    if expected.conditions and not (_observed(seen.hyperconverged) and _is(seen.hyperconverged, "ReconcileComplete")):
        return f"the operator has not taken up the change of HyperConverged {name}{told_by(seen.hyperconverged)}"
    if seen.kubevirt is None:
        return f"there is no KubeVirt {hco.KUBEVIRT_NAME}"
    behind = _unequal(seen.kubevirt, expected.applied, expected)
    if behind:
        fields = ", ".join(sorted(f"{path[-1]} is {_text(value)}" for path, value in behind.items()))
        return f"KubeVirt {hco.KUBEVIRT_NAME} does not have the values yet: {fields}"
    if expected.network is not None:
        missing = _rollout(seen.daemon_set, expected.network)
        if missing:
            return missing
    if expected.conditions and not (_observed(seen.kubevirt) and is_well(seen.kubevirt)):
        return f"KubeVirt {hco.KUBEVIRT_NAME} is not through with the change{told_by(seen.kubevirt)}"
    if expected.api_replicas is not None and _ready_replicas(seen.deployment) < expected.api_replicas:
        return f"{_ready_replicas(seen.deployment)} of {expected.api_replicas} replicas of virt-api are ready"
    if expected.conditions and expected.well and not is_well(seen.hyperconverged):
        return f"HyperConverged {name} is not well{told_by(seen.hyperconverged)}"
    return ""


def rollout(daemon_set: Optional[Object]) -> dict[str, Any]:
    """Return how far virt-handler's DaemonSet is, as a module tells it."""
    status = hco.read_path(daemon_set, ("status",))
    return {
        "networks": _networks(daemon_set),
        "desired": int(status.get("desiredNumberScheduled") or 0),
        "updated": int(status.get("updatedNumberScheduled") or 0),
        "available": int(status.get("numberAvailable") or 0),
    }


def networks_annotation(network: str) -> str:
    """Return the annotation that virt-handler's pods have for a migration network, empty for none."""
    return f"{network}@{MIGRATION_INTERFACE}" if network else ""


def _rollout(daemon_set: Optional[Object], network: str) -> str:
    if daemon_set is None:
        return "there is no DaemonSet virt-handler"
    found = rollout(daemon_set)
    if found["networks"] != networks_annotation(network):
        return f"the DaemonSet virt-handler is for network {found['networks'] or 'none'!r} still"
    if not _observed(daemon_set) or not found["updated"] == found["available"] == found["desired"]:
        return (
            f"virt-handler is rolled out on {found['updated']} and available on {found['available']} of "
            f"{found['desired']} nodes"
        )
    return ""


def _networks(daemon_set: Optional[Object]) -> str:
    path = ("spec", "template", "metadata", "annotations")
    return str(hco.read_path(daemon_set, path).get(NETWORK_ANNOTATION) or "")


def _unequal(document: Object, values: Mapping[hco.Path, Any], expected: Expectation) -> dict[hco.Path, Any]:
    found = {path: hco.read_value(document, path) for path in values}
    return {path: value for path, value in found.items() if not expected.equal(path, value, values[path])}


def _observed(item: Object) -> bool:
    """Whether the newest generation was seen. Who does not tell a generation is believed by its conditions alone."""
    observed = hco.read_path(item, ("status",)).get("observedGeneration")
    generation = hco.read_path(item, ("metadata",)).get("generation")
    return observed is None or generation is None or int(observed) >= int(generation)


def _conditions(item: Object) -> dict[str, Mapping[str, Any]]:
    found = hco.read_path(item, ("status",)).get("conditions") or ()
    return {str(condition.get("type")): condition for condition in found}


def _is(item: Object, kind: str, status: str = "True") -> bool:
    return _conditions(item).get(kind, {}).get("status") == status


def is_well(item: Object) -> bool:
    """Tell whether the conditions of a HyperConverged or a KubeVirt say that it is available and at rest."""
    return all(_is(item, kind, status) for kind, status in _READY.items())


def told_by(item: Object) -> str:
    """Return what the conditions say that are not as they should be, after a colon; empty if all are."""
    told = []
    for kind, status in {"ReconcileComplete": "True", **_READY}.items():
        condition = _conditions(item).get(kind)
        if condition is not None and condition.get("status") != status:
            told.append(f"{kind}={condition.get('status')} ({condition.get('message') or condition.get('reason')})")
    return f": {'; '.join(told)}" if told else ""


def _ready_replicas(deployment: Optional[Object]) -> int:
    return int(hco.read_path(deployment, ("status",)).get("readyReplicas") or 0)


def _text(value: Any) -> str:
    return "not set" if value is None else repr(value)
