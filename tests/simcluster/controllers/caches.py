"""The local copies that all controllers of the process share, and the look-ups they need."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import Any

from . import kinds
from .attachments import MIGRATION_INTERFACE
from .client import Client
from .informer import Informer, Key
from .pod import Pod, summarize

Obj = dict[str, Any]
FINAL = ("Succeeded", "Failed")
IN_FLIGHT = ("Scheduling", "Scheduled", "PreparingTarget", "TargetReady", "Running")


@dataclass(frozen=True, slots=True)
class Meta:
    """What is kept of any object."""

    uid: str
    deleting: bool
    owners: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Instance:
    """What is kept of a VirtualMachineInstance beside its bytes."""

    uid: str
    deleting: bool
    owners: tuple[str, ...]
    phase: str
    node: str
    evacuation_node: str
    job_uid: str  # of the last migration
    job_open: bool  # that one has neither completed nor failed
    source_node: str
    claims: tuple[str, ...]

    @property
    def final(self) -> bool:
        return self.phase in FINAL


@dataclass(frozen=True, slots=True)
class Migration:
    """What is kept of a VirtualMachineInstanceMigration beside its bytes."""

    uid: str
    deleting: bool
    owners: tuple[str, ...]
    instance: str
    phase: str
    priority: str
    created: str

    @property
    def final(self) -> bool:
        return self.phase in FINAL


@dataclass(frozen=True, slots=True)
class Enactment:
    """What is kept of a NodeNetworkConfigurationEnactment beside its bytes."""

    uid: str
    deleting: bool
    owners: tuple[str, ...]
    policy: str
    node: str
    generation: int  # of the policy
    outcome: str  # the condition that is true, empty without one

    @property
    def final(self) -> bool:
        return self.outcome in ("Available", "Failing", "Aborted")


def enactment_of(obj: Obj) -> Enactment:
    metadata: Obj = obj["metadata"]
    labels: dict[str, str] = metadata.get("labels") or {}
    status: Obj = obj.get("status") or {}
    true = {each["type"] for each in status.get("conditions") or [] if each["status"] == "True"}
    # one that fails and is tried again progresses
    outcome = next((e for e in ("Progressing", "Available", "Failing", "Aborted", "Pending") if e in true), "")
    return Enactment(
        uid=metadata["uid"],
        deleting="deletionTimestamp" in metadata,
        owners=_owners(metadata),
        policy=labels.get("nmstate.io/policy", ""),
        node=labels.get("nmstate.io/node", ""),
        generation=int(status.get("policyGeneration") or 0),
        outcome=outcome,
    )


@dataclass(frozen=True, slots=True)
class Machine:
    """What is kept of a Node beside its bytes; a heartbeat changes nothing of it."""

    uid: str
    deleting: bool
    owners: tuple[str, ...]
    created: str
    labels: Mapping[str, str]
    ready: bool
    unschedulable: bool
    handled: bool  # virt-handler runs or has run there
    marked: bool  # it has still to be updated
    config: Mapping[str, str]  # annotations of the machine config daemon, without their prefix


MACHINE_CONFIG = "machineconfiguration.openshift.io/"


def machine_of(obj: Obj) -> Machine:
    metadata: Obj = obj["metadata"]
    annotations: dict[str, str] = metadata.get("annotations") or {}
    conditions = (obj.get("status") or {}).get("conditions") or []
    return Machine(
        uid=metadata["uid"],
        deleting="deletionTimestamp" in metadata,
        owners=_owners(metadata),
        created=metadata.get("creationTimestamp", ""),
        labels=metadata.get("labels") or {},
        ready=any(each["type"] == "Ready" and each["status"] == "True" for each in conditions),
        unschedulable=bool((obj.get("spec") or {}).get("unschedulable")),
        marked=any(each["key"] == "UpdateInProgress" for each in (obj.get("spec") or {}).get("taints") or []),
        handled="kubevirt.io/heartbeat" in annotations,
        config={
            name.removeprefix(MACHINE_CONFIG): value
            for name, value in annotations.items()
            if name.startswith(MACHINE_CONFIG)
        },
    )


def meta_of(obj: Obj) -> Meta:
    metadata: Obj = obj["metadata"]
    return Meta(metadata["uid"], "deletionTimestamp" in metadata, _owners(metadata))


def _owners(metadata: Obj) -> tuple[str, ...]:
    return tuple(owner["uid"] for owner in metadata.get("ownerReferences") or [])


def instance_of(obj: Obj) -> Instance:
    metadata: Obj = obj["metadata"]
    status: Obj = obj.get("status") or {}
    state: Obj = status.get("migrationState") or {}
    return Instance(
        uid=metadata["uid"],
        deleting="deletionTimestamp" in metadata,
        owners=_owners(metadata),
        phase=status.get("phase", ""),
        node=status.get("nodeName", ""),
        evacuation_node=status.get("evacuationNodeName", ""),
        job_uid=state.get("migrationUid", ""),
        job_open=bool(state.get("migrationUid")) and not state.get("completed") and not state.get("failed"),
        source_node=state.get("sourceNode", ""),
        claims=claims_of(obj.get("spec") or {}),
    )


def claims_of(spec: Obj) -> tuple[str, ...]:
    """Names of the claims (and data volumes, which have the same) that an instance's spec mounts."""
    names = []
    for volume in spec.get("volumes") or []:
        if volume.get("persistentVolumeClaim"):
            names.append(volume["persistentVolumeClaim"]["claimName"])
        elif volume.get("dataVolume"):
            names.append(volume["dataVolume"]["name"])
    return tuple(names)


