"""migration_policy and migration_policy_info on a cluster, whose own migrations tell which policy they really got."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.ocpv.scale.plugins.modules import cluster_snapshot, migration_policy, migration_policy_info
from simcluster.testing import Client, RunningCluster
from support.modules import run_module_main
from support.playbook import AS_JSON, run_playbook
from support.rights import configuring_account
from support.start import start_cluster
from support.waiting import eventually

Obj = dict[str, Any]
POLICIES = "/apis/migrations.kubevirt.io/v1alpha1/migrationpolicies"
KUBEVIRT = "/apis/kubevirt.io/v1"
MANAGED_BY = "app.kubernetes.io/managed-by"
# settings of a migration, as the API and as the module name them
NAMES = {
    "completionTimeoutPerGiB": "completion_timeout_seconds_per_gib",
    "allowAutoConverge": "allow_auto_converge",
    "allowPostCopy": "allow_post_copy",
    "allowWorkloadDisruption": "allow_workload_disruption",
}
_names = itertools.count(1)


@pytest.fixture(scope="module")
def cluster() -> Iterator[RunningCluster]:
    with start_cluster("small", time_scale=40, tls=False) as running:
        yield running


@pytest.fixture
def api(cluster: RunningCluster) -> Iterator[Client]:
    client = cluster.client()
    yield client
    for item in client.items(POLICIES):
        client.delete(f"{POLICIES}/{item['metadata']['name']}")


def write(cluster: RunningCluster, *policies: Obj, check_mode: bool = False, **options: Any) -> Obj:
    arguments = {"kubeconfig": str(cluster.kubeconfig), "policies": list(policies), **options}
    return run_module_main(migration_policy.main, arguments, check_mode=check_mode, diff=True)


def info(cluster: RunningCluster, **options: Any) -> Obj:
    return run_module_main(migration_policy_info.main, {"kubeconfig": str(cluster.kubeconfig), **options})


def stored(api: Client) -> dict[str, Obj]:
    return {item["metadata"]["name"]: item for item in api.items(POLICIES)}


def statuses(result: Obj) -> dict[str, str]:
    assert not result.get("failed"), result
    return {policy["name"]: policy["status"] for policy in result["policies"]}


def migration_state(api: Client, namespace: str, name: str) -> Obj:
    """What a migration of this VM, made now, was given by KubeVirt."""
    body = {
        "apiVersion": "kubevirt.io/v1",
        "kind": "VirtualMachineInstanceMigration",
        "metadata": {"name": f"policy-{next(_names)}"},
        "spec": {"vmiName": name},
    }
    path = f"{KUBEVIRT}/namespaces/{namespace}/virtualmachineinstancemigrations"
    made = api.post(path, body)
    assert made.status == 201, made.body
    ended = eventually(
        lambda: api.get(f"{path}/{body['metadata']['name']}").json(),
        lambda item: (
            not item["metadata"].get("finalizers") and "endTimestamp" in (item["status"].get("migrationState") or {})
        ),
        30.0,
    )
    assert ended["status"]["phase"] == "Succeeded"
    return dict(ended["status"]["migrationState"])


class TestWriting:
    def test_check_mode_tells_everything_and_writes_nothing(self, cluster: RunningCluster, api: Client) -> None:
        result = write(cluster, {"profile": "database"}, check_mode=True)
        assert result["changed"] and statuses(result) == {"workload-database": "created"}
        assert stored(api) == {}
        spec = result["policies"][0]["spec"]
        assert spec["completionTimeoutPerGiB"] == 1600 and spec["allowAutoConverge"] is True
        assert result["diff"] == {"before": {}, "after": {"workload-database": spec}}
        effects = result["effects"]
        assert effects["changed"] == result["policies"][0]["wins"] == len(effects["virtual_machines"]) > 0
        assert {(item["before"], item["after"]) for item in effects["virtual_machines"]} == {("", "workload-database")}
        assert sum(item["virtual_machines"] for item in effects["by_workload"]) == 150

    def test_a_second_run_changes_nothing_and_what_is_taken_away_goes(
        self, cluster: RunningCluster, api: Client
    ) -> None:
        first = {"profile": "caching", "bandwidth_per_migration": "64Mi", "namespace_labels": {"a": "b"}}
        assert statuses(write(cluster, first)) == {"workload-caching": "created"}
        assert stored(api)["workload-caching"]["metadata"]["labels"] == {MANAGED_BY: "ocpv-scale"}
        again = write(cluster, {**first, "bandwidth_per_migration": str(64 * 1024**2)})
        assert not again["changed"] and statuses(again) == {"workload-caching": "unchanged"}
        version = stored(api)["workload-caching"]["metadata"]["resourceVersion"]
        changed = write(cluster, {"profile": "caching"})
        assert changed["changed"] and statuses(changed) == {"workload-caching": "changed"}
        found = stored(api)["workload-caching"]
        assert found["metadata"]["resourceVersion"] != version
        assert found["spec"] == {
            "selectors": {"virtualMachineInstanceSelector": {"ocpv.scale/workload": "caching"}},
            "completionTimeoutPerGiB": 2000,
            "allowAutoConverge": True,
        }
        assert not write(cluster, {"profile": "caching"})["changed"]

    def test_what_others_state_stays_and_what_others_made_is_not_purged(
        self, cluster: RunningCluster, api: Client
    ) -> None:
        experimental = {"compression": "zstd"}
        body = {
            "apiVersion": "migrations.kubevirt.io/v1alpha1",
            "kind": "MigrationPolicy",
            "metadata": {"name": "theirs"},
            "spec": {"selectors": {"namespaceSelector": {"x": "y"}}, "experimental": experimental},
        }
        assert api.post(POLICIES, body).status == 201
        write(
            cluster, {"profile": "web"}, {"name": "theirs", "match_all": True, "completion_timeout_seconds_per_gib": 30}
        )
        assert stored(api)["theirs"]["spec"] == {
            "selectors": {"virtualMachineInstanceSelector": {}},
            "experimental": experimental,
            "completionTimeoutPerGiB": 30,
        }
        purged = write(cluster, {"profile": "general"}, purge=True)
        assert statuses(purged) == {"workload-general": "created", "workload-web": "removed"}
        assert set(stored(api)) == {"theirs", "workload-general"}
        assert not write(cluster, {"profile": "general"}, purge=True)["changed"]
        # named, it goes
        absent = write(cluster, {"name": "theirs"}, {"profile": "general"}, {"name": "never"}, state="absent")
        assert statuses(absent) == {"theirs": "removed", "workload-general": "removed", "never": "unchanged"}
        assert any("theirs was not made by this collection" in text for text in absent["cautions"])
        assert stored(api) == {}

    def test_a_refusal_of_one_leaves_all_as_they_are(self, cluster: RunningCluster, api: Client) -> None:
        """The gate of max_downtime_ms is off: the other policy is not written either."""
        downtime = {"name": "quick", "vmi_labels": {"a": "b"}, "max_downtime_ms": 300}
        result = write(cluster, {"profile": "web"}, downtime)
        assert result["failed"] and "MigrationStallDetection" in result["msg"] and "quick" in result["msg"]
        assert stored(api) == {}

    def test_the_documented_rights_are_enough(self, cluster: RunningCluster, api: Client, tmp_path: Path) -> None:
        kubeconfig = str(configuring_account(cluster, tmp_path / "kubeconfig"))
        web: Obj = {"profile": "web"}
        for policies, state in (
            ([web], "present"),
            ([{**web, "allow_auto_converge": True}], "present"),
            ([web], "absent"),
        ):
            arguments = {"kubeconfig": kubeconfig, "policies": policies, "state": state}
            result = run_module_main(migration_policy.main, arguments)
            assert not result.get("failed") and result["changed"] and result["missing"] == {}, result
        assert run_module_main(migration_policy_info.main, {"kubeconfig": kubeconfig})["missing"] == {}


class TestPrecedence:
    def test_a_migration_gets_the_policy_and_the_settings_that_were_told(
        self, cluster: RunningCluster, api: Client
    ) -> None:
        labels = {"stage": "production"}
        assert api.patch("/api/v1/namespaces/databases", {"metadata": {"labels": labels}}).status == 200
        # the instance gets the label at once; the template's would come with its next start
        one, other = "database-01", "database-02"
        for name in (one, other):
            path = f"{KUBEVIRT}/namespaces/databases/virtualmachineinstances/{name}"
            assert api.patch(path, {"metadata": {"labels": {"ocpv.scale/workload": "database"}}}).status == 200
        path = f"{KUBEVIRT}/namespaces/databases/virtualmachineinstances/{other}"
        assert api.patch(path, {"metadata": {"labels": {"app": "ledger"}}}).status == 200
        result = write(
            cluster,
            {"profile": "database"},
            {"name": "a-tie", "namespace_labels": labels, "completion_timeout_seconds_per_gib": 33},
            {
                "name": "ledger",
                "vmi_labels": {"app": "ledger"},
                "namespace_labels": labels,
                "completion_timeout_seconds_per_gib": 2400,
                "allow_post_copy": True,
            },
        )
        assert result["changed"], result
        told = {
            item["name"]: item
            for item in info(cluster, names=[f"databases/{one}", f"databases/{other}"])["virtual_machines"]
        }
        # one label each: the one on the VM counts more than the first name
        assert told[one]["policy"] == "workload-database" and told[other]["policy"] == "ledger"
        assert [item["name"] for item in told[one]["competing"]] == ["a-tie"]
        assert told[one]["competing"][0]["loses"] == "by more labels of the VM"
        assert [item["name"] for item in told[other]["competing"]] == ["workload-database", "a-tie"]
        for name in (one, other):
            state = migration_state(api, "databases", name)
            assert state["migrationPolicyName"] == told[name]["policy"]
            configuration = state["migrationConfiguration"]
            assert {own: configuration[key] for key, own in NAMES.items()} == {
                own: told[name]["settings"][own] for own in NAMES.values()
            }
        assert told[other]["settings"]["allow_workload_disruption"] is True
        assert told[other]["from_policy"] == [
            "completion_timeout_seconds_per_gib",
            "allow_post_copy",
            "allow_workload_disruption",
        ]

    def test_a_migration_without_a_policy_gets_the_cluster_s_settings(
        self, cluster: RunningCluster, api: Client
    ) -> None:
        write(cluster, {"name": "nobody", "vmi_labels": {"a": "nobody"}, "completion_timeout_seconds_per_gib": 33})
        (told,) = info(cluster, names=["shop/web-02"])["virtual_machines"]
        assert (told["policy"], told["from_policy"]) == ("", [])
        state = migration_state(api, "shop", "web-02")
        assert "migrationPolicyName" not in state
        assert (
            state["migrationConfiguration"]["completionTimeoutPerGiB"]
            == told["settings"]["completion_timeout_seconds_per_gib"]
        )

    def test_a_snapshot_answers_as_the_cluster_does(self, cluster: RunningCluster, api: Client, tmp_path: Path) -> None:
        write(
            cluster,
            {"name": "all", "match_all": True, "completion_timeout_seconds_per_gib": 99},
            {
                "name": "shop",
                "namespace_labels": {"kubernetes.io/metadata.name": "shop"},
                "bandwidth_per_migration": "1Gi",
            },
        )
        live = info(cluster)
        path = str(tmp_path / "snapshot.json.gz")
        taken = run_module_main(cluster_snapshot.main, {"kubeconfig": str(cluster.kubeconfig), "path": path})
        assert not taken.get("failed"), taken
        kept = run_module_main(migration_policy_info.main, {"snapshot": path})
        assert kept["virtual_machines"] == live["virtual_machines"]
        assert kept["policies"] == live["policies"] and kept["counts"] == live["counts"]
        assert set(live["counts"]) == {"all", "shop"}


class TestPlaybook:
    def test_the_precedence_is_shown_before_anything_is_written(self, cluster: RunningCluster, api: Client) -> None:
        given = {
            "migration_tuning_settings": False,
            "migration_tuning_policies": [
                {"profile": "database", "completion_timeout_seconds_per_gib": 1200},
                {"name": "odd", "namespace_labels": {"a": "b"}, "allow_auto_converge": True},
            ],
        }
        checked = run_playbook("ocpv.scale.tune_migration", cluster.kubeconfig, given, "--check", **AS_JSON)
        assert checked.returncode == 0, checked.output[-3000:]
        assert stored(api) == {}
        run = run_playbook("ocpv.scale.tune_migration", cluster.kubeconfig, given, **AS_JSON)
        assert run.returncode == 0, run.output[-3000:]
        assert run.recap()["changed"] == 1
        shown = "\n".join(run.result("Show the policies and what they change")["msg"])
        assert "workload-database  created" in shown and "database:" in shown and "less and less CPU" in shown
        assert stored(api)["workload-database"]["spec"]["completionTimeoutPerGiB"] == 1200
        again = run_playbook("ocpv.scale.tune_migration", cluster.kubeconfig, given, **AS_JSON)
        assert (again.returncode, again.recap()["changed"]) == (0, 0)
        wrong = {**given, "migration_tuning_policies": [{"name": "p", "completion_timeout_seconds_per_gib": 1.5}]}
        refused = run_playbook("ocpv.scale.tune_migration", cluster.kubeconfig, wrong, **AS_JSON)
        assert refused.returncode == 2 and "completion_timeout_seconds_per_gib" in refused.failure()["msg"]
        emptied = {"migration_tuning_settings": False, "migration_tuning_policies_purge": True}
        assert run_playbook("ocpv.scale.tune_migration", cluster.kubeconfig, emptied, **AS_JSON).returncode == 0
        assert stored(api) == {}
