# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Read a live cluster into a Snapshot: a few paged lists and fixed reads, never one request per object."""

from __future__ import annotations

from contextlib import suppress
from typing import Any, Callable, Collection, Optional, TypeVar

from ..errors import Forbidden, InvalidInput, NotFound, Unreachable
from . import resources
from .assemble import ALL_PARTS, CLUSTER_NAMESPACE, MachineReader, Raw, assemble, read_instance, understood
from .gateway import Gateway
from .memory import collector_paused
from .model import Snapshot
from .parse import parse_claim, parse_data_volume, parse_persistent_volume, parse_pod
from .parse_vm import parse_migration
from .resources import ResourceType

__all__ = ["ALL_PARTS", "REQUIRED_PARTS", "capture"]

T = TypeVar("T")

# these fail the capture when they cannot be read; the others go to Snapshot.missing
REQUIRED_PARTS = ("nodes", "namespaces", "virtual_machines", "pods", "claims", "migrations")
# how long an optional part may try: what is down for longer is told as missing
_OPTIONAL_RETRY_SECONDS = 10.0
_NO_KUBEVIRT_HINT = (
    "OpenShift Virtualization (KubeVirt) is not installed on this cluster, or it is another cluster than meant."
)


@collector_paused()
def capture(
    gateway: Gateway, parts: Collection[str] = ALL_PARTS, *, namespaces: Optional[Collection[str]] = None
) -> Snapshot:
    """Return a Snapshot of these parts of the cluster.

    C(namespaces) limits virtual_machines, claims, data_volumes and migrations to some namespaces; the other parts are
    always those of the whole cluster. An optional part that this account may not read, or that does not answer, is
    named with the reason in C(Snapshot.missing); an optional kind that the cluster does not have (no descheduler, no
    CDI) is known to be empty and is not missing. Raises ApiError when a required part cannot be read.
    """
    unknown = sorted(set(parts) - set(ALL_PARTS))
    if unknown:
        raise InvalidInput("parts", unknown, f"the parts of a snapshot are {', '.join(ALL_PARTS)}")
    reader = _Reader(gateway, sorted(namespaces) if namespaces else None)
    raw = reader.raw
    raw.server_version = gateway.server_version()
    raw.captured_at = gateway.server_time
    done = []
    for part in ALL_PARTS:
        if part in parts and reader.read(part):
            done.append(part)
    raw.parts = tuple(done)
    if "namespaces" not in parts:
        reader.read_cluster_uid()
    return assemble(raw)


