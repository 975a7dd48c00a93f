"""What an installed OpenShift Virtualization leaves in a cluster besides nodes and machines."""

from __future__ import annotations

import json
from collections.abc import Iterator

from ..conversion import convert_hyperconverged
from .pods import CONTAINER_DEFAULTS, POD_DEFAULTS
from .values import (
    HYPERCONVERGED_NAME,
    INSTALLED_AT,
    KUBEVIRT_NAME,
    KUBEVIRT_NAMESPACE,
    Layout,
    Machine,
    Obj,
    owner_reference,
    stable_uid,
)

SYSTEM_NAMESPACES = (
    "default",
    "kube-system",
    "kube-public",
    "kube-node-lease",
    "openshift",
    KUBEVIRT_NAMESPACE,
    "simcluster",
)
HYPERCONVERGED_UID = stable_uid("HyperConverged", HYPERCONVERGED_NAME)
KUBEVIRT_UID = stable_uid("KubeVirt", KUBEVIRT_NAME)


def namespaces(layout: Layout) -> Iterator[Obj]:
    for name in SYSTEM_NAMESPACES:
        yield _namespace(name, {})
    for name, labels in layout.namespaces.items():
        yield _namespace(name, labels)


def hyperconverged(layout: Layout) -> Obj:
    """The HyperConverged in the newest API version the scenario serves, every default written out."""
    newest: Obj = {
        "apiVersion": "hco.kubevirt.io/v1",
        "kind": "HyperConverged",
        "metadata": {
            "name": HYPERCONVERGED_NAME,
            "namespace": KUBEVIRT_NAMESPACE,
            "uid": HYPERCONVERGED_UID,
            "creationTimestamp": INSTALLED_AT,
            "generation": 2,
            "labels": {"app": "kubevirt-hyperconverged"},
            "finalizers": ["kubevirt.io/hyperconverged"],
        },
        "spec": {
            "deployment": {
                "applicationAwareConfig": {
                    "allowApplicationAwareClusterResourceQuota": False,
                    "enable": False,
                    "vmiCalcConfigName": "DedicatedVirtualResources",
                },
                "deployNetworkResourcesInjector": True,
                "deployVmConsoleProxy": False,
                "uninstallStrategy": "BlockUninstallIfWorkloadsExist",
            },
            "security": {
                "certConfig": {
                    "ca": {"duration": "48h0m0s", "renewBefore": "24h0m0s"},
                    "server": {"duration": "24h0m0s", "renewBefore": "12h0m0s"},
                }
            },
            "virtualization": {
                "evictionStrategy": "LiveMigrate" if _highly_available(layout) else "None",
                "higherWorkloadDensity": {"memoryOvercommitPercentage": 100},
                "liveMigrationConfig": _migration_limits(layout),
                "virtualMachineOptions": {"disableFreePageReporting": False, "disableSerialConsoleLog": False},
                "vmiCPUAllocationRatio": layout.cpu_allocation_ratio,
                "workloadUpdateStrategy": {
                    "batchEvictionInterval": "1m0s",
                    "batchEvictionSize": 10,
                    "workloadUpdateMethods": ["LiveMigrate"],
                },
            },
            "workloadSources": {"enableCommonBootImageImport": True},
        },
        "status": {
            "conditions": [
                _operator_condition(kind, status)
                for kind, status in (
                    ("ReconcileComplete", "True"),
                    ("Available", "True"),
                    ("Progressing", "False"),
                    ("Degraded", "False"),
                    ("Upgradeable", "True"),
                )
            ],
            "infrastructureHighlyAvailable": _highly_available(layout),
            "observedGeneration": 2,
            "relatedObjects": [
                {
                    "apiVersion": "kubevirt.io/v1",
                    "kind": "KubeVirt",
                    "name": KUBEVIRT_NAME,
                    "namespace": KUBEVIRT_NAMESPACE,
                    "uid": KUBEVIRT_UID,
                }
            ],
            "systemHealthStatus": "healthy",
            "versions": [{"name": "operator", "version": layout.hyperconverged_version}],
        },
    }
    if "v1" in layout.hyperconverged_versions:
        return newest
    older = convert_hyperconverged(newest, _hyperconverged_version(layout))
    # releases without v1 know nothing of its fields
    del older["metadata"]["annotations"]
    return older


