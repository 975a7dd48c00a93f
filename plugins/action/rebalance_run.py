# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs the module rebalance_run and, when that is on this machine, shows its progress while it works."""

from __future__ import annotations

import json
import os
import tempfile
import threading
from typing import Any, Optional

from ansible import constants
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from ansible.utils.vars import merge_hash

_POLL_SECONDS = 0.5
_LOCAL = ("local", "ansible.builtin.local")

display = Display()


class ActionModule(ActionBase):
    """The module does all the work; this follows its progress file."""

    _supports_check_mode = True
    _supports_async = True

    def run(self, tmp: Optional[str] = None, task_vars: Optional[dict[str, Any]] = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        wrap_async = self._task.async_val and not self._connection.has_native_async
        arguments = dict(self._task.args)
        follower = None
        if self._connection.transport in _LOCAL and not wrap_async and not self._task.check_mode:
            follower = Follower(arguments.get("progress_path"), str(task_vars.get("inventory_hostname", "")))
            arguments["progress_path"] = follower.path
            follower.start()
        try:
            done = self._execute_module(module_args=arguments, task_vars=task_vars, wrap_async=wrap_async)
        finally:
            if follower is not None:
                follower.stop()
        if not wrap_async:
            self._remove_tmp_path(self._connection._shell.tmpdir)
        return merge_hash(result, done)


class Follower:
    """Shows the lines of a progress file as they come.

    The file is also how the module knows that somebody waits for it: when the process that this one works for is gone,
    the file is removed, and the module ends its run so that it can be continued.
    """

    def __init__(self, path: Optional[str], host: str) -> None:
        self._own = path is None
        if path is None:
            handle, path = tempfile.mkstemp(prefix="ocpv-progress-", suffix=".jsonl", dir=constants.DEFAULT_LOCAL_TMP)
            os.close(handle)
        self.path = path
        self._host = host
        self._parent = os.getppid()
        self._offset = os.path.getsize(path) if os.path.exists(path) else 0
        self._rest = b""
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="progress", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(timeout=5)
        if self._own:
            self._remove()

    def _follow(self) -> None:
        while not self._stop.wait(_POLL_SECONDS):
            if os.getppid() != self._parent:
                self._remove()
                return
            self._show()
        self._show()

    def _show(self) -> None:
        try:
            with open(self.path, "rb") as file:
                file.seek(self._offset)
                data = file.read()
        except OSError:
            return
        self._offset += len(data)
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            try:
                text = json.loads(line)["text"]
            except (ValueError, KeyError, TypeError):
                continue
            display.display(f"rebalance [{self._host}] {text}")

    def _remove(self) -> None:
        try:
            os.unlink(self.path)
        except OSError:
            return
