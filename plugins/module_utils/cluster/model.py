# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The Snapshot: one consistent, immutable picture of a cluster, made of plain values.

Everything that is assessed and planned is a function of these values; where they came from (the API, a must-gather, a
file) no longer matters. Units: millicores, bytes, seconds; times are RFC 3339 text as the API writes them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Mapping, Optional

from .quick_init import quick_init

RUNNING = "Running"


@quick_init
@dataclass(frozen=True)
class Resources:
    """Amounts of what the scheduler counts. C(extended) holds everything else by its Kubernetes name (hugepages-1Gi in
    bytes, devices and other extended resources as counts)."""

    cpu_millicores: int = 0
    memory_bytes: int = 0
    pods: int = 0
    extended: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Usage:
    """What is really used, as metrics.k8s.io reports it."""

    cpu_millicores: int
    memory_bytes: int


@dataclass(frozen=True)
class Taint:
    key: str
    value: str
    effect: str


@quick_init
@dataclass(frozen=True)
class Condition:
    type: str
    status: str
    reason: str = ""
    message: str = ""


@dataclass(frozen=True)
class Node:
    name: str
    uid: str
    labels: Mapping[str, str]
    taints: tuple[Taint, ...]
    unschedulable: bool
    ready: bool
    allocatable: Resources
    heartbeat: str = ""
    usage: Optional[Usage] = None

    @property
    def control_plane(self) -> bool:
        return "node-role.kubernetes.io/control-plane" in self.labels or "node-role.kubernetes.io/master" in self.labels

    @property
    def runs_vms(self) -> bool:
        """Whether virt-handler says that VMs can be scheduled here (label kubevirt.io/schedulable)."""
        return self.labels.get("kubevirt.io/schedulable") == "true"

    @property
    def hostname_label(self) -> str:
        """The value to select this node by; it may differ from the node's name."""
        return self.labels.get("kubernetes.io/hostname", self.name)


@quick_init
@dataclass(frozen=True)
class Pod:
    """A pod that holds resources of a node (neither Succeeded nor Failed)."""

    namespace: str
    name: str
    uid: str
    node: str
    phase: str
    labels: Mapping[str, str]
    requests: Resources
    # launcher pods only: UID of the VMI it belongs to, and of the migration it was created for; the nodes it selects
    vmi_uid: str = ""
    migration_uid: str = ""
    node_selector: Mapping[str, str] = field(default_factory=dict)
    # required terms only, as the API writes them; they bind other pods as well (symmetry of anti-affinity)
    anti_affinity: tuple[Mapping[str, Any], ...] = ()
    deleting: bool = False


@quick_init
@dataclass(frozen=True)
class Volume:
    """A volume of a VM. C(kind) is the name of its source in the API (persistentVolumeClaim, dataVolume, containerDisk,
    hostDisk, ephemeral, emptyDisk, cloudInitNoCloud, ...); C(claim) the PVC it uses, empty if none."""

    name: str
    kind: str
    claim: str = ""
    hotplugged: bool = False
    shared_host_disk: bool = False
    # how the guest sees it: disk, cdrom, lun, filesystem (virtiofs); empty if no device uses the volume
    device: str = ""
    read_only: bool = False


@quick_init
@dataclass(frozen=True)
class VmSpec:
    """The parts of spec.template.spec (of a VM) or spec (of a VMI) that decide where and how it can move."""

    node_selector: Mapping[str, str] = field(default_factory=dict)
    affinity: Mapping[str, Any] = field(default_factory=dict)
    tolerations: tuple[Mapping[str, Any], ...] = ()
    topology_spread: tuple[Mapping[str, Any], ...] = ()
    scheduler_name: str = ""
    priority_class: str = ""
    volumes: tuple[Volume, ...] = ()
    vcpus: int = 1
    guest_memory_bytes: int = 0
    cpu_model: str = ""
    cpu_features: tuple[str, ...] = ()
    dedicated_cpus: bool = False
    cpu_limited: bool = False
    hugepages: str = ""
    machine_type: str = ""
    architecture: str = ""
    requests: Mapping[str, str] = field(default_factory=dict)
    limits: Mapping[str, str] = field(default_factory=dict)
    eviction_strategy: str = ""
    host_devices: tuple[str, ...] = ()
    gpus: tuple[str, ...] = ()
    # interface name -> binding (masquerade, bridge, sriov, or the plugin's name) of those on the pod network
    pod_network_bindings: Mapping[str, str] = field(default_factory=dict)
    multus_networks: tuple[str, ...] = ()
    persistent_tpm: bool = False
    persistent_efi: bool = False
    termination_grace_seconds: int = 30


