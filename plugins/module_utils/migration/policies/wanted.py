# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From the policies that a user asks for to MigrationPolicy objects, checked before anything is changed."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Iterable, Mapping

from ...cluster.model import Virtualization
from ...cluster.resources import MIGRATION_POLICIES
from ...errors import InvalidInput
from ...names import MANAGED_BY, MANAGER, WORKLOAD
from ...quantity import parse_bytes
from .. import hyperconverged as hco
from .named import NAMED, WITHOUT_POLICY
from .precedence import MAX_DOWNTIME_MS

# option -> field of spec
FIELDS: Mapping[str, str] = {
    "allow_auto_converge": hco.ALLOW_AUTO_CONVERGE,
    "allow_post_copy": hco.ALLOW_POST_COPY,
    "allow_workload_disruption": hco.ALLOW_WORKLOAD_DISRUPTION,
    "bandwidth_per_migration": hco.BANDWIDTH,
    "completion_timeout_seconds_per_gib": hco.COMPLETION_TIMEOUT_PER_GIB,
    "max_downtime_ms": MAX_DOWNTIME_MS,
}
# CRD of MigrationPolicy
_DOWNTIME_MS = (1, 2_000_000)
_INT64 = 2**63
# KubeVirt pkg/virt-api/webhooks/validating-webhook/admitters/migrationpolicy-admitter.go
DOWNTIME_GATES = ("MigrationStallDetection", "MigrationDowntimeTuning")

