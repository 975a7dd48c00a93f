"""Run ansible-playbook as a user would: a process of its own, with nothing of the user's configuration."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
CONFIG = ROOT / "tests" / "demo" / "ansible.cfg"


@dataclass(frozen=True)
class PlaybookRun:
    """How a run of ansible-playbook ended. C(events) are the results by task, as the json callback tells them."""

    returncode: int
    output: str

    def result(self, task: str) -> dict[str, Any]:
        """Return the result of the last task whose name ends so, on the first host."""
        document = json.loads(self.output[self.output.index("{\n") :])
        for play in reversed(document["plays"]):
            for entry in reversed(play["tasks"]):
                if entry["task"]["name"].endswith(task) and entry["hosts"]:
                    result: dict[str, Any] = next(iter(entry["hosts"].values()))
                    return result
        raise AssertionError(f"no task {task!r} ran:\n{self.output[-4000:]}")


def environment(kubeconfig: Path | str, **more: str) -> dict[str, str]:
    """Return the environment of a playbook run against a cluster."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("K8S_AUTH_", "ANSIBLE_STDOUT"))}
    return {
        **kept,
        "K8S_AUTH_KUBECONFIG": str(kubeconfig),
        "ANSIBLE_CONFIG": str(CONFIG),
        "ANSIBLE_NOCOLOR": "1",
        **more,
    }


def start_playbook(
    playbook: str, kubeconfig: Path | str, variables: Mapping[str, Any] | None = None, *arguments: str, **more: str
) -> subprocess.Popen[str]:
    """Start ansible-playbook and return its process; its output is text on a pipe."""
    command = [str(Path(sys.executable).parent / "ansible-playbook"), playbook, *arguments]
    command += ["-e", json.dumps(dict(variables or {}))]
    return subprocess.Popen(
        command,
        env=environment(kubeconfig, **more),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def run_playbook(
    playbook: str,
    kubeconfig: Path | str,
    variables: Mapping[str, Any] | None = None,
    *arguments: str,
    timeout_seconds: float = 300,
    **more: str,
) -> PlaybookRun:
    """Run ansible-playbook to its end."""
    with start_playbook(playbook, kubeconfig, variables, *arguments, **more) as process:
        try:
            output, _nothing = process.communicate(timeout=timeout_seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
    return PlaybookRun(process.returncode, output)