@quick_init
@dataclass(frozen=True)
class VolumeStatus:
    """What virt-handler reports of a volume: the claim it really uses and that claim's access modes."""

    name: str
    claim: str = ""
    access_modes: tuple[str, ...] = ()
    volume_mode: str = ""
    hotplugged: bool = False
    phase: str = ""


@dataclass(frozen=True)
class MigrationState:
    """The last or current migration of a VMI (status.migrationState). C(configuration) are the settings it was started
    with, as the API writes them, C(policy) the MigrationPolicy in them."""

    migration_uid: str = ""
    source_node: str = ""
    target_node: str = ""
    start: str = ""
    end: str = ""
    completed: bool = False
    failed: bool = False
    failure_reason: str = ""
    mode: str = ""
    abort_requested: bool = False
    target_address: str = ""
    policy: str = ""
    configuration: Mapping[str, Any] = field(default_factory=dict)


@quick_init
@dataclass(frozen=True)
class Instance:
    """The VirtualMachineInstance: the VM as it runs now."""

    uid: str
    phase: str
    node: str
    spec: VmSpec
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    conditions: Mapping[str, Condition]
    migration_method: str = ""
    migration_state: Optional[MigrationState] = None
    volume_status: tuple[VolumeStatus, ...] = ()
    migrated_volumes: tuple[str, ...] = ()
    evacuation_node: str = ""
    deleting: bool = False
    # from its active launcher pod on `node`; None while there is none or pods were not read
    requests: Optional[Resources] = None
    usage: Optional[Usage] = None
    dirty_rate_bytes_per_second: Optional[float] = None
    # nodeSelector of its active launcher pod: holds what only virt-controller knows (host-model CPU, TSC frequency)
    launcher_selector: Mapping[str, str] = field(default_factory=dict)

    @property
    def paused(self) -> bool:
        condition = self.conditions.get("Paused")
        return condition is not None and condition.status == "True"


@quick_init
@dataclass(frozen=True)
class VirtualMachine:
    """A VM with its instance. C(spec) is the wish (the VM's template), C(instance.spec) the reality; they may differ.

    A VMI without a VirtualMachine (its owner is a replica set, a pool or nobody) has C(has_vm) false and C(spec) equal
    to the instance's.
    """

    namespace: str
    name: str
    uid: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    template_labels: Mapping[str, str]
    # the effective strategy; spec.running true/false reads as Always/Halted and is told by uses_running
    run_strategy: str
    uses_running: bool
    printable_status: str
    spec: VmSpec
    instance: Optional[Instance] = None
    has_vm: bool = True
    owner: str = ""  # "Kind/name" of the controlling owner of the VM, or of a VMI without VM
    data_volume_templates: tuple[str, ...] = ()
    conditions: Mapping[str, Condition] = field(default_factory=dict)
    deleting: bool = False
    # names of the VirtualMachineSnapshot or -Restore that works on it now
    snapshot_in_progress: str = ""
    restore_in_progress: str = ""

    @property
    def key(self) -> str:
        return f"{self.namespace}/{self.name}"

    @property
    def running(self) -> bool:
        return self.instance is not None and self.instance.phase == RUNNING

    @property
    def node(self) -> str:
        return self.instance.node if self.instance else ""


@quick_init
@dataclass(frozen=True)
class Claim:
    """A PersistentVolumeClaim."""

    namespace: str
    name: str
    access_modes: tuple[str, ...]
    volume_mode: str
    storage_class: str
    phase: str
    volume: str = ""
    capacity_bytes: int = 0


@quick_init
@dataclass(frozen=True)
class PersistentVolume:
    name: str
    access_modes: tuple[str, ...]
    # spec.nodeAffinity.required of the volume as the API writes it; empty if any node may use it
    node_affinity: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class StorageClass:
    name: str
    provisioner: str
    default: bool = False
    virt_default: bool = False
    # (access mode, volume mode) pairs that CDI's StorageProfile offers, its preference first
    claim_property_sets: tuple[tuple[str, str], ...] = ()
    # claims stay unbound until a pod uses them (volumeBindingMode WaitForFirstConsumer)
    waits_for_consumer: bool = False


