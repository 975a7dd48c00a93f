"""vm_rwx_check of all VMs of the reference cluster, beside fetching and parsing the same pages and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

from ansible_collections.ocpv.scale.plugins.module_utils.cluster.gateway import Gateway
from ansible_collections.ocpv.scale.plugins.modules import vm_rwx_check
from simcluster.testing import SimCluster

from .measurement import SECONDS, Measurement, in_turn
from .workbench import Pages, Workbench, gateway_to

MOST_TIMES = 2.0
# as the module's defaults
_OPTIONS: Mapping[str, Any] = {
    "snapshot": None,
    "namespaces": [],
    "names": [],
    "label_selector": "",
    "select": "",
    "ways": [],
    "reasons": [],
    "severity": "info",
}
_check: Callable[[Any, Callable[[], Gateway]], Mapping[str, Any]] = vm_rwx_check.check


def measure(bench: Workbench) -> list[Measurement]:
    """All that the module does between its options and its result; time and requests."""
    cluster = bench.cluster
    gateway = gateway_to(cluster)
    pages = Pages(gateway, whole_check)
    whole, floor = in_turn(bench.rounds, lambda: whole_check(gateway), pages.fetch_and_parse)
    requests = _requests(cluster, lambda: whole_check(gateway))
    listed = _requests(cluster, pages.fetch_and_parse)
    return [
        Measurement(
            f"vm_rwx_check of {whole_check(gateway):,} VMs",
            SECONDS,
            whole,
            "fetching and parsing the same pages",
            floor,
            at_most=MOST_TIMES,
        ),
        Measurement("its requests", "requests", (requests,), "pages of the lists", (listed,)),
    ]


def whole_check(gateway: Gateway) -> int:
    """Returns how many VMs were checked."""
    return int(_check(SimpleNamespace(params=_OPTIONS), lambda: gateway)["checked"])


def _requests(cluster: SimCluster, work: Callable[[], int]) -> float:
    cluster.forget_requests()
    work()
    return float(sum(cluster.requests().values()))
