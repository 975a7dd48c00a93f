"""Which nodes a pod may go to, which of them is best, and what the scheduler says when there is none.

Source of the checks, their order and texts: Kubernetes pkg/scheduler/framework/plugins (nodeunschedulable,
tainttoleration, nodeaffinity, noderesources, volumebinding, podtopologyspread, interpodaffinity) and
pkg/scheduler/framework/types.go, FitError.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from ..selectors import matches, term_matches
from .ledger import Ledger, Node
from .pod import Demand, Pod

Obj = dict[str, Any]
_UNSCHEDULABLE_TAINT = {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}
_SPREAD = "node(s) didn't match pod topology spread constraints"


class Refusal(Exception):
    """No node takes the pod; the text is what the condition PodScheduled says."""


@dataclass(frozen=True)
class ClaimState:
    """What the scheduler needs of a claim: the node selector terms of its volume (None: anywhere)."""

    node_terms: tuple[Obj, ...] | None = None


def choose(pod: Pod, ledger: Ledger, claims: Iterable[ClaimState] = ()) -> Node:
    """The node with most room left among those that every filter lets pass. Raises Refusal."""
    nodes = list(ledger.offered())
    checks = _checks(pod, ledger, list(claims), nodes)
    feasible: list[Node] = []
    reasons: Counter[str] = Counter()
    hopeless = 0
    for node in nodes:
        for check, resolvable in checks:
            found = check(node)
            if found:
                reasons.update(found)
                hopeless += not resolvable
                break
        else:
            feasible.append(node)
    if not feasible:
        raise Refusal(refusal_message(len(nodes), reasons, hopeless))
    return max(feasible, key=lambda node: (_score(pod, node), node.name))


def refusal_message(nodes: int, reasons: Counter[str], hopeless: int) -> str:
    """The text of FitError, with what preemption would add (there are no lower priorities here)."""
    start = f"0/{nodes} nodes are available"
    if not reasons:
        return f"{start}."
    text = ", ".join(sorted(f"{count} {reason}" for reason, count in reasons.items()))
    outlook = []
    if nodes - hopeless:
        outlook.append(f"{nodes - hopeless} No preemption victims found for incoming pod")
    if hopeless:
        outlook.append(f"{hopeless} Preemption is not helpful for scheduling")
    return f"{start}: {text}. preemption: {start}: {', '.join(sorted(outlook))}."


def _score(pod: Pod, node: Node) -> float:
    """Share of cpu and memory that stays free (noderesources, LeastAllocated)."""
    free = 0.0
    for name in ("cpu", "memory"):
        offered = node.allocatable.get(name, 0)
        if offered:
            free += (offered - node.used.get(name, 0) - pod.requests.get(name, 0)) / offered
    return free


Check = Callable[[Node], list[str]]


def _checks(pod: Pod, ledger: Ledger, claims: list[ClaimState], nodes: list[Node]) -> list[tuple[Check, bool]]:
    """The filters in the scheduler's order; the flag says whether removing other pods could help."""
    demand = pod.demand
    checks: list[tuple[Check, bool]] = [
        (lambda node: _cordon(demand, node), False),
        (lambda node: _taints(demand, node), False),
        (lambda node: [] if selected(demand, node) else ["node(s) didn't match Pod's node affinity/selector"], False),
        (lambda node: ledger.fits(node, pod.requests), True),
    ]
    bound = [claim.node_terms for claim in claims if claim.node_terms is not None]
    if bound:
        checks.append((lambda node: _volumes(bound, node), False))
    checks.extend((_spread_check(pod, each, ledger, nodes), True) for each in demand.spread)
    checks.extend(_pod_affinity_checks(pod, ledger))
    return checks


def _cordon(demand: Demand, node: Node) -> list[str]:
    if not node.unschedulable or tolerated(_UNSCHEDULABLE_TAINT, demand.tolerations):
        return []
    return ["node(s) were unschedulable"]


def _taints(demand: Demand, node: Node) -> list[str]:
    for taint in node.taints:
        if taint["effect"] in ("NoSchedule", "NoExecute") and not tolerated(taint, demand.tolerations):
            return [f"node(s) had untolerated taint {{{taint['key']}: {taint.get('value', '')}}}"]
    return []


