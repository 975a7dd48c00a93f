"""Defaults and rules of built-in kinds that concern more than the type of one field.

Sources: kubernetes ``pkg/apis/core/v1/defaults.go``, ``pkg/apis/core/validation/validation.go``,
``pkg/apis/apps/validation/validation.go``, ``pkg/apis/storage/validation/validation.go``,
``pkg/apis/rbac/validation/validation.go``, ``pkg/apis/coordination/validation/validation.go``,
``pkg/apis/policy/validation/validation.go``.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterator
from typing import Any

from ..quantity import millicores
from .errors import DUPLICATE, FORBIDDEN, INVALID, REQUIRED, TOO_LONG, FieldError

Obj = dict[str, Any]

_CONFIG_KEY = re.compile(r"[-._a-zA-Z0-9]+\Z")
_CONFIG_KEY_TEXT = (
    "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  "
    "or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')"
)
_CONFIG_MAX_BYTES = 1024 * 1024
_POD_UPDATE_TEXT = (
    "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,"
    "`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),"
    "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"
)
_CLAIM_UPDATE_TEXT = (
    "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims"
)


def core_defaults(kind: str, obj: Obj) -> None:
    """Fills in defaults that depend on other fields, in place."""
    if default := _DEFAULTS.get(kind):
        default(obj)


def core_errors(kind: str, obj: Obj, old: Obj | None, subresource: str) -> list[FieldError]:
    """Violations of rules; ``old`` is None on create."""
    check = _CHECKS.get(kind)
    return list(check(obj, old)) if check and not subresource else []


def _pod_spec_defaults(spec: Any) -> None:
    if not isinstance(spec, dict):
        return
    for container in [*(spec.get("containers") or ()), *(spec.get("initContainers") or ())]:
        if "imagePullPolicy" not in container:
            name = container.get("image", "").rpartition("/")[2]
            latest = "@" not in name and (":" not in name or name.endswith(":latest"))
            container["imagePullPolicy"] = "Always" if latest else "IfNotPresent"
        resources = container.get("resources") or {}
        limits, requests = resources.get("limits") or {}, resources.get("requests") or {}
        if limits.keys() - requests.keys():
            resources["requests"] = {**limits, **requests}
    if spec.get("serviceAccountName"):
        spec.setdefault("serviceAccount", spec["serviceAccountName"])


def _pod_defaults(obj: Obj) -> None:
    spec = obj.get("spec")
    _pod_spec_defaults(spec)
    if isinstance(spec, dict):
        spec.setdefault("enableServiceLinks", True)


def _role_defaults(obj: Obj) -> None:
    obj["rules"] = obj.get("rules") or None


def _template_defaults(obj: Obj) -> None:
    _pod_spec_defaults(obj.get("spec", {}).get("template", {}).get("spec"))


def _stateful_set_defaults(obj: Obj) -> None:
    _template_defaults(obj)
    kept = {"whenDeleted": "Retain", "whenScaled": "Retain"}
    obj.setdefault("spec", {}).setdefault("persistentVolumeClaimRetentionPolicy", kept)


def _namespace_defaults(obj: Obj) -> None:
    meta = obj.get("metadata", {})
    if name := meta.get("name"):
        meta.setdefault("labels", {})["kubernetes.io/metadata.name"] = name


def _node_defaults(obj: Obj) -> None:
    spec = obj.get("spec") or {}
    if spec.get("podCIDR"):
        spec.setdefault("podCIDRs", [spec["podCIDR"]])
    status = obj.get("status") or {}
    if status.get("capacity"):
        status.setdefault("allocatable", dict(status["capacity"]))


def _limit_range_defaults(obj: Obj) -> None:
    for limit in (obj.get("spec") or {}).get("limits") or ():
        if limit.get("type") == "Container" and limit.get("default"):
            limit["defaultRequest"] = {**limit["default"], **(limit.get("defaultRequest") or {})}


def _secret_defaults(obj: Obj) -> None:
    plain = obj.pop("stringData", None)
    if plain:
        encoded = {key: base64.b64encode(text.encode()).decode() for key, text in plain.items()}
        obj["data"] = {**(obj.get("data") or {}), **encoded}


def _binding_defaults(obj: Obj) -> None:
    obj.get("roleRef", {}).setdefault("apiGroup", "rbac.authorization.k8s.io")
    for subject in obj.get("subjects") or ():
        if subject.get("kind") in ("User", "Group"):
            subject.setdefault("apiGroup", "rbac.authorization.k8s.io")


_DEFAULTS: dict[str, Callable[[Obj], None]] = {
    "Pod": _pod_defaults,
    **dict.fromkeys(("Role", "ClusterRole"), _role_defaults),
    **dict.fromkeys(("DaemonSet", "Deployment", "ReplicaSet"), _template_defaults),
    "StatefulSet": _stateful_set_defaults,
    **dict.fromkeys(("RoleBinding", "ClusterRoleBinding"), _binding_defaults),
    "Namespace": _namespace_defaults,
    "Node": _node_defaults,
    "LimitRange": _limit_range_defaults,
    "Secret": _secret_defaults,
}


def _pod_spec_errors(spec: Obj, path: str) -> Iterator[FieldError]:
    for field in ("containers", "initContainers", "volumes"):
        names: set[str] = set()
        for index, item in enumerate(spec.get(field) or ()):
            if item.get("name") in names:
                yield FieldError(f"{path}.{field}[{index}].name", DUPLICATE, item["name"])
            names.add(item.get("name", ""))
    if spec.get("containers") == []:
        yield FieldError(f"{path}.containers", REQUIRED, "")
    for index, container in enumerate(spec.get("containers") or ()):
        where = f"{path}.containers[{index}]"
        if not container.get("image"):
            yield FieldError(f"{where}.image", REQUIRED, "")
        yield from _resource_errors(container.get("resources") or {}, f"{where}.resources")


def _resource_errors(resources: Obj, path: str) -> Iterator[FieldError]:
    limits, requests = resources.get("limits") or {}, resources.get("requests") or {}
    for group, amounts in (("limits", limits), ("requests", requests)):
        for name, amount in amounts.items():
            if millicores(amount) < 0:
                text = "must be greater than or equal to 0"
                yield FieldError(f"{path}.{group}[{name}]", INVALID, amount, text)
    for name, amount in requests.items():
        if name in limits and millicores(amount) > millicores(limits[name]):
            text = f"must be less than or equal to {name} limit of {limits[name]}"
            yield FieldError(f"{path}.requests", INVALID, amount, text)


def _pod(obj: Obj, old: Obj | None) -> Iterator[FieldError]:
    spec = obj.get("spec")
    if spec is None:
        yield FieldError("spec.containers", REQUIRED, "")
        return
    yield from _pod_spec_errors(spec, "spec")
    if old is not None and _pod_fixed(spec) != _pod_fixed(old["spec"]):
        yield FieldError("spec", FORBIDDEN, "", _POD_UPDATE_TEXT)


def _pod_fixed(spec: Obj) -> Obj:
    changeable = ("activeDeadlineSeconds", "tolerations")
    fixed = {k: v for k, v in spec.items() if k not in changeable}
    for kind in ("containers", "initContainers"):
        if kind in fixed:
            fixed[kind] = [{k: v for k, v in c.items() if k != "image"} for c in fixed[kind]]
    return fixed


def _claim(obj: Obj, old: Obj | None) -> Iterator[FieldError]:
    spec = obj.get("spec") or {}
    if not spec.get("accessModes"):
        yield FieldError("spec.accessModes", REQUIRED, "", "at least 1 access mode is required")
    requested = (spec.get("resources") or {}).get("requests") or {}
    if "storage" not in requested:
        yield FieldError("spec.resources[storage]", REQUIRED, "")
    elif millicores(requested["storage"]) <= 0:
        yield FieldError("spec.resources[storage]", INVALID, requested["storage"], "must be greater than zero")
    if old is not None:
        yield from _claim_update(spec, old)


def _claim_update(spec: Obj, old: Obj) -> Iterator[FieldError]:
    before = old["spec"]
    bound = (old.get("status") or {}).get("phase") == "Bound"
    changeable = ("resources", "volumeAttributesClassName") if bound else ()
    # the binder fills in volumeName, the class of a claim without one is set later by the default-class controller
    filled = tuple(name for name in ("volumeName", "storageClassName") if not before.get(name))
    fixed = [{k: v for k, v in s.items() if k not in (*changeable, *filled)} for s in (spec, before)]
    if fixed[0] != fixed[1]:
        yield FieldError("spec", FORBIDDEN, "", _CLAIM_UPDATE_TEXT)
    wanted, had = (s.get("resources", {}).get("requests", {}).get("storage", "0") for s in (spec, before))
    if bound and millicores(wanted) < millicores(had):
        text = "field can not be less than status.capacity"
        yield FieldError("spec.resources.requests.storage", FORBIDDEN, "", text)


def _config(obj: Obj, old: Obj | None) -> Iterator[FieldError]:
    size_bytes = 0
    for field in ("data", "binaryData"):
        for key, value in (obj.get(field) or {}).items():
            size_bytes += len(value)
            if not _CONFIG_KEY.match(key):
                yield FieldError(f"{field}[{key}]", INVALID, key, _CONFIG_KEY_TEXT)
    if size_bytes > _CONFIG_MAX_BYTES:
        field = "data" if obj["kind"] == "Secret" else "[]"
        yield FieldError(field, TOO_LONG, "", f"may not be more than {_CONFIG_MAX_BYTES} bytes")
    if old is None:
        return
    if old.get("immutable"):
        for field in ("data", "binaryData", "immutable"):
            if obj.get(field) != old.get(field):
                yield FieldError(field, FORBIDDEN, "", "field is immutable when `immutable` is set")
    if obj.get("type") != old.get("type"):
        yield FieldError("type", INVALID, obj.get("type"), "field is immutable")


def _lease(obj: Obj, old: Obj | None) -> Iterator[FieldError]:
    spec = obj.get("spec") or {}
    if spec.get("leaseDurationSeconds", 1) <= 0:
        text = "must be greater than 0"
        yield FieldError("spec.leaseDurationSeconds", INVALID, spec["leaseDurationSeconds"], text)
    if spec.get("leaseTransitions", 0) < 0:
        text = "must be greater than or equal to 0"
        yield FieldError("spec.leaseTransitions", INVALID, spec["leaseTransitions"], text)


def _storage_class(obj: Obj, old: Obj | None) -> Iterator[FieldError]:
    if old is None:
        return
    for field in ("parameters", "provisioner", "reclaimPolicy", "volumeBindingMode"):
        if obj.get(field) != old.get(field):
            yield FieldError(field, INVALID, obj.get(field), "field is immutable")


def _role_binding(obj: Obj, old: Obj | None) -> Iterator[FieldError]:
    if old is not None and obj.get("roleRef") != old.get("roleRef"):
        yield FieldError("roleRef", INVALID, obj.get("roleRef"), "cannot change roleRef")
    for index, subject in enumerate(obj.get("subjects") or ()):
        cluster_wide = obj["kind"] == "ClusterRoleBinding"
        if cluster_wide and subject.get("kind") == "ServiceAccount" and not subject.get("namespace"):
            yield FieldError(f"subjects[{index}].namespace", REQUIRED, "")


def _node(obj: Obj, old: Obj | None) -> Iterator[FieldError]:
    seen = set()
    for index, taint in enumerate((obj.get("spec") or {}).get("taints") or ()):
        mark = (taint.get("key"), taint.get("effect"))
        if mark in seen:
            text = "taints must be unique by key and effect pair"
            yield FieldError(f"metadata.taints[{index}]", DUPLICATE, taint, text)
        seen.add(mark)


def _workload(obj: Obj, old: Obj | None) -> Iterator[FieldError]:
    spec = obj.get("spec") or {}
    if spec.get("replicas", 0) < 0:
        yield FieldError("spec.replicas", INVALID, spec["replicas"], "must be greater than or equal to 0")
    selector, template = spec.get("selector") or {}, spec.get("template") or {}
    labels = (template.get("metadata") or {}).get("labels") or {}
    wanted = selector.get("matchLabels") or {}
    if template and (not selector or any(labels.get(key) != value for key, value in wanted.items())):
        text = "`selector` does not match template `labels`"
        yield FieldError("spec.template.metadata.labels", INVALID, labels, text)
    yield from _pod_spec_errors(template.get("spec") or {}, "spec.template.spec")
    if old is not None and selector != old["spec"].get("selector"):
        yield FieldError("spec.selector", INVALID, selector, "field is immutable")


def _budget(obj: Obj, old: Obj | None) -> Iterator[FieldError]:
    spec = obj.get("spec") or {}
    if "minAvailable" in spec and "maxUnavailable" in spec:
        yield FieldError("spec", INVALID, spec, "minAvailable and maxUnavailable cannot be both set")


_CHECKS: dict[str, Callable[[Obj, Obj | None], Iterator[FieldError]]] = {
    "Pod": _pod,
    "PersistentVolumeClaim": _claim,
    **dict.fromkeys(("ConfigMap", "Secret"), _config),
    "Lease": _lease,
    "StorageClass": _storage_class,
    **dict.fromkeys(("RoleBinding", "ClusterRoleBinding"), _role_binding),
    "Node": _node,
    **dict.fromkeys(("DaemonSet", "Deployment", "ReplicaSet", "StatefulSet"), _workload),
    "PodDisruptionBudget": _budget,
}
