"""Columns that ``kubectl get`` shows: printer columns of custom resources, and those of a few built-in kinds.

Sources: apiextensions-apiserver ``pkg/registry/customresource/tableconvertor``; kubernetes
``pkg/printers/internalversion/printers.go``.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ..schema.registry import Registry
from ..schema.resource import Resource

Obj = dict[str, Any]
Cell = str | int | float | bool | None
_SEGMENT = re.compile(
    r"""\.([\w/-]+(?:\\\.[\w/-]+)*)            # .key, with dots escaped
    |\['([^']+)'\]                           # ['key']
    |\[\?\(@\.([\w.]+)\s*==\s*['"]([^'"]*)['"]\)\]  # [?(@.key=="value")]
    |\[(\d+|\*)\]                            # [0], [*]""",
    re.VERBOSE,
)


@dataclass(frozen=True)
class Column:
    """A column's definition as the API shows it, and its value for an object."""

    definition: Obj
    value: Callable[[Obj, datetime], Cell]


def columns_of(registry: Registry, resource: Resource, version: str) -> list[Column]:
    """The columns of a kind; without any of its own, its name and age."""
    if resource.builtin:
        own = _BUILTIN.get((resource.group, resource.plural), ())
        return [_NAME, *own] if any(c.definition["name"] == "Age" for c in own) else [_NAME, *own, _CREATED]
    columns = [_printer_column(column) for column in registry.columns(resource, version)]
    return [_NAME, *columns] if columns else [_NAME, _AGE]


def row_of(columns: list[Column], obj: Obj, now: datetime) -> list[Cell]:
    """The cells of an object."""
    return [column.value(obj, now) for column in columns]


def age(timestamp: Any, now: datetime) -> str:
    """Time since a timestamp, as people read it (apimachinery ``pkg/util/duration/duration.go``)."""
    if not isinstance(timestamp, str):
        return "<unknown>"
    moment = datetime.fromisoformat(timestamp.replace("Z", "+00:00")).astimezone(UTC)
    seconds = int((now - moment).total_seconds())
    if seconds < 0:
        return "0s" if seconds > -2 else "<invalid>"
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86400
    if seconds < 120:
        return f"{seconds}s"
    if minutes < 10:
        return f"{minutes}m{seconds % 60}s" if seconds % 60 else f"{minutes}m"
    if hours < 3:
        return f"{minutes}m"
    if hours < 8:
        return f"{hours}h{minutes % 60}m" if minutes % 60 else f"{hours}h"
    if hours < 48:
        return f"{hours}h"
    if days < 8:
        return f"{days}d{hours % 24}h" if hours % 24 else f"{days}d"
    if days < 365 * 2:
        return f"{days}d"
    return f"{days // 365}y{days % 365}d" if days < 365 * 8 and days % 365 else f"{days // 365}y"


def find(obj: Any, path: str) -> list[Any]:
    """Values at a JSONPath of the kind that printer columns use."""
    values = [obj]
    position = 0
    while position < len(path):
        match = _SEGMENT.match(path, position)
        if match is None:
            return []
        position = match.end()
        key, quoted, condition, wanted, index = match.groups()
        if condition:
            values = [
                item for value in values if isinstance(value, list) for item in value if _at(item, condition) == wanted
            ]
        elif index == "*":
            values = _items(values)
        elif index:
            values = [value[int(index)] for value in values if isinstance(value, list) and len(value) > int(index)]
        else:
            name = quoted or key.replace("\\.", ".")
            values = [value[name] for value in values if isinstance(value, dict) and name in value]
    return values


def _items(values: list[Any]) -> list[Any]:
    return [item for value in values if isinstance(value, list) for item in value]


def _at(item: Any, path: str) -> Any:
    for key in path.split("."):
        item = item.get(key) if isinstance(item, dict) else None
    return item


def _definition(name: str, kind: str = "string", form: str = "", priority: int = 0, description: str = "") -> Obj:
    return {"name": name, "type": kind, "format": form, "description": description or name, "priority": priority}


def _printer_column(raw: Obj) -> Column:
    path, kind = raw["jsonPath"], raw.get("type", "string")

    def value(obj: Obj, now: datetime) -> Cell:
        found = find(obj, path)
        if not found or found[0] is None:
            return None
        first = found[0]
        if kind == "date":
            return age(first, now)
        if kind in ("integer", "number", "boolean") and isinstance(first, int | float):
            return first
        return first if isinstance(first, str) else str(first).lower() if isinstance(first, bool) else str(first)

    definition = _definition(
        raw["name"], kind, raw.get("format", ""), raw.get("priority", 0), raw.get("description", "")
    )
    return Column(definition, value)


def _plain(name: str, path: str, default: str = "", priority: int = 0) -> Column:
    def value(obj: Obj, now: datetime) -> Cell:
        found = find(obj, path)
        return str(found[0]) if found else default

    return Column(_definition(name, priority=priority), value)


def _count(name: str, path: str) -> Column:
    def value(obj: Obj, now: datetime) -> Cell:
        found = find(obj, path)
        return int(found[0]) if found else 0

    return Column(_definition(name), value)


def _computed(name: str, compute: Callable[[Obj], Cell], kind: str = "string", priority: int = 0) -> Column:
    return Column(_definition(name, kind, priority=priority), lambda obj, now: compute(obj))


def _node_status(obj: Obj) -> Cell:
    conditions = (obj.get("status") or {}).get("conditions") or []
    ready = next((c["status"] for c in conditions if c["type"] == "Ready"), "Unknown")
    text = {"True": "Ready", "False": "NotReady"}.get(ready, "Unknown" if not conditions else "NotReady")
    return f"{text},SchedulingDisabled" if (obj.get("spec") or {}).get("unschedulable") else text


