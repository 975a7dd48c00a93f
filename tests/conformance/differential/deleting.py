"""Deletion: preconditions, finalizers, propagation, collections."""

from __future__ import annotations

from typing import Any

from .api import Api
from .case import Case, case, delete, get, post, told
from .objects import claim, config_map, machine, namespace, network, node, pod, policy, secret, workload

_HELD = {"finalizers": ["example.com/hold"]}
_OTHER_UID = "00000000-0000-0000-0000-000000000000"
_KINDS: dict[str, Any] = {
    "configmaps": config_map(),
    "secrets": secret(),
    "pods": pod(),
    "persistentvolumeclaims": claim(),
    "deployments": workload("Deployment"),
    "nads": network(),
}


def _options(**content: Any) -> dict[str, Any]:
    return {"kind": "DeleteOptions", "apiVersion": "v1", **content}


def delete_with_finalizer(api: Api) -> None:
    api.post("nads", network() | {"metadata": {"name": "a", **_HELD}})
    api.delete("nads/a")
    api.delete("nads/a")
    api.post("nads", network())
    api.patch("nads/a", {"spec": {"config": "{ }"}})
    api.patch("nads/a", {"metadata": {"finalizers": ["example.com/hold", "example.com/new"]}})
    api.patch("nads/a", {"metadata": {"finalizers": None}})
    api.get("nads/a")


def delete_with_finalizer_of_a_core_kind(api: Api) -> None:
    api.post("configmaps", config_map("a", _HELD))
    api.delete("configmaps/a")
    api.delete("configmaps/a")
    api.post("configmaps", config_map())
    api.patch("configmaps/a", {"metadata": {"finalizers": ["example.com/hold", "example.com/new"]}})
    api.patch("configmaps/a", [{"op": "remove", "path": "/metadata/finalizers"}], "json")
    api.get("configmaps/a")


def deletion_timestamp_cannot_be_taken_back(api: Api) -> None:
    api.post("configmaps", config_map("a", _HELD))
    api.delete("configmaps/a")
    api.patch("configmaps/a", {"metadata": {"deletionTimestamp": None}})


def wrong_uid_in_preconditions(api: Api) -> None:
    for path, body in (("configmaps", config_map()), ("nads", network())):
        api.post(path, body)
        api.delete(f"{path}/a", _options(preconditions={"uid": _OTHER_UID}))


def wrong_version_in_preconditions(api: Api) -> None:
    for path, body in (("configmaps", config_map()), ("nads", network())):
        api.post(path, body)
        api.delete(f"{path}/a", _options(preconditions={"resourceVersion": "1"}))


def right_preconditions(api: Api) -> None:
    meta = api.post("configmaps", config_map())["metadata"]
    wanted = {"uid": meta["uid"], "resourceVersion": meta["resourceVersion"]}
    api.delete("configmaps/a", _options(preconditions=wanted))


def propagation(api: Api) -> None:
    for policy_name in ("Foreground", "Orphan", "Background"):
        api.post("deployments", workload("Deployment", policy_name.lower()))
        api.delete(f"deployments/{policy_name.lower()}", _options(propagationPolicy=policy_name))
        api.get(f"deployments/{policy_name.lower()}")
    api.post("nads", network())
    api.delete("nads/a", propagationPolicy="Foreground")
    api.post("nads", network("b"))
    api.delete("nads/b", propagationPolicy="Whatever")
    api.delete("nads/b", _options(propagationPolicy="Whatever"))
    api.delete("nads/b", _options(propagationPolicy="Orphan", orphanDependents=True))


def pods_on_a_node_end_gracefully(api: Api) -> None:
    api.post("pods", pod(nodeName="n"))
    api.delete("pods/a", dryRun="All")
    api.delete("pods/a")
    api.delete("pods/a")
    api.delete("pods/a", gracePeriodSeconds="5")
    api.get("pods/a")
    api.delete("pods/a", _options(gracePeriodSeconds=0))
    api.get("pods/a")


def grace_of_other_kinds(api: Api) -> None:
    api.post("configmaps", config_map())
    api.delete("configmaps/a", gracePeriodSeconds="x")
    api.delete("configmaps/a", gracePeriodSeconds="30")


def delete_of_a_collection(api: Api) -> None:
    for name, label in (("m1", "a"), ("m2", "b"), ("m3", "a")):
        api.post("configmaps", config_map(name, {"labels": {"l": label}}, x="1"))
    api.delete("configmaps", labelSelector="l=a")
    api.get("configmaps")
    api.delete("configmaps", dryRun="All")
    api.delete("configmaps", fieldSelector="metadata.name=m2")
    api.delete("configmaps")


def delete_of_a_custom_collection(api: Api) -> None:
    for name in ("n1", "n2"):
        api.post("nads", network(name))
    api.post("nads", network("n3") | {"metadata": {"name": "n3", **_HELD}})
    api.delete("nads")
    api.get("nads")


def delete_of_namespaces(api: Api) -> None:
    api.post("namespaces", namespace("{ns}-gone"))
    api.post("/api/v1/namespaces/{ns}-gone/configmaps", config_map("a", _HELD))
    api.delete("namespaces/{ns}-gone")
    api.post("/api/v1/namespaces/{ns}-gone/configmaps", config_map("b"))
    api.post("/apis/kubevirt.io/v1/namespaces/{ns}-gone/virtualmachines", machine())
    api.post("/apis/k8s.cni.cncf.io/v1/namespaces/{ns}-gone/network-attachment-definitions", network())


def delete_of_nodes(api: Api) -> None:
    api.post("nodes", node())
    api.delete("nodes/{ns}", dryRun="All")
    api.delete("nodes/{ns}")
    api.get("nodes/{ns}")


def unknown_delete_options(api: Api) -> None:
    api.post("configmaps", config_map())
    api.delete("configmaps/a", {"kind": "Wrong", "apiVersion": "v1"})
    api.delete("configmaps/a", b"{")
    api.delete("configmaps/a", {"gracePeriodSeconds": "x"})


def last_finalizer_by_put(api: Api) -> None:
    held = api.post("nads", network() | {"metadata": {"name": "a", **_HELD}})
    held = api.delete("nads/a") or held
    held["metadata"].pop("finalizers")
    api.put("nads/a", held)
    api.get("nads/a")


CASES: list[Case] = [
    *(
        case(
            f"delete {kind}", post(kind, body), delete(f"{kind}/a", dryRun="All"), delete(f"{kind}/a"), get(f"{kind}/a")
        )
        for kind, body in _KINDS.items()
    ),
    case("delete cluster scoped", post("migrationpolicies", policy()), delete("migrationpolicies/{ns}")),
    *told(
        delete_with_finalizer,
        delete_with_finalizer_of_a_core_kind,
        deletion_timestamp_cannot_be_taken_back,
        wrong_uid_in_preconditions,
        wrong_version_in_preconditions,
        right_preconditions,
        propagation,
        pods_on_a_node_end_gracefully,
        grace_of_other_kinds,
        delete_of_a_collection,
        delete_of_a_custom_collection,
        delete_of_namespaces,
        delete_of_nodes,
        unknown_delete_options,
        last_finalizer_by_put,
    ),
]
