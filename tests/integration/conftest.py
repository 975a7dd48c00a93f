from __future__ import annotations

from typing import Any

import pytest
from support.start import REAL
from xdist.scheduler import LoadFileScheduling

# long files whose tests share nothing that is not made again quickly; a worker gets one test of them after the other
SPREAD = (
    "test_kill_resume.py",
    "test_migration_network_trouble.py",
    "test_running.py",
    "test_running_trouble.py",
)


class Scheduling(LoadFileScheduling):  # type: ignore[misc]
    """The tests of a file go to one worker, except those of the files named above."""

    def _split_scope(self, nodeid: str) -> str:
        file: str = super()._split_scope(nodeid)
        return nodeid if file.endswith(SPREAD) else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Scheduling | None:
    """Counts wherever C(--dist loadfile) is asked for."""
    return Scheduling(config, log) if config.getvalue("dist") == "loadfile" else None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what a real API server cannot do."""
    if not REAL:
        return
    left_out = [item for item in items if item.get_closest_marker("simulated")]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]
