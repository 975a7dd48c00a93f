"""A Ceph cluster that stays until it is stopped: python -m ceph up FOLDER [--osds 3] [--pool vms=4]; ... down FOLDER.

C(up) returns when the cluster is healthy; its configuration is FOLDER/cluster/ceph.conf. C(down) leaves no process and
no file, and is content if there is nothing to stop.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from .cluster import CephCluster, missing_programs

_READY_SECONDS = 240.0


def up(folder: Path, osds: int, pools: list[str]) -> None:
    missing = missing_programs()
    if missing:
        sys.exit(f"not installed: {', '.join(missing)}; `make setup-system` installs them")
    down(folder)
    folder.mkdir(parents=True)
    wanted = [part for pool in pools for part in ("--pool", pool)]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "ceph", "serve", str(folder), "--osds", str(osds), *wanted],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    (folder / "pid").write_text(str(process.pid))
    deadline = time.monotonic() + _READY_SECONDS
    while not (folder / "ready").exists():
        if process.poll() is not None or time.monotonic() > deadline:
            told = (folder / "log").read_text()[-2000:]
            down(folder)
            sys.exit(f"the cluster did not start: {told}")
        time.sleep(0.2)


def serve(folder: Path, osds: int, pools: list[str]) -> None:
    """Run a cluster until this process is told to end."""
    signals = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    with CephCluster(folder / "cluster", osds=osds) as cluster:
        for pool in pools:
            name, _equals, pg_num = pool.partition("=")
            cluster.create_pool(name, int(pg_num or 4))
        (folder / "ready").touch()
        signal.sigwait(signals)


def down(folder: Path) -> None:
    try:
        pid = int((folder / "pid").read_text())
        os.kill(pid, signal.SIGTERM)
    except (OSError, ValueError):
        pid = 0
    deadline = time.monotonic() + 30
    while pid and _alive(pid) and time.monotonic() < deadline:
        time.sleep(0.1)
    shutil.rmtree(folder, ignore_errors=True)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        # of a child that nobody waits for
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def main() -> None:
    parser = argparse.ArgumentParser(prog="ceph", description=__doc__)
    parser.add_argument("action", choices=["up", "serve", "down"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--osds", type=int, default=3)
    parser.add_argument("--pool", action="append", default=[], help="a pool to make, as name=pg_num")
    options = parser.parse_args()
    if options.action == "down":
        down(options.folder)
    else:
        (up if options.action == "up" else serve)(options.folder, options.osds, options.pool)


if __name__ == "__main__":
    main()
