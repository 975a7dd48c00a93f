# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What node_sysctl_tune does: read the host, work out what it should have, check it, write it, read it back."""

from __future__ import annotations

import os
import re
from typing import Any, Mapping, Optional, Sequence

from ...errors import InvalidInput, OcpvError
from .. import sysctl_keys as names
from .. import sysctl_profiles as profiles
from ..sysctl_files import hidden_by
from ..sysctl_plan import FileFacts, Observed, Plan, drift, overrides, plan, plan_return
from ..sysctl_profiles import Wanted
from ..sysctl_record import Record, from_text, merged
from . import files
from .kernel import Kernel
from .sysctl_measure import Measured, measure

# keys whose values are worked out on the host
_UNKNOWN = {key: "" for item in profiles.PROFILES.values() for key, value in item.values.items() if value is None}
_FILE_NAME = re.compile(r"^[A-Za-z0-9_][A-Za-z0-9_.@-]*\.conf$")


def tune(module: Any) -> Mapping[str, Any]:
    """Return the module's result; C(module) has the options of node_sysctl_tune.

    Raises InvalidInput, before anything is changed, for whatever cannot be set.
    """
    host = _Host(module)
    with files.only_one(host.state_file, make=not module.check_mode):
        record = host.record()
        if module.params["state"] == "absent":
            observed = host.observe(record, ())
            planned, measured = plan_return(observed, record), Measured()
            wanted: Sequence[Wanted] = ()
        else:
            # what takes time to measure comes after what is refused at once
            host.check_keys(_wanted(module, _UNKNOWN))
            measured = measure(module, host.kernel, record)
            wanted = [item for item in _wanted(module, measured.values) if item.key not in host.skipped]
            host.check_values(wanted)
            observed = host.observe(record, wanted)
            planned = plan(wanted, host.directory, observed, record)
        drifted = drift(observed, record)
        if not module.check_mode:
            host.carry_out(planned, record)
        return _result(module, host, planned, observed, record, drifted, measured, wanted)


