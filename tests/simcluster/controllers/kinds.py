"""The kinds that controllers read and write, and their paths."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Kind:
    """A kind as one version of the API serves it; the core group is empty."""

    group: str
    version: str
    plural: str
    name: str
    namespaced: bool = True

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    def path(self, namespace: str = "", name: str = "", subresource: str = "") -> str:
        """URL path of the collection (of all namespaces without one), of an object, or of its subresource."""
        parts = ["/apis", self.group, self.version] if self.group else ["/api", self.version]
        if self.namespaced and namespace:
            parts += ["namespaces", namespace]
        parts.append(self.plural)
        return "/".join([*parts, *filter(None, (name, subresource))])


NODES = Kind("", "v1", "nodes", "Node", False)
NAMESPACES = Kind("", "v1", "namespaces", "Namespace", False)
PODS = Kind("", "v1", "pods", "Pod")
EVENTS = Kind("", "v1", "events", "Event")
CONFIG_MAPS = Kind("", "v1", "configmaps", "ConfigMap")
RESOURCE_QUOTAS = Kind("", "v1", "resourcequotas", "ResourceQuota")
CLAIMS = Kind("", "v1", "persistentvolumeclaims", "PersistentVolumeClaim")
VOLUMES = Kind("", "v1", "persistentvolumes", "PersistentVolume", False)
STORAGE_CLASSES = Kind("storage.k8s.io", "v1", "storageclasses", "StorageClass", False)
DAEMON_SETS = Kind("apps", "v1", "daemonsets", "DaemonSet")
BUDGETS = Kind("policy", "v1", "poddisruptionbudgets", "PodDisruptionBudget")
DEPLOYMENTS = Kind("apps", "v1", "deployments", "Deployment")
MACHINES = Kind("kubevirt.io", "v1", "virtualmachines", "VirtualMachine")
INSTANCES = Kind("kubevirt.io", "v1", "virtualmachineinstances", "VirtualMachineInstance")
MIGRATIONS = Kind("kubevirt.io", "v1", "virtualmachineinstancemigrations", "VirtualMachineInstanceMigration")
KUBEVIRTS = Kind("kubevirt.io", "v1", "kubevirts", "KubeVirt")
POLICIES = Kind("migrations.kubevirt.io", "v1alpha1", "migrationpolicies", "MigrationPolicy", False)
NETWORK_POLICIES = Kind("nmstate.io", "v1", "nodenetworkconfigurationpolicies", "NodeNetworkConfigurationPolicy", False)
ENACTMENTS = Kind(
    "nmstate.io", "v1beta1", "nodenetworkconfigurationenactments", "NodeNetworkConfigurationEnactment", False
)
NETWORK_STATES = Kind("nmstate.io", "v1beta1", "nodenetworkstates", "NodeNetworkState", False)
POOLS = Kind("machineconfiguration.openshift.io", "v1", "machineconfigpools", "MachineConfigPool", False)
MACHINE_CONFIGS = Kind("machineconfiguration.openshift.io", "v1", "machineconfigs", "MachineConfig", False)
KUBELET_CONFIGS = Kind("machineconfiguration.openshift.io", "v1", "kubeletconfigs", "KubeletConfig", False)
ATTACHMENTS = Kind("k8s.cni.cncf.io", "v1", "network-attachment-definitions", "NetworkAttachmentDefinition")
DATA_VOLUMES = Kind("cdi.kubevirt.io", "v1beta1", "datavolumes", "DataVolume")


def hyperconvergeds(version: str) -> Kind:
    """HyperConverged in the version the cluster serves."""
    return Kind("hco.kubevirt.io", version, "hyperconvergeds", "HyperConverged")
