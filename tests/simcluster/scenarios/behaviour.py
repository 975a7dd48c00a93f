"""How a simulated guest behaves: annotations that instance and pods inherit from the VM's template."""

from __future__ import annotations

import json

from .values import DIRTY_RATE_ANNOTATION, USAGE_ANNOTATION, WORKLOADS, Machine


def template_annotations(machine: Machine) -> dict[str, str]:
    """Annotations that instance and pods inherit: how the simulated guest behaves, also after a restart."""
    return {
        "kubevirt.io/pci-topology-version": "v3",
        USAGE_ANNOTATION: json.dumps(machine_usage(machine)),
        DIRTY_RATE_ANNOTATION: str(WORKLOADS[machine.workload].dirty_rate_bytes_per_second),
    }


def machine_usage(machine: Machine) -> dict[str, int]:
    """What the guest really uses, by its workload class; varied a little from machine to machine."""
    workload = WORKLOADS[machine.workload]
    variation = 0.8 + int(machine.uid[:4], 16) / 0xFFFF * 0.4
    return {
        "cpu_millicores": round(machine.cores * 1000 * min(1.0, workload.cpu_use * variation)),
        "memory_bytes": round(machine.guest_bytes * min(0.98, workload.memory_use * variation)),
    }