class _Host:
    """The host of a call: where things lie, and reading and writing them."""

    def __init__(self, module: Any) -> None:
        options = module.params
        self.root = options["root_directory"]
        self.directory = "/" + os.path.normpath(options["sysctl_directory"]).strip("/")
        self.state_file = options["state_file"]
        self.kernel = Kernel(options["proc_directory"])
        self.skipped: list[str] = []
        if not _FILE_NAME.match(options["file"]):
            raise InvalidInput("file", options["file"], "a file name that ends in .conf, without a path, is needed")

    def record(self) -> Record:
        text = files.read(self.state_file)
        if text is None:
            return Record()
        try:
            return from_text(text)
        except ValueError as error:
            raise InvalidInput(
                "state_file",
                self.state_file,
                f"it is not a file that this module wrote ({error})",
                hint="Without it nobody knows what was there before. Restore it from a backup, or move it away to "
                "begin anew with what the host has now.",
            ) from error

    def check_keys(self, wanted: Sequence[Wanted]) -> None:
        """Find the keys that may be missing and are; raises InvalidInput telling all keys that cannot be set.

        A value that is not known yet is empty.
        """
        problems = []
        for item in wanted:
            current = self.kernel.read(item.key)
            problem = self.kernel.obstacle(item.key)
            if problem and item.may_be_missing and current is None:
                self.skipped.append(item.key)
                continue
            if not problem and item.value:
                problem = names.value_problem(item.key, item.value, current or "")
            problems += [(item, problem)] if problem else []
        if problems:
            raise KeysRefused(problems)
        for path in sorted({f"{self.directory}/{item.file}" for item in wanted}):
            if os.path.islink(files.below(self.root, path)):
                allowed = "it is a link, and only files are written; remove it or choose another file"
                raise InvalidInput("file", path, allowed)

    def check_values(self, wanted: Sequence[Wanted]) -> None:
        """Raise InvalidInput for values that contradict each other, or what the host has."""
        by_key = {item.key: item for item in wanted}
        around = {partner for key in by_key for partner in names.partners(key)}
        current = {key: self.kernel.read(key) or "" for key in around}
        values = {key: item.value for key, item in by_key.items()}
        problems = [(by_key[key], problem) for key, problem in names.pair_problems(values, current)]
        if problems:
            raise KeysRefused(problems)

    def observe(self, record: Record, wanted: Sequence[Wanted]) -> Observed:
        keys = dict.fromkeys([item.key for item in wanted] + list(record.keys))
        runtime = {key: value for key in keys for value in [self.kernel.read(key)] if value is not None}
        paths = [f"{self.directory}/{item.file}" for item in wanted]
        paths += [item.file for item in record.keys.values()] + list(record.files)
        drop_ins = {path: files.facts(files.below(self.root, path)) for path in dict.fromkeys(paths)}
        there = {path: facts for path, facts in drop_ins.items() if facts is not None}
        return Observed(runtime, there, files.sysctl_files(self.root))

    def carry_out(self, planned: Plan, old: Record) -> None:
        """Write down what was there before, then change the kernel, then the files; undo all if a part fails."""
        during = merged(old, planned.record)
        self._keep(old, during)
        done = _Undo(self.kernel, self.root)
        try:
            for key in planned.key_changes:
                done.set_key(key.key, key.before, key.after)
            for file in planned.file_changes:
                done.set_file(file.path, file.before, file.after)
        except OcpvError as error:
            left = done.undo()
            self._keep(during, during if left else old)
            back = f"Not put back: {', '.join(left)}." if left else "All changes of this run were taken back."
            raise OcpvError(error.message, hint=f"{error.hint} {back}".strip(), details=error.details) from error
        self._keep(during, planned.record)

    def _keep(self, now: Record, wanted: Record) -> None:
        if wanted == now:
            return
        if not wanted.keys and not wanted.files:
            files.remove(self.state_file)
        else:
            files.write(self.state_file, FileFacts(wanted.to_text(), 0o600, os.geteuid(), os.getegid()))


class _Undo:
    """Changes of this run, which can be taken back."""

    def __init__(self, kernel: Kernel, root: str) -> None:
        self._kernel, self._root = kernel, root
        self._keys: list[tuple[str, str]] = []
        self._files: list[tuple[str, Optional[FileFacts]]] = []

    def set_key(self, key: str, before: str, after: str) -> None:
        self._keys.append((key, before))
        problem = self._kernel.write(key, after)
        if problem:
            raise OcpvError(
                f"{key} could not be set to {after!r}: {problem}.",
                hint="The kernel checks more than this module knows of; see its documentation of this parameter.",
                details={"key": key, "value": after, "before": before},
            )

    def set_file(self, path: str, before: Optional[FileFacts], after: Optional[FileFacts]) -> None:
        self._files.append((path, before))
        self._write(path, after)

    def undo(self) -> list[str]:
        """Return what could not be put back."""
        left = []
        for path, facts in reversed(self._files):
            try:
                if files.facts(files.below(self._root, path)) != facts:
                    self._write(path, facts)
            except OcpvError:
                left.append(path)
        return left + [key for key, before in reversed(self._keys) if self._kernel.write(key, before)]

    def _write(self, path: str, facts: Optional[FileFacts]) -> None:
        place = files.below(self._root, path)
        if facts is None:
            files.remove(place)
        else:
            files.write(place, facts)


def _wanted(module: Any, computed: Mapping[str, str]) -> list[Wanted]:
    options = module.params
    return profiles.put_together(options["profiles"], options["keys"], computed, options["file"])


