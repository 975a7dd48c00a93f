"""What a launcher pod asks of the scheduler, from what its VM asks for.

Source: KubeVirt pkg/virt-controller/services/renderresources.go (requests), pkg/hypervisor/kvm/hypervisorbackend.go,
GetMemoryOverhead (overhead).
"""

from __future__ import annotations

from dataclasses import dataclass

from .values import GIB, MIB, Machine

# virt-launcher-monitor, virt-launcher, virtlogd, virtqemud, qemu
_FIXED_OVERHEAD_BYTES = (25 + 100 + 25 + 40 + 50) * MIB
_PER_VCPU_BYTES = 8 * MIB
_IO_THREAD_BYTES = 8 * MIB
_GRAPHICS_BYTES = 32 * MIB
_TPM_BYTES = 53 * MIB
_GUARANTEED_BYTES = 100 * MIB

CONTAINER_DISK_CPU_MILLICORES = 1
CONTAINER_DISK_MEMORY_BYTES = 1_000_000


@dataclass(frozen=True)
class Requests:
    """Requests of a whole pod; C(overhead_bytes) is the part of the memory that is not the guest's."""

    cpu_millicores: int
    memory_bytes: int
    overhead_bytes: int
    devices: tuple[tuple[str, int], ...]


def memory_overhead_bytes(machine: Machine) -> int:
    """Memory that KubeVirt adds to the guest's own for the processes around it."""
    overhead = _FIXED_OVERHEAD_BYTES + machine.cores * _PER_VCPU_BYTES + _IO_THREAD_BYTES + _GRAPHICS_BYTES
    if machine.request_memory_bytes is not None:
        overhead += machine.request_memory_bytes // 512
    if machine.host_device:
        overhead += GIB
    if machine.persistent_tpm:
        overhead += _TPM_BYTES
    if machine.dedicated_cpus:
        overhead += _GUARANTEED_BYTES
    return overhead


def compute_cpu_millicores(machine: Machine, cpu_allocation_ratio: int) -> int:
    """CPU request of the compute container: dedicated CPUs, the explicit request, or vCPUs divided by the ratio."""
    if machine.dedicated_cpus:
        return machine.cores * 1000
    if machine.request_cpu_millicores is not None:
        return machine.request_cpu_millicores
    return machine.cores * 1000 // cpu_allocation_ratio


def launcher_requests(machine: Machine, cpu_allocation_ratio: int) -> Requests:
    """Requests of the machine's launcher pod, all containers together (memory is not overcommitted)."""
    overhead = memory_overhead_bytes(machine)
    guest = machine.request_memory_bytes if machine.request_memory_bytes is not None else machine.guest_bytes
    image_disks = sum(disk.source == "containerDisk" for disk in machine.disks)
    return Requests(
        cpu_millicores=compute_cpu_millicores(machine, cpu_allocation_ratio)
        + image_disks * CONTAINER_DISK_CPU_MILLICORES,
        memory_bytes=guest + overhead + image_disks * CONTAINER_DISK_MEMORY_BYTES,
        overhead_bytes=overhead,
        devices=((machine.host_device, 1),) if machine.host_device else (),
    )
