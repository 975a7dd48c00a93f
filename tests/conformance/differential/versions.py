"""Create, update and patch: versions, conflicts, writes that change nothing, generations, fields of the system."""

from __future__ import annotations

from .api import Api
from .case import Case, told
from .objects import config_map, lease, network, pod, policy, workload

_POLICY = "migrationpolicies/{ns}"


def stale_version_in_put(api: Api) -> None:
    old = api.post("configmaps", config_map(x="1"))
    api.patch("configmaps/a", {"data": {"x": "2"}})
    api.put("configmaps/a", {**old, "data": {"x": "3"}})
    api.get("configmaps/a")


def stale_version_in_put_of_a_custom_resource(api: Api) -> None:
    old = api.post("migrationpolicies", policy())
    api.patch(_POLICY, {"spec": {"allowPostCopy": True}})
    api.put(_POLICY, {**old, "spec": {"selectors": {}, "allowAutoConverge": True}})


def stale_version_in_merge_patch(api: Api) -> None:
    old = api.post("migrationpolicies", policy())
    api.patch(_POLICY, {"spec": {"allowPostCopy": True}})
    version = old["metadata"]["resourceVersion"]
    api.patch(_POLICY, {"metadata": {"resourceVersion": version}, "spec": {"allowPostCopy": False}})


def stale_version_in_apply(api: Api) -> None:
    old = api.post("configmaps", config_map(x="1"))
    api.patch("configmaps/a", {"data": {"x": "2"}})
    body = config_map(meta={"resourceVersion": old["metadata"]["resourceVersion"]}, x="2")
    api.patch("configmaps/a", body, "apply")


def stale_version_in_json_patch_test(api: Api) -> None:
    old = api.post("configmaps", config_map(x="1"))
    api.patch("configmaps/a", {"data": {"x": "2"}})
    version = old["metadata"]["resourceVersion"]
    api.patch("configmaps/a", [{"op": "test", "path": "/metadata/resourceVersion", "value": version}], "json")


def present_version_in_merge_patch(api: Api) -> None:
    version = api.post("configmaps", config_map(x="1"))["metadata"]["resourceVersion"]
    api.patch("configmaps/a", {"metadata": {"resourceVersion": version}, "data": {"x": "2"}})


def wrong_uid_in_put(api: Api) -> None:
    old = api.post("configmaps", config_map(x="1"))
    old["metadata"]["uid"] = "00000000-0000-0000-0000-000000000000"
    api.put("configmaps/a", old)


def wrong_uid_in_put_of_a_custom_resource(api: Api) -> None:
    old = api.post("migrationpolicies", policy())
    old["metadata"]["uid"] = "00000000-0000-0000-0000-000000000000"
    api.put(_POLICY, old)


def put_without_version(api: Api) -> None:
    api.post("configmaps", config_map(x="1"))
    api.put("configmaps/a", config_map(x="2"))
    api.post("migrationpolicies", policy())
    api.put(_POLICY, policy(allowPostCopy=True))
    api.post("leases", lease(holderIdentity="x"))
    api.put("leases/a", lease(holderIdentity="y"))


def no_op_put_keeps_version(api: Api) -> None:
    api.put("configmaps/a", api.post("configmaps", config_map(x="1")))
    api.put(_POLICY, api.post("migrationpolicies", policy()))


def no_op_patches_keep_version(api: Api) -> None:
    api.post("migrationpolicies", policy(allowPostCopy=True))
    api.patch(_POLICY, {"spec": {"allowPostCopy": True}})
    api.patch(_POLICY, {})
    api.patch(_POLICY, [], "json")
    api.patch(_POLICY, [{"op": "replace", "path": "/spec/allowPostCopy", "value": True}], "json")
    api.post("configmaps", config_map(x="1"))
    api.patch("configmaps/a", {"data": {"x": "1"}}, "strategic")
    api.patch("configmaps/a", {"data": {"absent": None}})
    api.patch("configmaps/a", {"data": {"x": "1"}}, fieldManager="other")


def put_under_another_manager(api: Api) -> None:
    api.post("configmaps", config_map(x="1", y="1"), fieldManager="one")
    api.put("configmaps/a", config_map(x="1", z="2"), fieldManager="two")


def generation_of_custom_resources(api: Api) -> None:
    api.post("migrationpolicies", policy())
    api.patch(_POLICY, {"metadata": {"labels": {"a": "b"}}})
    api.patch(_POLICY, {"spec": {"allowPostCopy": True}})
    api.patch(_POLICY, {"status": {"x": 1}})
    api.post("nads", network())
    api.patch("nads/a", {"spec": {"config": "{ }"}})


def generation_of_core_kinds(api: Api) -> None:
    api.post("deployments", workload("Deployment"))
    api.patch("deployments/a", {"spec": {"replicas": 2}})
    api.patch("deployments/a", {"metadata": {"annotations": {"a": "b"}}})
    api.patch("deployments/a/status", {"status": {"replicas": 1}})
    api.post("configmaps", config_map(x="1"))
    api.patch("configmaps/a", {"data": {"x": "2"}})
    api.post("pods", pod())


def given_system_fields_on_create(api: Api) -> None:
    meta = {"uid": "00000000-0000-0000-0000-000000000000", "creationTimestamp": "2020-01-01T00:00:00Z"}
    api.post("configmaps", config_map(meta={**meta, "generation": 7, "selfLink": "/x"}, x="1"))
    api.post("migrationpolicies", policy(meta={**meta, "generation": 7, "selfLink": "/x"}))
    api.post("configmaps", config_map("b", meta={"deletionTimestamp": "2020-01-01T00:00:00Z"}))


def given_version_on_create(api: Api) -> None:
    api.post("configmaps", config_map(meta={"resourceVersion": "5"}, x="1"))
    api.post("migrationpolicies", policy(meta={"resourceVersion": "5"}))


def changed_system_fields(api: Api) -> None:
    api.post("configmaps", config_map(x="1"))
    api.post("migrationpolicies", policy())
    for path in ("configmaps/a", _POLICY):
        for name, value in (
            ("uid", "00000000-0000-0000-0000-000000000000"),
            ("creationTimestamp", "2020-01-01T00:00:00Z"),
            ("deletionTimestamp", "2020-01-01T00:00:00Z"),
            ("generation", 9),
            ("name", "other"),
            ("namespace", "other"),
            ("selfLink", "/x"),
            ("generateName", "x-"),
        ):
            api.patch(path, {"metadata": {name: value}})


CASES: list[Case] = [
    *told(
        stale_version_in_put,
        stale_version_in_put_of_a_custom_resource,
        stale_version_in_merge_patch,
        stale_version_in_apply,
        stale_version_in_json_patch_test,
        present_version_in_merge_patch,
        wrong_uid_in_put,
        wrong_uid_in_put_of_a_custom_resource,
        put_without_version,
        no_op_put_keeps_version,
        no_op_patches_keep_version,
        put_under_another_manager,
        generation_of_custom_resources,
        generation_of_core_kinds,
        given_system_fields_on_create,
        given_version_on_create,
        changed_system_fields,
    ),
]
