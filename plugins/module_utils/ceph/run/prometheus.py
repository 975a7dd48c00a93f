# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What ceph_prometheus_config does: set the exporter, prove that it took it, and put it back."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Any, Callable, Mapping, Optional

from ...errors import InvalidInput, OcpvError, TimedOut
from ..command import as_text
from ..exporter import (
    AT_START,
    MODULE,
    OPTIONS,
    POOLS,
    Found,
    Manager,
    Record,
    differing,
    extended,
    normal,
    option_name,
    pool_names,
    rbd_metrics,
    read_manager,
    read_record,
    read_settings,
    refuse_unknown,
    same,
    set_command,
    wanted,
)
from ..record import EXPORTER_RECORD
from .ceph import Ceph
from .page import fetch
from .support import ceph_of

_POLL_SECONDS = 1.0


class NotTaken(OcpvError):
    """A setting reads back as something else than what was set."""


class ExporterSilent(OcpvError):
    """The exporter does not answer, or without the metrics that were asked for."""


@dataclass(frozen=True)
class _Plan:
    """C(orders) in their sequence; C(pending): the running manager has not read a setting that it reads at its
    start."""

    orders: tuple[tuple[str, ...], ...]
    then: Mapping[str, Optional[str]]
    enabled: bool
    pending: bool
    restart: bool


def operate(module: Any) -> Mapping[str, Any]:
    """Do what the module's options ask for and return its result."""
    params = module.params
    _check(params)
    ceph = ceph_of(module)
    manager = read_manager(ceph.ask_json(dict, "mgr", "dump"))
    found = _settings(ceph)
    record = read_record(ceph.config_key(EXPORTER_RECORD))
    if params["state"] == "present":
        then: Mapping[str, Optional[str]] = wanted(params)
        if then.get(POOLS):
            refuse_unknown(then[POOLS], ceph.pools())
        plan = _present(manager, found, record, then, params["restart_mgr"])
    else:
        plan = _restored(manager, found, record, params["restart_mgr"])
    orders = [as_text(order) for order in plan.orders]
    if not module.check_mode:
        _carry_out(ceph, manager, plan, params["timeout_seconds"])
        orders = list(ceph.sent)
    before = _told(found.settings, manager.enabled)
    after = _told({**found.settings, **plan.then}, plan.enabled)
    result: dict[str, Any] = {
        "changed": bool(orders),
        "commands": orders,
        "settings": after,
        "overriding": {option: list(values) for option, values in found.overriding.items()},
        "restart_pending": plan.pending and not plan.restart,
        "exporter": {},
    }
    _warn(module, found, result["restart_pending"])
    if module._diff and before != after:
        result["diff"] = {"before": before, "after": after}
    if params["check_exporter"] and not (module.check_mode and orders):
        result["exporter"] = _check_exporter(ceph, params, after[POOLS])
    return result


def _check(params: Mapping[str, Any]) -> None:
    if params["state"] == "present" and all(params[option] is None for option in OPTIONS):
        raise InvalidInput("state", "present", f"one of {', '.join(OPTIONS)} is needed")
    if params["timeout_seconds"] < 1:
        raise InvalidInput("timeout_seconds", params["timeout_seconds"], "a number from 1 on is needed")


def _settings(ceph: Ceph) -> Found:
    return read_settings(ceph.ask_json(list, "config", "dump"))


def _present(
    manager: Manager, found: Found, record: Optional[Record], then: Mapping[str, Optional[str]], restart: bool
) -> _Plan:
    changes = differing(found.settings, then)
    late = manager.enabled and any(option in AT_START for option in changes)
    pending = late or _waits(record, manager)
    orders: list[tuple[str, ...]] = []
    if changes or not manager.enabled:
        kept = extended(record, found, manager.enabled, changes)
        kept = replace(kept, waiting=manager.generation) if late else kept
        if kept != record:
            orders.append(("config-key", "set", EXPORTER_RECORD, kept.as_text()))
    orders += [tuple(set_command(option, value)) for option, value in changes.items()]
    if not manager.enabled:
        orders.append(("mgr", "module", "enable", MODULE))
        pending = False
    return _with_restart(orders, manager, then, True, pending, restart)


