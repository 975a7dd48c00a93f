"""A simulated cluster for tests: started as a process of its own, ended with the block that uses it."""

from __future__ import annotations

import abc
import json
import os
import shutil
import signal
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import yaml

Obj = dict[str, Any]
ADMIN = "kubernetes-admin"
"""The user of the kubeconfig; the controllers are others."""
_POLL_SECONDS = 0.02
_STOP_SECONDS = 10.0


class NotStarted(Exception):
    """The cluster did not get ready; the text holds what it said."""


@dataclass(frozen=True)
class Response:
    """An answer; ``headers`` keeps repeated ones, names in lower case."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def json(self) -> Any:
        """The decoded body."""
        return json.loads(self.body)

    def header(self, name: str) -> str:
        """The value of a header, empty when it is absent."""
        return next((value for key, value in self.headers if key == name.lower()), "")

    @property
    def warnings(self) -> list[str]:
        """The texts of all Warning headers."""
        return [
            value.partition('"')[2].removesuffix('"').replace('\\"', '"')
            for key, value in self.headers
            if key == "warning"
        ]


@dataclass
class Client:
    """Requests to one server as one user; answers of any status are returned, not raised."""

    url: str
    token: str = ""
    authority: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    timeout_seconds: float = 60.0

    def __post_init__(self) -> None:
        context = ssl.create_default_context(cafile=self.authority) if self.authority else None
        handlers: list[urllib.request.BaseHandler] = [urllib.request.ProxyHandler({})]
        if context is not None:
            handlers.append(urllib.request.HTTPSHandler(context=context))
        self._opener = urllib.request.build_opener(*handlers)

    def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        params: Mapping[str, str] | None = None,
        content_type: str = "application/json",
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        """One request; a body that is not bytes is sent as JSON."""
        with self._open(method, path, body, params, content_type, headers) as answer:
            found = [(key.lower(), value) for key, value in answer.headers.items()]
            return Response(answer.status, found, answer.read())

    def get(self, path: str, **params: str) -> Response:
        """GET."""
        return self.request("GET", path, params=params)

    def post(self, path: str, body: Any, **params: str) -> Response:
        """POST of JSON."""
        return self.request("POST", path, body, params=params)

    def put(self, path: str, body: Any, **params: str) -> Response:
        """PUT of JSON."""
        return self.request("PUT", path, body, params=params)

    def delete(self, path: str, body: Any = None, **params: str) -> Response:
        """DELETE, with DeleteOptions if given."""
        return self.request("DELETE", path, body, params=params)

    def patch(self, path: str, body: Any, kind: str = "merge", **params: str) -> Response:
        """PATCH: ``kind`` is merge, json, strategic or apply."""
        content_type = f"application/{kind}-patch+{'yaml' if kind == 'apply' else 'json'}"
        if kind in ("merge", "strategic"):
            content_type = f"application/{kind.replace('strategic', 'strategic-merge')}-patch+json"
        return self.request("PATCH", path, body, params=params, content_type=content_type)

    def items(self, path: str, limit: int = 500, **params: str) -> list[Obj]:
        """All objects of a collection, read in pages; raises AssertionError for an error."""
        found: list[Obj] = []
        query = {**params, "limit": str(limit)}
        while True:
            answer = self.request("GET", path, params=query)
            assert answer.status == 200, answer.body
            content = answer.json()
            found += content["items"]
            token = content["metadata"].get("continue")
            if not token:
                return found
            query["continue"] = token

    def watch(self, path: str, **params: str) -> Iterator[Obj]:
        """Events until the server ends the stream; close the iterator to end it before."""
        with self._open("GET", path, None, {**params, "watch": "true"}, "application/json", None) as answer:
            if answer.status != 200:
                raise AssertionError(answer.read())
            for line in answer:
                yield json.loads(line)

    def _open(
        self,
        method: str,
        path: str,
        body: Any,
        params: Mapping[str, str] | None,
        content_type: str,
        headers: Mapping[str, str] | None,
    ) -> Any:
        query = f"?{urllib.parse.urlencode(params)}" if params else ""
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}{path}{query}", data=data, method=method)
        if data is not None:
            request.add_header("Content-Type", content_type)
        if self.token:
            request.add_header("Authorization", f"Bearer {self.token}")
        for key, value in {**self.headers, **(headers or {})}.items():
            request.add_header(key, value)
        try:
            return self._opener.open(request, timeout=self.timeout_seconds)
        except urllib.error.HTTPError as error:
            return error


class RunningCluster(abc.ABC):
    """What tests ask of a cluster, whoever serves it. ``kubeconfig`` is an administrator's."""

    def __init__(self) -> None:
        self.folder = Path()
        self.kubeconfig = Path()
        self.url = ""
        self.token = ""
        self.authority = ""
        # how many times less time migrations and pods take than their model says, by the cluster's clock
        self.quickened_by = 1.0

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @abc.abstractmethod
    def start(self) -> Self:
        """Starts the cluster and waits until everything is loaded and the controllers know it."""

    @abc.abstractmethod
    def stop(self) -> None:
        """Ends it; does nothing the second time."""

    @property
    @abc.abstractmethod
    def log(self) -> str:
        """What its programs have written."""

    @abc.abstractmethod
    def add_token(self, user: str, groups: Sequence[str] = (), expires_seconds: float | None = None) -> str:
        """A token of a user with no rights but those that RBAC objects give; ``expires_seconds`` are the cluster's."""

    @abc.abstractmethod
    def revoke_token(self, token: str) -> None:
        """Makes a token worthless: its requests are answered with 401 from now on."""

    @abc.abstractmethod
    def faults(self, *rules: Obj) -> None:
        """Replaces the faults of the API; none of them ends all."""

    @abc.abstractmethod
    def fired(self) -> list[Obj]:
        """The rules of the API's faults, each with how often it ``met`` a request."""

    @abc.abstractmethod
    def restart(self, down_seconds: float = 0.0) -> None:
        """Restarts the API server: connections drop, old versions are forgotten; ``down_seconds`` are real."""

    @abc.abstractmethod
    def forget_requests(self) -> None:
        """Starts counting requests anew."""

    @abc.abstractmethod
    def requests(self, user: str = ADMIN) -> dict[str, int]:
        """Requests of one user since the start or since they were forgotten, by "<verb> <plural.group>[/<sub>]"."""

    @property
    def environment(self) -> dict[str, str]:
        """Environment variables that lead kubectl and kubernetes.core's modules to this cluster."""
        return {"KUBECONFIG": str(self.kubeconfig), "K8S_AUTH_KUBECONFIG": str(self.kubeconfig)}

    def client(self, token: str | None = None, **headers: str) -> Client:
        """A client with the administrator's token or another (empty: none); headers with ``_`` for ``-``."""
        named = {key.replace("_", "-"): value for key, value in headers.items()}
        return Client(self.url, self.token if token is None else token, self.authority, named)

    def write_kubeconfig(self, path: Path, token: str) -> Path:
        """A kubeconfig for another token; returns the path."""
        config = yaml.safe_load(self.kubeconfig.read_text(encoding="utf-8"))
        config["users"][0] = {"name": "user", "user": {"token": token}}
        config["contexts"][0]["context"]["user"] = "user"
        path.touch(mode=0o600)
        path.write_text(yaml.safe_dump(config), encoding="utf-8")
        return path


