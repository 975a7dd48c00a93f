# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From what was read of a cluster, live or from a dump, to one Snapshot. Pure: capture and dump do the reading."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Callable, Iterable, Mapping, Optional, TypeVar

from ..errors import InvalidInput, OcpvError
from ..migration.settings import kubevirt_release, settings_from
from .model import (
    Claim,
    DataVolume,
    Instance,
    Migration,
    PersistentVolume,
    Pod,
    Snapshot,
    StorageClass,
    Virtualization,
    VirtualMachine,
)
from .parse import (
    is_ready,
    parse_conditions,
    parse_descheduler,
    parse_migration_policy,
    parse_node,
    parse_node_usage,
    parse_pod_usage,
    parse_storage_class,
)
from .parse_vm import lone_instance, parse_instance, vm_with

Object = Mapping[str, Any]
T = TypeVar("T")

ALL_PARTS = (
    "nodes",
    "namespaces",
    "virtual_machines",
    "pods",
    "claims",
    "storage",
    "data_volumes",
    "migrations",
    "policies",
    "virtualization",
    "descheduler",
    "usage",
)
# the namespace whose UID identifies a cluster
CLUSTER_NAMESPACE = "kube-system"
# first KubeVirt release whose migrations can be sent to a node (spec.addedNodeSelector)
_TARGETED_MIGRATION_SINCE = (1, 6)
_NOTHING: Mapping[str, Any] = {}


@dataclass
class Raw:
    """What was read, by kind: objects, or where there are many of them values already.

    Objects as the API returns them take several times the memory of values, and time to be freed. C(virtual_machines)
    hold their instances (MachineReader); instances without a VM are among them.
    """

    captured_at: str = ""
    server_version: str = ""
    cluster_uid: str = ""
    nodes: list[Any] = field(default_factory=list)
    namespaces: list[Any] = field(default_factory=list)
    virtual_machines: list[VirtualMachine] = field(default_factory=list)
    pods: list[Pod] = field(default_factory=list)
    claims: list[Claim] = field(default_factory=list)
    persistent_volumes: list[PersistentVolume] = field(default_factory=list)
    storage_classes: list[Any] = field(default_factory=list)
    storage_profiles: list[Any] = field(default_factory=list)
    data_volumes: list[DataVolume] = field(default_factory=list)
    migrations: list[Migration] = field(default_factory=list)
    migration_policies: list[Any] = field(default_factory=list)
    migration_definition: Optional[Object] = None
    kubevirts: list[Any] = field(default_factory=list)
    hyperconvergeds: list[Any] = field(default_factory=list)
    virt_handlers: list[Any] = field(default_factory=list)
    deschedulers: list[Any] = field(default_factory=list)
    node_metrics: list[Any] = field(default_factory=list)
    pod_metrics: list[Any] = field(default_factory=list)
    parts: tuple[str, ...] = ()
    missing: dict[str, str] = field(default_factory=dict)


def assemble(raw: Raw) -> Snapshot:
    """Return the Snapshot of what was read. Raises InvalidInput naming an object of another shape than the API's."""
    node_usage = dict(_each(parse_node_usage, raw.node_metrics))
    nodes = _each(lambda item: parse_node(item, node_usage.get(item["metadata"]["name"])), raw.nodes)
    pods = tuple(raw.pods)
    return Snapshot(
        captured_at=raw.captured_at,
        cluster_uid=raw.cluster_uid or _cluster_uid(raw.namespaces),
        server_version=raw.server_version,
        nodes={node.name: node for node in nodes},
        namespaces=dict(_each(_namespace, raw.namespaces)),
        virtual_machines=_virtual_machines(raw, pods),
        pods=pods,
        claims={f"{claim.namespace}/{claim.name}": claim for claim in raw.claims},
        persistent_volumes={volume.name: volume for volume in raw.persistent_volumes},
        storage_classes=_storage_classes(raw),
        data_volumes={f"{item.namespace}/{item.name}": item for item in raw.data_volumes},
        migrations=tuple(raw.migrations),
        migration_policies=tuple(_each(parse_migration_policy, raw.migration_policies)),
        virtualization=_understood(lambda _item: _virtualization(raw), _first(raw.kubevirts) or _NOTHING),
        descheduler=next(iter(_each(parse_descheduler, raw.deschedulers)), None),
        parts=raw.parts,
        missing=dict(raw.missing),
    )


