"""A real Ceph cluster on the loopback address: one monitor, one manager, and OSDs that keep their data in memory.

It needs Debian's packages ceph-mon, ceph-mgr, ceph-osd and ceph-common, no root, no systemd and no disk. All daemons
are children of the process that made it and die with it.
"""

from __future__ import annotations

import concurrent.futures
import json
import shutil
import signal
import socket
import subprocess
import time
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self

PROGRAMS = ("ceph", "ceph-mon", "ceph-mgr", "ceph-osd", "ceph-authtool", "monmaptool", "rbd", "setpriv")
_STARTING_SECONDS = 180.0

_CONFIGURATION = """\
[global]
fsid = {fsid}
mon host = [v2:127.0.0.1:{port}/0]
public addr = 127.0.0.1
ms bind msgr1 = false
auth cluster required = cephx
auth service required = cephx
auth client required = cephx
auth allow insecure global id reclaim = false
keyring = {folder}/keyring
run dir = {folder}
admin socket =
pid file =
log file = {folder}/$name.log
mon cluster log file = {folder}/cluster.log
crash dir = {folder}/crash
# any OSD may hold any replica: there is one host
osd crush chooseleaf type = 0
# how full the disk of the machine is does not matter
mon data avail warn = 1
mon data avail crit = 0
mgr initial modules = {modules}
mon data = {folder}/mon
mgr data = {folder}/mgr
osd data = {folder}/osd.$id
osd objectstore = memstore
memstore device bytes = 1073741824
# PGs and statistics follow sooner than on a real cluster
mgr tick period = 1
mgr stats period = 1
"""
# so that pgp_num follows at once instead of 5 % of the data at a time
QUICK = {"mgr_max_pg_num_change": "4096", "target_max_misplaced_ratio": "1"}


def missing_programs() -> list[str]:
    """Return the programs that are not installed."""
    return [name for name in PROGRAMS if shutil.which(name, path="/usr/bin:/usr/sbin:/bin:/sbin") is None]


