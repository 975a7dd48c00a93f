# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a VM asks of a node: its launcher pod's requests, its vCPUs and guest memory, its measured use."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

from ..cluster.model import Pod, Resources, Virtualization, VirtualMachine, VmSpec
from ..quantity import parse_bytes, parse_cpu

_MIB = 1024**2
_GIB = 1024**3
# virt-launcher-monitor, virt-launcher, virtlogd, virtqemud, qemu; one I/O thread; the default graphics device
_FIXED_OVERHEAD_BYTES = (240 + 8 + 32) * _MIB
_PER_VCPU_OVERHEAD_BYTES = 8 * _MIB
_TPM_OVERHEAD_BYTES = 53 * _MIB
_GUARANTEED_OVERHEAD_BYTES = 100 * _MIB
_ARM_OVERHEAD_BYTES = 128 * _MIB


@dataclass(frozen=True)
class Demand:
    """What one VM (or one other pod) holds on a node. CPU in millicores, memory in bytes; C(extended) are pairs of
    Kubernetes resource name and amount; C(used_...) are None where there are no metrics."""

    cpu: int = 0
    memory: int = 0
    pods: int = 1
    extended: tuple[tuple[str, int], ...] = ()
    allocated_cpu: int = 0
    allocated_memory: int = 0
    used_cpu: Optional[int] = None
    used_memory: Optional[int] = None


def pod_demand(pod: Pod) -> Demand:
    """Return what a pod that is no launcher holds."""
    requests = pod.requests
    return Demand(cpu=requests.cpu_millicores, memory=requests.memory_bytes, extended=_extended(requests))


def vm_demand(vm: VirtualMachine, virtualization: Virtualization, requests: Optional[Resources] = None) -> Demand:
    """Return what a running VM holds on its node.

    C(requests) are those of a launcher pod that exists (default: the instance's active one); without any they are
    estimated from the instance's spec.
    """
    instance = vm.instance
    spec = instance.spec if instance else vm.spec
    held = requests or (instance.requests if instance else None) or estimate_requests(spec, virtualization)
    usage = instance.usage if instance else None
    return Demand(
        cpu=held.cpu_millicores,
        memory=held.memory_bytes,
        pods=1 + _attachment_pods(vm),
        extended=_extended(held),
        allocated_cpu=spec.vcpus * 1000,
        allocated_memory=spec.guest_memory_bytes,
        used_cpu=usage.cpu_millicores if usage else None,
        used_memory=usage.memory_bytes if usage else None,
    )


def arriving_demand(vm: VirtualMachine, virtualization: Virtualization, cold: bool) -> Demand:
    """Return what the VM will hold on a node it moves to.

    The new launcher pod is rendered again: by today's allocation ratio and overcommitment, and after a cold move by the
    VM's template, which may differ from the running instance. So each amount is at least what that would give.
    """
    held = vm_demand(vm, virtualization)
    spec = vm.spec if cold or vm.instance is None else vm.instance.spec
    least = estimate_requests(spec, virtualization, overhead=False)
    if cold and (spec.guest_memory_bytes, spec.requests, spec.hugepages) != _sizes(vm):
        least = estimate_requests(spec, virtualization)
    extended = dict(held.extended)
    for name, amount in least.extended.items():
        extended[name] = max(amount, extended.get(name, 0))
    return Demand(
        cpu=max(held.cpu, least.cpu_millicores),
        memory=max(held.memory, least.memory_bytes),
        pods=held.pods,
        extended=tuple(sorted(extended.items())),
        allocated_cpu=spec.vcpus * 1000,
        allocated_memory=spec.guest_memory_bytes,
        used_cpu=held.used_cpu,
        used_memory=held.used_memory,
    )


def estimate_requests(spec: VmSpec, virtualization: Virtualization, overhead: bool = True) -> Resources:
    """Return what KubeVirt asks for a launcher pod of this spec, to within tens of MiB.

    Source: KubeVirt pkg/virt-controller/services/renderresources.go and pkg/hypervisor/kvm GetMemoryOverhead. With
    C(overhead) false the memory is a lower bound: the guest's part alone.
    """
    vcpus = max(1, spec.vcpus)
    if spec.dedicated_cpus:
        cpu = vcpus * 1000
    elif spec.requests.get("cpu") or spec.limits.get("cpu"):
        cpu = parse_cpu(spec.requests.get("cpu") or spec.limits["cpu"])
    else:
        cpu = -(-vcpus * 1000 // max(1, virtualization.cpu_allocation_ratio))
    explicit = spec.requests.get("memory") or spec.limits.get("memory")
    explicit_bytes = parse_bytes(explicit) if explicit else 0
    extended: dict[str, int] = {}
    if spec.hugepages:
        extended[f"hugepages-{spec.hugepages}"] = spec.guest_memory_bytes
        memory = 0
    elif explicit:
        memory = explicit_bytes
    else:
        memory = spec.guest_memory_bytes * 100 // max(1, virtualization.memory_overcommit_percent)
    for device in spec.host_devices + spec.gpus:
        extended[device] = extended.get(device, 0) + 1
    if overhead:
        memory += _FIXED_OVERHEAD_BYTES + vcpus * _PER_VCPU_OVERHEAD_BYTES + explicit_bytes // 512
        memory += _TPM_OVERHEAD_BYTES if spec.persistent_tpm else 0
        memory += _GUARANTEED_OVERHEAD_BYTES if spec.dedicated_cpus else 0
        memory += _GIB if spec.host_devices or spec.gpus else 0
        memory += _ARM_OVERHEAD_BYTES if spec.architecture == "arm64" else 0
    return Resources(cpu_millicores=cpu, memory_bytes=memory, pods=1, extended=extended)


def _sizes(vm: VirtualMachine) -> tuple[object, ...]:
    spec = vm.instance.spec if vm.instance else vm.spec
    return (spec.guest_memory_bytes, spec.requests, spec.hugepages)


def _attachment_pods(vm: VirtualMachine) -> int:
    """Hotplugged volumes are held by one pod more, on source and target."""
    return 1 if vm.instance and any(status.hotplugged for status in vm.instance.volume_status) else 0


def _extended(requests: Resources) -> tuple[tuple[str, int], ...]:
    return tuple(sorted((name, amount) for name, amount in requests.extended.items() if amount))
