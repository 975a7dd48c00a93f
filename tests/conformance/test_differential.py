"""The simulated API and a real kube-apiserver answer the same requests alike, or the difference is written down."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest
from simcluster.testing import SimCluster
from support.start import real_cluster

from .differential.api import Api, Server
from .differential.case import Case
from .differential.cases import CASES
from .differential.comparison import differences, normalised, unexpected
from .differential.known import KNOWN
from .differential.objects import PATHS, namespace

Pair = tuple[Server, Server]
_SCENARIO = "single-node"


@pytest.fixture(scope="module")
def servers() -> Iterator[Pair]:
    """The simulated and the real one, with the same objects and no controllers."""
    with ExitStack() as stack:
        simulated = stack.enter_context(SimCluster(_SCENARIO, controllers=False, tls=False))
        real = stack.enter_context(real_cluster(_SCENARIO, controllers=False))
        pair = Server(simulated), Server(real)
        for server in pair:
            _await_storage(server)
        yield pair


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_both_answer_alike(case: Case, servers: Pair) -> None:
    apis = _played(case, servers)
    simulated, real = (normalised(api.answers) for api in apis)
    problems = unexpected(differences(simulated, real), KNOWN.get(case.name))
    assert not problems, "\n".join([*apis[1].requests, *problems])


def test_names_are_given_once() -> None:
    names = [case.name for case in CASES]
    assert sorted({case.namespace for case in CASES}) == sorted(case.namespace for case in CASES)
    assert set(KNOWN) <= set(names)


def _played(case: Case, servers: Pair) -> list[Api]:
    apis = [Api(server, case.namespace) for server in servers]
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(_play(case), apis))
    return apis


def _play(case: Case) -> Callable[[Api], None]:
    def play(api: Api) -> None:
        made = api.unrecorded("POST", "namespaces", namespace("{ns}"))
        assert made.status == 201, made.body
        for step in case.steps:
            step(api)

    return play


def _await_storage(server: Server) -> None:
    """A real server takes a moment until it serves each custom resource."""
    api = Api(server, "default")
    for path in PATHS:
        if not path.endswith("reviews"):
            api.until(lambda path=path: api.unrecorded("GET", path).status == 200)  # type: ignore[misc]
