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
from typing import TYPE_CHECKING, Any

from simcluster.testing import RunningCluster, SimCluster

if TYPE_CHECKING:
    from conformance.cluster import RealCluster

TEMPLATES_VARIABLE = "OCPV_TEST_TEMPLATES"
REAL = os.environ.get("OCPV_TEST_API", "") == "real"


def start_cluster(
    scenario: str | Path | dict[str, Any] = "small", *, faults: bool = False, **options: Any
) -> RunningCluster:
    """A cluster to be used in a ``with`` block, with the options of ``SimCluster``; ``faults`` says that there will be
    rules for its API."""
    return real_cluster(scenario, faults=faults, **options) if REAL else SimCluster(scenario, **options)


def real_cluster(scenario: str | Path | dict[str, Any] = "small", **options: Any) -> RealCluster:
    """The same with a real API server in any case. Raises NotToBeHad."""
    from conformance.binaries import ensure
    from conformance.cluster import RealCluster

    # it is always HTTPS
    options.pop("tls", None)
    return RealCluster(ensure(), scenario, templates=_templates(), **options)


@functools.cache
def _templates() -> Path:
    """Installed scenarios, kept for as long as the one who names the folder wants, or as this process lives."""
    shared = os.environ.get(TEMPLATES_VARIABLE)
    if shared:
        return Path(shared)
    folder = Path(tempfile.mkdtemp(prefix="conformance-templates-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder
