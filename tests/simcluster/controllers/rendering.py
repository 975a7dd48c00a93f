"""From MachineConfigs to the one that a pool's nodes are to have, and what a kubelet reads in it. Pure.

Source: machine-config-operator pkg/controller/render/hash.go, pkg/controller/common/helpers.go (MergeMachineConfigs),
pkg/controller/kubelet-config/helpers.go, pkg/helpers/helpers.go (pools of nodes), pkg/controller/node/status.go.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

from ..selectors import matches

Obj = dict[str, Any]
ROLE = "machineconfiguration.openshift.io/role"
POOL_LABEL = "pools.operator.machineconfiguration.openshift.io/"
MASTER, WORKER = "master", "worker"
KUBELET_FILE = "/etc/kubernetes/kubelet.conf"
DEFAULT_MAX_PODS = 250
_IGNITION = {"version": "3.5.0"}
_SOURCE = "data:text/plain;charset=utf-8;base64,"
_REFUSED = ("cgroupDriver", "clusterDNS", "clusterDomain", "featureGates", "failSwapOn", "staticPodPath")


def machine_config(name: str, role: str, files: Mapping[str, Obj]) -> Obj:
    """A MachineConfig of a role that writes JSON documents, by path."""
    return {
        "apiVersion": "machineconfiguration.openshift.io/v1",
        "kind": "MachineConfig",
        "metadata": {"name": name, "labels": {ROLE: role} if role else {}},
        "spec": {
            "config": {
                "ignition": dict(_IGNITION),
                "storage": {"files": [_file(path, content) for path, content in files.items()]},
            }
        },
    }


def _file(path: str, content: Obj) -> Obj:
    text = json.dumps(content, sort_keys=True, indent=2)
    source = _SOURCE + base64.b64encode(text.encode()).decode()
    return {"path": path, "mode": 420, "overwrite": True, "contents": {"source": source}}


def base_configs(pool: str, max_pods: int = DEFAULT_MAX_PODS) -> list[Obj]:
    """What every cluster has for one of its two own pools."""
    return [
        machine_config(f"00-{pool}", pool, {"/etc/motd.json": {"role": pool}}),
        machine_config(f"01-{pool}-kubelet", pool, {KUBELET_FILE: kubelet_configuration({}, max_pods)}),
    ]


def kubelet_configuration(wanted: Obj, max_pods: int = DEFAULT_MAX_PODS) -> Obj:
    """The whole kubelet.conf: OpenShift's template with these values over it."""
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "maxPods": max_pods,
        "kubeAPIQPS": 50,
        "kubeAPIBurst": 100,
        **wanted,
    }


def merged(configs: Iterable[Obj]) -> Obj:
    """C(spec) of the rendered MachineConfig: by name, the last one to write a file wins."""
    files: dict[str, Obj] = {}
    units: dict[str, Obj] = {}
    arguments: list[str] = []
    more: Obj = {}
    for each in sorted(configs, key=lambda config: config["metadata"]["name"]):
        spec: Obj = each.get("spec") or {}
        config: Obj = spec.get("config") or {}
        files.update({file["path"]: file for file in (config.get("storage") or {}).get("files") or []})
        units.update({unit["name"]: unit for unit in (config.get("systemd") or {}).get("units") or []})
        arguments += spec.get("kernelArguments") or []
        more.update({key: spec[key] for key in ("kernelType", "osImageURL", "fips", "extensions") if spec.get(key)})
    config = {"ignition": dict(_IGNITION), "storage": {"files": [files[path] for path in sorted(files)]}}
    if units:
        config["systemd"] = {"units": [units[name] for name in sorted(units)]}
    return {"config": config, **({"kernelArguments": arguments} if arguments else {}), **more}


def rendered_name(pool: str, spec: Obj) -> str:
    """The name says what is in it."""
    digest = hashlib.md5(json.dumps(spec, sort_keys=True).encode(), usedforsecurity=False).hexdigest()
    return f"rendered-{pool}-{digest}"


def rendered(pool: str, spec: Obj) -> Obj:
    """The rendered MachineConfig of a pool."""
    return {
        "apiVersion": "machineconfiguration.openshift.io/v1",
        "kind": "MachineConfig",
        "metadata": {"name": rendered_name(pool, spec)},
        "spec": spec,
    }


def selected(pool: Obj, configs: Iterable[Obj]) -> list[Obj]:
    """The MachineConfigs that a pool takes, by name."""
    selector = (pool.get("spec") or {}).get("machineConfigSelector")
    found = [
        each
        for each in configs
        if not each["metadata"]["name"].startswith("rendered-")
        and matches(selector, each["metadata"].get("labels") or {})
    ]
    return sorted(found, key=lambda config: config["metadata"]["name"])


def max_pods(spec: Obj) -> int:
    """How many pods the kubelet of a node with this rendered configuration takes."""
    return int(kubelet_settings(spec).get("maxPods", DEFAULT_MAX_PODS))


def kubelet_settings(spec: Obj) -> Obj:
    """The kubelet.conf in a rendered configuration."""
    for file in ((spec.get("config") or {}).get("storage") or {}).get("files") or []:
        if file["path"] == KUBELET_FILE:
            source = (file.get("contents") or {}).get("source", "")
            if source.startswith(_SOURCE):
                content: Obj = json.loads(base64.b64decode(source.removeprefix(_SOURCE)))
                return content
    return {}


def kubelet_problem(spec: Obj) -> str:
    """Why a KubeletConfig is refused; empty if it is not."""
    wanted: Obj = spec.get("kubeletConfig") or {}
    for field in _REFUSED:
        if wanted.get(field):
            return f"KubeletConfiguration: {field} is not allowed to be set, but contains: {wanted[field]}"
    swap = (wanted.get("memorySwap") or {}).get("swapBehavior")
    if swap:
        return f"KubeletConfiguration: swapBehavior is not allowed to be set, but contains: {swap}"
    if spec.get("autoSizingReserved") and wanted.get("systemReserved"):
        return "KubeletConfiguration: autoSizingReserved and systemreserved cannot be set together"
    return ""


def pool_of(pools: Mapping[str, Obj], labels: Mapping[str, str]) -> str:
    """The pool that a node with these labels belongs to: master before a custom one before worker; empty for none, and
    for a node of several custom ones."""
    found = [name for name, pool in pools.items() if matches((pool.get("spec") or {}).get("nodeSelector"), labels)]
    custom = [name for name in found if name not in (MASTER, WORKER)]
    if MASTER in found:
        return MASTER
    if custom:
        return custom[0] if len(custom) == 1 else ""
    return WORKER if WORKER in found else ""


def at_a_time(value: int | str | None, nodes: int) -> int:
    """How many nodes of a pool may be unavailable: one by default, percentages round down, at least one."""
    if value is None:
        return 1
    text = str(value)
    return max(1, int(text[:-1]) * nodes // 100 if text.endswith("%") else int(text))
