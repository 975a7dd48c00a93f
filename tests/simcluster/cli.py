"""``python -m simcluster``: serve a simulated cluster until told to stop."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import ctypes
import gc
import json
import logging
import os
import secrets
import signal
import ssl
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from . import scenarios
from .api.app import Server
from .api.context import Cluster
from .auth import MASTERS
from .clock import Clock
from .loading import load
from .schema.registry import Registry
from .store import Store

log = logging.getLogger(__name__)
_ADMIN = "kubernetes-admin"
_CONTROLLERS = "system:simcluster:controllers"
_KUBECONFIG = Path(".cache/simcluster/kubeconfig")
_POLL_SECONDS = 0.05
_PARENT_POLL_SECONDS = 1.0
_CONTROLLERS_STOP_SECONDS = 5.0


class CannotStart(Exception):
    """What is wrong with the options or the machine."""


@dataclass(frozen=True)
class Options:
    """Options of ``up``."""

    scenario: str = "small"
    port: int = 0
    kubeconfig: Path = _KUBECONFIG
    time_scale: float | None = None
    hyperconverged_versions: tuple[str, ...] = ()
    controllers: bool = True
    ready_file: Path | None = None
    seed: int = 0
    tls: bool = True
    exit_with_parent: bool = False
    bookmark_seconds: float = 60.0


def parser() -> argparse.ArgumentParser:
    """The command line."""
    whole = argparse.ArgumentParser(prog="python -m simcluster", description=__doc__)
    commands = whole.add_subparsers(dest="command", required=True)
    up = commands.add_parser("up", help="serve a cluster on 127.0.0.1 until SIGTERM or SIGINT")
    up.add_argument("--scenario", default="small", help="name (see `scenarios`) or path of a YAML or JSON file")
    up.add_argument("--port", type=int, default=0, help="0: a free one")
    up.add_argument("--kubeconfig", type=Path, default=_KUBECONFIG, help=f"file to write ({_KUBECONFIG})")
    up.add_argument("--time-scale", type=float, help="simulated seconds per second (default: the scenario's, or 1)")
    up.add_argument("--hyperconverged-versions", default="", help="served versions: v1,v1beta1 or v1beta1")
    up.add_argument("--no-controllers", action="store_true", help="nothing happens by itself")
    up.add_argument("--ready-file", type=Path, help="JSON file, written when everything is there")
    up.add_argument("--seed", type=int, default=0, help="varies where machines start")
    up.add_argument(
        "--tls",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="serve HTTPS with a certificate of its own (kubectl sends no token over plain HTTP)",
    )
    up.add_argument("--exit-with-parent", action="store_true", help="end when the process that started this one ends")
    up.add_argument("--bookmark-seconds", type=float, default=60.0, help="real seconds between bookmarks of a watch")
    up.add_argument("--log-level", default="WARNING")
    commands.add_parser("scenarios", help="list the scenarios that come with the simulator")
    return whole


def main(values: list[str] | None = None) -> int:
    """Runs a command; returns the exit status."""
    given = parser().parse_args(sys.argv[1:] if values is None else values)
    if given.command == "scenarios":
        for name in scenarios.names():
            print(f"{name}\t{scenarios.load(name).description}")
        return 0
    logging.basicConfig(level=given.log_level.upper(), format="%(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    options = Options(
        scenario=given.scenario,
        port=given.port,
        kubeconfig=given.kubeconfig,
        time_scale=given.time_scale,
        hyperconverged_versions=tuple(filter(None, given.hyperconverged_versions.split(","))),
        controllers=not given.no_controllers,
        ready_file=given.ready_file,
        seed=given.seed,
        tls=given.tls,
        exit_with_parent=given.exit_with_parent,
        bookmark_seconds=given.bookmark_seconds,
    )
    try:
        asyncio.run(up(options))
    except (CannotStart, scenarios.InvalidScenario) as error:
        print(f"simcluster: {error}", file=sys.stderr)
        return 2
    return 0


def build(options: Options) -> tuple[Cluster, int]:
    """The cluster with all objects, and how many; raises CannotStart or InvalidScenario."""
    clock_start = Clock()
    scenario = scenarios.load(options.scenario, seed=options.seed, now=clock_start.now())
    versions = options.hyperconverged_versions or tuple(scenario.settings["hyperconverged_versions"])
    scale = options.time_scale
    if scale is None:
        scale = float(scenario.settings.get("time_scale", 1.0))
    try:
        aimed = bool(scenario.settings.get("vmim_added_node_selector", True))
        registry = Registry(hyperconverged_versions=versions, added_node_selector=aimed)
        clock = Clock(scale, clock_start.start_real)
    except ValueError as error:
        raise CannotStart(str(error)) from error
    cluster = Cluster(registry, Store(registry.resources()), clock, bookmark_seconds=options.bookmark_seconds)
    gc.disable()
    count = load(cluster, scenario)
    gc.enable()
    gc.freeze()
    return cluster, count


async def up(options: Options) -> None:
    """Serves until SIGTERM or SIGINT, or the end of the controllers or (if asked) the parent."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    parent = os.getppid()
    cluster, count = build(options)
    token = secrets.token_urlsafe(32)
    cluster.authenticator.add(token, _ADMIN, [MASTERS])
    controllers_token = secrets.token_urlsafe(32)
    cluster.authenticator.add(controllers_token, _CONTROLLERS, [MASTERS])
    options.kubeconfig.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".simcluster-", dir=options.kubeconfig.parent.resolve()) as name:
        folder = Path(name)
        tls, authority = _certificate(folder) if options.tls else (None, "")
        server = Server(cluster, port=options.port, tls=tls)
        try:
            await server.start()
        except OSError as error:
            raise CannotStart(f"cannot listen on 127.0.0.1:{options.port}: {error.strerror or error}") from error
        write_kubeconfig(options.kubeconfig, server.url, token, authority)
        write_kubeconfig(folder / "controllers", server.url, controllers_token, authority)
        watchers = [asyncio.create_task(_parent_gone(parent, stop))] if options.exit_with_parent else []
        controllers: subprocess.Popen[bytes] | None = None
        try:
            if options.controllers:
                controllers = _start_controllers(options, folder)
                await _synced(controllers, folder / "controllers-ready", stop)
                watchers.append(asyncio.create_task(_ended(controllers, stop)))
            if not stop.is_set():
                _announce(options, server.url, count, controllers)
            await stop.wait()
        finally:
            for watcher in watchers:
                watcher.cancel()
            if controllers is not None:
                _end(controllers)
            await server.stop()
    if controllers is not None and controllers.returncode not in (0, -signal.SIGTERM, None):
        raise CannotStart(f"the controllers ended with status {controllers.returncode}")


