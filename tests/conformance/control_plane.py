"""A kube-apiserver and an etcd of their own, on 127.0.0.1, with TLS, tokens and RBAC."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import yaml
from simcluster.cli import write_kubeconfig
from simcluster.testing import ADMIN, Client

from .binaries import Binaries

COMPONENTS = "system:simcluster:components"
"""The user of what belongs to the cluster itself; its requests are not counted."""
_START_SECONDS = 90.0
_STOP_SECONDS = 20.0
_POLL_SECONDS = 0.05
# what these do comes from the controller manager and the kubelets, which there are none of
_LEFT_OUT = (
    "ServiceAccount",
    "Priority",
    "DefaultTolerationSeconds",
    "StorageObjectInUseProtection",
    "TaintNodesByCondition",
)
_AUDIT_POLICY = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived", "ResponseStarted"],
    "rules": [
        {"level": "Metadata", "users": [ADMIN]},
        {"level": "Metadata", "userGroups": ["ocpv:counted", "system:serviceaccounts"]},
        {"level": "None"},
    ],
}


class NotStarted(Exception):
    """A program did not get ready; the text holds what it said."""


class ControlPlane:
    """Both programs as child processes, their files in one folder.

    ``template`` is a folder of etcd's data to begin with (a copy is used). Once prepared, ``url``, ``authority`` (path
    of the CA's certificate), ``token`` (of the administrator) and ``kubeconfig`` are there.
    """

    def __init__(self, binaries: Binaries, *, template: Path | None = None, options: Sequence[str] = ()) -> None:
        self._binaries = binaries
        self._template = template
        self._options = tuple(options)
        self._etcd: subprocess.Popen[bytes] | None = None
        self._apiserver: subprocess.Popen[bytes] | None = None
        self.folder = Path()
        self.token = secrets.token_urlsafe(32)
        self.components_token = secrets.token_urlsafe(32)
        self._ports = {"etcd": 0, "peer": 0, "api": 0}

    @property
    def url(self) -> str:
        """Where the API is."""
        return f"https://127.0.0.1:{self._ports['api']}"

    @property
    def authority(self) -> str:
        """The certificate that the API server's is signed by."""
        return str(self.folder / "ca.crt")

    @property
    def kubeconfig(self) -> Path:
        """How an administrator gets there."""
        return self.folder / "kubeconfig"

    @property
    def components_kubeconfig(self) -> Path:
        """How what belongs to the cluster gets there."""
        return self.folder / "components.kubeconfig"

    @property
    def data(self) -> Path:
        """etcd's data."""
        return self.folder / "etcd"

    @property
    def audit_log(self) -> Path:
        """Every request of those that are counted, one JSON object a line."""
        return self.folder / "audit.log"

    def client(self, token: str | None = None) -> Client:
        """A client with the administrator's token or another (empty: none)."""
        return Client(self.url, self.token if token is None else token, self.authority)

    def prepare(self) -> None:
        """Write certificates, keys and tokens, and choose the ports."""
        self.folder = Path(tempfile.mkdtemp(prefix="conformance-"))
        self._ports = dict(zip(self._ports, _free_ports(len(self._ports)), strict=True))
        self._write_files()

    def add_options(self, *options: str) -> None:
        """Further options of kube-apiserver; counts before it is started."""
        self._options += options

    def start(self) -> ControlPlane:
        """Start both, prepared before, and wait until the API is ready; raises NotStarted."""
        try:
            if self._template is not None:
                shutil.copytree(self._template, self.data)
            self._etcd = self._run("etcd", self._etcd_command())
            self.start_apiserver()
        except BaseException:
            self.stop()
            raise
        return self

    def start_apiserver(self) -> None:
        """Start kube-apiserver, where it was before if it was stopped, and wait until it is ready."""
        self._apiserver = self._run("kube-apiserver", self._apiserver_command())
        trust = ssl.create_default_context(cafile=self.authority)
        deadline = time.monotonic() + _START_SECONDS
        while not _ready(f"{self.url}/readyz", trust):
            for process in (self._etcd, self._apiserver):
                if process is None or process.poll() is not None or time.monotonic() > deadline:
                    raise NotStarted(self.said)
            time.sleep(_POLL_SECONDS)

    def stop_apiserver(self) -> None:
        """End kube-apiserver; etcd stays."""
        _end(self._apiserver, signal.SIGKILL)
        self._apiserver = None

    def stop(self) -> None:
        """End both and remove the files; does nothing the second time."""
        self.stop_apiserver()
        _end(self._etcd, signal.SIGKILL)
        self._etcd = None
        if self.folder != Path():
            shutil.rmtree(self.folder, ignore_errors=True)

    def save(self, folder: Path) -> None:
        """Copy etcd's data; both are stopped for that and not started again."""
        self.stop_apiserver()
        _end(self._etcd, signal.SIGTERM)
        self._etcd = None
        shutil.copytree(self.data, folder)

    @property
    def said(self) -> str:
        """The last of what both have written."""
        texts = []
        for name in ("etcd", "kube-apiserver"):
            path = self.folder / f"{name}.log"
            texts.append(f"{name}: {path.read_text(errors='replace')[-3000:] if path.exists() else 'not started'}")
        return "\n".join(texts)

    def _run(self, name: str, command: list[str]) -> subprocess.Popen[bytes]:
        with (self.folder / f"{name}.log").open("ab") as log:
            return subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder, start_new_session=True
            )

    def _etcd_command(self) -> list[str]:
        client, peer = (f"http://127.0.0.1:{self._ports[name]}" for name in ("etcd", "peer"))
        return [
            str(self._binaries.etcd),
            f"--data-dir={self.data}",
            f"--listen-client-urls={client}",
            f"--advertise-client-urls={client}",
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster=default={peer}",
            "--force-new-cluster" if self._template is not None else "--initial-cluster-state=new",
            # nothing here has to outlive the machine
            "--unsafe-no-fsync",
            "--log-level=error",
        ]

    def _apiserver_command(self) -> list[str]:
        folder = self.folder
        return [
            str(self._binaries.apiserver),
            f"--etcd-servers=http://127.0.0.1:{self._ports['etcd']}",
            "--bind-address=127.0.0.1",
            "--advertise-address=192.0.2.1",
            "--endpoint-reconciler-type=none",
            f"--secure-port={self._ports['api']}",
            f"--tls-cert-file={folder / 'server.crt'}",
            f"--tls-private-key-file={folder / 'server.key'}",
            f"--client-ca-file={folder / 'ca.crt'}",
            f"--token-auth-file={folder / 'tokens.csv'}",
            "--authorization-mode=RBAC",
            f"--disable-admission-plugins={','.join(_LEFT_OUT)}",
            "--allow-privileged=true",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={folder / 'accounts.key'}",
            f"--service-account-signing-key-file={folder / 'accounts.key'}",
            "--service-cluster-ip-range=10.217.0.0/16",
            f"--requestheader-client-ca-file={folder / 'ca.crt'}",
            "--requestheader-allowed-names=front-proxy-client",
            "--requestheader-username-headers=X-Remote-User",
            "--requestheader-group-headers=X-Remote-Group",
            "--requestheader-extra-headers-prefix=X-Remote-Extra-",
            f"--proxy-client-cert-file={folder / 'proxy.crt'}",
            f"--proxy-client-key-file={folder / 'proxy.key'}",
            f"--audit-policy-file={folder / 'audit.yaml'}",
            f"--audit-log-path={self.audit_log}",
            "--audit-log-mode=blocking",
            *self._options,
        ]

    def _write_files(self) -> None:
        folder = self.folder
        _authority(folder)
        certificate(folder, "server", "kube-apiserver", server=True)
        certificate(folder, "proxy", "front-proxy-client", server=False)
        _openssl("genrsa", "-out", str(folder / "accounts.key"), "2048")
        with open(folder / "tokens.csv", "w", encoding="utf-8", opener=_private) as file:
            for token, user in ((self.token, ADMIN), (self.components_token, COMPONENTS)):
                file.write(f'{token},{user},{user},"system:masters"\n')
        (folder / "audit.yaml").write_text(yaml.safe_dump(_AUDIT_POLICY), encoding="utf-8")
        write_kubeconfig(self.kubeconfig, self.url, self.token, self.authority)
        write_kubeconfig(self.components_kubeconfig, self.url, self.components_token, self.authority)


