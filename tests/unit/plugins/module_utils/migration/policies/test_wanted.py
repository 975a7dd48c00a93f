"""Policies from options: the documents' numbers, what is refused, and objects that the CRD takes."""

from __future__ import annotations

import functools
import sys
from typing import Any

import pytest
from ansible_collections.ocpv.scale.plugins.module_utils.cluster.model import Virtualization
from ansible_collections.ocpv.scale.plugins.module_utils.errors import InvalidInput
from ansible_collections.ocpv.scale.plugins.module_utils.migration.policies.named import (
    NAMED,
    WITHOUT_POLICY,
)
from ansible_collections.ocpv.scale.plugins.module_utils.migration.policies.wanted import (
    Wanted,
    check_gates,
    wanted_policies,
)
from ansible_collections.ocpv.scale.plugins.module_utils.migration.progress import progress_advice
from ansible_collections.ocpv.scale.plugins.module_utils.rebalance.duration import DIRTY_RATES
from hypothesis import given
from hypothesis import strategies as st

# the simulated cluster's own code needs it, the collection's does not
CRDS_TO_BE_HAD = sys.version_info >= (3, 12)
GB = 10**9


def one(**entry: Any) -> Wanted:
    (wanted,) = wanted_policies([entry])
    return wanted


def refused(**entry: Any) -> InvalidInput:
    with pytest.raises(InvalidInput) as caught:
        wanted_policies([entry])
    return caught.value


@functools.cache
def crds() -> Any:
    from simcluster.schema import Registry

    return Registry()


def accepted_by_the_crd(wanted: Wanted) -> None:
    if CRDS_TO_BE_HAD:
        registry = crds()
        resource = registry.by_kind("migrations.kubevirt.io", "MigrationPolicy")
        assert resource is not None
        assert registry.process(resource, "v1alpha1", wanted.to_object(), field_validation="Strict") == []


@pytest.mark.parametrize(
    ("workload", "timeout", "allowed"),
    [
        ("database", 1600, (1200, 1600)),
        ("web", 800, (600, 800)),
        ("caching", 2000, (1600, 2000)),
        ("general", 800, None),
        ("media", 1200, None),
        ("ai", 1200, None),
        ("hpc", 1200, None),
        ("analytics", None, None),
    ],
)
def test_named_policies_have_the_tables_numbers(
    workload: str, timeout: int | None, allowed: tuple[int, int] | None
) -> None:
    named = NAMED[workload]
    assert named.spec.get("completionTimeoutPerGiB") == timeout
    assert named.timeout_range == allowed
    if allowed is not None:
        assert named.timeout_range is not None and named.timeout_range[0] <= (timeout or 0) <= named.timeout_range[1]


def test_who_writes_much_may_be_slowed_down_and_who_must_not_pause_may_not() -> None:
    assert {name for name, named in NAMED.items() if named.spec.get("allowAutoConverge")} == {
        "database",
        "caching",
        "media",
    }
    assert NAMED["analytics"].spec == {
        "allowAutoConverge": False,
        "allowPostCopy": False,
        "allowWorkloadDisruption": False,
    }
    assert not [name for name, named in NAMED.items() if named.spec.get("allowPostCopy")]


def test_every_class_of_workload_is_spoken_of_and_every_value_says_where_it_is_from() -> None:
    assert set(NAMED) | set(WITHOUT_POLICY) == set(DIRTY_RATES) - {""}
    for named in NAMED.values():
        assert set(named.sources) == set(named.spec)


@pytest.mark.parametrize(
    ("size", "seconds"),
    [
        (10 * GB, (150, 150)),
        (49 * GB, (150, 150)),
        (50 * GB, (200, 300)),
        (199 * GB, (200, 300)),
        (201 * GB, (300, 600)),
    ],
)
def test_progress_timeouts_are_by_size(size: int, seconds: tuple[int, int]) -> None:
    assert progress_advice(size).seconds == seconds


@pytest.mark.parametrize("profile", NAMED)
def test_a_profile_is_a_whole_policy(profile: str) -> None:
    wanted = one(profile=profile)
    assert wanted.name == f"workload-{profile}"
    assert wanted.selectors == {"virtualMachineInstanceSelector": {"ocpv.scale/workload": profile}}
    accepted_by_the_crd(wanted)


def test_own_values_override_the_profile_and_labels_replace_its_selector() -> None:
    wanted = one(
        profile="database",
        name="ledger",
        namespace_labels={"stage": "production"},
        completion_timeout_seconds_per_gib=1200,
        bandwidth_per_migration="128Mi",
        allow_post_copy=True,
    )
    assert wanted.selectors == {"namespaceSelector": {"stage": "production"}}
    assert wanted.spec == {
        "completionTimeoutPerGiB": 1200,
        "allowAutoConverge": True,
        "allowPostCopy": True,
        "bandwidthPerMigration": "128Mi",
    }
    accepted_by_the_crd(wanted)


def test_the_label_of_profiles_can_be_another() -> None:
    (wanted,) = wanted_policies([{"profile": "web"}], workload_label="example.com/class")
    assert wanted.vmi_labels == {"example.com/class": "web"}
    with pytest.raises(InvalidInput, match="workload_label"):
        wanted_policies([{"profile": "web"}], workload_label="-/-")


def test_everything_is_matched_only_on_purpose() -> None:
    assert "match_all" in refused(name="all", completion_timeout_seconds_per_gib=1).hint
    wanted = one(name="all", match_all=True, completion_timeout_seconds_per_gib=1)
    assert wanted.selectors == {"virtualMachineInstanceSelector": {}}
    accepted_by_the_crd(wanted)
    assert one(profile="general", match_all=True).selectors == {"virtualMachineInstanceSelector": {}}


