"""What tests of settings look at and prepare in a cluster: the HyperConverged, its KubeVirt, network attachments."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from ansible_collections.ocpv.scale.plugins.module_utils.migration import hyperconverged as hco
from simcluster.testing import Client, RunningCluster

from .modules import run_module_main

Obj = dict[str, Any]
NAMESPACE = "openshift-cnv"
KUBEVIRT = f"/apis/kubevirt.io/v1/namespaces/{NAMESPACE}/kubevirts/{hco.KUBEVIRT_NAME}"
NADS = "/apis/k8s.cni.cncf.io/v1/namespaces/{}/network-attachment-definitions"


class Platform:
    """The settings of a running cluster, read and written as an administrator, in the API version it prefers."""

    def __init__(self, cluster: RunningCluster, version: str = "v1") -> None:
        self.cluster = cluster
        self.client: Client = cluster.client()
        self.version = version
        self.layout = hco.LAYOUTS[version]
        self.path = f"/apis/hco.kubevirt.io/{version}/namespaces/{NAMESPACE}/hyperconvergeds/{hco.NAME}"

    def run(self, main: Callable[[], None], *, check_mode: bool = False, diff: bool = False, **options: Any) -> Obj:
        """Run a module against the cluster."""
        arguments = {"kubeconfig": str(self.cluster.kubeconfig), **options}
        return run_module_main(main, arguments, check_mode=check_mode, diff=diff)

    def hyperconverged(self) -> Obj:
        return self._read(self.path)

    def kubevirt(self) -> Obj:
        return self._read(KUBEVIRT)

    def config(self) -> Obj:
        """The live-migration settings of the HyperConverged."""
        return dict(hco.read_path(self.hyperconverged(), self.layout.live_migration))

    def applied(self) -> Obj:
        """Those of the KubeVirt."""
        return dict(hco.read_path(self.kubevirt(), hco.KUBEVIRT_MIGRATIONS))

    def annotations(self) -> dict[str, str]:
        return dict(self.hyperconverged()["metadata"].get("annotations") or {})

    def set(self, manager: str = "kubectl-edit", **settings: Any) -> None:
        """Change settings as somebody else."""
        self.patch(hco.nested(self.layout.live_migration, settings), manager)

    def patch(self, body: Obj, manager: str = "kubectl-edit") -> None:
        answer = self.client.patch(self.path, body, fieldManager=manager)
        assert answer.status == 200, answer.body

    def attach(self, name: str, namespace: str = NAMESPACE, master: str = "ens2f0") -> None:
        """Make a network attachment; on a master that no node has, nothing can be attached."""
        config = {
            "cniVersion": "0.3.1",
            "name": name,
            "type": "macvlan",
            "master": master,
            "mode": "bridge",
            "ipam": {"type": "whereabouts", "range": "10.200.5.0/24"},
        }
        body = {
            "apiVersion": "k8s.cni.cncf.io/v1",
            "kind": "NetworkAttachmentDefinition",
            "metadata": {"name": name, "namespace": namespace},
            "spec": {"config": json.dumps(config)},
        }
        answer = self.client.post(NADS.format(namespace), body)
        assert answer.status == 201, answer.body

    def _read(self, path: str) -> Obj:
        answer = self.client.get(path)
        assert answer.status == 200, answer.body
        return dict(answer.json())


@contextmanager
def meanwhile(step: Callable[[], Any], pause_seconds: float = 0.02) -> Iterator[None]:
    """Call C(step) again and again in a thread while the block runs; an error of it fails the test."""
    stop = threading.Event()
    errors: list[BaseException] = []

    def work() -> None:
        try:
            while not stop.is_set():
                step()
                time.sleep(pause_seconds)
        except BaseException as error:  # told below
            errors.append(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(10)
    if errors:
        raise errors[0]
