# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rules between pods: required affinity and anti-affinity (in both directions) and topology spread.

Source: kube-scheduler pkg/scheduler/framework/plugins/interpodaffinity/filtering.go and podtopologyspread/filtering.go.
Beyond what the scheduler asks, a move may not break the required affinity of a VM that stays behind, nor widen the skew
of a spread constraint once the source pod is gone.
"""

from __future__ import annotations

import json
from typing import Any, Callable, Iterable, Mapping, Optional, Sequence

from ..cluster.selectors import required_pod_terms, selector_matches
from .rules import Refusal

Labels = Mapping[str, str]


class Term:
    """One (selector, namespaces, topology key), shared by all pods that state it, with counts per node.

    C(matching) counts pods that the selector matches, C(holders) pods that keep matching pods away (anti-affinity),
    C(dependents) VMs that need a matching pod near (affinity).
    """

    __slots__ = ("topology_key", "namespaces", "selector", "matching", "holders", "dependents", "text")

    def __init__(self, topology_key: str, namespaces: Optional[frozenset[str]], selector: Mapping[str, Any]) -> None:
        self.topology_key = topology_key
        self.namespaces = namespaces
        self.selector = selector
        self.matching: dict[str, int] = {}
        self.holders: dict[str, int] = {}
        self.dependents: dict[str, int] = {}
        self.text = _selector_text(selector)

    def matches(self, namespace: str, labels: Labels) -> bool:
        return (self.namespaces is None or namespace in self.namespaces) and selector_matches(self.selector, labels)


class Spread:
    """A topology spread constraint with whenUnsatisfiable DoNotSchedule."""

    __slots__ = ("term", "max_skew", "min_domains", "by_affinity")

    def __init__(self, term: Term, max_skew: int, min_domains: int, by_affinity: bool) -> None:
        self.term = term
        self.max_skew = max_skew
        self.min_domains = min_domains
        self.by_affinity = by_affinity


class Member:
    """A pod's, or a VM's, part in the rules."""

    __slots__ = ("namespace", "labels", "matched", "anti", "near", "spreads")

    def __init__(self, namespace: str, labels: Labels) -> None:
        self.namespace = namespace
        self.labels = labels
        self.matched: tuple[Term, ...] = ()
        self.anti: tuple[Term, ...] = ()
        self.near: tuple[Term, ...] = ()
        self.spreads: tuple[Spread, ...] = ()


class Groups:
    """Counts which pods are where, as far as any rule asks for it. C(domain_of) gives a node's value of a topology key
    (None if the node lacks it), C(node_names) all nodes."""

    def __init__(
        self,
        namespace_labels: Mapping[str, Labels],
        domain_of: Callable[[str, str], Optional[str]],
        node_names: Callable[[], Iterable[str]],
    ) -> None:
        self._namespaces = namespace_labels
        self._domain_of = domain_of
        self._node_names = node_names
        self._terms: dict[tuple[str, Optional[frozenset[str]], str], Term] = {}
        # terms by a label that a matching pod must have; those without one must be tried on every pod
        self._by_label: dict[tuple[str, str], list[Term]] = {}
        self._general: list[Term] = []
        # by identity, so that a term that comes later can be counted on who is here already
        self._present: dict[tuple[int, str], Member] = {}

    def member(
        self,
        namespace: str,
        labels: Labels,
        anti_terms: Sequence[Mapping[str, Any]] = (),
        near_terms: Sequence[Mapping[str, Any]] = (),
        spreads: Sequence[Mapping[str, Any]] = (),
    ) -> Member:
        """Return a member with these labels and rules (the API's PodAffinityTerms and TopologySpreadConstraints)."""
        made = Member(namespace, labels)
        made.anti = tuple(self._intern(namespace, term, labels) for term in anti_terms)
        made.near = tuple(self._intern(namespace, term, labels) for term in near_terms)
        made.spreads = tuple(
            Spread(
                self._intern(namespace, constraint, labels),
                int(constraint.get("maxSkew") or 1),
                int(constraint.get("minDomains") or 1),
                constraint.get("nodeAffinityPolicy") != "Ignore",
            )
            for constraint in spreads
            if (constraint.get("whenUnsatisfiable") or "DoNotSchedule") == "DoNotSchedule"
        )
        made.matched = self._matched(namespace, labels)
        return made

    def add(self, member: Member, node: str) -> None:
        """Count the member on the node."""
        self._count(member, node, 1)
        self._present[(id(member), node)] = member

    def remove(self, member: Member, node: str) -> None:
        """Count the member on the node no longer."""
        self._count(member, node, -1)
        self._present.pop((id(member), node), None)

    def _count(self, member: Member, node: str, step: int) -> None:
        for term in member.matched:
            _step(term.matching, node, step)
        for term in member.anti:
            _step(term.holders, node, step)
        for term in member.near:
            _step(term.dependents, node, step)

    def refusals(
        self, member: Member, target: str, held: Sequence[str], cold: bool, wanted: Callable[[str], bool]
    ) -> list[Refusal]:
        """Return what keeps the member from the target.

        C(held) are the nodes that hold the member now: its own pods there count for a live move, as they do for the
        scheduler, not for a cold one, which stops them first. C(wanted) tells whether the VM's selectors accept a node.
        """
        found: list[Refusal] = []
        own = [node for node in held if cold or node == target]
        for term in member.anti:
            count = self._in_domain(term.matching, term, target) - self._own(term, member, target, own)
            if count > 0:
                found.append(self._apart("must not run beside", term, target))
        for term in member.matched:
            if term.holders and not (found and term in member.anti):
                count = self._in_domain(term.holders, term, target)
                if term in member.anti:
                    count -= sum(1 for node in own if self._same_domain(term, node, target))
                if count > 0:
                    found.append(self._apart("is kept away by", term, target))
            if term.dependents:
                found.extend(self._left_behind(term, member, target, held))
        for term in member.near:
            found.extend(self._lonely(term, member, target, own))
        for spread in member.spreads:
            found.extend(self._uneven(spread, member, target, held, cold, wanted))
        return found

    def _own(self, term: Term, member: Member, target: str, own: Sequence[str]) -> int:
        if term not in member.matched:
            return 0
        return sum(1 for node in own if self._same_domain(term, node, target))

    def _apart(self, words: str, term: Term, target: str) -> Refusal:
        return Refusal("anti_affinity", f"anti-affinity: on {target} the VM {words} pods with {term.text}")

    def _lonely(self, term: Term, member: Member, target: str, own: Sequence[str]) -> list[Refusal]:
        if self._domain_of(target, term.topology_key) is None:
            return [Refusal("affinity", f"affinity: {target} has no label {term.topology_key}")]
        if self._in_domain(term.matching, term, target) - self._own(term, member, target, own) > 0:
            return []
        # the first of a group may go anywhere
        others = sum(term.matching.values()) - (len(own) if term in member.matched else 0)
        if others <= 0 and term in member.matched:
            return []
        return [Refusal("affinity", f"affinity: no pod with {term.text} runs near {target}")]

    def _left_behind(self, term: Term, member: Member, target: str, held: Sequence[str]) -> list[Refusal]:
        for source in held:
            if source == target or self._same_domain(term, source, target):
                continue
            staying = self._in_domain(term.dependents, term, source) - (1 if term in member.near else 0)
            if staying > 0 and self._in_domain(term.matching, term, source) <= 1:
                return [
                    Refusal("affinity", f"affinity: VMs near {source} need a pod with {term.text} and would lose it")
                ]
        return []

    def _uneven(
        self,
        spread: Spread,
        member: Member,
        target: str,
        held: Sequence[str],
        cold: bool,
        wanted: Callable[[str], bool],
    ) -> list[Refusal]:
        term = spread.term
        domain = self._domain_of(target, term.topology_key)
        if domain is None:
            return [Refusal("topology_spread", f"topology spread: {target} has no label {term.topology_key}")]
        counts: dict[str, int] = {}
        for node in self._node_names():
            value = self._domain_of(node, term.topology_key)
            if value is not None and (not spread.by_affinity or wanted(node)):
                counts[value] = counts.get(value, 0) + term.matching.get(node, 0)
        counts.setdefault(domain, 0)
        matches = 1 if term in member.matched else 0
        before = dict(counts)
        after = dict(counts)
        for node in held:
            value = self._domain_of(node, term.topology_key)
            if value in after and matches:
                after[value] -= 1
                if cold or node == target:
                    before[value] -= 1
        skew = before[domain] + matches - _least(before, spread.min_domains)
        after[domain] += matches
        widened = _skew(after, spread.min_domains) > max(spread.max_skew, _skew(counts, spread.min_domains))
        if skew > spread.max_skew or widened:
            return [
                Refusal(
                    "topology_spread",
                    f"topology spread: {target} would hold more than {spread.max_skew} above the least filled "
                    f"{term.topology_key} of pods with {term.text}",
                )
            ]
        return []

    def _in_domain(self, counts: Mapping[str, int], term: Term, target: str) -> int:
        if not counts:
            return 0
        key = term.topology_key
        if key == "kubernetes.io/hostname":
            return counts.get(target, 0)
        domain = self._domain_of(target, key)
        if domain is None:
            return 0
        return sum(count for node, count in counts.items() if self._domain_of(node, key) == domain)

    def _same_domain(self, term: Term, one: str, other: str) -> bool:
        if one == other:
            return True
        domain = self._domain_of(one, term.topology_key)
        return domain is not None and domain == self._domain_of(other, term.topology_key)

    def _intern(self, namespace: str, term: Mapping[str, Any], labels: Labels) -> Term:
        selector = effective_selector(term, labels)
        namespaces = term_namespaces(namespace, term, self._namespaces)
        key = (str(term.get("topologyKey") or ""), namespaces, json.dumps(selector, sort_keys=True, default=dict))
        known = self._terms.get(key)
        if known is None:
            known = self._terms[key] = Term(key[0], namespaces, selector)
            pair = _required_pair(selector)
            (self._by_label.setdefault(pair, []) if pair else self._general).append(known)
            for (_identity, node), member in self._present.items():
                if known.matches(member.namespace, member.labels):
                    _step(known.matching, node, 1)
            for member in {id(member): member for member in self._present.values()}.values():
                if known.matches(member.namespace, member.labels):
                    member.matched += (known,)
        return known

    def _matched(self, namespace: str, labels: Labels) -> tuple[Term, ...]:
        found = [term for term in self._general if term.matches(namespace, labels)]
        if self._by_label:
            for pair in labels.items():
                for term in self._by_label.get(pair, ()):
                    if term.matches(namespace, labels):
                        found.append(term)
        return tuple(found)


def affinity_parts(
    affinity: Mapping[str, Any],
) -> tuple[Sequence[Mapping[str, Any]], Sequence[Mapping[str, Any]]]:
    """Return the required (anti-affinity terms, affinity terms) of an Affinity."""
    return required_pod_terms(affinity, "podAntiAffinity"), required_pod_terms(affinity, "podAffinity")


def term_namespaces(
    namespace: str, term: Mapping[str, Any], namespace_labels: Mapping[str, Labels]
) -> Optional[frozenset[str]]:
    """Return the namespaces a term of a pod in C(namespace) looks at; None means all. A topology spread constraint has
    neither field: its own namespace."""
    names = frozenset(term.get("namespaces") or ())
    selector = term.get("namespaceSelector")
    if selector is None:
        return names or frozenset((namespace,))
    if not selector:
        return None
    return names | frozenset(name for name, labels in namespace_labels.items() if selector_matches(selector, labels))


def effective_selector(term: Mapping[str, Any], labels: Labels) -> Mapping[str, Any]:
    """The labelSelector with matchLabelKeys and mismatchLabelKeys merged in, as the API server does for pods."""
    selector: Optional[Mapping[str, Any]] = term.get("labelSelector")
    if selector is None:
        return {"matchExpressions": [{"key": "", "operator": "None"}]}
    extra = [
        {"key": key, "operator": operator, "values": [labels[key]]}
        for field, operator in (("matchLabelKeys", "In"), ("mismatchLabelKeys", "NotIn"))
        for key in term.get(field) or ()
        if key in labels
    ]
    if not extra:
        return selector
    return {**selector, "matchExpressions": [*(selector.get("matchExpressions") or ()), *extra]}


def _required_pair(selector: Mapping[str, Any]) -> Optional[tuple[str, str]]:
    for pair in (selector.get("matchLabels") or {}).items():
        return pair
    for item in selector.get("matchExpressions") or ():
        values: Sequence[str] = item.get("values") or ()
        if item.get("operator") == "In" and len(values) == 1:
            return (item["key"], values[0])
    return None


def _selector_text(selector: Mapping[str, Any]) -> str:
    parts = [f"{key}={value}" for key, value in (selector.get("matchLabels") or {}).items()]
    for item in selector.get("matchExpressions") or ():
        values = ",".join(item.get("values") or ())
        parts.append(f"{item.get('key')} {item.get('operator')} {values}".strip())
    return ", ".join(parts) or "any label"


def _step(counts: dict[str, int], node: str, step: int) -> None:
    count = counts.get(node, 0) + step
    if count:
        counts[node] = count
    else:
        counts.pop(node, None)


def _least(counts: Mapping[str, int], min_domains: int) -> int:
    return 0 if len(counts) < min_domains else min(counts.values())


def _skew(counts: Mapping[str, int], min_domains: int) -> int:
    return max(counts.values()) - _least(counts, min_domains) if counts else 0
