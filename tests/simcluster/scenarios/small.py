"""C(small): 12 workers in three zones and 150 machines of every kind a platform team meets, badly spread."""

from __future__ import annotations

from .placement import place
from .values import CEPHFS, GIB, LVMS, MEMORY_64_GB, MIB, SAN, Disk, Layout, Machine, NodeShape, Tier

_ZONES = ("zone-a", "zone-b", "zone-c")
_CONTAINER_DISK = Disk("containerdisk", "containerDisk", image="quay.io/containerdisks/fedora:42")
_CLOUD_INIT = Disk("cloudinitdisk", "cloudInitNoCloud")
_GPU = "nvidia.com/TU104GL_Tesla_T4"

# How full the nodes are to be, in proportion: four crowded, four ordinary, four nearly idle.
_LEVELS = (0.86, 0.86, 0.84, 0.84, 0.52, 0.50, 0.50, 0.48, 0.25, 0.24, 0.23, 0.22)


def layout(seed: int = 0) -> Layout:
    """The nodes, machines and pods of the scenario."""
    workers = tuple(
        NodeShape(
            f"worker-{number:02d}",
            number,
            _ZONES[(number - 1) % 3],
            cores=16,
            memory_bytes=MEMORY_64_GB,
            cpu_manager=number % 4 == 0,
            devices=((_GPU, 2),) if number in (4, 8) else (),
        )
        for number in range(1, 13)
    )
    control_plane = tuple(
        NodeShape(
            f"control-{number}",
            100 + number,
            _ZONES[number - 1],
            8,
            MEMORY_64_GB // 2,
            control_plane=True,
            worker=False,
        )
        for number in (1, 2, 3)
    )
    pods_on = {node.name: 14 for node in workers} | {node.name: 30 for node in control_plane}
    machines = place(
        _machines(),
        workers,
        {node.name: level for node, level in zip(workers, _LEVELS, strict=True)},
        cpu_allocation_ratio=10,
        pods_on=pods_on,
        pod_cpu_millicores=20,
        pod_memory_bytes=48 * MIB,
        ceiling=0.92,
        seed=seed,
    )
    return Layout(
        name="small",
        description="12 workers in 3 zones, 150 VMs of mixed kinds, load badly spread",
        nodes=workers + control_plane,
        machines=machines,
        namespaces={
            "shop": {"ocpv.scale/tier": "critical"},
            "databases": {},
            "desktops": {},
            "development": {"ocpv.scale/tier": "dev-test"},
            "legacy": {"ocpv.scale/tier": "non-critical"},
            "lab": {},
            "pods-space": {},
            "golden-images": {},
        },
        pods_on=pods_on,
    )


def _group(
    count: int, namespace: str, prefix: str, *, cpu: int | None, memory_gib: float, tier: Tier = "", **features: object
) -> list[Machine]:
    """C(count) alike machines, named prefix-01, prefix-02, ...; C(cpu) in millicores, None leaves it to the ratio."""
    guest = int(memory_gib * GIB)
    return [
        Machine(
            namespace,
            f"{prefix}-{number:02d}",
            guest,
            request_cpu_millicores=cpu,
            request_memory_bytes=None if cpu is None else guest,
            tier=tier,
            **features,  # type: ignore[arg-type]
        )
        for number in range(1, count + 1)
    ]


