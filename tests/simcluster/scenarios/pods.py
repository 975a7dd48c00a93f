"""Pods: launchers of virtual machines, virt-handler's and the idle ones that fill a cluster."""

from __future__ import annotations

import json
from collections.abc import Iterator

from ..controllers.attachments import NETWORK_STATUS, pod_network_entry
from ..controllers.launcher import launcher_pod
from ..controllers.pod import REVISION_LABEL
from ..controllers.revision import template_revision
from ..quantity import bytes_text, cpu_text
from .nodes import host_ip
from .values import STARTED_AT, Layout, Machine, NodeShape, Obj, owner_reference, stable_suffix, stable_uid

# what the API server fills in; without it, it would take the next change of a label for a change of the spec
CONTAINER_DEFAULTS: Obj = {
    "imagePullPolicy": "IfNotPresent",
    "terminationMessagePath": "/dev/termination-log",
    "terminationMessagePolicy": "File",
}
POD_DEFAULTS: Obj = {
    "dnsPolicy": "ClusterFirst",
    "enableServiceLinks": True,
    "restartPolicy": "Always",
    "schedulerName": "default-scheduler",
    "securityContext": {},
    "terminationGracePeriodSeconds": 30,
}
_IMAGE_DIGEST = "sha256:" + "5f" * 32


def launcher_name(machine: Machine) -> str:
    return f"virt-launcher-{machine.name}-{stable_suffix('launcher', machine.namespace, machine.name)}"


def launcher_uid(machine: Machine) -> str:
    return stable_uid("Pod", machine.namespace, launcher_name(machine))


def running_launcher(machine: Machine, instance: Obj, configuration: Obj, node: NodeShape, pod_ip: str) -> Obj:
    """The pod in which C(instance) runs on C(node); C(configuration) is the KubeVirt's spec.configuration."""
    pod = launcher_pod(instance, configuration)
    pod["metadata"].update(name=launcher_name(machine), uid=launcher_uid(machine), creationTimestamp=STARTED_AT)
    pod["metadata"]["labels"]["kubevirt.io/nodeName"] = machine.node
    spec: Obj = {**POD_DEFAULTS, **pod["spec"], "nodeName": machine.node}
    spec["containers"] = [{**CONTAINER_DEFAULTS, **container} for container in spec["containers"]]
    if not spec["volumes"]:
        del spec["volumes"]
    pod["spec"] = spec
    pod["status"] = {
        "phase": "Running",
        "conditions": _pod_conditions(paused=machine.state == "paused"),
        "containerStatuses": [
            {
                "name": container["name"],
                "ready": True,
                "started": True,
                "restartCount": 0,
                "image": container["image"],
                "imageID": f"{container['image'].rpartition(':')[0]}@{_IMAGE_DIGEST}",
                "state": {"running": {"startedAt": STARTED_AT}},
            }
            for container in spec["containers"]
        ],
        "hostIP": host_ip(node),
        "podIP": pod_ip,
        "podIPs": [{"ip": pod_ip}],
        "startTime": STARTED_AT,
        "qosClass": "Guaranteed" if machine.dedicated_cpus else "Burstable",
    }
    return pod


def handler_pods(layout: Layout, daemon_set: Obj) -> Iterator[Obj]:
    """One virt-handler per worker, as C(daemon_set) has made them."""
    owner = daemon_set["metadata"]
    template: Obj = daemon_set["spec"]["template"]
    for node in layout.nodes:
        if node.worker:
            name = f"{owner['name']}-{stable_suffix('virt-handler', node.name)}"
            address = host_ip(node)
            yield {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {
                    "name": name,
                    "namespace": owner["namespace"],
                    "uid": stable_uid("Pod", owner["namespace"], name),
                    "creationTimestamp": STARTED_AT,
                    "labels": {**template["metadata"]["labels"], REVISION_LABEL: template_revision(template)},
                    "annotations": {NETWORK_STATUS: json.dumps([pod_network_entry(address)])},
                    "ownerReferences": [owner_reference("apps/v1", "DaemonSet", owner["name"], owner["uid"])],
                },
                "spec": {**template["spec"], "nodeName": node.name},
                "status": {
                    "phase": "Running",
                    "conditions": [
                        {"type": kind, "status": "True", "lastProbeTime": None, "lastTransitionTime": STARTED_AT}
                        for kind in ("Initialized", "Ready", "ContainersReady", "PodScheduled")
                    ],
                    "containerStatuses": [
                        {
                            "name": container["name"],
                            "ready": True,
                            "started": True,
                            "restartCount": 0,
                            "image": container["image"],
                            "imageID": f"{container['image'].rpartition(':')[0]}@{_IMAGE_DIGEST}",
                            "state": {"running": {"startedAt": STARTED_AT}},
                        }
                        for container in template["spec"]["containers"]
                    ],
                    "hostIP": address,
                    "podIP": address,
                    "podIPs": [{"ip": address}],
                    "startTime": STARTED_AT,
                },
            }


def idle_pods(layout: Layout, node: NodeShape, count: int, first_number: int) -> Iterator[Obj]:
    """C(count) ordinary pods on C(node), numbered from C(first_number), each with the layout's small requests."""
    for offset in range(count):
        number = first_number + offset
        yield _idle_pod(
            layout.pod_namespace,
            f"idle-{number:05d}",
            node,
            f"10.{64 + number // 65000}.{number // 250 % 260 % 256}.{number % 250 + 2}",
            layout.pod_cpu_millicores,
            layout.pod_memory_bytes,
        )


def _idle_pod(namespace: str, name: str, node: NodeShape, pod_ip: str, cpu_millicores: int, memory_bytes: int) -> Obj:
    """A pod kept to what tools read, since a scenario has tens of thousands of them."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "uid": stable_uid("Pod", namespace, name),
            "creationTimestamp": STARTED_AT,
            "labels": {"name": "idle"},
        },
        "spec": {
            **POD_DEFAULTS,
            "nodeName": node.name,
            "containers": [
                {
                    **CONTAINER_DEFAULTS,
                    "name": "main",
                    "image": "registry.example.com/pause:3.10",
                    "resources": {"requests": {"cpu": cpu_text(cpu_millicores), "memory": bytes_text(memory_bytes)}},
                }
            ],
        },
        "status": {
            "phase": "Running",
            "conditions": [
                {"type": "Ready", "status": "True", "lastProbeTime": None, "lastTransitionTime": STARTED_AT}
            ],
            "podIP": pod_ip,
        },
    }


def _pod_conditions(*, paused: bool) -> list[Obj]:
    ready = "False" if paused else "True"
    conditions: list[Obj] = [
        {"type": kind, "status": status, "lastProbeTime": None, "lastTransitionTime": STARTED_AT}
        for kind, status in (
            ("kubevirt.io/virtual-machine-unpaused", ready),
            ("Initialized", "True"),
            ("Ready", ready),
            ("ContainersReady", "True"),
            ("PodScheduled", "True"),
        )
    ]
    if paused:
        conditions[0].update(reason="Paused", message="the virtual machine is paused")
        conditions[2].update(reason="ReadinessGatesNotReady")
    return conditions
