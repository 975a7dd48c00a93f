"""Node objects as the kubelet, the node labeller and virt-handler leave them.

Source of the KubeVirt labels: pkg/virt-handler/node-labeller/node_labeller.go, pkg/virt-handler/heartbeat/heartbeat.go.
"""

from __future__ import annotations

from ..quantity import bytes_text
from .values import INSTALLED_AT, NodeShape, Obj, stable_uid

MACHINE_TYPES = (
    "q35",
    "pc-q35-rhel8.4.0",
    "pc-q35-rhel8.6.0",
    "pc-q35-rhel9.2.0",
    "pc-q35-rhel9.4.0",
    "pc-q35-rhel9.6.0",
)
_HYPERV_FEATURES = (
    "frequencies",
    "ipi",
    "reenlightenment",
    "relaxed",
    "runtime",
    "synic",
    "synictimer",
    "tlbflush",
    "vpindex",
)
_COMMON_FEATURES = ("aes", "avx", "avx2", "sse4.2", "x2apic", "xsave")


def node_object(shape: NodeShape, rendered_config: str, *, heartbeat: str = INSTALLED_AT) -> Obj:
    """The Node of C(shape) with that MachineConfig; C(heartbeat) is virt-handler's last sign of life (RFC 3339)."""
    labels = {
        "kubernetes.io/hostname": shape.name,
        "kubernetes.io/arch": "amd64",
        "kubernetes.io/os": "linux",
        "topology.kubernetes.io/region": "dc1",
        "topology.kubernetes.io/zone": shape.zone,
    }
    annotations = {
        "machineconfiguration.openshift.io/state": "Done",
        "machineconfiguration.openshift.io/desiredDrain": f"uncordon-{rendered_config}",
        "machineconfiguration.openshift.io/lastAppliedDrain": f"uncordon-{rendered_config}",
        "machineconfiguration.openshift.io/currentConfig": rendered_config,
        "machineconfiguration.openshift.io/desiredConfig": rendered_config,
    }
    devices: dict[str, str] = {}
    if shape.control_plane:
        labels["node-role.kubernetes.io/control-plane"] = ""
        labels["node-role.kubernetes.io/master"] = ""
    if shape.worker:
        labels["node-role.kubernetes.io/worker"] = ""
        labels.update(_virtualization_labels(shape))
        annotations["kubevirt.io/heartbeat"] = heartbeat
        annotations["kubevirt.io/ksm-handler-managed"] = "false"
        devices = {f"devices.kubevirt.io/{device}": "1k" for device in ("kvm", "tun", "vhost-net")}
    labels.update(dict(shape.labels))
    devices.update({name: str(count) for name, count in shape.devices})
    pods = f"10.{128 + shape.index // 128}.{shape.index % 128 * 2}.0/23"
    node: Obj = {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": shape.name,
            "uid": stable_uid("Node", shape.name),
            "creationTimestamp": INSTALLED_AT,
            "labels": labels,
            "annotations": annotations,
        },
        "spec": {"podCIDR": pods, "podCIDRs": [pods]},
        "status": {
            "capacity": {
                "cpu": str(shape.cores),
                "memory": bytes_text(shape.memory_bytes),
                "pods": str(shape.max_pods),
                "ephemeral-storage": "467746Mi",
                "hugepages-1Gi": "0",
                "hugepages-2Mi": "0",
                **devices,
            },
            "allocatable": {
                "cpu": f"{shape.allocatable_cpu_millicores}m",
                "memory": bytes_text(shape.allocatable_memory_bytes),
                "pods": str(shape.max_pods),
                "ephemeral-storage": "430000Mi",
                "hugepages-1Gi": "0",
                "hugepages-2Mi": "0",
                **devices,
            },
            "conditions": _conditions(heartbeat),
            "addresses": [
                {"type": "InternalIP", "address": host_ip(shape)},
                {"type": "Hostname", "address": shape.name},
            ],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": 10250}},
            "nodeInfo": {
                "architecture": "amd64",
                "operatingSystem": "linux",
                "osImage": "Red Hat Enterprise Linux CoreOS 9.6",
                "kernelVersion": "5.14.0-570.el9_6.x86_64",
                "kubeletVersion": "v1.33.4",
                "containerRuntimeVersion": "cri-o://1.33.3",
                "machineID": stable_uid("machine", shape.name).replace("-", ""),
                "systemUUID": stable_uid("system", shape.name),
                "bootID": stable_uid("boot", shape.name),
                "kubeProxyVersion": "",
            },
        },
    }
    taints = [{"key": key, "value": value, "effect": effect} for key, value, effect in shape.taints]
    if shape.control_plane and not shape.worker:
        taints.append({"key": "node-role.kubernetes.io/master", "effect": "NoSchedule"})
    if taints:
        node["spec"]["taints"] = taints
    return node


def host_ip(shape: NodeShape) -> str:
    return f"192.168.{216 + shape.index // 250}.{shape.index % 250 + 4}"


def _virtualization_labels(shape: NodeShape) -> dict[str, str]:
    cpu = shape.cpu
    labels = {
        "kubevirt.io/schedulable": "true",
        "kubevirt.io/cpumanager": str(shape.cpu_manager).lower(),
        "cpumanager": str(shape.cpu_manager).lower(),
        "kubevirt.io/vm-arch-amd64": "true",
        "kubevirt.io/ksm-enabled": "false",
        f"cpu-vendor.node.kubevirt.io/{cpu.vendor}": "true",
        f"host-model-cpu.node.kubevirt.io/{cpu.host_model}": "true",
        "cpu-timer.node.kubevirt.io/tsc-frequency": str(cpu.tsc_frequency_hz),
        "cpu-timer.node.kubevirt.io/tsc-scalable": "true",
        f"scheduling.node.kubevirt.io/tsc-frequency-{cpu.tsc_frequency_hz}": "true",
    }
    for model in cpu.usable_models:
        labels[f"cpu-model.node.kubevirt.io/{model}"] = "true"
        labels[f"cpu-model-migration.node.kubevirt.io/{model}"] = "true"
    labels[f"cpu-model-migration.node.kubevirt.io/{cpu.host_model}"] = "true"
    for feature in (*_COMMON_FEATURES, *cpu.required_features, *cpu.other_features):
        labels[f"cpu-feature.node.kubevirt.io/{feature}"] = "true"
    for feature in cpu.required_features:
        labels[f"host-model-required-features.node.kubevirt.io/{feature}"] = "true"
    for feature in _HYPERV_FEATURES:
        labels[f"hyperv.node.kubevirt.io/{feature}"] = "true"
    for machine_type in MACHINE_TYPES:
        labels[f"machine-type.node.kubevirt.io/{machine_type}"] = "true"
    return labels


def _conditions(heartbeat: str) -> list[Obj]:
    good = (
        ("MemoryPressure", "False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
        ("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
        ("PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
        ("Ready", "True", "KubeletReady", "kubelet is posting ready status"),
    )
    return [
        {
            "type": kind,
            "status": status,
            "reason": reason,
            "message": message,
            "lastHeartbeatTime": heartbeat,
            "lastTransitionTime": INSTALLED_AT,
        }
        for kind, status, reason, message in good
    ]
