# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How settings of an interface outlast a reboot: properties of a NetworkManager connection, lines of an ifcfg file.

Sources: nm-settings-nmcli(5) 1.42; initscripts' sysconfig.txt (MTU, ETHTOOL_OPTS).
"""

from __future__ import annotations

import re
import shlex
from typing import Mapping, Optional

from .nic import MTU, OFFLOAD, RX_RING, TX_RING, short_name

_MTU_PROPERTY = "802-3-ethernet.mtu"
_RINGS = {RX_RING: ("ethtool.ring-rx", "rx"), TX_RING: ("ethtool.ring-tx", "tx")}
# how nmcli takes a property back
UNSET: Mapping[str, str] = {_MTU_PROPERTY: "auto"}


def properties(settings: Mapping[str, str]) -> dict[str, str]:
    """Return settings of an interface as properties of its NetworkManager connection."""
    found = {}
    for setting, value in settings.items():
        if setting == MTU:
            found[_MTU_PROPERTY] = value
        elif setting in _RINGS:
            found[_RINGS[setting][0]] = value
        else:
            found[f"ethtool.feature-{short_name(setting[len(OFFLOAD) :])}"] = value
    return found


def parse_properties(text: str) -> dict[str, str]:
    """Return what C(nmcli -t -f 802-3-ethernet,ethtool connection show) prints; what is not set is missing."""
    found = {}
    for line in text.splitlines():
        name, colon, value = line.partition(":")
        if colon and (name == _MTU_PROPERTY or name.startswith("ethtool.")) and value not in ("", "auto", "--"):
            found[name] = value
    return found


def change_ifcfg(text: str, interface: str, settings: Mapping[str, str]) -> str:
    """Return an ifcfg file's text with settings of its interface, and everything else as it was."""
    if MTU in settings:
        text = _with_line(text, "MTU", settings[MTU])
    rings = {_RINGS[setting][1]: value for setting, value in settings.items() if setting in _RINGS}
    offloads = {
        short_name(setting[len(OFFLOAD) :]): value for setting, value in settings.items() if setting.startswith(OFFLOAD)
    }
    if rings or offloads:
        options = line_value(text, "ETHTOOL_OPTS") or ""
        for flag, words in (("-G", rings), ("-K", offloads)):
            options = _with_words(options, flag, interface, words)
        text = _with_line(text, "ETHTOOL_OPTS", f'"{options}"')
    return text


def line_value(text: str, name: str) -> Optional[str]:
    """Return the value of the last line for a name in an ifcfg file, without quotes; None if there is none."""
    found = re.findall(rf"^[ \t]*{name}=(.*)$", text, re.MULTILINE)
    if not found:
        return None
    try:
        words = shlex.split(found[-1], comments=True)
    except ValueError:
        return str(found[-1]).strip()
    return words[0] if words else ""


def put_back_ifcfg(text: str, original: str) -> str:
    """Return a file that somebody else changed meanwhile, with MTU and ETHTOOL_OPTS as in the original."""
    for name in ("MTU", "ETHTOOL_OPTS"):
        lines = re.findall(rf"^[ \t]*{name}=.*$", original, re.MULTILINE)
        text = _without_line(text, name) if not lines else _with_text(text, name, lines[-1].strip())
    return text


def _with_line(text: str, name: str, value: str) -> str:
    now, bare = line_value(text, name), value.strip('"')
    return text if now == bare else _with_text(text, name, f"{name}={value}")


def _with_text(text: str, name: str, line: str) -> str:
    found = list(re.finditer(rf"^[ \t]*{name}=.*$", text, re.MULTILINE))
    if found:
        return text[: found[-1].start()] + line + text[found[-1].end() :]
    return text + ("" if not text or text.endswith("\n") else "\n") + line + "\n"


def _without_line(text: str, name: str) -> str:
    return re.sub(rf"^[ \t]*{name}=.*\n?", "", text, flags=re.MULTILINE)


def _with_words(options: str, flag: str, interface: str, words: Mapping[str, str]) -> str:
    """Return ethtool's options, parts by semicolons, with pairs of words for a flag set."""
    if not words:
        return options
    parts = [part.strip() for part in options.split(";") if part.strip()]
    for number, part in enumerate(parts):
        there = part.split()
        if there[:2] == [flag, interface]:
            pairs = {**dict(zip(there[2::2], there[3::2])), **words}
            parts[number] = " ".join([flag, interface, *(word for pair in pairs.items() for word in pair)])
            return "; ".join(parts)
    return "; ".join([*parts, " ".join([flag, interface, *(word for pair in words.items() for word in pair)])])
