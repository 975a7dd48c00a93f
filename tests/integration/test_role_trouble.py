"""Bad input and trouble: one clear error that names what it is about, and nothing is changed.

Each case is an inventory host of one run of the playbook, since starting Ansible takes longer than a case.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.ocpv.scale.plugins.modules import cluster_snapshot
from simcluster.testing import RunningCluster
from support.clusters import KUBEVIRT, apply_rights, migrations, nodes_of_machines, writes
from support.inventory import GROUP, write_inventory
from support.modules import run_module_main
from support.playbook import AS_JSON, PlaybookRun, run_playbook
from support.start import start_cluster

Plan = dict[str, Any]
Variables = dict[str, Any]

# name of the case -> the role's variables, and what the error has to tell
BAD_OPTIONS: dict[str, tuple[Variables, tuple[str, ...]]] = {
    "unknown-node": (
        {"rebalance_goal": "drain", "rebalance_nodes": ["worker-99"]},
        ("nodes: ['worker-99']", "such as control-1"),
    ),
    "unknown-vm": ({"rebalance_names": ["databases/nope"]}, ("names: ['databases/nope']", "existing VMs")),
    "move-without-target": (
        {"rebalance_moves": [{"namespace": "databases", "name": "database-01"}]},
        ("missing required arguments: target found in rebalance_moves",),
    ),
    "unknown-tier": (
        {"rebalance_default_tier": "gold"},
        ("rebalance_default_tier", "dev-test, non-critical, critical", "gold"),
    ),
    "quantity": ({"rebalance_max_bytes": "5XB"}, ("max_bytes: '5XB'", "4Gi")),
    "limit": (
        {"rebalance_limits": {"parallel_migrations_per_cluster": 0}},
        ("limits.parallel_migrations_per_cluster: 0", "from 1 to 1000"),
    ),
    "limit-name": ({"rebalance_limits": {"parallel": 3}}, ("rebalance_limits.parallel", "parallel_cold_moves")),
    "stop-percent": ({"rebalance_stop_percent": 200}, ("stop_percent: 200", "from 0 to 100")),
    "preflight-check": (
        {"rebalance_preflight": True, "rebalance_preflight_fail_on": ["sorcery"]},
        ("rebalance_preflight_fail_on", "permissions", "sorcery"),
    ),
    "no-state-namespace": (
        {"rebalance_state_namespace": "nowhere"},
        ("state_namespace: 'nowhere'", "docs/rbac/rebalance.yaml"),
    ),
    "another-digest": (
        {"rebalance_approved_digest": "sha256:0123"},
        ("approved_digest: 'sha256:0123'", "the plan's digest is sha256:", "Have this one approved"),
    ),
}


def first_move(plan: Plan) -> dict[str, Any]:
    move: dict[str, Any] = plan["stages"][0]["waves"][0]["moves"][0]
    return move


def set_in_plan(**values: Any) -> Callable[[Plan], None]:
    return lambda plan: plan.update(values)


# name of the case -> what is done to a good plan, and what the error has to tell
BAD_PLANS: dict[str, tuple[Callable[[Plan], None], tuple[str, ...]]] = {
    "plan-of-another-release": (set_in_plan(version=99), ("plan.version: 99", "make the plan again")),
    "plan-with-an-unknown-stage": (
        lambda plan: plan["stages"][1].update(name="vip"),
        ("plan.stages[1].name: 'vip'", "canary, dev-test, non-critical, critical"),
    ),
    "plan-with-an-unknown-mode": (
        lambda plan: first_move(plan).update(mode="teleport"),
        ("move m001", "'teleport'", "live, cold"),
    ),
    "plan-with-an-unknown-node": (
        lambda plan: first_move(plan).update(target="worker-99"),
        ("worker-99", "nodes that this cluster does not have"),
    ),
    "plan-of-another-cluster": (
        lambda plan: plan["cluster"].update(uid="0000"),
        ("plan.cluster.uid: '0000'", "this is cluster", "make a plan for this one"),
    ),
    "stale-plan": (
        set_in_plan(created_at="2020-01-01T00:00:00Z"),
        ("plan.created_at", "hours old, at most 24.0 are allowed", "Make a new plan"),
    ),
}
OTHERS: dict[str, tuple[str, ...]] = {
    "absent-plan": ("plan_file:", "absent.yml", "No such file"),
    "malformed-plan": ("plan_file:", "malformed.yml", "neither YAML nor JSON"),
    "no-kubeconfig": ("kubeconfig:", "/nothing'"),
    "unreachable": ("host='127.0.0.1', port=1", "Check host, port, proxy"),
    "expired-token": ("expired", "Get a new token"),
    "unknown-label-value": ("label ocpv.scale/tier of VM lab/limited-01", "'gold'", "dev-test, non-critical, critical"),
    "folder-is-a-file": ("occupied", "already exists as a file"),
}
EXPECTED = {name: told for cases in (BAD_OPTIONS, BAD_PLANS) for name, (_how, told) in cases.items()} | OTHERS


@pytest.fixture(scope="module")
def cluster() -> Iterator[RunningCluster]:
    with start_cluster(scenario="small", time_scale=50) as running:
        apply_rights(running)
        yield running


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("trouble")


@pytest.fixture(scope="module")
def plan(cluster: RunningCluster, folder: Path) -> Plan:
    """A good plan of this cluster."""
    variables = {"rebalance_approval": "plan_only", "rebalance_preflight": False, "rebalance_dir": str(folder / "good")}
    assert run_playbook("ocpv.scale.rebalance", cluster.kubeconfig, variables).returncode == 0
    document: Plan = yaml.safe_load((folder / "good" / "plan.yml").read_text())
    return document


def label(cluster: RunningCluster, namespace: str, name: str, tier: str | None) -> None:
    """Give a VM a tier, or take it away."""
    path = f"{KUBEVIRT}/namespaces/{namespace}/virtualmachines/{name}"
    assert cluster.client().patch(path, {"metadata": {"labels": {"ocpv.scale/tier": tier}}}).status == 200


@pytest.fixture(scope="module")
def other_hosts(cluster: RunningCluster, folder: Path) -> dict[str, Variables]:
    """The cases that need files."""
    (folder / "malformed.yml").write_text("stages: [1,\n- {")
    (folder / "occupied").write_text("")
    nowhere = yaml.safe_load(cluster.kubeconfig.read_text())
    nowhere["clusters"][0]["cluster"]["server"] = "https://127.0.0.1:1"
    (folder / "unreachable.kubeconfig").write_text(yaml.safe_dump(nowhere))
    late = cluster.write_kubeconfig(folder / "late.kubeconfig", cluster.add_token("late", expires_seconds=0))
    labelled = str(folder / "labelled.json.gz")
    label(cluster, "lab", "limited-01", "gold")
    run_module_main(cluster_snapshot.main, {"kubeconfig": str(cluster.kubeconfig), "path": labelled})
    label(cluster, "lab", "limited-01", None)
    return {
        "unknown-label-value": {"rebalance_snapshot": labelled},
        "absent-plan": {"rebalance_plan_file": str(folder / "absent.yml")},
        "malformed-plan": {"rebalance_plan_file": str(folder / "malformed.yml")},
        "no-kubeconfig": {"ocpv_kubeconfig": str(folder / "nothing")},
        "unreachable": {"ocpv_kubeconfig": str(folder / "unreachable.kubeconfig")},
        "expired-token": {"ocpv_kubeconfig": str(late)},
        "folder-is-a-file": {"rebalance_dir": str(folder / "occupied")},
    }


@pytest.fixture(scope="module")
def run(cluster: RunningCluster, folder: Path, plan: Plan, other_hosts: dict[str, Variables]) -> PlaybookRun:
    """All cases, tried at once, each on a host of its own."""
    hosts = {name: variables for name, (variables, _told) in BAD_OPTIONS.items()} | other_hosts
    for name, (spoil, _told) in BAD_PLANS.items():
        document = copy.deepcopy(plan)
        spoil(document)
        (folder / f"{name}.yml").write_text(yaml.safe_dump(document))
        hosts[name] = {"rebalance_plan_file": str(folder / f"{name}.yml")}
    arguments = write_inventory(
        folder / "inventory.yml",
        hosts,
        ocpv_kubeconfig=str(cluster.kubeconfig),
        rebalance_approval="automatic",
        rebalance_dir=f"{folder}/{{{{ inventory_hostname }}}}",
        rebalance_preflight=False,
    )
    before = nodes_of_machines(cluster)
    cluster.forget_requests()
    quicker = {**AS_JSON, "ANSIBLE_PIPELINING": "true"}
    done = run_playbook("ocpv.scale.rebalance", None, {"ocpv_hosts": GROUP}, *arguments, **quicker)
    assert set(hosts) == set(EXPECTED)
    assert nodes_of_machines(cluster) == before
    return done


@pytest.mark.parametrize("case", EXPECTED)
def test_bad_input_is_told_once_with_its_name_and_what_is_allowed(run: PlaybookRun, case: str) -> None:
    failure = run.failure(case)
    assert [text for text in EXPECTED[case] if text not in failure["msg"]] == [], failure["msg"]
    assert "Traceback" not in str(failure)


def test_nothing_was_changed_and_the_playbook_failed(run: PlaybookRun, cluster: RunningCluster) -> None:
    assert run.returncode == 2
    # the Lease is taken before a run looks at the cluster, and given back
    assert {name.split()[1] for name in writes(cluster)} <= {"leases.coordination.k8s.io"}
    assert migrations(cluster) == []


@pytest.mark.parametrize("case", ["no-state-namespace", "another-digest"])
def test_the_plan_is_left_where_only_the_run_was_refused(run: PlaybookRun, folder: Path, case: str) -> None:
    assert yaml.safe_load((folder / case / "plan.yml").read_text())["stages"]
    assert not (folder / case / "report.html").exists()
