"""Server-side apply: ownership, conflicts, what a manager leaves out."""

from __future__ import annotations

from .api import Api
from .case import Case, case, get, patch, post, told
from .objects import config_map, lease, network_policy, pod, policy, template, workload

_POLICY = "migrationpolicies/{ns}"


def apply_creates_and_changes(api: Api) -> None:
    api.patch("configmaps/a", config_map(x="1"), "apply")
    api.patch("configmaps/a", config_map(x="1"), "apply")
    api.patch("configmaps/a", config_map(x="2", y="1"), "apply")
    api.patch("configmaps/a", config_map(y="1"), "apply")


def apply_of_a_custom_resource(api: Api) -> None:
    api.patch(_POLICY, policy(allowPostCopy=True), "apply")
    api.patch(_POLICY, policy(allowPostCopy=True), "apply")
    api.patch(_POLICY, policy(allowAutoConverge=True), "apply")
    api.patch(_POLICY, policy(), "apply")


def one_conflict(api: Api) -> None:
    api.patch("nncps/{ns}", network_policy(maxUnavailable=1), "apply", fieldManager="m1")
    api.patch("nncps/{ns}", network_policy(maxUnavailable=2), "apply", fieldManager="m2")
    api.patch("nncps/{ns}", network_policy(maxUnavailable=2), "apply", fieldManager="m2", force="true")
    api.patch("nncps/{ns}", network_policy(maxUnavailable=1), "apply", fieldManager="m1")


def two_conflicts(api: Api) -> None:
    api.patch("nncps/{ns}", network_policy(maxUnavailable=1, nodeSelector={"a": "b"}), "apply", fieldManager="m1")
    api.patch("nncps/{ns}", network_policy(maxUnavailable=2, nodeSelector={"a": "c"}), "apply", fieldManager="m2")


def conflicts_with_two_managers(api: Api) -> None:
    api.patch("configmaps/a", config_map(x="1"), "apply", fieldManager="m1")
    api.patch("configmaps/a", config_map(y="1"), "apply", fieldManager="m2")
    api.patch("configmaps/a", config_map(x="2", y="2"), "apply", fieldManager="m3")


def conflict_with_an_update(api: Api) -> None:
    api.post("nncps", network_policy(maxUnavailable=1), fieldManager="kubectl-edit")
    api.patch("nncps/{ns}", network_policy(maxUnavailable=2), "apply", fieldManager="m2")
    api.post("configmaps", config_map(x="1"), fieldManager="kubectl-edit")
    api.patch("configmaps/a", config_map(x="2"), "apply", fieldManager="m2")
    api.patch("configmaps/a", config_map(x="2"), "apply", fieldManager="m2", force="true")


def conflict_with_a_status_writer(api: Api) -> None:
    api.post("pods", pod())
    api.patch("pods/a/status", {"status": {"phase": "Running"}}, fieldManager="kubelet")
    body = pod() | {"status": {"phase": "Failed"}}
    api.patch("pods/a/status", body, "apply", fieldManager="m2")


def shared_values(api: Api) -> None:
    api.patch("configmaps/a", config_map(x="1"), "apply", fieldManager="m1")
    api.patch("configmaps/a", config_map(x="1", y="1"), "apply", fieldManager="m2")
    api.patch("configmaps/a", config_map(), "apply", fieldManager="m1")
    api.patch("configmaps/a", config_map(y="1"), "apply", fieldManager="m2")


def update_takes_ownership(api: Api) -> None:
    api.patch("configmaps/a", config_map(x="1", y="1"), "apply", fieldManager="m1")
    api.patch("configmaps/a", {"data": {"x": "2"}}, fieldManager="m2")
    api.patch("configmaps/a", config_map(y="1"), "apply", fieldManager="m1")


