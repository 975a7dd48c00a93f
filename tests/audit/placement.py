"""The scheduler's hard rules, judged for a pod that has just been placed. Pure: everything is passed in.

Source: kubernetes pkg/scheduler/framework/plugins (nodeaffinity, tainttoleration, nodeunschedulable, interpodaffinity,
podtopologyspread).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from .facts import Node, Obj, Pod

_HOSTNAME = "kubernetes.io/hostname"
Broken = tuple[str, str]  # rule, message


def node_rules(pod: Pod, node: Node) -> list[Broken]:
    """Which of selector, node affinity, taints and cordon forbid C(pod) on C(node)."""
    broken: list[Broken] = []
    for key, value in pod.node_selector.items():
        if node.labels.get(key) != value:
            found = f"is {node.labels[key]!r}" if key in node.labels else "is absent"
            broken.append(("node_selector", f"nodeSelector wants {key}={value!r}, on the node it {found}"))
    if pod.node_affinity and not any(_term_matches(term, node) for term in pod.node_affinity):
        broken.append(("node_affinity", "no term of the required node affinity matches the node"))
    for key, value, effect in node.taints:
        if effect in ("NoSchedule", "NoExecute") and not any(
            _tolerates(toleration, key, value, effect) for toleration in pod.tolerations
        ):
            broken.append(("taint", f"taint {key}={value}:{effect} is not tolerated"))
    cordon = ("node.kubernetes.io/unschedulable", "", "NoSchedule")
    if node.unschedulable and cordon not in node.taints and not any(_tolerates(t, *cordon) for t in pod.tolerations):
        broken.append(("cordoned", "the node is unschedulable"))
    return broken


def pod_rules(pod: Pod, nodes: Mapping[str, Node], others: Iterable[Pod]) -> list[Broken]:
    """Which required (anti-)affinity, of C(pod) or of pods already there, and which spread is broken by where it is.

    C(others) are the pods that hold resources, in the same namespace or with terms of their own; C(pod) may be among
    them.
    """
    neighbours = [other for other in others if other.uid != pod.uid and other.node in nodes]
    broken: list[Broken] = []
    for term in pod.anti_affinity:
        for other in neighbours:
            if term_selects(term, pod, other) and _same_domain(term, pod, other, nodes):
                broken.append(("anti_affinity", f"{_name(other)} on {other.node} is in its way ({_text(term)})"))
    for other in neighbours:
        for term in other.anti_affinity:
            if term_selects(term, other, pod) and _same_domain(term, pod, other, nodes):
                broken.append(("anti_affinity", f"{_name(other)} on {other.node} refuses it ({_text(term)})"))
    for term in pod.affinity:
        wanted = [other for other in neighbours if term_selects(term, pod, other)]
        first_of_group = not wanted and term_selects(term, pod, pod)
        if not first_of_group and not any(_same_domain(term, pod, other, nodes) for other in wanted):
            broken.append(("pod_affinity", f"nothing that its affinity wants is in its domain ({_text(term)})"))
    for constraint in pod.spread:
        if message := _skew(constraint, pod, nodes, neighbours):
            broken.append(("topology_spread", message))
    return broken


def label_selector_matches(selector: Obj | None, labels: Mapping[str, str]) -> bool:
    """A metav1.LabelSelector; none selects nothing, an empty one everything."""
    if selector is None:
        return False
    if any(labels.get(key) != value for key, value in (selector.get("matchLabels") or {}).items()):
        return False
    return all(_expression_matches(expression, labels) for expression in selector.get("matchExpressions") or [])


def term_selects(term: Obj, owner: Pod, other: Pod) -> bool:
    """Whether C(term) of C(owner) speaks of C(other). Namespace selectors other than the empty one are not known."""
    if term.get("namespaceSelector") is None:
        in_scope = other.key[0] in (term.get("namespaces") or [owner.key[0]])
    else:
        in_scope = term["namespaceSelector"] == {} or other.key[0] in (term.get("namespaces") or [])
    return in_scope and label_selector_matches(term.get("labelSelector"), other.labels)


def _same_domain(term: Obj, pod: Pod, other: Pod, nodes: Mapping[str, Node]) -> bool:
    key = term.get("topologyKey", _HOSTNAME)
    if pod.node not in nodes:
        return False
    here, there = nodes[pod.node].labels.get(key), nodes[other.node].labels.get(key)
    return here is not None and here == there


def _skew(constraint: Obj, pod: Pod, nodes: Mapping[str, Node], neighbours: list[Pod]) -> str:
    """The broken spread constraint in words, or nothing. Nodes that the pod cannot select do not count."""
    key, selector = constraint["topologyKey"], constraint.get("labelSelector")
    domains = {
        node.labels[key]: 0
        for node in nodes.values()
        if key in node.labels
        and not any(rule in ("node_selector", "node_affinity") for rule, _ in node_rules(pod, node))
    }
    domains.setdefault(nodes[pod.node].labels.get(key, ""), 0)
    for other in neighbours:
        domain = nodes[other.node].labels.get(key, "")
        same_namespace = other.key[0] == pod.key[0]
        if (
            domain in domains
            and same_namespace
            and not other.deleting
            and label_selector_matches(selector, other.labels)
        ):
            domains[domain] += 1
    here = nodes[pod.node].labels.get(key, "")
    skew = domains[here] + label_selector_matches(selector, pod.labels) - min(domains.values())
    if skew <= int(constraint["maxSkew"]):
        return ""
    return f"skew {skew} over {key} is more than {constraint['maxSkew']}: {dict(sorted(domains.items()))} before it"


def _term_matches(term: Obj, node: Node) -> bool:
    expressions, fields = term.get("matchExpressions") or [], term.get("matchFields") or []
    if not expressions and not fields:
        return False
    name = {"metadata.name": node.name}
    return all(_expression_matches(e, node.labels) for e in expressions) and all(
        _expression_matches(e, name) for e in fields
    )


def _expression_matches(expression: Obj, labels: Mapping[str, str]) -> bool:
    key, operator, values = expression["key"], expression["operator"], expression.get("values") or []
    found: Any = labels.get(key)
    if operator == "Exists":
        return key in labels
    if operator == "DoesNotExist":
        return key not in labels
    if operator == "In":
        return found in values
    if operator == "NotIn":
        return found not in values
    if operator in ("Gt", "Lt"):
        try:
            return int(found) > int(values[0]) if operator == "Gt" else int(found) < int(values[0])
        except (TypeError, ValueError):
            return False
    return False


def _tolerates(toleration: Obj, key: str, value: str, effect: str) -> bool:
    if toleration.get("effect") not in (None, "", effect):
        return False
    if toleration.get("operator") == "Exists":
        return toleration.get("key") in (None, "", key)
    return toleration.get("key") == key and toleration.get("value", "") == value


def _name(pod: Pod) -> str:
    return "/".join(pod.key)


def _text(term: Obj) -> str:
    labels = ",".join(
        f"{key}={value}" for key, value in ((term.get("labelSelector") or {}).get("matchLabels") or {}).items()
    )
    return f"{labels or term.get('labelSelector')} over {term.get('topologyKey', _HOSTNAME)}"