def certificate(folder: Path, name: str, subject: str, *, server: bool, host: str = "localhost") -> None:
    """Write ``name.crt`` and ``name.key`` for 127.0.0.1 and a host, signed by the folder's authority."""
    use = "serverAuth" if server else "clientAuth"
    (folder / f"{name}.ext").write_text(
        f"subjectAltName=IP:127.0.0.1,DNS:{host}\nextendedKeyUsage={use}\n", encoding="utf-8"
    )
    _openssl(
        "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", f"/CN={subject}",
        "-keyout", str(folder / f"{name}.key"), "-out", str(folder / f"{name}.csr"),
    )  # fmt: skip
    _openssl(
        "x509", "-req", "-in", str(folder / f"{name}.csr"), "-CA", str(folder / "ca.crt"), "-CAkey",
        str(folder / "ca.key"), "-CAcreateserial", "-days", "30", "-extfile", str(folder / f"{name}.ext"),
        "-out", str(folder / f"{name}.crt"),
    )  # fmt: skip


def _authority(folder: Path) -> None:
    _openssl(
        "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30",
        "-subj", "/CN=conformance", "-addext", "keyUsage=critical,keyCertSign,digitalSignature",
        "-keyout", str(folder / "ca.key"), "-out", str(folder / "ca.crt"),
    )  # fmt: skip


def _openssl(*arguments: str) -> None:
    made = subprocess.run(["openssl", *arguments], capture_output=True, text=True)
    if made.returncode:
        raise NotStarted(f"openssl {arguments[0]}: {made.stderr.strip()[-500:]}")


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _free_ports(count: int) -> list[int]:
    held = [socket.socket() for _ in range(count)]
    try:
        for each in held:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in held]
    finally:
        for each in held:
            each.close()


def _ready(url: str, trust: ssl.SSLContext) -> bool:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=trust))
    try:
        with opener.open(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except (OSError, urllib.error.URLError):
        return False


def _end(process: subprocess.Popen[bytes] | None, number: int) -> None:
    if process is None or process.poll() is not None:
        return
    process.send_signal(number)
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def counted(events: Iterable[dict[str, Any]], user: str) -> dict[str, int]:
    """Requests of a user by "<verb> <plural.group>[/<subresource>]", as the simulated cluster counts them."""
    found: dict[str, int] = {}
    for event in events:
        if event["user"]["username"] != user:
            continue
        target = event.get("objectRef")
        if target is None:
            name = f"{event['verb'].upper()} {event['requestURI'].partition('?')[0]}"
        else:
            name = f"{event['verb']} {target['resource']}"
            name += f".{target['apiGroup']}" if target.get("apiGroup") else ""
            name += f"/{target['subresource']}" if target.get("subresource") else ""
        found[name] = found.get(name, 0) + 1
    return found