def _understood(parse: Callable[[Any], T], item: Any) -> T:
    try:
        return parse(item)
    except (KeyError, TypeError, AttributeError, ValueError, OcpvError) as error:
        raise not_understood(item, error) from error


def understood(parse: Callable[[Any], T]) -> Callable[[Any], T]:
    """Return C(parse) so that it raises InvalidInput naming an object of another shape than the API's."""
    return lambda item: _understood(parse, item)


def _each(parse: Callable[[Any], T], items: Iterable[Any]) -> Iterable[T]:
    return (_understood(parse, item) for item in items)


def not_understood(item: Any, error: Exception) -> InvalidInput:
    """Return the error for an object that does not have the shape the API gives it."""
    item = item if isinstance(item, Mapping) else _NOTHING
    metadata = item.get("metadata")
    metadata = metadata if isinstance(metadata, Mapping) else _NOTHING
    name = "/".join(str(metadata[key]) for key in ("namespace", "name") if metadata.get(key))
    cause = f"no {error}" if isinstance(error, KeyError) else str(error)
    option = f"{item.get('kind') or 'object'} {name}".strip()
    return InvalidInput(option, cause, "an object of the shape that the Kubernetes API returns is needed")


def _first(items: list[Any]) -> Optional[Object]:
    return items[0] if items else None


def _namespace(item: Object) -> tuple[str, Mapping[str, str]]:
    return item["metadata"]["name"], item["metadata"].get("labels") or {}


def _cluster_uid(namespaces: Iterable[Any]) -> str:
    found = (item["metadata"].get("uid", "") for item in namespaces if item["metadata"]["name"] == CLUSTER_NAMESPACE)
    return next(found, "")


def _virtual_machines(raw: Raw, pods: Iterable[Pod]) -> dict[str, VirtualMachine]:
    launchers: dict[str, list[Pod]] = {}
    for launcher in pods:
        if launcher.vmi_uid:
            launchers.setdefault(launcher.vmi_uid, []).append(launcher)
    usage = dict(_each(parse_pod_usage, raw.pod_metrics))
    found = {}
    for vm in raw.virtual_machines:
        pod = active_launcher(vm.instance, launchers.get(vm.instance.uid, ())) if vm.instance else None
        if vm.instance and pod:
            instance = replace(
                vm.instance,
                requests=pod.requests,
                usage=usage.get(f"{pod.namespace}/{pod.name}"),
                launcher_selector=pod.node_selector,
            )
            vm = replace(vm, instance=instance)
        found[vm.key] = vm
    return found


def read_instance(vmi: Object) -> tuple[Object, Instance]:
    """Return the metadata and the value of a VMI, for MachineReader."""
    return vmi["metadata"], parse_instance(vmi)


class MachineReader:
    """Makes VMs of VirtualMachine objects, each with its instance; C(instances) come from read_instance."""

    def __init__(self, instances: Iterable[tuple[Object, Instance]]) -> None:
        self._instances = {_key(metadata): (metadata, instance) for metadata, instance in instances}

    def read(self, vm: Object) -> VirtualMachine:
        """Return the value of a VM with its instance, if it has one."""
        _metadata, instance = self._instances.get(_key(vm["metadata"]), (None, None))
        return vm_with(vm, instance)

    def without_vm(self, machines: Iterable[VirtualMachine]) -> list[VirtualMachine]:
        """Return the values of those instances that belong to none of C(machines)."""
        keys = {vm.key for vm in machines}
        return [lone_instance(*found) for key, found in self._instances.items() if key not in keys]


