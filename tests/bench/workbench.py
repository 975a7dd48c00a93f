"""What benchmarks share: one reference cluster that is only read, its snapshot's file, the number of rounds."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any
from unittest import mock

from ansible_collections.ocpv.scale.plugins.module_utils.ansible_support import connect
from ansible_collections.ocpv.scale.plugins.module_utils.cluster.capture import capture
from ansible_collections.ocpv.scale.plugins.module_utils.cluster.gateway import Gateway
from ansible_collections.ocpv.scale.plugins.module_utils.cluster.memory import collector_paused
from ansible_collections.ocpv.scale.plugins.module_utils.cluster.snapshot_file import write_snapshot
from simcluster.testing import SimCluster

SCENARIO = "reference"
ROUNDS = 5
# a compromise: time that runs faster makes everything shorter but what takes real time
TIME_SCALE = 10.0
# of what starts clusters or plans
_FEW_ROUNDS = 3


class Workbench:
    """``with Workbench() as bench: ...``; cluster and file are made when they are first asked for."""

    def __init__(self, rounds: int = ROUNDS, time_scale: float = TIME_SCALE) -> None:
        self.rounds = rounds
        self.time_scale = time_scale
        self.few_rounds = min(rounds, _FEW_ROUNDS)
        self._folder = tempfile.TemporaryDirectory(prefix="ocpv-bench-")
        self._cluster: SimCluster | None = None

    def __enter__(self) -> Workbench:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end_cluster()
        self._folder.cleanup()

    @property
    def folder(self) -> Path:
        """A folder for files, gone with the bench."""
        return Path(self._folder.name)

    @property
    def cluster(self) -> SimCluster:
        """The reference cluster, without controllers and TLS, so that only answers take time."""
        if self._cluster is None:
            self._cluster = SimCluster(SCENARIO, controllers=False, tls=False).start()
        return self._cluster

    def end_cluster(self) -> None:
        """End the shared cluster, if there is one."""
        if self._cluster is not None:
            self._cluster.stop()
            self._cluster = None

    def snapshot_path(self) -> Path:
        """The file of the reference cluster's snapshot."""
        path = self.folder / "reference.json.gz"
        if not path.exists():
            write_snapshot(capture(gateway_to(self.cluster)), path)
        return path


def gateway_to(cluster: SimCluster) -> Gateway:
    """The collection's access to a cluster, as its administrator."""
    return connect(kubeconfig=str(cluster.kubeconfig))


class Pages:
    """The lists that some work asks a gateway for, to be read again for comparison."""

    def __init__(self, gateway: Gateway, work: Callable[[Gateway], object]) -> None:
        self._gateway = gateway
        with mock.patch.object(gateway, "list_as", wraps=gateway.list_as) as listing:
            work(gateway)
        self._lists = [(call.args[0], call.kwargs) for call in listing.call_args_list]

    def fetch_and_parse(self) -> int:
        """Read all pages and parse their JSON, throw the objects away; returns how many there were."""
        with collector_paused():
            return sum(
                len(self._gateway.list_as(resource, _nothing, **options).items) for resource, options in self._lists
            )


def _nothing(item: dict[str, Any]) -> None:
    return None
