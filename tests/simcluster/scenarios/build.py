"""From a layout to the objects of a cluster, one at a time."""

from __future__ import annotations

from collections.abc import Iterator

from . import instances, machine_configs, machines, platform, pods, volumes
from .networks import node_network_state
from .nodes import host_ip, node_object
from .values import INSTALLED_AT, Layout, Machine, Obj


def objects(layout: Layout, *, heartbeat: str = INSTALLED_AT) -> Iterator[Obj]:
    """Every object of C(layout), complete with status, owners before what they own.

    C(heartbeat) is the time that nodes were last heard of (RFC 3339).
    """
    yield from platform.namespaces(layout)
    yield from volumes.storage_objects()
    yield platform.hyperconverged(layout)
    kubevirt = platform.kubevirt(layout)
    configuration = kubevirt["spec"]["configuration"]
    yield kubevirt
    components = list(platform.components(layout))
    yield from components
    yield from platform.network_attachments(layout.machines)
    configurations, rendered = machine_configs.configurations(layout)
    yield from configurations
    yield from machine_configs.cluster_network()
    nodes = {
        node.name: node_object(node, rendered[machine_configs.pool_name(layout, node)], heartbeat=heartbeat)
        for node in layout.nodes
    }
    yield from nodes.values()
    for shape in layout.nodes:
        yield node_network_state(shape, host_ip(shape), heartbeat=heartbeat)
    yield from pods.handler_pods(layout, components[0])
    yield from _pools(layout)
    shapes = {node.name: node for node in layout.nodes}
    for number, machine in enumerate(layout.machines):
        instance = None
        if machine.running:
            shape = shapes[machine.node]
            pod_ip = f"10.{200 + number // 60000}.{number // 250 % 250}.{number % 250 + 2}"
            instance = instances.virtual_machine_instance(
                machine, nodes[machine.node], shape.cpu.tsc_frequency_hz, pods.launcher_uid(machine), pod_ip
            )
        yield machines.virtual_machine(machine, instance)
        for disk in machine.disks:
            yield from volumes.claim_objects(machine, disk)
        if machine.persistent_tpm:
            yield from volumes.claim_objects(machine, volumes.STATE_DISK)
        if instance is not None:
            yield instance
            yield pods.running_launcher(machine, instance, configuration, shape, pod_ip)
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
