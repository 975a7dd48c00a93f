# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From objects as the API returns them to the values of the model: nodes, pods, storage, metrics, the descheduler.

Pure and quick, since thousands of pods pass through here. What VMs and migrations need is in parse_vm.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Iterable, Mapping, Optional

from ..quantity import parse_bytes, parse_count, parse_cpu
from .model import (
    Claim,
    Condition,
    DataVolume,
    Descheduler,
    MigrationPolicy,
    Node,
    PersistentVolume,
    Pod,
    Resources,
    StorageClass,
    Taint,
    Usage,
)

Object = Mapping[str, Any]
Amounts = dict[str, int]

HEARTBEAT = "kubevirt.io/heartbeat"
_DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class"
_DEFAULT_VIRT_CLASS = "storageclass.kubevirt.io/is-default-virt-class"
_ENDED = ("Succeeded", "Failed")
_NOTHING: Mapping[str, Any] = {}
# requests that a pod may state as a whole (KEP-2837)
_POD_LEVEL = ("cpu", "memory", "hugepages-")


@lru_cache(maxsize=8192)
def _amount(name: str, text: Any) -> int:
    if name == "cpu":
        return parse_cpu(text)
    return parse_bytes(text, name) if name == "memory" else parse_count(text, name)


def parse_resources(quantities: Mapping[str, Any]) -> Resources:
    """Return a ResourceList ({"cpu": "500m", "memory": "1Gi", ...}) as numbers; entries of zero are left out."""
    return _resources({name: _amount(name, text) for name, text in quantities.items()})


def _resources(amounts: Amounts) -> Resources:
    cpu, memory, pods = amounts.pop("cpu", 0), amounts.pop("memory", 0), amounts.pop("pods", 0)
    return Resources(
        cpu, memory, pods, {name: value for name, value in amounts.items() if value} if amounts else amounts
    )


def parse_conditions(conditions: Optional[Iterable[Object]]) -> dict[str, Condition]:
    """Return the conditions of an object's status by type."""
    return {
        item["type"]: _condition(item["type"], item["status"], item.get("reason") or "", item.get("message") or "")
        for item in conditions or ()
    }


# nearly all objects have the same few
_condition = lru_cache(maxsize=4096)(Condition)


def is_ready(item: Object) -> bool:
    """Tell whether a node's or pod's condition Ready is True."""
    conditions = (item.get("status") or _NOTHING).get("conditions") or ()
    return any(condition["type"] == "Ready" and condition["status"] == "True" for condition in conditions)


def controller_of(metadata: Object) -> str:
    """Return "Kind/name" of the controlling owner, empty if there is none."""
    for owner in metadata.get("ownerReferences") or ():
        if owner.get("controller"):
            return f"{owner['kind']}/{owner['name']}"
    return ""


def parse_node(node: Object, usage: Optional[Usage] = None) -> Node:
    """Return the value of a Node; C(usage) comes from its NodeMetrics (parse_node_usage)."""
    metadata, spec, status = node["metadata"], node.get("spec") or _NOTHING, node.get("status") or _NOTHING
    return Node(
        name=metadata["name"],
        uid=metadata.get("uid", ""),
        labels=metadata.get("labels") or {},
        taints=tuple(
            Taint(taint["key"], taint.get("value") or "", taint["effect"]) for taint in spec.get("taints") or ()
        ),
        unschedulable=bool(spec.get("unschedulable")),
        ready=is_ready(node),
        allocatable=parse_resources(status.get("allocatable") or _NOTHING),
        heartbeat=(metadata.get("annotations") or _NOTHING).get(HEARTBEAT, ""),
        usage=usage,
    )


def parse_pod(pod: Object) -> Optional[Pod]:
    """Return the value of a Pod, or None for one that has ended and holds nothing any more.

    A pod that is not scheduled yet has an empty C(node). C(requests.pods) is 1.
    """
    status = pod.get("status") or _NOTHING
    phase = status.get("phase") or "Pending"
    if phase in _ENDED:
        return None
    metadata, spec = pod["metadata"], pod["spec"]
    labels = metadata.get("labels") or {}
    launcher = labels.get("kubevirt.io") == "virt-launcher"
    affinity = spec.get("affinity")
    anti_affinity: tuple[Object, ...] = ()
    if affinity:
        terms = (affinity.get("podAntiAffinity") or _NOTHING).get("requiredDuringSchedulingIgnoredDuringExecution")
        anti_affinity = tuple(terms or ())
    return Pod(
        namespace=metadata["namespace"],
        name=metadata["name"],
        uid=metadata.get("uid", ""),
        node=spec.get("nodeName") or "",
        phase=phase,
        labels=labels,
        requests=pod_requests(spec),
        vmi_uid=labels.get("kubevirt.io/created-by", "") if launcher else "",
        migration_uid=labels.get("kubevirt.io/migrationJobUID", "") if launcher else "",
        node_selector=spec.get("nodeSelector") or {} if launcher else {},
        anti_affinity=anti_affinity,
        deleting="deletionTimestamp" in metadata,
    )


def pod_requests(spec: Object) -> Resources:
    """Return what the scheduler counts for a pod spec: containers, init containers, sidecars, overhead, pod level.

    The rule is Kubernetes' component-helpers resource.PodRequests: sidecars (init containers that restart always) add
    up with the containers; an ordinary init container needs its own beside the sidecars started before it; the larger
    of both counts; requests stated for the pod as a whole replace cpu, memory and hugepages.
    """
    total: Amounts = {}
    for container in spec["containers"]:
        _add(total, _requests(container))
    if spec.get("initContainers"):
        _add_init_containers(total, spec["initContainers"])
    if spec.get("resources"):
        for name, value in _requests(spec).items():
            if name.startswith(_POD_LEVEL):
                total[name] = value
    if spec.get("overhead"):
        _add(total, {name: _amount(name, text) for name, text in spec["overhead"].items()})
    total["pods"] = 1
    return _resources(total)


