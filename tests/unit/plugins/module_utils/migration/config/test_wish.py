"""What a call asks for: values over a profile, fields given back, and options that contradict each other."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.ocpv.scale.plugins.module_utils.errors import InvalidInput
from ansible_collections.ocpv.scale.plugins.module_utils.migration import hyperconverged as hco
from ansible_collections.ocpv.scale.plugins.module_utils.migration.config.difference import (
    changed_fields,
    not_kept,
    patch_for,
    unknown_fields,
)
from ansible_collections.ocpv.scale.plugins.module_utils.migration.config.fields import BY_NAME
from ansible_collections.ocpv.scale.plugins.module_utils.migration.config.profiles import profile
from ansible_collections.ocpv.scale.plugins.module_utils.migration.config.wish import Wish, parse_options
from hypothesis import given
from hypothesis import strategies as st

VALUES = {
    "parallelMigrationsPerCluster": st.integers(0, 50),
    "parallelOutboundMigrationsPerNode": st.integers(0, 9),
    "bandwidthPerMigration": st.sampled_from(["32Mi", "64Mi", "67108864", "1G"]),
    "completionTimeoutPerGiB": st.integers(0, 2000),
    "network": st.sampled_from(["one", "two"]),
    "allowPostCopy": st.booleans(),
}
CONFIGS = st.fixed_dictionaries({}, optional=VALUES)
WISHES = st.fixed_dictionaries({}, optional={name: values | st.none() for name, values in VALUES.items()}).map(Wish)


def test_a_value_wins_over_the_profile() -> None:
    options = parse_options({"profile": "reference", "parallel_migrations_per_cluster": 12, "network": "fast"})
    wish = options.wish(None)
    assert wish.settings == {**profile("reference"), "parallelMigrationsPerCluster": 12, "network": "fast"}
    assert wish.explicit == {"parallelMigrationsPerCluster", "network"}
    assert wish.network == "fast"


def test_all_gives_back_what_has_no_value_in_the_call() -> None:
    wish = parse_options({"unset": ["all"], "progress_timeout_seconds": 300}).wish(None)
    assert wish.settings == {**dict.fromkeys(BY_NAME), "progressTimeout": 300}
    with_profile = parse_options({"unset": ["all"], "profile": "reference"}).wish(None)
    assert with_profile.settings == {**profile("reference"), "network": None}
    assert parse_options({"unset": ["network"]}).wish(None).settings == {"network": None}


def test_nothing_given_asks_for_nothing() -> None:
    assert parse_options({}).wish(None).settings == {}


def test_defaults_are_of_the_release_that_is_named_or_installed() -> None:
    named = parse_options({"profile": "release_defaults", "release": "1.13"})
    assert named.wish((1, 19)).settings["completionTimeoutPerGiB"] == 800
    installed = parse_options({"profile": "release_defaults"})
    assert installed.wish((1, 19)).settings["completionTimeoutPerGiB"] == 20


@pytest.mark.parametrize(
    ("params", "option", "told"),
    [
        ({"unset": ["network"], "network": "fast"}, "unset", "given a value"),
        ({"unset": ["bandwidth"]}, "unset", "bandwidth_per_migration"),
        ({"state": "window"}, "state", "drain_window"),
        ({"state": "restored", "profile": "moderate"}, "profile", "takes no settings"),
        ({"state": "restored", "allow_post_copy": False}, "allow_post_copy", "takes no settings"),
        ({"state": "restored", "progress_timeout_seconds": 0}, "progress_timeout_seconds", "takes no settings"),
        ({"release": "1.16"}, "release", "release_defaults"),
        ({"profile": "release_defaults", "release": "4.Y"}, "release", "such as 1.16"),
    ],
)
def test_contradictions_are_told_with_the_option(params: dict[str, Any], option: str, told: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_options(params)
    assert caught.value.option == option
    assert told in str(caught.value)


def merged(config: dict[str, Any], patch: dict[str, Any]) -> dict[str, Any]:
    """As an API server merges, without defaults."""
    return {name: value for name, value in {**config, **patch}.items() if value is not None}


@given(CONFIGS, WISHES)
def test_the_patch_brings_what_is_asked_for_and_leaves_the_rest(config: dict[str, Any], wish: Wish) -> None:
    patch = patch_for(config, wish)
    after = merged(config, patch)
    assert set(patch) <= set(wish.settings)
    assert not_kept(after, wish) == {}
    assert patch_for(after, wish) == {}
    for name in set(BY_NAME) - set(wish.settings):
        assert after.get(name) == config.get(name)
    assert all(after.get(name) is None for name, value in wish.settings.items() if value is None)


@given(CONFIGS, WISHES)
def test_what_changes_is_what_the_patch_holds(config: dict[str, Any], wish: Wish) -> None:
    patch = patch_for(config, wish)
    changed = changed_fields(config, merged(config, patch))
    assert changed == [field.option for name, field in BY_NAME.items() if name in patch]


def test_a_value_that_was_not_stored_is_noticed() -> None:
    wish = Wish({"network": "fast", "progressTimeout": None, "bandwidthPerMigration": "64Mi"})
    stored = {"progressTimeout": 150, "bandwidthPerMigration": "67108864"}
    assert not_kept(stored, wish) == {"network": "fast"}


@pytest.mark.parametrize("version", ["v1", "v1beta1"])
def test_fields_that_the_server_does_not_know_are_read_from_its_refusal(version: str) -> None:
    layout = hco.LAYOUTS[version]
    path = ".".join(layout.live_migration)
    message = f'strict decoding error: unknown field "{path}.allowWorkloadDisruption", unknown field "spec.other"'
    assert unknown_fields(message, layout) == {"allowWorkloadDisruption"}
    assert unknown_fields(f'unknown field "{path}.turbo"', layout) == frozenset()
