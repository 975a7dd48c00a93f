"""migration_policy_info answers from a dump, and says what it does not know."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ocpv.scale.plugins.modules import migration_policy_info
from support.modules import run_module_main
from unit.plugins.module_utils.migration.objects import CLUSTER, LIVE, both, merged, spec

Obj = dict[str, Any]
LABELS = {"ocpv.scale/workload": "database"}


def policy(name: str, selectors: Obj, **values: Any) -> Obj:
    return {
        "apiVersion": "migrations.kubevirt.io/v1alpha1",
        "kind": "MigrationPolicy",
        "metadata": {"name": name},
        "spec": {"selectors": selectors, **values},
    }


def namespace(name: str, **labels: str) -> Obj:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}


def asked(tmp_path: Path, *objects: Obj, **options: Any) -> Obj:
    machine, instance = both(spec(), [LIVE])
    instance = merged(instance, {"metadata": {"labels": LABELS}})
    # the template's label takes effect with the next start
    template = {"spec": {"template": {"metadata": {"labels": {"app": "new"}}}}}
    path = tmp_path / "dump.json"
    kept = [item for item in CLUSTER if item["kind"] != "Namespace"]
    path.write_text(json.dumps({"kind": "List", "items": [*kept, merged(machine, template), instance, *objects]}))
    return run_module_main(migration_policy_info.main, {"snapshot": str(path), **options})


def test_a_dump_tells_which_policy_holds_now_and_after_a_restart(tmp_path: Path) -> None:
    result = asked(
        tmp_path,
        namespace("shop", stage="production"),
        policy("db", {"virtualMachineInstanceSelector": LABELS}, completionTimeoutPerGiB=1600),
        policy("shop", {"namespaceSelector": {"stage": "production"}}, bandwidthPerMigration="64Mi"),
        policy("next", {"virtualMachineInstanceSelector": {"app": "new"}}),
    )
    (machine,) = result["virtual_machines"]
    assert (machine["policy"], machine["policy_after_restart"]) == ("db", "next")
    assert [(item["name"], item["loses"]) for item in machine["competing"]] == [("shop", "by more labels of the VM")]
    assert machine["settings"]["completion_timeout_seconds_per_gib"] == 1600
    # what the policy does not state is the cluster's, not another policy's
    assert machine["settings"]["bandwidth_bytes_per_second"] == 0
    assert result["counts"] == {"db": 1}


def test_a_dump_without_policies_says_that_they_are_not_known(tmp_path: Path) -> None:
    result = asked(tmp_path)
    assert result["virtual_machines"][0]["policy"] == "" and "policies" in result["missing"]


def test_policies_by_labels_of_namespaces_that_are_not_there_are_an_error(tmp_path: Path) -> None:
    result = asked(tmp_path, policy("shop", {"namespaceSelector": {"stage": "production"}}))
    assert result["failed"] and "namespaces is needed" in result["msg"] and "shop" in result["msg"]


@pytest.mark.parametrize(("names", "count"), [(["shop/web"], 1), (["*"], 1)])
def test_vms_can_be_selected(tmp_path: Path, names: list[str], count: int) -> None:
    assert len(asked(tmp_path, names=names)["virtual_machines"]) == count
