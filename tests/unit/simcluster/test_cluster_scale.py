"""The reference architecture is all there and can be read in pages; how fast is what the benchmarks measure."""

from __future__ import annotations

import pytest
from simcluster.testing import SimCluster

pytestmark = pytest.mark.slow


def test_three_thousand_machines_are_listed_in_pages() -> None:
    with SimCluster("reference") as cluster:
        assert cluster.ready["objects"] > 30000
        client = cluster.client()
        assert len(client.items("/apis/kubevirt.io/v1/virtualmachines", limit=500)) == 3000
        assert cluster.requests()["list virtualmachines.kubevirt.io"] == 6
