"""The duration model: how long copying a running guest takes.

Pre-copy in rounds: while the memory is sent, the guest dirties part of it again, which the next round sends; the guest
is stopped for the rest once that fits into the longest downtime. A guest that dirties faster than the link carries
never gets there. Auto-converge slows the guest down round by round; post-copy and a paused guest end it in one more
round.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

_FIRST_THROTTLE = 0.2
_THROTTLE_STEP = 0.1
_MOST_THROTTLE = 0.99
_EPSILON_BYTES = 1.0


@dataclass
class Transfer:
    """One running copy. Advance it with the bandwidth of the moment; rates are bytes per second."""

    memory_bytes: float
    disk_bytes: float
    dirty_rate: float
    max_downtime_seconds: float
    auto_converge: bool = False
    mode: str = "PreCopy"
    remaining_bytes: float = 0.0
    copied_bytes: float = 0.0
    rounds: int = 0
    _round_seconds: float = 0.0
    _throttle: float = 0.0

    def __post_init__(self) -> None:
        self.remaining_bytes = self.memory_bytes + self.disk_bytes

    @property
    def done(self) -> bool:
        """Whether nothing is left to send."""
        return self.remaining_bytes <= _EPSILON_BYTES

    def advance(self, seconds: float, bandwidth: float) -> None:
        """Let C(seconds) pass at a constant bandwidth."""
        while seconds > 0 and bandwidth > 0 and not self.done:
            needed = self.remaining_bytes / bandwidth
            step = min(seconds, needed)
            self.copied_bytes += step * bandwidth
            self._round_seconds += step
            seconds -= step
            if step < needed:
                self.remaining_bytes -= step * bandwidth
            else:
                self._next_round(bandwidth)

    def seconds_to_next_event(self, bandwidth: float) -> float:
        """Until the current round ends; infinite while nothing flows."""
        return self.remaining_bytes / bandwidth if bandwidth > 0 else math.inf

    def post_copy(self) -> None:
        """Switch the guest over at once and fetch the rest behind it."""
        self.mode = "PostCopy"

    def pause(self) -> None:
        """Stop the guest, so that it dirties nothing any more."""
        self.mode = "Paused"

    def _next_round(self, bandwidth: float) -> None:
        dirtied = 0.0
        if self.mode == "PreCopy":
            dirtied = min(self.dirty_rate * (1 - self._throttle) * self._round_seconds, self.memory_bytes)
        self.rounds += 1
        self._round_seconds = 0.0
        # what fits into the downtime is sent with the guest stopped
        self.remaining_bytes = 0.0 if dirtied <= bandwidth * self.max_downtime_seconds else dirtied
        if self.auto_converge and self.rounds > 1:
            self._throttle = min(_MOST_THROTTLE, max(_FIRST_THROTTLE, self._throttle + _THROTTLE_STEP))


def completion_limit_seconds(size_bytes: float, timeout_per_gib: int) -> float:
    """Acceptable duration: per started decimal gigabyte, infinite for 0
    (KubeVirt pkg/virt-launcher/virtwrap/live-migration-source.go, manager.go getVMIMigrationDataSize)."""
    if timeout_per_gib <= 0:
        return math.inf
    return timeout_per_gib * math.ceil(size_bytes / 10**9)


def share_of_link(
    limit_per_migration: float, fastest_stream: float, link: float, on_source: int, on_target: int
) -> float:
    """Bytes per second one migration gets; C(limit_per_migration) 0 is no limit, the counts include itself."""
    fair = link / max(1, on_source, on_target)
    return min(limit_per_migration or math.inf, fastest_stream, fair)
