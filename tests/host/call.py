"""Runs steps in this process: reads a list of them as JSON from a file, writes the list of results to another.

A step is {"module": name, "arguments": {...}, "check_mode": bool, "diff": bool}, whose result is the module's; or
{"shell": command}, whose result is its output.
"""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
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
    check_mode, diff = request.get("check_mode", False), request.get("diff", False)
    return run_module_main(module.main, request["arguments"], check_mode=check_mode, diff=diff)


def module(name: str, *, check_mode: bool = False, diff: bool = False, **arguments: Any) -> dict[str, Any]:
    """Return the step that runs a module."""
    return {"module": name, "arguments": arguments, "check_mode": check_mode, "diff": diff}


def shell(command: str) -> dict[str, Any]:
    """Return the step that runs a shell command."""
    return {"shell": command}


if __name__ == "__main__":
    results = [step(request) for request in json.loads(Path(sys.argv[1]).read_text())]
    Path(sys.argv[2]).write_text(json.dumps(results))