def _machines() -> list[Machine]:
    with_cloud_init = (Disk(), _CLOUD_INIT)
    portal = ("app.kubernetes.io/part-of", "portal")
    machines = [
        # the namespace says the tier
        *_group(24, "shop", "web", cpu=500, memory_gib=1.5, workload="web", disks=with_cloud_init),
        *_group(6, "shop", "portal", cpu=500, memory_gib=2, workload="web", labels=(portal,), spread_zone=portal),
        *_group(26, "shop", "app", cpu=750, memory_gib=2, cores=2, workload="general"),
        *_group(6, "shop", "cache", cpu=1000, memory_gib=4, tier="critical", workload="caching"),
        *_group(
            20,
            "desktops",
            "windows",
            cpu=750,
            memory_gib=3,
            cores=2,
            tier="non-critical",
            workload="general",
            operating_system="windows",
            reenlightenment=True,
        ),
        *_group(5, "desktops", "analytics", cpu=1500, memory_gib=4, cores=4, tier="non-critical", workload="analytics"),
        # the memory and CPU requests follow the cluster's ratios
        *_group(
            26,
            "development",
            "build",
            cpu=None,
            memory_gib=1,
            operating_system="fedora",
            workload="batch",
            disks=(_CONTAINER_DISK, _CLOUD_INIT),
            eviction_strategy="None",
            termination_grace_seconds=0,
        ),
        *_group(
            6,
            "legacy",
            "legacy",
            cpu=500,
            memory_gib=2,
            eviction_strategy="LiveMigrateIfPossible",
            disks=(Disk(storage_class=SAN, access_mode="ReadWriteOnce", volume_mode="Filesystem"),),
        ),
    ]
    for pair in range(1, 7):
        group = ("app.kubernetes.io/instance", f"ledger-{pair}")
        machines += [
            Machine(
                "databases",
                f"database-{number:02d}",
                6 * GIB,
                cores=2,
                request_cpu_millicores=1250,
                request_memory_bytes=6 * GIB,
                tier="critical",
                workload="database",
                labels=(group,),
                anti_affinity=group,
                disks=(Disk(), Disk("data", size_gib=200)),
            )
            for number in (2 * pair - 1, 2 * pair)
        ]
    return machines + _singular()


def _singular() -> list[Machine]:
    """One of each special case."""
    small = {"request_cpu_millicores": 250, "request_memory_bytes": GIB, "guest_bytes": GIB}

    def one(namespace: str, name: str, **features: object) -> Machine:
        return Machine(namespace, name, **{**small, **features})  # type: ignore[arg-type]

    return [
        one("databases", "report-01", workload="database", affinity_zone=("app.kubernetes.io/instance", "ledger-1")),
        one("lab", "scratch-01", disks=(Disk(), Disk("scratch", "hostDisk", 20))),
        one("lab", "gpu-01", host_device=_GPU, eviction_strategy="None", workload="hpc"),
        one(
            "lab",
            "hpc-01",
            cores=2,
            dedicated_cpus=True,
            guest_bytes=4 * GIB,
            request_cpu_millicores=None,
            request_memory_bytes=None,
            workload="hpc",
        ),
        one("lab", "vault-01", persistent_tpm=True, tier="critical"),
        one("lab", "local-01", node="worker-06", disks=(Disk(storage_class=LVMS, access_mode="ReadWriteOnce"),)),
        one(
            "lab",
            "shared-files-01",
            disks=(Disk("rootdisk", "persistentVolumeClaim", 40, CEPHFS, volume_mode="Filesystem", template=False),),
        ),
        one("lab", "zone-b-01", node_selector=(("topology.kubernetes.io/zone", "zone-b"),)),
        one("lab", "limited-01", limit_cpu_millicores=500),
        one("lab", "paused-01", state="paused"),
        one("lab", "rerun-01", run_strategy="RerunOnFailure"),
        one("lab", "manual-01", run_strategy="Manual"),
        one("lab", "once-01", run_strategy="Once"),
        one("lab", "running-true-01", legacy_running=True),
        one("lab", "stopped-01", run_strategy="Halted", state="stopped"),
        one("lab", "running-false-01", legacy_running=False, state="stopped"),
        one(
            "lab",
            "missing-claim-01",
            run_strategy="Halted",
            state="stopped",
            disks=(Disk("rootdisk", "persistentVolumeClaim", exists=False, template=False),),
        ),
        *(one("lab", f"kiosk-{number}", pool="kiosk", eviction_strategy="LiveMigrateIfPossible") for number in (0, 1)),
    ]
