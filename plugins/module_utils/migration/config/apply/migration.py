# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""hco_migration_config as one call: read, decide, write, read back, wait, tell."""

from __future__ import annotations

import time
from typing import Any, Callable, Mapping, Optional

from .... import names
from ....cluster.gateway import Gateway, Object
from ....cluster.resources import NETWORK_ATTACHMENTS
from ....errors import ApiError, Forbidden, InvalidInput, NotFound, OcpvError
from ... import hyperconverged as hco
from ..cautions import VIRT_HANDLER_RESTARTS, Caution, cautions, left_out, not_well, of_surroundings, overridden
from ..difference import changed_fields, not_kept, patch_for, unknown_fields
from ..fields import BY_NAME, by_option, same
from ..owner import signs_of_owner
from ..profiles import ADDED_IN, release_of
from ..settled import Expectation, is_well, told_by, waiting_for
from ..told import lines_of, text_of
from ..window import CLOSED, Window, opened, read_window
from ..wish import RESTORED, WINDOW, Options, Wish, parse_options
from .call import carried_out
from .target import Target, Written, change, find_target
from .wait import TOLD_WITH_FAILURE, look, wait_until_in_force


def configure_migration(module: Any, connect: Callable[[], Gateway]) -> dict[str, Any]:
    """Do what the options of a module call ask for and return its result. Raises OcpvError."""
    options = parse_options(module.params)
    gateway = connect()
    target = find_target(gateway, module.params.get("namespace"))
    operation = Operation(target, options, check_only=module.check_mode)
    return carried_out(module, operation)


