"""Clusters that make things difficult: little room, unlike CPUs, an old release, one node."""

from __future__ import annotations

from dataclasses import replace

from . import small
from .placement import place
from .values import CASCADE_LAKE, GIB, ICE_LAKE, MEMORY_64_GB, MIB, MILAN, Disk, Layout, Machine, Migrations, NodeShape

_ZONES = ("zone-a", "zone-b", "zone-c")
_DEDICATED = ("dedicated", "databases")

# per node the machines on it, as (guest GiB, requested cores); what is crowded in CPU has no memory to spare elsewhere
_TIGHT: dict[str, tuple[tuple[int, float], ...]] = {
    "worker-1": ((16, 4), (16, 4), (16, 4), (8, 2)),
    "worker-2": ((16, 1), (16, 1), (8, 1), (8, 1), (8, 1)),
    "worker-3": ((16, 2), (16, 2), (16, 2), (4, 1)),
    "worker-4": ((8, 2), (8, 2), (8, 2), (8, 2), (8, 2), (8, 2), (4, 1)),
    "worker-5": ((8, 1), (8, 1), (8, 1), (8, 1), (8, 1), (4, 0.5)),
    "worker-6": ((8, 2), (8, 2)),
}


def tight(seed: int = 0) -> Layout:
    """Six workers short of memory, the sixth kept for databases by a taint: moves only fit in a certain order, or over
    a third node. Placement is fixed; C(seed) changes nothing."""
    nodes = tuple(
        NodeShape(
            name,
            number,
            _ZONES[(number - 1) % 3],
            16,
            MEMORY_64_GB,
            taints=((*_DEDICATED, "NoSchedule"),) if name == "worker-6" else (),
        )
        for number, name in enumerate(_TIGHT, 1)
    )
    machines: list[Machine] = []
    for node, sizes in _TIGHT.items():
        for guest_gib, cores in sizes:
            number = len(machines) + 1
            dedicated = node == "worker-6" or (node == "worker-2" and guest_gib == 16)
            machines.append(
                Machine(
                    "production",
                    f"{'database' if dedicated else 'app'}-{number:02d}",
                    guest_gib * GIB,
                    cores=max(1, round(cores)),
                    request_cpu_millicores=round(cores * 1000),
                    request_memory_bytes=guest_gib * GIB,
                    workload="database" if dedicated else "general",
                    tier="critical" if dedicated else "non-critical",
                    tolerations=(_DEDICATED,) if dedicated else (),
                    node=node,
                )
            )
    return Layout(
        name="tight",
        description="6 workers with little free memory, one behind a taint: moves need an order or a stop on the way",
        nodes=nodes,
        machines=tuple(machines),
        namespaces={"production": {}, "pods-space": {}, "golden-images": {}},
        pods_on={node.name: 6 for node in nodes},
    )


def mixed_cpu(seed: int = 0) -> Layout:
    """Nine workers of two CPU vendors and three generations; the older Intel and one AMD node are crowded."""
    generations = (CASCADE_LAKE, ICE_LAKE, MILAN)
    nodes = tuple(
        NodeShape(
            f"worker-{number}", number, _ZONES[(number - 1) % 3], 16, MEMORY_64_GB, cpu=generations[(number - 1) // 3]
        )
        for number in range(1, 10)
    )
    levels = (0.85, 0.80, 0.60, 0.30, 0.25, 0.20, 0.80, 0.30, 0.25)
    pods_on = {node.name: 10 for node in nodes}
    machines = place(
        _unlike_machines(),
        nodes,
        {node.name: level for node, level in zip(nodes, levels, strict=True)},
        cpu_allocation_ratio=10,
        pods_on=pods_on,
        pod_cpu_millicores=20,
        pod_memory_bytes=48 * MIB,
        ceiling=0.92,
        seed=seed,
    )
    return Layout(
        name="mixed-cpu",
        description="9 workers of 2 CPU vendors and 3 generations, VMs with host-model, host-passthrough, named models",
        nodes=nodes,
        machines=machines,
        namespaces={"production": {}, "desktops": {}, "pods-space": {}, "golden-images": {}},
        pods_on=pods_on,
    )


def _unlike_machines() -> list[Machine]:
    def group(count: int, prefix: str, cpu_model: str, namespace: str = "production", **more: object) -> list[Machine]:
        return [
            Machine(
                namespace,
                f"{prefix}-{number:02d}",
                4 * GIB,
                request_cpu_millicores=1000,
                request_memory_bytes=4 * GIB,
                cpu_model=cpu_model,
                **more,  # type: ignore[arg-type]
            )
            for number in range(1, count + 1)
        ]

    return [
        *group(24, "host-model", "host-model", workload="general", tier="non-critical"),
        *group(12, "passthrough", "host-passthrough", workload="database", tier="critical"),
        *group(10, "haswell", "Haswell", workload="web", tier="non-critical"),
        *group(6, "epyc", "EPYC", workload="web", tier="non-critical"),
        *group(8, "windows", "host-model", "desktops", operating_system="windows", reenlightenment=True),
    ]


def v1beta1(seed: int = 0) -> Layout:
    """C(small) on an older release: HyperConverged only as v1beta1, migrations cannot name their target node."""
    return replace(
        small.layout(seed),
        name="v1beta1",
        description="like small, on a release that serves HyperConverged only as v1beta1 and has no addedNodeSelector",
        hyperconverged_version="1.15.3",
        kubevirt_version="v1.5.3",
        hyperconverged_versions=("v1beta1",),
        migrations=Migrations(parallel_outbound_per_node=2, completion_timeout_per_gib=150),
        settings={"vmim_added_node_selector": False},
    )


def single_node(seed: int = 0) -> Layout:
    """One node that is everything; there is nowhere to move to."""
    node = NodeShape("node-1", 1, "zone-a", 16, MEMORY_64_GB, control_plane=True)
    machines = tuple(
        Machine(
            "production",
            f"app-{number:02d}",
            2 * GIB,
            request_cpu_millicores=500,
            request_memory_bytes=2 * GIB,
            eviction_strategy="None",
            workload="general",
            disks=(Disk(), Disk("cloudinitdisk", "cloudInitNoCloud")),
            node=node.name,
        )
        for number in range(1, 7)
    )
    return Layout(
        name="single-node",
        description="one node that is control plane and worker, 6 VMs",
        nodes=(node,),
        machines=machines,
        namespaces={"production": {}, "pods-space": {}, "golden-images": {}},
        pods_on={node.name: 40},
    )
