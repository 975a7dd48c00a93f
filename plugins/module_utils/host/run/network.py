# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is measured on a host's network: links, round-trip times, softnet statistics."""

from __future__ import annotations

import os
import time
from typing import Any, Callable, Optional

from ...errors import InvalidInput, OcpvError
from .. import softnet
from ..links import Bond, Link, Port
from ..socket_buffers import Ping, parse_ping
from .files import read

NET = "/sys/class/net"
SOFTNET = "/proc/net/softnet_stat"
_VIRTUAL_DEPTH = 4
_PING_PAUSE_SECONDS = 0.2


def link(name: str, option: str, net: str = NET) -> Link:
    """Return an interface with the bond it is or rests on. Raises InvalidInput, naming the option, if there is none."""
    folder = os.path.join(net, name)
    if not name or "/" in name or not os.path.isdir(folder):
        there = ", ".join(sorted(os.listdir(net))) if os.path.isdir(net) else "none"
        raise InvalidInput(option, name, f"there is no such interface; there are: {there}")
    mtu = int((read(os.path.join(folder, "mtu")) or "0").strip())
    return Link(name, _speed(folder), mtu, _bond(_carrier(folder, net), net))


def ping(module: Any, address: str, interface: str, count: int) -> Ping:
    """Measure the round-trip time. Raises InvalidInput if nothing comes back."""
    command = ["ping", "-n", "-q", "-c", str(count), "-i", str(_PING_PAUSE_SECONDS), "-W", "2"]
    command += ["-I", interface] if interface else []
    program = module.get_bin_path("ping")
    if program is None:
        raise OcpvError("There is no ping on this host.", hint="Install iputils, or give the time with round_trip_ms.")
    _code, output, errors = module.run_command([program, *command[1:], address], environ_update={"LC_ALL": "C"})
    try:
        return parse_ping(output)
    except ValueError as error:
        words = (errors.strip() or output.strip()).splitlines()
        said = words[-1] if words else "nothing came back"
        over = f" over {interface}" if interface else ""
        raise InvalidInput(
            "socket_buffers.ping_address",
            address,
            f"it does not answer{over} ({said})",
            hint="Check the address and the interface, or give the time with round_trip_ms.",
        ) from error


def softnet_growth(seconds: float, path: str = SOFTNET, sleep: Callable[[float], None] = time.sleep) -> softnet.Growth:
    """Return what was counted within some seconds. Raises OcpvError if the kernel's statistics cannot be used."""
    readings = []
    for number in range(2):
        if number:
            sleep(seconds)
        text = read(path)
        if text is None:
            raise OcpvError(f"{path} is missing, so the budget and the backlog cannot be advised.")
        try:
            readings.append(softnet.parse(text))
        except ValueError as error:
            raise OcpvError(f"{path} is not understood: {error}.") from error
    return softnet.growth(*readings)


def _speed(folder: str) -> Optional[int]:
    # an interface that is down, or whose driver knows no speed, gives an error or -1
    try:
        with open(os.path.join(folder, "speed"), encoding="ascii") as file:
            speed = int(file.read())
    except (OSError, ValueError):
        return None
    return speed if 0 < speed < 4294967295 else None


def _carrier(folder: str, net: str) -> str:
    """Return the interface below VLANs, macvlans and the like."""
    for _level in range(_VIRTUAL_DEPTH):
        if os.path.isdir(os.path.join(folder, "bonding")):
            break
        lower = [name[len("lower_") :] for name in os.listdir(folder) if name.startswith("lower_")]
        if len(lower) != 1 or not os.path.isdir(os.path.join(net, lower[0])):
            break
        folder = os.path.join(net, lower[0])
    return folder


def _bond(folder: str, net: str) -> Optional[Bond]:
    mode = read(os.path.join(folder, "bonding", "mode"))
    if mode is None:
        return None
    names = (read(os.path.join(folder, "bonding", "slaves")) or "").split()
    active = (read(os.path.join(folder, "bonding", "active_slave")) or "").strip()
    ports = []
    for name in names:
        port = os.path.join(net, name)
        state = (read(os.path.join(port, "bonding_slave", "mii_status")) or "").strip()
        ports.append(Port(name, _speed(port), state == "up"))
    return Bond(mode.split()[0], active, tuple(ports))
