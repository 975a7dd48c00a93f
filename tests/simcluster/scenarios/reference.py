"""C(reference): 100 workers, 3,000 machines and 21,400 ordinary pods, one zone nearly empty as after its reboot.

The mix is that of a published large-scale reference architecture: 1,500 RHEL and 500 Windows machines on shared block
storage, 1,000 Fedora machines on container disks, 40 cores and 384 GB a node, up to 500 pods a node, limits 20 and 4.
C(Sizes) makes smaller or larger clusters of the same kind.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from .placement import place
from .values import MEMORY_384_GB, MIB, Disk, Layout, Machine, Migrations, NodeShape, Tier

_ZONES = ("zone-0", "zone-1", "zone-2")
_EMPTIED_ZONE = "zone-2"
_TEAMS = 10
_BRIDGE = "linux-bridge"
_PERSISTENT_BYTES = 4_000_000_000
_EPHEMERAL_BYTES = 256 * MIB
_EPHEMERAL_DISKS = (
    Disk("containerdisk", "containerDisk", image="quay.io/containerdisks/fedora:42"),
    Disk("cloudinitdisk", "cloudInitNoCloud"),
)
# what the RHEL machines of a team run, in turn; databases come in pairs that avoid each other
_RHEL_ROLES: tuple[tuple[str, Tier], ...] = (
    ("database", "critical"),
    ("database", "critical"),
    ("caching", "critical"),
    ("web", "critical"),
    ("web", "non-critical"),
    ("web", "non-critical"),
    ("general", "non-critical"),
    ("general", "non-critical"),
    ("", ""),
    ("general", "dev-test"),
)


@dataclass(frozen=True)
class Sizes:
    """How large the cluster is. C(emptied_level) is how full the emptied zone is compared with the others."""

    workers: int = 100
    control_plane: int = 3
    cores: int = 40
    memory_bytes: int = MEMORY_384_GB
    max_pods: int = 500
    rhel: int = 1500
    windows: int = 500
    fedora: int = 1000
    pods: int = 21_400  # all that are not launchers
    emptied_level: float = 0.09
    ceiling: float = 0.95
    parallel_per_cluster: int = 20
    parallel_outbound_per_node: int = 4


def layout(seed: int = 0, sizes: Sizes = Sizes(), name: str = "reference") -> Layout:
    """The nodes, machines and pods; raises Unplaceable when C(sizes) asks for more than the nodes hold."""
    workers = tuple(
        NodeShape(
            f"worker-{number:03d}",
            number,
            _ZONES[(number - 1) % 3],
            sizes.cores,
            sizes.memory_bytes,
            sizes.max_pods,
            labels=((f"node-role.kubernetes.io/{_ZONES[(number - 1) % 3]}", ""),),
        )
        for number in range(1, sizes.workers + 1)
    )
    control_plane = tuple(
        NodeShape(
            f"control-{number}",
            sizes.workers + number,
            _ZONES[(number - 1) % 3],
            sizes.cores,
            sizes.memory_bytes,
            control_plane=True,
            worker=False,
        )
        for number in range(1, sizes.control_plane + 1)
    )
    pods_on = _spread_pods(workers, control_plane, sizes.pods - sizes.workers)
    machines = place(
        _machines(sizes),
        workers,
        {node.name: sizes.emptied_level if node.zone == _EMPTIED_ZONE else 1.0 for node in workers},
        cpu_allocation_ratio=10,
        pods_on=pods_on,
        pod_cpu_millicores=10,
        pod_memory_bytes=32 * MIB,
        ceiling=sizes.ceiling,
        seed=seed,
    )
    namespaces: dict[str, dict[str, str]] = {f"team-{number:02d}": {} for number in range(1, _TEAMS + 1)}
    namespaces.update(
        {
            "desktops": {"ocpv.scale/tier": "non-critical"},
            "ephemeral": {"ocpv.scale/tier": "dev-test"},
            "pods-space": {},
            "golden-images": {},
        }
    )
    return Layout(
        name=name,
        description=(
            f"{sizes.workers} workers, {len(machines)} VMs ({sizes.rhel} RHEL, {sizes.windows} Windows, "
            f"{sizes.fedora} Fedora), {sizes.pods} other pods, one zone nearly empty"
        ),
        nodes=workers + control_plane,
        machines=machines,
        namespaces=namespaces,
        pods_on=pods_on,
        migrations=Migrations(
            sizes.parallel_per_cluster, sizes.parallel_outbound_per_node, completion_timeout_per_gib=800
        ),
        pod_cpu_millicores=10,
        pod_memory_bytes=32 * MIB,
        pools=_ZONES[: sizes.workers],
    )


def _spread_pods(workers: tuple[NodeShape, ...], control_plane: tuple[NodeShape, ...], pods: int) -> dict[str, int]:
    """Ordinary pods per node: a worker of the emptied zone holds 60 % of what another one holds."""
    pods_on = {node.name: min(20, pods // (len(workers) + len(control_plane))) for node in control_plane}
    left = pods - sum(pods_on.values())
    weights = {node.name: 3 if node.zone == _EMPTIED_ZONE else 5 for node in workers}
    total = sum(weights.values())
    shares = {name: left * weight // total for name, weight in weights.items()}
    for name in list(shares)[: left - sum(shares.values())]:
        shares[name] += 1
    return pods_on | shares


def _machines(sizes: Sizes) -> Iterator[Machine]:
    for number in range(sizes.rhel):
        workload, tier = _RHEL_ROLES[number // _TEAMS % len(_RHEL_ROLES)]
        team = number % _TEAMS + 1
        # the two database slots of a round are one pair
        pair = ("app.kubernetes.io/instance", f"database-{team:02d}-{number // (_TEAMS * len(_RHEL_ROLES)):03d}")
        yield Machine(
            f"team-{team:02d}",
            f"rhel-{number + 1:04d}",
            _PERSISTENT_BYTES,
            request_cpu_millicores=1000,
            request_memory_bytes=_PERSISTENT_BYTES,
            workload=workload,
            tier=tier,
            labels=(pair,) if workload == "database" else (),
            anti_affinity=pair if workload == "database" else None,
            cpu_model="host-passthrough",
            multus_bridge=_BRIDGE,
            termination_grace_seconds=60,
        )
    for number in range(sizes.windows):
        yield Machine(
            "desktops",
            f"windows-{number + 1:04d}",
            _PERSISTENT_BYTES,
            request_cpu_millicores=1000,
            request_memory_bytes=_PERSISTENT_BYTES,
            operating_system="windows",
            workload="general" if number % 2 else "",
            cpu_model="host-passthrough",
            reenlightenment=True,
            multus_bridge=_BRIDGE,
            termination_grace_seconds=0,
        )
    for number in range(sizes.fedora):
        yield Machine(
            "ephemeral",
            f"fedora-{number + 1:04d}",
            _EPHEMERAL_BYTES,
            request_cpu_millicores=100,
            request_memory_bytes=_EPHEMERAL_BYTES,
            limit_cpu_millicores=100,
            disks=_EPHEMERAL_DISKS,
            operating_system="fedora",
            workload="batch" if number % 2 else "",
            eviction_strategy="None",
            termination_grace_seconds=0,
        )
