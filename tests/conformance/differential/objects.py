"""Collections that cases name in short, and bodies that they send."""

from __future__ import annotations

from typing import Any

Obj = dict[str, Any]


def _within(group_version: str, *plurals: str) -> dict[str, str]:
    prefix = f"/apis/{group_version}" if "/" in group_version else f"/api/{group_version}"
    return {plural: f"{prefix}/namespaces/{{ns}}/{plural}" for plural in plurals}


def _at_top(group_version: str, *plurals: str) -> dict[str, str]:
    prefix = f"/apis/{group_version}" if "/" in group_version else f"/api/{group_version}"
    return {plural: f"{prefix}/{plural}" for plural in plurals}


KUBEVIRT = "kubevirt.io/v1"
POLICY = "migrations.kubevirt.io/v1alpha1"
HCO = "hco.kubevirt.io/v1"
NNCP = "nmstate.io/v1"
MCO = "machineconfiguration.openshift.io/v1"
NAD = "k8s.cni.cncf.io/v1"
CDI = "cdi.kubevirt.io/v1beta1"
RBAC = "rbac.authorization.k8s.io/v1"
VERBS = "/apis/subresources.kubevirt.io/v1/namespaces/{ns}"

PATHS: dict[str, str] = {
    **_within("v1", "configmaps", "secrets", "pods", "persistentvolumeclaims", "serviceaccounts", "services", "events"),
    **_within("v1", "resourcequotas", "limitranges"),
    **_within("apps/v1", "deployments", "daemonsets", "replicasets", "statefulsets"),
    **_within("policy/v1", "poddisruptionbudgets"),
    **_within("coordination.k8s.io/v1", "leases"),
    **_within(RBAC, "roles", "rolebindings"),
    **_within(KUBEVIRT, "virtualmachines", "virtualmachineinstances", "virtualmachineinstancemigrations"),
    **_within(HCO, "hyperconvergeds"),
    **_within(NAD, "network-attachment-definitions"),
    **_within(CDI, "datavolumes"),
    **_at_top("v1", "namespaces", "nodes", "persistentvolumes"),
    **_at_top("storage.k8s.io/v1", "storageclasses"),
    **_at_top("scheduling.k8s.io/v1", "priorityclasses"),
    **_at_top(RBAC, "clusterroles", "clusterrolebindings"),
    **_at_top(POLICY, "migrationpolicies"),
    **_at_top(NNCP, "nodenetworkconfigurationpolicies"),
    **_at_top(MCO, "kubeletconfigs"),
    **_at_top("authorization.k8s.io/v1", "selfsubjectaccessreviews", "subjectaccessreviews"),
    **_at_top("authentication.k8s.io/v1", "selfsubjectreviews"),
    "vms": f"/apis/{KUBEVIRT}/namespaces/{{ns}}/virtualmachines",
    "vmis": f"/apis/{KUBEVIRT}/namespaces/{{ns}}/virtualmachineinstances",
    "vmims": f"/apis/{KUBEVIRT}/namespaces/{{ns}}/virtualmachineinstancemigrations",
    "nncps": f"/apis/{NNCP}/nodenetworkconfigurationpolicies",
    "nads": f"/apis/{NAD}/namespaces/{{ns}}/network-attachment-definitions",
    "hco": f"/apis/{HCO}/namespaces/{{ns}}/hyperconvergeds",
    "hco-v1beta1": "/apis/hco.kubevirt.io/v1beta1/namespaces/{ns}/hyperconvergeds",
}


def obj(api_version: str, kind: str, name: str = "a", meta: Obj | None = None, **content: Any) -> Obj:
    """Any object; a name that is empty is left out."""
    named = {"name": name} if name else {}
    return {"apiVersion": api_version, "kind": kind, "metadata": {**named, **(meta or {})}, **content}


def config_map(name: str = "a", meta: Obj | None = None, **data: Any) -> Obj:
    return obj("v1", "ConfigMap", name, meta, data=data)


def secret(name: str = "a", **content: Any) -> Obj:
    return obj("v1", "Secret", name, None, **content)


