# Copyright (c) 2026, the ocpv.scale contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Files of a host, read and written whole; texts carry bytes that are no UTF-8 as surrogates."""

from __future__ import annotations

import contextlib
import fcntl
import os
import tempfile
from typing import Iterator, Optional

from ...errors import InvalidInput, OcpvError
from ..sysctl_files import DIRECTORIES, MAIN_FILE, SysctlFile
from ..sysctl_plan import FileFacts

OWN_DIRECTORY = "ocpv-scale"
_SELINUX = "security.selinux"


def read(path: str) -> Optional[str]:
    """Return a file's text, None if there is none. Raises OcpvError if it cannot be read."""
    try:
        with open(path, encoding="utf-8", errors="surrogateescape", newline="") as file:
            return file.read()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise OcpvError(f"{path} could not be read: {error.strerror}.") from error


def facts(path: str) -> Optional[FileFacts]:
    """Return text, permissions and owner of a file, None if there is none."""
    text = read(path)
    if text is None:
        return None
    status = os.stat(path)
    return FileFacts(text, status.st_mode & 0o7777, status.st_uid, status.st_gid)


def write(path: str, wanted: FileFacts) -> None:
    """Write a file in one step with its permissions and owner, making its directory if need be. A file that is there
    keeps its SELinux context, a new one has what its directory gives.

    Raises OcpvError, and leaves what was there, if that cannot be done. (AnsibleModule.atomic_move would end the
    process instead, and with it the way back.)
    """
    directory, fresh = os.path.dirname(path), ""
    try:
        os.makedirs(directory, mode=0o755, exist_ok=True)
        # beside its target, so that a rename is all that remains; the name is none that sysctl's programs read
        handle, fresh = tempfile.mkstemp(dir=directory, prefix=f".{os.path.basename(path)}.")
        with open(handle, "w", encoding="utf-8", errors="surrogateescape", newline="") as file:
            file.write(wanted.text)
            file.flush()
            os.fsync(file.fileno())
        if os.geteuid() == 0:
            os.chown(fresh, wanted.uid, wanted.gid)
        os.chmod(fresh, wanted.mode)
        context = _selinux_context(path)
        if context is not None:
            os.setxattr(fresh, _SELINUX, context)
        os.replace(fresh, path)
    except OSError as error:
        raise OcpvError(f"{path} could not be written: {error.strerror}.") from error
    finally:
        with contextlib.suppress(OSError):
            os.unlink(fresh)


def remove(path: str) -> None:
    """Remove a file if it is there. Raises OcpvError if that cannot be done."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
    except OSError as error:
        raise OcpvError(f"{path} could not be removed: {error.strerror}.") from error


def sysctl_files(root: str) -> list[SysctlFile]:
    """Return all files that sysctl's programs may read, by their paths on the host whose file system is at C(root)."""
    found = []
    for directory in DIRECTORIES:
        try:
            names = sorted(os.listdir(below(root, directory)))
        except OSError:
            continue
        found += [_sysctl_file(root, f"{directory}/{name}") for name in names if name.endswith(".conf")]
    found.append(_sysctl_file(root, MAIN_FILE))
    return [file for file in found if file is not None]


def below(root: str, path: str) -> str:
    """Return where a path of the host lies if its file system is at C(root)."""
    return os.path.join(root, path.lstrip("/"))


@contextlib.contextmanager
def only_one(state_file: str, *, make: bool) -> Iterator[None]:
    """Keep other runs away by a lock on the directory of the state file, which is made if C(make).

    The collection's own directory is removed again if it is empty at the end. Raises InvalidInput if it cannot be made,
    and OcpvError if another run holds it.
    """
    directory = os.path.dirname(os.path.abspath(state_file))
    try:
        if make:
            os.makedirs(directory, mode=0o700, exist_ok=True)
        elif not os.path.isdir(directory):
            yield
            return
        handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        allowed = f"{directory} cannot be used as a directory: {error.strerror}"
        raise InvalidInput("state_file", state_file, allowed, hint="Give the path of a file elsewhere.") from error
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise OcpvError(
                f"Another run is tuning this host at the moment (it holds a lock on {directory}).",
                hint="Wait for it to end, then run this again.",
            ) from error
        yield
    finally:
        if make and os.path.basename(directory) == OWN_DIRECTORY:
            with contextlib.suppress(OSError):  # it is not empty as long as there is a state file
                os.rmdir(directory)
        os.close(handle)


def _selinux_context(path: str) -> Optional[bytes]:
    try:
        return os.getxattr(path, _SELINUX)
    except OSError:
        return None


def _sysctl_file(root: str, path: str) -> Optional[SysctlFile]:
    place = below(root, path)
    target = os.readlink(place) if os.path.islink(place) else ""
    if target == "/dev/null":
        return SysctlFile(path, "", target)
    text = read(place) if os.path.isfile(place) else None
    return None if text is None else SysctlFile(path, text, target)
