# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From what a host has and what it should have to what is to be written, and to what to tell about it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Mapping, Optional, Sequence

from . import sysctl_files as files
from .sysctl_files import SysctlFile
from .sysctl_keys import key_path, same_value
from .sysctl_profiles import Wanted
from .sysctl_record import FileRecord, KeyRecord, Record, digest


@dataclass(frozen=True)
class FileFacts:
    """A drop-in as found: its text, permissions and owner."""

    text: str
    mode: int = 0o644
    uid: int = 0
    gid: int = 0


@dataclass(frozen=True)
class Observed:
    """A host as read: what the kernel prints for each key that matters, by key; the drop-ins that matter, by path;
    and all files that sysctl's programs may read. A key that is missing from C(runtime) is not there."""

    runtime: Mapping[str, str]
    drop_ins: Mapping[str, FileFacts]
    files: Sequence[SysctlFile] = ()


@dataclass(frozen=True)
class KeyChange:
    """A value to give to the kernel."""

    key: str
    before: str
    after: str


@dataclass(frozen=True)
class FileChange:
    """A file to write (C(after) and its permissions), or to remove (C(after) is None)."""

    path: str
    before: Optional[FileFacts]
    after: Optional[FileFacts]


@dataclass(frozen=True)
class Plan:
    """What is to be done. C(record) is what has to be written down first; it is empty when all is put back.

    C(gone) are keys that cannot be put back since the kernel has them no more; C(edited) are files that somebody else
    changed meanwhile, in which only our own lines are taken back.
    """

    key_changes: tuple[KeyChange, ...]
    file_changes: tuple[FileChange, ...]
    record: Record
    gone: tuple[str, ...] = ()
    edited: tuple[str, ...] = ()

    @property
    def changes(self) -> bool:
        return bool(self.key_changes or self.file_changes)


@dataclass
class _Draft:
    key_changes: list[KeyChange] = field(default_factory=list)
    file_changes: list[FileChange] = field(default_factory=list)
    keys: dict[str, KeyRecord] = field(default_factory=dict)
    files: dict[str, FileRecord] = field(default_factory=dict)
    gone: list[str] = field(default_factory=list)
    edited: list[str] = field(default_factory=list)

    def plan(self) -> Plan:
        record = Record(self.keys, self.files)
        return Plan(tuple(self.key_changes), tuple(self.file_changes), record, tuple(self.gone), tuple(self.edited))


def plan(wanted: Sequence[Wanted], directory: str, observed: Observed, record: Record) -> Plan:
    """Return how to bring the host to what is wanted, and what an earlier call set and nobody wants any more back.

    All wanted keys have to be in C(observed.runtime); files are kept in C(directory).
    """
    draft = _Draft()
    for item in wanted:
        now, known = observed.runtime[item.key], record.keys.get(item.key)
        before = known.before if known else now
        draft.keys[item.key] = KeyRecord(before, item.value, f"{directory}/{item.file}")
        if not same_value(now, item.value):
            draft.key_changes.append(KeyChange(item.key, now, item.value))
    _put_back_keys([key for key in record.keys if key not in draft.keys], observed, record, draft)
    for path in dict.fromkeys([item.file for item in draft.keys.values()] + list(record.files)):
        aims = {key: item.wanted for key, item in draft.keys.items() if item.file == path}
        if aims:
            _plan_file(path, aims, observed, record, draft)
        else:
            _put_back_file(path, observed, record, draft)
    return draft.plan()


def plan_return(observed: Observed, record: Record) -> Plan:
    """Return how to put everything back that was changed since the record began."""
    draft = _Draft()
    _put_back_keys(list(record.keys), observed, record, draft)
    for path in record.files:
        _put_back_file(path, observed, record, draft)
    return draft.plan()


def drift(observed: Observed, record: Record) -> list[dict[str, str]]:
    """Return where the host is no longer as the last call left it: dictionaries with key, where (C(runtime) or a path),
    expected and found (empty if it is gone)."""
    found = []
    for key, item in record.keys.items():
        facts = observed.drop_ins.get(item.file)
        in_file = files.values_in(facts.text).get(key_path(key), "") if facts else ""
        for where, value in (("runtime", observed.runtime.get(key, "")), (item.file, in_file)):
            if not same_value(value, item.wanted):
                found.append({"key": key, "where": where, "expected": item.wanted, "found": value})
    return found


def overrides(record: Record, planned: Plan, observed: Observed) -> list[dict[str, Any]]:
    """Return which keys other files decide about once the plan is carried out.

    Dictionaries with key, wanted, reader (the program after whose run the other value holds), path, line and value.
    """
    changed = {change.path: change.after for change in planned.file_changes}
    kept = [file for file in observed.files if file.path not in changed]
    after = kept + [SysctlFile(path, facts.text) for path, facts in changed.items() if facts is not None]
    found = []
    for key, item in record.keys.items():
        for reader in (files.AT_BOOT, files.BY_COMMAND):
            setting = files.winner(key, after, reader)
            if setting is not None and not same_value(_as_taken(setting.value), item.wanted):
                found.append(
                    {
                        "key": key,
                        "wanted": item.wanted,
                        "reader": reader,
                        "path": setting.path,
                        "line": setting.line,
                        "value": setting.value,
                    }
                )
    return found


def _plan_file(path: str, aims: Mapping[str, str], observed: Observed, record: Record, draft: _Draft) -> None:
    facts, known = observed.drop_ins.get(path), record.files.get(path)
    original = files.values_in((known.text if known else facts.text if facts else None) or "")
    leaving = [key for key, item in record.keys.items() if item.file == path and key not in aims]
    text = files.change(facts.text if facts else "", aims, {key: original.get(key_path(key)) for key in leaving})
    if facts is None or text != facts.text:
        after = FileFacts(text, facts.mode, facts.uid, facts.gid) if facts else FileFacts(text)
        draft.file_changes.append(FileChange(path, facts, after))
        base = known or (FileRecord(facts.text, facts.mode, facts.uid, facts.gid) if facts else FileRecord(None))
        draft.files[path] = base.with_text(text)
    elif known:
        draft.files[path] = known


def _put_back_keys(keys: Sequence[str], observed: Observed, record: Record, draft: _Draft) -> None:
    for key in keys:
        before, now = record.keys[key].before, observed.runtime.get(key)
        if now is None:
            draft.gone.append(key)
        elif not same_value(now, before):
            draft.key_changes.append(KeyChange(key, now, before))


def _put_back_file(path: str, observed: Observed, record: Record, draft: _Draft) -> None:
    known, facts = record.files[path], observed.drop_ins.get(path)
    before = None if known.text is None else FileFacts(known.text, known.mode, known.uid, known.gid)
    after = before
    if facts is not None and facts.text != known.text and digest(facts.text) not in known.ours:
        draft.edited.append(path)
        original = files.values_in(known.text or "")
        ours = {key: original.get(key_path(key)) for key, item in record.keys.items() if item.file == path}
        text = files.change(facts.text, {}, ours)
        after = None if known.text is None and not text else FileFacts(text, facts.mode, facts.uid, facts.gid)
    if after != facts:
        draft.file_changes.append(FileChange(path, facts, after))


def _as_taken(value: str) -> str:
    """Return a file's value as the kernel takes it: what a comment adds behind a number does not count."""
    return re.split(r"\s[#;]", value, maxsplit=1)[0]
