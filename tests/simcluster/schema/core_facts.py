"""What the API server knows of built-in kinds beyond the types of their fields.

Keys are ``Type.field`` with the names of Kubernetes' API types. Sources: kubernetes ``pkg/apis/core/v1/defaults.go``,
``pkg/apis/apps/v1/defaults.go``, ``pkg/apis/rbac/v1/defaults.go``, ``pkg/apis/storage/v1/defaults.go``,
``pkg/apis/core/validation/validation.go`` and the list markers in ``staging/src/k8s.io/api/core/v1/types.go``.
"""

from __future__ import annotations

from typing import Any, Final

LIST_KEYS: Final = {
    "Container.env": ["name"],
    "Container.ports": ["containerPort", "protocol"],
    "Container.volumeDevices": ["devicePath"],
    "Container.volumeMounts": ["mountPath"],
    "EphemeralContainer.env": ["name"],
    "EphemeralContainer.ports": ["containerPort", "protocol"],
    "EphemeralContainer.volumeDevices": ["devicePath"],
    "EphemeralContainer.volumeMounts": ["mountPath"],
    "CustomResourceDefinitionStatus.conditions": ["type"],
    "DaemonSetStatus.conditions": ["type"],
    "DeploymentStatus.conditions": ["type"],
    "NamespaceStatus.conditions": ["type"],
    "NodeStatus.addresses": ["type"],
    "NodeStatus.conditions": ["type"],
    "ObjectMeta.ownerReferences": ["uid"],
    "PersistentVolumeClaimStatus.conditions": ["type"],
    "PodDisruptionBudgetStatus.conditions": ["type"],
    "PodSpec.containers": ["name"],
    "PodSpec.ephemeralContainers": ["name"],
    "PodSpec.hostAliases": ["ip"],
    "PodSpec.imagePullSecrets": ["name"],
    "PodSpec.initContainers": ["name"],
    "PodSpec.resourceClaims": ["name"],
    "PodSpec.schedulingGates": ["name"],
    "PodSpec.topologySpreadConstraints": ["topologyKey", "whenUnsatisfiable"],
    "PodSpec.volumes": ["name"],
    "PodStatus.conditions": ["type"],
    "PodStatus.podIPs": ["ip"],
    "PodStatus.resourceClaimStatuses": ["name"],
    "ReplicaSetStatus.conditions": ["type"],
    "ResourceRequirements.claims": ["name"],
    "ServiceAccount.secrets": ["name"],
    "ServiceSpec.ports": ["port", "protocol"],
    "ServiceStatus.conditions": ["type"],
    "StatefulSetStatus.conditions": ["type"],
}

SETS: Final = frozenset({"NodeSpec.podCIDRs", "ObjectMeta.finalizers"})

ATOMIC_TYPES: Final = frozenset(
    [
        "ConfigMapKeySelector",
        "LabelSelector",
        "LocalObjectReference",
        "NodeSelector",
        "NodeSelectorTerm",
        "ObjectFieldSelector",
        "ObjectReference",
        "OwnerReference",
        "ResourceFieldSelector",
        "RoleRef",
        "ScopeSelector",
        "ScopedResourceSelectorRequirement",
        "SecretKeySelector",
        "SecretReference",
        "Subject",
        "TopologySelectorTerm",
        "TypedLocalObjectReference",
    ]
)

QUANTITY_FIELDS: Final = frozenset(
    [
        "allocatable",
        "allocatedResources",
        "capacity",
        "default",
        "defaultRequest",
        "divisor",
        "hard",
        "limits",
        "max",
        "maxLimitRequestRatio",
        "min",
        "overhead",
        "requests",
        "sizeLimit",
        "used",
    ]
)

INT64_FIELDS: Final = frozenset(
    [
        "activeDeadlineSeconds",
        "deletionGracePeriodSeconds",
        "expirationSeconds",
        "fsGroup",
        "generation",
        "gracePeriodSeconds",
        "observedGeneration",
        "runAsGroup",
        "runAsUser",
        "sizeBytes",
        "supplementalGroups",
        "terminationGracePeriodSeconds",
        "tolerationSeconds",
    ]
)

REQUIRED: Final = {
    "ClusterRoleBinding": ["roleRef"],
    "Container": ["name"],
    "ContainerPort": ["containerPort"],
    "DaemonSetSpec": ["selector", "template"],
    "DeploymentSpec": ["selector", "template"],
    "EnvVar": ["name"],
    "KeyToPath": ["key", "path"],
    "LabelSelectorRequirement": ["key", "operator"],
    "NodeSelectorRequirement": ["key", "operator"],
    "PersistentVolumeSpec": ["accessModes", "capacity"],
    "PodAffinityTerm": ["topologyKey"],
    "PodSpec": ["containers"],
    "PodTemplateSpec": ["spec"],
    "PolicyRule": ["verbs"],
    "ReplicaSetSpec": ["selector"],
    "RoleBinding": ["roleRef"],
    "RoleRef": ["kind", "name"],
    "ServicePort": ["port"],
    "StatefulSetSpec": ["selector", "template"],
    "StorageClass": ["provisioner"],
    "Subject": ["kind", "name"],
    "Taint": ["effect", "key"],
    "TopologySpreadConstraint": ["maxSkew", "topologyKey", "whenUnsatisfiable"],
    "Volume": ["name"],
    "VolumeMount": ["mountPath", "name"],
}

