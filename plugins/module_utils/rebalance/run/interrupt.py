# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reasons to end a run before its plan is done that come from outside the cluster: signals, and nobody waiting."""

from __future__ import annotations

import os
import signal
import time
from typing import Any, Callable

from .executor import LEAVE
from .progress import ProgressFile
from .state import PAUSE

_LOOK_SECONDS = 1.0


class Interruption:
    """Signals, and the disappearance of whoever called, as reasons to end."""

    def __init__(self, progress: ProgressFile) -> None:
        self._progress = progress
        self._signals = 0
        self._parent = os.getppid()
        self._looked_at = 0.0
        self.wake: Callable[[], None] = lambda: None

    def listen(self) -> Callable[[], None]:
        """Take SIGTERM and SIGINT over; returns what gives them back."""
        former = {number: signal.signal(number, self._signalled) for number in (signal.SIGTERM, signal.SIGINT)}

        def restore() -> None:
            for number, handler in former.items():
                signal.signal(number, handler)

        return restore

    def _signalled(self, number: int, frame: Any) -> None:
        self._signals += 1
        self.wake()

    def why(self) -> str:
        """Return how to end, empty to go on: the first signal pauses, the second leaves at once."""
        if time.monotonic() - self._looked_at > _LOOK_SECONDS:
            self._looked_at = time.monotonic()
            self._progress.check()
        if self._signals > 1 or self._progress.reader_gone or os.getppid() != self._parent:
            return LEAVE
        return PAUSE if self._signals else ""
