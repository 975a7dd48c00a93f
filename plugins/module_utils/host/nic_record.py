# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What interfaces and their configuration were before, which is written down before anything is changed."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Mapping, Optional

from .sysctl_record import FileRecord

VERSION = 1


@dataclass(frozen=True)
class ConnectionRecord:
    """A NetworkManager connection before: its properties that were set since, None for one that was not set.

    C(had_ethtool) tells whether it had any property of ethtool.
    """

    interface: str
    properties: Mapping[str, Optional[str]] = field(default_factory=dict)
    had_ethtool: bool = False


@dataclass(frozen=True)
class NicRecord:
    """Everything that has to be known to put a host's interfaces back.

    C(before) and C(wanted) are settings by interface and name, C(connections) are by UUID, C(files) by path.
    """

    before: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    wanted: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    connections: Mapping[str, ConnectionRecord] = field(default_factory=dict)
    files: Mapping[str, FileRecord] = field(default_factory=dict)

    @property
    def empty(self) -> bool:
        return not (self.before or self.wanted or self.connections or self.files)

    def to_text(self) -> str:
        """Return the record as the state file holds it."""
        return json.dumps({"version": VERSION, **asdict(self)}, indent=1, sort_keys=True) + "\n"


def from_text(text: str) -> NicRecord:
    """Return the record in a state file. Raises ValueError if it is none, or of a later version."""
    content = json.loads(text)
    if not isinstance(content, dict) or content.get("version") != VERSION:
        raise ValueError(f"version {VERSION} of the format is needed")
    try:
        return NicRecord(
            before=content["before"],
            wanted=content["wanted"],
            connections={uuid: ConnectionRecord(**item) for uuid, item in content["connections"].items()},
            files={
                path: FileRecord(**{**item, "ours": tuple(item["ours"])}) for path, item in content["files"].items()
            },
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"parts of it are missing or unknown: {error}") from error


def remembered(old: Mapping[str, Mapping[str, str]], now: Mapping[str, Mapping[str, str]]) -> dict[str, dict[str, str]]:
    """Return settings by interface where what was written down earlier wins over what is there now."""
    return {name: {**now.get(name, {}), **old.get(name, {})} for name in {**old, **now}}
