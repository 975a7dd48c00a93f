"""What is said about settings: each caution once it is due, and not otherwise."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.ocpv.scale.plugins.module_utils.migration import hyperconverged as hco
from ansible_collections.ocpv.scale.plugins.module_utils.migration.config import profiles
from ansible_collections.ocpv.scale.plugins.module_utils.migration.config.cautions import (
    cautions,
    left_out,
    of_surroundings,
    overridden,
)
from ansible_collections.ocpv.scale.plugins.module_utils.migration.config.owner import managers_of, signs_of_owner
from ansible_collections.ocpv.scale.plugins.module_utils.migration.config.window import opened
from ansible_collections.ocpv.scale.plugins.module_utils.migration.config.wish import Wish

DEFAULTS = {name: value for name, value in profiles.profile("release_defaults", (1, 19)).items() if value is not None}
BEFORE_119 = {name: value for name, value in DEFAULTS.items() if name != "allowWorkloadDisruption"}


def codes(before: dict[str, Any], **settings: Any) -> list[str]:
    """The cautions about a change of settings by API field."""
    after = {name: value for name, value in {**before, **settings}.items() if value is not None}
    return [caution.code for caution in cautions(after, Wish(settings), before)]


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"parallelMigrationsPerCluster": 10}, []),
        ({"parallelMigrationsPerCluster": 11}, ["shared_network"]),
        ({"parallelMigrationsPerCluster": 20, "network": "fast"}, ["virt_handler_restarts"]),
        ({"parallelMigrationsPerCluster": 21, "network": "fast"}, ["beyond_tested", "virt_handler_restarts"]),
        ({"parallelMigrationsPerCluster": 0}, ["nothing_starts"]),
        ({"parallelOutboundMigrationsPerNode": 1}, []),
        ({"parallelOutboundMigrationsPerNode": 2}, ["shared_network"]),
        ({"parallelOutboundMigrationsPerNode": 0}, ["nothing_starts"]),
        ({"parallelOutboundMigrationsPerNode": 5}, ["shared_network", "beyond_tested"]),
        ({"completionTimeoutPerGiB": 0}, ["no_time_limit"]),
        ({"progressTimeout": 0}, ["no_time_limit"]),
        ({"progressTimeout": 300}, []),
        # 10^9 bytes at 32 MiB/s take 30 s, and the default of 1.19 allows 20 s for them
        ({"bandwidthPerMigration": "32Mi"}, ["bandwidth_below_timeout"]),
        ({"bandwidthPerMigration": "64Mi"}, []),
        ({"bandwidthPerMigration": "32Mi", "completionTimeoutPerGiB": 800}, []),
        ({"bandwidthPerMigration": "32Mi", "completionTimeoutPerGiB": 0}, ["no_time_limit"]),
        ({"bandwidthPerMigration": "100M"}, ["bandwidth_rounded"]),
        ({"bandwidthPerMigration": "0"}, []),
        ({"allowAutoConverge": True}, ["auto_converge"]),
        ({"allowPostCopy": True}, ["post_copy_without_disruption"]),
        ({"allowPostCopy": True, "allowWorkloadDisruption": True}, ["post_copy"]),
        ({"allowWorkloadDisruption": True}, ["workload_disruption"]),
        ({"allowWorkloadDisruption": False}, []),
        (DEFAULTS, []),
    ],
)
def test_each_is_told_when_it_is_due(settings: dict[str, Any], expected: list[str]) -> None:
    assert codes(DEFAULTS, **settings) == expected


def test_post_copy_works_by_itself_before_workload_disruption_came() -> None:
    assert codes(BEFORE_119, allowPostCopy=True) == ["post_copy"]


def test_taking_the_network_away_is_a_matter_of_the_limits_too() -> None:
    before = {**DEFAULTS, "parallelMigrationsPerCluster": 20, "network": "fast"}
    assert codes(before, network=None) == ["shared_network", "virt_handler_restarts"]


def test_what_the_call_does_not_ask_for_is_not_commented_on() -> None:
    before = {**DEFAULTS, "parallelMigrationsPerCluster": 50, "allowPostCopy": True, "progressTimeout": 0}
    assert codes(before, completionTimeoutPerGiB=800) == []


def test_a_profile_for_a_shared_network_needs_none() -> None:
    assert codes(DEFAULTS, **profiles.profile("conservative")) == []
    assert "shared_network" in codes(DEFAULTS, **profiles.profile("reference"))


def patch(*operations: dict[str, Any]) -> dict[str, str]:
    return {hco.JSON_PATCH: json.dumps(operations)}


@pytest.mark.parametrize(
    ("annotations", "expected"),
    [
        ({}, set()),
        (patch({"op": "add", "path": "/spec/configuration/migrations/progressTimeout", "value": 1}),
         {"progressTimeout"}),
        (patch({"op": "add", "path": "/spec/configuration/migrations", "value": {}}), {"progressTimeout", "network"}),
        (patch({"op": "replace", "path": "/spec/configuration", "value": {}}), {"progressTimeout", "network"}),
        (patch({"op": "add", "path": "/spec/configuration/migrations/disableTLS", "value": True}), set()),
        ({hco.JSON_PATCH: "broken"}, set()),
    ],
)  # fmt: skip
def test_settings_that_a_json_patch_overrides_are_found(annotations: dict[str, str], expected: set[str]) -> None:
    assert overridden(annotations, ["progressTimeout", "network"]) == expected


def test_what_surrounds_a_change_is_told() -> None:
    window = opened(None, {"progressTimeout": 150}, Wish({"progressTimeout": 300}), "2026-03-01T22:00:00Z")
    now = {"progressTimeout": 200}
    told = of_surroundings(frozenset(["network"]), ["Argo CD (label x: y)"], window, now, "present")
    assert [caution.code for caution in told] == ["overridden", "kept_by_others", "window_open"]
    assert "2026-03-01T22:00:00Z" in told[2].message
    told = of_surroundings(frozenset(), (), window, now, "restored")
    assert [caution.code for caution in told] == ["changed_within_window"]
    assert of_surroundings(frozenset(), (), window, now, "window") == []


def test_what_is_left_out_names_the_release_it_came_with() -> None:
    (caution,) = left_out(frozenset(["allowWorkloadDisruption"]), "1.16.3")
    assert "1.16.3" in caution.message
    assert "1.19" in caution.message


def test_signs_of_a_gitops_tool_are_labels_annotations_and_field_managers() -> None:
    metadata = {
        "labels": {"argocd.argoproj.io/instance": "virt"},
        "annotations": {"meta.helm.sh/release-name": "virt"},
        "managedFields": [{"manager": "argocd-controller"}, {"manager": "hyperconverged-cluster-operator"}],
    }
    signs = signs_of_owner({"metadata": metadata})
    assert [sign.split(" (")[0] for sign in signs] == ["Argo CD", "Helm", "Argo CD"]
    assert signs_of_owner({"metadata": {"labels": {"app": "kubevirt-hyperconverged"}}}) == ()


def entry(manager: str, time: str, version: str, *fields: str) -> dict[str, Any]:
    path = hco.LAYOUTS[version].live_migration
    owned = hco.nested(tuple(f"f:{step}" for step in path), {f"f:{field}": {} for field in fields})
    return {"manager": manager, "time": time, "apiVersion": f"hco.kubevirt.io/{version}", "fieldsV1": owned}


def test_who_wrote_a_setting_is_read_in_either_layout_the_last_first() -> None:
    entries = [
        entry("someone", "2026-03-01T22:00:00Z", "v1", "progressTimeout"),
        entry("argocd-controller", "2026-03-01T22:05:00Z", "v1beta1", "progressTimeout", "network"),
        entry("another", "2026-03-01T22:06:00Z", "v1", "network"),
        {"manager": "odd", "apiVersion": "hco.kubevirt.io/v9", "fieldsV1": {}},
    ]
    found = managers_of({"metadata": {"managedFields": entries}}, ["progressTimeout"])
    assert found == ("argocd-controller", "someone")
