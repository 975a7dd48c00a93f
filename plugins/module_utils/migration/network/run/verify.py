# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""migration_network_verify as one call: waits for the rollout, looks at interfaces, probes, and looks at migrations."""

from __future__ import annotations

import time
from typing import Any, Callable, Mapping, Optional, Sequence

from .... import names
from ....cluster.gateway import Gateway, Object
from ....cluster.resources import (
    DAEMON_SETS,
    MIGRATIONS,
    NETWORK_ATTACHMENTS,
    NODES,
    PODS,
    VIRT_HANDLER_PODS,
    VIRTUAL_MACHINE_INSTANCES,
)
from ....errors import InvalidInput, NotFound, OcpvError, TimedOut
from ...checks import FAILED, UNKNOWN, Check
from ...preflight import preflight_result
from ..addresses import Network, ranges_of
from ..facts import config_of, parse_node
from ..probe import PodSettings, answers, plan_probes
from ..verdicts import (
    CHECKS,
    INTERFACE,
    MTU,
    ROLLOUT,
    Handler,
    check_handlers,
    check_migrations,
    check_mtu,
    check_rollout,
    parse_handler,
    rolled_out,
    within,
)
from ..verdicts import (
    MIGRATIONS as MIGRATIONS_CHECK,
)
from .probes import run_probes
from .read import read_hyperconverged

_VIRT_HANDLER = "virt-handler"
_POLL_SECONDS = 2.0
_FINAL = ("Succeeded", "Failed")


def run(module: Any, connect: Callable[[], Gateway]) -> dict[str, Any]:
    """Verify the network of a module call; fails the module when a check fails."""
    verification = Verification(connect(), module.params, check_mode=module.check_mode)
    result = verification.result()
    if not result["passed"]:
        module.fail_json(**result)
    return result


