"""Which MigrationPolicy applies to an instance, and what it changes. Pure.

Source: KubeVirt pkg/virt-controller/watch/migration/migrationpolicy.go.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

Obj = dict[str, Any]
_FIELDS = (
    "allowAutoConverge",
    "allowPostCopy",
    "allowWorkloadDisruption",
    "bandwidthPerMigration",
    "completionTimeoutPerGiB",
    "maxDowntimeMs",
)


def matching_policy(
    policies: Iterable[Obj], instance_labels: Mapping[str, str], namespace_labels: Mapping[str, str]
) -> Obj | None:
    """The policy with most matching labels; then with most of the instance's; then the first by name."""
    best: tuple[int, int] | None = None
    found: Obj | None = None
    for policy in sorted(policies, key=lambda each: str(each["metadata"]["name"])):
        score = _score(policy, instance_labels, namespace_labels)
        if score is not None and (best is None or score > best):
            best, found = score, policy
    return found


def _score(
    policy: Obj, instance_labels: Mapping[str, str], namespace_labels: Mapping[str, str]
) -> tuple[int, int] | None:
    selectors = (policy.get("spec") or {}).get("selectors")
    if selectors is None:
        return None
    of_instance: dict[str, str] = selectors.get("virtualMachineInstanceSelector") or {}
    of_namespace: dict[str, str] = selectors.get("namespaceSelector") or {}
    if not of_instance.items() <= dict(instance_labels).items():
        return None
    # without labels on the instance the namespace is not looked at
    if not instance_labels:
        return (0, 0)
    if not of_namespace.items() <= dict(namespace_labels).items():
        return None
    return len(of_instance) + len(of_namespace), len(of_instance)


def applied(policy: Obj | None, configuration: Obj) -> Obj:
    """The migration configuration with the policy's values in it."""
    if policy is None:
        return configuration
    spec: Obj = policy.get("spec") or {}
    changed = {**configuration, **{name: spec[name] for name in _FIELDS if spec.get(name) is not None}}
    if spec.get("allowPostCopy") is not None and spec.get("allowWorkloadDisruption") is None:
        changed["allowWorkloadDisruption"] = spec["allowPostCopy"]
    return changed
