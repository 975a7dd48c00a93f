"""The role takes what its modules take: same types, same choices, and every option reaches its module."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.ocpv.scale.plugins.module_utils.ansible_support import auth_argument_spec

ROLE = Path(__file__).resolve().parents[2] / "roles" / "rebalance"
PREFIX = "rebalance_"
# what the role itself hands from one module to the next
OWN = {
    "migration_preflight": set[str](),
    "rebalance_plan": {"plan", "dest"},
    "rebalance_run": {"plan", "plan_file", "progress_path"},
    "rebalance_verify": {"run", "snapshot"},
    "rebalance_report": {"run", "plan", "dest"},
}
# names of two modules that mean two things
RENAMED = {("migration_preflight", "fail_on"): "rebalance_preflight_fail_on"}
# variables of the role that no module has
ROLE_ONLY = {"rebalance_approval", "rebalance_dir", "rebalance_preflight"}


@cache
def documented(module: str) -> dict[str, Any]:
    """Return the options that a module documents, with those of its fragments, but for the connection."""
    source = importlib.import_module(f"ansible_collections.ocpv.scale.plugins.modules.{module}")
    documentation = yaml.safe_load(source.DOCUMENTATION)
    options: dict[str, Any] = dict(documentation.get("options") or {})
    for name in documentation.get("extends_documentation_fragment") or ():
        fragment = importlib.import_module(
            f"ansible_collections.ocpv.scale.plugins.doc_fragments.{name.split('.')[2]}"
        ).ModuleDocFragment
        text = getattr(fragment, (name.split(".")[3:] or ["DOCUMENTATION"])[0].upper())
        options.update(yaml.safe_load(text).get("options") or {})
    return {name: option for name, option in options.items() if name not in auth_argument_spec()}


@cache
def role_options() -> dict[str, Any]:
    options: dict[str, Any] = yaml.safe_load((ROLE / "meta" / "argument_specs.yml").read_text())["argument_specs"][
        "main"
    ]["options"]
    return options


def tasks() -> Iterator[dict[str, Any]]:
    """Return all tasks of the role, those in blocks as well."""
    waiting = [task for path in sorted((ROLE / "tasks").glob("*.yml")) for task in yaml.safe_load(path.read_text())]
    while waiting:
        task = waiting.pop()
        inside = [inner for part in ("block", "rescue", "always") for inner in task.get(part) or ()]
        waiting += inside
        if not inside:
            yield task


@cache
def passed(module: str) -> dict[str, str]:
    (arguments,) = [task[f"ocpv.scale.{module}"] for task in tasks() if f"ocpv.scale.{module}" in task]
    found: dict[str, str] = arguments
    return found


CASES = [
    (module, option, RENAMED.get((module, option), PREFIX + option))
    for module, own in OWN.items()
    for option in documented(module)
    if option not in own
]


@pytest.mark.parametrize(("module", "option", "variable"), CASES)
def test_each_option_of_a_module_can_be_given(module: str, option: str, variable: str) -> None:
    assert variable in role_options()
    assert re.search(rf"\b{variable} (\| default\(|is defined\b)", passed(module).get(option, ""))


@pytest.mark.parametrize(("module", "option", "variable"), CASES)
def test_types_and_choices_are_those_of_the_module(module: str, option: str, variable: str) -> None:
    assert shape(role_options()[variable]) == shape(documented(module)[option])


@pytest.mark.parametrize(("module", "option", "variable"), CASES)
def test_the_default_is_the_module_s_and_is_told(module: str, option: str, variable: str) -> None:
    role, default = role_options()[variable], documented(module)[option].get("default")
    assert "default" not in role
    if default not in (None, [], "") and module != "migration_preflight":
        told = " ".join(role["description"])
        assert said(default) in told, f"{variable}: the default {said(default)} is not told"


def test_every_variable_is_of_a_module_or_of_the_role() -> None:
    assert set(role_options()) == {variable for _module, _option, variable in CASES} | ROLE_ONLY


def test_defaults_and_specification_agree() -> None:
    defaults = yaml.safe_load((ROLE / "defaults" / "main.yml").read_text())
    assert set(defaults) == ROLE_ONLY
    for name, option in role_options().items():
        if "default" in option:
            assert defaults[name] == option["default"]


def shape(option: dict[str, Any]) -> dict[str, Any]:
    """Return what decides which values an option takes."""
    kept = {key: option[key] for key in ("type", "elements", "choices", "required") if option.get(key)}
    inside = option.get("options") or option.get("suboptions") or {}
    return {**kept, "options": {name: shape(inner) for name, inner in inside.items()}}


def said(default: Any) -> str:
    """Return a default as the role's documentation writes it."""
    if isinstance(default, bool):
        return f"The default is C({str(default).lower()})."
    if isinstance(default, list):
        return "The default is C([" + ", ".join(f'"{item}"' for item in default) + "])."
    return f"The default is C({default})."
