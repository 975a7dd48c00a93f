"""The pod an instance lives in, and the one it moves to.

Source: KubeVirt pkg/virt-controller/services/template.go and nodeselectorrenderer.go;
pkg/virt-controller/watch/migration/migration.go, createTargetPod, for the target.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from ..quantity import bytes_text, cpu_text
from .pod import Pod
from .requests import ComputeRequests, compute_requests

Obj = dict[str, Any]
IMAGE = "registry.example.com/kubevirt/virt-launcher:v1"
_OWN_ANNOTATIONS = (
    "kubevirt.io/latest-observed-api-version",
    "kubevirt.io/storage-observed-api-version",
    "kubevirt.io/vm-generation",
    "kubevirt.io/nonroot",
    "kubevirt.io/eviction-source",
    "kubectl.kubernetes.io/last-applied-configuration",
)
_MODEL_FOR_MIGRATION = "cpu-model-migration.node.kubevirt.io/"
_FEATURE = "cpu-feature.node.kubevirt.io/"
_HOST_MODEL = "host-model-cpu.node.kubevirt.io/"
_HOST_FEATURE = "host-model-required-features.node.kubevirt.io/"
_VENDOR = "cpu-vendor.node.kubevirt.io/"
_OBSOLETE = {"key": "node-labeller.kubevirt.io/obsolete-host-model", "operator": "DoesNotExist"}
_DEFAULT_TOLERATIONS = [
    {"key": f"node.kubernetes.io/{key}", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}
    for key in ("not-ready", "unreachable")
]


def launcher_pod(instance: Obj, configuration: Obj) -> Obj:
    """The pod for an instance, unbound. C(configuration) is the KubeVirt's spec.configuration."""
    metadata: Obj = instance["metadata"]
    spec: Obj = instance["spec"]
    name = metadata["name"]
    compute = compute_requests(spec, configuration.get("developerConfiguration") or {})
    pod_spec: Obj = {
        "hostname": spec.get("hostname") or name,
        "restartPolicy": "Never",
        "schedulerName": spec.get("schedulerName") or "default-scheduler",
        "terminationGracePeriodSeconds": int(spec.get("terminationGracePeriodSeconds") or 0) + 15,
        "containers": _containers(spec, compute),
        "readinessGates": [{"conditionType": "kubevirt.io/virtual-machine-unpaused"}],
        "nodeSelector": _node_selector(instance),
        "tolerations": [*(spec.get("tolerations") or []), *_DEFAULT_TOLERATIONS],
        "volumes": _volumes(spec),
    }
    affinity = copy.deepcopy(spec.get("affinity") or {})
    if _cpu_model(spec) == "host-model":
        _require_on_every_term(affinity, _OBSOLETE)
    if affinity:
        pod_spec["affinity"] = affinity
    for field in ("topologySpreadConstraints", "priorityClassName"):
        if spec.get(field):
            pod_spec[field] = spec[field]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "generateName": f"virt-launcher-{name}-",
            "namespace": metadata["namespace"],
            "labels": {
                **_own_labels(metadata),
                "kubevirt.io": "virt-launcher",
                "kubevirt.io/created-by": metadata["uid"],
                "vm.kubevirt.io/name": name,
            },
            "annotations": _annotations(metadata, spec),
            "ownerReferences": [
                {
                    "apiVersion": "kubevirt.io/v1",
                    "kind": "VirtualMachineInstance",
                    "name": name,
                    "uid": metadata["uid"],
                    "controller": True,
                    "blockOwnerDeletion": True,
                }
            ],
        },
        "spec": pod_spec,
    }


def target_pod(
    instance: Obj, migration: Obj, source: Pod, source_node_labels: Mapping[str, str], configuration: Obj
) -> Obj:
    """The pod a migration moves the instance to: never beside another pod of it, only to hosts with a fitting CPU."""
    pod = launcher_pod(instance, configuration)
    metadata, spec = pod["metadata"], pod["spec"]
    metadata["labels"]["kubevirt.io/migrationJobUID"] = migration["metadata"]["uid"]
    metadata["labels"]["kubevirt.io/nodeName"] = source.node
    metadata["annotations"]["kubevirt.io/migrationJobName"] = migration["metadata"]["name"]
    added = (migration.get("spec") or {}).get("addedNodeSelector") or {}
    spec["nodeSelector"] = {
        **added,
        **spec["nodeSelector"],
        **_fitting_cpu(instance["spec"], source, source_node_labels),
    }
    anti = spec.setdefault("affinity", {}).setdefault("podAntiAffinity", {})
    anti.setdefault("requiredDuringSchedulingIgnoredDuringExecution", []).append(
        {
            "labelSelector": {"matchLabels": {"kubevirt.io/created-by": instance["metadata"]["uid"]}},
            "topologyKey": "kubernetes.io/hostname",
        }
    )
    return pod


def _fitting_cpu(spec: Obj, source: Pod, node_labels: Mapping[str, str]) -> dict[str, str]:
    """Vendor always; for host-model the model and features of the first source, kept from migration to migration."""
    selector = {key: "true" for key in node_labels if key.startswith(_VENDOR)}
    if _cpu_model(spec) != "host-model":
        return selector
    before = source.launcher.node_selector if source.launcher else {}
    kept = {key: "true" for key in before if key.startswith((_MODEL_FOR_MIGRATION, _FEATURE))}
    if not any(key.startswith(_MODEL_FOR_MIGRATION) for key in kept):
        for key in node_labels:
            if key.startswith(_HOST_MODEL):
                kept[_MODEL_FOR_MIGRATION + key.removeprefix(_HOST_MODEL)] = "true"
            elif key.startswith(_HOST_FEATURE):
                kept[_FEATURE + key.removeprefix(_HOST_FEATURE)] = "true"
    return {**kept, **selector}