def _key(metadata: Object) -> str:
    return f"{metadata['namespace']}/{metadata['name']}"


def active_launcher(instance: Instance, pods: Iterable[Pod]) -> Optional[Pod]:
    """Return the launcher pod that a VMI runs in: the one on its node, running and not being deleted if there is one.

    C(pods) are the launcher pods of this VMI; during a migration there are two, on different nodes.
    """
    here = [pod for pod in pods if pod.node and pod.node == instance.node]
    return max(here, key=lambda pod: (pod.phase == "Running", not pod.deleting), default=None)


def _storage_classes(raw: Raw) -> dict[str, StorageClass]:
    profiles = {item["metadata"]["name"]: item for item in raw.storage_profiles}
    values = _each(lambda item: parse_storage_class(item, profiles.get(item["metadata"]["name"])), raw.storage_classes)
    return {value.name: value for value in values}


def _virtualization(raw: Raw) -> Virtualization:
    hyperconverged, kubevirt = _first(raw.hyperconvergeds), _first(raw.kubevirts)
    operator = hyperconverged or kubevirt
    if operator is None:
        return Virtualization()
    spec = (kubevirt or _NOTHING).get("spec") or _NOTHING
    status = (kubevirt or _NOTHING).get("status") or _NOTHING
    configuration = spec.get("configuration") or _NOTHING
    developer = configuration.get("developerConfiguration") or _NOTHING
    version = status.get("observedKubeVirtVersion") or ""
    api_version = hyperconverged["apiVersion"] if hyperconverged else ""
    return Virtualization(
        namespace=operator["metadata"]["namespace"],
        kubevirt_version=version,
        hyperconverged_version=_operator_version(hyperconverged or _NOTHING),
        hyperconverged_api=api_version,
        settings=settings_from(hyperconverged, api_version, kubevirt),
        vm_rollout_strategy=configuration.get("vmRolloutStrategy") or "",
        workload_update_methods=tuple(
            (spec.get("workloadUpdateStrategy") or _NOTHING).get("workloadUpdateMethods") or ()
        ),
        cpu_allocation_ratio=int(developer.get("cpuAllocationRatio") or 10),
        memory_overcommit_percent=int(developer.get("memoryOvercommit") or 100),
        default_eviction_strategy=configuration.get("evictionStrategy") or "",
        feature_gates=tuple(developer.get("featureGates") or ()),
        outdated_instances=int(status.get("outdatedVirtualMachineInstanceWorkloads") or 0),
        kubevirt_conditions=parse_conditions(status.get("conditions")),
        hyperconverged_conditions=parse_conditions(
            ((hyperconverged or _NOTHING).get("status") or _NOTHING).get("conditions")
        ),
        targeted_migration=targeted_migration(raw.migration_definition, version),
        virt_handler_ready={
            pod["spec"]["nodeName"]: is_ready(pod) for pod in raw.virt_handlers if pod["spec"].get("nodeName")
        },
    )


def _operator_version(hyperconverged: Object) -> str:
    versions = (hyperconverged.get("status") or _NOTHING).get("versions") or ()
    return next((str(item.get("version", "")) for item in versions if item.get("name") == "operator"), "")


def targeted_migration(definition: Optional[Object], kubevirt_version: str) -> Optional[bool]:
    """Tell whether migrations can be sent to a chosen node (spec.addedNodeSelector).

    By the schema of the migrations' CustomResourceDefinition if that could be read, else by KubeVirt's version
    ("v1.6.2"), else None.
    """
    for version in definition["spec"]["versions"] if definition is not None else ():
        if version["name"] == "v1" and version.get("served"):
            properties = ((version.get("schema") or _NOTHING).get("openAPIV3Schema") or _NOTHING).get(
                "properties"
            ) or _NOTHING
            return "addedNodeSelector" in ((properties.get("spec") or _NOTHING).get("properties") or _NOTHING)
    release = kubevirt_release(kubevirt_version)
    return None if release is None else release >= _TARGETED_MIGRATION_SINCE
