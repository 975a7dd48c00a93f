"""Pods: launchers of virtual machines, virt-handler's and the idle ones that fill a cluster."""

from __future__ import annotations

from collections.abc import Iterator

from .behaviour import template_annotations
from .domain import placement_rules
from .nodes import host_ip
from .quantities import bytes_text, cpu_text
from .requests import CONTAINER_DISK_CPU_MILLICORES, CONTAINER_DISK_MEMORY_BYTES, Requests
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
LAUNCHER_IMAGE = "registry.example.com/kubevirt/virt-launcher:v1"
_IMAGE_DIGEST = "sha256:" + "5f" * 32


def launcher_name(machine: Machine) -> str:
    return f"virt-launcher-{machine.name}-{stable_suffix('launcher', machine.namespace, machine.name)}"


def launcher_uid(machine: Machine) -> str:
    return stable_uid("Pod", machine.namespace, launcher_name(machine))


def launcher_pod(machine: Machine, node: NodeShape, requests: Requests, pod_ip: str) -> Obj:
    """The pod a running machine lives in (KubeVirt pkg/virt-controller/services/template.go)."""
    uid = machine.instance_uid
    rules = placement_rules(machine)
    rules["nodeSelector"] = {
        "kubevirt.io/schedulable": "true",
        "kubernetes.io/arch": "amd64",
        f"machine-type.node.kubevirt.io/{machine.machine_type}": "true",
        **({"kubevirt.io/cpumanager": "true"} if machine.dedicated_cpus else {}),
        **_cpu_selector(machine),
        **_reenlightenment_selector(machine, node),
        **rules.get("nodeSelector", {}),
    }
    rules["tolerations"] = rules.get("tolerations", []) + [
        {"key": f"node.kubernetes.io/{key}", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}
        for key in ("not-ready", "unreachable")
    ]
    annotations = {
        **template_annotations(machine),
        "kubevirt.io/domain": machine.name,
        "kubectl.kubernetes.io/default-container": "compute",
        "descheduler.alpha.kubernetes.io/request-evict-only": "",
    }
    if machine.multus_bridge:
        annotations["k8s.v1.cni.cncf.io/networks"] = f'[{{"name":"{machine.multus_bridge}","interface":"net1"}}]'
    containers = _launcher_containers(machine, requests)
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": launcher_name(machine),
            "generateName": f"virt-launcher-{machine.name}-",
            "namespace": machine.namespace,
            "uid": launcher_uid(machine),
            "creationTimestamp": STARTED_AT,
            "labels": {
                **machine.all_labels,
                "kubevirt.io": "virt-launcher",
                "kubevirt.io/created-by": uid,
                "kubevirt.io/nodeName": machine.node,
                "vm.kubevirt.io/name": machine.name,
            },
            "annotations": annotations,
            "ownerReferences": [owner_reference("kubevirt.io/v1", "VirtualMachineInstance", machine.name, uid)],
        },
        "spec": {
            **POD_DEFAULTS,
            "nodeName": machine.node,
            "hostname": machine.name,
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": machine.termination_grace_seconds + 15,
            "containers": containers,
            "readinessGates": [{"conditionType": "kubevirt.io/virtual-machine-unpaused"}],
            **rules,
        },
        "status": {
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
                for container in containers
            ],
            "hostIP": host_ip(node),
            "podIP": pod_ip,
            "podIPs": [{"ip": pod_ip}],
            "startTime": STARTED_AT,
            "qosClass": "Guaranteed" if machine.dedicated_cpus else "Burstable",
        },
    }


def handler_pods(layout: Layout, daemon_set_uid: str, namespace: str) -> Iterator[Obj]:
    """One virt-handler per worker."""
    for node in layout.nodes:
        if node.worker:
            name = f"virt-handler-{stable_suffix('virt-handler', node.name)}"
            pod = _idle_pod(namespace, name, node, host_ip(node), 10, 325 * 1024**2)
            pod["metadata"]["labels"] = {"kubevirt.io": "virt-handler", "name": "virt-handler"}
            pod["metadata"]["ownerReferences"] = [
                owner_reference("apps/v1", "DaemonSet", "virt-handler", daemon_set_uid)
            ]
            yield pod


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
            "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": STARTED_AT}],
            "podIP": pod_ip,
        },
    }


def _launcher_containers(machine: Machine, requests: Requests) -> list[Obj]:
    image_disks = [disk for disk in machine.disks if disk.source == "containerDisk"]
    cpu = requests.cpu_millicores - len(image_disks) * CONTAINER_DISK_CPU_MILLICORES
    memory = requests.memory_bytes - len(image_disks) * CONTAINER_DISK_MEMORY_BYTES
    devices = {f"devices.kubevirt.io/{device}": "1" for device in ("kvm", "tun", "vhost-net")}
    devices.update({name: str(count) for name, count in requests.devices})
    wanted = {"cpu": cpu_text(cpu), "memory": bytes_text(memory), "ephemeral-storage": "50M", **devices}
    limits = dict(devices)
    if machine.dedicated_cpus:
        limits.update(cpu=cpu_text(cpu), memory=bytes_text(memory))
    elif machine.limit_cpu_millicores is not None:
        limits["cpu"] = cpu_text(machine.limit_cpu_millicores)
    compute: Obj = {
        **CONTAINER_DEFAULTS,
        "name": "compute",
        "image": LAUNCHER_IMAGE,
        "resources": {"requests": wanted, "limits": limits},
    }
    beside: list[Obj] = [
        {
            **CONTAINER_DEFAULTS,
            "name": f"volume{disk.name}",
            "image": disk.image,
            "resources": {
                "requests": {
                    "cpu": cpu_text(CONTAINER_DISK_CPU_MILLICORES),
                    "memory": bytes_text(CONTAINER_DISK_MEMORY_BYTES),
                    "ephemeral-storage": "50M",
                },
                "limits": {"cpu": "10m", "memory": "40M"},
            },
        }
        for disk in image_disks
    ]
    return [compute, *beside]


def _cpu_selector(machine: Machine) -> dict[str, str]:
    """A named CPU model binds the pod to hosts that offer it; host-model and host-passthrough start anywhere."""
    if machine.cpu_model in ("host-model", "host-passthrough"):
        return {}
    return {f"cpu-model.node.kubevirt.io/{machine.cpu_model}": "true"}


def _reenlightenment_selector(machine: Machine, node: NodeShape) -> dict[str, str]:
    if not machine.reenlightenment:
        return {}
    return {f"scheduling.node.kubevirt.io/tsc-frequency-{node.cpu.tsc_frequency_hz}": "true"}


def _pod_conditions(*, paused: bool) -> list[Obj]:
    ready = "False" if paused else "True"
    conditions: list[Obj] = [
        {"type": kind, "status": status, "lastTransitionTime": STARTED_AT}
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
