# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Files of sysctl.d: what they set, how one is changed without losing what others wrote, and which file wins.

Sources: sysctl.d(5), systemd-sysctl(8) and sysctl(8); where the two programs differ, both were tried (systemd 252,
procps 4.0.2).
"""

from __future__ import annotations

import fnmatch
import posixpath
import re
from dataclasses import dataclass
from typing import Iterable, Mapping, Optional

from .sysctl_keys import key_path, same_value, split_key

# a file of one name hides those of the same name further on
DIRECTORIES = ("/etc/sysctl.d", "/run/sysctl.d", "/usr/local/lib/sysctl.d", "/usr/lib/sysctl.d", "/lib/sysctl.d")
# read last by `sysctl --system`; at boot only through a link from one of the directories
MAIN_FILE = "/etc/sysctl.conf"
AT_BOOT = "systemd-sysctl"
BY_COMMAND = "sysctl --system"
HEADING = "# Written by Ansible (ocpv.scale.node_sysctl_tune), which also puts back what was here before.\n"
_COMMENTS = ("#", ";")
_GLOB = re.compile(r"[*?\[]")


@dataclass(frozen=True)
class Assignment:
    """A line that sets a key or a glob of keys, or, with no C(value), excludes keys from globs.

    C(path) is the key's path below /proc/sys, C(ignored) tells of a line with a leading minus, which is set or
    left out without a word.
    """

    path: str
    value: Optional[str]
    line: int
    ignored: bool = False

    @property
    def is_glob(self) -> bool:
        return bool(_GLOB.search(self.path))


@dataclass(frozen=True)
class SysctlFile:
    """A file as found: its path, its text, and where it leads to if it is a link (else empty)."""

    path: str
    text: str
    target: str = ""

    @property
    def name(self) -> str:
        return posixpath.basename(self.path)


@dataclass(frozen=True)
class Setting:
    """Who decides about a key: file, line (from 1), and the value as written there."""

    path: str
    line: int
    value: str


def parse(text: str) -> list[Assignment]:
    """Return what a file sets, line by line; comments, blank lines and what is no assignment are left out."""
    found = []
    for number, line in enumerate(text.split("\n"), start=1):
        assignment = _parse_line(line, number)
        if assignment is not None:
            found.append(assignment)
    return found


def change(text: str, wanted: Mapping[str, str], dropped: Mapping[str, Optional[str]]) -> str:
    """Return a file's text with keys set as C(wanted), and everything else as it was.

    C(dropped) are keys to give up, with the value to put back or None to take their line out. Of several lines for one
    key the last is changed, since it decides. A comment behind a value, which would be part of the value, gets a line
    of its own. Keys are in the spelling of C(normalize_key).
    """
    lines = text.split("\n")
    at = {assignment.path: assignment for assignment in parse(text) if assignment.value is not None}
    keep: list[Optional[str]] = [*lines]
    missing = []
    aims: dict[str, Optional[str]] = {**dropped, **wanted}
    for key, value in aims.items():
        there = at.get(key_path(key))
        if there is None:
            if value is not None:
                missing.append(f"{key} = {value}")
        elif value is None:
            keep[there.line - 1] = None
        elif not same_value(there.value or "", value):
            keep[there.line - 1] = _rewritten(lines[there.line - 1], there.value or "", value)
    kept = "\n".join(line for line in keep if line is not None)
    if missing:
        if kept and not kept.endswith("\n"):
            kept += "\n"
        kept = (kept or HEADING) + "\n".join(missing) + "\n"
    return "" if kept.strip("\n") == HEADING.strip("\n") else kept


def values_in(text: str) -> dict[str, str]:
    """Return path below /proc/sys and value of each key that a file sets by name; the last line counts."""
    return {item.path: item.value for item in parse(text) if item.value is not None and not item.is_glob}


def in_order(files: Iterable[SysctlFile], reader: str) -> list[SysctlFile]:
    """Return the files that a program reads, in its order: by name over all directories, C(/etc/sysctl.conf) last.

    C(reader) is C(AT_BOOT) or C(BY_COMMAND). Of one name only that of the first directory counts; a link to /dev/null
    so hides the others.
    """
    by_name: dict[str, SysctlFile] = {}
    main = None
    rank = {directory: number for number, directory in enumerate(DIRECTORIES)}
    for file in files:
        if file.path == MAIN_FILE:
            main = file
            continue
        place = rank.get(posixpath.dirname(file.path))
        if place is None or not file.name.endswith(".conf"):
            continue
        other = by_name.get(file.name)
        if other is None or place < rank[posixpath.dirname(other.path)]:
            by_name[file.name] = file
    ordered = [by_name[name] for name in sorted(by_name) if by_name[name].target != "/dev/null"]
    return ordered + [main] if main is not None and reader == BY_COMMAND else ordered


def winner(key: str, files: Iterable[SysctlFile], reader: str) -> Optional[Setting]:
    """Return who sets a key when a program has read all files, None if nobody does.

    A line that names the key wins over every glob; among lines of a kind the last wins.
    """
    path = key_path(key)
    named: Optional[Setting] = None
    by_glob: Optional[Setting] = None
    excluded = False
    for file in in_order(files, reader):
        for item in parse(file.text):
            if item.path == path:
                if item.value is None:
                    excluded = True
                else:
                    named = Setting(file.path, item.line, item.value)
            elif item.is_glob and item.value is not None and _matches(path, item.path):
                by_glob = Setting(file.path, item.line, item.value)
    return named if named is not None else None if excluded else by_glob


def hidden_by(path: str, files: Iterable[SysctlFile]) -> list[str]:
    """Return the files of the same name that are not read because of the one at C(path)."""
    name, own = posixpath.basename(path), posixpath.dirname(path)
    if own not in DIRECTORIES:
        return []
    after = DIRECTORIES[DIRECTORIES.index(own) + 1 :]
    return sorted(file.path for file in files if file.name == name and posixpath.dirname(file.path) in after)


def _parse_line(line: str, number: int) -> Optional[Assignment]:
    text = line.strip()
    if not text or text.startswith(_COMMENTS):
        return None
    name, equals, value = text.partition("=")
    ignored = name.startswith("-")
    name = name[1:].strip() if ignored else name.strip()
    if not name or (not equals and not ignored):
        return None
    return Assignment("/".join(split_key(name)), value.strip() if equals else None, number, ignored)


def _rewritten(line: str, old: str, value: str) -> str:
    """Return a line with another value; a comment that was in its value goes on a line of its own before it."""
    before, equals, rest = line.partition("=")
    blanks = rest[: len(rest) - len(rest.lstrip())]
    fresh = f"{before}{equals}{blanks.rstrip(chr(13))}{value}"
    mark = re.search(r"[#;].*$", old)
    return f"{mark.group()}\n{fresh}" if mark else fresh


def _matches(path: str, glob: str) -> bool:
    """Tell whether a glob means a path; a star stays within a segment, as for glob(3)."""
    parts, patterns = path.split("/"), glob.split("/")
    return len(parts) == len(patterns) and all(map(fnmatch.fnmatchcase, parts, patterns))