def kubevirt(layout: Layout) -> Obj:
    """The KubeVirt that the operator derives from the HyperConverged."""
    return {
        "apiVersion": "kubevirt.io/v1",
        "kind": "KubeVirt",
        "metadata": {
            "name": KUBEVIRT_NAME,
            "namespace": KUBEVIRT_NAMESPACE,
            "uid": KUBEVIRT_UID,
            "creationTimestamp": INSTALLED_AT,
            "generation": 2,
            "labels": {"app": "kubevirt-hyperconverged"},
            "finalizers": ["kubevirt.io/foregroundDeleteKubeVirt"],
            "ownerReferences": [
                owner_reference(
                    _hyperconverged_version(layout), "HyperConverged", HYPERCONVERGED_NAME, HYPERCONVERGED_UID
                )
            ],
        },
        "spec": {
            "configuration": {
                "developerConfiguration": {
                    "cpuAllocationRatio": layout.cpu_allocation_ratio,
                    "memoryOvercommit": 100,
                },
                "evictionStrategy": "LiveMigrate" if _highly_available(layout) else "None",
                "migrations": _migration_limits(layout),
                "vmRolloutStrategy": "LiveUpdate",
            },
            **({} if _highly_available(layout) else {"infra": {"replicas": 1}}),
            "uninstallStrategy": "BlockUninstallIfWorkloadsExist",
            "workloadUpdateStrategy": {
                "batchEvictionInterval": "1m0s",
                "batchEvictionSize": 10,
                "workloadUpdateMethods": ["LiveMigrate"],
            },
        },
        "status": {
            "phase": "Deployed",
            "conditions": [
                {"type": kind, "status": status, "reason": reason, "message": message}
                for kind, status, reason, message in (
                    ("Available", "True", "AllComponentsReady", "All components are ready."),
                    ("Progressing", "False", "AllComponentsReady", "All components are ready."),
                    ("Degraded", "False", "AllComponentsReady", "All components are ready."),
                    ("Created", "True", "AllResourcesCreated", "All resources were created."),
                )
            ],
            "observedGeneration": 2,
            "observedKubeVirtVersion": layout.kubevirt_version,
            "targetKubeVirtVersion": layout.kubevirt_version,
            "operatorVersion": layout.kubevirt_version,
            "observedDeploymentID": stable_uid("deployment", layout.kubevirt_version),
            "targetDeploymentID": stable_uid("deployment", layout.kubevirt_version),
            "outdatedVirtualMachineInstanceWorkloads": 0,
            "defaultArchitecture": "amd64",
        },
    }


def components(layout: Layout) -> Iterator[Obj]:
    """virt-handler's DaemonSet, virt-api's Deployment and its budget, rolled out.

    Source of the number of replicas: KubeVirt pkg/virt-operator/resource/apply/apps.go.
    """
    workers = sum(node.worker for node in layout.nodes)
    labels = {"kubevirt.io": "virt-handler"}
    requests = {"cpu": "10m", "memory": "325Mi"}
    yield {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": _component_metadata("virt-handler", "DaemonSet"),
        "spec": {
            "revisionHistoryLimit": 10,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": {**labels, "name": "virt-handler"}},
                "spec": _component_pod("virt-handler", requests),
            },
            "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1}},
        },
        "status": {
            "observedGeneration": 1,
            "currentNumberScheduled": workers,
            "desiredNumberScheduled": workers,
            "numberAvailable": workers,
            "numberMisscheduled": 0,
            "numberReady": workers,
            "updatedNumberScheduled": workers,
        },
    }
    # releases before KubeVirt 1.7 count all nodes
    older = int(layout.kubevirt_version.split(".")[1]) < 7
    counted = len(layout.nodes) if older else workers
    replicas = 1 if counted == 1 else max(2, counted // 10)
    labels = {"kubevirt.io": "virt-api"}
    yield {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": _component_metadata("virt-api", "Deployment"),
        "spec": {
            "progressDeadlineSeconds": 600,
            "replicas": replicas,
            "revisionHistoryLimit": 10,
            "selector": {"matchLabels": labels},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}},
            "template": {"metadata": {"labels": labels}, "spec": _component_pod("virt-api")},
        },
        "status": {
            "observedGeneration": 1,
            "replicas": replicas,
            "updatedReplicas": replicas,
            "readyReplicas": replicas,
            "availableReplicas": replicas,
        },
    }
    yield {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": _component_metadata("virt-api-pdb", "PodDisruptionBudget"),
        "spec": {"minAvailable": replicas - 1, "selector": {"matchLabels": labels}},
        "status": {
            "observedGeneration": 1,
            "currentHealthy": replicas,
            "desiredHealthy": replicas - 1,
            "expectedPods": replicas,
            "disruptionsAllowed": 1,
        },
    }


