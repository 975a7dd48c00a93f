"""Create, update and patch: unknown fields, dry runs, names, patch types, status, checks by schema."""

from __future__ import annotations

from .api import Api
from .case import Case, Step, case, get, patch, post, put, told
from .objects import (
    claim,
    config_map,
    data_volume,
    kubelet_config,
    machine,
    namespace,
    network,
    network_policy,
    node,
    obj,
    pod,
    policy,
    role,
    secret,
    storage_class,
    workload,
)

_VALIDATION = {"Ignore": "Ignore", "Warn": "Warn", "Strict": "Strict", "default": ""}
_DUPLICATE = b'{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"},"data":{"x":"1","x":"2"},"data":{"y":"3"}}'
_DUPLICATE_POLICY = (
    b'{"apiVersion":"migrations.kubevirt.io/v1alpha1","kind":"MigrationPolicy","metadata":{"name":"d-dup-%s"},'
    b'"spec":{"selectors":{},"allowAutoConverge":true,"allowAutoConverge":false}}'
)
_POLICY = "migrationpolicies/{ns}"
_UNKNOWN_POLICY = policy(bogus=1, allowAutoConverge=True) | {"extra": 2}
_UNKNOWN_MAP = config_map(x="1") | {"bogus": {"a": 1}}


def _validated(name: str, value: str) -> list[Case]:
    option = {"fieldValidation": value} if value else {}
    change = {"spec": {"bogus": 1, "allowAutoConverge": True}}
    return [
        case(f"create unknown fields core {name}", post("configmaps", _UNKNOWN_MAP, **option), get("configmaps/a")),
        case(f"create unknown fields custom {name}", post("migrationpolicies", _UNKNOWN_POLICY, **option)),
        case(
            f"merge patch unknown fields custom {name}",
            post("migrationpolicies", policy()),
            patch(_POLICY, change, **option),
        ),
        case(
            f"merge patch unknown fields core {name}",
            post("configmaps", config_map(x="1")),
            patch("configmaps/a", {"bogus": 1, "data": {"y": "2"}}, **option),
        ),
        case(
            f"json patch unknown fields custom {name}",
            post("migrationpolicies", policy()),
            patch(_POLICY, [{"op": "add", "path": "/spec/bogus", "value": 1}], "json", **option),
        ),
        case(
            f"strategic patch unknown fields core {name}",
            post("configmaps", config_map(x="1")),
            patch("configmaps/a", {"bogus": 1, "data": {"y": "2"}}, "strategic", **option),
        ),
        case(
            f"update unknown fields core {name}",
            post("configmaps", config_map(x="1")),
            put("configmaps/a", _UNKNOWN_MAP | {"data": {"x": "2"}}, **option),
        ),
        case(f"update unknown fields custom {name}", post("migrationpolicies", policy()), _put_unknown(option)),
        case(
            f"apply unknown fields custom {name}",
            patch(_POLICY, policy(bogus=1, allowAutoConverge=True), "apply", **option),
            get(_POLICY),
        ),
        case(f"apply unknown fields core {name}", patch("configmaps/a", _UNKNOWN_MAP, "apply", **option)),
        case(f"create duplicate fields core {name}", post("configmaps", _DUPLICATE, **option)),
        case(
            f"create duplicate fields custom {name}",
            post("migrationpolicies", _DUPLICATE_POLICY % name.lower().encode(), **option),
        ),
    ]


def _put_unknown(option: dict[str, str]) -> Step:
    def step(api: Api) -> None:
        version = api.get(_POLICY)["metadata"]["resourceVersion"]
        api.put(_POLICY, policy(meta={"resourceVersion": version}, bogus=1, allowAutoConverge=True), **option)

    return step


def dry_runs(api: Api) -> None:
    option = {"dryRun": "All"}
    api.post("migrationpolicies", policy(), **option)
    api.get(_POLICY)
    api.post("migrationpolicies", policy())
    api.post("migrationpolicies", policy(), **option)
    api.patch(_POLICY, {"spec": {"allowPostCopy": True}}, **option)
    api.patch(_POLICY, policy(allowPostCopy=True), "apply", **option)
    api.delete(_POLICY, **option)
    api.delete(_POLICY, {"kind": "DeleteOptions", "apiVersion": "v1", "dryRun": ["All"]})
    api.get(_POLICY)
    api.patch("migrationpolicies/absent-{ns}", {"spec": {}}, **option)
    api.delete("migrationpolicies/absent-{ns}", **option)