class CephCluster:
    """One cluster. C(folder) must not exist; it is removed by C(stop)."""

    def __init__(
        self, folder: Path, *, osds: int = 3, settings: Mapping[str, str] = QUICK, modules: str = "prometheus"
    ) -> None:
        self.folder = folder
        self.osds = osds
        self.conf = folder / "ceph.conf"
        self.exporter_port = _free_port()
        self._port = _free_port()
        self._fsid = str(uuid.uuid4())
        self._settings = settings
        self._daemons: dict[str, subprocess.Popen[bytes]] = {}
        for name in ("mon", "mgr", "crash"):
            (folder / name).mkdir(parents=True)
        self.conf.write_text(
            _CONFIGURATION.format(fsid=self._fsid, port=self._port, folder=folder, modules=modules), encoding="utf-8"
        )

    @property
    def exporter(self) -> str:
        return f"http://127.0.0.1:{self.exporter_port}"

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_exception: object) -> None:
        self.stop()

    def start(self) -> None:
        """Make the cluster and wait until all OSDs are up and the manager is available."""
        self._make_keys()
        self._make_monitor()
        self.start_monitor()
        for name, value in (
            # else it would listen on every interface
            ("prometheus/server_addr", "127.0.0.1"),
            ("prometheus/server_port", str(self.exporter_port)),
            # pools keep the PGs that tests give them: the autoscaler looks when it starts, and then not before tomorrow
            ("pg_autoscaler/sleep_interval", "86400"),
        ):
            self.ceph("config", "set", "mgr", f"mgr/{name}", value, "--force")
        for option, setting in self._settings.items():
            self.ceph("config", "set", "mgr", option, setting)
        self._spawn("mgr.x", "ceph-mgr", "-i", "x")
        with concurrent.futures.ThreadPoolExecutor(4) as executor:
            list(executor.map(self._make_osd, range(self.osds)))
        # not in the threads: a daemon dies with the thread that started it
        for number in range(self.osds):
            self.start_osd(number)
        self.wait(self._complete, _STARTING_SECONDS)

    def stop(self) -> None:
        """Kill all daemons and remove their files. Nothing in memory is worth the seconds of a clean end."""
        for process in self._daemons.values():
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)
        for process in self._daemons.values():
            process.wait(30)
        self._daemons.clear()
        shutil.rmtree(self.folder, ignore_errors=True)

    def run(self, *command: str | Path, timeout_seconds: float = 120) -> str:
        result = subprocess.run(
            [str(part) for part in command], capture_output=True, text=True, timeout=timeout_seconds, check=False
        )
        if result.returncode:
            raise RuntimeError(f"{command}: {result.returncode}: {result.stderr[-2000:]}")
        return result.stdout

    def ceph(self, *arguments: str) -> str:
        return self.run("ceph", "--conf", self.conf, "--connect-timeout", "20", *arguments)

    def json(self, *arguments: str) -> Any:
        return json.loads(self.ceph(*arguments, "-f", "json"))

    def rbd(self, *arguments: str) -> str:
        return self.run("rbd", "--conf", self.conf, *arguments)

    def pool(self, name: str) -> dict[str, Any]:
        """Return a pool as the monitor knows it."""
        pools: dict[str, dict[str, Any]] = {
            entry["pool_name"]: entry for entry in self.json("osd", "pool", "ls", "detail")
        }
        return pools[name]

    def create_pool(self, name: str, pg_num: int, *arguments: str) -> None:
        """Make a pool and wait until its PGs are clean."""
        self.ceph("osd", "pool", "create", name, str(pg_num), *arguments)
        self.ceph("osd", "pool", "application", "enable", name, "rbd")
        self.wait(self.clean, 60)

    def remove_pool(self, name: str) -> None:
        self.ceph("config", "set", "mon", "mon_allow_pool_delete", "true")
        self.ceph("osd", "pool", "delete", name, name, "--yes-i-really-really-mean-it")

    def clean(self) -> bool:
        """Tell whether all PGs of all pools are active and clean."""
        pgmap = self.json("status")["pgmap"]
        asked = sum(pool["pg_num"] for pool in self.json("osd", "pool", "ls", "detail"))
        states = {entry["state_name"] for entry in pgmap["pgs_by_state"]}
        return pgmap["num_pgs"] == asked and all({"active", "clean"} <= set(state.split("+")) for state in states)

    def health(self) -> dict[str, Any]:
        found: dict[str, Any] = self.json("health")
        return found

    def start_monitor(self) -> None:
        self._spawn("mon.a", "ceph-mon", "-i", "a")

    def kill_monitor(self) -> None:
        self._kill("mon.a")

    def start_osd(self, number: int) -> None:
        self._spawn(f"osd.{number}", "ceph-osd", "-i", str(number))

    def kill_osd(self, number: int) -> None:
        """Kill an OSD and tell the monitor, which would find out by itself after some 20 s."""
        self._kill(f"osd.{number}")
        self.ceph("osd", "down", str(number))

    def wait(self, condition: Callable[[], bool], seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                raise TimeoutError(f"{getattr(condition, '__name__', condition)} after {seconds} s: {self.ceph('-s')}")
            time.sleep(0.2)

    def _complete(self) -> bool:
        status = self.json("status")
        return status["osdmap"]["num_up_osds"] == self.osds and bool(status["mgrmap"]["available"])

    def _make_keys(self) -> None:
        keyring = self.folder / "keyring"
        everything = [part for daemon in ("mon", "osd", "mgr") for part in ("--cap", daemon, "allow *")]
        manager = ["--cap", "mon", "allow profile mgr", "--cap", "osd", "allow *"]
        self.run("ceph-authtool", "-C", keyring, "--gen-key", "-n", "mon.", "--cap", "mon", "allow *")
        self.run("ceph-authtool", keyring, "--gen-key", "-n", "client.admin", *everything)
        self.run("ceph-authtool", keyring, "--gen-key", "-n", "mgr.x", *manager)

    def _make_monitor(self) -> None:
        monmap, address = self.folder / "monmap", f"[v2:127.0.0.1:{self._port}]"
        self.run("monmaptool", "--create", "--fsid", self._fsid, "--addv", "a", address, monmap)
        files = ("--monmap", monmap, "--keyring", self.folder / "keyring")
        self.run("ceph-mon", "-c", self.conf, "--mkfs", "-i", "a", *files)

    def _make_osd(self, number: int) -> None:
        folder, identity = self.folder / f"osd.{number}", str(uuid.uuid4())
        folder.mkdir()
        key = self.run("ceph-authtool", "--gen-print-key").strip()
        (folder / "new.json").write_text(json.dumps({"cephx_secret": key}), encoding="utf-8")
        self.ceph("osd", "new", identity, str(number), "-i", str(folder / "new.json"))
        self.run("ceph-authtool", "-C", folder / "keyring", "-n", f"osd.{number}", "--add-key", key)
        self.run(
            "ceph-osd", "-c", self.conf, "-i", str(number), "--mkfs", "--osd-uuid", identity,
            "--keyring", folder / "keyring",
        )  # fmt: skip

    def _spawn(self, name: str, *command: str) -> None:
        arguments = [*command, "-c", str(self.conf), "-f"]
        if name.startswith("osd."):
            arguments += ["--keyring", str(self.folder / name / "keyring")]
        with (self.folder / f"{name}.out").open("ab") as output:
            self._daemons[name] = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )

    def _kill(self, name: str) -> None:
        process = self._daemons.pop(name)
        process.send_signal(signal.SIGKILL)
        process.wait(30)


def _free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port: int = listening.getsockname()[1]
        return port