class KeysRefused(OcpvError):
    """Parameters that cannot be set; nothing has been changed."""

    def __init__(self, problems: Sequence[tuple[Wanted, str]]) -> None:
        by_problem: dict[str, list[Wanted]] = {}
        for item, problem in problems:
            by_problem.setdefault(problem, []).append(item)
        told = [f"{', '.join(map(_named, items))} cannot be set: {problem}." for problem, items in by_problem.items()]
        found = [
            {"key": item.key, "value": item.value, "problem": problem, "origin": item.origin}
            for item, problem in problems
        ]
        super().__init__(" ".join(told), hint="Nothing was changed.", details={"problems": found})


def _named(item: Wanted) -> str:
    value = f" = {item.value}" if item.value else ""
    return f"{item.key}{value}" if item.origin == profiles.OWN_KEYS else f"{item.key}{value} (profile {item.origin})"


def _result(
    module: Any,
    host: _Host,
    planned: Plan,
    observed: Observed,
    record: Record,
    drifted: list[dict[str, str]],
    measured: Measured,
    wanted: Sequence[Wanted],
) -> Mapping[str, Any]:
    origins = {item.key: item.origin for item in wanted}
    changed = {change.key: change for change in planned.key_changes}
    overridden = overrides(planned.record, planned, observed)
    keys = []
    for key in dict.fromkeys([*planned.record.keys, *changed]):
        kept = planned.record.keys.get(key)
        now = observed.runtime.get(key, "")
        keys.append(
            {
                "key": key,
                "value": _plain(kept.wanted if kept else changed[key].after),
                "before": _plain(now),
                "original": _plain(kept.before if kept else record.keys[key].before),
                "file": kept.file if kept else "",
                "origin": origins.get(key, "restored"),
                "changed": key in changed,
            }
        )
    _warn(module, host, planned, overridden, observed)
    result: dict[str, Any] = {
        "changed": planned.changes,
        "kernel_keys": keys,
        "files": [
            {"path": change.path, "action": _action(change.before, change.after)} for change in planned.file_changes
        ],
        "drift": drifted,
        "overridden": overridden,
        "skipped": host.skipped,
        "socket_buffers": measured.socket_buffers,
        "softnet": measured.softnet,
    }
    if module._diff:
        result["diff"] = _diff(planned)
    return result


def _warn(module: Any, host: _Host, planned: Plan, overridden: Sequence[Mapping[str, Any]], observed: Observed) -> None:
    for item in overridden:
        module.warn(
            f"{item['path']} line {item['line']} sets {item['key']} to {item['value']!r}, which wins over "
            f"{item['wanted']!r} after {item['reader']} has run."
        )
    for key in host.skipped:
        module.warn(f"{key} is left out: this kernel does not have it.")
    for key in planned.gone:
        module.warn(f"{key} cannot be put back: it is no longer there.")
    for path in planned.edited:
        module.warn(f"{path} was changed by somebody else meanwhile; only the lines of this module are taken back.")
    for change in planned.file_changes:
        if change.before is None and change.after is not None:
            for other in hidden_by(change.path, observed.files):
                module.warn(f"{other} is not read any more, because {change.path} has the same name.")


def _diff(planned: Plan) -> list[dict[str, str]]:
    found = []
    for file in planned.file_changes:
        before, after = (file.before.text if file.before else ""), (file.after.text if file.after else "")
        found.append(
            {"before_header": file.path, "after_header": file.path, "before": _shown(before), "after": _shown(after)}
        )
    if planned.key_changes:
        lines = [
            "".join(f"{change.key} = {_plain(value)}\n" for change, value in pairs)
            for pairs in (
                [(change, change.before) for change in planned.key_changes],
                [(change, change.after) for change in planned.key_changes],
            )
        ]
        found.append({"before_header": "kernel", "after_header": "kernel", "before": lines[0], "after": lines[1]})
    return found


def _plain(value: str) -> str:
    return " ".join(value.split())


def _shown(text: str) -> str:
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _action(before: Optional[FileFacts], after: Optional[FileFacts]) -> str:
    if after is None:
        return "removed"
    return "created" if before is None else "changed"
