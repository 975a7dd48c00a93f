"""Profiles, own keys, and the record of what was before."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.ocpv.scale.plugins.module_utils.errors import InvalidInput
from ansible_collections.ocpv.scale.plugins.module_utils.host.sysctl_keys import normalize_key, value_problem
from ansible_collections.ocpv.scale.plugins.module_utils.host.sysctl_profiles import (
    DEFAULT_FILE,
    PROFILES,
    Wanted,
    put_together,
)
from ansible_collections.ocpv.scale.plugins.module_utils.host.sysctl_record import (
    FileRecord,
    KeyRecord,
    Record,
    from_text,
    merged,
)
from hypothesis import given
from hypothesis import strategies as st

COMPUTED = {"net.core.rmem_max": "5242880", "net.core.wmem_max": "5242880", "net.core.wmem_default": "2097152"}


def test_the_document_s_files_and_values() -> None:
    found = put_together(PROFILES, {}, COMPUTED, DEFAULT_FILE)
    by_key = {item.key: (item.value, item.file) for item in found}
    assert by_key["net.ipv4.conf.all.arp_announce"] == ("1", "99.8-arp.conf")
    assert by_key["net.ipv4.neigh.default.gc_thresh3"] == ("32768", "99.7-arpcachesize.conf")
    assert by_key["net.core.wmem_default"] == ("2097152", DEFAULT_FILE)
    assert by_key["kernel.sem"] == ("32000 1024000000 500 32000", DEFAULT_FILE)
    assert "net.core.netdev_budget" not in by_key


def test_every_profile_is_within_the_known_ranges() -> None:
    for profile in PROFILES.values():
        for key, value in profile.values.items():
            assert normalize_key(key) == key
            assert value is None or value_problem(key, value, "") == ""


def test_an_own_key_wins_and_stays_in_the_profile_s_file() -> None:
    found = put_together(["arp_flux"], {"net/ipv4/conf/all/arp_ignore": 2, "vm.swappiness": "5"}, {}, DEFAULT_FILE)
    assert Wanted("net.ipv4.conf.all.arp_ignore", "2", "99.8-arp.conf", "keys") in found
    assert Wanted("vm.swappiness", "5", DEFAULT_FILE, "keys") in found
    assert len(found) == 4


@pytest.mark.parametrize("keys", [{"vm.swappiness": None}, {"vm.swappiness": {}}, {"swappiness": 1}])
def test_own_keys_without_sense_are_refused(keys: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput, match="swappiness"):
        put_together([], keys, {}, DEFAULT_FILE)


TEXT = st.binary(max_size=30).map(lambda content: content.decode("utf-8", "surrogateescape"))


@given(st.dictionaries(st.sampled_from("abc"), TEXT), st.dictionaries(st.sampled_from("xyz"), st.none() | TEXT))
def test_a_record_comes_back_as_it_was_written(keys: dict[str, str], files: dict[str, str | None]) -> None:
    record = Record(
        {key: KeyRecord(text, "1", "x") for key, text in keys.items()},
        {path: FileRecord(text, 0o640, 7, 8).with_text("new") for path, text in files.items()},
    )
    assert from_text(record.to_text()) == record


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"version": 2}', '{"version": 1, "keys": {"a": {}}, "files": {}}'])
def test_other_files_are_no_record(text: str) -> None:
    with pytest.raises(ValueError):
        from_text(text)


def test_a_merged_record_forgets_nothing() -> None:
    old = Record({"a": KeyRecord("0", "1", "x")}, {"x": FileRecord(None)})
    new = Record({"b": KeyRecord("5", "6", "y")}, {"y": FileRecord("text")})
    assert set(merged(old, new).keys) == {"a", "b"}
    assert set(merged(old, new).files) == {"x", "y"}
