# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From what was read of a cluster, live or from a dump, to one Snapshot. Pure: capture and dump do the reading."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Callable, Iterable, Mapping, Optional, TypeVar

from ..errors import InvalidInput, OcpvError
from ..migration.settings import kubevirt_release, settings_from
from .model import Pod, Snapshot, StorageClass, Virtualization, VirtualMachine
from .parse import (
    is_ready,
    parse_claim,
    parse_conditions,
    parse_data_volume,
    parse_descheduler,
    parse_migration_policy,
    parse_node,
    parse_node_usage,
    parse_persistent_volume,
    parse_pod_usage,
    parse_storage_class,
)
from .parse_vm import parse_migration, parse_vm

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
    """Objects as read, by kind. C(pods) are values already, since raw pods are too many to keep."""

    captured_at: str = ""
    server_version: str = ""
    cluster_uid: str = ""
    nodes: list[Any] = field(default_factory=list)
    namespaces: list[Any] = field(default_factory=list)
    virtual_machines: list[Any] = field(default_factory=list)
    instances: list[Any] = field(default_factory=list)
    pods: list[Pod] = field(default_factory=list)
    claims: list[Any] = field(default_factory=list)
    persistent_volumes: list[Any] = field(default_factory=list)
    storage_classes: list[Any] = field(default_factory=list)
    storage_profiles: list[Any] = field(default_factory=list)
    data_volumes: list[Any] = field(default_factory=list)
    migrations: list[Any] = field(default_factory=list)
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
        claims={f"{claim.namespace}/{claim.name}": claim for claim in _each(parse_claim, raw.claims)},
        persistent_volumes={volume.name: volume for volume in _each(parse_persistent_volume, raw.persistent_volumes)},
        storage_classes=_storage_classes(raw),
        data_volumes={f"{item.namespace}/{item.name}": item for item in _each(parse_data_volume, raw.data_volumes)},
        migrations=tuple(_each(parse_migration, raw.migrations)),
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
    instances = dict(_each(lambda vmi: (_key(vmi), vmi), raw.instances))
    pairs: list[tuple[Optional[Object], Optional[Object]]]
    pairs = [(vm, instances.pop(_understood(_key, vm), None)) for vm in raw.virtual_machines]
    pairs += [(None, vmi) for vmi in instances.values()]
    found = {}
    for vm, vmi in pairs:
        pod = active_launcher(vmi, launchers.get(vmi["metadata"].get("uid", ""), ())) if vmi else None
        try:
            value = parse_vm(
                vm,
                vmi,
                requests=pod.requests if pod else None,
                usage=usage.get(f"{pod.namespace}/{pod.name}") if pod else None,
                launcher_selector=pod.node_selector if pod else _NOTHING,
            )
        except (KeyError, TypeError, AttributeError, ValueError, OcpvError) as error:
            raise not_understood(vm or vmi, error) from error
        found[value.key] = value
    return found


def _key(item: Object) -> str:
    metadata = item["metadata"]
    return f"{metadata['namespace']}/{metadata['name']}"


def active_launcher(vmi: Object, pods: Iterable[Pod]) -> Optional[Pod]:
    """Return the launcher pod that a VMI runs in: the one on its node, running and not being deleted if there is one.

    C(pods) are the launcher pods of this VMI; during a migration there are two, on different nodes.
    """
    node = (vmi.get("status") or _NOTHING).get("nodeName")
    here = [pod for pod in pods if pod.node and pod.node == node]
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
