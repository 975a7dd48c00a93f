"""Label selectors mean what they mean for oc get -l."""

from __future__ import annotations

import pytest
from ansible_collections.ocpv.scale.plugins.module_utils.cluster.labels import label_test
from ansible_collections.ocpv.scale.plugins.module_utils.errors import InvalidInput

LABELS = {"app": "db", "tier": "a", "empty": "", "example.com/owner": "team-1"}


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        ("", True),
        ("  ", True),
        ("app=db", True),
        ("app==db", True),
        ("app = db", True),
        ("app=web", False),
        ("app!=web", True),
        ("app!=db", False),
        ("absent!=x", True),
        ("absent=", False),
        ("empty=", True),
        ("tier in (a, b)", True),
        ("tier in (b,c)", False),
        ("tier notin (b,c)", True),
        ("absent notin (b)", True),
        ("app", True),
        ("absent", False),
        ("!absent", True),
        ("! app", False),
        ("example.com/owner=team-1", True),
        ("app=db,tier in (a, b),!canary", True),
        ("app=db,tier in (b, c)", False),
    ],
)
def test_selectors(selector: str, expected: bool) -> None:
    assert label_test(selector)(LABELS) is expected


@pytest.mark.parametrize("selector", ["app=db,", "=x", "app in a", "app in (a", "app in (a b)", "a b", "app>3", "-x=1"])
def test_what_is_no_selector_is_told(selector: str) -> None:
    with pytest.raises(InvalidInput, match="label_selector: .* is not a label requirement; write key=value"):
        label_test(selector)
