"""Parts of roles that hand on the options of one module: each can be given, with the type and choices it has there."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from unit.test_role_spec import documented, shape

ROLES = Path(__file__).resolve().parents[2] / "roles"
# role, tasks file, module, what variables begin with, and those that are called otherwise
PARTS = (
    (
        "migration_tuning",
        "policies.yml",
        "migration_policy",
        "migration_tuning_policies_",
        {"policies": "migration_tuning_policies", "workload_label": "migration_tuning_workload_label"},
    ),
    (
        "cluster_density",
        "kubelet.yml",
        "kubelet_config",
        "cluster_density_kubelet_",
        {"kubelet_config": "cluster_density_kubelet_config"},
    ),
)


@cache
def specification(role: str) -> dict[str, Any]:
    content = yaml.safe_load((ROLES / role / "meta" / "argument_specs.yml").read_text())
    options: dict[str, Any] = content["argument_specs"]["main"]["options"]
    return options


@cache
def defaults(role: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((ROLES / role / "defaults" / "main.yml").read_text())
    return found


def calls(role: str, tasks: str, module: str) -> list[dict[str, str]]:
    waiting = yaml.safe_load((ROLES / role / "tasks" / tasks).read_text())
    found = []
    while waiting:
        task = waiting.pop()
        waiting += [inner for part in ("block", "rescue", "always") for inner in task.get(part) or ()]
        found += [task[f"ocpv.scale.{module}"]] if f"ocpv.scale.{module}" in task else []
    return found


CASES = [
    (role, tasks, module, option, names.get(option, prefix + option))
    for role, tasks, module, prefix, names in PARTS
    for option in documented(module)
]


@pytest.mark.parametrize(("role", "tasks", "module", "option", "variable"), CASES)
def test_each_option_can_be_given_and_is_the_module_s(
    role: str, tasks: str, module: str, option: str, variable: str
) -> None:
    mine, theirs = specification(role)[variable], documented(module)[option]
    assert {**shape(mine), "required": None} == {**shape(theirs), "required": None}
    for arguments in calls(role, tasks, module):
        given = re.sub(r"\s", "", arguments[option])
        assert given == "{{" + variable + ("}}" if variable in defaults(role) else "|default(omit)}}")
    if variable in defaults(role):
        assert defaults(role)[variable] == mine["default"] == (theirs.get("default") or mine["default"])
    elif theirs.get("default") not in (None, []):
        assert f"The default is C({theirs['default']})." in mine["description"]


@pytest.mark.parametrize(("role", "tasks", "module", "prefix"), [part[:4] for part in PARTS])
def test_nothing_else_is_promised(role: str, tasks: str, module: str, prefix: str) -> None:
    handed_on = {variable for one, _, _, _, variable in CASES if one == role}
    assert {name for name in specification(role) if name.startswith(prefix)} <= handed_on
