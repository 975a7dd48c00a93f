"""Run ansible-playbook at a terminal, where it can ask."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pexpect

from .playbook import PlaybookRun, command, environment


def run_at_terminal(
    playbook: str,
    kubeconfig: Path | str | None,
    variables: Mapping[str, Any],
    question: str,
    answer: str,
    *arguments: str,
    timeout_seconds: float = 120,
    **more: str,
) -> PlaybookRun:
    """Run ansible-playbook on a pseudo terminal and type C(answer) when it has shown C(question), text at its end."""
    program, *rest = command(playbook, variables, *arguments)
    terminal: Any = pexpect.spawn(
        program,
        rest,
        env=environment(kubeconfig, **more),
        timeout=timeout_seconds,
        encoding="utf-8",
        dimensions=(50, 250),
    )
    try:
        terminal.expect_exact(question)
        shown = terminal.before + terminal.after
        terminal.send(f"{answer}\r")
        terminal.expect(pexpect.EOF)
        shown += terminal.before
    finally:
        terminal.close(force=True)
    return PlaybookRun(terminal.exitstatus, shown.replace("\r\n", "\n"))
