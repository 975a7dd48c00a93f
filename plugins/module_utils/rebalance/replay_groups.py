# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rules between pods as the replay of a plan checks them: pod by pod, without counters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Callable, Iterable, Mapping, Optional, Sequence

from ..cluster.model import Pod, VirtualMachine
from ..cluster.selectors import selector_matches
from .groups import affinity_parts, effective_selector, term_namespaces


@dataclass(frozen=True)
class Wanted:
    """A term made plain: which labels, in which namespaces (None: all), near by which topology key."""

    selector: Mapping[str, Any]
    namespaces: Optional[frozenset[str]]
    key: str

    def matches(self, namespace: str, labels: Mapping[str, str]) -> bool:
        return (self.namespaces is None or namespace in self.namespaces) and selector_matches(self.selector, labels)


@dataclass(frozen=True)
class Evenly:
    term: Wanted
    max_skew: int
    min_domains: int
    by_affinity: bool


class Party:
    """A VM or pod with its labels and rules."""

    __slots__ = ("namespace", "labels", "apart", "near", "spreads")

    def __init__(
        self,
        namespace: str,
        labels: Mapping[str, str],
        apart_terms: Iterable[Mapping[str, Any]],
        near_terms: Iterable[Mapping[str, Any]],
        spreads: Iterable[Mapping[str, Any]],
        spaces: Mapping[str, Mapping[str, str]],
    ) -> None:
        self.namespace = namespace
        self.labels = labels
        self.apart = tuple(_plain(term, namespace, labels, spaces) for term in apart_terms)
        self.near = tuple(_plain(term, namespace, labels, spaces) for term in near_terms)
        self.spreads = tuple(
            Evenly(
                _plain(item, namespace, labels, spaces),
                int(item.get("maxSkew") or 1),
                int(item.get("minDomains") or 1),
                item.get("nodeAffinityPolicy") != "Ignore",
            )
            for item in spreads
            if item.get("whenUnsatisfiable", "DoNotSchedule") == "DoNotSchedule"
        )

    @classmethod
    def of_vm(cls, vm: VirtualMachine, spaces: Mapping[str, Mapping[str, str]]) -> "Party":
        spec = vm.instance.spec if vm.instance else vm.spec
        own = vm.instance.labels if vm.instance else vm.template_labels
        uid = vm.instance.uid if vm.instance else ""
        added = {"kubevirt.io": "virt-launcher", "kubevirt.io/created-by": uid, "vm.kubevirt.io/name": vm.name}
        apart_terms, near_terms = affinity_parts(spec.affinity)
        return cls(vm.namespace, {**own, **added}, apart_terms, near_terms, spec.topology_spread, spaces)

    @classmethod
    def of_pod(cls, pod: Pod, spaces: Mapping[str, Mapping[str, str]]) -> "Party":
        return cls(pod.namespace, pod.labels, pod.anti_affinity, (), (), spaces)

    def is_matched_by(self, term: Any) -> bool:
        return bool(term.matches(self.namespace, self.labels))


Near = Callable[[str], Iterable[Party]]


def apart(party: Party, near: Near) -> str:
    """Return which of its own anti-affinity terms keeps the party away; empty if none does."""
    for term in party.apart:
        if any(other.is_matched_by(term) for other in near(term.key)):
            return f"a pod that the VM's anti-affinity ({term.key}) keeps away is there"
    return ""


def lonely(party: Party, near: Near, everywhere: Sequence[Party], labelled: Callable[[str], bool]) -> str:
    """Return which required affinity is not met; empty if all are. C(labelled) tells whether the target has a key."""
    for term in party.near:
        if labelled(term.key) and any(other.is_matched_by(term) for other in near(term.key)):
            continue
        first = party.is_matched_by(term) and not any(other.is_matched_by(term) for other in everywhere)
        if not (labelled(term.key) and first):
            return f"no pod that the VM's affinity ({term.key}) asks for is there"
    return ""


def uneven(
    party: Party,
    domain_of: Callable[[str], Optional[str]],
    count: Callable[[Wanted, str, bool], dict[str, int]],
) -> str:
    """Return which topology spread would be violated; empty if none is."""
    for rule in party.spreads:
        domain = domain_of(rule.term.key)
        if domain is None:
            return f"it lacks the label {rule.term.key} of the VM's topology spread"
        counts = count(rule.term, rule.term.key, rule.by_affinity)
        least = min(counts.values(), default=0) if len(counts) >= rule.min_domains else 0
        own = 1 if party.is_matched_by(rule.term) else 0
        if counts.get(domain, 0) + own - least > rule.max_skew:
            return f"the VM's topology spread ({rule.term.key}, at most {rule.max_skew} apart) would be violated"
    return ""


def _plain(
    term: Mapping[str, Any], namespace: str, labels: Mapping[str, str], spaces: Mapping[str, Mapping[str, str]]
) -> Wanted:
    return Wanted(
        effective_selector(term, labels), term_namespaces(namespace, term, spaces), str(term.get("topologyKey") or "")
    )
