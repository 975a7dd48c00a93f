from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import kubernetes.client
import pytest
from support.http_api import HttpApi, http_api

if TYPE_CHECKING:
    from ansible_collections.ocpv.scale.plugins.module_utils.cluster.gateway import Gateway


class FakeTime:
    """A clock that moves when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


@pytest.fixture
def api() -> Iterator[HttpApi]:
    with http_api() as server:
        yield server


@pytest.fixture
def fake_time() -> FakeTime:
    return FakeTime()


@pytest.fixture
def make_gateway(fake_time: FakeTime) -> Callable[..., Gateway]:
    # not at the top: the collection can be imported only when pytest-ansible has made it known, after conftest files
    from ansible_collections.ocpv.scale.plugins.module_utils.cluster.gateway import Gateway
    from ansible_collections.ocpv.scale.plugins.module_utils.cluster.transport import Transport

    def make(url: str, *, token: str = "", **options: Any) -> Gateway:
        configuration = kubernetes.client.Configuration(host=url)
        if token:
            configuration.api_key = {"authorization": f"Bearer {token}"}
        transport = Transport(kubernetes.client.ApiClient(configuration))
        return Gateway(transport, **{"clock": fake_time.clock, "sleep": fake_time.sleep, **options})

    return make


@pytest.fixture
def gateway(api: HttpApi, make_gateway: Callable[..., Gateway]) -> Gateway:
    return make_gateway(api.url)
