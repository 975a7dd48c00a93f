"""What the unit tests take from newer versions, for pytest on older ones: C(-p compat.older).

It helps tests alone, never the code that they are about.
"""
# this file runs on Python 3.9
# ruff: noqa: UP017, UP036, B905, B010

from __future__ import annotations

import datetime
import json
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

try:
    from ansible.module_utils import basic
except ImportError:  # where only modules run there is no ansible-core
    basic = None

NEWEST = Path(__file__).resolve().parents[2] / ".cache" / "venv" / "bin" / "python"
_WRITE_OBJECTS = """
import json, sys
from simcluster.scenarios import load
json.dump(list(load(sys.argv[1]).objects), sys.stdout)
"""
UTC = "UTC"
_LENT = not hasattr(datetime, UTC)
if _LENT:
    setattr(datetime, UTC, datetime.timezone.utc)  # Python 3.11


def load(name: str) -> SimpleNamespace:
    """Return a scenario of the embedded cluster, which needs a newer Python itself."""
    written = subprocess.run([NEWEST, "-c", _WRITE_OBJECTS, name], capture_output=True, text=True, check=True).stdout
    return SimpleNamespace(objects=json.loads(written))


scenarios = ModuleType("simcluster.scenarios")
setattr(scenarios, "load", load)
sys.modules[scenarios.__name__] = scenarios


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests are imported: take back what the code under test must not find either."""
    if _LENT and hasattr(datetime, UTC):
        delattr(datetime, UTC)
    if sys.version_info < (3, 10):
        for module in {item.getparent(pytest.Module) for item in items}:
            module.obj.zip = strict_zip


def strict_zip(*iterables: Iterable[Any], strict: bool = False) -> Iterator[tuple[Any, ...]]:
    """Python 3.10's zip."""
    lists = [list(iterable) for iterable in iterables]
    if strict and len({len(found) for found in lists}) > 1:
        raise ValueError("zip() arguments are not of the same length")
    return zip(*lists)


@pytest.fixture(autouse=True)
def warnings_on_stderr(monkeypatch: pytest.MonkeyPatch) -> None:
    """ansible-core before 2.19 tells a module's warnings only in its result."""
    if basic is None or hasattr(basic, "_ANSIBLE_PROFILE"):
        return
    warn = basic.AnsibleModule.warn

    def also_shown(self: Any, warning: str) -> None:
        warn(self, warning)
        print(f"[WARNING]: {warning}", file=sys.stderr)

    monkeypatch.setattr(basic.AnsibleModule, "warn", also_shown)