def dry_runs_of_core_kinds(api: Api) -> None:
    option = {"dryRun": "All"}
    api.post("configmaps", config_map(x="1"), **option)
    api.post("configmaps", config_map(x="1"))
    api.put("configmaps/a", config_map(x="2"), **option)
    api.patch("configmaps/a", {"data": {"x": "3"}}, **option)
    api.delete("configmaps/a", **option)
    api.get("configmaps/a")
    api.post("pods", pod(), **option)


def dry_run_with_bad_value(api: Api) -> None:
    api.post("configmaps", config_map(x="1"), dryRun="true")
    api.post("configmaps", config_map(x="1"))
    api.put("configmaps/a", config_map(x="1"), dryRun="None")
    api.patch("configmaps/a", {}, dryRun="1")
    api.patch("configmaps/a", config_map(), "apply", dryRun="1")
    api.delete("configmaps/a", dryRun="yes")
    api.delete("configmaps/a", {"dryRun": ["yes"]})
    api.delete("configmaps", dryRun="yes")
    api.post("migrationpolicies", policy(), dryRun="no")


def generated_names(api: Api) -> None:
    nameless = {"generateName": "job-"}
    api.post("configmaps", config_map("", nameless, x="1"), dryRun="All")
    api.post("configmaps", config_map("", nameless, x="1"))
    api.post("nads", network("") | {"metadata": nameless})
    api.post("configmaps", config_map("given", nameless))
    api.post("configmaps", config_map("", {"generateName": "Bad_"}))
    api.post("nads", network("") | {"metadata": {"generateName": "Bad_"}})


def nulls_in_merge_patch(api: Api) -> None:
    api.post("migrationpolicies", policy(meta={"labels": {"a": "1", "b": "2"}}, allowPostCopy=True))
    api.patch(_POLICY, {"metadata": {"labels": {"a": None}}, "spec": {"allowPostCopy": None}})
    api.patch(_POLICY, {"metadata": {"labels": None}})
    api.patch(_POLICY, {"spec": None})
    api.post("configmaps", config_map(x="1", y="2"))
    api.patch("configmaps/a", {"data": {"x": None}})
    api.patch("configmaps/a", {"data": None})


def json_patches(api: Api) -> None:
    api.post("configmaps", config_map(x="1", y="2"))
    path = "configmaps/a"
    api.patch(path, [{"op": "replace", "path": "/data/x", "value": "3"}], "json")
    api.patch(path, [{"op": "add", "path": "/data/z~1q", "value": "4"}], "json")
    api.patch(path, [{"op": "remove", "path": "/data/y"}], "json")
    api.patch(path, [{"op": "remove", "path": "/data/absent"}], "json")
    api.patch(path, [{"op": "replace", "path": "/data/absent", "value": "1"}], "json")
    api.patch(path, [{"op": "test", "path": "/data/x", "value": "nope"}], "json")
    api.patch(path, [{"op": "test", "path": "/data/x", "value": "3"}], "json")
    api.patch(path, [{"op": "move", "from": "/data/x", "path": "/data/w"}], "json")
    api.patch(path, [{"op": "copy", "from": "/data/w", "path": "/data/v"}], "json")
    api.patch(path, [{"op": "bogus", "path": "/data/w"}], "json")
    api.patch(path, [{"op": "add", "path": "/metadata/labels/a", "value": "b"}], "json")
    api.patch(path, [{"op": "add", "path": "/data/w", "value": 5}], "json")


def strategic_patches(api: Api) -> None:
    api.post("deployments", workload("Deployment"))
    path = "deployments/a"
    more = {"containers": [{"name": "d", "image": "example.com/d"}]}
    api.patch(path, {"spec": {"template": {"spec": more}}}, "strategic")
    gone = {"containers": [{"name": "c", "$patch": "delete"}]}
    api.patch(path, {"spec": {"template": {"spec": gone}}}, "strategic")
    replaced = {"containers": [{"name": "e", "image": "example.com/e"}, {"$patch": "replace"}]}
    api.patch(path, {"spec": {"template": {"spec": replaced}}}, "strategic")
    api.patch(path, {"metadata": {"finalizers": ["example.com/f"]}}, "strategic")
    api.patch(path, {"metadata": {"$deleteFromPrimitiveList/finalizers": ["example.com/f"]}}, "strategic")
    api.patch(path, {"spec": {"template": {"spec": {"containers": [{"image": "x"}]}}}}, "strategic")


