"""metrics.k8s.io: what pods and nodes use, computed when it is asked for.

A pod uses what its annotation ``simcluster.ocpv.scale/usage`` says; a node what its running pods use, and a share of
its own. Real metrics servers answer with the values of the last window, 15 s old or more.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import orjson

from ..store import Entry
from .context import Call
from .discovery import METRICS
from .errors import method_not_allowed, not_found, page_not_found
from .selection import Selection, parse_selection

Obj = dict[str, Any]
USAGE_ANNOTATION = "simcluster.ocpv.scale/usage"
_SYSTEM_CPU_MILLICORES = 500
_SYSTEM_MEMORY_BYTES = 4 << 30
_IDLE_CPU_MILLICORES = 5
_IDLE_MEMORY_BYTES = 64 << 20
_WINDOW = "15s"


def answer(call: Call) -> Obj:
    """GET of nodes or pods, one or all; raises StatusError."""
    target = call.target
    if target.verb not in ("get", "list"):
        raise method_not_allowed()
    resource = call.cluster.registry.find("", target.plural)
    if target.plural not in ("nodes", "pods") or resource is None or target.subresource:
        raise page_not_found()
    selection = parse_selection(call.query, call.cluster.store.table(resource))
    make = _nodes if target.plural == "nodes" else _pods
    items = make(call, selection)
    if target.name:
        if not items:
            error = not_found(resource, target.name)
            error.body["message"] = f'{target.plural}.metrics.k8s.io "{target.name}" not found'
            error.body["details"]["group"] = METRICS[0]
            raise error
        return items[0]
    kind = "NodeMetricsList" if target.plural == "nodes" else "PodMetricsList"
    return {"kind": kind, "apiVersion": "/".join(METRICS), "metadata": {}, "items": items}


def _usage(entry: Entry) -> tuple[int, int]:
    """CPU (millicores) and memory (bytes) of a pod."""
    text = (entry.obj()["metadata"].get("annotations") or {}).get(USAGE_ANNOTATION)
    try:
        given = orjson.loads(text) if text else {}
    except orjson.JSONDecodeError:
        given = {}
    return (
        int(given.get("cpu_millicores", _IDLE_CPU_MILLICORES)),
        int(given.get("memory_bytes", _IDLE_MEMORY_BYTES)),
    )


def _quantities(cpu_millicores: int, memory_bytes: int) -> Obj:
    return {"cpu": f"{cpu_millicores}m", "memory": f"{memory_bytes // 1024}Ki"}


def _metrics(call: Call, kind: str, entry: Entry, **rest: Any) -> Obj:
    meta: Obj = {"name": entry.name, "creationTimestamp": call.cluster.now()}
    if entry.namespace:
        meta["namespace"] = entry.namespace
    if entry.labels:
        meta["labels"] = dict(entry.labels)
    return {
        "kind": kind,
        "apiVersion": "/".join(METRICS),
        "metadata": meta,
        "timestamp": call.cluster.now(),
        "window": _WINDOW,
        **rest,
    }


def _running(call: Call, namespace: str = "") -> list[Entry]:
    resource = call.cluster.registry.find("", "pods")
    if resource is None:
        return []
    entries = call.cluster.store.entries(resource, namespace)
    return [entry for entry in entries if entry.fields["status.phase"] == "Running"]


def _pods(call: Call, selection: Selection) -> list[Obj]:
    items = []
    for entry in _running(call, call.target.namespace):
        if (call.target.name and entry.name != call.target.name) or not selection.matches(entry):
            continue
        containers = [c["name"] for c in (entry.obj().get("spec") or {}).get("containers") or [{"name": "main"}]]
        idle = _quantities(0, 0)
        listed = [{"name": name, "usage": idle} for name in containers]
        listed[0] = {"name": containers[0], "usage": _quantities(*_usage(entry))}
        items.append(_metrics(call, "PodMetrics", entry, containers=listed))
    return items


def _nodes(call: Call, selection: Selection) -> list[Obj]:
    nodes = call.cluster.registry.find("", "nodes")
    assert nodes is not None
    used: dict[str, list[int]] = defaultdict(lambda: [_SYSTEM_CPU_MILLICORES, _SYSTEM_MEMORY_BYTES])
    for entry in _running(call):
        cpu_millicores, memory_bytes = _usage(entry)
        total = used[entry.fields["spec.nodeName"]]
        total[0] += cpu_millicores
        total[1] += memory_bytes
    items = []
    for entry in call.cluster.store.entries(nodes):
        if (call.target.name and entry.name != call.target.name) or not selection.matches(entry):
            continue
        cpu_millicores, memory_bytes = used[entry.name]
        items.append(_metrics(call, "NodeMetrics", entry, usage=_quantities(cpu_millicores, memory_bytes)))
    return items