def network_attachments(machines: tuple[Machine, ...]) -> Iterator[Obj]:
    """The bridge networks that machines name, one definition per namespace."""
    for namespace, name in sorted({(m.namespace, m.multus_bridge) for m in machines if m.multus_bridge}):
        yield {
            "apiVersion": "k8s.cni.cncf.io/v1",
            "kind": "NetworkAttachmentDefinition",
            "metadata": {
                "name": name,
                "namespace": namespace,
                "uid": stable_uid("NetworkAttachmentDefinition", namespace, name),
                "creationTimestamp": INSTALLED_AT,
                "generation": 1,
            },
            "spec": {
                "config": json.dumps({"cniVersion": "0.3.1", "name": name, "type": "bridge", "bridge": "br1"}),
            },
        }


def _hyperconverged_version(layout: Layout) -> str:
    return f"hco.kubevirt.io/{'v1' if 'v1' in layout.hyperconverged_versions else 'v1beta1'}"


def _migration_limits(layout: Layout) -> Obj:
    """The same fields in HyperConverged and KubeVirt; allowWorkloadDisruption came with API version v1."""
    limits = layout.migrations
    config: Obj = {
        "allowAutoConverge": False,
        "allowPostCopy": False,
        "completionTimeoutPerGiB": limits.completion_timeout_per_gib,
        "parallelMigrationsPerCluster": limits.parallel_per_cluster,
        "parallelOutboundMigrationsPerNode": limits.parallel_outbound_per_node,
        "progressTimeout": limits.progress_timeout,
    }
    if "v1" in layout.hyperconverged_versions:
        config["allowWorkloadDisruption"] = False
    if limits.bandwidth:
        config["bandwidthPerMigration"] = limits.bandwidth
    return config


def _highly_available(layout: Layout) -> bool:
    return len(layout.nodes) > 1


def _namespace(name: str, labels: dict[str, str]) -> Obj:
    return {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {
            "name": name,
            "uid": stable_uid("Namespace", name),
            "creationTimestamp": INSTALLED_AT,
            "labels": {"kubernetes.io/metadata.name": name, **labels},
        },
        "spec": {"finalizers": ["kubernetes"]},
        "status": {"phase": "Active"},
    }


def _operator_condition(kind: str, status: str) -> Obj:
    return {
        "type": kind,
        "status": status,
        "reason": "ReconcileCompleted",
        "message": "Reconcile completed successfully",
        "observedGeneration": 2,
        "lastTransitionTime": INSTALLED_AT,
    }


def _component_metadata(name: str, kind: str) -> Obj:
    return {
        "name": name,
        "namespace": KUBEVIRT_NAMESPACE,
        "uid": stable_uid(kind, name),
        "creationTimestamp": INSTALLED_AT,
        "generation": 1,
        "labels": {"kubevirt.io": name, "app.kubernetes.io/managed-by": "virt-operator"},
    }


def _component_pod(name: str, requests: dict[str, str] | None = None) -> Obj:
    account = f"kubevirt-{name.removeprefix('virt-')}"
    image = f"registry.example.com/kubevirt/{name}:v1"
    return {
        **POD_DEFAULTS,
        "containers": [
            {
                **CONTAINER_DEFAULTS,
                "name": name,
                "image": image,
                "resources": {"requests": requests} if requests else {},
            }
        ],
        "serviceAccount": account,
        "serviceAccountName": account,
    }
