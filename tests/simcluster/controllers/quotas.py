"""ResourceQuota: keeps count of what the pods of its namespace use (pkg/controller/resourcequota)."""

from __future__ import annotations

from typing import Any

from ..quota import amount_text, used
from .controller import Controller
from .informer import Informer, Key
from .pod import Pod

Obj = dict[str, Any]


class QuotaController(Controller):
    """Reconciles quotas; pods wake those of their namespace."""

    name = "resource-quota"
    component = "resourcequota-controller"
    workers = 1

    def register(self) -> None:
        self.caches.quotas.on_change(lambda key, _before, _after: self.queue.add(key))
        self.caches.pods.on_change(self._pod_changed)

    def _pod_changed(self, key: Key, before: Pod | None, after: Pod | None) -> None:
        if before is not None and after is not None and before.final == after.final:
            return
        for quota in self.caches.quotas.items:
            if quota[0] == key[0]:
                self.queue.add_after(quota, 0.2 * self.clock.scale)

    async def reconcile(self, key: Key) -> float | None:
        quotas: Informer[Any] = self.caches.quotas
        quota = quotas.obj(key)
        if quota is None:
            return None
        hard: dict[str, str] = (quota.get("spec") or {}).get("hard") or {}
        pods = [each for each in self.caches.pods.items.values() if each.namespace == key[0] and not each.final]
        total = {name: amount_text(name, amount) for name, amount in used(hard, (p.requests for p in pods)).items()}
        wanted = {"hard": hard, "used": total}
        if quota.get("status") != wanted:
            await self.patch(quotas, key, {"status": wanted}, "status")
        return None
