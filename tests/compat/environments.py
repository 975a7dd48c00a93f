"""The environments of C(make oldest), and what they hold."""

from __future__ import annotations

import subprocess
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
    """A virtual environment below C(.cache)."""

    name: str

    @property
    def programs(self) -> Path:
        return CACHE / self.name / "bin"

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


NEWEST = Environment("venv")
OLDEST = Environment("oldest")
OLDEST_MODULES = Environment("oldest-modules")