def _node_roles(obj: Obj) -> Cell:
    prefix = "node-role.kubernetes.io/"
    labels = obj["metadata"].get("labels") or {}
    return ",".join(sorted(key.removeprefix(prefix) for key in labels if key.startswith(prefix))) or "<none>"


def _pod_ready(obj: Obj) -> Cell:
    statuses = (obj.get("status") or {}).get("containerStatuses") or []
    total = len((obj.get("spec") or {}).get("containers") or [])
    return f"{sum(bool(s.get('ready')) for s in statuses)}/{total}"


def _pod_status(obj: Obj) -> Cell:
    status = obj.get("status") or {}
    if obj["metadata"].get("deletionTimestamp"):
        return "Terminating"
    return str(status.get("reason") or status.get("phase", "Unknown"))


def _restarts(obj: Obj) -> Cell:
    statuses = (obj.get("status") or {}).get("containerStatuses") or []
    return str(sum(int(s.get("restartCount", 0)) for s in statuses))


def _readiness_gates(obj: Obj) -> Cell:
    gates = [gate["conditionType"] for gate in (obj.get("spec") or {}).get("readinessGates") or ()]
    conditions = (obj.get("status") or {}).get("conditions") or ()
    fulfilled = {each["type"] for each in conditions if each["status"] == "True"}
    return f"{sum(gate in fulfilled for gate in gates)}/{len(gates)}" if gates else "<none>"


def _ready_replicas(obj: Obj) -> Cell:
    ready = (obj.get("status") or {}).get("readyReplicas", 0)
    return f"{ready}/{(obj.get('spec') or {}).get('replicas', 0)}"


def _of_containers(obj: Obj, field: str) -> Cell:
    return ",".join(each.get(field, "") for each in obj["spec"]["template"]["spec"]["containers"])


def _match_labels(obj: Obj) -> Cell:
    labels = (obj["spec"].get("selector") or {}).get("matchLabels") or {}
    return ",".join(f"{key}={labels[key]}" for key in sorted(labels))


def _access_modes(obj: Obj) -> Cell:
    short = {"ReadWriteOnce": "RWO", "ReadOnlyMany": "ROX", "ReadWriteMany": "RWX", "ReadWriteOncePod": "RWOP"}
    modes = (obj.get("status") or {}).get("accessModes") or (obj.get("spec") or {}).get("accessModes") or []
    return ",".join(short.get(mode, mode) for mode in modes)


def _involved(obj: Obj) -> Cell:
    involved = obj.get("involvedObject") or {}
    return f"{involved.get('kind', '')}/{involved.get('name', '')}".lower()


_NAME = Column(
    _definition("Name", form="name", description="Name must be unique within a namespace."),
    lambda obj, now: str(obj["metadata"].get("name", "")),
)
_AGE = Column(_definition("Age", "date"), lambda obj, now: age(obj["metadata"].get("creationTimestamp"), now))
_CREATED = Column(_definition("Age"), lambda obj, now: age(obj["metadata"].get("creationTimestamp"), now))
_BUILTIN: dict[tuple[str, str], tuple[Column, ...]] = {
    ("", "nodes"): (
        _computed("Status", _node_status),
        _computed("Roles", _node_roles),
        _CREATED,
        _plain("Version", ".status.nodeInfo.kubeletVersion"),
    ),
    ("", "namespaces"): (_plain("Status", ".status.phase"),),
    ("", "pods"): (
        _computed("Ready", _pod_ready),
        _computed("Status", _pod_status),
        _computed("Restarts", _restarts),
        _CREATED,
        _plain("IP", ".status.podIP", "<none>", 1),
        _plain("Node", ".spec.nodeName", "<none>", 1),
        _plain("Nominated Node", ".status.nominatedNodeName", "<none>", 1),
        _computed("Readiness Gates", _readiness_gates, priority=1),
    ),
    ("", "configmaps"): (_computed("Data", lambda obj: len(obj.get("data") or {})),),
    ("", "secrets"): (_plain("Type", ".type"), _computed("Data", lambda obj: len(obj.get("data") or {}))),
    ("", "persistentvolumeclaims"): (
        _plain("Status", ".status.phase"),
        _plain("Volume", ".spec.volumeName"),
        _plain("Capacity", ".status.capacity.storage"),
        _computed("Access Modes", _access_modes),
        _plain("StorageClass", ".spec.storageClassName"),
    ),
    ("storage.k8s.io", "storageclasses"): (
        _plain("Provisioner", ".provisioner"),
        _plain("ReclaimPolicy", ".reclaimPolicy"),
        _plain("VolumeBindingMode", ".volumeBindingMode"),
    ),
    ("", "events"): (
        _plain("Type", ".type"),
        _plain("Reason", ".reason"),
        _computed("Object", _involved),
        _plain("Message", ".message"),
    ),
    ("coordination.k8s.io", "leases"): (_plain("Holder", ".spec.holderIdentity"),),
    ("apps", "daemonsets"): (
        _plain("Desired", ".status.desiredNumberScheduled", "0"),
        _plain("Current", ".status.currentNumberScheduled", "0"),
        _plain("Ready", ".status.numberReady", "0"),
        _plain("Up-to-date", ".status.updatedNumberScheduled", "0"),
        _plain("Available", ".status.numberAvailable", "0"),
    ),
    ("apps", "deployments"): (
        _computed("Ready", _ready_replicas),
        _count("Up-to-date", ".status.updatedReplicas"),
        _count("Available", ".status.availableReplicas"),
        _CREATED,
        _computed("Containers", lambda obj: _of_containers(obj, "name"), priority=1),
        _computed("Images", lambda obj: _of_containers(obj, "image"), priority=1),
        _computed("Selector", _match_labels, priority=1),
    ),
}
