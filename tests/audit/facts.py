"""What the auditor keeps of each object."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

from .quantity import thousandths

Obj = dict[str, Any]
Key = tuple[str, str]  # namespace, name

RUN_LABEL = "ocpv.scale/run"
MOVE_LABEL = "ocpv.scale/move"
COLD_MOVE_ANNOTATION = "ocpv.scale/cold-move"
ACTIVE_PHASES = frozenset({"Scheduling", "Scheduled", "PreparingTarget", "TargetReady", "Running"})
FINAL_PHASES = frozenset({"Succeeded", "Failed"})
_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"


def key_of(obj: Obj) -> Key:
    metadata = obj["metadata"]
    return metadata.get("namespace", ""), metadata["name"]


@dataclass(frozen=True)
class Pod:
    key: Key
    uid: str
    node: str
    phase: str
    deleting: bool
    labels: dict[str, str]
    requests: Counter[str]
    node_selector: dict[str, str]
    node_affinity: list[Obj]
    tolerations: list[Obj]
    affinity: list[Obj]
    anti_affinity: list[Obj]
    spread: list[Obj]

    @property
    def holds_resources(self) -> bool:
        return bool(self.node) and self.phase not in FINAL_PHASES

    @property
    def running(self) -> bool:
        return self.phase == "Running"

    @property
    def instance_uid(self) -> str:
        """The uid of the instance whose launcher this is, empty for other pods."""
        return (
            self.labels.get("kubevirt.io/created-by", "") if self.labels.get("kubevirt.io") == "virt-launcher" else ""
        )

    @property
    def machine(self) -> Key:
        return self.key[0], self.labels.get("vm.kubevirt.io/name", "")


def pod(obj: Obj) -> Pod:
    spec, status, metadata = obj.get("spec", {}), obj.get("status", {}), obj["metadata"]
    affinity = spec.get("affinity") or {}
    node_affinity = (affinity.get("nodeAffinity") or {}).get(_REQUIRED) or {}
    return Pod(
        key=key_of(obj),
        uid=metadata.get("uid", ""),
        node=spec.get("nodeName", ""),
        phase=status.get("phase", "Pending"),
        deleting="deletionTimestamp" in metadata,
        labels=metadata.get("labels") or {},
        requests=_requests(spec),
        node_selector=spec.get("nodeSelector") or {},
        node_affinity=node_affinity.get("nodeSelectorTerms") or [],
        tolerations=spec.get("tolerations") or [],
        affinity=(affinity.get("podAffinity") or {}).get(_REQUIRED) or [],
        anti_affinity=(affinity.get("podAntiAffinity") or {}).get(_REQUIRED) or [],
        spread=[
            c for c in spec.get("topologySpreadConstraints") or [] if c.get("whenUnsatisfiable") == "DoNotSchedule"
        ],
    )


def _requests(spec: Obj) -> Counter[str]:
    """What the scheduler counts: all containers and sidecars together, or the largest init container, plus overhead."""
    together: Counter[str] = Counter()
    for container in spec.get("containers") or []:
        together.update(_of_container(container))
    largest: Counter[str] = Counter()
    sidecars: Counter[str] = Counter()
    for container in spec.get("initContainers") or []:
        wanted = _of_container(container)
        if container.get("restartPolicy") == "Always":
            sidecars.update(wanted)
            wanted = sidecars
        else:
            wanted = wanted + sidecars
        largest |= wanted
    total = (together + sidecars) | largest
    for resource, quantity in (spec.get("overhead") or {}).items():
        total[resource] += thousandths(quantity)
    return total


def _of_container(container: Obj) -> Counter[str]:
    requests = (container.get("resources") or {}).get("requests") or {}
    return Counter({resource: thousandths(quantity) for resource, quantity in requests.items()})


@dataclass(frozen=True)
class Node:
    name: str
    labels: dict[str, str]
    taints: tuple[tuple[str, str, str], ...]
    unschedulable: bool
    allocatable: Counter[str]


def node(obj: Obj) -> Node:
    spec, metadata = obj.get("spec", {}), obj["metadata"]
    return Node(
        name=metadata["name"],
        labels=metadata.get("labels") or {},
        taints=tuple((t["key"], t.get("value", ""), t.get("effect", "")) for t in spec.get("taints") or []),
        unschedulable=bool(spec.get("unschedulable")),
        allocatable=Counter(
            {name: thousandths(value) for name, value in (obj.get("status", {}).get("allocatable") or {}).items()}
        ),
    )


@dataclass(frozen=True)
class Machine:
    """A VirtualMachine; C(spec) and the rest are kept to compare them at the end."""

    key: Key
    uid: str
    spec: Obj
    labels: dict[str, str]
    annotations: dict[str, str]

    @property
    def moving_cold(self) -> bool:
        return COLD_MOVE_ANNOTATION in self.annotations


def machine(obj: Obj) -> Machine:
    metadata = obj["metadata"]
    return Machine(
        key=key_of(obj),
        uid=metadata.get("uid", ""),
        spec=obj.get("spec", {}),
        labels=metadata.get("labels") or {},
        annotations=metadata.get("annotations") or {},
    )


@dataclass(frozen=True)
class Instance:
    key: Key
    uid: str
    phase: str
    node: str


def instance(obj: Obj) -> Instance:
    status = obj.get("status", {})
    return Instance(key_of(obj), obj["metadata"].get("uid", ""), status.get("phase", ""), status.get("nodeName", ""))


@dataclass(frozen=True)
class Migration:
    key: Key
    uid: str
    instance: Key
    phase: str
    run: str
    move: str
    source_pod: str
    source_node: str

    @property
    def active(self) -> bool:
        """Counted by KubeVirt against its limits (pkg/virt-controller/watch/migration, findRunningMigrations)."""
        return self.phase in ACTIVE_PHASES

    @property
    def final(self) -> bool:
        return self.phase in FINAL_PHASES


def migration(obj: Obj) -> Migration:
    metadata, status = obj["metadata"], obj.get("status") or {}
    labels = metadata.get("labels") or {}
    state = status.get("migrationState") or {}
    key = key_of(obj)
    return Migration(
        key=key,
        uid=metadata.get("uid", ""),
        instance=(key[0], obj.get("spec", {}).get("vmiName", "")),
        phase=status.get("phase", ""),
        run=labels.get(RUN_LABEL, ""),
        move=labels.get(MOVE_LABEL, ""),
        source_pod=state.get("sourcePod", ""),
        source_node=state.get("sourceNode", ""),
    )


@dataclass(frozen=True)
class Limits:
    per_cluster: int
    per_source: int


def limits(kubevirt: Obj) -> Limits:
    """The limits in force; KubeVirt's own defaults are 5 and 2 (pkg/virt-config/virt-config.go)."""
    migrations = (kubevirt.get("spec", {}).get("configuration") or {}).get("migrations") or {}
    return Limits(
        per_cluster=int(migrations.get("parallelMigrationsPerCluster", 5)),
        per_source=int(migrations.get("parallelOutboundMigrationsPerNode", 2)),
    )
