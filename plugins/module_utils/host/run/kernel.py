# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The kernel's parameters below /proc/sys: what there is, and giving it values."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Optional

from ..sysctl_keys import key_path, of_the_first_namespace, same_value

FIRST_NAMESPACE = (
    "it belongs to the machine's first network namespace, and this is another one; run this on the host itself and "
    "not in a container"
)


@dataclass(frozen=True)
class Kernel:
    """Parameters below a directory, C(/proc/sys) but for trials."""

    directory: str

    def read(self, key: str) -> Optional[str]:
        """Return what the kernel prints, without the line's end; None if the key is missing or cannot be read."""
        try:
            with open(self._path(key), encoding="utf-8", errors="replace") as file:
                return file.read().rstrip("\n")
        except OSError:
            return None

    def obstacle(self, key: str) -> str:
        """Return why a key cannot be set, empty if it can."""
        path = self._path(key)
        if not os.path.isfile(path):
            if of_the_first_namespace(key) and not self._has_first_namespace():
                return FIRST_NAMESPACE
            if os.path.isdir(path):
                return "it is a group of kernel parameters, not one of them"
            return f"this kernel ({os.uname().release}) has no such parameter; is a kernel module missing?"
        if not os.stat(path).st_mode & 0o222:
            return FIRST_NAMESPACE if of_the_first_namespace(key) else "the kernel does not let it be changed"
        if os.statvfs(path).f_flag & os.ST_RDONLY:
            return f"{self.directory} is mounted read-only"
        if self.read(key) is None:
            return "its value cannot be read, so it could not be put back"
        if not os.access(path, os.W_OK):
            return "root is needed; use become"
        return ""

    def write(self, key: str, value: str) -> str:
        """Give a key a value and read it back; return why it did not take it, empty if it did."""
        try:
            with open(self._path(key), "w", encoding="utf-8") as file:
                file.write(f"{value}\n")
        except OSError as error:
            return f"the kernel refused it: {error.strerror}"
        kept = self.read(key)
        if kept is None or not same_value(kept, value):
            return f"the kernel keeps {kept!r} instead"
        return ""

    def _path(self, key: str) -> str:
        return os.path.join(self.directory, key_path(key))

    def _has_first_namespace(self) -> bool:
        return os.path.exists(os.path.join(self.directory, "net/core/netdev_budget"))
