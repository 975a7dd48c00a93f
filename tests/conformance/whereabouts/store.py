"""An API server that knows whereabouts as a cluster does: its definitions, its rights, and an account for its nodes."""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import yaml

from ..binaries import Binaries
from ..control_plane import ControlPlane, NotStarted

Obj = dict[str, Any]
NAMESPACE = "kube-system"
# where the plugin looks first
_CONFIGURATION = "/etc/kubernetes/cni/net.d/whereabouts.d/whereabouts.conf"
_READY_SECONDS = 30.0
_POOLS = f"/apis/whereabouts.cni.cncf.io/v1alpha1/namespaces/{NAMESPACE}"
_PATHS = {
    "CustomResourceDefinition": "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
    "ServiceAccount": f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts",
    "ClusterRole": "/apis/rbac.authorization.k8s.io/v1/clusterroles",
    "ClusterRoleBinding": "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
}


class Store:
    """``definitions`` is the folder of whereabouts' own manifests. C(etc) is /etc of a node, with what whereabouts'
    DaemonSet leaves there."""

    def __init__(self, binaries: Binaries, definitions: Path) -> None:
        self._plane = ControlPlane(binaries)
        self._definitions = definitions
        self._token = ""
        self.etc = Path()

    def __enter__(self) -> Self:
        self.etc = Path(tempfile.mkdtemp(prefix="whereabouts-etc-"))
        try:
            self._plane.prepare()
            self._plane.start()
            self._install()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    def _stop(self) -> None:
        self._plane.stop()
        shutil.rmtree(self.etc, ignore_errors=True)

    @property
    def port(self) -> int:
        """Of the API server, at 127.0.0.1."""
        return urlsplit(self._plane.url).port or 0

    def allocations(self) -> dict[str, int]:
        """How many addresses of each range are given out."""
        pools = self._plane.client().items(f"{_POOLS}/ippools")
        return {pool["spec"]["range"]: len(pool["spec"]["allocations"]) for pool in pools}

    def reservations(self) -> list[str]:
        """The addresses that are reserved whatever range they are of."""
        found = self._plane.client().items(f"{_POOLS}/overlappingrangeipreservations")
        return [each["metadata"]["name"] for each in found]

    def forget(self) -> None:
        """Make all addresses free again."""
        for kind in ("ippools", "overlappingrangeipreservations"):
            self._plane.client().delete(f"{_POOLS}/{kind}")

    def may(self, plural: str) -> bool:
        """Whether the plugin's account may read such objects."""
        path = f"{_POOLS}/{plural}" if plural == "ippools" else f"/api/v1/namespaces/{NAMESPACE}/{plural}"
        return self._plane.client(self._token).get(path).status == 200

    def _install(self) -> None:
        client = self._plane.client()
        _until(lambda: client.get(f"/api/v1/namespaces/{NAMESPACE}").status == 200, f"namespace {NAMESPACE}")
        for path in sorted(self._definitions.glob("*.yaml")):
            for obj in yaml.safe_load_all(path.read_text(encoding="utf-8")):
                if obj and obj["kind"] in _PATHS:
                    answer = client.post(_PATHS[obj["kind"]], obj)
                    if answer.status != 201:
                        raise NotStarted(f"{obj['kind']} {obj['metadata']['name']}: {answer.body.decode()}")
        for kind in ("ippools", "overlappingrangeipreservations"):
            _until(lambda kind=kind: client.get(f"{_POOLS}/{kind}").status == 200, kind)  # type: ignore[misc]
        request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
        answer = client.post(f"{_PATHS['ServiceAccount']}/whereabouts/token", request)
        if answer.status != 201:
            raise NotStarted(f"token of whereabouts: {answer.body.decode()}")
        self._token = answer.json()["status"]["token"]
        self._write_configuration()

    def _write_configuration(self) -> None:
        """As script/lib.sh of whereabouts writes both files."""
        path = self.etc / _CONFIGURATION.removeprefix("/etc/")
        path.parent.mkdir(parents=True)
        kubeconfig = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{
                "name": "local",
                "cluster": {"server": self._plane.url, "certificate-authority": self._plane.authority},
            }],
            "users": [{"name": "whereabouts", "user": {"token": self._token}}],
            "contexts": [{
                "name": "whereabouts-context",
                "context": {"cluster": "local", "user": "whereabouts", "namespace": NAMESPACE},
            }],
            "current-context": "whereabouts-context",
        }  # fmt: skip
        path.with_name("whereabouts.kubeconfig").write_text(json.dumps(kubeconfig), encoding="utf-8")
        seen = str(Path(_CONFIGURATION).with_name("whereabouts.kubeconfig"))
        content = {"datastore": "kubernetes", "kubernetes": {"kubeconfig": seen}}
        path.write_text(json.dumps(content), encoding="utf-8")


def _until(done: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + _READY_SECONDS
    while not done():
        if time.monotonic() > deadline:
            raise NotStarted(f"{what} is not there")
        time.sleep(0.05)
