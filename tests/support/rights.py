"""The service account of docs/rbac/configure.yaml, with the rights that the documents give it and no others."""

from __future__ import annotations

from pathlib import Path

import yaml
from simcluster.testing import RunningCluster

_DOCUMENTS = Path(__file__).resolve().parents[2] / "docs" / "rbac"
_RBAC = "/apis/rbac.authorization.k8s.io/v1"
_PATHS = {
    "Namespace": "/api/v1/namespaces",
    "ServiceAccount": "/api/v1/namespaces/{namespace}/serviceaccounts",
    "ClusterRole": f"{_RBAC}/clusterroles",
    "ClusterRoleBinding": f"{_RBAC}/clusterrolebindings",
    "Role": f"{_RBAC}/namespaces/{{namespace}}/roles",
    "RoleBinding": f"{_RBAC}/namespaces/{{namespace}}/rolebindings",
}
_ACCOUNT = "system:serviceaccount:ocpv-scale:configure"


def configuring_account(cluster: RunningCluster, path: Path) -> Path:
    """Apply the documented objects, and return the account's kubeconfig, written to C(path)."""
    client = cluster.client()
    for document in ("rebalance.yaml", "configure.yaml"):
        for item in yaml.safe_load((_DOCUMENTS / document).read_text())["items"]:
            place = _PATHS[item["kind"]].format(namespace=item["metadata"].get("namespace", ""))
            assert client.post(place, item).status in (201, 409), item
    groups = ("system:serviceaccounts", "system:serviceaccounts:ocpv-scale", "system:authenticated")
    return cluster.write_kubeconfig(path, cluster.add_token(_ACCOUNT, groups))
