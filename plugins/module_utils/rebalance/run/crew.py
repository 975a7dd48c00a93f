# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the moves of one run share: access to the cluster, the right to write, the live view, the options."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Callable, Mapping, Optional, Protocol, TypeVar

from ...cluster.gateway import Gateway, Object
from ...cluster.model import MigrationSettings, VirtualMachine
from ...cluster.resources import EVENTS, RESOURCE_QUOTAS, VIRTUAL_MACHINE_INSTANCES, VIRTUAL_MACHINES
from ...errors import ApiError, NotFound, Unreachable
from ...migration.checks_machines import Quota, parse_quota
from .live import LiveView
from .options import RunOptions

T = TypeVar("T")


class Hold(Protocol):
    """The right to write."""

    def assert_held(self) -> None:
        """Raise unless this process surely is the only one that may write."""


class Crew:
    """Shared by all moves of a run. C(changed) tells whether anything was written but the state."""

    def __init__(
        self,
        run_id: str,
        gateway: Gateway,
        hold: Hold,
        view: LiveView,
        options: RunOptions,
        clock: Callable[[], float],
        settings: Optional[MigrationSettings] = None,
        targeted: bool = True,
    ) -> None:
        self.run_id = run_id
        self.gateway = gateway
        self.view = view
        self.options = options
        self.clock = clock
        self.settings = settings
        # whether a migration can be aimed at a node by its own spec
        self.targeted = targeted
        self.changed = False
        self._hold = hold

    def assert_held(self) -> None:
        """Raise unless this process surely is the only one that may write."""
        self._hold.assert_held()

    def write(self, call: Callable[[], T]) -> T:
        """Do one write, if this run may. Server errors are raised as Unreachable: worth another try later."""
        self._hold.assert_held()
        self.changed = True
        try:
            return call()
        except ApiError as error:
            if error.status >= 500 and not isinstance(error, Unreachable):
                raise Unreachable(
                    error.message, status=error.status, request=error.request, hint=error.hint, details=error.details
                ) from error
            raise

    def read_instance(self, namespace: str, name: str) -> Optional[VirtualMachine]:
        """Read a VM's instance again and return the VM as it is known then, None if there is neither."""
        key = f"{namespace}/{name}"
        try:
            self.view.take_instance(self.gateway.get(VIRTUAL_MACHINE_INSTANCES, name, namespace))
        except NotFound:
            self.view.drop_instance(key)
        return self.view.machines.get(key)

    def read_vm(self, namespace: str, name: str) -> Optional[Object]:
        """Read a VM again and return its object, None if it does not exist."""
        try:
            item = self.gateway.get(VIRTUAL_MACHINES, name, namespace)
        except NotFound:
            self.view.drop_machine(f"{namespace}/{name}")
            return None
        self.view.take_vm(item)
        return item

    def patch_vm(self, namespace: str, name: str, patch: dict[str, Any]) -> Object:
        """Change a VM. Raises Conflict if it is not as it was when the patch was made."""
        item = self.write(lambda: self.gateway.merge_patch(VIRTUAL_MACHINES, name, patch, namespace=namespace))
        self.view.take_vm(item)
        return item

    def hostname(self, node: str) -> str:
        """Return the value of a node's hostname label; its name if the node is not known."""
        known = self.view.nodes.get(node)
        return known.hostname_label if known else node

    def node_loads(self) -> list[Mapping[str, Any]]:
        """Return the load of each node as the record keeps it."""
        found: list[Mapping[str, Any]] = []
        for name, load in sorted(self.view.books.loads().items()):
            node = self.view.nodes.get(name)
            if node is not None:
                room = node.allocatable
                found.append(
                    {
                        "name": name,
                        "capacity_cpu_millicores": room.cpu_millicores,
                        "capacity_memory_bytes": room.memory_bytes,
                        "capacity_pods": room.pods,
                        **asdict(load),
                    }
                )
        return found

    def quotas(self, namespace: str) -> list[Quota]:
        """Return a namespace's quotas; empty if they cannot be read."""
        try:
            found = self.gateway.list_as(RESOURCE_QUOTAS, parse_quota, namespace=namespace).items
        except ApiError:
            return []
        return [quota for quota in found if quota is not None]

    def events(self, namespace: str, kind: str, name: str, since: str) -> list[str]:
        """Return the messages of warnings and deletions about an object since a time (RFC 3339), newest last. What
        cannot be read is left out: events are only for the explanation."""
        try:
            selector = f"involvedObject.name={name},involvedObject.kind={kind}"
            items = self.gateway.list(EVENTS, namespace=namespace, field_selector=selector).items
        except ApiError:
            return []
        found = []
        for item in items:
            involved = item.get("involvedObject") or {}
            if involved.get("name") != name or involved.get("kind") != kind:
                continue
            time = item.get("lastTimestamp") or item.get("eventTime") or item["metadata"].get("creationTimestamp") or ""
            if time >= since and (item.get("type") == "Warning" or item.get("reason") == "SuccessfulDelete"):
                found.append((time, str(item.get("message") or "")))
        return [message for _time, message in sorted(found)]
