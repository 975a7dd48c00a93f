# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What migration_policy and migration_policy_info return."""

from __future__ import annotations

from collections import Counter
from typing import Any, Iterable, Mapping, Optional, Sequence

from ...cluster.model import MigrationPolicy, Snapshot, VirtualMachine
from ...errors import InvalidInput
from ..in_flight import unfinished
from .cautions import change_cautions, in_flight_cautions, progress_cautions, timeout_cautions
from .differences import CHANGE, CREATE, KEEP, REMOVE, Change, Outcome
from .effects import Standing, effects, effects_document, explain, standings
from .named import NAMED
from .wanted import Wanted

Object = Mapping[str, Any]

# parts of a snapshot that the precedence, and what it means, follow from
PARTS = ("namespaces", "virtual_machines", "policies", "virtualization")

_STATUS = {CREATE: "created", CHANGE: "changed", REMOVE: "removed", KEEP: "unchanged"}


def parts_for(select: str) -> tuple[str, ...]:
    """Return the parts of a snapshot to read, those included that a JMESPath expression over VMs looks at."""
    parts: tuple[str, ...] = PARTS
    for word, needed in (("node_labels", "nodes"), ("volumes", "claims"), ("requests", "pods")):
        if word in select:
            parts += (needed,)
    return (*parts, "pods", "usage") if "usage" in select else parts


def check_known(snapshot: Snapshot, path: Optional[str]) -> None:
    """Raise InvalidInput if policies select by labels of namespaces that are not in the snapshot."""
    by_namespace = [policy.name for policy in snapshot.migration_policies if policy.namespace_labels]
    if by_namespace and "namespaces" not in snapshot.parts:
        allowed = f"its part namespaces is needed, since policies select by it: {', '.join(sorted(by_namespace))}"
        raise InvalidInput("snapshot", path or "the cluster", allowed)


def preview(
    snapshot: Snapshot,
    before: Sequence[MigrationPolicy],
    after: Sequence[MigrationPolicy],
    changes: Sequence[Change],
    wanted: Sequence[Wanted],
) -> dict[str, Any]:
    """Return what the changes mean: C(effects) on VMs, C(cautions), and each of the C(policies) that is looked at."""
    settings = snapshot.virtualization.settings
    found = effects(snapshot, before, after)
    standing = standings(found, after)
    migrating = [f"{item.namespace}/{item.vmi}" for item in unfinished(snapshot)]
    by_name = {each.name: each for each in wanted}
    return {
        "effects": effects_document(found, settings),
        "cautions": [
            *change_cautions(changes, wanted, standing, settings),
            *timeout_cautions(found, settings),
            *progress_cautions(found, settings),
            *in_flight_cautions(found, migrating),
        ],
        "policies": [_policy(change, standing.get(change.name), by_name.get(change.name)) for change in changes],
    }


def with_outcomes(document: Object, outcomes: Iterable[Outcome]) -> dict[str, Any]:
    """Return a preview in which each policy tells what came of it."""
    told = {outcome.change.name: outcome for outcome in outcomes}
    policies = []
    for policy in document["policies"]:
        outcome = told[policy["name"]]
        status = "failed" if outcome.error else _STATUS[outcome.change.action]
        policies.append({**policy, "status": status, "error": outcome.error, "hint": outcome.hint})
    return {**document, "policies": policies}


def _policy(change: Change, standing: Any, wanted: Any) -> dict[str, Any]:
    stands: Standing = standing or Standing(0, 0, {}, ())
    profile = wanted.profile if wanted is not None else ""
    return {
        "name": change.name,
        "profile": profile,
        "sources": dict(NAMED[profile].sources) if profile else {},
        "status": _STATUS[change.action],
        "purged": change.purged,
        "spec": {} if change.action == REMOVE else dict(change.after),
        "matches": stands.matches,
        "wins": stands.wins,
        "loses_to": dict(stands.loses_to),
        "error": "",
        "hint": "",
    }


def diff_of(changes: Iterable[Change]) -> dict[str, Any]:
    """Return the specs that differ, before and after, for Ansible's diff mode."""
    differing = [change for change in changes if change.action != KEEP]
    return {
        "before": {change.name: dict(change.before) for change in differing if change.action != CREATE},
        "after": {change.name: dict(change.after) for change in differing if change.action != REMOVE},
    }


def info(snapshot: Snapshot, machines: Iterable[VirtualMachine]) -> dict[str, Any]:
    """Return which policy each VM gets and why, counted too, and the policies of the cluster in the order of names."""
    settings = snapshot.virtualization.settings
    explained = [explain(snapshot, vm, settings) for vm in machines]
    counts = Counter(item["policy"] for item in explained)
    policies = sorted(snapshot.migration_policies, key=lambda policy: policy.name)
    return {
        "virtual_machines": explained,
        "counts": dict(sorted(counts.items())),
        "policies": [
            {
                "name": policy.name,
                "vmi_labels": policy.vmi_labels,
                "namespace_labels": policy.namespace_labels,
                "spec": dict(policy.spec),
                "virtual_machines": counts[policy.name],
            }
            for policy in policies
        ],
    }
