"""The role takes what its modules take: same types, same choices, and every option reaches its module."""

from __future__ import annotations

import importlib
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

ROLE = Path(__file__).resolve().parents[2] / "roles" / "ceph_cluster"
PREFIX = "ceph_cluster_"
PLUGINS = "ansible_collections.ocpv.scale.plugins."
# what the role decides itself, or what is only about facts given by hand
OWN = {
    "ceph_pg_calc": {"state", "source", "osds", "osd_size_bytes", "max_pgs_per_osd"},
    "ceph_prometheus_config": {"state"},
}
RENAMED = {
    ("ceph_pg_calc", "ceph_command"): "ceph_cluster_command",
    ("ceph_prometheus_config", "ceph_command"): "ceph_cluster_command",
    ("ceph_prometheus_config", "timeout_seconds"): "ceph_cluster_exporter_timeout_seconds",
}
ROLE_ONLY = {"ceph_cluster_monitoring", "ceph_cluster_state"}
# needed to calculate, and to show it before anything is changed
CALCULATION = {
    "pools",
    "method",
    "max_used_percent",
    "pg_autoscale_mode",
    "reduce",
    "step_factor",
    "target_pgs_per_osd",
}


@cache
def documented(module: str) -> dict[str, Any]:
    options = dict(yaml.safe_load(importlib.import_module(f"{PLUGINS}modules.{module}").DOCUMENTATION)["options"])
    fragment = importlib.import_module(f"{PLUGINS}doc_fragments.ceph_command").ModuleDocFragment
    return {**options, **yaml.safe_load(fragment.DOCUMENTATION)["options"]}


@cache
def role_options() -> dict[str, Any]:
    spec = yaml.safe_load((ROLE / "meta" / "argument_specs.yml").read_text())
    options: dict[str, Any] = spec["argument_specs"]["main"]["options"]
    return options


def calls(module: str) -> list[dict[str, str]]:
    tasks = [task for path in sorted((ROLE / "tasks").glob("*.yml")) for task in yaml.safe_load(path.read_text())]
    return [task[f"ocpv.scale.{module}"] for task in tasks if f"ocpv.scale.{module}" in task]


def shape(option: dict[str, Any]) -> dict[str, Any]:
    """Return what decides which values an option takes."""
    return {key: option[key] for key in ("type", "elements", "choices", "required") if option.get(key)}


CASES = [
    (module, option, RENAMED.get((module, option), PREFIX + option))
    for module, own in OWN.items()
    for option in documented(module)
    if option not in own
]


@pytest.mark.parametrize(("module", "option", "variable"), CASES)
def test_each_option_of_a_module_can_be_given(module: str, option: str, variable: str) -> None:
    assert shape(role_options()[variable]) == shape(documented(module)[option])
    passed = calls(module)
    assert re.search(rf"\b{variable}\b", passed[-1].get(option, ""))
    # the calculation that is shown is the one that is applied
    connection = option not in documented(module) or option in ("ceph_command", "conf", "keyring", "client_name")
    if module == "ceph_pg_calc" and (option in CALCULATION or connection):
        assert re.search(rf"\b{variable}\b", passed[0].get(option, ""))


@pytest.mark.parametrize(("module", "option", "variable"), CASES)
def test_the_module_s_default_is_told(module: str, option: str, variable: str) -> None:
    role, default = role_options()[variable], documented(module)[option].get("default")
    if default in (None, [], ""):
        return
    said = str(default).lower() if isinstance(default, bool) else default
    said = "[" + ", ".join(said) + "]" if isinstance(said, list) else said
    assert f"The default is C({said})." in role["description"]


def test_pools_are_those_of_the_module_without_facts_by_hand() -> None:
    module = documented("ceph_pg_calc")["pools"]["suboptions"]
    role = role_options()["ceph_cluster_pools"]["options"]
    read = {name for name, option in module.items() if not option["description"][0].startswith("Only with")}
    assert set(role) == read
    assert {name: shape(option) for name, option in role.items()} == {name: shape(module[name]) for name in read}


def test_every_variable_is_of_a_module_or_of_the_role() -> None:
    assert set(role_options()) == {variable for _module, _option, variable in CASES} | ROLE_ONLY


def test_defaults_and_specification_agree() -> None:
    defaults = yaml.safe_load((ROLE / "defaults" / "main.yml").read_text())
    assert defaults == {name: option["default"] for name, option in role_options().items() if "default" in option}
