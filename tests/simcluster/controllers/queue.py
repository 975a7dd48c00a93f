"""Work queues: each key at most once at a time, delays in simulated seconds, failures repeated later and later."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable

from ..clock import Clock
from .client import ApiError
from .informer import Key

log = logging.getLogger(__name__)
_FIRST_RETRY_SECONDS = 0.02
_LAST_RETRY_SECONDS = 5.0


class WorkQueue:
    """Runs C(reconcile(key)) for every key added; it may return the simulated seconds after which to run it again."""

    def __init__(self, name: str, reconcile: Callable[[Key], Awaitable[float | None]], clock: Clock, workers: int = 4):
        self.name = name
        self._reconcile = reconcile
        self._clock = clock
        self._workers = workers
        self._ready: deque[Key] = deque()
        self._waiting: set[Key] = set()
        self._running: set[Key] = set()
        self._again: set[Key] = set()
        self._timers: dict[Key, asyncio.TimerHandle] = {}
        self._failures: dict[Key, int] = {}
        self._wakeup = asyncio.Semaphore(0)

    def add(self, key: Key) -> None:
        """Run soon; once is enough however often it is added meanwhile."""
        if key in self._running:
            self._again.add(key)
        elif key not in self._waiting:
            self._waiting.add(key)
            self._ready.append(key)
            self._wakeup.release()

    def add_after(self, key: Key, seconds: float) -> None:
        """Run after C(seconds) of simulated time, or at an earlier time already set."""
        self._at(key, seconds / self._clock.scale)

    def _at(self, key: Key, real_seconds: float) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time() + real_seconds
        known = self._timers.get(key)
        if known is not None:
            if known.when() <= due:
                return
            known.cancel()
        self._timers[key] = loop.call_at(due, self._fire, key)

    def _fire(self, key: Key) -> None:
        self._timers.pop(key, None)
        self.add(key)

    async def run(self) -> None:
        """Work until cancelled."""
        async with asyncio.TaskGroup() as group:
            for _ in range(self._workers):
                group.create_task(self._work())

    async def _work(self) -> None:
        while True:
            await self._wakeup.acquire()
            key = self._ready.popleft()
            self._waiting.discard(key)
            self._running.add(key)
            try:
                again = await self._reconcile(key)
            except (ApiError, OSError) as error:
                self._failed(key, error)
            except Exception:
                log.exception("%s: %s", self.name, "/".join(key))
                self._failed(key, None)
            else:
                self._failures.pop(key, None)
                if again is not None:
                    self.add_after(key, again)
            finally:
                self._running.discard(key)
                if key in self._again:
                    self._again.discard(key)
                    self.add(key)

    def _failed(self, key: Key, error: BaseException | None) -> None:
        count = self._failures[key] = self._failures.get(key, 0) + 1
        if error is not None and not (isinstance(error, ApiError) and error.code in (404, 409)):
            log.warning("%s: %s: %s", self.name, "/".join(key), error)
        self._at(key, min(_FIRST_RETRY_SECONDS * 2 ** (count - 1), _LAST_RETRY_SECONDS))
