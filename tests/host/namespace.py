"""A host of its own within this machine: a network, mounts and drop-ins that nobody else sees."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any

from .call import module

# What belongs to the whole machine is read-only inside; folders that modules write to are empty ones of the namespace.
_SETUP = """\
mount --make-rprivate /
for part in vm kernel fs; do
    mount --bind /proc/sys/$part /proc/sys/$part && mount -o remount,bind,ro /proc/sys/$part || exit 1
done
mount -t tmpfs tmpfs /run && mount -t tmpfs tmpfs /var/lib && mount -t sysfs -o ro sysfs /sys || exit 1
mount -t tmpfs tmpfs /etc/sysctl.d && mount -t tmpfs tmpfs /usr/lib/sysctl.d || exit 1
mkdir -p /run/sysctl.d && : > /run/sysctl.conf && mount --bind /run/sysctl.conf /etc/sysctl.conf || exit 1
ip link set lo up || exit 1
echo ready
exec sleep infinity
"""


class Namespace:
    """A context in which commands and modules run as on a freshly installed host."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __enter__(self) -> Namespace:
        who = [] if os.geteuid() == 0 else ["-r"]
        # its processes are its own as well, so that none is left when the first one ends
        command = ["unshare", *who, "--kill-child", "-f", "-p", "--mount-proc", "-n", "-m", "sh", "-c", _SETUP]
        self._holder = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        assert self._holder.stdout is not None
        line = self._holder.stdout.readline()
        if line != "ready\n":
            self._holder.kill()
            raise RuntimeError(f"no namespace: {line}{self._holder.stdout.read()}")
        children = Path(f"/proc/{self._holder.pid}/task/{self._holder.pid}/children")
        self._first = children.read_text().split()[0]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._holder.kill()
        self._holder.wait()
        assert self._holder.stdout is not None
        self._holder.stdout.close()

    def enter(self, *command: str) -> list[str]:
        """Return the command line that runs a command inside."""
        who = [] if os.geteuid() == 0 else ["-U", "--preserve-credentials"]
        return ["nsenter", "-t", self._first, *who, "-n", "-m", "-p", f"--wd={os.getcwd()}", *command]

    def run(self, command: str, *, check: bool = True) -> str:
        """Run a shell command inside and return its output."""
        done = subprocess.run(self.enter("sh", "-c", command), capture_output=True, text=True, timeout=120)
        if check and done.returncode:
            raise RuntimeError(f"{command}: {done.returncode}: {done.stdout}{done.stderr}")
        return done.stdout

    def steps(self, *requests: dict[str, Any], python: str = sys.executable) -> list[Any]:
        """Run steps of C(host.call) inside, one after the other in one process."""
        with tempfile.TemporaryDirectory(dir=self.folder) as place:
            asked, told = Path(place) / "steps", Path(place) / "results"
            asked.write_text(json.dumps(requests))
            done = subprocess.run(
                self.enter(python, "-m", "host.call", str(asked), str(told)),
                capture_output=True,
                text=True,
                timeout=300,
            )
            assert told.exists(), done.stdout + done.stderr
            results: list[Any] = json.loads(told.read_text())
            return results

    def call(self, name: str, **arguments: Any) -> dict[str, Any]:
        """Run one module inside; arguments as for C(host.call.module)."""
        result: dict[str, Any] = self.steps(module(name, **arguments))[0]
        return result

    def dies(self, step: dict[str, Any]) -> bool:
        """Run a step that may kill its process and tell whether it did; a step that lives must not fail."""
        try:
            (result,) = self.steps(step)
        except AssertionError:
            return True
        assert "failed" not in result, result
        return False

    def value(self, key: str) -> str:
        """What the kernel has for a parameter inside; fields by blanks."""
        return " ".join(self.run(f"cat /proc/sys/{key.replace('.', '/')}").split())

    def write(self, path: str, text: str) -> None:
        """Write a file inside."""
        self.run(f"printf %s {shlex.quote(text)} > {path}")

    def tree(self, *folders: str) -> str:
        """Everything in some folders: names, permissions, digests. Equal texts mean equal files."""
        names = " ".join(folders)
        return self.run(
            f"cd / && find {names} -printf '%M %u %g %p %l\\n' | sort; find {names} -type f | sort | xargs -r sha256sum"
        )
