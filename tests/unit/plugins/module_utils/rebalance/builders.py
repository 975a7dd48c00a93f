"""Small clusters as values, for tests of planning: a node, a VM with its launcher pod, a snapshot of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ansible_collections.ocpv.scale.plugins.module_utils.cluster.model import (
    Claim,
    Condition,
    Instance,
    MigrationSettings,
    Node,
    PersistentVolume,
    Pod,
    Resources,
    Snapshot,
    Taint,
    Usage,
    Virtualization,
    VirtualMachine,
    VmSpec,
)

GIB = 1024**3
CAPTURED_AT = "2026-03-01T12:00:00Z"
VIRTUAL_DEVICES = {"devices.kubevirt.io/kvm": 1, "devices.kubevirt.io/tun": 1}
EVERY_PART = ("nodes", "namespaces", "virtual_machines", "pods", "claims", "virtualization", "migrations")


def settings(**changes: Any) -> MigrationSettings:
    values: dict[str, Any] = {
        "parallel_migrations_per_cluster": 5,
        "parallel_outbound_migrations_per_node": 2,
        "completion_timeout_per_gib": 150,
        "progress_timeout_seconds": 150,
        "bandwidth_bytes_per_second": 0,
        "allow_auto_converge": False,
        "allow_post_copy": False,
        "allow_workload_disruption": False,
        "network": "",
        "source": "KubeVirt's built-in defaults",
    }
    return MigrationSettings(**{**values, **changes})


def node(
    name: str,
    *,
    cpu: float = 32,
    memory_gib: float = 128,
    pods: int = 250,
    labels: Mapping[str, str] | None = None,
    taints: Iterable[tuple[str, str, str]] = (),
    unschedulable: bool = False,
    ready: bool = True,
    used_cpu: float | None = None,
    used_memory_gib: float | None = None,
    extended: Mapping[str, int] | None = None,
    zone: str = "",
) -> Node:
    usage = None
    if used_cpu is not None and used_memory_gib is not None:
        usage = Usage(int(used_cpu * 1000), int(used_memory_gib * GIB))
    base = {
        "kubernetes.io/hostname": name,
        "kubernetes.io/arch": "amd64",
        "kubevirt.io/schedulable": "true",
        "node-role.kubernetes.io/worker": "",
    }
    if zone:
        base["topology.kubernetes.io/zone"] = zone
    return Node(
        name=name,
        uid=f"uid-{name}",
        labels={**base, **(labels or {})},
        taints=tuple(Taint(*taint) for taint in taints),
        unschedulable=unschedulable,
        ready=ready,
        allocatable=Resources(
            cpu_millicores=int(cpu * 1000),
            memory_bytes=int(memory_gib * GIB),
            pods=pods,
            extended={**dict.fromkeys(VIRTUAL_DEVICES, 1000), **(extended or {})},
        ),
        heartbeat=CAPTURED_AT,
        usage=usage,
    )


def vm(
    name: str,
    on: str = "",
    *,
    namespace: str = "apps",
    cpu: float = 1,
    memory_gib: float = 4,
    vcpus: int = 2,
    guest_gib: float | None = None,
    labels: Mapping[str, str] | None = None,
    live: bool = True,
    reason: str = "cannot migrate VMI: PVC disk is not shared",
    spec: Mapping[str, Any] | None = None,
    used_cpu: float | None = None,
    used_memory_gib: float | None = None,
    dirty_rate: float | None = None,
    run_strategy: str = "Always",
    conditions: Mapping[str, str] | None = None,
    annotations: Mapping[str, str] | None = None,
    extended: Mapping[str, int] | None = None,
    launcher_selector: Mapping[str, str] | None = None,
    has_vm: bool = True,
    owner: str = "",
) -> VirtualMachine:
    """A VM, running on node C(on) if that is given; its launcher pod requests C(cpu) and C(memory_gib)."""
    guest = memory_gib if guest_gib is None else guest_gib
    shape = VmSpec(
        **{
            "vcpus": vcpus,
            "guest_memory_bytes": int(guest * GIB),
            "requests": {"cpu": f"{int(cpu * 1000)}m", "memory": f"{int(memory_gib * GIB)}"},
            "eviction_strategy": "LiveMigrate",
            **(spec or {}),
        }
    )
    instance = None
    if on:
        migratable = Condition("LiveMigratable", "True" if live else "False", "" if live else "DisksNotLiveMigratable")
        if not live:
            migratable = Condition("LiveMigratable", "False", "DisksNotLiveMigratable", reason)
        usage = None
        if used_cpu is not None and used_memory_gib is not None:
            usage = Usage(int(used_cpu * 1000), int(used_memory_gib * GIB))
        instance = Instance(
            uid=f"vmi-{namespace}-{name}",
            phase="Running",
            node=on,
            spec=shape,
            labels=dict(labels or {}),
            annotations=dict(annotations or {}),
            conditions={
                "LiveMigratable": migratable,
                "Ready": Condition("Ready", "True"),
                **{kind: Condition(kind, status) for kind, status in (conditions or {}).items()},
            },
            migration_method="LiveMigration",
            requests=Resources(int(cpu * 1000), int(memory_gib * GIB), 1, {**VIRTUAL_DEVICES, **(extended or {})}),
            usage=usage,
            dirty_rate_bytes_per_second=dirty_rate,
            launcher_selector=dict(launcher_selector or {}),
        )
    return VirtualMachine(
        namespace=namespace,
        name=name,
        uid=f"vm-{namespace}-{name}",
        labels=dict(labels or {}),
        annotations=dict(annotations or {}),
        template_labels=dict(labels or {}),
        run_strategy=run_strategy,
        uses_running=False,
        printable_status="Running" if on else "Stopped",
        spec=shape,
        instance=instance,
        has_vm=has_vm,
        owner=owner,
    )


def launcher(machine: VirtualMachine, on: str = "", uid: str = "") -> Pod:
    """The launcher pod of a running VM (on its node, or on C(on): a migration's target)."""
    instance = machine.instance
    assert instance is not None and instance.requests is not None
    terms = (instance.spec.affinity.get("podAntiAffinity") or {}).get("requiredDuringSchedulingIgnoredDuringExecution")
    return Pod(
        namespace=machine.namespace,
        name=f"virt-launcher-{machine.name}-{uid or 'abcde'}",
        uid=uid or f"pod-{machine.namespace}-{machine.name}",
        node=on or instance.node,
        phase="Running",
        labels={
            **instance.labels,
            "kubevirt.io": "virt-launcher",
            "kubevirt.io/created-by": instance.uid,
            "vm.kubevirt.io/name": machine.name,
        },
        requests=instance.requests,
        vmi_uid=instance.uid,
        anti_affinity=tuple(terms or ()),
    )


def pod(
    name: str,
    on: str,
    *,
    namespace: str = "other",
    cpu: float = 0.1,
    memory_gib: float = 0.25,
    labels: Mapping[str, str] | None = None,
    anti_affinity: Sequence[Mapping[str, Any]] = (),
) -> Pod:
    return Pod(
        namespace=namespace,
        name=name,
        uid=f"pod-{namespace}-{name}",
        node=on,
        phase="Running",
        labels=dict(labels or {}),
        requests=Resources(int(cpu * 1000), int(memory_gib * GIB), 1, {}),
        anti_affinity=tuple(anti_affinity),
    )


def term(labels: Mapping[str, str], key: str = "kubernetes.io/hostname", **more: Any) -> dict[str, Any]:
    """A PodAffinityTerm."""
    return {"labelSelector": {"matchLabels": dict(labels)}, "topologyKey": key, **more}


def anti_affinity(*terms: Mapping[str, Any]) -> dict[str, Any]:
    return {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": list(terms)}}


def affinity(*terms: Mapping[str, Any]) -> dict[str, Any]:
    return {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": list(terms)}}


def node_affinity(key: str, *values: str, operator: str = "In") -> dict[str, Any]:
    terms = [{"matchExpressions": [{"key": key, "operator": operator, "values": list(values)}]}]
    return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}}


def spread(labels: Mapping[str, str], key: str = "topology.kubernetes.io/zone", skew: int = 1) -> dict[str, Any]:
    return {
        "maxSkew": skew,
        "topologyKey": key,
        "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": {"matchLabels": dict(labels)},
    }


def snapshot(
    nodes: Iterable[Node],
    machines: Iterable[VirtualMachine] = (),
    pods: Iterable[Pod] = (),
    *,
    claims: Iterable[Claim] = (),
    volumes: Iterable[PersistentVolume] = (),
    namespaces: Mapping[str, Mapping[str, str]] | None = None,
    virtualization: Mapping[str, Any] | None = None,
    **more: Any,
) -> Snapshot:
    """A snapshot; launcher pods of running VMs are added."""
    machines = list(machines)
    spaces: dict[str, Mapping[str, str]] = {name: {} for name in {machine.namespace for machine in machines}}
    spaces.update(namespaces or {})
    return Snapshot(
        **{
            "captured_at": CAPTURED_AT,
            "cluster_uid": "cluster-1",
            "nodes": {item.name: item for item in nodes},
            "namespaces": spaces,
            "virtual_machines": {machine.key: machine for machine in machines},
            "pods": (*pods, *(launcher(machine) for machine in machines if machine.instance)),
            "claims": {f"{claim.namespace}/{claim.name}": claim for claim in claims},
            "persistent_volumes": {volume.name: volume for volume in volumes},
            "virtualization": Virtualization(**{"settings": settings(), **(virtualization or {})}),
            "parts": EVERY_PART,
            **more,
        }
    )
