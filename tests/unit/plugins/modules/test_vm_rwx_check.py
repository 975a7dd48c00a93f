"""vm_rwx_check tells how VMs can move, of a file as of a cluster, and fails for bad input only."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ocpv.scale.plugins.modules import vm_rwx_check
from support.modules import run_module_main
from unit.plugins.module_utils.migration.objects import (
    CLUSTER,
    LIVE,
    both,
    claim,
    merged,
    of_claim,
    spec,
    stopped,
    vm,
    vmi,
)

METHODS_OF_A_DICT = {name for name in dir(dict) if not name.startswith("_")}


@pytest.fixture
def dump(tmp_path: Path) -> Path:
    """shop/db has a single-attach volume, shop/web none, lab/old is stopped, lab/off is blocked."""
    db = {"metadata": {"name": "db", "uid": "vm-db", "labels": {"app": "db"}}}
    running = spec([of_claim()])
    objects = [
        *CLUSTER,
        *both(spec(), [LIVE]),
        vm(running, **db),
        vmi(running, **merged(db, {"metadata": {"uid": "vmi-db"}})),
        claim(modes=["ReadWriteOnce"]),
        *stopped(spec(), metadata={"namespace": "lab", "name": "old", "uid": "vm-old"}),
        *stopped(spec([of_claim("absent")]), metadata={"namespace": "lab", "name": "off", "uid": "vm-off"}),
    ]
    path = tmp_path / "dump.json"
    path.write_text(json.dumps({"kind": "List", "items": objects}))
    return path


def run(dump: Path, **options: Any) -> dict[str, Any]:
    return run_module_main(vm_rwx_check.main, {"snapshot": str(dump), **options})


def named(result: dict[str, Any]) -> list[str]:
    return [f"{item['namespace']}/{item['name']}" for item in result["virtual_machines"]]


def test_every_vm_is_listed_in_order_and_counted(dump: Path) -> None:
    result = run(dump)
    assert (result["changed"], result["checked"], result["live_now"]) == (False, 4, 1)
    assert result["counts"] == {"live": 1, "storage_live": 1, "cold": 1, "blocked": 1}
    assert named(result) == ["lab/off", "lab/old", "shop/db", "shop/web"]
    assert [item["way"] for item in result["virtual_machines"]] == ["blocked", "cold", "storage_live", "live"]


def test_it_says_the_same_the_second_time(dump: Path) -> None:
    assert run(dump) == run(dump)


def test_reasons_are_summed_up_with_the_worst_first(dump: Path) -> None:
    reasons = run(dump)["reasons"]
    assert reasons[0]["severity"] == "error"
    assert {item["code"]: item["virtual_machines"] for item in reasons} == {
        "claim_missing": 1,
        "claim_not_shared": 1,
        "not_reported": 1,
        "stopped": 2,
    }


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ({"ways": ["live"]}, ["shop/web"]),
        ({"ways": ["cold", "blocked"]}, ["lab/off", "lab/old"]),
        ({"reasons": ["claim_not_shared"]}, ["shop/db"]),
        ({"reasons": ["stopped", "claim_not_shared"], "ways": ["blocked", "storage_live"]}, ["lab/off", "shop/db"]),
        ({"reasons": ["paused"]}, []),
    ],
)
def test_filters_limit_the_list_and_not_the_counts(dump: Path, options: dict[str, Any], names: list[str]) -> None:
    result = run(dump, **options)
    assert named(result) == names
    assert result["checked"] == 4


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ({"namespaces": ["shop"]}, ["shop/db", "shop/web"]),
        ({"names": ["o*"]}, ["lab/off", "lab/old"]),
        ({"label_selector": "app=db"}, ["shop/db"]),
        ({"select": "[?volumes[?contains(access_modes, 'ReadWriteOnce')]]"}, ["shop/db"]),
    ],
)
def test_vms_are_selected_by_namespace_name_label_and_expression(
    dump: Path, options: dict[str, Any], names: list[str]
) -> None:
    result = run(dump, **options)
    assert (named(result), result["checked"]) == (names, len(names))


@pytest.mark.parametrize(
    ("severity", "expected"), [("error", {"claim_not_shared"}), ("warning", {"claim_not_shared", "not_reported"})]
)
def test_findings_are_listed_from_a_severity_on(dump: Path, severity: str, expected: set[str]) -> None:
    (found,) = run(dump, names=["shop/db"], severity=severity)["virtual_machines"]
    assert {item["code"] for item in found["findings"]} == expected


def test_a_finding_tells_everything_about_itself(dump: Path) -> None:
    (found,) = run(dump, names=["shop/db"], severity="error")["virtual_machines"]
    assert (found["way"], found["ways"]) == ("storage_live", ["storage_live", "cold"])
    assert (found["reported_live"], found["predicted_live"], found["live_now"]) == (None, False, False)
    (finding,) = found["findings"]
    assert (finding["volume"], finding["rules_out"], finding["momentary"]) == ("root", ["live"], False)
    assert "Claim disk of volume root is ReadWriteOnce" in finding["message"]
    assert "Its storage class offers ReadWriteMany" in finding["hint"]


def test_no_key_hides_a_method_of_dictionaries(dump: Path) -> None:
    result = run(dump)
    for mapping in (result, *result["virtual_machines"], *result["reasons"]):
        assert not METHODS_OF_A_DICT & set(mapping)


def test_what_the_dump_lacks_is_told(tmp_path: Path) -> None:
    path = tmp_path / "dump.json"
    path.write_text(json.dumps({"kind": "List", "items": both(spec([of_claim()]), [LIVE])}))
    result = run(path)
    assert "claims" in result["missing"]
    assert "usage" not in result["missing"]  # not needed
    assert result["counts"]["live"] == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"reasons": ["claim_not_shard"]}, "reasons: ['claim_not_shard'] cannot be used"),
        ({"ways": ["fast"]}, "value of ways must be one or more of: live, storage_live, cold, blocked"),
        ({"severity": "fatal"}, "value of severity must be one of: error, warning, info"),
        ({"names": ["shop/absent"]}, "names: ['shop/absent'] cannot be used: names of existing VMs are needed"),
        ({"namespaces": ["absent"]}, "namespaces: ['absent'] cannot be used"),
        ({"label_selector": "app in db"}, "label_selector: 'app in db' cannot be used"),
        ({"select": "[?"}, "select: '[?' cannot be used"),
        ({"snapshot": "/absent/dump.json"}, "/absent/dump.json"),
    ],
)
def test_mistakes_are_told_by_option_and_value(dump: Path, options: dict[str, Any], message: str) -> None:
    result = run(dump, **options)
    assert result["failed"] is True
    assert message in result["msg"]
    assert "exception" not in result
