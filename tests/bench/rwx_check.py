"""vm_rwx_check of all VMs of the reference cluster, beside fetching and parsing the same pages and nothing else."""

from __future__ import annotations

from collections.abc import Callable

from ansible_collections.ocpv.scale.plugins.module_utils.cluster.capture import capture
from ansible_collections.ocpv.scale.plugins.module_utils.cluster.gateway import Gateway
from ansible_collections.ocpv.scale.plugins.module_utils.cluster.select import Selection, choose
from ansible_collections.ocpv.scale.plugins.module_utils.migration.migratability import assess_all
from ansible_collections.ocpv.scale.plugins.module_utils.migration.rwx_check import Wanted, check_result, parts_for
from simcluster.testing import SimCluster

from .measurement import SECONDS, Measurement, in_turn
from .workbench import RecordingGateway, Workbench, gateway_to

MOST_TIMES = 2.0


def measure(bench: Workbench) -> list[Measurement]:
    """All that the module does between its options and its result; time and requests."""
    cluster = bench.cluster
    gateway = RecordingGateway(gateway_to(cluster))
    checked = whole_check(gateway)
    plain = gateway_to(cluster)
    whole, floor = in_turn(bench.rounds, lambda: whole_check(plain), gateway.fetch_and_parse)
    requests = _requests(cluster, lambda: whole_check(plain))
    pages = _requests(cluster, gateway.fetch_and_parse)
    return [
        Measurement(
            f"vm_rwx_check of {checked:,} VMs",
            SECONDS,
            whole,
            "fetching and parsing the same pages",
            floor,
            at_most=MOST_TIMES,
        ),
        Measurement("its requests", "requests", (requests,), "pages of the lists", (pages,)),
    ]


def whole_check(gateway: Gateway) -> int:
    """Returns how many VMs were checked."""
    snapshot = capture(gateway, parts_for(""))
    result = check_result(assess_all(snapshot, choose(snapshot, Selection())), Wanted())
    return int(result["checked"])


def _requests(cluster: SimCluster, work: Callable[[], int]) -> float:
    cluster.stats(reset=True)
    work()
    return float(sum(cluster.requests().values()))
