"""What tests ask of a simulated cluster, and prepare in it, as its administrator."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from simcluster.testing import RunningCluster

ROOT = Path(__file__).resolve().parents[2]
STATE_NAMESPACE = "ocpv-scale"
KUBEVIRT = "/apis/kubevirt.io/v1"
RBAC = "/apis/rbac.authorization.k8s.io/v1"
_PLURALS = {
    "Namespace": "/api/v1/namespaces",
    "ServiceAccount": "/api/v1/namespaces/{}/serviceaccounts",
    "ClusterRole": f"{RBAC}/clusterroles",
    "ClusterRoleBinding": f"{RBAC}/clusterrolebindings",
    "Role": f"{RBAC}/namespaces/{{}}/roles",
    "RoleBinding": f"{RBAC}/namespaces/{{}}/rolebindings",
}


def documented_rights(name: str = "rebalance") -> list[dict[str, Any]]:
    """Return the objects of docs/rbac/<name>.yaml."""
    items: list[dict[str, Any]] = yaml.safe_load((ROOT / "docs" / "rbac" / f"{name}.yaml").read_text())["items"]
    return items


def apply_rights(cluster: RunningCluster, name: str = "rebalance", *, without: tuple[str, ...] = ()) -> None:
    """Create what docs/rbac/<name>.yaml holds, except bindings of the names C(without)."""
    client = cluster.client()
    for item in documented_rights(name):
        if item["kind"].endswith("Binding") and item["metadata"]["name"] in without:
            continue
        path = _PLURALS[item["kind"]].format(item["metadata"].get("namespace", ""))
        answer = client.post(path, item)
        assert answer.status == 201, answer.body


def account_token(cluster: RunningCluster, expires_seconds: int = 3600, account: str = "rebalance") -> str:
    """Return a token of a documented service account, as C(oc create token) gets it."""
    body = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenRequest",
        "spec": {"expirationSeconds": expires_seconds},
    }
    path = f"/api/v1/namespaces/{STATE_NAMESPACE}/serviceaccounts/{account}/token"
    answer = cluster.client().post(path, body)
    assert answer.status == 201, answer.body
    return str(answer.json()["status"]["token"])


def nodes_of_machines(cluster: RunningCluster) -> dict[str, str]:
    """Return where each running VM is: "namespace/name" to node."""
    return {
        f"{item['metadata']['namespace']}/{item['metadata']['name']}": item["status"].get("nodeName", "")
        for item in cluster.client().items(f"{KUBEVIRT}/virtualmachineinstances")
    }


def migrations(cluster: RunningCluster) -> list[dict[str, Any]]:
    """Return all migrations, of whomever."""
    return cluster.client().items(f"{KUBEVIRT}/virtualmachineinstancemigrations")


def machine(cluster: RunningCluster, key: str) -> dict[str, Any]:
    """Return a VirtualMachine by "namespace/name"."""
    namespace, name = key.split("/")
    answer = cluster.client().get(f"{KUBEVIRT}/namespaces/{namespace}/virtualmachines/{name}")
    assert answer.status == 200, answer.body
    return dict(answer.json())


def writes(cluster: RunningCluster, user: str | None = None) -> dict[str, int]:
    """Return the requests that write, of one user or the administrator, since the counts were reset; questions about
    rights are none."""
    requests = cluster.requests(user) if user else cluster.requests()
    return {
        name: count
        for name, count in requests.items()
        if name.split()[0] not in ("get", "list", "watch", "GET") and "accessreviews" not in name
    }
