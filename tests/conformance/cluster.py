"""A cluster for tests with a real kube-apiserver and etcd, in which the simulated cluster's controllers are at work."""

from __future__ import annotations

import asyncio
import base64
import fcntl
import hashlib
import json
import os
import secrets
import shutil
import signal
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self

import aiohttp
import yaml
from simcluster import scenarios
from simcluster.auth import Authenticator
from simcluster.cli import write_kubeconfig
from simcluster.companion import registration
from simcluster.companion.lookup import resource_path
from simcluster.companion.server import AUTHENTICATE, Companion, Server
from simcluster.controllers import client as controllers_client
from simcluster.controllers.settings import MODEL
from simcluster.loading import all_objects
from simcluster.quickening import quickened
from simcluster.schema.registry import Registry
from simcluster.testing import ADMIN, RunningCluster

from .binaries import Binaries
from .control_plane import ControlPlane, NotStarted, certificate, counted
from .install import install
from .proxy import FaultProxy

Obj = dict[str, Any]
_SYNC_SECONDS = 60.0
_POLL_SECONDS = 0.02
_STOP_SECONDS = 5.0
_WEBHOOKS = "/apis/admissionregistration.k8s.io/v1"
_CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
_API_SERVICES = "/apis/apiregistration.k8s.io/v1/apiservices"


