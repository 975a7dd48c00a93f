"""What pods use of a ResourceQuota. Pure.

Source: Kubernetes pkg/quota/v1/evaluator/core/pods.go, plugin/pkg/admission/resourcequota/controller.go.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from .pod_requests import amount_of
from .quantity import bytes_text, cpu_text

_COMPUTE = ("cpu", "memory", "ephemeral-storage")


def charges(requests: Mapping[str, int]) -> dict[str, int]:
    """What one pod with these requests counts for, by the names a quota may limit."""
    found = {"pods": 1, "count/pods": 1}
    for name, amount in requests.items():
        found[f"requests.{name}"] = amount
        if name in _COMPUTE:
            found[name] = amount
    return found


def used(hard: Mapping[str, str], requests: Iterable[Mapping[str, int]]) -> dict[str, int]:
    """What pods with these requests use of every limited name that is about pods."""
    total = dict.fromkeys((name for name in hard if _about_pods(name)), 0)
    for each in requests:
        for name, amount in charges(each).items():
            if name in total:
                total[name] += amount
    return total


def _about_pods(name: str) -> bool:
    return name in ("pods", "count/pods", *_COMPUTE) or (name.startswith("requests.") and name != "requests.storage")


def exceeded(name: str, hard: Mapping[str, str], in_use: Mapping[str, int], requests: Mapping[str, int]) -> str:
    """Why one more pod does not fit (the end of the message), or nothing; C(name) is the quota's."""
    wanted = charges(requests)
    over = sorted(
        each for each in in_use if wanted.get(each, 0) and in_use[each] + wanted[each] > amount_of(each, hard[each])
    )
    if not over:
        return ""
    requested = ",".join(f"{each}={amount_text(each, wanted[each])}" for each in over)
    using = ",".join(f"{each}={amount_text(each, in_use[each])}" for each in over)
    limited = ",".join(f"{each}={hard[each]}" for each in over)
    return f"exceeded quota: {name}, requested: {requested}, used: {using}, limited: {limited}"


def amount_text(name: str, amount: int) -> str:
    """An amount as a quantity of that resource."""
    if name.endswith("cpu"):
        return cpu_text(amount)
    return bytes_text(amount) if name.endswith(("memory", "storage")) else str(amount)
