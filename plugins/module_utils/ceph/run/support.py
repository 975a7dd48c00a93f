# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Options of every module that calls ceph, and the gateway made of them."""

from __future__ import annotations

from typing import Any, Sequence

from ...errors import InvalidInput
from ..command import Connection
from .ceph import Ceph


def ceph_argument_spec() -> dict[str, Any]:
    """Return the options that say how to call ceph (documented in doc_fragments/ceph_command.py)."""
    return {
        "ceph_command": {"type": "list", "elements": "str", "default": ["ceph"]},
        "conf": {"type": "path"},
        "keyring": {"type": "path", "no_log": False},
        "client_name": {"type": "str"},
        "connect_timeout_seconds": {"type": "int", "default": 20},
        "command_timeout_seconds": {"type": "int", "default": 120},
    }


def ceph_of(module: Any) -> Ceph:
    """Return the gateway that a module's options describe; nothing is called yet."""
    params = module.params
    if not params["ceph_command"] or not all(params["ceph_command"]):
        raise InvalidInput("ceph_command", params["ceph_command"], "a command as a list is needed, such as [ceph]")
    for option in ("connect_timeout_seconds", "command_timeout_seconds"):
        if params[option] < 1:
            raise InvalidInput(option, params[option], "a number from 1 on is needed")
    connection = Connection(
        command=tuple(params["ceph_command"]),
        conf=params["conf"] or "",
        keyring=params["keyring"] or "",
        name=params["client_name"] or "",
        connect_timeout_seconds=params["connect_timeout_seconds"],
        timeout_seconds=params["command_timeout_seconds"],
    )

    def run(argv: Sequence[str]) -> tuple[int, str, str]:
        code, output, errors = module.run_command(list(argv), environ_update={"LC_ALL": "C"})
        return int(code), str(output), str(errors)

    return Ceph(connection, run)