class SimCluster(RunningCluster):
    """``with SimCluster(scenario="small") as cluster: ...``

    ``scenario`` is a name, a path, or the content of a scenario file as a dict. Files are written to a temporary folder
    that goes with the cluster. After the start ``kubeconfig`` (path), ``url``, ``token`` and ``ready`` are there.
    """

    def __init__(
        self,
        scenario: str | Path | Obj = "small",
        *,
        time_scale: float | None = None,
        versions: Sequence[str] = (),
        controllers: bool = True,
        tls: bool = True,
        seed: int = 0,
        port: int = 0,
        start_seconds: float = 60.0,
        options: Sequence[str] = (),
    ) -> None:
        super().__init__()
        self._scenario = scenario
        self._time_scale = time_scale
        self._versions = tuple(versions)
        self._controllers = controllers
        self._tls = tls
        self._seed = seed
        self._port = port
        self._start_seconds = start_seconds
        self._options = tuple(options)
        self._process: subprocess.Popen[bytes] | None = None
        self.ready: Obj = {}

    def start(self) -> Self:
        """Starts the processes; raises NotStarted."""
        self.folder = Path(tempfile.mkdtemp(prefix="simcluster-test-"))
        self.kubeconfig = self.folder / "kubeconfig"
        ready_file = self.folder / "ready.json"
        package_parent = str(Path(__file__).resolve().parents[1])
        search_path = os.pathsep.join(filter(None, (package_parent, os.environ.get("PYTHONPATH"))))
        with (self.folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "simcluster", "up", *self._arguments(ready_file)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, "PYTHONPATH": search_path},
                start_new_session=True,
            )
        deadline = time.monotonic() + self._start_seconds
        while not ready_file.exists():
            if self._process.poll() is not None or time.monotonic() > deadline:
                said = self.log
                self.stop()
                raise NotStarted(f"the simulated cluster was not ready within {self._start_seconds:g} s: {said}")
            time.sleep(_POLL_SECONDS)
        self.ready = json.loads(ready_file.read_text(encoding="utf-8"))
        self.url = self.ready["url"]
        config = yaml.safe_load(self.kubeconfig.read_text(encoding="utf-8"))
        self.token = config["users"][0]["user"]["token"]
        self.authority = config["clusters"][0]["cluster"].get("certificate-authority", "")
        return self

    def stop(self) -> None:
        if self._process is not None:
            if self._process.poll() is None:
                self._process.terminate()
                try:
                    self._process.wait(_STOP_SECONDS)
                except subprocess.TimeoutExpired:
                    os.killpg(self._process.pid, signal.SIGKILL)
                    self._process.wait()
            self._process = None
            shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def log(self) -> str:
        path = self.folder / "log"
        return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""

    def add_token(self, user: str, groups: Sequence[str] = (), expires_seconds: float | None = None) -> str:
        body: Obj = {"user": user, "groups": list(groups)}
        if expires_seconds is not None:
            body["expires_seconds"] = expires_seconds
        return str(self._control("POST", "tokens", body)["token"])

    def revoke_token(self, token: str) -> None:
        self._control("DELETE", "tokens", {"token": token})

    def faults(self, *rules: Obj) -> None:
        self._control("PUT", "faults", list(rules))

    def fired(self) -> list[Obj]:
        return list(self._control("GET", "faults"))

    def restart(self, down_seconds: float = 0.0) -> None:
        self._control("POST", "restart", {"down_seconds": down_seconds})

    def compact(self) -> None:
        """Makes continue tokens and versions from before too old."""
        self._control("POST", "compact", {})

    def stats(self) -> Obj:
        """Counted requests, see C(Stats.as_dict)."""
        return dict(self._control("GET", "stats"))

    def forget_requests(self) -> None:
        self._control("DELETE", "stats")

    def requests(self, user: str = ADMIN) -> dict[str, int]:
        return dict(self.stats()["users"].get(user, {}).get("requests", {}))

    def _control(self, method: str, name: str, body: Any = None) -> Any:
        answer = self.client().request(method, f"/simcluster/{name}", body)
        if answer.status != 200:
            raise AssertionError(f"{method} /simcluster/{name}: {answer.status} {answer.body.decode()}")
        return answer.json()

    def _arguments(self, ready_file: Path) -> list[str]:
        scenario = self._scenario
        if isinstance(scenario, dict):
            path = self.folder / "scenario.json"
            path.write_text(json.dumps(scenario), encoding="utf-8")
            scenario = path
        found = ["--scenario", str(scenario), "--kubeconfig", str(self.kubeconfig), "--ready-file", str(ready_file)]
        found += ["--seed", str(self._seed), "--port", str(self._port), "--exit-with-parent"]
        found += [f"--{'' if self._tls else 'no-'}tls"]
        if self._time_scale is not None:
            found += ["--time-scale", str(self._time_scale)]
        if self._versions:
            found += ["--hyperconverged-versions", ",".join(self._versions)]
        if not self._controllers:
            found += ["--no-controllers"]
        return [*found, *self._options]
