"""What policies mean for VMs: before, after, why, and what they risk."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.ocpv.scale.plugins.module_utils.cluster.model import Migration, MigrationPolicy, Snapshot
from ansible_collections.ocpv.scale.plugins.module_utils.errors import InvalidInput
from ansible_collections.ocpv.scale.plugins.module_utils.migration.policies.cautions import policy_cautions
from ansible_collections.ocpv.scale.plugins.module_utils.migration.policies.differences import decide, policies_after
from ansible_collections.ocpv.scale.plugins.module_utils.migration.policies.result import (
    check_known,
    info,
    parts_for,
    preview,
)
from ansible_collections.ocpv.scale.plugins.module_utils.migration.policies.wanted import wanted_policies
from unit.plugins.module_utils.rebalance.builders import node, settings, snapshot, vm

MIB = 1024**2
WORKLOAD = "ocpv.scale/workload"
Obj = dict[str, Any]


def cluster(*policies: MigrationPolicy, **changes: Any) -> Snapshot:
    machines = [
        vm("db-1", "one", labels={WORKLOAD: "database"}),
        vm("db-2", "one", labels={WORKLOAD: "database", "app": "ledger"}, guest_gib=256),
        vm("web-1", "one", labels={WORKLOAD: "web"}, namespace="shop"),
        vm("plain", "one", labels={"x": "y"}, namespace="shop"),
    ]
    return snapshot(
        [node("one")],
        machines,
        namespaces={"shop": {"stage": "production"}},
        virtualization={"settings": settings(**changes)},
        migration_policies=policies,
    )


def before_after(entries: list[Obj], live: list[Obj] | None = None, *, present: bool = True, **changes: Any) -> Obj:
    wanted = wanted_policies(entries, names_only=not present)
    decided = decide(live or [], wanted, present=present, purge=False)
    after = policies_after(live or [], decided)
    return preview(cluster(**changes), policies_after(live or [], ()), after, decided, wanted)


def told(result: Obj, text: str) -> list[str]:
    return [caution for caution in result["cautions"] if text in caution]


def test_the_vms_that_get_another_policy_are_named_and_all_are_counted() -> None:
    result = before_after(
        [{"profile": "database"}, {"name": "ledger", "vmi_labels": {"app": "ledger"}, "profile": "caching"}]
    )
    effects = result["effects"]
    assert effects["changed"] == 2
    assert [(item["name"], item["after"], item["competing"]) for item in effects["virtual_machines"]] == [
        ("db-1", "workload-database", []),
        # as many labels: the name decides
        ("db-2", "ledger", ["workload-database"]),
    ]
    assert effects["virtual_machines"][0]["settings_before"]["completion_timeout_seconds_per_gib"] == 150
    assert effects["virtual_machines"][0]["settings_after"]["completion_timeout_seconds_per_gib"] == 1600
    counted = {
        (item["workload"], item["before"], item["after"]): item["virtual_machines"] for item in effects["by_workload"]
    }
    assert counted == {
        ("", "", ""): 1,
        ("database", "", "ledger"): 1,
        ("database", "", "workload-database"): 1,
        ("web", "", ""): 1,
    }
    database, ledger = result["policies"]
    assert (database["matches"], database["wins"], database["loses_to"]) == (2, 1, {"ledger": 1})
    assert (ledger["matches"], ledger["wins"], ledger["loses_to"]) == (1, 1, {})


def test_other_values_of_the_same_policy_are_a_change_as_well() -> None:
    spec = {"selectors": {"virtualMachineInstanceSelector": {WORKLOAD: "database"}}, "completionTimeoutPerGiB": 7}
    live = [{"metadata": {"name": "workload-database"}, "spec": spec}]
    result = before_after([{"profile": "database"}], live)
    assert result["effects"]["changed"] == 2
    gone = before_after([{"profile": "database"}], live, present=False)
    assert [(item["before"], item["after"]) for item in gone["effects"]["virtual_machines"]] == [
        ("workload-database", "")
    ] * 2
    assert gone["policies"][0]["spec"] == {}


def test_a_policy_that_no_vm_ever_gets_is_told() -> None:
    twins = [{"name": name, "vmi_labels": {"x": "y"}, "completion_timeout_seconds_per_gib": 900} for name in ("b", "a")]
    assert told(before_after(twins), "no VM ever gets b")
    general = {"name": "g", "namespace_labels": {"stage": "production"}, "completion_timeout_seconds_per_gib": 900}
    special = {**general, "name": "s", "vmi_labels": {"x": "y"}}
    web = {**general, "name": "w", "vmi_labels": {WORKLOAD: "web"}}
    assert told(before_after([general, special, web]), "Policy g matches 2 VMs, but all of them get s, w.")


def test_the_progress_timeout_that_large_vms_need_is_told_as_the_cluster_s() -> None:
    result = before_after([{"profile": "database"}])
    (text,) = told(result, "progressTimeout")
    assert "1 VMs with a policy are large (apps/db-2): 300 to 600 s" in text and "whole cluster" in text
    assert not told(before_after([{"profile": "database"}], progress_timeout_seconds=300), "progressTimeout")
    assert not told(before_after([{"profile": "web"}]), "progressTimeout")


def test_a_timeout_below_the_cluster_s_is_told() -> None:
    assert told(before_after([{"profile": "web"}], completion_timeout_per_gib=900), "less than the cluster's 15m00s")
    assert told(before_after([{"profile": "web"}], completion_timeout_per_gib=0), "less than the cluster's for ever")
    assert not told(before_after([{"profile": "web"}]), "less than the cluster's")


def test_a_migration_under_way_keeps_what_it_has() -> None:
    wanted = wanted_policies([{"profile": "database"}])
    decided = decide([], wanted, present=True, purge=False)
    moving = Migration("apps", "m", "u", "db-1", "Running", {}, {})
    machine = vm("db-1", "one", labels={WORKLOAD: "database"})
    seen = snapshot([node("one")], [machine], migrations=(moving,), virtualization={"settings": None})
    result = preview(seen, [], policies_after([], decided), decided, wanted)
    assert told(result, "apps/db-1: a migration under way keeps")
    assert result["effects"]["virtual_machines"][0]["settings_after"] == {}


@pytest.mark.parametrize(
    ("spec", "changes", "text"),
    [
        ({"allowPostCopy": True}, {}, "loses the guest"),
        ({"allowPostCopy": True, "allowWorkloadDisruption": True}, {}, "loses the guest"),
        ({"allowPostCopy": True, "allowWorkloadDisruption": False}, {}, "does nothing"),
        ({"allowWorkloadDisruption": True}, {}, "guest is paused"),
        ({"allowAutoConverge": True}, {}, "less and less CPU"),
        ({"completionTimeoutPerGiB": 0}, {}, "for ever"),
        ({"bandwidthPerMigration": "64Mi"}, {}, "64 MiB/s"),
        ({"bandwidthPerMigration": "64"}, {}, "1 MiB/s"),
        ({"bandwidthPerMigration": "0"}, {"bandwidth_bytes_per_second": 64 * MIB}, "limit of 64 MiB/s"),
    ],
)
def test_risks_are_told(spec: Mapping[str, Any], changes: Mapping[str, Any], text: str) -> None:
    (caution,) = policy_cautions("p", spec, settings(**changes))
    assert caution.startswith("Policy p ") and text in caution


@pytest.mark.parametrize(
    ("spec", "changes"),
    [
        ({"allowPostCopy": False, "allowAutoConverge": False, "allowWorkloadDisruption": False}, {}),
        ({"allowWorkloadDisruption": True}, {"allow_post_copy": True}),
        ({"bandwidthPerMigration": "0"}, {}),
        ({"completionTimeoutPerGiB": 1600}, {}),
    ],
)
def test_what_is_harmless_is_not_warned_of(spec: Mapping[str, Any], changes: Mapping[str, Any]) -> None:
    assert policy_cautions("p", spec, settings(**changes)) == []


def test_info_says_why_and_what_a_restart_would_change() -> None:
    every = MigrationPolicy("every", {}, None, {"completionTimeoutPerGiB": 99})
    both = MigrationPolicy("both", {WORKLOAD: "web"}, {"stage": "production"}, {"allowPostCopy": True})
    seen = cluster(every, both)
    result = info(seen, seen.virtual_machines.values())
    by_name = {item["name"]: item for item in result["virtual_machines"]}
    web = by_name["web-1"]
    assert web["policy"] == "both" and web["from_policy"] == ["allow_post_copy", "allow_workload_disruption"]
    assert web["why"] == (
        f"It matches by {WORKLOAD}=web of the VM, stage=production of the namespace, and is before every by more "
        "matching labels."
    )
    assert web["competing"] == [
        {"name": "every", "vmi_labels": {}, "namespace_labels": {}, "loses": "by more matching labels"}
    ]
    assert by_name["plain"]["policy"] == "every" and by_name["plain"]["why"] == "It matches every VM."
    assert result["counts"] == {"both": 1, "every": 3}
    assert [policy["name"] for policy in result["policies"]] == ["both", "every"]


def test_namespaces_that_are_not_known_are_an_error_only_where_they_decide() -> None:
    by_space = MigrationPolicy("p", None, {"stage": "production"}, {})
    seen = replace(cluster(by_space), parts=("virtual_machines", "policies"))
    with pytest.raises(InvalidInput, match="namespaces is needed"):
        check_known(seen, "dump.json")
    check_known(cluster(by_space), None)
    by_vm = cluster(MigrationPolicy("p", {"a": "b"}, None, {}))
    check_known(replace(by_vm, parts=("virtual_machines",)), None)


def test_parts_are_read_for_what_an_expression_looks_at() -> None:
    assert parts_for("") == ("namespaces", "virtual_machines", "policies", "virtualization")
    assert "nodes" in parts_for("[?node_labels.zone == 'a']") and "usage" in parts_for("[?usage.cpu_millicores > `1`]")
