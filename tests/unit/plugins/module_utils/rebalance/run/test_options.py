"""Options out of bounds are refused before anything else."""

from __future__ import annotations

from dataclasses import fields

import pytest
import yaml
from ansible_collections.ocpv.scale.plugins.module_utils.errors import InvalidInput
from ansible_collections.ocpv.scale.plugins.module_utils.rebalance.run.options import BOUNDS, RunOptions, parse_options
from ansible_collections.ocpv.scale.plugins.modules import rebalance_run

DOCUMENTED = yaml.safe_load(rebalance_run.DOCUMENTATION)["options"]


@pytest.mark.parametrize("name", BOUNDS)
def test_bounds_are_kept(name) -> None:
    lowest, highest = BOUNDS[name]
    assert getattr(parse_options({name: highest, "stop_percent": 100}), name) == highest
    for value in (lowest - 1, highest + 1):
        with pytest.raises(InvalidInput) as caught:
            parse_options({name: value})
        assert name in caught.value.message
        assert str(value) in caught.value.message


def test_a_warning_above_the_stop_is_refused() -> None:
    with pytest.raises(InvalidInput, match="warn_percent"):
        parse_options({"warn_percent": 30, "stop_percent": 20})
    assert parse_options({"warn_percent": 30, "stop_percent": 0}).warn_percent == 30


def test_the_module_documents_these_defaults() -> None:
    options = RunOptions()
    own = {field.name for field in fields(RunOptions)}
    assert own | {"plan", "plan_file"} == set(DOCUMENTED)
    for name in own:
        assert getattr(options, name) == DOCUMENTED[name].get("default"), name
