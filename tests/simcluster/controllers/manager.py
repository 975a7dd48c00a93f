"""All controllers in one process, over one set of connections."""

from __future__ import annotations

import asyncio
import base64
import logging
import ssl
from collections.abc import Callable, Iterable
from pathlib import Path

import aiohttp
import yaml

from ..clock import Clock
from .caches import Caches
from .client import ApiError, Client
from .controller import Context, Controller
from .daemon import DaemonSetController
from .evacuation import EvacuationController
from .garbage import GarbageCollector
from .handler import Handler
from .hyperconverged import HyperConvergedOperator
from .instance import InstanceController
from .kubelet import Kubelet
from .kubelet_config import KubeletConfigController
from .machine import MachineController
from .machine_config import PoolController
from .machine_daemon import MachineConfigDaemon
from .migration import MigrationController
from .nmstate import NmstateHandler
from .node import NodeController
from .operator import VirtOperator
from .quotas import QuotaController
from .scheduler import Scheduler
from .settings import Settings
from .storage import ClaimController, DataVolumeController

log = logging.getLogger(__name__)
CONTROLLERS: tuple[type[Controller], ...] = (
    Scheduler,
    Kubelet,
    NodeController,
    MachineController,
    InstanceController,
    MigrationController,
    Handler,
    EvacuationController,
    ClaimController,
    DataVolumeController,
    QuotaController,
    GarbageCollector,
    DaemonSetController,
    VirtOperator,
    HyperConvergedOperator,
    NmstateHandler,
    KubeletConfigController,
    PoolController,
    MachineConfigDaemon,
)
_CONNECTIONS = 48


def names() -> list[str]:
    """Names for C(--only)."""
    return [controller.name for controller in CONTROLLERS]


async def shared_clock(client: Client, scale: float | None) -> Clock:
    """The server's clock; one of its own for a server that has none."""
    try:
        numbers = await client.request("GET", "/simcluster/clock")
        return Clock(numbers["scale"], numbers["start_real"], numbers["start_simulated"])
    except ApiError as error:
        if error.code not in (403, 404):
            raise
        return Clock(scale or 1.0)


async def _hyperconverged_version(client: Client) -> str:
    try:
        group = await client.request("GET", "/apis/hco.kubevirt.io")
    except ApiError as error:
        if error.code != 404:
            raise
        return "v1beta1"
    served = [each["version"] for each in group.get("versions") or []]
    return "v1" if "v1" in served else "v1beta1"


async def run(
    url: str,
    token: str,
    *,
    trust: ssl.SSLContext | None = None,
    scale: float | None = None,
    only: Iterable[str] = (),
    seed: int = 0,
    synced: Callable[[], None] = lambda: None,
) -> None:
    """Work until cancelled; C(synced) is called once everything has been listed and looked at for the first time."""
    connector = aiohttp.TCPConnector(limit=_CONNECTIONS, ssl=trust or True)
    async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=60)) as session:
        client = Client(session, url, token)
        clock = await shared_clock(client, scale)
        caches = Caches(client, await _hyperconverged_version(client))
        settings = Settings(caches, seed)
        context = Context(client, clock, caches, settings)
        wanted = set(only) or set(names())
        controllers = [each(context) for each in CONTROLLERS if each.name in wanted]
        async with asyncio.TaskGroup() as group:
            group.create_task(caches.run())
            await caches.synced()
            for controller in controllers:
                group.create_task(controller.run())
            log.info("%s controllers, %s pods", len(controllers), len(caches.pods.items))
            synced()


def read_kubeconfig(path: Path) -> tuple[str, str, ssl.SSLContext | None]:
    """URL, token and, for an authority of its own, TLS context of a kubeconfig's current context."""
    config = yaml.safe_load(path.read_bytes())
    context = next(each["context"] for each in config["contexts"] if each["name"] == config["current-context"])
    cluster = next(each["cluster"] for each in config["clusters"] if each["name"] == context["cluster"])
    user = next(each["user"] for each in config["users"] if each["name"] == context["user"])
    authority = base64.b64decode(cluster.get("certificate-authority-data", "")).decode()
    trust = None
    if authority or cluster.get("certificate-authority"):
        trust = ssl.create_default_context(cafile=cluster.get("certificate-authority"), cadata=authority or None)
    return cluster["server"], user.get("token", ""), trust