def _add_init_containers(total: Amounts, init_containers: Iterable[Object]) -> None:
    sidecars: Amounts = {}
    largest: Amounts = {}
    for container in init_containers:
        wanted = _requests(container)
        if container.get("restartPolicy") == "Always":
            _add(total, wanted)
            _add(sidecars, wanted)
            wanted = sidecars
        else:
            _add(wanted, sidecars)
        for name, value in wanted.items():
            largest[name] = max(value, largest.get(name, 0))
    for name, value in largest.items():
        total[name] = max(value, total.get(name, 0))


def _requests(container: Object) -> Amounts:
    resources = container.get("resources")
    if not resources:
        return {}
    quantities = resources.get("requests")
    return {name: _amount(name, text) for name, text in quantities.items()} if quantities else {}


def _add(total: Amounts, amounts: Amounts) -> None:
    for name, value in amounts.items():
        total[name] = total.get(name, 0) + value


def parse_node_usage(metrics: Object) -> tuple[str, Usage]:
    """Return (node name, usage) of a NodeMetrics object."""
    return metrics["metadata"]["name"], _usage((metrics["usage"],))


def parse_pod_usage(metrics: Object) -> tuple[str, Usage]:
    """Return ("namespace/pod name", usage of all its containers) of a PodMetrics object."""
    metadata = metrics["metadata"]
    usages = tuple(container["usage"] for container in metrics.get("containers") or ())
    return f"{metadata['namespace']}/{metadata['name']}", _usage(usages)


def _usage(usages: Iterable[Mapping[str, Any]]) -> Usage:
    cpu = memory = 0
    for usage in usages:
        cpu += parse_cpu(usage.get("cpu", "0"))
        memory += parse_bytes(usage.get("memory", "0"))
    return Usage(cpu, memory)


def parse_claim(claim: Object) -> Claim:
    """Return the value of a PersistentVolumeClaim. The modes are those of its spec, which are what KubeVirt obeys."""
    metadata, spec, status = claim["metadata"], claim.get("spec") or _NOTHING, claim.get("status") or _NOTHING
    wanted = (spec.get("resources") or _NOTHING).get("requests") or _NOTHING
    size = (status.get("capacity") or wanted).get("storage", "0")
    return Claim(
        namespace=metadata["namespace"],
        name=metadata["name"],
        access_modes=tuple(spec.get("accessModes") or ()),
        volume_mode=spec.get("volumeMode") or "Filesystem",
        storage_class=spec.get("storageClassName") or "",
        phase=status.get("phase") or "Pending",
        volume=spec.get("volumeName") or "",
        capacity_bytes=_amount("storage", size),
    )


def parse_persistent_volume(volume: Object) -> PersistentVolume:
    spec = volume.get("spec") or _NOTHING
    return PersistentVolume(
        name=volume["metadata"]["name"],
        access_modes=tuple(spec.get("accessModes") or ()),
        node_affinity=(spec.get("nodeAffinity") or _NOTHING).get("required") or {},
    )


def parse_storage_class(storage_class: Object, profile: Optional[Object] = None) -> StorageClass:
    """Return the value of a StorageClass with what CDI's StorageProfile of the same name says about it."""
    metadata = storage_class["metadata"]
    annotations = metadata.get("annotations") or _NOTHING
    sets = ((profile or _NOTHING).get("status") or _NOTHING).get("claimPropertySets") or ()
    return StorageClass(
        name=metadata["name"],
        provisioner=storage_class.get("provisioner", ""),
        default=annotations.get(_DEFAULT_CLASS) == "true",
        virt_default=annotations.get(_DEFAULT_VIRT_CLASS) == "true",
        claim_property_sets=tuple(
            (mode, item.get("volumeMode") or "Filesystem") for item in sets for mode in item.get("accessModes") or ()
        ),
        waits_for_consumer=storage_class.get("volumeBindingMode") == "WaitForFirstConsumer",
    )


def parse_data_volume(data_volume: Object) -> DataVolume:
    metadata, status = data_volume["metadata"], data_volume.get("status") or _NOTHING
    return DataVolume(
        namespace=metadata["namespace"],
        name=metadata["name"],
        phase=status.get("phase") or "",
        claim=status.get("claimName") or metadata["name"],
    )


def parse_migration_policy(policy: Object) -> MigrationPolicy:
    spec = dict(policy.get("spec") or {})
    selectors = spec.pop("selectors", None)
    if selectors == {}:  # unlike no selectors at all, they match everything
        selectors = {"virtualMachineInstanceSelector": {}}
    selectors = selectors or _NOTHING
    return MigrationPolicy(
        name=policy["metadata"]["name"],
        vmi_labels=selectors.get("virtualMachineInstanceSelector"),
        namespace_labels=selectors.get("namespaceSelector"),
        spec=spec,
    )


def parse_descheduler(descheduler: Object) -> Descheduler:
    """Return the value of a KubeDescheduler; without a mode it only predicts (the CRD's default)."""
    spec = descheduler.get("spec") or _NOTHING
    return Descheduler(
        mode=spec.get("mode") or "Predictive",
        profiles=tuple(spec.get("profiles") or ()),
        interval_seconds=int(spec.get("deschedulingIntervalSeconds") or 0),
    )
