"""What the collection needs of an API server, tried on any cluster."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from typing import Any

import pytest
from ansible_collections.ocpv.scale.plugins.module_utils.ansible_support import connect
from ansible_collections.ocpv.scale.plugins.module_utils.cluster import resources
from ansible_collections.ocpv.scale.plugins.module_utils.cluster.gateway import Gateway
from ansible_collections.ocpv.scale.plugins.module_utils.errors import ApiError, Conflict, NotFound
from ansible_collections.ocpv.scale.plugins.module_utils.rebalance.record import RunRecord
from ansible_collections.ocpv.scale.plugins.module_utils.rebalance.run.lease import Lease, LeaseTaken
from ansible_collections.ocpv.scale.plugins.module_utils.rebalance.run.state import StateStore
from ansible_collections.ocpv.scale.plugins.modules import (
    cluster_snapshot,
    migration_preflight,
    rebalance_plan,
    vm_rwx_check,
)
from support.modules import run_module_main

from conformance.own_cluster import LABEL, NAMESPACE_VARIABLE

Obj = dict[str, Any]
CONFIG_MAPS = resources.CONFIG_MAPS
MANY = 7


@pytest.fixture(scope="session")
def connection() -> dict[str, str]:
    """Connection options of modules."""
    return {"kubeconfig": os.environ["KUBECONFIG"]}


@pytest.fixture(scope="session")
def gateway(connection: dict[str, str]) -> Gateway:
    return connect(**connection)


@pytest.fixture(scope="session")
def namespace(gateway: Gateway) -> Iterator[str]:
    """The namespace that was announced; it goes with all that is in it."""
    name = os.environ[NAMESPACE_VARIABLE]
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": {LABEL: "true"}}}
    made = gateway.create(resources.NAMESPACES, body)
    yield name
    gateway.delete(resources.NAMESPACES, name, uid=made["metadata"]["uid"])


def config_map(name: str, **data: str) -> Obj:
    labels = {"ocpv.scale/test": "pages" if name.startswith("page-") else "one"}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "labels": labels}, "data": data}


def test_stale_writes_are_refused(gateway: Gateway, namespace: str) -> None:
    made = gateway.create(CONFIG_MAPS, config_map("stale", a="1"), namespace=namespace)
    gateway.merge_patch(CONFIG_MAPS, "stale", {"data": {"a": "2"}}, namespace=namespace)
    old = {"metadata": {"resourceVersion": made["metadata"]["resourceVersion"]}, "data": {"a": "3"}}
    with pytest.raises(Conflict):
        gateway.merge_patch(CONFIG_MAPS, "stale", old, namespace=namespace)
    with pytest.raises(Conflict):
        gateway.delete(CONFIG_MAPS, "stale", namespace=namespace, uid="00000000-0000-0000-0000-000000000000")
    assert gateway.get(CONFIG_MAPS, "stale", namespace)["data"] == {"a": "2"}


def test_equal_writes_change_nothing(gateway: Gateway, namespace: str) -> None:
    made = gateway.create(CONFIG_MAPS, config_map("equal", a="1"), namespace=namespace)
    again = gateway.merge_patch(CONFIG_MAPS, "equal", {"data": {"a": "1"}}, namespace=namespace)
    assert again["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"]


def test_dry_runs_and_misspelt_fields_leave_nothing(gateway: Gateway, namespace: str) -> None:
    gateway.create(CONFIG_MAPS, config_map("dry"), namespace=namespace, dry_run=True)
    with pytest.raises(ApiError, match="unknown field"):
        gateway.create(CONFIG_MAPS, {**config_map("dry"), "dta": {}}, namespace=namespace)
    with pytest.raises(NotFound):
        gateway.get(CONFIG_MAPS, "dry", namespace)


def test_lists_come_in_pages_and_changes_by_watch(gateway: Gateway, namespace: str) -> None:
    for number in range(MANY):
        gateway.create(CONFIG_MAPS, config_map(f"page-{number}"), namespace=namespace)
    wanted = {"namespace": namespace, "label_selector": "ocpv.scale/test=pages"}
    listing = gateway.list(CONFIG_MAPS, page_size=2, **wanted)
    assert [item["metadata"]["name"] for item in listing.items] == [f"page-{number}" for number in range(MANY)]
    gateway.merge_patch(CONFIG_MAPS, "page-3", {"data": {"a": "1"}}, namespace=namespace)
    gateway.delete(CONFIG_MAPS, "page-5", namespace=namespace)
    events = gateway.watch(CONFIG_MAPS, resource_version=listing.resource_version, timeout_seconds=5, **wanted)
    seen = [(kind, item["metadata"]["name"]) for kind, item in events if kind != "BOOKMARK"]
    assert seen == [("MODIFIED", "page-3"), ("DELETED", "page-5")]


def test_one_holds_the_lease(gateway: Gateway, namespace: str) -> None:
    first = Lease(gateway, namespace, "first/here/1", 10)
    first.acquire(0)
    with pytest.raises(LeaseTaken, match="first"):
        Lease(gateway, namespace, "second/here/2", 10).acquire(1)
    first.renew()
    first.release()
    second = Lease(gateway, namespace, "second/here/2", 10)
    second.acquire(0)
    second.release()


def test_the_state_of_a_run_is_kept(gateway: Gateway, namespace: str) -> None:
    record = RunRecord("0123456789", "plan-test", "sha256:0", "cluster-1")
    store = StateStore(gateway, namespace, record.run_id, "first")
    store.create({"kind": "plan"}, record)
    record.status = "completed"
    store.save(record)
    found = StateStore(gateway, namespace, record.run_id, "second").load()
    assert found is not None
    assert (found.record.status, found.plan) == ("completed", {"kind": "plan"})


@pytest.mark.parametrize(
    ("module", "options"),
    [(cluster_snapshot, {}), (vm_rwx_check, {}), (migration_preflight, {"fail_on": []})],
    ids=["cluster_snapshot", "vm_rwx_check", "migration_preflight"],
)
def test_it_is_read_and_assessed(module: Any, options: Obj, connection: dict[str, str]) -> None:
    result = run_module_main(module.main, {**connection, **options})
    assert not result.get("failed"), result["msg"]
    assert not result["changed"]


def test_it_is_planned(connection: dict[str, str], namespace: str) -> None:
    began = time.monotonic()
    result = run_module_main(rebalance_plan.main, {**connection, "max_moves": 5})
    assert not result.get("failed"), result["msg"]
    assert result["summary"]["moves"] <= 5
    print(f"planned in {time.monotonic() - began:.1f} s")
