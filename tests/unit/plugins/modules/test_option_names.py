"""No module's own option takes the place of a connection option, which kubernetes.core reads by its name."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from ansible_collections.ocpv.scale.plugins.module_utils.ansible_support import auth_argument_spec

MODULES = Path(__file__).resolve().parents[4] / "plugins" / "modules"


def own_options(path: Path) -> set[str]:
    """The keys of the dict that a module hands to run_module."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "run_module":
            return {key.value for key in getattr(node.args[0], "keys", ()) if isinstance(key, ast.Constant)}
    return set()


@pytest.mark.parametrize("path", sorted(MODULES.glob("*.py")), ids=lambda path: str(path.stem))
def test_own_options_are_not_those_of_the_connection(path: Path) -> None:
    assert not own_options(path) & set(auth_argument_spec())