def _cpu_model(spec: Obj) -> str:
    return str(((spec.get("domain") or {}).get("cpu") or {}).get("model") or "host-model")


def _node_selector(instance: Obj) -> dict[str, str]:
    spec: Obj = instance["spec"]
    domain: Obj = spec.get("domain") or {}
    cpu: Obj = domain.get("cpu") or {}
    selector = {
        "kubevirt.io/schedulable": "true",
        "kubernetes.io/arch": spec.get("architecture") or "amd64",
    }
    machine_type = (domain.get("machine") or {}).get("type")
    if machine_type:
        selector[f"machine-type.node.kubevirt.io/{machine_type}"] = "true"
    model = _cpu_model(spec)
    if model not in ("host-model", "host-passthrough"):
        selector[f"cpu-model.node.kubevirt.io/{model}"] = "true"
    for feature in cpu.get("features") or []:
        if feature.get("policy") in (None, "", "require"):
            selector[_FEATURE + feature["name"]] = "true"
    if cpu.get("dedicatedCpuPlacement"):
        selector["kubevirt.io/cpumanager"] = "true"
    if cpu.get("realtime") is not None:
        selector["kubevirt.io/realtime"] = "true"
    hints: Obj = (instance.get("status") or {}).get("topologyHints") or {}
    if hints.get("tscFrequency"):
        selector[f"scheduling.node.kubevirt.io/tsc-frequency-{hints['tscFrequency']}"] = "true"
    return {**selector, **(spec.get("nodeSelector") or {})}


def _require_on_every_term(affinity: Obj, expression: Obj) -> None:
    required = affinity.setdefault("nodeAffinity", {}).setdefault("requiredDuringSchedulingIgnoredDuringExecution", {})
    terms = required.setdefault("nodeSelectorTerms", [])
    if not terms:
        terms.append({})
    for term in terms:
        term.setdefault("matchExpressions", []).append(dict(expression))


def _own_labels(metadata: Obj) -> dict[str, str]:
    labels: dict[str, str] = metadata.get("labels") or {}
    steering = ("kubevirt.io/nodeName", "kubevirt.io/migrationTargetNodeName", "kubevirt.io/outdatedLauncherImage")
    return {key: value for key, value in labels.items() if key not in steering}


def _annotations(metadata: Obj, spec: Obj) -> dict[str, str]:
    own = {k: v for k, v in (metadata.get("annotations") or {}).items() if k not in _OWN_ANNOTATIONS}
    networks = [each["multus"]["networkName"] for each in spec.get("networks") or [] if each.get("multus")]
    if networks:
        listed = ",".join(f'{{"name":"{name}","interface":"net{number}"}}' for number, name in enumerate(networks, 1))
        own["k8s.v1.cni.cncf.io/networks"] = f"[{listed}]"
    return {
        **own,
        "kubevirt.io/domain": metadata["name"],
        "kubectl.kubernetes.io/default-container": "compute",
        "descheduler.alpha.kubernetes.io/request-evict-only": "",
    }


def _containers(spec: Obj, compute: ComputeRequests) -> list[Obj]:
    devices = {f"devices.kubevirt.io/{device}": "1" for device in ("kvm", "tun", "vhost-net")}
    attached: Obj = (spec.get("domain") or {}).get("devices") or {}
    for device in [*(attached.get("hostDevices") or []), *(attached.get("gpus") or [])]:
        devices[device["deviceName"]] = str(int(devices.get(device["deviceName"], "0")) + 1)
    requests = {
        "cpu": cpu_text(compute.cpu_millicores),
        "memory": bytes_text(compute.memory_bytes),
        "ephemeral-storage": "50M",
        **devices,
    }
    limits = dict(devices)
    if compute.hugepages:
        size, amount = compute.hugepages
        requests[f"hugepages-{size}"] = limits[f"hugepages-{size}"] = bytes_text(amount)
    if compute.limit_cpu_millicores is not None:
        limits["cpu"] = cpu_text(compute.limit_cpu_millicores)
    if compute.limit_memory_bytes is not None:
        limits["memory"] = bytes_text(compute.limit_memory_bytes)
    beside = [
        {
            "name": f"volume{volume['name']}",
            "image": volume["containerDisk"]["image"],
            "resources": {
                "requests": {"cpu": "1m", "memory": "1M", "ephemeral-storage": "50M"},
                "limits": {"cpu": "10m", "memory": "40M"},
            },
        }
        for volume in spec.get("volumes") or []
        if volume.get("containerDisk")
    ]
    return [{"name": "compute", "image": IMAGE, "resources": {"requests": requests, "limits": limits}}, *beside]


def _volumes(spec: Obj) -> list[Obj]:
    """The claims the pod mounts; other volumes do not matter to anyone outside it."""
    return [
        {"name": volume["name"], "persistentVolumeClaim": {"claimName": claim}}
        for volume in spec.get("volumes") or []
        if (claim := claim_of(volume))
    ]


def claim_of(volume: Obj) -> str:
    """The claim behind a volume of an instance, or nothing."""
    if volume.get("persistentVolumeClaim"):
        return str(volume["persistentVolumeClaim"]["claimName"])
    if volume.get("dataVolume"):
        return str(volume["dataVolume"]["name"])
    return ""
