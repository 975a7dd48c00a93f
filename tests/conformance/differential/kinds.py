"""Each kind once: defaults on create, subresources that belong to it."""

from __future__ import annotations

from typing import Any

from .api import Api
from .case import Case, case, delete, get, patch, post, put, send, told
from .objects import (
    claim,
    config_map,
    data_volume,
    kubelet_config,
    lease,
    namespace,
    network,
    network_policy,
    node,
    obj,
    pod,
    policy,
    role,
    rule,
    secret,
    storage_class,
    template,
    workload,
)

_BUDGET = obj("policy/v1", "PodDisruptionBudget", "a", None, spec={"minAvailable": 1,
              "selector": {"matchLabels": {"app": "a"}}})  # fmt: skip
_BODIES: dict[str, tuple[str, Any]] = {
    "configmap": ("configmaps", config_map(x="1")),
    "secret": ("secrets", secret(stringData={"a": "b"})),
    "pod": ("pods", pod()),
    "pod of two": ("pods", pod(containers=[
        {"name": "a", "image": "example.com/a", "resources": {"requests": {"cpu": "1000m", "memory": "1024Mi"}}},
        {"name": "b", "image": "example.com/b:latest", "ports": [{"containerPort": 80}],
         "livenessProbe": {"httpGet": {"path": "/", "port": 80}}, "env": [{"name": "E", "value": "v"}],
         "volumeMounts": [{"name": "v", "mountPath": "/v"}]}],
        volumes=[{"name": "v", "emptyDir": {}}, {"name": "w", "configMap": {"name": "w"}}])),
    "guaranteed pod": ("pods", pod(containers=[
        {"name": "a", "image": "x", "resources": {"limits": {"cpu": "1", "memory": "1Gi"}}}])),
    "node": ("nodes", node(podCIDR="10.1.0.0/24")),
    "namespace": ("namespaces", namespace("{ns}-2", {"labels": {"a": "b"}})),
    "lease": ("leases", lease(holderIdentity="x", leaseDurationSeconds=15, renewTime="2026-01-01T00:00:00.123456Z")),
    "claim": ("persistentvolumeclaims", claim(storageClassName="s", volumeMode="Block")),
    "storage class": ("storageclasses", storage_class(parameters={"a": "b"})),
    "deployment": ("deployments", workload("Deployment")),
    "daemon set": ("daemonsets", workload("DaemonSet")),
    "replica set": ("replicasets", workload("ReplicaSet")),
    "stateful set": ("statefulsets", workload("StatefulSet", serviceName="s")),
    "budget": ("poddisruptionbudgets", _BUDGET),
    "role": ("roles", role("a", rule("get", "pods"))),
    "cluster role": ("clusterroles", role("{ns}", rule("get", "pods"), kind="ClusterRole")),
    "quota": ("resourcequotas", obj("v1", "ResourceQuota", "a", None, spec={"hard": {"cpu": "1000m"}})),
    "limit range": ("limitranges", obj("v1", "LimitRange", "a", None, spec={"limits": [
        {"type": "Container", "default": {"cpu": "1"}}]})),
    "service account": ("serviceaccounts", obj("v1", "ServiceAccount")),
    "priority class": ("priorityclasses", obj("scheduling.k8s.io/v1", "PriorityClass", "{ns}", None, value=5)),
    "policy": ("migrationpolicies", policy(completionTimeoutPerGiB=5, bandwidthPerMigration="64Mi")),
    "network policy": ("nncps", network_policy(maxUnavailable="50%", nodeSelector={"a": "b"})),
    "kubelet config": ("kubeletconfigs", kubelet_config(kubeletConfig={"maxPods": 500})),
    "network": ("nads", network()),
    "data volume": ("datavolumes", data_volume()),
}  # fmt: skip
_WRONG: dict[str, tuple[str, Any]] = {
    "pod without containers": ("pods", obj("v1", "Pod", "a", None, spec={"containers": []})),
    "pod without spec": ("pods", obj("v1", "Pod")),
    "pod with two alike": ("pods", pod(containers=[{"name": "a", "image": "x"}, {"name": "a", "image": "y"}])),
    "pod without image": ("pods", pod(containers=[{"name": "a"}])),
    "claim without size": ("persistentvolumeclaims", claim(resources={})),
    "claim without mode": ("persistentvolumeclaims", claim(accessModes=[])),
    "claim of nothing": ("persistentvolumeclaims", claim(resources={"requests": {"storage": "0"}})),
    "claim of words": ("persistentvolumeclaims", claim(resources={"requests": {"storage": "much"}})),
    "lease of no time": ("leases", lease(leaseDurationSeconds=0)),
    "lease with bad time": ("leases", lease(renewTime="yesterday")),
    "secret not in base64": ("secrets", secret(data={"a": "%"})),
    "config map with bad key": ("configmaps", config_map() | {"data": {"a/b": "x"}}),
    "deployment that does not match": ("deployments", workload("Deployment", selector={"matchLabels": {"b": "c"}})),
    "deployment of less than none": ("deployments", workload("Deployment", replicas=-1)),
    "deployment without selector": ("deployments", obj("apps/v1", "Deployment", "a", None,
                                                       spec={"template": template()})),
    "taints that are alike": ("nodes", node(taints=[{"key": "a", "effect": "NoSchedule"}] * 2)),
    "budget of both": ("poddisruptionbudgets", obj("policy/v1", "PodDisruptionBudget", "a", None,
                                                   spec={"minAvailable": 1, "maxUnavailable": 1})),
}  # fmt: skip


