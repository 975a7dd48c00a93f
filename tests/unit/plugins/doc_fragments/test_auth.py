"""The connection options we document are those of kubernetes.core."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from ansible_collections.kubernetes.core.plugins.module_utils.args_common import AUTH_ARG_MAP, AUTH_ARG_SPEC
from ansible_collections.ocpv.scale.plugins.doc_fragments.auth import ModuleDocFragment

OPTIONS: dict[str, Any] = yaml.safe_load(ModuleDocFragment.DOCUMENTATION)["options"]


def shape(documented: dict[str, Any]) -> dict[str, Any]:
    """What of a documented option has a counterpart in an argument spec."""
    found = {
        name: documented[name] for name in ("type", "aliases", "elements", "default", "choices") if name in documented
    }
    if "suboptions" in documented:
        found["options"] = {name: shape(option) for name, option in documented["suboptions"].items()}
    return found


def specified(spec: dict[str, Any]) -> dict[str, Any]:
    found = {"type": "str", **{name: value for name, value in spec.items() if name not in ("no_log", "options")}}
    if "options" in spec:
        found["options"] = {name: specified(option) for name, option in spec["options"].items()}
    return found


def test_the_options_are_the_same() -> None:
    assert {name: shape(option) for name, option in OPTIONS.items()} == {
        name: specified(spec) for name, spec in AUTH_ARG_SPEC.items()
    }


@pytest.mark.parametrize("name", [name for name in AUTH_ARG_SPEC if name != "proxy_headers"])
def test_the_environment_variables_are_named(name: str) -> None:
    library_names = [key for key, value in AUTH_ARG_MAP.items() if value == name]
    variables = {f"E(K8S_AUTH_{found.upper()})" for found in [name, *library_names]}
    assert any(variable in " ".join(OPTIONS[name]["description"]) for variable in variables)
