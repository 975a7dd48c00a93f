"""The roles around settings take what their modules take: same types, same choices, and every option reaches its
module."""

from __future__ import annotations

import importlib
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

ROLES = Path(__file__).resolve().parents[2] / "roles"
# role, module, its options that the role does not have
MODULES = [
    ("migration_tuning", "hco_migration_config", set[str]()),
    ("migration_tuning", "migration_advice", {"snapshot"}),
    ("cluster_density", "hco_density_config", set[str]()),
]
ROLE_ONLY = {
    "migration_tuning": {"advice", "apply_advice", "settings", "policies"},
    "cluster_density": {"settings"},
}
# files that other roles' parts own
LEFT_OUT = {"policies.yml", "kubelet.yml"}


@cache
def documented(module: str) -> dict[str, Any]:
    source = importlib.import_module(f"ansible_collections.ocpv.scale.plugins.modules.{module}")
    options: dict[str, Any] = yaml.safe_load(source.DOCUMENTATION)["options"]
    return options


@cache
def specified(role: str) -> dict[str, Any]:
    document = yaml.safe_load((ROLES / role / "meta" / "argument_specs.yml").read_text())
    options: dict[str, Any] = document["argument_specs"]["main"]["options"]
    return options


@cache
def passed(role: str, module: str) -> dict[str, str]:
    """What the role hands to a module, by option."""
    waiting = [
        task
        for path in (ROLES / role / "tasks").glob("*.yml")
        if path.name not in LEFT_OUT
        for task in yaml.safe_load(path.read_text())
    ]
    while waiting:
        task = waiting.pop()
        waiting += task.get("block") or []
        if f"ocpv.scale.{module}" in task:
            found: dict[str, str] = task[f"ocpv.scale.{module}"]
            return found
    raise AssertionError(f"{role} does not call {module}")


CASES = [
    (role, module, option)
    for role, module, left_out in MODULES
    for option in documented(module)
    if option not in left_out
]


@pytest.mark.parametrize(("role", "module", "option"), CASES)
def test_each_option_of_a_module_can_be_given(role: str, module: str, option: str) -> None:
    variable = f"{role}_{option}"
    assert re.search(rf"\b{variable} \| default\(", passed(role, module)[option])
    shape = {key: documented(module)[option].get(key) for key in ("type", "elements", "choices")}
    assert {key: specified(role)[variable].get(key) for key in shape} == shape
    assert "default" not in specified(role)[variable]
    default = documented(module)[option].get("default")
    if default not in (None, {}, []):
        said = str(default).lower() if isinstance(default, bool) else default
        assert f"The default is C({said})." in " ".join(specified(role)[variable]["description"])


@pytest.mark.parametrize("role", ROLE_ONLY)
def test_defaults_are_those_of_the_specification_and_of_no_module(role: str) -> None:
    defaults = yaml.safe_load((ROLES / role / "defaults" / "main.yml").read_text())
    assert {name: option["default"] for name, option in specified(role).items() if "default" in option} == defaults
    assert set(defaults) >= {f"{role}_{name}" for name in ROLE_ONLY[role]}
    assert not set(defaults) & {f"{role}_{option}" for of, _module, option in CASES if of == role}
