"""HyperConverged between its API versions v1 and v1beta1, whose specs are laid out differently.

Source of the field map: hyperconverged-cluster-operator api/v1beta1/conversion.go and its generated feature gates.
"""

from __future__ import annotations

import copy
import json
from typing import Any

GROUP = "hco.kubevirt.io"
V1 = "v1"
V1BETA1 = "v1beta1"
V1_ONLY_ANNOTATION = "hco.kubevirt.io/v1-only-fields"

Path = tuple[str, ...]


def _paths(parent: str, *fields: str, under: str = "") -> list[tuple[Path, Path]]:
    """Pairs (v1beta1 path, v1 path) of C(fields) that keep their names; C(under) is the parent in v1beta1."""
    return [
        (tuple(filter(None, (*under.split("."), field))), tuple(filter(None, (*parent.split("."), field))))
        for field in fields
    ]


_FIELD_MAP: list[tuple[Path, Path]] = [
    *_paths(
        "virtualization",
        "liveMigrationConfig",
        "tuningPolicy",
        "workloadUpdateStrategy",
        "evictionStrategy",
        "higherWorkloadDensity",
        "liveUpdateConfiguration",
        "ksmConfiguration",
        "hypervisors",
        "roleAggregationStrategy",
        "changedBlockTrackingLabelSelectors",
        "permittedHostDevices",
    ),
    *_paths(
        "virtualization.mediatedDevicesConfiguration",
        "mediatedDeviceTypes",
        "nodeMediatedDeviceTypes",
        under="mediatedDevicesConfiguration",
    ),
    *_paths(
        "virtualization", "vmiCPUAllocationRatio", "autoCPULimitNamespaceLabelSelector", under="resourceRequirements"
    ),
    (("obsoleteCPUs", "cpuModels"), ("virtualization", "obsoleteCPUModels")),
    *_paths("virtualization.virtualMachineOptions", "defaultCPUModel", "defaultRuntimeClass"),
    *_paths(
        "virtualization.virtualMachineOptions",
        "disableFreePageReporting",
        "disableSerialConsoleLog",
        under="virtualMachineOptions",
    ),
    (("resourceRequirements", "storageWorkloads"), ("storage", "workloadResourceRequirements")),
    *_paths("storage", "vmStateStorageClass", "scratchSpaceStorageClass", "storageImport", "filesystemOverhead"),
    (("featureGates", "persistentReservation"), ("storage", "persistentReservationConfiguration", "enabled")),
    (("infra", "nodePlacement"), ("deployment", "nodePlacements", "infra")),
    (("workloads", "nodePlacement"), ("deployment", "nodePlacements", "workload")),
    *_paths("deployment", "logVerbosityConfig", "uninstallStrategy", "deployVmConsoleProxy"),
    (("enableApplicationAwareQuota",), ("deployment", "applicationAwareConfig", "enable")),
    *_paths(
        "deployment.applicationAwareConfig",
        "allowApplicationAwareClusterResourceQuota",
        "namespaceSelector",
        "vmiCalcConfigName",
        under="applicationAwareConfig",
    ),
    *_paths("security", "certConfig", "tlsSecurityProfile"),
    *_paths("networking", "networkBinding", "kubeMacPoolConfiguration", "kubeSecondaryDNSNameServerIP"),
    *_paths(
        "workloadSources",
        "commonTemplatesNamespace",
        "commonBootImageNamespace",
        "enableCommonBootImageImport",
        "dataImportCronTemplates",
        "instancetypeConfig",
    ),
    (("CommonInstancetypesDeployment",), ("workloadSources", "commonInstancetypesDeployment")),
    (("featureGates", "enableMultiArchBootImageImport"), ("workloadSources", "enableMultiArchBootImageImport")),
]

# feature gates that are booleans of one object in v1beta1, and whether they are on when nothing is said
_FEATURE_GATES = {
    "alignCPUs": False,
    "containerPathVolumes": False,
    "decentralizedLiveMigration": True,
    "declarativeHotplugVolumes": True,
    "deployKubeSecondaryDNS": False,
    "downwardMetrics": False,
    "incrementalBackup": False,
    "objectGraph": False,
    "videoConfig": True,
}