def strategic_patch_of_node_taints(api: Api) -> None:
    taint = {"key": "example.com/a", "effect": "NoSchedule"}
    api.post("nodes", node(taints=[taint]))
    api.patch("nodes/{ns}", {"spec": {"taints": [{**taint, "key": "example.com/b"}]}}, "strategic")
    api.patch("nodes/{ns}", {"spec": {"unschedulable": True}})
    api.patch("nodes/{ns}", {"spec": {"unschedulable": None}})
    api.patch("nodes/{ns}", {"spec": {"unschedulable": False}}, "strategic")


def status_is_kept_apart(api: Api) -> None:
    api.post("nncps", network_policy() | {"status": {"conditions": []}})
    path = "nncps/{ns}"
    api.patch(path, {"status": {"lastUnavailableNodeCountUpdate": "2026-01-01T00:00:00Z"}})
    change = {"metadata": {"labels": {"a": "b"}}, "spec": {"maxUnavailable": 3}}
    status = {"lastUnavailableNodeCountUpdate": "2026-01-01T00:00:00Z"}
    api.patch(f"{path}/status", {**change, "status": status})
    api.get(f"{path}/status")
    whole = api.get(path)
    api.put(f"{path}/status", {**whole, "spec": {"maxUnavailable": 5}, "status": {}})
    api.put(path, {**whole, "status": {}})
    api.patch(f"{path}/status", {"status": {"bogus": 1}})


def status_of_core_kinds(api: Api) -> None:
    api.post("pods", pod() | {"status": {"phase": "Running"}})
    change = {"metadata": {"labels": {"a": "b"}}, "spec": {"nodeName": "x"}, "status": {"phase": "Running"}}
    api.patch("pods/a/status", change)
    api.patch("pods/a", {"status": {"phase": "Failed"}})
    api.get("pods/a/status")
    api.get("configmaps/a/status")
    api.post("configmaps", config_map())
    api.get("configmaps/a/status")
    api.patch("configmaps/a/status", {})


def no_status_subresource(api: Api) -> None:
    api.post("nads", network() | {"status": {"x": 1}})
    api.get("nads/a/status")
    api.patch("nads/a/status", {"status": {"x": 1}})
    api.get("nads/absent/status")


def immutable_fields(api: Api) -> None:
    api.post("secrets", secret(data={"a": "eA=="}, type="Opaque"))
    api.patch("secrets/a", {"type": "other"})
    api.post("configmaps", config_map(x="1") | {"immutable": True})
    api.patch("configmaps/a", {"data": {"x": "2"}})
    api.post("storageclasses", storage_class())
    api.patch("storageclasses/{ns}", {"provisioner": "other"})
    api.post("persistentvolumeclaims", claim())
    api.patch("persistentvolumeclaims/a", {"spec": {"accessModes": ["ReadWriteOnce"]}})
    api.post("deployments", workload("Deployment"))
    api.patch("deployments/a", {"spec": {"selector": {"matchLabels": {"app": "b"}}}})


def immutable_pod(api: Api) -> None:
    api.post("pods", pod())
    api.patch("pods/a", {"spec": {"containers": [{"name": "c", "image": "other"}]}}, "strategic")
    api.patch("pods/a", {"spec": {"terminationGracePeriodSeconds": 3}})


def labels_and_annotations_are_checked(api: Api) -> None:
    api.post("configmaps", config_map(meta={"labels": {"a b": "c"}}))
    api.post("configmaps", config_map(meta={"labels": {"a": "c d"}}))
    api.post("migrationpolicies", policy(meta={"labels": {"a": "c d"}}))
    api.post("configmaps", config_map(meta={"annotations": {"a b": "c"}}))
    api.post("configmaps", config_map(meta={"labels": {"a": 1}}))
    api.post("migrationpolicies", policy(meta={"labels": {"a": 1}}))
    api.post("configmaps", config_map(meta={"finalizers": ["nopath"]}))
    api.post("nads", network() | {"metadata": {"name": "a", "finalizers": ["nopath"]}})