def lists_with_keys(api: Api) -> None:
    more = template(initContainers=[{"name": "i", "image": "example.com/i:1"}])
    api.patch("deployments/a", workload("Deployment", template=more), "apply", fieldManager="m1")
    api.patch("deployments/a", workload("Deployment"), "apply", fieldManager="m1")
    other = template(containers=[{"name": "d", "image": "example.com/d:1"}])
    api.patch("deployments/a", workload("Deployment", template=other), "apply", fieldManager="m2")
    api.patch("deployments/a", workload("Deployment"), "apply", fieldManager="m2")


def labels_and_finalizers(api: Api) -> None:
    meta = {"labels": {"a": "1", "b": "2"}, "finalizers": ["example.com/a", "example.com/b"]}
    api.patch("configmaps/a", config_map("a", meta), "apply", fieldManager="m1")
    api.patch("configmaps/a", config_map("a", {"labels": {"a": "1"}, "finalizers": ["example.com/b"]}), "apply",
              fieldManager="m1")  # fmt: skip
    api.patch("configmaps/a", config_map("a"), "apply", fieldManager="m1")


def status_is_dropped_by_apply(api: Api) -> None:
    status = {"status": {"lastUnavailableNodeCountUpdate": "2026-01-01T00:00:00Z"}}
    api.patch("nncps/{ns}", network_policy(maxUnavailable=1) | status, "apply")
    api.patch("nncps/{ns}/status", network_policy(maxUnavailable=2) | status, "apply")
    api.patch("nncps/absent-{ns}/status", network_policy("absent-{ns}") | status, "apply")


def apply_with_managed_fields(api: Api) -> None:
    fields = [{"manager": "x", "operation": "Apply", "apiVersion": "v1", "fieldsType": "FieldsV1", "fieldsV1": {}}]
    api.patch("configmaps/a", config_map("a", {"managedFields": fields}), "apply")


def apply_of_a_lease(api: Api) -> None:
    api.patch("leases/a", lease(holderIdentity="x", renewTime="2026-01-01T00:00:00.000000Z"), "apply")
    api.patch("leases/a", lease(holderIdentity="y"), "apply", fieldManager="m2")
    api.patch("leases/a", lease(holderIdentity="y"), "apply")


def apply_after_clearing_managed_fields(api: Api) -> None:
    api.post("configmaps", config_map(x="1"))
    api.patch("configmaps/a", {"metadata": {"managedFields": [{}]}})
    api.patch("configmaps/a", config_map(x="1"), "apply", fieldManager="m1")


CASES: list[Case] = [
    case("apply without manager", patch("configmaps/a", config_map(x="1"), "apply", fieldManager="")),
    case("apply with uid", patch("configmaps/a", config_map("a", {"uid": "x"}, x="1"), "apply")),
    case("apply with version to nothing", patch("configmaps/a", config_map("a", {"resourceVersion": "5"}), "apply")),
    case("apply in yaml", patch("configmaps/a", b"apiVersion: v1\nkind: ConfigMap\ndata: {x: '1'}\n", "apply")),
    case("force of a merge patch", post("configmaps", config_map()), patch("configmaps/a", {}, force="true")),
    case("force of words", patch("configmaps/a", config_map(), "apply", force="perhaps")),
    case("apply dry run", patch("configmaps/a", config_map(x="1"), "apply", dryRun="All"), get("configmaps/a")),
    case("manager with long name", patch("configmaps/a", config_map(), "apply", fieldManager="m" * 129)),
    case("manager that cannot be printed", patch("configmaps/a", config_map(), "apply", fieldManager="a\nb")),
    *told(
        apply_creates_and_changes,
        apply_of_a_custom_resource,
        one_conflict,
        two_conflicts,
        conflicts_with_two_managers,
        conflict_with_an_update,
        conflict_with_a_status_writer,
        shared_values,
        update_takes_ownership,
        lists_with_keys,
        labels_and_finalizers,
        status_is_dropped_by_apply,
        apply_with_managed_fields,
        apply_of_a_lease,
        apply_after_clearing_managed_fields,
    ),
]
