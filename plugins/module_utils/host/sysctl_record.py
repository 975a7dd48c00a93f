# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What was there before a host was tuned, which is written down before anything is changed."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field, replace
from typing import Mapping, Optional

VERSION = 1


@dataclass(frozen=True)
class KeyRecord:
    """The value the kernel had before, the value it was given, and the path of the file that keeps it."""

    before: str
    wanted: str
    file: str


@dataclass(frozen=True)
class FileRecord:
    """A file before: its text (bytes that are no UTF-8 as surrogates), or None where there was no file.

    C(ours) are the digests of all texts that were written to it since, so that a later edit by others is noticed.
    """

    text: Optional[str]
    mode: int = 0o644
    uid: int = 0
    gid: int = 0
    ours: tuple[str, ...] = ()

    def with_text(self, text: str) -> FileRecord:
        """Return the record after this text was written."""
        mark = digest(text)
        return self if mark in self.ours else replace(self, ours=(*self.ours, mark))


@dataclass(frozen=True)
class Record:
    """Everything that has to be known to put a host back; empty for a host that was not tuned."""

    keys: Mapping[str, KeyRecord] = field(default_factory=dict)
    files: Mapping[str, FileRecord] = field(default_factory=dict)

    def to_text(self) -> str:
        """Return the record as the state file holds it."""
        content = {
            "version": VERSION,
            "keys": {key: asdict(item) for key, item in sorted(self.keys.items())},
            "files": {path: asdict(item) for path, item in sorted(self.files.items())},
        }
        return json.dumps(content, indent=1) + "\n"


def from_text(text: str) -> Record:
    """Return the record in a state file. Raises ValueError if it is none, or of a later version."""
    content = json.loads(text)
    if not isinstance(content, dict) or content.get("version") != VERSION:
        raise ValueError(f"version {VERSION} of the format is needed")
    try:
        keys = {key: KeyRecord(**item) for key, item in content["keys"].items()}
        files = {path: FileRecord(**{**item, "ours": tuple(item["ours"])}) for path, item in content["files"].items()}
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"parts of it are missing or unknown: {error}") from error
    return Record(keys, files)


def digest(text: str) -> str:
    """Return what tells a text from others."""
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def merged(old: Record, new: Record) -> Record:
    """Return a record that is good while the host goes from one to the other, wherever that is interrupted."""
    return Record({**old.keys, **new.keys}, {**old.files, **new.files})
