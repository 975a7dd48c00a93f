"""Label selectors of objects (metav1.LabelSelector), and node selector terms."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def matches(selector: Mapping[str, Any] | None, labels: Mapping[str, str]) -> bool:
    """Whether C(labels) satisfy a LabelSelector; an absent one matches nothing, an empty one everything."""
    if selector is None:
        return False
    if any(labels.get(key) != value for key, value in (selector.get("matchLabels") or {}).items()):
        return False
    return all(fulfils(requirement, labels) for requirement in selector.get("matchExpressions") or [])


def fulfils(requirement: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    """Whether C(labels) satisfy one matchExpressions entry, Gt and Lt of node selectors included."""
    value = labels.get(requirement["key"])
    wanted = requirement.get("values") or []
    match requirement["operator"]:
        case "In":
            return value in wanted
        case "NotIn":
            return value not in wanted
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
        case "Gt" | "Lt" as operator:
            return _compares(value, wanted, operator)
    return False


def _compares(value: str | None, wanted: list[str], operator: str) -> bool:
    try:
        left, right = int(value or ""), int(wanted[0])
    except (ValueError, IndexError):
        return False
    return left > right if operator == "Gt" else left < right


def term_matches(term: Mapping[str, Any], labels: Mapping[str, str], name: str) -> bool:
    """Whether a node (its labels and name) satisfies one NodeSelectorTerm; an empty term matches nothing."""
    expressions, fields = term.get("matchExpressions") or [], term.get("matchFields") or []
    if not expressions and not fields:
        return False
    return all(fulfils(each, labels) for each in expressions) and all(
        fulfils(each, {"metadata.name": name}) for each in fields
    )
