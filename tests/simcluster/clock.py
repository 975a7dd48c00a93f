"""Simulated time: runs ``scale`` times as fast as the host's, from the moment the cluster was started."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta


@dataclass(frozen=True)
class Clock:
    """Processes that share the three values share the time (they are served at ``GET /simcluster/clock``).

    ``start_real`` and ``start_simulated`` are seconds since the epoch: at that real time it was that simulated time.
    """

    scale: float = 1.0
    start_real: float = field(default_factory=time.time)
    start_simulated: float = -1.0

    def __post_init__(self) -> None:
        if not self.scale > 0:
            raise ValueError(f"time scale must be a number above 0, found {self.scale}")
        if self.start_simulated < 0:
            object.__setattr__(self, "start_simulated", self.start_real)

    def now(self) -> datetime:
        """The simulated time (UTC)."""
        elapsed_seconds = (time.time() - self.start_real) * self.scale
        return datetime.fromtimestamp(self.start_simulated, UTC) + timedelta(seconds=elapsed_seconds)

    async def sleep(self, seconds: float) -> None:
        """Sleep simulated seconds."""
        await asyncio.sleep(max(0.0, seconds) / self.scale)

    def as_dict(self) -> dict[str, float]:
        """The three values, for other processes."""
        return {"start_real": self.start_real, "start_simulated": self.start_simulated, "scale": self.scale}


def rfc3339(moment: datetime) -> str:
    """A time as ``metav1.Time`` writes it: whole seconds, UTC."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
