"""A throwaway kernel (User-Mode-Linux) on this machine's own files, for what concerns a whole machine.

Its root is the machine's file system, read-only; /etc is a copy on write, /run, /var/tmp and /var/lib are its own.
Nothing that is done in it touches the machine. It has one processor and no network to the outside.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import uuid
from pathlib import Path
from typing import Any

from . import without_xstate

ROOT = Path(__file__).resolve().parents[2]
KERNEL = "linux.uml"
_INIT = """\
#!/bin/sh
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/var/tmp LANG=C.UTF-8 PYTHONDONTWRITEBYTECODE=1 PYTHONPATH={python_path}
export {more}
mount -t proc proc /proc; mount -t sysfs sysfs /sys
mkdir -p /dev/shm
for place in /run /var/tmp /var/lib /dev/shm; do mount -t tmpfs tmpfs $place; done
mount -t hostfs none /mnt -o {share}
mkdir -p /run/m/lib/modules /run/up /run/wk; ln -s /usr/lib/uml/modules/$(uname -r) /run/m/lib/modules/
modprobe -d /run/m overlay && mount -t overlay overlay -o lowerdir=/etc,upperdir=/run/up,workdir=/run/wk /etc
ip link set lo up
cd {root}
sh /mnt/job > /mnt/out 2>&1; echo $? > /mnt/rc
halt -f
"""


def boot(job: str, folder: Path, *, timeout_seconds: int = 300, memory: str = "512M") -> str:
    """Run a shell script as all that the guest does and return its output; the folder is C(/mnt) in the guest.

    Fails if the script does, or does not end in time.
    """
    (folder / "job").write_text(job)
    init = folder / "init"
    launcher, more = [], "AT=guest"
    if without_xstate.needed():
        launcher, more = [sys.executable, "-m", "host.without_xstate"], without_xstate.LESS_VECTORS
    python_path = os.environ.get("PYTHONPATH", "")
    init.write_text(_INIT.format(share=folder, root=ROOT, python_path=python_path, more=more))
    init.chmod(0o755)
    done = subprocess.run(
        [
            "timeout",
            "-k",
            "5",
            str(timeout_seconds),
            *launcher,
            KERNEL,
            f"mem={memory}",
            "root=none",
            "rootfstype=hostfs",
        ]
        + ["rootflags=/", "ro", "quiet", "con=null", "con0=null,fd:1", f"init={init}"]
        + [f"umid=t{uuid.uuid4().hex[:8]}", f"uml_dir={folder}/"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    output = (folder / "out").read_text() if (folder / "out").exists() else done.stdout + done.stderr
    code = (folder / "rc").read_text().strip() if (folder / "rc").exists() else f"none, {done.returncode} of the kernel"
    assert code == "0", f"status {code}:\n{output}"
    return output


def steps(*requests: dict[str, Any], before: str = "", timeout_seconds: int = 300) -> list[Any]:
    """Run steps of C(host.call) in a guest, after the shell commands C(before)."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        (folder / "steps").write_text(json.dumps(requests))
        job = f"set -e\n{before}\n{sys.executable} -m host.call /mnt/steps /mnt/results\n"
        output = boot(job, folder, timeout_seconds=timeout_seconds)
        assert (folder / "results").exists(), output
        results: list[Any] = json.loads((folder / "results").read_text())
        return results


def available() -> bool:
    return shutil.which(KERNEL) is not None and shutil.which("modprobe") is not None