def names_are_checked(api: Api) -> None:
    for name in ("Upper", "a_b", "a/b", "-a", "x" * 254, ""):
        api.post("configmaps", config_map(name))
        api.post("nads", network(name))
    api.post("namespaces", namespace("a.b"))
    api.post("roles", role("a:b"))
    api.post("services", obj("v1", "Service", "a.b", None, spec={"ports": [{"port": 1}]}))


def absent_objects(api: Api) -> None:
    for path in ("configmaps/x", "migrationpolicies/x", "nads/x", "vms/x", "pods/x", "nodes/x", "leases/x"):
        api.get(path)
        api.patch(path, {"metadata": {"labels": {"a": "b"}}})
        api.delete(path)
    api.put("configmaps/x", config_map("x"))
    api.put("migrationpolicies/x", policy("x", meta={"resourceVersion": "1"}))
    api.patch("configmaps/x/status", {})
    api.patch("nncps/x/status", {"status": {}})


def absent_namespace(api: Api) -> None:
    api.post("/api/v1/namespaces/absent/configmaps", config_map())
    api.post("/apis/kubevirt.io/v1/namespaces/absent/virtualmachines", machine())
    api.get("/api/v1/namespaces/absent/configmaps")
    api.get("/api/v1/namespaces/absent/configmaps/a")
    api.get("/apis/kubevirt.io/v1/namespaces/absent/virtualmachines")
    api.patch("/api/v1/namespaces/absent/configmaps/a", config_map(), "apply")


def existing_objects(api: Api) -> None:
    for path, body in (
        ("configmaps", config_map()),
        ("migrationpolicies", policy()),
        ("nads", network()),
        ("namespaces", namespace("{ns}")),
        ("nodes", node()),
    ):
        api.post(path, body)
        api.post(path, body)


def post_to_an_object(api: Api) -> None:
    api.post("configmaps/a", config_map())
    api.post("nads/a", network())
    api.post("nads/a", network())
    api.post("nads", network("c"))
    api.post("nads/c", network("d"))


def values_are_checked_by_schema(api: Api) -> None:
    api.post("migrationpolicies", policy(allowPostCopy="yes"))
    api.post("migrationpolicies", policy(allowPostCopy="yes", completionTimeoutPerGiB="x"))
    api.post("migrationpolicies", obj("migrations.kubevirt.io/v1alpha1", "MigrationPolicy", "{ns}", None))
    api.post("migrationpolicies", policy(bandwidthPerMigration="many"))
    api.post("nncps", network_policy(nodeSelector={"a": 1}))
    api.post("kubeletconfigs", kubelet_config(kubeletConfig={"anything": {"x": [1]}}, autoSizingReserved="x"))
    api.post("datavolumes", data_volume(preallocation="x"))
    api.post("nads", network(spec={"config": 5}))


def free_form_fields(api: Api) -> None:
    api.post("kubeletconfigs", kubelet_config(kubeletConfig={"maxPods": 500, "x": {"y": [1, {"z": None}]}}))
    api.post("nncps", network_policy(desiredState={"interfaces": [{"name": "eth1", "mtu": 9000}]}))
    api.patch("kubeletconfigs/{ns}", {"spec": {"kubeletConfig": {"maxPods": 250, "w": None}}})


CASES: list[Case] = [
    *(each for name, value in _VALIDATION.items() for each in _validated(name, value)),
    case("field validation with a bad value", post("configmaps", config_map(), fieldValidation="Maybe")),
    case("patch field validation bad", patch("configmaps/a", {}, fieldValidation="Maybe")),
    *told(
        dry_runs,
        dry_runs_of_core_kinds,
        dry_run_with_bad_value,
        generated_names,
        nulls_in_merge_patch,
        json_patches,
        strategic_patches,
        strategic_patch_of_node_taints,
        status_is_kept_apart,
        status_of_core_kinds,
        no_status_subresource,
        immutable_fields,
        immutable_pod,
        labels_and_annotations_are_checked,
        names_are_checked,
        absent_objects,
        absent_namespace,
        existing_objects,
        post_to_an_object,
        values_are_checked_by_schema,
        free_form_fields,
    ),
]
