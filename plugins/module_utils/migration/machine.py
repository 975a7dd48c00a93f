# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a VM's devices, its state, its owner and the difference between wish and reality mean for moving it."""

from __future__ import annotations

from operator import attrgetter
from typing import Iterator

from ..cluster.model import Instance, VirtualMachine, VmSpec
from .findings import Finding, finding
from .surroundings import Surroundings

PREFER_NO_EVICTION = "descheduler.alpha.kubernetes.io/prefer-no-eviction"
ALLOW_POD_BRIDGE = "kubevirt.io/allow-pod-bridge-network-live-migration"
ENDED = ("Succeeded", "Failed")

_VGPU_GATE = "VGPULiveMigration"
_MIGRATABLE_BINDINGS = ("masquerade", "passt", "passtBinding")
_FIXED_BINDINGS = ("slirp", "sriov", "macvtap")
_HOST_MODEL = "host-model"
_HOST_PASSTHROUGH = "host-passthrough"
_RUN_STRATEGIES = ("Always", "RerunOnFailure", "Manual", "Once", "Halted")
_RECEIVER = "WaitAsReceiver"
# run strategies under which a VM without an instance is not what its owner wants
_MEANT_TO_RUN = ("Always", "RerunOnFailure")
_STOPPED_STATUSES = ("", "Stopped")
_MANAGING_OWNERS = ("VirtualMachinePool", "VirtualMachineInstanceReplicaSet")
# fields of a spec that a VM and its instance may differ in, with their names in the API
_COMPARED = (
    ("vcpus", "domain.cpu"),
    ("guest_memory_bytes", "domain.memory"),
    ("cpu_model", "domain.cpu.model"),
    ("dedicated_cpus", "domain.cpu.dedicatedCpuPlacement"),
    ("hugepages", "domain.memory.hugepages"),
    ("host_devices", "domain.devices.hostDevices"),
    ("gpus", "domain.devices.gpus"),
    ("multus_networks", "networks"),
    ("node_selector", "nodeSelector"),
    ("affinity", "affinity"),
    ("tolerations", "tolerations"),
    ("eviction_strategy", "evictionStrategy"),
)
_compared_values = attrgetter(*(field for field, _name in _COMPARED))


def device_findings(around: Surroundings, vm: VirtualMachine, spec: VmSpec) -> Iterator[Finding]:
    """Yield what networks, devices and CPU mean for moving live; C(spec) is what runs, or else would.

    Source: KubeVirt pkg/virt-handler/vm.go calculateLiveMigrationCondition and pkg/network/vmispec/interface.go.
    """
    annotations = vm.instance.annotations if vm.instance else vm.annotations
    for interface, binding in spec.pod_network_bindings.items():
        if binding in _FIXED_BINDINGS or (binding == "bridge" and ALLOW_POD_BRIDGE not in annotations):
            message = f"Interface {interface} uses the pod network with the binding {binding}."
            yield finding("interface_not_migratable", message)
        elif binding not in (*_MIGRATABLE_BINDINGS, "bridge", ""):
            yield finding("binding_unknown", f"Interface {interface} uses the binding plugin {binding}.")
    if spec.host_devices:
        yield finding("host_device", f"It uses host devices ({', '.join(spec.host_devices)}).")
    if len(spec.gpus) > 1:
        yield finding("gpu", f"It uses {len(spec.gpus)} GPUs; at most one can be migrated.")
    elif spec.gpus and _VGPU_GATE not in around.snapshot.virtualization.feature_gates:
        yield finding("gpu", f"It uses the GPU {spec.gpus[0]}, and KubeVirt's gate {_VGPU_GATE} is off.")
    elif spec.gpus:
        yield finding("gpu_perhaps", f"It uses the GPU {spec.gpus[0]}.")
    if spec.cpu_model in ("", _HOST_MODEL) and vm.node in around.nodes_without_host_model:
        yield finding("host_model_unknown", f"Its CPU is the host's, and that of node {vm.node} is not known.")
    if spec.cpu_model == _HOST_PASSTHROUGH:
        yield finding("host_passthrough", "Its CPU is the host's as it is (host-passthrough).")
    if spec.dedicated_cpus or spec.cpu_limited:
        what = "dedicated CPUs" if spec.dedicated_cpus else "a CPU limit"
        yield finding("single_channel", f"It has {what}.")