class RealCluster(RunningCluster):
    """``with RealCluster(binaries, "small") as cluster: ...``; it is used as C(SimCluster) is.

    Time is real here, so ``time_scale`` makes what takes time quicker instead: durations of the migration model are
    divided by it, rates multiplied. With ``faults`` everybody but the controllers goes through a proxy that can let
    requests fail. ``templates`` keeps etcd's data of each scenario, so that it is installed once.
    """

    def __init__(
        self,
        binaries: Binaries,
        scenario: str | Path | Obj = "small",
        *,
        templates: Path,
        time_scale: float | None = None,
        versions: Sequence[str] = (),
        controllers: bool = True,
        seed: int = 0,
        faults: bool = False,
    ) -> None:
        super().__init__()
        self._binaries = binaries
        self._scenario = scenario
        self._templates = templates
        self.quickened_by = time_scale or 1.0
        self._versions = tuple(versions)
        self._with_controllers = controllers
        self._seed = seed
        self._authenticator = Authenticator()
        self._counted_from = 0
        self._with_faults = faults
        self._proxy: FaultProxy | None = None
        self._plane: ControlPlane | None = None
        self._server: Server | None = None
        self._controllers: subprocess.Popen[bytes] | None = None
        self.ready: Obj = {}

    def start(self) -> Self:
        """Start everything; raises NotStarted and NotInstalled."""
        self.folder = Path(tempfile.mkdtemp(prefix="conformance-cluster-"))
        try:
            self._start()
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        if self._controllers is not None:
            _end(self._controllers)
            self._controllers = None
        if self._proxy is not None:
            self._proxy.stop()
            self._proxy = None
        if self._plane is not None:
            self._plane.stop()
            self._plane = None
        if self._server is not None:
            self._server.stop()
            self._server = None
        if self.folder != Path():
            shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def log(self) -> str:
        path = self.folder / "controllers.log"
        controllers = path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
        return (self._plane.said if self._plane else "") + controllers

    def add_token(self, user: str, groups: Sequence[str] = (), expires_seconds: float | None = None) -> str:
        token = secrets.token_urlsafe(32)
        expires = (
            None
            if expires_seconds is None
            else datetime.now(UTC) + timedelta(seconds=expires_seconds / self.quickened_by)
        )
        self._authenticator.add(token, user, [*groups, "ocpv:counted"], expires)
        return token

    def revoke_token(self, token: str) -> None:
        self._authenticator.revoke(token)

    def faults(self, *rules: Obj) -> None:
        if self._proxy is not None:
            self._proxy.faults.put(list(rules))
        else:
            assert not rules, "this cluster was not started with faults=True"

    def fired(self) -> list[Obj]:
        assert self._proxy is not None, "this cluster was not started with faults=True"
        return [rule.as_dict() for rule in self._proxy.faults.rules]

    def restart(self, down_seconds: float = 0.0) -> None:
        plane = self._running()
        plane.stop_apiserver()
        time.sleep(down_seconds)
        plane.start_apiserver()

    def forget_requests(self) -> None:
        self._counted_from = self._running().audit_log.stat().st_size

    def requests(self, user: str = ADMIN) -> dict[str, int]:
        return counted(self.audited(), user)

    def audited(self) -> list[Obj]:
        """The audit events of those whose requests are counted, since these were forgotten."""
        with self._running().audit_log.open("rb") as log:
            log.seek(self._counted_from)
            return [json.loads(line) for line in log]

    def _running(self) -> ControlPlane:
        assert self._plane is not None, "the cluster is not running"
        return self._plane

    def _start(self) -> None:
        scenario = self._loaded()
        aimed = bool(scenario.settings.get("vmim_added_node_selector", True))
        versions = self._versions or tuple(scenario.settings["hyperconverged_versions"])
        registry = Registry(hyperconverged_versions=versions, added_node_selector=aimed)
        template = self._template(scenario, registry, versions)
        self._plane = ControlPlane(self._binaries, template=template)
        self._plane.prepare()
        self._serve(registry, self._plane)
        self._plane.start()
        self.url, self.token, self.authority = self._plane.url, self._plane.token, self._plane.authority
        self.kubeconfig = self._plane.kubeconfig
        if self._with_faults:
            self._go_through_proxy(self._plane)
        self._register(len(versions) > 1)
        self._await_storage(registry)
        self._quicken()
        if self._with_controllers:
            self._controllers = self._start_controllers()

    def _loaded(self) -> scenarios.Scenario:
        scenario = self._scenario
        if isinstance(scenario, dict):
            path = self.folder / "scenario.json"
            path.write_text(json.dumps(scenario), encoding="utf-8")
            scenario = path
        return scenarios.load(str(scenario), seed=self._seed, now=datetime.now(UTC))

    def _template(self, scenario: scenarios.Scenario, registry: Registry, versions: Sequence[str]) -> Path:
        """etcd's data with everything installed."""
        name = json.dumps([self._scenario if isinstance(self._scenario, dict) else str(self._scenario), self._seed])
        folder = self._templates / hashlib.sha256(f"{name} {','.join(versions)}".encode()).hexdigest()
        with open(f"{folder}.lock", "w", encoding="utf-8") as lock:
            # several processes share them, and the second that wants one waits for the first
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not folder.exists():
                self._install(folder, registry, scenario)
        return folder

    def _install(self, folder: Path, registry: Registry, scenario: scenarios.Scenario) -> None:
        plane = ControlPlane(self._binaries)
        plane.prepare()
        plane.start()
        try:
            asyncio.run(_install(plane, registry, scenario))
            plane.save(folder)
        finally:
            plane.stop()

    def _serve(self, registry: Registry, plane: ControlPlane) -> None:
        certificate(plane.folder, "companion", "companion", server=True, host=registration.HOST)
        companion = Companion(registry, plane.client(plane.components_token), self._authenticator)
        files = plane.folder / "companion.crt", plane.folder / "companion.key"
        self._server = Server(companion, str(files[0]), str(files[1]), plane.authority)
        self._server.start()
        review = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{
                "name": "tokens",
                "cluster": {
                    "server": f"https://127.0.0.1:{self._server.port}{AUTHENTICATE}",
                    "certificate-authority": plane.authority,
                },
            }],
            "users": [{"name": "tokens", "user": {}}],
            "contexts": [{"name": "tokens", "context": {"cluster": "tokens", "user": "tokens"}}],
            "current-context": "tokens",
        }  # fmt: skip
        path = plane.folder / "tokens.yaml"
        path.write_text(yaml.safe_dump(review), encoding="utf-8")
        plane.add_options(
            f"--authentication-token-webhook-config-file={path}",
            "--authentication-token-webhook-version=v1",
            "--authentication-token-webhook-cache-ttl=0s",
        )

    def _go_through_proxy(self, plane: ControlPlane) -> None:
        files = (plane.folder / "server.crt", plane.folder / "server.key")
        self._proxy = FaultProxy(plane.url, plane.authority, *files, self._user_of)
        self._proxy.start()
        self.url = self._proxy.url
        self.kubeconfig = self.folder / "kubeconfig"
        write_kubeconfig(self.kubeconfig, self.url, self.token, self.authority)

    def _user_of(self, token: str) -> str:
        known = self._authenticator.user_for(token, datetime.now(UTC))
        return ADMIN if token == self.token else known.name if known else ""

    def _register(self, converted: bool) -> None:
        assert self._server is not None
        client, port = self.client(), self._server.port
        authority = base64.b64encode(Path(self.authority).read_bytes()).decode()
        url = f"https://127.0.0.1:{port}"
        service, *services = registration.aggregated_apis(port, authority)
        bodies = [(f"/api/v1/namespaces/{registration.NAMESPACE}/services", service)]
        bodies += [(_API_SERVICES, each) for each in services]
        for each in registration.webhook_configurations(url, authority):
            bodies.append((f"{_WEBHOOKS}/{each['kind'].lower()}s", each))
        for path, body in bodies:
            answer = client.post(path, body)
            if answer.status != 201:
                raise NotStarted(f"{body['kind']} {body['metadata']['name']}: {answer.status} {answer.body.decode()}")
        if converted:
            name, patch = registration.conversion_patch(url, authority)
            answer = client.patch(f"{_CRDS}/{name}", patch)
            if answer.status != 200:
                raise NotStarted(f"CustomResourceDefinition {name}: {answer.status} {answer.body.decode()}")
        self._await_available([each["metadata"]["name"] for each in services])

    def _await_available(self, services: Sequence[str]) -> None:
        client, deadline = self.client(), time.monotonic() + _SYNC_SECONDS
        for name in services:
            while True:
                conditions = (client.get(f"{_API_SERVICES}/{name}").json().get("status") or {}).get("conditions") or []
                if any(each["type"] == "Available" and each["status"] == "True" for each in conditions):
                    break
                if time.monotonic() > deadline:
                    raise NotStarted(f"APIService {name} is not available: {conditions}")
                time.sleep(_POLL_SECONDS)

    def _quicken(self) -> None:
        """Let what takes time take less: the model that the controllers read is changed."""
        namespace, name = MODEL
        path = f"/api/v1/namespaces/{namespace}/configmaps"
        client = self.client()
        stored = client.get(f"{path}/{name}")
        data = dict(stored.json().get("data") or {}) if stored.status == 200 else {}
        body = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": name, "namespace": namespace},
            "data": quickened(data, self.quickened_by),
        }
        answer = client.patch(f"{path}/{name}", body) if stored.status == 200 else client.post(path, body)
        if answer.status not in (200, 201):
            raise NotStarted(f"ConfigMap {namespace}/{name}: {answer.status} {answer.body.decode()}")

    def _await_storage(self, registry: Registry) -> None:
        """The API server answers 429 for a custom resource until it has read what is stored of it."""
        client, deadline = self.client(), time.monotonic() + _SYNC_SECONDS
        for resource in registry.resources():
            if resource.builtin:
                continue
            while client.get(resource_path(resource), limit="1").status != 200:
                if time.monotonic() > deadline:
                    raise NotStarted(f"{resource.qualified} is not served")
                time.sleep(_POLL_SECONDS)

    def _start_controllers(self) -> subprocess.Popen[bytes]:
        ready = self.folder / "controllers-ready"
        command = [
            sys.executable,
            "-m",
            "simcluster.controllers",
            "--kubeconfig",
            str(self._running().components_kubeconfig),
        ]
        command += ["--seed", str(self._seed), "--ready-file", str(ready)]
        package_parent = str(Path(__file__).resolve().parents[1])
        search_path = os.pathsep.join(filter(None, (package_parent, os.environ.get("PYTHONPATH"))))
        with (self.folder / "controllers.log").open("ab") as log:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, "PYTHONPATH": search_path},
                start_new_session=True,
            )
        deadline = time.monotonic() + _SYNC_SECONDS
        while not ready.exists():
            if process.poll() is not None or time.monotonic() > deadline:
                _end(process)
                raise NotStarted(f"the controllers were not ready: {self.log[-3000:]}")
            time.sleep(_POLL_SECONDS)
        return process


async def _install(plane: ControlPlane, registry: Registry, scenario: scenarios.Scenario) -> None:
    trust = ssl.create_default_context(cafile=plane.authority)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=trust)) as session:
        client = controllers_client.Client(session, plane.url, plane.token)
        await install(client, registry, all_objects(registry, scenario))


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
