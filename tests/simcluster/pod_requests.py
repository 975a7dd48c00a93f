"""What a pod requests in all, as scheduler and quota count it.

Source: k8s.io/component-helpers resource/helpers.go, PodRequests.
"""

from __future__ import annotations

from typing import Any

from .quantity import millicores, whole

Obj = dict[str, Any]


def amount_of(resource: str, text: str | int | float) -> int:
    """A quantity of that resource: millicores of cpu, else bytes or a number."""
    return millicores(text) if resource.endswith("cpu") else whole(text)


def pod_requests(spec: Obj) -> dict[str, int]:
    """Requests of the whole pod: its containers together, or its largest init container, and its overhead."""
    total: dict[str, int] = {}
    for container in spec.get("containers") or []:
        for name, amount in _container_requests(container).items():
            total[name] = total.get(name, 0) + amount
    for container in spec.get("initContainers") or []:
        for name, amount in _container_requests(container).items():
            total[name] = max(total.get(name, 0), amount)
    for name, text in (spec.get("overhead") or {}).items():
        total[name] = total.get(name, 0) + amount_of(name, text)
    return total


def _container_requests(container: Obj) -> dict[str, int]:
    resources: Obj = container.get("resources") or {}
    asked = {**(resources.get("limits") or {}), **(resources.get("requests") or {})}
    return {name: amount_of(name, text) for name, text in asked.items()}
