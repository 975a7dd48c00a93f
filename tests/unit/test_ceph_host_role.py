"""The role for Ceph hosts takes what its modules take, and hands every option on."""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROLE = Path(__file__).resolve().parents[2] / "roles" / "ceph_host_network"
PREFIX = "ceph_host_network_"
# module: (the tasks that call it, options that the role sets by itself)
MODULES = {
    "node_sysctl_tune": (("tune.yml", "restore.yml"), {"state", "state_file"}),
    "host_network_tune": (("tune.yml", "restore.yml"), {"state", "state_file"}),
    "ceph_host_health": (("verify.yml",), {"host"}),
}
# options of one command that the others, too, may take from where they are set already
LEFT_OUT = {"connect_timeout_seconds", "command_timeout_seconds"}


def documented(module: str) -> dict[str, Any]:
    """Return the options that a module documents, with those of the fragment for the ceph command."""
    modules = "ansible_collections.ocpv.scale.plugins"
    documentation = yaml.safe_load(importlib.import_module(f"{modules}.modules.{module}").DOCUMENTATION)
    options: dict[str, Any] = documentation["options"]
    if "ocpv.scale.ceph_command" in documentation["extends_documentation_fragment"]:
        fragment = importlib.import_module(f"{modules}.doc_fragments.ceph_command").ModuleDocFragment.DOCUMENTATION
        options = {**options, **yaml.safe_load(fragment)["options"]}
    return options


OPTIONS = yaml.safe_load((ROLE / "meta" / "argument_specs.yml").read_text())["argument_specs"]["main"]["options"]
CASES = [
    (module, option)
    for module, (_tasks, own) in MODULES.items()
    for option in documented(module)
    if option not in own | LEFT_OUT
]


@pytest.mark.parametrize(("module", "option"), CASES)
def test_types_and_choices_are_those_of_the_module(module: str, option: str) -> None:
    assert shape(OPTIONS[PREFIX + option]) == shape(documented(module)[option])


@pytest.mark.parametrize(("module", "option"), CASES)
def test_each_option_reaches_its_module(module: str, option: str) -> None:
    first = yaml.safe_load((ROLE / "tasks" / MODULES[module][0][0]).read_text())
    (arguments,) = [task[f"ocpv.scale.{module}"] for task in first if f"ocpv.scale.{module}" in task]
    assert re.search(rf"{PREFIX}({option}\b|{option.partition('_')[0]})", arguments[option])


def test_defaults_and_specification_agree() -> None:
    defaults = yaml.safe_load((ROLE / "defaults" / "main.yml").read_text())
    assert defaults == {name: option["default"] for name, option in OPTIONS.items() if "default" in option}


def shape(option: dict[str, Any]) -> dict[str, Any]:
    """Return what decides which values an option takes."""
    kept = {key: option[key] for key in ("type", "elements", "choices", "required") if option.get(key)}
    inside = option.get("options") or option.get("suboptions") or {}
    return {**kept, "options": {name: shape(inner) for name, inner in inside.items()}}