def binding_of_a_pod(api: Api) -> None:
    body = obj("v1", "Binding", "a", None, target={"kind": "Node", "name": "n"})
    api.post("pods/absent/binding", body | {"metadata": {"name": "absent"}})
    api.post("pods", pod())
    api.post("pods/a/binding", body)
    api.post("pods/a/binding", body)
    api.get("pods/a")


def eviction_of_a_pod(api: Api) -> None:
    body = obj("policy/v1", "Eviction", "a")
    api.post("pods/absent/eviction", body | {"metadata": {"name": "absent"}})
    api.post("pods", pod())
    api.post("pods/a/eviction", body, dryRun="All")
    api.post("pods/a/eviction", body)
    api.get("pods/a")


def eviction_against_a_budget(api: Api) -> None:
    api.post("poddisruptionbudgets", _BUDGET)
    api.post("pods", pod("a", {"labels": {"app": "a"}}, nodeName="n"))
    ready = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
    api.patch("pods/a/status", {"status": ready})
    status = {"currentHealthy": 1, "desiredHealthy": 1, "disruptionsAllowed": 0, "expectedPods": 1,
              "observedGeneration": 1}  # fmt: skip
    api.patch("poddisruptionbudgets/a/status", {"status": status})
    api.post("pods/a/eviction", obj("policy/v1", "Eviction", "a"))


def scale_of_a_deployment(api: Api) -> None:
    api.get("deployments/absent/scale")
    api.post("deployments", workload("Deployment"))
    scale = api.get("deployments/a/scale")
    scale["spec"]["replicas"] = 3
    api.put("deployments/a/scale", scale)
    api.put("deployments/a/scale", scale)
    api.patch("deployments/a/scale", {"spec": {"replicas": 5}})
    api.patch("deployments/a/scale", {"spec": {"replicas": -1}})
    api.patch("deployments/a/scale", [{"op": "replace", "path": "/spec/replicas", "value": 1}], "json")
    api.get("deployments/a")


def tokens_of_accounts(api: Api) -> None:
    body = obj("authentication.k8s.io/v1", "TokenRequest", "", None, spec={"expirationSeconds": 3600})
    api.post("serviceaccounts/absent/token", body)
    api.post("serviceaccounts", obj("v1", "ServiceAccount"))
    api.post("serviceaccounts/a/token", body | {"spec": {"expirationSeconds": 10}})
    api.post("serviceaccounts/a/token", {})


def template_labels_of_a_node(api: Api) -> None:
    api.post("nodes", node())
    api.patch("nodes/{ns}/status", {"status": {"capacity": {"cpu": "4", "memory": "1024Mi"}}})
    api.patch("nodes/{ns}/status", {"spec": {"unschedulable": True}})
    conditions = [{"type": "Ready", "status": "True", "reason": "KubeletReady"}]
    api.patch("nodes/{ns}/status", {"status": {"conditions": conditions}}, "strategic")
    api.patch("nodes/{ns}/status", {"status": {"conditions": [{"type": "Ready", "status": "False"}]}}, "strategic")
    api.patch("nodes/{ns}", {"metadata": {"labels": {"zone": "a"}}})


CASES: list[Case] = [
    *(case(f"new {name}", post(path, body)) for name, (path, body) in _BODIES.items()),
    *(case(f"wrong {name}", post(path, body)) for name, (path, body) in _WRONG.items()),
    case("log of an absent pod", get("pods/absent/log")),
    case(
        "unknown subresource of a pod",
        post("pods", pod()),
        get("pods/a/bogus"),
        put("pods/a/bogus", {}),
        patch("pods/a/bogus", {}),
        delete("pods/a/bogus"),
        send("POST", "pods/a/bogus", {}),
    ),  # fmt: skip
    *told(
        binding_of_a_pod,
        eviction_of_a_pod,
        eviction_against_a_budget,
        scale_of_a_deployment,
        tokens_of_accounts,
        template_labels_of_a_node,
    ),
]