def convert_hyperconverged(obj: dict[str, Any], to_version: str) -> dict[str, Any]:
    """C(obj) in another API version, as the conversion webhook answers; the argument is left as it is.

    C(to_version) is "v1" or "v1beta1", with or without the group. What v1beta1 cannot express travels in the annotation
    hco.kubevirt.io/v1-only-fields and comes back from there. Gates that v1beta1 has by name are left out of v1's list
    when they say what holds anyway. Raises ValueError for another kind or version.
    """
    group, _, source = str(obj.get("apiVersion", "")).rpartition("/")
    target = to_version.removeprefix(f"{GROUP}/")
    if group != GROUP or obj.get("kind", "HyperConverged") != "HyperConverged" or {source, target} - {V1, V1BETA1}:
        raise ValueError(
            f"cannot convert {obj.get('kind')} {obj.get('apiVersion')} to {to_version}: "
            f"only HyperConverged between {GROUP}/{V1} and {GROUP}/{V1BETA1}"
        )
    converted = copy.deepcopy(obj)
    converted["apiVersion"] = f"{GROUP}/{target}"
    if source == target:
        return converted
    if target == V1BETA1:
        _to_v1beta1(converted)
    else:
        _to_v1(converted)
    return converted


def _to_v1beta1(obj: dict[str, Any]) -> None:
    rest = obj.get("spec") or {}
    spec: dict[str, Any] = {}
    for old_path, new_path in _FIELD_MAP:
        value = _take(rest, new_path)
        if value is not _ABSENT:
            _put(spec, old_path, value)
    gates = {gate["name"]: gate.get("state", "Enabled") == "Enabled" for gate in rest.pop("featureGates", None) or []}
    unknown = {name: on for name, on in gates.items() if name not in _FEATURE_GATES}
    named = {name: gates.get(name, default) for name, default in _FEATURE_GATES.items()}
    spec["featureGates"] = {**named, **spec.get("featureGates", {})}
    if unknown:
        rest["featureGates"] = [
            {"name": name, "state": "Enabled" if on else "Disabled"} for name, on in sorted(unknown.items())
        ]
    obj["spec"] = spec
    if rest:
        annotations = obj.setdefault("metadata", {}).setdefault("annotations", {})
        annotations[V1_ONLY_ANNOTATION] = json.dumps(rest, sort_keys=True, separators=(",", ":"))


def _to_v1(obj: dict[str, Any]) -> None:
    old = obj.get("spec") or {}
    if old.get("tuningPolicy") == "highBurst":
        del old["tuningPolicy"]
    devices = old.get("mediatedDevicesConfiguration") or {}
    if "mediatedDevicesTypes" in devices:
        devices.setdefault("mediatedDeviceTypes", devices["mediatedDevicesTypes"])
    spec: dict[str, Any] = {}
    for old_path, new_path in _FIELD_MAP:
        value = _take(old, old_path)
        if value is not _ABSENT:
            _put(spec, new_path, value)
    said = old.get("featureGates") or {}
    gates = [
        {"name": name, "state": "Disabled" if default else "Enabled"}
        for name, default in _FEATURE_GATES.items()
        if bool(said.get(name, default)) != default
    ]
    kept = _v1_only_fields(obj)
    gates += kept.pop("featureGates", [])
    if gates:
        spec["featureGates"] = gates
    _fill_in(spec, kept)
    obj["spec"] = spec


def _v1_only_fields(obj: dict[str, Any]) -> dict[str, Any]:
    """What the annotation kept, taken off the object; a text that is not JSON keeps nothing."""
    metadata = obj.get("metadata") or {}
    annotations = metadata.get("annotations") or {}
    text = annotations.pop(V1_ONLY_ANNOTATION, "")
    if not annotations:
        metadata.pop("annotations", None)
    try:
        kept = json.loads(text) if text else {}
    except ValueError:
        return {}
    return kept if isinstance(kept, dict) else {}


_ABSENT = object()


def _take(tree: dict[str, Any], path: Path) -> Any:
    """Remove the value at C(path) and the parents it leaves empty; C(_ABSENT) if it is not there."""
    parents = [tree]
    for key in path[:-1]:
        child = parents[-1].get(key)
        if not isinstance(child, dict):
            return _ABSENT
        parents.append(child)
    value = parents[-1].pop(path[-1], _ABSENT)
    if value is not _ABSENT:
        for parent, key in reversed(list(zip(parents, path[:-1], strict=False))):
            if parent[key]:
                break
            del parent[key]
    return value


def _put(tree: dict[str, Any], path: Path, value: Any) -> None:
    for key in path[:-1]:
        tree = tree.setdefault(key, {})
    tree[path[-1]] = value


def _fill_in(tree: dict[str, Any], more: dict[str, Any]) -> None:
    """Add what C(tree) does not say."""
    for key, value in more.items():
        if isinstance(value, dict) and isinstance(tree.get(key), dict):
            _fill_in(tree[key], value)
        else:
            tree.setdefault(key, value)