class Operation:
    """One change of the live-migration settings. C(clock) and C(sleep) are given for tests."""

    def __init__(
        self,
        target: Target,
        options: Options,
        *,
        check_only: bool = False,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._target = target
        self._options = options
        self._check_only = check_only
        self._clock = clock
        self._sleep = sleep
        self._left_out: frozenset[str] = frozenset()
        self._wish = Wish({})

    def run(self, wait: bool, timeout_seconds: float) -> dict[str, Any]:
        """Write what differs and return the result; with C(wait) not before it is obeyed everywhere."""
        first = self._target.read()
        network = self._decided(first)[0].network
        # what is not touched does not stand in the way of putting other settings back
        if self._options.state != RESTORED or network != self._target.config(first).get(hco.NETWORK):
            self._check_network(network)
        written = self._write()
        config = self._target.config(written.after)
        dropped = not_kept(config, self._wish)
        if dropped:
            raise OcpvError(
                f"{self._target.location} does not have what was written: "
                + ", ".join(f"{BY_NAME[name].option} is {config.get(name)!r}" for name in sorted(dropped)),
                hint="Something changes the object on its way, such as an admission webhook.",
            )
        result = self._result(written)
        if wait:
            try:
                result["waited_for"] = self._wait(written, timeout_seconds)
            except OcpvError as error:
                error.details.update({name: result[name] for name in TOLD_WITH_FAILURE})
                raise
        return result

    def _decided(self, hyperconverged: Object) -> tuple[Wish, Optional[Window]]:
        """What is asked for, given the object as it is, and the window that it records."""
        window = read_window(hyperconverged["metadata"])
        if self._options.state == RESTORED:
            return (window.restoring if window else Wish({})), window
        release = release_of(operator_version(hyperconverged))
        return self._options.wish(release).without(self._left_out), window

    def _patch(self, hyperconverged: Object) -> dict[str, Any]:
        wish, window = self._decided(hyperconverged)
        self._wish = wish
        config = self._target.config(hyperconverged)
        settings = patch_for(config, wish, exact=self._options.state == RESTORED)
        body = hco.nested(self._target.layout.live_migration, settings) if settings else {}
        annotation: Any = None
        if self._options.state == WINDOW:
            annotation = opened(window, config, wish, self._target.gateway.server_time).to_annotation()
        recorded = (hyperconverged["metadata"].get("annotations") or {}).get(names.MIGRATION_WINDOW)
        if self._options.state in (WINDOW, RESTORED) and annotation != recorded:
            body["metadata"] = {"annotations": {names.MIGRATION_WINDOW: annotation}}
        return body

    def _write(self) -> Written:
        """Change the object; a field of a profile that the release does not know is left out, an option is refused."""
        try:
            return change(self._target, self._patch, check_only=self._check_only, sleep=self._sleep)
        except ApiError as error:
            unknown = unknown_fields(error.message, self._target.layout) - self._left_out
            if not unknown:
                raise
            for name in sorted(unknown & self._wish.explicit):
                since = "{}.{}".format(*ADDED_IN[name]) if name in ADDED_IN else "a later release"
                raise InvalidInput(
                    BY_NAME[name].option,
                    self._wish.settings[name],
                    f"the installed release does not know this setting, which came with {since} of the HyperConverged "
                    "operator",
                    hint="Leave it out, or update the operator.",
                ) from error
            self._left_out |= unknown
            return self._write()

    def _check_network(self, network: Optional[str]) -> None:
        """Raise InvalidInput if the network that is asked for is not there."""
        if not network:
            return
        gateway, namespace = self._target.gateway, self._target.namespace
        try:
            found = gateway.list(NETWORK_ATTACHMENTS, namespace=namespace).items
        except NotFound as error:
            raise InvalidInput(
                "network", network, "the cluster serves no NetworkAttachmentDefinitions", hint="Multus is missing."
            ) from error
        here = sorted(item["metadata"]["name"] for item in found)
        if network in here:
            return
        elsewhere = _namespaces_with(gateway, network)
        also = f"; it is in {', '.join(elsewhere)}, where virt-handler does not look" if elsewhere else ""
        raise InvalidInput(
            "network",
            network,
            f"there is no NetworkAttachmentDefinition of this name in namespace {namespace}{also}",
            hint=f"There: {', '.join(here) or 'none'}. Make one (role migration_network) or name one of these.",
            details={"available": here, "elsewhere": elsewhere},
        )

    def _wait(self, written: Written, timeout_seconds: float) -> dict[str, Any]:
        expected = self.expectation(written)
        seen = look(self._target, expected)
        if not written.changed and not waiting_for(seen, expected):
            return {"in_force": True, "waited_seconds": 0, "virt_handler": {}}
        reached = wait_until_in_force(self._target, expected, timeout_seconds, clock=self._clock, sleep=self._sleep)
        return reached.to_dict()

    def expectation(self, written: Written) -> Expectation:
        """Return what has to come true for the settings to be in force.

        Where nothing was changed the operators' conditions do not matter: they may be about something else.
        """
        target, config = self._target, self._target.config(written.after)
        annotations = written.after["metadata"].get("annotations") or {}
        ignored = overridden(annotations, list(BY_NAME))
        # without a wish everything has to be as the HyperConverged says
        fields = list(self._wish.settings or BY_NAME)
        wanted = {(*target.layout.live_migration, name): config.get(name) for name in fields}
        applied = {(*hco.KUBEVIRT_MIGRATIONS, name): config.get(name) for name in fields if name not in ignored}
        former = target.config(written.before).get(hco.NETWORK)
        about_network = hco.NETWORK not in ignored and (
            self._wish.network is not None or former != config.get(hco.NETWORK)
        )
        return Expectation(
            wanted,
            applied,
            network=str(config.get(hco.NETWORK) or "") if about_network else None,
            conditions=written.changed,
            well=is_well(written.before),
            equal=lambda path, found, value: same(path[-1], found, value),
        )

    def _result(self, written: Written) -> dict[str, Any]:
        target = self._target
        before, after = target.config(written.before), target.config(written.after)
        window = read_window(written.after["metadata"])
        found = self._cautions(written, before, after)
        return {
            "changed": written.changed,
            "lines": lines_of(target.location, by_option(before), by_option(after), found, _window_notes(window)),
            "api_version": target.resource.api_version,
            "namespace": target.namespace,
            "before": by_option(before),
            "after": by_option(after),
            "changed_fields": changed_fields(before, after),
            "window": window.to_dict() if window else dict(CLOSED),
            "cautions": [caution.to_dict() for caution in found],
            "waited_for": {"in_force": False, "waited_seconds": 0, "virt_handler": {}},
            "diff": {
                "before_header": target.location,
                "after_header": target.location,
                "before": _shown(before, read_window(written.before["metadata"])),
                "after": _shown(after, window),
            },
        }

    def _cautions(self, written: Written, before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Caution]:
        metadata = written.before["metadata"]
        asked = list(self._wish.settings)
        found = left_out(self._left_out, operator_version(written.before) or "of unknown version")
        told = cautions(after, self._wish, before)
        # what was there before needs no comment
        found += [
            caution for caution in told if self._options.state != RESTORED or caution.code == VIRT_HANDLER_RESTARTS
        ]
        found += of_surroundings(
            overridden(metadata.get("annotations") or {}, asked),
            signs_of_owner(written.before) if written.changed else (),
            read_window(metadata),
            before,
            self._options.state,
        )
        if written.changed and not is_well(written.before):
            found.append(not_well(told_by(written.before)))
        return found


def operator_version(hyperconverged: Mapping[str, Any]) -> str:
    """Return the version of the operator that a HyperConverged tells, such as "1.16.3"; empty if it tells none."""
    for version in hco.read_path(hyperconverged, ("status",)).get("versions") or ():
        if version.get("name") == "operator":
            return str(version.get("version") or "")
    return ""


def _shown(config: Mapping[str, Any], window: Optional[Window]) -> dict[str, Any]:
    shown = dict(by_option(config))
    return {**shown, "window": window.to_dict() if window else dict(CLOSED)}


def _window_notes(window: Optional[Window]) -> list[str]:
    if window is None:
        return []
    former = ", ".join(f"{name} {text_of(value)}" for name, value in window.to_dict()["former"].items())
    return [f"A window is open since {window.opened_at}; state={RESTORED} puts back: {former}."]


def _namespaces_with(gateway: Gateway, network: str) -> list[str]:
    try:
        found = gateway.list(NETWORK_ATTACHMENTS).items
    except Forbidden:
        return []
    return sorted(item["metadata"]["namespace"] for item in found if item["metadata"]["name"] == network)
