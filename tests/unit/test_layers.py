"""The layers hold: what is pure imports neither Ansible, nor HTTP, nor the clock, nor a layer above it."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
UTILS = ROOT / "plugins" / "module_utils"
# may talk to the API, read files or know the time
GATEWAYS = (
    "ansible_support.py",
    "ceph/run/",
    "cluster/caller.py",
    "cluster/gateway.py",
    "cluster/transport.py",
    "cluster/capture.py",
    "cluster/dump.py",
    "cluster/snapshot_file.py",
    "cluster/source.py",
    "host/run/",
    "kubelet/run/",
    "migration/config/apply/",
    "migration/diagnosis/observe.py",
    "migration/network/run/",
    "migration/policies/apply.py",
    "rebalance/run/",
    "rebalance/report/write.py",
)
OUTSIDE = {"ansible", "kubernetes", "urllib3", "requests", "http", "socket", "time", "os", "tempfile", "subprocess"}


def name_of(path: Path) -> str:
    return path.relative_to(UTILS).as_posix()


def imports(path: Path) -> set[str]:
    """The modules a file imports at run time: absolute names, or paths below module_utils for relative ones."""
    found = set()
    tree = ast.parse(path.read_text())
    skipped = {
        id(child)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for child in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found.add(node.module or "")
        elif isinstance(node, ast.ImportFrom):
            folder = path.parents[node.level - 1]
            base = folder.joinpath(*(node.module or "").split(".")) if node.module else folder
            for alias in node.names:
                target = base / f"{alias.name}.py" if base.is_dir() else base.with_suffix(".py")
                if target.exists():
                    found.add(target.relative_to(UTILS).as_posix())
    return found


FILES = sorted(path for path in UTILS.rglob("*.py") if path.name != "__init__.py")
PURE = [path for path in FILES if not name_of(path).startswith(GATEWAYS)]


@pytest.mark.parametrize("path", PURE, ids=name_of)
def test_pure_code_imports_nothing_from_outside(path: Path) -> None:
    roots = {name.split(".")[0] for name in imports(path) if not name.endswith(".py")}
    assert not roots & OUTSIDE
    assert "ansible_collections" not in roots
    assert not {name for name in imports(path) if name.startswith(GATEWAYS)}


@pytest.mark.parametrize("path", [path for path in FILES if name_of(path).startswith("migration/")], ids=name_of)
def test_assessing_knows_nothing_of_deciding_and_acting(path: Path) -> None:
    assert not {name for name in imports(path) if name.startswith("rebalance/")}


@pytest.mark.parametrize("path", sorted((ROOT / "plugins" / "modules").glob("*.py")), ids=lambda path: str(path.name))
def test_modules_are_thin(path: Path) -> None:
    """A module is documentation, its argument spec and one call."""
    tree = ast.parse(path.read_text())
    code = [node for node in tree.body if not isinstance(node, (ast.Assign, ast.Import, ast.ImportFrom))]
    lines = sum((node.end_lineno or 0) - node.lineno + 1 for node in code)
    assert lines <= 60
