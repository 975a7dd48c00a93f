# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How Kubernetes matches labels, node selectors and taints.

Arguments are the API's own structures (LabelSelector, NodeSelectorTerm, Toleration) as mappings. Source: apimachinery
pkg/labels/selector.go, component-helpers scheduling/corev1/nodeaffinity and scheduling/corev1/helpers.go.
"""

from __future__ import annotations

from typing import Any, Iterable, Mapping, Optional, Sequence

from .model import Node, Taint

# what the scheduler treats as a reason not to place a new pod; PreferNoSchedule only lowers the score
BINDING_EFFECTS = ("NoSchedule", "NoExecute")
# set by the node controller on cordoned nodes; told as a cordon, not as a taint
UNSCHEDULABLE_TAINT = "node.kubernetes.io/unschedulable"


def requirement_matches(labels: Mapping[str, str], requirement: Mapping[str, Any]) -> bool:
    """Tell whether labels meet one match expression (key, operator, values). Unknown operators never match."""
    key = requirement.get("key", "")
    operator = requirement.get("operator", "")
    values: Sequence[str] = requirement.get("values") or ()
    value = labels.get(key)
    if operator == "In":
        return value is not None and value in values
    if operator == "NotIn":
        return value is None or value not in values
    if operator == "Exists":
        return value is not None
    if operator == "DoesNotExist":
        return value is None
    if operator in ("Gt", "Lt"):
        try:
            left, right = int(value or ""), int(values[0])
        except (ValueError, IndexError):
            return False
        return left > right if operator == "Gt" else left < right
    return False


def selector_matches(selector: Optional[Mapping[str, Any]], labels: Mapping[str, str]) -> bool:
    """Tell whether labels match a LabelSelector: None matches nothing, the empty selector everything."""
    if selector is None:
        return False
    for key, value in (selector.get("matchLabels") or {}).items():
        if labels.get(key) != value:
            return False
    return all(requirement_matches(labels, item) for item in selector.get("matchExpressions") or ())


def labels_match(wanted: Mapping[str, str], labels: Mapping[str, str]) -> bool:
    """Tell whether labels hold every wanted key with its value (a pod's nodeSelector)."""
    return all(labels.get(key) == value for key, value in wanted.items())


def node_term_matches(term: Mapping[str, Any], node_name: str, labels: Mapping[str, str]) -> bool:
    """Tell whether a node meets one NodeSelectorTerm; a term without requirements matches nothing."""
    expressions = term.get("matchExpressions") or ()
    fields = term.get("matchFields") or ()
    if not expressions and not fields:
        return False
    return all(requirement_matches(labels, item) for item in expressions) and all(
        requirement_matches({"metadata.name": node_name}, item) for item in fields
    )


def node_terms_match(terms: Sequence[Mapping[str, Any]], node_name: str, labels: Mapping[str, str]) -> bool:
    """Tell whether a node meets at least one of the NodeSelectorTerms (they are alternatives)."""
    return any(node_term_matches(term, node_name, labels) for term in terms)


def required_node_terms(affinity: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """Return the NodeSelectorTerms that an Affinity requires, empty if it requires none."""
    node_affinity = affinity.get("nodeAffinity") or {}
    required = node_affinity.get("requiredDuringSchedulingIgnoredDuringExecution") or {}
    return required.get("nodeSelectorTerms") or ()


def required_pod_terms(affinity: Mapping[str, Any], kind: str) -> Sequence[Mapping[str, Any]]:
    """Return the required PodAffinityTerms of an Affinity; C(kind) is podAffinity or podAntiAffinity."""
    return (affinity.get(kind) or {}).get("requiredDuringSchedulingIgnoredDuringExecution") or ()


def tolerates(tolerations: Iterable[Mapping[str, Any]], taint: Taint) -> bool:
    """Tell whether one of the tolerations covers the taint (core/v1 Toleration.ToleratesTaint)."""
    for toleration in tolerations:
        if toleration.get("effect") and toleration["effect"] != taint.effect:
            continue
        key = toleration.get("key") or ""
        if key and key != taint.key:
            continue
        operator = toleration.get("operator") or "Equal"
        if operator == "Exists" or (operator == "Equal" and key and (toleration.get("value") or "") == taint.value):
            return True
    return False


def untolerated(node: Node, tolerations: Sequence[Mapping[str, Any]]) -> list[Taint]:
    """Return the node's taints that keep a new pod with these tolerations away; a cordon is not among them."""
    return [
        taint
        for taint in node.taints
        if taint.effect in BINDING_EFFECTS and taint.key != UNSCHEDULABLE_TAINT and not tolerates(tolerations, taint)
    ]