def lease(name: str = "a", **spec: Any) -> Obj:
    return obj("coordination.k8s.io/v1", "Lease", name, None, spec=spec)


def pod(name: str = "a", meta: Obj | None = None, **spec: Any) -> Obj:
    return obj("v1", "Pod", name, meta, spec={"containers": [{"name": "c", "image": "example.com/c:1"}], **spec})


def node(name: str = "{ns}", meta: Obj | None = None, **spec: Any) -> Obj:
    return obj("v1", "Node", name, meta, spec=spec)


def namespace(name: str = "{ns}-2", meta: Obj | None = None) -> Obj:
    return obj("v1", "Namespace", name, meta)


def claim(name: str = "a", **spec: Any) -> Obj:
    wanted = {"accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": "1Gi"}}, **spec}
    return obj("v1", "PersistentVolumeClaim", name, None, spec=wanted)


def storage_class(name: str = "{ns}", **content: Any) -> Obj:
    return obj("storage.k8s.io/v1", "StorageClass", name, None, **{"provisioner": "example.com/p", **content})


def template(**spec: Any) -> Obj:
    containers = [{"name": "c", "image": "example.com/c:1"}]
    return {"metadata": {"labels": {"app": "a"}}, "spec": {"containers": containers, **spec}}


def workload(kind: str, name: str = "a", **spec: Any) -> Obj:
    """A Deployment, ReplicaSet, StatefulSet or DaemonSet."""
    wanted = {"selector": {"matchLabels": {"app": "a"}}, "template": template(), **spec}
    return obj("apps/v1", kind, name, None, spec=wanted)


def role(name: str = "a", *rules: Obj, kind: str = "Role") -> Obj:
    return obj(RBAC, kind, name, None, rules=list(rules))


def rule(verbs: str, resources: str, group: str = "", **more: Any) -> Obj:
    return {"apiGroups": [group], "resources": resources.split(), "verbs": verbs.split(), **more}


def binding(role_name: str, user: str, *, kind: str = "RoleBinding", role_kind: str = "Role") -> Obj:
    subject = {"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": user}
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": role_kind, "name": role_name}
    return obj(RBAC, kind, role_name, None, subjects=[subject], roleRef=reference)


def policy(name: str = "{ns}", meta: Obj | None = None, **spec: Any) -> Obj:
    return obj(POLICY, "MigrationPolicy", name, meta, spec={"selectors": {}, **spec})


def machine(name: str = "vm", meta: Obj | None = None, **spec: Any) -> Obj:
    domain = {"devices": {}, "memory": {"guest": "1Gi"}}
    wanted = {"runStrategy": "Halted", "template": {"spec": {"domain": domain}}, **spec}
    return obj(KUBEVIRT, "VirtualMachine", name, meta, spec=wanted)


def instance(name: str = "vm", **content: Any) -> Obj:
    domain = {"devices": {}, "memory": {"guest": "1Gi"}}
    return obj(KUBEVIRT, "VirtualMachineInstance", name, None, **{"spec": {"domain": domain}, **content})


def migration(name: str = "m", instance_name: str = "vm", **spec: Any) -> Obj:
    return obj(KUBEVIRT, "VirtualMachineInstanceMigration", name, None, spec={"vmiName": instance_name, **spec})


def network_policy(name: str = "{ns}", **spec: Any) -> Obj:
    return obj(NNCP, "NodeNetworkConfigurationPolicy", name, None, spec=spec)


def kubelet_config(name: str = "{ns}", **spec: Any) -> Obj:
    return obj(MCO, "KubeletConfig", name, None, spec=spec)


def network(name: str = "a", **content: Any) -> Obj:
    return obj(NAD, "NetworkAttachmentDefinition", name, None, **{"spec": {"config": "{}"}, **content})


def data_volume(name: str = "a", **spec: Any) -> Obj:
    wanted = {"source": {"blank": {}}, "storage": {"resources": {"requests": {"storage": "1Gi"}}}, **spec}
    return obj(CDI, "DataVolume", name, None, spec=wanted)
