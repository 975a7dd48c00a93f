"""vm_rwx_check at 3,000 VMs against its limit: the same pages fetched and parsed, and nothing else.

The check may take twice that time. Both are measured in turn, in this process and on one connection pool, so that a
slow machine slows down both; the quickest of the rounds counts.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from unittest import mock

import orjson
from ansible_collections.ocpv.scale.plugins.module_utils.ansible_support import connect
from ansible_collections.ocpv.scale.plugins.module_utils.cluster import gateway as gateway_module
from ansible_collections.ocpv.scale.plugins.module_utils.cluster import resources
from ansible_collections.ocpv.scale.plugins.module_utils.cluster.capture import capture
from ansible_collections.ocpv.scale.plugins.module_utils.cluster.gateway import Gateway
from ansible_collections.ocpv.scale.plugins.module_utils.cluster.memory import collector_paused
from ansible_collections.ocpv.scale.plugins.module_utils.cluster.select import Selection, choose
from ansible_collections.ocpv.scale.plugins.module_utils.migration.migratability import assess_all
from ansible_collections.ocpv.scale.plugins.module_utils.migration.rwx_check import Wanted, check_result, parts_for
from simcluster.testing import SimCluster

ROUNDS = 5
LIMIT = 2.0
NAMESPACE = "openshift-cnv"
# what the check lists, page by page
LISTED = (
    resources.NODES,
    resources.NAMESPACES,
    resources.VIRTUAL_MACHINES,
    resources.VIRTUAL_MACHINE_INSTANCES,
    resources.PERSISTENT_VOLUME_CLAIMS,
    resources.PERSISTENT_VOLUMES,
    resources.STORAGE_CLASSES,
    resources.STORAGE_PROFILES,
    resources.DATA_VOLUMES,
    resources.MIGRATIONS,
    resources.KUBEVIRTS,
    resources.HYPERCONVERGEDS,
)


def fetch_and_parse(gateway: Gateway) -> int:
    """The limit: every page read and its JSON parsed; the objects are thrown away. Returns how many there were."""
    with collector_paused():
        gateway.server_version()
        gateway.served_versions(resources.HYPERCONVERGED_GROUP)
        gateway.get(resources.CUSTOM_RESOURCE_DEFINITIONS, resources.MIGRATIONS.full_name)
        handlers = gateway.list_as(
            resources.PODS, lambda item: None, namespace=NAMESPACE, label_selector=resources.VIRT_HANDLER_PODS
        )
        listed = [gateway.list_as(resource, lambda item: None) for resource in LISTED]
        return sum(len(listing.items) for listing in (handlers, *listed))


def whole_check(gateway: Gateway) -> int:
    """All that the module does between its options and its result. Returns how many VMs were checked."""
    with collector_paused():
        return _checked(gateway)


def _checked(gateway: Gateway) -> int:
    snapshot = capture(gateway, parts_for(""))
    result = check_result(assess_all(snapshot, choose(snapshot, Selection())), Wanted())
    return int(result["checked"])


def seconds(work: Callable[[Gateway], int], gateway: Gateway) -> float:
    began = time.perf_counter()
    work(gateway)
    return time.perf_counter() - began


def compare(gateway: Gateway, parser: str) -> float:
    """Print both times and return their ratio; C(parser) is what turns JSON into objects."""
    floor, whole = [], []
    for _ in range(ROUNDS):
        floor.append(seconds(fetch_and_parse, gateway))
        whole.append(seconds(whole_check, gateway))
    ratio = min(whole) / min(floor)
    print(f"  {parser:8} {min(floor):10.2f} s {min(whole):10.2f} s {ratio:8.2f}")
    return ratio


def main() -> bool:
    """Print the comparison with each JSON parser; return whether all ratios are within the limit."""
    with SimCluster(scenario="reference", controllers=False, tls=False) as cluster:
        gateway = connect(kubeconfig=str(cluster.kubeconfig))
        objects = fetch_and_parse(gateway)
        cluster.stats(reset=True)
        checked = whole_check(gateway)
        requests = sum(cluster.requests().values())
        print(
            f"vm_rwx_check: {checked} VMs, {objects} objects, {requests} requests, best of {ROUNDS}, limit {LIMIT:.1f}"
        )
        print("  parser    fetch+parse  whole check    ratio")
        ratios = []
        for parser in (orjson, json):
            with mock.patch.object(gateway_module, "_loads", parser.loads):
                ratios.append(compare(gateway, parser.__name__))
    return max(ratios) <= LIMIT


if __name__ == "__main__":
    raise SystemExit(0 if main() else 1)
