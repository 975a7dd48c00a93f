"""The reference cluster as a snapshot: reading it, writing its file, reading that."""

from __future__ import annotations

from ansible_collections.ocpv.scale.plugins.module_utils.cluster.capture import capture
from ansible_collections.ocpv.scale.plugins.module_utils.cluster.snapshot_file import read_snapshot, write_snapshot
from simcluster.testing import ADMIN

from .measurement import BYTES, SECONDS, Measurement, in_turn
from .workbench import Pages, Workbench, gateway_to

_PEER = "fetching and parsing the same pages"


def measure(bench: Workbench) -> list[Measurement]:
    """Times beside fetching and parsing the same pages; the file's size beside the pages' bytes."""
    cluster = bench.cluster
    gateway = gateway_to(cluster)
    pages = Pages(gateway, capture)
    path = bench.snapshot_path()
    written = bench.folder / "written.json.gz"
    snapshot = capture(gateway)
    cluster.forget_requests()
    pages.fetch_and_parse()
    page_bytes = cluster.stats()["users"][ADMIN]["sent_bytes"]
    captured, floor = in_turn(bench.few_rounds, lambda: capture(gateway), pages.fetch_and_parse)
    write, read, again = in_turn(
        bench.few_rounds,
        lambda: write_snapshot(snapshot, written),
        lambda: read_snapshot(path),
        pages.fetch_and_parse,
    )
    size = path.stat().st_size / 1e6
    return [
        Measurement(f"cluster_snapshot, {len(snapshot.pods):,} pods", SECONDS, captured, _PEER, floor),
        Measurement("writing its file", SECONDS, write, _PEER, again),
        Measurement("reading its file", SECONDS, read, _PEER, again),
        Measurement("size of the file", BYTES, (size,), "bytes of the pages", (page_bytes / 1e6,)),
    ]
