from __future__ import annotations

import pytest
from support.start import REAL


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what a real API server cannot do."""
    if not REAL:
        return
    left_out = [item for item in items if item.get_closest_marker("simulated")]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]