class Verification:
    """One call of the module; C(params) are its options. C(clock) and C(sleep) are for tests that play."""

    def __init__(
        self,
        gateway: Gateway,
        params: Mapping[str, Any],
        *,
        check_mode: bool = False,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._gateway = gateway
        self._params = params
        self._check_mode = check_mode
        self._clock = clock
        self._sleep = sleep
        self._name: str = params["name"]
        self._namespace = ""
        self._moved = False

    def result(self) -> dict[str, Any]:
        """Return what the module returns."""
        config = self._config()
        ranges = list(ranges_of(config))
        mtu = self._params["mtu"] or int(config.get("mtu") or 0)
        wanted = [name for name in CHECKS if name in self._params["checks"]]
        if MTU in wanted and not mtu:
            raise InvalidInput("mtu", self._params["mtu"], f"the network attachment {self._name} states none either")
        daemon_set = self._wait_for_rollout() if ROLLOUT in wanted else None
        handlers = self._handlers()
        made = {
            ROLLOUT: lambda: check_rollout(daemon_set, self._name),
            INTERFACE: lambda: check_handlers(handlers, self._nodes(), ranges, mtu),
            MTU: lambda: self._try_out(handlers, ranges, mtu),
            MIGRATIONS_CHECK: lambda: self._migrations(handlers, ranges),
        }
        checks: list[Check] = []
        for name in wanted:
            if name == MIGRATIONS_CHECK and any(check.status == FAILED for check in checks):
                # a test migration would say nothing new
                checks.append(Check(name, UNKNOWN, "Not looked at, since the network does not work."))
            else:
                checks.append(made[name]())
        told = preflight_result(checks, wanted)
        return {"changed": self._moved, "namespace": self._namespace, "mtu": mtu, **told}

    def _config(self) -> Mapping[str, Any]:
        self._namespace, _network = read_hyperconverged(self._gateway)
        if not self._namespace:
            raise OcpvError("There is no HyperConverged in this cluster.", hint="Install OpenShift Virtualization.")
        try:
            attachment = self._gateway.get(NETWORK_ATTACHMENTS, self._name, self._namespace)
        except NotFound as error:
            raise InvalidInput(
                "name",
                self._name,
                f"there is no NetworkAttachmentDefinition of that name in {self._namespace}",
                hint="Make the network with ocpv.scale.migration_network.",
            ) from error
        return config_of(attachment)

    # -- virt-handler ------------------------------------------------------------------------------------------------

    def _wait_for_rollout(self) -> Optional[Object]:
        deadline = self._clock() + self._params["rollout_timeout_seconds"]
        while True:
            try:
                daemon_set: Optional[Object] = self._gateway.get(DAEMON_SETS, _VIRT_HANDLER, self._namespace)
            except NotFound:
                daemon_set = None
            if rolled_out(daemon_set, self._name) or self._clock() >= deadline or self._check_mode:
                return daemon_set
            self._sleep(_POLL_SECONDS)

    def _handlers(self) -> list[Handler]:
        pods = self._gateway.list(PODS, namespace=self._namespace, label_selector=VIRT_HANDLER_PODS).items
        return [parse_handler(pod) for pod in pods if not pod["metadata"].get("deletionTimestamp")]

    def _nodes(self) -> list[str]:
        nodes = self._gateway.list_as(NODES, parse_node).items
        return [node.name for node in nodes if node.runs_virt_handler]

    # -- packets -----------------------------------------------------------------------------------------------------

    def _try_out(self, handlers: Sequence[Handler], ranges: Sequence[Network], mtu: int) -> Check:
        if self._check_mode:
            return Check(MTU, UNKNOWN, "Not tried out in check mode, in which no pods are made.")
        addresses = {item.node: item.address for item in handlers if within(item.address, ranges)}
        probes = plan_probes(addresses, mtu, self._params["probe_neighbours"])
        chosen = self._params["probe_nodes"]
        unknown = sorted(set(chosen) - set(addresses))
        if unknown:
            allowed = "these nodes have no virt-handler with an address in the network"
            raise InvalidInput("probe_nodes", unknown, allowed)
        probes = tuple(probe for probe in probes if not chosen or probe.node in chosen)
        settings = PodSettings(
            namespace=self._namespace,
            network=self._name,
            image=self._params["probe_image"],
            count=self._params["probe_count"],
            raw_sockets=self._params["probe_raw_sockets"],
            timeout_seconds=self._params["probe_timeout_seconds"],
        )
        found, broken = run_probes(self._gateway, probes, settings, clock=self._clock, sleep=self._sleep)
        return check_mtu(answers(probes, found, {item.address: item.node for item in handlers}), broken, mtu)

    # -- migrations --------------------------------------------------------------------------------------------------

    def _migrations(self, handlers: Sequence[Handler], ranges: Sequence[Network]) -> Check:
        since = self._params["migrations_since"] or max((item.started_at for item in handlers), default="")
        if self._params["migration"]:
            namespace, name = _key("migration", self._params["migration"])
            try:
                found = [self._gateway.get(MIGRATIONS, name, namespace)]
            except NotFound as error:
                value = self._params["migration"]
                raise InvalidInput("migration", value, "there is no such migration") from error
            return check_migrations(found, ranges, "", asked=True)
        seen = check_migrations(self._gateway.list(MIGRATIONS).items, ranges, since, asked=False)
        if seen.status == UNKNOWN and self._params["test_vm"] and not self._check_mode:
            return check_migrations([self._migrate(self._params["test_vm"])], ranges, "", asked=True)
        return seen

    def _migrate(self, vm: str) -> Object:
        """Migrate a VM and return the migration when it has ended; one that takes too long is cancelled."""
        namespace, name = _key("test_vm", vm)
        try:
            self._gateway.get(VIRTUAL_MACHINE_INSTANCES, name, namespace)
        except NotFound as error:
            raise InvalidInput("test_vm", vm, "a VM that runs is needed") from error
        self._moved = True
        body = {
            "apiVersion": MIGRATIONS.api_version,
            "kind": MIGRATIONS.kind,
            "metadata": {
                "generateName": "ocpv-network-test-",
                "namespace": namespace,
                "labels": {names.PROBE: "migration", names.MANAGED_BY: names.MANAGER},
            },
            "spec": {"vmiName": name},
        }
        made = self._gateway.create(MIGRATIONS, body, namespace=namespace)
        own = made["metadata"]["name"]
        deadline = self._clock() + self._params["test_timeout_seconds"]
        while True:
            seen = self._gateway.get(MIGRATIONS, own, namespace)
            status = seen.get("status") or {}
            settled = (status.get("migrationState") or {}).get("completed") or status.get("phase") == "Failed"
            if status.get("phase") in _FINAL and settled:
                return seen
            if self._clock() >= deadline:
                break
            self._sleep(_POLL_SECONDS)
        # deleting one that is under way cancels it
        self._gateway.delete(MIGRATIONS, own, namespace=namespace)
        raise TimedOut(
            f"The test migration {namespace}/{own} of {name} was {status.get('phase') or 'not begun'} after "
            f"{self._params['test_timeout_seconds']} s, and was cancelled.",
            hint="ocpv.scale.migration_preflight tells what keeps migrations from going on.",
        )


def _key(option: str, text: str) -> tuple[str, str]:
    namespace, slash, name = text.partition("/")
    if not (namespace and slash and name):
        raise InvalidInput(option, text, "namespace/name is needed")
    return namespace, name
