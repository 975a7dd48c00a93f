"""Run ansible-playbook as a user would: a process of its own, with nothing of the user's configuration."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
CONFIG = ROOT / "tests" / "demo" / "ansible.cfg"
# the whole run as one JSON document at its end; lines that are shown before come first
AS_JSON = {"ANSIBLE_STDOUT_CALLBACK": "ansible.posix.json", "ANSIBLE_SHOW_CUSTOM_STATS": "true"}
_NOT_KEPT = ("K8S_AUTH_", "KUBECONFIG", "ANSIBLE_STDOUT")


@dataclass(frozen=True)
class PlaybookRun:
    """How a run of ansible-playbook ended. What reads C(output) as results needs a run with C(AS_JSON)."""

    returncode: int
    output: str

    @cached_property
    def document(self) -> dict[str, Any]:
        """Everything that the json callback told."""
        start = self.output.find("{\n")
        assert start >= 0, f"no results:\n{self.output[-4000:]}"
        document: dict[str, Any] = json.JSONDecoder().raw_decode(self.output[start:])[0]
        return document

    def result(self, task: str, host: str | None = None) -> dict[str, Any]:
        """Return the result of the last task whose name ends so, on a host or on the first one."""
        for play in reversed(self.document["plays"]):
            for entry in reversed(play["tasks"]):
                hosts: dict[str, dict[str, Any]] = entry["hosts"]
                if entry["task"]["name"].endswith(task) and (host in hosts if host else hosts):
                    return hosts[host] if host else next(iter(hosts.values()))
        raise AssertionError(f"no task {task!r} ran:\n{self.output[-4000:]}")

    def ran(self, task: str, host: str | None = None) -> bool:
        """Tell whether such a task ran, and was not skipped."""
        return any(
            not result.get("skipped")
            for play in self.document["plays"]
            for entry in play["tasks"]
            if entry["task"]["name"].endswith(task)
            for name, result in entry["hosts"].items()
            if host in (None, name)
        )

    def recap(self, host: str = "localhost") -> dict[str, int]:
        """Return the counts of the play recap for a host: ok, changed, failures, skipped, ..."""
        counts: dict[str, int] = self.document["stats"][host]
        return counts

    def failure(self, host: str = "localhost") -> dict[str, Any]:
        """Return the one failed result of a host; fails itself unless there is exactly one."""
        failed = [
            entry["hosts"][host]
            for play in self.document["plays"]
            for entry in play["tasks"]
            if entry["hosts"].get(host, {}).get("failed")
        ]
        assert len(failed) == 1, f"{len(failed)} failures of {host}:\n{self.output[-4000:]}"
        return dict(failed[0])


def environment(kubeconfig: Path | str | None, **more: str) -> dict[str, str]:
    """Return the environment of a playbook run against a cluster; None for one that is given otherwise."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_NOT_KEPT)}
    if kubeconfig is not None:
        kept["K8S_AUTH_KUBECONFIG"] = str(kubeconfig)
    return {**kept, "ANSIBLE_CONFIG": str(CONFIG), "ANSIBLE_NOCOLOR": "1", **more}


def command(
    playbook: str, variables: Mapping[str, Any] | None = None, *arguments: str, programs: Path | None = None
) -> list[str]:
    """Return the command line of a playbook run, with the ansible-core beside this Python or that of C(programs)."""
    given = [playbook, *arguments, "-e", json.dumps(dict(variables or {}))]
    if programs is not None:
        return [str(programs / "python"), "-m", "ansible", "playbook", *given]
    return [str(Path(sys.executable).parent / "ansible-playbook"), *given]


def start_playbook(
    playbook: str,
    kubeconfig: Path | str | None,
    variables: Mapping[str, Any] | None = None,
    *arguments: str,
    programs: Path | None = None,
    **more: str,
) -> subprocess.Popen[str]:
    """Start ansible-playbook and return its process; its output is text on a pipe."""
    return subprocess.Popen(
        command(playbook, variables, *arguments, programs=programs),
        env=environment(kubeconfig, **more),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def run_playbook(
    playbook: str,
    kubeconfig: Path | str | None,
    variables: Mapping[str, Any] | None = None,
    *arguments: str,
    timeout_seconds: float = 300,
    programs: Path | None = None,
    **more: str,
) -> PlaybookRun:
    """Run ansible-playbook to its end."""
    with start_playbook(playbook, kubeconfig, variables, *arguments, programs=programs, **more) as process:
        try:
            output, _nothing = process.communicate(timeout=timeout_seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
    return PlaybookRun(process.returncode, output)
