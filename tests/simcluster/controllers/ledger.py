"""What the scheduler knows of the cluster: nodes with what is taken on them, pods by label."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..pod_requests import amount_of
from ..selectors import matches
from .pod import Pod, Requests, Term

Obj = dict[str, Any]
Label = tuple[str, str]


@dataclass(slots=True)
class Node:
    """A node: what it offers, and what its pods hold of that."""

    name: str
    labels: Mapping[str, str] = field(default_factory=dict)
    taints: tuple[Obj, ...] = ()
    unschedulable: bool = False
    allocatable: Mapping[str, int] = field(default_factory=dict)
    known: bool = False  # False: pods name it, but it does not exist
    used: dict[str, int] = field(default_factory=dict)
    pods: int = 0


def node_facts(obj: Obj) -> tuple[Mapping[str, str], tuple[Obj, ...], bool, Mapping[str, int]]:
    """Labels, taints, whether cordoned, and allocatable of a node object."""
    spec: Obj = obj.get("spec") or {}
    allocatable = (obj.get("status") or {}).get("allocatable") or {}
    return (
        obj["metadata"].get("labels") or {},
        tuple(spec.get("taints") or []),
        bool(spec.get("unschedulable")),
        {name: amount_of(name, text) for name, text in allocatable.items()},
    )


class Ledger:
    """Kept by the scheduler from its caches; a pod it has just placed counts before the API says so."""

    def __init__(self) -> None:
        self.nodes: dict[str, Node] = {}
        self.namespace_labels: dict[str, Mapping[str, str]] = {}
        self._pods: dict[str, Pod] = {}
        self._by_label: dict[Label, set[str]] = defaultdict(set)
        self._anti: dict[Label | None, dict[str, Pod]] = defaultdict(dict)

    def set_node(self, obj: Obj) -> bool:
        """A node that appeared or changed; returns whether anything that matters is different."""
        node = self._node(obj["metadata"]["name"])
        before = (node.known, node.labels, node.taints, node.unschedulable, node.allocatable)
        node.labels, node.taints, node.unschedulable, node.allocatable = node_facts(obj)
        node.known = True
        return before != (True, node.labels, node.taints, node.unschedulable, node.allocatable)

    def remove_node(self, name: str) -> None:
        """A node that is gone; its pods may still be there."""
        self._node(name).known = False

    def offered(self) -> Iterator[Node]:
        """The nodes that exist."""
        return (node for node in self.nodes.values() if node.known)

    def put(self, pod: Pod) -> None:
        """A pod that holds room; replaces what was known of it."""
        self.remove(pod.uid)
        self._pods[pod.uid] = pod
        node = self._node(pod.node)
        node.pods += 1
        for name, amount in pod.requests.items():
            node.used[name] = node.used.get(name, 0) + amount
        for label in pod.labels.items():
            self._by_label[label].add(pod.uid)
        for term in pod.anti_affinity:
            self._anti[_first_label(term.selector)][pod.uid] = pod

    def remove(self, uid: str) -> None:
        """A pod that holds nothing any more."""
        pod = self._pods.pop(uid, None)
        if pod is None:
            return
        node = self._node(pod.node)
        node.pods -= 1
        for name, amount in pod.requests.items():
            node.used[name] -= amount
        for label in pod.labels.items():
            self._by_label[label].discard(uid)
        for term in pod.anti_affinity:
            self._anti[_first_label(term.selector)].pop(uid, None)

    def selected(self, selector: Obj | None, namespaces: frozenset[str], namespace_selector: Obj | None) -> list[Pod]:
        """Placed pods that a selector finds in those namespaces."""
        label = _first_label(selector)
        uids = self._pods.keys() if label is None else self._by_label.get(label, set())
        return [
            pod
            for pod in (self._pods[uid] for uid in uids)
            if self.in_namespaces(pod.namespace, namespaces, namespace_selector) and matches(selector, pod.labels)
        ]

    def refusing(self, pod: Pod) -> Iterator[tuple[Pod, Term]]:
        """Placed pods whose required anti-affinity means C(pod), with the term that does."""
        seen: set[str] = set()
        for label in (None, *pod.labels.items()):
            for uid, other in self._anti.get(label, {}).items():
                if uid in seen:
                    continue
                seen.add(uid)
                for term in other.anti_affinity:
                    if self.in_namespaces(pod.namespace, term.namespaces, term.namespace_selector) and matches(
                        term.selector, pod.labels
                    ):
                        yield other, term

    def in_namespaces(self, namespace: str, namespaces: frozenset[str], selector: Obj | None) -> bool:
        """Whether a term speaks of pods in C(namespace)."""
        if namespace in namespaces:
            return True
        return selector is not None and matches(selector, self.namespace_labels.get(namespace, {}))

    def fits(self, node: Node, requests: Requests) -> list[str]:
        """Reasons of NodeResourcesFit, empty if there is room (plugins/noderesources/fit.go)."""
        reasons = []
        if node.pods + 1 > node.allocatable.get("pods", 0):
            reasons.append("Too many pods")
        for name, amount in requests.items():
            if amount and amount > node.allocatable.get(name, 0) - node.used.get(name, 0):
                reasons.append(f"Insufficient {name}")
        return reasons

    def _node(self, name: str) -> Node:
        if name not in self.nodes:
            self.nodes[name] = Node(name)
        return self.nodes[name]


def _first_label(selector: Obj | None) -> Label | None:
    """A label that every selected pod has, to look the selector up by."""
    for label in ((selector or {}).get("matchLabels") or {}).items():
        return label
    return None
