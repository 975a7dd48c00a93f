"""quick_init changes how fast a frozen dataclass is made, and nothing else."""

from __future__ import annotations

import inspect
import pickle
from collections.abc import Mapping
from dataclasses import FrozenInstanceError, asdict, dataclass, field, fields, replace
from typing import Any

import pytest
from ansible_collections.ocpv.scale.plugins.module_utils.cluster import model
from ansible_collections.ocpv.scale.plugins.module_utils.cluster.quick_init import quick_init


@dataclass(frozen=True)
class Plain:
    name: str
    size: int = 3
    labels: Mapping[str, str] = field(default_factory=dict)


@quick_init
@dataclass(frozen=True)
class Quick:
    name: str
    size: int = 3
    labels: Mapping[str, str] = field(default_factory=dict)


@pytest.mark.parametrize(
    ("given", "named"), [(("a",), {}), (("a", 4), {}), (("a",), {"labels": {"x": "y"}}), ((), {"name": "b", "size": 1})]
)
def test_it_takes_the_same_arguments(given: tuple[Any, ...], named: dict[str, Any]) -> None:
    assert asdict(Quick(*given, **named)) == asdict(Plain(*given, **named))


@pytest.mark.parametrize(("given", "named"), [((), {}), (("a",), {"colour": 1}), (("a", 1, {}, 2), {})])
def test_it_refuses_the_same_arguments(given: tuple[Any, ...], named: dict[str, Any]) -> None:
    for kind in (Plain, Quick):
        with pytest.raises(TypeError, match="argument"):
            kind(*given, **named)


def test_it_stays_a_frozen_dataclass() -> None:
    value = Quick("a")
    with pytest.raises(FrozenInstanceError):
        value.size = 4  # type: ignore[misc]
    assert value == Quick("a")
    assert value != Quick("b")
    assert replace(value, size=9) == Quick("a", 9)
    assert pickle.loads(pickle.dumps(value)) == value
    assert repr(value) == repr(Plain("a")).replace("Plain", "Quick")
    assert Quick("a").labels is not Quick("a").labels


def test_the_classes_of_the_model_keep_their_signatures() -> None:
    for kind in (model.Pod, model.VmSpec, model.Instance, model.VirtualMachine, model.Condition):
        assert list(inspect.signature(kind).parameters) == [item.name for item in fields(kind)]