def write_kubeconfig(path: Path, url: str, token: str, authority: str = "") -> None:
    """A kubeconfig that only its owner can read; ``authority`` is the path of a CA certificate."""
    cluster: dict[str, Any] = {"server": url}
    if authority:
        cluster["certificate-authority"] = authority
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "simcluster", "cluster": cluster}],
        "users": [{"name": _ADMIN, "user": {"token": token}}],
        "contexts": [{"name": "simcluster", "context": {"cluster": "simcluster", "user": _ADMIN}}],
        "current-context": "simcluster",
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        yaml.safe_dump(content, file, sort_keys=False)
    temporary.replace(path)


def _certificate(folder: Path) -> tuple[ssl.SSLContext, str]:
    """A self-signed certificate for 127.0.0.1, made with openssl; returns the context and the certificate's path."""
    key, certificate = folder / "tls.key", folder / "tls.crt"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-keyout", str(key), "-out", str(certificate), "-days", "30", "-subj", "/CN=simcluster"]
    command += ["-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"]
    try:
        made = subprocess.run(command, capture_output=True, text=True)
    except FileNotFoundError as error:
        raise CannotStart("--tls needs the program openssl, which was not found: install it") from error
    if made.returncode:
        raise CannotStart(f"openssl could not make a certificate: {made.stderr.strip()[-500:]}")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    return context, str(certificate)


def _start_controllers(options: Options, folder: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "simcluster.controllers", "--kubeconfig", str(folder / "controllers")]
    command += ["--seed", str(options.seed), "--ready-file", str(folder / "controllers-ready")]
    package_parent = str(Path(__file__).resolve().parents[1])
    search_path = os.pathsep.join(filter(None, (package_parent, os.environ.get("PYTHONPATH"))))
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": search_path},
        preexec_fn=_die_with_parent,
        start_new_session=True,
    )


def _die_with_parent() -> None:
    """Linux ends this process when the one that started it ends, however it ends (prctl PR_SET_PDEATHSIG)."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)


async def _synced(controllers: subprocess.Popen[bytes], ready_file: Path, stop: asyncio.Event) -> None:
    while not ready_file.exists() and not stop.is_set():
        if controllers.poll() is not None:
            raise CannotStart(f"the controllers ended with status {controllers.returncode} before they were ready")
        await asyncio.sleep(_POLL_SECONDS)


async def _ended(controllers: subprocess.Popen[bytes], stop: asyncio.Event) -> None:
    while controllers.poll() is None:
        await asyncio.sleep(0.5)
    log.error("the controllers ended with status %s", controllers.returncode)
    stop.set()


async def _parent_gone(parent: int, stop: asyncio.Event) -> None:
    while os.getppid() == parent:
        await asyncio.sleep(_PARENT_POLL_SECONDS)
    stop.set()


def _end(controllers: subprocess.Popen[bytes]) -> None:
    if controllers.poll() is None:
        controllers.terminate()
        try:
            controllers.wait(_CONTROLLERS_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            controllers.kill()
            controllers.wait()


def _announce(options: Options, url: str, count: int, controllers: subprocess.Popen[bytes] | None) -> None:
    ready = {
        "url": url,
        "kubeconfig": str(options.kubeconfig.resolve()),
        "pid": os.getpid(),
        "controllers_pid": controllers.pid if controllers else None,
        "scenario": options.scenario,
        "objects": count,
    }
    if options.ready_file is not None:
        temporary = options.ready_file.with_name(f".{options.ready_file.name}.{os.getpid()}")
        temporary.write_text(json.dumps(ready), encoding="utf-8")
        temporary.replace(options.ready_file)
    print(f"simcluster: {count} objects of scenario {options.scenario} at {url}", flush=True)
    print(f"simcluster: export KUBECONFIG={ready['kubeconfig']}", flush=True)
