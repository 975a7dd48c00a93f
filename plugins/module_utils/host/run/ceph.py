# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What ceph_host_health does: ask Ceph about the daemons of a host until they have been well for some time."""

from __future__ import annotations

import time
from typing import Any, Callable, Mapping

from ...ceph.run.support import ceph_of
from ...errors import InvalidInput, OcpvError, TimedOut
from ..ceph_health import Daemon, daemons_of


def check(
    module: Any, clock: Callable[[], float] = time.monotonic, sleep: Callable[[float], None] = time.sleep
) -> Mapping[str, Any]:
    """Return the module's result; C(module) has the options of ceph_host_health.

    Raises TimedOut if the daemons were not well for long enough within the time.
    """
    options = module.params
    for name, least in (("timeout_seconds", 0), ("stable_seconds", 0), ("poll_seconds", 0.1)):
        if options[name] < least:
            raise InvalidInput(name, options[name], f"a number from {least} on is needed")
    if options["timeout_seconds"] and options["stable_seconds"] > options["timeout_seconds"]:
        allowed = f"it cannot be more than timeout_seconds, which is {options['timeout_seconds']:g}"
        raise InvalidInput("stable_seconds", options["stable_seconds"], allowed)
    begin = well_since = clock()
    while True:
        try:
            daemons, health = _ask(module)
            problem = _told(daemons)
        except InvalidInput:
            raise
        except OcpvError as error:  # a monitor on this host may be the one that does not answer
            daemons, health, problem = [], "", error.message
            if not options["timeout_seconds"]:
                raise
        now = clock()
        if problem:
            well_since = now
        if not problem and now - well_since >= options["stable_seconds"]:
            return _result(options["host"], daemons, health)
        if now - begin >= options["timeout_seconds"] and (problem or not options["timeout_seconds"]):
            raise _failure(options, daemons, health, problem)
        sleep(options["poll_seconds"])


def _ask(module: Any) -> tuple[list[Daemon], str]:
    ceph = ceph_of(module)
    status = ceph.ask_json(dict, "status")
    nodes = ceph.ask_json(dict, "node", "ls", "all")
    tree = ceph.ask_json(dict, "osd", "tree")
    managers = ceph.ask_json(dict, "mgr", "dump")
    return daemons_of(module.params["host"], nodes, tree, status, managers), str(status["health"]["status"])


def _told(daemons: list[Daemon]) -> str:
    return ", ".join(f"{daemon.name} is {daemon.problem}" for daemon in daemons if daemon.problem)


def _failure(options: Mapping[str, Any], daemons: list[Daemon], health: str, problem: str) -> TimedOut:
    waited = f" for {options['timeout_seconds']:g} s" if options["timeout_seconds"] else ""
    return TimedOut(
        f"The Ceph daemons of {options['host']} are not all up and in{waited}: {problem}.",
        hint="See `ceph -s` and the daemons' logs on the host.",
        details=_result(options["host"], daemons, health),
    )


def _result(host: str, daemons: list[Daemon], health: str) -> dict[str, Any]:
    return {
        "host": host,
        "health": health,
        "daemons": [{"name": daemon.name, "problem": daemon.problem} for daemon in daemons],
        "troubled": [daemon.name for daemon in daemons if daemon.problem],
    }
