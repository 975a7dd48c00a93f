"""ansible-playbook as a process that is stopped and killed together with all that it started, or alone."""

from __future__ import annotations

import os
import signal
import subprocess
import time
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from .playbook import PlaybookRun, command, environment

# which processes die; those of a run share no process group, since Ansible's workers begin sessions of their own
EVERYTHING = "everything"  # as when the machine is lost
GROUP = "group"  # as when the terminal is closed
PARENT = "parent"  # ansible-playbook alone
_MARK = "OCPV_TEST_RUN"


class KillableRun:
    """A run of a playbook. Its processes, wherever they hang in the tree, are known by a mark in their environment."""

    def __init__(
        self,
        playbook: str,
        kubeconfig: Path,
        variables: Mapping[str, Any],
        log: Path,
        *,
        folder: Path | None = None,
        **more: str,
    ) -> None:
        self._mark = f"{_MARK}={uuid.uuid4().hex}"
        self._log = log
        marked = dict([self._mark.split("=", 1)])
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                command(playbook, variables),
                cwd=folder,
                env=environment(kubeconfig, **marked, **more),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def __enter__(self) -> KillableRun:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill(EVERYTHING)

    @property
    def output(self) -> str:
        return self._log.read_text(encoding="utf-8", errors="replace")

    @property
    def ended(self) -> bool:
        """Whether ansible-playbook has ended."""
        return self._process.poll() is not None

    def processes(self) -> list[int]:
        """Return the ids of what is left of it."""
        mark, found = f"{self._mark}\0".encode(), []
        for entry in Path("/proc").iterdir():
            try:
                if entry.name.isdigit() and mark in (entry / "environ").read_bytes():
                    found.append(int(entry.name))
            except OSError:  # it has ended, or is somebody else's
                continue
        return found

    def signal_all(self, number: int) -> None:
        """Send a signal to every process, also to those that are started meanwhile."""
        reached: set[int] = set()
        while new := set(self.processes()) - reached:
            for process in new:
                _signal(process, number)
            reached |= new

    def freeze(self) -> None:
        self.signal_all(signal.SIGSTOP)

    def terminate(self) -> None:
        """SIGTERM to ansible-playbook, as a service manager sends it."""
        self._process.terminate()

    def kill(self, way: str) -> None:
        """SIGKILL; what survives goes on, if it was frozen."""
        if way == EVERYTHING:
            self.signal_all(signal.SIGKILL)
        elif way == GROUP:
            os.killpg(self._process.pid, signal.SIGKILL)
        else:
            self._process.kill()
        self._process.wait(10)
        self.signal_all(signal.SIGCONT)

    def until(self, condition: Callable[[], Any], what: str, *, pause: float = 0.1, seconds: float = 60.0) -> None:
        """Wait until a condition holds while ansible-playbook is running; C(pause) is how long not to look."""
        deadline = time.monotonic() + seconds
        while not condition():
            assert not self.ended, f"it ended before {what}:\n{self.output[-4000:]}"
            assert time.monotonic() < deadline, f"{what}: not within {seconds:g} s:\n{self.output[-4000:]}"
            time.sleep(pause)

    def gone(self, seconds: float = 20.0) -> None:
        """Wait until none of its processes is left."""
        deadline = time.monotonic() + seconds
        while left := self.processes():
            assert time.monotonic() < deadline, f"processes {left} are left of a run"
            time.sleep(0.05)

    def result(self, seconds: float = 120.0) -> PlaybookRun:
        """Wait for its end."""
        return PlaybookRun(self._process.wait(seconds), self.output)


def _signal(process: int, number: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(process, number)
