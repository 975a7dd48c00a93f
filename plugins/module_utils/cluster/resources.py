# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The kinds of objects this collection reads and writes, and their paths in the Kubernetes API.

The only place that knows groups, versions and plural names. Kinds whose served version differs between releases are
made by a function (hyperconvergeds).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Optional
from urllib.parse import quote


@dataclass(frozen=True)
class ResourceType:
    """A kind of object as the API serves it; C(group) is empty for the core group."""

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool

    @property
    def api_version(self) -> str:
        """What goes into C(apiVersion) of an object: "v1" or "kubevirt.io/v1"."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def full_name(self) -> str:
        """The name people and RBAC rules use: "pods", "virtualmachines.kubevirt.io"."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    def path(self, namespace: Optional[str] = None, name: Optional[str] = None, subresource: str = "") -> str:
        """Return the URL path of a collection, an object or an object's subresource.

        Without C(namespace) the path of a namespaced kind is that of all namespaces: for lists and watches only.
        """
        parts = ["apis", self.group, self.version] if self.group else ["api", self.version]
        if self.namespaced and namespace:
            parts += ["namespaces", quote(namespace, safe="")]
        parts.append(self.plural)
        if name:
            if self.namespaced and not namespace:
                raise ValueError(f"{self.full_name} {name!r} needs a namespace")
            parts.append(quote(name, safe=""))
        if subresource:
            parts.append(subresource)
        return "/" + "/".join(parts)


KUBEVIRT_GROUP = "kubevirt.io"
HYPERCONVERGED_GROUP = "hco.kubevirt.io"
SUBRESOURCES_GROUP_VERSION = "subresources.kubevirt.io/v1"

NODES = ResourceType("", "v1", "nodes", "Node", namespaced=False)
NAMESPACES = ResourceType("", "v1", "namespaces", "Namespace", namespaced=False)
PODS = ResourceType("", "v1", "pods", "Pod", namespaced=True)
EVENTS = ResourceType("", "v1", "events", "Event", namespaced=True)
CONFIG_MAPS = ResourceType("", "v1", "configmaps", "ConfigMap", namespaced=True)
RESOURCE_QUOTAS = ResourceType("", "v1", "resourcequotas", "ResourceQuota", namespaced=True)
PERSISTENT_VOLUME_CLAIMS = ResourceType("", "v1", "persistentvolumeclaims", "PersistentVolumeClaim", namespaced=True)
PERSISTENT_VOLUMES = ResourceType("", "v1", "persistentvolumes", "PersistentVolume", namespaced=False)
STORAGE_CLASSES = ResourceType("storage.k8s.io", "v1", "storageclasses", "StorageClass", namespaced=False)
LEASES = ResourceType("coordination.k8s.io", "v1", "leases", "Lease", namespaced=True)
DEPLOYMENTS = ResourceType("apps", "v1", "deployments", "Deployment", namespaced=True)
DAEMON_SETS = ResourceType("apps", "v1", "daemonsets", "DaemonSet", namespaced=True)
CUSTOM_RESOURCE_DEFINITIONS = ResourceType(
    "apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition", namespaced=False
)
SELF_SUBJECT_ACCESS_REVIEWS = ResourceType(
    "authorization.k8s.io", "v1", "selfsubjectaccessreviews", "SelfSubjectAccessReview", namespaced=False
)
VIRTUAL_MACHINES = ResourceType(KUBEVIRT_GROUP, "v1", "virtualmachines", "VirtualMachine", namespaced=True)
VIRTUAL_MACHINE_INSTANCES = ResourceType(
    KUBEVIRT_GROUP, "v1", "virtualmachineinstances", "VirtualMachineInstance", namespaced=True
)
MIGRATIONS = ResourceType(
    KUBEVIRT_GROUP, "v1", "virtualmachineinstancemigrations", "VirtualMachineInstanceMigration", namespaced=True
)
KUBEVIRTS = ResourceType(KUBEVIRT_GROUP, "v1", "kubevirts", "KubeVirt", namespaced=True)
MIGRATION_POLICIES = ResourceType(
    "migrations.kubevirt.io", "v1alpha1", "migrationpolicies", "MigrationPolicy", namespaced=False
)
DATA_VOLUMES = ResourceType("cdi.kubevirt.io", "v1beta1", "datavolumes", "DataVolume", namespaced=True)
STORAGE_PROFILES = ResourceType("cdi.kubevirt.io", "v1beta1", "storageprofiles", "StorageProfile", namespaced=False)
HYPERCONVERGEDS = ResourceType(HYPERCONVERGED_GROUP, "v1", "hyperconvergeds", "HyperConverged", namespaced=True)
NMSTATE_GROUP = "nmstate.io"
NODE_NETWORK_POLICIES = ResourceType(
    NMSTATE_GROUP, "v1", "nodenetworkconfigurationpolicies", "NodeNetworkConfigurationPolicy", namespaced=False
)
# these two are served in no other version
NODE_NETWORK_ENACTMENTS = ResourceType(
    NMSTATE_GROUP,
    "v1beta1",
    "nodenetworkconfigurationenactments",
    "NodeNetworkConfigurationEnactment",
    namespaced=False,
)
NODE_NETWORK_STATES = ResourceType(NMSTATE_GROUP, "v1beta1", "nodenetworkstates", "NodeNetworkState", namespaced=False)
NETWORK_ATTACHMENTS = ResourceType(
    "k8s.cni.cncf.io", "v1", "network-attachment-definitions", "NetworkAttachmentDefinition", namespaced=True
)
CLUSTER_NETWORKS = ResourceType("config.openshift.io", "v1", "networks", "Network", namespaced=False)
MACHINE_CONFIG_POOLS = ResourceType(
    "machineconfiguration.openshift.io", "v1", "machineconfigpools", "MachineConfigPool", namespaced=False
)
KUBELET_CONFIGS = ResourceType(
    "machineconfiguration.openshift.io", "v1", "kubeletconfigs", "KubeletConfig", namespaced=False
)
KUBE_DESCHEDULERS = ResourceType("operator.openshift.io", "v1", "kubedeschedulers", "KubeDescheduler", namespaced=True)
NODE_METRICS = ResourceType("metrics.k8s.io", "v1beta1", "nodes", "NodeMetrics", namespaced=False)
POD_METRICS = ResourceType("metrics.k8s.io", "v1beta1", "pods", "PodMetrics", namespaced=True)

# pods that hold resources of a node; as a field selector of lists and watches
ACTIVE_PODS = "status.phase!=Succeeded,status.phase!=Failed"
# label selectors of the pods KubeVirt makes
LAUNCHER_PODS = "kubevirt.io=virt-launcher"
VIRT_HANDLER_PODS = "kubevirt.io=virt-handler"


def hyperconvergeds(version: str) -> ResourceType:
    """Return HyperConverged in an API version that the cluster serves ("v1" or "v1beta1")."""
    return replace(HYPERCONVERGEDS, version=version)
