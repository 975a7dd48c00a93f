"""Hosts for the tests; a tool that is missing fails in CI and skips elsewhere."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from . import guest as guests
from .namespace import Namespace


def missing(what: str) -> None:
    if os.environ.get("CI"):
        pytest.fail(f"{what}; `make setup-system` installs it")
    pytest.skip(what)


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Namespace]:
    """A host of its own with network and drop-ins that nobody else sees."""
    if subprocess.run(["unshare", *([] if os.geteuid() == 0 else ["-r"]), "-n", "-m", "true"]).returncode:
        missing("no namespaces here")
    with Namespace(tmp_path) as namespace:
        yield namespace


@pytest.fixture(scope="session")
def kernel() -> None:
    """For tests that boot a User-Mode-Linux guest."""
    if not guests.available():
        missing("no User-Mode-Linux here")
