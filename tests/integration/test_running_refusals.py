"""What rebalance_run refuses before anything is done: missing rights, plans that cannot be meant, unknown limits."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from simcluster.scenarios import load
from support.running import Scene, statuses
from support.start import start_cluster

Obj = dict[str, Any]
TIME_SCALE = 20.0


@pytest.fixture
def scene() -> Iterator[Scene]:
    with start_cluster(time_scale=TIME_SCALE) as cluster:
        yield Scene(cluster)


def limited(scene: Scene, tmp_path: Path, *rules: Obj) -> Path:
    """Return a kubeconfig of somebody who may read everything and do what the rules say."""
    reading = {"apiGroups": ["*"], "resources": ["*"], "verbs": ["get", "list", "watch"]}
    group = "/apis/rbac.authorization.k8s.io/v1"
    role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "limited"}}
    assert scene.client.post(f"{group}/clusterroles", {**role, "rules": [reading, *rules]}).status == 201
    binding = {
        **role,
        "kind": "ClusterRoleBinding",
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "limited"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "limited"}],
    }
    assert scene.client.post(f"{group}/clusterrolebindings", binding).status == 201
    return scene.cluster.write_kubeconfig(tmp_path / "limited", scene.cluster.add_token("limited"))


STATE_RIGHTS = (
    {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["create", "patch"]},
    {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["create", "patch"]},
)
MIGRATE = {
    "apiGroups": ["kubevirt.io"],
    "resources": ["virtualmachineinstancemigrations"],
    "verbs": ["create", "delete"],
}


def test_missing_rights_are_all_named_before_anything_is_done(scene: Scene, tmp_path: Path) -> None:
    plan = scene.plan({"non-critical": [("shop/web-01", "worker-10"), ("lab/once-01", "worker-09", "cold")]})
    result = scene.run(plan, kubeconfig=str(limited(scene, tmp_path, MIGRATE)))
    assert result["failed"]
    assert result["error"] == "Forbidden"
    for right in ("create configmaps", "create leases", "patch virtualmachines", "virtualmachines/restart"):
        assert right in result["msg"]
    assert "create virtualmachineinstancemigrations" not in result["msg"]
    assert "docs/rbac" in result["msg"]
    assert not scene.migrations()
    assert scene.holder() == ""


def test_a_missing_state_namespace_names_option_and_roles(scene: Scene) -> None:
    result = scene.run(scene.plan({"non-critical": [("shop/web-01", "worker-10")]}), state_namespace="nowhere")
    assert result["failed"]
    assert "state_namespace" in result["msg"]
    assert "nowhere" in result["msg"]
    assert "docs/rbac" in result["msg"]
    assert not scene.migrations()


def without(*kinds: str) -> Obj:
    """The small scenario without some objects, as the content of a scenario file."""
    scenario = load("small")
    objects = [item for item in scenario.objects if item["kind"] not in kinds]
    return {"settings": dict(scenario.settings), "objects": objects}


def test_without_a_hyperconverged_kubevirts_own_settings_count() -> None:
    with start_cluster(without("HyperConverged"), time_scale=TIME_SCALE) as cluster:
        scene = Scene(cluster)
        result = scene.run(scene.plan({"non-critical": [("shop/web-01", "worker-10")]}))
    assert not result.get("failed"), result
    assert "KubeVirt" in result["run"]["limits"]["source"]
    assert "HyperConverged" not in result["run"]["limits"]["source"]
    assert statuses(result) == {"m1": "succeeded"}


def test_without_any_operator_the_limits_have_to_be_given() -> None:
    with start_cluster(without("HyperConverged", "KubeVirt"), time_scale=TIME_SCALE) as cluster:
        scene = Scene(cluster)
        plan = scene.plan({"non-critical": [("shop/web-01", "worker-10")]})
        result = scene.run(plan)
        assert result["failed"]
        assert "max_parallel and max_per_source" in result["msg"]
        assert not scene.migrations()
        assert scene.holder() == ""
        result = scene.run(plan, max_parallel=2, max_per_source=1)
        assert statuses(result) == {"m1": "succeeded"}
        assert result["run"]["limits"]["source"] == "the run's options"


def change(plan: Obj, **changes: Any) -> Obj:
    return {**json.loads(json.dumps(plan)), **changes}


@pytest.mark.parametrize(
    ("changes", "options", "words"),
    [
        ({"cluster": {"uid": "another"}}, {}, ("plan.cluster.uid", "another")),
        ({"created_at": "2020-01-01T00:00:00Z"}, {}, ("plan.created_at", "hours old", "max_plan_age_seconds")),
        ({"created_at": "yesterday"}, {}, ("plan.created_at", "yesterday")),
        ({"format": "something/else"}, {}, ("plan.format", "something/else")),
        ({"stages": [{"name": "weekend", "waves": []}]}, {}, ("weekend", "canary")),
        ({"stages": "none"}, {}, ("plan.stages", "a list")),
        ({}, {"approved_digest": "sha256:0"}, ("approved_digest", "sha256:0")),
        ({}, {"max_parallel": 0}, ("max_parallel", "from 1")),
        ({}, {"stop_percent": 101}, ("stop_percent", "101")),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else None,
)
def test_what_cannot_be_meant_is_refused_before_anything_is_done(
    refused: Scene, changes: Obj, options: Obj, words: tuple[str, ...]
) -> None:
    plan = change(refused.plan({"non-critical": [("shop/web-01", "worker-10")]}), **changes)
    result = refused.run(plan, **options)
    assert result["failed"]
    for word in words:
        assert word in result["msg"]
    assert not refused.migrations()
    assert refused.holder() == ""


@pytest.fixture(scope="module")
def refused() -> Iterator[Scene]:
    """A cluster for calls that change nothing."""
    with start_cluster(time_scale=TIME_SCALE) as cluster:
        yield Scene(cluster)


def test_a_plan_file_that_is_no_plan_is_refused(refused: Scene, tmp_path: Path) -> None:
    for name, content, word in (("broken.yml", "a: [", "neither YAML nor JSON"), ("list.json", "[]", "mapping")):
        path = tmp_path / name
        path.write_text(content)
        result = refused.run(None, plan_file=str(path))  # type: ignore[arg-type]
        assert result["failed"]
        assert word in result["msg"]
    result = refused.run(None, plan_file=str(tmp_path / "absent.yml"))  # type: ignore[arg-type]
    assert "plan_file" in result["msg"]
    assert "absent.yml" in result["msg"]


def test_check_mode_tells_what_would_be_done_and_writes_nothing(refused: Scene) -> None:
    plan = refused.plan({"non-critical": [("shop/web-01", "worker-10"), ("legacy/legacy-01", "worker-11")]})
    refused.cluster.forget_requests()
    result = refused.run(plan, check_mode=True)
    assert not result.get("failed"), result
    assert result["changed"]
    assert {problem["move"] for problem in result["problems"]} == {"m2"}
    assert set(statuses(result).values()) == {"waiting"}
    writes = [
        request for request in refused.cluster.requests() if request.split()[0] not in ("list", "get", "GET", "watch")
    ]
    assert not writes
