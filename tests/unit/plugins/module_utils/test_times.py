"""Times as the API writes them."""

from __future__ import annotations

import pytest
from ansible_collections.ocpv.scale.plugins.module_utils.times import seconds_between


@pytest.mark.parametrize(
    ("start", "end", "seconds"),
    [
        ("2026-01-01T00:00:00Z", "2026-01-01T00:00:14Z", 14),
        ("2026-01-01T00:00:00.500000Z", "2026-01-01T01:00:00+01:00", -0.5),
        ("", "2026-01-01T00:00:14Z", None),
        ("yesterday", "2026-01-01T00:00:14Z", None),
    ],
)
def test_seconds_between_reads_what_the_api_writes(start: str, end: str, seconds: float | None) -> None:
    assert seconds_between(start, end) == seconds
