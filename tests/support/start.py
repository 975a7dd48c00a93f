"""Which API a test's cluster is served by: the simulated one, or a real kube-apiserver.

The tests are the same for both. ``OCPV_TEST_API=real`` (``make conformance``) chooses the real one.
"""

from __future__ import annotations

import atexit
import functools
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

from simcluster.testing import RunningCluster, SimCluster

REAL = os.environ.get("OCPV_TEST_API", "") == "real"


def start_cluster(scenario: str | Path | dict[str, Any] = "small", **options: Any) -> RunningCluster:
    """A cluster to be used in a ``with`` block, with the options of ``SimCluster``."""
    return real_cluster(scenario, **options) if REAL else SimCluster(scenario, **options)


def real_cluster(scenario: str | Path | dict[str, Any] = "small", **options: Any) -> RunningCluster:
    """The same with a real API server in any case. Raises NotToBeHad."""
    from conformance.binaries import ensure
    from conformance.cluster import RealCluster

    # it is always HTTPS
    options.pop("tls", None)
    return RealCluster(ensure(), scenario, templates=_templates(), **options)


@functools.cache
def _templates() -> Path:
    """Installed scenarios, kept for as long as this process lives."""
    folder = Path(tempfile.mkdtemp(prefix="conformance-templates-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder
