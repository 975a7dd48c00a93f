# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The ceph command line, and what its failures mean. It holds paths of keyrings and names of keys, never a key."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from typing import Optional, Sequence

from ..errors import OcpvError

_CEPHADM = "cephadm"
_SHELL = "shell"
# return codes of coreutils' timeout
_TIMED_OUT = (124, 137)
# of librados, when the configuration or the key is not where it was looked for
_NOT_CONFIGURED = (
    "unable to find a keyring",
    "no keyring found",
    "can't open",
    "conf_read_file",
    "rados object not found",
)


class CommandMissing(OcpvError):
    """The program is not installed where the module runs."""


class NoQuorum(OcpvError):
    """No monitor answered in time: they are down, unreachable, or have no quorum."""


class Denied(OcpvError):
    """The key is missing or wrong, or its capabilities do not allow this."""


class Refused(OcpvError):
    """Ceph understood and refused; C(details) holds the command and its return code."""


@dataclass(frozen=True)
class Connection:
    """How to call ceph: the command, and the cluster and user to use; empty options are left to ceph's own defaults."""

    command: tuple[str, ...] = ("ceph",)
    conf: str = ""
    keyring: str = ""
    name: str = ""
    connect_timeout_seconds: int = 20
    timeout_seconds: int = 120

    @property
    def in_container(self) -> bool:
        return self.command[0].rpartition("/")[2] == _CEPHADM

    def argv(self, arguments: Sequence[str]) -> list[str]:
        """Return the whole command line, under C(timeout) of coreutils, since a ceph may hang for minutes."""
        head, tail = list(self.command), []
        options = {"--conf": self.conf, "--keyring": self.keyring}
        if self.in_container and _SHELL in head:
            at = head.index(_SHELL) + 1
            # paths of the host are not seen inside the container: cephadm mounts the files
            options = {"--config": self.conf, "--keyring": self.keyring}
            head[at:at] = [part for option, value in options.items() if value for part in (option, value)]
        else:
            tail = [part for option, value in options.items() if value for part in (option, value)]
        name = ["--name", self.name] if self.name else []
        return [
            "timeout",
            "--kill-after=10",
            str(self.timeout_seconds),
            *head,
            *tail,
            *name,
            "--connect-timeout",
            str(self.connect_timeout_seconds),
            *arguments,
        ]


def as_text(arguments: Sequence[str]) -> str:
    """Return a command as people type it."""
    return "ceph " + shlex.join(arguments)


def failure(connection: Connection, arguments: Sequence[str], code: int, errors: str) -> Optional[OcpvError]:
    """Return the error for a command's return code and standard error; None if it succeeded.

    The codes are errno values (osd/mon answer EINVAL 22, ENOENT 2, EACCES 13, EPERM 1, ERANGE 34); 1 is also what the
    program itself ends with when no monitor answers.
    """
    if not code:
        return None
    said, command = _said(errors), as_text(arguments)
    details = {"command": command, "rc": code, "stderr": said}
    if code in (126, 127):
        return CommandMissing(
            f"`{connection.command[0]}` could not be started: {said or 'no such program'}.",
            hint="Run this where the ceph command is installed (package ceph-common), or give ceph_command, such as "
            "[cephadm, shell, --, ceph] on a host with the admin keyring.",
            details=details,
        )
    if code in _TIMED_OUT:
        return NoQuorum(
            f"`{command}` gave no answer within {connection.timeout_seconds} s.",
            hint="Are a manager and enough monitors up (`ceph -s`, `ceph quorum_status`)? "
            "If so, raise command_timeout_seconds.",
            details=details,
        )
    lowered = errors.lower()
    if "timed out" in lowered or "etimedout" in lowered or "error connecting" in lowered and code == 110:
        return NoQuorum(
            f"No monitor answered `{command}` within {connection.connect_timeout_seconds} s.",
            hint="Are the monitors up and in quorum, and does the configuration (conf) name their addresses?",
            details=details,
        )
    if code == 13 or "eacces" in lowered or "access denied" in lowered or "permission denied" in lowered:
        return Denied(
            f"`{command}` is not allowed: {said}.",
            hint="Give keyring and client_name of a user with `mon 'allow rw, allow service config-key rw'` and "
            "`mgr 'allow rw'`, such as client.admin.",
            details=details,
        )
    if any(sign in lowered for sign in _NOT_CONFIGURED):
        return Denied(
            f"`{command}` found no configuration or key: {said}.",
            hint="Give conf, keyring and client_name, or run it where /etc/ceph has them.",
            details=details,
        )
    return Refused(f"`{command}` failed ({code}): {said}.", details=details)


def _said(errors: str) -> str:
    """Return the line that tells the error: ceph may print its whole help before, and notes of cephadm."""
    told = [line.strip() for line in errors.splitlines() if line.strip()]
    marked = [line for line in told if line.startswith(("Error ", "Invalid command", "[errno"))]
    first = marked[0] if marked else told[-1] if told else ""
    if first.startswith("Invalid command") and len(marked) > 1:
        first = first.split(" not in ")[0]
    return re.sub(r"key\s*[=:]\s*\S+", "key=...", first)[:500].rstrip(".")