ENUMS: Final[dict[str, list[str]]] = {
    "Container.imagePullPolicy": ["Always", "IfNotPresent", "Never"],
    "ContainerPort.protocol": ["SCTP", "TCP", "UDP"],
    "LabelSelectorRequirement.operator": ["DoesNotExist", "Exists", "In", "NotIn"],
    "NodeSelectorRequirement.operator": ["DoesNotExist", "Exists", "Gt", "In", "Lt", "NotIn"],
    "PersistentVolumeClaimSpec.volumeMode": ["Block", "Filesystem"],
    "PersistentVolumeSpec.persistentVolumeReclaimPolicy": ["Delete", "Recycle", "Retain"],
    "PersistentVolumeSpec.volumeMode": ["Block", "Filesystem"],
    "PodSpec.dnsPolicy": ["ClusterFirst", "ClusterFirstWithHostNet", "Default", "None"],
    "PodSpec.restartPolicy": ["Always", "Never", "OnFailure"],
    "ServicePort.protocol": ["SCTP", "TCP", "UDP"],
    "ServiceSpec.type": ["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"],
    "StorageClass.reclaimPolicy": ["Delete", "Retain"],
    "StorageClass.volumeBindingMode": ["Immediate", "WaitForFirstConsumer"],
    "Subject.kind": ["Group", "ServiceAccount", "User"],
    "Taint.effect": ["NoExecute", "NoSchedule", "PreferNoSchedule"],
    "Toleration.effect": ["NoExecute", "NoSchedule", "PreferNoSchedule"],
    "Toleration.operator": ["Equal", "Exists"],
    "TopologySpreadConstraint.whenUnsatisfiable": ["DoNotSchedule", "ScheduleAnyway"],
}

ITEM_ENUMS: Final = {
    "PersistentVolumeClaimSpec.accessModes": [
        "ReadOnlyMany",
        "ReadWriteMany",
        "ReadWriteOnce",
        "ReadWriteOncePod",
    ],
}

NULLABLE: Final = frozenset({
    "ClusterRole.rules",
    "NodeCondition.lastHeartbeatTime",
    "NodeCondition.lastTransitionTime",
    "PodCondition.lastProbeTime",
    "PodCondition.lastTransitionTime",
    "Role.rules",
})  # fmt: skip
"""Fields that are always written, as null when there is nothing in them."""

DEFAULTS: Final[dict[str, Any]] = {
    "ConfigMapVolumeSource.defaultMode": 420,
    "Container.resources": {},
    "Container.terminationMessagePath": "/dev/termination-log",
    "Container.terminationMessagePolicy": "File",
    "ContainerPort.protocol": "TCP",
    "DaemonSet.status": {
        "currentNumberScheduled": 0,
        "desiredNumberScheduled": 0,
        "numberMisscheduled": 0,
        "numberReady": 0,
    },
    "DaemonSetSpec.revisionHistoryLimit": 10,
    "DaemonSetSpec.updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}},
    "Deployment.status": {},
    "DeploymentSpec.progressDeadlineSeconds": 600,
    "DeploymentSpec.replicas": 1,
    "DeploymentSpec.revisionHistoryLimit": 10,
    "DeploymentSpec.strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}},
    "DownwardAPIVolumeSource.defaultMode": 420,
    "HTTPGetAction.scheme": "HTTP",
    "HostPathVolumeSource.type": "",
    "Namespace.status": {"phase": "Active"},
    "Node.spec": {},
    "Node.status": {},
    "ObjectFieldSelector.apiVersion": "v1",
    "PersistentVolume.status": {"phase": "Pending"},
    "PersistentVolumeClaim.status": {"phase": "Pending"},
    "PersistentVolumeClaimSpec.volumeMode": "Filesystem",
    "PersistentVolumeSpec.persistentVolumeReclaimPolicy": "Retain",
    "PersistentVolumeSpec.volumeMode": "Filesystem",
    "Pod.status": {"phase": "Pending"},
    "PodSpec.dnsPolicy": "ClusterFirst",
    "PodSpec.restartPolicy": "Always",
    "PodSpec.schedulerName": "default-scheduler",
    "PodSpec.securityContext": {},
    "PodSpec.terminationGracePeriodSeconds": 30,
    "PriorityClass.preemptionPolicy": "PreemptLowerPriority",
    "Probe.failureThreshold": 3,
    "Probe.periodSeconds": 10,
    "Probe.successThreshold": 1,
    "Probe.timeoutSeconds": 1,
    "ProjectedVolumeSource.defaultMode": 420,
    "ReplicaSet.status": {"replicas": 0},
    "ReplicaSetSpec.replicas": 1,
    "ResourceQuota.status": {},
    "Secret.type": "Opaque",
    "SecretVolumeSource.defaultMode": 420,
    "Service.status": {"loadBalancer": {}},
    "ServiceAccountTokenProjection.expirationSeconds": 3600,
    "ServicePort.protocol": "TCP",
    "ServiceSpec.internalTrafficPolicy": "Cluster",
    "ServiceSpec.ipFamilyPolicy": "SingleStack",
    "ServiceSpec.sessionAffinity": "None",
    "ServiceSpec.type": "ClusterIP",
    "StatefulSet.status": {"availableReplicas": 0, "replicas": 0},
    "StatefulSetSpec.podManagementPolicy": "OrderedReady",
    "StatefulSetSpec.replicas": 1,
    "StatefulSetSpec.revisionHistoryLimit": 10,
    "StatefulSetSpec.updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}},
    "StorageClass.reclaimPolicy": "Delete",
    "StorageClass.volumeBindingMode": "Immediate",
}

FREE_FORM: Final = frozenset({"FieldsV1", "JSON", "JSONSchemaProps", "RawExtension"})
"""Types whose content is kept as it is."""
