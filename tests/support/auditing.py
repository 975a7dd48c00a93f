"""The auditor as a process beside a test."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType


class Audit:
    """C(python -m audit) while the block lasts; finish() tells what it saw."""

    def __init__(self, kubeconfig: Path, folder: Path) -> None:
        self._folder = folder
        self._until, ready = folder / "audit-until", folder / "audit-ready"
        with (folder / "audit.txt").open("wb") as output:
            self._process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "audit", "--kubeconfig", str(kubeconfig)),
                    *("--output", str(folder / "audit.jsonl")),
                    *("--until-file", str(self._until), "--ready-file", str(ready)),
                ],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=Path(__file__).resolve().parents[1],
            )
        while not ready.exists():
            assert self._process.poll() is None, self.said
            time.sleep(0.02)

    def __enter__(self) -> Audit:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait()

    @property
    def said(self) -> str:
        return (self._folder / "audit.txt").read_text(encoding="utf-8")

    def end(self) -> None:
        """Let it look at the end state; it takes some seconds for that."""
        self._until.touch()

    def finish(self) -> None:
        """Fail if a rule was broken."""
        self.end()
        assert self._process.wait(60) == 0, self.said