def state_findings(around: Surroundings, vm: VirtualMachine) -> Iterator[Finding]:
    """Yield what the present state of the VM and its instance means for moving it."""
    instance = vm.instance
    if vm.deleting or (instance is not None and instance.deleting and not vm.has_vm):
        yield finding("deleting", "It is being deleted.")
    if vm.run_strategy == _RECEIVER:
        yield finding("receiver", f"Its run strategy is {_RECEIVER}.")
    elif vm.has_vm and vm.run_strategy not in _RUN_STRATEGIES:
        yield finding("run_strategy_unknown", f"Its run strategy {vm.run_strategy} is not known here.")
    if instance is None:
        yield _without_instance(vm)
    else:
        yield from _instance_findings(around, vm, instance)
    if vm.snapshot_in_progress:
        yield finding("snapshot_in_progress", f"Snapshot {vm.snapshot_in_progress} is being taken.")
    if vm.restore_in_progress:
        yield finding("restore_in_progress", f"Restore {vm.restore_in_progress} is under way.")
    recovery = vm.conditions.get("ManualRecoveryRequired")
    if recovery is not None and recovery.status == "True":
        message = f"It needs manual recovery: {recovery.message or 'its volumes were left half migrated'}."
        yield finding("manual_recovery_required", message)
    restart = vm.conditions.get("RestartRequired")
    if restart is not None and restart.status == "True":
        yield finding("restart_required", f"It waits for a restart: {restart.message or 'its template was changed'}.")


def owner_findings(vm: VirtualMachine) -> Iterator[Finding]:
    """Yield what those want that the VM belongs to."""
    kind = vm.owner.partition("/")[0]
    if kind in _MANAGING_OWNERS:
        yield finding("managed_by_owner", f"It belongs to {vm.owner}.")
    elif vm.owner:
        yield finding("owned", f"It belongs to {vm.owner}.")
    if not vm.has_vm:
        yield finding("no_virtual_machine", "It is a VirtualMachineInstance without a VirtualMachine.")
    annotations = vm.instance.annotations if vm.instance else {}
    if PREFER_NO_EVICTION in annotations or PREFER_NO_EVICTION in vm.annotations:
        yield finding("prefer_no_eviction", f"It has the annotation {PREFER_NO_EVICTION}.")


def difference_findings(vm: VirtualMachine, instance: Instance) -> Iterator[Finding]:
    """Yield in what the wish (the VM's template) and the reality (the instance) differ, volumes aside.

    Only what the template states is compared: defaults are filled in by KubeVirt in the instance only.
    """
    wish, reality = _compared_values(vm.spec), _compared_values(instance.spec)
    if wish == reality:
        return
    differing = [name for (_field, name), wished, real in zip(_COMPARED, wish, reality) if wished and wished != real]
    if differing:
        message = f"The VM and its running instance differ in {', '.join(differing)}."
        yield finding("change_waits", message)


def pinned_findings(around: Surroundings, instance: Instance) -> Iterator[Finding]:
    """Yield that the instance's own node selector or affinity accepts no other node than the one it is on."""
    fitting = around.fitting(instance.spec)
    if fitting is None or fitting - {instance.node}:
        return
    selector = ", ".join(f"{key}={value}" for key, value in sorted(instance.spec.node_selector.items()))
    by = f"node selector ({selector})" if selector else "required node affinity"
    yield finding("pinned", f"Its {by} accepts no node besides {instance.node}.")


def _without_instance(vm: VirtualMachine) -> Finding:
    status = f" (status {vm.printable_status})" if vm.printable_status not in _STOPPED_STATUSES else ""
    if vm.run_strategy in _MEANT_TO_RUN:
        return finding("no_instance", f"Its run strategy is {vm.run_strategy}, but it has no instance{status}.")
    return finding("stopped", f"It does not run{status}; its run strategy is {vm.run_strategy or 'not set'}.")


def _instance_findings(around: Surroundings, vm: VirtualMachine, instance: Instance) -> Iterator[Finding]:
    if instance.phase in ENDED:
        yield finding("instance_ended", f"Its instance has ended ({instance.phase}).")
        return
    if instance.phase == "Unknown":
        yield finding("instance_unknown", f"The state of its instance on node {instance.node} is not known.")
    elif instance.deleting or vm.run_strategy == "Halted":
        yield finding("instance_stopping", "Its instance is being stopped.")
    elif instance.phase != "Running":
        yield finding("instance_starting", f"Its instance is {instance.phase or 'being created'}.")
    if instance.paused:
        yield finding("paused", "It is paused.")
    migration = around.in_flight.get(vm.key)
    state = instance.migration_state
    if migration is not None:
        phase = migration.phase or "Pending"
        yield finding("migrating", f"Migration {migration.name} is in flight ({phase}).")
    elif state is not None and state.start and not state.end:
        to = f" to {state.target_node}" if state.target_node else ""
        yield finding("migrating", f"It is being migrated{to}.")
    changing = instance.conditions.get("VolumesChange")
    if changing is not None and changing.status == "True":
        yield finding("volumes_changing", "Its volumes are being migrated.")
    if instance.evacuation_node:
        yield finding("evacuating", f"It is being evacuated from {instance.evacuation_node}.")