LABEL = {"vmi_labels": {"a": "b"}}
TIMEOUT = "completion_timeout_seconds_per_gib"


@pytest.mark.parametrize(
    ("entry", "option"),
    [
        ({"completion_timeout_seconds_per_gib": 1, **LABEL}, "policies[0].name"),
        ({"name": "Upper", "completion_timeout_seconds_per_gib": 1, **LABEL}, "policies[0].name"),
        ({"name": "a" * 254, "completion_timeout_seconds_per_gib": 1, **LABEL}, "policies[0].name"),
        ({"profile": "oracle"}, "policies[0].profile"),
        ({"profile": "streaming"}, "policies[0].profile"),
        ({"name": "p", **LABEL}, "policies[0]"),
        (
            {"name": "p", "completion_timeout_seconds_per_gib": -1, **LABEL},
            "policies[0].completion_timeout_seconds_per_gib",
        ),
        (
            {"name": "p", "completion_timeout_seconds_per_gib": 1.5, **LABEL},
            "policies[0].completion_timeout_seconds_per_gib",
        ),
        (
            {"name": "p", "completion_timeout_seconds_per_gib": 2**63, **LABEL},
            "policies[0].completion_timeout_seconds_per_gib",
        ),
        (
            {"name": "p", "completion_timeout_seconds_per_gib": True, **LABEL},
            "policies[0].completion_timeout_seconds_per_gib",
        ),
        ({"name": "p", "bandwidth_per_migration": "64MiB", **LABEL}, "policies[0].bandwidth_per_migration"),
        ({"name": "p", "bandwidth_per_migration": "-1Mi", **LABEL}, "policies[0].bandwidth_per_migration"),
        ({"name": "p", "bandwidth_per_migration": " 64Mi", **LABEL}, "policies[0].bandwidth_per_migration"),
        ({"name": "p", "max_downtime_ms": 0, **LABEL}, "policies[0].max_downtime_ms"),
        ({"name": "p", "max_downtime_ms": 2_000_001, **LABEL}, "policies[0].max_downtime_ms"),
        ({"name": "p", "allow_post_copy": "yes", **LABEL}, "policies[0].allow_post_copy"),
        ({"name": "p", "vmi_labels": {"a": 1}, "max_downtime_ms": 1}, "policies[0].vmi_labels"),
        ({"name": "p", "vmi_labels": {"a": "x" * 64}, "max_downtime_ms": 1}, "policies[0].vmi_labels.a"),
        ({"name": "p", "vmi_labels": {"a b": "x"}, "max_downtime_ms": 1}, "policies[0].vmi_labels"),
        ({"name": "p", "namespace_labels": {"-": "x"}, "max_downtime_ms": 1}, "policies[0].namespace_labels"),
        ({"name": "p", "match_all": True, "max_downtime_ms": 1, **LABEL}, "policies[0].match_all"),
    ],
)
def test_what_cannot_be_is_refused_by_the_name_of_its_option(entry: dict[str, Any], option: str) -> None:
    assert refused(**entry).option == option


def test_the_documents_advice_is_told_where_there_is_no_policy() -> None:
    assert "network" in refused(profile="streaming").hint


def test_two_entries_of_one_name_are_refused() -> None:
    with pytest.raises(InvalidInput, match=r"policies\[1\].name"):
        wanted_policies([{"profile": "web"}, {"name": "workload-web", "max_downtime_ms": 1, **LABEL}])


def test_for_removal_only_names_matter() -> None:
    found = wanted_policies([{"name": "p"}, {"profile": "web"}], names_only=True)
    assert [wanted.name for wanted in found] == ["p", "workload-web"]


@pytest.mark.parametrize(
    ("version", "gates", "good"),
    [("v1.9.0", (), False), ("v1.9.0", ("MigrationDowntimeTuning",), True), ("", (), True)],
)
def test_a_longest_downtime_needs_its_gate(version: str, gates: tuple[str, ...], good: bool) -> None:
    wanted = [one(name="p", max_downtime_ms=300, **LABEL)]
    virtualization = Virtualization(kubevirt_version=version, feature_gates=gates)
    if good:
        check_gates(wanted, virtualization)
    else:
        with pytest.raises(InvalidInput, match="MigrationStallDetection"):
            check_gates(wanted, virtualization)


LABELS = st.dictionaries(st.from_regex(r"[a-z]{1,8}(/[a-z]{1,8})?", fullmatch=True), st.sampled_from(["", "x", "a-b"]))


@given(
    vmi=LABELS,
    space=LABELS,
    timeout=st.none() | st.integers(0, 10**6),
    bandwidth=st.none() | st.from_regex(r"[0-9]{1,4}(Mi|Gi|M|k|)", fullmatch=True),
    converge=st.none() | st.booleans(),
    downtime=st.none() | st.integers(1, 2_000_000),
)
def test_whatever_is_taken_is_taken_by_the_crd(vmi, space, timeout, bandwidth, converge, downtime) -> None:
    entry = {
        "name": "p",
        "vmi_labels": vmi,
        "namespace_labels": space,
        "match_all": not vmi and not space,
        "completion_timeout_seconds_per_gib": timeout,
        "bandwidth_per_migration": bandwidth,
        "allow_auto_converge": converge,
        "max_downtime_ms": downtime,
    }
    try:
        wanted = one(**entry)
    except InvalidInput as error:
        assert (timeout, bandwidth, converge, downtime) == (None,) * 4, error
        return
    accepted_by_the_crd(wanted)
