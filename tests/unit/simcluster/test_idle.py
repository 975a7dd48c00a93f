"""A cluster in which nothing happens writes nothing."""

from __future__ import annotations

import time
from typing import Any

from simcluster.testing import SimCluster
from support.waiting import eventually

Obj = dict[str, Any]
KUBEVIRT = "/apis/kubevirt.io/v1/namespaces/shop"
SUBRESOURCES = "/apis/subresources.kubevirt.io/v1/namespaces/shop/virtualmachines"


def test_only_heartbeats_are_written_once_all_is_done() -> None:
    with SimCluster("small", time_scale=40, tls=False) as cluster:
        api = cluster.client()
        assert api.put(f"{SUBRESOURCES}/app-01/migrate", {}).status == 202
        assert api.put(f"{SUBRESOURCES}/app-02/restart", {}).status == 202
        eventually(
            lambda: [
                (each.get("status") or {}).get("phase")
                for each in api.items(f"{KUBEVIRT}/virtualmachineinstancemigrations")
            ],
            lambda phases: phases == ["Succeeded"],
        )

        def writes() -> Obj:
            cluster.forget_requests()
            time.sleep(1.0)
            return {
                f"{user}: {what}": count
                for user, counted in cluster.stats()["users"].items()
                for what, count in counted["requests"].items()
                if not what.startswith(("list ", "watch ", "get ", "GET ", "DELETE /simcluster"))
                and what not in ("patch nodes", "patch nodes/status")
            }

        eventually(writes, lambda found: not found, 30.0)
        assert not writes()