def migration_of(obj: Obj) -> Migration:
    metadata: Obj = obj["metadata"]
    spec: Obj = obj.get("spec") or {}
    return Migration(
        uid=metadata["uid"],
        deleting="deletionTimestamp" in metadata,
        owners=_owners(metadata),
        instance=spec.get("vmiName", ""),
        phase=(obj.get("status") or {}).get("phase", ""),
        priority=spec.get("priority", ""),
        created=metadata.get("creationTimestamp", ""),
    )


class Caches:
    """One informer per kind."""

    def __init__(self, client: Client, hyperconverged_version: str) -> None:
        self.nodes = Informer(client, kinds.NODES, machine_of)
        self.namespaces = Informer(client, kinds.NAMESPACES, meta_of)
        self.pods: Informer[Pod] = Informer(client, kinds.PODS, summarize, whole=False)
        self.claims = Informer(client, kinds.CLAIMS, meta_of)
        self.volumes = Informer(client, kinds.VOLUMES, meta_of)
        self.storage_classes = Informer(client, kinds.STORAGE_CLASSES, meta_of)
        self.data_volumes = Informer(client, kinds.DATA_VOLUMES, meta_of)
        self.machines = Informer(client, kinds.MACHINES, meta_of)
        self.instances = Informer(client, kinds.INSTANCES, instance_of)
        self.migrations = Informer(client, kinds.MIGRATIONS, migration_of)
        self.policies = Informer(client, kinds.POLICIES, meta_of)
        self.kubevirts = Informer(client, kinds.KUBEVIRTS, meta_of)
        self.deployments = Informer(client, kinds.DEPLOYMENTS, meta_of)
        self.daemon_sets = Informer(client, kinds.DAEMON_SETS, meta_of)
        self.quotas = Informer(client, kinds.RESOURCE_QUOTAS, meta_of)
        self.settings = Informer(client, kinds.CONFIG_MAPS, meta_of, namespace="simcluster")
        self.hyperconvergeds = Informer(client, kinds.hyperconvergeds(hyperconverged_version), meta_of)
        self.network_policies = Informer(client, kinds.NETWORK_POLICIES, meta_of)
        self.enactments = Informer(client, kinds.ENACTMENTS, enactment_of)
        self.network_states = Informer(client, kinds.NETWORK_STATES, meta_of)
        self.attachments = Informer(client, kinds.ATTACHMENTS, meta_of)
        self.pools = Informer(client, kinds.POOLS, meta_of)
        self.machine_configs = Informer(client, kinds.MACHINE_CONFIGS, meta_of)
        self.kubelet_configs = Informer(client, kinds.KUBELET_CONFIGS, meta_of)
        self._configuration: Obj = {}
        self.kubevirts.on_change(lambda _key, _before, _after: self._read_configuration())
        self.all: list[Informer[Any]] = [value for value in vars(self).values() if isinstance(value, Informer)]
        self.pods_of: Callable[[Hashable], list[Key]] = self.pods.index(
            lambda _key, pod: (pod.launcher.instance_uid,) if pod.launcher else ()
        )
        self.pods_on = self.pods.index(lambda _key, pod: (pod.node,) if pod.node and pod.launcher else ())
        self.pods_with_claim = self.pods.index(lambda key, pod: ((key[0], claim) for claim in pod.claims))
        self.instances_on = self.instances.index(lambda _key, item: (item.node,) if item.node else ())
        self.instances_with_claim = self.instances.index(lambda key, item: ((key[0], claim) for claim in item.claims))
        self.migrations_of = self.migrations.index(lambda key, item: ((key[0], item.instance),))
        self.migrations_in = self.migrations.index(lambda _key, item: (item.phase,))
        self.handlers_on = self.pods.index(
            lambda _key, pod: (pod.node,) if pod.plugged and pod.plugged.handler and pod.node else ()
        )
        self.plugged: Callable[[Hashable], list[Key]] = self.pods.index(
            lambda _key, pod: (True,) if pod.plugged else ()
        )
        self.enactments_of = self.enactments.index(lambda _key, item: (item.policy,))
        self.migration_with = self.migrations.index(lambda _key, item: (item.uid,))

    async def run(self) -> None:
        """Keep every copy fresh until cancelled."""
        async with asyncio.TaskGroup() as group:
            for informer in self.all:
                group.create_task(informer.run())

    async def synced(self) -> None:
        """Wait until everything has been listed once."""
        for informer in self.all:
            await informer.synced.wait()

    def launchers(self, instance_uid: str) -> list[Pod]:
        """The launcher pods of an instance, ended ones too."""
        return [pod for key in self.pods_of(instance_uid) if (pod := self.pods.get(key)) is not None]

    def configuration(self) -> Obj:
        """C(spec.configuration) of the KubeVirt; not to be changed."""
        return self._configuration

    def _read_configuration(self) -> None:
        kubevirt = next(self.kubevirts.objects(), {})
        self._configuration = (kubevirt.get("spec") or {}).get("configuration") or {}

    def handler(self, node: str) -> Pod | None:
        """The virt-handler pod of a node that is ready, or None."""
        for key in self.handlers_on(node):
            pod = self.pods.items[key]
            if pod.ready and not pod.deleting and not pod.final:
                return pod
        return None

    def handler_up(self, node: str) -> bool:
        """Whether virt-handler's pod is ready; in a cluster without its DaemonSet nothing says it is not."""
        return not self.daemon_sets.items or self.handler(node) is not None

    def migration_address(self, node: str) -> str:
        """Where virt-handler of a node listens for migrations; empty if that is not known."""
        pod = self.handler(node)
        if pod is None or pod.plugged is None:
            return ""
        return pod.plugged.address_of(MIGRATION_INTERFACE) or pod.plugged.address

    def plugged_pods(self) -> list[Pod]:
        """Pods that live and have more to do with networks."""
        found = (self.pods.items[key] for key in self.plugged(True))
        return [pod for pod in found if not pod.final]

    def attachment(self, namespace: str, name: str) -> Obj | None:
        """A NetworkAttachmentDefinition, or None."""
        return self.attachments.obj((namespace, name))

    def network_state(self, node: str) -> Obj:
        """What nmstate reports of a node; empty if it reports nothing."""
        status: Obj = (self.network_states.obj(("", node)) or {}).get("status") or {}
        return status.get("currentState") or {}

    def node_labels(self, name: str) -> Mapping[str, str]:
        """Labels of a node; none if it does not exist."""
        node = self.nodes.get(("", name))
        return node.labels if node is not None else {}
