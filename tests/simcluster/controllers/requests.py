"""What a launcher pod requests, from the instance it is made for and the cluster's ratios.

Source: KubeVirt pkg/virt-controller/services/renderresources.go (requests),
pkg/hypervisor/kvm/hypervisorbackend.go, GetMemoryOverhead (overhead).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..quantity import millicores, whole

Obj = dict[str, Any]
MIB = 1024**2
# virt-launcher-monitor, virt-launcher, virtlogd, virtqemud, qemu
_FIXED_OVERHEAD_BYTES = (25 + 100 + 25 + 40 + 50) * MIB
_PER_VCPU_BYTES = 8 * MIB
_IO_THREAD_BYTES = 8 * MIB
_GRAPHICS_BYTES = 32 * MIB
_ARM_BYTES = 128 * MIB
_VFIO_BYTES = 1024 * MIB
_DOWNWARD_METRICS_BYTES = MIB
_TPM_BYTES = 53 * MIB
_SEV_BYTES = 256 * MIB
_GUARANTEED_BYTES = 100 * MIB
_PAGE_TABLE_SHARE = 512
_DEFAULT_CPU_ALLOCATION_RATIO = 10


@dataclass(frozen=True)
class ComputeRequests:
    """Requests and limits of the compute container; limits are None where there are none."""

    cpu_millicores: int
    memory_bytes: int
    overhead_bytes: int
    hugepages: tuple[str, int] | None  # page size, bytes
    limit_cpu_millicores: int | None
    limit_memory_bytes: int | None


def vcpus(domain: Obj) -> int:
    """Threads the guest sees; without a topology the CPU limit or request counts as sockets."""
    cpu: Obj = domain.get("cpu") or {}
    if any(cpu.get(name) for name in ("sockets", "cores", "threads")):
        return int((cpu.get("sockets") or 1) * (cpu.get("cores") or 1) * (cpu.get("threads") or 1))
    resources: Obj = domain.get("resources") or {}
    text = (resources.get("limits") or {}).get("cpu") or (resources.get("requests") or {}).get("cpu")
    return max(1, -(-millicores(text) // 1000)) if text else 1


def guest_bytes(domain: Obj) -> int:
    """The guest's memory: its own setting, else the memory request or limit."""
    resources: Obj = domain.get("resources") or {}
    text = (
        (domain.get("memory") or {}).get("guest")
        or (resources.get("requests") or {}).get("memory")
        or (resources.get("limits") or {}).get("memory")
    )
    return whole(text) if text else 0


def overhead_bytes(domain: Obj, architecture: str = "amd64") -> int:
    """Memory of the processes around the guest."""
    resources: Obj = domain.get("resources") or {}
    devices: Obj = domain.get("devices") or {}
    explicit = (resources.get("requests") or {}).get("memory")
    total = _FIXED_OVERHEAD_BYTES + vcpus(domain) * _PER_VCPU_BYTES + _IO_THREAD_BYTES
    if explicit:
        total += whole(explicit) // _PAGE_TABLE_SHARE
    if devices.get("autoattachGraphicsDevice") is not False:
        total += _GRAPHICS_BYTES
    if architecture == "arm64":
        total += _ARM_BYTES
    if devices.get("hostDevices") or devices.get("gpus"):
        total += _VFIO_BYTES
    if devices.get("tpm") is not None and (devices["tpm"] or {}).get("enabled", True):
        total += _TPM_BYTES
    if devices.get("downwardMetrics") is not None:
        total += _DOWNWARD_METRICS_BYTES
    if (domain.get("launchSecurity") or {}).get("sev") is not None:
        total += _SEV_BYTES
    if _guaranteed(domain):
        total += _GUARANTEED_BYTES
    reserved = (domain.get("memory") or {}).get("reservedOverhead")
    return total + (whole(reserved) if isinstance(reserved, str) else 0)


def _guaranteed(domain: Obj) -> bool:
    """Dedicated CPUs, or limits equal to the requests of both cpu and memory."""
    if (domain.get("cpu") or {}).get("dedicatedCpuPlacement"):
        return True
    resources: Obj = domain.get("resources") or {}
    requests, limits = resources.get("requests") or {}, resources.get("limits") or {}
    return all(limits.get(name) and requests.get(name, limits[name]) == limits[name] for name in ("cpu", "memory"))


def compute_requests(instance_spec: Obj, developer: Obj) -> ComputeRequests:
    """Requests of the compute container; C(developer) is the KubeVirt's developerConfiguration."""
    domain: Obj = instance_spec.get("domain") or {}
    overhead = overhead_bytes(domain, instance_spec.get("architecture") or "amd64")
    resources: Obj = domain.get("resources") or {}
    requests, limits = resources.get("requests") or {}, resources.get("limits") or {}
    cpu = _cpu_millicores(domain, requests, limits, developer)
    dedicated = bool((domain.get("cpu") or {}).get("dedicatedCpuPlacement"))
    counted = 0 if resources.get("overcommitGuestOverhead") else overhead
    guest = guest_bytes(domain)
    hugepages: Obj = (domain.get("memory") or {}).get("hugepages") or {}
    if hugepages:
        memory = overhead
    elif requests.get("memory") or limits.get("memory"):
        memory = whole(requests.get("memory") or limits["memory"]) + counted
    else:
        memory = guest * 100 // int(developer.get("memoryOvercommit") or 100) + counted
    return ComputeRequests(
        cpu_millicores=cpu,
        memory_bytes=memory,
        overhead_bytes=overhead,
        hugepages=(hugepages.get("pageSize", "2Mi"), guest) if hugepages else None,
        limit_cpu_millicores=cpu if dedicated else (millicores(limits["cpu"]) if limits.get("cpu") else None),
        limit_memory_bytes=memory
        if dedicated
        else (whole(limits["memory"]) + overhead if limits.get("memory") else None),
    )


def _cpu_millicores(domain: Obj, requests: Obj, limits: Obj, developer: Obj) -> int:
    cpu: Obj = domain.get("cpu") or {}
    count = vcpus(domain)
    if cpu.get("dedicatedCpuPlacement"):
        emulator = 1 + count % 2 if cpu.get("isolateEmulatorThread") else 0
        return (count + emulator) * 1000
    if requests.get("cpu") or limits.get("cpu"):
        return millicores(requests.get("cpu") or limits["cpu"])
    threads = int((domain.get("ioThreads") or {}).get("supplementalPoolThreadCount") or 0)
    return (count + threads) * 1000 // int(developer.get("cpuAllocationRatio") or _DEFAULT_CPU_ALLOCATION_RATIO)
