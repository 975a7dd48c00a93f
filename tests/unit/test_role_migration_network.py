"""The role migration_network takes what its modules take, with the same types and choices, and hands all of it on."""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

Obj = dict[str, Any]
ROLE = Path(__file__).resolve().parents[2] / "roles" / "migration_network"
PREFIX = "migration_network_"
# what the role hands from one module to the next, or has other names for
OWN = {
    "migration_network": {"state", "restore"},
    "migration_network_verify": {"checks", "migration", "migrations_since", "mtu"},
}
ROLE_ONLY = {"state", "name", "verify", "go_back"}


def documented(module: str) -> dict[str, Obj]:
    source = importlib.import_module(f"ansible_collections.ocpv.scale.plugins.modules.{module}")
    options: dict[str, Obj] = yaml.safe_load(source.DOCUMENTATION)["options"]
    return {name: option for name, option in options.items() if name not in OWN[module]}


def role_options() -> dict[str, Obj]:
    document = yaml.safe_load((ROLE / "meta" / "argument_specs.yml").read_text())
    return {name.removeprefix(PREFIX): option for name, option in document["argument_specs"]["main"]["options"].items()}


def handed_on(module: str) -> dict[str, str]:
    (block,) = yaml.safe_load((ROLE / "tasks" / "present.yml").read_text())
    (task,) = [task for task in block["block"] if f"ocpv.scale.{module}" in task]
    found: dict[str, str] = task[f"ocpv.scale.{module}"]
    return found


CASES = [(module, name) for module in OWN for name in documented(module)]


@pytest.mark.parametrize(("module", "name"), CASES)
def test_each_option_can_be_given_and_reaches_its_module(module: str, name: str) -> None:
    option, own = role_options()[name], documented(module)[name]
    for key in ("type", "elements", "choices"):
        assert option.get(key) == own.get(key), key
    assert re.search(rf"\b{PREFIX}{name}\b", handed_on(module)[name])
    default = own.get("default")
    if name not in ROLE_ONLY and default not in (None, [], {}):
        said = str(default).lower() if isinstance(default, bool) else default
        assert "default" not in option
        assert option["description"][-1] == f"The default is C({said})."


def test_every_variable_is_of_a_module_or_of_the_role() -> None:
    assert set(role_options()) == {name for _module, name in CASES} | ROLE_ONLY


def test_defaults_and_specification_agree() -> None:
    defaults = yaml.safe_load((ROLE / "defaults" / "main.yml").read_text())
    assert {f"{PREFIX}{name}": role_options()[name]["default"] for name in ROLE_ONLY} == defaults