def tolerated(taint: Obj, tolerations: Iterable[Obj]) -> bool:
    """Whether one of the tolerations covers the taint (core/v1 helper, ToleratesTaint)."""
    for each in tolerations:
        if each.get("effect") not in (None, "", taint["effect"]):
            continue
        if each.get("key") not in (None, "", taint["key"]):
            continue
        operator = each.get("operator") or "Equal"
        if operator == "Exists" or (each.get("key") and (each.get("value") or "") == (taint.get("value") or "")):
            return True
    return False


def selected(demand: Demand, node: Node) -> bool:
    """Whether node selector and required node affinity want the node."""
    if any(node.labels.get(key) != value for key, value in demand.node_selector.items()):
        return False
    return demand.node_terms is None or any(term_matches(term, node.labels, node.name) for term in demand.node_terms)


def _volumes(bound: list[tuple[Obj, ...]], node: Node) -> list[str]:
    if all(any(term_matches(term, node.labels, node.name) for term in terms) for terms in bound):
        return []
    return ["node(s) had volume node affinity conflict"]


def _spread_check(pod: Pod, constraint: Obj, ledger: Ledger, nodes: list[Node]) -> Check:
    """PodTopologySpread with the default policies: node affinity honoured, taints ignored."""
    topology = constraint["topologyKey"]
    selector = constraint.get("labelSelector")
    domains = {node.labels[topology]: 0 for node in nodes if topology in node.labels and selected(pod.demand, node)}
    for other in ledger.selected(selector, frozenset([pod.namespace]), None):
        domain = ledger.nodes[other.node].labels.get(topology)
        if domain in domains and not other.deleting:
            domains[domain] += 1
    fewest = min(domains.values(), default=0)
    if len(domains) < (constraint.get("minDomains") or 1):
        fewest = 0
    itself = int(matches(selector, pod.labels))

    def check(node: Node) -> list[str]:
        domain = node.labels.get(topology)
        if domain is None:
            return [f"{_SPREAD} (missing required label)"]
        return [] if domains.get(domain, 0) + itself - fewest <= constraint["maxSkew"] else [_SPREAD]

    return check


def _pod_affinity_checks(pod: Pod, ledger: Ledger) -> list[tuple[Check, bool]]:
    checks: list[tuple[Check, bool]] = []
    refused = {(term.topology_key, _domain(ledger, other, term.topology_key)) for other, term in ledger.refusing(pod)}
    wanted = _wanted(pod, ledger)
    if wanted:
        text = "node(s) didn't match pod affinity rules"
        missing = [(key, domains) for key, domains in wanted]
        checks.append((lambda node: [] if all(node.labels.get(k) in d for k, d in missing) else [text], False))
    avoided = {
        (term.topology_key, _domain(ledger, other, term.topology_key))
        for term in pod.anti_affinity
        for other in ledger.selected(term.selector, term.namespaces, term.namespace_selector)
    }
    if avoided:
        text_own = "node(s) didn't match pod anti-affinity rules"
        checks.append((lambda node: [text_own] if _inside(node, avoided) else [], True))
    if refused:
        text_others = "node(s) didn't satisfy existing pods anti-affinity rules"
        checks.append((lambda node: [text_others] if _inside(node, refused) else [], True))
    return checks


def _wanted(pod: Pod, ledger: Ledger) -> list[tuple[str, set[str | None]]]:
    """For each affinity term the domains that hold a pod it means; nothing for the first pod of a group."""
    found = []
    for term in pod.demand.affinity:
        others = ledger.selected(term.selector, term.namespaces, term.namespace_selector)
        found.append((term, {_domain(ledger, other, term.topology_key) for other in others} - {None}))
    alone = not any(domains for _term, domains in found) and all(
        ledger.in_namespaces(pod.namespace, term.namespaces, term.namespace_selector)
        and matches(term.selector, pod.labels)
        for term, _domains in found
    )
    if alone:
        return []
    return [(term.topology_key, set(domains)) for term, domains in found]


def _domain(ledger: Ledger, pod: Pod, topology: str) -> str | None:
    return ledger.nodes[pod.node].labels.get(topology)


def _inside(node: Node, domains: set[tuple[str, str | None]]) -> bool:
    return any(value is not None and node.labels.get(key) == value for key, value in domains)