_NAME = re.compile(r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$")
_PREFIX = re.compile(r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")
_WORD = re.compile(r"^[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$")
_CRD_QUANTITY = re.compile(
    r"^(\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))(([KMGTPE]i)|[numkMGTPE]|([eE](\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))))?$"
)


@dataclass(frozen=True)
class Wanted:
    """A policy that is asked for. C(spec) holds the fields of MigrationPolicy but for the selectors."""

    name: str
    vmi_labels: Mapping[str, str] = field(default_factory=dict)
    namespace_labels: Mapping[str, str] = field(default_factory=dict)
    spec: Mapping[str, Any] = field(default_factory=dict)
    profile: str = ""

    @property
    def selectors(self) -> dict[str, dict[str, str]]:
        """What goes into spec.selectors; never empty, so that it is told apart from none."""
        chosen = {"virtualMachineInstanceSelector": self.vmi_labels, "namespaceSelector": self.namespace_labels}
        found = {key: dict(labels) for key, labels in chosen.items() if labels}
        return found or {"virtualMachineInstanceSelector": {}}

    def to_object(self) -> dict[str, Any]:
        """Return the object to create."""
        return {
            "apiVersion": MIGRATION_POLICIES.api_version,
            "kind": MIGRATION_POLICIES.kind,
            "metadata": {"name": self.name, "labels": {MANAGED_BY: MANAGER}},
            "spec": {"selectors": self.selectors, **self.spec},
        }


def wanted_policies(
    entries: Iterable[Mapping[str, Any]],
    *,
    workload_label: str = WORKLOAD,
    names_only: bool = False,
) -> list[Wanted]:
    """Return the policies that the option C(policies) asks for, in its order.

    C(workload_label) is what a named policy selects unless labels are given. C(names_only): they are to be absent, so
    only names matter. Raises InvalidInput naming the entry.
    """
    _check_key("workload_label", workload_label)
    found: list[Wanted] = []
    for index, entry in enumerate(entries):
        wanted = _wanted(f"policies[{index}]", entry, workload_label, names_only)
        if any(other.name == wanted.name for other in found):
            raise InvalidInput(f"policies[{index}].name", wanted.name, "another entry has that name already")
        found.append(wanted)
    return found


def check_gates(wanted: Iterable[Wanted], virtualization: Virtualization) -> None:
    """Raise InvalidInput for a value that KubeVirt takes only with a feature gate which is off."""
    if not virtualization.kubevirt_version or set(virtualization.feature_gates) & set(DOWNTIME_GATES):
        return
    for each in wanted:
        if MAX_DOWNTIME_MS in each.spec:
            allowed = f"it needs one of KubeVirt's feature gates {' and '.join(DOWNTIME_GATES)}, and both are off"
            raise InvalidInput(f"max_downtime_ms of policy {each.name}", each.spec[MAX_DOWNTIME_MS], allowed)


def _wanted(option: str, entry: Mapping[str, Any], workload_label: str, names_only: bool) -> Wanted:
    given = {key: value for key, value in entry.items() if value is not None}
    profile = given.get("profile", "")
    name = given.get("name") or (f"workload-{profile}" if profile else "")
    if not name:
        raise InvalidInput(f"{option}.name", name, "a name, or a profile to name it after, is needed")
    if not _NAME.match(name) or len(name) > 253:
        allowed = "lower-case letters, digits, dashes and dots are allowed, up to 253, as for any object"
        raise InvalidInput(f"{option}.name", name, allowed)
    if profile and profile not in NAMED:
        advice = WITHOUT_POLICY.get(profile, "")
        raise InvalidInput(f"{option}.profile", profile, f"named policies are {', '.join(NAMED)}", hint=advice)
    if names_only:
        return Wanted(name, profile=profile)
    vmi_labels = _labels(f"{option}.vmi_labels", given.get("vmi_labels") or {})
    namespace_labels = _labels(f"{option}.namespace_labels", given.get("namespace_labels") or {})
    if profile and not vmi_labels and not namespace_labels and not given.get("match_all"):
        vmi_labels = {workload_label: profile}
    _check_extent(option, vmi_labels or namespace_labels, bool(given.get("match_all")))
    spec = dict(NAMED[profile].spec) if profile else {}
    spec.update({FIELDS[key]: _value(f"{option}.{key}", key, given[key]) for key in FIELDS if key in given})
    if not spec:
        allowed = f"a policy without a value changes nothing: a profile, or one of {', '.join(FIELDS)}, is needed"
        raise InvalidInput(option, name, allowed)
    return Wanted(name, vmi_labels, namespace_labels, spec, profile)


def _check_extent(option: str, labels: Mapping[str, str], match_all: bool) -> None:
    if not labels and not match_all:
        allowed = "a policy without labels holds for every VM of the cluster"
        hint = "Give vmi_labels or namespace_labels, or say match_all: true if that is meant."
        raise InvalidInput(f"{option}.vmi_labels", {}, allowed, hint=hint)
    if labels and match_all:
        allowed = "it cannot be together with vmi_labels or namespace_labels"
        raise InvalidInput(f"{option}.match_all", True, allowed)


def _labels(option: str, labels: Mapping[str, Any]) -> dict[str, str]:
    checked = {}
    for key, value in labels.items():
        _check_key(option, key)
        if not isinstance(value, str):
            allowed = f"the value of {key} has to be text; put it in quotes"
            raise InvalidInput(option, value, allowed)
        if value and (not _WORD.match(value) or len(value) > 63):
            allowed = "values of labels have up to 63 letters, digits, dashes, dots and underscores"
            raise InvalidInput(f"{option}.{key}", value, f"no VM or namespace can have it; {allowed}")
        checked[str(key)] = value
    return checked


def _check_key(option: str, key: Any) -> None:
    prefix, slash, word = str(key).rpartition("/")
    good = _WORD.match(word) and len(word) <= 63
    if slash:
        good = good and _PREFIX.match(prefix) and len(prefix) <= 253
    if not good:
        raise InvalidInput(option, key, "keys of labels look like app or example.com/app")


def _value(option: str, key: str, value: Any) -> Any:
    """Return the value as the API takes it."""
    if key.startswith("allow_"):
        if not isinstance(value, bool):
            raise InvalidInput(option, value, "true or false is needed")
        return value
    if key == "bandwidth_per_migration":
        if parse_bytes(value, option) < 0:
            raise InvalidInput(option, value, "bytes per second, 0 or more, are needed; 0 means no limit")
        if not _CRD_QUANTITY.match(str(value)):
            raise InvalidInput(option, value, "the API takes a number with a suffix such as Mi, and no blanks")
        return str(value)
    low, high = _DOWNTIME_MS if key == "max_downtime_ms" else (0, _INT64 - 1)
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        what = f"a whole number from {low} to {high}" if high < _INT64 - 1 else f"a whole number from {low} up"
        raise InvalidInput(option, value, f"{what} is needed")
    return value
