"""A window of other settings: the first record counts, and what is put back is what was there."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.ocpv.scale.plugins.module_utils import names
from ansible_collections.ocpv.scale.plugins.module_utils.errors import InvalidInput
from ansible_collections.ocpv.scale.plugins.module_utils.migration.config.difference import patch_for
from ansible_collections.ocpv.scale.plugins.module_utils.migration.config.window import Window, opened, read_window
from ansible_collections.ocpv.scale.plugins.module_utils.migration.config.wish import Wish
from hypothesis import given
from hypothesis import strategies as st
from unit.plugins.module_utils.migration.config.test_wish import CONFIGS, WISHES, merged

NOW = "2026-03-01T22:00:00Z"


def stored(window: Window) -> Window:
    """The window as the cluster gives it back."""
    read = read_window({"annotations": {names.MIGRATION_WINDOW: window.to_annotation()}})
    assert read is not None
    return read


@given(CONFIGS, st.lists(WISHES, min_size=1, max_size=3))
def test_however_often_it_is_opened_the_settings_before_come_back(config: dict[str, Any], wishes: list[Wish]) -> None:
    window, now = None, dict(config)
    for wish in wishes:
        window = stored(opened(window, now, wish, NOW))
        now = merged(now, patch_for(now, wish))
    assert window is not None
    assert merged(now, patch_for(now, window.restoring, exact=True)) == config


def test_opening_again_keeps_the_first_record_and_its_time() -> None:
    first = opened(None, {"progressTimeout": 150}, Wish({"progressTimeout": 300}), NOW)
    again = opened(first, {"progressTimeout": 300}, Wish({"progressTimeout": 600, "network": "x"}), "later")
    assert (again.opened_at, again.former) == (NOW, {"progressTimeout": 150, "network": None})
    assert again.within == {"progressTimeout": 600, "network": "x"}
    assert again.to_dict()["former"] == {"progress_timeout_seconds": 150, "network": None}


def test_only_what_the_window_touched_is_put_back() -> None:
    window = opened(None, {"progressTimeout": 150, "network": "one"}, Wish({"progressTimeout": 300}), NOW)
    assert patch_for({"progressTimeout": 300, "network": "two"}, window.restoring) == {"progressTimeout": 150}


def test_a_change_by_others_within_the_window_is_noticed() -> None:
    window = opened(None, {"progressTimeout": 150}, Wish({"progressTimeout": 300}), NOW)
    assert window.changed_within({"progressTimeout": 300}) == []
    assert window.changed_within({"progressTimeout": 150}) == []
    assert window.changed_within({"progressTimeout": 200}) == ["progress_timeout_seconds"]


def test_without_a_record_there_is_no_window() -> None:
    assert read_window({}) is None
    assert read_window({"annotations": {"other": "x"}}) is None


@pytest.mark.parametrize(
    "text",
    ["no JSON", "[]", '{"format": 1}', '{"format": 2, "opened_at": "", "former": {}, "within": {}}',
     '{"format": 1, "opened_at": "", "former": {"turbo": 1}, "within": {}}'],
)  # fmt: skip
def test_a_record_that_cannot_be_read_is_an_error(text: str) -> None:
    with pytest.raises(InvalidInput, match="annotation ocpv.scale/migration-window"):
        read_window({"annotations": {names.MIGRATION_WINDOW: text}})
