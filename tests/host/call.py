"""Runs steps in this process: reads a list of them as JSON from a file, writes the list of results to another.

A step is {"module": name, "arguments": {...}, "check_mode": bool, "diff": bool}, whose result is the module's; or
{"shell": command}, whose result is its output. With "die_at": N the process kills itself at the Nth change of the
module, before it is made.
"""

from __future__ import annotations

import importlib
import itertools
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from support.modules import run_module_main

MODULES = "ansible_collections.ocpv.scale.plugins.modules"


def step(request: dict[str, Any]) -> Any:
    if "shell" in request:
        done = subprocess.run(
            ["sh", "-c", request["shell"]], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        return done.stdout if not done.returncode else f"failed ({done.returncode}): {done.stdout}"
    module = importlib.import_module(f"{MODULES}.{request['module']}")
    if "die_at" in request:
        die_at(request["die_at"])
    check_mode, diff = request.get("check_mode", False), request.get("diff", False)
    return run_module_main(module.main, request["arguments"], check_mode=check_mode, diff=diff)


def warnings(result: dict[str, Any]) -> list[str]:
    """Return the texts of a result's warnings, which newer versions of ansible-core wrap."""
    return [item if isinstance(item, str) else item["event"]["msg"] for item in result.get("warnings", [])]


def module(name: str, *, check_mode: bool = False, diff: bool = False, **arguments: Any) -> dict[str, Any]:
    """Return the step that runs a module."""
    return {"module": name, "arguments": arguments, "check_mode": check_mode, "diff": diff}


def shell(command: str) -> dict[str, Any]:
    """Return the step that runs a shell command."""
    return {"shell": command}


def die_at(number: int) -> None:
    """Let this process be killed at a change of the kernel or of a file, counted from 1."""
    files, kernel, devices, persistence = (
        importlib.import_module(f"ansible_collections.ocpv.scale.plugins.module_utils.host.run.{name}")
        for name in ("files", "kernel", "devices", "persistence")
    )
    changing = (
        (files, "write"),
        (files, "remove"),
        (kernel.Kernel, "write"),
        (devices.Devices, "change"),
        (persistence.Persistence, "change_connection"),
    )
    count = itertools.count(1)

    def counted(work: Callable[..., Any]) -> Callable[..., Any]:
        def instead(*arguments: Any) -> Any:
            if next(count) == number:
                os.kill(os.getpid(), signal.SIGKILL)
            return work(*arguments)

        return instead

    for owner, name in changing:
        setattr(owner, name, counted(getattr(owner, name)))


if __name__ == "__main__":
    results = [step(request) for request in json.loads(Path(sys.argv[1]).read_text())]
    Path(sys.argv[2]).write_text(json.dumps(results))
