from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from simcluster.api.app import Server
from simcluster.api.context import Cluster
from simcluster.auth import MASTERS
from simcluster.clock import Clock
from simcluster.loading import load
from simcluster.scenarios import Scenario
from simcluster.schema.registry import Registry
from simcluster.store import Store
from simcluster.testing import Client

TOKEN = "admin-token"


class LocalServer:
    """A real server in a thread of this process, with a client as administrator."""

    def __init__(
        self,
        objects: list[dict[str, Any]] = (),  # type: ignore[assignment]
        *,
        versions: tuple[str, ...] = ("v1", "v1beta1"),
        history: int = 10000,
        bookmark_seconds: float = 60.0,
        scale: float = 1.0,
    ) -> None:
        registry = Registry(hyperconverged_versions=versions)
        store = Store(registry.resources(), history=history)
        self.cluster = Cluster(registry, store, Clock(scale), bookmark_seconds=bookmark_seconds)
        load(self.cluster, Scenario("test", "", iter(objects), {}))
        self.cluster.authenticator.add(TOKEN, "root", [MASTERS])
        self._server = Server(self.cluster)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._wait(self._server.start())
        self.client = Client(self._server.url, TOKEN)

    @property
    def url(self) -> str:
        return self._server.url

    def as_user(self, name: str, *groups: str) -> Client:
        token = f"token-of-{name}"
        self.cluster.authenticator.add(token, name, groups)
        return Client(self.url, token)

    def close(self) -> None:
        self._wait(self._server.stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _wait(self, step: Any) -> None:
        asyncio.run_coroutine_threadsafe(step, self._loop).result(10)


@pytest.fixture(name="local")
def _local() -> Iterator[LocalServer]:
    server = LocalServer()
    yield server
    server.close()


@pytest.fixture(name="client")
def _client(local: LocalServer) -> Client:
    return local.client


@pytest.fixture(name="make_local")
def _make_local() -> Iterator[Any]:
    servers: list[LocalServer] = []

    def make(*args: Any, **options: Any) -> LocalServer:
        servers.append(LocalServer(*args, **options))
        return servers[-1]

    yield make
    for server in servers:
        server.close()
