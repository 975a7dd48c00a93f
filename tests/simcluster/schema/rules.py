"""The CEL rules (``x-kubernetes-validations``) of the known CRDs, each written out in Python.

A rule is found by its text. A rule that is not here makes :func:`rule_for` fail, so that a schema with an unknown
rule can neither be built nor loaded. Messages come from the schema, not from here.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*\Z")
_QUALIFIED = re.compile(r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]\Z")
_IMAGE_NAME = re.compile(
    r"^(localhost|([a-zA-Z0-9-]+\.)+[a-zA-Z0-9-]+)(:[0-9]{2,5})?/([a-zA-Z0-9-_]{0,61}/)?[a-zA-Z0-9-_.]*?\Z"
)
_DIGEST = re.compile(r"sha256:[a-f0-9]{64}\Z")
_RELEASE_BUNDLE = re.compile(r"ocp-release-bundle-[0-9]+\.[0-9]+\.[0-9]+-[A-Za-z0-9._-]+\Z")
_FIELD_PATH = re.compile(r"[\da-zA-Z.\[\]]+\Z", re.ASCII)


@dataclass(frozen=True)
class Rule:
    """``holds(self)``, or for a rule about changes ``transition(self, oldSelf)``."""

    holds: Callable[[Any], bool]
    transition: Callable[[Any, Any], bool] | None = None


class UnknownRule(Exception):
    """A CEL rule that has no Python counterpart."""


def rule_for(text: str) -> Rule:
    """The check for a rule's CEL text, :class:`UnknownRule` when there is none."""
    if text in RULES:
        return RULES[text]
    if match := _EXCLUSIVE.fullmatch(text):
        first, second = match.groups()
        return Rule(lambda profiles: not (first in profiles and second in profiles))
    if match := _AT_LEAST.fullmatch(text):
        left, right = match.groups()
        return Rule(lambda counts: bool(counts[left] >= counts[right]))
    raise UnknownRule(f"no Python check for the CEL rule {text!r}: add one to simcluster.schema.rules")


_EXCLUSIVE = re.compile(r"!\(self\.exists\(p, p == '(\w+)'\) && self\.exists\(p, p == '(\w+)'\)\)")
_AT_LEAST = re.compile(r"self\.(\w+) >= self\.(\w+)")


def is_subdomain(text: str) -> bool:
    """RFC 1123 subdomain of at most 253 characters."""
    return len(text) <= 253 and _SUBDOMAIN.match(text) is not None


def is_qualified_name(text: str) -> bool:
    """A label key: a name of at most 63 characters, with a DNS subdomain and ``/`` in front or not."""
    prefix, slash, name = text.rpartition("/")
    return (not slash or is_subdomain(prefix)) and len(name) <= 63 and _QUALIFIED.match(name) is not None


def _both_or_neither(value: dict[str, Any]) -> bool:
    return ("rangeStart" in value) == ("rangeEnd" in value)


def _not_less(value: dict[str, Any], high: str, low: str) -> bool:
    return high not in value or low not in value or value[high] >= value[low]


RULES: dict[str, Rule] = {
    # CDI StorageProfile
    "self.all(am, am in ['ReadWriteOnce', 'ReadOnlyMany', 'ReadWriteMany', 'ReadWriteOncePod'])": Rule(
        lambda modes: all(m in {"ReadWriteOnce", "ReadOnlyMany", "ReadWriteMany", "ReadWriteOncePod"} for m in modes)
    ),
    # HyperConverged
    "self.all(x, self.exists_one(y, x.name.lowerAscii() == y.name.lowerAscii()))": Rule(
        lambda gates: len({g["name"].lower() for g in gates}) == len(gates)
    ),
    "(has(self.rangeStart) && has(self.rangeEnd)) || (!has(self.rangeStart) && !has(self.rangeEnd))": Rule(
        _both_or_neither
    ),
    "(self.size() <= 1) || !self.exists(r, (r == 'none'))": Rule(lambda names: len(names) <= 1 or "none" not in names),
    "!has(self.vmiCPUAllocationRatio) || self.vmiCPUAllocationRatio > 0": Rule(
        lambda value: "vmiCPUAllocationRatio" not in value or value["vmiCPUAllocationRatio"] > 0
    ),
    "(has(self.mediatedDeviceTypes) && size(self.mediatedDeviceTypes)>0) || "
    "(has(self.mediatedDevicesTypes) && size(self.mediatedDevicesTypes)>0)": Rule(
        lambda value: bool(value.get("mediatedDeviceTypes") or value.get("mediatedDevicesTypes"))
    ),
    # KubeVirt volumes
    "self.startsWith('/')": Rule(lambda path: path.startswith("/")),
    "!self.contains('..')": Rule(lambda path: ".." not in path),
    "self == true": Rule(lambda value: value is True),
    # MachineConfigNode, MachineConfigPool
    "self.metadata.name == self.spec.node.name": Rule(
        lambda value: value["metadata"].get("name") == value["spec"]["node"]["name"]
    ),
    "!format.dns1123Subdomain().validate(self).hasValue()": Rule(is_subdomain),
    "(self.split('@').size() == 2 && self.split('@')[1].matches('^sha256:[a-f0-9]{64}$'))": Rule(
        lambda image: image.count("@") == 1 and _DIGEST.match(image.split("@")[1]) is not None
    ),
    "(self.split('@')[0].matches('^(localhost|([a-zA-Z0-9-]+\\\\.)+[a-zA-Z0-9-]+)(:[0-9]{2,5})?/"
    "([a-zA-Z0-9-_]{0,61}/)?[a-zA-Z0-9-_.]*?$'))": Rule(
        lambda image: _IMAGE_NAME.match(image.split("@")[0]) is not None
    ),
    "self.matches('^ocp-release-bundle-[0-9]+\\\\.[0-9]+\\\\.[0-9]+-[A-Za-z0-9._-]+$')": Rule(
        lambda name: _RELEASE_BUNDLE.match(name) is not None
    ),
    "self.startsWith('spec.')": Rule(lambda path: path.startswith("spec.")),
    "self.matches('^[\\\\da-zA-Z\\\\.\\\\[\\\\]]+$')": Rule(lambda path: _FIELD_PATH.match(path) is not None),
    "has(self.desiredGeneration) && has(self.currentGeneration) ? "
    "self.desiredGeneration >= self.currentGeneration : true": Rule(
        lambda value: _not_less(value, "desiredGeneration", "currentGeneration")
    ),
    "has(self.lastFailedGeneration) && has(self.desiredGeneration) ? "
    "self.desiredGeneration >= self.lastFailedGeneration : true": Rule(
        lambda value: _not_less(value, "desiredGeneration", "lastFailedGeneration")
    ),
    "has(self.lastFailedGeneration) ? has(self.lastFailedGenerationError) : true": Rule(
        lambda value: "lastFailedGeneration" not in value or "lastFailedGenerationError" in value
    ),
    "self >= oldSelf": Rule(lambda value: True, lambda value, old: bool(value >= old)),
    "self >= oldSelf || (self == 0 && oldSelf > 0)": Rule(
        lambda value: True, lambda value, old: bool(value >= old or (value == 0 and old > 0))
    ),
    # NodeNetworkConfigurationPolicy
    "self.all(k, !format.qualifiedName().validate(k).hasValue())": Rule(
        lambda selector: all(is_qualified_name(key) for key in selector)
    ),
    # KubeDescheduler
    "self.metadata.name == 'cluster'": Rule(lambda value: value["metadata"].get("name") == "cluster"),
    "self.all(p, self.filter(x, x == p).size() == 1)": Rule(lambda values: len(set(values)) == len(values)),
}