class _Reader:
    def __init__(self, gateway: Gateway, namespaces: Optional[list[str]]) -> None:
        self._gateway = gateway
        self._namespaces = namespaces
        self.raw = Raw()

    def read(self, part: str) -> bool:
        """Read one part into C(raw); return whether it was read."""
        # looked up by name: a table of its own methods would keep the reader, and all it has read, from being freed
        step: Callable[[], None] = getattr(self, f"_read_{part}")
        if part in REQUIRED_PARTS:
            step()
            return True
        return self._attempt(part, step)

    def _attempt(self, name: str, step: Callable[[], None]) -> bool:
        patient = self._gateway
        self._gateway = patient.with_retry_seconds(_OPTIONAL_RETRY_SECONDS)
        try:
            step()
        except (Forbidden, NotFound, Unreachable) as error:
            self.raw.missing[name] = error.message
            return False
        finally:
            self._gateway = patient
        return True

    def _list(self, resource: ResourceType, *, label_selector: str = "") -> list[Any]:
        return self._gateway.list(resource, label_selector=label_selector).items

    def _list_as(self, resource: ResourceType, parse: Callable[[Any], T]) -> list[T]:
        """Return the values of the objects in the namespaces asked for; objects live no longer than their page."""
        found: list[T] = []
        for namespace in self._namespaces or (None,):
            found += self._gateway.list_as(resource, understood(parse), namespace=namespace).items
        return found

    def _list_if_served(self, resource: ResourceType) -> list[Any]:
        try:
            return self._list(resource)
        except NotFound:
            return []

    def _list_kubevirt(self, resource: ResourceType, parse: Callable[[Any], T]) -> list[T]:
        try:
            return self._list_as(resource, parse)
        except NotFound as error:
            raise NotFound(
                error.message, status=error.status, request=error.request, hint=_NO_KUBEVIRT_HINT, details=error.details
            ) from error

    def _read_nodes(self) -> None:
        self.raw.nodes = self._list(resources.NODES)

    def _read_namespaces(self) -> None:
        self.raw.namespaces = self._list(resources.NAMESPACES)

    def read_cluster_uid(self) -> None:
        def step() -> None:
            namespace = self._gateway.get(resources.NAMESPACES, CLUSTER_NAMESPACE)
            self.raw.cluster_uid = namespace["metadata"]["uid"]

        self._attempt("cluster_uid", step)

    def _read_virtual_machines(self) -> None:
        reader = MachineReader(self._list_kubevirt(resources.VIRTUAL_MACHINE_INSTANCES, read_instance))
        machines = self._list_kubevirt(resources.VIRTUAL_MACHINES, reader.read)
        self.raw.virtual_machines = machines + reader.without_vm(machines)

    def _read_pods(self) -> None:
        listing = self._gateway.list_as(resources.PODS, understood(parse_pod), field_selector=resources.ACTIVE_PODS)
        self.raw.pods = [pod for pod in listing.items if pod is not None]

    def _read_claims(self) -> None:
        self.raw.claims = self._list_as(resources.PERSISTENT_VOLUME_CLAIMS, parse_claim)

        def step() -> None:
            volumes = self._gateway.list_as(resources.PERSISTENT_VOLUMES, understood(parse_persistent_volume))
            self.raw.persistent_volumes = volumes.items

        self._attempt("persistent_volumes", step)

    def _read_storage(self) -> None:
        self.raw.storage_classes = self._list(resources.STORAGE_CLASSES)

        def step() -> None:
            self.raw.storage_profiles = self._list_if_served(resources.STORAGE_PROFILES)

        self._attempt("storage_profiles", step)

    def _read_data_volumes(self) -> None:
        with suppress(NotFound):  # not served
            self.raw.data_volumes = self._list_as(resources.DATA_VOLUMES, parse_data_volume)

    def _read_migrations(self) -> None:
        self.raw.migrations = self._list_kubevirt(resources.MIGRATIONS, parse_migration)

    def _read_policies(self) -> None:
        self.raw.migration_policies = self._list_if_served(resources.MIGRATION_POLICIES)

    def _read_virtualization(self) -> None:
        raw = self.raw
        raw.kubevirts = self._list(resources.KUBEVIRTS)
        self._attempt("hyperconverged", self._read_hyperconverged)
        if raw.kubevirts:
            self._attempt("virt_handlers", self._read_virt_handlers)
        with suppress(Forbidden, NotFound):  # KubeVirt's version tells what it is wanted for as well, only less surely
            raw.migration_definition = self._gateway.get(
                resources.CUSTOM_RESOURCE_DEFINITIONS, resources.MIGRATIONS.full_name
            )

    def _read_hyperconverged(self) -> None:
        versions = self._gateway.served_versions(resources.HYPERCONVERGED_GROUP)
        if versions:
            # v1 has fields that v1beta1 lacks
            version = "v1" if "v1" in versions else versions[0]
            self.raw.hyperconvergeds = self._list(resources.hyperconvergeds(version))

    def _read_virt_handlers(self) -> None:
        namespace = self.raw.kubevirts[0]["metadata"]["namespace"]
        listing = self._gateway.list(resources.PODS, namespace=namespace, label_selector=resources.VIRT_HANDLER_PODS)
        self.raw.virt_handlers = listing.items

    def _read_descheduler(self) -> None:
        self.raw.deschedulers = self._list_if_served(resources.KUBE_DESCHEDULERS)

    def _read_usage(self) -> None:
        self.raw.node_metrics = self._list(resources.NODE_METRICS)
        self.raw.pod_metrics = self._list(resources.POD_METRICS, label_selector=resources.LAUNCHER_PODS)