@quick_init
@dataclass(frozen=True)
class DataVolume:
    namespace: str
    name: str
    phase: str
    claim: str = ""


@dataclass(frozen=True)
class Migration:
    """A VirtualMachineInstanceMigration."""

    namespace: str
    name: str
    uid: str
    vmi: str
    phase: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    created: str = ""
    priority: str = ""
    # phase -> RFC 3339 time
    transitions: Mapping[str, str] = field(default_factory=dict)
    state: Optional[MigrationState] = None
    conditions: Mapping[str, Condition] = field(default_factory=dict)
    deleting: bool = False
    # what it narrows the nodes down to, beside what the VM itself selects
    added_node_selector: Mapping[str, str] = field(default_factory=dict)

    @property
    def final(self) -> bool:
        return self.phase in ("Succeeded", "Failed")


@dataclass(frozen=True)
class MigrationSettings:
    """The live-migration settings in force (KubeVirt spec.configuration.migrations) and where they are stated.

    C(source) is for people: "HyperConverged openshift-cnv/kubevirt-hyperconverged (hco.kubevirt.io/v1)", "KubeVirt ..."
    or "KubeVirt's built-in defaults".
    """

    parallel_migrations_per_cluster: int
    parallel_outbound_migrations_per_node: int
    completion_timeout_per_gib: int
    progress_timeout_seconds: int
    bandwidth_bytes_per_second: int  # 0 = no limit
    allow_auto_converge: bool
    allow_post_copy: bool
    allow_workload_disruption: bool
    network: str
    source: str


@dataclass(frozen=True)
class Virtualization:
    """State of OpenShift Virtualization itself."""

    namespace: str = ""
    kubevirt_version: str = ""
    hyperconverged_version: str = ""
    hyperconverged_api: str = ""  # "hco.kubevirt.io/v1", "hco.kubevirt.io/v1beta1", "" if there is no HyperConverged
    settings: Optional[MigrationSettings] = None
    vm_rollout_strategy: str = ""
    workload_update_methods: tuple[str, ...] = ()
    cpu_allocation_ratio: int = 10
    memory_overcommit_percent: int = 100
    default_eviction_strategy: str = ""
    feature_gates: tuple[str, ...] = ()
    outdated_instances: int = 0
    kubevirt_conditions: Mapping[str, Condition] = field(default_factory=dict)
    hyperconverged_conditions: Mapping[str, Condition] = field(default_factory=dict)
    # whether the served VirtualMachineInstanceMigration has spec.addedNodeSelector; None if that was not learnt
    targeted_migration: Optional[bool] = None
    # node -> whether its virt-handler pod is ready
    virt_handler_ready: Mapping[str, bool] = field(default_factory=dict)


@dataclass(frozen=True)
class MigrationPolicy:
    name: str
    vmi_labels: Optional[Mapping[str, str]]
    namespace_labels: Optional[Mapping[str, str]]
    spec: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Descheduler:
    mode: str
    profiles: tuple[str, ...]
    interval_seconds: int = 0


@dataclass(frozen=True)
class Snapshot:
    """The whole picture. C(parts) names what was read; what was asked for but could not be read is in C(missing) with
    the reason, so that nothing is taken for empty that was merely not allowed."""

    captured_at: str
    cluster_uid: str  # UID of the namespace kube-system: identifies a cluster
    server_version: str = ""
    nodes: Mapping[str, Node] = field(default_factory=dict)
    namespaces: Mapping[str, Mapping[str, str]] = field(default_factory=dict)  # name -> labels
    virtual_machines: Mapping[str, VirtualMachine] = field(default_factory=dict)  # "namespace/name"
    pods: tuple[Pod, ...] = ()
    claims: Mapping[str, Claim] = field(default_factory=dict)
    persistent_volumes: Mapping[str, PersistentVolume] = field(default_factory=dict)
    storage_classes: Mapping[str, StorageClass] = field(default_factory=dict)
    data_volumes: Mapping[str, DataVolume] = field(default_factory=dict)
    migrations: tuple[Migration, ...] = ()
    migration_policies: tuple[MigrationPolicy, ...] = ()
    virtualization: Virtualization = field(default_factory=Virtualization)
    descheduler: Optional[Descheduler] = None
    parts: tuple[str, ...] = ()
    missing: Mapping[str, str] = field(default_factory=dict)
