"""The environments of C(make oldest), and what they hold."""

from __future__ import annotations

import atexit
import functools
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

CACHE = Path(__file__).resolve().parents[2] / ".cache"
_PACKAGES = ("ansible-core", "kubernetes", "jmespath", "PyYAML")
_ASK = """
import sys
from importlib import metadata
def version(name):
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "-"
print(*sys.version.split()[:1], *[version(name) for name in sys.argv[1:]])
"""


@dataclass(frozen=True)
class Environment:
    """A virtual environment below C(.cache), reached by a path without blanks: ansible-core 2.16 does not quote the
    interpreter's."""

    name: str

    @property
    def programs(self) -> Path:
        return _links() / self.name / "bin"

    @property
    def python(self) -> Path:
        return self.programs / "python"

    def versions(self) -> dict[str, str]:
        """Return the versions of Python and of the packages that matter; empty for an environment that is not there."""
        if not self.python.exists():
            return {}
        told = subprocess.run(
            [self.python, "-I", "-c", _ASK, *_PACKAGES], capture_output=True, text=True, check=True
        ).stdout
        return dict(zip(("Python", *_PACKAGES), told.split(), strict=True))


@functools.cache
def _links() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="ocpv-compat-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    for environment in (NEWEST, OLDEST, OLDEST_MODULES):
        (folder / environment.name).symlink_to(CACHE / environment.name)
    return folder


NEWEST = Environment("venv")
OLDEST = Environment("oldest")
OLDEST_MODULES = Environment("oldest-modules")
