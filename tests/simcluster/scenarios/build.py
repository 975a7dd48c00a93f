"""From a layout to the objects of a cluster, one at a time."""

from __future__ import annotations

from collections.abc import Iterator

from . import instances, machines, platform, pods, volumes
from .nodes import node_object
from .requests import launcher_requests
from .values import INSTALLED_AT, KUBEVIRT_NAMESPACE, Layout, Machine, Obj


def objects(layout: Layout, *, heartbeat: str = INSTALLED_AT) -> Iterator[Obj]:
    """Every object of C(layout), complete with status, owners before what they own.

    C(heartbeat) is the time that nodes were last heard of (RFC 3339).
    """
    yield from platform.namespaces(layout)
    yield from volumes.storage_objects()
    yield platform.hyperconverged(layout)
    yield platform.kubevirt(layout)
    yield from platform.components(layout)
    yield from platform.network_attachments(layout.machines)
    for node in layout.nodes:
        yield node_object(node, heartbeat=heartbeat)
    yield from pods.handler_pods(layout, platform.HANDLER_UID, KUBEVIRT_NAMESPACE)
    yield from _pools(layout)
    shapes = {node.name: node for node in layout.nodes}
    for number, machine in enumerate(layout.machines):
        yield machines.virtual_machine(machine)
        for disk in machine.disks:
            yield from volumes.claim_objects(machine, disk)
        if machine.persistent_tpm:
            yield from volumes.claim_objects(machine, volumes.STATE_DISK)
        if machine.running:
            node = shapes[machine.node]
            requests = launcher_requests(machine, layout.cpu_allocation_ratio)
            pod_ip = f"10.{200 + number // 60000}.{number // 250 % 250}.{number % 250 + 2}"
            yield instances.virtual_machine_instance(machine, requests, pods.launcher_uid(machine), pod_ip, node.cpu)
            yield pods.launcher_pod(machine, node, requests, pod_ip)
    number = 1
    for node in layout.nodes:
        count = layout.pods_on.get(node.name, 0)
        yield from pods.idle_pods(layout, node, count, number)
        number += count


def _pools(layout: Layout) -> Iterator[Obj]:
    members: dict[str, list[Machine]] = {}
    for machine in layout.machines:
        if machine.pool:
            members.setdefault(machine.pool, []).append(machine)
    for name, of_pool in members.items():
        yield machines.pool(name, of_pool)