def _restored(manager: Manager, found: Found, record: Optional[Record], restart: bool) -> _Plan:
    if record is None:
        return _Plan((), {}, manager.enabled, False, False)
    changes = differing(found.settings, record.settings)
    pending = any(option in AT_START for option in changes) and manager.enabled and record.enabled
    orders = [tuple(set_command(option, value)) for option, value in changes.items()]
    if manager.enabled and not record.enabled:
        orders.append(("mgr", "module", "disable", MODULE))
    orders.append(("config-key", "rm", EXPORTER_RECORD))
    return _with_restart(orders, manager, record.settings, record.enabled and manager.enabled, pending, restart)


def _with_restart(
    orders: list[tuple[str, ...]],
    manager: Manager,
    then: Mapping[str, Optional[str]],
    enabled: bool,
    pending: bool,
    restart: bool,
) -> _Plan:
    if pending and restart:
        orders.append(("mgr", "fail", manager.name))
    return _Plan(tuple(orders), then, enabled, pending, pending and restart)


def _waits(record: Optional[Record], manager: Manager) -> bool:
    return bool(record and record.waiting is not None and record.waiting == manager.generation)


def _carry_out(ceph: Ceph, manager: Manager, plan: _Plan, timeout_seconds: float) -> None:
    for order in plan.orders:
        ceph.order(order)
        if order[0] == "mgr":
            _wait_for_manager(ceph, manager, plan.enabled, timeout_seconds)
    if plan.orders:
        now = _settings(ceph).settings
        for option, value in plan.then.items():
            if not same(option, now.get(option), value or None):
                raise NotTaken(
                    f"{option_name(option)} was set to {value!r} and reads back as {now.get(option)!r}.",
                    hint="Does something else set it as well?",
                    details={"commands": list(ceph.sent)},
                )


def _wait_for_manager(ceph: Ceph, former: Manager, enabled: bool, timeout_seconds: float) -> None:
    """Wait until another manager, or the same one anew, is there with the module as wanted."""

    def ready() -> bool:
        now = read_manager(ceph.ask_json(dict, "mgr", "dump"))
        return now.generation != former.generation and now.available and now.enabled == bool(now.address) == enabled

    if not _until(ready, timeout_seconds):
        raise TimedOut(
            f"No manager was available with the module {MODULE} {'on' if enabled else 'off'} within "
            f"{timeout_seconds:g} s.",
            hint="See `ceph mgr dump` and `ceph health detail`; the settings are in place.",
            details={"commands": list(ceph.sent)},
        )


def _check_exporter(ceph: Ceph, params: Mapping[str, Any], pools: Optional[str]) -> dict[str, Any]:
    """Return address and counts of RBD metrics, once there are some of every pool that is asked for."""
    address = params["exporter_url"] or read_manager(ceph.ask_json(dict, "mgr", "dump")).address
    if not address:
        raise ExporterSilent(
            f"The manager tells no address of its module {MODULE}.",
            hint="Give exporter_url, or see `ceph mgr services`.",
        )
    url = address.rstrip("/") + "/metrics"
    names = pool_names(pools)
    last: dict[str, Any] = {"counts": {}, "reason": ""}

    def answers() -> bool:
        page, last["reason"] = fetch(url)
        last["counts"] = rbd_metrics(page, names)
        return not last["reason"] and (not pools or all(last["counts"].values()))

    if not _until(answers, params["timeout_seconds"]):
        silent = ", ".join(name for name, count in last["counts"].items() if not count)
        reason = last["reason"] or f"it has no RBD metrics of {silent}"
        raise ExporterSilent(
            f"The exporter at {url} does not show what it should: {reason}.",
            hint="It shows images that are open, after the next collection (scrape_interval). Is the address reachable "
            "from this host, and do the pools have images in use?",
            details={"url": url, "rbd_metrics": last["counts"]},
        )
    return {"url": url, "rbd_metrics": last["counts"]}


def _until(
    condition: Callable[[], bool],
    seconds: float,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> bool:
    deadline = clock() + seconds
    while not condition():
        if clock() + _POLL_SECONDS > deadline:
            return False
        sleep(_POLL_SECONDS)
    return True


def _told(settings: Mapping[str, Optional[str]], enabled: bool) -> dict[str, Any]:
    return {**{option: normal(option, settings.get(option)) for option in OPTIONS}, "enabled": enabled}


def _warn(module: Any, found: Found, restart_pending: bool) -> None:
    for values in found.overriding.values():
        module.warn(f"An entry of one manager wins over what is set here: {', '.join(values)}.")
    if restart_pending:
        module.warn(
            "scrape_interval takes effect when the manager's module starts again. Set restart_mgr, or run "
            "`ceph mgr fail` when it suits."
        )
