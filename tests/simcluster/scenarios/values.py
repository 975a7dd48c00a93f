"""What a scenario is made of before it becomes Kubernetes objects: nodes, machines, disks, workloads.

Units: millicores, bytes, GiB where a name says so. Names are deterministic; nothing here reads a clock.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any, Literal

MIB = 1024**2
GIB = 1024**3
# memory modules as the kernel reports them
MEMORY_64_GB = 65_793_000 * 1024
MEMORY_384_GB = 395_000_000 * 1024

TIER_LABEL = "ocpv.scale/tier"
WORKLOAD_LABEL = "ocpv.scale/workload"
USAGE_ANNOTATION = "simcluster.ocpv.scale/usage"
DIRTY_RATE_ANNOTATION = "simcluster.ocpv.scale/dirty-rate-bytes-per-second"
KUBEVIRT_NAMESPACE = "openshift-cnv"
HYPERCONVERGED_NAME = "kubevirt-hyperconverged"
KUBEVIRT_NAME = "kubevirt-kubevirt-hyperconverged"
INSTALLED_AT = "2026-03-02T06:00:00Z"
STARTED_AT = "2026-03-03T07:30:00Z"

Obj = dict[str, Any]
Tier = Literal["dev-test", "non-critical", "critical", ""]
DiskSource = Literal["dataVolume", "persistentVolumeClaim", "containerDisk", "hostDisk", "cloudInitNoCloud"]


def stable_uid(*parts: str) -> str:
    """A UUID that depends on C(parts) only, so that the same scenario always has the same uids."""
    digest = hashlib.md5("/".join(parts).encode(), usedforsecurity=False).hexdigest()
    return f"{digest[:8]}-{digest[8:12]}-4{digest[13:16]}-a{digest[17:20]}-{digest[20:]}"


def stable_suffix(*parts: str) -> str:
    """Five characters as generateName appends them (alphabet of k8s.io/apimachinery pkg/util/rand)."""
    alphabet = "bcdfghjklmnpqrstvwxz2456789"
    digest = hashlib.md5("/".join(parts).encode(), usedforsecurity=False).digest()
    return "".join(alphabet[byte % len(alphabet)] for byte in digest[:5])


def owner_reference(api_version: str, kind: str, name: str, uid: str) -> Obj:
    """The reference of an object to the controller that owns it."""
    return {
        "apiVersion": api_version,
        "kind": kind,
        "name": name,
        "uid": uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }


@dataclass(frozen=True)
class StorageClass:
    """A storage class with what a StorageProfile says of it; C(local) volumes bind to one node."""

    name: str
    provisioner: str
    claim_property_sets: tuple[tuple[str, str], ...]  # (access mode, volume mode), best first
    default: bool = False
    local: bool = False


RBD = StorageClass(
    "ocs-external-storagecluster-ceph-rbd",
    "openshift-storage.rbd.csi.ceph.com",
    (("ReadWriteMany", "Block"), ("ReadWriteOnce", "Block"), ("ReadWriteOnce", "Filesystem")),
    default=True,
)
CEPHFS = StorageClass(
    "ocs-external-storagecluster-cephfs",
    "openshift-storage.cephfs.csi.ceph.com",
    (("ReadWriteMany", "Filesystem"), ("ReadWriteOnce", "Filesystem")),
)
SAN = StorageClass("san-single-attach", "csi.vsphere.vmware.com", (("ReadWriteOnce", "Filesystem"),))
LVMS = StorageClass("lvms-vg1", "topolvm.io", (("ReadWriteOnce", "Block"), ("ReadWriteOnce", "Filesystem")), local=True)
STORAGE_CLASSES = (RBD, CEPHFS, SAN, LVMS)


@dataclass(frozen=True)
class Workload:
    """How a class of guests behaves: share of its vCPUs and memory in use, and how fast it dirties memory."""

    cpu_use: float
    memory_use: float
    dirty_rate_bytes_per_second: int


WORKLOADS = {
    "": Workload(0.10, 0.45, 2 * MIB),
    "general": Workload(0.20, 0.55, 4 * MIB),
    "web": Workload(0.30, 0.50, 8 * MIB),
    "database": Workload(0.55, 0.80, 120 * MIB),
    "caching": Workload(0.40, 0.85, 300 * MIB),
    "analytics": Workload(0.60, 0.70, 60 * MIB),
    "hpc": Workload(0.95, 0.75, 500 * MIB),
    "batch": Workload(0.05, 0.30, 1 * MIB),
}


@dataclass(frozen=True)
class Disk:
    """A volume of a machine. A claim is named after the machine and the disk unless C(claim) says otherwise."""

    name: str = "rootdisk"
    source: DiskSource = "dataVolume"
    size_gib: int = 40
    storage_class: StorageClass = RBD
    access_mode: str = "ReadWriteMany"
    volume_mode: str = "Block"
    image: str = ""
    exists: bool = True  # False: the VM names a claim that is not there
    template: bool = True  # the DataVolume comes from spec.dataVolumeTemplates


@dataclass(frozen=True)
class Machine:
    """A virtual machine: what its owner asked for, and the state the scenario starts it in.

    C(request_cpu_millicores) and C(request_memory_bytes) are explicit requests of the domain (None: left to the
    cluster's allocation ratios).
    """

    namespace: str
    name: str
    guest_bytes: int
    cores: int = 1
    request_cpu_millicores: int | None = None
    request_memory_bytes: int | None = None
    limit_cpu_millicores: int | None = None
    disks: tuple[Disk, ...] = (Disk(),)
    operating_system: Literal["rhel", "windows", "fedora"] = "rhel"
    workload: str = ""
    tier: Tier = ""
    labels: tuple[tuple[str, str], ...] = ()
    run_strategy: str = "Always"
    legacy_running: bool | None = None  # spec.running instead of spec.runStrategy
    state: Literal["running", "stopped", "paused"] = "running"
    eviction_strategy: str = "LiveMigrate"
    cpu_model: str = "host-model"
    machine_type: str = "pc-q35-rhel9.4.0"
    dedicated_cpus: bool = False
    host_device: str = ""
    persistent_tpm: bool = False
    reenlightenment: bool = False
    multus_bridge: str = ""  # network attachment definition; empty: masquerade on the pod network
    node_selector: tuple[tuple[str, str], ...] = ()
    anti_affinity: tuple[str, str] | None = None  # (label, value) that no other VM on the same host may carry
    affinity_zone: tuple[str, str] | None = None  # (label, value) that must be in the same zone
    spread_zone: tuple[str, str] | None = None  # (label, value) spread evenly over zones, maxSkew 1
    tolerations: tuple[tuple[str, str], ...] = ()  # (key, value), NoSchedule
    termination_grace_seconds: int = 180
    pool: str = ""
    node: str = ""  # placed here; empty: the scenario's placement decides

    @property
    def uid(self) -> str:
        """The uid of the VirtualMachine."""
        return stable_uid("VirtualMachine", self.namespace, self.name)

    @property
    def instance_uid(self) -> str:
        """The uid of the VirtualMachineInstance."""
        return stable_uid("VirtualMachineInstance", self.namespace, self.name)

    @property
    def running(self) -> bool:
        return self.state != "stopped"

    @property
    def all_labels(self) -> dict[str, str]:
        """Labels of the template, hence of the instance and its pods."""
        labels = {"app": self.name, "kubevirt.io/domain": self.name, **dict(self.labels)}
        if self.workload:
            labels[WORKLOAD_LABEL] = self.workload
        if self.tier:
            labels[TIER_LABEL] = self.tier
        return labels


@dataclass(frozen=True)
class CpuModel:
    """What the node labeller finds on a host: its own model, and all it can offer to guests."""

    vendor: str
    host_model: str
    usable_models: tuple[str, ...]
    required_features: tuple[str, ...]
    tsc_frequency_hz: int
    other_features: tuple[str, ...] = ()


CASCADE_LAKE = CpuModel(
    "Intel",
    "Cascadelake-Server",
    ("Cascadelake-Server", "Cascadelake-Server-noTSX", "Skylake-Server", "Broadwell", "Haswell", "IvyBridge"),
    ("ds", "pdcm", "vmx"),
    2095076000,
)
ICE_LAKE = CpuModel(
    "Intel",
    "Icelake-Server",
    ("Icelake-Server", *CASCADE_LAKE.usable_models),
    ("fsrm", "md-clear", "vmx"),
    1995312000,
    other_features=("ds", "pdcm"),
)
MILAN = CpuModel(
    "AMD",
    "EPYC-Milan",
    ("EPYC-Milan", "EPYC-Rome", "EPYC", "Opteron_G5"),
    ("amd-ssbd", "svm", "topoext"),
    2445406000,
)


@dataclass(frozen=True)
class Nic:
    """A network card."""

    name: str
    max_mtu: int = 9978
    speed_mbit: int = 25_000
    driver: str = "mlx5_core"


NICS = (Nic("ens2f0"), Nic("ens2f1"))


@dataclass(frozen=True)
class NodeShape:
    """A machine of the cluster, as bought and configured."""

    name: str
    index: int
    zone: str
    cores: int
    memory_bytes: int
    max_pods: int = 250
    cpu: CpuModel = CASCADE_LAKE
    control_plane: bool = False
    worker: bool = True
    cpu_manager: bool = False
    labels: tuple[tuple[str, str], ...] = ()
    taints: tuple[tuple[str, str, str], ...] = ()  # key, value, effect
    devices: tuple[tuple[str, int], ...] = ()
    nics: tuple[Nic, ...] = NICS  # those that nothing uses yet

    @property
    def allocatable_cpu_millicores(self) -> int:
        return self.cores * 1000 - 500

    @property
    def allocatable_memory_bytes(self) -> int:
        return self.memory_bytes - 1126 * MIB


@dataclass(frozen=True)
class Migrations:
    """The limits that the HyperConverged carries."""

    parallel_per_cluster: int = 5
    parallel_outbound_per_node: int = 1
    completion_timeout_per_gib: int = 20
    progress_timeout: int = 150
    bandwidth: str = ""


@dataclass(frozen=True)
class Layout:
    """A whole scenario as values; C(pods_on) is the number of ordinary pods per node, virt-handler not counted."""

    name: str
    description: str
    nodes: tuple[NodeShape, ...]
    machines: tuple[Machine, ...]  # every running one has a node
    namespaces: dict[str, dict[str, str]]  # name -> extra labels
    pods_on: dict[str, int]
    migrations: Migrations = Migrations()
    cpu_allocation_ratio: int = 10
    pod_cpu_millicores: int = 20
    pod_memory_bytes: int = 48 * MIB
    pod_namespace: str = "pods-space"
    hyperconverged_version: str = "1.19.0"
    kubevirt_version: str = "v1.9.0"
    hyperconverged_versions: tuple[str, ...] = ("v1", "v1beta1")
    pools: tuple[str, ...] = ()  # machine config pools besides worker and master, by the role label of their nodes
    settings: dict[str, Any] = field(default_factory=dict)
