"""What a machine's launcher pod asks of the scheduler: read from the pod that the controllers would make for it."""

from __future__ import annotations

from dataclasses import dataclass

from ..controllers.launcher import launcher_pod
from ..pod_requests import pod_requests
from .domain import instance_spec
from .values import Machine

_EVERY_LAUNCHER = ("cpu", "memory", "ephemeral-storage")


@dataclass(frozen=True)
class Requests:
    """Requests of a whole pod; C(devices) are those that not every node has."""

    cpu_millicores: int
    memory_bytes: int
    devices: tuple[tuple[str, int], ...]


def launcher_requests(machine: Machine, cpu_allocation_ratio: int) -> Requests:
    """Requests of the machine's launcher pod, all containers together (memory is not overcommitted)."""
    instance = {
        "metadata": {"namespace": machine.namespace, "name": machine.name, "uid": machine.instance_uid},
        "spec": instance_spec(machine, defaulted=True),
    }
    pod = launcher_pod(instance, {"developerConfiguration": {"cpuAllocationRatio": cpu_allocation_ratio}})
    total = pod_requests(pod["spec"])
    return Requests(
        cpu_millicores=total["cpu"],
        memory_bytes=total["memory"],
        devices=tuple(
            (name, amount)
            for name, amount in total.items()
            if name not in _EVERY_LAUNCHER and not name.startswith("devices.kubevirt.io/")
        ),
    )
